/*
 * Records of batch jobs (delete_old_messages_batch and its like), which a restart does not end: this server's own table
 * `cj_job`. Of a kind and host one job runs at a time; finished ones stay for those who ask how it went. How far a job is stands in
 * the record since the very transaction that did it (spool_sweep.job): no end of the process comes in between.
 */
#ifndef STORE_JOB_H
#define STORE_JOB_H

#include "store/store.h"

enum job_state { JOB_RUNNING, JOB_DONE, JOB_ABORTED, JOB_FAILED };

struct job {
    int64_t id;
    struct str kind, host;  /* "offline", "localhost" */
    enum job_state state;
    struct str parameters;  /* what its owner needs to go on: days, batch size, rate */
    struct str position;    /* how far it has come, in its owner's words */
    uint64_t done, total;   /* total 0: not known */
    int64_t started_s, finished_s; /* finished 0: runs */
    struct str error;       /* why it failed */
};

/* Takes kind, host, parameters, total, started_s. STORE_CONFLICT when one of this kind runs for this host. */
enum store_rc job_start(const struct job *j, int64_t *id_out) YIELDS;
/* The end: state, done, error and time. STORE_NONE when it was not running. */
enum store_rc job_finish(int64_t id, enum job_state state, uint64_t done, struct str error, int64_t now_s) YIELDS;
/* Stopped where it is; STORE_NONE when it was not running. What was not written by then is not going to be. */
enum store_rc job_abort(int64_t id, int64_t now_s) YIELDS;
/* The newest of this kind and host, running or not. */
enum store_rc job_last(struct arena *a, struct str kind, struct str host, struct job *out) YIELDS;
/* Those that run, by id: what a server that starts has to take up again. */
enum store_rc job_running(struct arena *a, struct job **out, size_t *n_out) YIELDS;
/* Forgets what finished before; how many. */
enum store_rc job_forget(int64_t before_s, uint64_t *removed_out) YIELDS;

#endif
