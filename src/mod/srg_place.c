/*
 * Shared roster groups, every shard: the view of each host, as shard 0 made it (mod/srg_book.c), and who of the host is online on
 * any shard. That is known only where a group needs it: shards are asked once, and from then on tell whose sessions begin and end.
 * What is different for those who are online here is told by mod/srg_tell.c.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/account/session_table.h"
#include "mod/api/srg_parts.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include <stdlib.h>

/* A host's view on one shard. */
struct place {
    struct map_node node;
    struct str host;
    struct srg_view *view; /* NULL: not asked for yet */
    uint64_t generation;
    bool fetching;         /* a fiber asks for the view */
    bool announces;        /* tells every shard whose sessions begin and end here */
    bool follows;          /* keeps who is online: a group needs it */
    struct map online;     /* struct presence: accounts of the host with sessions on any shard */
};

struct presence {
    struct map_node node;
    struct str jid;
};

static struct map places[SHARD_MAX];
static bool ready[SHARD_MAX];

static struct map *here(void)
{
    unsigned shard = shard_self();
    if (!ready[shard])
        map_init(&places[shard]);
    ready[shard] = true;
    return &places[shard];
}

static bool place_eq(const struct map_node *node, const void *key)
{
    return str_eq(CONTAINER_OF(node, const struct place, node)->host, *(const struct str *)key);
}

static struct place *find_place(struct str host)
{
    struct map_node *n = map_find(here(), hash_str(host), place_eq, &host);
    return n ? CONTAINER_OF(n, struct place, node) : NULL;
}

static struct place *place_of(struct str host)
{
    struct place *p = find_place(host);
    if (p)
        return p;
    p = mem_zalloc(sizeof *p + host.n);
    memcpy(p + 1, host.p, host.n);
    p->host = str_n((char *)(p + 1), host.n);
    map_init(&p->online);
    map_add(here(), &p->node, hash_str(p->host));
    return p;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* --- who is online, for groups that have `@online@` --- */

struct turnout {
    struct msg m;
    struct arena *arena; /* owns it */
    struct str host;
    struct str *jids;    /* in byte order */
    size_t n;
    bool there;
    unsigned shard;      /* of a question: who asks */
};

static bool presence_eq(const struct map_node *node, const void *key)
{
    return str_eq(CONTAINER_OF(node, const struct presence, node)->jid, *(const struct str *)key);
}

bool srg_place_online(struct str jid)
{
    ptrdiff_t at = str_find(jid, '@');
    struct place *p = find_place(str_n(jid.p + at + 1, jid.n - (size_t)(at + 1)));
    return p && p->follows && map_find(&p->online, hash_str(jid), presence_eq, &jid);
}

static struct turnout *turnout_new(void (*fn)(struct msg *m), struct str host)
{
    struct arena *a = arena_new();
    struct turnout *t = ARENA_NEW(a, struct turnout);
    *t = (struct turnout){.m = {.fn = fn}, .arena = a, .host = arena_str(a, host), .shard = shard_self()};
    return t;
}

/* false: was so already. */
static bool set_online(struct place *p, struct str jid, bool there)
{
    struct map_node *n = map_find(&p->online, hash_str(jid), presence_eq, &jid);
    if (!there == !n)
        return false;
    if (n) {
        map_del(&p->online, n);
        free(CONTAINER_OF(n, struct presence, node));
        return true;
    }
    struct presence *x = mem_zalloc(sizeof *x + jid.n);
    memcpy(x + 1, jid.p, jid.n);
    x->jid = str_n((char *)(x + 1), jid.n);
    map_add(&p->online, &x->node, hash_str(x->jid));
    return true;
}

/* Takes the arena. */
static void tell_turnout(struct place *p, struct turnout *t)
{
    struct srg_change *c = ARENA_NEW(t->arena, struct srg_change);
    *c = (struct srg_change){.host = t->host, .who = t->n == 1 ? t->jids[0] : STR_NULL, .was = srg_view_hold(p->view),
                             .now = srg_view_hold(p->view), .from = p->generation, .to = p->generation, .turned = t->jids,
                             .n_turned = t->n, .arena = t->arena};
    srg_tell(c);
}

static void on_turnout(struct msg *m)
{
    struct turnout *t = CONTAINER_OF(m, struct turnout, m);
    struct place *p = find_place(t->host);
    struct arena *a = t->arena;
    size_t kept = 0;
    for (size_t i = 0; p && p->follows && i < t->n; i++)
        if (set_online(p, t->jids[i], t->there))
            t->jids[kept++] = t->jids[i];
    t->n = kept;
    if (kept && p->view)
        tell_turnout(p, t);
    else
        arena_release(&a);
}

/* All accounts of the host that have sessions here. */
static void send_turnout(struct str host, unsigned to)
{
    struct session_table *table = session_table_self();
    struct turnout *t = turnout_new(on_turnout, host);
    t->jids = ARENA_ARRAY(t->arena, struct str, table->accounts.count + 1);
    t->there = true;
    for (struct map_node *m = map_next(&table->accounts, NULL); m; m = map_next(&table->accounts, m)) {
        struct account *x = CONTAINER_OF(m, struct account, node);
        if (!list_empty(&x->sessions) && str_eq(jid_host(account_jid(x)), host))
            t->jids[t->n++] = arena_str(t->arena, jid_bare(account_jid(x)));
    }
    qsort(t->jids, t->n, sizeof *t->jids, by_text);
    mail_post(to, &t->m);
}

static void on_question(struct msg *m)
{
    struct turnout *t = CONTAINER_OF(m, struct turnout, m);
    struct arena *a = t->arena;
    place_of(t->host)->announces = true;
    send_turnout(t->host, t->shard);
    arena_release(&a);
}

/* From the first view on that needs to know. */
static void follow(struct place *p)
{
    if (p->follows || !p->view->online)
        return;
    p->follows = true;
    for (unsigned i = 0; i < shard_count(); i++)
        mail_post(i, &turnout_new(on_question, p->host)->m);
}

void srg_place_session(const struct account *a, bool there)
{
    struct str jid = jid_bare(account_jid(a)), host = jid_host(account_jid(a));
    struct place *p = find_place(host);
    if (!p || !p->announces || a->sessions.next->next != &a->sessions)
        return;
    for (unsigned i = 0; i < shard_count(); i++) {
        struct turnout *t = turnout_new(on_turnout, host);
        t->jids = ARENA_NEW(t->arena, struct str);
        t->jids[t->n++] = arena_str(t->arena, jid);
        t->there = there;
        mail_post(i, &t->m);
    }
}

/* --- views --- */

struct srg_view *srg_place_view(struct str host)
{
    struct place *p = place_of(host);
    struct error err = ERROR_INIT;
    struct srg_view *v;
    uint64_t generation;
    if (p->view)
        return p->view;
    if (srg_book_view(p->host, &v, &generation, &err) != 0) {
        LOG_LIMITED(ERROR, "mod_shared_roster", NULL, "%s", err.text);
    } else if (!p->view || p->generation < generation) {
        srg_view_release(&p->view);
        p->view = v;
        p->generation = generation;
        follow(p);
    } else {
        srg_view_release(&v);
    }
    return p->view;
}

static void fetch(void *arg) YIELDS;
static void fetch(void *arg)
{
    struct place *p = arg;
    srg_place_view(p->host);
    p->fetching = false;
}

void srg_place_fetch(struct str host)
{
    struct place *p = place_of(host);
    if (p->view || p->fetching)
        return;
    p->fetching = true;
    if (!fiber_run(fetch, p))
        p->fetching = false;
}

struct srg_view *srg_place_view_now(struct str host, uint64_t *generation_out)
{
    struct place *p = find_place(host);
    if (generation_out)
        *generation_out = p ? p->generation : 0;
    return p ? p->view : NULL;
}

static void tell_delivery(struct srg_view *was, const struct srg_delivery *d, uint64_t from)
{
    struct arena *a = arena_new();
    struct srg_change *c = ARENA_NEW(a, struct srg_change);
    bool next = from + 1 == d->generation; /* what a shard has missed it is told as well */
    *c = (struct srg_change){.host = arena_str(a, d->host), .who = next && d->who.n ? arena_str(a, d->who) : STR_NULL, .was = was,
                             .now = srg_view_hold(d->view), .from = from, .to = d->generation, .arena = a};
    srg_tell(c);
}

int srg_place_deliver(void *arg, void *slot, struct error *err)
{
    const struct srg_delivery *d = arg;
    struct place *p = find_place(d->host);
    if (!p || p->generation >= d->generation)
        return 0;
    struct srg_view *was = p->view;
    uint64_t from = p->generation;
    p->view = srg_view_hold(d->view);
    p->generation = d->generation;
    follow(p);
    if (was)
        tell_delivery(was, d, from);
    return 0;
}
