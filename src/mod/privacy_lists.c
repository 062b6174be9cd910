/*
 * Privacy lists as they are asked for with every stanza: remembered per account on its home shard (options cache_* of mod_privacy),
 * and matched. Lists that ask for groups or subscriptions are read anew with the roster whenever a stanza can wait for it.
 */
#include "mod/api/privacy.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/account/roster.h"
#include "core/module/module.h"
#include "rt/shard.h"
#include "store/roster.h"

#include <stdlib.h>

struct entry {
    struct map_node node;
    struct list link; /* least recently read first */
    uint64_t until_ms;
    struct privacy_lists *lists;
    size_t n;
    char bare[];
};

static _Thread_local struct map entries;
static _Thread_local struct list order;
static _Thread_local uint64_t changes; /* what was read before a change is not remembered after it */

/* --- what is remembered --- */

static bool entry_eq(const struct map_node *node, const void *key)
{
    const struct entry *e = CONTAINER_OF(node, const struct entry, node);
    return str_eq(str_n(e->bare, e->n), *(const struct str *)key);
}

static struct entry *find(struct str bare)
{
    if (!order.next) {
        map_init(&entries);
        list_init(&order);
    }
    struct map_node *n = map_find(&entries, hash_str(bare), entry_eq, &bare);
    return n ? CONTAINER_OF(n, struct entry, node) : NULL;
}

void privacy_release(struct privacy_lists **lp)
{
    struct privacy_lists *l = *lp;
    *lp = NULL;
    if (l && --l->refs == 0) {
        struct arena *a = l->arena;
        arena_release(&a);
    }
}

static void drop(struct entry *e)
{
    map_del(&entries, &e->node);
    list_del(&e->link);
    privacy_release(&e->lists);
    free(e);
}

void privacy_forget(struct jid owner)
{
    struct entry *e = find(jid_bare(owner));
    changes++;
    if (e)
        drop(e);
}

void privacy_forget_all(void)
{
    changes++;
    if (!order.next)
        return;
    while (!list_empty(&order))
        drop(LIST_ENTRY(order.next, struct entry, link));
    map_deinit(&entries);
    order = (struct list){0};
}

static void remember(const struct options *o, struct str bare, struct privacy_lists *l)
{
    int64_t life = opt_int(o, "cache_life_time"), max = opt_int(o, "cache_size") / (int64_t)shard_count();
    struct entry *e = find(bare);
    if (e)
        drop(e);
    if (!opt_bool(o, "use_cache") || (!l->n && !opt_bool(o, "cache_missed")))
        return;
    if (entries.count && (int64_t)entries.count >= max)
        drop(LIST_ENTRY(order.next, struct entry, link));
    e = mem_zalloc(sizeof *e + bare.n);
    e->until_ms = life == OPT_INFINITY ? UINT64_MAX : clock_mono_ms() + (uint64_t)life;
    e->lists = l;
    l->refs++;
    e->n = bare.n;
    memcpy(e->bare, bare.p, bare.n);
    map_add(&entries, &e->node, hash_str(bare));
    list_push(&order, &e->link);
}

/* --- reading --- */

static enum store_rc read_lists(struct privacy_lists *l, struct str host, struct str user) YIELDS;
static enum store_rc read_lists(struct privacy_lists *l, struct str host, struct str user)
{
    struct str *names;
    size_t n = 0;
    enum store_rc rc = privacy_names(l->arena, host, user, &names, &n);
    struct privacy_named *lists = ARENA_ARRAY(l->arena, struct privacy_named, n + 1);
    l->lists = lists;
    for (size_t i = 0; rc == STORE_OK && i < n; i++) {
        rc = privacy_get(l->arena, host, user, names[i], &lists[l->n].list);
        if (rc == STORE_OK)
            lists[l->n++].name = names[i];
        else if (rc == STORE_NONE)
            rc = STORE_OK; /* gone meanwhile */
    }
    if (rc != STORE_OK || !l->n)
        return rc;
    rc = privacy_get_default(l->arena, host, user, &l->default_name);
    const struct privacy_named *d = rc == STORE_OK ? privacy_find(l, l->default_name) : NULL;
    if (d)
        l->by_default = &d->list;
    else
        l->default_name = STR_NULL;
    return rc == STORE_NONE ? STORE_OK : rc;
}

static bool asks_roster(const struct privacy_lists *l)
{
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < l->lists[i].list.n; k++)
            if (l->lists[i].list.items[k].type == PRIVACY_GROUP || l->lists[i].list.items[k].type == PRIVACY_SUBSCRIPTION)
                return true;
    return false;
}

/* With the roster of the account in memory, where modules tell of their contacts. */
static enum store_rc read_contacts(struct privacy_lists *l, unsigned host, struct jid owner) YIELDS;
static enum store_rc read_contacts(struct privacy_lists *l, unsigned host, struct jid owner)
{
    struct roster r;
    struct account *a = account_pin(host, owner);
    enum store_rc rc = account_roster_load(a);
    account_unpin(a);
    if (rc == STORE_OK)
        rc = roster_load(l->arena, jid_host(owner), jid_user(owner), &r);
    if (rc != STORE_OK)
        return rc;
    struct privacy_contact *c = ARENA_ARRAY(l->arena, struct privacy_contact, r.n + 1);
    for (size_t i = 0; i < r.n; i++)
        c[i] = (struct privacy_contact){r.items[i].jid, r.items[i].groups, r.items[i].n_groups, (int)r.items[i].subscription};
    l->contacts = c;
    l->n_contacts = r.n;
    return STORE_OK;
}

struct privacy_lists *privacy_hold(unsigned host, struct jid owner)
{
    struct entry *e = find(jid_bare(owner));
    if (e && e->until_ms > clock_mono_ms() && !e->lists->needs_roster) {
        e->lists->refs++;
        return e->lists;
    }
    const struct module *m = module_find(S("mod_privacy"));
    struct arena *a = arena_new();
    struct jid j = jid_copy(a, owner);
    struct privacy_lists *l = ARENA_NEW(a, struct privacy_lists);
    uint64_t before = changes;
    *l = (struct privacy_lists){.arena = a, .refs = 1};
    enum store_rc rc = read_lists(l, jid_host(j), jid_user(j));
    l->needs_roster = rc == STORE_OK && asks_roster(l);
    if (l->needs_roster)
        rc = read_contacts(l, host, j);
    const struct options *o = m ? module_options(host, m) : NULL;
    if (rc != STORE_OK)
        privacy_release(&l);
    else if (o && before == changes)
        remember(o, jid_bare(j), l);
    return l;
}

const struct privacy_lists *privacy_peek(struct jid owner)
{
    struct entry *e = find(jid_bare(owner));
    return e ? e->lists : NULL;
}

const struct privacy_named *privacy_find(const struct privacy_lists *l, struct str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->lists[i].name, name))
            return &l->lists[i];
    return NULL;
}

/* --- matching --- */

static const struct privacy_contact *contact_of(const struct privacy_lists *l, struct str bare)
{
    size_t lo = 0, hi = l->n_contacts;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order_ = str_cmp(l->contacts[mid].jid, bare);
        if (order_ == 0)
            return &l->contacts[mid];
        if (order_ < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* §2.1: user@domain/resource, user@domain, domain/resource, domain; what is left out stands for all. */
static bool address_fits(struct str value, struct jid peer)
{
    if (str_eq(value, jid_full(peer)) || str_eq(value, jid_bare(peer)) || str_eq(value, jid_host(peer)))
        return true;
    struct str host = jid_host(peer), res = jid_res(peer);
    return res.n && value.n == host.n + 1 + res.n && str_starts(value, host) && value.p[host.n] == '/' &&
           memcmp(value.p + host.n + 1, res.p, res.n) == 0;
}

static bool is_in(const struct str *groups, size_t n, struct str group)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(groups[i], group))
            return true;
    return false;
}

/* Also those that modules show her in. */
static bool in_group(const struct privacy_view *v, struct jid peer, struct str group)
{
    const struct privacy_contact *c = contact_of(v->lists, jid_bare(peer));
    struct contact_look shared;
    if (c && is_in(c->groups, c->n_groups, group))
        return true;
    struct arena *a = arena_new();
    bool in = account_shared_contact(v->account, a, peer, &shared) && is_in(shared.labels, shared.n_labels, group);
    arena_release(&a);
    return in;
}

static bool subscribed(const struct privacy_view *v, struct jid peer, struct str word)
{
    const struct privacy_contact *c = contact_of(v->lists, jid_bare(peer));
    enum roster_subscription own = c ? (enum roster_subscription)c->subscription : ROSTER_NONE;
    struct contact_look shared;
    account_shared_contact(v->account, NULL, peer, &shared);
    bool to = sub_we_see(own) || shared.to, from = sub_sees_us(own) || shared.from;
    return str_eq(word, str_of(to ? (from ? "both" : "to") : from ? "from" : "none"));
}

static bool peer_fits(const struct privacy_view *v, const struct privacy_item *i, struct jid peer)
{
    switch (i->type) {
    case PRIVACY_JID: return address_fits(i->value, peer);
    case PRIVACY_GROUP: return in_group(v, peer, i->value);
    case PRIVACY_SUBSCRIPTION: return subscribed(v, peer, i->value);
    default: return true;
    }
}

/* §2.13: only notifications count as presence; subscriptions are under what is said of everything. */
static bool kind_fits(const struct privacy_item *i, enum privacy_way way, enum stanza_kind kind, enum stanza_type type)
{
    bool notice = kind == STANZA_PRESENCE && (type == ST_AVAILABLE || type == ST_UNAVAILABLE);
    bool probe = kind == STANZA_PRESENCE && type == ST_PROBE;
    if (i->match_all || (!i->match_iq && !i->match_message && !i->match_presence_in && !i->match_presence_out))
        return true;
    if (probe) /* what it asks for goes the other way */
        return way == PRIVACY_IN ? i->match_presence_out : i->match_presence_in;
    if (way == PRIVACY_OUT)
        return notice && i->match_presence_out;
    return (kind == STANZA_MESSAGE && i->match_message) || (kind == STANZA_IQ && i->match_iq) || (notice && i->match_presence_in);
}

bool privacy_allows(const struct privacy_view *v, enum privacy_way way, enum stanza_kind kind, enum stanza_type type,
                    struct jid peer)
{
    for (size_t i = 0; v->list && i < v->list->n; i++)
        if (kind_fits(&v->list->items[i], way, kind, type) && peer_fits(v, &v->list->items[i], peer))
            return v->list->items[i].allow;
    return true;
}
