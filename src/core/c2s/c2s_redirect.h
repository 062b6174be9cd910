/*
 * Clients are sent to another address (RFC 6120 §4.9.3.19). Own options, also per host: see_other_host, where the clients of a host
 * that was moved go, and see_other_host_when_draining, where they go as soon as the server is being left (evacuate_kindly,
 * stop_kindly). Values: a domain, an IPv4 address or an IPv6 address in brackets, with or without ":port".
 */
#ifndef CORE_C2S_REDIRECT_H
#define CORE_C2S_REDIRECT_H

#include "core/c2s/c2s_stream.h"

/* ERR_CONFIG: a value is no address. */
int c2s_redirect_check(const struct config *c, struct error *err);
/* Where clients of this host go now; absent: they are served here. */
struct str c2s_redirect_of(const struct vhost *h);
/* Is there any host whose clients are told where to go while the server is being left? Its listeners stay open for that. */
bool c2s_redirects_while_draining(void);
/* Stream error and end, in any state. */
void c2s_redirect(struct c2s *c, struct str address);

#endif
