/*
 * Intrusive hash map: the value embeds a `struct map_node`. Keys are compared by the caller's function, hashes are
 * keyed (base/hash.h) so that peers cannot choose collisions. One thread at a time.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **buckets;
    size_t mask, count;
    size_t used; /* buckets in use; the table grows and shrinks one bucket at a time */
    size_t low;  /* every bucket below is empty */
};

typedef bool (*map_eq_fn)(const struct map_node *node, const void *key);

void map_init(struct map *m);
/* Frees the table, not the values. */
void map_deinit(struct map *m);
struct map_node *map_find(const struct map *m, uint64_t hash, map_eq_fn eq, const void *key);
/* The caller made sure the key is absent. */
void map_add(struct map *m, struct map_node *node, uint64_t hash);
/* The node must be in the map. */
void map_del(struct map *m, struct map_node *node);
/* Next node after `prev` (NULL: the first) in table order; NULL at the end. The map must not change meanwhile. */
struct map_node *map_next(const struct map *m, const struct map_node *prev);

#endif
