/*
 * Listeners as the configuration names them. What a kind of listener needs is made by its own room (c2s here, HTTP in admin);
 * kinds are registered before the server starts. Runs on shard 0.
 */
#ifndef CORE_LISTENERS_H
#define CORE_LISTENERS_H

#include "core/config/config.h"
#include "net/listener.h"

struct listen_kind {
    const char *module; /* "ejabberd_c2s" */
    /* Fills on_accept, app, alpn; `a` lives until nobody can use the listener's app any more. */
    int (*make)(struct arena *a, const struct listen_conf *lc, const struct config *c, struct listener_config *out,
                struct error *err);
};

void listeners_register(const struct listen_kind *kind);
/*
 * Brings the running listeners to what the configuration says: new ones are bound, gone ones stop accepting, unchanged ones
 * go on. At start a listener that cannot be bound is an error; on reload the others are kept and the first failure comes back.
 */
int listeners_apply(const struct config *c, struct error *err) YIELDS;
/* The server is being left: all end but, on demand, those of client streams, which say where to go. */
void listeners_drain(bool keep_c2s) YIELDS;
void listeners_stop(void) YIELDS;
/* TLS settings of a listener: its own options over the host-wide c2s_ ones. */
struct tls_ctx *listeners_tls(const struct listen_conf *lc, const struct config *c, struct error *err);

#endif
