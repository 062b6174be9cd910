/* Results as JSON and as text, order of lists, failures in both forms, help layout. */
#include "admin/help.h"
#include "admin/out.h"
#include "admin/term.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(struct buf *b, const char *want)
{
    buf_add_c(b, '\0');
    assert_string_equal(b->p, want);
    buf_deinit(b);
}

static void expect_json_str(struct str s, const char *want)
{
    struct buf b = BUF_INIT;
    json_out_str(&b, s);
    expect(&b, want);
}

static void test_json_strings(void **state)
{
    (void)state;
    expect_json_str(S("plain"), "\"plain\"");
    expect_json_str(S(""), "\"\"");
    expect_json_str(S("quote \" back \\ slash /"), "\"quote \\\" back \\\\ slash /\"");
    expect_json_str(S("tab\there\nnew\x01"), "\"tab\\there\\nnew\\u0001\"");
    expect_json_str(S("\xc3\xbcn\xf0\x9f\x98\x80"), "\"\xc3\xbcn\xf0\x9f\x98\x80\"");
    expect_json_str(S("a\xff" "b"), "\"a\xef\xbf\xbd" "b\"");
}

static const struct type integer = T_INTEGER("stat", NULL), text = T_STRING("res", NULL), code = T_RESCODE("res");
static const struct type report = T_RESTUPLE("res");
static const struct type pair = T_TUPLE("p", T_STRING("who", NULL), T_INTEGER("n", NULL));
static const struct type map = T_LIST("l", NULL, T_TUPLE("o", T_STRING("name", NULL), T_STRING("value", NULL)));
static const struct type nested =
    T_LIST("l", NULL, T_TUPLE("c", T_STRING("jid", NULL), T_LIST("groups", NULL, T_STRING("g", NULL))));

static struct cmd_call call_with(const struct cmd_shape *shape, unsigned version, struct value v)
{
    return (struct cmd_call){.shape = shape, .version = version, .result = v};
}

static void expect_result(const struct type *t, unsigned version, struct value v, const char *json, const char *lines,
                          int exit_code)
{
    struct cmd_shape shape = {.result = t};
    struct cmd_call c = call_with(&shape, version, v);
    struct buf b = BUF_INIT;
    json_out_result(&b, &c);
    expect(&b, json);
    b = BUF_INIT;
    assert_int_equal(text_out_result(&b, &c), exit_code);
    expect(&b, lines);
}

static void test_results(void **state)
{
    (void)state;
    struct value fields[] = {value_cstr("a\nb"), value_int(-3)};
    expect_result(&integer, 3, value_int(5), "5", "5\n", 0);
    expect_result(&integer, 0, value_int(5), "{\"stat\":5}", "5\n", 0);
    expect_result(&text, 0, value_cstr("x"), "{\"res\":\"x\"}", "x\n", 0);
    expect_result(&text, 1, value_cstr(""), "\"\"", "", 0);
    expect_result(&code, 0, value_int(0), "0", "", 0);
    expect_result(&code, 3, value_int(1), "1", "Error: false\n", 1);
    expect_result(&code, 3, (struct value){.i = 1, .s = S("unsupported_type")}, "1", "Error: unsupported_type\n", 1);
    expect_result(&report, 0, value_cstr("two\nlines"), "\"two\\nlines\"", "two\nlines\n", 0);
    expect_result(&pair, 3, (struct value){.items = fields, .n = 2}, "{\"who\":\"a\\nb\",\"n\":-3}", "a\\nb\t-3\n", 0);
}

static void test_lists(void **state)
{
    (void)state;
    struct value groups[] = {value_cstr("g1"), value_cstr("g 2")};
    struct value fields[] = {value_cstr("b@x"), {.items = groups, .n = 2}};
    struct value row = {.items = fields, .n = 2};
    struct buf b = BUF_INIT;
    json_out_list_row(&b, &nested, &row, true);
    expect(&b, "{\"jid\":\"b@x\",\"groups\":[\"g1\",\"g 2\"]}");
    b = BUF_INIT;
    text_out_row(&b, &nested, &row, 3);
    expect(&b, "b@x\tg1,g 2\n");
    b = BUF_INIT;
    text_out_row(&b, &nested, &row, 0);
    expect(&b, "b@x\tg1;g 2\n");
    struct value option[] = {value_cstr("title"), value_cstr("t")}, list_row = {.items = option, .n = 2};
    b = BUF_INIT;
    json_out_list_open(&b, &map);
    json_out_list_row(&b, &map, &list_row, true);
    json_out_list_row(&b, &map, &list_row, false);
    json_out_list_close(&b, &map);
    expect(&b, "{\"title\":\"t\",\"title\":\"t\"}");
}

static void test_order(void **state)
{
    (void)state;
    struct value f1[] = {value_cstr("b"), value_int(1)}, f2[] = {value_cstr("a"), value_int(9)};
    struct value f3[] = {value_cstr("a"), value_int(-1)};
    struct value rows[] = {{.items = f1, .n = 2}, {.items = f2, .n = 2}, {.items = f3, .n = 2}};
    value_sort(&pair, rows, 3);
    assert_ptr_equal(rows[0].items, f3);
    assert_ptr_equal(rows[1].items, f2);
    assert_ptr_equal(rows[2].items, f1);
    struct value words[] = {value_cstr("ab"), value_cstr("a"), value_cstr("\xc3\xa9"), value_cstr("B")};
    value_sort(&text, words, 4);
    assert_true(str_eq(words[0].s, S("B")) && str_eq(words[1].s, S("a")) && str_eq(words[3].s, S("\xc3\xa9")));
}

static void expect_failure(struct failure f, int status, const char *json, const char *lines)
{
    struct buf b = BUF_INIT;
    int got;
    json_out_failure(&b, &f, &got);
    assert_int_equal(got, status);
    expect(&b, json);
    b = BUF_INIT;
    assert_int_equal(text_out_failure(&b, &f), 1);
    expect(&b, lines);
}

static void test_failures(void **state)
{
    (void)state;
    struct failure f = {.code = ERR_NO_HOST, .form = FAIL_REASON, .word = S("error"), .text = S("Unknown virtual host")};
    expect_failure(f, 400, "\"Unknown virtual host\"", "Error: error\nError: \"Unknown virtual host\"\n");
    f = (struct failure){.code = ERR_NOT_FOUND, .form = FAIL_THROWN, .word = S("not_found"), .text = S("unknown_user")};
    expect_failure(f, 404, "\"unknown_user\"", "{not_found,\"unknown_user\"}\n");
    f = (struct failure){.code = ERR_CONFLICT, .form = FAIL_CODED, .word = S("conflict"), .text = S("User a@b already registered")};
    expect_failure(f, 409, "{\"status\":\"error\",\"code\":10090,\"message\":\"User a@b already registered\"}",
                   "Error: conflict: User a@b already registered\n");
    f = (struct failure){.code = ERR_IO, .form = FAIL_REPORT, .word = S("cannot_backup"), .text = S("Can't store")};
    expect_failure(f, 500, "{\"status\":\"error\",\"code\":0,\"message\":\"Can't store\"}", "Error: cannot_backup\nCan't store\n");
    f = (struct failure){.code = ERR_INTERNAL, .form = FAIL_CRASH, .text = S("inner words")};
    expect_failure(f, 500, "\"internal_error\"", "Unhandled exception occurred executing the command:\ninner words\n");
    f = (struct failure){.code = ERR_BAD_ARGUMENT, .form = FAIL_REASON, .quote = QUOTE_BINARY, .word = S("error"),
                         .text = S("unclosed token"), .note = S("invalid xml: <<\"unclosed token\">>\n")};
    expect_failure(f, 400, "\"unclosed token\"",
                   "invalid xml: <<\"unclosed token\">>\nError: error\nError: <<\"unclosed token\">>\n");
}

static void expect_real(double d, const char *want)
{
    struct buf b = BUF_INIT;
    term_print_real(&b, d);
    expect(&b, want);
}

static void test_terms(void **state)
{
    (void)state;
    expect_real(1.0, "1.0");
    expect_real(1.5, "1.5");
    expect_real(0.1, "0.1");
    expect_real(1e22, "1.0e22");
    struct buf b = BUF_INIT;
    term_print_atom(&b, S("plain_1"));
    term_print_atom(&b, S("Not"));
    term_print_atom(&b, S(""));
    expect(&b, "plain_1'Not'''");
}

static void test_table(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_int_equal(commands_start(&err), 0);
    const struct command *kick = command_find(S("kick_user"));
    assert_non_null(kick);
    assert_null(command_find(S("kick_use")));
    assert_null(command_shape(kick, -1));
    assert_int_equal(command_shape(kick, 1)->api, 0);
    assert_int_equal(command_shape(kick, 2)->api, 2);
    assert_int_equal(command_shape(kick, 1000000)->api, 2);
    assert_true(str_eq(command_nearest(S("registerr")), S("register")));
    assert_true(str_eq(command_nearest(S("nosuch_command")), S("dump_config")));
    assert_true(command_find(S("register"))->has_secret);
    assert_true(command_has_tag(kick, command_shape(kick, 3), S("v2")));
    assert_false(command_has_tag(kick, command_shape(kick, 0), S("v2")));
    struct buf b = BUF_INIT;
    help_print(&b, S("tool"), S("nothing_like_it"), 3);
    expect(&b, "No tag or command matches 'nothing_like_it'\n");
    commands_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_strings), cmocka_unit_test(test_results), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_failures), cmocka_unit_test(test_terms),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
