/*
 * Listening sockets: one per shard and address (SO_REUSEPORT), so that no thread hands out accepted sockets.
 * Local (AF_UNIX) listeners live on shard 0.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/conn.h"

struct listener_config {
    const char *name;       /* for logs: "ejabberd_c2s 0.0.0.0:5222" */
    const char *unix_path;  /* local socket instead of ip and port */
    unsigned unix_mode;
    struct ip ip;           /* any address of the family when b is all zero; 6 with all zero also takes IPv4 */
    uint16_t port;
    int backlog;
    bool use_proxy_protocol; /* v1 and v2; a peer that does not send it is dropped */
    bool tls;                /* direct TLS (XEP-0368) */
    struct tls_ctx *tls_ctx; /* owned by the listener from here on, also when it cannot start; may be NULL without TLS */
    const char *default_host; /* certificate when the client sends no SNI */
    const char *const *alpn;  /* NULL-terminated; NULL: none. With ALPN from the client, one must match. */
    unsigned handshake_timeout_ms; /* TLS and PROXY header; 0: 30 s */
    unsigned max_connections, max_per_ip; /* 0: no limit */
    unsigned send_timeout_ms;
    unsigned linger_ms;     /* of a connection that is closed, until the peer closes too; 0: 2 s */
    void (*on_accept)(struct conn *c); /* loop of the accepting shard: set the owner. Before TLS and PROXY are read. */
    void *app;               /* the acceptor's configuration */
    struct arena *arena;     /* keeps app alive; its reference is taken over like tls_ctx, dropped after the last connection */
};

struct listener;

/* Binds and listens on every shard. From shard 0's fiber at start and reload. The struct is copied. */
struct listener *listener_start(const struct listener_config *cfg, struct error *err) YIELDS;
/* Stops accepting everywhere; connections go on. */
void listener_stop(struct listener **l) YIELDS;
const struct listener_config *listener_config(const struct listener *l);
void *listener_app(const struct listener *l);
/* Connections accepted through it that are alive now. Any thread. */
unsigned listener_count(const struct listener *l);
/* All listeners together; 0: no limit. Checked at accept. */
void listener_set_total_limit(unsigned max_connections);
unsigned listener_total(void);

#endif
