/*
 * Accounts: table `users` (username, type, password, serverkey, salt, iterationcount; server_host in the new schema).
 * type: 1 plain, 2 SHA-1, 3 SHA-256, 4 SHA-512; an account may have several rows. Keys and salts are base64 in the table
 * and raw here. Names are prepared.
 */
#ifndef STORE_USERS_H
#define STORE_USERS_H

#include "store/store.h"
#include "xmpp/scram.h"

struct user_creds {
    bool has_plain;
    struct str plain;
    struct scram_keys scram[3]; /* by enum scram_hash; iterations 0: absent */
};

enum store_rc users_get(struct arena *a, struct str host, struct str user, struct user_creds *out) YIELDS;
/*
 * STORE_CONFLICT when the account exists in any form. In the same transaction the `last` row is written as ejabberd does for
 * an account that never logged in: now, "Registered but didn't login".
 */
enum store_rc users_add(struct str host, struct str user, const struct user_creds *c) YIELDS;
/*
 * Replaces every stored form, and the account's FAST and OAuth tokens are gone with the old ones; STORE_NONE when there is no such
 * account.
 */
enum store_rc users_set(struct str host, struct str user, const struct user_creds *c) YIELDS;
/*
 * The same, and in the same transaction an element of the account's private storage is set, or removed where it has no xml; NULL:
 * nothing. *tokens_out (may be NULL): how many OAuth tokens went, for whoever has them cached.
 */
struct private_element;
enum store_rc users_set_with(struct str host, struct str user, const struct user_creds *c, const struct private_element *with,
                             int64_t *tokens_out) YIELDS;
/*
 * Adds a form beside the others. `known` must be one the account has: STORE_CONFLICT when its password has changed meanwhile.
 * STORE_OK too when it has keys of that hash, or the plain password, already; nothing changes then.
 */
enum store_rc users_add_keys(struct str host, struct str user, const struct scram_keys *known, const struct scram_keys *add) YIELDS;
enum store_rc users_count(struct str host, uint64_t *out) YIELDS;
/* Names in byte order, at most `limit` after `after` (absent: from the start); each name once. limit 0: all. */
enum store_rc users_list(struct arena *a, struct str host, struct str after, size_t limit, struct str **out, size_t *n_out) YIELDS;

/* An account with a plain form, and what is to take the place of all its forms. */
struct user_plain {
    struct str user, plain;
    struct user_creds creds; /* without a plain form */
    bool replaced;           /* out: false when its plain form has changed meanwhile, or is gone */
};

/* Accounts with a plain form, as users_list lists names. */
enum store_rc users_list_plain(struct arena *a, struct str host, struct str after, size_t limit, struct user_plain **out,
                               size_t *n_out) YIELDS;
/* Replaces the forms of those that still have the same plain one; all of them in one transaction. */
enum store_rc users_replace_plain(struct str host, struct user_plain *users, size_t n) YIELDS;

#endif
