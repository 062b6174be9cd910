/* The treap of base/order.h. Its expected depth is 2 ln n, 28 for a million, and walking it recurses so deep. */
#include "base/order.h"

/* Neighbours in memory get priorities that have nothing to do with each other. */
static uint64_t priority(const struct order_node *n)
{
    uint64_t x = (uint64_t)(uintptr_t)n;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93u;
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

void order_add(struct order *o, struct order_node *n)
{
    struct str key = o->key(n);
    struct order_node **at = &o->root, **left = &n->left, **right = &n->right;
    while (*at && priority(*at) >= priority(n))
        at = str_cmp(key, o->key(*at)) < 0 ? &(*at)->left : &(*at)->right;
    /* What was here goes below it, to either side. */
    for (struct order_node *t = *at; t;) {
        if (str_cmp(o->key(t), key) < 0) {
            *left = t;
            left = &t->right;
            t = t->right;
        } else {
            *right = t;
            right = &t->left;
            t = t->left;
        }
    }
    *left = *right = NULL;
    *at = n;
}

void order_del(struct order *o, struct order_node *n)
{
    struct str key = o->key(n);
    struct order_node **at = &o->root, *a = n->left, *b = n->right;
    while (*at != n)
        at = str_cmp(key, o->key(*at)) < 0 ? &(*at)->left : &(*at)->right;
    while (a && b) {
        if (priority(a) >= priority(b)) {
            *at = a;
            at = &a->right;
            a = a->right;
        } else {
            *at = b;
            at = &b->left;
            b = b->left;
        }
    }
    *at = a ? a : b;
    n->left = n->right = NULL;
}

struct walk {
    const struct order *o;
    bool (*fn)(struct order_node *n, void *arg);
    void *arg;
};

static bool walk(const struct walk *w, struct order_node *n, struct str after)
{
    if (!n)
        return true;
    bool behind = !after.p || str_cmp(w->o->key(n), after) > 0;
    struct order_node *right = n->right;
    if (behind && (!walk(w, n->left, after) || !w->fn(n, w->arg)))
        return false;
    return walk(w, right, behind ? STR_NULL : after);
}

void order_walk(const struct order *o, struct str after, bool (*fn)(struct order_node *n, void *arg), void *arg)
{
    walk(&(struct walk){o, fn, arg}, o->root, after);
}

/* --- names --- */

/* The first node whose text begins with `name` and goes on with `next` or a larger byte, or comes behind all that begin so. */
static struct order_node *at_least(const struct order *o, struct str name, int next)
{
    struct order_node *n = o->root, *best = NULL;
    while (n) {
        struct str key = o->key(n);
        int d = str_cmp(str_n(key.p, key.n < name.n ? key.n : name.n), name);
        if (d == 0)
            d = key.n > name.n && (unsigned char)key.p[name.n] >= next ? 0 : -1;
        if (d >= 0)
            best = n;
        n = d >= 0 ? n->left : n->right;
    }
    return best;
}

static struct str name_of(const struct order *o, const struct order_node *n, char end)
{
    struct str key = o->key(n);
    return str_n(key.p, (size_t)str_find(key, end));
}

struct str order_next_name(const struct order *o, struct str name, char end)
{
    const int e = (unsigned char)end;
    size_t same = 0;
    if (!name.p)
        name = S("");
    struct order_node *n = at_least(o, name, 0);
    /* What `name` begins with, and itself, come before it. */
    while (n && str_starts(name, name_of(o, n, end)))
        n = at_least(o, name_of(o, n, end), e + 1);
    if (!n)
        return STR_NULL;
    struct str found = name_of(o, n, end);
    while (same < name.n && same < found.n && name.p[same] == found.p[same])
        same++;
    /* What it begins with comes before it, and in the set behind it where the byte that follows is smaller than `end`. */
    for (size_t len = same + 1; len < found.n; len++) {
        struct order_node *shorter = (unsigned char)found.p[len] < e ? at_least(o, str_n(found.p, len), e) : NULL;
        if (shorter && str_eq(name_of(o, shorter, end), str_n(found.p, len)))
            return name_of(o, shorter, end);
    }
    return found;
}
