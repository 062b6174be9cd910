/* What the files of TLS share: certificates as chosen for a name, and the TLS state of one connection. */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include "base/buf.h"
#include "net/tls.h"
#include <openssl/ssl.h>

struct tls_cert {
    X509 *leaf;
    STACK_OF(X509) *chain; /* without leaf and root; may be NULL */
    EVP_PKEY *key;
    char *file, *names;    /* names: space separated, lower case */
    uint64_t not_after_s;
    int key_type;
};

/* The installed set with a reference, or NULL. Any thread. */
struct tls_certs *tls_certs_current(void);
/*
 * Certificates for a host by exact name, then wildcard; one per kind of key at most. Returns how many.
 * fallback: the first certificate of the set when nothing covers the host.
 */
#define TLS_KEY_KINDS 3
unsigned tls_certs_choose(const struct tls_certs *c, struct str host, bool fallback, const struct tls_cert *out[TLS_KEY_KINDS]);

/* Channel binding data of a certificate (RFC 5929 §4.1); bytes written, 0: not defined for its signature. */
size_t tls_cert_endpoint(X509 *leaf, uint8_t out[EVP_MAX_MD_SIZE]);

struct tls_ctx {
    SSL_CTX *ssl;
};

/* --- one connection --- */
/* The callbacks that handshakes need. own_records: TLS 1.3 goes on without OpenSSL (net/tls_record.h). */
void tls_conn_setup_ctx(SSL_CTX *ssl, bool own_records);
struct tls_conn;

enum tls_io {
    TLS_OK,
    TLS_WANT_READ,
    TLS_WANT_WRITE,
    TLS_EOF,  /* close_notify or the end of the socket */
    TLS_FAIL  /* the connection is unusable; *why_out is a literal */
};

/* The context must live until the handshake is over; default_host and alpn are copied or literal. */
struct tls_conn *tls_conn_new(struct tls_ctx *ctx, struct str default_host, const char *const *alpn);
void tls_conn_delete(struct tls_conn **t);
/* After the connection came to this thread. */
void tls_conn_attach(struct tls_conn *t);
enum tls_io tls_conn_handshake(struct tls_conn *t, int fd, const char **why_out);
enum tls_io tls_conn_read(struct tls_conn *t, int fd, char *p, size_t cap, size_t *got_out, const char **why_out);
enum tls_io tls_conn_write(struct tls_conn *t, int fd, const char *p, size_t n, size_t *done_out, const char **why_out);
/*
 * TLS 1.3: the connection writes records by itself and does not use tls_conn_write. Sealing has to happen in the order
 * of sending.
 */
bool tls_conn_seals(const struct tls_conn *t);
void tls_conn_seal(struct tls_conn *t, const char *p, size_t n, struct buf *out);
/* Input is waiting inside that the socket will not announce. */
bool tls_conn_pending(const struct tls_conn *t);
/* A new wake-up: the socket may be asked again. */
void tls_conn_readable(struct tls_conn *t);
void tls_conn_shutdown(struct tls_conn *t, int fd);
bool tls_conn_binding(struct tls_conn *t, struct str type, struct arena *a, struct str *out);
struct str tls_conn_sni(const struct tls_conn *t);
struct str tls_conn_alpn(const struct tls_conn *t);
const char *tls_conn_version(const struct tls_conn *t);
const char *tls_conn_cipher(const struct tls_conn *t);
/* What a client showed, kept until it is forgotten. NULL: none. */
struct tls_peer {
    X509 *leaf;
    STACK_OF(X509) *chain; /* without the leaf; may be NULL */
};
const struct tls_peer *tls_conn_peer(const struct tls_conn *t);
/* tls_peer_addresses of a certificate by itself. */
size_t tls_cert_addresses(const X509 *leaf, struct arena *a, struct str *out);
void tls_conn_forget_peer(struct tls_conn *t);

#endif
