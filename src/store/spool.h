/*
 * Messages that wait for an account (XEP-0160, XEP-0013): table `spool`. Ids are the column seq: they grow with time over all
 * accounts and are never used twice. Delivery is read, then spool_delivered up to the last id that the client has acknowledged, so
 * that a crash between the two repeats messages and loses none.
 */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include "store/store.h"

struct spool_message {
    int64_t id;
    int64_t stored_s; /* since the epoch */
    struct str user;
    struct str xml;   /* the stanza, with its <delay/> */
};

/*
 * Behind the account's other messages. STORE_LIMIT: it has `max` already (0: no bound); counting and adding are one
 * transaction.
 */
enum store_rc spool_add(struct str host, struct str user, struct str xml, int64_t stored_s, uint64_t max) YIELDS;
/*
 * The same for what may be done again after a crash: `n` of stream `id` is added once to this account's messages, however often
 * it is asked for, until the stream's count has passed it or the stream is gone (store/sm.h). STORE_OK when it was added before.
 */
enum store_rc spool_add_once(struct str host, struct str user, struct str xml, int64_t stored_s, uint64_t max, struct str id,
                             int64_t n) YIELDS;
enum store_rc spool_count(struct str host, struct str user, uint64_t *out) YIELDS;
enum store_rc spool_get(struct arena *a, struct str host, struct str user, int64_t id, struct spool_message *out) YIELDS;
/* In order, those behind `after` (0: all), with bounded memory. `m` dies when fn returns; false ends it. */
enum store_rc spool_each(struct str host, struct str user, int64_t after,
                         bool (*fn)(const struct spool_message *m, void *arg) YIELDS, void *arg) YIELDS;
/*
 * Those up to and including `id`, which was stored at stored_s, have been delivered: from here on nobody sees them, also after
 * kill -9. Their rows go within a second, or when the server stops (store/delivered.h). *look is moved on; NULL: there is none.
 * STORE_REFUSED: there is no such account.
 */
enum store_rc spool_delivered(struct str host, struct str user, int64_t id, int64_t stored_s, uint64_t *look) YIELDS;
#define SPOOL_LOOK_NONE UINT64_MAX
/*
 * Before the first is read; and when all that was there has been read and delivered: nothing waits, unless somebody has added to
 * it.
 */
uint64_t spool_look(struct str host, struct str user);
void spool_emptied(struct str host, struct str user, uint64_t look);
/* Before anything is served, between ledger_open and ledger_commit: what the process before had delivered. */
enum store_rc spool_restore(void) YIELDS;
/* The shards have ended, the ledger and the store have not: the rows of what was delivered go. Blocks. */
void spool_settle(void);
/* Those up to and including `id`; STORE_NONE when there was none. */
enum store_rc spool_remove_upto(struct str host, struct str user, int64_t id, uint64_t *removed_out) YIELDS;
/* All of them in one transaction; ids that are not this account's do nothing. STORE_NONE when nothing was removed. */
enum store_rc spool_remove(struct str host, struct str user, const int64_t *ids, size_t n, uint64_t *removed_out) YIELDS;
enum store_rc spool_remove_all(struct str host, struct str user, uint64_t *removed_out) YIELDS;

/* --- cleaning up a host --- */

/* Zeroed, and then filled by the caller above the line. */
struct spool_sweep {
    struct str host;
    int64_t before_s;  /* only what was stored before; 0: whenever */
    bool expiring;     /* only what carries XEP-0023 (the text "jabber:x:expire") */
    /* The rest of the rule; NULL: all of them. Must not suspend. */
    bool (*doomed)(const struct spool_message *m, void *arg);
    void *arg;
    int64_t job;       /* its record (store/job.h) moves on in the same transaction; 0: none */
    /* --- */
    int64_t at;        /* how far it has come */
    uint64_t removed;  /* in all */
    bool done;
};

/*
 * Looks at the next `look_at` messages of all hosts (at most 10000) and removes what falls under the rule, in a transaction
 * of its own. Call it until done; waiting in between leaves the store to others. After a failure the same piece is tried again.
 * STORE_NONE: somebody has stopped the job, nothing was removed.
 */
enum store_rc spool_sweep(struct spool_sweep *s, size_t look_at) YIELDS;
/* How many a sweep without `doomed` would remove in all. */
enum store_rc spool_sweep_count(const struct spool_sweep *s, uint64_t *out) YIELDS;

#endif
