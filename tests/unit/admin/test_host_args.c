/*
 * Administrators of one host: every command of the table is called by one of a.test, with arguments of a.test and then with
 * each of them of b.test.
 */
#include "admin/args.h"
#include "admin/host_args.h"
#include "admin/out.h"
#include "admin/start.h"
#include "core/config/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RULES                                                                                                          \
    "hosts: [a.test, b.test, sub.a.test]\n"                                                                            \
    "acl:\n  admin:\n    user: root@a.test\n"                                                                          \
    "append_host_config:\n"                                                                                            \
    "  a.test:\n    acl:\n      admin:\n        user: boss@a.test\n"                                                   \
    "  b.test:\n    acl:\n      admin:\n        user: boss@b.test\n"                                                   \
    "api_permissions:\n  admins:\n    who:\n      access:\n        allow:\n          - acl: admin\n"                  \
    "      oauth:\n        scope: \"ejabberd:admin\"\n        access:\n          allow:\n            - acl: admin\n"   \
    "    what: \"*\"\n"                                                                                                \
    "  robots:\n    who:\n      user: robot@a.test\n    what: status\n"                                                \
    "modules:\n  mod_muc:\n    hosts: [\"conference.@HOST@\", \"rooms.@HOST@\"]\n"

static struct config *C;
static struct arena *A;

static struct config *load(const char *text)
{
    struct error err = ERROR_INIT;
    struct config *c = config_parse("t.yml", str_of(text), NULL, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static int setup(void **state)
{
    struct error err = ERROR_INIT;
    assert_int_equal(admin_start(&err), 0);
    C = load(RULES);
    config_install(C);
    A = arena_new();
    return 0;
}

static int teardown(void **state)
{
    config_install(NULL);
    config_release(&C);
    arena_release(&A);
    return 0;
}

/* --- arguments --- */

static bool is_one_of(const char *name, const char *words)
{
    struct str rest = str_of(words), word;
    while (words && str_split(&rest, ' ', &word))
        if (str_eq(word, str_of(name)))
            return true;
    return false;
}

/* What the test thinks names somebody, apart from the implementation's list. */
static const char *text_for(const char *name, const char *host)
{
    static char text[64];
    if (!strcmp(name, "service"))
        snprintf(text, sizeof(text), "conference.%s", host);
    else if (strstr(name, "host") || !strcmp(name, "server"))
        snprintf(text, sizeof(text), "%s", host);
    else if (!strcmp(name, "jid") || !strcmp(name, "from"))
        snprintf(text, sizeof(text), "juliet@%s", host);
    else
        return "x";
    return text;
}

/* The leaf number `foreign` of those that name somebody is of b.test; *count goes up. */
static void print(struct buf *b, const struct admin_cmd *d, const struct type *t, int foreign, int *count)
{
    if (t->kind == V_LIST) {
        buf_add_c(b, '[');
        print(b, d, &t->of[0], foreign, count);
        buf_add_c(b, ']');
    } else if (t->kind == V_TUPLE) {
        for (unsigned i = 0; i < t->count; i++) {
            buf_printf(b, "%c\"%s\":", i ? ',' : '{', t->of[i].name);
            print(b, d, &t->of[i], foreign, count);
        }
        buf_add_c(b, '}');
    } else if (t->kind == V_INTEGER) {
        buf_add_c(b, '1');
    } else {
        bool names = strcmp(text_for(t->name, "h"), "x") && !is_one_of(t->name, d->elsewhere);
        const char *host = names && (*count)++ == foreign ? "b.test" : "a.test";
        buf_printf(b, "\"%s\"", text_for(t->name, host));
    }
}

static struct str body(const struct command *cmd, int foreign, int *count)
{
    const struct cmd_shape *s = &cmd->d->shapes[0];
    struct buf b = BUF_INIT;
    *count = 0;
    buf_add_c(&b, '{');
    for (unsigned i = 0; i < s->arg_count; i++) {
        buf_printf(&b, "%s\"%s\":", i ? "," : "", s->args[i].name);
        print(&b, cmd->d, &s->args[i], foreign, count);
    }
    buf_add_c(&b, '}');
    struct str text = arena_str(A, buf_str(&b));
    buf_deinit(&b);
    return text;
}

struct outcome {
    bool admitted;
    enum err_code code;
    struct str reason;
};

static struct outcome call_as(const char *jid, const char *scopes, const char *name, int64_t version, struct str args)
{
    const struct command *cmd = command_find(str_of(name));
    assert_non_null(cmd);
    struct cmd_call *c = cmd_call_new(cmd, command_shape(cmd, version), version);
    struct api_caller caller = {.frontend = S("mod_http_api"), .oauth_scopes = str_of(scopes)};
    assert_true(jid_parse(A, str_of(jid), &caller.who.jid));
    struct raw_args *raw = raw_args_json(c->arena, args);
    assert_non_null(raw);
    if (args_bind(c, raw) < 0)
        fail_msg("%s %.*s: %.*s", name, STR_ARG(args), STR_ARG(c->failure.text));
    struct outcome o = {.admitted = cmd_admit(c, &caller) == 0, .code = c->failure.code, .reason = arena_str(A, c->reason)};
    cmd_call_end(&c);
    return o;
}

static bool may(const char *jid, const char *name, const char *args)
{
    struct outcome o = call_as(jid, NULL, name, API_NEWEST, str_of(args));
    if (!o.admitted)
        assert_int_equal(o.code, ERR_FORBIDDEN);
    return o.admitted;
}

/* --- the whole table --- */

static bool callable(const struct command *cmd)
{
    return !(cmd->d->flags & (CMD_INTERNAL | CMD_TOOL_ONLY));
}

static bool has_file(const struct cmd_shape *s)
{
    for (unsigned i = 0; i < s->arg_count; i++)
        if (is_one_of(s->args[i].name, "file dir path in out"))
            return true;
    return false;
}

static void check_command(const struct command *cmd, unsigned *own)
{
    int count, n;
    struct outcome o = call_as("boss@a.test", NULL, cmd->name.p, API_NEWEST, body(cmd, -1, &count));
    bool want = count > 0 && !has_file(&cmd->d->shapes[0]);
    if (o.admitted != want || host_args_possible(cmd) != want)
        fail_msg("%s: %s for its own host (%.*s)", cmd->name.p, o.admitted ? "admitted" : "refused", STR_ARG(o.reason));
    *own += o.admitted;
    assert_true(call_as("root@a.test", NULL, cmd->name.p, API_NEWEST, body(cmd, 0, &n)).admitted);
    assert_false(call_as("boss@b.test", NULL, cmd->name.p, API_NEWEST, body(cmd, -1, &n)).admitted);
    assert_false(call_as("juliet@a.test", NULL, cmd->name.p, API_NEWEST, body(cmd, -1, &n)).admitted);
    for (int i = 0; i < count; i++) {
        struct str args = body(cmd, i, &n);
        o = call_as("boss@a.test", NULL, cmd->name.p, API_NEWEST, args);
        if (o.admitted || o.code != ERR_FORBIDDEN || o.reason.n == 0)
            fail_msg("%s is not refused for %.*s", cmd->name.p, STR_ARG(args));
        assert_true(call_as("root@a.test", NULL, cmd->name.p, API_NEWEST, args).admitted);
    }
}

static void test_every_command(void **state)
{
    unsigned checked = 0, own = 0;
    for (size_t i = 0; i < command_count(); i++) {
        if (!callable(command_at(i)))
            continue;
        check_command(command_at(i), &own);
        checked++;
    }
    assert_true(checked >= 100);
    assert_true(own >= 50);
}

/* --- cases --- */

static void test_domains(void **state)
{
    assert_true(may("boss@a.test", "registered_users", "{\"host\":\"A.TEST\"}"));
    assert_true(may("boss@a.test", "registered_users", "{\"host\":\"conference.a.test\"}"));
    assert_false(may("boss@a.test", "registered_users", "{\"host\":\"sub.a.test\"}"));
    assert_false(may("boss@a.test", "registered_users", "{\"host\":\"conference.sub.a.test\"}"));
    assert_false(may("boss@a.test", "registered_users", "{\"host\":\"xa.test\"}"));
    assert_false(may("boss@a.test", "registered_users", "{\"host\":\"all\"}"));
    assert_false(may("boss@a.test", "registered_users", "{\"host\":\"\"}"));
    assert_false(may("boss@a.test", "registered_users", "{\"host\":\"elsewhere.example\"}"));
    assert_false(may("boss@a.test", "connected_users", "{}"));
    assert_ptr_equal(api_domain_owner(C, S("rooms.b.test")), config_host(C, S("b.test")));
    assert_null(api_domain_owner(C, S("example.org")));
    assert_null(api_domain_owner(C, S("")));
}

static void test_accounts(void **state)
{
    assert_true(may("boss@a.test", "change_password", "{\"user\":\"juliet\",\"host\":\"a.test\",\"newpass\":\"x\"}"));
    assert_true(may("boss@a.test", "change_password", "{\"user\":\"boss\",\"host\":\"a.test\",\"newpass\":\"x\"}"));
    /* root's password would make the caller an administrator of everything */
    assert_false(may("boss@a.test", "change_password", "{\"user\":\"ROOT\",\"host\":\"a.test\",\"newpass\":\"x\"}"));
    assert_false(may("boss@a.test", "change_password", "{\"user\":\"robot\",\"host\":\"a.test\",\"newpass\":\"x\"}"));
    assert_false(may("boss@a.test", "oauth_issue_token", "{\"jid\":\"root@a.test/x\",\"ttl\":9,\"scopes\":[\"ejabberd:admin\"]}"));
    assert_true(may("boss@a.test", "oauth_issue_token", "{\"jid\":\"juliet@a.test\",\"ttl\":9,\"scopes\":[\"sasl_auth\"]}"));
    assert_false(may("boss@a.test", "oauth_issue_token", "{\"jid\":\"@\",\"ttl\":9,\"scopes\":[\"sasl_auth\"]}"));
}

static void test_tokens(void **state)
{
    struct str own = S("{\"host\":\"a.test\"}"), other = S("{\"host\":\"b.test\"}");
    assert_true(call_as("boss@a.test", "ejabberd:admin", "registered_users", API_NEWEST, own).admitted);
    assert_false(call_as("boss@a.test", "ejabberd:admin", "registered_users", API_NEWEST, other).admitted);
    assert_false(call_as("boss@a.test", "sasl_auth", "registered_users", API_NEWEST, own).admitted);
    assert_true(call_as("root@a.test", "ejabberd:admin", "registered_users", API_NEWEST, other).admitted);
}

/* In old versions hosts hide inside addresses. */
static void test_older_shapes(void **state)
{
    struct outcome o = call_as("boss@a.test", NULL, "subscribe_room", 1,
                               S("{\"user\":\"u@a.test/n\",\"nick\":\"n\",\"room\":\"r@conference.a.test\",\"nodes\":[\"x\"]}"));
    if (!o.admitted)
        fail_msg("%s: %.*s", err_info(o.code)->name, STR_ARG(o.reason));
    o = call_as("boss@a.test", NULL, "subscribe_room", 1,
                S("{\"user\":\"u@b.test/n\",\"nick\":\"n\",\"room\":\"r@conference.a.test\",\"nodes\":[\"x\"]}"));
    assert_false(o.admitted);
    o = call_as("boss@a.test", NULL, "subscribe_room", 1,
                S("{\"user\":\"u@a.test/n\",\"nick\":\"n\",\"room\":\"r@conference.b.test\",\"nodes\":[\"x\"]}"));
    assert_false(o.admitted);
}

/* COMPAT(ejabberd): the old way looks at global definitions only. */
static void test_switch(void **state)
{
    struct config *c = load(RULES "api_host_admins: ejabberd\n");
    config_install(c);
    assert_false(may("boss@a.test", "registered_users", "{\"host\":\"a.test\"}"));
    assert_true(may("root@a.test", "registered_users", "{\"host\":\"b.test\"}"));
    config_install(C);
    config_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command), cmocka_unit_test(test_domains),      cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_tokens),        cmocka_unit_test(test_older_shapes), cmocka_unit_test(test_switch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
