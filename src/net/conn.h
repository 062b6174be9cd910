/*
 * One byte stream (TCP, TLS over TCP, or a local socket) on one shard. Reading happens on a fiber, at most one per
 * connection: while the owner's on_bytes is suspended nothing more is read (back-pressure). Writing collects in an
 * output queue that goes out in one system call at the end of the loop turn. An idle connection owns no buffer.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"
#include "net/addr.h"
#include "net/tls.h"
#include "rt/timer.h"

struct conn;
struct listener;

struct conn_ops {
    /*
     * Bytes have come; returns how many are used (the rest is offered again: with more bytes, after a move, or after
     * conn_resume). Runs on a fiber and may suspend; data stays valid meanwhile. At most some 32 KiB are offered; an owner
     * that takes nothing of a full buffer is not asked again before conn_resume.
     */
    size_t (*on_bytes)(struct conn *c, const char *data, size_t n) YIELDS;
    /* The TLS handshake is done (after conn_start_tls or on a direct TLS listener). Loop, not fiber. May be NULL. */
    void (*on_tls)(struct conn *c);
    /*
     * The connection is over: peer closed, error, time-out, conn_close with the output gone, or conn_abort. Exactly once,
     * never while on_bytes runs. The owner lets go of everything; conn is freed after it returns.
     */
    void (*on_closed)(struct conn *c, const char *why);
    /* The peer does not read: the queue passed its limit. The owner usually calls conn_abort. */
    void (*on_overflow)(struct conn *c);
};

/* Set by the acceptor before anything is read. owner is the protocol's state. */
void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *owner);
void *conn_owner(struct conn *c);
const struct listener *conn_listener(const struct conn *c);
const struct ip *conn_ip(const struct conn *c); /* peer; behind a proxy the one that PROXY names */
uint16_t conn_port(const struct conn *c);
bool conn_is_tls(const struct conn *c);
/* User id of the process at the other end of a local socket; false on any other. */
bool conn_peer_uid(const struct conn *c, uint32_t *uid_out);

/* Wraps a connected socket (local control socket, tests). Takes the descriptor. NULL listener is fine. */
struct conn *conn_adopt(int fd, const struct ip *peer, uint16_t port, const struct conn_ops *ops, void *owner);

/* --- output: may be called from the loop or any fiber of the shard --- */
/* Appends bytes (copied). Ignored once the connection is closing. */
void conn_write(struct conn *c, struct str bytes);
/* Direct access to the tail of the queue: append to the buf, then call conn_out_end in the same turn without suspending. */
struct buf *conn_out_begin(struct conn *c);
void conn_out_end(struct conn *c);
/* Counted immutable bytes shared by many connections (fan-out); the queue takes a reference. */
struct shared_bytes;
struct shared_bytes *shared_bytes_new(struct str bytes);
struct shared_bytes *shared_bytes_hold(struct shared_bytes *b);
void shared_bytes_release(struct shared_bytes **b);
void conn_write_shared(struct conn *c, struct shared_bytes *b);
/* Bytes waiting in the queue. */
size_t conn_pending(const struct conn *c);
/* 0: no limit. Default 4 MiB. */
void conn_set_out_limit(struct conn *c, size_t bytes);
/* Nothing can be written for this long while output waits: closed ("send timeout"). 0: never. Default 15 s. */
void conn_set_send_timeout(struct conn *c, unsigned ms);

/* --- input control --- */
/* Bytes per second and burst; 0: unlimited. Reading pauses when exceeded (ejabberd's shaper). */
void conn_set_shaper(struct conn *c, uint64_t rate, uint64_t burst);
/* The owner can use the bytes it left over earlier. */
void conn_resume(struct conn *c);
/* Reading stops until conn_resume. */
void conn_pause(struct conn *c);

/* --- TLS --- */
/*
 * From inside on_bytes, after the go-ahead was written: the rest of the input is TLS (RFC 6120 §5.4.3.3); leftover plain
 * bytes are dropped.
 */
void conn_start_tls(struct conn *c, struct tls_ctx *ctx, struct str default_host);
/* Channel binding data: "tls-exporter", "tls-server-end-point", "tls-unique" (1.2 only). false: not available. */
bool conn_channel_binding(struct conn *c, struct str type, struct arena *a, struct str *out);
/* SNI and ALPN of the handshake; absent when none. */
struct str conn_sni(const struct conn *c);
struct str conn_alpn(const struct conn *c);
/* The client's certificate (net/tls_peer.h) is of no use any more. */
void conn_forget_peer_cert(struct conn *c);
/* "TLSv1.3" and cipher name, for logs and session info; NULL without TLS. */
const char *conn_tls_version(const struct conn *c);
const char *conn_tls_cipher(const struct conn *c);

/* --- end and move --- */
/* Sends what is queued (at most 2 s), TLS close_notify, FIN; then on_closed. No more on_bytes. */
void conn_close(struct conn *c);
/* At once; queued output is dropped. on_closed follows from the loop with why, which is a literal. */
void conn_abort(struct conn *c, const char *why);
/*
 * Takes the connection to another shard: from inside on_bytes; the move happens when on_bytes has returned. arrived runs on
 * the target's loop, then leftover bytes are offered there. Until `arrived` nothing may be written to it.
 * When the target is this shard, arrived runs right after on_bytes.
 */
void conn_move(struct conn *c, unsigned shard, void (*arrived)(struct conn *c));
/* Reference for fibers that keep a conn across a suspension: conn memory stays, conn_alive tells whether it is of use. */
struct conn *conn_hold(struct conn *c);
void conn_release(struct conn **c);
bool conn_alive(const struct conn *c);

/* --- all of this shard, for the end of the server --- */
/* Graceful (as conn_close) or at once; connections that are on their way to another shard are not seen. */
void conn_close_all(void);
void conn_abort_all(const char *why);
unsigned conn_count_here(void);

#endif
