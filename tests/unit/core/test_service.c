/* Names of services from options, what they collide with; vCards from options (XEP-0054). */
#include "core/module/service.h"
#include "base/buf.h"
#include "core/config/option.h"
#include "core/module/module.h"
#include "xml/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct config_env env = {.spool_dir = ".", .log_dir = ".", .config_dir = "."};
static const struct service plain = {.category = "c", .type = "t"}, search = {.category = "c", .type = "t", .enabled_by = "search"};
static const struct module multicast = {.name = "mod_multicast", .service = &plain},
                           vcard = {.name = "mod_vcard", .service = &search}, *const modules[] = {&multicast, &vcard};

static struct config *config_of(const char *text)
{
    struct error err = ERROR_INIT;
    struct config *c = config_parse("t.yml", str_of(text), &env, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static int collect(struct arena *a, const struct config *c, struct service_table *t, struct error *err)
{
    for (size_t h = 0; h < c->host_count; h++)
        for (size_t i = 0; i < c->hosts[h].module_count; i++)
            for (size_t m = 0; m < ARRAY_LEN(modules); m++)
                if (str_eq(c->hosts[h].modules[i].name, str_of(modules[m]->name)) &&
                    service_table_add(t, a, modules[m], &c->hosts[h], c->hosts[h].modules[i].options, c->hosts[h].modules[i].where,
                                      err) != 0)
                    return -1;
    return service_table_close(t, c, err);
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        unsigned host;
        const struct module *module;
    } want[] = {{"a.one.example", 0, &multicast}, {"a.two.example", 1, &multicast}, {"b.one.example", 0, &multicast},
                {"b.two.example", 1, &multicast}, {"vjud.one.example", 0, &vcard}};
    struct config *c = config_of("hosts: [one.example, two.example]\nhost_config:\n  two.example:\n    modules:\n"
                                 "      mod_multicast: {hosts: [b.@HOST@, a.@HOST@]}\n      mod_vcard: {}\n"
                                 "modules:\n  mod_multicast: {hosts: [b.@HOST@, A.@HOST@], host: unused.example}\n"
                                 "  mod_vcard: {search: true}\n");
    struct arena *a = arena_new();
    struct service_table t = {0};
    struct error err = ERROR_INIT;
    if (collect(a, c, &t, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(t.n, ARRAY_LEN(want));
    for (size_t i = 0; i < t.n; i++) {
        assert_true(str_eq(t.v[i].name, str_of(want[i].name)));
        assert_int_equal(t.v[i].host, want[i].host);
        assert_ptr_equal(t.v[i].module, want[i].module);
    }
    config_release(&c);
    arena_release(&a);
}

static void test_refused(void **state)
{
    static const struct {
        const char *modules, *words;
    } rows[] = {
        {"mod_multicast: {host: one.example}",
         "t.yml:3:25: 'one.example', an address of module 'mod_multicast', is one of the hosts"},
        {"mod_multicast: {host: two.example}", "is one of the hosts"},
        {"mod_multicast: {host: x.example}", "is the same for two hosts"},
        {"mod_multicast: {hosts: [x.@HOST@, y.example]}", "'y.example'"},
        {"mod_multicast: {host: vjud.@HOST@}\n  mod_vcard: {search: true}", "is the address of module 'mod_multicast' already"},
        {"mod_multicast: {vcard: {fn: {fn: {fn: {fn: {fn: x}}}}}}", "too deep"},
        {"mod_multicast: {vcard: [x]}", "expected a map"},
        {"mod_multicast: {vcard: {emial: x}}", "did you mean 'email'?"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_new();
        struct str text = arena_printf(a, "hosts: [one.example, two.example]\nmodules:\n  %s\n", rows[i].modules);
        struct config *c = config_of(text.p);
        struct service_table t = {0};
        struct error err = ERROR_INIT;
        assert_int_equal(collect(a, c, &t, &err), -1);
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: %s", rows[i].modules, err.text);
        config_release(&c);
        arena_release(&a);
    }
}

static void test_vcard(void **state)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    struct yaml *y = yaml_parse(a, "v",
                                S("{fn: A & B, nickname: 'true', n: {family: F}, org: {name: O, units: [p, q]}, categories: [x],"
                                  " tel: [{home: true, work: false, number: 1}, {number: 2}], class: private,"
                                  " sort_string: s, note: }"),
                                &err);
    struct xml_el *el = xml_new(a, TOK_vCard, TOK_NS_VCARD);
    assert_non_null(y);
    assert_int_equal(service_vcard_check(y, &err), 0);
    service_vcard_fill(a, el, y);
    xml_write(&b, el, TOK_NS_CLIENT);
    static const char want[] = "<vCard xmlns='vcard-temp'><FN>A &amp; B</FN><NICKNAME>true</NICKNAME><N><FAMILY>F</FAMILY></N>"
                               "<ORG><ORGNAME>O</ORGNAME><ORGUNIT>p</ORGUNIT><ORGUNIT>q</ORGUNIT></ORG>"
                               "<CATEGORIES><KEYWORD>x</KEYWORD></CATEGORIES>"
                               "<TEL><HOME/><NUMBER>1</NUMBER></TEL><TEL><NUMBER>2</NUMBER></TEL>"
                               "<CLASS><PRIVATE/></CLASS><SORT-STRING>s</SORT-STRING></vCard>";
    assert_true(str_eq(buf_str(&b), str_of(want)));
    buf_deinit(&b);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_refused), cmocka_unit_test(test_vcard)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
