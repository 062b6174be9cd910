/*
 * SASL on client streams (RFC 6120 §6): PLAIN, SCRAM with and without channel binding, tokens (X-OAUTH2), and strangers
 * (ANONYMOUS). Credentials are asked of the account's home shard, password derivation runs on the blocking pool: steps suspend.
 * Several tries are allowed on one stream, then it ends (RFC 6120 §6.4.5).
 */
#include "base/base64.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/auth/auth.h"
#include "core/auth/ban.h"
#include "core/auth/oauth.h"
#include "core/c2s/c2s_cert.h"
#include "core/config/access.h"
#include "xml/writer.h"
#include "xmpp/ssdp.h"
#include <stdlib.h>

#define TRIES_MAX 5

void c2s_login_delete(struct c2s_login **lp)
{
    if (!*lp)
        return;
    arena_release(&(*lp)->arena);
    free(*lp);
    *lp = NULL;
}

/* --- what is offered --- */

bool c2s_mech_disabled(const struct c2s *c, struct str name)
{
    const struct str *names;
    size_t n = opt_list(c2s_vhost(c)->options, "disable_sasl_mechanisms", &names);
    for (size_t i = 0; i < n; i++)
        if (str_ieq_ascii(names[i], name)) /* in any case: this is a person's writing, not the protocol's */
            return true;
    return false;
}

unsigned c2s_mechanisms(struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    unsigned set = 0;
    for (enum sasl_mech m = 0; m < SASL_MECH__COUNT; m++) {
        const struct sasl_mech_info *i = sasl_mech_info(m);
        bool served = i->scram              ? c2s_upgrade_serves(c, i->hash) && (!i->plus || conn_is_tls(c->conn))
                      : m == SASL_EXTERNAL  ? c2s_cert_offered(c)
                      : m == SASL_ANONYMOUS ? auth_serves_anonymous(h->name)
                                            : auth_takes_passwords(h->name);
        if (served && !c2s_mech_disabled(c, i->name))
            set |= SASL_MECH_BIT(m);
    }
    return set;
}

size_t c2s_channel_bindings(struct c2s *c, struct str out[C2S_BINDINGS])
{
    static const struct str types[C2S_BINDINGS] = {{"tls-exporter", 12}, {"tls-unique", 10}, {"tls-server-end-point", 20}};
    struct str data;
    size_t n = 0;
    for (size_t i = 0; i < C2S_BINDINGS; i++)
        if (conn_channel_binding(c->conn, types[i], c->login->arena, &data))
            out[n++] = types[i];
    return n;
}

/* --- answers --- */

static void send_data(struct c2s *c, const char *element, struct str data)
{
    if (c->login->v2) {
        c2s_sasl2_challenge(c, data);
        return;
    }
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<%s xmlns='urn:ietf:params:xml:ns:xmpp-sasl'", element);
    if (data.n) {
        struct str text = base64_encode(c->login->arena, data);
        buf_printf(b, ">%.*s</%s>", STR_ARG(text), element);
    } else {
        buf_add_str(b, S("/>"));
    }
    conn_out_end(c->conn);
}

/* A try is over; there are not many on one stream: each leaves something in the login's memory. */
static bool count_try(struct c2s *c)
{
    c->login->running = c->login->challenged_empty = false;
    if (++c->login->failures < TRIES_MAX)
        return true;
    c2s_end(c, "policy-violation", S("Too many unsuccessful attempts"));
    return false;
}

static void fail(struct c2s *c, enum sasl_failure f, struct str text)
{
    struct str name = sasl_failure_name(f);
    if (!text.n)
        text = sasl_failure_text(f);
    if (c->login->v2) {
        c2s_sasl2_failure(c, name, text);
        count_try(c);
        return;
    }
    struct buf *b = conn_out_begin(c->conn);
    buf_printf(b, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><%.*s/>", STR_ARG(name));
    if (text.n) {
        buf_add_str(b, S("<text xml:lang='en'>"));
        xml_escape_text(b, text);
        buf_add_str(b, S("</text>"));
    }
    buf_add_str(b, S("</failure>"));
    conn_out_end(c->conn);
    count_try(c);
}

/* false: the stream ended while the modules were at it. */
static bool tell_modules(struct c2s *c, struct str user, bool accepted) YIELDS;
static bool tell_modules(struct c2s *c, struct str user, bool accepted)
{
    struct c2s_login *l = c->login;
    struct login_event ev = {.host = c->host, .ip = *conn_ip(c->conn), .accepted = accepted, .arena = l->arena};
    if (user.n <= JID_PART_MAX && jid_nodeprep(l->arena, user, &user))
        ev.account = jid_join(l->arena, user, l->host, STR_NULL);
    if (hook_run_login_ended(c->host, &ev) == HOOK_REJECT && c->state == C2S_AUTH)
        c2s_end(c, "policy-violation", ev.text);
    return c->state == C2S_AUTH;
}

/* For the person who watches the log and for tools that ban addresses. The password never gets here. */
static void fail_login_saying(struct c2s *c, struct str user, enum sasl_failure f, struct str text) YIELDS;
static void fail_login_saying(struct c2s *c, struct str user, enum sasl_failure f, struct str text)
{
    char ip[IP_TEXT_MAX];
    if (c->state != C2S_AUTH)
        return; /* ended while the answer was under way */
    struct log_ctx ctx = {.ip = str_of(config_log_ip(c2s_vhost(c), conn_ip(c->conn), ip))};
    LOG_LIMITED(INFO, "c2s", &ctx, "failed authentication for %.*s@%.*s: %.*s", STR_ARG(user), STR_ARG(c->login->host),
                STR_ARG(sasl_failure_name(f)));
    if (f != SASL_NOT_AUTHORIZED || tell_modules(c, user, false))
        fail(c, f, text);
}

static void fail_login(struct c2s *c, struct str user, enum sasl_failure f) YIELDS;
static void fail_login(struct c2s *c, struct str user, enum sasl_failure f)
{
    fail_login_saying(c, user, f, STR_NULL);
}

static void succeed(struct c2s *c, struct str user, struct str data) YIELDS;
static void succeed(struct c2s *c, struct str user, struct str data)
{
    struct c2s_login *l = c->login;
    char ip[IP_TEXT_MAX];
    if (c->state != C2S_AUTH || !tell_modules(c, user, true))
        return; /* ended while the answer was under way: by a kick, a reload, the time */
    struct log_ctx ctx = {.ip = str_of(config_log_ip(c2s_vhost(c), conn_ip(c->conn), ip))};
    l->running = false;
    l->user = user;
    struct str name = l->fast.used ? ht_name(l->fast.mech) : sasl_mech_info(l->mech)->name;
    LOG(DEBUG, "c2s", &ctx, "accepted %.*s authentication for %.*s", STR_ARG(name), STR_ARG(user));
    if (l->v2) {
        c2s_sasl2_proved(c, data);
        return;
    }
    send_data(c, "success", data);
    c2s_authenticated(c);
}

/*
 * Acting for somebody else is not offered: an authzid must be the bare address of the account that authenticated
 * (RFC 6120 §6.3.8). The reference lets any account in as any other here.
 */
static bool authzid_is_own(struct c2s *c, struct str authzid, struct str user)
{
    struct jid j;
    const struct c2s_login *l = c->login;
    if (!authzid.n)
        return true;
    if (!jid_parse(l->arena, authzid, &j) || !jid_is_bare(j) || !str_eq(jid_user(j), user) || !str_eq(jid_host(j), l->host))
        return false;
    return !l->v2 || !l->from.n || str_eq(l->from, jid_bare(j)); /* XEP-0388 §4.4: the header's `from` is no other */
}

/*
 * A banned account says so to whoever names it, before any password is looked at: its owner's own is not valid any more.
 * COMPAT(ejabberd).
 */
static bool refuse_banned(struct c2s *c, struct str user) YIELDS;
static bool refuse_banned(struct c2s *c, struct str user)
{
    struct ban b;
    bool banned = false;
    struct error err = ERROR_INIT;
    struct arena *a = c->login->arena;
    if (ban_get(a, c->login->host, user, &b, &banned, &err) != 0)
        fail_login(c, user, SASL_TEMPORARY_AUTH_FAILURE);
    else if (banned)
        fail_login_saying(c, user, SASL_ACCOUNT_DISABLED, arena_printf(a, "Account is banned: %.*s", STR_ARG(b.reason)));
    else
        return c->state != C2S_AUTH; /* ended meanwhile */
    return true;
}

/* --- PLAIN --- */

static bool out_of_reach(const struct error *err)
{
    return err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
}

static enum sasl_failure failure_of(const struct error *err)
{
    return out_of_reach(err) ? SASL_TEMPORARY_AUTH_FAILURE : SASL_NOT_AUTHORIZED;
}

/* The message of PLAIN, which X-OAUTH2 has with a token for the password. false: refused already. */
static bool read_plain(struct c2s *c, struct str msg, struct str *user_out, struct str *secret_out) YIELDS;
static bool read_plain(struct c2s *c, struct str msg, struct str *user_out, struct str *secret_out)
{
    struct sasl_plain p;
    if (sasl_plain_parse(msg, &p) != SASL_OK) {
        fail(c, SASL_MALFORMED_REQUEST, STR_NULL);
        return false;
    }
    *secret_out = p.password;
    if (!jid_nodeprep(c->login->arena, p.authcid, user_out) || !user_out->n)
        fail_login(c, p.authcid, SASL_NOT_AUTHORIZED);
    else if (!authzid_is_own(c, p.authzid, *user_out))
        fail_login(c, *user_out, SASL_INVALID_AUTHZID);
    else
        return !refuse_banned(c, *user_out);
    return false;
}

static void plain(struct c2s *c, struct str msg) YIELDS;
static void plain(struct c2s *c, struct str msg)
{
    struct str user, secret;
    struct error err = ERROR_INIT;
    if (!read_plain(c, msg, &user, &secret))
        return;
    if (auth_check_login(c->login->host, user, secret, &c->login->stranger, &err) == 0)
        succeed(c, user, STR_NULL);
    else
        fail_login(c, user, failure_of(&err));
}

/* --- ANONYMOUS --- */

#define ANONYMOUS_NAME 24 /* more than anybody can guess, or draw twice */

/* What a stranger says of himself (RFC 4505 §2) is not kept: nobody could check it. */
static void anonymous(struct c2s *c) YIELDS;
static void anonymous(struct c2s *c)
{
    char name[ANONYMOUS_NAME + 1];
    rand_token(name, ANONYMOUS_NAME);
    c->login->stranger = true;
    succeed(c, arena_str(c->login->arena, str_n(name, ANONYMOUS_NAME)), STR_NULL);
}

/* --- EXTERNAL --- */

/* The certificate outlives an account: whose account is gone does not come in any more. */
static void external(struct c2s *c, struct str authzid) YIELDS;
static void external(struct c2s *c, struct str authzid)
{
    struct str user = STR_NULL;
    struct error err = ERROR_INIT;
    bool exists = false;
    enum sasl_failure f = c2s_cert_user(c, authzid, &user);
    if (f != SASL_OK)
        fail_login(c, user, f);
    else if (refuse_banned(c, user))
        return;
    else if (auth_exists(c->login->host, user, &exists, &err) != 0)
        fail_login(c, user, SASL_TEMPORARY_AUTH_FAILURE);
    else if (!exists)
        fail_login_saying(c, user, SASL_NOT_AUTHORIZED, S("No such account"));
    else
        succeed(c, user, STR_NULL);
}

/* --- X-OAUTH2 --- */

/* 0: the token is the account's own, good for a login, and the account is there. */
static int check_token(struct c2s *c, struct str user, struct str token, struct error *err) YIELDS;
static int check_token(struct c2s *c, struct str user, struct str token, struct error *err)
{
    struct oauth_grant g;
    bool exists = false;
    if (oauth_check(c->login->arena, token, &g, err) != 0 || auth_exists(c->login->host, user, &exists, err) != 0)
        return -1;
    bool own = str_eq(jid_user(g.owner), user) && str_eq(jid_host(g.owner), c->login->host);
    return exists && own && oauth_has_scope(g.scopes, S("sasl_auth")) ? 0 : err_set(err, ERR_BAD_TOKEN, NULL);
}

static void oauth(struct c2s *c, struct str msg) YIELDS;
static void oauth(struct c2s *c, struct str msg)
{
    struct str user, secret;
    struct error err = ERROR_INIT;
    if (!read_plain(c, msg, &user, &secret))
        return;
    if (check_token(c, user, secret, &err) == 0)
        succeed(c, user, STR_NULL);
    else if (out_of_reach(&err))
        fail_login(c, user, SASL_TEMPORARY_AUTH_FAILURE);
    else
        fail_login_saying(c, user, SASL_NOT_AUTHORIZED, S("Invalid token"));
}

/* --- SCRAM --- */

static void scram_fail(struct c2s *c, enum scram_rc rc) YIELDS;
static void scram_fail(struct c2s *c, enum scram_rc rc)
{
    fail_login(c, c->login->scram.username, sasl_failure_of_scram(rc));
}

/* Nobody learns from the exchange whether a name exists: unknown names go on with keys that look real (RFC 5802 §9). */
static bool find_keys(struct c2s *c, struct str user) YIELDS;
static bool find_keys(struct c2s *c, struct str user)
{
    struct c2s_login *l = c->login;
    struct error err = ERROR_INIT;
    l->fake = !user.n || auth_scram_keys(l->arena, l->host, user, l->scram.hash, &l->keys, &err) != 0;
    if (!l->fake)
        return true;
    if (out_of_reach(&err)) {
        fail_login(c, user, SASL_TEMPORARY_AUTH_FAILURE);
        return false;
    }
    l->keys = scram_fake_keys(l->arena, l->scram.hash, l->scram.username, l->host, SCRAM_DEFAULT_ITERATIONS);
    return true;
}

/* XEP-0474: what was offered on this stream goes into the proofs. Both profiles show the same mechanisms. */
static struct str downgrade_hash(struct c2s *c, enum scram_hash h)
{
    struct str mechanisms[SASL_MECH__COUNT], bindings[C2S_BINDINGS];
    size_t n = 0, n_bindings = conn_is_tls(c->conn) ? c2s_channel_bindings(c, bindings) : 0;
    if (opt_bool(c2s_vhost(c)->options, "disable_sasl_scram_downgrade_protection"))
        return STR_NULL;
    for (enum sasl_mech m = 0; m < SASL_MECH__COUNT; m++)
        if (c->login->offered & SASL_MECH_BIT(m))
            mechanisms[n++] = sasl_mech_info(m)->name;
    return ssdp_hash(c->login->arena, h, mechanisms, n, conn_is_tls(c->conn) ? bindings : NULL, n_bindings);
}

static void scram_first(struct c2s *c, struct str msg) YIELDS;
static void scram_first(struct c2s *c, struct str msg)
{
    struct c2s_login *l = c->login;
    const struct sasl_mech_info *info = sasl_mech_info(l->mech);
    l->scram = (struct scram_server){.hash = info->hash, .plus = info->plus,
                                     .plus_offered = (l->offered & SASL_MECH_BIT(sasl_mech_of_scram(info->hash, true))) != 0};
    enum scram_rc rc = scram_server_first(l->arena, &l->scram, msg);
    if (rc != SCRAM_OK) {
        scram_fail(c, rc);
        return;
    }
    if (l->scram.cb_type.n && !conn_channel_binding(c->conn, l->scram.cb_type, l->arena, &l->scram.cb_data)) {
        scram_fail(c, SCRAM_CB_MISMATCH);
        return;
    }
    struct str user = STR_NULL;
    if (!jid_nodeprep(l->arena, l->scram.username, &user))
        user = STR_NULL;
    if (user.n && !authzid_is_own(c, l->scram.authzid, user)) {
        fail_login(c, user, SASL_INVALID_AUTHZID);
        return;
    }
    if ((user.n && refuse_banned(c, user)) || !find_keys(c, user) || c->state != C2S_AUTH)
        return;
    l->user = user;
    l->running = true;
    l->scram.ssdp = downgrade_hash(c, l->scram.hash);
    send_data(c, "challenge", scram_server_challenge(l->arena, &l->scram, &l->keys, NULL));
}

static void scram_final(struct c2s *c, struct str msg) YIELDS;
static void scram_final(struct c2s *c, struct str msg)
{
    struct c2s_login *l = c->login;
    struct str answer;
    enum scram_rc rc = scram_server_final(l->arena, &l->scram, msg, &answer);
    if (rc == SCRAM_OK && l->fake)
        rc = SCRAM_NOT_AUTHORIZED;
    if (rc == SCRAM_OK)
        succeed(c, l->user, answer);
    else
        scram_fail(c, rc);
}

/* --- elements --- */

/* Text of the element as bytes: "=" stands for an empty message (RFC 6120 §6.4.2). */
static bool read_data(struct c2s *c, struct xml_el *el, struct str *out)
{
    struct str text = str_trim(xml_text_of(c->login->arena, el));
    if (str_eq(text, S("="))) {
        *out = S("");
        return true;
    }
    return base64_decode(c->login->arena, arena_str(c->login->arena, text), out);
}

static void step(struct c2s *c, struct str msg) YIELDS;
static void step(struct c2s *c, struct str msg)
{
    if (c->login->mech == SASL_PLAIN)
        plain(c, msg);
    else if (c->login->mech == SASL_X_OAUTH2)
        oauth(c, msg);
    else if (c->login->mech == SASL_ANONYMOUS)
        anonymous(c);
    else if (c->login->mech == SASL_EXTERNAL)
        external(c, msg);
    else if (c->login->running && !c->login->challenged_empty)
        scram_final(c, msg);
    else
        scram_first(c, msg);
    if (c->login)
        c->login->challenged_empty = false;
}

/* Somebody who may not even try. */
static bool turned_away(struct c2s *c) YIELDS;
static bool turned_away(struct c2s *c)
{
    struct login_event ev = {.host = c->host, .ip = *conn_ip(c->conn), .arena = c->login->arena};
    if (hook_run_login_tried(c->host, &ev) == HOOK_PASS)
        return c->state != C2S_AUTH;
    if (c->state == C2S_AUTH)
        c2s_end(c, "policy-violation", ev.text);
    return true;
}

static void on_auth(struct c2s *c, struct xml_el *el) YIELDS;
static void on_auth(struct c2s *c, struct xml_el *el)
{
    struct c2s_login *l = c->login;
    struct str name = xml_attr_get(el, TOK_mechanism), msg;
    struct xml_el *initial = l->v2 ? c2s_sasl2_initial(c) : el;
    if (turned_away(c))
        return;
    if (c2s_listen(c)->starttls_required && !conn_is_tls(c->conn)) {
        fail(c, SASL_ENCRYPTION_REQUIRED, STR_NULL);
        return;
    }
    if (l->running && !count_try(c)) /* the exchange before was left unfinished */
        return;
    enum ht_mech ht;
    if (l->v2 && ht_parse(name, &ht))
        c2s_fast_authenticate(c, ht, initial);
    else if (!name.p)
        fail(c, SASL_MALFORMED_REQUEST, S("Missing attribute 'mechanism' in tag <auth/> qualified by namespace "
                                          "'urn:ietf:params:xml:ns:xmpp-sasl'"));
    else if (!sasl_mech_parse(name, &l->mech) || !(l->offered & SASL_MECH_BIT(l->mech)))
        fail(c, SASL_INVALID_MECHANISM, S("Unsupported mechanism"));
    else if (!initial || (!l->v2 && !str_trim(xml_text_of(l->arena, el)).n)) { /* no initial response: ask for it (RFC 4422 §3.3) */
        l->running = l->challenged_empty = true;
        send_data(c, "challenge", STR_NULL);
    } else if (!read_data(c, initial, &msg))
        fail(c, SASL_INCORRECT_ENCODING, S("Response decoding failed"));
    else
        step(c, msg);
}

static void on_response(struct c2s *c, struct xml_el *el) YIELDS;
static void on_response(struct c2s *c, struct xml_el *el)
{
    struct str msg;
    if (!c->login->running)
        fail(c, SASL_NOT_AUTHORIZED, S("SASL negotiation is not allowed in this state"));
    else if (!read_data(c, el, &msg))
        fail(c, SASL_INCORRECT_ENCODING, S("Response decoding failed"));
    else
        step(c, msg);
}

void c2s_sasl(struct c2s *c, struct xml_el *el)
{
    if (c->state != C2S_AUTH && el->ns != TOK_NS_SASL) {
        c2s_end(c, "policy-violation", S("The stream is authenticated already")); /* XEP-0388 §4.8 */
        return;
    }
    if (c->state != C2S_AUTH) {
        c2s_write(c, S("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>"
                       "<text xml:lang='en'>SASL negotiation is not allowed in this state</text></failure>"));
        return;
    }
    if (c->login->upgrade.state != UPGRADE_NONE) {
        c2s_upgrade_element(c, el);
        return;
    }
    bool v2 = el->ns != TOK_NS_SASL, begins = v2 ? c2s_sasl2_begin(c, el) : el->tok == TOK_auth;
    if (begins && !v2)
        c->login->v2 = NULL;
    if (v2 != (c->login->v2 != NULL))
        fail(c, SASL_MALFORMED_REQUEST, STR_NULL); /* an answer in the words of the other profile */
    else if (begins && v2 && !c2s_sasl2_offered(c))
        fail(c, SASL_ENCRYPTION_REQUIRED, STR_NULL);
    else if (begins)
        on_auth(c, el);
    else if (el->tok == TOK_response)
        on_response(c, el);
    else if (el->tok == TOK_abort)
        fail(c, SASL_ABORTED, S("Aborted"));
    else
        fail(c, SASL_MALFORMED_REQUEST, STR_NULL);
}

/* --- for mechanisms elsewhere --- */

void c2s_sasl_fail(struct c2s *c, enum sasl_failure f, struct str text)
{
    fail(c, f, text);
}

void c2s_sasl_refuse(struct c2s *c, struct str user, enum sasl_failure f, struct str text)
{
    fail_login_saying(c, user, f, text);
}

void c2s_sasl_accept(struct c2s *c, struct str user, struct str data)
{
    succeed(c, user, data);
}

bool c2s_sasl_banned(struct c2s *c, struct str user)
{
    return refuse_banned(c, user);
}
