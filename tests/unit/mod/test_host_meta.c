/* XEP-0156: what is announced for a host, from options and listeners; the two documents; whose request it is. */
#include "core/http_routes.h"
#include "mod/api/host_meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define assert_str(s, lit) assert_true(str_eq((s), S(lit)))

static const struct config_env env = {.spool_dir = ".", .log_dir = ".", .config_dir = "."};

/* A handler that this server answers; the other one is not there. */
static void nothing(struct http_request *r, const struct http_mount *m, const struct str *path, size_t n)
{
}
HTTP_HANDLER(fake) = {"ejabberd_http_ws", nothing};

static struct config *config_of(const char *options, const char *listeners)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct str text = arena_printf(a, "hosts: [a.example, b\xc3\xbc.example]\nlisten:\n%s\nmodules:\n  mod_host_meta: %s\n",
                                   listeners, options);
    struct config *c = config_parse("t.yml", text, &env, &err);
    if (!c)
        fail_msg("%s", err.text);
    arena_release(&a);
    return c;
}

#define WS(port, tls, path) \
    "  - {port: " #port ", module: ejabberd_http, tls: " #tls ",\n"            \
    "     request_handlers: {/api: mod_http_api, " path ": ejabberd_http_ws}}\n"

static void test_auto(void **state)
{
    struct arena *a = arena_new();
    struct host_meta_link links[HOST_META_LINKS];
    struct config *c = config_of("{}", WS(5280, false, "/plain") WS(5443, true, "/ws") WS(5444, true, "/second"));
    assert_int_equal(host_meta_links(a, c, &c->hosts[0], links), 1);
    assert_string_equal(links[0].rel, "urn:xmpp:alt-connections:websocket");
    assert_str(links[0].href, "wss://a.example:5443/ws");
    config_release(&c);
    /* §2: wss only */
    c = config_of("{}", WS(5280, false, "/plain"));
    assert_int_equal(host_meta_links(a, c, &c->hosts[0], links), 0);
    config_release(&c);
    arena_release(&a);
}

static void test_options(void **state)
{
    struct arena *a = arena_new();
    struct host_meta_link links[HOST_META_LINKS];
    struct config *c = config_of("{bosh_service_url: \"https://@HOST@:443/b?x=1&y='\", websocket_url: \"wss://w/\\\"\"}", "  []");
    assert_int_equal(host_meta_links(a, c, &c->hosts[0], links), 2);
    assert_str(links[0].href, "https://a.example:443/b?x=1&y='");
    assert_str(host_meta_xrd(a, links, 2),
               "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>"
               "<Link rel='urn:xmpp:alt-connections:xbosh' href='https://a.example:443/b?x=1&amp;y=&apos;'/>"
               "<Link rel='urn:xmpp:alt-connections:websocket' href='wss://w/&quot;'/></XRD>");
    assert_str(host_meta_jrd(a, links, 2),
               "{\"links\":[{\"rel\":\"urn:xmpp:alt-connections:xbosh\",\"href\":\"https://a.example:443/b?x=1&y='\"},"
               "{\"rel\":\"urn:xmpp:alt-connections:websocket\",\"href\":\"wss://w/\\\"\"}]}");
    config_release(&c);
    c = config_of("{bosh_service_url: undefined, websocket_url: undefined}", "  []");
    assert_int_equal(host_meta_links(a, c, &c->hosts[0], links), 0);
    assert_str(host_meta_jrd(a, links, 0), "{\"links\":[]}");
    config_release(&c);
    arena_release(&a);
}

static void test_host(void **state)
{
    struct arena *a = arena_new();
    struct config *c = config_of("{}", "  []");
    static const struct {
        const char *header;
        int host; /* -1: none */
    } rows[] = {{"a.example", 0}, {"A.Example:443", 0}, {"a.example.", 0}, {"b\xc3\xbc.example", 1}, {"c.example", -1}, {"", -1},
                {":443", -1},     {"[::1]:443", -1},    {"\xff", -1},      {"a.example@x", -1}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct vhost *h = host_meta_host(a, c, str_of(rows[i].header));
        if ((h ? (int)h->index : -1) != rows[i].host)
            fail_msg("%s: %d", rows[i].header, h ? (int)h->index : -1);
    }
    assert_null(host_meta_host(a, c, STR_NULL));
    config_release(&c);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_auto), cmocka_unit_test(test_options), cmocka_unit_test(test_host)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
