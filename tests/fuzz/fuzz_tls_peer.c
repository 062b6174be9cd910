/* Certificates of clients from arbitrary bytes: the addresses in them are bounded, not empty, and an address or none. */
#include "net/tls_internal.h"
#include "net/tls_peer.h"
#include "xmpp/jid.h"

#include <openssl/err.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str names[TLS_PEER_ADDRESSES_MAX];
    const unsigned char *at = data;
    X509 *leaf = n < 65536 ? d2i_X509(NULL, &at, (long)n) : NULL;
    struct arena *a = arena_new();
    size_t found = leaf ? tls_cert_addresses(leaf, a, names) : 0;
    if (found > TLS_PEER_ADDRESSES_MAX || (leaf && ERR_peek_error() != 0))
        abort();
    for (size_t i = 0; i < found; i++) {
        struct jid j;
        if (!names[i].n || names[i].n > n)
            abort();
        if (jid_parse(a, names[i], &j) && !j.host_len)
            abort();
    }
    arena_release(&a);
    X509_free(leaf);
    ERR_clear_error();
    return 0;
}
