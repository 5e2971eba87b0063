/* What the parts of turnload share: its options, its clients and peers, the clock and byte order. */
#ifndef TURNLOAD_H
#define TURNLOAD_H

#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define COOKIE 0x2112A442u
#define MIN_PAYLOAD 24
#define MAX_PAYLOAD 8192
#define BATCH 64 /* packets per system call, at most */
#define RXSLOT 10240
#define TCP_RX 262144
#define TCP_TX 262144

enum { M_ALLOCATE = 3, M_REFRESH = 4, M_PERM = 8, M_CHAN = 9, M_SEND = 6, M_DATA = 7 };
enum { A_USERNAME = 6, A_MI = 8, A_ERROR = 9, A_CHANNEL = 0xC, A_LIFETIME = 0xD,
       A_XPEER = 0x12, A_DATA = 0x13, A_REALM = 0x14, A_NONCE = 0x15,
       A_XRELAYED = 0x16, A_TRANSPORT = 0x19 };
enum dir { D_C2P = 1, D_P2C = 2, D_BOTH = 3 };
enum load { L_WINDOW, L_RATE, L_FLOOD, L_SEARCH };
enum op { OP_ALLOC, OP_PERM, OP_CHAN, OP_FREE };

struct client {
    int fd;
    uint16_t chan;
    struct sockaddr_in relay, peer;
    int peer_i;
    bool ready, pending, dead;
    uint8_t txid[12], req[768];
    int reqlen, tries, auth_tries;
    uint64_t deadline;
    char realm[128], nonce[160];
    int noncelen;
    uint8_t key[16];
    uint8_t *rx, *tx; /* TCP only */
    size_t rxlen, txlen, txoff;
};

struct peer { int fd; struct sockaddr_in addr; int *clients, n, next; };

struct options {
    struct sockaddr_in server;
    const char *user, *pass;
    int n, npeers, payload, burst, concurrency, pid, window;
    enum dir dir;
    enum load load;
    bool indication, tcp, gso, json, noperm, nofree, quiet;
    double duration, warmup, rate, hold, loss, lo, hi;
    struct in_addr bind_ip, peer_ip;
};

/* What came of one phase of requests. */
struct phase { int ok, failed, first_error; double per_s; char first_reason[128]; };

/* What was sent and received since the start of a run. */
struct traffic { uint64_t sent, senderr, got[4], bad; uint32_t run; };

struct result {
    double secs, rate_asked, pps, mbit, loss, cpu_us, cpu_share, p50, p99, p999, idle, foreign;
    uint64_t sent, delivered, c2p, p2c, senderr, bad, gen_drops;
};

extern struct options o;      /* option.c */
extern struct client *cl;     /* socket.c */
extern struct peer *pe;       /* socket.c */
extern int ep;                /* socket.c: the epoll descriptor; peers have 1 in the high half of their tag */
extern struct traffic st;     /* traffic.c */
extern volatile sig_atomic_t stop_flag; /* main.c */

static inline uint64_t now_ns(void) {
    struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static inline void w16(uint8_t *p, unsigned v) { p[0] = v >> 8; p[1] = v; }
static inline void w32(uint8_t *p, uint32_t v) { w16(p, v >> 16); w16(p + 2, v & 0xffff); }
static inline unsigned r16(const uint8_t *p) { return p[0] << 8 | p[1]; }
static inline uint32_t r32(const uint8_t *p) { return (uint32_t)r16(p) << 16 | r16(p + 2); }

/* main.c */
void die(int code, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* option.c */
void read_options(int argc, char **argv);

/* usage.c */
double rss_kb(int pid, const char *field);
void server_usage(double *cpu_s, double *rss, double *pss);
double machine_cpu(void);
double own_cpu(void);

/* stun.c */
uint8_t *attr_addr(uint8_t *p, unsigned type, const struct sockaddr_in *a);
void make_key(struct client *c);
void build(struct client *c, enum op op);
const uint8_t *find(const uint8_t *b, size_t n, unsigned type, unsigned *len);

/* socket.c */
typedef void on_frame(struct client *c, const uint8_t *b, size_t n, uint64_t t);
void open_sockets(void);
uint64_t own_drops(void);
int tcp_read(struct client *c, on_frame *fn);
int tcp_flush(struct client *c);

/* phase.c */
struct phase run_phase(enum op op);

/* traffic.c */
void make_buffers(void);
void start_run(void);
uint64_t delivered(void);
double quantile(double q);
int poll_data(int timeout_ms);
int send_c2p(int k);
int send_p2c(int k);

/* pump.c */
struct result pump(enum load load, double rate, double secs);
struct result search(void);
void show(const struct result *r, const char *tag);

#endif
