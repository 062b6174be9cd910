/*
 * Intrusive ordered set: the value embeds a `struct order_node` of two pointers and has a text of its own, all different, that
 * the set is ordered by (bytes, shorter first). A treap: adding, removing and finding a place cost O(log n) comparisons whoever
 * chooses the texts, because its shape comes from the addresses of the nodes. One thread at a time.
 */
#ifndef BASE_ORDER_H
#define BASE_ORDER_H

#include "base/str.h"

struct order_node {
    struct order_node *left, *right;
};

struct order {
    struct order_node *root;
    struct str (*key)(const struct order_node *n); /* does not change while the node is in the set */
};

/* The text must not be there already. */
void order_add(struct order *o, struct order_node *n);
/* The node must be in the set. */
void order_del(struct order *o, struct order_node *n);
/*
 * fn for every node behind `after` (absent: from the first) in order, until it says false. The set must not change meanwhile.
 */
void order_walk(const struct order *o, struct str after, bool (*fn)(struct order_node *n, void *arg), void *arg);

/*
 * Where each text is a name that is not empty, the byte `end`, which no name has, and more: the name behind `name` (absent: the
 * first) in order of names alone, which is another one ("ann" comes before "ann.b", "ann@" behind "ann.b@"). Absent: none. It lies
 * in the text of a node, with `end` behind it.
 */
struct str order_next_name(const struct order *o, struct str name, char end);

#endif
