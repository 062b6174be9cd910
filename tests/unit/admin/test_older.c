/*
 * Adapters of older API versions, through the command table: arguments as an older version takes them, bound like those of a
 * request, have to become those of the newest version, and its results those of the older one.
 */
#include "admin/args.h"
#include "admin/older.h"
#include "admin/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Bound in this version; the failure says whether that went well. */
static struct cmd_call *bound(const char *name, int64_t version, const char *body)
{
    const struct command *cmd = command_find(str_of(name));
    assert_non_null(cmd);
    struct cmd_call *c = cmd_call_new(cmd, command_shape(cmd, version), version);
    struct raw_args *raw = raw_args_json(c->arena, str_of(body));
    assert_non_null(raw);
    args_bind(c, raw);
    return c;
}

static struct value *adapted(struct cmd_call *c)
{
    struct value *out = ARENA_ARRAY(c->arena, struct value, c->cmd->d->shapes[0].arg_count + 1u);
    assert_int_equal(c->failure.code, ERR_NONE);
    assert_non_null(c->shape->to_newest);
    c->shape->to_newest(c, c->args, out);
    return out;
}

/* Values as JSON, one after another. */
static void print_values(struct buf *b, const struct type *types, unsigned n, const struct value *v)
{
    for (unsigned i = 0; i < n; i++) {
        buf_add_str(b, i ? S(" ") : S(""));
        json_out_value(b, &types[i], &v[i]);
    }
    buf_add_c(b, '\0');
}

static void expect_args(const char *name, int64_t version, const char *body, const char *want)
{
    struct cmd_call *c = bound(name, version, body);
    const struct cmd_shape *newest = &c->cmd->d->shapes[0];
    const struct value *v = adapted(c);
    struct buf b = BUF_INIT;
    assert_int_equal(c->failure.code, ERR_NONE);
    print_values(&b, newest->args, newest->arg_count, v);
    assert_string_equal(b.p, want);
    buf_deinit(&b);
    cmd_call_end(&c);
}

static void expect_refused(const char *name, int64_t version, const char *body, const char *text)
{
    struct cmd_call *c = bound(name, version, body);
    int status;
    struct buf b = BUF_INIT;
    adapted(c);
    assert_int_not_equal(c->failure.code, ERR_NONE);
    json_out_failure(&b, &c->failure, &status);
    buf_add_c(&b, '\0');
    assert_string_equal(b.p, text);
    buf_deinit(&b);
    cmd_call_end(&c);
}

static void expect_unbound(const char *name, int64_t version, const char *body, const char *text)
{
    struct cmd_call *c = bound(name, version, body);
    assert_true(str_eq(c->failure.text, str_of(text)));
    cmd_call_end(&c);
}

/* --- MUC --- */

static void test_nicks(void **state)
{
    (void)state;
    for (int64_t v = 0; v < 3; v++) {
        expect_args("muc_register_nick", v, "{\"nick\":\"Tim\",\"jid\":\"Tim@Example.org/desk\",\"service\":\"c.example.org\"}",
                    "\"Tim\" \"tim\" \"example.org\" \"c.example.org\"");
        expect_args("muc_register_nick", v, "{\"nick\":\"Tim\",\"jid\":\"example.org\",\"host\":\"c.example.org\"}",
                    "\"Tim\" \"\" \"example.org\" \"c.example.org\"");
        expect_args("muc_unregister_nick", v, "{\"jid\":\"tim@example.org\",\"host\":\"c.example.org\"}",
                    "\"tim\" \"example.org\" \"c.example.org\"");
        expect_refused("muc_register_nick", v, "{\"nick\":\"Tim\",\"jid\":\"a b@x\",\"service\":\"c\"}", "\"Invalid 'jid'\"");
        expect_refused("muc_unregister_nick", v, "{\"jid\":\"\",\"service\":\"c\"}", "\"Invalid 'jid'\"");
    }
}

/* ejabberd takes host for an old name of service here too, so that this version cannot be called at all. */
static void test_newest_nicks(void **state)
{
    (void)state;
    struct cmd_call *c = bound("muc_register_nick", 3, "{\"nick\":\"T\",\"user\":\"t\",\"host\":\"h\",\"service\":\"s\"}");
    assert_int_equal(c->failure.code, ERR_NONE);
    assert_true(str_eq(c->args[2].s, S("h")));
    assert_true(str_eq(c->args[3].s, S("s")));
    cmd_call_end(&c);
    expect_unbound("muc_register_nick", 3, "{\"nick\":\"T\",\"user\":\"t\",\"host\":\"h\"}",
                   "Request have missing argument: service");
    expect_unbound("muc_unregister_nick", 3, "{\"user\":\"t\",\"service\":\"s\"}", "Request have missing argument: host");
}

static void test_affiliations(void **state)
{
    (void)state;
    expect_args("set_room_affiliation", 2, "{\"name\":\"r\",\"service\":\"c\",\"jid\":\"u@h\",\"affiliation\":\"member\"}",
                "\"r\" \"c\" \"u\" \"h\" \"member\"");
    expect_refused("set_room_affiliation", 0, "{\"name\":\"r\",\"service\":\"c\",\"jid\":\"@\",\"affiliation\":\"member\"}",
                   "\"internal_error\"");
    expect_unbound("set_room_affiliation", 2, "{\"room\":\"r\",\"service\":\"c\",\"jid\":\"u@h\",\"affiliation\":\"member\"}",
                   "Request have missing argument: name");
    expect_args("get_room_affiliations", 1, "{\"name\":\"r\",\"service\":\"c\"}", "\"r\" \"c\"");
}

static void expect_row(const char *name, int64_t version, const struct value *row, const char *want)
{
    const struct command *cmd = command_find(str_of(name));
    struct cmd_call *c = cmd_call_new(cmd, command_shape(cmd, version), version);
    struct value old = c->shape->from_newest(c, row);
    struct buf b = BUF_INIT;
    print_values(&b, &c->shape->result->of[0], 1, &old);
    assert_string_equal(b.p, want);
    buf_deinit(&b);
    cmd_call_end(&c);
}

static void test_affiliation_rows(void **state)
{
    (void)state;
    struct value f[] = {value_cstr("u0@x.test"), value_cstr("member"), value_cstr("why")};
    struct value row = {.items = f, .n = 3};
    expect_row("get_room_affiliations", 0, &row,
               "{\"username\":\"u0\",\"domain\":\"x.test\",\"affiliation\":\"member\",\"reason\":\"why\"}");
    f[0] = value_cstr("x.test");
    expect_row("get_room_affiliations", 2, &row,
               "{\"username\":\"\",\"domain\":\"x.test\",\"affiliation\":\"member\",\"reason\":\"why\"}");
}

static void test_subscriptions(void **state)
{
    (void)state;
    expect_args("subscribe_room", 0, "{\"user\":\"a@h/res\",\"nick\":\"A\",\"room\":\"r@c\",\"nodes\":\"n:one , n:two,,\"}",
                "\"a\" \"h\" \"A\" \"r\" \"c\" [\"n:one\",\"n:two\"]");
    expect_args("subscribe_room", 0, "{\"user\":\"a@h\",\"nick\":\"A\",\"room\":\"r@c\",\"nodes\":\"\"}",
                "\"a\" \"h\" \"A\" \"r\" \"c\" []");
    expect_args("subscribe_room", 2, "{\"user\":\"a@h\",\"nick\":\"A\",\"room\":\"r@c\",\"nodes\":[\"n:one\",\"x,y\"]}",
                "\"a\" \"h\" \"A\" \"r\" \"c\" [\"n:one\",\"x,y\"]");
    expect_args("subscribe_room", 1, "{\"user\":\"a@h\",\"nick\":\"A\",\"room\":\"c\"}", "\"a\" \"h\" \"A\" \"\" \"c\" []");
    expect_args("unsubscribe_room", 0, "{\"user\":\"a@h\",\"room\":\"r@c\"}", "\"a\" \"h\" \"r\" \"c\"");
    expect_args("subscribe_room_many", 0,
                "{\"users\":[{\"jid\":\"a@h\",\"nick\":\"A\"},{\"jid\":\"b@h\",\"nick\":\"B\"}],\"room\":\"r@c\","
                "\"nodes\":\"x,y\"}",
                "[{\"user\":\"a\",\"host\":\"h\",\"nick\":\"A\"},{\"user\":\"b\",\"host\":\"h\",\"nick\":\"B\"}] \"r\" \"c\" "
                "[\"x\",\"y\"]");
    expect_args("subscribe_room_many", 1, "{\"room\":\"r@c\",\"nodes\":[\"x,y\"]}", "[] \"r\" \"c\" [\"x,y\"]");
}

static void test_malformed_subscriptions(void **state)
{
    (void)state;
    expect_refused("subscribe_room", 0, "{\"user\":\"@\",\"nick\":\"A\",\"room\":\"@\",\"nodes\":\"\"}",
                   "\"Malformed user JID\"");
    expect_refused("subscribe_room", 1, "{\"user\":\"a@h\",\"nick\":\"A\",\"room\":\"@\"}", "\"Malformed room JID\"");
    expect_refused("unsubscribe_room", 2, "{\"user\":\"@\",\"room\":\"r@c\"}", "\"Malformed user JID\"");
    expect_refused("unsubscribe_room", 2, "{\"user\":\"a@h\",\"room\":\"@\"}", "\"Malformed room JID\"");
    expect_refused("subscribe_room_many", 1, "{\"users\":{\"@\":\"A\"},\"room\":\"r@c\"}", "\"Malformed user JID\"");
    expect_refused("subscribe_room_many", 1, "{\"users\":{\"a@h\":\"A\"},\"room\":\"@\"}", "\"Malformed room JID\"");
}

static void test_invitations(void **state)
{
    (void)state;
    expect_args("send_direct_invitation", 0,
                "{\"name\":\"r\",\"service\":\"c\",\"password\":\"\",\"reason\":\"Come\",\"users\":\"a@h:b@h\"}",
                "\"r\" \"c\" \"\" \"Come\" [\"a@h\",\"b@h\"]");
    expect_args("send_direct_invitation", 0,
                "{\"room\":\"r\",\"service\":\"c\",\"password\":\"\",\"reason\":\"\",\"users\":\"\"}",
                "\"r\" \"c\" \"\" \"\" []");
}

/* The rooms that the report counts are the rows of versions 0 and 1. */
static void test_destroyed_rooms(void **state)
{
    (void)state;
    const struct command *cmd = command_find(S("rooms_empty_destroy"));
    struct value rooms[] = {value_cstr("b@c"), value_cstr("a@c")};
    struct value report = {.s = S("Destroyed rooms: 2"), .items = rooms, .n = 2};
    struct cmd_call *c = cmd_call_new(cmd, command_shape(cmd, 1), 1);
    assert_int_equal(c->shape->result->kind, V_LIST);
    c->result = c->shape->from_newest(c, &report);
    assert_int_equal(c->row_count, 2);
    assert_true(str_eq(c->rows[0].s, S("b@c")));
    cmd_call_end(&c);
}

/* --- all --- */

static bool has_error(const struct cmd_call *c)
{
    if (c->failure.code != ERR_NONE)
        print_message("%s v%u: %.*s\n", c->cmd->name.p, c->shape->api, STR_ARG(c->failure.text));
    return c->failure.code != ERR_NONE;
}

/* Every older shape takes its own example. */
static void test_examples(void **state)
{
    (void)state;
    unsigned tried = 0, failed = 0;
    for (size_t i = 0; i < command_count(); i++) {
        const struct command *cmd = command_at(i);
        for (unsigned k = 0; k < cmd->d->shape_count; k++) {
            const struct cmd_shape *s = &cmd->d->shapes[k];
            struct cmd_call *c = cmd_call_new(cmd, s, s->api);
            struct str words[16];
            assert_true(s->example_count <= ARRAY_LEN(words));
            for (unsigned n = 0; n < s->example_count; n++)
                words[n] = str_of(s->example[n]);
            args_bind_words(c, words, s->example_count);
            if (s->to_newest && s->example_count && c->failure.code == ERR_NONE) {
                tried++;
                adapted(c);
            }
            failed += has_error(c);
            cmd_call_end(&c);
        }
    }
    assert_int_equal(failed, 0);
    assert_true(tried >= 10);
}

int main(void)
{
    struct error err = ERROR_INIT;
    args_start();
    if (commands_start(&err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nicks), cmocka_unit_test(test_newest_nicks), cmocka_unit_test(test_affiliations),
        cmocka_unit_test(test_affiliation_rows), cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_malformed_subscriptions), cmocka_unit_test(test_invitations),
        cmocka_unit_test(test_destroyed_rooms), cmocka_unit_test(test_examples),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    commands_stop();
    return rc;
}
