/*
 * Elements and stanzas of a client: what is allowed in which state, resource binding (RFC 6120 §7), checks and stamps
 * before a stanza goes to the router (RFC 6120 §8.1). Stanzas may suspend while a handler of this shard waits.
 */
#include "base/log.h"
#include "base/rand.h"
#include "core/account/presence.h"
#include "core/account/roster.h"
#include "core/account/subscribe.h"
#include "core/account/stranger.h"
#include "core/auth/auth.h"
#include "core/auth/ban.h"
#include "core/c2s/c2s_stream.h"
#include "core/c2s/mgmt.h"
#include "core/config/access.h"
#include "core/router.h"
#include "core/server.h"
#include "xml/writer.h"
#include <stdlib.h>

/* --- malformed stanzas: told apart from what is routed, because their addresses may be unusable --- */

static void answer_malformed(struct c2s *c, struct stanza *s, struct str text)
{
    s->from = c->session ? session_jid(c->session) : JID_NULL;
    s->to = JID_NULL;
    struct stanza *e = stanza_error_words(s, S("modify"), S("bad-request"), text);
    if (!e)
        return;
    struct buf *b = conn_out_begin(c->conn);
    size_t at = b->n;
    xml_write_addressed(b, e->el, TOK_NS_CLIENT, xml_attr_get(s->el, TOK_to), jid_full(s->from));
    if (c->session && c->session->mgmt)
        c2s_mgmt_sent(c, e->kind, NULL, b, at);
    conn_out_end(c->conn);
    stanza_end(&e);
}

/* --- addresses --- */

/* RFC 6120 §8.1.2.1: absent, the bare or the full address of the session. */
static bool from_is_own(const struct session *x, struct stanza *s)
{
    struct str from = xml_attr_get(s->el, TOK_from);
    struct jid j, own = session_jid(x);
    if (!from.p || str_eq(from, jid_full(own)))
        return true;
    return jid_parse(s->arena, from, &j) && (jid_eq(j, own) || jid_eq(j, jid_to_bare(own)));
}

/* Messages without `to` are for the own account (RFC 6120 §10.3.1), IQs too (§10.3.3). */
static bool read_to(struct stanza *s)
{
    struct str to = xml_attr_get(s->el, TOK_to);
    if (to.p)
        return jid_parse(s->arena, to, &s->to);
    s->to = s->kind == STANZA_PRESENCE ? JID_NULL : jid_to_bare(s->from);
    return true;
}

/* The receiver's stream declares the server's language: only another one needs saying (RFC 6120 §8.1.5). */
static void stamp_lang(struct c2s *c, struct stanza *s)
{
    if (c->lang[0] && !xml_attr_get_ns(s->el, TOK_NS_XML, TOK_lang).p)
        xml_attr_set_ns(s->arena, s->el, TOK_NS_XML, TOK_lang, arena_str(s->arena, str_of(c->lang)));
}

/* --- bound streams --- */

/* RFC 3921 §3: clients of old ask for a session; it is there already. */
static bool is_session_request(const struct stanza *s)
{
    return s->kind == STANZA_IQ && s->type == ST_SET && xml_child(s->el, TOK_session, TOK_NS_SESSION) &&
           (!jid_present(s->to) || jid_is_bare(s->to));
}

static void answer_session(struct session *x, struct stanza **sp)
{
    struct stanza *s = *sp;
    s->to = jid_join(s->arena, STR_NULL, jid_host(session_jid(x)), STR_NULL);
    struct stanza *r = stanza_result(s);
    stanza_end(sp);
    session_send(x, r);
    stanza_end(&r);
}

/* After a suspension: an injected stanza keeps neither its session nor its stream. */
static struct session *session_at(struct jid own)
{
    struct account *a = account_find(jid_user(own), jid_host(own));
    struct session *x = a ? session_find(a, jid_res(own)) : NULL;
    return x && !x->closing ? x : NULL;
}

/* c NULL: nobody's own fiber. The session, or NULL: the stanza goes no further. */
static struct session *pass_hooks(struct c2s *c, struct session *x, struct jid own, struct stanza **sp) YIELDS;
static struct session *pass_hooks(struct c2s *c, struct session *x, struct jid own, struct stanza **sp)
{
    struct stanza_event ev = {.account = x->account, .session = x, .stanza = *sp};
    enum hook_verdict v = hook_run_stanza_sent(x->account->host, &ev);
    x = c ? c->session : session_at(own);
    if (v == HOOK_PASS && x)
        return x;
    if (v == HOOK_REJECT)
        router_bounce(sp, ev.reject, ev.reject_text);
    else
        stanza_end(sp);
    return NULL;
}

/* The roster says who gets it: it has to be there, now and when the session ends. */
static void own_presence(struct session *x, struct stanza **sp) YIELDS;
static void own_presence(struct session *x, struct stanza **sp)
{
    struct stanza *s = *sp;
    if (account_roster_load(x->account) != STORE_OK) {
        router_bounce(sp, ERR_UNAVAILABLE, "Database failure");
        return;
    }
    x = session_at(s->from);
    bool first = x && s->type == ST_AVAILABLE && !session_available(x);
    if (x)
        session_presence(x, s);
    if (first && !x->closing)
        presence_waiting_requests(x->account, jid_res(s->from));
    stanza_end(sp);
}

static void directed_presence(struct session *x, struct stanza **sp) YIELDS;
static void directed_presence(struct session *x, struct stanza **sp)
{
    struct stanza *s = *sp;
    if (stanza_is_subscription(s) && subscribe_has_rules(x->account))
        subscribe_send(x->account, sp);
    else if (presence_directed(x, s))
        router_route_waiting(sp);
    else
        router_bounce(sp, ERR_NOT_ALLOWED, "Directed presence was sent to too many");
}

static void go_on(struct c2s *c, struct session *x, struct jid own, struct stanza **sp) YIELDS;
static void go_on(struct c2s *c, struct session *x, struct jid own, struct stanza **sp)
{
    struct stanza *s = *sp;
    if (is_session_request(s))
        answer_session(x, sp);
    else if (!(x = pass_hooks(c, x, own, sp)))
        return;
    else if (s->kind != STANZA_PRESENCE)
        router_route_waiting(sp);
    else if (jid_present(s->to))
        directed_presence(x, sp);
    else if (s->type == ST_AVAILABLE || s->type == ST_UNAVAILABLE)
        own_presence(x, sp);
    else
        stanza_end(sp);
}

/* The account stays until the stanza is gone, whatever becomes of the session. */
static void route(struct c2s *c, struct session *x, struct jid own, struct stanza **sp) YIELDS;
static void route(struct c2s *c, struct session *x, struct jid own, struct stanza **sp)
{
    struct account *a = x->account;
    account_pin_again(a);
    go_on(c, x, own, sp);
    account_unpin(a);
}

/* The full address of the session, in the stanza's arena: the stanza may outlive it. */
static struct jid stamp_from(const struct session *x, struct stanza *s)
{
    struct jid own = jid_copy(s->arena, session_jid(x));
    s->from = stanza_is_subscription(s) ? jid_to_bare(own) : own; /* RFC 6121 §3.1.2: it is the account that asks */
    return own;
}

void c2s_stanza(struct c2s *c, struct stanza **sp)
{
    struct stanza *s = *sp;
    struct str why = stanza_flaw(s);
    if (why.n) {
        answer_malformed(c, s, why);
        stanza_end(sp);
        return;
    }
    if (!from_is_own(c->session, s)) {
        stanza_end(sp);
        c2s_end(c, "invalid-from", S("Improper 'from' attribute"));
        return;
    }
    struct jid own = stamp_from(c->session, s);
    if (!read_to(s)) {
        answer_malformed(c, s, stanza_bad_attr(s, "to"));
        stanza_end(sp);
        return;
    }
    stamp_lang(c, s);
    route(c, c->session, own, sp);
}

int c2s_inject(struct session *x, struct stanza **sp, struct error *err)
{
    struct stanza *s = *sp;
    struct str why = stanza_flaw(s);
    if (!why.n && !from_is_own(x, s))
        why = stanza_bad_attr(s, "from");
    struct jid own = stamp_from(x, s);
    if (!why.n && !read_to(s))
        why = stanza_bad_attr(s, "to");
    if (why.n)
        err_set(err, ERR_BAD_REQUEST, "%.*s", STR_ARG(why));
    if (why.n)
        stanza_end(sp);
    else
        route(NULL, x, own, sp);
    return why.n ? -1 : 0;
}

/* --- binding --- */

static void bind_error(struct c2s *c, struct stanza *s, const char *type, const char *condition, struct str text)
{
    struct stanza *e = stanza_error_words(s, str_of(type), str_of(condition), text);
    if (!e)
        return;
    xml_write_addressed(conn_out_begin(c->conn), e->el, TOK_NS_CLIENT, STR_NULL, STR_NULL);
    conn_out_end(c->conn);
    stanza_end(&e);
}

static struct str random_resource(struct arena *a)
{
    char word[21];
    rand_token(word, 20);
    return arena_str(a, str_of(word));
}

/* false: answered with an error. An empty or missing resource is for the server to choose (RFC 6120 §7.6). */
static bool wanted_resource(struct c2s *c, struct stanza *s, struct str *out)
{
    struct xml_el *bind = xml_child(s->el, TOK_bind, TOK_NS_BIND);
    struct xml_el *res = xml_child(bind, TOK_resource, TOK_NS_BIND);
    struct str text = res ? xml_text_of(s->arena, res) : STR_NULL;
    if (!text.n) {
        *out = random_resource(s->arena);
        return true;
    }
    if (jid_resourceprep(s->arena, text, out) && out->n && out->n <= JID_PART_MAX)
        return true;
    bind_error(c, s, "modify", "bad-request",
               S("Bad value of cdata in tag <resource/> qualified by namespace 'urn:ietf:params:xml:ns:xmpp-bind'"));
    return false;
}

static void replace(struct session *old)
{
    if (old->owner)
        c2s_end(old->owner, "conflict", S("Replaced by new connection"));
    else
        session_close(&old, "Replaced by new connection");
}

/* Option resource_conflict: what happens when the resource is in use (RFC 6120 §7.7.2.2). */
static bool settle_conflict(struct c2s *c, struct stanza *s, struct str *res)
{
    const struct vhost *h = c2s_vhost(c);
    struct account *a = account_find(c->login->user, h->name);
    struct session *old = a ? session_find(a, *res) : NULL;
    if (!old)
        return true;
    struct str how = opt_str(h->options, "resource_conflict");
    if (str_eq(how, S("setresource")))
        *res = random_resource(s->arena);
    else if (str_eq(how, S("closenew"))) {
        bind_error(c, s, "modify", "conflict", STR_NULL);
        return false;
    } else {
        replace(old);
    }
    return true;
}

/* Shaper rule max_user_sessions: the oldest session makes room. */
static void settle_session_count(struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    struct access_subject who = {.jid = jid_join(c->login->arena, c->login->user, h->name, STR_NULL), .ip = *conn_ip(c->conn)};
    struct str limit = shaper_rule_match(h, S("max_user_sessions"), &who);
    int64_t max;
    if (!str_to_i64(limit, &max) || max < 1)
        return;
    struct account *a = account_find(c->login->user, h->name);
    int64_t n = 0;
    if (a)
        LIST_EACH(it, &a->sessions)
            n++;
    for (; n >= max && (a = account_find(c->login->user, h->name)); n--)
        replace(LIST_ENTRY(a->sessions.next, struct session, link));
}

static bool may_enter(struct c2s *c, struct stanza *s)
{
    const struct vhost *h = c2s_vhost(c);
    struct access_subject who = {.jid = jid_join(s->arena, c->login->user, h->name, STR_NULL), .ip = *conn_ip(c->conn)};
    if (access_allowed(h, c2s_listen(c)->access, &who))
        return true;
    LOG_LIMITED(NOTICE, "c2s", NULL, "access to %.*s denied by the listener's rule", STR_ARG(jid_bare(who.jid)));
    bind_error(c, s, "auth", "forbidden", S("Access denied by service policy"));
    return false;
}

bool c2s_bind_resource(struct c2s *c, struct str resource, struct jid *full_out)
{
    const struct vhost *h = c2s_vhost(c);
    *full_out = jid_join(c->login->arena, c->login->user, h->name, resource);
    struct access_subject who = {.jid = *full_out, .ip = *conn_ip(c->conn)};
    if (!access_allowed(h, c2s_listen(c)->access, &who))
        return false;
    struct account *a = account_find(c->login->user, h->name);
    struct session *old = a ? session_find(a, resource) : NULL;
    if (old)
        replace(old);
    settle_session_count(c);
    c->session = session_open(c->host, *full_out, c);
    return true;
}

bool c2s_note_stranger(struct c2s *c, struct account **out)
{
    *out = NULL;
    if (!c->login->stranger)
        return true;
    *out = stranger_begin(c->host, jid_join(c->login->arena, c->login->user, c2s_vhost(c)->name, STR_NULL));
    if (*out && c->state == C2S_BIND)
        return true;
    if (*out)
        stranger_settle(*out);
    else
        c2s_end(c, "internal-server-error", STR_NULL);
    return false;
}

/*
 * Between login and binding a client may take its time, and who removes or bans an account ends sessions: this stream had none yet.
 * It gets what they got.
 */
bool c2s_still_welcome(struct c2s *c)
{
    struct str host = c->login->host, user = c->login->user;
    struct ban b;
    bool banned = false, there = true;
    struct error err = ERROR_INIT;
    if (c->login->stranger)
        return true;
    if (ban_get(c->login->arena, host, user, &b, &banned, &err) != 0 ||
        (auth_stores_all(host) && auth_exists(host, user, &there, &err) != 0))
        c2s_end(c, "internal-server-error", STR_NULL);
    else if (banned)
        c2s_end(c, "conflict", b.reason);
    else if (!there)
        c2s_end(c, "conflict", S("User removed"));
    return c->state == C2S_BIND;
}

static void bind_known(struct c2s *c, struct stanza *s) YIELDS;
static void on_bind(struct c2s *c, struct stanza *s) YIELDS;
static void on_bind(struct c2s *c, struct stanza *s)
{
    struct account *stranger;
    if (!c2s_still_welcome(c) || !c2s_note_stranger(c, &stranger))
        return;
    bind_known(c, s);
    if (stranger)
        stranger_settle(stranger);
}

static void bind_known(struct c2s *c, struct stanza *s)
{
    struct str res;
    if (!wanted_resource(c, s, &res) || !may_enter(c, s) || !settle_conflict(c, s, &res))
        return;
    settle_session_count(c);
    struct jid full = jid_join(s->arena, c->login->user, c2s_vhost(c)->name, res);
    c->session = session_open(c->host, full, c);
    c2s_bound(c);
    struct stanza *r = stanza_new(STANZA_IQ, ST_RESULT, JID_NULL, JID_NULL);
    xml_attr_set(r->arena, r->el, TOK_id, s->id);
    xml_add_leaf(r->arena, xml_add(r->arena, r->el, TOK_bind, TOK_NS_BIND), TOK_jid, jid_full(full));
    xml_write(conn_out_begin(c->conn), r->el, TOK_NS_CLIENT);
    conn_out_end(c->conn);
    stanza_end(&r);
    session_opened(c->session);
}

/* Registration (XEP-0077) is what may come before a login; anything else ends the stream. */
static void before_login(struct c2s *c, struct stanza *s) YIELDS;
static void before_login(struct c2s *c, struct stanza *s)
{
    struct early_event ev = {.host = c->host, .ip = *conn_ip(c->conn), .stanza = s};
    enum hook_verdict v = HOOK_PASS;
    if (c->state == C2S_AUTH && (!c2s_listen(c)->starttls_required || conn_is_tls(c->conn)))
        v = hook_run_early_stanza(c->host, &ev);
    if (v == HOOK_PASS) {
        c2s_end(c, "not-authorized", STR_NULL);
    } else if (ev.answer && c->state == C2S_AUTH) {
        xml_write_addressed(conn_out_begin(c->conn), ev.answer->el, TOK_NS_CLIENT, c2s_vhost(c)->name, STR_NULL);
        conn_out_end(c->conn);
    }
    if (ev.answer)
        stanza_end(&ev.answer);
}

/* Before a resource is bound only the bind request may come (RFC 6120 §7.1). */
static void before_bound(struct c2s *c, struct stanza **sp) YIELDS;
static void before_bound(struct c2s *c, struct stanza **sp)
{
    struct stanza *s = *sp;
    if (c->state != C2S_BIND)
        before_login(c, s);
    else if (s->kind == STANZA_IQ && s->type == ST_SET && s->id.p && xml_child(s->el, TOK_bind, TOK_NS_BIND))
        on_bind(c, s);
    else
        c2s_end(c, "not-authorized", S("No resource is bound"));
    stanza_end(sp);
}

/* --- elements --- */

static void on_starttls(struct c2s *c, const struct xml_el *el)
{
    const struct c2s_listen *l = c2s_listen(c);
    if (el->tok == TOK_starttls && c->state == C2S_AUTH && !conn_is_tls(c->conn) && l->starttls && l->tls_ctx)
        c2s_start_tls(c);
    else { /* RFC 6120 §5.4.2.2: failure, then the stream ends */
        c2s_write(c, S("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"));
        c->state = C2S_ENDED;
        session_close(&c->session, "TLS failure");
        conn_close(c->conn);
    }
}

static void negotiate(struct c2s *c, struct xml_el *el, struct arena *a) YIELDS;
static void negotiate(struct c2s *c, struct xml_el *el, struct arena *a)
{
    if (el->ns == TOK_NS_SASL || str_eq(el->ns_uri, S("urn:xmpp:sasl:2"))) {
        arena_mark_secret(a);
        c2s_sasl(c, el);
    } else if (el->ns == TOK_NS_TLS) {
        on_starttls(c, el);
    } else if (el->ns == TOK_NS_SM || el->ns == TOK_NS_SM2) {
        c2s_mgmt(c, el);
    } else if (el->ns == TOK_NS_CSI) {
        c2s_csi(c, el);
    } /* COMPAT(ejabberd): elements without meaning here are passed over */
}

static void bound_stanza(struct c2s *c, struct stanza **s) YIELDS;
static void bound_stanza(struct c2s *c, struct stanza **s)
{
    if (c->session->mgmt)
        mgmt_received(c->session->mgmt, *s);
    c->working = true;
    c2s_stanza(c, s);
    c->working = false;
}

/* XEP-0388 §2.4: between <authenticate/> and the outcome nothing else may come. The older profile's words get a failure. */
static bool disturbs_sasl2(const struct c2s *c, const struct xml_el *el)
{
    return c->state == C2S_AUTH && c->login && c->login->v2 && el->ns != TOK_NS_SASL && !str_eq(el->ns_uri, S("urn:xmpp:sasl:2"));
}

void c2s_element(struct c2s *c, struct xml_el *el, struct arena **a)
{
    if (disturbs_sasl2(c, el)) {
        c2s_end(c, "policy-violation", S("Only the exchange may go on during authentication"));
        return;
    }
    if (el->ns != TOK_NS_CLIENT) {
        negotiate(c, el, *a);
        return;
    }
    struct stanza *s = stanza_of(*a, el);
    if (!s)
        return;
    *a = NULL; /* the stanza owns it now */
    if (c->state == C2S_BOUND)
        bound_stanza(c, &s);
    else
        before_bound(c, &s);
}
