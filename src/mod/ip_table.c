/* See the header. */
#include "mod/api/ip_table.h"

#include "base/hash.h"
#include "base/mem.h"
#include "rt/shard.h"

#include <stdlib.h>

static bool note_eq(const struct map_node *node, const void *key)
{
    return ip_eq(&CONTAINER_OF(node, const struct ip_note, node)->ip, key);
}

static uint64_t hash_ip(const struct ip *ip)
{
    return hash_bytes(ip->b, ip->family == 4 ? 4 : 16) ^ ip->family;
}

struct ip ip_table_network(struct ip ip)
{
    if (ip.family == 6)
        memset(ip.b + 8, 0, 8);
    return ip;
}

unsigned ip_table_home(const struct ip *ip)
{
    return shard_of(hash_stable(ip->b, ip->family == 4 ? 4 : 16));
}

static void drop(struct ip_table *t, struct ip_note *n)
{
    map_del(&t->map, &n->node);
    list_del(&n->link);
    free(n);
}

static struct ip_note *oldest(struct ip_table *t)
{
    return LIST_ENTRY(t->order.next, struct ip_note, link);
}

/* All of a table live equally long, so that those whose time is over are in front. */
static void tidy(struct ip_table *t, uint64_t now_ms)
{
    if (!t->order.next) {
        map_init(&t->map);
        list_init(&t->order);
    }
    while (!list_empty(&t->order) && oldest(t)->until_ms <= now_ms)
        drop(t, oldest(t));
}

struct ip_note *ip_table_find(struct ip_table *t, const struct ip *ip, uint64_t now_ms)
{
    tidy(t, now_ms);
    struct map_node *n = map_find(&t->map, hash_ip(ip), note_eq, ip);
    struct ip_note *note = n ? CONTAINER_OF(n, struct ip_note, node) : NULL;
    return note && note->until_ms > now_ms ? note : NULL;
}

struct ip_note *ip_table_keep(struct ip_table *t, const struct ip *ip, uint64_t now_ms, uint64_t until_ms)
{
    struct ip_note *n = ip_table_find(t, ip, now_ms);
    if (n) {
        list_del(&n->link);
    } else {
        if (t->map.count >= IP_TABLE_MAX)
            drop(t, oldest(t));
        n = MEM_NEW(struct ip_note);
        n->ip = *ip;
        map_add(&t->map, &n->node, hash_ip(ip));
    }
    n->until_ms = until_ms;
    list_push(&t->order, &n->link);
    return n;
}

unsigned ip_table_forget(struct ip_table *t, const struct ip_net *net, uint64_t now_ms)
{
    unsigned n = 0;
    tidy(t, now_ms);
    LIST_EACH_SAFE(it, &t->order) {
        struct ip_note *note = LIST_ENTRY(it, struct ip_note, link);
        if (!ip_net_has(net, &note->ip))
            continue;
        drop(t, note);
        n++;
    }
    return n;
}

void ip_table_clear(struct ip_table *t)
{
    while (t->order.next && !list_empty(&t->order))
        drop(t, oldest(t));
    if (t->order.next)
        map_deinit(&t->map);
    *t = (struct ip_table){0};
}
