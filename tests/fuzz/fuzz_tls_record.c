/*
 * TLS 1.3 records: raw bytes, and records that are sealed well but hold anything. Opening must stay inside the record,
 * never hand out what was not sealed as data, and name an alert when it fails.
 */
#include "net/tls_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static enum tls_open open_one(struct tls_keys *k, const char *p, size_t n, struct str *plain, size_t *used)
{
    uint8_t *copy = malloc(n ? n : 1); /* exactly as large, for the sanitizer */
    enum tls_alert alert = 255;
    *plain = STR_NULL;
    memcpy(copy, p, n);
    bool complete = tls_keys_complete(copy, n);
    enum tls_open o = tls_keys_open(k, copy, n, used, plain, &alert);
    CHECK(o == TLS_OPEN_MORE ? !complete && *used > n : complete);
    CHECK(o != TLS_OPEN_FAIL || alert != 255);
    CHECK(o == TLS_OPEN_DATA ? plain->n > 0 && plain->n <= TLS_RECORD_PLAIN_MAX && *used <= n : !plain->p);
    free(copy);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint16_t ids[] = {0x1301, 0x1302, 0x1303};
    uint8_t x[TLS_SECRET_MAX] = {1}, y[TLS_SECRET_MAX] = {2};
    if (n < 1)
        return 0;
    unsigned suite = data[0] % 3;
    size_t secret_n = suite == 1 ? 48 : 32, used;
    struct tls_keys *a = tls_keys_new(ids[suite], x, y, secret_n), *b = tls_keys_new(ids[suite], y, x, secret_n);
    struct buf wire = BUF_INIT;
    struct str plain;
    CHECK(a && b);
    bool quiet = false; /* a message has begun, or the reader's key has moved on and the writer's has not */
    open_one(b, (const char *)data + 1, n - 1, &plain, &used);
    tls_keys_delete(&b);
    b = tls_keys_new(ids[suite], y, x, secret_n);
    for (size_t at = 1; at + 2 < n;) { /* content type, length, content */
        uint8_t type = data[at];
        size_t len = data[at + 1], left = n - at - 2;
        len = len < left ? len : left;
        buf_clear(&wire);
        tls_keys_seal(a, type, (const char *)data + at + 2, len, &wire);
        at += 2 + len;
        if (!wire.n)
            continue;
        enum tls_open o = open_one(b, wire.p, wire.n, &plain, &used);
        CHECK(o != TLS_OPEN_MORE && (o == TLS_OPEN_FAIL || used == wire.n));
        CHECK(type != TLS_CONTENT_DATA || o == TLS_OPEN_DATA || (quiet && o == TLS_OPEN_FAIL));
        if (o != TLS_OPEN_DATA && o != TLS_OPEN_NOTHING)
            break;
        quiet |= o == TLS_OPEN_NOTHING;
        if (tls_keys_update_due(b))
            tls_keys_update(b, &wire);
    }
    buf_deinit(&wire);
    tls_keys_delete(&a);
    tls_keys_delete(&b);
    return 0;
}
