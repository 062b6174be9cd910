/* Table `cj_fast_token`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/fast.h"

#include "store/rows.h"

#define OWNER(o) V_STR((o)->host), V_STR((o)->user), V_STR((o)->agent)

static bool names_ok(const struct fast_owner *o)
{
    return owner_ok(o->host, o->user) && store_name_ok(o->agent);
}

static bool read_row(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(struct fast_row *)row_out = (struct fast_row){
        .newer = sql_int(q, 0) != 0,
        .mechanism = arena_str(r->a, sql_text(q, 1)),
        .salt = arena_str(r->a, sql_text(q, 2)),
        .created_s = sql_int(q, 3),
        .expires_s = sql_int(q, 4),
        .count = sql_int(q, 5),
    };
    return true;
}

enum store_rc fast_get(struct arena *a, const struct fast_owner *o, struct fast_row out[2], size_t *n_out)
{
    struct rows r = ROWS(struct fast_row, STMT_fast_get, read_row, OWNER(o));
    void *rows = NULL;
    size_t n = 0;
    enum store_rc rc;

    *n_out = 0;
    if (!names_ok(o))
        return STORE_OK;
    rc = rows_all(a, &r, &rows, &n);
    for (size_t i = 0; rc == STORE_OK && i < n && i < 2; i++)
        out[(*n_out)++] = ((const struct fast_row *)rows)[i];
    return rc;
}

enum store_rc fast_add(const struct fast_owner *o, const struct fast_row *row, int64_t forget_s)
{
    int64_t touched;

    if (!names_ok(o) || !store_text_ok(row->mechanism) || !store_text_ok(row->salt))
        return STORE_REFUSED;
    return ops_write(OPS(SQL_OP(STMT_fast_forget_old, V_INT(forget_s)),
                         SQL_OP(STMT_fast_drop_newer, OWNER(o)),
                         SQL_OP(STMT_fast_add, OWNER(o), V_STR(row->mechanism), V_STR(row->salt), V_INT(row->created_s),
                                V_INT(row->expires_s), V_INT(row->count)),
                         SQL_OP(STMT_fast_forget_more, V_STR(o->host), V_STR(o->user), V_STR(o->host), V_STR(o->user),
                                V_INT(FAST_CLIENTS_MAX))),
                     &touched);
}

struct used_job {
    const struct fast_owner *o;
    struct str salt;
    int64_t count;
    enum fast_use use;
};

static enum store_rc take_count(struct sql_conn *c, const struct used_job *j)
{
    int64_t touched = 0;
    enum store_rc rc;

    if (j->count < 0)
        return STORE_OK;
    rc = sql_run(c, STMT_fast_used_count, SQL_ARGS(V_INT(j->count), OWNER(j->o), V_STR(j->salt), V_INT(j->count)), &touched);
    return rc == STORE_OK && !touched ? STORE_NONE : rc;
}

static enum store_rc promote(struct sql_conn *c, const struct used_job *j)
{
    enum store_rc rc = sql_run(c, STMT_fast_drop_older, SQL_ARGS(OWNER(j->o)), NULL);

    return rc == STORE_OK ? sql_run(c, STMT_fast_promote, SQL_ARGS(OWNER(j->o)), NULL) : rc;
}

static enum store_rc use(struct sql_conn *c, void *arg)
{
    const struct used_job *j = arg;
    int64_t newer = 0;
    enum store_rc rc = row_int(c, STMT_fast_is_newer, SQL_ARGS(OWNER(j->o), V_STR(j->salt)), &newer);

    if (rc == STORE_OK)
        rc = take_count(c, j);
    if (rc != STORE_OK)
        return rc;
    if (j->use == FAST_USE_INVALIDATE)
        return sql_run(c, STMT_fast_drop_client, SQL_ARGS(OWNER(j->o)), NULL);
    return newer ? promote(c, j) : STORE_OK;
}

enum store_rc fast_used(const struct fast_owner *o, struct str salt, int64_t count, enum fast_use use_)
{
    struct used_job j = {.o = o, .salt = salt, .count = count, .use = use_};

    return names_ok(o) ? store_write(use, &j) : STORE_NONE;
}

enum store_rc fast_forget(struct str host, struct str user)
{
    int64_t touched;

    return owner_ok(host, user) ? ops_write(OPS(SQL_OP(STMT_fast_forget, V_STR(host), V_STR(user))), &touched) : STORE_OK;
}
