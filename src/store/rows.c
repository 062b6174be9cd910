/*
 * Rows to fibers, statements to the writer. The reader thread fills arenas of its own, because the caller's may be in use by
 * other fibers of its shard meanwhile; a finished one changes hands whole instead of being copied.
 * Suspends: what store/rows.h marks.
 */
#include "store/rows.h"

#include <stdio.h>
#include <time.h>

static bool texts_ok(const struct sql_value *args, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (args[i].type == SQL_TEXT && !store_text_ok(args[i].text))
            return false;
    return true;
}

static void *push(struct rows *r)
{
    if (r->n == r->cap) {
        char *grown;
        r->cap = r->cap ? r->cap * 2 : 16;
        grown = arena_alloc(r->a, r->cap * r->size);
        if (r->n)
            memcpy(grown, r->rows, r->n * r->size);
        r->rows = grown;
    }
    return memset(r->rows + r->n * r->size, 0, r->size);
}

static size_t page_size(const struct rows *r)
{
    return r->page ? r->page : ROWS_PAGE;
}

static bool page_full(const struct rows *r)
{
    return r->advance && arena_size(r->a) >= ROWS_PAGE_BYTES;
}

static void begin_page(struct rows *r)
{
    /* The arguments borrow the key of the last row. */
    arena_release(&r->before);
    r->before = r->a;
    if (r->looked_at)
        r->advance(r, r->last);
    r->a = arena_new();
    r->rows = NULL;
    r->n = r->cap = r->at = r->looked_at = 0;
    r->last = arena_zalloc(r->a, r->size);
}

enum store_rc rows_fetch(struct sql_conn *c, struct rows *r)
{
    struct sql_query q;
    bool cut = false;

    begin_page(r);
    if (r->advance)
        r->args[r->n_args - 1] = V_INT((int64_t)page_size(r));
    sql_start(c, r->id, r->args, r->n_args, &q);
    while (!cut && sql_next(&q)) {
        void *row = push(r);
        r->n += r->read(&q, r, row);
        r->looked_at++;
        memcpy(r->last, row, r->size);
        cut = r->enough || page_full(r);
    }
    r->more = r->advance && !r->enough && (cut || r->looked_at == page_size(r));
    return sql_end(&q);
}

static enum store_rc fetch_job(struct sql_conn *c, void *arg)
{
    return rows_fetch(c, arg);
}

bool rows_page(struct rows *r)
{
    while (r->more && r->rc == STORE_OK) {
        r->more = false;
        if (texts_ok(r->args, r->n_args))
            r->rc = store_read(fetch_job, r);
        if (r->rc == STORE_OK && r->n)
            return true;
    }
    return false;
}

const void *rows_next(struct rows *r)
{
    if (r->at == r->n && !rows_page(r))
        return NULL;
    return r->rows + r->at++ * r->size;
}

enum store_rc rows_end(struct rows *r)
{
    arena_release(&r->before);
    arena_release(&r->a);
    return r->rc;
}

void rows_give(struct rows *r, struct arena *a)
{
    if (r->a)
        arena_on_release(a, arena_drop, r->a);
    r->a = NULL;
}

enum store_rc rows_one(struct arena *a, struct rows *r, void *row_out)
{
    if (!rows_page(r))
        return rows_end(r) == STORE_OK ? STORE_NONE : r->rc;
    memcpy(row_out, r->rows, r->size);
    rows_give(r, a);
    return rows_end(r);
}

enum store_rc rows_all(struct arena *a, struct rows *r, void **rows_out, size_t *n_out)
{
    size_t n = 0, cap = 0;
    char *all = NULL;

    *rows_out = NULL;
    *n_out = 0;
    while (rows_page(r)) {
        if (!all && !r->more) {
            all = r->rows;
        } else if (n + r->n > cap) {
            char *grown;
            cap = (n + r->n) * 2;
            grown = arena_alloc(a, cap * r->size);
            if (n)
                memcpy(grown, all, n * r->size);
            all = grown;
        }
        if (all != r->rows)
            memcpy(all + n * r->size, r->rows, r->n * r->size);
        n += r->n;
        /* The key of the last row is still asked for. */
        arena_on_release(a, arena_drop, arena_hold(r->a));
    }
    if (rows_end(r) != STORE_OK)
        return r->rc;
    *rows_out = all;
    *n_out = n;
    return STORE_OK;
}

enum store_rc rows_number(struct rows *r, int64_t *out)
{
    const int64_t *n = rows_next(r);

    *out = n ? *n : 0;
    return rows_end(r);
}

bool read_str(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(struct str *)row_out = arena_str(r->a, sql_text(q, 0));
    return true;
}

bool read_int(const struct sql_query *q, struct rows *r, void *row_out)
{
    *(int64_t *)row_out = sql_int(q, 0);
    return true;
}

enum store_rc row_int(struct sql_conn *c, enum sql_stmt_id id, const struct sql_value *args, size_t n, int64_t *out)
{
    struct sql_query q;
    enum store_rc rc;
    bool found;

    sql_start(c, id, args, n, &q);
    found = sql_next(&q);
    *out = found ? sql_int(&q, 0) : 0;
    rc = sql_end(&q);
    return rc != STORE_OK ? rc : found ? STORE_OK : STORE_NONE;
}

/* --- writing --- */

enum store_rc ops_run(struct sql_conn *c, const struct sql_op *ops, size_t n, int64_t *touched_out)
{
    enum store_rc rc = STORE_OK;

    *touched_out = 0;
    for (size_t i = 0; rc == STORE_OK && i < n; i++) {
        int64_t touched;
        rc = sql_run(c, ops[i].id, ops[i].args, ops[i].n, &touched);
        *touched_out += touched;
    }
    return rc;
}

struct ops_job {
    const struct sql_op *ops;
    size_t n;
    int64_t touched;
};

static enum store_rc run_ops(struct sql_conn *c, void *arg)
{
    struct ops_job *j = arg;

    return ops_run(c, j->ops, j->n, &j->touched);
}

enum store_rc ops_write(const struct sql_op *ops, size_t n, int64_t *touched_out)
{
    struct ops_job j = {.ops = ops, .n = n};
    enum store_rc rc;

    for (size_t i = 0; i < n; i++)
        if (!texts_ok(ops[i].args, ops[i].n))
            return STORE_REFUSED;
    rc = store_write(run_ops, &j);
    if (touched_out)
        *touched_out = j.touched;
    return rc;
}

enum store_rc ops_change(const struct sql_op *ops, size_t n)
{
    int64_t touched = 0;
    enum store_rc rc = ops_write(ops, n, &touched);

    return rc == STORE_OK && touched == 0 ? STORE_NONE : rc;
}

/* --- time --- */

struct str store_time_format(char buf[STORE_TIME_LEN], int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    gmtime_r(&t, &tm);
    return str_n(buf, strftime(buf, STORE_TIME_LEN, "%Y-%m-%d %H:%M:%S", &tm));
}

int64_t store_time_parse(struct str text)
{
    char buf[STORE_TIME_LEN];
    struct tm tm = {0};

    if (text.n < STORE_TIME_LEN - 1)
        return 0;
    /* PostgreSQL adds fractions of a second. */
    snprintf(buf, sizeof(buf), "%.*s", STORE_TIME_LEN - 1, text.p);
    return strptime(buf, "%Y-%m-%d %H:%M:%S", &tm) ? (int64_t)timegm(&tm) : 0;
}
