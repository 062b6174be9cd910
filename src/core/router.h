/* The way of a stanza to its home (house.md: address decides). */
#ifndef CORE_ROUTER_H
#define CORE_ROUTER_H

#include "core/module/module.h"
#include "xmpp/stanza.h"

/*
 * Delivers by address: a local account (RFC 6121 §8), the server itself, or an error back to the sender. Takes the
 * stanza; from and to are set and prepared. Never suspends: handlers that wait get a fiber of their own. Any shard.
 */
void router_route(struct stanza **s);
/*
 * The same for a stream's own fiber: a handler of this shard that waits makes the stream wait (order and back-pressure,
 * house rule of fibers).
 */
void router_route_waiting(struct stanza **s) YIELDS;
/*
 * For whoever vouches for a message: routes it and waits until clients of this server have it, or its store, or its sender has it
 * back. -1: ERR_UNAVAILABLE, it could not be stored (its sender is told, too); ERR_TIMEOUT, it is not known yet. On a fiber.
 */
int router_route_kept(struct stanza **s, unsigned timeout_ms, struct error *err) YIELDS;
/* Somebody had to let it go although it should have been kept. */
void stanza_was_lost(const struct stanza *s);
/* Whether the fiber that runs is one that router_route_waiting may suspend. */
bool router_may_wait(void);
/* An IQ for the server or an account's bare JID: finds the handler, or answers that there is none. Ends it. */
void router_answer_iq(struct stanza **s, unsigned host, enum iq_to to);
/* Error reply to the sender, if one may be sent; ends the stanza. */
void router_bounce(struct stanza **s, enum err_code code, const char *text);

#endif
