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

#endif
