/*
 * FAST (XEP-0484) on client streams; the tokens are core/auth/fast_token.h, mod_auth_fast offers it and has the options. Only over
 * TLS, whatever allow_unencrypted_sasl2 says (§6): who listens could log in again. TLS early data is neither accepted nor
 * offered ('tls-0rtt' is absent), so a `count` is not required; one that is given must rise, as in early data. May suspend.
 */
#include "core/c2s/c2s_fast.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/auth/auth.h"
#include "core/auth/fast_token.h"
#include "core/c2s/c2s_stream.h"
#include "core/module/module.h"
#include "xml/writer.h"

#define NS_FAST "urn:xmpp:fast:0"
#define ENDLESS_S ((int64_t)100 * 365 * 86400)

/* NULL: not offered there. */
static const struct options *options_of(const struct c2s *c)
{
    const struct vhost *h = c2s_vhost(c);
    const struct module *m = module_find(S("mod_auth_fast"));
    return h && m && conn_is_tls(c->conn) && module_loaded(h->index, m) ? module_options(h->index, m) : NULL;
}

/* Also whether this connection has what the mechanism binds to: tls-unique is not defined for TLS 1.3 (RFC 9266 §3). */
static bool offered(struct c2s *c, enum ht_mech m, struct str *cb_data_out)
{
    *cb_data_out = STR_NULL;
    if (c2s_mech_disabled(c, ht_name(m)))
        return false;
    return !ht_binding(m).n || (conn_channel_binding(c->conn, ht_binding(m), c->login->arena, cb_data_out) && cb_data_out->n);
}

void c2s_fast_features(struct c2s *c, struct buf *b)
{
    struct str data;
    if (!options_of(c))
        return;
    buf_add_str(b, S("<fast xmlns='" NS_FAST "'>"));
    for (enum ht_mech m = 0; m < HT__COUNT; m++)
        if (offered(c, m, &data))
            buf_printf(b, "<mechanism>%.*s</mechanism>", STR_ARG(ht_name(m)));
    buf_add_str(b, S("</fast>"));
}

/* --- logging in --- */

static bool read_count(const struct xml_el *fast, int64_t *out)
{
    struct str text = xml_attr_get_text(fast, S("count"));
    *out = -1;
    return !text.p || (str_to_i64(text, out) && *out >= 0 && *out <= FAST_COUNT_MAX);
}

/* xs:boolean */
static bool read_bool(const struct xml_el *el, struct str name, bool *out)
{
    struct str text = xml_attr_get_text(el, name);
    *out = str_eq(text, S("true")) || str_eq(text, S("1"));
    return *out || !text.p || str_eq(text, S("false")) || str_eq(text, S("0"));
}

/* What is malformed, in words; NULL: nothing. */
static const char *read_request(struct c2s *c, struct xml_el *initial, struct fast_proof *p, struct str *bytes)
{
    const struct xml_el *fast = c2s_sasl2_child(c, "fast", NS_FAST);
    if (!fast)
        return "A token needs the element <fast/>"; /* §3.4 */
    if (!c2s_sasl2_agent(c).n)
        return "A token needs the attribute 'id' of <user-agent/>"; /* §4.1 */
    if (!read_count(fast, &p->count))
        return "Bad value of attribute 'count' in tag <fast/>";
    if (!read_bool(fast, S("invalidate"), &p->invalidate))
        return "Bad value of attribute 'invalidate' in tag <fast/>";
    if (!initial)
        return "A token is shown in the initial response";
    struct arena *a = c->login->arena;
    return base64_decode(a, arena_str(a, str_trim(xml_text_of(a, initial))), bytes) ? NULL : "Response decoding failed";
}

/* An account that is gone from a directory elsewhere leaves its tokens behind. */
static enum fast_verdict check_account(struct c2s *c, struct str user) YIELDS;
static enum fast_verdict check_account(struct c2s *c, struct str user)
{
    bool exists = false;
    struct error err = ERROR_INIT;
    if (auth_exists(c->login->host, user, &exists, &err) != 0)
        return FAST_UNAVAILABLE;
    return exists ? FAST_FITS : FAST_WRONG;
}

static void answer(struct c2s *c, struct str user, enum fast_verdict v, const uint8_t *responder) YIELDS;
static void answer(struct c2s *c, struct str user, enum fast_verdict v, const uint8_t *responder)
{
    switch (v) {
    case FAST_FITS:
        c->login->fast.used = true;
        c2s_sasl_accept(c, user, arena_str(c->login->arena, str_n((const char *)responder, HT_DIGEST)));
        break;
    case FAST_EXPIRED: /* §4.2 */
        c2s_sasl_refuse(c, user, SASL_CREDENTIALS_EXPIRED, STR_NULL);
        break;
    case FAST_UNAVAILABLE:
        c2s_sasl_refuse(c, user, SASL_TEMPORARY_AUTH_FAILURE, STR_NULL);
        break;
    case FAST_WRONG:
        c2s_sasl_refuse(c, user, SASL_NOT_AUTHORIZED, S("Invalid token"));
        break;
    }
}

static void check(struct c2s *c, struct str user, struct fast_proof *p) YIELDS;
static void check(struct c2s *c, struct str user, struct fast_proof *p)
{
    struct c2s_login *l = c->login;
    uint8_t responder[HT_DIGEST] = {0};
    struct fast_client who = {l->host, user, c2s_sasl2_agent(c)};
    if (c2s_sasl_banned(c, user))
        return;
    enum fast_verdict v = check_account(c, user);
    if (c->state != C2S_AUTH)
        return;
    if (v != FAST_UNAVAILABLE) { /* for a name that nobody has too: it takes as long */
        enum fast_verdict token = fast_token_check(&who, p, responder, &l->fast.age_s);
        v = v == FAST_FITS ? token : v;
    }
    if (c->state != C2S_AUTH)
        return;
    l->fast.mech = p->mech;
    l->fast.invalidated = p->invalidate;
    answer(c, user, v, responder);
}

void c2s_fast_authenticate(struct c2s *c, enum ht_mech m, struct xml_el *initial)
{
    struct c2s_login *l = c->login;
    struct fast_proof p = {.mech = m};
    struct ht_message msg;
    struct str bytes = STR_NULL, user;
    l->fast = (struct c2s_fast){0};
    if (!options_of(c) || !offered(c, m, &p.cb_data)) {
        c2s_sasl_fail(c, SASL_INVALID_MECHANISM, S("Unsupported mechanism"));
        return;
    }
    const char *wrong = read_request(c, initial, &p, &bytes);
    if (wrong)
        c2s_sasl_fail(c, SASL_MALFORMED_REQUEST, str_of(wrong));
    else if (!ht_message_parse(bytes, &msg))
        c2s_sasl_fail(c, SASL_MALFORMED_REQUEST, STR_NULL);
    else if (!jid_nodeprep(l->arena, msg.authcid, &user) || !user.n)
        c2s_sasl_refuse(c, msg.authcid, SASL_NOT_AUTHORIZED, S("Invalid token"));
    else {
        p.proof = msg.proof;
        check(c, user, &p);
    }
}

/* --- a token for the next time --- */

/*
 * A token is good for longer than what one logs in with elsewhere: an OAuth token, a signed one, a name for a visit. These would
 * outlive themselves.
 */
static bool may_have_token(const struct c2s_login *l)
{
    return l->fast.used || sasl_mech_info(l->mech)->scram || (l->mech == SASL_PLAIN && auth_passwords_last(l->host));
}

static bool renewal_due(const struct c2s_login *l, const struct options *o)
{
    int64_t refresh = opt_int(o, "token_refresh_age");
    return l->fast.used && !l->fast.invalidated && refresh != OPT_INFINITY && l->fast.age_s >= refresh / 1000;
}

void c2s_fast_proved(struct c2s *c)
{
    struct c2s_login *l = c->login;
    const struct options *o = options_of(c);
    const struct xml_el *request = c2s_sasl2_child(c, "request-token", NS_FAST);
    struct str data;
    if (!o || !c2s_sasl2_agent(c).n || !may_have_token(l))
        return;
    l->fast.next = l->fast.mech;
    l->fast.wanted = renewal_due(l, o);
    if (request && ht_parse(xml_attr_get_text(request, S("mechanism")), &l->fast.next))
        l->fast.wanted = offered(c, l->fast.next, &data);
}

static int64_t lifetime_of(const struct options *o)
{
    int64_t ms = opt_int(o, "token_lifetime");
    return ms == OPT_INFINITY || ms / 1000 > ENDLESS_S ? ENDLESS_S : ms / 1000;
}

void c2s_fast_issue(struct c2s *c)
{
    struct c2s_login *l = c->login;
    const struct options *o = options_of(c);
    struct error err = ERROR_INIT;
    struct str token;
    int64_t expires;
    if (!l->fast.wanted || !o)
        return;
    struct fast_client who = {l->host, l->user, c2s_sasl2_agent(c)};
    if (fast_token_issue(l->arena, &who, l->fast.next, lifetime_of(o), &token, &expires, &err) != 0) {
        LOG_LIMITED(WARNING, "c2s", NULL, "no FAST token for %.*s@%.*s: %s", STR_ARG(l->user), STR_ARG(l->host), err.text);
        return;
    }
    struct str stamp = clock_format(l->arena, (uint64_t)expires * 1000000, false);
    l->fast.answer = arena_printf(l->arena, "<token xmlns='" NS_FAST "' expiry='%.*s' token='%.*s'/>", STR_ARG(stamp),
                                  STR_ARG(token));
}
