/*
 * Tokens of FAST (XEP-0484): this server's own table `cj_fast_token`, at most two per account and client: the one in use, and a
 * newer one that was handed out and not used yet. The tokens themselves are not in it: a row holds what core/auth/fast.c makes one
 * from, together with a key that is not in the database. So nobody logs in with what a database, a dump or a backup gives away.
 */
#ifndef STORE_FAST_H
#define STORE_FAST_H

#include "store/store.h"

#define FAST_CLIENTS_MAX 64 /* of an account; those whose tokens end first make room */

struct fast_row {
    bool newer;          /* handed out, not used yet */
    struct str mechanism;
    struct str salt;     /* random text, one per token */
    int64_t created_s, expires_s; /* since the epoch */
    int64_t count;       /* highest `count` that was used with it; -1: none */
};

/* `agent` names the client: a digest of its id. */
struct fast_owner {
    struct str host, user, agent;
};

/* At most two; n_out 0: none. Also those that have expired. */
enum store_rc fast_get(struct arena *a, const struct fast_owner *o, struct fast_row out[2], size_t *n_out) YIELDS;
/*
 * Puts a newer token in place; one that was handed out and not used is gone. Forgets what ended before forget_s, of everybody,
 * and the clients beyond FAST_CLIENTS_MAX.
 */
enum store_rc fast_add(const struct fast_owner *o, const struct fast_row *row, int64_t forget_s) YIELDS;

enum fast_use { FAST_USE_KEEP, FAST_USE_INVALIDATE };

/*
 * The token with this salt was shown. It becomes the one in use and the other one, when it is older, is gone; with
 * FAST_USE_INVALIDATE all of the client are gone. count: -1, or it must be higher than any before. STORE_NONE: the token is not
 * there any more, or the count is not higher: nothing was done, and the login must fail.
 */
enum store_rc fast_used(const struct fast_owner *o, struct str salt, int64_t count, enum fast_use use) YIELDS;
/* All clients of an account. */
enum store_rc fast_forget(struct str host, struct str user) YIELDS;

#endif
