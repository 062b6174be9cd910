/*
 * What a shard's connections share: free buffers. Per thread; given back when the thread ends. Idle connections own
 * none of these, so a handful serves any number of connections.
 */
#ifndef NET_NET_SHARD_H
#define NET_NET_SHARD_H

#include "base/buf.h"

/* Input bytes. A full TLS record fits. */
#define IN_BUF_SIZE (32 * 1024 - 64)

struct in_buf {
    struct in_buf *next;
    uint32_t off, n, cap; /* bytes off..n are unread */
    char p[];
};

struct in_buf *in_buf_take(void);
/* A buffer just large enough for a rest that waits long. */
struct in_buf *in_buf_small(const char *p, size_t n);
void in_buf_give(struct in_buf **b);

/* A piece of an output queue: own bytes, or a reference to shared ones. */
struct shared_bytes {
    unsigned refs;
    uint32_t n;
    char p[];
};

struct out_chunk {
    struct out_chunk *next;
    struct shared_bytes *shared;
    struct buf buf;
    size_t off;     /* bytes sent */
    size_t counted; /* bytes of buf that the queue's sum knows */
    bool sealed;    /* records of TLS: nothing can be appended */
};

struct out_chunk *out_chunk_take(void);
void out_chunk_give(struct out_chunk *c);

/* Where writes to a closing connection go. */
struct buf *out_trash(void);

/* Gives this thread's free buffers back to malloc. */
void net_shard_trim(void);
/* Runs fn when the thread ends; a few different ones at most. */
void net_shard_on_exit(void (*fn)(void));

#endif
