/* The end of an account: everything that any area holds of it. */
#ifndef STORE_ACCOUNT_H
#define STORE_ACCOUNT_H

#include "store/store.h"

/*
 * In one transaction: credentials, last activity, roster, waiting messages, vCard, private XML, privacy lists, motd mark,
 * memberships in shared groups, resumable streams, tokens of OAuth and FAST. Other people's contacts stay. Also for accounts whose
 * credentials are kept elsewhere. STORE_NONE when there was nothing at all. tokens_out: how many OAuth tokens (may be NULL): they
 * may be cached somewhere.
 */
enum store_rc account_remove(struct str host, struct str user, int64_t *tokens_out) YIELDS;

/*
 * Names under which strangers are online (auth_method anonymous): this server's own table `cj_stranger`. account_remove takes a
 * name out of it; what is in it at the start belongs to nobody any more.
 */
enum store_rc stranger_add(struct str host, struct str user) YIELDS;
/* account_remove for all of them, some in each transaction. */
enum store_rc stranger_remove_all(uint64_t *removed_out) YIELDS;

#endif
