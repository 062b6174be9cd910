/*
 * Shared roster groups for others than mod_shared_roster: whoever changes the tables does it here, so that connected members
 * see it. Any shard.
 */
#ifndef MOD_API_SHARED_ROSTER_H
#define MOD_API_SHARED_ROSTER_H

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"

/*
 * Runs edit(arg) where no other edit of any host runs, and then lets rosters follow. arg lives in `arena`, which is the call's
 * alone: after ERR_TIMEOUT edit may still be at work. 0 when the edit answered STORE_OK, and everybody who is online has been told
 * or will be; *rc_out: its answer.
 */
int shared_roster_edit(struct str host, enum store_rc (*edit)(void *arg) YIELDS, void *arg, struct arena *arena,
                       enum store_rc *rc_out, struct error *err) YIELDS;

#endif
