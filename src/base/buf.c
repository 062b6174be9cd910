/* Growable byte buffer on the heap. One thread at a time; suspends never. */
#include "base/buf.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_MIN 64

void buf_deinit(struct buf *b)
{
    free(b->p);
    *b = BUF_INIT;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->n >= n && b->p)
        return b->p + b->n;
    if (n > SIZE_MAX / 4 || b->n > SIZE_MAX / 4)
        abort();
    size_t cap = b->cap ? b->cap * 2 : BUF_MIN;
    if (cap < b->n + n)
        cap = b->n + n;
    b->p = mem_realloc(b->p, cap);
    b->cap = cap;
    return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (!n)
        return;
    memcpy(buf_reserve(b, n), p, n);
    b->n += n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    size_t room = b->cap - b->n;
    int n = vsnprintf(b->p ? b->p + b->n : NULL, b->p ? room : 0, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n >= room)
        vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    if (n > 0)
        b->n += (size_t)n;
}

void buf_drop(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}
