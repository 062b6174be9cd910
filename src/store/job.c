/* Table `cj_job`. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/job.h"

#include "store/rows.h"

static bool read_job(const struct sql_query *q, struct rows *r, void *row_out)
{
    int64_t state = sql_int(q, 3);

    *(struct job *)row_out = (struct job){
        .id = sql_int(q, 0),
        .kind = arena_str(r->a, sql_text(q, 1)),
        .host = arena_str(r->a, sql_text(q, 2)),
        .state = state >= JOB_RUNNING && state <= JOB_FAILED ? (enum job_state)state : JOB_FAILED,
        .parameters = arena_str(r->a, sql_text(q, 4)),
        .position = arena_str(r->a, sql_text(q, 5)),
        .done = (uint64_t)sql_int(q, 6),
        .total = (uint64_t)sql_int(q, 7),
        .started_s = sql_int(q, 8),
        .finished_s = sql_int(q, 9),
        .error = arena_str(r->a, sql_text(q, 10)),
    };
    return true;
}

struct start {
    const struct job *j;
    int64_t id;
};

/* STORE_NONE when none runs. */
static enum store_rc running_id(struct sql_conn *c, const struct job *j, int64_t *out)
{
    return row_int(c, STMT_job_running_of, SQL_ARGS(V_STR(j->kind), V_STR(j->host)), out);
}

static enum store_rc start(struct sql_conn *c, void *arg)
{
    struct start *s = arg;
    const struct job *j = s->j;
    enum store_rc rc = running_id(c, j, &s->id);

    if (rc != STORE_NONE)
        return rc == STORE_OK ? STORE_CONFLICT : rc;
    rc = sql_run(c, STMT_job_add, SQL_ARGS(V_STR(j->kind), V_STR(j->host), V_STR(j->parameters), V_INT((int64_t)j->total),
                                           V_INT(j->started_s)), NULL);
    return rc == STORE_OK ? running_id(c, j, &s->id) : rc;
}

enum store_rc job_start(const struct job *j, int64_t *id_out)
{
    struct start s = {.j = j};
    enum store_rc rc = STORE_REFUSED;

    if (owner_ok(j->kind, j->host) && store_text_ok(j->parameters))
        rc = store_write(start, &s);
    *id_out = s.id;
    return rc;
}

enum store_rc job_progress(struct sql_conn *c, int64_t id, struct str position, int64_t more)
{
    int64_t touched = 0;
    enum store_rc rc = sql_run(c, STMT_job_progress, SQL_ARGS(V_STR(position), V_INT(more), V_INT(id)), &touched);

    return rc == STORE_OK && !touched ? STORE_NONE : rc;
}

enum store_rc job_abort(int64_t id, int64_t now_s)
{
    return ops_change(OPS(SQL_OP(STMT_job_abort, V_INT(now_s), V_INT(id))));
}

enum store_rc job_finish(int64_t id, enum job_state state, uint64_t done, struct str error, int64_t now_s)
{
    return ops_change(OPS(SQL_OP(STMT_job_finish, V_INT(state), V_INT((int64_t)done), V_STR(error), V_INT(now_s), V_INT(id))));
}

enum store_rc job_last(struct arena *a, struct str kind, struct str host, struct job *out)
{
    struct rows r = ROWS(struct job, STMT_job_last, read_job, V_STR(kind), V_STR(host));

    return rows_one(a, &r, out);
}

enum store_rc job_running(struct arena *a, struct job **out, size_t *n_out)
{
    struct rows r = {.id = STMT_job_running, .size = sizeof(struct job), .read = read_job, .more = true};

    return rows_all(a, &r, (void **)out, n_out);
}

enum store_rc job_forget(int64_t before_s, uint64_t *removed_out)
{
    int64_t n = 0;
    enum store_rc rc = ops_write(OPS(SQL_OP(STMT_job_forget, V_INT(before_s))), &n);

    *removed_out = (uint64_t)n;
    return rc;
}
