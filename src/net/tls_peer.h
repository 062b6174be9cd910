/*
 * The certificate a client showed (RFC 6120 §5.3.4, XEP-0178 §2) and the authorities that may vouch for it. The handshake asks
 * for one and proves possession, nothing else: who is trusted depends on the host, which only the stream header names.
 */
#ifndef NET_TLS_PEER_H
#define NET_TLS_PEER_H

#include "net/conn.h"

/* Authorities, and lists of what they revoked, of one PEM file. Frozen; any thread. */
struct tls_trust;

/* Blocks. Lists of revoked certificates (CRLs) in the file are honoured for the authorities they belong to. ERR_CONFIG. */
struct tls_trust *tls_trust_load(const char *file, struct error *err);
void tls_trust_delete(struct tls_trust **t);

/*
 * Is the connection's certificate good for a TLS client now, and signed by one of these? 0, or -1 with the reason as a literal
 * in *why_out; NULL: no certificate was shown. Some hundred microseconds of the processor.
 */
int tls_peer_verify(const struct conn *c, const struct tls_trust *t, const char **why_out);

#define TLS_PEER_ADDRESSES_MAX 32
/*
 * The XMPP addresses it names (id-on-xmppAddr, RFC 6120 §13.7.1.4), as written, in the arena: at most TLS_PEER_ADDRESSES_MAX,
 * others are left out. Of a certificate that was not verified they mean nothing.
 */
size_t tls_peer_addresses(const struct conn *c, struct arena *a, struct str out[TLS_PEER_ADDRESSES_MAX]);

#endif
