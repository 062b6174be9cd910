/* Tokens: every word is found, nothing else is. */
#include "test.h"

static void every_word_is_found(void **state)
{
    for (int t = 1; t < TOK__COUNT; t++) {
        struct str w = token_str((enum token)t);
        char *copy = malloc(w.n);
        memcpy(copy, w.p, w.n);
        assert_int_equal(token_find(str_n(copy, w.n)), t);
        free(copy);
    }
}

static void other_words_are_not(void **state)
{
    assert_int_equal(token_find(S("")), TOK_NONE);
    assert_int_equal(token_find(STR_NULL), TOK_NONE);
    assert_str(token_str(TOK_NONE), S(""));
    for (int t = 1; t < TOK__COUNT; t++) {
        struct str w = token_str((enum token)t);
        char *changed = malloc(w.n + 1);
        memcpy(changed, w.p, w.n);
        changed[w.n] = '%';
        assert_int_equal(token_find(str_n(changed, w.n + 1)), TOK_NONE);
        for (size_t i = 0; i < w.n; i++) {
            changed[i] ^= 1;
            enum token got = token_find(str_n(changed, w.n));
            assert_true(got == TOK_NONE || str_eq(token_str(got), str_n(changed, w.n)));
            changed[i] ^= 1;
        }
        free(changed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_word_is_found), cmocka_unit_test(other_words_are_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
