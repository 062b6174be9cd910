/*
 * How a data area reaches its tables: a function of its own runs on a reader thread or on the writer thread with a
 * connection, while the fiber waits. Only the files of this folder include this header.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "store/sql.h"

/*
 * Runs on another thread. arg is the waiting caller's. A write function may be run twice (its first transaction was
 * undone because of a neighbour in the group): it only reads arg, or sets outputs anew. Its changes count only when it
 * returns STORE_OK; otherwise they are undone alone.
 */
typedef enum store_rc (*store_fn)(struct sql_conn *c, void *arg);

enum store_rc store_read(store_fn fn, void *arg) YIELDS;
/* STORE_OK: committed. STORE_UNAVAILABLE also when the queue is full or the store is stopped. */
enum store_rc store_write(store_fn fn, void *arg) YIELDS;
/*
 * The end of a job that nobody waits for, with what became of it. On the writer thread, or on the caller's when it was not taken.
 */
typedef void (*store_done_fn)(void *arg, enum store_rc rc);
/* Nobody waits; `done` frees arg in every case. A failure is logged with the words `what` (a literal; NULL: it is not). */
void store_write_later(store_fn fn, void *arg, store_done_fn done, const char *what);
/* The same for what may be lost in a crash: it waits up to half a second for other writes to share a commit with. In order. */
void store_write_lazily(store_fn fn, void *arg, store_done_fn done, const char *what);
/* For what has no more to do than that. */
void store_done_free(void *arg, enum store_rc rc);

/* What a database can hold and ejabberd's columns mean: UTF-8 without NUL, at most JID_PART_MAX bytes. Anything else is no name. */
bool store_name_ok(struct str name);
/* The same for other text; longer. */
bool store_text_ok(struct str text);

/* Pieces of one area that another needs inside its own transaction. */
enum store_rc last_write(struct sql_conn *c, struct str host, struct str user, int64_t seconds, struct str status);
/* A running job has come to `position` and done so many more; STORE_NONE: it does not run any more, somebody has stopped it. */
enum store_rc job_progress(struct sql_conn *c, int64_t id, struct str position, int64_t more);

#endif
