/* Authorization headers. Runs on the request's fiber; checking a password or a token suspends it. */
#include "admin/credentials.h"

#include "base/base64.h"
#include "core/auth/auth.h"
#include "core/auth/oauth.h"

static int refused(struct error *err)
{
    return err_set(err, ERR_NOT_AUTHORIZED, NULL);
}

static int check_basic(struct arena *a, struct str encoded, struct api_caller *caller, struct error *err) YIELDS;
static int check_basic(struct arena *a, struct str encoded, struct api_caller *caller, struct error *err)
{
    struct str pair, user, host;
    struct jid jid;
    arena_mark_secret(a);
    if (!base64_decode(a, encoded, &pair))
        return refused(err);
    ptrdiff_t colon = str_find(pair, ':');
    if (colon <= 0 || !jid_parse(a, str_n(pair.p, (size_t)colon), &jid))
        return refused(err);
    user = jid_user(jid);
    host = jid_host(jid);
    if (str_empty(user)) /* "host" alone is no account */
        return refused(err);
    struct str password = str_n(pair.p + colon + 1, pair.n - (size_t)colon - 1);
    if (auth_check_password(host, user, password, err) < 0)
        return err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT ? -1 : refused(err);
    caller->who.jid = jid_to_bare(jid);
    return 0;
}

int credentials_token(struct arena *a, struct str token, struct api_caller *caller, struct error *err)
{
    struct oauth_grant g;
    if (oauth_check(a, str_trim(token), &g, err) < 0)
        return -1;
    caller->who.jid = g.owner;
    caller->oauth_scopes = g.scopes;
    return 0;
}

int credentials_check(struct http_request *r, struct arena *a, struct api_caller *caller, struct error *err)
{
    struct str header = http_header(r, S("authorization"));
    if (!header.p)
        return 0;
    if (str_starts(header, S("Basic ")))
        return check_basic(a, str_n(header.p + 6, header.n - 6), caller, err);
    if (str_starts(header, S("Bearer ")))
        return credentials_token(a, str_n(header.p + 7, header.n - 7), caller, err);
    return refused(err);
}

struct str caller_name(struct arena *a, const struct api_caller *caller)
{
    char ip[IP_TEXT_MAX];
    if (jid_present(caller->who.jid))
        return jid_bare(caller->who.jid);
    return arena_str(a, str_of(config_log_ip(NULL, &caller->who.ip, ip)));
}
