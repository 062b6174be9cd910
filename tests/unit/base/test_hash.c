#include "test.h"

#include "base/hash.h"

/* Home shards may one day be in another process: these values never change. */
static void stable_for_ever(void **state)
{
    struct {
        const char *text;
        uint64_t hash;
    } known[] = {
        {"", 0xd1fba762150c532cULL},
        {"a", 0x407448d2b89b1813ULL},
        {"juliet@example.org", 0xf5651e23f39a4b87ULL},
        {"user1@localhost", 0xb735c99457b6b183ULL},
        {"12345678", 0x3489982430560a87ULL},
        {"a longer address of more than three words@conference.example.net", 0x800a9f1efc2ced05ULL},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_int_equal(hash_stable(known[i].text, strlen(known[i].text)), known[i].hash);
}

static void key_matters_and_every_byte_too(void **state)
{
    char text[40];
    memset(text, 'a', sizeof(text));
    uint64_t before = hash_bytes(text, sizeof(text));
    hash_seed();
    assert_int_not_equal(hash_bytes(text, sizeof(text)), before);
    for (size_t n = 0; n <= sizeof(text); n++)
        for (size_t i = 0; i < n; i++) {
            uint64_t plain = hash_bytes(text, n);
            text[i] ^= 1;
            assert_int_not_equal(hash_bytes(text, n), plain);
            text[i] ^= 1;
            assert_int_equal(hash_bytes(text, n), plain);
        }
    for (size_t n = 1; n <= sizeof(text); n++)
        assert_int_not_equal(hash_bytes(text, n), hash_bytes(text, n - 1));
}

static void alignment_does_not_matter(void **state)
{
    char room[80];
    for (size_t shift = 0; shift < 8; shift++)
        for (size_t n = 0; n < 60; n++) {
            memset(room, 'x', sizeof(room));
            memset(room + shift, 'b', n);
            char plain[60];
            memset(plain, 'b', n);
            assert_int_equal(hash_bytes(room + shift, n), hash_bytes(plain, n));
        }
}

static void spreads(void **state)
{
    unsigned buckets[64] = {0};
    for (uint32_t i = 0; i < 64000; i++)
        buckets[hash_bytes(&i, 4) % 64]++;
    for (int i = 0; i < 64; i++)
        assert_in_range(buckets[i], 800, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stable_for_ever),
                                       cmocka_unit_test(key_matters_and_every_byte_too),
                                       cmocka_unit_test(alignment_does_not_matter), cmocka_unit_test(spreads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
