/* Growable byte buffer on the heap, for building text. Growth never fails (exhaustion ends the process). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/attrs.h"
#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap;
};

#define BUF_INIT ((struct buf){NULL, 0, 0})

void buf_deinit(struct buf *b);
/* Room for n more bytes; returns the write position. */
char *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Removes n bytes at the front. */
void buf_drop(struct buf *b, size_t n);
static inline void buf_add_str(struct buf *b, struct str s) { buf_add(b, s.p, s.n); }
static inline void buf_add_c(struct buf *b, char c) { *buf_reserve(b, 1) = c; b->n++; }
static inline struct str buf_str(const struct buf *b) { return (struct str){b->p ? b->p : "", b->n}; }
static inline void buf_clear(struct buf *b) { b->n = 0; }

#endif
