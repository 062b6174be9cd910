/*
 * Streams that can be resumed (XEP-0198), so that they outlive the server: this server's own tables `cj_sm_session` (one row
 * per resumable stream) and `cj_sm_stanza` (what was sent on it and not acknowledged yet). Numbers are those of the
 * protocol, counted modulo 2^32; rows are kept under a number of their own, so order survives the turn.
 */
#ifndef STORE_SM_H
#define STORE_SM_H

#include "store/store.h"

struct sm_session {
    struct str id;               /* unguessable; what <resume previd=''/> names */
    struct str host, user, resource;
    uint32_t handled;            /* stanzas of the client that were dealt with: the server's h */
    uint32_t acked;              /* stanzas to the client that it has acknowledged */
    int64_t expires_s;           /* since the epoch; not to be resumed from then on. 0: it ended, its queue is being given back */
    struct str data;             /* what else its owner wants back (priority, last presence, ...); at most 16 MB */
};

struct sm_stanza {
    uint32_t h;     /* its number in the count of the client: the first one is 1 */
    int64_t sent_s; /* since the epoch */
    struct str xml;
};

/* STORE_CONFLICT when there is one of this id. */
enum store_rc sm_add(const struct sm_session *s) YIELDS;
enum store_rc sm_get(struct arena *a, struct str id, struct sm_session *out) YIELDS;
/* Every stream there is, with bounded memory: what a server that starts has to know. fn returning false ends it. */
enum store_rc sm_each(bool (*fn)(const struct sm_session *s, void *arg) YIELDS, void *arg) YIELDS;
/* What is not acknowledged, in order of sending. */
enum store_rc sm_stanzas(struct str id, bool (*fn)(const struct sm_stanza *s, void *arg) YIELDS, void *arg) YIELDS;

/* Everything that changes on a stream at one moment; one transaction. */
struct sm_change {
    const struct sm_stanza *sent; /* appended */
    size_t n_sent;
    bool has_acked;               /* stanzas up to this number are forgotten; also those of `sent` */
    uint32_t acked;
    bool has_handled;
    uint32_t handled;
    bool has_done;                /* with handled: what was noted of stanzas up to there (spool_add_once) is forgotten */
    bool has_expiry;
    int64_t expires_s;
    struct str data;              /* absent: as it was */
};

/* STORE_NONE when there is no such stream. */
enum store_rc sm_save(struct str id, const struct sm_change *c) YIELDS;
/*
 * An acknowledgement that nobody waits for: after a crash in between the client says again what it has. Queued in order with
 * other writes; a failure is logged.
 */
void sm_acked_later(struct str id, uint32_t acked);

/* What spool_add_once has noted: n of stream `id` is or was among the messages of that account. */
struct sm_done {
    struct str id, host, user;
    int64_t n;
};
enum store_rc sm_each_done(bool (*fn)(const struct sm_done *d, void *arg) YIELDS, void *arg) YIELDS;
/* Notes of spool_add_once that belong to no stream any more: for the start, when no stream is at work. */
enum store_rc sm_sweep_done(void) YIELDS;

/* With its stanzas; STORE_NONE when it was not there. */
enum store_rc sm_remove(struct str id) YIELDS;
/*
 * The end of a stream that was not resumed: its messages go to the account's spool (store/spool.h, as the caller has written
 * them) and the stream is gone, in one transaction, so that none is lost or doubled. STORE_LIMIT: the spool may hold `max` and
 * that would be more; nothing was done.
 */
enum store_rc sm_remove_to_spool(const struct sm_session *s, const struct sm_stanza *messages, size_t n, uint64_t max) YIELDS;
/* Streams that ended at now_s or before, the first ended first, at most `limit`. */
enum store_rc sm_expired(struct arena *a, int64_t now_s, size_t limit, struct sm_session **out, size_t *n_out) YIELDS;

#endif
