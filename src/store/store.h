/*
 * The store: plain functions per data area over one SQL layer (store/sql.h), in ejabberd's tables. A driver blocks, so work
 * runs on reader threads (a connection each) or on the writer thread, which commits groups; the calling fiber waits.
 * A write that returned STORE_OK is on disk: it survives kill -9 and, with the default settings, a power cut.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"

enum store_rc {
    STORE_OK,
    STORE_NONE,        /* no such row */
    STORE_CONFLICT,    /* the row is there already */
    STORE_UNAVAILABLE, /* nothing was done: database gone, locked, disk full */
    STORE_UNCERTAIN,   /* the write may or may not have happened (connection lost in commit) */
    STORE_REFUSED,     /* nothing was done: a text with a NUL or not UTF-8, or too long for its column */
    STORE_LIMIT        /* nothing was done: there are as many rows as the caller allows */
};

struct store_config {
    const char *driver;   /* "sqlite" */
    const char *path;     /* SQLite: database file; its folder exists */
    bool multihost;       /* schema "new": server_host columns; otherwise "default" */
    bool durable;         /* true: power cut safe (synchronous=FULL); false: kill -9 safe */
    unsigned readers;     /* reader threads; 0: 2 */
};

/* Opens, creates or checks the schema, prepares every statement. On failure says what and where. */
int store_start(const struct store_config *cfg, struct error *err);
/* Commits what is queued, closes. No fiber waits for the store any more, and none comes. */
void store_stop(void);
/* Another program has written to the database: nothing that is remembered of it counts any more. */
void store_forget_counts(void);
/* Fills *err from a result that is not OK; -1. */
int store_error(enum store_rc rc, const char *what, struct error *err);
/* "sqlite", "pgsql", ... and schema name, for status and logs: "sqlite, new schema". */
const char *store_describe(void);

struct store_stats {
    uint64_t writes;  /* jobs of the writer */
    uint64_t commits; /* transactions they were grouped into */
    uint64_t refused; /* jobs turned away because too many were waiting */
};
/* Since the start; any thread. */
struct store_stats store_stats(void);

#endif
