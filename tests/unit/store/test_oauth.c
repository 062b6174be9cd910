/* Tables oauth_token and oauth_client: what is written is read, in ejabberd's form, on both schemas. */
#include "harness.h"

#include "base/base64.h"
#include "store/account.h"
#include "store/oauth.h"

static bool multihost;

static void add(const char *token, const char *owner, const char *scopes, int64_t expires)
{
    struct oauth_token_row row = {.token = str_of(token), .owner = str_of(owner), .scopes = str_of(scopes), .expires_s = expires};

    CHECK_INT(oauth_token_add(&row), STORE_OK);
    CHECK_INT(oauth_token_add(&row), STORE_CONFLICT);
}

static void tokens(void *arg)
{
    struct arena *a = arena_new();
    struct oauth_token_row row, *rows;
    size_t n;

    CHECK_INT(oauth_token_get(a, S("t1"), &row), STORE_NONE);
    CHECK_INT(oauth_token_get(a, S("t\0x"), &row), STORE_NONE);
    add("t1", "ann@a.example", "sasl_auth register", 1000);
    add("t3", "bob@a.example", "sasl_auth", 3000);
    add("T2", "s\xc3\xb8ren@b.example", "", 2000);
    CHECK_INT(oauth_token_get(a, S("t1"), &row), STORE_OK);
    CHECK_STR(row.owner, S("ann@a.example"));
    CHECK_STR(row.scopes, S("sasl_auth register"));
    CHECK_INT(row.expires_s, 1000);
    CHECK_INT(oauth_token_list(a, STR_NULL, 0, 10, &rows, &n), STORE_OK);
    CHECK_INT(n, 3);
    CHECK_STR(rows[0].token, S("T2"));
    CHECK_STR(rows[2].token, S("t3"));
    CHECK_INT(oauth_token_list(a, S("T2"), 0, 1, &rows, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_STR(rows[0].token, S("t1"));
    CHECK_INT(oauth_token_list(a, STR_NULL, 2000, 10, &rows, &n), STORE_OK);
    CHECK_INT(n, 1);
    oauth_token_clean_later(1000);
    CHECK_INT(oauth_token_remove(S("T2")), STORE_OK); /* writes keep their order: after the cleaning */
    CHECK_INT(oauth_token_remove(S("T2")), STORE_NONE);
    CHECK_INT(oauth_token_list(a, STR_NULL, 0, 10, &rows, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_STR(rows[0].token, S("t3"));
    arena_release(&a);
}

/* Whoever gets the name of an account next does not get its tokens. */
static void tokens_of_an_account(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("secret"));
    struct oauth_token_row *rows;
    int64_t removed = -1;
    size_t n;

    CHECK_INT(users_add(S("a.example"), S("ann"), &c), STORE_OK);
    add("u1", "ann@a.example", "sasl_auth", 9000);
    add("u2", "ann@a.example", "sasl_auth", 9000);
    add("u3", "ann@b.example", "sasl_auth", 9000);
    CHECK_INT(account_remove(S("a.example"), S("ann"), &removed), STORE_OK);
    CHECK_INT(removed, 2);
    CHECK_INT(oauth_token_list(a, S("u"), 0, 10, &rows, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_STR(rows[0].token, S("u3"));
    CHECK_INT(account_remove(S("a.example"), S("ann"), &removed), STORE_NONE);
    CHECK_INT(removed, 0);
    arena_release(&a);
}

static void clients(void *arg)
{
    struct arena *a = arena_new();
    struct oauth_client c = {.id = S("c"), .name = S("Client"), .grant = OAUTH_GRANT_PASSWORD, .secret = S("s\xe2\x82\xac")}, got;

    CHECK_INT(oauth_client_get(a, S("c"), &got), STORE_NONE);
    CHECK_INT(oauth_client_set(&c), STORE_OK);
    CHECK_INT(oauth_client_get(a, S("c"), &got), STORE_OK);
    CHECK_INT(got.grant, OAUTH_GRANT_PASSWORD);
    CHECK_STR(got.secret, S("s\xe2\x82\xac"));
    CHECK_STR(got.name, S("Client"));
    c = (struct oauth_client){.id = S("c"), .name = S("Web"), .grant = OAUTH_GRANT_IMPLICIT, .redirect_uri = S("https://x/")};
    CHECK_INT(oauth_client_set(&c), STORE_OK);
    CHECK_INT(oauth_client_get(a, S("c"), &got), STORE_OK);
    CHECK_INT(got.grant, OAUTH_GRANT_IMPLICIT);
    CHECK_STR(got.redirect_uri, S("https://x/"));
    CHECK_INT(got.secret.n, 0);
    CHECK_INT(oauth_client_remove(S("c")), STORE_OK);
    CHECK_INT(oauth_client_remove(S("c")), STORE_NONE);
    c.id = S("");
    CHECK_INT(oauth_client_set(&c), STORE_OK);
    CHECK_INT(oauth_client_get(a, S(""), &got), STORE_OK);
    c.name = S("\xff");
    CHECK_INT(oauth_client_set(&c), STORE_REFUSED);
    arena_release(&a);
}

static void run(void (*fn)(void *))
{
    start_store(multihost);
    run_on_fiber(1, fn, NULL);
    store_stop();
}

static void test_default(void **state)
{
    multihost = false;
    run(tokens);
    run(tokens_of_an_account);
    run(clients);
}

static void test_new(void **state)
{
    multihost = true;
    run(tokens);
    run(tokens_of_an_account);
    run(clients);
}

/* What ejabberd 25.03 wrote. */
static void sampled(void *arg)
{
    struct arena *a = arena_new();
    struct oauth_token_row row;
    struct oauth_client c;

    struct str token = arg ? S("7Zy6rM0FN2mGkXWN8kY0g9qvtLCgdzYN") : S("a6SAzjziP7xIsL87YxJlBClv7W9vrGO8");

    CHECK_INT(oauth_token_get(a, token, &row), STORE_OK);
    CHECK_STR(row.owner, S("alice@localhost"));
    CHECK_STR(row.scopes, S("sasl_auth registered_users"));
    CHECK_INT(oauth_client_get(a, S("client-pw"), &c), STORE_OK);
    CHECK_INT(c.grant, OAUTH_GRANT_PASSWORD);
    CHECK_STR(c.secret, S("s3cret"));
    CHECK_STR(c.name, S("Client & Sons"));
    CHECK_INT(oauth_client_get(a, S("client-web"), &c), STORE_OK);
    CHECK_INT(c.grant, OAUTH_GRANT_IMPLICIT);
    CHECK_STR(c.redirect_uri, S("http://localhost/cb?x=1"));
    CHECK_STR(oauth_client_options(a, &c), S("g2wAAAABaAJkAAxyZWRpcmVjdF91cmltAAAAF2h0dHA6Ly9sb2NhbGhvc3QvY2I/eD0xag=="));
    arena_release(&a);
}

static void test_samples(void **state)
{
    for (int new_schema = 0; new_schema < 2; new_schema++) {
        char cmd[512];
        snprintf(cmd, sizeof(cmd), "gzip -dc '%s/%s' > '%s'", getenv("SAMPLES"),
                 new_schema ? "new-all-hosts.sqlite.gz" : "default-localhost.sqlite.gz", in_dir("db.sqlite"));
        CHECK_INT(system(cmd), 0);
        start_store(new_schema);
        run_on_fiber(1, sampled, new_schema ? "" : NULL);
        store_stop();
        CHECK_INT(unlink(in_dir("db.sqlite")), 0);
    }
}

static bool reads(const char *hex, struct oauth_client *c)
{
    struct arena *a = arena_new();
    char raw[256];
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        CHECK_INT(sscanf(hex + 2 * i, "%2x", &byte), 1);
        raw[i] = (char)byte;
    }
    *c = (struct oauth_client){0};
    bool ok = oauth_client_read_options(a, base64_encode(a, str_n(raw, n)), c);
    c->secret = str_of(strndup(c->secret.p ? c->secret.p : "", c->secret.n));
    arena_release(&a);
    return ok;
}

/* Other ways to write the same term: newer atoms, strings as lists, more pairs; and what is no such term. */
static void test_options(void **state)
{
    static const struct {
        const char *hex, *secret; /* NULL: malformed */
    } cases[] = {
        {"836c0000000168026400067365637265746d0000000178" "6a", "x"},
        {"836c0000000168027706736563726574" "6d0000000178" "6a", "x"},
        {"836c000000016802730673656372657476000178" "6a", "x"},
        {"836c0000000168026400067365637265746b0002" "7879" "6a", "xy"},
        {"836c0000000168026400067365637265746a6a", ""},
        {"836c00000002" "680277016177016268026400067365637265746d0000000178" "6a", "x"},
        {"836a", ""},
        {"", NULL},
        {"83", NULL},
        {"836c", NULL},
        {"836c00000001", NULL},
        {"836cffffffff", NULL},
        {"836c0000000168026400067365637265746d0000000178", NULL},
        {"836c0000000168026400067365637265746d0000000178" "6a00", NULL},
        {"836c0000000168026400067365637265746dffffffff78" "6a", NULL},
        {"836c0000000168036400067365637265746d0000000178" "6a", NULL},
        {"8368026400067365637265746d0000000178", NULL},
        {"826a", NULL},
    };
    struct oauth_client c;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (reads(cases[i].hex, &c) != (cases[i].secret != NULL))
            fail_msg("%s", cases[i].hex);
        if (cases[i].secret)
            CHECK_STR(c.secret, str_of(cases[i].secret));
        free((char *)(uintptr_t)c.secret.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_default, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(test_new, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(test_samples, dir_setup, dir_teardown),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
