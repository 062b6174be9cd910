/*
 * Runs a program to its end: compilers, git. Blocks, so only on the blocking pool or before the shards run. No shell, a clean
 * environment, no descriptor but its standard ones, a process group of its own that is killed when the time is over or the
 * server stops.
 */
#ifndef RT_CHILD_H
#define RT_CHILD_H

#include "base/buf.h"
#include "base/err.h"

struct child {
    const char *const *argv; /* ended by NULL; argv[0] is looked up in PATH */
    const char *const *set;  /* NAME=VALUE besides what is kept of the environment, ended by NULL; may be NULL */
    bool whole_environment;  /* keep all of it: only for this program itself */
    const char *dir;         /* working folder; NULL: this process's */
    unsigned timeout_ms;
    size_t output_max;       /* what it says beyond that is dropped */
};

/*
 * Its standard output and error are appended to out. Returns its exit status; -1: err says that it could not be started
 * (ERR_NOT_FOUND: there is no such program), was killed by a signal or took too long (ERR_TIMEOUT). *err must
 * be ERROR_INIT.
 */
int child_run(const struct child *c, struct buf *out, struct error *err);

#endif
