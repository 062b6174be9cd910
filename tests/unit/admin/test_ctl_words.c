/* Lines of command files, split into words. */
#include "ctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX 8

static int split(const char *line, char *copy, char **words, const char **why)
{
    strcpy(copy, line);
    return words_split(copy, strlen(line), words, MAX, why);
}

static void expect(const char *line, int n, ...)
{
    char copy[256], *words[MAX];
    const char *why = NULL;
    int got = split(line, copy, words, &why);
    if (got != n)
        print_message("%s: %d words, wanted %d (%s)\n", line, got, n, why ? why : "no complaint");
    assert_int_equal(got, n);
    va_list ap;
    va_start(ap, n);
    for (int i = 0; i < n; i++)
        assert_string_equal(words[i], va_arg(ap, const char *));
    va_end(ap);
}

static void expect_no(const char *line, const char *what)
{
    char copy[256], *words[MAX];
    const char *why = NULL;
    assert_int_equal(split(line, copy, words, &why), -1);
    assert_non_null(strstr(why, what));
}

static void test_plain(void **state)
{
    (void)state;
    expect("", 0);
    expect(" \t \r", 0);
    expect("a", 1, "a");
    expect("  a  b\tc \r", 3, "a", "b", "c");
    expect("# comment", 0);
    expect("a # comment 'unclosed", 1, "a");
    expect("a#b #", 1, "a#b");
    expect("a;b|c&d>e*f~g$h`i", 1, "a;b|c&d>e*f~g$h`i");
}

static void test_quotes(void **state)
{
    (void)state;
    expect("'' \"\"", 2, "", "");
    expect("'a b'c\"d e\"f", 1, "a bcd ef");
    expect("'\\' \"\\a\\\\\\\"\\$\\`\"", 2, "\\", "\\a\\\"$`");
    expect("a\\ b \\# \\'", 3, "a b", "#", "'");
    expect("$'a\\nb\\tc\\rd\\\\e\\'f\\\"g'$'' x", 2, "a\nb\tc\rd\\e'f\"g", "x");
    expect("$ $a a$'b'", 3, "$", "$a", "ab");
    expect("'#' \"#\"", 2, "#", "#");
}

static void test_refused(void **state)
{
    (void)state;
    expect_no("a 'b", "quote");
    expect_no("\"b\\\"", "quote");
    expect_no("$'b", "quote");
    expect_no("$'b\\", "escape");
    expect_no("$'\\x41'", "escape");
    expect_no("a\\", "backslash");
    expect_no("1 2 3 4 5 6 7 8 9", "many");
    char nul[] = "a\0b", *words[MAX];
    const char *why = NULL;
    assert_int_equal(words_split(nul, 3, words, MAX, &why), -1);
    assert_non_null(strstr(why, "NUL"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_quotes), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
