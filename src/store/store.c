/*
 * Start and stop of the store, and the way of a fiber to a connection: reader threads with a connection each (opened when
 * first used, so that an idle server does not pay for it) and the writer. There is one store per process.
 * Suspends: store_read, store_write.
 */
#include "store/db.h"
#include "store/schema.h"
#include "store/writer.h"
#include "store/delivered.h"
#include "store/tally.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "rt/fault.h"
#include "rt/pool.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_BYTES 1023       /* a part of an address, RFC 7622 §3.1 */
#define TEXT_MAX_BYTES (16 << 20)
#define READERS_DEFAULT 2
#define WRITER_WAIT_MS 5000
#define READER_WAIT_MS 2000
#define START_WAIT_MS 2000
#define WRITER_CACHE_KB 4096
#define READER_CACHE_KB 1024

static struct {
    const struct sql_driver *driver;
    char *path;
    struct sql_target target; /* of the readers */
    struct pool *readers;
    struct writer *writer;
    char about[64];
} store;

struct read_job {
    store_fn fn;
    void *arg;
    enum store_rc rc;
};

struct reader {
    struct sql_conn *conn;
};

static void *reader_init(void *ctx)
{
    return MEM_NEW(struct reader);
}

static void reader_exit(void *state)
{
    struct reader *r = state;

    sql_close(&r->conn);
    free(r);
}

static bool reader_ready(struct reader *r)
{
    struct error err = ERROR_INIT;

    if (r->conn || store.driver->open(&store.target, &r->conn, &err) == 0)
        return true;
    LOG_LIMITED(ERROR, "store", NULL, "reader: %s", err.text);
    return false;
}

static void run_read(void *arg, void *state)
{
    struct read_job *j = arg;
    struct reader *r = state;

    if (fault_hit(FAULT_store_slow))
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    if (fault_hit(FAULT_store_busy) || !reader_ready(r))
        j->rc = STORE_UNAVAILABLE;
    else
        j->rc = j->fn(r->conn, j->arg);
}

enum store_rc store_read(store_fn fn, void *arg)
{
    struct read_job j = {.fn = fn, .arg = arg, .rc = STORE_UNAVAILABLE};

    if (store.readers)
        pool_run(store.readers, run_read, &j);
    return j.rc;
}

enum store_rc store_write(store_fn fn, void *arg)
{
    return store.writer ? writer_run(store.writer, fn, arg) : STORE_UNAVAILABLE;
}

static void post(bool lazy, store_fn fn, void *arg, store_done_fn done, const char *what)
{
    if (store.writer)
        writer_post(store.writer, lazy, fn, arg, done, what);
    else
        done(arg, STORE_UNAVAILABLE);
}

void store_done_free(void *arg, enum store_rc rc)
{
    (void)rc;
    free(arg);
}

void store_write_later(store_fn fn, void *arg, store_done_fn done, const char *what)
{
    post(false, fn, arg, done, what);
}

void store_write_lazily(store_fn fn, void *arg, store_done_fn done, const char *what)
{
    post(true, fn, arg, done, what);
}

/* The writer's connection, with everything checked that a first query could trip over. */
static struct sql_conn *open_checked(const struct sql_target *target, struct error *err)
{
    struct sql_conn *c = NULL;

    if (store.driver->open(target, &c, err) != 0)
        return NULL;
    if (schema_ensure(c, err) == 0 && sql_prepare_all(c, err) == 0)
        return c;
    err_wrap(err, "database %s", target->path);
    sql_close(&c);
    return NULL;
}

static void forget(void)
{
    free(store.path);
    memset(&store, 0, sizeof(store));
}

void store_forget_counts(void)
{
    tally_forget_everything();
}

int store_start(const struct store_config *cfg, struct error *err)
{
    struct sql_target target;
    struct sql_conn *conn;

    tally_reset(cfg->multihost);
    delivered_start(cfg->multihost);
    store.driver = sql_driver_find(cfg->driver);
    if (!store.driver)
        return err_set(err, ERR_CONFIG, "no database driver \"%s\"", cfg->driver);
    store.path = mem_alloc(strlen(cfg->path) + 1);
    strcpy(store.path, cfg->path);
    target = (struct sql_target){.path = store.path, .multihost = cfg->multihost, .durable = cfg->durable,
                                 .wait_ms = START_WAIT_MS, .cache_kb = WRITER_CACHE_KB};
    conn = open_checked(&target, err);
    if (!conn) {
        forget();
        return -1;
    }
    store.target = target;
    store.target.wait_ms = READER_WAIT_MS;
    store.target.cache_kb = READER_CACHE_KB;
    snprintf(store.about, sizeof(store.about), "%s, %s schema", cfg->driver, cfg->multihost ? "new" : "default");
    store.writer = writer_new(conn);
    store.readers = pool_new("store", cfg->readers ? cfg->readers : READERS_DEFAULT, reader_init, reader_exit, NULL);
    return 0;
}

void store_stop(void)
{
    /* Readers first: the last connection to close folds the write-ahead log back into the database. */
    if (store.readers)
        pool_delete(&store.readers);
    writer_delete(&store.writer);
    delivered_stop();
    forget();
}

int store_error(enum store_rc rc, const char *what, struct error *err)
{
    switch (rc) {
    case STORE_NONE:
        return err_set(err, ERR_NOT_FOUND, "%s: not found", what);
    case STORE_CONFLICT:
        return err_set(err, ERR_CONFLICT, "%s: exists already", what);
    case STORE_UNCERTAIN:
        return err_set(err, ERR_UNCERTAIN, "%s: the write may or may not have happened", what);
    case STORE_REFUSED:
        return err_set(err, ERR_NOT_ACCEPTABLE, "%s: text that cannot be stored", what);
    case STORE_LIMIT:
        return err_set(err, ERR_NOT_ALLOWED, "%s: there are as many as there may be", what);
    default:
        return err_set(err, ERR_UNAVAILABLE, "%s: storage unavailable", what);
    }
}

const char *store_describe(void)
{
    return store.about;
}

struct store_stats store_stats(void)
{
    struct writer_stats s = {0};

    if (store.writer)
        s = writer_stats(store.writer);
    return (struct store_stats){.writes = s.jobs, .commits = s.commits, .refused = s.refused};
}

static bool text_ok(struct str s, size_t max)
{
    return s.n <= max && utf8_valid(s) && (s.n == 0 || !memchr(s.p, 0, s.n));
}

bool store_name_ok(struct str name)
{
    return text_ok(name, NAME_MAX_BYTES);
}

bool store_text_ok(struct str text)
{
    return text_ok(text, TEXT_MAX_BYTES);
}
