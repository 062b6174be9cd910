/*
 * A token and the text of keys, parted by a newline. What the right signature stands under is
 * reached by letting the fuzzer write the text that is signed (an "@" as signature). Without it nobody is let in.
 */
#include "base/base64.h"
#include "base/buf.h"
#include "core/auth/jwt.h"

#include <openssl/evp.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define KEY "0123456789abcdef0123456789abcdef"
#define KEYS "{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}"

static struct str sign(struct arena *a, struct str text)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t n = 0;
    if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, KEY, sizeof(KEY) - 1, (const unsigned char *)text.p, text.n,
                   mac, sizeof(mac), &n))
        abort();
    struct str b64 = base64_encode(a, str_n((const char *)mac, n));
    char *p = arena_cstr(a, b64);
    size_t len = b64.n;
    for (size_t i = 0; i < len; i++)
        p[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
    while (len && p[len - 1] == '=')
        len--;
    return arena_printf(a, "%.*s.%.*s", STR_ARG(text), (int)len, p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct str rest = str_n((const char *)data, n), token, who;
    struct jwt_keys *known = jwt_keys_parse(S(KEYS), &err);
    if (!known)
        abort();
    str_split(&rest, '\n', &token);
    if (jwt_verify(a, known, token, S("jid"), 1000, &who, &err) == 0 && !who.n)
        abort();
    if (token.n > 2 && token.n < JWT_TOKEN_MAX && token.p[token.n - 1] == '@')
        (void)jwt_verify(a, known, sign(a, str_n(token.p, token.n - 2)), S("jid"), 1000, &who, &err);
    if (rest.p) {
        struct jwt_keys *k = jwt_keys_parse(rest, &err);
        if (k)
            (void)jwt_verify(a, k, token, S("jid"), 1000, &who, &err);
        jwt_keys_delete(&k);
    }
    jwt_keys_delete(&known);
    arena_release(&a);
    return 0;
}
