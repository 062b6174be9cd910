/*
 * PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt), strict and bounded. Incremental: every byte is
 * looked at once and kept in a small buffer until the header is complete; nothing after the header is touched.
 */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "net/addr.h"

#define PROXY_V1_MAX 107        /* §2.1, with CR LF */
#define PROXY_V2_MAX (16 + 1024) /* addresses and TLVs; what is longer is refused */

struct proxy {
    uint16_t n;    /* bytes in b */
    uint16_t want; /* v2: whole length once known */
    char b[PROXY_V2_MAX];
};

enum proxy_result {
    PROXY_MORE,
    PROXY_DONE,  /* *ip_out names the peer */
    PROXY_LOCAL, /* the proxy speaks for itself or does not know: keep the address of the socket */
    PROXY_BAD
};

/* Takes at most n bytes; *used_out never reaches past the header. */
enum proxy_result proxy_feed(struct proxy *p, const char *data, size_t n, size_t *used_out, struct ip *ip_out, uint16_t *port_out);

#endif
