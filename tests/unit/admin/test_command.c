/* The table of commands: entries that contradict themselves, versions, and the adapters of older API versions. */
#include "admin/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- entries --- */

static int answer(struct cmd_call *c)
{
    cmd_int(c, arg_int(c, "n") + 1);
    return 0;
}

static void number_from_text(struct cmd_call *c, const struct value *in, struct value *out)
{
    if (!str_to_i64(in[0].s, &out[0].i))
        cmd_fail(c, ERR_BAD_ARGUMENT, "no number");
}

static struct value doubled(struct cmd_call *c, const struct value *v)
{
    (void)c;
    return value_int(v->i * 2);
}

static const struct admin_cmd sound = {
    .tags = "test", .brief = "Count one further", .run = answer, .where = RUNS_HERE,
    SHAPES({.api = 1, ARGS(T_INTEGER("n", "A number")), RESULT(T_INTEGER("next", NULL)), EXAMPLE("1"), SHOWS("2")},
           {ARGS(T_STRING("n", "A number")), RESULT(T_INTEGER("twice", NULL)), .to_newest = number_from_text,
            .from_newest = doubled}),
};

static void test_flaws(void **state)
{
    (void)state;
    struct admin_cmd d = sound;
    struct cmd_shape shapes[2] = {sound.shapes[0], sound.shapes[1]};
    assert_null(command_flaw(&d));
    d.brief = NULL;
    assert_non_null(command_flaw(&d));
    d = sound;
    d.shapes = shapes;
    assert_null(command_flaw(&d));
    shapes[1].to_newest = NULL;
    assert_string_equal(command_flaw(&d), "an older shape has other arguments and no adapter");
    shapes[1] = sound.shapes[1];
    shapes[1].from_newest = NULL;
    assert_string_equal(command_flaw(&d), "an older shape has another result and no adapter");
    shapes[1] = sound.shapes[1];
    shapes[1].api = 1;
    assert_string_equal(command_flaw(&d), "shapes do not stand newest first");
    shapes[1] = sound.shapes[1];
    shapes[0].example_count = 2;
    assert_string_equal(command_flaw(&d), "the example does not fit the arguments");
    d = sound;
    d.secret = "m";
    assert_string_equal(command_flaw(&d), "a secret is no argument");
    d = sound;
    d.where = RUNS_AT_HOME;
    assert_string_equal(command_flaw(&d), "the home is not named by arguments");
    d = (struct admin_cmd){.tags = "t", .brief = "b",
                           SHAPES({NO_ARGS, SHOWS("one"), RESULT(T_TUPLE("r", T_STRING("a", NULL), T_STRING("b", NULL)))})};
    assert_string_equal(command_flaw(&d), "what the example shows does not fit the result");
    d = (struct admin_cmd){.tags = "t", .brief = "b",
                           SHAPES({ARGS(T_STRING("a", NULL), T_STRING("a", NULL)), RESULT(T_RESCODE("r"))})};
    assert_string_equal(command_flaw(&d), "two arguments have one name");
}

/* --- calls of older versions --- */

static const struct command counter = {.name = {"counter", 7}, .d = &sound};

static struct cmd_call *call_counter(int64_t version, struct value arg, int expected)
{
    struct cmd_call *c = cmd_call_new(&counter, command_shape(&counter, version), version);
    struct value *args = ARENA_NEW(c->arena, struct value);
    *args = arg;
    c->args = args;
    assert_int_equal(cmd_run(&c), expected);
    return c;
}

static void test_versions(void **state)
{
    (void)state;
    assert_ptr_equal(command_shape(&counter, 0), &sound.shapes[1]);
    assert_ptr_equal(command_shape(&counter, 1), &sound.shapes[0]);
    assert_ptr_equal(command_shape(&counter, 77), &sound.shapes[0]);
    assert_null(command_shape(&counter, -1));
    struct cmd_call *c = call_counter(3, value_int(6), 0);
    assert_int_equal(c->result.i, 7);
    cmd_call_end(&c);
    c = call_counter(0, value_cstr("6"), 0);
    assert_int_equal(c->result.i, 14);
    cmd_call_end(&c);
    c = call_counter(0, value_cstr("six"), -1);
    assert_int_equal(c->failure.code, ERR_BAD_ARGUMENT);
    assert_int_equal(c->result.i, 0);
    cmd_call_end(&c);
}

static void test_not_implemented(void **state)
{
    (void)state;
    struct admin_cmd d = sound;
    d.run = NULL;
    struct command cmd = {.name = S("counter"), .d = &d};
    struct cmd_call *c = cmd_call_new(&cmd, command_shape(&cmd, 3), 3);
    c->args = ARENA_NEW(c->arena, struct value);
    assert_int_equal(cmd_run(&c), -1);
    assert_int_equal(c->failure.code, ERR_NOT_IMPLEMENTED);
    cmd_call_end(&c);
}

/* --- adapters of the table --- */

static struct cmd_call *adapt(const char *name, unsigned version, const struct value *in, struct value *out)
{
    const struct command *cmd = command_find(str_of(name));
    assert_non_null(cmd);
    const struct cmd_shape *s = command_shape(cmd, version);
    struct cmd_call *c = cmd_call_new(cmd, s, version);
    assert_non_null(s->to_newest);
    s->to_newest(c, in, out);
    return c;
}

static void expect_list(const struct value *v, const char *joined)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < v->n; i++)
        buf_printf(&b, "%s%.*s", i ? "|" : "", STR_ARG(v->items[i].s));
    buf_add_c(&b, '\0');
    assert_string_equal(b.p, joined);
    buf_deinit(&b);
}

static void test_roster_group(void **state)
{
    (void)state;
    struct value in[7], out[7];
    static const char *const groups[] = {"Friends", "one;two", ""};
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        in[i] = value_cstr(&"abcdefg"[i]);
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        in[5] = value_cstr(groups[i]);
        struct cmd_call *c = adapt("add_rosteritem", 0, in, out);
        assert_int_equal(out[5].n, 1);
        expect_list(&out[5], groups[i]);
        assert_true(str_eq(out[4].s, in[4].s) && str_eq(out[6].s, in[6].s));
        cmd_call_end(&c);
    }
}

static void test_srg_display(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""}, {"a", "a"}, {"a\\nb", "a|b"}, {"\\n", ""}, {"a\\n", "a"}, {"a\\n\\nb", "a|b"},
                                           {"a\nb", "a\nb"}, {"a\\", "a\\"}, {"one\\ntwo\\nthree", "one|two|three"}};
    struct value in[5], out[5];
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        in[i] = value_cstr(&"abcde"[i]);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        in[4] = value_cstr(cases[i][0]);
        struct cmd_call *c = adapt("srg_create", 0, in, out);
        expect_list(&out[4], cases[i][1]);
        assert_int_equal(out[4].n > 0, cases[i][1][0] != '\0');
        assert_true(str_eq(out[0].s, in[0].s) && str_eq(out[3].s, in[3].s));
        cmd_call_end(&c);
    }
}

static void test_presence_priority(void **state)
{
    (void)state;
    struct value in[7], out[7];
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        in[i] = value_cstr(&"abcdefg"[i]);
    static const struct {
        const char *text;
        int64_t number;
        enum err_code code;
    } cases[] = {{"7", 7, ERR_NONE}, {"-3", -3, ERR_NONE}, {"+12", 12, ERR_NONE}, {"x", 0, ERR_INTERNAL}, {"", 0, ERR_INTERNAL},
                 {"+", 0, ERR_INTERNAL}, {"7 ", 0, ERR_INTERNAL}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        in[6] = value_cstr(cases[i].text);
        struct cmd_call *c = adapt("set_presence", 0, in, out);
        assert_int_equal(c->failure.code, cases[i].code);
        assert_int_equal(out[6].i, cases[i].number);
        assert_true(str_eq(out[5].s, in[5].s));
        cmd_call_end(&c);
    }
}

/* --- examples of all entries --- */

static void expect_fits(const struct type *t, const struct value *v)
{
    if (type_is_text(t))
        assert_non_null(v->s.p);
    if (t->kind == V_TUPLE)
        assert_int_equal(v->n, t->count);
    for (size_t i = 0; i < v->n && (t->kind == V_LIST || t->kind == V_TUPLE); i++)
        expect_fits(&t->of[t->kind == V_LIST ? 0 : i], &v->items[i]);
}

static void try_example(const struct command *cmd, const struct cmd_shape *s)
{
    struct cmd_call *c = cmd_call_new(cmd, s, s->api);
    struct str *words = ARENA_ARRAY(c->arena, struct str, s->example_count);
    struct value *newest = ARENA_ARRAY(c->arena, struct value, cmd->d->shapes[0].arg_count + 1u);
    for (unsigned i = 0; i < s->example_count; i++)
        words[i] = str_of(s->example[i]);
    if (args_bind_words(c, words, s->example_count) < 0)
        fail_msg("the example of %s v%u: %.*s", cmd->name.p, s->api, STR_ARG(c->failure.text));
    for (unsigned i = 0; i < s->arg_count; i++)
        expect_fits(&s->args[i], &c->args[i]);
    if (s->to_newest) {
        s->to_newest(c, c->args, newest);
        if (c->failure.code != ERR_NONE)
            fail_msg("the adapter of %s v%u refuses the example: %.*s", cmd->name.p, s->api, STR_ARG(c->failure.text));
        for (unsigned i = 0; i < cmd->d->shapes[0].arg_count; i++)
            expect_fits(&cmd->d->shapes[0].args[i], &newest[i]);
    }
    cmd_call_end(&c);
}

static void test_examples(void **state)
{
    (void)state;
    unsigned n = 0;
    for (size_t i = 0; i < command_count(); i++)
        for (unsigned k = 0; k < command_at(i)->d->shape_count; k++)
            if (command_at(i)->d->shapes[k].example_count) {
                try_example(command_at(i), &command_at(i)->d->shapes[k]);
                n++;
            }
    assert_true(n > 100);
}

static int start(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    return commands_start(&err);
}

static int stop(void **state)
{
    (void)state;
    commands_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flaws),       cmocka_unit_test(test_versions),         cmocka_unit_test(test_not_implemented),
        cmocka_unit_test(test_roster_group), cmocka_unit_test(test_srg_display), cmocka_unit_test(test_presence_priority),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
