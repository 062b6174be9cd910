/*
 * What is remembered of addresses for a while: a count and a time for each, bounded. One per shard and module; an address belongs
 * to the shard ip_table_home. Nothing here suspends.
 */
#ifndef MOD_API_IP_TABLE_H
#define MOD_API_IP_TABLE_H

#include "base/list.h"
#include "base/map.h"
#include "net/addr.h"

#define IP_TABLE_MAX 65536 /* addresses on a shard; the oldest go first */

struct ip_note {
    struct map_node node;
    struct list link;
    struct ip ip;
    unsigned count;
    uint64_t until_ms; /* of the monotonic clock; later it is forgotten */
};

struct ip_table {
    struct map map;
    struct list order; /* oldest first; zeroed: empty */
};

/* An IPv6 customer has a network: its first 64 bits stand for all of it. */
struct ip ip_table_network(struct ip ip);
unsigned ip_table_home(const struct ip *ip);
/* NULL: nothing is known, or no more. */
struct ip_note *ip_table_find(struct ip_table *t, const struct ip *ip, uint64_t now_ms);
/* Finds or makes it and lets it live until then; good until the next call. */
struct ip_note *ip_table_keep(struct ip_table *t, const struct ip *ip, uint64_t now_ms, uint64_t until_ms);
/* How many were forgotten. */
unsigned ip_table_forget(struct ip_table *t, const struct ip_net *net, uint64_t now_ms);
void ip_table_clear(struct ip_table *t);

#endif
