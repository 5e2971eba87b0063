/* Packets out and in, and how long each was on its way. */
#include "turnload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define MAGIC 0x544C4431u /* "TLD1" */
#define SLOT 65536
#define HB 2048 /* log-linear latency histogram, 32 steps per octave */

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

/* The head of every payload. */
struct hdr { uint32_t magic, run, client, dir; uint64_t ts; } __attribute__((packed));

struct traffic st;
static uint64_t hist[HB];
static uint8_t *rxbuf, *txbuf;
static struct mmsghdr rxm[BATCH], txm[BATCH];
static struct iovec rxv[BATCH], txv[BATCH];
static union { char b[CMSG_SPACE(2)]; struct cmsghdr h; } txc[BATCH];

void start_run(void) {
    st = (struct traffic){.run = st.run + 1};
    memset(hist, 0, sizeof hist);
}
uint64_t delivered(void) { return st.got[D_C2P] + st.got[D_P2C]; }

static unsigned hidx(uint64_t ns) {
    if (ns < 64) return ns;
    unsigned e = 63 - __builtin_clzll(ns);
    unsigned i = 64 + (e - 6) * 32 + ((ns >> (e - 5)) & 31);
    return i < HB ? i : HB - 1;
}
static double hval(unsigned i) { /* us, middle of the bucket */
    if (i < 64) return i / 1e3;
    unsigned e = (i - 64) / 32 + 6, s = (i - 64) % 32;
    return ((double)(1ull << e) + ((double)s + .5) * (double)(1ull << (e - 5))) / 1e3;
}
double quantile(double q) {
    uint64_t n = 0, k = 0;
    for (int i = 0; i < HB; i++) n += hist[i];
    if (!n) return 0;
    uint64_t want = (uint64_t)(q * (double)n); if (want >= n) want = n - 1;
    for (int i = 0; i < HB; i++) { k += hist[i]; if (k > want) return hval(i); }
    return 0;
}
static void on_payload(const uint8_t *p, size_t n, unsigned dir, uint64_t t) {
    struct hdr h;
    if ((int)n != o.payload) { st.bad++; return; }
    memcpy(&h, p, sizeof h);
    if (h.magic != MAGIC || h.dir != dir || h.client >= (uint32_t)o.n) { st.bad++; return; }
    if (h.run != st.run) return; /* straggler of an earlier run */
    st.got[dir]++;
    hist[hidx(t > h.ts ? t - h.ts : 0)]++;
}
/* One message (UDP datagram or TCP frame) that client c received in a pump. */
static void on_client_data(struct client *c, const uint8_t *b, size_t n, uint64_t t) {
    if (n >= 4 && (b[0] & 0xC0) == 0x40) {
        unsigned l = r16(b + 2);
        if (4 + l > n || r16(b) != c->chan) { st.bad++; return; }
        on_payload(b + 4, l, D_P2C, t);
    } else if (n >= 20 && r16(b) == (M_DATA | 0x10)) {
        unsigned l; const uint8_t *d = find(b, n, A_DATA, &l);
        if (d) on_payload(d, l, D_P2C, t); else st.bad++;
    }
}

/* Drain what is readable; returns the number of datagrams or reads seen. */
int poll_data(int timeout_ms) {
    struct epoll_event ev[256];
    int n = epoll_wait(ep, ev, 256, timeout_ms), work = 0;
    for (int i = 0; i < n; i++) {
        int idx = (uint32_t)ev[i].data.u64;
        bool is_peer = ev[i].data.u64 >> 32;
        if (!is_peer && o.tcp) {
            if (tcp_read(&cl[idx], on_client_data) < 0) {
                epoll_ctl(ep, EPOLL_CTL_DEL, cl[idx].fd, NULL); cl[idx].dead = true;
            } else work++;
            continue;
        }
        int fd = is_peer ? pe[idx].fd : cl[idx].fd;
        for (int round = 0; round < 4; round++) {
            int r = recvmmsg(fd, rxm, BATCH, MSG_DONTWAIT, NULL);
            if (r <= 0) break;
            uint64_t t = now_ns();
            for (int k = 0; k < r; k++) {
                if (is_peer) on_payload(rxv[k].iov_base, rxm[k].msg_len, D_C2P, t);
                else on_client_data(&cl[idx], rxv[k].iov_base, rxm[k].msg_len, t);
            }
            work += r;
            if (r < BATCH) break;
        }
    }
    return work;
}

/* Slots keep the constant filler; only headers are rewritten per packet. */
void make_buffers(void) {
    txbuf = malloc((size_t)BATCH * SLOT); rxbuf = malloc((size_t)BATCH * RXSLOT);
    for (size_t i = 0; i < (size_t)BATCH * SLOT; i++) txbuf[i] = (uint8_t)(i * 7 + 3);
    for (int i = 0; i < BATCH; i++) {
        rxv[i] = (struct iovec){rxbuf + (size_t)i * RXSLOT, RXSLOT};
        rxm[i].msg_hdr = (struct msghdr){.msg_iov = &rxv[i], .msg_iovlen = 1};
    }
}

static int rr_client, rr_peer;

/* Write one packet for client i in direction dir at p; returns its length. */
static size_t put_packet(uint8_t *p, int i, unsigned dir, uint64_t t) {
    struct client *c = &cl[i];
    struct hdr h = {MAGIC, st.run, i, dir, t};
    if (dir == D_P2C) { memcpy(p, &h, sizeof h); return o.payload; }
    if (!o.indication) {
        w16(p, c->chan); w16(p + 2, o.payload);
        memcpy(p + 4, &h, sizeof h);
        return 4 + (o.tcp ? (o.payload + 3) & ~3 : o.payload);
    }
    unsigned pad = (4 - (o.payload & 3)) & 3;
    w16(p, M_SEND | 0x10); w16(p + 2, 12 + 4 + o.payload + pad); w32(p + 4, COOKIE);
    w32(p + 8, i); memcpy(p + 12, &t, 8);
    attr_addr(p + 20, A_XPEER, &c->peer);
    w16(p + 32, A_DATA); w16(p + 34, o.payload);
    memcpy(p + 36, &h, sizeof h);
    return 36 + o.payload + pad;
}
/* Send up to k packets client->peer from one client; returns packets sent. */
int send_c2p(int k) {
    int i = -1;
    for (int tries = 0; tries < o.n; tries++) {
        int j = rr_client; rr_client = (rr_client + 1) % o.n;
        if (cl[j].ready && !cl[j].dead) { i = j; break; }
    }
    if (i < 0) return 0;
    struct client *c = &cl[i];
    uint64_t t = now_ns();
    if (o.tcp) {
        if (c->txlen && !tcp_flush(c)) return 0;
        int m = 0;
        for (; m < k; m++) {
            uint8_t tmp[MAX_PAYLOAD + 64];
            if (c->txlen + sizeof tmp > TCP_TX) break;
            size_t l = put_packet(tmp, i, D_C2P, t);
            memcpy(c->tx + c->txlen, tmp, l); c->txlen += l;
        }
        tcp_flush(c);
        return m;
    }
    if (o.gso && k > 1) {
        size_t l = 0, one = 0; int m = 0;
        for (; m < k && m < 64 && l + o.payload + 64 < 65000; m++) l += one = put_packet(txbuf + l, i, D_C2P, t);
        struct iovec v = {txbuf, l};
        struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &txc[0], .msg_controllen = sizeof txc[0].b};
        struct cmsghdr *cm = CMSG_FIRSTHDR(&h);
        cm->cmsg_level = SOL_UDP; cm->cmsg_type = UDP_SEGMENT; cm->cmsg_len = CMSG_LEN(2);
        uint16_t sz = one; memcpy(CMSG_DATA(cm), &sz, 2);
        if (sendmsg(c->fd, &h, MSG_DONTWAIT) < 0) { st.senderr++; return 0; }
        return m;
    }
    for (int j = 0; j < k; j++) {
        txv[j].iov_base = txbuf + (size_t)j * SLOT;
        txv[j].iov_len = put_packet(txv[j].iov_base, i, D_C2P, t);
        txm[j].msg_hdr = (struct msghdr){.msg_iov = &txv[j], .msg_iovlen = 1};
    }
    int r = sendmmsg(c->fd, txm, k, MSG_DONTWAIT);
    if (r < 0) { st.senderr++; return 0; }
    return r;
}
/* Send up to k packets peer->relayed addresses, over several clients. */
int send_p2c(int k) {
    struct peer *p = NULL;
    for (int tries = 0; tries < o.npeers; tries++) {
        struct peer *q = &pe[rr_peer]; rr_peer = (rr_peer + 1) % o.npeers;
        if (q->n) { p = q; break; }
    }
    if (!p) return 0;
    uint64_t t = now_ns();
    if (o.gso && k > 1) {
        int i = p->clients[p->next]; p->next = (p->next + 1) % p->n;
        size_t l = 0; int m = 0;
        for (; m < k && m < 64 && l + o.payload < 65000; m++) l += put_packet(txbuf + l, i, D_P2C, t);
        struct iovec v = {txbuf, l};
        struct msghdr h = {.msg_name = &cl[i].relay, .msg_namelen = sizeof cl[i].relay, .msg_iov = &v, .msg_iovlen = 1,
                           .msg_control = &txc[0], .msg_controllen = sizeof txc[0].b};
        struct cmsghdr *cm = CMSG_FIRSTHDR(&h);
        cm->cmsg_level = SOL_UDP; cm->cmsg_type = UDP_SEGMENT; cm->cmsg_len = CMSG_LEN(2);
        uint16_t sz = o.payload; memcpy(CMSG_DATA(cm), &sz, 2);
        if (sendmsg(p->fd, &h, MSG_DONTWAIT) < 0) { st.senderr++; return 0; }
        return m;
    }
    for (int j = 0; j < k; j++) {
        int i = p->clients[p->next]; p->next = (p->next + 1) % p->n;
        txv[j].iov_base = txbuf + (size_t)j * SLOT;
        txv[j].iov_len = put_packet(txv[j].iov_base, i, D_P2C, t);
        txm[j].msg_hdr = (struct msghdr){.msg_name = &cl[i].relay, .msg_namelen = sizeof cl[i].relay, .msg_iov = &txv[j], .msg_iovlen = 1};
    }
    int r = sendmmsg(p->fd, txm, k, MSG_DONTWAIT);
    if (r < 0) { st.senderr++; return 0; }
    return r;
}
