/* Sessions of ad-hoc commands: whose they are, how many there are, how long they last. Time is the test's. */
#include "mod/api/adhoc_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct arena *arena;

static struct jid jid(const char *text)
{
    struct jid j;
    assert_true(jid_parse(arena, str_of(text), &j));
    return j;
}

static struct str id_of(const struct adhoc_session *s)
{
    return arena_str(arena, str_of(s->id));
}

static int setup(void **state)
{
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    adhoc_sessions_drop(0);
    adhoc_sessions_drop(1);
    assert_int_equal(adhoc_session_count(), 0);
    arena_release(&arena);
    return 0;
}

static enum adhoc_found find(struct str id, const char *owner, unsigned host, const char *node, uint64_t now)
{
    struct adhoc_session *s = NULL;
    return adhoc_session_find(id, jid(owner), host, str_of(node), now, &s);
}

static void test_owner(void **state)
{
    struct str id = id_of(adhoc_session_new(jid("a@h/r"), 0, S("n"), 1000));
    assert_int_equal(find(id, "a@h/r", 0, "n", 1000), ADHOC_FOUND);
    assert_int_equal(find(id, "a@h/s", 0, "n", 1000), ADHOC_UNKNOWN);
    assert_int_equal(find(id, "b@h/r", 0, "n", 1000), ADHOC_UNKNOWN);
    assert_int_equal(find(id, "a@h/r", 1, "n", 1000), ADHOC_UNKNOWN);
    assert_int_equal(find(id, "a@h/r", 0, "m", 1000), ADHOC_UNKNOWN);
    assert_int_equal(find(S("x"), "a@h/r", 0, "n", 1000), ADHOC_UNKNOWN);
    assert_int_equal(find(S(""), "a@h/r", 0, "n", 1000), ADHOC_UNKNOWN);
}

static void test_time(void **state)
{
    struct adhoc_session *s = adhoc_session_new(jid("a@h/r"), 0, S("n"), 1000);
    struct str id = id_of(s);
    assert_int_equal(find(id, "a@h/r", 0, "n", 1000 + ADHOC_SESSION_MS - 1), ADHOC_FOUND);
    adhoc_session_keep(&s, NULL, 2000); /* used: lives on */
    assert_int_equal(find(id, "a@h/r", 0, "n", 1000 + ADHOC_SESSION_MS), ADHOC_FOUND);
    assert_int_equal(find(id, "a@h/r", 0, "n", 2000 + ADHOC_SESSION_MS), ADHOC_OVER);
    assert_int_equal(find(id, "a@h/r", 0, "n", 2000), ADHOC_OVER); /* for good */
}

static void test_end(void **state)
{
    struct adhoc_session *s = adhoc_session_new(jid("a@h/r"), 0, S("n"), 0);
    struct str id = id_of(s), value = S("secret");
    struct dataform_field field = {S("password"), &value, 1};
    adhoc_session_keep(&s, &(struct dataform){DATAFORM_SUBMIT, &field, 1}, 0);
    assert_true(str_eq(dataform_value(&s->form, S("password")), S("secret")));
    adhoc_session_end(&s);
    assert_int_equal(s->form.n, 0);
    assert_int_equal(find(id, "a@h/r", 0, "n", 0), ADHOC_OVER);
}

static void test_per_account(void **state)
{
    struct str ids[ADHOC_SESSIONS_PER_ACCOUNT + 1], other = id_of(adhoc_session_new(jid("b@h/r"), 0, S("n"), 0));
    struct adhoc_session *s = NULL;
    for (unsigned i = 0; i < ADHOC_SESSIONS_PER_ACCOUNT; i++)
        ids[i] = id_of(adhoc_session_new(jid(i % 2 ? "a@h/r" : "a@h/q"), 0, S("n"), 0));
    assert_int_equal(adhoc_session_find(ids[3], jid("a@h/r"), 0, S("n"), 0, &s), ADHOC_FOUND);
    adhoc_session_end(&s);
    ids[ADHOC_SESSIONS_PER_ACCOUNT] = id_of(adhoc_session_new(jid("a@h/r"), 0, S("n"), 0));
    assert_int_equal(find(ids[3], "a@h/r", 0, "n", 0), ADHOC_UNKNOWN); /* what is over goes first */
    assert_int_equal(find(ids[0], "a@h/q", 0, "n", 0), ADHOC_FOUND);
    adhoc_session_new(jid("a@h/r"), 0, S("n"), 0);
    assert_int_equal(find(ids[0], "a@h/q", 0, "n", 0), ADHOC_UNKNOWN); /* then the oldest */
    assert_int_equal(find(other, "b@h/r", 0, "n", 0), ADHOC_FOUND);
    assert_int_equal(adhoc_session_count(), ADHOC_SESSIONS_PER_ACCOUNT + 1);
}

static void test_per_shard(void **state)
{
    char owner[32];
    struct str first = id_of(adhoc_session_new(jid("first@h/r"), 0, S("n"), 0));
    for (unsigned i = 1; i < ADHOC_SESSIONS_PER_SHARD + 10; i++) {
        snprintf(owner, sizeof owner, "u%u@h/r", i);
        adhoc_session_new(jid(owner), 0, S("n"), 0);
    }
    assert_int_equal(adhoc_session_count(), ADHOC_SESSIONS_PER_SHARD);
    assert_int_equal(find(first, "first@h/r", 0, "n", 0), ADHOC_UNKNOWN);
}

static void test_drop(void **state)
{
    struct str kept = id_of(adhoc_session_new(jid("a@h/r"), 1, S("n"), 0));
    adhoc_session_new(jid("a@h/r"), 0, S("n"), 0);
    adhoc_sessions_drop(0);
    assert_int_equal(adhoc_session_count(), 1);
    assert_int_equal(find(kept, "a@h/r", 1, "n", 0), ADHOC_FOUND);
}

static void test_merge(void **state)
{
    struct str one = S("1"), two = S("2"), three = S("3");
    struct dataform_field old[] = {{S("a"), &one, 1}, {S("b"), &one, 1}}, now[] = {{S("b"), &two, 1}, {S("c"), &three, 1}};
    struct dataform earlier = {DATAFORM_SUBMIT, old, 2}, later = {DATAFORM_SUBMIT, now, 2}, merged;
    adhoc_merge(arena, &earlier, &later, &merged);
    assert_int_equal(merged.n, 3);
    assert_true(str_eq(dataform_value(&merged, S("a")), one) && str_eq(dataform_value(&merged, S("b")), two) &&
                str_eq(dataform_value(&merged, S("c")), three));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_per_account, setup, teardown),
        cmocka_unit_test_setup_teardown(test_per_shard, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_merge, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
