/*
 * Stream headers and features (RFC 6120 §4.7, §4.3): who is being talked to, what may be negotiated now. Suspends: c2s_open,
 * which may look up the account that the client names.
 */
#include "base/clock.h"
#include "base/rand.h"
#include "core/c2s/c2s_redirect.h"
#include "core/c2s/c2s_stream.h"
#include "core/config/access.h"
#include "core/server.h"
#include "xml/writer.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void add_attr(struct buf *b, const char *name, struct str value)
{
    if (!value.n)
        return;
    buf_printf(b, " %s='", name);
    xml_escape_attr(b, value);
    buf_add_c(b, '\'');
}

/* The id must not be guessable (RFC 6120 §4.7.3). The language is the server's: what the client's own is, is stamped on stanzas. */
void c2s_send_header(struct c2s *c, struct str from, struct str to, struct str version)
{
    char id[21];
    rand_token(id, 20);
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<?xml version='1.0'?><stream:stream id='%s'", id);
    add_attr(b, "version", version);
    buf_add_str(b, S(" xml:lang='en' xmlns:stream='http://etherx.jabber.org/streams'"));
    add_attr(b, "to", to);
    add_attr(b, "from", from);
    buf_add_str(b, S(" xmlns='jabber:client'>"));
    conn_out_end(c->conn);
    c->header_sent = true;
}

/* --- features --- */

static bool must_encrypt(const struct c2s *c)
{
    return c2s_listen(c)->starttls_required && !conn_is_tls(c->conn);
}

static void add_mechanisms(struct c2s *c, struct buf *b)
{
    unsigned set = c2s_mechanisms(c);
    c->login->offered = set;
    buf_add_str(b, S("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"));
    for (enum sasl_mech m = 0; m < SASL_MECH__COUNT; m++)
        if (set & SASL_MECH_BIT(m))
            buf_printf(b, "<mechanism>%.*s</mechanism>", STR_ARG(sasl_mech_info(m)->name));
    buf_add_str(b, S("</mechanisms>"));
}

/* XEP-0440: which bindings a -PLUS mechanism may name on this connection. */
static void add_channel_bindings(struct c2s *c, struct buf *b)
{
    struct str types[C2S_BINDINGS];
    size_t n = c2s_channel_bindings(c, types);
    buf_add_str(b, S("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"));
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "<channel-binding type='%.*s'/>", STR_ARG(types[i]));
    buf_add_str(b, S("</sasl-channel-binding>"));
}

/* XEP-0077 §8: worth showing to those who may have an account of this host from where they are. */
static bool may_register(const struct c2s *c)
{
    const struct options *o = config_module(c2s_vhost(c), S("mod_register"));
    struct access_subject who = {.ip = *conn_ip(c->conn)};
    return o && !opt_bool(o, "captcha_protected") && access_allowed(c2s_vhost(c), opt_node(o, "ip_access"), &who);
}

static void features_before_auth(struct c2s *c, struct buf *b)
{
    if (!must_encrypt(c)) {
        add_mechanisms(c, b);
        if (conn_is_tls(c->conn))
            add_channel_bindings(c, b);
        c2s_sasl2_features(c, b);
    }
    if (c2s_listen(c)->starttls && !conn_is_tls(c->conn))
        buf_add_str(b, must_encrypt(c) ? S("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>")
                                       : S("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
    if (!must_encrypt(c) && may_register(c))
        buf_add_str(b, S("<register xmlns='http://jabber.org/features/iq-register'/>"));
}

/* RFC 6121 §2.6.1, §3.4.1. */
void c2s_roster_features(const struct c2s *c, struct buf *b)
{
    const struct options *roster = config_module(c2s_vhost(c), S("mod_roster"));
    if (roster && opt_bool(roster, "versioning"))
        buf_add_str(b, S("<ver xmlns='urn:xmpp:features:rosterver'/>"));
    if (roster)
        buf_add_str(b, S("<sub xmlns='urn:xmpp:features:pre-approval'/>"));
}

/*
 * Who is not logged in has a time for it (negotiation_timeout), what is left of it is said; a session may be silent for as long
 * as it likes.
 */
void c2s_limits_feature(const struct c2s *c, struct buf *b)
{
    buf_printf(b, "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>%zu</max-bytes>", c2s_max_stanza(c));
    if (c->login && !c->login->authenticated && timer_armed(&c->timer)) {
        uint64_t now = clock_mono_ms(), left_s = c->timer.due_ms > now ? (c->timer.due_ms - now) / 1000 : 0;
        if (left_s <= UINT32_MAX) /* the schema's type */
            buf_printf(b, "<idle-seconds>%" PRIu64 "</idle-seconds>", left_s ? left_s : 1);
    }
    buf_add_str(b, S("</limits>"));
}

void c2s_send_features(struct c2s *c)
{
    struct buf *b = conn_out_begin(c->conn);
    buf_add_str(b, S("<stream:features>"));
    if (c->login->authenticated) {
        buf_add_str(b, S("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                         "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>"));
        hook_run_stream_features(c->host, &(struct features_event){.host = c->host, .out = b});
        c2s_mgmt_features(c, b);
        c2s_csi_features(c, b);
        c2s_roster_features(c, b);
    } else {
        features_before_auth(c, b);
    }
    c2s_limits_feature(c, b);
    buf_add_str(b, S("</stream:features>"));
    conn_out_end(c->conn);
}

/* --- header --- */

/* Answers with a header of our own and the error (RFC 6120 §4.9.1.2). */
static void refuse(struct c2s *c, struct str from, const char *condition, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void refuse(struct c2s *c, struct str from, const char *condition, const char *fmt, ...)
{
    char text[600] = "";
    if (fmt) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
    }
    c2s_send_header(c, from, STR_NULL, S("1.0"));
    c2s_end(c, condition, str_of(text));
}

static bool check_root(struct c2s *c, const struct xml_el *h, struct str to)
{
    if (h->ns != TOK_NS_STREAM || xml_stream_content_ns(c->xml) != TOK_NS_CLIENT)
        refuse(c, to, "invalid-namespace", NULL);
    else if (h->tok != TOK_stream)
        refuse(c, to, "bad-format", "Unknown tag <%.*s/> qualified by namespace '%.*s'", (int)(h->name.n > 200 ? 200 : h->name.n),
               h->name.p, (int)(h->ns_uri.n > 200 ? 200 : h->ns_uri.n), h->ns_uri.p);
    else
        return true;
    return false;
}

/*
 * The lower of the client's version and ours goes back; a client without one, or below 1.0, knows no features
 * (RFC 6120 §4.7.5).
 */
static bool settle_version(struct c2s *c, struct str theirs, struct str to, struct str *ours_out)
{
    struct str rest = theirs, major = STR_NULL;
    int64_t n = 0, minor = 0;
    bool good = !theirs.n || (theirs.n < 16 && str_split(&rest, '.', &major) && str_to_i64(major, &n) && n >= 0 &&
                              str_to_i64(rest, &minor) && minor >= 0);
    *ours_out = n == 0 ? theirs : S("1.0");
    if (!good)
        refuse(c, STR_NULL, "bad-format", "Bad value of attribute 'version'");
    else if (n > 1)
        refuse(c, to, "unsupported-version", NULL);
    else
        return true;
    return false;
}

static const struct vhost *find_host(struct c2s *c, struct arena *a, struct str to)
{
    struct jid j;
    if (!to.p)
        refuse(c, STR_NULL, "improper-addressing", "Missing 'to' attribute");
    else if (!jid_parse(a, to, &j))
        refuse(c, STR_NULL, "improper-addressing", "Malformed 'to' attribute");
    else if (j.user_len || j.res_len)
        refuse(c, to, "improper-addressing", "Improper 'to' attribute");
    else {
        const struct vhost *h = config_host(config_current(), jid_host(j));
        if (h)
            return h;
        refuse(c, jid_host(j), "host-unknown", NULL);
    }
    return NULL;
}

/* Where the header's `from` is an address it comes back as our `to` (RFC 6120 §4.7.2); a malformed one is refused. */
static bool read_from(struct c2s *c, struct arena *a, const struct xml_el *h, struct str *out)
{
    struct str from = xml_attr_get(h, TOK_from);
    struct jid j;
    *out = STR_NULL;
    if (!from.p)
        return true;
    if (!jid_parse(a, from, &j)) {
        refuse(c, STR_NULL, "invalid-from", "Malformed 'from' attribute");
        return false;
    }
    *out = jid_bare(j);
    return true;
}

static void read_lang(struct c2s *c, const struct xml_el *h)
{
    struct str lang = xml_attr_get_ns(h, TOK_NS_XML, TOK_lang);
    c->lang[0] = 0;
    if (lang.n && lang.n < sizeof c->lang && !str_ieq_ascii(lang, S("en")))
        snprintf(c->lang, sizeof c->lang, "%.*s", STR_ARG(lang));
}

void c2s_open(struct c2s *c, const struct xml_el *h)
{
    struct arena *a = c->login ? c->login->arena : NULL;
    if (c->state != C2S_HEADER || !a) {
        c2s_end(c, "not-well-formed", STR_NULL);
        return;
    }
    struct str to = xml_attr_get(h, TOK_to), version, from;
    if (!check_root(c, h, to) || !read_from(c, a, h, &from))
        return;
    const struct vhost *v = find_host(c, a, to);
    if (!v || !settle_version(c, xml_attr_get(h, TOK_version), v->name, &version))
        return;
    if (c->host_known && c->login->authenticated && c->host != v->index) {
        refuse(c, v->name, "host-unknown", "The stream was authenticated for another host");
        return;
    }
    if (c2s_redirect_of(v).n) { /* RFC 6120 §4.9.3.19: may be the first answer */
        c2s_send_header(c, v->name, from, version);
        c2s_redirect(c, c2s_redirect_of(v));
        return;
    }
    if (server_draining()) {
        refuse(c, v->name, "system-shutdown", NULL);
        return;
    }
    c->host = v->index;
    c->host_known = true;
    c->login->host = arena_str(a, v->name);
    c->login->from = arena_str(a, from);
    read_lang(c, h);
    c2s_send_header(c, v->name, from, version);
    c->state = c->login->authenticated ? C2S_BIND : C2S_AUTH;
    if (!str_eq(version, S("1.0")))
        return;
    c2s_upgrade_learn(c);
    if (c->state != C2S_ENDED)
        c2s_send_features(c);
}
