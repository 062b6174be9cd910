/*
 * core/config/erlang_term.h and core/config/erlang_cfg.h: terms and what is no term, old configurations as new ones that are
 * accepted.
 */
#include "core/config/erlang_cfg.h"

#include "core/config/supported.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* --- terms --- */

static const struct term *one(const char *text)
{
    struct error err = ERROR_INIT;
    struct terms t;
    if (erlang_terms_parse(A, str_of(text), &t, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(t.n, 1);
    return t.items[0];
}

static void refused(const char *text, const char *want)
{
    struct error err = ERROR_INIT;
    struct terms t;
    assert_int_equal(erlang_terms_parse(A, str_of(text), &t, &err), -1);
    assert_string_equal(err.text, want);
}

static void is_text(const char *text, enum term_kind kind, const char *want)
{
    const struct term *t = one(text);
    assert_int_equal(t->kind, kind);
    assert_int_equal(t->text.n, strlen(want));
    assert_memory_equal(t->text.p, want, t->text.n);
}

static void scalars(void **state)
{
    is_text("abc.", TERM_ATOM, "abc");
    is_text("a_B@9 .", TERM_ATOM, "a_B@9");
    is_text("'with blank'.", TERM_ATOM, "with blank");
    is_text("'it\\'s'.", TERM_ATOM, "it's");
    is_text("\"text\".", TERM_STRING, "text");
    is_text("\"\".", TERM_STRING, "");
    is_text("\"one\" \"two\"\n\"three\".", TERM_STRING, "onetwothree");
    is_text("\"a\\tb\\n\\\"\\\\\\s\".", TERM_STRING, "a\tb\n\"\\ ");
    is_text("\"\\x41\\x{263a}\\101\\^a\".", TERM_STRING, "A\xe2\x98\xba" "A\001");
    is_text("<<\"bin\">>.", TERM_BINARY, "bin");
    is_text("<<\"b\", 105, $n/integer>>.", TERM_BINARY, "bin");
    is_text("<<\"\xc3\xa4\"/utf8>>.", TERM_BINARY, "\xc3\xa4");
    is_text("<<>>.", TERM_BINARY, "");
    is_text("1.5e-3.", TERM_FLOAT, "1.5e-3");
    is_text("-2.5.", TERM_FLOAT, "-2.5");
    assert_int_equal(one("42.")->num, 42);
    assert_int_equal(one("-7 .")->num, -7);
    assert_int_equal(one("16#fF.")->num, 255);
    assert_int_equal(one("$a.")->num, 'a');
    assert_int_equal(one("$\\n.")->num, '\n');
}

static void collections(void **state)
{
    const struct term *t = one("% a comment\n{a, [1, {b, \"c\"}, []], % another\n {}}.");
    assert_int_equal(t->kind, TERM_TUPLE);
    assert_int_equal(t->n, 3);
    assert_int_equal(t->line, 2);
    assert_int_equal(t->items[1]->n, 3);
    assert_int_equal(t->items[1]->items[1]->items[1]->kind, TERM_STRING);
    assert_int_equal(t->items[1]->items[2]->n, 0);
    assert_int_equal(t->items[2]->line, 3);
}

static void latin1(void **state)
{
    is_text("\"caf\xe9\".", TERM_STRING, "caf\xc3\xa9");
    is_text("<<233>>.", TERM_BINARY, "\xc3\xa9");
}

static void no_terms(void **state)
{
    refused("this is not (a config", "at line 1: syntax error before: is");
    refused("hosts:\n  - x.test\n", "at line 2: syntax error before: '-'");
    refused("{a, b", "at line 1: syntax error before: end of file");
    refused("{a, b}", "at line 1: syntax error before: end of file");
    refused("{a,,b}.", "at line 1: syntax error before: ','");
    refused("[a|b].", "at line 1: syntax error before: '|'");
    refused("{a, Var}.", "at line 1: syntax error before: Var");
    refused("{a, 5 6}.", "at line 1: syntax error before: 6");
    refused("\n\n\"abc", "at line 3: unterminated string or malformed escape");
    refused("\"\\x{110000}\".", "at line 1: unterminated string or malformed escape");
    refused("'abc", "at line 1: unterminated atom or malformed escape");
    refused("99999999999999999999.", "at line 1: a number that is too large");
    refused("40#1.", "at line 1: illegal number");
    refused("<<300>>.", "at line 1: syntax error before: 300");
    refused("a.b.", "at line 1: syntax error before: '.'");
}

static void bounds(void **state)
{
    struct error err = ERROR_INIT;
    struct terms t;
    char deep[200], *many = malloc(ERLANG_MAX_NODES * 2 + 100);
    memset(deep, '[', sizeof deep);
    assert_int_equal(erlang_terms_parse(A, str_n(deep, sizeof deep), &t, &err), -1);
    assert_string_equal(err.text, "at line 1: too many levels of brackets");
    size_t n = 0;
    many[n++] = '[';
    for (int i = 0; i < ERLANG_MAX_NODES; i++, n += 2)
        memcpy(many + n, "1,", 2);
    memcpy(many + n, "1].", 3);
    assert_int_equal(erlang_terms_parse(A, str_n(many, n + 3), &t, &err), -1);
    assert_string_equal(err.text, "at line 1: too many terms in one file");
    free(many);
    char *large = calloc(1, ERLANG_MAX_BYTES + 1);
    assert_int_equal(erlang_terms_parse(A, str_n(large, ERLANG_MAX_BYTES + 1), &t, &err), -1);
    free(large);
}

/* --- configurations --- */

static const struct config_env env = {"/spool", "/logs", "/conf"};

static struct str no_such_file(struct arena *a, const char *path, struct error *err)
{
    struct str inner = S("{acl, included, {user, \"a\"}}.\n{language, \"de\"}.\n");
    if (!strcmp(path, "/conf/inner.cfg"))
        return inner;
    if (!strcmp(path, "/conf/loop.cfg"))
        return S("{include_config_file, \"loop.cfg\"}.");
    err_set(err, ERR_IO, "no such file or directory");
    return STR_NULL;
}

static struct erlang_cfg convert(const char *text)
{
    struct error err = ERROR_INIT;
    struct erlang_cfg_env e = {.config = env, .dir = "/conf", .read = no_such_file};
    struct erlang_cfg made;
    if (erlang_cfg_convert(A, str_of(text), &e, &made, &err) != 0)
        fail_msg("%s", err.text);
    return made;
}

static bool has(const struct erlang_cfg *made, const char *text)
{
    return strstr(arena_cstr(A, made->yaml), text) != NULL;
}

static struct config *accepted(const struct erlang_cfg *made)
{
    struct error err = ERROR_INIT;
    struct config *c = config_parse("new.yml", made->yaml, &env, &err);
    if (!c || !made->accepted || supported_check(c, &err) != 0)
        fail_msg("%s\n%.*s", err.text, STR_ARG(made->yaml));
    return c;
}

#define HOSTS "{hosts, [\"localhost\"]}.\n"

/* `text` beside a host becomes YAML with all of these pieces, and is accepted. */
static void gives(const char *text, const char *const *pieces)
{
    struct erlang_cfg made = convert(arena_cstr(A, arena_printf(A, HOSTS "%s", text)));
    struct config *c = accepted(&made);
    for (; *pieces; pieces++)
        if (!has(&made, *pieces))
            fail_msg("lacks:\n%s\n---\n%.*s", *pieces, STR_ARG(made.yaml));
    config_release(&c);
}
#define GIVES(text, ...) gives(text, (const char *const[]){__VA_ARGS__, NULL})

static void file_in(const char *name, struct str *out)
{
    char path[600];
    snprintf(path, sizeof path, FIXTURES "/old/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *p = arena_alloc(A, 1 << 20);
    *out = str_n(p, fread(p, 1, 1 << 20, f));
    fclose(f);
}

static void realistic_files(void **state)
{
    static const char *const names[] = {"school.cfg", "company.cfg", "component.cfg"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str text;
        file_in(names[i], &text);
        struct erlang_cfg made = convert(arena_cstr(A, text));
        struct config *c = accepted(&made);
        assert_true(c->listener_count >= 2);
        assert_true(c->hosts[0].module_count > 5);
        config_release(&c);
    }
}

static void listeners(void **state)
{
    GIVES("{listen, [{5222, ejabberd_c2s, [starttls, {access, c2s}, {certfile, \"/c.pem\"}]},\n"
          "          {{5269, {0,0,0,0,0,0,0,0}}, ejabberd_s2s_in, []},\n"
          "          {{3478, {10,0,0,1}, udp}, ejabberd_stun, []},\n"
          "          {{5280, inet6}, ejabberd_http, [web_admin, http_bind,\n"
          "            {request_handlers, [{[\"a\",\"b\"], mod_http_fileserver}]}]},\n"
          "          {8888, ejabberd_service, [{hosts, [\"x.y\"], [{password, \"s\"}]}, {service_check_from, false}]}]}.\n",
          "port: 5222\n    module: ejabberd_c2s\n    starttls: true\n    access: c2s\n", "certfiles:\n  - \"/c.pem\"\n",
          "ip: \"0:0:0:0:0:0:0:0\"\n", "ip: \"10.0.0.1\"\n    transport: udp\n", "ip: \"::\"\n",
          "/admin: ejabberd_web_admin\n      /http-bind: mod_bosh\n      /a/b: mod_http_fileserver\n",
          "x.y:\n        password: \"s\"\n    check_from: false\n");
}

static void rules(void **state)
{
    GIVES("{acl, admin, {user, \"root\", \"localhost\"}}.\n{acl, admin, {user, \"other\"}}.\n{acl, any, all}.\n"
          "{acl, nobody, none}.\n"
          "{acl, lan, {ip, {10,0,0,0}, 8}}.\n{acl, re, {user_regexp, \"^a\", \"localhost\"}}.\n"
          "{access, c2s, [{deny, blocked}, {allow, all}]}.\n{access, never, []}.\n{access, sessions, [{10, admin}, {1, all}]}.\n"
          "{access, speed, [{none, admin}, {slow, all}]}.\n{shaper, slow, {maxrate, 1000}}.\n{shaper, free, none}.\n",
          "admin:\n    user:\n      - \"root@localhost\"\n      - \"other\"\n", "any:\n    server_regexp:\n      - \".*\"\n",
          "ip:\n      - \"10.0.0.0/8\"\n", "\"^a\": \"localhost\"\n",
          "access_rules:\n  c2s:\n    -\n      deny: blocked\n    -\n      allow: all\n  never:\n    -\n      deny: all\n",
          "shaper_rules:\n  sessions:\n    -\n      10: admin\n    -\n      1: all\n", "slow: 1000\n  free: none\n");
}

static void other_servers(void **state)
{
    GIVES("{{s2s_host, \"good.org\"}, allow}.\n{s2s_default_policy, deny}.\n{{s2s_host, \"bad.org\"}, deny}.\n"
          "{outgoing_s2s_options, [ipv6, ipv4], 10500}.\n{s2s_dns_options, [{timeout, 5}, {retries, 3}]}.\n",
          "s2s_policy:\n    -\n      allow: s2s_allowed\n    -\n      deny: s2s_denied\n    -\n      deny: all\n",
          "s2s_access: s2s_policy\n",
          "server:\n      - \"good.org\"\n", "outgoing_s2s_timeout: 11\n", "s2s_dns_timeout: 5\ns2s_dns_retries: 3\n");
}

static void modules(void **state)
{
    GIVES("{modules, [mod_caps, {mod_last_odbc, []}, {mod_private, [{db_type, odbc}]}, {mod_vcard, [{db_type, internal}]},\n"
          " {mod_register, [{welcome_message, {\"Hi\", \"there\"}},\n"
          "                 {ip_access, [{allow, \"10.0.0.0/8\"}, {deny, \"0.0.0.0/0\"}]}]},\n"
          " {mod_disco, [{server_info, [{all, \"abuse\", [\"mailto:a@b\"]}]}]},\n"
          " {mod_muc, [{default_room_options, [{persistent, true}, {max_users, 20}]}]}, {mod_roster, [{iqdisc, one_queue}]}]}.\n",
          "mod_caps: {}\n", "mod_last:\n    db_type: sql\n", "mod_private:\n    db_type: sql\n",
          "mod_vcard:\n    db_type: mnesia\n",
          "subject: \"Hi\"\n      body: \"there\"\n", "ip_access: register_from_ip\n",
          "allow: register_from_ip_1\n    -\n      deny: register_from_ip_2\n    -\n      allow: all\n", "- \"::/0\"\n",
          "modules: all\n        name: \"abuse\"\n        urls:\n          - \"mailto:a@b\"\n",
          "default_room_options:\n      persistent: true\n      max_users: 20\n", "# ", "iqdisc", "mod_roster: {}\n");
}

static void macros_and_files(void **state)
{
    GIVES("override_global.\noverride_acls.\n{define_macro, 'LEVEL', 5}.\n{define_macro, 'RULE', [{allow, 'WHO'}]}.\n"
          "{define_macro, 'WHO', admin}.\n{loglevel, 'LEVEL'}.\n{access, x, 'RULE'}.\n"
          "{access, y, {use_macro, 'NONE', [{deny, all}]}}.\n"
          "{include_config_file, \"inner.cfg\", [{disallow, [language]}]}.\n",
          "loglevel: debug\n", "x:\n    -\n      allow: admin\n", "y:\n    -\n      deny: all\n",
          "included:\n    user:\n      - \"a\"\n",
          "language was not to be taken from there");
}

static void hosts(void **state)
{
    GIVES("{host_config, \"localhost\", [{acl, admin, {user, \"h\", \"localhost\"}}, {{add, modules}, [{mod_time, []}]}, "
          "{language, \"fr\"}]}.\n",
          "host_config:\n  localhost:\n    acl:\n      admin:\n        user:\n          - \"h@localhost\"\n    language: \"fr\"\n",
          "append_host_config:\n  localhost:\n    modules:\n      mod_time: {}\n");
}

/* What goes wrong on the way is said, and never opens a door. */
static void left_out(void **state)
{
    struct erlang_cfg made = convert(HOSTS "{watchdog_admins, [\"a@b\"]}.\n"
                                           "{modules, [{mod_irc, []}, {mod_ping, [{send_pings, maybe}]},\n"
                                           "{mod_announce, [{access, {what, is, this}}]}]}.\n"
                                           "{listen, [{80, mod_unknown, []}, {70000, ejabberd_c2s, []}]}.\n"
                                           "{what, is, this}.\n{include_config_file, \"none.cfg\"}.\n");
    struct config *c = accepted(&made);
    assert_true(made.left_out >= 7);
    assert_true(has(&made, "#   watchdog_admins: unknown option"));
    assert_true(has(&made, "#   modules: mod_irc: unknown module"));
    assert_true(has(&made, "#   line 6: not understood: {what,is,this}"));
    assert_true(has(&made, "none.cfg: no such file or directory"));
    assert_true(has(&made, "mod_ping: {}"));
    assert_int_equal(c->listener_count, 0);
    config_release(&c);
    made = convert(HOSTS "{default_db, sql}.\n{sql_type, pgsql}.\n");
    assert_false(made.accepted); /* leaving it out would serve other accounts */
    assert_true(has(&made, "NOT USABLE YET") && has(&made, "sql_type: pgsql\n"));
    made = convert("{loglevel, 4}.");
    assert_false(made.accepted);
}

static void notes_end_no_comment(void **state)
{
    struct erlang_cfg made = convert(HOSTS "{'a\nhosts: [evil]\n#', b, c}.\n");
    struct config *c = accepted(&made);
    assert_int_equal(c->host_count, 1);
    config_release(&c);
}

static void growth_is_bounded(void **state)
{
    struct erlang_cfg made = convert(HOSTS "{define_macro, 'A', ['B','B','B','B','B','B','B','B']}.\n"
                                           "{define_macro, 'B', ['C','C','C','C','C','C','C','C']}.\n"
                                           "{define_macro, 'C', ['A','A','A','A','A','A','A','A']}.\n{language, 'A'}.\n");
    assert_true(made.yaml.n < 32 << 20);
    made = convert(HOSTS "{define_macro, 'A', 'A'}.\n{language, 'A'}.\n{include_config_file, \"loop.cfg\"}.\n");
    assert_true(has(&made, "include_config_file: not followed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(collections, setup, teardown),
        cmocka_unit_test_setup_teardown(latin1, setup, teardown),
        cmocka_unit_test_setup_teardown(no_terms, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(realistic_files, setup, teardown),
        cmocka_unit_test_setup_teardown(listeners, setup, teardown),
        cmocka_unit_test_setup_teardown(rules, setup, teardown),
        cmocka_unit_test_setup_teardown(other_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(modules, setup, teardown),
        cmocka_unit_test_setup_teardown(macros_and_files, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(notes_end_no_comment, setup, teardown),
        cmocka_unit_test_setup_teardown(growth_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
