/* The options auth_* as they come out of a configuration file. */
#include "../store/harness.h"

#include "core/auth/auth_policy.h"
#include "core/config/config.h"

static const char text[] =
    "hosts: [plain.example, scram.example, big.example, types.example]\n"
    "auth_cache_size: 500\n"
    "auth_cache_life_time: 90\n"
    "auth_cache_missed: false\n"
    "host_config:\n"
    "  plain.example: {auth_password_format: plain, auth_use_cache: false}\n"
    "  scram.example: {auth_password_format: scram}\n"
    "  big.example: {auth_password_format: scram, auth_scram_hash: sha512}\n"
    "  types.example: {auth_password_format: scram, auth_stored_password_types: [plain, scram_sha256]}\n";

static struct config *load(const char *yaml)
{
    struct config_env env = {.spool_dir = test_dir, .log_dir = test_dir, .config_dir = test_dir};
    struct error err = ERROR_INIT;
    FILE *f = fopen(in_dir("ejabberd.yml"), "w");
    struct config *c;

    CHECK(f && fputs(yaml, f) >= 0 && fclose(f) == 0);
    c = config_load(in_dir("ejabberd.yml"), &env, &err);
    if (!c) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return c;
}

static unsigned forms(struct str host)
{
    struct auth_policy p;

    CHECK(auth_policy_of(host, &p));
    CHECK_INT(p.cache_max, 500);
    CHECK_INT(p.cache_life_ms, 90000);
    CHECK(!p.cache_missed);
    CHECK_INT(p.use_cache, !str_eq(host, S("plain.example")));
    return p.forms;
}

static void policies(void *arg)
{
    struct config *c = load(text), *d = load("hosts: [plain.example]\nauth_cache_size: infinity\n");
    struct auth_policy p;

    config_install(c);
    CHECK_INT(forms(S("plain.example")), AUTH_FORM_PLAIN);
    CHECK_INT(forms(S("scram.example")), AUTH_FORM_SCRAM(SCRAM_SHA1));
    CHECK_INT(forms(S("big.example")), AUTH_FORM_SCRAM(SCRAM_SHA512));
    CHECK_INT(forms(S("types.example")), AUTH_FORM_PLAIN | AUTH_FORM_SCRAM(SCRAM_SHA256));
    CHECK(!auth_policy_of(S("other.example"), &p));
    config_install(d);
    CHECK(auth_policy_of(S("plain.example"), &p));
    CHECK(p.use_cache && p.cache_missed && p.cache_max == SIZE_MAX);
    CHECK_INT(p.cache_life_ms, 3600000);
    CHECK(!auth_policy_of(S("scram.example"), &p));
    auth_policy_stop();
    config_release(&c);
    config_release(&d);
}

static void test_policies(void **state)
{
    run_on_fiber(1, policies, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_policies, dir_setup, dir_teardown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
