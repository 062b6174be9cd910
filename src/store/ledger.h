/*
 * The ledger of resumable streams (XEP-0198): what must be known after `kill -9` of what was in memory only. A mapped file of
 * small cells, so that writing one is writing memory and the kernel keeps it when the process dies; the store (store/sm.h) holds
 * what must also survive a power cut, later and in groups. A cell states a fact that stays true, so after a power cut, which may
 * lose any of them, a ledger is still to be believed: what is missing costs a repeated message, never a lost one.
 * Any shard; nothing suspends, and a new piece of the file is reserved now and then (blocks for the time of one fallocate).
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include "base/err.h"
#include "base/str.h"

enum ledger_kind { LEDGER_FREE, LEDGER_SESSION, LEDGER_EFFECT, LEDGER_DELIVERED };

/* Instead of a stream's key: the cause is a row of table spool, n its id. */
#define LEDGER_SPOOL UINT64_C(1)

struct ledger_cell {
    uint32_t kind;               /* written last */
    uint32_t shard;              /* of this process: whose list it goes back to */
    uint64_t stream;             /* ledger_key of the receiving stream */
    uint64_t account, cause, n;  /* EFFECT: of the receiver; what was sent came from stanza n of that stream, or LEDGER_SPOOL */
                                 /* DELIVERED: whose, when the last was stored, and its id (store/delivered.c) */
    uint32_t h;                  /* EFFECT: its number there. SESSION: how many were given to a socket */
    uint32_t acked;              /* SESSION: as in struct sm_session, but at once */
    uint32_t over;               /* SESSION: ended in order; everything of it is taken care of */
    uint32_t spare;
    struct ledger_cell *next;    /* of this process */
};

uint64_t ledger_key(struct str id);

/* A new one; the functions below answer NULL without it. The one of before stays in force, and readable, until ledger_commit. */
int ledger_open(const char *folder, struct error *err);
/* The cells of the process before: those of that stream, any order. Read only. Until ledger_commit. */
const struct ledger_cell *ledger_old(uint64_t stream, size_t *n_out);
const struct ledger_cell *ledger_old_all(size_t *n_out);
/* What was taken over from the one of before is in the new one: it takes its place. */
int ledger_commit(struct error *err);
/* No shard runs any more. */
void ledger_close(void);

/* NULL when there is no room: the caller does without. */
struct ledger_cell *ledger_session(uint64_t stream, uint32_t sent, uint32_t acked);
struct ledger_cell *ledger_effect(uint64_t stream, uint64_t account, uint64_t cause, uint64_t n, uint32_t h);
/*
 * Of this account's waiting messages those up to that one have been delivered. Unlike the others it is not believed after the
 * system was started anew: the store may then be older than the ledger (store/store.h, durable), and what it has is to be
 * delivered.
 */
struct ledger_cell *ledger_delivered(uint64_t account, uint64_t stored_s, uint64_t id);
/* Any shard; NULL is fine. */
void ledger_free(struct ledger_cell **c);
/* The same for threads that are no shard's. */
void ledger_give_back(struct ledger_cell **c);

/* What came of one thing, for as long as it may be done again after a crash. Any shard pushes, one takes. */
void ledger_push(struct ledger_cell **list, struct ledger_cell *c);
void ledger_push_all(struct ledger_cell **list, struct ledger_cell **from);
void ledger_free_all(struct ledger_cell **list);

#endif
