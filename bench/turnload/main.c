/*
 * turnload - a load generator and yardstick for TURN servers (RFC 5766/8656)
 *
 *   gcc -O2 -flto -Wall -Wextra -o turnload *.c -lcrypto
 *
 * One process, one thread, no dependency but libcrypto (HMAC-SHA1, MD5).
 * It creates N TURN allocations (long-term credentials), binds a channel on
 * each (or only a permission, --mode indication) towards UDP peer sockets that
 * it owns itself, and pumps datagrams through the server:
 *
 *   c2p   client --(ChannelData / Send indication)--> server --UDP--> peer
 *   p2c   peer   --UDP--> relayed address, server --(ChannelData / Data)--> client
 *   both  the two at once, half the packets each way
 *
 * Every payload carries a send timestamp, so one-way latency is exact (same
 * clock).  With --pid the CPU time of the server (all threads, and all child
 * processes) is read from /proc, giving CPU microseconds per delivered packet.
 *
 * Four ways to set the load:
 *   --window W  closed loop: at most W packets in flight (default, W=64).
 *               Delivered pps is then the server's capacity, almost loss free.
 *   --rate R    open loop at R packets/s.  The one for latency figures.
 *   --flood     open loop, as fast as this machine can send.
 *   --search    binary search of the highest open-loop rate with loss <= --loss.
 *
 * The generator watches itself: "gen_idle" is the share of time in which it had
 * nothing to do (near 0 with a server below 95 % of a core: the generator is the
 * limit), "gen_drops" counts datagrams lost in its own receive buffers, and
 * "foreign" is CPU used by neither server nor generator, in % of one core
 * (with --pid): throw away runs in which it is more than a few per cent.
 *
 * Exit status: 0 measured, 1 could not set up, 2 bad usage.
 */
#include "turnload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

volatile sig_atomic_t stop_flag;

void die(int code, const char *fmt, ...) {
    va_list ap; va_start(ap, fmt);
    fputs("turnload: ", stderr); vfprintf(stderr, fmt, ap); fputc('\n', stderr);
    va_end(ap); exit(code);
}
void say(const char *fmt, ...) {
    if (o.quiet) return;
    va_list ap; va_start(ap, fmt); vfprintf(o.json ? stderr : stdout, fmt, ap); va_end(ap);
    fflush(o.json ? stderr : stdout);
}
static void on_sig(int s) { (void)s; stop_flag = 1; }

int main(int argc, char **argv) {
    read_options(argc, argv);
    signal(SIGINT, on_sig); signal(SIGTERM, on_sig); signal(SIGPIPE, SIG_IGN);

    make_buffers();
    double cpu0, cpu1, rss0, rss1, pss0, pss1;
    server_usage(&cpu0, &rss0, &pss0);
    open_sockets();
    struct phase alloc = run_phase(OP_ALLOC), last = alloc, chan = {0}, freed = {0};
    server_usage(&cpu1, &rss1, &pss1);
    if (!alloc.ok) die(1, "no allocation succeeded: %d %s", alloc.first_error, alloc.first_reason);
    double alloc_cpu = (cpu1 - cpu0) * 1e6 / alloc.ok;
    if (o.indication || !o.noperm) last = run_phase(OP_PERM);
    if (!o.indication) last = chan = run_phase(OP_CHAN);
    server_usage(&cpu1, &rss1, &pss1);
    int nready = 0;
    for (int i = 0; i < o.n; i++) if (cl[i].ready) { struct peer *p = &pe[cl[i].peer_i]; p->clients[p->n++] = i; nready++; }
    if (!nready) die(1, "no channel or permission: %d %s", last.first_error, last.first_reason);
    if (o.pid) say("server       cpu %.1f us/allocation; RSS %.0f -> %.0f kB (%.0f bytes/allocation), PSS %.0f -> %.0f kB\n",
                   alloc_cpu, rss0, rss1, (rss1 - rss0) * 1024 / alloc.ok, pss0, pss1);
    struct result r = {0};
    if (o.hold >= 0) {
        for (uint64_t t = now_ns(); now_ns() - t < (uint64_t)(o.hold * 1e9) && !stop_flag;) usleep(50000);
        server_usage(&cpu1, &rss1, &pss1);
        if (o.pid) say("after hold   RSS %.0f kB (%.0f bytes/allocation) PSS %.0f kB\n", rss1, (rss1 - rss0) * 1024 / alloc.ok, pss1);
    } else {
        if (o.warmup > 0 && o.load != L_SEARCH) pump(o.load == L_FLOOD ? L_WINDOW : o.load, o.rate, o.warmup);
        if (o.load == L_SEARCH) { if (o.burst > 4) o.burst = 4; r = search(); }
        else r = pump(o.load, o.rate, o.duration);
        show(&r, o.load == L_SEARCH ? "best" : o.load == L_RATE ? "rate" : o.load == L_FLOOD ? "flood" : "window");
    }
    if (!o.nofree) freed = run_phase(OP_FREE);
    if (o.json)
        printf("{\"allocations\":%d,\"ready\":%d,\"size\":%d,\"direction\":\"%s\",\"mode\":\"%s\",\"transport\":\"%s\","
               "\"load\":\"%s\",\"alloc_per_s\":%.0f,\"alloc_cpu_us\":%.2f,\"chan_per_s\":%.0f,\"free_per_s\":%.0f,"
               "\"rss0_kb\":%.0f,\"rss1_kb\":%.0f,\"pss0_kb\":%.0f,\"pss1_kb\":%.0f,"
               "\"rate_asked\":%.0f,\"secs\":%.3f,\"sent\":%llu,\"delivered\":%llu,\"c2p\":%llu,\"p2c\":%llu,\"loss_pct\":%.4f,"
               "\"pps\":%.0f,\"mbit\":%.2f,\"cpu_us_per_packet\":%.4f,\"cpu_pct\":%.1f,\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,"
               "\"gen_idle_pct\":%.1f,\"foreign_pct\":%.1f,\"gen_drops\":%llu,\"senderr\":%llu,\"bad\":%llu}\n",
               o.n, nready, o.payload, o.dir == D_C2P ? "c2p" : o.dir == D_P2C ? "p2c" : "both",
               o.indication ? "indication" : "channel", o.tcp ? "tcp" : "udp",
               o.hold >= 0 ? "hold" : o.load == L_SEARCH ? "search" : o.load == L_RATE ? "rate" : o.load == L_FLOOD ? "flood" : "window",
               alloc.per_s, alloc_cpu, chan.per_s, freed.per_s, rss0, rss1, pss0, pss1, r.rate_asked, r.secs,
               (unsigned long long)r.sent, (unsigned long long)r.delivered, (unsigned long long)r.c2p, (unsigned long long)r.p2c,
               r.loss, r.pps, r.mbit, r.cpu_us, r.cpu_share, r.p50, r.p99, r.p999, r.idle, r.foreign,
               (unsigned long long)r.gen_drops, (unsigned long long)r.senderr, (unsigned long long)r.bad);
    return 0;
}
