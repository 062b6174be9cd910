/* Removal of an account from all tables. A new area adds its statements to the list. Suspends: account_remove. */
#include "store/account.h"

#include "store/rows.h"

/* Each takes the host and the name; stanzas and items go before what says whose they are. */
static const enum sql_stmt_id by_name[] = {
    STMT_users_delete, STMT_last_delete, STMT_roster_delete_all, STMT_roster_groups_delete_all, STMT_roster_version_delete,
    STMT_spool_delete_all, STMT_vcard_delete, STMT_vcard_search_delete, STMT_private_delete_all, STMT_privacy_data_delete_all,
    STMT_privacy_delete_all, STMT_privacy_default_delete, STMT_sm_stanza_forget, STMT_sm_forget, STMT_fast_forget,
};

enum store_rc account_remove(struct str host, struct str user)
{
    const struct sql_value owner[] = {V_STR(host), V_STR(user)};
    struct sql_op ops[ARRAY_LEN(by_name) + 3];
    size_t n = 0;
    struct arena *a;
    struct str jid;
    enum store_rc rc;

    if (!owner_ok(host, user))
        return STORE_NONE;
    a = arena_new();
    jid = user.n ? arena_printf(a, "%.*s@%.*s", STR_ARG(user), STR_ARG(host)) : host;
    for (size_t i = 0; i < ARRAY_LEN(by_name); i++)
        ops[n++] = (struct sql_op){by_name[i], owner, ARRAY_LEN(owner)};
    ops[n++] = SQL_OP(STMT_srg_forget, V_STR(host), V_STR(jid));
    ops[n++] = SQL_OP(STMT_oauth_token_delete_of, V_STR(jid));
    /* Under the empty name there is the message itself. */
    if (user.n)
        ops[n++] = (struct sql_op){STMT_motd_delete, owner, ARRAY_LEN(owner)};
    rc = ops_change(ops, n);
    arena_release(&a);
    return rc;
}
