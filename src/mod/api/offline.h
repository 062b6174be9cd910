/*
 * Cleaning up waiting messages, for commands. Any shard; batch jobs work on shard 0 and are kept in the store (store/job.h, kind
 * "offline"), so that a restart goes on with them.
 */
#ifndef MOD_API_OFFLINE_H
#define MOD_API_OFFLINE_H

#include "store/job.h"

/* Those of a host that have waited `days` or longer; `count_only`: how many there would be. */
enum store_rc offline_remove_old(struct str host, int64_t days, bool count_only, uint64_t *removed_out) YIELDS;
/* Those whose sender's time has passed (XEP-0023). */
enum store_rc offline_remove_expired(struct str host, bool count_only, uint64_t *removed_out) YIELDS;
/*
 * The first, little by little: `batch` at a time, not more than `rate` a minute. 0 when the job is recorded and at work;
 * ERR_CONFLICT when one is at work for the host already.
 */
int offline_batch_start(struct str host, int64_t days, int64_t batch, int64_t rate, struct error *err) YIELDS;
/* STORE_NONE when none was at work. */
enum store_rc offline_batch_abort(struct str host) YIELDS;
/* The last job of the host. */
enum store_rc offline_batch_last(struct arena *a, struct str host, struct job *out) YIELDS;

#endif
