#include "test.h"

#include "base/attrs.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/rand.h"

#include <stdlib.h>

struct item {
    struct map_node node;
    int key;
    bool in;
};

static bool same(const struct map_node *n, const void *key)
{
    return CONTAINER_OF(n, struct item, node)->key == *(const int *)key;
}

static uint64_t hash_int(int k)
{
    return hash_bytes(&k, sizeof(k));
}

#define ITEMS 5000

static void against_an_array(struct map *m, struct item *items)
{
    size_t in = 0, seen = 0;
    for (int i = 0; i < ITEMS; i++) {
        struct map_node *n = map_find(m, hash_int(i), same, &i);
        assert_ptr_equal(n, items[i].in ? &items[i].node : NULL);
        in += items[i].in;
    }
    assert_int_equal(m->count, in);
    for (struct map_node *n = map_next(m, NULL); n; n = map_next(m, n)) {
        assert_true(CONTAINER_OF(n, struct item, node)->in);
        seen++;
    }
    assert_int_equal(seen, in);
}

static void random_walk(void **state)
{
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct map m;
    map_init(&m);
    assert_null(map_next(&m, NULL));
    for (int i = 0; i < ITEMS; i++)
        items[i].key = i;
    for (int step = 0; step < 200000; step++) {
        /* The share of what is in swings between nearly nothing and nearly everything. */
        bool grow = step / 20000 % 2 == 0;
        struct item *it = &items[rand_u64() % ITEMS];
        if (!it->in && (grow || rand_u64() % 8 == 0))
            map_add(&m, &it->node, hash_int(it->key));
        else if (it->in && (!grow || rand_u64() % 8 == 0))
            map_del(&m, &it->node);
        else
            continue;
        it->in = !it->in;
        if (step % 10000 == 0)
            against_an_array(&m, items);
    }
    against_an_array(&m, items);
    map_deinit(&m);
    free(items);
}

/* "Take the first until none is left" is how tables are emptied at shutdown; it must not be quadratic. */
static void emptied_from_the_front(void **state)
{
    size_t n = 300000;
    struct item *items = calloc(n, sizeof(*items));
    struct map m;
    map_init(&m);
    for (size_t i = 0; i < n; i++)
        map_add(&m, &items[i].node, hash_int((int)i));
    size_t most = m.used;
    assert_true(most >= n);
    for (struct map_node *first; (first = map_next(&m, NULL));)
        map_del(&m, first);
    assert_int_equal(m.count, 0);
    assert_true(m.used < 64);
    map_deinit(&m);
    free(items);
}

static void same_hash(void **state)
{
    struct item items[20] = {0};
    struct map m;
    map_init(&m);
    for (int i = 0; i < 20; i++) {
        items[i].key = i;
        map_add(&m, &items[i].node, 42);
    }
    for (int i = 0; i < 20; i++)
        assert_ptr_equal(map_find(&m, 42, same, &i), &items[i].node);
    for (int i = 0; i < 20; i += 2)
        map_del(&m, &items[i].node);
    for (int i = 0; i < 20; i++)
        assert_ptr_equal(map_find(&m, 42, same, &i), i % 2 ? &items[i].node : NULL);
    map_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_walk), cmocka_unit_test(emptied_from_the_front),
                                       cmocka_unit_test(same_hash)};
    hash_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
