/*
 * Credentials of accounts whose home is this shard: a bounded cache with single flight, the least recently used go first.
 * Names that nobody has are kept too, in at most a quarter of the room, so that guessing names does not push accounts out.
 */
#ifndef CORE_AUTH_CACHE_H
#define CORE_AUTH_CACHE_H

#include "base/list.h"
#include "base/map.h"
#include "core/auth/auth_policy.h"

#define AUTH_MEMO_LEN 32

struct auth_blob;

/* Counted; one thread. creds do not change under a reader except that keys derived from a plain password are added. */
struct auth_entry {
    struct map_node node;
    struct list lru;
    struct list waiters;
    unsigned refs;
    bool loading, cached;
    unsigned kind;            /* 0: credentials of the store; else the place of a method in auth_method */
    enum store_rc rc;         /* STORE_OK, STORE_NONE, or why it could not be read */
    uint64_t loaded_ms;
    struct user_creds creds;
    unsigned spent;           /* hashes whose derivation was acted out for a name nobody has */
    bool has_memo;
    uint8_t memo[AUTH_MEMO_LEN]; /* keyed digest of the password that fitted last, see auth_memo.h */
    struct auth_blob *blobs;
    size_t user_n, key_n;
    char key[];               /* user, host */
};

void auth_cache_start(void);
void auth_cache_stop(void);

/* Never NULL; look at rc. Give it back with auth_entry_release. */
struct auth_entry *auth_cache_get(struct str host, struct str user, const struct auth_policy *p) YIELDS;
void auth_entry_release(struct auth_entry **e);
/* Keys that were derived meanwhile; copied. Does nothing when there are such keys already. */
void auth_entry_add_keys(struct auth_entry *e, const struct scram_keys *k);
/*
 * What another method said of an account: STORE_OK (the memo remembers a password that fitted) or STORE_NONE. peek: NULL when
 * nothing is known. note: NULL when it is not to be kept, or when something was forgotten since as_of (auth_cache_now before
 * the question was asked): the answer may be from before a change. Both give a reference and do not suspend.
 */
struct auth_entry *auth_cache_peek(struct str host, struct str user, unsigned kind, const struct auth_policy *p);
struct auth_entry *auth_cache_note(struct str host, struct str user, unsigned kind, enum store_rc rc, uint64_t as_of,
                                   const struct auth_policy *p);
uint64_t auth_cache_now(void);
/* All kinds; what is being read now is not kept either. */
void auth_cache_forget(struct str host, struct str user);
void auth_cache_clear(void);
size_t auth_cache_count(void);

#endif
