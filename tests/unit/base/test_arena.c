#include "test.h"

#include "base/arena.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void alignment_and_growth(void **state)
{
    struct arena *a = arena_new();
    char *last = NULL;
    for (size_t n = 0; n < 3000; n += 7) {
        char *p = arena_alloc(a, n);
        assert_int_equal((uintptr_t)p % 8, 0);
        assert_ptr_not_equal(p, last);
        memset(p, 0xa5, n);
        last = n ? p : last;
    }
    char *big = arena_zalloc(a, 1000000);
    for (size_t i = 0; i < 1000000; i++)
        assert_int_equal(big[i], 0);
    assert_true(arena_size(a) > 1000000);
    arena_release(&a);
    assert_null(a);
    arena_release(&a);
}

static void every_size(void **state)
{
    for (size_t n = 0; n < 5000; n++) {
        struct arena *a = arena_new();
        memset(arena_alloc(a, n), 1, n);
        memset(arena_alloc(a, 16), 2, 16);
        memset(arena_alloc(a, n), 3, n);
        arena_release(&a);
    }
}

static void strings(void **state)
{
    struct arena *a = arena_new();
    struct str s = arena_str(a, S("abc"));
    assert_str(s, S("abc"));
    assert_int_equal(s.p[3], 0);
    assert_string_equal(arena_cstr(a, STR_NULL), "");
    assert_str(arena_printf(a, "%d-%s", 5, "x"), S("5-x"));
    assert_str(arena_printf(a, "%s", ""), S(""));
    char text[2001];
    memset(text, 'y', 2000);
    text[2000] = '\0';
    assert_str(arena_printf(a, "%s", text), str_of(text));
    arena_release(&a);
}

static int order[3], at;

static void note(void *arg)
{
    order[at++] = *(int *)arg;
}

static void cleanups_run_backwards_with_the_last_reference(void **state)
{
    struct arena *a = arena_new();
    int *n = ARENA_ARRAY(a, int, 3);
    at = 0;
    for (int i = 0; i < 3; i++) {
        n[i] = i;
        arena_on_release(a, note, &n[i]);
    }
    struct arena *second = arena_hold(a);
    arena_release(&a);
    assert_int_equal(at, 0);
    arena_release(&second);
    assert_int_equal(at, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(order[i], 2 - i);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer)
#define CACHES_ON 1
#endif
#endif

static void secrets_are_wiped(void **state)
{
#ifdef CACHES_ON
    struct arena *a = arena_new();
    arena_mark_secret(a);
    volatile char *p = arena_cstr(a, S("correct horse battery staple"));
    arena_release(&a);
    /* The first block is in this thread's cache now, so it may still be looked at. */
    for (int i = 0; i < 28; i++)
        assert_int_equal(p[i], 0);
#endif
}

#define TRAVELLERS 20000

static struct arena *travellers[TRAVELLERS];

static void *end_them(void *arg)
{
    for (int i = 0; i < TRAVELLERS; i++)
        arena_release(&travellers[i]);
    return NULL;
}

static void made_here_freed_there(void **state)
{
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < TRAVELLERS; i++) {
            travellers[i] = arena_new();
            snprintf(arena_alloc(travellers[i], 100), 100, "%d", i);
        }
        pthread_t t;
        pthread_create(&t, NULL, end_them, NULL);
        pthread_join(t, NULL);
    }
    arena_cache_trim();
}

static void *share(void *arg)
{
    for (int i = 0; i < TRAVELLERS; i++) {
        struct arena *a = arg, *mine = arena_hold(a);
        arena_release(&mine);
    }
    return NULL;
}

static void references_are_thread_safe(void **state)
{
    struct arena *a = arena_new();
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, share, a);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alignment_and_growth),
        cmocka_unit_test(every_size),
        cmocka_unit_test(strings),
        cmocka_unit_test(cleanups_run_backwards_with_the_last_reference),
        cmocka_unit_test(secrets_are_wiped),
        cmocka_unit_test(made_here_freed_there),
        cmocka_unit_test(references_are_thread_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
