/*
 * OAuth: tables `oauth_token` (token, jid, scope = words between blanks, expire = seconds since the epoch) and
 * `oauth_client` (client_id, client_name, grant_type, options). Options are a list of one pair in Erlang's external term
 * format, in base64, as ejabberd writes them. Tokens and secrets: what is read is marked secret and wiped with its arena.
 */
#ifndef STORE_OAUTH_H
#define STORE_OAUTH_H

#include "store/store.h"

struct oauth_token_row {
    struct str token, owner, scopes;
    int64_t expires_s;
};

enum oauth_grant_type { OAUTH_GRANT_NONE, OAUTH_GRANT_PASSWORD, OAUTH_GRANT_IMPLICIT };

struct oauth_client {
    struct str id, name;
    enum oauth_grant_type grant; /* NONE: a word that is not known here */
    struct str secret;           /* of PASSWORD */
    struct str redirect_uri;     /* of IMPLICIT */
};

/* Expired ones too. */
enum store_rc oauth_token_get(struct arena *a, struct str token, struct oauth_token_row *out) YIELDS;
/* STORE_CONFLICT when there is such a token. */
enum store_rc oauth_token_add(const struct oauth_token_row *row) YIELDS;
/* STORE_NONE when it was not there. */
enum store_rc oauth_token_remove(struct str token) YIELDS;
/* All of an account; how many there were comes back, OK too when there was none. */
enum store_rc oauth_token_forget(struct str host, struct str user, int64_t *n_out) YIELDS;
struct sql_conn;
/* The same inside of a transaction of the writer. */
enum store_rc oauth_token_forget_in(struct sql_conn *c, struct str host, struct str user, int64_t *n_out);
/* Forgets what expired at `now_s` or before; nobody waits, a failure is logged. */
void oauth_token_clean_later(int64_t now_s);
/* In byte order of tokens, at most `limit` after `after` (absent: from the start), without what is expired at now_s. */
enum store_rc oauth_token_list(struct arena *a, struct str after, int64_t now_s, size_t limit, struct oauth_token_row **out,
                               size_t *n_out) YIELDS;

enum store_rc oauth_client_get(struct arena *a, struct str id, struct oauth_client *out) YIELDS;
/* Replaces the one of this id. */
enum store_rc oauth_client_set(const struct oauth_client *c) YIELDS;
/* STORE_NONE when it was not there. */
enum store_rc oauth_client_remove(struct str id) YIELDS;

/* For tests: the options column. NULL text: a client that has none. */
struct str oauth_client_options(struct arena *a, const struct oauth_client *c);
/* Fills secret or redirect_uri; false: malformed. Copies into a. */
bool oauth_client_read_options(struct arena *a, struct str options, struct oauth_client *c);

#endif
