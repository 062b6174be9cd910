/*
 * Client streams (RFC 6120): accepting, parsing, moving home after login, ending. One stream is touched by one shard at a
 * time; its stanzas run on the connection's fiber, so that one that waits holds back those behind it. The stream header and
 * features are in c2s_open.c, SASL in c2s_sasl.c, stanzas and binding in c2s_stanza.c.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "core/c2s/c2s_redirect.h"
#include "core/c2s/c2s_stream.h"
#include "core/c2s/mgmt.h"
#include "core/config/access.h"
#include "core/router.h"
#include "rt/shard.h"
#include "xml/writer.h"
#include <stdio.h>
#include <stdlib.h>

#define STALL_MS 60000 /* an unfinished stanza may wait this long for its next bytes */
#define PRE_AUTH_STANZA_MAX 65536
#define PRE_AUTH_ELEMENTS_MAX 64 /* strangers get no tree of thousands of elements */
#define REASON_MAX 512 /* bytes of a reason that others see */

static _Thread_local struct list streams;
static _Thread_local unsigned streams_n;
static _Thread_local bool going_down; /* the whole server, for good or for a restart */

void c2s_shard_start(void)
{
    list_init(&streams);
    going_down = false;
}

const struct vhost *c2s_vhost(const struct c2s *c)
{
    const struct config *cfg = config_current();
    return c->host_known && c->host < cfg->host_count ? &cfg->hosts[c->host] : NULL;
}

/* The listener lives as long as its connections. */
const struct c2s_listen *c2s_listen(const struct c2s *c)
{
    return listener_app(conn_listener(c->conn));
}

void c2s_write(struct c2s *c, struct str bytes)
{
    conn_write(c->conn, bytes);
}

void c2s_info(const struct c2s *c, const char **connection_out, struct ip *ip_out, uint16_t *port_out)
{
    *connection_out = conn_is_tls(c->conn) ? "c2s_tls" : "c2s";
    *ip_out = *conn_ip(c->conn);
    *port_out = conn_port(c->conn);
}

void c2s_send(struct c2s *c, const struct stanza *s)
{
    if (c->state != C2S_BOUND || !c->session)
        return;
    if (c->csi && c2s_csi_keeps(c, s))
        return;
    struct buf *b = conn_out_begin(c->conn);
    size_t at = b->n;
    session_write(c->session, s, b);
    if (c->session->mgmt)
        c2s_mgmt_sent(c, s->kind, s, b, at);
    conn_out_end(c->conn);
}

/* --- ending: the reason becomes the status of the unavailable presence and the last activity, in the reference's words --- */

void c2s_finish(struct c2s *c, const char *why)
{
    c->state = C2S_ENDED;
    timer_stop(&c->timer);
    session_close(&c->session, why);
    conn_close(c->conn);
}

/*
 * Reasons come from administrators and go into the streams of other clients: only what XML allows (XML 1.0 §2.2), and no
 * character cut in two.
 */
static struct str sayable(struct str text, char out[REASON_MAX])
{
    size_t n = 0;
    while (text.n) {
        uint32_t cp;
        unsigned used = utf8_decode(text, &cp);
        bool ok = used && (cp >= 0x20 || cp == '\t' || cp == '\n' || cp == '\r') && cp != 0xFFFE && cp != 0xFFFF;
        size_t w = ok ? used : 1;
        if (n + w > REASON_MAX)
            break;
        memcpy(out + n, ok ? text.p : "?", w);
        n += w;
        text = str_n(text.p + (used ? used : 1), text.n - (used ? used : 1));
    }
    return str_n(out, n);
}

/* inside: of the condition itself, which only see-other-host has. */
static void send_stream_error(struct c2s *c, const char *condition, struct str inside, struct str text)
{
    if (!c->header_sent)
        c2s_send_header(c, STR_NULL, STR_NULL, S("1.0"));
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<stream:error><%s xmlns='urn:ietf:params:xml:ns:xmpp-streams'", condition);
    if (inside.n)
        buf_printf(b, ">%.*s</%s>", STR_ARG(inside), condition);
    else
        buf_add_str(b, S("/>"));
    if (text.n) {
        buf_add_str(b, S("<text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"));
        xml_escape_text(b, text);
        buf_add_str(b, S("</text>"));
    }
    buf_add_str(b, S("</stream:error></stream:stream>"));
    conn_out_end(c->conn);
}

static void note_peer(const struct c2s *c, struct mgmt *m)
{
    if (!m->peer)
        m->peer = MEM_NEW(struct mgmt_peer);
    c2s_info(c, &m->peer->connection, &m->peer->ip, &m->peer->port);
}

/* A session that can be resumed goes on without its stream (XEP-0198 §4). */
static bool lose_session(struct c2s *c)
{
    struct session *s = c->session;
    if (!s || s->closing || !s->mgmt || !s->mgmt->resumable || s->mgmt->full)
        return false;
    c2s_csi_to_mgmt(c, s->mgmt);
    note_peer(c, s->mgmt);
    c->session = NULL;
    mgmt_detach(s);
    return true;
}

void c2s_lost(struct c2s *c, const char *why)
{
    if (!lose_session(c))
        session_close(&c->session, why);
    c->state = C2S_ENDED;
    timer_stop(&c->timer);
}

/* These are no verdict on the session: the client did not send the rest of a stanza, or the server goes down for a while. */
static bool may_come_back(const struct c2s *c, const char *condition)
{
    return c->session && (strcmp(condition, "connection-timeout") == 0 ||
                          (going_down && c->session->mgmt && c->session->mgmt->kept));
}

void c2s_end(struct c2s *c, const char *condition, struct str text)
{
    char clean[REASON_MAX], why[REASON_MAX + 128];
    if (c->state == C2S_ENDED)
        return;
    text = sayable(text, clean);
    snprintf(why, sizeof why, text.n ? "Stream closed by local host: %.*s (%s)" : "Stream closed by local host: %.*s%s",
             STR_ARG(text), condition);
    struct mgmt *m = may_come_back(c, condition) ? c->session->mgmt : NULL;
    /*
     * To many clients (those made of nbxmpp are some) a stream error or an end tag is the end of the session too. They resume
     * after a connection that just ends (XEP-0198 §5).
     */
    if (m && lose_session(c) && going_down)
        mgmt_sleep(m);
    else
        send_stream_error(c, condition, STR_NULL, text);
    c2s_finish(c, why);
}

/*
 * The session is not resumed there, as far as we know: what its client does not have goes the way of every session that ended.
 * The address was checked with the configuration: nothing in it needs an escape.
 */
void c2s_redirect(struct c2s *c, struct str address)
{
    if (c->state == C2S_ENDED)
        return;
    send_stream_error(c, "see-other-host", address, STR_NULL);
    c2s_finish(c, "Stream closed by local host: see-other-host");
}

static void on_client_close(struct c2s *c)
{
    c2s_write(c, S("</stream:stream>"));
    c2s_finish(c, "Stream reset by peer");
}

static void on_xml_error(struct c2s *c)
{
    static const struct { const char *condition, *text; } words[] = {
        [XML_ERR_NONE] = {"internal-server-error", NULL},
        [XML_ERR_NOT_WELL_FORMED] = {"not-well-formed", NULL},
        [XML_ERR_RESTRICTED] = {"restricted-xml", NULL},
        [XML_ERR_BAD_NS_PREFIX] = {"bad-namespace-prefix", NULL},
        [XML_ERR_ENCODING] = {"unsupported-encoding", NULL},
        [XML_ERR_UTF8] = {"not-well-formed", "Invalid UTF-8"},
        [XML_ERR_STANZA_TOO_BIG] = {"policy-violation", "XML stanza is too big"},
        [XML_ERR_LIMIT] = {"policy-violation", "Too deep, too many elements or attributes, or too long a name"},
        [XML_ERR_TEXT] = {"bad-format", "Text between stanzas"},
    };
    enum xml_error e = xml_stream_error(c->xml);
    c2s_end(c, words[e].condition, str_of(words[e].text));
}

/* --- reading --- */

static void on_timer(struct timer *t)
{
    struct c2s *c = CONTAINER_OF(t, struct c2s, timer);
    c2s_end(c, "connection-timeout", c->state == C2S_BOUND ? S("Unfinished stanza") : S("Negotiation took too long"));
}

/* After login the timer watches only streams that stopped in the middle of a stanza. */
static void watch_stall(struct c2s *c)
{
    if (c->state != C2S_BOUND)
        return;
    if (xml_stream_partial(c->xml))
        timer_arm(&c->timer, STALL_MS);
    else if (timer_armed(&c->timer))
        timer_stop(&c->timer);
}

static void on_event(struct c2s *c, enum xml_event ev, struct arena **a, struct xml_el *el) YIELDS;
static void on_event(struct c2s *c, enum xml_event ev, struct arena **a, struct xml_el *el)
{
    switch (ev) {
    case XML_OPEN: c2s_open(c, el); break;
    case XML_STANZA: c2s_element(c, el, a); break;
    case XML_CLOSE: on_client_close(c); break;
    case XML_ERROR: on_xml_error(c); break;
    case XML_MORE: break;
    }
}

static size_t on_bytes(struct conn *conn, const char *data, size_t n) YIELDS;
static size_t on_bytes(struct conn *conn, const char *data, size_t n)
{
    struct c2s *c = conn_owner(conn);
    size_t pos = 0;
    if (c->state == C2S_BOUND && timer_armed(&c->timer))
        timer_stop(&c->timer); /* a stanza that now waits for us is no stall of the client */
    if (c->login && c->login->v2 && c->state == C2S_BIND) {
        pos = 1; /* the byte that was kept back below */
        c2s_sasl2_finish(c);
    }
    while (c->state != C2S_ENDED && !c->moving && !c->leaving && !c->tls_asked) {
        struct arena *a = NULL;
        struct xml_el *el = NULL;
        enum xml_event ev = xml_stream_next(c->xml, data, n, &pos, &a, &el);
        if (ev == XML_MORE)
            break;
        on_event(c, ev, &a, el);
        arena_release(&a);
    }
    /* What follows a proof in SASL2 may suspend, so it needs this stream's fiber at home: a byte left over brings it there. */
    if (c->moving && c->login->v2)
        return pos - 1;
    watch_stall(c);
    return c->state == C2S_ENDED ? n : pos;
}

/* --- life --- */

static void on_closed(struct conn *conn, const char *why)
{
    struct c2s *c = conn_owner(conn);
    char words[128];
    snprintf(words, sizeof words, "Connection failed: %s", why);
    c2s_lost(c, words);
    if (!c->moving) { /* one lost in transit between shards is on nobody's list */
        list_del(&c->link);
        streams_n--;
    }
    c2s_login_delete(&c->login);
    c2s_csi_free(c);
    xml_stream_delete(&c->xml);
    free(c);
}

static void on_overflow(struct conn *conn)
{
    struct c2s *c = conn_owner(conn);
    struct log_ctx ctx = {.jid = c->session ? jid_full(session_jid(c->session)) : STR_NULL};
    LOG_LIMITED(WARNING, "c2s", &ctx, "client does not read, output limit reached: closed");
    c2s_lost(c, "Connection failed: does not read");
    conn_abort(conn, "does not read");
}

static void on_tls(struct conn *conn)
{
    struct c2s *c = conn_owner(conn);
    c->tls_asked = false;
}

static const struct conn_ops ops = {
    .on_bytes = on_bytes, .on_tls = on_tls, .on_closed = on_closed, .on_overflow = on_overflow};

static void set_shaper(struct c2s *c, const struct vhost *h, struct jid who)
{
    uint64_t rate = 0, burst = 0;
    struct access_subject subject = {.jid = who, .ip = *conn_ip(c->conn)};
    shaper_find_node(h, c2s_listen(c)->shaper, &subject, &rate, &burst);
    conn_set_shaper(c->conn, rate, burst);
}

size_t c2s_max_stanza(const struct c2s *c)
{
    size_t max = c2s_listen(c)->max_stanza;
    return !c->login || c->login->authenticated || (max && max < PRE_AUTH_STANZA_MAX) ? max : PRE_AUTH_STANZA_MAX;
}

static struct xml_limits limits_of(const struct c2s *c)
{
    return (struct xml_limits){.max_stanza = c2s_max_stanza(c),
                               .max_elements = c->login->authenticated ? 0 : PRE_AUTH_ELEMENTS_MAX};
}

void c2s_accept(struct conn *conn)
{
    struct c2s *c = MEM_NEW(struct c2s);
    struct c2s_login *l = MEM_NEW(struct c2s_login);
    l->arena = arena_new();
    arena_mark_secret(l->arena);
    c->conn = conn;
    c->login = l;
    struct xml_limits limits = limits_of(c);
    c->xml = xml_stream_new(&limits);
    timer_setup(&c->timer, on_timer);
    timer_arm(&c->timer, (uint64_t)opt_int(config_current()->global, "negotiation_timeout"));
    list_push(&streams, &c->link);
    streams_n++;
    conn_set_owner(conn, &ops, c);
    const struct config *cfg = config_current();
    if (cfg->host_count)
        set_shaper(c, &cfg->hosts[0], JID_NULL);
}

void c2s_start_tls(struct c2s *c)
{
    c->tls_asked = true;
    c->state = C2S_HEADER;
    c->header_sent = false;
    c->login->running = false; /* nothing learnt before TLS counts (RFC 6120 §5.4.3.3) */
    c->login->offered = 0;
    c2s_write(c, S("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    xml_stream_reset(c->xml);
    const struct vhost *h = c2s_vhost(c);
    conn_start_tls(c->conn, c2s_listen(c)->tls_ctx, h ? h->name : STR_NULL);
}

static void on_arrived_home(struct conn *conn)
{
    struct c2s *c = conn_owner(conn);
    c->moving = false;
    list_push(&streams, &c->link);
    streams_n++;
    timer_arm(&c->timer, (uint64_t)opt_int(config_current()->global, "negotiation_timeout"));
    /* A reload may have come between the two shards: hosts are then numbered anew. */
    const struct vhost *h = config_host(config_current(), c->login->host);
    if (h)
        c->host = h->index;
    else
        c2s_end(c, "host-gone", STR_NULL);
}

void c2s_authenticated(struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    struct jid who = jid_join(c->login->arena, c->login->user, h->name, STR_NULL);
    c->login->authenticated = true;
    if (c->login->v2) { /* XEP-0388: no new stream */
        c->state = C2S_BIND;
    } else {
        c->state = C2S_HEADER;
        c->header_sent = false;
        xml_stream_reset(c->xml);
    }
    struct xml_limits limits = limits_of(c);
    xml_stream_set_limits(c->xml, &limits);
    set_shaper(c, h, who);
    /* A stream belongs to the tables of one shard: it leaves these before it travels. */
    c->moving = true;
    timer_stop(&c->timer);
    list_del(&c->link);
    streams_n--;
    conn_move(c->conn, shard_of(jid_home_hash(who)), on_arrived_home);
}

void c2s_bound(struct c2s *c)
{
    c->state = C2S_BOUND;
    timer_stop(&c->timer);
    c2s_login_delete(&c->login);
    conn_forget_peer_cert(c->conn);
}

/* A server that is left for good, or for long, says where to go. */
static void shut_down(struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    struct str other = h ? c2s_redirect_of(h) : STR_NULL;
    if (other.n)
        c2s_redirect(c, other);
    else
        c2s_end(c, "system-shutdown", STR_NULL);
}

unsigned c2s_shutdown_all(void)
{
    going_down = true;
    LIST_EACH_SAFE(it, &streams)
        shut_down(LIST_ENTRY(it, struct c2s, link));
    return streams_n;
}

void c2s_shutdown_unbound(void)
{
    LIST_EACH_SAFE(it, &streams) {
        struct c2s *c = LIST_ENTRY(it, struct c2s, link);
        bool told_later = !c->host_known && c2s_redirects_while_draining(); /* by the answer to its header */
        if (c->state != C2S_BOUND && !told_later)
            shut_down(c);
    }
}

void c2s_config_coming(const struct config *now)
{
    LIST_EACH_SAFE(it, &streams) {
        struct c2s *c = LIST_ENTRY(it, struct c2s, link);
        const struct vhost *h = c2s_vhost(c);
        if (h && !config_host(now, h->name))
            c2s_end(c, "host-gone", STR_NULL);
    }
}

void c2s_config_changed(const struct config *was, const struct config *now)
{
    LIST_EACH(it, &streams) {
        struct c2s *c = LIST_ENTRY(it, struct c2s, link);
        if (!c->host_known || c->host >= was->host_count)
            continue;
        const struct vhost *h = config_host(now, was->hosts[c->host].name);
        c->host_known = h != NULL;
        c->host = h ? h->index : 0;
    }
    LIST_EACH_SAFE(it, &streams) {
        struct c2s *c = LIST_ENTRY(it, struct c2s, link);
        const struct vhost *h = c2s_vhost(c);
        if (h && c2s_redirect_of(h).n)
            c2s_redirect(c, c2s_redirect_of(h));
    }
}
