/* Tables `sr_group` and `sr_user`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/srg.h"

#include "base/log.h"
#include "store/rows.h"

static bool read_group(const struct sql_query *q, struct rows *r, void *row_out)
{
    struct srg_group *g = row_out;

    g->name = arena_str(r->a, sql_text(q, 0));
    g->malformed = !srg_opts_parse(r->a, sql_text(q, 1), &g->opts);
    if (g->malformed)
        LOG_LIMITED(WARNING, "store", NULL, "table sr_group: the options of %.*s are malformed", STR_ARG(g->name));
    return true;
}

static void advance_group(struct rows *r, const void *last)
{
    r->args[1] = V_STR(((const struct srg_group *)last)->name);
}

enum store_rc srg_list(struct arena *a, struct str host, struct srg_group **out, size_t *n_out)
{
    struct rows r = ROWS(struct srg_group, STMT_srg_list, read_group, V_STR(host), V_STR(S("")), V_INT(0));

    r.advance = advance_group;
    return rows_all(a, &r, (void **)out, n_out);
}

static void give_texts(struct rows *r, bool (*fn)(struct str text, void *arg) YIELDS, void *arg) YIELDS;
static void give_texts(struct rows *r, bool (*fn)(struct str text, void *arg), void *arg)
{
    const struct str *text;
    bool go_on = true;

    while (go_on && (text = rows_next(r)))
        go_on = fn(*text, arg);
}

static void advance_name(struct rows *r, const void *last)
{
    r->args[1] = V_STR(*(const struct str *)last);
}

enum store_rc srg_each_name(struct str host, struct str after, bool (*fn)(struct str name, void *arg) YIELDS, void *arg)
{
    struct rows r = ROWS(struct str, STMT_srg_names, read_str, V_STR(host), V_STR(after.p ? after : S("")), V_INT(0));

    r.advance = advance_name;
    give_texts(&r, fn, arg);
    return rows_end(&r);
}

enum store_rc srg_get(struct arena *a, struct str host, struct str name, struct srg_group *out)
{
    struct rows r = ROWS(struct srg_group, STMT_srg_get, read_group, V_STR(host), V_STR(name));

    return rows_one(a, &r, out);
}

enum store_rc srg_set(struct str host, struct str name, const struct srg_opts *o)
{
    struct arena *a = arena_new();
    enum store_rc rc = STORE_REFUSED;

    if (owner_ok(host, name) && name.n)
        rc = ops_write(OPS(SQL_OP(STMT_srg_set, V_STR(host), V_STR(name), V_STR(srg_opts_write(a, o)))), NULL);
    arena_release(&a);
    return rc;
}

struct removal {
    struct str host, name;
};

static enum store_rc remove_group(struct sql_conn *c, void *arg)
{
    const struct removal *j = arg;
    int64_t touched;
    enum store_rc rc = sql_run(c, STMT_srg_delete, SQL_ARGS(V_STR(j->host), V_STR(j->name)), &touched);

    if (rc != STORE_OK || touched == 0)
        return rc == STORE_OK ? STORE_NONE : rc;
    return sql_run(c, STMT_srg_members_delete, SQL_ARGS(V_STR(j->host), V_STR(j->name)), NULL);
}

enum store_rc srg_remove(struct str host, struct str name)
{
    struct removal j = {host, name};

    return owner_ok(host, name) ? store_write(remove_group, &j) : STORE_NONE;
}

static void advance_member(struct rows *r, const void *last)
{
    r->args[2] = V_STR(*(const struct str *)last);
}

enum store_rc srg_members(struct arena *a, struct str host, struct str name, struct str **out, size_t *n_out)
{
    struct rows r = ROWS(struct str, STMT_srg_members, read_str, V_STR(host), V_STR(name), V_STR(S("")), V_INT(0));

    r.advance = advance_member;
    return rows_all(a, &r, (void **)out, n_out);
}

enum store_rc srg_each_member(struct str host, struct str name, struct str after, bool (*fn)(struct str jid, void *arg) YIELDS,
                              void *arg)
{
    struct rows r = ROWS(struct str, STMT_srg_members, read_str, V_STR(host), V_STR(name), V_STR(after.p ? after : S("")),
                         V_INT(0));

    r.advance = advance_member;
    give_texts(&r, fn, arg);
    return rows_end(&r);
}

enum store_rc srg_groups_of(struct arena *a, struct str host, struct str jid, struct str **out, size_t *n_out)
{
    struct rows r = ROWS(struct str, STMT_srg_groups_of, read_str, V_STR(host), V_STR(jid));

    return rows_all(a, &r, (void **)out, n_out);
}

enum store_rc srg_add_member(struct str host, struct str name, struct str jid)
{
    if (!owner_ok(host, name) || !name.n || !jid.n)
        return STORE_REFUSED;
    return ops_write(OPS(SQL_OP(STMT_srg_member_add, V_STR(host), V_STR(jid), V_STR(name))), NULL);
}

enum store_rc srg_remove_member(struct str host, struct str name, struct str jid)
{
    if (!owner_ok(host, name) || !store_text_ok(jid))
        return STORE_NONE;
    return ops_change(OPS(SQL_OP(STMT_srg_member_delete, V_STR(host), V_STR(jid), V_STR(name))));
}
