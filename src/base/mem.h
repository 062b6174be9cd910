/* Heap memory that never fails: exhaustion ends the process with one line on standard error. Free with free(). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t n) __attribute__((malloc, returns_nonnull));
/* NULL is fine; n is never 0. */
void *mem_realloc(void *p, size_t n) __attribute__((returns_nonnull));
/* As arena_more (base/arena.h), of an array on the heap; new entries are not zeroed. */
void *mem_more(void *v, size_t n, size_t size) __attribute__((returns_nonnull));
#define MEM_MORE(v, n) ((v) = mem_more((v), (n), sizeof(*(v))))
#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
