/*
 * Stanzas at the home of the account they are for: the rules of RFC 6121 §8.5. Runs on the home shard, on a fiber for each
 * account that has something to receive. What subscriptions and probes do is in core/account/subscribe.c and
 * core/account/presence.c.
 */
#include "base/mem.h"
#include "core/account/presence.h"
#include "core/account/session.h"
#include "core/account/subscribe.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"
#include "core/router.h"
#include "rt/fault.h"
#include "rt/fiber.h"
#include <stdlib.h>

static const char no_session[] = "User session not found";

static void give(struct session *x, struct stanza *s)
{
    session_send(x, s);
    x->took = true;
}

/* Tells who is interested in which sessions have a message now. */
static void delivered(struct account *a, const struct stanza *s)
{
    if (list_empty(&a->sessions))
        return;
    hook_run_message_delivered(a->host, &(struct delivered_event){.account = a, .stanza = s});
    LIST_EACH(it, &a->sessions)
        LIST_ENTRY(it, struct session, link)->took = false;
}

/* Sessions that get a message to the bare JID: those of the highest non-negative priority (RFC 6121 §8.5.2.1.1). */
static unsigned deliver_to_best(struct account *a, struct stanza *s)
{
    int best = -1;
    unsigned n = 0;
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (session_available(x) && !x->deaf && x->priority > best)
            best = x->priority;
    }
    if (best < 0)
        return 0;
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (session_available(x) && !x->deaf && x->priority == best) {
            give(x, s);
            n++;
        }
    }
    return n;
}

static unsigned deliver_to_all(struct account *a, struct stanza *s, bool negative_too)
{
    unsigned n = 0;
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (session_available(x) && !x->deaf && (negative_too || x->priority >= 0)) {
            session_send(x, s);
            n++;
        }
    }
    return n;
}

/* Older messages are still coming to the only session that would get this one, or it is away and they will. */
static bool is_early(const struct account *a, const struct stanza *s)
{
    bool early = false;
    if (s->type != ST_NORMAL && s->type != ST_CHAT)
        return false;
    LIST_EACH(it, &a->sessions) {
        const struct session *x = LIST_ENTRY(it, struct session, link);
        if (session_available(x) && x->priority >= 0 && !x->offline_due)
            return false;
        early |= session_available(x) && x->priority >= 0;
    }
    return early && !mgmt_again_known(a, s);
}

/* It is kept behind them, if it is kept at all. The other sessions get their copies now. */
static bool is_kept(struct account *a, struct stanza *s) YIELDS;
static bool is_kept(struct account *a, struct stanza *s)
{
    struct stanza_event ev = {.account = a, .stanza = s};
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        x->took = x->offline_due;
    }
    delivered(a, s);
    return hook_run_message_undelivered(a->host, &ev) == HOOK_STOP;
}

static void undelivered(struct account *a, struct stanza **s) YIELDS;
static void undelivered(struct account *a, struct stanza **s)
{
    struct stanza_event ev = {.account = a, .stanza = *s};
    enum hook_verdict v = hook_run_message_undelivered(a->host, &ev);
    if (v == HOOK_STOP)
        fault_die(FAULT_die_kept);
    if (v == HOOK_PASS)
        router_bounce(s, ERR_NO_RECIPIENT, (*s)->type == ST_GROUPCHAT ? no_session : NULL);
    else if (v == HOOK_REJECT)
        router_bounce(s, ev.reject, ev.reject_text);
    else
        stanza_end(s);
}

static void receive_message(struct account *a, struct stanza **sp) YIELDS;
static void receive_message(struct account *a, struct stanza **sp)
{
    struct stanza *s = *sp;
    struct session *exact = !jid_is_bare(s->to) ? session_find(a, jid_res(s->to)) : NULL;
    if (mgmt_again_gone(a, s)) { /* sent again after a crash: only copies may be missing */
        mgmt_again_any(a, s);
        delivered(a, s);
        stanza_end(sp);
        return;
    }
    bool early = is_early(a, s);
    if (early && is_kept(a, s)) {
        stanza_end(sp);
        return;
    }
    if (early && exact)
        exact = session_find(a, jid_res(s->to)); /* it may have ended meanwhile */
    if (exact) {
        give(exact, s);
        if (!early)
            delivered(a, s);
        stanza_end(sp);
        return;
    }
    bool taken = false;
    switch (s->type) {
    case ST_ERROR:
        stanza_end(sp); /* §8.5.2.2.1: silently */
        return;
    case ST_GROUPCHAT: /* §8.5.2.1.1, §8.5.3.2.1: an error, unless somebody keeps it */
        undelivered(a, sp);
        return;
    case ST_HEADLINE:
        if (jid_is_bare(s->to))
            deliver_to_all(a, s, false);
        stanza_end(sp);
        return;
    default: /* COMPAT(ejabberd): a normal message for a resource that is gone is not refused (§8.5.3.2.1) but treated as chat */
        taken = deliver_to_best(a, s) > 0 || mgmt_again_any(a, s);
    }
    if (!early)
        delivered(a, s); /* before anything waits: whoever comes now gets what is kept */
    if (taken)
        stanza_end(sp);
    else
        undelivered(a, sp);
}

static void receive_presence(struct account *a, struct stanza **sp) YIELDS;
static void receive_presence(struct account *a, struct stanza **sp)
{
    struct stanza *s = *sp;
    if (s->type == ST_PROBE) {
        presence_answer_probe(a, s);
    } else if (stanza_is_subscription(s) && subscribe_has_rules(a)) {
        subscribe_receive(a, sp);
        return;
    } else if (jid_is_bare(s->to)) {
        deliver_to_all(a, s, true);
    } else {
        struct session *x = session_find(a, jid_res(s->to));
        if (x && (s->type == ST_ERROR || s->type == ST_UNAVAILABLE))
            presence_directed_over(x, s->from);
        if (x)
            session_send(x, s);
    }
    stanza_end(sp);
}

static void receive_iq(struct account *a, struct stanza **sp)
{
    struct stanza *s = *sp;
    if (jid_is_bare(s->to)) {
        router_answer_iq(sp, a->host, IQ_TO_ACCOUNT);
        return;
    }
    struct session *x = session_find(a, jid_res(s->to));
    if (x) {
        session_send(x, s);
        stanza_end(sp);
    } else {
        router_bounce(sp, ERR_NO_RECIPIENT, no_session);
    }
}

static void handle(struct account *a, struct stanza *s) YIELDS;
static void handle(struct account *a, struct stanza *s)
{
    struct stanza_event ev = {.account = a, .stanza = s};
    if (s->kind == STANZA_MESSAGE)
        stanza_id_strip(s, jid_to_bare(s->to));
    if (a->host == HOST_NONE) { /* it went while the stanza waited */
        router_bounce(&s, ERR_NO_HOST, NULL);
        return;
    }
    enum hook_verdict v = hook_run_stanza_received(a->host, &ev);
    if (v == HOOK_STOP) {
        stanza_end(&s);
        return;
    }
    if (v == HOOK_REJECT) {
        router_bounce(&s, ev.reject, ev.reject_text);
        return;
    }
    switch (s->kind) {
    case STANZA_MESSAGE: receive_message(a, &s); break;
    case STANZA_PRESENCE: receive_presence(a, &s); break;
    case STANZA_IQ: receive_iq(a, &s); break;
    }
}

static void all_hear(struct account *a)
{
    if (!a->some_deaf)
        return;
    LIST_EACH(it, &a->sessions)
        LIST_ENTRY(it, struct session, link)->deaf = false;
    a->some_deaf = false;
}

static void receive(struct account *a, struct stanza *s) YIELDS;
static void receive(struct account *a, struct stanza *s)
{
    handle(a, s);
    all_hear(a);
}

/* --- one after the other --- */

#define INBOX_MAX 10000 /* a handler that waits must not let memory fill */

/* A stanza, or something to do. */
struct work {
    struct stanza *stanza;
    void (*turn)(struct account *a, void *arg) YIELDS;
    void *arg;
};

struct inbound {
    struct list link;
    struct work work; /* of a stanza: this lives in its arena */
};

struct arrival {
    struct account *account;
    struct work work;
};

static bool next_waiting(struct account *a, struct work *out)
{
    if (list_empty(&a->inbox))
        return false;
    struct inbound *in = LIST_ENTRY(a->inbox.next, struct inbound, link);
    list_del(&in->link);
    *out = in->work;
    if (out->stanza)
        a->inbox_n--;
    else
        free(in);
    return true;
}

static void receive_fiber(void *arg) YIELDS;
static void receive_fiber(void *arg)
{
    struct arrival first = *(struct arrival *)arg;
    struct account *a = first.account;
    a->receiving = true;
    struct work w = first.work;
    do {
        if (w.stanza)
            receive(a, w.stanza);
        else
            w.turn(a, w.arg);
    } while (next_waiting(a, &w));
    a->receiving = false;
    account_unpin(a);
}

static void wait_turn(struct account *a, struct stanza **sp)
{
    if (a->inbox_n == INBOX_MAX) {
        router_bounce(sp, ERR_UNAVAILABLE, "Too much is waiting for this account");
        return;
    }
    struct inbound *in = ARENA_NEW((*sp)->arena, struct inbound);
    in->work = (struct work){.stanza = *sp};
    *sp = NULL;
    list_push(&a->inbox, &in->link);
    a->inbox_n++;
}

void account_receive(struct stanza **sp)
{
    struct stanza *s = *sp;
    const struct vhost *h = config_host(config_current(), jid_host(s->to));
    if (!h) {
        router_bounce(sp, ERR_NO_HOST, NULL);
        return;
    }
    struct account *a = account_pin(h->index, s->to);
    if (s->kind == STANZA_IQ && jid_is_bare(s->to) && router_may_wait()) {
        *sp = NULL;
        receive(a, s); /* yieldcheck: only for router_route_waiting; the server answers, so the account's turn is not needed */
        account_unpin(a);
        return;
    }
    if (a->receiving) {
        wait_turn(a, sp);
        account_unpin(a);
        return;
    }
    struct arrival first = {a, {.stanza = s}};
    *sp = NULL;
    fiber_run(receive_fiber, &first);
}

static void take_turn(struct account *a, struct work w, bool first)
{
    if (a->receiving) {
        struct inbound *in = MEM_NEW(struct inbound);
        in->work = w;
        if (first)
            list_push_front(&a->inbox, &in->link);
        else
            list_push(&a->inbox, &in->link);
        return;
    }
    a->pins++;
    fiber_run(receive_fiber, &(struct arrival){a, w});
}

void account_in_turn(struct account *a, void (*turn)(struct account *a, void *arg) YIELDS, void *arg)
{
    take_turn(a, (struct work){.turn = turn, .arg = arg}, false);
}

void account_in_turn_first(struct account *a, void (*turn)(struct account *a, void *arg) YIELDS, void *arg)
{
    take_turn(a, (struct work){.turn = turn, .arg = arg}, true);
}

void account_receive_now(struct account *a, struct stanza **sp)
{
    struct stanza *s = *sp;
    *sp = NULL;
    receive(a, s);
}

void account_keep_now(struct account *a, struct stanza **sp)
{
    if (mgmt_again_gone(a, *sp) || mgmt_again_any(a, *sp))
        stanza_end(sp);
    else
        undelivered(a, sp);
}
