/*
 * The record layer of an established TLS 1.3 connection (RFC 8446 §5): OpenSSL does the handshake, then hands the
 * traffic secrets over (its key log callback) and its connection object is freed.
 *
 * Why own code: OpenSSL keeps some 14 KiB for every idle connection, these keys are 300 bytes; and a turn's output
 * becomes one buffer of records and one system call. The cryptography stays OpenSSL's; here is only framing: nonces,
 * content types, padding, alerts, key updates. Anything unexpected ends the connection with the alert the RFC names.
 */
#ifndef NET_TLS_RECORD_H
#define NET_TLS_RECORD_H

#include "base/buf.h"

#define TLS_RECORD_HEADER 5
#define TLS_RECORD_PLAIN_MAX 16384
#define TLS_RECORD_WIRE_MAX (TLS_RECORD_PLAIN_MAX + 256) /* §5.2 */
#define TLS_SECRET_MAX 48

/* Alert descriptions (§6). */
enum tls_alert {
    TLS_ALERT_CLOSE_NOTIFY = 0,
    TLS_ALERT_UNEXPECTED_MESSAGE = 10,
    TLS_ALERT_BAD_RECORD_MAC = 20,
    TLS_ALERT_RECORD_OVERFLOW = 22,
    TLS_ALERT_ILLEGAL_PARAMETER = 47,
    TLS_ALERT_DECODE_ERROR = 50,
    TLS_ALERT_INTERNAL_ERROR = 80,
    TLS_ALERT_USER_CANCELED = 90
};

enum tls_content { TLS_CONTENT_CCS = 20, TLS_CONTENT_ALERT = 21, TLS_CONTENT_HANDSHAKE = 22, TLS_CONTENT_DATA = 23 };

struct tls_keys;

/*
 * Keys of both directions from the first application traffic secrets (secret_n bytes each), both sequence numbers zero.
 * suite: the cipher suite's number. NULL: not one of the three of §B.4 that are supported.
 */
struct tls_keys *tls_keys_new(uint16_t suite, const uint8_t *read_secret, const uint8_t *write_secret, size_t secret_n);
/* The peer asked for smaller records (max_fragment_length, RFC 6066 §4): 512 to 16384; holds for both directions. */
void tls_keys_set_fragment(struct tls_keys *k, uint16_t bytes);
/* Wipes, also this thread's cipher contexts if they hold these keys. */
void tls_keys_delete(struct tls_keys **k);

enum tls_open {
    TLS_OPEN_MORE,   /* the record is not complete */
    TLS_OPEN_DATA,   /* application data: *plain_out in place, never empty */
    TLS_OPEN_NOTHING, /* something of the protocol's own was dealt with */
    TLS_OPEN_CLOSED, /* close_notify */
    TLS_OPEN_ALERT,  /* the peer gave up */
    TLS_OPEN_FAIL    /* *alert_out is to be sent */
};

/*
 * Opens the record at p[0..n), in place. *used_out: its length on the wire, or with MORE the bytes needed in all.
 * Keys of the read direction follow the peer's updates; a requested update of ours is due then (tls_keys_update_due).
 */
enum tls_open tls_keys_open(struct tls_keys *k, uint8_t *p, size_t n, size_t *used_out, struct str *plain_out,
                            enum tls_alert *alert_out);
/* Is a whole record at p? (also true for what is no record) */
bool tls_keys_complete(const uint8_t *p, size_t n);
/*
 * Appends records with the bytes to out; before data the update of the write key that the peer asked for, or that is due
 * because the key has sealed what it may.
 */
void tls_keys_seal(struct tls_keys *k, enum tls_content type, const char *p, size_t n, struct buf *out);
bool tls_keys_update_due(const struct tls_keys *k);
/* Records one write key may seal (§5.5). Tests lower it. */
extern uint64_t tls_records_per_key;
void tls_keys_update(struct tls_keys *k, struct buf *out);
void tls_keys_seal_alert(struct tls_keys *k, enum tls_alert alert, struct buf *out);

#endif
