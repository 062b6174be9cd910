/* IP addresses and networks. Any thread; suspends never. Leaves out zone ids ("fe80::1%eth0"): rules have no use for them. */
#include "net/addr.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void from_v6(const uint8_t *b, struct ip *out)
{
    *out = (struct ip){0};
    if (memcmp(b, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        out->family = 4;
        memcpy(out->b, b + 12, 4);
        return;
    }
    out->family = 6;
    memcpy(out->b, b, 16);
}

const char *ip_print(const struct ip *ip, char out[IP_TEXT_MAX])
{
    out[0] = '\0';
    if (ip->family)
        inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->b, out, IP_TEXT_MAX);
    return out;
}

const char *ip_print_log(const struct ip *ip, bool hide, char out[IP_TEXT_MAX])
{
    return hide && ip->family ? LOG_HIDDEN : ip_print(ip, out);
}

/* Keeps the family as written: "::ffff:10.0.0.0/104" must not become an IPv4 network with 104 bits. */
static bool parse_raw(struct str text, struct ip *out)
{
    char tmp[IP_TEXT_MAX];
    *out = (struct ip){0};
    if (!text.n || text.n >= sizeof(tmp))
        return false;
    memcpy(tmp, text.p, text.n);
    tmp[text.n] = '\0';
    if (strlen(tmp) != text.n)
        return false;
    out->family = strchr(tmp, ':') ? 6 : 4;
    return inet_pton(out->family == 4 ? AF_INET : AF_INET6, tmp, out->b) == 1;
}

bool ip_parse(struct str text, struct ip *out)
{
    struct ip raw;
    if (!parse_raw(text, &raw)) {
        *out = (struct ip){0};
        return false;
    }
    if (raw.family == 6)
        from_v6(raw.b, out);
    else
        *out = raw;
    return true;
}

bool ip_net_parse(struct str text, struct ip_net *out)
{
    *out = (struct ip_net){0};
    struct str addr = text, bits = STR_NULL;
    ptrdiff_t slash = str_find(text, '/');
    if (slash >= 0) {
        addr = str_n(text.p, (size_t)slash);
        bits = str_n(text.p + slash + 1, text.n - (size_t)slash - 1);
    }
    struct ip raw;
    if (!parse_raw(addr, &raw))
        return false;
    int64_t n = raw.family == 4 ? 32 : 128;
    if (bits.p && (bits.n == 0 || bits.p[0] == '+' || !str_to_i64(bits, &n)))
        return false;
    if (n < 0 || n > (raw.family == 4 ? 32 : 128))
        return false;
    if (raw.family == 6)
        from_v6(raw.b, &out->ip);
    else
        out->ip = raw;
    if (raw.family == 6 && out->ip.family == 4) {
        if (n < 96) { /* wider than the mapped range: peers are folded, so only a real IPv6 network is left */
            out->ip = raw;
        } else {
            n -= 96;
        }
    }
    out->bits = (uint8_t)n;
    return true;
}

bool ip_net_has(const struct ip_net *net, const struct ip *ip)
{
    if (net->ip.family != ip->family || !ip->family)
        return false;
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->ip.b, ip->b, whole) != 0)
        return false;
    if (!rest)
        return true;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return (net->ip.b[whole] & mask) == (ip->b[whole] & mask);
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t one[16] = {[15] = 1};
    if (ip->family == 4)
        return ip->b[0] == 127;
    return ip->family == 6 && memcmp(ip->b, one, 16) == 0;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && memcmp(a->b, b->b, a->family == 4 ? 4 : 16) == 0;
}

void ip_from_sockaddr(const struct sockaddr *sa, struct ip *ip_out, uint16_t *port_out)
{
    uint16_t port = 0;
    *ip_out = (struct ip){0};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        ip_out->family = 4;
        memcpy(ip_out->b, &in.sin_addr, 4);
        port = ntohs(in.sin_port);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        from_v6((const uint8_t *)&in6.sin6_addr, ip_out);
        port = ntohs(in6.sin6_port);
    }
    if (port_out)
        *port_out = port;
}
