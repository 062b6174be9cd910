/*
 * The SQL layer: one small interface that every driver implements, and the statements the data areas run through it.
 * A connection is used by one thread at a time; nothing here suspends a fiber, everything may block: reader threads and
 * the writer thread only (store/db.h brings fibers there).
 *
 * Statements are declared in a table per area (store/statements.def) for both schemas at once: markers stand for the
 * server_host column, which exists in the "new" schema only, and a parameter of type 'h' is left out where it does not.
 */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include "store/store.h"

enum sql_stmt_id {
#define STMT(id, params, text) STMT_##id,
#include "store/statements.def"
#undef STMT
    STMT__COUNT
};

/* What became of a step. Drivers map their own codes to these; only sql_store_rc goes on to store_rc. */
enum sql_rc {
    SQL_DONE,
    SQL_ROW,
    SQL_DUPLICATE, /* a unique key is there already */
    SQL_LOCKED,    /* somebody else held a lock for longer than the patience configured */
    SQL_FULL,      /* disk or quota */
    SQL_READONLY,
    SQL_DAMAGED,   /* not a database, or a corrupt one */
    SQL_LOST,      /* connection or device failed: what was under way may or may not have happened */
    SQL_FAILED     /* anything else */
};

enum sql_value_type { SQL_NULL, SQL_TEXT, SQL_INT };

struct sql_value {
    enum sql_value_type type;
    struct str text; /* borrowed until the statement ended */
    int64_t integer;
};

#define V_STR(s) ((struct sql_value){.type = SQL_TEXT, .text = (s)})
#define V_INT(i) ((struct sql_value){.type = SQL_INT, .integer = (i)})
#define SQL_ARGS(...) (const struct sql_value[]){__VA_ARGS__}, ARRAY_LEN(((const struct sql_value[]){__VA_ARGS__}))

struct sql_target {
    const char *path;   /* SQLite: file */
    bool multihost;
    bool durable;
    unsigned wait_ms;   /* patience with locks */
    unsigned cache_kb;
};

#define SQL_MESSAGE_MAX 256

/* Drivers embed this as their first member. */
struct sql_conn {
    const struct sql_driver *driver;
    bool multihost;
    struct sql_stmt *stmts[STMT__COUNT]; /* prepared on first use */
    char message[SQL_MESSAGE_MAX];       /* words of the last failure */
};

struct sql_driver {
    const char *name;
    /* -1 with ERR_UNAVAILABLE (locked, full, unreachable) or ERR_IO; the words name the target. */
    int (*open)(const struct sql_target *target, struct sql_conn **out, struct error *err);
    /* Statements are finalised already. */
    void (*close)(struct sql_conn *c);
    /* Parameters are `?` in order; `count` of them. */
    enum sql_rc (*prepare)(struct sql_conn *c, const char *text, unsigned count, struct sql_stmt **out);
    void (*finalize)(struct sql_stmt *s);
    /* index from 0; text is borrowed until reset. */
    enum sql_rc (*bind)(struct sql_conn *c, struct sql_stmt *s, unsigned index, const struct sql_value *v);
    /* The first step executes. SQL_ROW or SQL_DONE, or a failure. */
    enum sql_rc (*step)(struct sql_conn *c, struct sql_stmt *s);
    /* Columns of the current row, from 0; text until the next step. NULL reads as absent text and 0. */
    struct str (*text)(struct sql_stmt *s, unsigned column);
    int64_t (*integer)(struct sql_stmt *s, unsigned column);
    void (*reset)(struct sql_stmt *s);
    /* Rows touched by the last executed statement. */
    int64_t (*changes)(struct sql_conn *c);
    /* Rows touched since the connection was opened. */
    int64_t (*all_changes)(struct sql_conn *c);
    /* Statements without parameters and results, several separated by semicolons. */
    enum sql_rc (*exec)(struct sql_conn *c, const char *text);
    /* Transaction of a writer: waits for the right to write. */
    enum sql_rc (*begin)(struct sql_conn *c);
    /* SQL_LOST: the outcome is unknown. Any other failure: nothing happened; the transaction is over in every case. */
    enum sql_rc (*commit)(struct sql_conn *c);
    void (*rollback)(struct sql_conn *c);
    /* false when the engine ended the transaction by itself (disk full): its earlier statements are undone too. */
    bool (*in_transaction)(struct sql_conn *c);
    bool (*has_column)(struct sql_conn *c, const char *table, const char *column);
    /* House-keeping after answers went out (checkpoints). */
    void (*tidy)(struct sql_conn *c);
};

extern const struct sql_driver sqlite_driver;
/* NULL when there is none of that name. */
const struct sql_driver *sql_driver_find(const char *name);

/* For anything but a commit: there SQL_LOST is STORE_UNCERTAIN, here nothing was done. */
enum store_rc sql_store_rc(enum sql_rc rc);
/* "what: plain words: words of the engine"; ERR_UNAVAILABLE for what passes (locked, full), otherwise ERR_IO. Always -1. */
int sql_error(struct sql_conn *c, enum sql_rc rc, const char *what, struct error *err);
/* Expands the server_host markers. Caller frees. */
char *sql_expand(const char *text, bool multihost);

/* Finalises the statements and closes; clears the pointer. NULL is fine. */
void sql_close(struct sql_conn **c);
/* Prepares every statement of the table once, so that a bad schema shows at start; they are kept from their first use on. */
int sql_prepare_all(struct sql_conn *c, struct error *err);

/* A statement that is running. Failures are logged here, with the engine's words. */
struct sql_query {
    struct sql_conn *conn;
    struct sql_stmt *stmt;
    enum sql_stmt_id id;
    enum sql_rc rc; /* first failure, otherwise SQL_DONE */
};
/* sql_start(c, STMT_X, SQL_ARGS(...), &q); while (sql_next(&q)) ...; rc = sql_end(&q); */
void sql_start(struct sql_conn *c, enum sql_stmt_id id, const struct sql_value *args, size_t n, struct sql_query *q_out);
/* true: there is a row. */
bool sql_next(struct sql_query *q);
struct str sql_text(const struct sql_query *q, unsigned column);
int64_t sql_int(const struct sql_query *q, unsigned column);
/* Always call it: it ends the read transaction. STORE_OK when nothing failed, whether there were rows or not. */
enum store_rc sql_end(struct sql_query *q);
/* Runs a statement that gives no rows; how many it touched. */
enum store_rc sql_run(struct sql_conn *c, enum sql_stmt_id id, const struct sql_value *args, size_t n, int64_t *changes_out);

#endif
