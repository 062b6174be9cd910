/* Arguments from typed trees (as XML-RPC has them): every nesting of lists and tuples that clients send, what is refused. */
#include "admin/xmlrpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct type pair[] = {T_TUPLE("option", T_BINARY("name", NULL), T_BINARY("value", NULL))};
static const struct type args[] = {T_BINARY("user", NULL), T_INTEGER("days", NULL),
                                   T_LIST("groups", NULL, T_STRING("group", NULL)),
                                   {.name = "options", .kind = V_LIST, .count = 1, .of = pair}};
static const struct cmd_rename renames[] = {{"account", "user"}};
static const struct cmd_shape shape = {.args = args, .arg_count = 4};
static const struct admin_cmd definition = {.renames = renames, .rename_count = 1, .shapes = &shape, .shape_count = 1};
static const struct command command = {.name = {"test", 4}, .d = &definition};

static struct cmd_call *c;

static int teardown(void **state)
{
    cmd_call_end(&c);
    return 0;
}

#define MEMBER(name, value) "<member><name>" name "</name><value>" value "</value></member>"
#define STRUCT(...) "<struct>" __VA_ARGS__ "</struct>"
#define VALUE(x) "<value>" x "</value>"
#define ARRAY(...) "<array><data>" __VA_ARGS__ "</data></array>"
#define REST MEMBER("user", "u") MEMBER("days", "<int>3</int>")

static enum tree_fault bind(const char *members, struct tree_problem *problem)
{
    struct xmlrpc_call rpc;
    char body[4096];
    cmd_call_end(&c);
    c = cmd_call_new(&command, &shape, API_NEWEST);
    snprintf(body, sizeof body,
             "<methodCall><methodName>x</methodName><params><param>" VALUE(STRUCT("%s")) "</param></params></methodCall>", members);
    assert_null(xmlrpc_parse(c->arena, str_of(body), &rpc));
    return args_bind_tree(c, &rpc.params[0], problem);
}

#define REFUSED(fault_, members)                                  \
    do {                                                          \
        struct tree_problem p;                                    \
        assert_int_equal(bind(members, &p), fault_);              \
        assert_int_equal(p.fault, fault_);                        \
        assert_int_equal(c->failure.code, ERR_BAD_ARGUMENT);      \
    } while (0)
#define IS(str_, lit) assert_true(str_eq((str_), S(lit)))

static void test_scalars(void **state)
{
    assert_int_equal(bind(REST, NULL), TREE_OK);
    IS(c->args[0].s, "u");
    assert_int_equal(c->args[1].i, 3);
    assert_int_equal(c->args[2].n, 0);
    assert_int_equal(bind(MEMBER("days", " -12 ") MEMBER("account", "<string>v</string>"), NULL), TREE_OK);
    IS(c->args[0].s, "v");
    assert_int_equal(c->args[1].i, -12);
    REFUSED(TREE_UNFIT, MEMBER("user", "<int>1</int>") MEMBER("days", "1"));
    REFUSED(TREE_UNFIT, MEMBER("user", "u") MEMBER("days", "1x"));
    REFUSED(TREE_UNFIT, MEMBER("user", "u") MEMBER("days", "<double>1</double>"));
    REFUSED(TREE_UNFIT, MEMBER("user", "<nil/>") MEMBER("days", "1"));
    REFUSED(TREE_MISSING, MEMBER("days", "1"));
    REFUSED(TREE_UNKNOWN, REST MEMBER("more", "1"));
    REFUSED(TREE_DOUBLED, REST MEMBER("account", "again"));
}

static void test_lists(void **state)
{
    static const char *const forms[] = {
        REST MEMBER("groups", ARRAY(VALUE("a") VALUE("b"))),
        REST MEMBER("groups", ARRAY(VALUE(STRUCT(MEMBER("group", "a"))) VALUE(STRUCT(MEMBER("group", "b"))))),
        REST MEMBER("groups", ARRAY(VALUE("a") VALUE(STRUCT(MEMBER("group", "b"))))),
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        assert_int_equal(bind(forms[i], NULL), TREE_OK);
        assert_int_equal(c->args[2].n, 2);
        IS(c->args[2].items[0].s, "a");
        IS(c->args[2].items[1].s, "b");
    }
    assert_int_equal(bind(REST MEMBER("groups", "one"), NULL), TREE_OK);
    assert_int_equal(c->args[2].n, 1);
    IS(c->args[2].items[0].s, "one");
    assert_int_equal(bind(REST MEMBER("groups", ARRAY()), NULL), TREE_OK);
    assert_int_equal(c->args[2].n, 0);
    REFUSED(TREE_UNFIT, REST MEMBER("groups", ARRAY(VALUE(STRUCT(MEMBER("other", "a"))))));
    REFUSED(TREE_UNFIT, REST MEMBER("groups", ARRAY(VALUE(ARRAY(VALUE("a"))))));
    REFUSED(TREE_UNFIT, REST MEMBER("groups", "<nil/>"));
}

static void test_tuples(void **state)
{
    static const char *const forms[] = {
        REST MEMBER("options", ARRAY(VALUE(STRUCT(MEMBER("name", "n") MEMBER("value", "v"))))),
        REST MEMBER("options", ARRAY(VALUE(STRUCT(MEMBER("value", "v") MEMBER("name", "n"))))),
        REST MEMBER("options", ARRAY(VALUE(STRUCT(MEMBER("option", STRUCT(MEMBER("name", "n") MEMBER("value", "v"))))))),
        REST MEMBER("options", ARRAY(VALUE(STRUCT(MEMBER("option", ARRAY(VALUE(STRUCT(MEMBER("name", "n")))
                                                                         VALUE(STRUCT(MEMBER("value", "v"))))))))),
        REST MEMBER("options", ARRAY(VALUE(ARRAY(VALUE(STRUCT(MEMBER("value", "v"))) VALUE(STRUCT(MEMBER("name", "n"))))))),
        REST MEMBER("options", ARRAY(VALUE(ARRAY(VALUE("n") VALUE("v"))))),
        REST MEMBER("options", ARRAY(VALUE("n:v"))),
        REST MEMBER("options", "n:v"),
        REST MEMBER("options", STRUCT(MEMBER("n", "v"))),
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        assert_int_equal(bind(forms[i], NULL), TREE_OK);
        assert_int_equal(c->args[3].n, 1);
        assert_int_equal(c->args[3].items[0].n, 2);
        IS(c->args[3].items[0].items[0].s, "n");
        IS(c->args[3].items[0].items[1].s, "v");
    }
    assert_int_equal(bind(REST MEMBER("options", ARRAY(VALUE("n:v:w"))), NULL), TREE_OK);
    IS(c->args[3].items[0].items[1].s, "v:w");
    REFUSED(TREE_UNFIT, REST MEMBER("options", ARRAY(VALUE("n"))));
    REFUSED(TREE_UNFIT, REST MEMBER("options", ARRAY(VALUE(ARRAY(VALUE("n"))))));
    REFUSED(TREE_UNFIT, REST MEMBER("options", ARRAY(VALUE(ARRAY(VALUE("n") VALUE("v") VALUE("w"))))));
    REFUSED(TREE_UNFIT, REST MEMBER("options", ARRAY(VALUE(STRUCT(MEMBER("name", "n"))))));
    REFUSED(TREE_UNFIT, REST MEMBER("options", ARRAY(VALUE(STRUCT(MEMBER("name", "n") MEMBER("x", "v"))))));
    REFUSED(TREE_UNFIT, REST MEMBER("options", ARRAY(VALUE(STRUCT(MEMBER("name", "<int>1</int>") MEMBER("value", "v"))))));
}

static void test_parser(void **state)
{
    struct arena *a = arena_new();
    struct xmlrpc_call rpc;
    assert_null(xmlrpc_parse(a, S("<methodCall><methodName> m </methodName><params>"
                                  "<param><value><boolean>1</boolean></value></param>"
                                  "<param><value><base64>YQ\n==</base64></value></param></params></methodCall>"), &rpc));
    IS(rpc.method, "m");
    assert_int_equal(rpc.n, 2);
    assert_int_equal(rpc.params[0].kind, TREE_INTEGER);
    assert_int_equal(rpc.params[0].i, 1);
    IS(rpc.params[1].s, "a");
    assert_non_null(xmlrpc_parse(a, S("<methodCall>"), &rpc));
    assert_non_null(xmlrpc_parse(a, S(""), &rpc));
    arena_release(&a);
}

static void test_written(void **state)
{
    static const struct type number = T_INTEGER("n", NULL), text = T_STRING("t", NULL), report = T_RESTUPLE("r");
    const struct type *const types[] = {&number, &number, &text, &report};
    const struct value values[] = {{.i = -5}, {.i = 1LL << 40}, {.s = S("<\x01\xff\xc3\xa9\r>")}, {.s = S("done")}};
    static const char *const want[] = {
        "<member><name>n</name><value><int>-5</int></value></member>",
        "<member><name>n</name><value><i8>1099511627776</i8></value></member>",
        "<member><name>t</name><value><string>&lt;\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9&#13;&gt;</string></value></member>",
        MEMBER("res", "<int>0</int>") MEMBER("text", "<string>done</string>")};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char expected[512];
        struct buf out = BUF_INIT;
        struct cmd_shape s = {.result = types[i]};
        struct cmd_call call = {.shape = &s, .result = values[i]};
        xmlrpc_out_result(&out, &call);
        buf_add_c(&out, 0);
        snprintf(expected, sizeof expected,
                 "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct>%s</struct></value></param></params>"
                 "</methodResponse>", want[i]);
        assert_string_equal(out.p, expected);
        buf_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_scalars, NULL, teardown), cmocka_unit_test_setup_teardown(test_lists, NULL, teardown),
        cmocka_unit_test_setup_teardown(test_tuples, NULL, teardown),  cmocka_unit_test(test_parser),
        cmocka_unit_test(test_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
