/* core/auth/oauth.h over a real store on two shards; reads of the store are counted and can be held up. */
#include "../store/harness.h"

#include "base/hash.h"
#include "core/auth/oauth.h"
#include "core/config/config.h"
#include "store/oauth.h"

static struct config *config;

/* --- what is counted, and held up --- */

static unsigned reads;
static bool hold_next_read;
static struct fiber *held_reader;
static struct latch read_held;

enum store_rc __real_oauth_token_get(struct arena *a, struct str token, struct oauth_token_row *out);
enum store_rc __wrap_oauth_token_get(struct arena *a, struct str token, struct oauth_token_row *out);

enum store_rc __wrap_oauth_token_get(struct arena *a, struct str token, struct oauth_token_row *out)
{
    enum store_rc rc = __real_oauth_token_get(a, token, out);

    __atomic_add_fetch(&reads, 1, __ATOMIC_RELAXED);
    if (shard_self() == 0 && hold_next_read) {
        hold_next_read = false;
        held_reader = fiber_self();
        latch_up(&read_held);
        fiber_suspend("test");
    }
    return rc;
}

static unsigned taken(void)
{
    return __atomic_exchange_n(&reads, 0, __ATOMIC_RELAXED);
}

/* --- the server around it --- */

static int install_each(void *arg, void *slot, struct error *err)
{
    config_install(arg);
    return 0;
}

static int uninstall_each(void *arg, void *slot, struct error *err)
{
    oauth_shard_stop();
    config_install(NULL);
    return 0;
}

static void everywhere(gather_fn fn)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;

    CHECK_INT(mail_gather(fn, config, ARENA_ARRAY(a, void *, shard_count()), a, 10000, &err), 0);
    arena_release(&a);
}

static void body(void *fn)
{
    everywhere(install_each);
    ((void (*)(void))fn)();
    everywhere(uninstall_each);
}

static void run(const char *options, void (*fn)(void))
{
    struct error err = ERROR_INIT;
    char text[512];

    snprintf(text, sizeof(text), "hosts: [a.example]\n%s", options);
    config = config_parse("t.yml", str_of(text), NULL, &err);
    CHECK(config != NULL);
    reads = 0;
    start_store(true);
    run_on_fiber(2, body, (void *)fn);
    store_stop();
    config_release(&config);
}

static struct str issue(struct arena *a, const char *owner, int64_t ttl)
{
    struct error err = ERROR_INIT;
    struct jid jid;
    struct str token;

    CHECK(jid_parse(a, str_of(owner), &jid));
    CHECK_INT(oauth_issue(a, jid, S("sasl_auth register"), ttl, &token, &err), 0);
    CHECK_INT(token.n, OAUTH_TOKEN_LEN);
    return token;
}

static int check(struct str token)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct oauth_grant g = {0};
    int rc = oauth_check(a, token, &g, &err);

    if (rc == 0)
        CHECK_STR(g.scopes, S("sasl_auth register"));
    else
        CHECK_INT(err.code, ERR_BAD_TOKEN);
    arena_release(&a);
    return rc;
}

/* A token whose home is shard 0, where this runs. */
static struct str issue_here(struct arena *a)
{
    struct str token;

    do
        token = issue(a, "ann@a.example", 1000);
    while (shard_of(hash_stable(token.p, token.n)) != 0);
    return token;
}

/* --- tests --- */

struct asked {
    struct str token;
    int rc[2];
};

static int check_each(void *arg, void *slot, struct error *err)
{
    struct asked *q = arg;

    q->rc[shard_self()] = check(q->token);
    return 0;
}

/* What each shard says. */
static void ask_all(struct str token, int want)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct asked *q = ARENA_NEW(a, struct asked);

    q->token = arena_str(a, token);
    CHECK_INT(mail_gather(check_each, q, ARENA_ARRAY(a, void *, 2), a, 10000, &err), 0);
    CHECK_INT(q->rc[0], want);
    CHECK_INT(q->rc[1], want);
    arena_release(&a);
}

static void seen_and_forgotten_everywhere(void)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;

    for (int i = 0; i < 20; i++) {
        struct str t = issue(a, "Ann@A.example/x", 1000);
        ask_all(t, 0);
        ask_all(t, 0);
        CHECK(taken() <= 2); /* both shards may have asked at once */
        CHECK_INT(oauth_revoke(t, &err), 0);
        ask_all(t, -1);
        CHECK_INT(oauth_revoke(t, &err), 0);
        taken();
    }
    CHECK_INT(check(S("")), -1);
    CHECK_INT(check(S("nobody's")), -1);
    taken();
    CHECK_INT(check(S("nobody's")), -1);
    CHECK_INT(taken(), 0); /* that there is none is known now */
    CHECK_INT(check(issue(a, "ann@a.example", 0)), -1);
    CHECK_INT(check(issue(a, "ann@a.example", INT64_MAX)), 0);
    arena_release(&a);
}

static void check_fiber(void *arg)
{
    struct asked *q = arg;

    q->rc[0] = check(q->token);
}

/* A read that ends after the token was revoked may still answer, but nobody else hears of it. */
static void revoked_while_it_is_read(void)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct asked *q = ARENA_NEW(a, struct asked);

    q->token = issue_here(a);
    read_held = (struct latch){0};
    hold_next_read = true;
    fiber_run(check_fiber, q);
    latch_wait(&read_held, 1);
    CHECK_INT(oauth_revoke(q->token, &err), 0);
    fiber_wake(held_reader);
    fiber_sleep(0);
    ask_all(q->token, -1);
    arena_release(&a);
}

static void cache_is_bounded(void)
{
    struct arena *a = arena_new();
    struct str tokens[60];

    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        tokens[i] = issue_here(a);
        CHECK_INT(check(tokens[i]), 0);
    }
    taken();
    CHECK_INT(check(tokens[59]), 0);
    CHECK_INT(taken(), 0);
    CHECK_INT(check(tokens[0]), 0);
    CHECK_INT(taken(), 1);
    arena_release(&a);
}

static void nothing_is_cached(void)
{
    struct arena *a = arena_new();
    struct str t = issue(a, "ann@a.example", 1000);

    CHECK_INT(check(t), 0);
    CHECK_INT(check(t), 0);
    CHECK_INT(taken(), 2);
    arena_release(&a);
}

static void clearing(void)
{
    struct arena *a = arena_new();
    struct error err = ERROR_INIT;
    struct str t = issue(a, "ann@a.example", 1000);

    CHECK_INT(check(t), 0);
    CHECK_INT(oauth_clear_cache(&err), 0);
    CHECK_INT(check(t), 0);
    CHECK_INT(taken(), 2);
    arena_release(&a);
}

static void test_shards(void **state)
{
    run("", seen_and_forgotten_everywhere);
    run("", revoked_while_it_is_read);
}

static void test_options(void **state)
{
    run("oauth_cache_size: 20\n", cache_is_bounded);
    run("oauth_use_cache: false\n", nothing_is_cached);
    run("oauth_cache_life_time: 1 hour\n", clearing);
}

static void test_scopes(void **state)
{
    CHECK(oauth_has_scope(S("a b  c"), S("c")));
    CHECK(!oauth_has_scope(S("a b"), S("")));
    CHECK(!oauth_has_scope(S("ab"), S("a")));
    CHECK(!oauth_has_scope(STR_NULL, S("a")));
}

static void test_tries(void **state)
{
    struct ip v4, near, far;

    CHECK(ip_parse(S("192.0.2.1"), &v4) && ip_parse(S("2001:db8:0:1::1"), &near) && ip_parse(S("2001:db8:0:1:ffff::2"), &far));
    for (int i = 0; i < OAUTH_TRIES_USER; i++) {
        CHECK(oauth_may_try(&v4, S("ann@a.example")));
        oauth_try_failed(&v4, S("ann@a.example"));
        oauth_try_failed(&near, S("ann@a.example"));
    }
    CHECK(!oauth_may_try(&v4, S("ann@a.example")));
    CHECK(oauth_may_try(&v4, S("bob@a.example")));
    CHECK(!oauth_may_try(&far, S("ann@a.example"))); /* one network, one try */
    for (int i = OAUTH_TRIES_USER; i < OAUTH_TRIES_ADDRESS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "u%d", i);
        CHECK(oauth_may_try(&v4, str_of(name)));
        oauth_try_failed(&v4, str_of(name));
    }
    CHECK(!oauth_may_try(&v4, S("bob@a.example")));
    CHECK(oauth_may_try(&near, S("bob@a.example")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shards, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(test_options, dir_setup, dir_teardown),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_tries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
