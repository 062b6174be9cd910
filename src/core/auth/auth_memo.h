/*
 * Memory of the password that fitted last, so that a client that sends it with every request (HTTP Basic) pays PBKDF2 once.
 * Kept is HMAC-SHA256 of account and password with a key drawn per shard, never the password. It lives in the cache only,
 * never on disk. Whoever can read the memory of the process could test guesses against it faster than against the SCRAM
 * keys; such a reader sees the passwords of clients that log in anyway.
 */
#ifndef CORE_AUTH_MEMO_H
#define CORE_AUTH_MEMO_H

#include "core/auth/auth_cache.h"

void auth_memo_stop(void);
/* Constant time. */
bool auth_memo_fits(const struct auth_entry *e, struct str password);
void auth_memo_set(struct auth_entry *e, struct str password);

#endif
