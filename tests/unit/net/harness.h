/* A server of two shards and blocking clients on threads of their own. */
#ifndef TESTS_NET_HARNESS_H
#define TESTS_NET_HARNESS_H

#include "net/listener.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

/* cmocka's asserts belong to the main thread; clients and shards use this one. */
#define CHECK(x)                                                             \
    do {                                                                     \
        if (!(x)) {                                                          \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #x);  \
            abort();                                                         \
        }                                                                    \
    } while (0)

/* Starts a runtime and the listeners, runs client on a thread of its own, stops everything when it returns. */
struct bed {
    struct listener_config cfg; /* port is filled in */
    void (*client)(struct bed *b);
    void (*before_stop)(void);  /* on shard 0's fiber */
    struct listener *l;
    void *arg;
    unsigned shards; /* 0: 2 */
};
void bed_run(struct bed *b);

int dial(const struct bed *b);
void put(int fd, const char *p, size_t n);
void put_s(int fd, const char *s);
/* Until n bytes or the end; bytes read. */
size_t get(int fd, char *p, size_t n);
/* Reads until the end. */
size_t get_all(int fd, char *p, size_t cap);
void expect(int fd, const char *s);
/* Something that may be awaited has changed. Any thread. */
void signal_change(void);
/* Waits until *counter has the value (atomic; whoever changes it calls signal_change). On a client thread. */
void await(const unsigned *counter, unsigned value);
/*
 * Every shard has gone through its loop: what was sent before it has been seen, what needs no further event is done. On a
 * client thread.
 */
void turn(void);
/* Waits until at most n connections are left. */
void await_count(const struct bed *b, unsigned n);
/* Waits until a shard has nothing more to add to *counter without an event from outside. */
void await_standstill(const unsigned *counter);

/* Self-signed certificates. names: comma separated dNSNames. Returns the path of a file with key and certificate. */
const char *make_cert(const char *file, const char *names, const char *key_type);
/* After the files in it. */
void drop_cert_dir(void);
struct tls_certs *load_certs(const char *const *files, size_t n);
struct tls_ctx *server_ctx(const struct tls_options *opt);

/* NULL when the handshake fails; fd is closed then. */
SSL *tls_dial(int fd, int version, const char *sni, const char *alpn_wire);
void tls_put(SSL *s, const char *p, size_t n);
size_t tls_get(SSL *s, char *p, size_t n);
void tls_bye(SSL *s);

#endif
