/* Removal of an account from all tables. A new area adds its statements to the list. Suspends: everything public. */
#include "store/account.h"

#include "store/oauth.h"
#include "store/rows.h"
#include "store/tally.h"

/* Each takes the host and the name; stanzas and items go before what says whose they are. */
static const enum sql_stmt_id by_name[] = {
    STMT_users_delete, STMT_last_delete, STMT_roster_delete_all, STMT_roster_groups_delete_all, STMT_roster_version_delete,
    STMT_spool_delete_all, STMT_vcard_delete, STMT_vcard_search_delete, STMT_private_delete_all, STMT_privacy_data_delete_all,
    STMT_privacy_delete_all, STMT_privacy_default_delete, STMT_sm_stanza_forget, STMT_sm_forget, STMT_fast_forget,
    STMT_stranger_forget,
};

struct removal {
    struct str host, user, jid;
    int64_t tokens, users;
};

static enum store_rc remove_rows(struct sql_conn *c, void *arg)
{
    struct removal *r = arg;
    const struct sql_value owner[] = {V_STR(r->host), V_STR(r->user)};
    struct sql_op ops[ARRAY_LEN(by_name) + 2];
    size_t n = 0;
    int64_t touched;
    enum store_rc rc;

    for (size_t i = 0; i < ARRAY_LEN(by_name); i++)
        ops[n++] = (struct sql_op){by_name[i], owner, ARRAY_LEN(owner)};
    ops[n++] = SQL_OP(STMT_srg_forget, V_STR(r->host), V_STR(r->jid));
    /* Under the empty name there is the message itself. */
    if (r->user.n)
        ops[n++] = (struct sql_op){STMT_motd_delete, owner, ARRAY_LEN(owner)};
    r->tokens = 0;
    rc = ops_run(c, ops, 1, &r->users);
    if (rc == STORE_OK)
        rc = ops_run(c, ops + 1, n - 1, &touched);
    if (rc == STORE_OK)
        rc = oauth_token_forget_in(c, r->host, r->user, &r->tokens);
    return rc == STORE_OK && r->users + touched + r->tokens == 0 ? STORE_NONE : rc;
}

static enum store_rc remove_counted(struct removal *r) YIELDS;
static enum store_rc remove_counted(struct removal *r)
{
    struct tally_key accounts = tally_key(TALLY_USERS, r->host, STR_NULL), messages = tally_key(TALLY_SPOOL, r->host, r->user);
    enum store_rc rc;

    tally_begin(accounts);
    tally_forget(messages);
    rc = store_write(remove_rows, r);
    tally_forget(messages);
    tally_forget(tally_key(TALLY_LAST, r->host, r->user));
    tally_end(accounts, rc, r->users ? -1 : 0);
    return rc;
}

enum store_rc account_remove(struct str host, struct str user, int64_t *tokens_out)
{
    struct removal r = {.host = host, .user = user};
    enum store_rc rc = STORE_NONE;
    struct arena *a;

    if (owner_ok(host, user)) {
        a = arena_new();
        r.jid = user.n ? arena_printf(a, "%.*s@%.*s", STR_ARG(user), STR_ARG(host)) : host;
        rc = remove_counted(&r);
        arena_release(&a);
    }
    if (tokens_out)
        *tokens_out = r.tokens;
    return rc;
}

/* --- strangers --- */

#define STRANGERS_AT_ONCE 64

enum store_rc stranger_add(struct str host, struct str user)
{
    return owner_ok(host, user) ? ops_write(OPS(SQL_OP(STMT_stranger_add, V_STR(host), V_STR(user))), NULL) : STORE_REFUSED;
}

static enum store_rc read_some(struct sql_conn *c, struct arena *a, struct removal out[STRANGERS_AT_ONCE], size_t *n_out)
{
    struct sql_query q;
    sql_start(c, STMT_stranger_some, SQL_ARGS(V_INT(STRANGERS_AT_ONCE)), &q);
    for (*n_out = 0; *n_out < STRANGERS_AT_ONCE && sql_next(&q); ++*n_out) {
        struct str host = arena_str(a, sql_text(&q, 0)), user = arena_str(a, sql_text(&q, 1));
        out[*n_out] = (struct removal){host, user, arena_printf(a, "%.*s@%.*s", STR_ARG(user), STR_ARG(host)), 0};
    }
    return sql_end(&q);
}

static enum store_rc remove_some(struct sql_conn *c, void *arg)
{
    struct removal some[STRANGERS_AT_ONCE];
    struct arena *a = arena_new();
    size_t n = 0;
    enum store_rc rc = read_some(c, a, some, &n);
    for (size_t i = 0; rc == STORE_OK && i < n; i++)
        rc = remove_rows(c, &some[i]);
    arena_release(&a);
    *(size_t *)arg = n;
    return rc;
}

enum store_rc stranger_remove_all(uint64_t *removed_out)
{
    size_t n = STRANGERS_AT_ONCE;
    *removed_out = 0;
    while (n == STRANGERS_AT_ONCE) {
        enum store_rc rc = store_write(remove_some, &n);
        if (rc != STORE_OK)
            return rc;
        *removed_out += n;
    }
    return STORE_OK;
}
