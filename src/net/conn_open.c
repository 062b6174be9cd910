/*
 * What comes before a connection's own bytes: the PROXY header and the TLS handshake. On the shard's loop; suspends never.
 */
#include "base/mem.h"
#include "net/conn_internal.h"
#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct conn_extra *conn_extra(struct conn *c)
{
    if (!c->extra)
        c->extra = MEM_NEW(struct conn_extra);
    return c->extra;
}

void conn_extra_free(struct conn *c)
{
    if (!c->extra)
        return;
    free(c->extra->proxy);
    free(c->extra->tls_host);
    free(c->extra);
    c->extra = NULL;
}

static unsigned handshake_ms(const struct conn *c)
{
    unsigned ms = c->listener ? listener_config(c->listener)->handshake_timeout_ms : 0;
    return ms ? ms : CONN_HANDSHAKE_MS;
}

static void opened(struct conn *c)
{
    c->state = CONN_OPEN;
    conn_timer_clear(c, TIMER_HANDSHAKE);
    conn_extra_free(c);
}

static void handshake_step(struct conn *c)
{
    const char *why = "TLS handshake failed";
    enum tls_io r = tls_conn_handshake(c->tls, c->fd, &why);
    c->want_write = r == TLS_WANT_WRITE;
    if (r == TLS_WANT_READ || r == TLS_WANT_WRITE)
        return;
    if (r == TLS_EOF) {
        conn_kill(c, "peer closed during the TLS handshake");
        return;
    }
    if (r == TLS_FAIL) {
        conn_fail_gently(c, why);
        return;
    }
    opened(c);
    if (c->ops && c->ops->on_tls)
        c->ops->on_tls(c);
    if (c->state != CONN_OPEN)
        return;
    /* Application bytes may have come with the client's Finished. */
    c->read_due = true;
    conn_schedule(c);
}

void conn_begin_tls(struct conn *c)
{
    const struct listener_config *cfg = c->listener ? listener_config(c->listener) : NULL;
    struct tls_ctx *ctx = cfg ? cfg->tls_ctx : NULL;
    struct str host = cfg ? str_of(cfg->default_host) : STR_NULL;
    if (c->extra && c->extra->tls_ctx) {
        ctx = c->extra->tls_ctx;
        host = str_of(c->extra->tls_host);
    }
    c->tls_wanted = false;
    if (!ctx) {
        conn_kill(c, "TLS is not configured");
        return;
    }
    c->state = CONN_HANDSHAKE;
    c->tls = tls_conn_new(ctx, host, cfg ? cfg->alpn : NULL);
    conn_timer_set(c, TIMER_HANDSHAKE, handshake_ms(c));
}

static void proxied(struct conn *c, const struct ip *ip, uint16_t port)
{
    free(c->extra->proxy);
    c->extra->proxy = NULL;
    if (ip) {
        c->ip = *ip;
        c->port = port;
    }
    if (c->listener && !(c->counted_ip = listener_enter_ip(c->listener, &c->ip))) {
        conn_kill(c, "too many connections from this address");
        return;
    }
    if (listener_config(c->listener)->tls) {
        conn_begin_tls(c);
    } else {
        opened(c);
        conn_schedule(c);
    }
}

/*
 * Peeks and then takes exactly what belongs to the header, because the bytes behind it may be TLS. An incomplete header
 * is taken as well: the level-triggered poll would otherwise spin on it.
 */
static void proxy_step(struct conn *c)
{
    char tmp[512];
    ssize_t n;
    size_t used;
    struct ip ip = {0};
    uint16_t port = 0;
    do {
        n = recv(c->fd, tmp, sizeof(tmp), MSG_PEEK);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n <= 0) {
        conn_kill(c, n == 0 ? "peer closed" : "connection reset");
        return;
    }
    enum proxy_result r = proxy_feed(c->extra->proxy, tmp, (size_t)n, &used, &ip, &port);
    if (used && recv(c->fd, tmp, used, 0) != (ssize_t)used)
        r = PROXY_BAD;
    if (r == PROXY_BAD)
        conn_kill(c, "malformed PROXY header");
    else if (r != PROXY_MORE)
        proxied(c, r == PROXY_DONE ? &ip : NULL, port);
}

void conn_open_step(struct conn *c)
{
    if (c->state == CONN_PROXY)
        proxy_step(c);
    if (c->state == CONN_HANDSHAKE)
        handshake_step(c);
    conn_update_events(c);
}

void conn_begin(struct conn *c)
{
    const struct listener_config *cfg = c->listener ? listener_config(c->listener) : NULL;
    if (c->state == CONN_DEAD)
        return;
    if (cfg && cfg->use_proxy_protocol) {
        c->state = CONN_PROXY;
        conn_extra(c)->proxy = MEM_NEW(struct proxy);
        conn_timer_set(c, TIMER_HANDSHAKE, handshake_ms(c));
    } else if (cfg && cfg->tls) {
        conn_begin_tls(c);
    } else {
        c->state = CONN_OPEN;
        if (c->out_head)
            conn_schedule(c);
    }
    conn_update_events(c);
}
