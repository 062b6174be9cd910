/* The connection as the files of src/net see it. */
#ifndef NET_CONN_INTERNAL_H
#define NET_CONN_INTERNAL_H

#include "net/conn.h"
#include "net/net_shard.h"
#include "net/proxy.h"
#include "net/tls_internal.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

enum conn_state {
    CONN_PROXY,     /* the PROXY header is being read */
    CONN_HANDSHAKE, /* TLS; output waits */
    CONN_OPEN,
    CONN_CLOSING,   /* no more input; the queue goes out */
    CONN_LINGER,    /* FIN sent and the owner gone; reads on so that the peer gets what was sent before a reset could */
    CONN_DEAD       /* descriptor closed; on_closed may still be due */
};

enum conn_timer { TIMER_NONE, TIMER_HANDSHAKE, TIMER_SEND, TIMER_LINGER };

#define CONN_LINGER_MS 2000
#define CONN_SEND_TIMEOUT_MS 15000
#define CONN_HANDSHAKE_MS 30000
#define CONN_OUT_LIMIT (4u << 20)

/* Token bucket; exists only on shaped connections. */
struct shaper {
    struct timer timer;
    struct conn *conn;
    uint64_t rate, burst;
    int64_t tokens;
    uint64_t filled_ms;
};

/* What is needed for a while only. */
struct conn_extra {
    struct proxy *proxy;
    struct tls_ctx *tls_ctx;
    char *tls_host;
    void (*arrived)(struct conn *c);
    unsigned target;
};

struct conn {
    const struct conn_ops *ops;
    void *owner;
    struct listener *listener;
    struct list here; /* of the connections attached to this shard */
    uv_poll_t *poll; /* on the heap for itself: it closes on the old shard while the connection is already on the new one */
    union {
        struct shard_task task;
        struct msg msg; /* while it travels */
    };
    struct timer timer;
    struct in_buf *in;
    struct out_chunk *out_head, *out_tail;
    struct tls_conn *tls;
    struct shaper *shaper;
    struct conn_extra *extra;
    struct fiber *drain_waiter;
    const char *why;
    uint32_t out_bytes, out_limit, send_timeout_ms, drain_low;
    unsigned refs; /* atomic */
    int fd;
    struct ip ip;
    uint16_t port;
    uint8_t state, timer_role, events;
    bool busy : 1;       /* on_bytes has not returned */
    bool suspended : 1;  /* and its fiber waits */
    bool offered : 1;    /* it has returned after waiting: the loop has to look at what it asked for */
    bool reoffer : 1;    /* the rest may be offered without new bytes */
    bool read_due : 1;   /* the socket will not announce what is there to read */
    bool paused : 1;     /* by the owner */
    bool throttled : 1;  /* by the shaper */
    bool stalled : 1;    /* the buffer is full and the owner takes nothing */
    bool tls_wanted : 1; /* TLS begins when the plain queue is out */
    bool moving : 1;
    bool want_write : 1;
    bool overflowed : 1;
    bool peer_eof : 1;
    bool told : 1; /* on_closed has run */
    bool counted : 1;
    bool counted_ip : 1;
};

/* Takes the descriptor (non-blocking). The acceptor sets the owner, then conn_begin starts PROXY, TLS or plain reading. */
struct conn *conn_new(int fd, const struct ip *peer, uint16_t port, struct listener *l);
void conn_begin(struct conn *c);

/* --- conn_all.c --- */
void conn_all_add(struct conn *c);
void conn_all_remove(struct conn *c);

/* --- conn.c and conn_out.c to each other --- */
void conn_schedule(struct conn *c);
void conn_update_events(struct conn *c);
/* The connection is lost: descriptor closed at once, on_closed from the loop. */
void conn_kill(struct conn *c, const char *why);
void conn_timer_set(struct conn *c, enum conn_timer role, unsigned ms);
void conn_timer_clear(struct conn *c, enum conn_timer role);
/* Sends what the socket takes. */
void conn_flush(struct conn *c);
void conn_out_drop(struct conn *c);
/* TLS records have their numbers: an alert behind them can be opened only if they are sent. */
void conn_out_drop_unsealed(struct conn *c);
void conn_wake_drain(struct conn *c);
/* The TLS handshake failed: the alert has to reach the peer before the reset. */
void conn_fail_gently(struct conn *c, const char *why);

/* --- conn_shaper.c --- */
/* How much of `room` may be read now. */
size_t shaper_room(struct conn *c, size_t room);
/* n bytes were read; may throttle. Only on shaped connections. */
void shaper_spend(struct conn *c, size_t n);
void shaper_drop(struct conn *c);

/* --- conn_open.c: what comes before plain reading --- */
void conn_open_step(struct conn *c);
void conn_begin_tls(struct conn *c);
struct conn_extra *conn_extra(struct conn *c);
void conn_extra_free(struct conn *c);

/* Waits until at most `low` bytes are queued; false: the connection is gone. */
bool conn_wait_drain(struct conn *c, uint32_t low) YIELDS;

/* --- listener.c --- */
void listener_hold(struct listener *l);
void listener_release(struct listener *l);
/* A connection's place in the counts; false: the address has too many. */
bool listener_enter_ip(struct listener *l, const struct ip *ip);
void listener_leave(struct listener *l, bool counted, const struct ip *ip);

#endif
