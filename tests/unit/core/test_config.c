/*
 * core/config/config.h: the option table against ejabberd's names and types, messages with their places, includes, macros,
 * keywords, hosts, listeners, dump, what reload has to do.
 */
#include "core/config/config.h"
#include "base/log.h"
#include "core/config/option.h"
#include "core/config/option_type.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config *C;
static struct arena *A;

static int setup(void **state)
{
    A = arena_new();
    return 0;
}

static int teardown(void **state)
{
    config_release(&C);
    arena_release(&A);
    return 0;
}

static struct config *load_text(const char *text)
{
    static const struct config_env env = {"/spool", "/logs", "/conf"};
    struct error err = ERROR_INIT;
    struct config *c = config_parse("t.yml", str_of(text), &env, &err);
    if (!c)
        fail_msg("%s\n%s", err.text, text);
    return c;
}

static void load_it(const char *text)
{
    config_release(&C);
    C = load_text(text);
}

static void refused(const char *text, const char *want)
{
    struct error err = ERROR_INIT;
    struct config *c = config_parse("t.yml", str_of(text), NULL, &err);
    if (c)
        fail_msg("accepted: %s", text);
    assert_string_equal(err.text, want);
    assert_int_equal(err.code, ERR_CONFIG);
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void assert_warnings(const char *const *want, size_t n)
{
    for (size_t i = 0; i < C->warning_count || i < n; i++) {
        if (i >= n || i >= C->warning_count)
            fail_msg("%s warning %s", i >= n ? "surplus" : "missing", i >= n ? C->warnings[i] : want[i]);
        assert_string_equal(C->warnings[i], want[i]);
    }
}

#define H "hosts: [localhost]\n"

/* --- the table --- */

static const char *kind_of(const char *type)
{
    if (!strcmp(type, "bool"))
        return "B";
    if (strstr(type, "options {"))
        return "N";
    if (strstr(type, " or string") || !strcmp(type, "module name"))
        return strstr(type, "list of string") ? "L" : "S";
    if (!strncmp(type, "int", 3) || !strncmp(type, "timeout", 7) || !strncmp(type, "number", 6) ||
        !strcmp(type, "octal"))
        return "I";
    return NULL;
}

static void check_option(const struct opt_group *g, const char *name, json_t *facts)
{
    static const char letters[] = {'B', 'I', 'S', 'L', 'N'};
    const struct opt_def *d = opt_def_find(g, str_of(name));
    if (!d)
        fail_msg("%s: option %s is missing", g->name, name);
    const char *type = json_string_value(json_array_get(facts, 0)), *kind = kind_of(type);
    if (kind && letters[d->kind] != *kind)
        fail_msg("%s: option %s is kept as %c, %s is %s", g->name, name, letters[d->kind], type, kind);
    if (!kind && !strncmp(type, "list of ", 8) && d->kind != OPT_LIST && d->kind != OPT_NODE)
        fail_msg("%s: option %s is not a list", g->name, name);
    if (json_array_size(facts) > 1)
        assert_int_equal((d->flags & OPT_FLAG_HOST) != 0, json_is_true(json_array_get(facts, 1)));
    assert_false(d->flags & OPT_FLAG_OWN);
}

static void check_group(enum opt_group_kind kind, const char *name, json_t *facts)
{
    const struct opt_group *g = opt_group_find(kind, str_of(name));
    if (!g)
        fail_msg("group %s is missing", name);
    const char *option;
    json_t *v;
    json_object_foreach(facts, option, v) check_option(g, option, v);
    for (unsigned i = 0; i < g->n; i++)
        if (!(g->defs[i].flags & OPT_FLAG_OWN) && !json_object_get(facts, g->defs[i].name))
            fail_msg("%s: option %s is not one of ejabberd's and not marked as own", name, g->defs[i].name);
}

static void check_groups(enum opt_group_kind kind, json_t *facts)
{
    const char *name;
    json_t *v;
    json_object_foreach(facts, name, v) check_group(kind, name, v);
    size_t n = 0;
    const struct opt_group *g;
    for (unsigned i = 0; (g = opt_group_at(i)) != NULL; i++)
        n += g->kind == kind;
    assert_int_equal(n, json_object_size(facts));
}

static void test_table_names(void **state)
{
    json_error_t e;
    json_t *facts = json_load_file(FIXTURES "/options.json", 0, &e);
    assert_non_null(facts);
    check_group(OPT_TOP, "", json_object_get(facts, "top_level"));
    check_group(OPT_LISTEN_COMMON, "listen", json_object_get(facts, "listener_common"));
    check_groups(OPT_LISTENER, json_object_get(facts, "listeners"));
    check_groups(OPT_MODULE, json_object_get(facts, "modules"));
    json_t *handlers = json_object_get(facts, "http_request_handlers"), *h;
    size_t i;
    json_array_foreach(handlers, i, h) assert_true(opt_http_handler(str_of(json_string_value(h))));
    assert_int_equal(json_array_size(handlers), opt_http_handler_count);
    json_decref(facts);
}

static const struct opt_group *top_group(void)
{
    return opt_group_find(OPT_TOP, S(""));
}

static void check_default(const struct opt_group *g, const struct opt_def *d)
{
    if (!d->def)
        return;
    if (d->def[0] == '=') {
        const struct opt_def *followed = opt_def_find(top_group(), str_of(d->def + 1));
        if (!followed || (followed->kind != d->kind && !(d->kind == OPT_LIST && followed->kind == OPT_STR)))
            fail_msg("%s: option %s follows %s", g->name, d->name, d->def);
    } else if (d->kind == OPT_BOOL) {
        assert_true(!strcmp(d->def, "true") || !strcmp(d->def, "false"));
    } else if (d->kind == OPT_INT) {
        int64_t n;
        assert_true(!strcmp(d->def, "inf") || str_to_i64(str_of(d->def), &n));
    } else if (d->kind == OPT_NODE && !opt_default_rule(d->def)) {
        fail_msg("%s: the default of %s has no fixed node", g->name, d->name);
    }
}

static void test_table_form(void **state)
{
    const struct opt_group *g;
    for (unsigned k = 0; (g = opt_group_at(k)) != NULL; k++)
        for (unsigned i = 0; i < g->n; i++) {
            const struct opt_def *d = &g->defs[i];
            if (i && strcmp(g->defs[i - 1].name, d->name) >= 0)
                fail_msg("%s: %s is out of order", g->name, d->name);
            if (!type_valid(d->type))
                fail_msg("%s: type of %s: %s", g->name, d->name, d->type);
            struct buf words = BUF_INIT;
            type_words(&words, d->type);
            assert_true(words.n > 0 && !memmem(words.p, words.n, "  ", 2));
            buf_deinit(&words);
            check_default(g, d);
        }
    static const char *const wrong[] = {"",         "strr",       "int",          "int(1)",      "list(",
                                        "list(str", "list(str))", "map(str)",     "opts()",      "{",
                                        "{}",       "str|",       "opts(a:str,)", "opts(a str)", "list()"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (type_valid(wrong[i]))
            fail_msg("accepted %s", wrong[i]);
}

/* Every line of option_effect.def must name something. */
static void test_table_effects(void **state)
{
    static const struct {
        const char *group, *option;
    } effects[] = {
#define EFFECT(group, option) {(group), (option)},
#include "core/config/option_effect.def"
#undef EFFECT
    };
    for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
        const struct opt_group *g = NULL;
        for (int k = OPT_TOP;
             k <= OPT_MODULE && !(g && (!effects[i].option || opt_def_find(g, str_of(effects[i].option)))); k++) {
            const struct opt_group *found = opt_group_find((enum opt_group_kind)k, str_of(effects[i].group));
            g = found ? found : g;
        }
        if (!g && !(opt_http_handler(str_of(effects[i].group)) && !effects[i].option))
            fail_msg("no group %s", effects[i].group);
        if (effects[i].option && !opt_def_find(g, str_of(effects[i].option)))
            fail_msg("no option %s of %s", effects[i].option, effects[i].group);
    }
}

/* --- messages --- */

static void test_unknown(void **state)
{
    refused("", "t.yml:1:1: option 'hosts' is missing: name at least one domain");
    refused("loglevel: info\n", "t.yml:1:1: option 'hosts' is missing: name at least one domain");
    refused(H "loglevl: info\n", "t.yml:2:1: unknown option 'loglevl'; did you mean 'loglevel'?");
    refused(H "zzzzzzzz: info\n", "t.yml:2:1: unknown option 'zzzzzzzz'");
    refused(H "listen:\n  - port: 5222\n    module: ejabberd_c2z\n",
            "t.yml:4:13: unknown listener module 'ejabberd_c2z'; did you mean 'ejabberd_c2s'?");
    refused(H "listen:\n  - port: 5222\n    module: ejabberd_c2s\n    starttls_requird: true\n",
            "t.yml:5:5: unknown option 'starttls_requird' of listener ejabberd_c2s; did you mean 'starttls_required'?");
    refused(H "listen:\n  - port: 5222\n    module: ejabberd_c2s\n    backlgo: 5\n",
            "t.yml:5:5: unknown option 'backlgo' of listener ejabberd_c2s; did you mean 'backlog'?");
    refused(H "modules:\n  mod_pin: {}\n", "t.yml:3:3: unknown module 'mod_pin'; did you mean 'mod_ping'?");
    refused(H "modules:\n  mod_ping:\n    ping_intervall: 5\n",
            "t.yml:4:5: unknown option 'ping_intervall' of module mod_ping; did you mean 'ping_interval'?");
    refused(H "acme:\n  atuo: true\n", "t.yml:3:3: unknown option 'atuo' of option 'acme'; did you mean 'auto'?");
    refused(H "listen:\n  - port: 5280\n    module: ejabberd_http\n    request_handlers:\n      /api: mod_htp_api\n",
            "t.yml:6:13: unknown request handler 'mod_htp_api'; did you mean 'mod_http_api'?");
    refused(H "listen:\n  - port: 5280\n    module: ejabberd_http\n    request_handlers:\n      api: mod_http_api\n",
            "t.yml:6:7: a path of option 'request_handlers' must begin with '/', got 'api'");
    refused(H "listen:\n  - port: 5280\n", "t.yml:3:5: a listener has no 'module'");
    refused(H "listen:\n  - module: ejabberd_http\n", "t.yml:3:5: listener ejabberd_http has no 'port'");
    refused(H "host_config:\n  localhos:\n    language: de\n",
            "t.yml:3:3: 'localhos' in option 'host_config' is not one of the hosts; did you mean 'localhost'?");
    refused(H "host_config:\n  localhost:\n    loglevel: debug\n",
            "t.yml:4:5: option 'loglevel' holds for the whole server and is not allowed in host_config");
    refused(H "append_host_config:\n  localhost:\n    language: de\n",
            "t.yml:4:5: option 'language' cannot be appended to: only lists and maps can; use host_config");
    refused(H "modules:\n  mod_ping: {}\nappend_host_config:\n  localhost:\n    modules:\n      mod_ping: {}\n",
            "t.yml:7:7: module 'mod_ping' is loaded for all hosts already; use host_config to change it");
}

static void test_twice(void **state)
{
    refused(H "loglevel: info\nloglevel: debug\n", "t.yml:3:1: option 'loglevel' is given twice");
    refused(H "modules:\n  mod_ping: {}\n  mod_ping: {}\n", "t.yml:4:3: 'mod_ping' is given twice in option 'modules'");
    refused(H "modules:\n  mod_ping:\n    send_pings: true\n    send_pings: false\n",
            "t.yml:5:5: option 'send_pings' of module mod_ping is given twice");
    refused(H "listen:\n  - port: 5222\n    module: ejabberd_c2s\n    port: 5223\n",
            "t.yml:5:5: option 'port' of listener ejabberd_c2s is given twice");
    refused("hosts: [localhost, LOCALHOST]\n", "t.yml:1:20: option 'hosts' names 'localhost' twice");
    refused(H "acl:\n  a: {}\n  a: {}\n", "t.yml:4:3: 'a' is given twice in option 'acl'");
    refused(H "acme:\n  auto: true\n  auto: true\n", "t.yml:4:3: 'auto' is given twice in option 'acme'");
    refused(H "host_config:\n  localhost:\n    language: de\n    language: en\n",
            "t.yml:5:5: option 'language' of host 'localhost' is given twice");
    refused(H "host_config:\n  localhost: {}\n  LocalHost: {}\n", "t.yml:4:3: host 'localhost' is given twice");
    refused(H "define_macro:\n  A: 1\n  A: 2\n", "t.yml:4:3: 'A' is given twice in option 'define_macro'");
    refused(H "listen:\n  - port: 5280\n    module: ejabberd_http\n  - port: 5280\n    ip: 127.0.0.1\n    module: "
              "ejabberd_http\n",
            "t.yml:5:5: this listener takes the address of the one at t.yml:3:5");
}

static void test_types(void **state)
{
    refused("hosts: localhost\n",
            "t.yml:1:8: option 'hosts' must be a list, not empty, of domain names, got 'localhost'");
    refused("hosts: []\n", "t.yml:1:8: option 'hosts' must be a list, not empty, of domain names, got a list");
    refused("hosts: [localhost, a@b]\n", "t.yml:1:20: every entry of option 'hosts' must be a domain name, got 'a@b'");
    refused("[a, b]\n", "t.yml:1:1: a configuration file must be a map of options, got a list");
    refused(H "modules: [mod_ping]\n", "t.yml:2:10: option 'modules' must be a map, got a list");
    refused(H "listen: 5222\n", "t.yml:2:9: option 'listen' must be a list of any values, got '5222'");
    refused(H "listen:\n  - 5222\n", "t.yml:3:5: every entry of option 'listen' must be a map of options, got '5222'");
    refused(H "listen:\n  -\n    port: 5222\n    module: ejabberd_c2s\n    max_stanza_size: abc\n",
            "t.yml:6:22: option 'max_stanza_size' of listener ejabberd_c2s must be a positive integer or 'infinity', "
            "got 'abc'");
    refused(H "listen:\n  - port: \"5222\"\n    module: ejabberd_c2s\n",
            "t.yml:3:11: option 'port' of listener ejabberd_c2s must be an integer from 0 to 65535 or \"unix:PATH\", "
            "got '5222' in quotes");
    refused(H "listen:\n  - port: 70000\n    module: ejabberd_c2s\n",
            "t.yml:3:11: option 'port' of listener ejabberd_c2s must be an integer from 0 to 65535 or \"unix:PATH\", "
            "got '70000'");
    refused(H "listen:\n  - port: 5222\n    ip: localhost\n    module: ejabberd_c2s\n",
            "t.yml:4:9: option 'ip' of listener ejabberd_c2s must be an IP address, got 'localhost'");
    refused(H "modules:\n  mod_ping:\n    ping_interval: 5 weeks\n",
            "t.yml:4:20: option 'ping_interval' of module mod_ping must be a time as seconds or like '30 seconds', '5 "
            "minutes', '1 hour', "
            "'1 day', got '5 weeks'");
    refused(H "modules:\n  mod_ping:\n    send_pings: 1\n",
            "t.yml:4:17: option 'send_pings' of module mod_ping must be true or false, got '1'");
    refused(H "modules:\n  mod_ping: 5\n", "t.yml:3:13: module mod_ping must be a map of options, got '5'");
    refused(H "resource_conflict: closenow\n", "t.yml:2:20: option 'resource_conflict' must be one of 'setresource', "
                                               "'closeold', 'closenew', 'acceptnew', got 'closenow'");
    refused(H "acme:\n  auto: maybe\n", "t.yml:3:9: option 'acme.auto' must be true or false, got 'maybe'");
    refused(H "acme:\n  contact: [a, {b: c}]\n",
            "t.yml:3:16: every entry of option 'acme.contact' must be a text, got a map");
    refused(H "auth_method: [mnesia, ldab]\n", "t.yml:2:23: every entry of option 'auth_method' must be one of "
                                               "'anonymous', 'external', 'internal', 'jwt', 'ldap', 'mnesia', "
                                               "'pam', 'sql', got 'ldab'");
    refused(H "cache_size: 0\n", "t.yml:2:13: option 'cache_size' must be a positive integer or 'infinity', got '0'");
    refused(H "cache_size: 99999999999999999999\n",
            "t.yml:2:13: option 'cache_size' must be a positive integer or 'infinity', got '99999999999999999999'");
    refused(H "ext_api_url: ftp://x\n", "t.yml:2:14: option 'ext_api_url' must be a URL, got 'ftp://x'");
    refused(H "language:\n", "t.yml:2:10: option 'language' must be a language tag, got nothing");
    refused(H "sql_password: [hunter2]\n", "t.yml:2:15: option 'sql_password' must be a text, got a list");
    refused(H "trusted_proxies: [127.0.0.1, x]\n",
            "t.yml:2:30: every entry of option 'trusted_proxies' must be an IP address or network, got 'x'");
    refused(
        H "modules:\n  mod_muc:\n    default_room_options:\n      max_users: many\n",
        "t.yml:5:18: option 'default_room_options.max_users' of module mod_muc must be a positive integer, got 'many'");
    refused(H "modules:\n  mod_muc:\n    regexp_room_id: \"(\"\n",
            "t.yml:4:21: option 'regexp_room_id' of module mod_muc must be a regular expression, got '('");
    refused(H "modules:\n  mod_muc:\n    host: \"a b.@HOST@\"\n",
            "t.yml:4:11: option 'host' of module mod_muc must be a domain name, which may contain @HOST@, got 'a "
            "b.localhost'");
    refused(
        H "listen:\n  - port: 5222\n    module: ejabberd_c2s\n    unix_socket:\n      mode: 0999\n",
        "t.yml:6:13: option 'unix_socket.mode' of listener ejabberd_c2s must be an octal mode like '0640', got '0999'");
}

static void test_rules_refused(void **state)
{
    refused(H "acl:\n  a:\n    usr: x\n", "t.yml:4:5: unknown acl type 'usr'; did you mean 'user'?");
    refused(H "acl:\n  a:\n    ip: 1.2.3.4/33\n",
            "t.yml:4:9: acl type 'ip' must be an IP address or network, got '1.2.3.4/33'");
    refused(H "acl:\n  a:\n    user: \"x@\"\n", "t.yml:4:11: acl type 'user' must be a name with a domain, got 'x@'");
    refused(H "acl:\n  a:\n    node_regexp: x\n",
            "t.yml:4:18: acl type 'node_regexp' must be of the form user@server, both patterns, got 'x'");
    refused(H "acl:\n  a:\n    user_regexp: \"a(\"\n",
            "t.yml:4:18: the regular expression 'a(' is wrong at its character 2: missing closing parenthesis");
    refused(H "acl:\n  all:\n    user: x\n", "t.yml:3:3: 'all' has its own meaning and cannot be the name of an acl");
    refused(H "acl:\n  a: b\n", "t.yml:3:6: acl 'a' must be a map of acl types, got 'b'");
    refused(H "acl: 5\n", "t.yml:2:6: option 'acl' must be a map, got '5'");
    refused(H "access_rules:\n  a:\n    alow: x\n",
            "t.yml:4:5: an access rule is made of 'allow' and 'deny', got 'alow'");
    refused(H "access_rules:\n  a: all\n",
            "t.yml:3:6: rule 'a' of option 'access_rules' must be a map or a list, got 'all'");
    refused(H "access_rules:\n  none:\n    allow: x\n",
            "t.yml:3:3: 'none' has its own meaning and cannot be the name of a rule");
    refused(H "oauth_access:\n  - alow: x\n", "t.yml:3:5: an access rule is made of 'allow' and 'deny', got 'alow'");
    refused(H "shaper:\n  a: -5\n",
            "t.yml:3:6: the rate of shaper 'a' must be a positive integer or 'infinity', got '-5'");
    refused(H "shaper:\n  b:\n    burst_size: 5\n", "t.yml:4:5: shaper 'b' has no 'rate'");
    refused(H "shaper:\n  b:\n    rate: 5\n    brust: 6\n",
            "t.yml:5:5: unknown option 'brust' of shaper 'b'; known are 'rate' and 'burst_size'");
    refused(H "shaper_rules:\n  c:\n    - 5: admin\n    - 0: all\n",
            "t.yml:5:7: a number in a shaper rule must be positive, got '0'");
}

/* --- what loads --- */

static void test_values(void **state)
{
    load_it("hosts:\n  - Example.TEST\n  - b\xc3\xbc"
            "cher.test\nloglevel: 4\ncache_size: unlimited\nnegotiation_timeout: 5 min\ncache_life_time: 1 hour\n"
            "log_rotate_size: infinity\nauth_method: mnesia\ndisable_sasl_mechanisms: [digest-md5, X]\nsql_password: "
            "\"secret\"\n"
            "shards: 3\nlog_format: json\nembedded_durability: crash\nmax_connections: 50\nc2s_ciphers: [AES, \"!X\"]\n"
            "sm_use_cache: off\ntls_record_layer: openssl\n");
    assert_int_equal(C->host_count, 2);
    assert_str(C->hosts[0].name, "example.test");
    assert_str(C->hosts[1].name, "b\xc3\xbc"
                                 "cher.test");
    assert_int_equal(C->hosts[1].index, 1);
    assert_ptr_equal(config_host(C, S("example.test")), &C->hosts[0]);
    assert_null(config_host(C, S("nosuch")));
    assert_str(opt_str(C->global, "loglevel"), "info");
    assert_true(opt_int(C->global, "cache_size") == OPT_INFINITY);
    assert_true(opt_int(C->global, "auth_cache_size") == OPT_INFINITY);
    assert_true(opt_int(C->hosts[0].options, "auth_cache_size") == OPT_INFINITY);
    assert_int_equal(opt_int(C->global, "negotiation_timeout"), 300000);
    assert_int_equal(opt_int(C->global, "auth_cache_life_time"), 3600000);
    assert_true(opt_int(C->global, "log_rotate_size") == OPT_INFINITY);
    assert_int_equal(opt_int(C->global, "shards"), 3);
    assert_int_equal(opt_int(C->global, "max_connections"), 50);
    assert_str(opt_str(C->global, "embedded_durability"), "crash");
    assert_str(opt_str(C->global, "tls_record_layer"), "openssl");
    assert_false(opt_bool(C->hosts[1].options, "sm_use_cache"));
    assert_true(opt_bool(C->hosts[1].options, "auth_use_cache"));
    const struct str *v;
    assert_int_equal(opt_list(C->global, "auth_method", &v), 1);
    assert_str(v[0], "mnesia");
    assert_int_equal(opt_list(C->global, "disable_sasl_mechanisms", &v), 2);
    assert_str(v[1], "X");
    assert_str(opt_str(C->global, "c2s_ciphers"), "AES:!X");
    assert_true(opt_is_set(C->global, "shards"));
    assert_false(opt_is_set(C->global, "language"));
}

static void test_defaults(void **state)
{
    load_it(H "default_db: sql\nsql_type: sqlite\nmodules:\n  mod_last: {}\n  mod_muc: {}\n  mod_scram_upgrade: {}\n  "
              "mod_disco: {}\n  mod_offline:\n"
              "  mod_register: {}\n");
    const struct str *v;
    assert_str(opt_str(C->global, "language"), "en");
    assert_str(opt_str(C->global, "resource_conflict"), "acceptnew");
    assert_str(opt_str(C->global, "auth_password_format"), "scram");
    assert_int_equal(opt_int(C->global, "negotiation_timeout"), 120000);
    assert_int_equal(opt_int(C->global, "shards"), 0);
    assert_true(opt_int(C->global, "max_connections") == OPT_INFINITY);
    assert_null(opt_str(C->global, "sql_database").p);
    assert_null(opt_node(C->global, "acl"));
    assert_int_equal(opt_list(C->global, "certfiles", &v), 0);
    assert_int_equal(opt_list(C->global, "auth_method", &v), 1);
    assert_str(v[0], "sql");
    assert_int_equal(opt_list(C->global, "outgoing_s2s_families", &v), 2);
    assert_str(v[0], "ipv6");
    const struct vhost *h = &C->hosts[0];
    assert_str(opt_str(config_module(h, S("mod_last")), "db_type"), "sql");
    assert_str(opt_str(config_module(h, S("mod_muc")), "host"), "conference.localhost");
    assert_int_equal(opt_list(config_module(h, S("mod_scram_upgrade")), "offered_upgrades", &v), 2);
    assert_str(v[1], "sha512");
    assert_str(opt_str(config_module(h, S("mod_disco")), "name"), "ejabberd");
    assert_str(opt_str(config_module(h, S("mod_offline")), "access_max_user_messages"), "max_user_offline_messages");
    assert_int_equal(opt_list(config_module(h, S("mod_register")), "allow_modules", &v), 1);
    assert_null(config_module(h, S("mod_ping")));
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"5", 5000},      {"5s", 5000},          {"5 sec", 5000},       {"5 SECONDS", 5000},
                {"2 m", 120000},  {"2 min", 120000},     {"2 minutes", 120000}, {"1 hour", 3600000},
                {"3h", 10800000}, {"2 days", 172800000}, {"\"1 d\"", 86400000}, {"\"7\"", 7000}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        char text[100];
        snprintf(text, sizeof(text), H "negotiation_timeout: %s\n", good[i].text);
        load_it(text);
        assert_int_equal(opt_int(C->global, "negotiation_timeout"), good[i].ms);
    }
    static const char *const bad[] = {
        "0", "-1", "1.5 hours", "5 weeks", "5 ms", "infinity", "x", "5 5", "99999999999999999999", "[5]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[100];
        struct error err = ERROR_INIT;
        snprintf(text, sizeof(text), H "negotiation_timeout: %s\n", bad[i]);
        if (config_parse("t.yml", str_of(text), NULL, &err))
            fail_msg("accepted %s", bad[i]);
    }
    load_it(H "outgoing_s2s_timeout: infinity\nmodules:\n  mod_stream_mgmt:\n    resume_timeout: 0\n  mod_muc:\n    "
              "min_message_interval: 0.25\n");
    assert_true(opt_int(C->global, "outgoing_s2s_timeout") == OPT_INFINITY);
    assert_int_equal(opt_int(config_module(&C->hosts[0], S("mod_stream_mgmt")), "resume_timeout"), 0);
    assert_int_equal(opt_int(config_module(&C->hosts[0], S("mod_muc")), "min_message_interval"), 250);
}

static void test_listeners(void **state)
{
    load_it(H "listen:\n  - port: 5222\n    ip: \"::\"\n    module: ejabberd_c2s\n    max_stanza_size: 1000\n    "
              "starttls_required: yes\n"
              "    max_connections: 7\n    unix_socket:\n      mode: \"0640\"\n  - port: \"unix:/tmp/s\"\n    module: "
              "ejabberd_http\n    tag: x\n"
              "    request_handlers:\n      /api: mod_http_api\n  - port: 5478\n    transport: udp\n    module: "
              "ejabberd_stun\n");
    assert_int_equal(C->listener_count, 3);
    const struct listen_conf *l = C->listeners;
    assert_str(l[0].module, "ejabberd_c2s");
    assert_int_equal(l[0].port, 5222);
    assert_int_equal(l[0].ip.family, 6);
    assert_int_equal(opt_int(l[0].options, "max_stanza_size"), 1000);
    assert_true(opt_bool(l[0].options, "starttls_required"));
    assert_false(opt_bool(l[0].options, "tls"));
    assert_int_equal(opt_int(l[0].options, "max_connections"), 7);
    assert_int_equal(opt_int(l[0].options, "backlog"), 128);
    assert_int_equal(opt_int(l[0].options, "send_timeout"), 15000);
    assert_str(opt_str(l[0].options, "access"), "all");
    assert_str(opt_str(l[0].options, "shaper"), "none");
    assert_str(yaml_get(opt_node(l[0].options, "unix_socket"), S("mode"))->text, "0640");
    assert_str(l[1].unix_path, "/tmp/s");
    assert_int_equal(l[1].ip.family, 4);
    assert_str(opt_str(l[1].options, "tag"), "x");
    assert_true(opt_int(l[1].options, "max_connections_per_ip") == OPT_INFINITY);
    assert_true(l[2].udp);
    assert_string_equal(C->warnings[C->warning_count - 1], "t.yml:18:13: listener 'ejabberd_stun' has no effect yet");
}

static void test_warnings(void **state)
{
    load_it(H "s2s_zlib: true\nlisten:\n  - port: 5222\n    module: ejabberd_c2s\n    zlib: false\n    access: "
              "nosuch\n    shaper: nono\n"
              "  - port: 5223\n    module: ejabberd_c2s\n    zlib: true\n  - port: 5280\n    module: ejabberd_http\n   "
              " request_handlers:\n"
              "      /a: mod_bosh\n      /b: mod_bosh\n      /c: ejabberd_captcha\n      /d: ejabberd_captcha\n"
              "auth_method: [mnesia, external]\nmodules:\n  mod_bosh:\n    json: true\n  mod_last:\n    use_cache: true\n"
              "host_config:\n  localhost:\n    s2s_zlib: false\n");
    static const char *const want[] = {
        "t.yml:2:1: option 's2s_zlib' has no effect yet",
        "t.yml:21:3: module 'mod_bosh' has no effect yet",
        "t.yml:24:5: option 'use_cache' of module mod_last has no effect yet",
        "t.yml:6:5: option 'zlib' of listener ejabberd_c2s has no effect yet",
        "t.yml:7:13: access rule 'nosuch' is not defined: it allows nobody",
        "t.yml:8:13: shaper rule 'nono' is not defined: no limit",
        "t.yml:17:11: request handler 'ejabberd_captcha' has no effect yet",
    };
    assert_warnings(want, ARRAY_LEN(want));
    load_it(H "default_db: sql\nsql_type: pgsql\n");
    static const char *const sql[] = {
        "t.yml:3:11: sql_type 'pgsql' has no effect yet: only sqlite is supported, the embedded store is used"};
    assert_warnings(sql, ARRAY_LEN(sql));
}

/* Data that a module keeps elsewhere is not looked for there; options of its store are its own. */
static void test_stores_of_modules(void **state)
{
    const char *const want[] = {
        "t.yml:3:25: db_type 'sql' of module mod_roster has no effect yet: all data is in one place, which default_db "
        "'mnesia' names"};
    load_it("hosts: [a.test]\nmodules:\n  mod_roster: {db_type: sql}\n  mod_vcard: {db_type: ldap, ldap_base: x}\n"
            "  mod_private: {}\n");
    assert_warnings(want, ARRAY_LEN(want));
    assert_true(str_eq(opt_str(config_module(&C->hosts[0], S("mod_vcard")), "ldap_base"), S("x")));
    load_it("hosts: [a.test]\nmodules:\n  mod_vcard: {db_type: mnesia, search_all_hosts: false}\n");
    assert_warnings(NULL, 0);
    assert_false(opt_bool(config_module(&C->hosts[0], S("mod_vcard")), "search_all_hosts"));
}

static void test_stock(void **state)
{
    struct error err = ERROR_INIT;
    C = config_load(FIXTURES "/stock.yml", NULL, &err);
    if (!C)
        fail_msg("%s", err.text);
    assert_int_equal(C->listener_count, 7);
    assert_int_equal(C->hosts[0].module_count, 39);
    if (arena_size(C->arena) > 150000)
        fail_msg("the stock configuration takes %zu bytes", arena_size(C->arena));
    for (size_t i = 0; i < C->warning_count; i++)
        if (!strstr(C->warnings[i], "has no effect yet"))
            fail_msg("%s", C->warnings[i]);
    assert_str(opt_str(C->listeners[0].options, "shaper"), "c2s_shaper");
    assert_str(opt_str(config_module(&C->hosts[0], S("mod_http_upload")), "put_url"), "https://localhost:5443/upload");
}

/* --- includes, macros, keywords --- */

static char dir[64];

static const char *path_of(const char *name)
{
    return arena_cstr(A, arena_printf(A, "%s/%s", dir, name));
}

static void put_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup_dir(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/cjabberd-config-XXXXXX");
    return mkdtemp(dir) ? setup(state) : -1;
}

static int teardown_dir(void **state)
{
    static const char *const names[] = {"main.yml", "a.yml", "b.yml", "sub/c.yml"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(path_of(names[i]));
    rmdir(path_of("sub"));
    rmdir(dir);
    return teardown(state);
}

static void load_main(void)
{
    struct error err = ERROR_INIT;
    C = config_load(path_of("main.yml"), NULL, &err);
    if (!C)
        fail_msg("%s", err.text);
}

static void main_refused(const char *fmt)
{
    struct error err = ERROR_INIT;
    assert_null(config_load(path_of("main.yml"), NULL, &err));
    struct str want = STR_NULL, rest = str_of(fmt), part;
    while (str_split(&rest, '$', &part))
        want = arena_printf(A, "%.*s%s%.*s", STR_ARG(want), want.p ? dir : "", STR_ARG(part));
    assert_string_equal(err.text, arena_cstr(A, want));
}

static void test_includes(void **state)
{
    mkdir(path_of("sub"), 0700);
    put_file("main.yml", "include_config_file:\n  - a.yml\n  - ./sub/c.yml: {disallow: [listen]}\n  - b.yml:\n      "
                         "allow_only: [language]\n"
                         "define_macro:\n  X: de\nhost_config:\n  one.test:\n    resource_conflict: closeold\n");
    put_file("a.yml", "hosts: [one.test, two.test]\ndefine_macro:\n  Y: info\nloglevel: Y\nhost_config:\n  two.test:\n "
                      "   language: fr\n");
    put_file("b.yml", "language: X\nfqdn: [x.test]\n");
    put_file("sub/c.yml", "listen:\n  - port: 1\n    module: ejabberd_c2s\nshards: 2\n");
    load_main();
    assert_int_equal(C->host_count, 2);
    assert_str(opt_str(C->global, "language"), "de");
    assert_str(opt_str(C->hosts[1].options, "language"), "fr");
    assert_str(opt_str(C->hosts[0].options, "resource_conflict"), "closeold");
    assert_int_equal(opt_int(C->global, "shards"), 2);
    assert_int_equal(C->listener_count, 0);
    assert_true(C->warning_count >= 2);
    assert_non_null(
        strstr(C->warnings[0], "sub/c.yml:1:1: option 'listen' is not allowed in this included file and left out"));
    assert_non_null(
        strstr(C->warnings[1], "b.yml:2:1: option 'fqdn' is not allowed in this included file and left out"));
}

static void test_includes_refused(void **state)
{
    put_file("main.yml", "hosts: [a.test]\ninclude_config_file: a.yml\n");
    main_refused("$/main.yml:2:22: $/a.yml: cannot be opened: No such file or directory");
    put_file("a.yml", "loglevel: info\nlanguag: de\n");
    main_refused("$/a.yml:2:1: unknown option 'languag'; did you mean 'language'?");
    put_file("a.yml", "loglevel: info\nhosts: [b.test]\n");
    main_refused("$/a.yml:2:1: option 'hosts' is given twice, first at $/main.yml:1:1");
    put_file("a.yml", "include_config_file: a.yml\n");
    main_refused("$/a.yml:1:22: too many included files, or files that include each other");
    put_file("a.yml", "a: [\n");
    main_refused("$/main.yml:2:22: $/a.yml:2:1: did not find expected node content");
    put_file("main.yml", "hosts: [a.test]\ninclude_config_file:\n  a.yml:\n    only: [x]\n");
    main_refused(
        "$/main.yml:4:5: unknown option 'only' of option 'include_config_file'; known are 'allow_only' and 'disallow'");
    refused(H "include_config_file: x.yml\n", "t.yml:2:22: files cannot be included here");
}

static void test_macros(void **state)
{
    load_it(H "define_macro:\n  LANG: L2\n  L2: de\n  PORT: 5222\n  ADM:\n    user: admin@localhost\n  ON: true\n  "
              "MODS:\n    mod_ping: {}\n"
              "language: LANG\next_api_url: \"http://@L2@/x@NOSUCH@y@PORT@\"\nacl:\n  admin: ADM\nlisten:\n  - port: "
              "PORT\n    module: ejabberd_c2s\n"
              "    tls: ON\nmodules: MODS\ncaptcha_cmd: \"LANG LANG\"\ncaptcha_host: \"@L2@\"\n");
    assert_str(opt_str(C->global, "language"), "de");
    assert_str(opt_str(C->global, "ext_api_url"), "http://de/x@NOSUCH@y5222");
    assert_int_equal(C->listeners[0].port, 5222);
    assert_true(opt_bool(C->listeners[0].options, "tls"));
    assert_non_null(config_module(&C->hosts[0], S("mod_ping")));
    assert_str(opt_str(C->global, "captcha_cmd"), "LANG LANG");
    assert_str(opt_str(C->global, "captcha_host"), "de");
    refused(H "define_macro:\n  A: B\n  B: A\nlanguage: A\n", "t.yml:4:6: 'A' is defined by itself");
    refused(H "define_macro:\n  A: \"x@A@\"\nlanguage: A\n", "t.yml:3:6: 'A' is defined by itself");
    refused(H "define_macro:\n  A: [x]\nloglevel: A\n",
            "t.yml:3:6: option 'loglevel' must be one of 'none', 'emergency', 'alert', 'critical', 'error', 'warning', "
            "'notice', 'info', "
            "'debug' or an integer from 0 to 5, got a list");
    refused(H "define_macro: 5\n", "t.yml:2:15: option 'define_macro' must be a map, got '5'");
    refused(H "host_config:\n  localhost:\n    define_macro:\n      A: 1\n",
            "t.yml:4:5: option 'define_macro' holds for the whole server and is not allowed in host_config");
    refused(H "define_macro:\n  A: [x,x,x,x,x,x,x,x,x,x]\n  B: [A,A,A,A,A,A,A,A,A,A]\n  C: [B,B,B,B,B,B,B,B,B,B]\n  D: "
              "[C,C,C,C,C,C,C,C,C,C]\n"
              "  E: [D,D,D,D,D,D,D,D,D,D]\nfqdn: E\n",
            "t.yml:1:1: the configuration grows beyond 100000 nodes");
}

static void test_environment(void **state)
{
    setenv("EJABBERD_MACRO_LANG", "fr", 1);
    setenv("EJABBERD_MACRO_PORT", "7777", 1);
    load_it(H "define_macro:\n  LANG: de\nlanguage: LANG\nlisten:\n  - port: PORT\n    module: ejabberd_c2s\n");
    assert_str(opt_str(C->global, "language"), "fr");
    assert_int_equal(C->listeners[0].port, 7777);
    setenv("EJABBERD_MACRO_PORT", "many", 1);
    refused(H "listen:\n  - port: PORT\n    module: ejabberd_c2s\n",
            "environment variable EJABBERD_MACRO_PORT: option 'port' of listener ejabberd_c2s must be an integer from "
            "0 to 65535 or "
            "\"unix:PATH\", got 'many'");
    unsetenv("EJABBERD_MACRO_LANG");
    unsetenv("EJABBERD_MACRO_PORT");
}

static void test_keywords(void **state)
{
    load_it("hosts: [localhost, example.test]\ndefine_macro:\n  BOTH: macro\n  INNER: \"tools/@K@\"\ndefine_keyword:\n "
            " K: captcha.sh\n  BOTH: keyword\n"
            "  HOSTNAME: Generic\n  LANG: de\nhost_config:\n  example.test:\n    define_keyword:\n      HOSTNAME: "
            "Example\n      VERSION: 1.2.3\n"
            "ext_api_url: \"http://localhost/@VERSION@/api\"\ncaptcha_cmd: INNER\ncaptcha_host: BOTH\nlanguage: "
            "LANG\nqueue_dir: \"@SPOOL_PATH@/q\"\n"
            "ext_api_path_oauth: \"@SEMVER@ @CONFIG_PATH@ @LOGS_PATH@\"\n"
            "modules:\n  mod_vcard:\n    name: \"vJUD of @HOSTNAME@\"\n    host: \"v.@HOST@\"\n  mod_disco:\n    name: "
            "HOST\n");
    assert_str(opt_str(C->global, "captcha_cmd"), "tools/captcha.sh");
    assert_str(opt_str(C->global, "captcha_host"), "macro");
    assert_str(opt_str(C->global, "language"), "de");
    assert_str(opt_str(C->global, "queue_dir"), "/spool/q");
    assert_str(opt_str(C->global, "ext_api_path_oauth"), "25.3.0 /conf /logs");
    assert_str(opt_str(C->global, "ext_api_url"), "http://localhost/25.03/api");
    assert_str(opt_str(C->hosts[0].options, "ext_api_url"), "http://localhost/25.03/api");
    assert_str(opt_str(C->hosts[1].options, "ext_api_url"), "http://localhost/1.2.3/api");
    assert_str(opt_str(config_module(&C->hosts[0], S("mod_vcard")), "name"), "vJUD of Generic");
    assert_str(opt_str(config_module(&C->hosts[1], S("mod_vcard")), "name"), "vJUD of Example");
    assert_str(opt_str(config_module(&C->hosts[1], S("mod_vcard")), "host"), "v.example.test");
    assert_str(opt_str(config_module(&C->hosts[0], S("mod_disco")), "name"), "localhost");
}

static void test_hosts(void **state)
{
    load_it("hosts: [a.test, b.test, c.test]\nlanguage: en\ncache_size: 5\ndisable_sasl_mechanisms: [x, y]\nmodules:\n "
            " mod_ping: {}\n"
            "host_config:\n  B.test:\n    language: de\n    cache_size: 9\n    modules:\n      mod_last: {}\n"
            "append_host_config:\n  c.test:\n    disable_sasl_mechanisms: z\n    modules:\n      mod_time: {}\n");
    const struct vhost *a = &C->hosts[0], *b = &C->hosts[1], *c = &C->hosts[2];
    const struct str *v;
    assert_ptr_equal(a->options, C->global);
    assert_str(opt_str(b->options, "language"), "de");
    assert_str(opt_str(c->options, "language"), "en");
    assert_int_equal(opt_int(a->options, "auth_cache_size"), 5);
    assert_int_equal(opt_int(b->options, "auth_cache_size"), 9);
    assert_int_equal(opt_int(config_module(b, S("mod_last")), "cache_size"), 9);
    assert_null(config_module(b, S("mod_ping")));
    assert_non_null(config_module(c, S("mod_ping")));
    assert_non_null(config_module(c, S("mod_time")));
    assert_null(config_module(a, S("mod_time")));
    assert_int_equal(opt_list(c->options, "disable_sasl_mechanisms", &v), 3);
    assert_str(v[2], "z");
    assert_int_equal(opt_list(a->options, "disable_sasl_mechanisms", &v), 2);
    assert_true(opt_is_set(b->options, "language"));
}

/* --- dump, diff, life --- */

static void test_dump(void **state)
{
    load_it(H "define_macro:\n  LANG: de\nlanguage: LANG\nsql_password: hunter2\nsql_server: "
              "\"DSN=x;PWD=hunter2\"\ndefine_keyword:\n  SECRET: hunter2\n"
              "listen:\n  - port: 5347\n    module: ejabberd_service\n    password: hunter2\n    hosts:\n      "
              "c.test:\n        password: hunter2\n"
              "modules:\n  mod_http_upload:\n    external_secret: hunter2\n    put_url: "
              "\"https://@HOST@/\"\naccess_rules:\n  r:\n    deny: a\n    deny: b\n    allow: all\n");
    struct str text = config_dump(A, C, false), hidden = config_dump(A, C, true);
    assert_non_null(strstr(text.p, "hosts:\n  - localhost\nlanguage: de\nsql_password: hunter2\n"));
    assert_null(strstr(text.p, "define_macro"));
    assert_null(strstr(hidden.p, "hunter2"));
    assert_non_null(strstr(hidden.p, "sql_password: \"***\""));
    assert_non_null(strstr(text.p, "https://@HOST@/"));
    assert_non_null(strstr(text.p, "    deny: a\n    deny: b\n"));
    struct config *again = load_text(arena_cstr(A, text));
    assert_true(str_eq(config_dump(A, again, false), text));
    config_release(&again);
}

static void test_dump_stock(void **state)
{
    struct error err = ERROR_INIT;
    C = config_load(FIXTURES "/stock.yml", NULL, &err);
    assert_non_null(C);
    struct str text = config_dump(A, C, false);
    /* The recorded dump is checked for these. */
    assert_non_null(strstr(text.p, "hosts:"));
    assert_non_null(strstr(text.p, "modules:"));
    assert_non_null(strstr(text.p, "listen:"));
    struct config *again = load_text(arena_cstr(A, text));
    assert_int_equal(again->warning_count, C->warning_count);
    assert_true(str_eq(config_dump(A, again, false), text));
    config_release(&again);
}

static void test_diff(void **state)
{
    const char *head =
        H "listen:\n  - port: 1\n    module: ejabberd_c2s\n  - port: 2\n    module: ejabberd_c2s\n    tls: true\n";
    struct config *was = load_text(arena_cstr(A, arena_printf(A, "%s  - port: 3\n    module: ejabberd_http\n", head)));
    struct config *now =
        load_text(H "listen:\n  - port: 4\n    module: ejabberd_http\n  - port: 1\n    module: ejabberd_c2s\n"
                    "  - port: 2\n    module: ejabberd_c2s\n    tls: false\n");
    const struct listener_change *v;
    assert_int_equal(config_diff_listeners(A, was, was, &v), 0);
    assert_int_equal(config_diff_listeners(A, was, now, &v), 3);
    assert_int_equal(v[0].kind, LISTENER_STOP);
    assert_int_equal(v[0].was->port, 3);
    assert_int_equal(v[1].kind, LISTENER_START);
    assert_int_equal(v[1].now->port, 4);
    assert_int_equal(v[2].kind, LISTENER_RESTART);
    assert_int_equal(v[2].was->port, 2);
    assert_ptr_equal(v[2].now, &now->listeners[2]);
    assert_int_equal(config_diff_listeners(A, NULL, now, &v), 3);
    assert_int_equal(v[0].kind, LISTENER_START);
    struct config *ciphers =
        load_text(arena_cstr(A, arena_printf(A, "c2s_ciphers: X\n%s  - port: 3\n    module: ejabberd_http\n", head)));
    assert_int_equal(config_diff_listeners(A, was, ciphers, &v), 2); /* the two of c2s */
    config_release(&was);
    config_release(&now);
    config_release(&ciphers);
}

static void test_install(void **state)
{
    assert_null(config_current());
    struct config *c = load_text(H);
    config_install(c);
    assert_ptr_equal(config_current(), c);
    struct config *kept = config_hold(config_current());
    struct config *next = load_text("hosts: [b.test]\n");
    config_install(next);
    config_release(&next);
    config_release(&c);
    assert_null(c);
    assert_str(kept->hosts[0].name, "localhost");
    assert_str(config_current()->hosts[0].name, "b.test");
    config_release(&kept);
    config_install(NULL);
    assert_null(config_current());
}

/* A thousand hosts with options of their own: loading stays fast enough to do on reload. */
static void test_many_hosts(void **state)
{
    struct buf b = BUF_INIT;
    buf_add_str(&b, S("modules:\n  mod_ping: {}\n  mod_disco:\n    name: \"@HOST@\"\nhosts:\n"));
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "  - h%d.test\n", i);
    buf_add_str(&b, S("host_config:\n"));
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "  h%d.test:\n    language: de\n", i);
    buf_add_c(&b, 0);
    load_it(b.p);
    buf_deinit(&b);
    assert_int_equal(C->host_count, 1000);
    const struct vhost *h = config_host(C, S("h777.test"));
    assert_str(opt_str(h->options, "language"), "de");
    assert_str(opt_str(config_module(h, S("mod_disco")), "name"), "h777.test");
}

static void test_addresses_in_the_log(void **state)
{
    char out[IP_TEXT_MAX];
    struct ip ip;
    assert_true(ip_parse(S("192.0.2.1"), &ip));
    load_it("hosts: [a.test, b.test]\nhide_sensitive_log_data: true\nhost_config:\n  b.test: {hide_sensitive_log_data: false}\n");
    assert_string_equal(config_log_ip(config_host(C, S("a.test")), &ip, out), "hidden");
    assert_string_equal(config_log_ip(config_host(C, S("b.test")), &ip, out), "192.0.2.1");
    assert_string_equal(config_log_ip(NULL, &ip, out), "192.0.2.1");
    log_set_hides(true);
    assert_string_equal(config_log_ip(NULL, &ip, out), "hidden");
    assert_string_equal(config_log_ip(config_host(C, S("b.test")), &ip, out), "192.0.2.1");
    log_set_hides(false);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_table_names),
        TEST(test_table_form),
        TEST(test_table_effects),
        TEST(test_unknown),
        TEST(test_twice),
        TEST(test_types),
        TEST(test_rules_refused),
        TEST(test_values),
        TEST(test_defaults),
        TEST(test_times),
        TEST(test_listeners),
        TEST(test_warnings),
        TEST(test_stores_of_modules),
        TEST(test_stock),
        TEST(test_addresses_in_the_log),
        cmocka_unit_test_setup_teardown(test_includes, setup_dir, teardown_dir),
        cmocka_unit_test_setup_teardown(test_includes_refused, setup_dir, teardown_dir),
        TEST(test_macros),
        TEST(test_environment),
        TEST(test_keywords),
        TEST(test_hosts),
        TEST(test_dump),
        TEST(test_dump_stock),
        TEST(test_diff),
        TEST(test_install),
        TEST(test_many_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
