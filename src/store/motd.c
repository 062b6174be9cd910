/* Table `motd`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/motd.h"

#include "store/rows.h"

enum store_rc motd_get(struct arena *a, struct str host, struct str *xml_out)
{
    struct rows r = ROWS(struct str, STMT_motd_get, read_str, V_STR(host));

    return rows_one(a, &r, xml_out);
}

enum store_rc motd_set(struct str host, struct str xml, bool keep_seen)
{
    struct sql_op clear = SQL_OP(STMT_motd_delete_all, V_STR(host));
    struct sql_op set = SQL_OP(STMT_motd_set, V_STR(host), V_STR(S("")), V_STR(xml));

    return keep_seen ? ops_write(OPS(set), NULL) : ops_write(OPS(clear, set), NULL);
}

enum store_rc motd_remove(struct str host)
{
    return ops_change(OPS(SQL_OP(STMT_motd_delete_all, V_STR(host))));
}

enum store_rc motd_seen(struct str host, struct str user)
{
    struct rows r = ROWS(struct str, STMT_motd_seen, read_str, V_STR(host), V_STR(user));
    bool seen = user.n && rows_next(&r);
    enum store_rc rc = rows_end(&r);

    return rc == STORE_OK && !seen ? STORE_NONE : rc;
}

enum store_rc motd_set_seen(struct str host, struct str user)
{
    if (user.n == 0)
        return STORE_OK;
    if (!owner_ok(host, user))
        return STORE_REFUSED;
    return ops_write(OPS(SQL_OP(STMT_motd_set, V_STR(host), V_STR(user), V_STR(S("")))), NULL);
}
