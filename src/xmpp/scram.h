/*
 * SCRAM (RFC 5802, RFC 7677) for SHA-1, SHA-256, SHA-512, server side, and the keys that are stored for it.
 * scram_derive runs PBKDF2 and belongs on a blocking thread; everything else is cheap.
 */
#ifndef XMPP_SCRAM_H
#define XMPP_SCRAM_H

#include "base/arena.h"
#include "base/err.h"

enum scram_hash { SCRAM_SHA1, SCRAM_SHA256, SCRAM_SHA512 };
#define SCRAM_MAX_DIGEST 64
#define SCRAM_DEFAULT_ITERATIONS 4096
#define SCRAM_SALT_LEN 16      /* for new keys; keys of nobody use the same, or they could be told apart */
#define SCRAM_MAX_MESSAGE 8192 /* longer client messages are malformed */
#define SCRAM_MAX_NONCE 1024

struct scram_keys {
    enum scram_hash hash;
    unsigned iterations;
    struct str salt;       /* raw bytes */
    struct str stored_key, server_key; /* raw, digest length */
};

size_t scram_digest_len(enum scram_hash h);
/* password is SASLprepped here; -1 with ERR_NOT_ACCEPTABLE when it cannot be. Blocks for milliseconds. Result in a. */
int scram_derive(struct arena *a, enum scram_hash h, struct str password, struct str salt, unsigned iterations,
                 struct scram_keys *out, struct error *err);
/* From SaltedPassword (RFC 5802 §3), digest length of h. Cheap: what is expensive was to get there. */
struct scram_keys scram_keys_of_salted(struct arena *a, enum scram_hash h, struct str salted, struct str salt, unsigned iterations);
/* Does the password belong to these keys? Blocks like scram_derive. */
bool scram_check_password(const struct scram_keys *k, struct str password);

/* One exchange on the server. Zero it first. Strings live in the given arena, which outlives the exchange. */
struct scram_server {
    enum scram_hash hash;
    bool plus;                 /* the mechanism name ended in -PLUS */
    bool plus_offered;         /* the server offered -PLUS: a client that says "y" was tricked (RFC 5802 §6) */
    struct str cb_type, cb_data; /* data for the type the client named; see scram_server_first */
    struct str username;       /* as sent, unescaped; authzid as sent, may be absent */
    struct str authzid;
    struct str ssdp;           /* attribute "h" of server-first (xmpp/ssdp.h); absent: none */
    struct str gs2, client_first_bare, server_first, nonce;
    const struct scram_keys *keys;
};

enum scram_rc { SCRAM_OK, SCRAM_MALFORMED, SCRAM_NOT_AUTHORIZED, SCRAM_CB_MISMATCH };

/* Parses client-first; afterwards username, authzid and cb_type (absent for n/y) are set: find keys and cb_data. */
enum scram_rc scram_server_first(struct arena *a, struct scram_server *s, struct str client_first);
/* server-first. `nonce_tail` is the server's random part (text), NULL: drawn here. */
struct str scram_server_challenge(struct arena *a, struct scram_server *s, const struct scram_keys *keys,
                                  const char *nonce_tail);
/* Checks client-final; on SCRAM_OK *out is server-final ("v=..."). */
enum scram_rc scram_server_final(struct arena *a, struct scram_server *s, struct str client_final, struct str *out);

/* Keys that look real and are stable for a name nobody has, so that an attacker cannot tell (RFC 5802 §9). */
struct scram_keys scram_fake_keys(struct arena *a, enum scram_hash h, struct str user, struct str host,
                                  unsigned iterations);

#endif
