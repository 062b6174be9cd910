/*
 * api_permissions: the recorded answers of three listeners (open, authonly, stock) as a table, the default, and the
 * clauses one by one.
 */
#include "core/config/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct config *C;

static struct config *load_text(const char *text)
{
    struct error err = ERROR_INIT;
    struct config *c = config_parse("t.yml", str_of(text), NULL, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

/* The template of the recordings with its places filled in. */
static int setup_recordings(void **state)
{
    FILE *f = fopen(FIXTURES "/recordings.yml.tmpl", "r");
    assert_non_null(f);
    struct buf b = BUF_INIT;
    for (int ch; (ch = getc(f)) != EOF;)
        buf_add_c(&b, (char)ch);
    fclose(f);
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < b.n;) {
        struct str rest = str_n(b.p + i, b.n - i);
        if (str_starts(rest, S("@DB@"))) {
            buf_add_str(&out, S("default_db: mnesia"));
            i += 4;
        } else if (str_starts(rest, S("@RUN@"))) {
            buf_add_str(&out, S("/run"));
            i += 5;
        } else if (str_starts(rest, S("@P")) && rest.p[2] >= '0' && rest.p[2] <= '9') {
            const char *end = memchr(rest.p + 2, '@', 6);
            buf_add(&out, rest.p + 2, (size_t)(end - rest.p - 2));
            i += (size_t)(end - rest.p) + 1;
        } else {
            buf_add_c(&out, b.p[i++]);
        }
    }
    struct error err = ERROR_INIT;
    C = config_parse("recordings.yml", buf_str(&out), NULL, &err);
    buf_deinit(&b);
    buf_deinit(&out);
    if (!C)
        fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state)
{
    config_release(&C);
    return 0;
}

struct ask {
    const char *frontend, *tag, *jid, *ip, *scopes, *command;
    bool want;
};

static bool answer(const struct config *c, const struct ask *q)
{
    struct arena *a = arena_new();
    struct api_caller caller = {
        .frontend = str_of(q->frontend), .tag = str_of(q->tag), .oauth_scopes = str_of(q->scopes)};
    if (q->jid)
        assert_true(jid_parse(a, str_of(q->jid), &caller.who.jid));
    if (q->ip)
        assert_true(ip_parse(str_of(q->ip), &caller.who.ip));
    bool tagged = !strcmp(q->command, "num_resources");
    struct api_target t = {.command = str_of(q->command), .tags = tagged ? "session statistics" : "x", .api = tagged ? 2 : 0};
    bool yes = api_allowed(c, &caller, &t);
    arena_release(&a);
    return yes;
}

static void check_all(const struct config *c, const struct ask *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (answer(c, &v[i]) != v[i].want)
            fail_msg("case %zu: %s %s %s %s %s %s: want %s", i, v[i].frontend, v[i].tag ? v[i].tag : "-",
                     v[i].jid ? v[i].jid : "-", v[i].ip ? v[i].ip : "-", v[i].scopes ? v[i].scopes : "-", v[i].command,
                     v[i].want ? "yes" : "no");
}

#define API "mod_http_api"
#define LOOP "127.0.0.1"
#define ADMIN "admin@localhost"
#define USER "a@localhost"

/* auth.basic-open, auth.basic-authonly, auth.basic-stock, auth.stock-stop, auth.user-policy */
static void test_recorded_basic(void **state)
{
    static const struct ask cases[] = {
        {API, "open", NULL, LOOP, NULL, "registered_vhosts", true},
        {API, "open", NULL, LOOP, NULL, "stop", true},
        {API, "open", USER, LOOP, NULL, "get_loglevel", true},
        {API, "open", ADMIN, "192.0.2.1", NULL, "get_loglevel", true},
        {API, "open", USER, "192.0.2.1", NULL, "get_loglevel", false},
        {API, "open", NULL, "192.0.2.1", NULL, "status", false},
        {API, "authonly", NULL, LOOP, NULL, "registered_vhosts", false},
        {API, "authonly", NULL, LOOP, NULL, "status", true},
        {API, "authonly", NULL, LOOP, NULL, "connected_users_number", true},
        {API, "authonly", NULL, LOOP, NULL, "get_loglevel", false},
        {API, "authonly", NULL, LOOP, NULL, "check_account", false},
        {API, "authonly", NULL, LOOP, NULL, "get_roster", false},
        {API, "authonly", ADMIN, LOOP, NULL, "registered_vhosts", true},
        {API, "authonly", ADMIN, LOOP, NULL, "check_account", true},
        {API, "authonly", "Admin@LOCALHOST/res", LOOP, NULL, "check_account", true},
        {API, "authonly", "admin@example.test", LOOP, NULL, "check_account", false},
        {API, "authonly", USER, LOOP, NULL, "registered_vhosts", false},
        {API, "authonly", USER, LOOP, NULL, "status", true},
        {API, "authonly", USER, LOOP, NULL, "get_roster", false},
        {API, "stock", NULL, LOOP, NULL, "registered_vhosts", false}, /* loopback and admin stand in one allow: ANDed */
        {API, "stock", NULL, LOOP, NULL, "get_loglevel", false},
        {API, "stock", ADMIN, LOOP, NULL, "registered_vhosts", true},
        {API, "stock", ADMIN, "192.0.2.1", NULL, "registered_vhosts", false},
        {API, "stock", USER, LOOP, NULL, "registered_vhosts", false},
        {API, "stock", USER, LOOP, NULL, "status", true},
        {API, "stock", NULL, LOOP, NULL, "stop", false},
        {API, "stock", NULL, LOOP, NULL, "start", false},
        {API, "stock", ADMIN, LOOP, NULL, "stop", false},
        {API, "stock", ADMIN, LOOP, NULL, "stop_kindly", true},
        {API, "stock", NULL, LOOP, NULL, "status", true},
        {API, "", NULL, LOOP, NULL, "registered_vhosts", false},
        {API, "", NULL, LOOP, NULL, "status", true},
        {API, NULL, ADMIN, LOOP, NULL, "registered_vhosts", false},
        {"ejabberd_ctl", NULL, NULL, NULL, NULL, "stop", true},
        {"ejabberd_web_admin", NULL, ADMIN, LOOP, NULL, "stop", true},
        {"ejabberd_web_admin", NULL, USER, LOOP, NULL, "stop", false},
        {"mod_adhoc_api", NULL, ADMIN, NULL, NULL, "stop", true},
        {"mod_adhoc_api", NULL, USER, NULL, NULL, "stop", false},
        {"ejabberd_xmlrpc", NULL, ADMIN, "192.0.2.1", NULL, "status", false},
    };
    check_all(C, cases, ARRAY_LEN(cases));
}

/* oauth.issue-use: t1 ... t7 */
static void test_recorded_tokens(void **state)
{
    static const struct ask cases[] = {
        {API, "authonly", ADMIN, LOOP, "ejabberd:admin", "registered_vhosts", true},
        {API, "authonly", ADMIN, LOOP, "ejabberd:admin", "status", true},
        {API, "open", ADMIN, LOOP, "ejabberd:admin", "registered_vhosts", true},
        {API, "authonly", ADMIN, LOOP, "sasl_auth", "registered_vhosts", false},
        {API, "authonly", ADMIN, LOOP, "sasl_auth", "status", false},
        {API, "open", ADMIN, LOOP, "sasl_auth", "registered_vhosts", false},
        {API, "authonly", USER, LOOP, "ejabberd:admin", "registered_vhosts", false},
        {API, "authonly", USER, LOOP, "ejabberd:admin", "status", false},
        {API, "open", USER, LOOP, "ejabberd:admin", "registered_vhosts", true},
        {API, "authonly", ADMIN, LOOP, "registered_vhosts", "registered_vhosts", false},
        {API, "open", ADMIN, LOOP, "registered_vhosts", "registered_vhosts", false},
        {API, "open", ADMIN, LOOP, "ejabberd:user", "registered_vhosts", false},
        {API, "authonly", ADMIN, LOOP, "ejabberd:admin sasl_auth", "registered_vhosts", true},
        {API, "authonly", ADMIN, LOOP, "sasl_auth ejabberd:admin", "check_account", true},
        {API, "stock", USER, LOOP, "ejabberd:admin", "registered_vhosts", false},
        {API, "stock", ADMIN, LOOP, "ejabberd:admin", "registered_vhosts", true},
        {API, "stock", ADMIN, LOOP, "ejabberd:admin", "stop", false},
        {API, "open", ADMIN, LOOP, "", "registered_vhosts", false},
    };
    check_all(C, cases, ARRAY_LEN(cases));
}

static void check_text(const char *text, const struct ask *v, size_t n)
{
    struct config *c = load_text(text);
    check_all(c, v, n);
    config_release(&c);
}

static void test_default(void **state)
{
    static const struct ask cases[] = {
        {API, NULL, NULL, LOOP, NULL, "status", false},
        {API, NULL, ADMIN, LOOP, NULL, "status", true},
        {API, NULL, ADMIN, LOOP, NULL, "stop", false},
        {API, NULL, ADMIN, LOOP, NULL, "start", false},
        {API, NULL, ADMIN, LOOP, "ejabberd:admin", "register", true},
        {API, NULL, ADMIN, LOOP, "ejabberd:admin", "stop", false},
        {API, NULL, USER, LOOP, "ejabberd:admin", "register", false},
        {"ejabberd_ctl", NULL, NULL, NULL, NULL, "stop", true},
    };
    check_text("hosts: [localhost]\nacl:\n  admin:\n    user: admin@localhost\n", cases, ARRAY_LEN(cases));
    check_text("hosts: [localhost]\nacl:\n  admin:\n    user: admin@localhost\napi_permissions: {}\n", cases,
               ARRAY_LEN(cases));
}

static void test_who(void **state)
{
    static const struct ask any_of[] = {
        {API, NULL, ADMIN, NULL, NULL, "x", true},
        {API, NULL, USER, LOOP, NULL, "x", true},
        {API, NULL, USER, "192.0.2.1", NULL, "x", false},
    };
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who:\n      user: admin@localhost\n      ip: "
               "127.0.0.1/8\n    what: \"*\"\n",
               any_of, ARRAY_LEN(any_of));
    check_text(
        "hosts: [localhost]\nacl:\n  adm:\n    user: admin@localhost\napi_permissions:\n  a:\n    who:\n      - adm\n"
        "      - ip: 127.0.0.1/8\n    what: [x]\n",
        any_of, ARRAY_LEN(any_of));
    check_text("hosts: [localhost]\naccess_rules:\n  r:\n    - allow:\n        user: admin@localhost\n    - allow:\n   "
               "     ip: 127.0.0.0/8\n"
               "api_permissions:\n  a:\n    who:\n      access: r\n    what: [x]\n",
               any_of, ARRAY_LEN(any_of));
    static const struct ask all_of[] = {
        {API, NULL, ADMIN, LOOP, NULL, "x", true},
        {API, NULL, ADMIN, "192.0.2.1", NULL, "x", false},
        {API, NULL, USER, LOOP, NULL, "x", false},
    };
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who:\n      access:\n        allow:\n          user: "
               "admin@localhost\n"
               "          ip: 127.0.0.1/8\n    what: \"*\"\n",
               all_of, ARRAY_LEN(all_of));
    static const struct ask nobody[] = {{API, NULL, ADMIN, LOOP, NULL, "x", false}};
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    what: \"*\"\n", nobody, 1);
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who: none\n    what: \"*\"\n", nobody, 1);
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who: nosuchacl\n    what: \"*\"\n", nobody, 1);
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who:\n      access: nosuchrule\n    what: \"*\"\n",
               nobody, 1);
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who: all\n", nobody, 1);
    static const struct ask everybody[] = {{API, NULL, NULL, NULL, NULL, "x", true},
                                           {API, NULL, ADMIN, LOOP, "s", "x", false}};
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who: all\n    what: x\n", everybody,
               ARRAY_LEN(everybody));
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who:\n      access: all\n    what: x\n", everybody,
               ARRAY_LEN(everybody));
}

static void test_what(void **state)
{
    static const struct ask cases[] = {
        {API, NULL, NULL, NULL, NULL, "status", true},
        {API, NULL, NULL, NULL, NULL, "num_resources", true},
        {API, NULL, NULL, NULL, NULL, "register", false},
    };
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who: all\n    what:\n      - status\n      - \"[tag: "
               "session]\"\n",
               cases, ARRAY_LEN(cases));
    static const struct ask without[] = {
        {API, NULL, NULL, NULL, NULL, "num_resources", false},
        {API, NULL, NULL, NULL, NULL, "stop", false},
        {API, NULL, NULL, NULL, NULL, "register", true},
    };
    check_text(
        "hosts: [localhost]\napi_permissions:\n  a:\n    who: all\n    what: [\"!stop\", \"*\", \"![tag:session]\"]\n",
        without, ARRAY_LEN(without));
    static const struct ask none[] = {{API, NULL, NULL, NULL, NULL, "start", false}};
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who: all\n    what: [start, \"!*\"]\n", none, 1);
    /* Sections do not take from one another. */
    static const struct ask two[] = {{API, NULL, NULL, NULL, NULL, "stop", true}};
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who: all\n    what: [\"*\", \"!stop\"]\n  b:\n    who: "
               "all\n    what: stop\n",
               two, 1);
}

static void test_from(void **state)
{
    static const struct ask tag_only[] = {
        {API, "magic", NULL, NULL, NULL, "x", true},
        {"ejabberd_xmlrpc", "magic", NULL, NULL, NULL, "x", true},
        {API, "other", NULL, NULL, NULL, "x", false},
        {API, NULL, NULL, NULL, NULL, "x", false},
    };
    check_text(
        "hosts: [localhost]\napi_permissions:\n  a:\n    from:\n      - tag: magic\n    who: all\n    what: \"*\"\n",
        tag_only, ARRAY_LEN(tag_only));
    static const struct ask both[] = {
        {API, "magic", NULL, NULL, NULL, "x", true},
        {"ejabberd_xmlrpc", "magic", NULL, NULL, NULL, "x", false},
        {API, "other", NULL, NULL, NULL, "x", false},
    };
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    from: [mod_http_api, {tag: magic}]\n    who: all\n    "
               "what: \"*\"\n",
               both, ARRAY_LEN(both));
}

static void test_oauth(void **state)
{
    static const struct ask cases[] = {
        {API, NULL, ADMIN, NULL, "two", "x", true}, {API, NULL, ADMIN, NULL, "three", "x", false},
        {API, NULL, USER, NULL, "one", "x", false}, {API, NULL, USER, LOOP, "one", "x", true},
        {API, NULL, ADMIN, LOOP, NULL, "x", false},
    };
    check_text("hosts: [localhost]\napi_permissions:\n  a:\n    who:\n      - oauth:\n          - scope: [one, two]\n"
               "          - user: admin@localhost\n          - ip: 127.0.0.1\n    what: \"*\"\n",
               cases, ARRAY_LEN(cases));
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"  x:\n    form: all\n", "t.yml:4:5: unknown option of api_permissions 'form'; did you mean 'from'?"},
        {"  x:\n    from: mod_http\n",
         "t.yml:4:11: unknown front end of api_permissions 'mod_http'; did you mean 'mod_http_api'?"},
        {"  x:\n    from:\n      - tga: x\n",
         "t.yml:5:9: an entry of 'from' must be the name of a front end or 'tag: NAME', got a map"},
        {"  x:\n    who:\n      oauth:\n        access: all\n", "t.yml:6:9: 'oauth' has no 'scope'"},
        {"  x:\n    who:\n      usr: x\n", "t.yml:5:7: unknown acl type 'usr'; did you mean 'user'?"},
        {"  x:\n    who:\n      access:\n        alow: x\n",
         "t.yml:6:9: an access rule is made of 'allow' and 'deny', got 'alow'"},
        {"  x:\n    what: [{a: b}]\n",
         "t.yml:4:12: an entry of 'what' must be the name of a command, \"*\", \"[tag:NAME]\" or one of "
         "these after '!', got a map"},
        {"  x: all\n",
         "t.yml:3:6: a section of api_permissions must be a map with 'from', 'who' and 'what', got 'all'"},
        {"  x: {}\n  x: {}\n", "t.yml:4:3: 'x' is given twice in option 'api_permissions'"},
        {"  x:\n    what: a\n    what: b\n", "t.yml:5:5: 'what' is given twice in section 'x' of api_permissions"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = ERROR_INIT;
        char text[400];
        snprintf(text, sizeof(text), "hosts: [localhost]\napi_permissions:\n%s", cases[i].text);
        assert_null(config_parse("t.yml", str_of(text), NULL, &err));
        assert_string_equal(err.text, cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recorded_basic, setup_recordings, teardown),
        cmocka_unit_test_setup_teardown(test_recorded_tokens, setup_recordings, teardown),
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_what),
        cmocka_unit_test(test_from),
        cmocka_unit_test(test_oauth),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
