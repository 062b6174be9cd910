/* Digests for SCRAM, shared by scram.c and scram_keys.c; private to them. Thread-safe, nothing suspends. */
#ifndef XMPP_SCRAM_CRYPTO_H
#define XMPP_SCRAM_CRYPTO_H

#include "xmpp/scram.h"

#include <openssl/evp.h>

/* Upper bound for iteration counts that come out of a store. */
#define SCRAM_MAX_ITERATIONS 10000000u

const EVP_MD *scram_md(enum scram_hash h);
/* out has room for SCRAM_MAX_DIGEST; the digest length of h is written. */
void scram_hmac(enum scram_hash h, struct str key, struct str data, unsigned char *out);
void scram_h(enum scram_hash h, struct str data, unsigned char *out);

#endif
