/*
 * What a process that was killed had given to sessions that came back, and that its senders may send again (store/ledger.h): each
 * is recognised here by its cause and goes to nobody twice. A client that has not come back yet may have it or not; it is put back
 * into the queue under its old number, and what the client says it has, decides. Home shard of the receiving account. Suspends:
 * mgmt_earlier_unspool. What is never sent again stays with its session until that ends.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "core/account/session.h"
#include "core/c2s/mgmt.h"
#include "rt/fault.h"
#include "store/ledger.h"
#include "store/spool.h"
#include <stdlib.h>

struct earlier {
    struct list link;         /* of its session; or */
    struct map_node node;     /* of the shard, under what it is found by */
    uint64_t account, cause, n;
    uint32_t h;
    bool had;                 /* its client has it, or its queue: for good */
    struct ledger_cell *cell; /* the same for the next process */
};

static _Thread_local struct map gone; /* of accounts: by a session that is no more, or in their spool */

static struct earlier *earlier_new(const struct ledger_cell *c)
{
    struct earlier *e = MEM_NEW(struct earlier);
    *e = (struct earlier){.account = c->account, .cause = c->cause, .n = c->n, .h = c->h};
    e->cell = ledger_effect(c->stream, c->account, c->cause, c->n, c->h);
    return e;
}

static void earlier_free(struct earlier *e)
{
    if (e->link.next)
        list_del(&e->link);
    else
        map_del(&gone, &e->node);
    ledger_free(&e->cell);
    free(e);
}

static bool is_had(struct mgmt *m, const struct earlier *e)
{
    return e->had || (int32_t)(e->h - m->acked) <= 0 || mgmt_numbered(m, e->h);
}

void mgmt_earlier(struct mgmt *m, const struct ledger_cell *c)
{
    list_push(&m->earlier, &earlier_new(c)->link);
}

void mgmt_earlier_settle(struct mgmt *m, uint32_t h)
{
    LIST_EACH_SAFE(it, &m->earlier) {
        struct earlier *e = LIST_ENTRY(it, struct earlier, link);
        e->had = (int32_t)(e->h - h) <= 0 || is_had(m, e);
        if (!e->had)
            earlier_free(e);
    }
}

static uint64_t mix(uint64_t account, uint64_t cause, uint64_t n)
{
    return hash_bytes((uint64_t[]){account, cause, n}, 3 * sizeof(uint64_t));
}

static void add_gone(struct earlier *e)
{
    if (!gone.buckets)
        map_init(&gone);
    e->link = (struct list){NULL, NULL};
    map_add(&gone, &e->node, mix(e->account, e->cause, e->n));
}

void mgmt_earlier_end(struct mgmt *m)
{
    LIST_EACH_SAFE(it, &m->earlier) {
        struct earlier *e = LIST_ENTRY(it, struct earlier, link);
        if (!is_had(m, e)) {
            earlier_free(e);
        } else if (e->cause != LEDGER_SPOOL) {
            list_del(&e->link);
            add_gone(e);
        }
    }
}

/* One after the other: they are few. What cannot be removed comes again. */
void mgmt_earlier_unspool(struct mgmt *m, struct jid who)
{
    while (!list_empty(&m->earlier)) {
        struct earlier *e = LIST_ENTRY(m->earlier.next, struct earlier, link);
        uint64_t removed;
        int64_t id = (int64_t)e->n;
        spool_remove(jid_host(who), jid_user(who), &id, 1, &removed);
        earlier_free(e);
    }
}

static void drop_all(struct list *l)
{
    LIST_EACH_SAFE(it, l) {
        list_del(it);
        free(LIST_ENTRY(it, struct earlier, link));
    }
}

void mgmt_earlier_drop(struct mgmt *m)
{
    drop_all(&m->earlier);
}

void mgmt_earlier_shard_stop(void)
{
    for (struct map_node *n = gone.buckets ? map_next(&gone, NULL) : NULL; n; n = map_next(&gone, NULL)) {
        map_del(&gone, n);
        free(CONTAINER_OF(n, struct earlier, node));
    }
    if (gone.buckets)
        map_deinit(&gone);
    gone = (struct map){0};
}

void mgmt_earlier_gone(const struct ledger_cell *c)
{
    add_gone(earlier_new(c));
}

void mgmt_earlier_stored(uint64_t account, uint64_t cause, uint64_t n)
{
    struct earlier *e = MEM_NEW(struct earlier);
    *e = (struct earlier){.account = account, .cause = cause, .n = n};
    add_gone(e);
}

/* --- recognising --- */

static struct earlier *find(struct list *l, const struct stanza *st, uint64_t account)
{
    LIST_EACH(it, l) {
        struct earlier *e = LIST_ENTRY(it, struct earlier, link);
        if (e->n == st->cause_n && e->cause == st->cause->key && e->account == account)
            return e;
    }
    return NULL;
}

/* From now on it goes with what is being done again. */
static void hand_over(struct earlier *e, const struct stanza *st)
{
    ledger_push(&st->cause->effects, e->cell);
    e->cell = NULL;
    earlier_free(e);
    fault_die(FAULT_die_again);
}

static void put_back(struct session *s, const struct stanza *st, uint32_t h)
{
    struct buf b = BUF_INIT;
    session_write(s, st, &b);
    mgmt_insert(s->mgmt, st->kind, buf_str(&b), (uint32_t)clock_wall_s(), h, st);
    buf_deinit(&b);
    fault_die(FAULT_die_put_back);
}

bool mgmt_again(struct session *s, const struct stanza *st)
{
    struct mgmt *m = s->mgmt;
    if (!m || !st->cause || list_empty(&m->earlier))
        return false;
    struct earlier *e = find(&m->earlier, st, jid_home_hash(session_jid(s)));
    if (!e)
        return false;
    if (!is_had(m, e))
        put_back(s, st, e->h);
    hand_over(e, st);
    return true;
}

bool mgmt_again_any(struct account *a, const struct stanza *st)
{
    bool any = false;
    if (!st->cause)
        return false;
    LIST_EACH(it, &a->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        if (mgmt_again(s, st))
            any = s->took = true;
    }
    return any;
}

bool mgmt_again_known(const struct account *a, const struct stanza *st)
{
    uint64_t hash = jid_home_hash(account_jid(a));
    if (!st->cause)
        return false;
    LIST_EACH(it, &a->sessions) {
        struct mgmt *m = LIST_ENTRY(it, struct session, link)->mgmt;
        if (m && !list_empty(&m->earlier) && find(&m->earlier, st, hash))
            return true;
    }
    return false;
}

static bool is_same(const struct map_node *node, const void *key)
{
    const struct earlier *e = CONTAINER_OF(node, const struct earlier, node), *k = key;
    return e->account == k->account && e->cause == k->cause && e->n == k->n;
}

bool mgmt_again_gone(const struct account *a, const struct stanza *st)
{
    if (!st->cause || !gone.count)
        return false;
    uint64_t account = jid_home_hash(account_jid(a));
    struct map_node *n = map_find(&gone, mix(account, st->cause->key, st->cause_n), is_same,
                                  &(struct earlier){.account = account, .cause = st->cause->key, .n = st->cause_n});
    if (n)
        hand_over(CONTAINER_OF(n, struct earlier, node), st);
    return n != NULL;
}
