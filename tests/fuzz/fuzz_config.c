/*
 * A configuration from arbitrary bytes. What loads must be written as text that loads again and is written the same,
 * must not differ from itself, and its rules can be asked.
 */
#include "core/config/access.h"
#include "core/config/option.h"
#include "core/config/permission_explain.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(cond)                                                                                                    \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

static void ask(struct arena *a, const struct config *c)
{
    struct access_subject who = {.ip = {.family = 4, .b = {127, 0, 0, 1}}};
    CHECK(jid_parse(a, S("admin@localhost/x"), &who.jid));
    struct api_caller caller = {.frontend = S("mod_http_api"), .who = who};
    struct api_target target = {.command = S("status"), .tags = "server", .api = 1};
    api_allowed(c, &caller, &target);
    api_allowed_on_host(c, &caller, &target);
    api_account_above(c, who.jid, &caller);
    api_domain_owner(c, S("conference.localhost"));
    caller.oauth_scopes = S("ejabberd:admin sasl_auth");
    api_allowed(c, &caller, &target);
    CHECK(api_explain(a, c, &caller, &target).allowed == api_allowed(c, &caller, &target));
    caller.oauth_scopes = STR_NULL;
    CHECK(api_explain(a, c, &caller, &target).allowed == api_allowed(c, &caller, &target));
    api_names_scope(c, S("x"));
    for (size_t i = 0; i < c->host_count && i < 4; i++) {
        const struct vhost *h = &c->hosts[i];
        uint64_t rate, burst;
        for (size_t k = 0; h->acl && k < h->acl->n && k < 8; k++)
            acl_match(h, h->acl->keys[k], &who);
        for (size_t k = 0; h->access_rules && k < h->access_rules->n && k < 8; k++)
            access_allowed_name(h, h->access_rules->keys[k], &who);
        for (size_t k = 0; h->shaper_rules && k < h->shaper_rules->n && k < 8; k++)
            shaper_find(h, h->shaper_rules->keys[k], &who, &rate, &burst);
        CHECK(config_host(c, h->name) == h);
        opt_int(h->options, "auth_cache_size");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config_env env = {"/spool", "/logs", "/conf"};
    struct error err = ERROR_INIT;
    struct config *c = config_parse("fuzz.yml", str_n((const char *)data, n), &env, &err);
    if (!c) {
        CHECK(err.code != ERR_NONE && err.text[0]);
        return 0;
    }
    struct arena *a = arena_new();
    const struct listener_change *changes;
    ask(a, c);
    struct str text = config_dump(a, c, false);
    struct config *again = config_parse("dump.yml", text, &env, &err);
    CHECK(again);
    CHECK(str_eq(config_dump(a, again, false), text));
    CHECK(config_diff_listeners(a, c, c, &changes) == 0);
    config_dump(a, c, true);
    config_release(&again);
    arena_release(&a);
    config_release(&c);
    return 0;
}
