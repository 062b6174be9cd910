/* Patterns of administrators. */
#include "harness.h"

#include "store/pattern.h"

static bool glob(const char *p, const char *s)
{
    return pattern_match(&(struct pattern){PATTERN_GLOB, str_of(p)}, str_of(s));
}

static bool like(const char *p, const char *s)
{
    return pattern_match(&(struct pattern){PATTERN_LIKE, str_of(p)}, str_of(s));
}

static void globs(void **state)
{
    CHECK(glob("*", "") && glob("*", "abc") && glob("", "") && !glob("", "a") && !glob("a", ""));
    CHECK(glob("*@example.org", "a@example.org") && !glob("*@example.org", "a@example.org.evil"));
    CHECK(!glob("example.org", "a@example.org") && glob("*icq*", "1@icq.example") && !glob("*icq*", "1@ic.q"));
    CHECK(glob("a?c", "abc") && !glob("a?c", "ac") && glob("a??", "a\xd1\x8f\xd0\xb0"));
    CHECK(glob("[a-c]x", "bx") && !glob("[a-c]x", "dx") && glob("[!a-c]x", "dx") && !glob("[!a-c]x", "ax"));
    CHECK(glob("[]]", "]") && glob("[a-]", "-") && glob("[\xd0\xb0-\xd1\x8f]", "\xd0\xb4"));
    CHECK(glob("a[b", "a[b") && !glob("a[b", "ab") && glob("a.c", "a.c") && !glob("a.c", "abc"));
    CHECK(!glob("A*", "abc") && glob("*a*b*c*", "xxaxxbxxcxx") && !glob("*a*b*c*", "xxaxxcxxbxx"));
    CHECK(glob("**", "x") && glob("a**", "a") && glob("%_", "%_"));
}

static void likes(void **state)
{
    CHECK(like("%@example.org", "a@example.org") && !like("%@example.org", "a@example.orgs"));
    CHECK(like("%@%icq%", "1@icq.example") && like("_", "\xf0\x9f\x98\x80") && !like("_", "ab") && like("A%", "abc"));
    CHECK(like("*", "*") && !like("*", "a") && like("a\\27b", "a\\27b"));
}

/* Hostile: time is at most one length times the other. */
static void slow_ones(void **state)
{
    static char p[4001], s[4001];

    for (int i = 0; i < 4000; i++) {
        p[i] = i % 2 ? 'a' : '*';
        s[i] = 'a';
    }
    CHECK(glob(p, s));
    p[3999] = 'b';
    CHECK(!glob(p, s));
}

static void prefixes(void **state)
{
    CHECK_STR(pattern_prefix(&(struct pattern){PATTERN_GLOB, S("ann*@x")}), S("ann"));
    CHECK_STR(pattern_prefix(&(struct pattern){PATTERN_GLOB, S("[ab]")}), S(""));
    CHECK_STR(pattern_prefix(&(struct pattern){PATTERN_LIKE, S("12ann%")}), S("12"));
    CHECK(pattern_is_plain(&(struct pattern){PATTERN_GLOB, S("a_%b")}));
    CHECK(!pattern_is_plain(&(struct pattern){PATTERN_LIKE, S("a_b")}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(globs), cmocka_unit_test(likes), cmocka_unit_test(slow_ones),
                                       cmocka_unit_test(prefixes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
