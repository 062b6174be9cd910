/*
 * From a user's password to an OAuth token: what the token endpoint and the authorization page have in common. Failed
 * passwords are counted per address (core/auth/oauth.h).
 */
#ifndef ADMIN_OAUTH_GRANT_H
#define ADMIN_OAUTH_GRANT_H

#include "base/arena.h"
#include "base/err.h"
#include "net/addr.h"
#include "store/oauth.h"
#include "xmpp/jid.h"

enum grant_rc {
    GRANT_OK,
    GRANT_BAD_JID,
    GRANT_BAD_SCOPE,
    GRANT_BAD_TTL,
    GRANT_BAD_CLIENT, /* option oauth_client_id_check */
    GRANT_DENIED,     /* wrong password, no such account, or option oauth_access says no */
    GRANT_TOO_MANY,   /* tries from this address */
    GRANT_UNAVAILABLE
};

struct grant_request {
    struct ip ip;
    struct str username, password, scope, ttl; /* as given; absent: missing */
    struct str client_id, client_secret;
    bool client_known; /* the caller checked the client already */
};

struct grant {
    struct str token, scope;
    int64_t ttl_s;
};

/* Results are made in a, which is marked secret. The reason of a refusal is logged, never the password. */
enum grant_rc oauth_grant(struct arena *a, const struct grant_request *r, struct grant *out) YIELDS;

#endif
