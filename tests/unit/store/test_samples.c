/* Databases that ejabberd 25.03 wrote: every account is found, every password fits, and what we write goes beside it. */
#include "harness.h"

#include "store/account.h"
#include <jansson.h>
#include <time.h>

static bool multihost;
static json_t *manifest;

static struct str text_of(const json_t *o, const char *key)
{
    return str_of(json_string_value(json_object_get(o, key)));
}

static bool password_fits(const struct user_creds *c, struct str password)
{
    bool any = c->has_plain;

    if (c->has_plain && !str_eq(c->plain, password))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(c->scram); i++) {
        if (!c->scram[i].iterations)
            continue;
        any = true;
        if (!scram_check_password(&c->scram[i], password))
            return false;
    }
    return any;
}

static void check_forms(const struct user_creds *c, struct str stored_as)
{
    bool multi = str_starts(stored_as, S("multi:"));

    CHECK_INT(c->has_plain, multi || str_eq(stored_as, S("plain")));
    CHECK_INT(c->scram[SCRAM_SHA1].iterations, str_eq(stored_as, S("scram-sha-1")) ? 4096 : 0);
    CHECK_INT(c->scram[SCRAM_SHA256].iterations, multi || str_eq(stored_as, S("scram-sha-256")) ? 4096 : 0);
    CHECK_INT(c->scram[SCRAM_SHA512].iterations, multi || str_eq(stored_as, S("scram-sha-512")) ? 4096 : 0);
}

static void check_last(struct arena *a, struct str host, struct str user, const json_t *last)
{
    struct str status;
    int64_t seconds;
    struct tm tm = {0};

    CHECK_INT(last_get(a, host, user, &seconds, &status), STORE_OK);
    CHECK_STR(status, text_of(last, "status"));
    CHECK(strptime(json_string_value(json_object_get(last, "timestamp")), "%Y-%m-%dT%H:%M:%SZ", &tm) != NULL);
    CHECK_INT(seconds, timegm(&tm));
}

static void check_account(struct arena *a, const json_t *account)
{
    struct str host = text_of(account, "bare_jid"), user;
    struct user_creds c = {0};

    CHECK(str_split(&host, '@', &user));
    if (!multihost && !str_eq(host, S("localhost")))
        return;
    CHECK_INT(users_get(a, host, user, &c), STORE_OK);
    check_forms(&c, text_of(account, "stored_as"));
    /* One account is banned: its password is a random one. */
    CHECK_INT(password_fits(&c, text_of(account, "password")), !str_eq(user, S("eve")));
    if (json_is_object(json_object_get(account, "last")))
        check_last(a, host, user, json_object_get(account, "last"));
}

static void check_names(struct arena *a, struct str host, json_t *names)
{
    struct str *found;
    uint64_t count;
    size_t n;

    if (!multihost && !str_eq(host, S("localhost")))
        return;
    CHECK_INT(users_list(a, host, STR_NULL, 0, &found, &n), STORE_OK);
    CHECK_INT(n, json_array_size(names));
    for (size_t i = 0; i < n; i++)
        CHECK_STR(found[i], str_of(json_string_value(json_array_get(names, i))));
    CHECK_INT(users_count(host, &count), STORE_OK);
    CHECK_INT(count, n);
}

static void check_all(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("new one")), found;
    json_t *value;
    const char *host;
    size_t i;

    json_array_foreach(json_object_get(manifest, "accounts"), i, value)
        check_account(a, value);
    json_object_foreach(json_object_get(manifest, "registered"), host, value)
        check_names(a, str_of(host), value);
    CHECK_INT(users_add(S("localhost"), S("alice"), &c), STORE_CONFLICT);
    CHECK_INT(users_add(S("localhost"), S("newcomer"), &c), STORE_OK);
    CHECK_INT(users_set(S("localhost"), S("rupert"), &c), STORE_OK);
    CHECK_INT(users_get(a, S("localhost"), S("rupert"), &found), STORE_OK);
    check_forms(&found, S("plain"));
    CHECK_INT(account_remove(S("localhost"), S("peggy"), NULL), STORE_OK);
    arena_release(&a);
}

static void run(const char *database, const char *accounts, bool new_schema)
{
    char cmd[512];

    multihost = new_schema;
    snprintf(cmd, sizeof(cmd), "%s/%s", getenv("SAMPLES"), accounts);
    manifest = json_load_file(cmd, 0, NULL);
    CHECK(manifest != NULL);
    snprintf(cmd, sizeof(cmd), "gzip -dc '%s/%s' > '%s'", getenv("SAMPLES"), database, in_dir("db.sqlite"));
    CHECK_INT(system(cmd), 0);
    start_store(new_schema);
    run_on_fiber(1, check_all, NULL);
    store_stop();
    json_decref(manifest);
}

static void default_schema(void **state)
{
    run("default-localhost.sqlite.gz", "default-accounts.json", false);
}

static void new_schema(void **state)
{
    run("new-all-hosts.sqlite.gz", "new-accounts.json", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(default_schema, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(new_schema, dir_setup, dir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
