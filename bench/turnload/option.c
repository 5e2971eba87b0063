/* The command line. */
#include "turnload.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options o;

static const char usage_text[] =
"usage: turnload [options] SERVER_IP:PORT USER PASSWORD\n"
"  -n, --allocations N    allocations (clients) to make [10]\n"
"  -s, --size BYTES       payload bytes, 24..8192 [160]\n"
"  -t, --duration S       seconds of each measured run [5]\n"
"  -d, --direction D      c2p | p2c | both [c2p]\n"
"  -m, --mode M           channel | indication [channel]\n"
"  -T, --transport T      client transport: udp | tcp [udp]\n"
"load (one of):\n"
"  -w, --window W         closed loop, at most W packets in flight [64]\n"
"  -r, --rate PPS         open loop at PPS packets/s in all\n"
"      --flood            open loop as fast as possible\n"
"      --search           highest open-loop rate with loss <= --loss;\n"
"                         --lo PPS --hi PPS bound it (else guessed)\n"
"      --loss PERCENT     loss allowed by --search [0.1]\n"
"      --hold S           no load: make the allocations, hold them S seconds\n"
"others:\n"
"  -p, --pid PID          server process: report its CPU time and memory\n"
"                         (threads and child processes included)\n"
"  -b, --burst K          packets per system call, 1..64 [8; 1 with --rate]\n"
"  -g, --gso              send bursts with UDP_SEGMENT (lighter generator; do not\n"
"                         use against a server that reads with UDP_GRO)\n"
"  -P, --peers N          peer sockets [min(N, 16)]\n"
"  -c, --concurrency N    requests in flight during set-up [64]\n"
"      --warmup S         unmeasured load first [0.5]\n"
"      --bind IP          client source address [127.0.0.2 for a loopback server]\n"
"      --peer-ip IP       address of the peer sockets [same as --bind]\n"
"      --no-permission    skip CreatePermission (ChannelBind implies one)\n"
"      --no-free          do not deallocate at the end\n"
"      --json             one JSON object on stdout, progress on stderr\n"
"  -q, --quiet            no progress text\n"
"  -h, --help\n"
"Example, server on core 0 and the generator on core 1:\n"
"  taskset -c 1 ./turnload -n 20 -s 1200 -d both -p $(pidof turnserver) 127.0.0.1:3478 u p\n";

/* Fill o; ends the program if something is wrong. */
void read_options(int argc, char **argv) {
    o.n = 10; o.payload = 160; o.duration = 5; o.warmup = .5; o.dir = D_C2P; o.window = 64;
    o.concurrency = 64; o.loss = .1; o.hold = -1;
    enum { X_FLOOD = 256, X_SEARCH, X_LOSS, X_LO, X_HI, X_HOLD, X_WARM, X_BIND, X_PEERIP, X_NOPERM, X_NOFREE, X_JSON };
    static const struct option lo[] = {
        {"allocations", 1, 0, 'n'}, {"size", 1, 0, 's'}, {"duration", 1, 0, 't'}, {"direction", 1, 0, 'd'},
        {"mode", 1, 0, 'm'}, {"transport", 1, 0, 'T'}, {"window", 1, 0, 'w'}, {"rate", 1, 0, 'r'},
        {"flood", 0, 0, X_FLOOD}, {"search", 0, 0, X_SEARCH}, {"loss", 1, 0, X_LOSS}, {"lo", 1, 0, X_LO},
        {"hi", 1, 0, X_HI}, {"hold", 1, 0, X_HOLD}, {"pid", 1, 0, 'p'}, {"burst", 1, 0, 'b'}, {"gso", 0, 0, 'g'},
        {"peers", 1, 0, 'P'}, {"concurrency", 1, 0, 'c'}, {"warmup", 1, 0, X_WARM}, {"bind", 1, 0, X_BIND},
        {"peer-ip", 1, 0, X_PEERIP}, {"no-permission", 0, 0, X_NOPERM}, {"no-free", 0, 0, X_NOFREE},
        {"json", 0, 0, X_JSON}, {"quiet", 0, 0, 'q'}, {"help", 0, 0, 'h'}, {0}};
    for (int c; (c = getopt_long(argc, argv, "n:s:t:d:m:T:w:r:p:b:gP:c:qh", lo, NULL)) != -1;) switch (c) {
        case 'n': o.n = atoi(optarg); break;
        case 's': o.payload = atoi(optarg); break;
        case 't': o.duration = atof(optarg); break;
        case 'd': o.dir = !strcmp(optarg, "c2p") ? D_C2P : !strcmp(optarg, "p2c") ? D_P2C : !strcmp(optarg, "both") ? D_BOTH : 0; break;
        case 'm': if (!strcmp(optarg, "indication")) o.indication = true; else if (strcmp(optarg, "channel")) die(2, "bad --mode"); break;
        case 'T': if (!strcmp(optarg, "tcp")) o.tcp = true; else if (strcmp(optarg, "udp")) die(2, "bad --transport"); break;
        case 'w': o.load = L_WINDOW; o.window = atoi(optarg); break;
        case 'r': o.load = L_RATE; o.rate = atof(optarg); break;
        case X_FLOOD: o.load = L_FLOOD; break;
        case X_SEARCH: o.load = L_SEARCH; break;
        case X_LOSS: o.loss = atof(optarg); break;
        case X_LO: o.lo = atof(optarg); break;
        case X_HI: o.hi = atof(optarg); break;
        case X_HOLD: o.hold = atof(optarg); break;
        case 'p': o.pid = atoi(optarg); break;
        case 'b': o.burst = atoi(optarg); break;
        case 'g': o.gso = true; break;
        case 'P': o.npeers = atoi(optarg); break;
        case 'c': o.concurrency = atoi(optarg); break;
        case X_WARM: o.warmup = atof(optarg); break;
        case X_BIND: if (!inet_aton(optarg, &o.bind_ip)) die(2, "bad --bind"); break;
        case X_PEERIP: if (!inet_aton(optarg, &o.peer_ip)) die(2, "bad --peer-ip"); break;
        case X_NOPERM: o.noperm = true; break;
        case X_NOFREE: o.nofree = true; break;
        case X_JSON: o.json = true; break;
        case 'q': o.quiet = true; break;
        case 'h': fputs(usage_text, stdout); exit(0);
        default: fputs(usage_text, stderr); exit(2);
    }
    if (argc - optind != 3) { fputs(usage_text, stderr); exit(2); }
    char host[64]; char *colon = strrchr(argv[optind], ':');
    snprintf(host, sizeof host, "%.*s", (int)(colon ? colon - argv[optind] : 0), argv[optind]);
    o.server.sin_family = AF_INET;
    if (!colon || !inet_aton(host, &o.server.sin_addr)) die(2, "SERVER must be IPv4:PORT");
    o.server.sin_port = htons(atoi(colon + 1));
    o.user = argv[optind + 1]; o.pass = argv[optind + 2];
    if (!o.burst) o.burst = o.load == L_RATE ? 1 : 8;
    if (!o.npeers) o.npeers = o.n < 16 ? o.n : 16;
    if (!o.dir || o.n < 1 || o.payload < MIN_PAYLOAD || o.payload > MAX_PAYLOAD || o.burst < 1 || o.burst > BATCH ||
        o.npeers < 1 || o.concurrency < 1 || o.window < 1 || o.duration <= 0 || strlen(o.user) > 128)
        die(2, "an option is out of range (see --help)");
    if ((ntohl(o.server.sin_addr.s_addr) >> 24) == 127 && !o.bind_ip.s_addr) inet_aton("127.0.0.2", &o.bind_ip);
    if (!o.peer_ip.s_addr) o.peer_ip = o.bind_ip;
    if (!o.peer_ip.s_addr) die(2, "--peer-ip is needed for a server that is not on loopback");
    if (o.pid && !rss_kb(o.pid, "VmRSS:")) die(2, "no such process: %d", o.pid);
}
