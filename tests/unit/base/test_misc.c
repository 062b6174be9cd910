/* clock, rand, secret, err, list: a few lines each. */
#include "test.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/rand.h"
#include "base/secret.h"

static void clocks(void **state)
{
    struct arena *a = arena_new();
    uint64_t m = clock_mono_us();
    assert_true(clock_mono_us() >= m);
    assert_true(clock_mono_ms() >= m / 1000);
    assert_true(clock_wall_s() > 1700000000);
    assert_str(clock_format(a, 0, false), S("1970-01-01T00:00:00Z"));
    assert_str(clock_format(a, 1769862896000007, true), S("2026-01-31T12:34:56.000007Z"));
    assert_str(clock_format(a, 1709210096999999, false), S("2024-02-29T12:34:56Z"));
    arena_release(&a);
}

static void randomness(void **state)
{
    char a[30], b[30], big[2000] = {0};
    rand_token(a, 29);
    rand_token(b, 29);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 29);
    assert_int_equal(strspn(a, "0123456789abcdefghijklmnopqrstuvwxyz"), 29);
    assert_int_not_equal(rand_u64(), rand_u64());
    rand_bytes(big, sizeof(big));
    unsigned zeros = 0;
    for (size_t i = 0; i < sizeof(big); i++)
        zeros += big[i] == 0;
    assert_true(zeros < 60);
    unsigned seen[36] = {0};
    for (int i = 0; i < 1000; i++) {
        rand_token(a, 29);
        for (int j = 0; j < 29; j++)
            seen[a[j] <= '9' ? a[j] - '0' : a[j] - 'a' + 10]++;
    }
    for (int i = 0; i < 36; i++)
        assert_in_range(seen[i], 600, 1010);
}

static void secrets(void **state)
{
    char p[8] = "secret";
    secret_wipe(p, sizeof(p));
    for (size_t i = 0; i < sizeof(p); i++)
        assert_int_equal(p[i], 0);
    secret_wipe(NULL, 0);
    assert_true(secret_eq(S("abc"), S("abc")));
    assert_false(secret_eq(S("abc"), S("abd")));
    assert_false(secret_eq(S("abc"), S("ab")));
    assert_true(secret_eq(STR_NULL, S("")));
}

static void errors(void **state)
{
    struct error e = ERROR_INIT;
    assert_string_equal(err_info(ERR_NOT_FOUND)->name, "not_found");
    assert_string_equal(err_info(ERR_NONE)->name, "none");
    assert_int_equal(err_info(ERR_NOT_FOUND)->http, 404);
    assert_ptr_equal(err_info((enum err_code)9999), err_info(ERR_INTERNAL));
    assert_int_equal(err_set(&e, ERR_CONFLICT, "user %d", 5), -1);
    assert_int_equal(e.code, ERR_CONFLICT);
    assert_int_equal(err_wrap(&e, "line %d", 7), -1);
    assert_string_equal(e.text, "line 7: user 5");
    err_set(&e, ERR_TIMEOUT, NULL);
    assert_string_equal(e.text, "timed out");
    assert_int_equal(err_set(NULL, ERR_TIMEOUT, NULL), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
    char longer[2 * ERR_TEXT_MAX];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    err_set(&e, ERR_IO, "%s", longer);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    err_wrap(&e, "y");
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    err_wrap(&e, "%s", longer);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
}

static void lists(void **state)
{
    struct list head, n[4];
    int left = 4;
    list_init(&head);
    assert_true(list_empty(&head));
    for (int i = 0; i < 4; i++)
        list_push(&head, &n[i]);
    LIST_EACH_SAFE(it, &head) {
        assert_ptr_equal(it, &n[4 - left]);
        list_del(it);
        list_del(it);
        left--;
    }
    assert_int_equal(left, 0);
    assert_true(list_empty(&head));
    list_push_front(&head, &n[0]);
    list_push_front(&head, &n[1]);
    assert_ptr_equal(head.next, &n[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(clocks), cmocka_unit_test(randomness), cmocka_unit_test(secrets),
                                       cmocka_unit_test(errors), cmocka_unit_test(lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
