/* The sockets of the clients and of their peers. */
#include "turnload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

struct client *cl;
struct peer *pe;
int ep;

static void big_buffers(int fd) {
    int v = 8 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &v, sizeof v))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, sizeof v);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &v, sizeof v))
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, sizeof v);
}
static void watch(int fd, uint64_t tag) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = tag};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e)) die(1, "epoll_ctl: %s", strerror(errno));
}
void open_sockets(void) {
    struct rlimit rl = {o.n + 1024, o.n + 1024}, cur;
    getrlimit(RLIMIT_NOFILE, &cur);
    if (cur.rlim_cur < rl.rlim_cur && setrlimit(RLIMIT_NOFILE, &rl)) {
        cur.rlim_cur = cur.rlim_max; setrlimit(RLIMIT_NOFILE, &cur);
    }
    ep = epoll_create1(0);
    cl = calloc(o.n, sizeof *cl); pe = calloc(o.npeers, sizeof *pe);
    for (int i = 0; i < o.npeers; i++) {
        struct peer *p = &pe[i];
        p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        p->addr.sin_family = AF_INET; p->addr.sin_addr = o.peer_ip;
        socklen_t l = sizeof p->addr;
        if (p->fd < 0 || bind(p->fd, (void *)&p->addr, l) || getsockname(p->fd, (void *)&p->addr, &l))
            die(1, "peer socket on %s: %s", inet_ntoa(o.peer_ip), strerror(errno));
        big_buffers(p->fd);
        p->clients = calloc(o.n / o.npeers + 1, sizeof(int));
        watch(p->fd, 1ull << 32 | i);
    }
    for (int i = 0; i < o.n; i++) {
        struct client *c = &cl[i];
        c->fd = socket(AF_INET, o.tcp ? SOCK_STREAM : SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (c->fd < 0) die(1, "client socket %d: %s (ulimit -n?)", i, strerror(errno));
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = o.bind_ip};
        int one = 1;
        if (o.tcp) setsockopt(c->fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
        if (o.n <= 256 && !o.tcp) big_buffers(c->fd);
        if (o.bind_ip.s_addr && bind(c->fd, (void *)&a, sizeof a)) die(1, "bind %s: %s", inet_ntoa(o.bind_ip), strerror(errno));
        if (connect(c->fd, (void *)&o.server, sizeof o.server)) die(1, "connect: %s", strerror(errno));
        if (o.tcp) {
            setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            fcntl(c->fd, F_SETFL, O_NONBLOCK);
            c->rx = malloc(TCP_RX); c->tx = malloc(TCP_TX);
        }
        c->chan = 0x4000 + i % 0x3fff;
        c->peer_i = i % o.npeers;
        c->peer = pe[c->peer_i].addr;
        watch(c->fd, i);
    }
}
/* datagrams dropped in the generator's own receive buffers */
uint64_t own_drops(void) {
    uint64_t total = 0; uint32_t m[SK_MEMINFO_VARS]; socklen_t l;
    for (int i = 0; i < o.npeers; i++) {
        l = sizeof m;
        if (!getsockopt(pe[i].fd, SOL_SOCKET, SO_MEMINFO, m, &l) && l > SK_MEMINFO_DROPS * 4) total += m[SK_MEMINFO_DROPS];
    }
    for (int i = 0; i < o.n && !o.tcp; i++) {
        l = sizeof m;
        if (!getsockopt(cl[i].fd, SOL_SOCKET, SO_MEMINFO, m, &l) && l > SK_MEMINFO_DROPS * 4) total += m[SK_MEMINFO_DROPS];
    }
    return total;
}
/* Read a TCP socket and hand every whole frame to fn; -1 when it closed. */
int tcp_read(struct client *c, on_frame *fn) {
    ssize_t r = recv(c->fd, c->rx + c->rxlen, TCP_RX - c->rxlen, 0);
    if (r < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (r == 0) return -1;
    uint64_t t = now_ns();
    c->rxlen += r;
    size_t i = 0;
    while (c->rxlen - i >= 4) {
        uint8_t *b = c->rx + i;
        size_t body = r16(b + 2);
        size_t need = (b[0] & 0xC0) == 0x40 ? 4 + ((body + 3) & ~(size_t)3) : 20 + body;
        if (need > TCP_RX) return -1;
        if (c->rxlen - i < need) break;
        fn(c, b, need, t);
        i += need;
    }
    memmove(c->rx, c->rx + i, c->rxlen - i);
    c->rxlen -= i;
    return 1;
}
/* Send what waits; 0 if some of it still does. */
int tcp_flush(struct client *c) {
    while (c->txoff < c->txlen) {
        ssize_t r = send(c->fd, c->tx + c->txoff, c->txlen - c->txoff, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (r < 0) { if (errno != EAGAIN) { c->dead = true; c->txoff = c->txlen = 0; } return 0; }
        c->txoff += r;
    }
    c->txoff = c->txlen = 0;
    return 1;
}
