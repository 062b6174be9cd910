/* See the header. Runs on the request's fiber and suspends: passwords are checked at the account's home. */
#include "admin/oauth_grant.h"

#include "admin/scopes.h"
#include "base/log.h"
#include "base/secret.h"
#include "core/auth/auth.h"
#include "core/auth/oauth.h"
#include "core/config/access.h"

static void log_grant(const struct grant_request *r, struct jid who, const struct grant *g)
{
    char ip[IP_TEXT_MAX];
    struct log_ctx ctx = {.ip = str_of(config_log_ip(config_host(config_current(), jid_host(who)), &r->ip, ip))};
    LOG(INFO, "oauth", &ctx, "token for %.*s, client '%.*s', scopes '%.*s', %lld seconds", STR_ARG(jid_bare(who)),
        r->client_id.n < 100 ? (int)r->client_id.n : 100, r->client_id.p ? r->client_id.p : "", STR_ARG(g->scope),
        (long long)g->ttl_s);
}

static void log_refusal(const struct grant_request *r, struct jid who, const char *why)
{
    char ip[IP_TEXT_MAX];
    struct log_ctx ctx = {.ip = str_of(config_log_ip(config_host(config_current(), jid_host(who)), &r->ip, ip))};
    LOG_LIMITED(INFO, "oauth", &ctx, "no token for %.*s: %s", STR_ARG(jid_bare(who)), why);
}

/* Option oauth_client_id_check of the account's host. COMPAT(ejabberd): "allow" looks at nothing. */
static enum grant_rc check_client(struct arena *a, const struct grant_request *r, const struct vhost *h) YIELDS;
static enum grant_rc check_client(struct arena *a, const struct grant_request *r, const struct vhost *h)
{
    struct str check = opt_str(h->options, "oauth_client_id_check");
    struct oauth_client c;
    if (str_eq(check, S("deny")))
        return GRANT_BAD_CLIENT;
    if (r->client_known || !str_eq(check, S("db")))
        return GRANT_OK;
    enum store_rc rc = oauth_client_get(a, r->client_id, &c);
    if (rc != STORE_OK)
        return rc == STORE_NONE ? GRANT_BAD_CLIENT : GRANT_UNAVAILABLE;
    return c.grant == OAUTH_GRANT_PASSWORD && secret_eq(c.secret, r->client_secret) ? GRANT_OK : GRANT_BAD_CLIENT;
}

static enum grant_rc check_password(const struct grant_request *r, struct jid who) YIELDS;
static enum grant_rc check_password(const struct grant_request *r, struct jid who)
{
    struct error err = ERROR_INIT;
    if (!oauth_may_try(&r->ip, jid_bare(who))) {
        log_refusal(r, who, "too many wrong passwords from this address");
        return GRANT_TOO_MANY;
    }
    if (auth_check_password(jid_host(who), jid_user(who), r->password, &err) == 0)
        return GRANT_OK;
    if (err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT)
        return GRANT_UNAVAILABLE;
    oauth_try_failed(&r->ip, jid_bare(who));
    log_refusal(r, who, "wrong name or password");
    return GRANT_DENIED;
}

/* Option oauth_access. Looked at after the password: nobody learns from the answer which accounts may have tokens. */
static bool may_have_tokens(const struct grant_request *r, struct jid who)
{
    const struct vhost *h = config_host(config_current(), jid_host(who)); /* again: a reload may have come between */
    struct access_subject subject = {.jid = who, .ip = r->ip};
    if (h && access_allowed(h, opt_node(h->options, "oauth_access"), &subject))
        return true;
    log_refusal(r, who, "option oauth_access does not allow it");
    return false;
}

static bool ttl_of(const struct grant_request *r, int64_t *out)
{
    if (r->ttl.n)
        return str_to_i64(r->ttl, out) && *out > 0;
    *out = opt_int(config_current()->global, "oauth_expire") / 1000;
    return true;
}

enum grant_rc oauth_grant(struct arena *a, const struct grant_request *r, struct grant *out)
{
    struct jid who;
    struct error err = ERROR_INIT;
    arena_mark_secret(a);
    if (!jid_parse(a, r->username, &who))
        return GRANT_BAD_JID;
    who = jid_to_bare(who);
    const struct vhost *h = config_host(config_current(), jid_host(who));
    enum grant_rc rc = h ? check_client(a, r, h) : GRANT_OK;
    if (rc == GRANT_OK)
        rc = check_password(r, who);
    if (rc != GRANT_OK)
        return rc;
    if (!may_have_tokens(r, who))
        return GRANT_DENIED;
    if (!scopes_parse(a, r->scope, ' ', &out->scope, NULL, NULL))
        return GRANT_BAD_SCOPE;
    if (!ttl_of(r, &out->ttl_s))
        return GRANT_BAD_TTL;
    if (oauth_issue(a, who, out->scope, out->ttl_s, &out->token, &err) < 0) {
        LOG_LIMITED(ERROR, "oauth", NULL, "no token for %.*s: %s", STR_ARG(jid_bare(who)), err.text);
        return GRANT_UNAVAILABLE;
    }
    log_grant(r, who, out);
    return GRANT_OK;
}
