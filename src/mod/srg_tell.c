/*
 * Shared roster groups, every shard: what is different between two views, or since somebody came online or went, is told to the
 * accounts that have read their rosters: pushes, and presence both ways. One fiber of each shard tells one change after the other.
 */
#include "core/account/roster.h"
#include "core/account/session_table.h"
#include "core/account/subscribe.h"
#include "mod/api/srg_parts.h"
#include "rt/fiber.h"
#include "rt/shard.h"
#include <stdlib.h>

struct telling {
    struct list changes;
    const struct srg_change *told; /* now */
    bool ready, telling;
};

static struct telling shards[SHARD_MAX];

static struct telling *here(void)
{
    struct telling *t = &shards[shard_self()];
    if (!t->ready)
        list_init(&t->changes);
    t->ready = true;
    return t;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Before the change that is being told. */
static bool was_online(struct str jid)
{
    const struct srg_change *c = here()->told;
    bool turned = c->n_turned && bsearch(&jid, c->turned, c->n_turned, sizeof jid, by_text) != NULL;
    return srg_place_online(jid) != turned;
}

/* Accounts of the host on this shard that have read their rosters. Pinned. */
static size_t readers(struct arena *a, struct str host, struct account ***out)
{
    struct session_table *t = session_table_self();
    size_t n = 0;
    *out = ARENA_ARRAY(a, struct account *, t->accounts.count + 1);
    for (struct map_node *m = map_next(&t->accounts, NULL); m; m = map_next(&t->accounts, m)) {
        struct account *x = CONTAINER_OF(m, struct account, node);
        if (account_roster_is_loaded(x) && str_eq(jid_host(account_jid(x)), host)) {
            account_pin_again(x);
            (*out)[n++] = x;
        }
    }
    return n;
}

static bool same(const struct srg_item *a, const struct srg_item *b)
{
    if (a->to != b->to || a->from != b->from || a->n_labels != b->n_labels)
        return false;
    for (size_t i = 0; i < a->n_labels; i++)
        if (!str_eq(a->labels[i], b->labels[i]))
            return false;
    return true;
}

static void tell_item(struct account *a, const struct srg_change *c, struct str jid, const struct srg_item *was,
                      const struct srg_item *now) YIELDS;
static void tell_item(struct account *a, const struct srg_change *c, struct str jid, const struct srg_item *was,
                      const struct srg_item *now)
{
    static const enum roster_subscription words[] = {ROSTER_NONE, ROSTER_FROM, ROSTER_TO, ROSTER_BOTH};
    if (same(was, now))
        return;
    if (was->to || now->to)
        account_roster_push_shared(a, srg_jid(jid), was->labels, was->n_labels, c->from, srg_item_hash(now) - srg_item_hash(was));
    if (was->to != now->to || was->from != now->from)
        subscribe_shared_changed(a, srg_jid(jid), words[was->to * 2 + was->from]);
}

static void tell_all(struct account *a, const struct srg_change *c, struct srg_eye *was, struct srg_eye *now) YIELDS;
static void tell_all(struct account *a, const struct srg_change *c, struct srg_eye *was, struct srg_eye *now)
{
    static const struct srg_item nothing;
    struct srg_item x, y;
    bool more_x = srg_eye_next(was, &x);
    bool more_y = srg_eye_next(now, &y);
    while (more_x || more_y) {
        int d = !more_y ? -1 : !more_x ? 1 : str_cmp(x.jid, y.jid);
        tell_item(a, c, d <= 0 ? x.jid : y.jid, d <= 0 ? &x : &nothing, d >= 0 ? &y : &nothing);
        if (d <= 0)
            more_x = srg_eye_next(was, &x);
        if (d >= 0)
            more_y = srg_eye_next(now, &y);
    }
}

static void tell_account(struct account *a, const struct srg_change *c) YIELDS;
static void tell_account(struct account *a, const struct srg_change *c)
{
    struct str self = jid_bare(account_jid(a));
    struct srg_item x = {.to = false}, y = {.to = false};
    struct srg_eye was, now;
    if (account_roster_lock(a) != STORE_OK)
        return;
    struct arena *scratch = arena_new();
    srg_eye_open(&was, c->was, scratch, self, was_online, was_online(self));
    if (c->who.n)
        srg_eye_look(&was, c->who, &x);
    srg_eye_open(&now, c->now, scratch, self, srg_place_online, srg_place_online(self));
    if (c->who.n && !str_eq(c->who, self)) {
        srg_eye_look(&now, c->who, &y);
        tell_item(a, c, c->who, &x, &y);
    } else {
        tell_all(a, c, &was, &now);
    }
    account_roster_shared_now(a, c->from, c->to);
    account_roster_unlock(a);
    arena_release(&scratch);
}

static void tell(void *arg) YIELDS;
static void tell(void *arg)
{
    struct telling *t = here();
    (void)arg;
    while (!list_empty(&t->changes)) {
        struct srg_change *c = LIST_ENTRY(t->changes.next, struct srg_change, link);
        struct arena *a = c->arena;
        struct account **who;
        list_del(&c->link);
        t->told = c;
        size_t n = readers(a, c->host, &who);
        for (size_t i = 0; i < n; i++) {
            if (!rt_stopping())
                tell_account(who[i], c);
            account_unpin(who[i]);
        }
        t->told = NULL;
        srg_view_release(&c->was);
        srg_view_release(&c->now);
        arena_release(&a);
    }
    t->telling = false;
}

void srg_tell(struct srg_change *c)
{
    struct telling *t = here();
    list_push(&t->changes, &c->link);
    if (!t->telling) {
        t->telling = true;
        fiber_run(tell, NULL);
    }
}
