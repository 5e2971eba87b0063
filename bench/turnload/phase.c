/* The requests that set up and end allocations. */
#include "turnload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static const char *op_name[] = {"allocate", "permission", "channel-bind", "deallocate"};

static enum op cur_op;
static struct phase now;

static void note(int code, int len, const char *reason) {
    if (now.first_error) return;
    now.first_error = code;
    snprintf(now.first_reason, sizeof now.first_reason, "%.*s", len, reason);
}

static void request_send(struct client *c) {
    c->deadline = now_ns() + (500000000ull << (c->tries > 4 ? 4 : c->tries));
    c->tries++;
    if (send(c->fd, c->req, c->reqlen, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
        note(-1, 64, strerror(errno));
}
static void finish(struct client *c, bool ok) {
    c->pending = false;
    if (ok) now.ok++; else { now.failed++; c->ready = false; }
}
static void on_response(struct client *c, const uint8_t *b, size_t n, uint64_t t) {
    (void)t;
    unsigned l;
    if (n < 20 || (b[0] & 0xC0) || r32(b + 4) != COOKIE || !c->pending || memcmp(b + 8, c->txid, 12)) return;
    unsigned cls = r16(b) & 0x110;
    if (cls == 0x100) {
        const uint8_t *a;
        if (cur_op == OP_ALLOC) {
            if (!(a = find(b, n, A_XRELAYED, &l)) || l < 8) { finish(c, false); return; }
            c->relay.sin_family = AF_INET;
            c->relay.sin_port = htons(r16(a + 2) ^ (COOKIE >> 16));
            c->relay.sin_addr.s_addr = htonl(r32(a + 4) ^ COOKIE);
            c->ready = true;
        }
        finish(c, true);
    } else if (cls == 0x110) {
        const uint8_t *e = find(b, n, A_ERROR, &l);
        int code = e && l >= 4 ? (e[2] & 7) * 100 + e[3] : 0;
        unsigned rl, nl;
        const uint8_t *re = find(b, n, A_REALM, &rl), *no = find(b, n, A_NONCE, &nl);
        if ((code == 401 || code == 438) && no && nl < sizeof c->nonce && c->auth_tries++ < 4 &&
            !(code == 401 && c->auth_tries > 2)) {
            memcpy(c->nonce, no, nl); c->noncelen = nl;
            if (re && rl < sizeof c->realm) { memcpy(c->realm, re, rl); c->realm[rl] = 0; make_key(c); }
            build(c, cur_op); c->tries = 0; request_send(c);
            return;
        }
        note(code, e && l > 4 ? (int)(l - 4) : 0, e ? (const char *)e + 4 : "");
        finish(c, false);
    }
}
/* Run one request for every ready client, `concurrency` at a time. */
struct phase run_phase(enum op op) {
    cur_op = op; now = (struct phase){0};
    int next = 0, todo = 0, *fl = malloc(sizeof(int) * o.concurrency), nf = 0;
    for (int i = 0; i < o.n; i++) if (op == OP_ALLOC || cl[i].ready) todo++;
    uint64_t t0 = now_ns(), scan = t0;
    while (now.ok + now.failed < todo && !stop_flag) {
        for (int i = 0; i < nf;) if (cl[fl[i]].pending) i++; else fl[i] = fl[--nf];
        while (nf < o.concurrency && next < o.n) {
            struct client *c = &cl[next++];
            if (op != OP_ALLOC && !c->ready) continue;
            c->pending = true; c->tries = c->auth_tries = 0;
            build(c, op); request_send(c);
            fl[nf++] = c - cl;
        }
        struct epoll_event ev[256];
        int n = epoll_wait(ep, ev, 256, 20);
        for (int i = 0; i < n; i++) {
            int idx = (uint32_t)ev[i].data.u64;
            uint8_t buf[RXSLOT]; ssize_t r;
            if (ev[i].data.u64 >> 32) { while (recv(pe[idx].fd, buf, sizeof buf, MSG_DONTWAIT) > 0); continue; }
            struct client *c = &cl[idx];
            if (o.tcp) {
                if (tcp_read(c, on_response) < 0) {
                    epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL);
                    if (c->pending) finish(c, op == OP_FREE);
                }
            } else while ((r = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT)) > 0) on_response(c, buf, r, 0);
        }
        uint64_t t = now_ns();
        if (t - scan > 50000000ull) {
            scan = t;
            for (int i = 0; i < nf; i++) {
                struct client *c = &cl[fl[i]];
                if (!c->pending || t < c->deadline) continue;
                if (c->tries >= 5) { note(-1, 7, "timeout"); finish(c, false); }
                else request_send(c);
            }
        }
    }
    free(fl);
    double s = (double)(now_ns() - t0) / 1e9;
    now.per_s = now.ok / s;
    say("%-13s ok %d failed %d in %.3f s: %.0f /s%s", op_name[op], now.ok, now.failed, s, now.per_s, now.first_error ? "" : "\n");
    if (now.first_error) say("  (first error %d %s)\n", now.first_error, now.first_reason);
    return now;
}
