/* PROXY protocol header. Owns nothing; any thread; suspends never. Leaves out the TLVs of version 2. */
#include "net/proxy.h"

#include <string.h>

static const char v2_signature[12] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
static const char v1_start[6] = {'P', 'R', 'O', 'X', 'Y', ' '};

static bool port_parse(struct str s, uint16_t *out)
{
    int64_t v;
    if (!s.n || s.n > 5 || s.p[0] < '0' || s.p[0] > '9' || (s.n > 1 && s.p[0] == '0') || !str_to_i64(s, &v) || v > 65535)
        return false;
    *out = (uint16_t)v;
    return true;
}

/* "TCP4 1.2.3.4 5.6.7.8 1024 443", single spaces only. */
static enum proxy_result v1_parse(struct str line, struct ip *ip_out, uint16_t *port_out)
{
    if (str_eq(line, S("UNKNOWN")) || str_starts(line, S("UNKNOWN ")))
        return PROXY_LOCAL;
    struct str part[5], rest = line;
    unsigned count = 0;
    while (rest.p && count < 5)
        if (!str_split(&rest, ' ', &part[count++]))
            return PROXY_BAD;
    if (count != 5 || rest.p)
        return PROXY_BAD;
    bool v6 = str_eq(part[0], S("TCP6"));
    if (!v6 && !str_eq(part[0], S("TCP4")))
        return PROXY_BAD;
    struct ip src, dst;
    uint16_t src_port, dst_port;
    if ((str_find(part[1], ':') >= 0) != v6 || (str_find(part[2], ':') >= 0) != v6)
        return PROXY_BAD;
    if (!ip_parse(part[1], &src) || !ip_parse(part[2], &dst) || !port_parse(part[3], &src_port) || !port_parse(part[4], &dst_port))
        return PROXY_BAD;
    *ip_out = src;
    *port_out = src_port;
    return PROXY_DONE;
}

static enum proxy_result v1_feed(struct proxy *p, const char *data, size_t n, size_t *used, struct ip *ip_out, uint16_t *port_out)
{
    for (size_t i = 0; i < n; i++) {
        char c = data[i];
        if (p->n >= PROXY_V1_MAX || (p->n < sizeof(v1_start) && c != v1_start[p->n]))
            return PROXY_BAD;
        bool after_cr = p->n && p->b[p->n - 1] == '\r';
        if (after_cr != (c == '\n'))
            return PROXY_BAD;
        p->b[p->n++] = c;
        ++*used;
        if (c == '\n')
            return v1_parse(str_n(p->b + sizeof(v1_start), p->n - sizeof(v1_start) - 2), ip_out, port_out);
    }
    return PROXY_MORE;
}

static enum proxy_result v2_parse(const struct proxy *p, struct ip *ip_out, uint16_t *port_out)
{
    const uint8_t *b = (const uint8_t *)p->b, *addr = b + 16;
    size_t len = (size_t)p->want - 16;
    if (b[12] == 0x20) /* LOCAL: health checks of the proxy */
        return PROXY_LOCAL;
    if (b[13] == 0x11 && len >= 12) {
        *ip_out = (struct ip){.family = 4};
        memcpy(ip_out->b, addr, 4);
        *port_out = (uint16_t)(addr[8] << 8 | addr[9]);
        return PROXY_DONE;
    }
    if (b[13] == 0x21 && len >= 36) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        memcpy(&in6.sin6_addr, addr, 16);
        ip_from_sockaddr((const struct sockaddr *)&in6, ip_out, NULL);
        *port_out = (uint16_t)(addr[32] << 8 | addr[33]);
        return PROXY_DONE;
    }
    if (b[13] == 0x11 || b[13] == 0x21)
        return PROXY_BAD;
    return PROXY_LOCAL; /* UNSPEC, datagram and UNIX addresses name no peer of ours */
}

static enum proxy_result v2_feed(struct proxy *p, const char *data, size_t n, size_t *used, struct ip *ip_out, uint16_t *port_out)
{
    for (;;) {
        size_t need = (p->want ? p->want : 16u) - p->n;
        size_t k = n - *used < need ? n - *used : need;
        memcpy(p->b + p->n, data + *used, k);
        p->n = (uint16_t)(p->n + k);
        *used += k;
        for (size_t i = 0; i < p->n && i < sizeof(v2_signature); i++)
            if (p->b[i] != v2_signature[i])
                return PROXY_BAD;
        if (k < need)
            return PROXY_MORE;
        if (p->want)
            return v2_parse(p, ip_out, port_out);
        const uint8_t *b = (const uint8_t *)p->b;
        unsigned len = (unsigned)b[14] << 8 | b[15];
        if ((b[12] != 0x20 && b[12] != 0x21) || len > PROXY_V2_MAX - 16)
            return PROXY_BAD;
        p->want = (uint16_t)(16 + len);
        if (!len)
            return v2_parse(p, ip_out, port_out);
    }
}

enum proxy_result proxy_feed(struct proxy *p, const char *data, size_t n, size_t *used_out, struct ip *ip_out, uint16_t *port_out)
{
    *used_out = 0;
    if (!n)
        return PROXY_MORE;
    char first = p->n ? p->b[0] : data[0];
    if (first == 'P')
        return v1_feed(p, data, n, used_out, ip_out, port_out);
    return v2_feed(p, data, n, used_out, ip_out, port_out);
}
