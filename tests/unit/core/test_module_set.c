/* Modules that come, are replaced and go while the shards run (core/module/module_set.h): tables, callbacks, options, refusals. */
#include "im.h"

#include "core/http_routes.h"
#include "core/module/module_set.h"

#define CONFIG "hosts: [a.example, b.example]\ninstall_contrib_modules: [mod_guest]\nmodules:\n  mod_ping: {}\n"
#define NAMED CONFIG "host_config:\n  b.example:\n    modules:\n      mod_guest:\n        size: 7\n"
#define FEWER "hosts: [b.example]\nmodules: {}\n"
#define URI "urn:example:guest"

static _Thread_local char trail[256];

static void note(const char *what, unsigned host)
{
    snprintf(trail + strlen(trail), sizeof(trail) - strlen(trail), "%s%u ", what, host);
}

static enum hook_verdict ping_filter(struct stanza_event *e)
{
    note("ping", 0);
    return HOOK_PASS;
}

static enum hook_verdict first_filter(struct stanza_event *e)
{
    note("first", 0);
    return HOOK_PASS;
}

static enum hook_verdict second_filter(struct stanza_event *e)
{
    note("second", 0);
    return HOOK_PASS;
}

static void answer(struct iq *iq)
{
    iq_result_empty(iq);
}

static void first_start(unsigned host) { note("+first", host); }
static void first_stop(unsigned host) { note("-first", host); }
static void second_start(unsigned host) { note("+second", host); }
static void second_stop(unsigned host) { note("-second", host); }

static const struct iq_entry ping_iqs[] = {{IQ_TO_SERVER, TOK_NS_PING, false, answer}, {0}};
static const struct hook_entry ping_hooks[] = {ON(stanza_received, FILTER, ping_filter), {0}};
MODULE(ping_module) = {.name = "mod_ping", .iqs = ping_iqs, .hooks = ping_hooks};

static const struct opt_def guest_options[] = {{"size", "int(1,9)", "3", OPT_INT, 0}};
static const struct opt_group guest_group = {"mod_guest", OPT_MODULE, guest_options, 1};
static const struct options guest_own = {.group = &guest_group};
static const struct module_contrib guest_contrib = {.group = {"mod_guest", OPT_MODULE, guest_options, 1}, .own = &guest_own};
static const struct iq_entry guest_iqs[] = {{IQ_TO_SERVER, TOK_NONE, false, answer, URI}, {0}};
static const struct hook_entry first_hooks[] = {ON(stanza_received, FILTER, first_filter), {0}};
static const struct hook_entry second_hooks[] = {ON(stanza_received, FILTER, second_filter), {0}};
static struct module first = {.name = "mod_guest", .iqs = guest_iqs, .hooks = first_hooks, .start = first_start, .stop = first_stop,
                              .contrib = &guest_contrib};
static struct module second = {.name = "mod_guest", .iqs = guest_iqs, .hooks = second_hooks, .start = second_start,
                               .stop = second_stop, .contrib = &guest_contrib};

static void change(const struct module *was, struct module *now)
{
    struct error err = ERROR_INIT;
    struct module_set *s = module_set_with(was, now, &err);
    CHECK(s);
    CHECK_INT(module_set_publish(s, &err), 0);
}

static const char *run(unsigned host)
{
    struct stanza *s = stanza_parse("<message from='x@a.example' to='y@a.example'/>");
    struct stanza_event e = {.stanza = s};
    trail[0] = 0;
    hook_run_stanza_received(host, &e);
    stanza_end(&s);
    return trail;
}

static bool answers_uri(unsigned host)
{
    struct stanza *s = stanza_parse("<iq type='get' from='x@a.example' to='a.example'><q xmlns='" URI "'/></iq>");
    bool is = module_iq_for(host, IQ_TO_SERVER, xml_first(s->el)) == &guest_iqs[0];
    stanza_end(&s);
    return is;
}

/* On the other shard, which learnt of it by message. */
static int see_second(void *arg, struct error *err)
{
    CHECK_STR(str_of(trail), S("+first0 +first1 -first0 -first1 +second0 +second1 "));
    CHECK(module_loaded(0, &second) && module_find(S("mod_guest")) == &second);
    return 0;
}

static int see_none(void *arg, struct error *err)
{
    CHECK(!module_find(S("mod_guest")) && !answers_uri(0));
    CHECK_STR(str_of(run(0)), S("ping0 "));
    return 0;
}

static void life_body(void *arg)
{
    size_t before = module_count();
    CHECK_STR(str_of(run(0)), S("ping0 "));
    CHECK(!answers_uri(0));
    trail[0] = 0;

    change(NULL, &first);
    CHECK_STR(str_of(trail), S("+first0 +first1 "));
    CHECK_INT(module_count(), before + 1);
    CHECK(answers_uri(0) && answers_uri(1) && !answers_uri(2));
    CHECK_INT(opt_int(module_options(1, &first), "size"), 3);
    CHECK_STR(str_of(run(0)), S("first0 ping0 "));

    trail[0] = 0;
    change(&first, &second);
    CHECK_STR(str_of(trail), S("-first0 -first1 +second0 +second1 "));
    CHECK_INT(first.slot, second.slot);
    CHECK(module_options(0, &first) == &guest_own && module_options(0, &second) != &guest_own); /* old code that waited */
    CHECK_STR(str_of(run(1)), S("second0 ping0 ")); /* mod_guest before mod_ping */
    on_shard(1, see_second, NULL);

    trail[0] = 0;
    change(&second, NULL);
    CHECK_STR(str_of(trail), S("-second0 -second1 "));
    CHECK_INT(module_count(), before);
    on_shard(0, see_none, NULL);
    on_shard(1, see_none, NULL);
    CHECK(module_iq(0, IQ_TO_SERVER, TOK_NS_PING) == &ping_iqs[0]);
}

static void life(void **state)
{
    im_run(CONFIG, life_body, NULL);
}

static void configured_body(void *arg)
{
    struct error err = ERROR_INIT;
    struct config *named = config_text(NAMED), *fewer = config_text(FEWER);
    change(NULL, &first);
    trail[0] = 0;
    im_install(named); /* named for one host: only there, with its options */
    CHECK_STR(str_of(trail), S("-first0 "));
    CHECK(!module_loaded(0, &first) && module_options(0, &first) == &guest_own);
    CHECK_INT(opt_int(module_options(1, &first), "size"), 7);

    trail[0] = 0;
    im_install(fewer); /* other hosts: old numbers end, new ones begin */
    CHECK_STR(str_of(trail), S("-first1 +first0 "));

    trail[0] = 0;
    CHECK_INT(module_restart(&first, 0, &err), 0);
    CHECK_STR(str_of(trail), S("-first0 +first0 "));
    CHECK_INT(module_restart(&first, 5, &err), 0);
    CHECK_INT(module_restart(&ping_module, 0, &err), 0);
    CHECK_STR(str_of(trail), S("-first0 +first0 "));
    im_install(im_config);
    change(&first, NULL);
    config_release(&named);
    config_release(&fewer);
}

static void configured(void **state)
{
    im_run(CONFIG, configured_body, NULL);
}

/* --- refusals --- */

static void refused(struct module *m, const char *words)
{
    struct error err = ERROR_INIT;
    CHECK(!module_set_with(NULL, m, &err));
    CHECK_STR(str_of(err.text), str_of(words));
}

static void refused_body(void *arg)
{
    static const struct iq_entry taken_iqs[] = {{IQ_TO_SERVER, TOK_NS_PING, false, answer}, {0}};
    struct module same_name = {.name = "mod_ping"}, same_ns = {.name = "mod_other", .iqs = taken_iqs};
    struct module same_uri = {.name = "mod_other", .iqs = guest_iqs};
    struct error err = ERROR_INIT;
    refused(&same_name, "mod_ping: there is a module of this name already");
    refused(&same_ns, "mod_other and mod_ping both answer namespace 'urn:xmpp:ping'");
    change(NULL, &first);
    refused(&same_uri, "mod_guest and mod_other both answer namespace '" URI "'");

    /* options are looked at before anything is in force */
    struct config *bad = config_text(CONFIG "host_config:\n  b.example:\n    modules:\n      mod_guest:\n        size: 70\n");
    CHECK_INT(module_check_config(bad, &err), -1);
    CHECK(strstr(err.text, "test.yml:") && strstr(err.text, "'size' of module mod_guest must be an integer from 1 to 9"));
    /* put in force all the same it is not loaded there, rather than without its options */
    im_install(bad);
    CHECK(!module_loaded(1, &first));
    im_install(im_config);
    change(&first, NULL);
    config_release(&bad);
}

static void refusals(void **state)
{
    im_run(CONFIG, refused_body, NULL);
}

/* --- HTTP handlers --- */

static void handle(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
}

static void http_body(void *arg)
{
    static const struct http_handler handlers[] = {{"mod_guest_http", handle}, {0}};
    struct module m = {.name = "mod_guest_http", .http = handlers, .contrib = &guest_contrib};
    CHECK(!module_http(S("mod_guest_http")));
    change(NULL, &m);
    CHECK(module_http(S("mod_guest_http")) == &handlers[0]);
    change(&m, NULL);
    CHECK(!module_http(S("mod_guest_http")));
}

static void http_handlers(void **state)
{
    im_run(CONFIG, http_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life), cmocka_unit_test(configured), cmocka_unit_test(refusals), cmocka_unit_test(http_handlers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
