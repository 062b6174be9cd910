/*
 * Waiting messages that have been delivered and are in the table still. That they were is noted at once, in the ledger and here;
 * their rows go later, many accounts' in one transaction and in the order of the table, because each of them lies on a page that
 * it shares with others' (store/delivered.c). Until then whoever reads or counts an account's rows begins behind its mark, and
 * whoever removes or limits them lets them go first. Any thread; nothing suspends. For the files of this folder; others see
 * store/spool.h.
 */
#ifndef STORE_DELIVERED_H
#define STORE_DELIVERED_H

#include "store/db.h"

/* With the store. per_host: its rows tell hosts apart. */
void delivered_start(bool per_host);
/* The writer has ended. Marks that are left stay in the ledger for the next start. */
void delivered_stop(void);

/* On a shard. false: the ledger has no room, nothing was noted. */
bool delivered_note(struct str host, struct str user, int64_t upto, int64_t stored_s);
/* The same for this process only. */
void delivered_hide(struct str host, struct str user, int64_t upto);
/* Those up to this id are no messages any more; 0: none. */
int64_t delivered_upto(struct str host, struct str user);
/* On the writer: those rows of one account go now, in the caller's transaction. */
enum store_rc delivered_remove(struct sql_conn *c, struct str host, struct str user);

#endif
