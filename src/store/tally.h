/*
 * Counts that are too dear to make anew each time (accounts of a host, messages that wait for an account), and what an account is
 * known not to have, which every login asks for. In memory, of this process, which is the only one that writes to the embedded
 * store. A count is made once by the engine and then follows the writes; what nobody knows is simply not known. Any thread; nothing
 * suspends. For the files of this folder.
 *
 * A write is announced before it is queued and ended with its outcome: a count that was read meanwhile may or may not contain it,
 * and is not kept.
 */
#ifndef STORE_TALLY_H
#define STORE_TALLY_H

#include "base/str.h"
#include "store/store.h"

enum tally_kind {
    TALLY_USERS,
    TALLY_SPOOL,
    TALLY_PRIVATE, /* of one namespace: known only where there is nothing; every login looks for a ban there */
    TALLY_PRIVACY, /* lists, and */
    TALLY_VCARD,   /* vCard: the same */
    TALLY_ROSTER,  /* roster, which never had a version: the same again */
    TALLY_LAST,    /* no count: the time of the last note of activity (store/last.c) */
    TALLY__COUNT
};

struct tally_key {
    enum tally_kind kind;
    uint64_t hash;
};

/* user absent: of the host. */
struct tally_key tally_key(enum tally_kind kind, struct str host, struct str user);
/* One of several things of the user. */
struct tally_key tally_key_of(enum tally_kind kind, struct str host, struct str user, struct str what);
/* false: not known. under_way_out: writes that were announced and have not ended; may be NULL. */
bool tally_get(struct tally_key k, uint64_t *n_out, unsigned *under_way_out);
/* Before counting; what it gives goes to tally_set with the count. */
uint64_t tally_look(struct tally_key k);
void tally_set(struct tally_key k, uint64_t look, uint64_t n);

void tally_begin(struct tally_key k);
/* It added so many, unless rc says that it did nothing. */
void tally_end(struct tally_key k, enum store_rc rc, int64_t added);
/* A write that does not tell how many: before it and after it. */
void tally_forget(struct tally_key k);
/*
 * What was counted is something else from here on, without a write. *look: from before, still good for what is so now; without
 * effect when it was not good any more.
 */
void tally_move(struct tally_key k, uint64_t *look);
/* Writes that do not tell whose: the same around them. */
void tally_begin_all(enum tally_kind kind);
void tally_end_all(enum tally_kind kind);
/* Somebody else has written. */
void tally_forget_everything(void);
/* Another database. per_host: its rows tell hosts apart; where they do not, all hosts have the same ones (the default schema). */
void tally_reset(bool per_host);

#endif
