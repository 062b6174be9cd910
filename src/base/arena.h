/*
 * Arenas: memory that dies together. One per stanza, request, configuration, command.
 * An arena belongs to one thread at a time; holding and releasing references is thread-safe, so that a finished
 * arena may be read by several threads and freed by the last one. Blocks come from a per-thread cache.
 * Allocation never fails: exhaustion ends the process. Bound peer-chosen sizes before allocating.
 * Under ASan every allocation is its own malloc and caches are off.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/attrs.h"
#include "base/str.h"

struct arena;

/* New arena with one reference. */
struct arena *arena_new(void);
/* Second owner; a held arena may only be read. Returns its argument. */
struct arena *arena_hold(struct arena *a);
/* Drops one reference and clears the pointer; frees with the last. NULL is fine. */
void arena_release(struct arena **a);
/* The same where a function of void * is asked for: arena_on_release and others. */
void arena_drop(void *arena);

/* Uninitialised, aligned to 8. */
void *arena_alloc(struct arena *a, size_t n) __attribute__((malloc, returns_nonnull));
void *arena_zalloc(struct arena *a, size_t n) __attribute__((malloc, returns_nonnull));
#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_zalloc((a), sizeof(type) * (count)))
/*
 * Room for one more behind the n entries of an array that grows one by one from nothing: a longer copy whenever n is 0 or a power
 * of two from 4 on, with the new entries zero. The old array is left to the arena: in all as much again at most.
 */
void *arena_more(struct arena *a, void *v, size_t n, size_t size) __attribute__((returns_nonnull));
#define ARENA_MORE(a, v, n) ((v) = arena_more((a), (v), (n), sizeof(*(v))))
/* NUL-terminated copy; the slice does not count the NUL. */
struct str arena_str(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Runs fn(arg) when the arena dies, last registered first; for descriptors and foreign references. */
void arena_on_release(struct arena *a, void (*fn)(void *arg), void *arg);
/* Contents are wiped before the memory is given back (passwords passed through here). */
void arena_mark_secret(struct arena *a);
size_t arena_size(const struct arena *a);

/* Gives this thread's cached blocks back to malloc (command gc, thread end). */
void arena_cache_trim(void);

#endif
