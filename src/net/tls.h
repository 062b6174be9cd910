/*
 * TLS (OpenSSL 3): contexts per listener, certificates per host name (SNI), reloadable while connections live.
 * Handshakes run on the shard; nothing here suspends. Idle TLS connections keep no record buffers.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/arena.h"
#include "base/err.h"

/* All certificates of the server: frozen, counted, swapped whole on reload. Thread-safe to read. */
struct tls_certs;

/* PEM files (globs expanded by the caller) each with chain and key, or keys in files of their own: matched by public key. */
struct tls_certs *tls_certs_load(const char *const *files, size_t n, struct error *err);
struct tls_certs *tls_certs_hold(struct tls_certs *c);
void tls_certs_release(struct tls_certs **c);
/* Is there a certificate whose names cover this host? (wildcards by RFC 6125) */
bool tls_certs_cover(const struct tls_certs *c, struct str host);
/* For every certificate: file, names, notAfter; for logs and checks. */
void tls_certs_each(const struct tls_certs *c,
                    void (*fn)(void *arg, const char *file, struct str names, uint64_t not_after_s), void *arg);

struct tls_options {
    const char *ciphers;          /* OpenSSL list; NULL: HIGH without the usual outcasts */
    const char *protocol_options; /* "no_sslv3|no_tlsv1_1|cipher_server_preference..."; NULL: TLS 1.2 and 1.3 */
    const char *dhfile, *cafile;  /* may be NULL */
    bool request_client_cert;     /* asked for, not demanded; what it is worth: net/tls_peer.h */
    bool openssl_records;         /* TLS 1.3 goes on with OpenSSL's record layer: some 13 KB more for every connection */
};

/* Server context of one listener; certificates are looked up in the currently installed set at each handshake. */
struct tls_ctx;
struct tls_ctx *tls_ctx_new(const struct tls_options *opt, struct error *err);
void tls_ctx_delete(struct tls_ctx **c);
/* Makes these the process's certificates (takes a reference); running handshakes keep theirs. */
void tls_certs_install(struct tls_certs *c);

#endif
