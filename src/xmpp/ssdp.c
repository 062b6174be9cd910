/* XEP-0474 §6.1. Pure; any thread, nothing suspends. */
#include "xmpp/ssdp.h"

#include "base/base64.h"
#include "base/buf.h"
#include "xmpp/scram_crypto.h"

#include <stdlib.h>

/* "i;octet" (RFC 4790 §9.3): bytes, and what ends first comes first. */
static int by_octets(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    int order = memcmp(a->p, b->p, a->n < b->n ? a->n : b->n);
    return order ? order : a->n < b->n ? -1 : a->n > b->n;
}

static void add_list(struct buf *b, struct str *names, size_t n)
{
    qsort(names, n, sizeof(*names), by_octets);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_c(b, 0x1e);
        buf_add_str(b, names[i]);
    }
}

struct str ssdp_hash(struct arena *a, enum scram_hash h, struct str *mechanisms, size_t n_mechanisms, struct str *bindings,
                     size_t n_bindings)
{
    struct buf b = BUF_INIT;
    unsigned char digest[SCRAM_MAX_DIGEST];
    add_list(&b, mechanisms, n_mechanisms);
    if (bindings) {
        buf_add_c(&b, 0x1f);
        add_list(&b, bindings, n_bindings);
    }
    scram_h(h, buf_str(&b), digest);
    buf_deinit(&b);
    return base64_encode(a, str_n((const char *)digest, scram_digest_len(h)));
}
