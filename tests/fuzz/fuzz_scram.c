/*
 * SASL messages from arbitrary bytes. First byte: mechanism (two bits), -PLUS, -PLUS offered, keys of nobody, binding
 * data present. Then client-first and client-final, parted by a newline; a "@" as proof is replaced by the right one,
 * so that the path behind it is reached too. All bytes together are also read as PLAIN and as a mechanism name.
 */
#include "base/base64.h"
#include "base/buf.h"
#include "xmpp/sasl.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)  \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static const char *const names[] = {"SHA1", "SHA256", "SHA512"};

/* Keys whose client key is all zeros: the proof is then the signature itself. */
static struct scram_keys known_keys(struct arena *a, enum scram_hash h)
{
    unsigned char zeros[SCRAM_MAX_DIGEST] = {0}, stored[SCRAM_MAX_DIGEST];
    size_t n = scram_digest_len(h);
    CHECK(EVP_Q_digest(NULL, names[h], NULL, zeros, n, stored, NULL) == 1);
    struct str key = arena_str(a, str_n((const char *)stored, n));
    return (struct scram_keys){.hash = h, .iterations = 4096, .salt = S("salt"), .stored_key = key, .server_key = key};
}

static struct str with_right_proof(struct arena *a, const struct scram_server *s, struct str without)
{
    unsigned char sig[SCRAM_MAX_DIGEST];
    struct buf b = BUF_INIT;
    buf_add_str(&b, s->client_first_bare);
    buf_add_c(&b, ',');
    buf_add_str(&b, s->server_first);
    buf_add_c(&b, ',');
    buf_add_str(&b, without);
    CHECK(EVP_Q_mac(NULL, "HMAC", NULL, names[s->hash], NULL, s->keys->stored_key.p, s->keys->stored_key.n,
                    (const unsigned char *)b.p, b.n, sig, sizeof(sig), NULL) != NULL);
    struct str proof = base64_encode(a, str_n((const char *)sig, scram_digest_len(s->hash)));
    buf_clear(&b);
    buf_add_str(&b, without);
    buf_add(&b, ",p=", 3);
    buf_add_str(&b, proof);
    struct str msg = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return msg;
}

static void exchange(struct arena *a, unsigned flags, struct str first, struct str final)
{
    struct scram_server s = {.hash = (enum scram_hash)(flags % 4 % 3), .plus = flags & 4, .plus_offered = flags & 8};
    struct str out;
    struct scram_keys keys = flags & 16 ? scram_fake_keys(a, s.hash, S("u"), S("h"), 4096) : known_keys(a, s.hash);
    if (scram_server_first(a, &s, first) != SCRAM_OK)
        return;
    CHECK(s.username.n > 0 && s.gs2.n + s.client_first_bare.n == first.n && (s.cb_type.p != NULL) == s.plus);
    if (s.plus && flags & 32)
        s.cb_data = S("data");
    scram_server_challenge(a, &s, &keys, "tail");
    bool right = final.n > 4 && str_eq(str_n(final.p + final.n - 4, 4), S(",p=@"));
    if (right)
        final = with_right_proof(a, &s, str_n(final.p, final.n - 4));
    enum scram_rc rc = scram_server_final(a, &s, final, &out);
    CHECK((rc == SCRAM_OK) == (out.p != NULL));
    /* Nobody guesses a proof, and without data nothing was bound. */
    CHECK(rc != SCRAM_OK || (right && !(flags & 16) && (!s.plus || flags & 32)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new();
    struct sasl_plain p;
    enum sasl_mech m;
    struct str in = str_n((const char *)data, n);
    if (sasl_plain_parse(in, &p) == SASL_OK)
        CHECK(p.authzid.n + p.authcid.n + p.password.n + 2 == n);
    if (sasl_mech_parse(in, &m))
        CHECK(str_eq(sasl_mech_info(m)->name, in));
    if (n) {
        struct str rest = str_n(in.p + 1, n - 1), first;
        str_split(&rest, '\n', &first);
        exchange(a, data[0], first, rest);
    }
    arena_release(&a);
    return 0;
}
