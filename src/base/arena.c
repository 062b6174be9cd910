/*
 * Arenas: a bump pointer in linked blocks. The first block holds the arena itself and comes from a per-thread cache.
 * An arena is often made on one shard and freed on another, so threads exchange cached blocks in whole trays through
 * one bounded depot: neither side hoards, and the lock is taken once per tray.
 * Any thread; suspends never. Clean-up functions run on the thread that drops the last reference.
 */
#include "base/arena.h"
#include "base/mem.h"
#include "base/secret.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_PLAIN 1
#endif
#endif

/* A chat stanza with its tree fits the first block. */
#define FIRST_BLOCK 2048
#define BLOCK_MAX (64 * 1024)
#define TRAY_BLOCKS 32
#define DEPOT_TRAYS 16
#define MORE_MIN 4 /* entries of an array that grows */
#define ALIGN_UP(n) (((n) + 7) & ~(size_t)7)

struct block {
    struct block *next;
    size_t size; /* with this header */
};

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

struct arena {
    struct block first;
    char *p, *end;        /* free space of the current block */
    struct block *blocks; /* further blocks, newest first */
    struct cleanup *cleanups;
    size_t size; /* bytes of all blocks */
    unsigned refs;
    bool secret;
};

static void free_block(struct block *b, bool secret)
{
    if (secret)
        secret_wipe(b + 1, b->size - sizeof(*b));
    free(b);
}

#ifdef ARENA_PLAIN

void arena_cache_trim(void)
{
}

static struct arena *take_first(void)
{
    return mem_alloc(sizeof(struct arena));
}

static void give_first(struct arena *a)
{
    free(a);
}

static size_t first_size(void)
{
    return sizeof(struct arena);
}

#else

/* One tray in use, one spare: a thread that swings around a tray's edge does not go to the depot each time. */
struct cache {
    struct block *blocks, *spare;
    unsigned count;
    bool has_spare, known; /* known: the thread-end hook is set */
};

static _Thread_local struct cache cache;

static struct {
    pthread_mutex_t lock;
    struct block *trays[DEPOT_TRAYS];
    unsigned count;
} depot = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_key_t thread_end;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;

static void on_thread_end(void *arg)
{
    arena_cache_trim();
}

static void make_thread_end(void)
{
    if (pthread_key_create(&thread_end, on_thread_end) != 0)
        abort();
}

static void free_chain(struct block *b)
{
    while (b) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
}

/* The trays go back to malloc rather than to the depot: whoever trims wants the memory. */
void arena_cache_trim(void)
{
    free_chain(cache.blocks);
    free_chain(cache.spare);
    cache.blocks = cache.spare = NULL;
    cache.count = 0;
    cache.has_spare = false;
    for (;;) {
        pthread_mutex_lock(&depot.lock);
        struct block *tray = depot.count ? depot.trays[--depot.count] : NULL;
        pthread_mutex_unlock(&depot.lock);
        if (!tray)
            return;
        free_chain(tray);
    }
}

static void __attribute__((noinline)) know_thread(void)
{
    cache.known = true;
    pthread_once(&thread_end_once, make_thread_end);
    pthread_setspecific(thread_end, &cache);
}

static bool __attribute__((noinline)) refill(void)
{
    if (cache.has_spare) {
        cache.blocks = cache.spare;
        cache.spare = NULL;
        cache.has_spare = false;
    } else {
        pthread_mutex_lock(&depot.lock);
        if (depot.count)
            cache.blocks = depot.trays[--depot.count];
        pthread_mutex_unlock(&depot.lock);
        if (!cache.known)
            know_thread();
    }
    cache.count = cache.blocks ? TRAY_BLOCKS : 0;
    return cache.blocks != NULL;
}

static void __attribute__((noinline)) put_tray_away(void)
{
    struct block *out = cache.has_spare ? cache.spare : NULL;
    cache.spare = cache.blocks;
    cache.has_spare = true;
    cache.blocks = NULL;
    cache.count = 0;
    if (!out)
        return;
    pthread_mutex_lock(&depot.lock);
    if (depot.count < DEPOT_TRAYS) {
        depot.trays[depot.count++] = out;
        out = NULL;
    }
    pthread_mutex_unlock(&depot.lock);
    free_chain(out);
}

static struct arena *take_first(void)
{
    struct block *b = cache.blocks;
    if (UNLIKELY(!b)) {
        if (!refill())
            return mem_alloc(FIRST_BLOCK);
        b = cache.blocks;
    }
    cache.blocks = b->next;
    cache.count--;
    return (struct arena *)b;
}

static void give_first(struct arena *a)
{
    if (UNLIKELY(cache.count == TRAY_BLOCKS))
        put_tray_away();
    if (UNLIKELY(!cache.known))
        know_thread();
    a->first.next = cache.blocks;
    cache.blocks = &a->first;
    cache.count++;
}

static size_t first_size(void)
{
    return FIRST_BLOCK;
}

#endif

struct arena *arena_new(void)
{
    struct arena *a = take_first();
    a->first.next = NULL;
    a->first.size = first_size();
    a->p = (char *)(a + 1);
    a->end = (char *)a + first_size();
    a->blocks = NULL;
    a->cleanups = NULL;
    a->size = first_size();
    a->secret = false;
    __atomic_store_n(&a->refs, 1, __ATOMIC_RELAXED);
    return a;
}

struct arena *arena_hold(struct arena *a)
{
    __atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED);
    return a;
}

static void arena_end(struct arena *a)
{
    while (a->cleanups) {
        struct cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->arg);
    }
    for (struct block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free_block(b, a->secret);
    }
    if (a->secret)
        secret_wipe(a + 1, first_size() - sizeof(*a));
    give_first(a);
}

void arena_release(struct arena **ap)
{
    struct arena *a = *ap;
    if (!a)
        return;
    *ap = NULL;
    /* A sole owner needs no locked instruction: nobody else can hold it meanwhile. */
    if (__atomic_load_n(&a->refs, __ATOMIC_ACQUIRE) == 1 || __atomic_fetch_sub(&a->refs, 1, __ATOMIC_ACQ_REL) == 1)
        arena_end(a);
}

void arena_drop(void *arena)
{
    struct arena *a = arena;
    arena_release(&a);
}

static struct block *add_block(struct arena *a, size_t size)
{
    struct block *b = mem_alloc(size);
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    a->size += size;
    return b;
}

static void *__attribute__((noinline)) alloc_slow(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        abort();
#ifdef ARENA_PLAIN
    return add_block(a, sizeof(struct block) + n) + 1;
#else
    size_t size = a->size < BLOCK_MAX / 2 ? a->size * 2 : BLOCK_MAX;
    /* A big piece gets a block of its own, and the rest of the current one stays in use. */
    if (n > size / 4)
        return add_block(a, sizeof(struct block) + n) + 1;
    struct block *b = add_block(a, size);
    char *p = (char *)(b + 1);
    a->p = p + n;
    a->end = (char *)b + size;
    return p;
#endif
}

void *arena_alloc(struct arena *a, size_t n)
{
#ifdef ARENA_PLAIN
    return alloc_slow(a, n);
#else
    if (UNLIKELY(n > (size_t)(a->end - a->p)))
        return alloc_slow(a, ALIGN_UP(n));
    char *p = a->p;
    size_t up = ALIGN_UP(n);
    /* Block sizes are multiples of 8, so rounding up never passes the end. */
    a->p = p + up;
    return p;
#endif
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

void *arena_more(struct arena *a, void *v, size_t n, size_t size)
{
    if (n && (n < MORE_MIN || (n & (n - 1))))
        return v;
    size_t room = n ? n * 2 : MORE_MIN;
    char *longer = arena_alloc(a, room * size);
    if (n)
        memcpy(longer, v, n * size);
    memset(longer + n * size, 0, (room - n) * size);
    return longer;
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    return str_n(arena_cstr(a, s), s.n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    char small[256];
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    struct str out = str_n("", 0);
    if (n > 0 && (size_t)n < sizeof(small)) {
        out = arena_str(a, str_n(small, (size_t)n));
    } else if (n > 0) {
        char *p = arena_alloc(a, (size_t)n + 1);
        vsnprintf(p, (size_t)n + 1, fmt, again);
        out = str_n(p, (size_t)n);
    }
    va_end(again);
    if (a->secret)
        secret_wipe(small, sizeof(small));
    return out;
}

void arena_on_release(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct cleanup *c = arena_alloc(a, sizeof(*c));
    c->fn = fn;
    c->arg = arg;
    c->next = a->cleanups;
    a->cleanups = c;
}

void arena_mark_secret(struct arena *a)
{
    a->secret = true;
}

size_t arena_size(const struct arena *a)
{
    return a->size;
}
