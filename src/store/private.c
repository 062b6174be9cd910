/* Table `private_storage`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/private.h"

#include "store/rows.h"
#include "store/tally.h"

static bool read_element(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(struct private_element *)row_out =
        (struct private_element){.ns = arena_str(r->a, sql_text(q, 0)), .xml = arena_str(r->a, sql_text(q, 1))};
    return true;
}

enum store_rc private_get(struct arena *a, struct str host, struct str user, struct str ns, struct str *xml_out)
{
    struct rows r = ROWS(struct str, STMT_private_get, read_str, V_STR(host), V_STR(user), V_STR(ns));
    struct tally_key k = tally_key_of(TALLY_PRIVATE, host, user, ns);
    uint64_t look = tally_look(k), n;
    enum store_rc rc;

    if (tally_get(k, &n, NULL))
        return STORE_NONE;
    rc = rows_one(a, &r, xml_out);
    if (rc == STORE_NONE)
        tally_set(k, look, 0);
    return rc;
}

enum store_rc private_list(struct arena *a, struct str host, struct str user, struct private_element **out, size_t *n_out)
{
    struct rows r = ROWS(struct private_element, STMT_private_list, read_element, V_STR(host), V_STR(user));

    return rows_all(a, &r, (void **)out, n_out);
}

struct set {
    struct str host, user;
    const struct private_element *e;
    size_t n;
};

static enum store_rc set_all(struct sql_conn *c, void *arg)
{
    const struct set *s = arg;
    enum store_rc rc = STORE_OK;

    for (size_t i = 0; rc == STORE_OK && i < s->n; i++)
        rc = sql_run(c, STMT_private_set, SQL_ARGS(V_STR(s->host), V_STR(s->user), V_STR(s->e[i].ns), V_STR(s->e[i].xml)), NULL);
    return rc;
}

static void forget(const struct set *s)
{
    for (size_t i = 0; i < s->n; i++)
        tally_forget(tally_key_of(TALLY_PRIVATE, s->host, s->user, s->e[i].ns));
}

enum store_rc private_set(struct str host, struct str user, const struct private_element *e, size_t n)
{
    struct set s = {host, user, e, n};
    enum store_rc rc;

    if (!owner_ok(host, user))
        return STORE_REFUSED;
    for (size_t i = 0; i < n; i++)
        if (!store_text_ok(e[i].ns) || !store_text_ok(e[i].xml))
            return STORE_REFUSED;
    forget(&s);
    rc = store_write(set_all, &s);
    forget(&s);
    return rc;
}

static enum store_rc none_for_refused(enum store_rc rc)
{
    return rc == STORE_REFUSED ? STORE_NONE : rc;
}

enum store_rc private_remove(struct str host, struct str user, struct str ns)
{
    return none_for_refused(ops_change(OPS(SQL_OP(STMT_private_delete, V_STR(host), V_STR(user), V_STR(ns)))));
}

enum store_rc private_remove_all(struct str host, struct str user)
{
    return none_for_refused(ops_change(OPS(SQL_OP(STMT_private_delete_all, V_STR(host), V_STR(user)))));
}
