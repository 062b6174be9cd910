/* What logins leave: tokens of FAST (two places per client, use, counting, what ends them), keys of another hash. */
#include "area.h"

#include "store/account.h"
#include "store/fast.h"
#include "store/users.h"

#define NOW 1700000000

static struct fast_owner owner(struct str user, struct str agent)
{
    return (struct fast_owner){HOST, user, agent};
}

static struct fast_row row(struct str salt, int64_t expires_s)
{
    return (struct fast_row){.mechanism = S("HT-SHA-256-ENDP"), .salt = salt, .created_s = NOW, .expires_s = expires_s,
                             .count = -1};
}

static void add(struct fast_owner o, struct str salt, int64_t expires_s)
{
    struct fast_row r = row(salt, expires_s);
    CHECK_INT(fast_add(&o, &r, NOW), STORE_OK);
}

/* "salt*" for one that was not used yet, in order of places. */
static void check_rows(struct fast_owner o, const char *want)
{
    struct arena *a = arena_new();
    struct fast_row rows[2];
    size_t n;
    char got[64] = "";
    CHECK_INT(fast_get(a, &o, rows, &n), STORE_OK);
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s%s ", STR_ARG(rows[i].salt), rows[i].newer ? "*" : "");
    if (strcmp(got, want) != 0) {
        fprintf(stderr, "got \"%s\", want \"%s\"\n", got, want);
        abort();
    }
    arena_release(&a);
}

static void what_is_read(void *arg)
{
    struct arena *a = arena_new();
    struct fast_owner o = owner(S("ann"), S("phone"));
    struct fast_row rows[2];
    size_t n;
    check_rows(o, "");
    add(o, S("s1"), NOW + 10);
    CHECK_INT(fast_get(a, &o, rows, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(rows[0].created_s, NOW);
    CHECK_INT(rows[0].expires_s, NOW + 10);
    CHECK_INT(rows[0].count, -1);
    CHECK(str_eq(rows[0].mechanism, S("HT-SHA-256-ENDP")));
    arena_release(&a);
}

/* XEP-0484 §5: the place for a new one is taken over by the next, and what is used moves up. */
static void places(void *arg)
{
    struct fast_owner o = owner(S("ann"), S("phone")), other = owner(S("ann"), S("laptop"));
    add(o, S("s1"), NOW + 10);
    add(other, S("t1"), NOW + 10);
    CHECK_INT(fast_used(&o, S("s1"), -1, FAST_USE_KEEP), STORE_OK);
    check_rows(o, "s1 ");
    add(o, S("s2"), NOW + 20);
    add(o, S("s3"), NOW + 30);
    check_rows(o, "s1 s3* ");
    CHECK_INT(fast_used(&o, S("s2"), -1, FAST_USE_KEEP), STORE_NONE);
    CHECK_INT(fast_used(&o, S("s1"), -1, FAST_USE_KEEP), STORE_OK);
    check_rows(o, "s1 s3* ");
    CHECK_INT(fast_used(&o, S("s3"), -1, FAST_USE_KEEP), STORE_OK);
    check_rows(o, "s3 ");
    CHECK_INT(fast_used(&o, S("s1"), -1, FAST_USE_KEEP), STORE_NONE);
    add(o, S("s4"), NOW + 40);
    CHECK_INT(fast_used(&o, S("s3"), -1, FAST_USE_INVALIDATE), STORE_OK);
    check_rows(o, "");
    check_rows(other, "t1* ");
}

/* XEP-0484 §3.4 */
static void counting(void *arg)
{
    struct fast_owner o = owner(S("ann"), S("phone"));
    add(o, S("s1"), NOW + 10);
    CHECK_INT(fast_used(&o, S("s1"), 0, FAST_USE_KEEP), STORE_OK);
    CHECK_INT(fast_used(&o, S("s1"), 0, FAST_USE_KEEP), STORE_NONE);
    CHECK_INT(fast_used(&o, S("s1"), 7, FAST_USE_KEEP), STORE_OK);
    CHECK_INT(fast_used(&o, S("s1"), 6, FAST_USE_INVALIDATE), STORE_NONE);
    check_rows(o, "s1 ");
    add(o, S("s2"), NOW + 20);
    CHECK_INT(fast_used(&o, S("s2"), 1, FAST_USE_KEEP), STORE_OK);
    check_rows(o, "s2 ");
}

static void what_ends_them(void *arg)
{
    struct user_creds c = {.has_plain = true, .plain = S("pw")};
    struct fast_owner o = owner(S("ann"), S("phone")), bob = owner(S("bob"), S("phone"));
    struct fast_owner elsewhere = {OTHER, S("ann"), S("phone")};
    CHECK_INT(users_add(HOST, S("ann"), &c), STORE_OK);
    for (int i = 0; i < 3; i++) {
        add(o, S("s1"), NOW + 10);
        add(bob, S("b1"), NOW + 10);
        add(elsewhere, S("e1"), NOW + 10);
        CHECK_INT(i == 0   ? fast_forget(HOST, S("ann"))
                  : i == 1 ? users_set(HOST, S("ann"), &c)
                           : account_remove(HOST, S("ann"), NULL), STORE_OK);
        check_rows(o, "");
        check_rows(bob, "b1* ");
        check_rows(elsewhere, "e1* ");
    }
}

/* Keys in place of a plain password are no other password. */
static void conversion_keeps_them(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = {.has_plain = true, .plain = S("pw")};
    struct user_plain u = {.user = S("ann"), .plain = S("pw")};
    struct fast_owner o = owner(S("ann"), S("phone"));
    struct error err = ERROR_INIT;
    CHECK_INT(scram_derive(a, SCRAM_SHA1, S("pw"), S("salt"), 1, &u.creds.scram[SCRAM_SHA1], &err), 0);
    CHECK_INT(users_add(HOST, S("ann"), &c), STORE_OK);
    add(o, S("s1"), NOW + 10);
    CHECK_INT(users_replace_plain(HOST, &u, 1), STORE_OK);
    CHECK(u.replaced);
    check_rows(o, "s1* ");
    arena_release(&a);
}

static struct scram_keys keys_of(struct arena *a, enum scram_hash h, const char *password)
{
    struct scram_keys k;
    struct error err = ERROR_INIT;
    CHECK_INT(scram_derive(a, h, str_of(password), S("salt"), 1, &k, &err), 0);
    return k;
}

/* XEP-0480: beside the others, and only for who proved the password that the account has. */
static void further_keys(void *arg)
{
    struct arena *a = arena_new();
    struct scram_keys old = keys_of(a, SCRAM_SHA1, "pw"), wrong = keys_of(a, SCRAM_SHA1, "other");
    struct scram_keys add = keys_of(a, SCRAM_SHA512, "pw"), again = keys_of(a, SCRAM_SHA512, "x");
    struct user_creds c = {.scram[SCRAM_SHA1] = old}, found = {0};
    struct user_creds plain = {.has_plain = true, .plain = S("pw"), .scram[SCRAM_SHA1] = old};
    CHECK_INT(users_add_keys(HOST, S("ann"), &old, &add), STORE_NONE);
    CHECK_INT(users_add(HOST, S("ann"), &c), STORE_OK);
    raw_sql("UPDATE users SET created_at = '2001-02-03 04:05:06'");
    CHECK_INT(users_add_keys(HOST, S("ann"), &wrong, &add), STORE_CONFLICT);
    CHECK_INT(users_add_keys(HOST, S("ann"), &add, &add), STORE_CONFLICT);
    CHECK_INT(raw_int("SELECT count(*) FROM users"), 1);
    CHECK_INT(users_add_keys(HOST, S("ann"), &old, &add), STORE_OK);
    CHECK_INT(users_add_keys(HOST, S("ann"), &old, &again), STORE_OK);
    CHECK_INT(users_get(a, HOST, S("ann"), &found), STORE_OK);
    CHECK(!found.has_plain && !found.scram[SCRAM_SHA256].iterations);
    CHECK_STR(found.scram[SCRAM_SHA1].stored_key, old.stored_key);
    CHECK_STR(found.scram[SCRAM_SHA512].stored_key, add.stored_key);
    CHECK_INT(raw_int("SELECT count(*) FROM users WHERE created_at = '2001-02-03 04:05:06'"), 2);
    CHECK_INT(users_set(HOST, S("ann"), &plain), STORE_OK);
    CHECK_INT(users_add_keys(HOST, S("ann"), &old, &add), STORE_OK);
    CHECK_INT(raw_int("SELECT count(*) FROM users"), 2);
    arena_release(&a);
}

static void bounds(void *arg)
{
    char name[32];
    for (int i = 0; i < FAST_CLIENTS_MAX + 3; i++) {
        snprintf(name, sizeof(name), "client%03d", i);
        add(owner(S("ann"), str_of(name)), S("s"), NOW + 100 - i); /* the last ones end first */
    }
    check_rows(owner(S("ann"), S("client000")), "s* ");
    snprintf(name, sizeof(name), "client%03d", FAST_CLIENTS_MAX - 1);
    check_rows(owner(S("ann"), str_of(name)), "s* ");
    check_rows(owner(S("ann"), S("client066")), "");
    /* What ended before a moment goes with the next one that is handed out to anybody. */
    struct fast_owner bob = owner(S("bob"), S("phone"));
    struct fast_row r = row(S("b1"), NOW + 500);
    CHECK_INT(fast_add(&bob, &r, NOW + 100), STORE_OK);
    check_rows(owner(S("ann"), S("client001")), "");
    check_rows(owner(S("ann"), S("client000")), "s* ");
}

static void odd_names(void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(odd_texts); i++)
        add(owner(odd_texts[i], odd_texts[i]), odd_texts[i], NOW + 10);
    for (size_t i = 0; i < ARRAY_LEN(odd_texts); i++) {
        struct fast_owner o = owner(odd_texts[i], odd_texts[i]);
        CHECK_INT(fast_used(&o, odd_texts[i], -1, FAST_USE_INVALIDATE), STORE_OK);
        check_rows(o, "");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_texts); i++) {
        struct fast_owner o = owner(bad_texts[i], S("phone"));
        struct fast_row r = row(S("s"), NOW);
        CHECK_INT(fast_add(&o, &r, 0), STORE_REFUSED);
        CHECK_INT(fast_used(&o, S("s"), -1, FAST_USE_KEEP), STORE_NONE);
        check_rows(o, "");
    }
}

AREA_TESTS(what_is_read, places, counting, what_ends_them, conversion_keeps_them, further_keys, bounds, odd_names)
AREA_MAIN()
