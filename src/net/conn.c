/*
 * Connections: reading, suspension, closing, moving. Owns the descriptor, its poll handle and the state machine; output
 * is in conn_out.c, PROXY and the handshake in conn_open.c. Everything runs on the connection's shard; on_bytes runs on
 * a fiber and may suspend, the rest is loop code.
 */
#include "net/conn_internal.h"
#include "base/mem.h"
#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_PER_TURN 4 /* then other connections have their turn */

static void on_poll(uv_poll_t *h, int status, int events);
static void turn_end(struct shard_task *t);
static void on_timer(struct timer *t);

static struct conn *hold(struct conn *c)
{
    __atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

static void release(struct conn *c)
{
    if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(c);
}

struct conn *conn_hold(struct conn *c)
{
    return hold(c);
}

void conn_release(struct conn **c)
{
    if (*c)
        release(*c);
    *c = NULL;
}

bool conn_alive(const struct conn *c)
{
    return c->state <= CONN_OPEN;
}

/* --- poll handle and timer --- */
static void on_poll_closed(uv_handle_t *h)
{
    free(h);
}

static bool attach(struct conn *c)
{
    uv_poll_t *p = mem_alloc(sizeof(*p));
    c->events = 0;
    if (uv_poll_init(shard_loop(), p, c->fd) != 0) {
        free(p);
        return false;
    }
    p->data = c;
    c->poll = p;
    conn_all_add(c);
    return true;
}

static void detach(struct conn *c)
{
    timer_stop(&c->timer);
    c->timer_role = TIMER_NONE;
    shard_task_cancel(&c->task);
    if (c->shaper)
        timer_stop(&c->shaper->timer);
    if (!c->poll)
        return;
    c->poll->data = NULL;
    uv_poll_stop(c->poll);
    uv_close((uv_handle_t *)c->poll, on_poll_closed);
    c->poll = NULL;
    c->events = 0;
    conn_all_remove(c);
}

void conn_timer_set(struct conn *c, enum conn_timer role, unsigned ms)
{
    c->timer_role = role;
    timer_arm(&c->timer, ms);
}

void conn_timer_clear(struct conn *c, enum conn_timer role)
{
    if (c->timer_role != role)
        return;
    c->timer_role = TIMER_NONE;
    timer_stop(&c->timer);
}

void conn_schedule(struct conn *c)
{
    shard_at_turn_end(&c->task);
}

static bool may_read(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->busy && !c->paused && !c->throttled && !c->stalled && !c->tls_wanted && !c->moving;
}

/* While a fiber works on the last bytes the descriptor stays armed: most answers come before the peer's next bytes. */
void conn_update_events(struct conn *c)
{
    int want = 0;
    if (!c->poll)
        return;
    if (c->busy)
        want = c->events & UV_READABLE;
    else if (c->state == CONN_OPEN)
        want = may_read(c) ? UV_READABLE : 0;
    else if (c->state != CONN_CLOSING)
        want = UV_READABLE;
    if (c->want_write)
        want |= UV_WRITABLE;
    if (want == c->events)
        return;
    c->events = (uint8_t)want;
    if (want)
        uv_poll_start(c->poll, want, on_poll);
    else
        uv_poll_stop(c->poll);
}

/* --- life --- */
struct conn *conn_new(int fd, const struct ip *peer, uint16_t port, struct listener *l)
{
    struct conn *c = MEM_NEW(struct conn);
    c->fd = fd;
    c->refs = 1;
    c->state = CONN_PROXY;
    c->ip = *peer;
    c->port = port;
    c->listener = l;
    c->out_limit = CONN_OUT_LIMIT;
    c->send_timeout_ms = CONN_SEND_TIMEOUT_MS;
    c->task.fn = turn_end;
    timer_setup(&c->timer, on_timer);
    if (!attach(c)) {
        free(c);
        return NULL;
    }
    return c;
}

struct conn *conn_adopt(int fd, const struct ip *peer, uint16_t port, const struct conn_ops *ops, void *owner)
{
    struct conn *c = conn_new(fd, peer, port, NULL);
    if (!c) {
        close(fd);
        return NULL;
    }
    conn_set_owner(c, ops, owner);
    conn_begin(c);
    return c;
}

static void tell_closed(struct conn *c)
{
    if (c->told)
        return;
    c->told = true;
    const struct conn_ops *ops = c->ops;
    if (ops && ops->on_closed)
        ops->on_closed(c, c->why ? c->why : "closed");
    c->owner = NULL;
    c->ops = NULL;
}

void conn_kill(struct conn *c, const char *why)
{
    if (c->state == CONN_DEAD)
        return;
    if (!c->why)
        c->why = why;
    detach(c);
    tls_conn_delete(&c->tls);
    close(c->fd);
    c->fd = -1;
    c->state = CONN_DEAD;
    if (c->listener)
        listener_leave(c->listener, c->counted, c->counted_ip ? &c->ip : NULL);
    c->counted = c->counted_ip = false;
    conn_out_drop(c);
    conn_wake_drain(c);
    shaper_drop(c);
    if (!c->busy)
        in_buf_give(&c->in);
    shard_at_turn_end(&c->task);
}

void conn_abort(struct conn *c, const char *why)
{
    conn_kill(c, why);
}

static unsigned linger_ms(const struct conn *c)
{
    unsigned ms = c->listener ? listener_config(c->listener)->linger_ms : 0;
    return ms ? ms : CONN_LINGER_MS;
}

static void begin_closing(struct conn *c, const char *why)
{
    if (!c->why)
        c->why = why;
    c->state = CONN_CLOSING;
    c->tls_wanted = c->moving = false;
    conn_timer_set(c, TIMER_LINGER, linger_ms(c));
    conn_wake_drain(c);
    conn_schedule(c);
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_OPEN)
        begin_closing(c, "closed");
    else if (c->state < CONN_OPEN)
        conn_kill(c, "closed");
}

void conn_fail_gently(struct conn *c, const char *why)
{
    conn_out_drop_unsealed(c);
    begin_closing(c, why);
}

/* The queue is out: say so, send FIN, and read on for a while so that the peer sees both. */
static void end_output(struct conn *c)
{
    if (c->tls)
        tls_conn_shutdown(c->tls, c->fd);
    if (c->peer_eof || shutdown(c->fd, SHUT_WR) != 0) {
        conn_kill(c, "closed");
        return;
    }
    c->state = CONN_LINGER;
    in_buf_give(&c->in);
    tls_conn_delete(&c->tls);
    conn_extra_free(c);
    shaper_drop(c);
    conn_update_events(c);
    tell_closed(c);
}

static void linger_read(struct conn *c)
{
    char sink[16 * 1024];
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(c->fd, sink, sizeof(sink), 0);
        if (n == (ssize_t)sizeof(sink) || (n < 0 && errno == EINTR))
            continue;
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
            conn_kill(c, "closed");
        return;
    }
}

static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    enum conn_timer role = c->timer_role;
    c->timer_role = TIMER_NONE;
    if (role == TIMER_HANDSHAKE)
        conn_kill(c, c->state == CONN_PROXY ? "PROXY header timeout" : "TLS handshake timeout");
    else if (role == TIMER_SEND)
        conn_kill(c, "send timeout");
    else
        conn_kill(c, "closed");
}

/* --- input --- */
/* Room for more bytes behind the rest; false: the owner has not taken a full buffer. */
static bool make_room(struct conn *c)
{
    struct in_buf *b = c->in;
    if (!b) {
        c->in = in_buf_take();
        return true;
    }
    size_t rest = b->n - b->off;
    if (b->cap != IN_BUF_SIZE) {
        struct in_buf *full = in_buf_take();
        memcpy(full->p, b->p + b->off, rest);
        full->n = (uint32_t)rest;
        in_buf_give(&c->in);
        c->in = full;
    } else if (b->off) {
        memmove(b->p, b->p + b->off, rest);
        b->off = 0;
        b->n = (uint32_t)rest;
    }
    return c->in->n < c->in->cap;
}

/* An idle connection owns no buffer; a rest that waits owns one of its size. */
static void settle_buffer(struct conn *c)
{
    struct in_buf *b = c->in;
    if (!b || c->busy)
        return;
    if (b->off == b->n) {
        in_buf_give(&c->in);
    } else if (b->cap == IN_BUF_SIZE && b->n - b->off < IN_BUF_SIZE / 2) {
        c->in = in_buf_small(b->p + b->off, b->n - b->off);
        in_buf_give(&b);
    }
}

enum fill { FILL_NONE, FILL_LAST, FILL_MORE };

static void peer_closed(struct conn *c)
{
    c->peer_eof = true;
    begin_closing(c, "peer closed");
    if (c->send_timeout_ms > linger_ms(c)) /* half-closed: it may still be reading a long answer */
        conn_timer_set(c, TIMER_LINGER, c->send_timeout_ms);
}

static enum fill fill_tls(struct conn *c, size_t room)
{
    size_t got;
    const char *why = "TLS error";
    enum tls_io r = tls_conn_read(c->tls, c->fd, c->in->p + c->in->n, room, &got, &why);
    c->in->n += (uint32_t)got;
    if (r == TLS_OK)
        return tls_conn_pending(c->tls) ? FILL_MORE : FILL_LAST;
    if (r == TLS_WANT_WRITE) /* an answer to a key update waits */
        c->want_write = true;
    if (r == TLS_EOF)
        peer_closed(c);
    if (r == TLS_FAIL)
        conn_fail_gently(c, why);
    return FILL_NONE;
}

static enum fill fill_plain(struct conn *c, size_t room)
{
    ssize_t r;
    do {
        r = recv(c->fd, c->in->p + c->in->n, room, 0);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        c->in->n += (uint32_t)r;
        return (size_t)r == room ? FILL_MORE : FILL_LAST;
    }
    if (r == 0)
        peer_closed(c);
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        conn_kill(c, errno == ETIMEDOUT ? "connection timed out" : "connection reset");
    return FILL_NONE;
}

static enum fill fill(struct conn *c)
{
    if (!make_room(c)) {
        c->stalled = true;
        return FILL_NONE;
    }
    size_t before = c->in->n, room = shaper_room(c, c->in->cap - c->in->n);
    enum fill f = c->tls ? fill_tls(c, room) : fill_plain(c, room);
    if (c->shaper && f != FILL_NONE)
        shaper_spend(c, c->in->n - before);
    return f;
}

static void offer_fiber(void *arg) YIELDS;

/* At its end the connection may be dead or about to move; only the loop acts on that. */
static void offer_fiber(void *arg)
{
    struct conn *c = arg;
    do {
        struct in_buf *b = c->in;
        c->reoffer = false;
        size_t used = c->ops->on_bytes(c, b->p + b->off, b->n - b->off);
        b->off += (uint32_t)(used < b->n - b->off ? used : b->n - b->off);
    } while (c->reoffer && c->in->off < c->in->n && c->state == CONN_OPEN && !c->tls_wanted && !c->moving && !c->paused);
    c->busy = c->reoffer = false;
    if (c->suspended) {
        c->suspended = false;
        c->offered = true;
        shard_at_turn_end(&c->task);
    }
}

/* true: on_bytes has returned. */
static bool offer(struct conn *c)
{
    c->busy = true;
    if (fiber_run(offer_fiber, c))
        return true;
    if (c->busy)
        c->suspended = true;
    return false;
}

static void on_arrival(struct msg *m);

static void arrive(struct conn *c)
{
    void (*arrived)(struct conn *c) = c->extra->arrived;
    conn_extra_free(c);
    c->moving = false;
    arrived(c);
    if (c->state == CONN_DEAD)
        return;
    c->reoffer = c->read_due = true;
    conn_schedule(c);
}

/* What became of a connection while its bytes were offered. */
enum after {
    AFTER_READ, /* go on */
    AFTER_STOP, /* here, but not to be read now */
    AFTER_GONE  /* on its way to another shard: not to be touched any more */
};

static enum after move(struct conn *c)
{
    unsigned target = c->extra->target;
    if (target == shard_self()) {
        arrive(c);
        return AFTER_STOP;
    }
    conn_flush(c);
    if (c->state == CONN_DEAD)
        return AFTER_STOP;
    settle_buffer(c);
    detach(c);
    c->msg.fn = on_arrival;
    mail_post(target, &c->msg);
    return AFTER_GONE;
}

static void on_arrival(struct msg *m)
{
    struct conn *c = CONTAINER_OF(m, struct conn, msg);
    c->task = (struct shard_task){.fn = turn_end};
    bool attached = attach(c);
    if (c->tls)
        tls_conn_attach(c->tls);
    if (c->throttled)
        timer_arm(&c->shaper->timer, 1);
    arrive(c); /* also when it is lost: the owner's state has come along and on_closed must find it settled */
    if (!attached)
        conn_kill(c, "no memory for the descriptor");
    conn_update_events(c);
}

/* What on_bytes asked for takes effect here. */
static enum after after_offer(struct conn *c)
{
    c->offered = false;
    if (c->state != CONN_OPEN) {
        conn_schedule(c);
        return AFTER_STOP;
    }
    if (c->tls_wanted) {
        /* Plain bytes behind the request for TLS are never looked at (RFC 6120 §5.4.3.3: nothing may be injected). */
        in_buf_give(&c->in);
        conn_schedule(c);
        return AFTER_STOP;
    }
    return c->moving ? move(c) : AFTER_READ;
}

/* The fiber still waiting counts as STOP: it says itself when it is done. */
static enum after offer_now(struct conn *c)
{
    return offer(c) ? after_offer(c) : AFTER_STOP;
}

static enum after input(struct conn *c)
{
    enum after a = AFTER_READ;
    bool again = c->reoffer;
    c->read_due = c->reoffer = false;
    if (again && c->in && c->in->off < c->in->n && may_read(c))
        a = offer_now(c);
    for (int i = 0; i < READS_PER_TURN && a == AFTER_READ && may_read(c); i++) {
        enum fill f = fill(c);
        if (f == FILL_NONE)
            break;
        a = offer_now(c);
        if (f == FILL_LAST)
            break;
    }
    if (a == AFTER_GONE)
        return a;
    settle_buffer(c);
    if (c->tls && may_read(c) && tls_conn_pending(c->tls)) {
        c->read_due = true;
        conn_schedule(c);
    }
    return a;
}

static void readable(struct conn *c)
{
    if (c->state < CONN_OPEN) {
        if (c->tls)
            tls_conn_readable(c->tls);
        conn_open_step(c);
        return;
    }
    if (c->state == CONN_LINGER) {
        linger_read(c);
        return;
    }
    if (c->tls)
        tls_conn_readable(c->tls);
    if (may_read(c)) {
        input(c);
        return;
    }
    if (c->events & UV_READABLE) { /* nobody can take it now: do not be woken again */
        c->events &= (uint8_t)~UV_READABLE;
        if (c->events)
            uv_poll_start(c->poll, c->events, on_poll);
        else
            uv_poll_stop(c->poll);
    }
}

static void writable(struct conn *c)
{
    c->want_write = false;
    if (c->state == CONN_HANDSHAKE) {
        conn_open_step(c);
        return;
    }
    if (c->out_head)
        conn_flush(c);
    else
        c->read_due = c->tls != NULL; /* reading waited for this (key update) */
    conn_schedule(c);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct conn *c = h->data;
    if (!c)
        return;
    if (status < 0) {
        conn_kill(c, "connection reset");
        return;
    }
    if (events & UV_WRITABLE)
        writable(c);
    if (h->data != c)
        return;
    if (events & UV_READABLE)
        readable(c);
    if (h->data == c)
        conn_update_events(c);
}

static void check_overflow(struct conn *c)
{
    if (!c->out_limit || c->out_bytes <= c->out_limit) {
        c->overflowed = false;
        return;
    }
    if (c->overflowed || c->state != CONN_OPEN)
        return;
    c->overflowed = true;
    if (c->ops && c->ops->on_overflow)
        c->ops->on_overflow(c);
    else
        conn_kill(c, "output queue is full");
}

static void finish(struct conn *c)
{
    if (c->busy)
        return;
    in_buf_give(&c->in);
    conn_extra_free(c);
    tell_closed(c);
    struct listener *l = c->listener;
    c->listener = NULL;
    if (l)
        listener_release(l);
    release(c);
}

static void output(struct conn *c)
{
    if (c->out_head && (c->state == CONN_OPEN || c->state == CONN_CLOSING))
        conn_flush(c);
    if (c->state == CONN_OPEN)
        check_overflow(c);
    if (c->state == CONN_OPEN && c->tls_wanted && !c->busy && !c->out_head) {
        conn_begin_tls(c);
    }
    if (c->state == CONN_CLOSING && !c->busy && !c->out_head)
        end_output(c);
}

static void turn_end(struct shard_task *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, task);
    if (c->state == CONN_DEAD) {
        finish(c);
        return;
    }
    if (c->offered) {
        if (after_offer(c) == AFTER_GONE)
            return;
        c->read_due = true;
    }
    output(c);
    if (c->read_due && may_read(c) && input(c) == AFTER_GONE)
        return;
    settle_buffer(c);
    conn_update_events(c);
}

/* --- input control --- */
void conn_resume(struct conn *c)
{
    c->paused = c->stalled = false;
    c->reoffer = true;
    if (!c->busy) {
        c->read_due = true;
        conn_schedule(c);
    }
}

void conn_pause(struct conn *c)
{
    c->paused = true;
    c->reoffer = false;
    conn_update_events(c);
}

/* --- TLS --- */
void conn_start_tls(struct conn *c, struct tls_ctx *ctx, struct str default_host)
{
    if (c->state != CONN_OPEN || c->tls || c->tls_wanted)
        return;
    struct conn_extra *x = conn_extra(c);
    x->tls_ctx = ctx;
    x->tls_host = mem_alloc(default_host.n + 1);
    memcpy(x->tls_host, default_host.p ? default_host.p : "", default_host.n);
    x->tls_host[default_host.n] = '\0';
    c->tls_wanted = true;
}

bool conn_is_tls(const struct conn *c)
{
    return c->tls && tls_conn_version(c->tls);
}

bool conn_channel_binding(struct conn *c, struct str type, struct arena *a, struct str *out)
{
    return c->tls && tls_conn_binding(c->tls, type, a, out);
}

struct str conn_sni(const struct conn *c)
{
    return c->tls ? tls_conn_sni(c->tls) : STR_NULL;
}

struct str conn_alpn(const struct conn *c)
{
    return c->tls ? tls_conn_alpn(c->tls) : STR_NULL;
}

void conn_forget_peer_cert(struct conn *c)
{
    if (c->tls)
        tls_conn_forget_peer(c->tls);
}

const char *conn_tls_version(const struct conn *c)
{
    return c->tls ? tls_conn_version(c->tls) : NULL;
}

const char *conn_tls_cipher(const struct conn *c)
{
    return c->tls ? tls_conn_cipher(c->tls) : NULL;
}

/* --- the owner --- */
void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *owner)
{
    c->ops = ops;
    c->owner = owner;
}

void *conn_owner(struct conn *c)
{
    return c->owner;
}

const struct listener *conn_listener(const struct conn *c)
{
    return c->listener;
}

const struct ip *conn_ip(const struct conn *c)
{
    return &c->ip;
}

uint16_t conn_port(const struct conn *c)
{
    return c->port;
}

void conn_move(struct conn *c, unsigned shard, void (*arrived)(struct conn *c))
{
    if (c->state != CONN_OPEN)
        return;
    struct conn_extra *x = conn_extra(c);
    x->target = shard;
    x->arrived = arrived;
    c->moving = true;
}

bool conn_peer_uid(const struct conn *c, uint32_t *uid_out)
{
    struct ucred cred;
    socklen_t n = sizeof(cred);
    if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0 || cred.pid == 0)
        return false;
    *uid_out = cred.uid;
    return true;
}
