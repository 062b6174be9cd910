/*
 * The mapped file of the ledger. Each shard has a list of free cells; what another shard frees comes back over a stack that
 * anybody pushes to and the owner takes whole. Pieces are never given back while the process runs.
 */
#include "store/ledger.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "rt/fault.h"
#include "rt/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (256u << 10)
#define CELLS (PIECE / sizeof(struct ledger_cell))
#define FILE_MAX_BYTES (UINT64_C(4) << 30) /* 64 million cells: more are streams of nobody */
#define MAGIC UINT64_C(0x31726567646c6a63) /* in the first cell's place */

_Static_assert(sizeof(struct ledger_cell) == 64, "cells are cache lines, and the format of the file");

static int fd = -1;
static char path[4096], new_path[4096 + 8];
static uint64_t size;
static pthread_mutex_t grow_lock = PTHREAD_MUTEX_INITIALIZER;
static bool full_said;
static uint64_t boot; /* of the system; 0: nobody knows which */
static struct ledger_cell *given_back[SHARD_MAX]; /* atomic */
static _Thread_local struct ledger_cell *mine;

static struct ledger_cell *old;
static size_t old_n;

/* Pieces in a list through their first cell's `next`, which is never handed out. */
static struct ledger_cell *pieces;

uint64_t ledger_key(struct str id)
{
    uint64_t key = hash_stable(id.p, id.n);
    return key > LEDGER_SPOOL ? key : key + 2;
}

/* --- the one of before --- */

static int by_stream(const void *a, const void *b)
{
    const struct ledger_cell *x = a, *y = b;
    return x->stream < y->stream ? -1 : x->stream > y->stream;
}

static bool read_whole(int from, void *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = pread(from, (char *)to + at, n - at, (off_t)at);
        if (got <= 0 && errno != EINTR)
            return false;
        at += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Of the system that runs now. */
static uint64_t boot_now(void)
{
    char id[64];
    int from = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = from >= 0 ? read(from, id, sizeof id) : -1;
    if (from >= 0)
        close(from);
    return n > 0 ? hash_stable(id, (size_t)n) : 0;
}

static bool believed(const struct ledger_cell *c, bool same_boot)
{
    return c->kind == LEDGER_SESSION || c->kind == LEDGER_EFFECT || (c->kind == LEDGER_DELIVERED && same_boot);
}

static void keep_used(struct ledger_cell *cells, size_t n)
{
    bool same_boot = boot && cells[0].n == boot;
    for (size_t i = 0; i < n; i++)
        if (i % CELLS && believed(&cells[i], same_boot))
            cells[old_n++] = cells[i];
    old = cells;
    qsort(old, old_n, sizeof *old, by_stream);
}

static void read_old(void)
{
    struct stat st;
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return;
    size_t n = fstat(from, &st) == 0 && (uint64_t)st.st_size <= FILE_MAX_BYTES ? (size_t)st.st_size / PIECE * CELLS : 0;
    struct ledger_cell *cells = n ? mem_alloc(n * sizeof *cells) : NULL;
    if (cells && read_whole(from, cells, n * sizeof *cells) && cells[0].stream == MAGIC)
        keep_used(cells, n);
    else
        free(cells);
    close(from);
}

const struct ledger_cell *ledger_old_all(size_t *n_out)
{
    *n_out = old_n;
    return old;
}

const struct ledger_cell *ledger_old(uint64_t stream, size_t *n_out)
{
    size_t low = 0, high = old_n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (old[mid].stream < stream)
            low = mid + 1;
        else
            high = mid;
    }
    size_t end = low;
    while (end < old_n && old[end].stream == stream)
        end++;
    *n_out = end - low;
    return old + low;
}

/* --- life --- */

int ledger_open(const char *folder, struct error *err)
{
    snprintf(path, sizeof path, "%s/streams.ledger", folder);
    snprintf(new_path, sizeof new_path, "%s.new", path);
    boot = boot_now();
    read_old();
    fd = open(new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd < 0 ? err_set(err, ERR_IO, "cannot write %s: %s", new_path, strerror(errno)) : 0;
}

int ledger_commit(struct error *err)
{
    free(old);
    old = NULL;
    old_n = 0;
    fault_die(FAULT_die_ledger_old);
    if (fd >= 0 && rename(new_path, path) != 0)
        return err_set(err, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    fault_die(FAULT_die_ledger_new);
    return 0;
}

void ledger_close(void)
{
    while (pieces) {
        struct ledger_cell *p = pieces;
        pieces = p->next;
        munmap(p, PIECE);
    }
    if (fd >= 0)
        close(fd);
    fd = -1;
    size = 0;
    mine = NULL;
    memset(given_back, 0, sizeof given_back);
    free(old);
    old = NULL;
    old_n = 0;
}

/* --- cells --- */

/* Reserved, not only mapped: a full disk must be an answer here, not a SIGBUS later. */
static struct ledger_cell *map_piece(void)
{
    if (fd < 0 || size + PIECE > FILE_MAX_BYTES || posix_fallocate(fd, (off_t)size, PIECE) != 0)
        return NULL;
    struct ledger_cell *p = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)size);
    if (p == MAP_FAILED)
        return NULL;
    size += PIECE;
    p->stream = MAGIC;
    p->n = boot;
    p->next = pieces;
    pieces = p;
    return p;
}

static void grow(void)
{
    pthread_mutex_lock(&grow_lock);
    struct ledger_cell *p = map_piece();
    bool say = !p && fd >= 0 && !full_said;
    full_said = !p;
    pthread_mutex_unlock(&grow_lock);
    if (say)
        LOG(WARNING, "store", NULL, "%s cannot grow: after a crash messages may come twice", path);
    for (size_t i = 1; p && i < CELLS; i++) {
        p[i].shard = shard_self();
        p[i].next = mine;
        mine = &p[i];
    }
}

static struct ledger_cell *take(void)
{
    if (!mine)
        mine = __atomic_exchange_n(&given_back[shard_self()], NULL, __ATOMIC_ACQUIRE);
    if (!mine && fd >= 0)
        grow();
    struct ledger_cell *c = mine;
    if (c)
        mine = c->next;
    return c;
}

/* The kind last: a cell is there whole or not at all. */
static void publish(struct ledger_cell *c, enum ledger_kind kind)
{
    c->next = NULL;
    __atomic_store_n(&c->kind, kind, __ATOMIC_RELEASE);
}

struct ledger_cell *ledger_session(uint64_t stream, uint32_t sent, uint32_t acked)
{
    struct ledger_cell *c = take();
    if (!c)
        return NULL;
    c->stream = stream;
    c->h = sent;
    c->acked = acked;
    c->over = 0;
    publish(c, LEDGER_SESSION);
    return c;
}

struct ledger_cell *ledger_effect(uint64_t stream, uint64_t account, uint64_t cause, uint64_t n, uint32_t h)
{
    struct ledger_cell *c = take();
    if (!c)
        return NULL;
    c->stream = stream;
    c->account = account;
    c->cause = cause;
    c->n = n;
    c->h = h;
    publish(c, LEDGER_EFFECT);
    return c;
}

struct ledger_cell *ledger_delivered(uint64_t account, uint64_t stored_s, uint64_t id)
{
    struct ledger_cell *c = take();
    if (!c)
        return NULL;
    c->stream = 0;
    c->account = account;
    c->cause = stored_s;
    c->n = id;
    publish(c, LEDGER_DELIVERED);
    return c;
}

void ledger_push(struct ledger_cell **list, struct ledger_cell *c)
{
    if (!c)
        return;
    c->next = __atomic_load_n(list, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(list, &c->next, c, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
}

void ledger_free(struct ledger_cell **cp)
{
    struct ledger_cell *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    if (c->shard != shard_self()) {
        ledger_give_back(&c);
        return;
    }
    __atomic_store_n(&c->kind, LEDGER_FREE, __ATOMIC_RELEASE);
    c->next = mine;
    mine = c;
}

void ledger_give_back(struct ledger_cell **cp)
{
    struct ledger_cell *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    __atomic_store_n(&c->kind, LEDGER_FREE, __ATOMIC_RELEASE);
    ledger_push(&given_back[c->shard], c);
}

void ledger_push_all(struct ledger_cell **list, struct ledger_cell **from)
{
    struct ledger_cell *c = __atomic_exchange_n(from, NULL, __ATOMIC_ACQUIRE);
    while (c) {
        struct ledger_cell *next = c->next;
        ledger_push(list, c);
        c = next;
    }
}

void ledger_free_all(struct ledger_cell **list)
{
    struct ledger_cell *c = __atomic_exchange_n(list, NULL, __ATOMIC_ACQUIRE);
    while (c) {
        struct ledger_cell *next = c->next;
        ledger_free(&c);
        c = next;
    }
}
