/* Heap allocation that ends the process when there is no memory. Any thread; suspends never. */
#include "base/mem.h"

#include <stdlib.h>
#include <unistd.h>

#define MEM_MORE_MIN 4

static void out_of_memory(void)
{
    static const char words[] = "out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, words, sizeof(words) - 1);
    (void)ignored;
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        out_of_memory();
    return q;
}

void *mem_more(void *v, size_t n, size_t size)
{
    if (n && (n < MEM_MORE_MIN || (n & (n - 1))))
        return v;
    return mem_realloc(v, (n ? n * 2 : MEM_MORE_MIN) * size);
}
