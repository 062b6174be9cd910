/* Contract of the data areas, on both schemas. */
#include "harness.h"

#include "base/clock.h"
#include "store/account.h"

#define HOST S("a.example")
#define OTHER S("b.example")

static bool multihost;

static struct user_creds get(struct arena *a, struct str host, struct str user)
{
    struct user_creds c = {0};

    CHECK_INT(users_get(a, host, user, &c), STORE_OK);
    return c;
}

static void plain_account(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("secret")), found;
    int64_t seconds;
    struct str status;
    uint64_t n;

    CHECK_INT(users_get(a, HOST, S("ann"), &found), STORE_NONE);
    CHECK_INT(users_add(HOST, S("ann"), &c), STORE_OK);
    CHECK_INT(users_add(HOST, S("ann"), &c), STORE_CONFLICT);
    found = get(a, HOST, S("ann"));
    CHECK(found.has_plain);
    CHECK_STR(found.plain, S("secret"));
    CHECK_INT(found.scram[SCRAM_SHA1].iterations, 0);
    CHECK_INT(last_get(a, HOST, S("ann"), &seconds, &status), STORE_OK);
    CHECK_STR(status, S("Registered but didn't login"));
    CHECK(llabs((long long)seconds - (long long)clock_wall_s()) < 60);
    CHECK_INT(users_count(HOST, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_OK);
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_NONE);
    CHECK_INT(last_get(a, HOST, S("ann"), &seconds, &status), STORE_NONE);
    CHECK_INT(users_count(HOST, &n), STORE_OK);
    CHECK_INT(n, 0);
    arena_release(&a);
}

static struct scram_keys keys_of(struct arena *a, enum scram_hash h)
{
    struct scram_keys k;

    CHECK_INT(scram_derive(a, h, S("pencil"), S("\x01\x00salt\xff"), 4, &k, NULL), 0);
    return k;
}

static void several_forms(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("pencil")), found;
    uint64_t n;

    for (int h = SCRAM_SHA1; h <= SCRAM_SHA512; h++)
        c.scram[h] = keys_of(a, (enum scram_hash)h);
    CHECK_INT(users_set(HOST, S("bob"), &c), STORE_NONE);
    CHECK_INT(users_add(HOST, S("bob"), &c), STORE_OK);
    found = get(a, HOST, S("bob"));
    CHECK_STR(found.plain, S("pencil"));
    for (int h = SCRAM_SHA1; h <= SCRAM_SHA512; h++) {
        CHECK_INT(found.scram[h].iterations, 4);
        CHECK_INT(found.scram[h].hash, h);
        CHECK_STR(found.scram[h].salt, c.scram[h].salt);
        CHECK_STR(found.scram[h].stored_key, c.scram[h].stored_key);
        CHECK_STR(found.scram[h].server_key, c.scram[h].server_key);
        CHECK(scram_check_password(&found.scram[h], S("pencil")));
        CHECK(!scram_check_password(&found.scram[h], S("pencils")));
    }
    CHECK_INT(users_count(HOST, &n), STORE_OK);
    CHECK_INT(n, 1);
    c = (struct user_creds){0};
    c.scram[SCRAM_SHA256] = keys_of(a, SCRAM_SHA256);
    CHECK_INT(users_set(HOST, S("bob"), &c), STORE_OK);
    found = get(a, HOST, S("bob"));
    CHECK(!found.has_plain && !found.scram[SCRAM_SHA1].iterations && !found.scram[SCRAM_SHA512].iterations);
    CHECK_INT(found.scram[SCRAM_SHA256].iterations, 4);
    arena_release(&a);
}

static void hosts_apart(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("one")), d = plain_creds(S("two"));
    struct str status;
    int64_t seconds;

    CHECK_INT(users_add(HOST, S("ann"), &c), STORE_OK);
    /* The default schema has one host's accounts in a database. */
    CHECK_INT(users_add(OTHER, S("ann"), &d), multihost ? STORE_OK : STORE_CONFLICT);
    if (multihost) {
        CHECK_STR(get(a, HOST, S("ann")).plain, S("one"));
        CHECK_STR(get(a, OTHER, S("ann")).plain, S("two"));
        CHECK_INT(last_set(OTHER, S("ann"), 5, S("away")), STORE_OK);
        CHECK_INT(last_get(a, HOST, S("ann"), &seconds, &status), STORE_OK);
        CHECK(seconds != 5);
        CHECK_INT(account_remove(OTHER, S("ann"), NULL), STORE_OK);
        CHECK_STR(get(a, HOST, S("ann")).plain, S("one"));
    }
    arena_release(&a);
}

/* Names that would be SQL if they were ever pasted into a statement, and other odd ones; all are plain data. */
static const struct str odd[] = {
    {"", 0}, {"%", 1}, {"' OR '1'='1", 11}, {"\"; DROP TABLE users; --", 23}, {"_", 1}, {"a", 1}, {"a'b", 3}, {"a\\27b", 5},
    {"{host=}", 7}, {"\xd0\xbc\xd0\xb0\xd1\x80\xd0\xb8\xd1\x8f", 10}, {"\xf0\x9f\x98\x80", 4},
};

static void odd_names(void *arg)
{
    struct arena *a = arena_new();
    struct str *names;
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct user_creds c = plain_creds(odd[i].n ? odd[i] : S("x"));
        CHECK_INT(users_add(HOST, odd[i], &c), STORE_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        CHECK_STR(get(a, HOST, odd[i]).plain, odd[i].n ? odd[i] : S("x"));
    CHECK_INT(users_list(a, HOST, STR_NULL, 0, &names, &n), STORE_OK);
    CHECK_INT(n, ARRAY_LEN(odd));
    for (size_t i = 1; i < n; i++)
        CHECK(str_cmp(names[i - 1], names[i]) < 0);
    CHECK_INT(account_remove(HOST, S("%"), NULL), STORE_OK);
    CHECK_INT(users_list(a, HOST, STR_NULL, 0, &names, &n), STORE_OK);
    CHECK_INT(n, ARRAY_LEN(odd) - 1);
    arena_release(&a);
}

static void refused_names(void *arg)
{
    static char longer[1025];
    const struct str bad[] = {S("a\0b"), S("\0"), S("\xff\xfe"), S("\xc0\x80"), str_n(longer, 1024)};
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("x")), none = {0}, nul = plain_creds(S("x\0y"));
    struct str status, *names;
    int64_t seconds;
    size_t n;

    memset(longer, 'a', 1024);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_INT(users_get(a, HOST, bad[i], &c), STORE_NONE);
        CHECK_INT(users_add(HOST, bad[i], &c), STORE_REFUSED);
        CHECK_INT(users_set(HOST, bad[i], &c), STORE_REFUSED);
        CHECK_INT(account_remove(HOST, bad[i], NULL), STORE_NONE);
        CHECK_INT(last_set(HOST, bad[i], 1, S("x")), STORE_REFUSED);
        CHECK_INT(last_get(a, HOST, bad[i], &seconds, &status), STORE_NONE);
    }
    CHECK_INT(last_set(HOST, S("ann"), 1, S("a\0b")), STORE_REFUSED);
    CHECK_INT(users_add(HOST, S("ann"), &none), STORE_REFUSED);
    CHECK_INT(users_add(HOST, S("ann"), &nul), STORE_REFUSED);
    CHECK_INT(users_list(a, HOST, STR_NULL, 0, &names, &n), STORE_OK);
    CHECK_INT(n, 0);
    arena_release(&a);
}

static void paging(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("x"));
    struct str *names, after = STR_NULL;
    size_t n, seen = 0;

    for (int i = 0; i < 150; i++)
        CHECK_INT(users_add(HOST, arena_printf(a, "u%03d", i), &c), STORE_OK);
    CHECK_INT(users_add(HOST, S(""), &c), STORE_OK);
    do {
        CHECK_INT(users_list(a, HOST, after, 7, &names, &n), STORE_OK);
        seen += n;
        if (n)
            after = names[n - 1];
    } while (n == 7);
    CHECK_INT(seen, 151);
    CHECK_INT(users_list(a, HOST, S("u100"), 0, &names, &n), STORE_OK);
    CHECK_INT(n, 49);
    CHECK_STR(names[0], S("u101"));
    arena_release(&a);
}

static void last_rows(void *arg)
{
    struct arena *a = arena_new();
    struct str status;
    int64_t seconds;

    CHECK_INT(last_get(a, HOST, S("ann"), &seconds, &status), STORE_NONE);
    CHECK_INT(last_set(HOST, S("ann"), 1700000000, S("back \"soon\"")), STORE_OK);
    CHECK_INT(last_get(a, HOST, S("ann"), &seconds, &status), STORE_OK);
    CHECK_INT(seconds, 1700000000);
    CHECK_STR(status, S("back \"soon\""));
    CHECK_INT(last_set(HOST, S("ann"), -5, S("")), STORE_OK);
    CHECK_INT(last_get(a, HOST, S("ann"), &seconds, &status), STORE_OK);
    CHECK_INT(seconds, -5);
    CHECK_STR(status, S(""));
    for (int i = 0; i < 10; i++)
        last_set_later(HOST, S("ann"), i, S("later"));
    /* Order with other writes: this one is behind them. */
    CHECK_INT(last_set(HOST, S("bob"), 1, S("x")), STORE_OK);
    CHECK_INT(last_get(a, HOST, S("ann"), &seconds, &status), STORE_OK);
    CHECK_INT(seconds, 9);
    CHECK_INT(last_remove(HOST, S("ann")), STORE_OK);
    CHECK_INT(last_remove(HOST, S("ann")), STORE_NONE);
    arena_release(&a);
}

/* Only accounts with a plain form are listed, and only one whose plain form is still the same is replaced. */
static void plain_forms(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds plain = plain_creds(S("pencil")), keys = {0}, other = plain_creds(S("other"));
    struct user_plain *users, *rest;
    size_t n;

    keys.scram[SCRAM_SHA1] = keys_of(a, SCRAM_SHA1);
    CHECK_INT(users_add(HOST, S("ann"), &plain), STORE_OK);
    CHECK_INT(users_add(HOST, S("bob"), &plain), STORE_OK);
    CHECK_INT(users_add(HOST, S("cid"), &plain), STORE_OK);
    CHECK_INT(users_add(HOST, S("dan"), &keys), STORE_OK);
    CHECK_INT(users_list_plain(a, HOST, STR_NULL, 2, &users, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_STR(users[0].user, S("ann"));
    CHECK_STR(users[1].plain, S("pencil"));
    CHECK_INT(users_list_plain(a, HOST, S("bob"), 10, &rest, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_STR(rest[0].user, S("cid"));
    users[0].creds = users[1].creds = rest[0].creds = keys;
    CHECK_INT(users_set(HOST, S("bob"), &other), STORE_OK); /* changed meanwhile */
    CHECK_INT(users_replace_plain(HOST, users, 2), STORE_OK);
    CHECK(users[0].replaced && !users[1].replaced);
    CHECK_INT(account_remove(HOST, S("cid"), NULL), STORE_OK); /* gone meanwhile */
    CHECK_INT(users_replace_plain(HOST, rest, 1), STORE_OK);
    CHECK(!rest[0].replaced);
    struct user_creds ann = get(a, HOST, S("ann")), bob = get(a, HOST, S("bob"));
    CHECK(!ann.has_plain && ann.scram[SCRAM_SHA1].iterations == 4 && !ann.scram[SCRAM_SHA256].iterations);
    CHECK_STR(bob.plain, S("other"));
    CHECK_INT(users_get(a, HOST, S("cid"), &ann), STORE_NONE);
    CHECK_INT(users_list_plain(a, HOST, STR_NULL, 10, &users, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(users_replace_plain(HOST, users, 0), STORE_OK);
    arena_release(&a);
}

static void (*const bodies[])(void *) = {plain_account, several_forms, hosts_apart, odd_names,
                                         refused_names, paging,        last_rows,   plain_forms};

static void run_all(bool new_schema)
{
    multihost = new_schema;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        dir_setup(NULL);
        start_store(new_schema);
        run_on_fiber(1, bodies[i], NULL);
        store_stop();
        dir_teardown(NULL);
    }
}

static void default_schema(void **state)
{
    run_all(false);
}

static void new_schema(void **state)
{
    run_all(true);
}

/* A list lives as long as the arena that was passed. */
static void stopped_store(void **state)
{
    CHECK_INT(store_stats().writes, 0);
    CHECK_STR(str_of(store_describe()), S(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_schema),
        cmocka_unit_test(new_schema),
        cmocka_unit_test(stopped_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
