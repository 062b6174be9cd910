/* Table `last`. Suspends: everything but what ends in _later. Seconds are text in the table, as ejabberd writes them. */
#include "store/last.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/db.h"
#include "store/tally.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define NOTE_S 3600 /* a note that is only there in case nobody gets to write the next one need not be fresher */

struct last_job {
    struct arena *a;
    struct str host, user, status;
    int64_t seconds;
};

/* Writes that nobody waits for and that are not done: who reads meanwhile reads behind them. */
static atomic_uint under_way;

static enum store_rc read_row(struct sql_conn *c, void *arg)
{
    struct last_job *j = arg;
    struct sql_query q;
    enum store_rc rc;
    bool found;

    sql_start(c, STMT_last_get, SQL_ARGS(V_STR(j->host), V_STR(j->user)), &q);
    found = sql_next(&q);
    if (found) {
        j->seconds = sql_int(&q, 0);
        j->status = arena_str(j->a, sql_text(&q, 1));
    }
    rc = sql_end(&q);
    return rc != STORE_OK ? rc : found ? STORE_OK : STORE_NONE;
}

enum store_rc last_get(struct arena *a, struct str host, struct str user, int64_t *seconds_out, struct str *status_out)
{
    struct last_job j = {.host = host, .user = user};
    enum store_rc rc;

    if (!store_name_ok(host) || !store_name_ok(user))
        return STORE_NONE;
    /* The caller's arena may be in use by other fibers of its shard meanwhile: the reader thread gets one of its own. */
    j.a = arena_new();
    rc = atomic_load(&under_way) ? store_write(read_row, &j) : store_read(read_row, &j);
    if (rc == STORE_OK) {
        *seconds_out = j.seconds;
        *status_out = arena_str(a, j.status);
    }
    arena_release(&j.a);
    return rc;
}

enum store_rc last_write(struct sql_conn *c, struct str host, struct str user, int64_t seconds, struct str status)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, seconds);
    return sql_run(c, STMT_last_set, SQL_ARGS(V_STR(host), V_STR(user), V_STR(str_of(text)), V_STR(status)), NULL);
}

static enum store_rc write_row(struct sql_conn *c, void *arg)
{
    const struct last_job *j = arg;

    return last_write(c, j->host, j->user, j->seconds, j->status);
}

static bool storable(const struct last_job *j)
{
    return store_name_ok(j->host) && store_name_ok(j->user) && store_text_ok(j->status);
}

enum store_rc last_set(struct str host, struct str user, int64_t seconds, struct str status)
{
    struct last_job j = {.host = host, .user = user, .seconds = seconds, .status = status};
    enum store_rc rc = storable(&j) ? store_write(write_row, &j) : STORE_REFUSED;

    tally_forget(tally_key(TALLY_LAST, host, user));
    return rc;
}

static struct str append(char **at, struct str s)
{
    struct str copy = str_n(*at, s.n);

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static void set_later_done(void *job, enum store_rc rc)
{
    struct last_job *j = job;

    if (rc != STORE_OK)
        tally_forget(tally_key(TALLY_LAST, j->host, j->user));
    atomic_fetch_sub(&under_way, 1);
    free(job);
}

void last_set_later(struct str host, struct str user, int64_t seconds, struct str status)
{
    struct last_job *j, borrowed = {.host = host, .user = user, .status = status};
    struct tally_key k = tally_key(TALLY_LAST, host, user);
    char *at;

    if (!storable(&borrowed)) {
        LOG_LIMITED(ERROR, "store", NULL, "last activity: text that cannot be stored");
        return;
    }
    j = mem_alloc(sizeof(*j) + host.n + user.n + status.n);
    at = (char *)(j + 1);
    *j = (struct last_job){.seconds = seconds};
    j->host = append(&at, host);
    j->user = append(&at, user);
    j->status = append(&at, status);
    atomic_fetch_add(&under_way, 1);
    tally_set(k, tally_look(k), (uint64_t)seconds);
    store_write_lazily(write_row, j, set_later_done, "last activity");
}

void last_note_later(struct str host, struct str user, int64_t now)
{
    uint64_t noted;

    if (!tally_get(tally_key(TALLY_LAST, host, user), &noted, NULL) || now < (int64_t)noted || now - (int64_t)noted > NOTE_S)
        last_set_later(host, user, now, STR_NULL);
}

static enum store_rc delete_row(struct sql_conn *c, void *arg)
{
    const struct last_job *j = arg;
    int64_t changes = 0;
    enum store_rc rc = sql_run(c, STMT_last_delete, SQL_ARGS(V_STR(j->host), V_STR(j->user)), &changes);

    return rc == STORE_OK && changes == 0 ? STORE_NONE : rc;
}

enum store_rc last_remove(struct str host, struct str user)
{
    struct last_job j = {.host = host, .user = user};
    enum store_rc rc = store_name_ok(host) && store_name_ok(user) ? store_write(delete_row, &j) : STORE_NONE;

    tally_forget(tally_key(TALLY_LAST, host, user));
    return rc;
}
