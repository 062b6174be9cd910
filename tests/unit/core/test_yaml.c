/* core/config/yaml.h: trees with places, what is refused and where, scalars, writing back. */
#include "core/config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

static struct yaml *parse(const char *text)
{
    struct error err = ERROR_INIT;
    struct yaml *y = yaml_parse(A, "t.yml", str_of(text), &err);
    if (!y)
        fail_msg("%s", err.text);
    return y;
}

static void refused(const char *text, const char *want)
{
    struct error err = ERROR_INIT;
    assert_null(yaml_parse(A, "t.yml", str_of(text), &err));
    assert_string_equal(err.text, want);
    assert_int_equal(err.code, ERR_CONFIG);
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void test_tree(void **state)
{
    struct yaml *y = parse("a: 1\nb:\n  - x\n  - {c: \"2\", d: }\n\"e f\": |\n  two\n  lines\n");
    assert_int_equal(y->kind, YAML_MAP);
    assert_int_equal(y->n, 3);
    assert_str(y->keys[2], "e f");
    assert_str(y->items[2]->text, "two\nlines\n");
    assert_true(y->items[2]->quoted);
    const struct yaml *b = yaml_get(y, S("b"));
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->n, 2);
    assert_str(yaml_get(b->items[1], S("c"))->text, "2");
    assert_int_equal(yaml_get(b->items[1], S("d"))->kind, YAML_NULL);
    assert_null(yaml_get(y, S("nosuch")));
    assert_null(yaml_get(b, S("x")));
    assert_null(yaml_get(NULL, S("x")));
}

static void test_places(void **state)
{
    struct yaml *y = parse("# words\na:\n   - x\n   -  y\nlong: {k: v}\n");
    const struct yaml *a = yaml_get(y, S("a"));
    assert_int_equal(a->items[1]->line, 4);
    assert_int_equal(a->items[1]->column, 7);
    assert_string_equal(a->items[1]->file, "t.yml");
    assert_int_equal(y->key_nodes[1]->line, 5);
    assert_int_equal(y->key_nodes[1]->column, 1);
    const struct yaml *v = yaml_get(yaml_get(y, S("long")), S("k"));
    assert_int_equal(v->line, 5);
    assert_int_equal(v->column, 11);
    struct error err = ERROR_INIT;
    assert_int_equal(yaml_error(v, &err, "bad %d", 7), -1);
    assert_string_equal(err.text, "t.yml:5:11: bad 7");
}

static void test_scalars(void **state)
{
    struct yaml *y =
        parse("[5, \"5\", -3, 0x5, 5.0, true, off, \"yes\", True, n, ~, null, '', 99999999999999999999, maybe]");
    int64_t n;
    bool b;
    assert_true(yaml_int(y->items[0], &n) && n == 5);
    assert_false(yaml_int(y->items[1], &n));
    assert_true(yaml_int(y->items[2], &n) && n == -3);
    assert_false(yaml_int(y->items[3], &n));
    assert_false(yaml_int(y->items[4], &n));
    assert_true(yaml_bool(y->items[5], &b) && b);
    assert_true(yaml_bool(y->items[6], &b) && !b);
    assert_false(yaml_bool(y->items[7], &b));
    assert_false(yaml_bool(y->items[8], &b));
    assert_true(yaml_bool(y->items[9], &b) && !b);
    assert_int_equal(y->items[10]->kind, YAML_NULL);
    assert_int_equal(y->items[11]->kind, YAML_NULL);
    assert_int_equal(y->items[12]->kind, YAML_SCALAR);
    assert_false(yaml_int(y->items[13], &n));
    assert_false(yaml_bool(y->items[14], &b));
}

static void test_empty(void **state)
{
    assert_int_equal(parse("")->kind, YAML_NULL);
    assert_int_equal(parse("# nothing\n")->kind, YAML_NULL);
    assert_int_equal(parse("---\n...\n")->kind, YAML_NULL);
}

static void test_refused(void **state)
{
    refused("a: 1\n\tb: 2\n", "t.yml:2:1: found a tab character that violates indentation");
    refused("a: [1, 2\nb: 3\n", "t.yml:2:2: did not find expected ',' or ']'");
    refused("a: 1\n---\nb: 2\n", "t.yml:2:1: only one document is allowed in a file");
    refused("? [x]\n: y\n", "t.yml:1:3: a key must be a word or text");
    refused("a: \"x\\0y\"\n", "t.yml:1:4: text with a zero byte");
    refused("a: *nosuch\n", "t.yml:1:4: alias of an anchor that is not complete before it");
    refused("a: &x [1, *x]\n", "t.yml:1:11: alias of an anchor that is not complete before it");
    refused("a: \xff\n", "t.yml: byte 3: invalid leading UTF-8 octet");
}

static void test_limits(void **state)
{
    struct buf b = BUF_INIT;
    for (int i = 0; i < 40; i++)
        buf_add_str(&b, S("[x,\n"));
    struct error err = ERROR_INIT;
    assert_null(yaml_parse(A, "t.yml", buf_str(&b), &err));
    assert_string_equal(err.text, "t.yml:33:1: nested too deep");
    buf_clear(&b);
    buf_add_c(&b, '[');
    for (int i = 0; i < YAML_MAX_NODES + 1; i++)
        buf_add_str(&b, S("x,"));
    buf_add_c(&b, ']');
    assert_null(yaml_parse(A, "t.yml", buf_str(&b), &err));
    assert_non_null(strstr(err.text, "too many nodes"));
    buf_clear(&b);
    buf_add_c(&b, '[');
    for (int i = 0; i < YAML_MAX_ANCHORS + 1; i++)
        buf_printf(&b, "&a%d x,", i);
    buf_add_c(&b, ']');
    assert_null(yaml_parse(A, "t.yml", buf_str(&b), &err));
    assert_non_null(strstr(err.text, "too many anchors"));
    buf_clear(&b);
    memset(buf_reserve(&b, YAML_MAX_BYTES + 1), '#', YAML_MAX_BYTES + 1);
    b.n = YAML_MAX_BYTES + 1;
    assert_null(yaml_parse(A, "t.yml", buf_str(&b), &err));
    assert_string_equal(err.text, "t.yml: larger than 4194304 bytes");
    buf_deinit(&b);
}

static void test_anchors(void **state)
{
    struct yaml *y = parse("a: &x\n  k: v\nb: *x\nc: [*x, *x]\n");
    assert_ptr_equal(yaml_get(y, S("a")), yaml_get(y, S("b")));
    assert_int_equal(yaml_get(y, S("c"))->n, 2);
    assert_int_equal(yaml_weight(y, 1000), 10); /* the map, a and b with k each, c and its two with k each */
    assert_int_equal(yaml_weight(y, 4), 5);
    /* A thousand million laughs, refused before they are counted out. */
    refused(
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
        "t.yml:5:29: too many nodes");
}

static void test_duplicates(void **state)
{
    assert_int_equal(yaml_duplicate(parse("{a: 1, b: 2, c: 3}")), -1);
    assert_int_equal(yaml_duplicate(parse("{b: 1, a: 2, c: 3, a: 4, b: 5}")), 3);
    assert_int_equal(yaml_duplicate(parse("{'': 1, ~: 4}")), 1);
    assert_int_equal(yaml_duplicate(parse("[a, a]")), -1);
}

static void test_equal(void **state)
{
    assert_true(yaml_equal(parse("{a: [1, {b: c}]}"), parse("a:\n  - 1\n  - b: c\n")));
    assert_false(yaml_equal(parse("{a: 1}"), parse("{a: \"1\"}")));
    assert_false(yaml_equal(parse("{a: 1}"), parse("{b: 1}")));
    assert_false(yaml_equal(parse("[a]"), parse("[a, b]")));
    assert_false(yaml_equal(parse("[a]"), NULL));
}

static void test_write(void **state)
{
    struct yaml *y = parse(
        "a: 1\nb: [x, [], {}, ~, \"\", '5', \"q\\\"\\\\\\n\\u00e9\\u0085\", [[deep]]]\n\"k: y\": -5\n\"-\": '- x'\n"
        "\"*\": \"*\"\n5000: admin\nc: \"[tag:x]\"\nd: ::1/128\ne: 'a #b'\nf: http://h:1/p\n");
    struct buf b = BUF_INIT;
    yaml_write(&b, y, NULL);
    struct error err = ERROR_INIT;
    struct yaml *again = yaml_parse(A, "w.yml", arena_str(A, buf_str(&b)), &err);
    if (!again)
        fail_msg("%s in:\n%.*s", err.text, STR_ARG(buf_str(&b)));
    struct buf c = BUF_INIT;
    yaml_write(&c, again, NULL);
    assert_true(str_eq(buf_str(&b), buf_str(&c)));
    assert_str(yaml_get(again, S("b"))->items[6]->text, "q\"\\\n\xc3\xa9\xc2\x85");
    assert_str(yaml_get(again, S("-"))->text, "- x");
    int64_t n;
    assert_true(yaml_int(yaml_get(again, S("k: y")), &n) && n == -5);
    assert_true(yaml_get(again, S("b"))->items[5]->quoted);
    buf_deinit(&b);
    buf_deinit(&c);
}

static bool is_secret(struct str key, const struct yaml *value)
{
    return str_eq(key, S("password"));
}

static void test_mask(void **state)
{
    struct buf b = BUF_INIT;
    yaml_write(&b, parse("a:\n  - password: hunter2\n    user: x\n"), is_secret);
    assert_str(buf_str(&b), "a:\n  -\n    password: \"***\"\n    user: x\n");
    buf_deinit(&b);
}

static void test_got(void **state)
{
    char out[96];
    assert_string_equal(yaml_got(parse("a b"), out), "'a b'");
    assert_string_equal(yaml_got(parse("\"12\""), out), "'12' in quotes");
    assert_string_equal(yaml_got(parse("\"x\\ny\""), out), "'x?y'");
    assert_string_equal(yaml_got(parse("[]"), out), "a list");
    assert_string_equal(yaml_got(parse("{}"), out), "a map");
    assert_string_equal(yaml_got(parse("~"), out), "nothing");
    assert_string_equal(yaml_got(NULL, out), "nothing");
    const char *long_text = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa9yyy";
    assert_string_equal(yaml_got(parse(long_text), out),
                        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'");
}

static void test_files(void **state)
{
    struct error err = ERROR_INIT;
    assert_null(yaml_read(A, "/nonexistent/x.yml", &err));
    assert_string_equal(err.text, "/nonexistent/x.yml: cannot be opened: No such file or directory");
    assert_null(yaml_read(A, "/", &err));
    assert_string_equal(err.text, "/: not a file");
    struct yaml *y = yaml_read(A, FIXTURES "/stock.yml", &err);
    assert_non_null(y);
    assert_string_equal(y->file, FIXTURES "/stock.yml");
    assert_int_equal(yaml_get(y, S("listen"))->n, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_anchors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
        cmocka_unit_test_setup_teardown(test_equal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mask, setup, teardown),
        cmocka_unit_test_setup_teardown(test_got, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
