/* Privacy lists. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/privacy.h"

#include "store/rows.h"
#include "store/tally.h"

static enum privacy_type type_of(struct str s)
{
    char c = s.n == 1 ? s.p[0] : 0;

    return c == PRIVACY_JID || c == PRIVACY_GROUP || c == PRIVACY_SUBSCRIPTION ? (enum privacy_type)c : PRIVACY_ANY;
}

/* A list without items is one row of nothing. */
static bool read_item(const struct sql_query *q, struct rows *r, void *row_out)
{
    if (!sql_text(q, 0).p)
        return false;
    *(struct privacy_item *)row_out = (struct privacy_item){
        .type = type_of(sql_text(q, 0)),
        .value = arena_str(r->a, sql_text(q, 1)),
        .allow = str_eq(sql_text(q, 2), S("a")),
        .order = sql_int(q, 3),
        .match_all = sql_int(q, 4),
        .match_iq = sql_int(q, 5),
        .match_message = sql_int(q, 6),
        .match_presence_in = sql_int(q, 7),
        .match_presence_out = sql_int(q, 8),
    };
    return true;
}

enum store_rc privacy_get(struct arena *a, struct str host, struct str user, struct str name, struct privacy_list *out)
{
    struct rows r = ROWS(struct privacy_item, STMT_privacy_get, read_item, V_STR(host), V_STR(user), V_STR(name));
    enum store_rc rc = rows_all(a, &r, (void **)&out->items, &out->n);

    return rc == STORE_OK && r.looked_at == 0 ? STORE_NONE : rc;
}

enum store_rc privacy_names(struct arena *a, struct str host, struct str user, struct str **out, size_t *n_out)
{
    struct rows r = ROWS(struct str, STMT_privacy_names, read_str, V_STR(host), V_STR(user));
    struct tally_key k = tally_key(TALLY_PRIVACY, host, user);
    uint64_t look = tally_look(k), none;
    enum store_rc rc;

    *n_out = 0;
    if (tally_get(k, &none, NULL))
        return STORE_OK;
    rc = rows_all(a, &r, (void **)out, n_out);
    if (rc == STORE_OK && !*n_out)
        tally_set(k, look, 0);
    return rc;
}

struct change {
    struct str host, user, name;
    const struct privacy_list *list;
    bool make_default;
};

/* STORE_NONE when there is no such list. */
static enum store_rc find_id(struct sql_conn *c, const struct change *w, int64_t *out)
{
    return row_int(c, STMT_privacy_id, SQL_ARGS(V_STR(w->host), V_STR(w->user), V_STR(w->name)), out);
}

static enum store_rc add_item(struct sql_conn *c, int64_t id, const struct privacy_item *i)
{
    char type = (char)i->type;

    return sql_run(c, STMT_privacy_data_add,
                   SQL_ARGS(V_INT(id), V_STR(str_n(&type, 1)), V_STR(i->value), V_INT(i->order), V_INT(i->match_all),
                            V_INT(i->match_iq), V_INT(i->match_message), V_INT(i->match_presence_in), V_INT(i->match_presence_out),
                            V_STR(i->allow ? S("a") : S("d"))), NULL);
}

static enum store_rc set_default(struct sql_conn *c, const struct change *w)
{
    return sql_run(c, STMT_privacy_default_set, SQL_ARGS(V_STR(w->host), V_STR(w->user), V_STR(w->name)), NULL);
}

static enum store_rc set_list(struct sql_conn *c, void *arg)
{
    const struct change *w = arg;
    int64_t id = 0;
    enum store_rc rc = sql_run(c, STMT_privacy_add, SQL_ARGS(V_STR(w->host), V_STR(w->user), V_STR(w->name)), NULL);

    if (rc == STORE_OK)
        rc = find_id(c, w, &id);
    if (rc == STORE_OK)
        rc = sql_run(c, STMT_privacy_data_delete, SQL_ARGS(V_INT(id)), NULL);
    for (size_t i = 0; rc == STORE_OK && i < w->list->n; i++)
        rc = add_item(c, id, &w->list->items[i]);
    return rc == STORE_OK && w->make_default ? set_default(c, w) : rc;
}

enum store_rc privacy_set(struct str host, struct str user, struct str name, const struct privacy_list *l, bool make_default)
{
    struct change w = {.host = host, .user = user, .name = name, .list = l, .make_default = make_default};
    struct tally_key k = tally_key(TALLY_PRIVACY, host, user);
    enum store_rc rc;

    if (!owner_ok(host, user) || !store_text_ok(name))
        return STORE_REFUSED;
    for (size_t i = 0; i < l->n; i++)
        if (!store_text_ok(l->items[i].value))
            return STORE_REFUSED;
    tally_forget(k);
    rc = store_write(set_list, &w);
    tally_forget(k);
    return rc;
}

static enum store_rc is_default(struct sql_conn *c, const struct change *w, bool *out)
{
    struct sql_query q;

    sql_start(c, STMT_privacy_default_get, SQL_ARGS(V_STR(w->host), V_STR(w->user)), &q);
    *out = sql_next(&q) && str_eq(sql_text(&q, 0), w->name);
    return sql_end(&q);
}

static enum store_rc remove_list(struct sql_conn *c, void *arg)
{
    const struct change *w = arg;
    bool in_use = false;
    int64_t id = 0;
    enum store_rc rc = find_id(c, w, &id);

    if (rc == STORE_OK)
        rc = is_default(c, w, &in_use);
    if (rc != STORE_OK || in_use)
        return rc == STORE_OK ? STORE_CONFLICT : rc;
    rc = sql_run(c, STMT_privacy_data_delete, SQL_ARGS(V_INT(id)), NULL);
    return rc == STORE_OK ? sql_run(c, STMT_privacy_delete, SQL_ARGS(V_INT(id)), NULL) : rc;
}

static enum store_rc set_default_checked(struct sql_conn *c, void *arg)
{
    const struct change *w = arg;
    enum store_rc rc = find_id(c, w, &(int64_t){0});

    return rc == STORE_OK ? set_default(c, w) : rc;
}

static enum store_rc on_named(store_fn fn, struct str host, struct str user, struct str name) YIELDS;
static enum store_rc on_named(store_fn fn, struct str host, struct str user, struct str name)
{
    struct change w = {.host = host, .user = user, .name = name};

    return owner_ok(host, user) && store_text_ok(name) ? store_write(fn, &w) : STORE_NONE;
}

enum store_rc privacy_remove(struct str host, struct str user, struct str name)
{
    return on_named(remove_list, host, user, name);
}

enum store_rc privacy_set_default(struct str host, struct str user, struct str name)
{
    return on_named(set_default_checked, host, user, name);
}

enum store_rc privacy_remove_all(struct str host, struct str user)
{
    if (!owner_ok(host, user))
        return STORE_NONE;
    return ops_change(OPS(SQL_OP(STMT_privacy_data_delete_all, V_STR(host), V_STR(user)),
                          SQL_OP(STMT_privacy_delete_all, V_STR(host), V_STR(user)),
                          SQL_OP(STMT_privacy_default_delete, V_STR(host), V_STR(user))));
}

enum store_rc privacy_get_default(struct arena *a, struct str host, struct str user, struct str *name_out)
{
    struct rows r = ROWS(struct str, STMT_privacy_default_get, read_str, V_STR(host), V_STR(user));

    return rows_one(a, &r, name_out);
}

enum store_rc privacy_unset_default(struct str host, struct str user)
{
    if (!owner_ok(host, user))
        return STORE_NONE;
    return ops_change(OPS(SQL_OP(STMT_privacy_default_delete, V_STR(host), V_STR(user))));
}
