/*
 * The message of the Hashed Token mechanisms from arbitrary bytes; the first byte is the mechanism. What parses is the two parts
 * and the NUL between, and a proof that is put in place of the message's own fits its token and no other.
 */
#include "base/secret.h"
#include "xmpp/sasl_ht.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ht_message m;
    enum ht_mech mech;
    uint8_t one[HT_DIGEST], other[HT_DIGEST];
    struct str in = str_n((const char *)data, n);
    if (ht_parse(in, &mech))
        CHECK(str_eq(ht_name(mech), in));
    if (!n || !ht_message_parse(str_n(in.p + 1, n - 1), &m))
        return 0;
    CHECK(m.authcid.n && m.authcid.n <= HT_NAME_MAX && m.proof.n == HT_DIGEST && m.authcid.n + 1 + m.proof.n == n - 1);
    CHECK(m.authcid.p == in.p + 1 && m.proof.p[-1] == '\0' && !memchr(m.authcid.p, '\0', m.authcid.n));
    struct str cb_data = ht_binding((enum ht_mech)(data[0] % HT__COUNT)).n ? m.proof : STR_NULL;
    ht_hash(m.authcid, data[0] & 4, cb_data, one);
    ht_hash(m.authcid, !(data[0] & 4), cb_data, other);
    CHECK(!secret_eq(str_n((const char *)one, HT_DIGEST), str_n((const char *)other, HT_DIGEST)));
    return 0;
}
