/* Shared declarations of the load generator.
 *
 * One process, one thread, one epoll set. Nothing here suspends or locks. The generator speaks the least XMPP a client
 * needs, so that its own CPU stays far below that of the server it measures. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum tls_mode { TLS_NONE, TLS_STARTTLS, TLS_DIRECT };
enum mech { MECH_PLAIN, MECH_SCRAM_SHA1 };
enum proto { PROTO_XMPP, PROTO_RELAY };

struct options {
    const char *host;     /* address to connect to, IPv4 text */
    uint16_t port;
    const char *domain;   /* XMPP host and SNI name */
    const char *prefix;   /* accounts are PREFIX0, PREFIX1, ... */
    const char *password; /* one for all accounts */
    const char *path;     /* http: request path */
    enum tls_mode tls;
    enum mech mech;
    enum proto proto;
    pid_t server_pid;     /* 0: the server's CPU and memory are not read */
    long accounts;        /* http: how many the requests go around, or a list has; offline: how many are absent */
    long contacts;        /* of every account; storm, rosters */
    long rounds;          /* resume: how often each session is cut and resumed */
    long count;           /* logins, sessions, messages, pings or requests of the measured phase */
    long warm;            /* of the same, done before it */
    long concurrency;     /* logins at the same time */
    long pairs;           /* chat pairs, ping clients or HTTP connections */
    long window;          /* under way per pair or client */
    long body;            /* bytes of message text */
    double rate;          /* open loop: messages per second over all pairs; 0: closed loop */
    double seconds;       /* open loop: duration */
    double settle;        /* idle: quiet seconds before memory is read */
    double timeout;       /* of the whole run, seconds */
    bool coalesce;        /* answer one read's messages with one write */
    bool echo;            /* bare relay: what a client sends comes back to it */
};
extern struct options opt;

/* ---- util.c */
uint64_t now_ns(void);
/* Prints the message and ends the program with status 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
size_t base64_encode(const void *in, size_t len, char *out);          /* out: 4 * ((len + 2) / 3) + 1 bytes */
ssize_t base64_decode(const char *in, size_t len, void *out);         /* out: 3 * (len / 4) bytes; -1: malformed */
void hex16(uint64_t value, char *out);                                /* exactly 16 digits, no terminator */
bool unhex16(const char *in, uint64_t *value_out);
/* Copies the text between `before` and the next `after`; false when absent or longer than size - 1. */
bool text_between(const char *in, size_t len, const char *before, const char *after, char *out, size_t size);
/* The value of an attribute of the element that `in` begins with; false when absent or too long. name: " from=". */
bool attribute(const char *in, size_t len, const char *name, char *out, size_t size);

/* ---- proc.c: the server's resources, all of its processes (the given one and its descendants) */
struct usage {
    double server_cpu; /* seconds, user + system */
    double load_cpu;   /* this process */
    uint64_t at;       /* now_ns() */
};
void usage_read(struct usage *usage_out);
/* Serves the loop until the server has nothing to do any more, and gives the usage as it was when that began. */
void usage_read_quiet(struct usage *usage_out);
uint64_t server_rss(void); /* bytes, sum of Rss over the server's processes; 0 without a pid */

/* ---- report.c: the report, one flat object on stdout */
void report_begin(const char *scenario);
void report_long(const char *name, long value);
void report_double(const char *name, double value);
void report_text(const char *name, const char *value);
void report_usage(const struct usage *from, const struct usage *to);
void report_end(void);

/* latencies, nanoseconds, buckets 1.6 % wide */
struct hist {
    uint64_t total;
    uint64_t max;
    uint64_t bucket[64 * 64];
};
void hist_add(struct hist *h, uint64_t ns);
double hist_ms(const struct hist *h, double quantile); /* upper edge of the bucket, milliseconds */
void report_hist(const struct hist *h);

/* ---- seqcheck.c: loss, disorder and duplicates of one stream of numbers 0..limit-1 */
struct seqcheck {
    uint64_t limit;
    uint64_t next;       /* one past the highest number seen */
    uint64_t seen;       /* distinct */
    uint64_t disorder;   /* arrived after a higher one */
    uint64_t duplicates;
    uint64_t invalid;    /* outside the range */
    uint8_t *bits;
};
void seqcheck_init(struct seqcheck *s, uint64_t limit);
void seqcheck_deinit(struct seqcheck *s);
void seqcheck_saw(struct seqcheck *s, uint64_t number);

/* ---- scram.c: SCRAM-SHA-1, client side (RFC 5802) */
struct scram_keys { /* derived from password, salt and count; kept so that PBKDF2 runs once per account */
    char salt[128]; /* base64, as sent */
    unsigned iterations;
    unsigned char client_key[20];
    unsigned char stored_key[20];
    unsigned char server_key[20];
};
struct scram {
    char client_first_bare[320];
    char nonce[64];
    unsigned char server_signature[20];
};
/* Fills s; out: the client-first-message with gs2 header "n,,". nonce NULL: a random one. */
int scram_first(struct scram *s, const char *user, const char *nonce, char *out, size_t size);
/* keys: used when salt and count match, else derived and stored there. -1: malformed challenge. */
int scram_final(struct scram *s, struct scram_keys *keys, const char *password, const char *challenge, char *out,
                size_t size);
/* Checks "v=..." of the server's last message. */
int scram_verify(const struct scram *s, const char *server_final);

/* ---- split.c: cuts a stream into its header, stanzas and end, without looking into them */
enum item { ITEM_NONE, ITEM_HEADER, ITEM_STANZA, ITEM_END, ITEM_BAD };
/* in_stream: the header has been seen. Start and length of the item are relative to buf; *used_out bytes are done with
 * (0 with ITEM_NONE and something left: more input is needed). */
enum item split_next(const char *buf, size_t len, bool in_stream, size_t *start_out, size_t *len_out, size_t *used_out);

/* ---- conn.c: a socket, maybe with TLS, in the epoll set */
struct conn;
/* Takes a prefix of the bytes and returns its length; the rest is offered again with what follows it. */
typedef size_t (*conn_data_fn)(struct conn *c, const char *buf, size_t len);
typedef void (*conn_event_fn)(struct conn *c);
struct conn {
    int fd;               /* -1: closed */
    struct ssl_st *ssl;
    bool connecting, handshaking, want_write;
    char *left;           /* unconsumed input */
    size_t left_len;
    char *out;            /* unsent output */
    size_t out_len;
    conn_event_fn on_open;  /* connected, and again when a TLS handshake is done */
    conn_data_fn on_data;
    conn_event_fn on_close; /* the peer closed, or an error; not after conn_close() */
};
void loop_init(void);
/* Waits at most timeout_ns (0: only polls) and serves what is ready. */
void loop_turn(uint64_t timeout_ns);
/* Turns until *done or the deadline; false at the deadline. */
bool loop_until(const bool *done, uint64_t deadline);
void conn_open(struct conn *c, enum tls_mode tls);
void conn_starttls(struct conn *c); /* call from on_data: the handshake starts with the next readiness */
void conn_send(struct conn *c, const char *buf, size_t len);
void conn_close(struct conn *c);
const char *conn_tls_version(const struct conn *c);
const char *conn_tls_cipher(const struct conn *c);

/* ---- client.c: a session from connect to its own presence echoed back */
struct client;
typedef void (*client_fn)(struct client *c);
typedef void (*client_stanza_fn)(struct client *c, const char *stanza, size_t len);
struct account { /* outlives the sessions */
    struct scram_keys keys;
};
enum client_state {
    CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_FEATURES, CLIENT_PROCEED, CLIENT_CHALLENGE, CLIENT_SUCCESS, CLIENT_BIND,
    CLIENT_SESSION, CLIENT_ROSTER, CLIENT_PRESENCE, CLIENT_ENABLE, CLIENT_RESUME, CLIENT_READY, CLIENT_CLOSING
};
struct client {
    struct conn conn; /* first: a conn is its client */
    long index;
    enum client_state state;
    bool authenticated, in_stream, needs_session;
    struct account *account;
    struct scram scram;
    char jid[128];
    bool gets_roster;           /* asks for it after binding: opt.contacts items are expected */
    bool manages;               /* XEP-0198: enables resumption after its presence */
    bool resumes;               /* the next login takes up the session again */
    char session_id[256];
    uint32_t handled, sent;     /* XEP-0198: stanzas received and sent since then; handled is what <resume/> tells */
    client_stanza_fn on_stanza; /* once the presence is out; may be NULL */
    client_fn on_batch;         /* after the last stanza of one read; may be NULL */
};
/* Logs clients[0..n) in, opt.concurrency at a time; ends the program when one fails or the deadline passes. */
void clients_login(struct client *clients, long n, uint64_t deadline);
/* Cuts the connection without ending the stream. */
void client_cut(struct client *c);
void client_send(struct client *c, const char *text);
/* Ends all streams and waits until the server has closed them. */
void clients_logout(struct client *clients, long n, uint64_t deadline);
/* The same for clients[first], clients[first + step], ... */
void clients_logout_every(struct client *clients, long n, long first, long step, uint64_t deadline);
struct client *clients_new(long n, struct account *accounts);
struct account *accounts_new(long n);
/* One attempt, for `start`: true when the login was accepted before the deadline. */
bool client_probe(struct client *c, uint64_t deadline);

/* ---- scenarios: each prints one report and returns the exit status */
int scenario_login(void);
int scenario_idle(void);
int scenario_start(void);
int scenario_chat(void);
int scenario_iqping(void);
int scenario_storm(void);
int scenario_offline(void);
int scenario_resume(void);
int scenario_http(void);
int scenario_http_list(void);
int scenario_register(void);
int scenario_rosters(void);
int relay_main(void);
int selftest_main(void);

#endif
