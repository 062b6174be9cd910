/*
 * OAuth tokens and their cache on the home shard (see the header). Suspends: what the header marks; the cache itself is
 * touched by its shard only. A read that was under way while a token was revoked is not kept: every removal changes
 * `removals`, and a reader keeps what it read only when that did not change meanwhile.
 */
#include "core/auth/oauth.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "core/config/config.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "store/oauth.h"
#include <stdlib.h>

#define DEADLINE_MS 30000
#define CLEAN_EVERY_S 3600
#define TOKEN_MAX 255 /* longer is no token of any ejabberd */

struct entry {
    struct map_node node;
    struct list lru;
    uint64_t loaded_ms;
    int64_t expires_s;
    bool missed; /* there is no such token */
    size_t size, token_n, owner_n, scopes_n;
    char text[]; /* token, owner, scopes */
};

enum { LRU_FOUND, LRU_MISSED };

struct cache {
    struct map map;
    struct list lru[2]; /* last used at the end */
    size_t n[2];
    uint64_t removals;
};

struct policy {
    bool use, missed;
    size_t max;
    uint64_t life_ms;
};

static _Thread_local struct cache *cache;
/* The configuration is held so that a new one cannot take its address. */
static _Thread_local struct {
    struct config *config;
    struct policy policy;
} known;

/* --- options --- */

static const struct policy *policy(void)
{
    const struct config *c = config_current();

    if (known.config == c)
        return &known.policy;
    config_release(&known.config);
    known.config = config_hold(c);
    int64_t size = opt_int(c->global, "oauth_cache_size");
    known.policy = (struct policy){
        .use = opt_bool(c->global, "oauth_use_cache"),
        .missed = opt_bool(c->global, "oauth_cache_missed"),
        .max = size == OPT_INFINITY ? SIZE_MAX : (size_t)size / shard_count() + 16,
        .life_ms = (uint64_t)opt_int(c->global, "oauth_cache_life_time"),
    };
    return &known.policy;
}

/* --- cache --- */

static struct cache *the_cache(void)
{
    if (!cache) {
        cache = MEM_NEW(struct cache);
        map_init(&cache->map);
        list_init(&cache->lru[LRU_FOUND]);
        list_init(&cache->lru[LRU_MISSED]);
    }
    return cache;
}

static bool same_token(const struct map_node *node, const void *key)
{
    const struct entry *e = CONTAINER_OF(node, const struct entry, node);

    return str_eq(str_n(e->text, e->token_n), *(const struct str *)key);
}

static void drop(struct entry *e)
{
    struct cache *c = the_cache();

    map_del(&c->map, &e->node);
    list_del(&e->lru);
    c->n[e->missed]--;
    secret_wipe(e, e->size);
    free(e);
}

static void drop_all(void)
{
    for (struct map_node *n; cache && (n = map_next(&cache->map, NULL)) != NULL;)
        drop(CONTAINER_OF(n, struct entry, node));
}

static struct entry *find(struct str token)
{
    struct cache *c = the_cache();
    struct map_node *n = map_find(&c->map, hash_str(token), same_token, &token);

    return n ? CONTAINER_OF(n, struct entry, node) : NULL;
}

/* Names that nobody has get a quarter of the room, so that guessing does not push tokens out. */
static void make_room(bool missed, size_t max)
{
    struct cache *c = the_cache();
    size_t most = missed ? max / 4 + 1 : max;

    while (c->n[missed] >= most)
        drop(CONTAINER_OF(c->lru[missed].next, struct entry, lru));
}

static void keep(struct str token, const struct oauth_token_row *row)
{
    const struct policy *p = policy();
    struct cache *c = the_cache();
    size_t size = sizeof(struct entry) + token.n + (row ? row->owner.n + row->scopes.n : 0);
    struct entry *e = find(token);

    if (e)
        drop(e);
    if (!p->use || (!row && !p->missed) || p->max == 0)
        return;
    make_room(row == NULL, p->max);
    e = mem_zalloc(size);
    e->size = size;
    e->missed = row == NULL;
    e->loaded_ms = shard_now_ms();
    e->token_n = token.n;
    memcpy(e->text, token.p, token.n);
    if (row) {
        e->expires_s = row->expires_s;
        e->owner_n = row->owner.n;
        e->scopes_n = row->scopes.n;
        memcpy(e->text + e->token_n, row->owner.p, row->owner.n);
        if (row->scopes.n)
            memcpy(e->text + e->token_n + e->owner_n, row->scopes.p, row->scopes.n);
    }
    map_add(&c->map, &e->node, hash_str(token));
    list_push(&c->lru[e->missed], &e->lru);
    c->n[e->missed]++;
}

static bool fresh(const struct entry *e)
{
    const struct policy *p = policy();

    return p->use && (p->life_ms == (uint64_t)OPT_INFINITY || shard_now_ms() - e->loaded_ms < p->life_ms);
}

void oauth_shard_stop(void)
{
    if (cache) {
        drop_all();
        map_deinit(&cache->map);
        free(cache);
        cache = NULL;
    }
    if (known.config)
        config_release(&known.config);
}

/* --- at home --- */

struct op {
    struct arena *arena;
    struct str token;
    struct oauth_token_row found;
};

static int bad_token(struct error *err)
{
    return err_set(err, ERR_BAD_TOKEN, NULL);
}

static void from_cache(struct op *o, struct entry *e)
{
    const char *p = e->text + e->token_n;

    list_del(&e->lru);
    list_push(&the_cache()->lru[e->missed], &e->lru);
    o->found = (struct oauth_token_row){.owner = arena_str(o->arena, str_n(p, e->owner_n)),
                                        .scopes = arena_str(o->arena, str_n(p + e->owner_n, e->scopes_n)),
                                        .expires_s = e->expires_s};
}

static int check_at_home(void *arg, struct error *err) YIELDS;
static int check_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    struct entry *e = find(o->token);
    uint64_t removals = the_cache()->removals;
    enum store_rc rc;

    if (e && fresh(e)) {
        if (e->missed)
            return bad_token(err);
        from_cache(o, e);
    } else {
        rc = oauth_token_get(o->arena, o->token, &o->found);
        if (rc != STORE_OK && rc != STORE_NONE)
            return store_error(rc, "token", err);
        if (removals == the_cache()->removals)
            keep(o->token, rc == STORE_OK ? &o->found : NULL);
        if (rc == STORE_NONE)
            return bad_token(err);
    }
    return o->found.expires_s > (int64_t)clock_wall_s() ? 0 : bad_token(err);
}

static void forget(struct str token)
{
    struct entry *e = find(token);

    the_cache()->removals++;
    if (e)
        drop(e);
}

static int revoke_at_home(void *arg, struct error *err) YIELDS;
static int revoke_at_home(void *arg, struct error *err)
{
    struct op *o = arg;
    enum store_rc rc = oauth_token_remove(o->token);

    forget(o->token); /* whatever became of the write: uncertain is a reason to look again */
    return rc == STORE_OK || rc == STORE_NONE ? 0 : store_error(rc, "token", err);
}

/* The operation in memory of its own, on the shard where the token lives. */
static int at_home(call_fn fn, struct str token, struct arena *a, struct oauth_grant *out, struct error *err) YIELDS;
static int at_home(call_fn fn, struct str token, struct arena *a, struct oauth_grant *out, struct error *err)
{
    struct arena *own = arena_new();
    struct op *o = ARENA_NEW(own, struct op);
    int rc;

    arena_mark_secret(own);
    o->arena = own;
    o->token = arena_str(own, token);
    rc = mail_call(shard_of(hash_stable(token.p, token.n)), fn, o, own, DEADLINE_MS, err);
    if (rc == 0 && out) {
        *out = (struct oauth_grant){.scopes = arena_str(a, o->found.scopes), .expires_s = o->found.expires_s};
        if (!jid_parse(a, arena_str(a, o->found.owner), &out->owner)) /* may stay where it is: not in memory that goes away */
            rc = bad_token(err);
        else
            out->owner = jid_to_bare(out->owner);
    }
    arena_release(&own);
    return rc;
}

int oauth_check(struct arena *a, struct str token, struct oauth_grant *out, struct error *err)
{
    if (token.n == 0 || token.n > TOKEN_MAX)
        return bad_token(err);
    return at_home(check_at_home, token, a, out, err);
}

int oauth_revoke(struct str token, struct error *err)
{
    if (token.n == 0 || token.n > TOKEN_MAX)
        return 0;
    return at_home(revoke_at_home, token, NULL, NULL, err);
}

/* --- new ones --- */

/* Bytes above the last multiple of 62 are thrown away: every character is equally likely. */
static void make_token(char out[OAUTH_TOKEN_LEN])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char raw[OAUTH_TOKEN_LEN * 2];
    size_t n = 0;

    while (n < OAUTH_TOKEN_LEN) {
        rand_bytes(raw, sizeof(raw));
        for (size_t i = 0; i < sizeof(raw) && n < OAUTH_TOKEN_LEN; i++)
            if (raw[i] < 248)
                out[n++] = letters[raw[i] % 62];
    }
    secret_wipe(raw, sizeof(raw));
}

/* Now and then, by whoever comes by: expired tokens are of no use to anybody. */
static void clean(int64_t now)
{
    static int64_t last;
    int64_t was = __atomic_load_n(&last, __ATOMIC_RELAXED);

    if (now - was >= CLEAN_EVERY_S && __atomic_compare_exchange_n(&last, &was, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        oauth_token_clean_later(now);
}

int oauth_issue(struct arena *a, struct jid owner, struct str scopes, int64_t ttl_s, struct str *token_out, struct error *err)
{
    char token[OAUTH_TOKEN_LEN];
    int64_t now = (int64_t)clock_wall_s();
    struct oauth_token_row row = {.scopes = scopes};
    enum store_rc rc;

    arena_mark_secret(a);
    make_token(token);
    row.token = arena_str(a, str_n(token, sizeof(token)));
    secret_wipe(token, sizeof(token));
    row.owner = jid_bare(owner);
    if (__builtin_add_overflow(now, ttl_s, &row.expires_s))
        row.expires_s = ttl_s > 0 ? INT64_MAX : 0;
    rc = oauth_token_add(&row);
    if (rc != STORE_OK)
        return store_error(rc, "token", err);
    clean(now);
    *token_out = row.token;
    return 0;
}

/* --- all of them --- */

static int clear_each(void *arg, void *slot, struct error *err)
{
    the_cache()->removals++;
    drop_all();
    return 0;
}

int oauth_clear_cache(struct error *err)
{
    struct arena *a = arena_new();
    int rc = mail_gather(clear_each, NULL, ARENA_ARRAY(a, void *, shard_count()), a, DEADLINE_MS, err);

    arena_release(&a);
    return rc;
}

bool oauth_has_scope(struct str scopes, struct str scope)
{
    struct str one;

    while (str_split(&scopes, ' ', &one))
        if (one.n && str_eq(one, scope))
            return true;
    return false;
}

/* --- tries --- */

#define TRY_SLOTS 8192

/* Window and count of the failures that fall into a slot. Counters are all that shards share. */
static uint64_t tries[TRY_SLOTS];

static uint64_t *try_slot(const struct ip *ip, struct str user, char kind)
{
    char key[1 + 8 + 64];
    size_t n = ip->family == 6 ? 8 : 4, name = user.n < 64 ? user.n : 64;

    key[0] = (char)(kind + ip->family);
    memcpy(key + 1, ip->b, n);
    if (name)
        memcpy(key + 1 + n, user.p, name);
    return &tries[hash_bytes(key, 1 + n + name) % TRY_SLOTS];
}

static uint32_t window(void)
{
    return (uint32_t)(clock_mono_ms() / 1000 / OAUTH_TRIES_WINDOW_S) + 1;
}

static uint32_t failures(const uint64_t *slot)
{
    uint64_t v = __atomic_load_n(slot, __ATOMIC_RELAXED);

    return v >> 32 == window() ? (uint32_t)v : 0;
}

static void count(uint64_t *slot)
{
    uint64_t was = __atomic_load_n(slot, __ATOMIC_RELAXED), next;

    do
        next = was >> 32 == window() ? was + 1 : (uint64_t)window() << 32 | 1;
    while (!__atomic_compare_exchange_n(slot, &was, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

bool oauth_may_try(const struct ip *ip, struct str user)
{
    return failures(try_slot(ip, user, 'u')) < OAUTH_TRIES_USER && failures(try_slot(ip, STR_NULL, 'a')) < OAUTH_TRIES_ADDRESS;
}

void oauth_try_failed(const struct ip *ip, struct str user)
{
    count(try_slot(ip, user, 'u'));
    count(try_slot(ip, STR_NULL, 'a'));
}
