/*
 * The writer: one thread, one connection, group commit. Jobs that are queued while a commit is under way go into the next
 * transaction together, and their fibers wake after the one COMMIT. A job that fails after it has changed something makes its
 * group run again, with a savepoint for each job: a job may run several times, and begins from its arguments.
 */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/db.h"

#define WRITER_QUEUE_MAX 8192 /* jobs waiting; more are refused */
#define WRITER_GROUP_MAX 256  /* jobs in one transaction */

struct writer;

struct writer_stats {
    uint64_t jobs, commits, refused;
};

/* Takes the connection. */
struct writer *writer_new(struct sql_conn *c);
/* Writes what is queued, closes the connection. No fiber may come in any more. */
void writer_delete(struct writer **w);
enum store_rc writer_run(struct writer *w, store_fn fn, void *arg) YIELDS;
/*
 * Nobody waits. lazy: it is written with the next job that somebody waits for, or half a second later; in order with the others
 * either way. A job that is refused is done with STORE_UNAVAILABLE before this returns.
 */
void writer_post(struct writer *w, bool lazy, store_fn fn, void *arg, store_done_fn done, const char *what);
/* Any thread. */
struct writer_stats writer_stats(struct writer *w);

#endif
