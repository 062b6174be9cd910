/* Last activity: table `last` (username, seconds since the epoch as text, state = status text). */
#ifndef STORE_LAST_H
#define STORE_LAST_H

#include "store/store.h"

/* What is queued counts as written. */
enum store_rc last_get(struct arena *a, struct str host, struct str user, int64_t *seconds_out, struct str *status_out) YIELDS;
enum store_rc last_set(struct str host, struct str user, int64_t seconds, struct str status) YIELDS;
/*
 * Queued in order with other writes, nobody waits (sessions that come and go), and up to half a second of it is lost in a crash; a
 * failure is logged. The strings are copied.
 */
void last_set_later(struct str host, struct str user, int64_t seconds, struct str status);
/* The same for a sign of life, with no status: left out when there was one less than an hour ago. */
void last_note_later(struct str host, struct str user, int64_t now);
enum store_rc last_remove(struct str host, struct str user) YIELDS;

#endif
