/* Keyed 64-bit hash of short byte strings; the key is drawn once per process. Not stable across processes. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

/* Draws the key from the system; call once before any thread starts (tests may leave it out: key 0). */
void hash_seed(void);
uint64_t hash_bytes(const void *p, size_t n);
static inline uint64_t hash_str(struct str s) { return hash_bytes(s.p, s.n); }
/* Unkeyed and stable for ever: home shards and anything that leaves the process. */
uint64_t hash_stable(const void *p, size_t n);

#endif
