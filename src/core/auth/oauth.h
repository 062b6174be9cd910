/*
 * OAuth tokens: 32 letters and digits that stand for an account and a set of scopes until they expire. Callable from any
 * shard. A token has a home shard like an account (a hash of it); what is known of it is cached there only, so a revoked
 * token is refused everywhere at once. Options oauth_use_cache, oauth_cache_*, oauth_expire.
 */
#ifndef CORE_OAUTH_H
#define CORE_OAUTH_H

#include "base/arena.h"
#include "base/err.h"
#include "net/addr.h"
#include "xmpp/jid.h"

#define OAUTH_TOKEN_LEN 32

struct oauth_grant {
    struct jid owner;   /* bare */
    struct str scopes;  /* between blanks, never absent */
    int64_t expires_s;  /* since the epoch */
};

/* Before the shard ends. */
void oauth_shard_stop(void);

/*
 * A new token, on disk when this returns. scopes: words between blanks. A ttl of 0 or less gives a token that is expired.
 * ERR_UNAVAILABLE, ERR_UNCERTAIN. The token is made in a.
 */
int oauth_issue(struct arena *a, struct jid owner, struct str scopes, int64_t ttl_s, struct str *token_out,
                struct error *err) YIELDS;
/* ERR_BAD_TOKEN: unknown, expired or revoked; ERR_UNAVAILABLE. Results are made in a. */
int oauth_check(struct arena *a, struct str token, struct oauth_grant *out, struct error *err) YIELDS;
/* Unknown tokens are fine. */
int oauth_revoke(struct str token, struct error *err) YIELDS;
/* Forgets cached tokens on every shard. */
int oauth_clear_cache(struct error *err) YIELDS;
bool oauth_has_scope(struct str scopes, struct str scope);

/*
 * May this address try a password once more (user: as it was typed)? Counts failures in fixed memory, for all shards
 * together: OAUTH_TRIES_USER a window for one name from one address, OAUTH_TRIES_ADDRESS for all names; an IPv6 /64 is one
 * address. Different addresses may share a count, in either direction the error is on the strict side.
 */
#define OAUTH_TRIES_USER 10
#define OAUTH_TRIES_ADDRESS 100
#define OAUTH_TRIES_WINDOW_S 600
bool oauth_may_try(const struct ip *ip, struct str user);
void oauth_try_failed(const struct ip *ip, struct str user);

#endif
