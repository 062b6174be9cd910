/*
 * SQLite driver: the embedded store. Write-ahead log, so that readers and the one writer do not wait for each other.
 * Every connection is used by one thread (the library is configured without its own locks). May block; never suspends.
 * Left out on purpose: memory-mapped reading, because an I/O error there is a SIGBUS instead of an answer.
 */
#include "store/sql.h"

#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Pages of log after which the writer copies it back into the database, once the answers are out. */
#define CHECKPOINT_PAGES 2000
/* The log file is cut to this size when it has been copied back. */
#define LOG_FILE_MAX (16 << 20)

struct conn {
    struct sql_conn base;
    sqlite3 *db;
    int log_pages;
};

/* struct sql_stmt is never defined: the pointer is SQLite's own. */
static sqlite3_stmt *native(struct sql_stmt *s)
{
    return (sqlite3_stmt *)(void *)s;
}

static struct conn *self(struct sql_conn *c)
{
    return (struct conn *)(void *)c;
}

static enum sql_rc class_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return SQL_DONE;
    case SQLITE_ROW:
        return SQL_ROW;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SQL_LOCKED;
    case SQLITE_FULL:
        return SQL_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return SQL_READONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return SQL_DAMAGED;
    case SQLITE_CONSTRAINT:
        return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ? SQL_DUPLICATE : SQL_FAILED;
    case SQLITE_IOERR:
        return SQL_LOST;
    default:
        return SQL_FAILED;
    }
}

static enum sql_rc result(struct conn *c, int code)
{
    enum sql_rc rc = class_of(code);

    if (rc != SQL_DONE && rc != SQL_ROW) {
        int sys = sqlite3_system_errno(c->db);
        bool device = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
        snprintf(c->base.message, sizeof(c->base.message), "%s%s%s", sqlite3_errmsg(c->db), device && sys ? ": " : "",
                 device && sys ? strerror(sys) : "");
    }
    return rc;
}

static enum sql_rc sqlite_exec(struct sql_conn *base, const char *text)
{
    struct conn *c = self(base);

    return result(c, sqlite3_exec(c->db, text, NULL, NULL, NULL));
}

static enum sql_rc sqlite_prepare(struct sql_conn *base, const char *text, unsigned count, struct sql_stmt **out)
{
    struct conn *c = self(base);
    sqlite3_stmt *s = NULL;
    enum sql_rc rc = result(c, sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL));

    if (rc == SQL_DONE && sqlite3_bind_parameter_count(s) != (int)count) {
        snprintf(c->base.message, sizeof(c->base.message), "takes %d parameters, %u are declared",
                 sqlite3_bind_parameter_count(s), count);
        sqlite3_finalize(s);
        return SQL_FAILED;
    }
    *out = (struct sql_stmt *)(void *)s;
    return rc;
}

static void sqlite_finalize_stmt(struct sql_stmt *s)
{
    sqlite3_finalize(native(s));
}

static enum sql_rc sqlite_bind(struct sql_conn *base, struct sql_stmt *s, unsigned index, const struct sql_value *v)
{
    int at = (int)index + 1, code;

    if (v->type == SQL_INT)
        code = sqlite3_bind_int64(native(s), at, v->integer);
    else if (v->type == SQL_TEXT)
        code = sqlite3_bind_text64(native(s), at, v->text.p ? v->text.p : "", v->text.n, SQLITE_STATIC, SQLITE_UTF8);
    else
        code = sqlite3_bind_null(native(s), at);
    return result(self(base), code);
}

static enum sql_rc sqlite_step(struct sql_conn *base, struct sql_stmt *s)
{
    return result(self(base), sqlite3_step(native(s)));
}

static struct str sqlite_text(struct sql_stmt *s, unsigned column)
{
    const void *p = sqlite3_column_text(native(s), (int)column);

    return p ? str_n(p, (size_t)sqlite3_column_bytes(native(s), (int)column)) : STR_NULL;
}

static int64_t sqlite_integer(struct sql_stmt *s, unsigned column)
{
    return sqlite3_column_int64(native(s), (int)column);
}

static void sqlite_reset_stmt(struct sql_stmt *s)
{
    sqlite3_reset(native(s));
    /* Bound text is borrowed; passwords go through here. */
    sqlite3_clear_bindings(native(s));
}

static int64_t sqlite_changes(struct sql_conn *base)
{
    return sqlite3_changes(self(base)->db);
}

static int64_t sqlite_all_changes(struct sql_conn *base)
{
    return sqlite3_total_changes(self(base)->db);
}

static enum sql_rc sqlite_begin(struct sql_conn *base)
{
    return sqlite_exec(base, "BEGIN IMMEDIATE");
}

static bool sqlite_in_transaction(struct sql_conn *base)
{
    return !sqlite3_get_autocommit(self(base)->db);
}

static void sqlite_rollback(struct sql_conn *base)
{
    if (sqlite_in_transaction(base))
        sqlite3_exec(self(base)->db, "ROLLBACK", NULL, NULL, NULL);
}

static enum sql_rc sqlite_commit(struct sql_conn *base)
{
    enum sql_rc rc = sqlite_exec(base, "COMMIT");

    if (rc != SQL_DONE)
        sqlite_rollback(base);
    return rc;
}

static bool sqlite_has_column(struct sql_conn *base, const char *table, const char *column)
{
    sqlite3_stmt *s = NULL;
    bool found = false;

    if (sqlite3_prepare_v2(self(base)->db, "SELECT 1 FROM pragma_table_info(?) WHERE lower(name) = ?", -1, &s, NULL) == SQLITE_OK) {
        sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
        found = sqlite3_step(s) == SQLITE_ROW;
    }
    sqlite3_finalize(s);
    return found;
}

static int on_log_grown(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct conn *c = arg;

    (void)db;
    (void)name;
    c->log_pages = pages;
    return SQLITE_OK;
}

static void sqlite_tidy(struct sql_conn *base)
{
    struct conn *c = self(base);

    if (c->log_pages < CHECKPOINT_PAGES)
        return;
    c->log_pages = 0;
    sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static void sqlite_close_conn(struct sql_conn *base)
{
    struct conn *c = self(base);

    sqlite3_close_v2(c->db);
    free(c);
}

static void library_setup(void)
{
    /* Each connection belongs to one thread; nobody reads the library's memory statistics. */
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 128, 64);
    sqlite3_initialize();
}

static int open_failed(struct conn *c, const char *path, int code, struct error *err)
{
    sql_error(&c->base, result(c, code), path, err);
    err_wrap(err, "database");
    sqlite_close_conn(&c->base);
    return -1;
}

/* The answer of PRAGMA journal_mode is the mode in force, which is not always the one asked for. */
static int set_log_mode(struct conn *c)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode = WAL", -1, &s, NULL);
    bool wal;

    if (code != SQLITE_OK)
        return code;
    code = sqlite3_step(s);
    wal = code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "wal") == 0;
    sqlite3_finalize(s);
    return wal ? SQLITE_OK : code == SQLITE_ROW ? SQLITE_READONLY : code;
}

static int configure(struct conn *c, const struct sql_target *target)
{
    char text[256];
    int code;

    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, (int)target->wait_ms);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (sqlite3_db_readonly(c->db, "main") == 1)
        return SQLITE_READONLY;
    code = set_log_mode(c);
    if (code != SQLITE_OK)
        return code;
    snprintf(text, sizeof(text), "PRAGMA synchronous = %s; PRAGMA cache_size = -%u; PRAGMA journal_size_limit = %d;",
             target->durable ? "FULL" : "NORMAL", target->cache_kb, LOG_FILE_MAX);
    code = sqlite3_exec(c->db, text, NULL, NULL, NULL);
    sqlite3_wal_autocheckpoint(c->db, 0);
    sqlite3_wal_hook(c->db, on_log_grown, c);
    return code;
}

/*
 * Accounts live in there: readable by the server only; the library gives its log files the same mode. Never opened when it
 * exists, because closing a descriptor drops the locks that other connections of this process hold on the file.
 */
static void create_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
}

static int sqlite_open_conn(const struct sql_target *target, struct sql_conn **out, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct conn *c = MEM_NEW(struct conn);
    int code;

    pthread_once(&once, library_setup);
    c->base.driver = &sqlite_driver;
    c->base.multihost = target->multihost;
    create_private(target->path);
    code = sqlite3_open_v2(target->path, &c->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (code == SQLITE_OK)
        code = configure(c, target);
    if (code != SQLITE_OK)
        return open_failed(c, target->path, code, err);
    *out = &c->base;
    return 0;
}

const struct sql_driver sqlite_driver = {
    .name = "sqlite",
    .open = sqlite_open_conn,
    .close = sqlite_close_conn,
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize_stmt,
    .bind = sqlite_bind,
    .step = sqlite_step,
    .text = sqlite_text,
    .integer = sqlite_integer,
    .reset = sqlite_reset_stmt,
    .changes = sqlite_changes,
    .all_changes = sqlite_all_changes,
    .exec = sqlite_exec,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .in_transaction = sqlite_in_transaction,
    .has_column = sqlite_has_column,
    .tidy = sqlite_tidy,
};
