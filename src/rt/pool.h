/*
 * Threads for what blocks: SQL, PBKDF2, files, scripts. A fiber hands over work and waits; the loop goes on.
 */
#ifndef RT_POOL_H
#define RT_POOL_H

#include "base/attrs.h"
#include "base/err.h"

struct pool;

/* A pool of its own with n threads; thread_init/thread_exit (may be NULL) run on each thread, ctx is given to both. */
struct pool *pool_new(const char *name, unsigned threads, void *(*thread_init)(void *ctx), void (*thread_exit)(void *state),
                      void *ctx);
/* Finishes queued work and joins. */
void pool_delete(struct pool **p);
/* The general pool made by rt_start. */
struct pool *pool_general(void);

/* Runs fn(arg, thread_state) on a pool thread while this fiber waits. arg stays the caller's, on its stack if it likes. */
typedef void (*pool_fn)(void *arg, void *thread_state);
void pool_run(struct pool *p, pool_fn fn, void *arg) YIELDS;
/* Jobs waiting, not yet running. */
unsigned pool_backlog(struct pool *p);

#endif
