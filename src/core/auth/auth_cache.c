/*
 * The cache of credentials. Lives on the home shard of its accounts and is only touched there, so nothing outside needs to
 * be told of a change: whoever writes an account calls auth_cache_forget afterwards. Suspends: auth_cache_get.
 * An entry that is being read is found by others, who wait for it; forgetting takes it out of the table, so that what was
 * read before a write ended is not kept after it.
 */
#include "core/auth/auth_cache.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/secret.h"
#include "rt/fiber.h"
#include "rt/shard.h"
#include <stdlib.h>

/* Memory of an entry's secrets, wiped with it. */
struct auth_blob {
    struct auth_blob *next;
    size_t n, used;
    char bytes[];
};

enum { LRU_FOUND, LRU_MISSED };

struct cache {
    struct map map;
    struct list lru[2]; /* last used at the end */
    size_t n[2];
    uint64_t forgets;
};

struct waiter {
    struct list link;
    struct fiber *fiber;
};

static _Thread_local struct cache *cache;

struct name {
    struct str host, user;
    unsigned kind;
};

static bool same_name(const struct map_node *node, const void *key)
{
    const struct auth_entry *e = CONTAINER_OF(node, const struct auth_entry, node);
    const struct name *k = key;

    return e->kind == k->kind && str_eq(str_n(e->key, e->user_n), k->user) &&
           str_eq(str_n(e->key + e->user_n, e->key_n - e->user_n), k->host);
}

static uint64_t name_hash(const struct name *k)
{
    return hash_str(k->user) * 31 + hash_str(k->host) + k->kind;
}

static struct auth_entry *find(const struct name *k, uint64_t hash)
{
    struct map_node *n = map_find(&cache->map, hash, same_name, k);

    return n ? CONTAINER_OF(n, struct auth_entry, node) : NULL;
}

static void blob_new(struct auth_entry *e, size_t n)
{
    struct auth_blob *b = mem_alloc(sizeof(*b) + n);

    *b = (struct auth_blob){.next = e->blobs, .n = n};
    e->blobs = b;
}

static struct str blob_str(struct auth_entry *e, struct str s)
{
    char *p = e->blobs->bytes + e->blobs->used;

    if (s.n)
        memcpy(p, s.p, s.n);
    e->blobs->used += s.n;
    return str_n(p, s.n);
}

static size_t keys_size(const struct scram_keys *k)
{
    return k->iterations ? k->salt.n + k->stored_key.n + k->server_key.n : 0;
}

static struct scram_keys blob_keys(struct auth_entry *e, const struct scram_keys *k)
{
    struct scram_keys copy = *k;

    if (k->iterations) {
        copy.salt = blob_str(e, k->salt);
        copy.stored_key = blob_str(e, k->stored_key);
        copy.server_key = blob_str(e, k->server_key);
    }
    return copy;
}

static void keep_creds(struct auth_entry *e, const struct user_creds *c)
{
    size_t n = c->has_plain ? c->plain.n : 0;

    for (size_t i = 0; i < ARRAY_LEN(c->scram); i++)
        n += keys_size(&c->scram[i]);
    blob_new(e, n);
    e->creds = *c;
    if (c->has_plain)
        e->creds.plain = blob_str(e, c->plain);
    for (size_t i = 0; i < ARRAY_LEN(c->scram); i++)
        e->creds.scram[i] = blob_keys(e, &c->scram[i]);
}

void auth_entry_add_keys(struct auth_entry *e, const struct scram_keys *k)
{
    if (e->creds.scram[k->hash].iterations)
        return;
    blob_new(e, keys_size(k));
    e->creds.scram[k->hash] = blob_keys(e, k);
}

void auth_entry_release(struct auth_entry **ep)
{
    struct auth_entry *e = *ep;

    *ep = NULL;
    if (!e || --e->refs)
        return;
    for (struct auth_blob *b = e->blobs, *next; b; b = next) {
        next = b->next;
        secret_wipe(b->bytes, b->n);
        free(b);
    }
    secret_wipe(e->memo, sizeof(e->memo));
    free(e);
}

/* Out of the table; those who hold it go on with it. */
static void detach(struct auth_entry *e)
{
    if (!e->cached)
        return;
    e->cached = false;
    map_del(&cache->map, &e->node);
    if (!list_empty(&e->lru)) {
        list_del(&e->lru);
        cache->n[e->rc == STORE_OK ? LRU_FOUND : LRU_MISSED]--;
    }
    auth_entry_release(&e);
}

static struct auth_entry *first_of(int which)
{
    struct list *l = &cache->lru[which];

    return list_empty(l) ? NULL : LIST_ENTRY(l->next, struct auth_entry, lru);
}

static void make_room(size_t max)
{
    while (cache->n[LRU_FOUND] + cache->n[LRU_MISSED] > max) {
        struct auth_entry *missed = first_of(LRU_MISSED), *found = first_of(LRU_FOUND);
        detach(!found || (missed && cache->n[LRU_MISSED] > max / 4) ? missed : found);
    }
}

static void wake_waiters(struct auth_entry *e)
{
    LIST_EACH_SAFE(it, &e->waiters) {
        list_del(it);
        fiber_wake(LIST_ENTRY(it, struct waiter, link)->fiber);
    }
}

static void wait_for(struct auth_entry *e) YIELDS;
static void wait_for(struct auth_entry *e)
{
    struct waiter w = {.fiber = fiber_self()};

    list_push(&e->waiters, &w.link);
    fiber_suspend("credentials");
}

static void load(struct auth_entry *e) YIELDS;
static void load(struct auth_entry *e)
{
    /* The entry's own copies: the caller's host name may come from a configuration that is replaced meanwhile. */
    struct str user = str_n(e->key, e->user_n), host = str_n(e->key + e->user_n, e->key_n - e->user_n);
    struct arena *a = arena_new();
    struct user_creds c = {0};

    arena_mark_secret(a);
    e->rc = users_get(a, host, user, &c);
    if (e->rc == STORE_OK)
        keep_creds(e, &c);
    arena_release(&a);
    e->loading = false;
    e->loaded_ms = shard_now_ms();
    wake_waiters(e);
}

static struct auth_entry *entry_new(const struct name *k)
{
    struct auth_entry *e = mem_zalloc(sizeof(*e) + k->user.n + k->host.n);

    list_init(&e->lru);
    list_init(&e->waiters);
    e->refs = 1;
    e->loading = true;
    e->kind = k->kind;
    e->user_n = k->user.n;
    e->key_n = k->user.n + k->host.n;
    if (k->user.n)
        memcpy(e->key, k->user.p, k->user.n);
    if (k->host.n)
        memcpy(e->key + k->user.n, k->host.p, k->host.n);
    return e;
}

/* Whether an entry that was just read stays. */
static void settle(struct auth_entry *e, const struct auth_policy *p)
{
    int which = e->rc == STORE_OK ? LRU_FOUND : LRU_MISSED;

    if (!e->cached)
        return;
    if (e->rc != STORE_OK && (e->rc != STORE_NONE || !p->cache_missed)) {
        detach(e);
        return;
    }
    list_push(&cache->lru[which], &e->lru);
    cache->n[which]++;
    make_room(p->cache_max);
}

static struct auth_entry *get_new(const struct name *k, uint64_t hash, const struct auth_policy *p) YIELDS;
static struct auth_entry *get_new(const struct name *k, uint64_t hash, const struct auth_policy *p)
{
    struct auth_entry *e = entry_new(k);

    if (p->use_cache) {
        e->cached = true;
        e->refs++;
        map_add(&cache->map, &e->node, hash);
    }
    load(e);
    settle(e, p);
    return e;
}

static struct auth_entry *get_known(struct auth_entry *e) YIELDS;
static struct auth_entry *get_known(struct auth_entry *e)
{
    e->refs++;
    if (e->loading) {
        wait_for(e);
    } else {
        list_del(&e->lru);
        list_push(&cache->lru[e->rc == STORE_OK ? LRU_FOUND : LRU_MISSED], &e->lru);
    }
    return e;
}

static struct auth_entry *find_fresh(const struct name *k, uint64_t hash, const struct auth_policy *p)
{
    struct auth_entry *e = p->use_cache ? find(k, hash) : NULL;

    if (e && !e->loading && shard_now_ms() - e->loaded_ms >= p->cache_life_ms) {
        detach(e);
        e = NULL;
    }
    return e;
}

struct auth_entry *auth_cache_get(struct str host, struct str user, const struct auth_policy *p)
{
    struct name k = {host, user, 0};
    uint64_t hash = name_hash(&k);
    struct auth_entry *e = find_fresh(&k, hash, p);

    return e ? get_known(e) : get_new(&k, hash, p);
}

struct auth_entry *auth_cache_peek(struct str host, struct str user, unsigned kind, const struct auth_policy *p)
{
    struct name k = {host, user, kind};
    struct auth_entry *e = find_fresh(&k, name_hash(&k), p);

    if (e)
        e->refs++;
    return e;
}

struct auth_entry *auth_cache_note(struct str host, struct str user, unsigned kind, enum store_rc rc, uint64_t as_of,
                                   const struct auth_policy *p)
{
    struct name k = {host, user, kind};
    uint64_t hash = name_hash(&k);
    struct auth_entry *e = find_fresh(&k, hash, p);

    if (!p->use_cache || as_of != cache->forgets)
        return NULL;
    if (e && e->rc != rc) {
        detach(e);
        e = NULL;
    }
    if (!e) {
        e = entry_new(&k);
        e->loading = false;
        e->rc = rc;
        e->loaded_ms = shard_now_ms();
        e->cached = true;
        map_add(&cache->map, &e->node, hash);
        e->refs++;
        settle(e, p);
        if (e->cached)
            return e;
        auth_entry_release(&e);
        return NULL;
    }
    e->refs++;
    return e;
}

uint64_t auth_cache_now(void)
{
    return cache->forgets;
}

void auth_cache_forget(struct str host, struct str user)
{
    cache->forgets++;
    for (unsigned kind = 0; kind < AUTH_METHODS_MAX; kind++) {
        struct name k = {host, user, kind};
        struct auth_entry *e = find(&k, name_hash(&k));
        if (e)
            detach(e);
    }
}

void auth_cache_clear(void)
{
    struct map_node *n;

    cache->forgets++;
    while ((n = map_next(&cache->map, NULL)))
        detach(CONTAINER_OF(n, struct auth_entry, node));
}

size_t auth_cache_count(void)
{
    return cache->map.count;
}

void auth_cache_start(void)
{
    cache = MEM_NEW(struct cache);
    map_init(&cache->map);
    list_init(&cache->lru[LRU_FOUND]);
    list_init(&cache->lru[LRU_MISSED]);
}

void auth_cache_stop(void)
{
    auth_cache_clear();
    map_deinit(&cache->map);
    free(cache);
    cache = NULL;
}
