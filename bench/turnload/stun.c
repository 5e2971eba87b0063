/* Requests and attributes of STUN and TURN (RFC 8489, RFC 8656). */
#include "turnload.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint8_t *attr(uint8_t *p, unsigned type, const void *v, unsigned len) {
    w16(p, type); w16(p + 2, len);
    memcpy(p + 4, v, len);
    unsigned pad = (4 - (len & 3)) & 3;
    memset(p + 4 + len, 0, pad);
    return p + 4 + len + pad;
}
uint8_t *attr_addr(uint8_t *p, unsigned type, const struct sockaddr_in *a) {
    uint8_t v[8] = {0, 1};
    w16(v + 2, ntohs(a->sin_port) ^ (COOKIE >> 16));
    w32(v + 4, ntohl(a->sin_addr.s_addr) ^ COOKIE);
    return attr(p, type, v, 8);
}
void make_key(struct client *c) {
    char s[512]; unsigned l = 16;
    int n = snprintf(s, sizeof s, "%s:%s:%s", o.user, c->realm, o.pass);
    EVP_Digest(s, n, c->key, &l, EVP_md5(), NULL);
}
/* Build the request of phase op for client c into c->req. */
void build(struct client *c, enum op op) {
    static const unsigned method[] = {M_ALLOCATE, M_PERM, M_CHAN, M_REFRESH};
    uint8_t *b = c->req, *p = b + 20, v[4] = {0};
    static uint64_t counter;
    if (!counter) counter = now_ns() ^ ((uint64_t)getpid() << 40);
    counter++;
    w32(c->txid, c - cl); memcpy(c->txid + 4, &counter, 8);
    w16(b, method[op]); w32(b + 4, COOKIE); memcpy(b + 8, c->txid, 12);
    if (op == OP_ALLOC) { v[0] = 17; p = attr(p, A_TRANSPORT, v, 4); }
    if (op == OP_FREE) { p = attr(p, A_LIFETIME, v, 4); }
    if (op == OP_CHAN) { w16(v, c->chan); p = attr(p, A_CHANNEL, v, 4); }
    if (op == OP_CHAN || op == OP_PERM) p = attr_addr(p, A_XPEER, &c->peer);
    if (c->noncelen) {
        p = attr(p, A_USERNAME, o.user, strlen(o.user));
        p = attr(p, A_REALM, c->realm, strlen(c->realm));
        p = attr(p, A_NONCE, c->nonce, c->noncelen);
        w16(b + 2, p - b - 20 + 24);
        uint8_t mac[20]; unsigned l = 20;
        HMAC(EVP_sha1(), c->key, 16, b, p - b, mac, &l);
        p = attr(p, A_MI, mac, 20);
    }
    w16(b + 2, p - b - 20);
    c->reqlen = p - b;
}
const uint8_t *find(const uint8_t *b, size_t n, unsigned type, unsigned *len) {
    for (size_t i = 20; i + 4 <= n;) {
        unsigned l = r16(b + i + 2);
        if (i + 4 + l > n) break;
        if (r16(b + i) == type) { *len = l; return b + i + 4; }
        i += 4 + ((l + 3) & ~3u);
    }
    return NULL;
}
