#include "test.h"

#include "base/attrs.h"
#include "base/order.h"
#include "base/rand.h"

#include <stdio.h>
#include <stdlib.h>

struct item {
    struct order_node node;
    char text[8];
    bool in;
};

static struct str text_of(const struct order_node *n)
{
    return str_of(CONTAINER_OF(n, const struct item, node)->text);
}

#define ITEMS 3000

struct check {
    const struct item *items;
    int next, left;
};

static int next_in(const struct item *items, int from)
{
    while (from < ITEMS && !items[from].in)
        from++;
    return from;
}

static bool is_next(struct order_node *n, void *arg)
{
    struct check *c = arg;
    assert_int_equal(CONTAINER_OF(n, struct item, node) - c->items, c->next);
    c->next = next_in(c->items, c->next + 1);
    return --c->left != 0;
}

static void against_an_array(const struct order *o, const struct item *items)
{
    struct check c = {items, next_in(items, 0), -1};
    order_walk(o, STR_NULL, is_next, &c);
    assert_int_equal(c.next, ITEMS);
    for (int i = 0; i < 50; i++) {
        int after = (int)(rand_u64() % ITEMS), left = 1 + (int)(rand_u64() % 20);
        c = (struct check){items, next_in(items, after + 1), left};
        order_walk(o, str_of(items[after].text), is_next, &c); /* also behind one that is not there */
        assert_true(c.left == 0 || c.next == ITEMS);
    }
}

/* In any order of coming and going it has what is there, in order, from any place on. */
static void comes_and_goes(void **state)
{
    struct order o = {.key = text_of};
    struct item *items = calloc(ITEMS, sizeof *items);
    for (int i = 0; i < ITEMS; i++)
        snprintf(items[i].text, sizeof items[i].text, "%06d", i);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < ITEMS; i++) {
            struct item *it = &items[(rand_u64() % ITEMS)];
            if (it->in)
                order_del(&o, &it->node);
            else
                order_add(&o, &it->node);
            it->in = !it->in;
        }
        against_an_array(&o, items);
    }
    for (int i = 0; i < ITEMS; i++)
        if (items[i].in)
            order_del(&o, &items[i].node);
    assert_null(o.root);
    free(items);
}

struct named {
    struct order_node node;
    char text[24];
};

static struct str text_of_named(const struct order_node *n)
{
    return str_of(CONTAINER_OF(n, const struct named, node)->text);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names of every shape, some with several texts: all of them, each once, in order of names, from any place on. */
static void names_in_order(void **state)
{
    enum { N = 400 };
    static const char letters[] = "-.a@z";
    struct order o = {.key = text_of_named};
    struct named *items = calloc(N, sizeof *items);
    char (*names)[8] = calloc(N, sizeof *names);
    for (int i = 0; i < N; i++) {
        char *p = names[i];
        for (uint64_t n = 1 + rand_u64() % 5; n; n--)
            while ((*p = letters[rand_u64() % 5]) == '@' || !++p)
                ;
        snprintf(items[i].text, sizeof items[i].text, "%s@host/%d", names[i], i);
        order_add(&o, &items[i].node);
    }
    qsort(names, N, sizeof *names, by_text);
    struct str at = STR_NULL;
    for (int i = 0; i < N; i++) {
        if (i && !strcmp(names[i], names[i - 1]))
            continue;
        at = order_next_name(&o, at, '@');
        assert_true(str_eq(at, str_of(names[i])));
        assert_int_equal(at.p[at.n], '@');
    }
    assert_null(order_next_name(&o, at, '@').p);
    free(items);
    free(names);
}

/* A name that is not there has a place all the same. */
static void name_behind_another(void **state)
{
    static const char *const texts[] = {"ann.b@h", "ann@h", "b@h"};
    struct order o = {.key = text_of_named};
    struct named items[3];
    for (int i = 0; i < 3; i++) {
        snprintf(items[i].text, sizeof items[i].text, "%s", texts[i]);
        order_add(&o, &items[i].node);
    }
    assert_true(str_eq(order_next_name(&o, S("an"), '@'), S("ann")));
    assert_true(str_eq(order_next_name(&o, S("ann."), '@'), S("ann.b")));
    assert_true(str_eq(order_next_name(&o, S("ann.b.c"), '@'), S("b")));
    assert_true(str_eq(order_next_name(&o, S("anz"), '@'), S("b")));
    assert_null(order_next_name(&o, S("b.c"), '@').p);
}

static size_t depth(const struct order_node *n)
{
    if (!n)
        return 0;
    size_t l = depth(n->left), r = depth(n->right);
    return 1 + (l > r ? l : r);
}

/* Names that come in order, as an attacker or a load test would have them, make no list of it. */
static void stays_flat(void **state)
{
    enum { MANY = 100000 };
    struct order o = {.key = text_of};
    struct item *items = calloc(MANY, sizeof *items);
    for (int i = 0; i < MANY; i++) {
        snprintf(items[i].text, sizeof items[i].text, "%06d", i);
        order_add(&o, &items[i].node);
    }
    assert_true(depth(o.root) < 100);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(comes_and_goes), cmocka_unit_test(names_in_order),
        cmocka_unit_test(name_behind_another), cmocka_unit_test(stays_flat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
