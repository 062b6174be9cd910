/* Client streams (RFC 6120): what the rest of core needs to know of one. */
#ifndef CORE_C2S_H
#define CORE_C2S_H

#include "core/account/account.h"
#include "core/config/config.h"
#include "net/listener.h"

struct c2s;
struct session;

/* A listener's settings as streams use them; made once per listener and configuration. */
struct c2s_listen {
    const struct yaml *access, *shaper; /* rules by name or in place, of the configuration that the listener keeps */
    bool starttls, starttls_required;
    bool plain_sasl2; /* SASL2 without TLS */
    bool verify;      /* clients are asked for a certificate */
    struct str cafile; /* who may vouch for it; absent: others say */
    size_t max_stanza;
    struct tls_ctx *tls_ctx; /* for STARTTLS; NULL: none */
};

/* on_accept of c2s listeners; app is a struct c2s_listen. */
void c2s_accept(struct conn *c);
/* Writes a stanza to the client. */
void c2s_send(struct c2s *c, const struct stanza *s);
/* Stream error and end (RFC 6120 §4.9). condition: a word of §4.9.3; text may be absent. Safe from anywhere on the shard. */
void c2s_end(struct c2s *c, const char *condition, struct str text);
/* Facts for session listings. */
void c2s_info(const struct c2s *c, const char **connection_out, struct ip *ip_out, uint16_t *port_out);
/* The client's stanza, on its stream's own fiber. Ends it. */
void c2s_stanza(struct c2s *c, struct stanza **s) YIELDS;
/*
 * As if the session's client had sent it, on any fiber of its shard; the session may be one that waits for its client. Ends it.
 * ERR_BAD_REQUEST: a client would have got an error, or lost its stream; nothing is sent then.
 */
struct session;
int c2s_inject(struct session *x, struct stanza **s, struct error *err) YIELDS;
/* Every stream of this shard gets system-shutdown; how many are left comes back. */
unsigned c2s_shutdown_all(void);
/* The same for streams without a resource: they have not logged in yet. */
void c2s_shutdown_unbound(void);
void c2s_shard_start(void);
/* Before a reload takes effect: streams of hosts that go end with host-gone, while these hosts' modules still see it. */
void c2s_config_coming(const struct config *now);
/* Host indices after it. Before `was` is let go. */
void c2s_config_changed(const struct config *was, const struct config *now);

#endif
