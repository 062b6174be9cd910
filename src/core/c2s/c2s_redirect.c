/* Where clients are sent; see the header. Reads the configuration and nothing else. The stream's own end is in core/c2s/c2s.c. */
#include "core/c2s/c2s_redirect.h"

#include "core/server.h"

static const char *const names[] = {"see_other_host", "see_other_host_when_draining"};

static bool port_ok(struct str text)
{
    int64_t port;
    return text.n && text.n <= 5 && text.p[0] >= '0' && text.p[0] <= '9' && str_to_i64(text, &port) && port > 0 &&
           port <= UINT16_MAX;
}

/* "[" IPv6 "]" (RFC 6120 §4.9.3.19, RFC 3986 §3.2.2) */
static bool split_ip6(struct str text, struct str *rest_out)
{
    const char *end = memchr(text.p, ']', text.n);
    struct ip ip;
    if (!end || !ip_parse(str_n(text.p + 1, (size_t)(end - text.p) - 1), &ip) || ip.family != 6)
        return false;
    *rest_out = str_n(end + 1, text.n - (size_t)(end + 1 - text.p));
    return true;
}

static bool address_ok(struct arena *a, struct str text)
{
    struct str rest = STR_NULL, host;
    const char *colon = memchr(text.p, ':', text.n);
    struct jid j;
    if (text.p[0] == '[')
        return split_ip6(text, &rest) && (!rest.n || (rest.p[0] == ':' && port_ok(str_n(rest.p + 1, rest.n - 1))));
    host = str_n(text.p, colon ? (size_t)(colon - text.p) : text.n);
    if (colon && !port_ok(str_n(colon + 1, text.n - host.n - 1)))
        return false;
    for (size_t i = 0; i < host.n; i++) /* what needs an escape in XML is in no domain either */
        if (memchr("<>&'\"", host.p[i], 5))
            return false;
    return host.n && jid_parse(a, host, &j) && !j.user_len && !j.res_len;
}

static int check(struct arena *a, const struct vhost *h, const char *name, struct error *err)
{
    struct str v = opt_str(h->options, name);
    if (!v.n || address_ok(a, v))
        return 0;
    return err_set(err, ERR_CONFIG, "host %.*s: option '%s' must be a domain, an IPv4 address or [IPv6 address], with or without "
                                    ":port, got '%.*s'", STR_ARG(h->name), name, STR_ARG(v));
}

int c2s_redirect_check(const struct config *c, struct error *err)
{
    struct arena *a = arena_new();
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->host_count; i++)
        for (size_t k = 0; rc == 0 && k < ARRAY_LEN(names); k++)
            rc = check(a, &c->hosts[i], names[k], err);
    arena_release(&a);
    return rc;
}

struct str c2s_redirect_of(const struct vhost *h)
{
    struct str moved = opt_str(h->options, names[0]);
    return moved.n || !server_draining() ? moved : opt_str(h->options, names[1]);
}

bool c2s_redirects_while_draining(void)
{
    const struct config *c = config_current();
    for (size_t i = 0; i < c->host_count; i++)
        if (opt_str(c->hosts[i].options, names[1]).n)
            return true;
    return false;
}
