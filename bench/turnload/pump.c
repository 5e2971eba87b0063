/* Load for a while, and what came of it. */
#include "turnload.h"



struct result pump(enum load load, double rate, double secs) {
    struct result r = {.rate_asked = rate};
    start_run();
    uint64_t drops0 = own_drops(), lost = 0, last_got = 0, idle = 0;
    double cpu0, cpu1, own0 = own_cpu(), machine0;
    server_usage(&cpu0, NULL, NULL);
    machine0 = machine_cpu();
    uint64_t t0 = now_ns(), t = t0, end = t0 + (uint64_t)(secs * 1e9), progress = t0;
    unsigned flip = 0;
    while (t < end && !stop_flag) {
        uint64_t quota;
        if (load == L_RATE) {
            uint64_t due = (uint64_t)((double)(t - t0) / 1e9 * rate);
            quota = due > st.sent ? due - st.sent : 0;
            if (quota > 4096) quota = 4096;
        } else if (load == L_WINDOW) {
            uint64_t fly = st.sent - delivered() - lost;
            quota = (int64_t)fly < o.window ? o.window - fly : 0;
        } else quota = (uint64_t)o.burst;
        bool work = false;
        /* at most four bursts between two polls, so that reading keeps up */
        for (int b = 0; b < 4 && quota; b++) {
            int k = quota < (uint64_t)o.burst ? (int)quota : o.burst;
            unsigned d = o.dir == D_BOTH ? (flip++ & 1 ? D_C2P : D_P2C) : o.dir;
            int s = d == D_C2P ? send_c2p(k) : send_p2c(k);
            if (s <= 0) break;
            st.sent += s; quota -= s; work = true;
        }
        if (poll_data(0)) work = true;
        uint64_t t2 = now_ns();
        if (!work) idle += t2 - t;
        t = t2;
        uint64_t g = delivered();
        if (g != last_got) { last_got = g; progress = t; }
        else if (load == L_WINDOW && t - progress > 20000000ull) { lost = st.sent - g; progress = t; }
    }
    r.secs = (double)(t - t0) / 1e9;
    r.pps = (double)delivered() / r.secs;
    r.mbit = r.pps * o.payload * 8 / 1e6;
    r.idle = (double)idle / (double)(t - t0) * 100;
    if (o.pid) {
        server_usage(&cpu1, NULL, NULL);
        r.foreign = (machine_cpu() - machine0 - (cpu1 - cpu0) - (own_cpu() - own0)) / r.secs * 100;
        if (r.foreign < 0) r.foreign = 0;
    }
    for (uint64_t q = now_ns(); now_ns() - q < 250000000ull && delivered() < st.sent;) {
        for (int i = 0; i < o.n && o.tcp; i++) if (cl[i].txlen) tcp_flush(&cl[i]);
        if (poll_data(5)) q = now_ns();
    }
    server_usage(&cpu1, NULL, NULL);
    r.sent = st.sent; r.delivered = delivered(); r.c2p = st.got[D_C2P]; r.p2c = st.got[D_P2C];
    r.senderr = st.senderr; r.bad = st.bad; r.gen_drops = own_drops() - drops0;
    r.loss = r.sent ? 100.0 * (double)(r.sent - r.delivered) / (double)r.sent : 0;
    r.cpu_us = r.delivered ? (cpu1 - cpu0) * 1e6 / (double)r.delivered : 0;
    r.cpu_share = (cpu1 - cpu0) / r.secs * 100;
    r.p50 = quantile(.5); r.p99 = quantile(.99); r.p999 = quantile(.999);
    return r;
}
void show(const struct result *r, const char *tag) {
    say("%-8s sent %llu delivered %llu (c2p %llu p2c %llu) loss %.3f%% in %.2f s: %.0f pps, %.1f Mbit/s payload\n", tag,
        (unsigned long long)r->sent, (unsigned long long)r->delivered, (unsigned long long)r->c2p,
        (unsigned long long)r->p2c, r->loss, r->secs, r->pps, r->mbit);
    say("         latency p50 %.1f us p99 %.1f us p99.9 %.1f us; server cpu %.3f us/packet (%.0f%% of a core); gen_idle %.0f%% foreign %.0f%% gen_drops %llu senderr %llu bad %llu\n",
        r->p50, r->p99, r->p999, r->cpu_us, r->cpu_share, r->idle, r->foreign, (unsigned long long)r->gen_drops,
        (unsigned long long)r->senderr, (unsigned long long)r->bad);
}
struct result search(void) {
    enum load keep = o.load;
    struct result probe = pump(L_WINDOW, 0, 1.0), best = {0};
    double lo = o.lo ? o.lo : probe.pps * 0.2, hi = o.hi ? o.hi : probe.pps * 1.6;
    say("search   closed-loop estimate %.0f pps, searching %.0f..%.0f\n", probe.pps, lo, hi);
    for (int i = 0; i < 12 && hi / lo > 1.03 && !stop_flag; i++) {
        double mid = (lo + hi) / 2;
        struct result r = pump(L_RATE, mid, o.duration);
        bool ok = r.loss <= o.loss && (double)r.sent / r.secs > mid * 0.98;
        say("  %8.0f pps: sent %.0f/s loss %.3f%% p99 %.0f us %s\n", mid, (double)r.sent / r.secs, r.loss, r.p99, ok ? "ok" : "too much");
        if (ok) { lo = mid; best = r; } else hi = mid;
    }
    o.load = keep;
    return best;
}
