/* xmpp/ssdp.h: the example of XEP-0474 §6.3 whole, order and delimiters, every hash. */
#include "xmpp/ssdp.h"

#include "base/base64.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define EXAMPLE_HASH "G6k/rBLDqgOhRRaCuuatSDFkJ08="

static struct arena *A;

static int setup(void **state)
{
    A = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_release(&A);
    return 0;
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

/* Base64 of the digest of a text, made another way. */
static struct str digest(const char *name, struct str text)
{
    unsigned char md[64];
    size_t n = 0;
    assert_int_equal(EVP_Q_digest(NULL, name, NULL, text.p, text.n, md, &n), 1);
    return base64_encode(A, str_n((const char *)md, n));
}

static void test_example_hash(void **state)
{
    struct str mechs[] = {S("SCRAM-SHA-1"), S("SCRAM-SHA-1-PLUS")}, types[] = {S("tls-server-end-point"), S("tls-exporter")};
    assert_str(ssdp_hash(A, SCRAM_SHA1, mechs, 2, types, 2), EXAMPLE_HASH);
}

static void test_order_does_not_matter(void **state)
{
    struct str mechs[] = {S("SCRAM-SHA-1-PLUS"), S("SCRAM-SHA-1")}, types[] = {S("tls-exporter"), S("tls-server-end-point")};
    assert_str(ssdp_hash(A, SCRAM_SHA1, mechs, 2, types, 2), EXAMPLE_HASH);
}

/* A list that is empty and none at all differ by the delimiter. */
static void test_no_bindings(void **state)
{
    struct str mechs[] = {S("SCRAM-SHA-256"), S("PLAIN")}, none[1] = {{0}};
    struct str without = ssdp_hash(A, SCRAM_SHA256, mechs, 2, NULL, 0), empty = ssdp_hash(A, SCRAM_SHA256, mechs, 2, none, 0);
    assert_true(str_eq(without, digest("SHA256", S("PLAIN\x1eSCRAM-SHA-256"))));
    assert_true(str_eq(empty, digest("SHA256", S("PLAIN\x1eSCRAM-SHA-256\x1f"))));
}

static void test_each_hash(void **state)
{
    static const char *const names[] = {"SHA1", "SHA256", "SHA512"};
    for (unsigned h = 0; h < 3; h++) {
        struct str mechs[] = {S("B"), S("A")}, types[] = {S("d"), S("c")};
        assert_true(str_eq(ssdp_hash(A, (enum scram_hash)h, mechs, 2, types, 2), digest(names[h], S("A\x1e" "B\x1f" "c\x1e" "d"))));
    }
}

/* §6.3: the exchange with the attribute; the proof covers it, so one that was made without it does not fit. */
static void test_example_exchange(void **state)
{
    struct str salt, out;
    struct scram_keys k;
    struct error err = ERROR_INIT;
    assert_true(base64_decode(A, S("QSXCR+Q6sek8bf92"), &salt));
    assert_int_equal(scram_derive(A, SCRAM_SHA1, S("pencil"), salt, 4096, &k, &err), 0);
    struct scram_server s = {.hash = SCRAM_SHA1, .plus = true, .plus_offered = true, .ssdp = S(EXAMPLE_HASH)};
    assert_int_equal(scram_server_first(A, &s, S("p=tls-exporter,,n=user,r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6")), SCRAM_OK);
    s.cb_data = S("THIS IS FAKE CB DATA");
    assert_str(scram_server_challenge(A, &s, &k, "a09117a6-ac50-4f2f-93f1-93799c2bddf6"),
               "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,s=QSXCR+Q6sek8bf92,i=4096,"
               "h=" EXAMPLE_HASH);
    const char *final = "c=cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB,"
                        "r=12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6a09117a6-ac50-4f2f-93f1-93799c2bddf6,"
                        "x=19C6532F-1CF4-4A27-A18D-DC9CEA41BBB3,p=M/SIDjT+dfcxUh89jZEypRvFxB4=";
    assert_int_equal(scram_server_final(A, &s, str_of(final), &out), SCRAM_OK);
    assert_str(out, "v=MQrMPvv7yv4x4Cq4W4Ih25EqS2c=");
    /* Somebody on the way showed another list and its hash. */
    s.server_first = arena_printf(A, "%.*s", STR_ARG(s.server_first));
    ((char *)s.server_first.p)[s.server_first.n - 3] ^= 1;
    assert_int_equal(scram_server_final(A, &s, str_of(final), &out), SCRAM_NOT_AUTHORIZED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_example_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_does_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_bindings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_each_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_example_exchange, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
