/*
 * Free buffers of a thread. Last in, first out: the buffer that is still in the processor's cache is used next.
 * Each list is bounded, so a burst does not stay in memory. Suspends never.
 */
#include "net/net_shard.h"
#include "base/mem.h"
#include "net/conn.h"

#include <pthread.h>
#include <stdlib.h>

#define IN_KEEP 4
#define OUT_KEEP 64
#define OUT_START 1024
#define EXIT_MAX 4
#define OUT_KEEP_CAP (16 * 1024) /* larger buffers are freed, not kept */

static __thread struct {
    struct in_buf *in;
    struct out_chunk *out;
    unsigned in_count, out_count;
    struct buf trash;
    bool registered;
    void (*on_exit[EXIT_MAX])(void);
} mine;

static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;

void net_shard_trim(void)
{
    while (mine.in) {
        struct in_buf *b = mine.in;
        mine.in = b->next;
        free(b);
    }
    while (mine.out) {
        struct out_chunk *c = mine.out;
        mine.out = c->next;
        buf_deinit(&c->buf);
        free(c);
    }
    buf_deinit(&mine.trash);
    mine.in_count = mine.out_count = 0;
}

static void at_thread_exit(void *arg)
{
    net_shard_trim();
    for (unsigned i = 0; i < EXIT_MAX && mine.on_exit[i]; i++) {
        mine.on_exit[i]();
        mine.on_exit[i] = NULL;
    }
}

static void make_key(void)
{
    pthread_key_create(&exit_key, at_thread_exit);
}

static void register_exit(void)
{
    if (mine.registered)
        return;
    mine.registered = true;
    pthread_once(&exit_once, make_key);
    pthread_setspecific(exit_key, &mine);
}

void net_shard_on_exit(void (*fn)(void))
{
    register_exit();
    for (unsigned i = 0; i < EXIT_MAX; i++) {
        if (mine.on_exit[i] == fn)
            return;
        if (!mine.on_exit[i]) {
            mine.on_exit[i] = fn;
            return;
        }
    }
    abort();
}

struct in_buf *in_buf_take(void)
{
    struct in_buf *b = mine.in;
    if (b) {
        mine.in = b->next;
        mine.in_count--;
    } else {
        b = mem_alloc(sizeof(*b) + IN_BUF_SIZE);
        b->cap = IN_BUF_SIZE;
    }
    b->next = NULL;
    b->off = b->n = 0;
    return b;
}

struct in_buf *in_buf_small(const char *p, size_t n)
{
    struct in_buf *b = mem_alloc(sizeof(*b) + n);
    b->next = NULL;
    b->off = 0;
    b->n = b->cap = (uint32_t)n;
    memcpy(b->p, p, n);
    return b;
}

void in_buf_give(struct in_buf **bp)
{
    struct in_buf *b = *bp;
    *bp = NULL;
    if (!b)
        return;
    if (b->cap != IN_BUF_SIZE || mine.in_count >= IN_KEEP) {
        free(b);
        return;
    }
    register_exit();
    b->next = mine.in;
    mine.in = b;
    mine.in_count++;
}

struct out_chunk *out_chunk_take(void)
{
    struct out_chunk *c = mine.out;
    if (c) {
        mine.out = c->next;
        mine.out_count--;
    } else {
        c = MEM_NEW(struct out_chunk);
        buf_reserve(&c->buf, OUT_START);
    }
    c->next = NULL;
    c->shared = NULL;
    c->off = c->counted = 0;
    c->sealed = false;
    buf_clear(&c->buf);
    return c;
}

void out_chunk_give(struct out_chunk *c)
{
    if (c->shared)
        shared_bytes_release(&c->shared);
    if (c->buf.cap > OUT_KEEP_CAP || mine.out_count >= OUT_KEEP) {
        buf_deinit(&c->buf);
        free(c);
        return;
    }
    register_exit();
    c->next = mine.out;
    mine.out = c;
    mine.out_count++;
}

struct buf *out_trash(void)
{
    register_exit();
    if (mine.trash.cap > OUT_KEEP_CAP)
        buf_deinit(&mine.trash);
    buf_clear(&mine.trash);
    return &mine.trash;
}

struct shared_bytes *shared_bytes_new(struct str bytes)
{
    struct shared_bytes *b = mem_alloc(sizeof(*b) + bytes.n);
    b->refs = 1;
    b->n = (uint32_t)bytes.n;
    memcpy(b->p, bytes.p ? bytes.p : "", bytes.n);
    return b;
}

struct shared_bytes *shared_bytes_hold(struct shared_bytes *b)
{
    __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

void shared_bytes_release(struct shared_bytes **bp)
{
    struct shared_bytes *b = *bp;
    *bp = NULL;
    if (b && !__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
        free(b);
}
