/*
 * Intrusive hash map by linear hashing: it grows and shrinks by one bucket at a time, so a table of a million sessions
 * never stops its loop to rehash. One thread at a time; suspends never.
 */
#include "base/map.h"
#include "base/attrs.h"
#include "base/mem.h"

#include <stdlib.h>

#define MAP_MIN 8

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_deinit(struct map *m)
{
    free(m->buckets);
    *m = (struct map){0};
}

/* Buckets at and after `used` are not split off yet: their nodes are still in the lower half. */
static inline size_t bucket_of(const struct map *m, uint64_t hash)
{
    size_t i = hash & m->mask;
    return i < m->used ? i : i & (m->mask >> 1);
}

struct map_node *map_find(const struct map *m, uint64_t hash, map_eq_fn eq, const void *key)
{
    if (!m->used)
        return NULL;
    for (struct map_node *n = m->buckets[bucket_of(m, hash)]; n; n = n->next)
        if (n->hash == hash && eq(n, key))
            return n;
    return NULL;
}

static void resize(struct map *m, size_t buckets)
{
    m->buckets = mem_realloc(m->buckets, buckets * sizeof(*m->buckets));
    m->mask = buckets - 1;
}

static void split_one(struct map *m)
{
    if (m->used == m->mask + 1)
        resize(m, (m->mask + 1) * 2);
    size_t fresh = m->used++, old = fresh & (m->mask >> 1);
    struct map_node *n = m->buckets[old];
    struct map_node **keep = &m->buckets[old], **move = &m->buckets[fresh];
    for (; n; n = n->next) {
        struct map_node ***to = (n->hash & m->mask) == fresh ? &move : &keep;
        **to = n;
        *to = &n->next;
    }
    *keep = *move = NULL;
}

static void merge_one(struct map *m)
{
    size_t last = --m->used, into = last & (m->mask >> 1);
    struct map_node **tail = &m->buckets[into];
    while (*tail)
        tail = &(*tail)->next;
    *tail = m->buckets[last];
    if (into < m->low)
        m->low = into;
    if (m->used == (m->mask + 1) / 2)
        resize(m, m->used);
}

void map_add(struct map *m, struct map_node *node, uint64_t hash)
{
    if (UNLIKELY(!m->used)) {
        m->buckets = mem_zalloc(MAP_MIN * sizeof(*m->buckets));
        m->used = MAP_MIN;
        m->mask = MAP_MIN - 1;
    } else if (m->count >= m->used) {
        split_one(m);
    }
    size_t i = bucket_of(m, hash);
    node->hash = hash;
    node->next = m->buckets[i];
    m->buckets[i] = node;
    if (i < m->low)
        m->low = i;
    m->count++;
}

void map_del(struct map *m, struct map_node *node)
{
    struct map_node **at = &m->buckets[bucket_of(m, node->hash)];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    node->next = NULL;
    m->count--;
    /* Two for one keeps up with steady removal. */
    for (int i = 0; i < 2 && m->used > MAP_MIN && m->count < m->used / 2; i++)
        merge_one(m);
    /* Emptying a map by "first, remove, first, remove" stays linear. */
    while (m->low + 1 < m->used && !m->buckets[m->low])
        m->low++;
}

struct map_node *map_next(const struct map *m, const struct map_node *prev)
{
    size_t i = m->low;
    if (prev) {
        if (prev->next)
            return prev->next;
        i = bucket_of(m, prev->hash) + 1;
    }
    for (; i < m->used; i++)
        if (m->buckets[i])
            return m->buckets[i];
    return NULL;
}
