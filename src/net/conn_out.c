/*
 * Output queue of a connection: own bytes of a turn in one buffer, shared bytes by reference; one system call at the end
 * of the turn. Runs on the connection's shard, loop or fiber; only conn_wait_drain suspends.
 */
#include "net/conn_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define CHUNK_FULL (32 * 1024) /* no more is appended to a chunk beyond this */
#define SHARE_MIN 1024         /* copying less costs less than a reference */
#define IOV_MAX_USED 16

static size_t chunk_left(const struct out_chunk *k)
{
    return (k->shared ? k->shared->n : k->buf.n) - k->off;
}

static void append(struct conn *c, struct out_chunk *k)
{
    if (c->out_tail)
        c->out_tail->next = k;
    else
        c->out_head = k;
    c->out_tail = k;
}

static inline bool writable(const struct conn *c)
{
    return c->state <= CONN_OPEN;
}

static inline void added(struct conn *c, size_t n)
{
    c->out_bytes = n > UINT32_MAX - c->out_bytes ? UINT32_MAX : c->out_bytes + (uint32_t)n;
    conn_schedule(c);
}

struct buf *conn_out_begin(struct conn *c)
{
    if (!writable(c))
        return out_trash();
    struct out_chunk *k = c->out_tail;
    if (!k || k->shared || k->sealed || k->buf.n >= CHUNK_FULL) {
        k = out_chunk_take();
        append(c, k);
    }
    return &k->buf;
}

void conn_out_end(struct conn *c)
{
    struct out_chunk *k = c->out_tail;
    if (!writable(c) || !k || k->shared || k->sealed)
        return;
    size_t n = k->buf.n - k->counted;
    k->counted = k->buf.n;
    if (n)
        added(c, n);
}

void conn_write(struct conn *c, struct str bytes)
{
    if (!bytes.n || !writable(c))
        return;
    buf_add(conn_out_begin(c), bytes.p, bytes.n);
    conn_out_end(c);
}

void conn_write_shared(struct conn *c, struct shared_bytes *b)
{
    if (!writable(c))
        return;
    /* TLS copies anyway, and wants one record for a turn's output. */
    if (c->tls || c->state == CONN_HANDSHAKE || b->n < SHARE_MIN) {
        conn_write(c, str_n(b->p, b->n));
        return;
    }
    struct out_chunk *k = out_chunk_take();
    k->shared = shared_bytes_hold(b);
    append(c, k);
    added(c, b->n);
}

size_t conn_pending(const struct conn *c)
{
    return c->out_bytes;
}

void conn_set_out_limit(struct conn *c, size_t bytes)
{
    c->out_limit = bytes > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)bytes;
    if (c->out_bytes <= c->out_limit)
        c->overflowed = false;
}

void conn_set_send_timeout(struct conn *c, unsigned ms)
{
    c->send_timeout_ms = ms;
}

void conn_out_drop(struct conn *c)
{
    while (c->out_head) {
        struct out_chunk *k = c->out_head;
        c->out_head = k->next;
        out_chunk_give(k);
    }
    c->out_tail = NULL;
    c->out_bytes = 0;
    c->want_write = false;
}

void conn_out_drop_unsealed(struct conn *c)
{
    struct out_chunk *k = c->out_head, *rest;
    struct out_chunk **to = &c->out_head;
    c->out_tail = NULL;
    c->out_bytes = 0;
    for (; k; k = rest) {
        rest = k->next;
        if (!k->sealed) {
            out_chunk_give(k);
            continue;
        }
        *to = c->out_tail = k;
        to = &k->next;
        c->out_bytes += (uint32_t)chunk_left(k);
    }
    *to = NULL;
    c->want_write &= c->out_head != NULL;
}

static void advance(struct conn *c, size_t n)
{
    c->out_bytes = n > c->out_bytes ? 0 : c->out_bytes - (uint32_t)n;
    while (n) {
        struct out_chunk *k = c->out_head;
        size_t left = chunk_left(k);
        if (n < left) {
            k->off += n;
            return;
        }
        n -= left;
        c->out_head = k->next;
        if (!c->out_head)
            c->out_tail = NULL;
        out_chunk_give(k);
    }
}

/* What is sent after this is records: a turn's output is one piece of plain text and leaves in one system call. */
static void seal(struct conn *c, struct out_chunk *k)
{
    struct out_chunk *s = out_chunk_take();
    size_t n = chunk_left(k);
    tls_conn_seal(c->tls, (k->shared ? k->shared->p : k->buf.p) + k->off, n, &s->buf);
    struct buf plain = k->buf;
    k->buf = s->buf;
    s->buf = plain;
    if (k->shared)
        shared_bytes_release(&k->shared);
    k->off = 0;
    k->counted = k->buf.n;
    k->sealed = true;
    out_chunk_give(s);
    c->out_bytes += (uint32_t)(k->buf.n - n);
}

/* 1: n bytes are out, 0: the socket is full, -1: lost */
static int send_plain(struct conn *c, size_t *n)
{
    struct iovec iov[IOV_MAX_USED];
    struct msghdr m = {.msg_iov = iov};
    for (struct out_chunk *k = c->out_head; k && m.msg_iovlen < IOV_MAX_USED; k = k->next) {
        if (c->tls && !k->sealed)
            seal(c, k);
        iov[m.msg_iovlen++] = (struct iovec){(k->shared ? k->shared->p : k->buf.p) + k->off, chunk_left(k)};
    }
    ssize_t r;
    do {
        r = m.msg_iovlen == 1 ? send(c->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL) : sendmsg(c->fd, &m, MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    if (r >= 0) {
        *n = (size_t)r;
        return 1;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    conn_kill(c, errno == EPIPE || errno == ECONNRESET ? "connection reset" : "write error");
    return -1;
}

static int send_tls(struct conn *c, size_t *n)
{
    struct out_chunk *k = c->out_head;
    const char *why = NULL;
    enum tls_io r = tls_conn_write(c->tls, c->fd, (k->shared ? k->shared->p : k->buf.p) + k->off, chunk_left(k), n, &why);
    if (r == TLS_OK)
        return 1;
    if (r == TLS_WANT_READ || r == TLS_WANT_WRITE)
        return 0;
    conn_kill(c, r == TLS_EOF ? "peer closed" : why);
    return -1;
}

static void drop_empty_head(struct conn *c)
{
    while (c->out_head && chunk_left(c->out_head) == 0) {
        struct out_chunk *k = c->out_head;
        c->out_head = k->next;
        if (!c->out_head)
            c->out_tail = NULL;
        out_chunk_give(k);
    }
}

void conn_flush(struct conn *c)
{
    bool progress = false;
    for (;;) {
        drop_empty_head(c);
        if (!c->out_head)
            break;
        size_t n = 0;
        int r = c->tls && !tls_conn_seals(c->tls) ? send_tls(c, &n) : send_plain(c, &n);
        if (r < 0)
            return;
        if (r == 0) {
            c->want_write = true;
            if (c->state == CONN_OPEN && c->send_timeout_ms && (progress || c->timer_role == TIMER_NONE))
                conn_timer_set(c, TIMER_SEND, c->send_timeout_ms);
            if (c->out_bytes <= c->drain_low)
                conn_wake_drain(c);
            return;
        }
        progress = true;
        advance(c, n);
    }
    c->want_write = false;
    conn_timer_clear(c, TIMER_SEND);
    conn_wake_drain(c);
}

void conn_wake_drain(struct conn *c)
{
    struct fiber *f = c->drain_waiter;
    c->drain_waiter = NULL;
    if (f)
        fiber_wake(f);
}

bool conn_wait_drain(struct conn *c, uint32_t low)
{
    while (conn_alive(c) && c->out_bytes > low) {
        c->drain_waiter = fiber_self();
        c->drain_low = low;
        fiber_suspend("send");
    }
    return conn_alive(c);
}
