/* xmpp/jid.h: cutting, preparing, comparing, escaping; the ASCII table against libidn. */
#include "xmpp/jid.h"

#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <stringprep.h>

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
    struct str w = str_of(want);
    if (!str_eq(got, w))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want ? want : "(absent)");
}

struct good {
    const char *in, *user, *host, *res;
};

static void test_accepts(void **state)
{
    static const struct good cases[] = {
        {"host", "", "host", ""},
        {"user@host", "user", "host", ""},
        {"user@host/res", "user", "host", "res"},
        {"host/res", "", "host", "res"},
        {"x/y@z", "", "x", "y@z"},
        {"u@x/y@z/w", "u", "x", "y@z/w"},
        {"u@h//", "u", "h", "/"},
        {"u@h/ y ", "u", "h", " y "},
        {"UsEr@HoSt.Example/ReS", "user", "host.example", "ReS"},
        {"u@host.", "u", "host", ""},
        {"u@host./r", "u", "host", "r"},
        {"U@HOST./R", "u", "host", "R"},
        {"h.", "", "h", ""},
        {"u@[::1]/r", "u", "[::1]", "r"},
        {"u@[2001:DB8::1]", "u", "[2001:db8::1]", ""},
        {"[::1]", "", "[::1]", ""},
        {"127.0.0.1", "", "127.0.0.1", ""},
        {"a@b:5222", "a", "b:5222", ""},
        {"a@x_y", "a", "x_y", ""},
        {"a@-x", "a", "-x", ""},
        {"a@xn--mnchen-3ya.example", "a", "xn--mnchen-3ya.example", ""},
        {"A\\20B@c", "a\\20b", "c", ""},
        {"!#$%()*+,-.;=?[]^_`{|}~\\@b", "!#$%()*+,-.;=?[]^_`{|}~\\", "b", ""},
        /* nodeprep folds and decomposes compatibility characters */
        {"\xc3\x89t\xc3\xa9@b", "\xc3\xa9t\xc3\xa9", "b", ""},
        {"stra\xc3\x9f" "e@b", "strasse", "b", ""},
        {"\xef\xbc\xa1@b", "a", "b", ""},
        {"\xe2\x85\xa3@b", "iv", "b", ""},
        {"e\xcc\x81@b", "\xc3\xa9", "b", ""},
        {"a\xc2\xad" "b@c", "ab", "c", ""},
        {"\xe6\x97\xa5\xe6\x9c\xac@b", "\xe6\x97\xa5\xe6\x9c\xac", "b", ""},
        {"\xd7\x90\xd7\x91@b", "\xd7\x90\xd7\x91", "b", ""},
        {"\xce\xa3@b", "\xcf\x83", "b", ""},
        {"\xc4\xb0@b", "i\xcc\x87", "b", ""},
        /* nameprep */
        {"a@M\xc3\xbcnchen/\xc3\x9c", "a", "m\xc3\xbcnchen", "\xc3\x9c"},
        {"a@b\xc3\xbc./r", "a", "b\xc3\xbc", "r"},
        {"a@a\xe3\x80\x82x", "a", "a\xe3\x80\x82x", ""},
        {"a@h\xef\xbc\x8e", "a", "h", ""},
        {"a@h\xef\xbc\x8ex", "a", "h.x", ""},
        /* resourceprep keeps case, normalises */
        {"a@b/\xef\xbc\xa1", "a", "b", "A"},
        {"a@b/e\xcc\x81", "a", "b", "\xc3\xa9"},
        {"a@b/x\xc2\xa0y", "a", "b", "x y"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jid j, again;
        const struct good *c = &cases[i];
        if (!jid_parse(A, str_of(c->in), &j))
            fail_msg("refused: %s", c->in);
        assert_str(jid_user(j), c->user);
        assert_str(jid_host(j), c->host);
        assert_str(jid_res(j), c->res);
        assert_true(jid_parse(A, jid_full(j), &again));
        assert_true(jid_eq(j, again));
        if (utf8_is_ascii(jid_full(j)))
            assert_ptr_equal(again.s, j.s);
        assert_true(jid_make(A, jid_user(j), jid_host(j), jid_res(j), &again));
        assert_true(jid_eq(j, again));
    }
}

static void test_refuses(void **state)
{
    static const struct str cases[] = {
        S(""), S("@"), S("@@"), S("/"), S("@h"), S("u@"), S("/r"), S("u@/r"), S("u@h/"), S("h/"), S("a@@b"),
        S("a@b@c"),
        S("a b@c"), S("a\"b@c"), S("a&b@c"), S("a'b@c"), S("a:b@c"), S("a<b@c"), S("a>b@c"), S("a\tb@c"),
        S("a\x7f" "b@c"),
        S("."), S("u@."), S(".h"), S("a..b"), S("u@h.."), S("u@h../r"), S("not a host"), S("u@h\"x"), S("u@h'x"),
        S("u@h&x"),
        S("u@h<x"), S("u@h>x"), S("u@h\\x"), S("u@h\x01x"), S("u@h\x7fx"), S("u@h\0x"), S("u\0@h"), S("u@h/\0"),
        S("u@h/a\x01"), S("u@h/a\tb"), S("u@h/\n"), S("u@h/\x7f"),
        /* not UTF-8: bare tail, cut, overlong, surrogate, beyond U+10FFFF */
        S("\x80@h"), S("a\xc3(@h"), S("u@h/\xff"), S("u@h/\xc0\x80"), S("u@h/\xed\xa0\x80"),
        S("u@h/\xf4\x90\x80\x80"),
        S("u@\xe2\x82"), S("u@h\xc3/r"),
        /* unassigned in Unicode 3.2, private use, non-characters, tags */
        S("\xf0\x9f\x98\x80@h"), S("u@\xf0\x9f\x98\x80"), S("u@h/\xf0\x9f\x98\x80"), S("\xee\x80\x80@h"),
        S("u@h/\xef\xbf\xbe"), S("u@h/\xf3\xa0\x80\x81"),
        /* mapped to nothing */
        S("\xc2\xad@h"), S("u@\xc2\xad"), S("u@h/\xc2\xad"),
        /* spaces and prohibited ASCII behind compatibility forms */
        S("a\xc2\xa0" "b@h"), S("a\xef\xbc\xa0" "b@h"), S("u@a\xef\xbc\xa0" "b"), S("u@a\xef\xbc\x8f" "b"),
        S("u@\xe2\x84\x80"),
        S("u@a\xef\xbc\x8e\xef\xbc\x8e" "b"), S("u@\xef\xbc\x8e"), S("u@h\xef\xbc\x8e\xef\xbc\x8e"),
        S("u@h\xef\xbc\x8e."),
        S("u@h\xc3\xbc.."), S("u@a\xc2\xa0" "b"), S("u@\xef\xbc\x9c"),
        /* bidi: RFC 3454 section 6 */
        S("u@\xd7\x90" "b"), S("\xd7\x90" "1@h"), S("u@h/a\xd7\x90"),
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jid j = {"x", 1, 1, 1};
        if (jid_parse(A, cases[i], &j))
            fail_msg("accepted case %zu: %.*s", i, STR_ARG(cases[i]));
        assert_false(jid_present(j));
    }
}

static struct str repeat(const char *unit, size_t times)
{
    size_t n = strlen(unit);
    char *p = arena_alloc(A, n * times + 1);
    for (size_t i = 0; i < times; i++)
        memcpy(p + i * n, unit, n);
    return str_n(p, n * times);
}

static void test_limits(void **state)
{
    struct jid j;
    struct str max = repeat("x", JID_PART_MAX), over = repeat("x", JID_PART_MAX + 1), out;
    assert_true(jid_make(A, max, max, max, &j));
    assert_int_equal(jid_full(j).n, JID_MAX);
    assert_true(jid_parse(A, jid_full(j), &j));
    assert_int_equal(j.res_len, JID_PART_MAX);
    assert_true(jid_parse(A, arena_printf(A, "%.*s@%.*s./%.*s", STR_ARG(max), STR_ARG(max), STR_ARG(max)), &j));
    assert_int_equal(j.host_len, JID_PART_MAX);
    assert_false(jid_make(A, over, S("h"), STR_NULL, &j));
    assert_false(jid_make(A, S("u"), over, STR_NULL, &j));
    assert_false(jid_make(A, S("u"), S("h"), over, &j));
    assert_false(jid_parse(A, arena_printf(A, "%.*s@h", STR_ARG(over)), &j));
    assert_false(jid_parse(A, over, &j));
    assert_false(jid_parse(A, arena_printf(A, "h/%.*s", STR_ARG(over)), &j));
    assert_false(jid_parse(A, repeat("x", 100000), &j));
    /* U+FDFA becomes 18 characters */
    assert_false(jid_resourceprep(A, repeat("\xef\xb7\xba", 60), &out));
    assert_true(jid_resourceprep(A, repeat("\xef\xb7\xba", 20), &out));
    assert_false(jid_nodeprep(A, repeat("\xc3\xa9", 512), &out));
    assert_true(jid_nodeprep(A, repeat("\xc3\xa9", 511), &out));
}

static void test_no_copy(void **state)
{
    struct str in = S("user@host.example/resource"), dot = S("user@host.");
    struct jid j;
    size_t before = arena_size(A);
    assert_true(jid_parse(A, in, &j));
    assert_ptr_equal(j.s, in.p);
    assert_true(jid_parse(A, dot, &j));
    assert_ptr_equal(j.s, dot.p);
    assert_int_equal(arena_size(A), before);
}

static void test_compare(void **state)
{
    struct jid a, b, c, h;
    assert_true(jid_parse(A, S("u@h/r"), &a));
    assert_true(jid_parse(A, S("U@H/r"), &b));
    assert_true(jid_parse(A, S("u@h/R"), &c));
    assert_true(jid_parse(A, S("h"), &h));
    assert_true(jid_eq(a, b));
    assert_false(jid_eq(a, c));
    assert_true(jid_bare_eq(a, c));
    assert_false(jid_bare_eq(a, h));
    assert_false(jid_eq(JID_NULL, h));
    assert_true(jid_eq(JID_NULL, JID_NULL));
    assert_int_equal(jid_home_hash(a), jid_home_hash(c));
    assert_int_equal(jid_home_hash(a), jid_home_hash_parts(S("u"), S("h")));
    assert_int_equal(jid_home_hash(h), jid_home_hash_parts(STR_NULL, S("h")));
    assert_int_not_equal(jid_home_hash(a), jid_home_hash(h));
    struct jid copy = jid_copy(A, a);
    assert_ptr_not_equal(copy.s, a.s);
    assert_true(jid_eq(copy, a));
    assert_false(jid_present(jid_copy(A, JID_NULL)));
    assert_true(jid_is_bare(jid_to_bare(a)));
    assert_str(jid_full(jid_join(A, S("u"), S("h"), STR_NULL)), "u@h");
    assert_str(jid_full(jid_join(A, STR_NULL, S("h"), S("r"))), "h/r");
}

static void test_parts(void **state)
{
    struct str out;
    struct jid j;
    assert_true(jid_nodeprep(A, S(""), &out));
    assert_int_equal(out.n, 0);
    assert_true(jid_resourceprep(A, S(""), &out));
    assert_false(jid_nameprep(A, S(""), &out));
    assert_false(jid_nodeprep(A, S("a@b"), &out));
    assert_false(jid_nodeprep(A, S("a/b"), &out));
    assert_false(jid_nameprep(A, S("a/b"), &out));
    assert_true(jid_nameprep(A, S("LOCALHOST"), &out));
    assert_str(out, "localhost");
    assert_true(jid_make(A, STR_NULL, S("H"), STR_NULL, &j));
    assert_str(jid_full(j), "h");
    assert_false(jid_make(A, S("u"), STR_NULL, S("r"), &j));
    assert_false(jid_present(j));
}

/* RFC 4013 section 3. */
static void test_saslprep(void **state)
{
    struct str out;
    assert_true(jid_saslprep(A, S("I\xc2\xadX"), &out));
    assert_str(out, "IX");
    assert_true(jid_saslprep(A, S("user"), &out));
    assert_str(out, "user");
    assert_true(jid_saslprep(A, S("USER"), &out));
    assert_str(out, "USER");
    assert_true(jid_saslprep(A, S("\xc2\xaa"), &out));
    assert_str(out, "a");
    assert_true(jid_saslprep(A, S("\xe2\x85\xa8"), &out));
    assert_str(out, "IX");
    assert_true(jid_saslprep(A, S("a\xc2\xa0" "b"), &out));
    assert_str(out, "a b");
    assert_false(jid_saslprep(A, S("\x07"), &out));
    assert_false(jid_saslprep(A, S("\xd8\xa7" "1"), &out));
    assert_false(jid_saslprep(A, S("p\xf0\x9f\x98\x80"), &out));
    assert_false(jid_saslprep(A, S("p\xff"), &out));
    assert_true(jid_saslprep(A, S("p\xc3\xbf\xe2\x82\xac\xc3\xbc"), &out));
    assert_str(out, "p\xc3\xbf\xe2\x82\xac\xc3\xbc");
}

static bool by_libidn(const Stringprep_profile *profile, const char *in, char out[64])
{
    snprintf(out, 64, "%s", in);
    return stringprep(out, 64, STRINGPREP_NO_UNASSIGNED, profile) == STRINGPREP_OK && out[0];
}

typedef bool (*prep_fn)(struct arena *a, struct str in, struct str *out);

static void check_against(prep_fn fn, const Stringprep_profile *profile, const char *in)
{
    char want[64];
    struct str got;
    bool ok = by_libidn(profile, in, want);
    assert_int_equal(fn(A, str_of(in), &got), ok);
    if (ok)
        assert_str(got, want);
}

/* The class table decides what libidn would decide, for every ASCII character at the start, inside, at the end. */
static void test_table_against_libidn(void **state)
{
    static const char *const shapes[] = {"%c", "a%cb", "%cb", "B%c"};
    for (int c = 1; c < 0x80; c++) {
        for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
            char in[8];
            snprintf(in, sizeof(in), shapes[i], c);
            check_against(jid_nodeprep, stringprep_xmpp_nodeprep, in);
            check_against(jid_resourceprep, stringprep_xmpp_resourceprep, in);
            check_against(jid_saslprep, stringprep_saslprep, in);
            if (!strchr(" \"&'/<>@\\.\x7f", c) && c > 0x20)
                check_against(jid_nameprep, stringprep_nameprep, in);
        }
    }
}

static void check_stable(prep_fn fn, struct str in)
{
    struct str once, twice;
    if (!fn(A, in, &once))
        return;
    assert_true(utf8_valid(once));
    assert_true(fn(A, once, &twice));
    assert_true(str_eq(once, twice));
}

/* Whatever comes out is a fixed point; one in 16 code points beyond the first planes' dense part keeps this quick. */
static void test_every_code_point_is_stable(void **state)
{
    for (uint32_t cp = 0x80; cp < 0x110000; cp += cp < 0x3400 || (cp >= 0xf900 && cp < 0x10600) ? 1 : 16) {
        char text[4];
        unsigned n = utf8_encode(cp, text);
        struct str in = str_n(text, n);
        if (n == 0)
            continue;
        check_stable(jid_nodeprep, in);
        check_stable(jid_nameprep, in);
        check_stable(jid_resourceprep, in);
        check_stable(jid_saslprep, in);
    }
}

/* Sequences that normalisers disagree about (Unicode public review issue 29) come out as fixed points too. */
static void test_disputed_sequences(void **state)
{
    check_stable(jid_nodeprep, S("\xe1\x84\x80\xcc\x80\xe1\x85\xa1"));
    check_stable(jid_resourceprep, S("\xe0\xad\x87\xcc\x80\xe0\xac\xbe"));
    check_stable(jid_nodeprep, S("<\xcc\xb8"));
    check_stable(jid_nameprep, S("<\xcc\xb8"));
}

static void test_escape(void **state)
{
    static const char *const cases[][2] = {
        {"space cadet", "space\\20cadet"},
        {"call me \"ishmael\"", "call\\20me\\20\\22ishmael\\22"},
        {"at&t guy", "at\\26t\\20guy"},
        {"d'artagnan", "d\\27artagnan"},
        {"/.fanboy", "\\2f.fanboy"},
        {"::foo::", "\\3a\\3afoo\\3a\\3a"},
        {"<foo>", "\\3cfoo\\3e"},
        {"user@host", "user\\40host"},
        {"c:\\net", "c\\3a\\net"},
        {"c:\\\\net", "c\\3a\\\\net"},
        {"c:\\cool stuff", "c\\3a\\cool\\20stuff"},
        {"c:\\5commas", "c\\3a\\5c5commas"},
        {"\\3and\\2is\\5cool", "\\5c3and\\2is\\5c5cool"},
        {"\\2plus\\2is\\4", "\\2plus\\2is\\4"},
        {"foo\\bar", "foo\\bar"},
        {"foob\\41r", "foob\\41r"},
        {"foo\\2Fbar", "foo\\2Fbar"},
        {"here's_a_wild_&_/cr%zy/_address", "here\\27s_a_wild_\\26_\\2fcr%zy\\2f_address"},
        {"", ""},
        {"plain", "plain"},
        {"\\", "\\"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_str(jid_escape_node(A, str_of(cases[i][0])), cases[i][1]);
        assert_str(jid_unescape_node(A, str_of(cases[i][1])), cases[i][0]);
    }
    assert_null(jid_escape_node(A, S(" a")).p);
    assert_null(jid_escape_node(A, S("a ")).p);
    assert_str(jid_unescape_node(A, S("\\20a\\20b\\20")), "\\20a b\\20");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compare, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_saslprep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table_against_libidn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_code_point_is_stable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disputed_sequences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_escape, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
