/* core/config/access.h: acl types, access rules in both spellings, shaper rules, rules in place, per host. */
#include "core/config/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

static void load_text(const char *text)
{
    struct error err = ERROR_INIT;
    config_release(&C);
    C = config_parse("t.yml", str_of(text), NULL, &err);
    if (!C)
        fail_msg("%s", err.text);
}

static struct access_subject who(const char *jid, const char *ip)
{
    struct access_subject s = {0};
    if (jid && !jid_parse(A, str_of(jid), &s.jid))
        fail_msg("bad address %s", jid);
    if (ip && !ip_parse(str_of(ip), &s.ip))
        fail_msg("bad ip %s", ip);
    return s;
}

static bool acl(const char *name, const char *jid, const char *ip)
{
    struct access_subject s = who(jid, ip);
    return acl_match(&C->hosts[0], str_of(name), &s);
}

static bool rule(const char *name, const char *jid, const char *ip)
{
    struct access_subject s = who(jid, ip);
    return access_allowed_name(&C->hosts[0], str_of(name), &s);
}

#define HOSTS "hosts: [localhost, example.test]\n"

static void test_user(void **state)
{
    load_text(HOSTS "acl:\n  a:\n    user: admin@localhost\n  b:\n    user: [x, Y@example.test]\n  c:\n    - user: x\n "
                    "   - user: {z: localhost}\n"
                    "  d:\n    user:\n      - m: [localhost, other.test]\n      - n: localhost\n  e:\n    user: p\n    "
                    "user: q@localhost\n"
                    "  f:\n    user: admin@LOCALHOST\n");
    assert_true(acl("a", "admin@localhost", NULL));
    assert_true(acl("a", "ADMIN@localhost/res", NULL));
    assert_false(acl("a", "admin@example.test", NULL));
    assert_false(acl("a", "admin2@localhost", NULL));
    assert_false(acl("a", NULL, "127.0.0.1"));
    assert_true(acl("b", "x@localhost", NULL));
    assert_true(acl("b", "x@example.test", NULL));
    assert_false(acl("b", "x@elsewhere.test", NULL));
    assert_true(acl("b", "y@example.test", NULL));
    assert_false(acl("b", "y@localhost", NULL));
    assert_true(acl("c", "x@localhost", NULL));
    assert_true(acl("c", "z@localhost", NULL));
    assert_false(acl("c", "z@example.test", NULL));
    assert_true(acl("d", "m@other.test", NULL));
    assert_true(acl("d", "n@localhost", NULL));
    assert_false(acl("d", "n@other.test", NULL));
    assert_true(acl("e", "p@example.test", NULL));
    assert_true(acl("e", "q@localhost", NULL));
    assert_true(acl("f", "admin@localhost", NULL));
    assert_false(acl("nosuch", "admin@localhost", NULL));
    assert_true(acl("all", NULL, NULL));
    assert_false(acl("none", "admin@localhost", "127.0.0.1"));
}

static void test_patterns(void **state)
{
    load_text(HOSTS
              "acl:\n  local:\n    user_regexp: \"\"\n  re:\n    user_regexp: [\"^test[0-9]*$\", \"^adm@other.test\"]\n"
              "  map:\n    user_regexp:\n      \"^m\": other.test\n  srv:\n    server_regexp: \"^icq\\\\.\"\n  node:\n "
              "   node_regexp: \"^yo.*@^ex\"\n"
              "  node2:\n    node_regexp: {\"^yo\": \"test$\"}\n  ug:\n    user_glob: [\"b*t\", \"q?@other.test\"]\n  "
              "sg:\n    server_glob: \"*.test\"\n"
              "  ng:\n    node_glob: \"[a-c]*@*.org\"\n  r:\n    resource: Home\n  rr:\n    resource_regexp: "
              "\"^lap\"\n  rg:\n    resource_glob: \"*top\"\n"
              "  s:\n    server: OTHER.test\n");
    assert_true(acl("local", "any@localhost", NULL));
    assert_true(acl("local", "any@example.test", NULL));
    assert_false(acl("local", "any@other.test", NULL));
    assert_false(acl("local", NULL, "127.0.0.1"));
    assert_true(acl("re", "test12@localhost", NULL));
    assert_false(acl("re", "test12x@localhost", NULL));
    assert_false(acl("re", "test12@other.test", NULL));
    assert_true(acl("re", "admin@other.test", NULL));
    assert_false(acl("re", "admin@localhost", NULL));
    assert_true(acl("map", "mike@other.test", NULL));
    assert_false(acl("map", "mike@localhost", NULL));
    assert_true(acl("srv", "x@icq.example", NULL));
    assert_false(acl("srv", "x@xicq.example", NULL));
    assert_true(acl("node", "yozhik@example.org", NULL));
    assert_false(acl("node", "yozhik@localhost", NULL));
    assert_true(acl("node2", "yo@a.test", NULL));
    assert_false(acl("node2", "yo@a.org", NULL));
    assert_true(acl("ug", "bt@localhost", NULL));
    assert_true(acl("ug", "best@localhost", NULL));
    assert_false(acl("ug", "bestx@localhost", NULL));
    assert_true(acl("ug", "q1@other.test", NULL));
    assert_false(acl("ug", "q12@other.test", NULL));
    assert_true(acl("sg", "x@a.test", NULL));
    assert_false(acl("sg", "x@test", NULL));
    assert_true(acl("ng", "bob@x.org", NULL));
    assert_false(acl("ng", "dan@x.org", NULL));
    assert_true(acl("r", "x@y/Home", NULL));
    assert_false(acl("r", "x@y/home", NULL));
    assert_false(acl("r", "x@y", NULL));
    assert_true(acl("rr", "x@y/laptop", NULL));
    assert_true(acl("rg", "x@y/laptop", NULL));
    assert_false(acl("rg", "x@y/phone", NULL));
    assert_true(acl("s", "x@other.test", NULL));
    assert_true(acl("s", "other.test", NULL));
}

static void test_globs(void **state)
{
    static const struct {
        const char *glob, *text;
        bool want;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "abc", true},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"a*c", "abbbc", true},
        {"a*c*", "ac", true},
        {"a**c", "axc", true},
        {"a*b*c", "axxbyyc", true},
        {"a*b*c", "axxcyyb", false},
        {"?", "a", true},
        {"?", "", false},
        {"?", "\xc3\xa9", true},
        {"??", "\xc3\xa9", false},
        {"[abc]x", "bx", true},
        {"[a-c]", "d", false},
        {"[!a-c]", "d", true},
        {"[!a-c]", "b", false},
        {"[]]", "]", true},
        {"[a-]", "-", true},
        {"[", "[", true},
        {"[ab", "[ab", true},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true},
        {"*[0-9]", "room7", true},
        {"*[0-9]", "room", false},
        {"*.*", "a.b.c", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[200];
        snprintf(text, sizeof(text), HOSTS "acl:\n  g:\n    resource_glob: \"%s\"\n", cases[i].glob);
        load_text(text);
        char jid[100];
        snprintf(jid, sizeof(jid), *cases[i].text ? "u@h/%s" : "u@h%s", cases[i].text);
        if (acl("g", jid, NULL) != cases[i].want)
            fail_msg("glob %s text %s", cases[i].glob, cases[i].text);
    }
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* An expression that backtracks for ages ends at its bound, without a match; so does a glob of many stars. */
static void test_bounded(void **state)
{
    load_text(HOSTS "acl:\n  evil:\n    resource_regexp: \"^(a+)+$\"\n  stars:\n    resource_glob: "
                    "\"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b\"\n");
    char jid[200] = "u@h/";
    memset(jid + 4, 'a', 150);
    jid[154] = '!';
    double start = seconds();
    assert_false(acl("evil", jid, NULL));
    assert_false(acl("stars", jid, NULL));
    assert_true(seconds() - start < 2.0);
}

static void test_ip(void **state)
{
    load_text(HOSTS "acl:\n  loop:\n    ip:\n      - 127.0.0.0/8\n      - ::1/128\n  one:\n    ip: 192.0.2.7\n  "
                    "bits:\n    ip: 127.0.0.1/8\n"
                    "  net6:\n    ip: 2001:db8::/32\n");
    assert_true(acl("loop", NULL, "127.3.2.1"));
    assert_true(acl("loop", NULL, "::1"));
    assert_true(acl("loop", NULL, "::ffff:127.0.0.1"));
    assert_false(acl("loop", NULL, "128.0.0.1"));
    assert_false(acl("loop", "a@localhost", NULL));
    assert_true(acl("one", NULL, "192.0.2.7"));
    assert_false(acl("one", NULL, "192.0.2.8"));
    assert_true(acl("bits", NULL, "127.9.9.9"));
    assert_true(acl("net6", NULL, "2001:db8:1::5"));
    assert_false(acl("net6", NULL, "2001:db9::5"));
}

static void test_names(void **state)
{
    load_text(
        HOSTS
        "acl:\n  a:\n    user: x@localhost\n  b:\n    acl: a\n  c:\n    acl: d\n  d:\n    acl: c\n  e: all\n  f: none\n"
        "  g: []\n");
    assert_true(acl("b", "x@localhost", NULL));
    assert_false(acl("b", "y@localhost", NULL));
    assert_false(acl("c", "x@localhost", NULL)); /* they name each other */
    assert_true(acl("e", NULL, NULL));
    assert_false(acl("f", "x@localhost", NULL));
    assert_false(acl("g", "x@localhost", NULL));
}

static enum group_answer answer_group(struct str group, struct str host, struct jid who)
{
    if (str_eq(group, S("lost")))
        return GROUP_UNKNOWN;
    bool in = str_eq(group, S("team")) && str_eq(host, S("localhost")) && str_eq(jid_user(who), S("x"));
    return in ? GROUP_IN : GROUP_OUT;
}

static const char groups[] =
    HOSTS "modules:\n  mod_shared_roster: {}\nacl:\n  bare:\n    shared_group: team\n"
          "  there:\n    shared_group:\n      - team: LOCALHOST\n      - staff: example.test\n"
          "  elsewhere:\n    shared_group: {team: example.test}\n  lost:\n    shared_group: {lost: localhost}\n"
          "access_rules:\n  closed:\n    - deny: lost\n    - allow: all\n  open:\n    - allow: lost\n"
          "  members:\n    - allow: {acl: there, user: {x: localhost}}\n"
          "  in_place:\n    - deny:\n        shared_group: team\n    - allow: all\n";

static void test_shared_groups(void **state)
{
    load_text(groups);
    assert_int_equal(C->warning_count, 0);
    assert_true(C->hosts[0].groups_named && C->hosts[1].groups_named);
    access_groups_from(answer_group);
    assert_true(acl("bare", "x@localhost/r", NULL)); /* of the host whose rules are asked */
    assert_true(acl("bare", "x@example.test", NULL));
    struct access_subject x = who("x@example.test", NULL);
    assert_false(acl_match(&C->hosts[1], S("bare"), &x));
    assert_true(acl("there", "x@localhost", NULL));
    assert_false(acl("there", "y@localhost", NULL));
    assert_false(acl("elsewhere", "x@localhost", NULL));
    assert_false(acl("there", NULL, NULL));
    assert_true(rule("members", "x@localhost", NULL));
    assert_false(rule("members", "y@localhost", NULL));
    assert_false(rule("in_place", "x@localhost", NULL));
    assert_true(rule("in_place", "y@localhost", NULL));
    access_groups_from(NULL);
}

/* What cannot be known allows nobody and denies everybody; nobody is nobody's member. */
static void test_shared_groups_fail_closed(void **state)
{
    load_text(groups);
    for (int known = 0; known < 2; known++) {
        access_groups_from(known ? answer_group : NULL);
        assert_false(rule("closed", "x@localhost", NULL));
        assert_false(rule("open", "x@localhost", NULL));
        assert_false(acl("lost", "x@localhost", NULL));
        assert_true(rule("closed", NULL, NULL));
        struct access_subject best = who("x@localhost", NULL); /* what could be allowed at best */
        best.any_ip = true;
        assert_true(access_allowed_name(&C->hosts[0], S("closed"), &best));
        assert_true(access_allowed_name(&C->hosts[0], S("open"), &best));
    }
    access_groups_from(NULL);
}

static void test_shared_groups_that_nobody_knows(void **state)
{
    load_text("hosts: [localhost]\nacl:\n  i:\n    shared_group: {team: localhost}\n"
              "access_rules:\n  c2s:\n    - deny:\n        shared_group: {staff: remote.test}\n");
    assert_int_equal(C->warning_count, 2);
    assert_string_equal(C->warnings[0], "t.yml:4:26: acl 'i' names shared group 'team' of host 'localhost', where "
                                        "mod_shared_roster is not enabled: it matches nobody in 'allow' and everybody in 'deny'");
    assert_non_null(strstr(C->warnings[1], "access rule 'c2s' names shared group 'staff' of host 'remote.test', where"));
}

static void test_rules(void **state)
{
    load_text(HOSTS
              "acl:\n  admin:\n    user: admin@localhost\naccess_rules:\n"
              "  map:\n    deny: blocked\n    allow: all\n"
              "  list:\n    - deny: admin\n    - allow\n"
              "  repeated:\n    deny: nosuch\n    deny: admin\n    deny:\n      ip: 192.0.2.0/24\n    allow: all\n"
              "  anded:\n    allow:\n      user: bot@localhost\n      ip: 10.0.0.0/24\n"
              "  anded2:\n    - allow:\n      - user: bot@localhost\n      - ip: 10.0.0.0/24\n    - allow: admin\n"
              "  never:\n    allow:\n      user: [a@localhost, b@localhost]\n"
              "  acls:\n    allow:\n      - acl: admin\n      - acl: all\n"
              "  names:\n    allow:\n      - admin\n      - ip: 127.0.0.1\n"
              "  empty: {}\n  nothing:\n    - deny\n  unknown:\n    allow: nosuch\n  bare:\n    allow:\n");
    assert_true(rule("map", "admin@localhost", NULL));
    assert_true(rule("map", NULL, NULL));
    assert_false(rule("list", "admin@localhost", NULL));
    assert_true(rule("list", "x@localhost", NULL));
    assert_false(rule("repeated", "admin@localhost", NULL));
    assert_false(rule("repeated", "x@localhost", "192.0.2.1"));
    assert_true(rule("repeated", "x@localhost", "192.0.3.1"));
    assert_true(rule("anded", "bot@localhost", "10.0.0.5"));
    assert_false(rule("anded", "bot@localhost", "10.0.1.5"));
    assert_false(rule("anded", "x@localhost", "10.0.0.5"));
    assert_true(rule("anded2", "bot@localhost", "10.0.0.5"));
    assert_true(rule("anded2", "admin@localhost", "192.0.2.1"));
    /* As observed on ejabberd: a list of one type inside one allow is ANDed as well. */
    assert_false(rule("never", "a@localhost", NULL));
    assert_true(rule("acls", "admin@localhost", NULL));
    assert_false(rule("acls", "x@localhost", NULL));
    assert_true(rule("names", "admin@localhost", "127.0.0.1"));
    assert_false(rule("names", "admin@localhost", "127.0.0.2"));
    assert_false(rule("empty", "admin@localhost", NULL));
    assert_false(rule("nothing", "admin@localhost", NULL));
    assert_false(rule("unknown", "admin@localhost", NULL));
    assert_true(rule("bare", "x@localhost", NULL));
    assert_true(rule("all", NULL, NULL));
    assert_false(rule("none", "admin@localhost", NULL));
    assert_false(rule("nosuch", "admin@localhost", NULL));
}

static void test_in_place(void **state)
{
    load_text(HOSTS
              "oauth_access:\n  - allow:\n      user: x@localhost\nlisten:\n  - port: 5222\n    module: ejabberd_c2s\n"
              "    access:\n      deny:\n        user: x@localhost\n      allow: all\n    shaper:\n      none:\n       "
              " user: x@localhost\n      1000: all\n"
              "shaper:\n  slow: 10\n");
    struct access_subject x = who("x@localhost", NULL), y = who("y@localhost", NULL);
    const struct vhost *h = &C->hosts[0];
    assert_true(access_allowed(h, opt_node(C->global, "oauth_access"), &x));
    assert_false(access_allowed(h, opt_node(C->global, "oauth_access"), &y));
    const struct options *o = C->listeners[0].options;
    assert_false(access_allowed(h, opt_node(o, "access"), &x));
    assert_true(access_allowed(h, opt_node(o, "access"), &y));
    assert_null(opt_str(o, "access").p);
    uint64_t rate, burst;
    shaper_find_node(h, opt_node(o, "shaper"), &y, &rate, &burst);
    assert_int_equal(rate, 1000);
    assert_int_equal(burst, 1000);
    shaper_find_node(h, opt_node(o, "shaper"), &x, &rate, &burst);
    assert_int_equal(rate, 0);
    shaper_find_node(h, NULL, &x, &rate, &burst);
    assert_int_equal(rate, 0);
    assert_false(access_allowed(h, NULL, &x));
}

static void test_default_rules(void **state)
{
    load_text(HOSTS "modules:\n  mod_proxy65: {}\n  mod_announce: {}\n");
    struct access_subject x = who("x@localhost", NULL);
    const struct vhost *h = &C->hosts[0];
    assert_true(access_allowed(h, opt_node(config_module(h, S("mod_proxy65")), "access"), &x));
    assert_false(access_allowed(h, opt_node(config_module(h, S("mod_announce")), "access"), &x));
    assert_true(str_eq(opt_str(config_module(h, S("mod_announce")), "access"), S("none")));
}

static void assert_value(const char *name, const char *jid, const char *want)
{
    struct access_subject s = who(jid, NULL);
    struct str got = shaper_rule_match(&C->hosts[0], str_of(name), &s);
    if (!want)
        assert_null(got.p);
    else if (!str_eq(got, str_of(want)))
        fail_msg("%s for %s: %.*s", name, jid, STR_ARG(got));
}

static void assert_rate(const char *name, const char *jid, uint64_t rate, uint64_t burst)
{
    struct access_subject s = who(jid, NULL);
    uint64_t r, b;
    shaper_find(&C->hosts[0], str_of(name), &s, &r, &b);
    assert_int_equal(r, rate);
    assert_int_equal(b, burst);
}

static void test_shapers(void **state)
{
    load_text(HOSTS
              "acl:\n  admin:\n    user: admin@localhost\nshaper:\n  normal:\n    rate: 3000\n    burst_size: 20000\n  "
              "fast: 100000\n"
              "  free: infinity\n  odd:\n    rate: 100\n    burst_size: 5\nshaper_rules:\n  number: 10\n  off:\n    "
              "5000: admin\n    100: all\n"
              "  c2s_shaper:\n    none: admin\n    normal: all\n  s2s_shaper: fast\n  list:\n    - 10:\n      - user: "
              "admin@localhost\n    - 5\n"
              "  endless: infinity\n  some:\n    7: admin\n  undefined: nosuch\n  odd_rule: odd\n  free_rule: free\n");
    assert_value("number", "x@localhost", "10");
    assert_value("off", "admin@localhost", "5000");
    assert_value("off", "x@localhost", "100");
    assert_value("c2s_shaper", "admin@localhost", "none");
    assert_value("c2s_shaper", "x@localhost", "normal");
    assert_value("list", "admin@localhost", "10");
    assert_value("list", "x@localhost", "5");
    assert_value("endless", "x@localhost", "infinity");
    assert_value("some", "admin@localhost", "7");
    assert_value("some", "x@localhost", NULL);
    assert_value("undefined", "x@localhost", "none");
    assert_value("nosuch", "x@localhost", NULL);
    assert_rate("c2s_shaper", "x@localhost", 3000, 20000);
    assert_rate("c2s_shaper", "admin@localhost", 0, 0);
    assert_rate("s2s_shaper", "x@localhost", 100000, 100000);
    assert_rate("fast", "x@localhost", 100000, 100000);
    assert_rate("none", "x@localhost", 0, 0);
    assert_rate("500", "x@localhost", 500, 500);
    assert_rate("odd_rule", "x@localhost", 100, 100);
    assert_rate("free_rule", "x@localhost", 0, 0);
    assert_rate("endless", "x@localhost", 0, 0);
    assert_rate("nosuch", "x@localhost", 0, 0);
    assert_int_equal(C->warning_count, 1);
    assert_string_equal(C->warnings[0], "t.yml:30:14: shaper 'nosuch' is not defined: no limit");
}

/* As observed on ejabberd: host_config replaces all definitions, append_host_config replaces those of the same name. */
static void test_per_host(void **state)
{
    load_text(HOSTS "acl:\n  admin:\n    user: admin@localhost\n  other:\n    user: o@localhost\naccess_rules:\n  r:\n "
                    "   allow: admin\n"
                    "host_config:\n  example.test:\n    acl:\n      extra:\n        user: "
                    "x@example.test\nappend_host_config:\n  localhost:\n    acl:\n"
                    "      admin:\n        user: bob@localhost\n    access_rules:\n      q:\n        allow: other\n");
    const struct vhost *first = &C->hosts[0], *second = config_host(C, S("example.test"));
    struct access_subject admin = who("admin@localhost", NULL), bob = who("bob@localhost", NULL),
                          x = who("x@example.test", NULL), o = who("o@localhost", NULL);
    assert_false(acl_match(first, S("admin"), &admin));
    assert_true(acl_match(first, S("admin"), &bob));
    assert_true(access_allowed_name(first, S("r"), &bob));
    assert_true(access_allowed_name(first, S("q"), &o));
    assert_false(access_allowed_name(second, S("q"), &o));
    assert_false(acl_match(second, S("admin"), &admin));
    assert_true(acl_match(second, S("extra"), &x));
    assert_false(access_allowed_name(second, S("r"), &admin));
    assert_ptr_equal(second->access_rules, opt_node(C->global, "access_rules"));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_user),     TEST(test_patterns), TEST(test_globs),    TEST(test_bounded),       TEST(test_ip),
        TEST(test_names),    TEST(test_rules),    TEST(test_in_place), TEST(test_default_rules), TEST(test_shapers),
        TEST(test_per_host), TEST(test_shared_groups), TEST(test_shared_groups_fail_closed),
        TEST(test_shared_groups_that_nobody_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
