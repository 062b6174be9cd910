/*
 * Bans of accounts: the reason, the time and the old password are an element of the account's private storage (as ejabberd keeps
 * them), a random password takes the place of the old one, and logins are refused with the reason. At the account's home; names
 * are prepared.
 */
#ifndef CORE_BAN_H
#define CORE_BAN_H

#include "base/arena.h"
#include "base/err.h"

#define BAN_NS "jabber:ejabberd:banned"

struct ban {
    struct str reason, bandate, lastdate, lastreason; /* texts as commands show them */
};

/* *banned_out false: there is none. */
int ban_get(struct arena *a, struct str host, struct str user, struct ban *out, bool *banned_out, struct error *err) YIELDS;
/*
 * ERR_CONFLICT: banned already. An account that does not exist is made, so that nobody else can take the name. Ends the account's
 * sessions (conflict, with the reason).
 */
int ban_set(struct str host, struct str user, struct str reason, struct error *err) YIELDS;
/* The old password is valid again. ERR_NOT_FOUND: it is not banned. */
int ban_lift(struct str host, struct str user, struct error *err) YIELDS;
/* A new random password and no sessions: all that ban_account did before version 2 of the API. */
int ban_lock(struct str host, struct str user, struct str reason, struct error *err) YIELDS;

#endif
