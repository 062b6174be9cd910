/*
 * What a change of lists means for presence at once: contacts that may not see a session any more see it leave, those that may
 * again see it come, and the client sees the same of them (XEP-0016 §2.11, §2.12, XEP-0191 §3.3, §3.5). On the account's home
 * shard; suspends, so that many contacts and many items do not hold the loop.
 */
#include "core/account/roster.h"
#include "core/module/module.h"
#include "core/router.h"
#include "mod/api/privacy.h"
#include "rt/fiber.h"

#define AT_ONCE 100000 /* items that are looked at before others have a turn */

struct peer {
    struct jid jid;
    bool sees_us, seen;
};

struct effect {
    struct account *account;
    struct arena *arena;
    struct peer *peers;
    size_t n, cap;
    size_t looked;
};

/* --- whom it may concern --- */

static void add_peer(struct effect *e, struct jid who, bool sees_us, bool seen)
{
    if ((!sees_us && !seen) || jid_bare_eq(who, account_jid(e->account)))
        return;
    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 32;
        struct peer *more = ARENA_ARRAY(e->arena, struct peer, cap);
        if (e->n)
            memcpy(more, e->peers, e->n * sizeof *more);
        e->peers = more;
        e->cap = cap;
    }
    e->peers[e->n++] = (struct peer){jid_copy(e->arena, who), sees_us, seen};
}

static void add_shared(void *arg, struct jid who, bool to, bool from)
{
    struct effect *e = arg;
    if (!account_contact(e->account, who))
        add_peer(e, who, from, to);
}

/* One resource of a contact, where an item is about it alone. */
static void add_resources(struct effect *e, const struct privacy_lists *l)
{
    struct jid who;
    for (size_t i = 0; l && i < l->n; i++)
        for (size_t k = 0; k < l->lists[i].list.n; k++) {
            const struct privacy_item *item = &l->lists[i].list.items[k];
            if (item->type != PRIVACY_JID || str_find(item->value, '/') < 0 || !jid_parse(e->arena, item->value, &who))
                continue;
            enum roster_subscription s = account_subscription(e->account, jid_to_bare(who));
            add_peer(e, who, sub_sees_us(s), false);
        }
}

static void add_peers(struct effect *e, const struct privacy_lists *was, const struct privacy_lists *now)
{
    struct contact_walk walk = {.account = e->account, .each = add_shared, .arg = e};
    for (const struct contact *c = account_contact_next(e->account, NULL); c; c = account_contact_next(e->account, c)) {
        enum roster_subscription s = account_subscription(e->account, contact_jid(c));
        add_peer(e, contact_jid(c), sub_sees_us(s), sub_we_see(s));
    }
    if (e->account->host != HOST_NONE)
        hook_run_contact_walk(e->account->host, &walk);
    add_resources(e, was);
    if (now != was)
        add_resources(e, now);
}

/* --- one session and one contact --- */

/* Before and after, for presence that goes that way. */
struct change {
    bool was, is;
};

static struct change change_of(struct effect *e, const struct privacy_view *was, const struct privacy_view *now,
                               enum privacy_way way, struct jid who)
{
    e->looked += (was->list ? was->list->n : 0) + (now->list ? now->list->n : 0) + 1;
    return (struct change){privacy_allows(was, way, STANZA_PRESENCE, ST_AVAILABLE, who),
                           privacy_allows(now, way, STANZA_PRESENCE, ST_AVAILABLE, who)};
}

static void send_own(struct session *s, enum stanza_type t, struct jid to)
{
    struct stanza *last = t == ST_AVAILABLE ? session_last_presence(s) : NULL;
    struct stanza *p = last ? stanza_copy(last, to) : stanza_new(STANZA_PRESENCE, t, session_jid(s), to);
    if (last)
        stanza_end(&last);
    router_route(&p);
}

static void tell_own(struct session *s, struct jid gone)
{
    struct stanza *p = stanza_new(STANZA_PRESENCE, ST_UNAVAILABLE, gone, session_jid(s));
    session_send(s, p);
    stanza_end(&p);
}

/* What is sent may let handlers run, and these may end the session: one thing, and the caller looks it up again. */
static void settle_out(struct session *s, const struct peer *p, struct change c)
{
    if (p->sees_us && c.was != c.is)
        send_own(s, c.is ? ST_AVAILABLE : ST_UNAVAILABLE, p->jid);
}

static void settle_in(struct session *s, const struct peer *p, struct change c)
{
    if (p->seen && c.was && !c.is)
        tell_own(s, p->jid);
    else if (p->seen && !c.was && c.is)
        send_own(s, ST_PROBE, p->jid);
}

static void rest(struct effect *e) YIELDS;
static void rest(struct effect *e)
{
    if (e->looked < AT_ONCE)
        return;
    e->looked = 0;
    fiber_sleep(0);
}

static struct session *still_there(const struct effect *e, struct str resource)
{
    struct session *s = session_find(e->account, resource);
    return s && session_available(s) ? s : NULL;
}

static void settle_session(struct effect *e, struct str resource, struct privacy_view was, struct privacy_view now) YIELDS;
static void settle_session(struct effect *e, struct str resource, struct privacy_view was, struct privacy_view now)
{
    struct session *s;
    if (!was.list && !now.list)
        return;
    for (size_t i = 0; i < e->n && (s = still_there(e, resource)); i++) {
        const struct peer *p = &e->peers[i];
        settle_out(s, p, change_of(e, &was, &now, PRIVACY_OUT, p->jid));
        if ((s = still_there(e, resource)))
            settle_in(s, p, change_of(e, &was, &now, PRIVACY_IN, p->jid));
        rest(e);
    }
}

/* --- all of it --- */

void privacy_took_effect(struct account *a, const struct privacy_lists *was, const struct privacy_lists *now, struct jid only,
                         const struct privacy_list *only_was)
{
    struct effect e = {.account = a, .arena = arena_new()};
    struct jid *who;
    size_t n = 0, max = 0;
    LIST_EACH(it, &a->sessions)
        max++;
    who = ARENA_ARRAY(e.arena, struct jid, max + 1);
    LIST_EACH(it, &a->sessions) {
        const struct session *s = LIST_ENTRY(it, struct session, link);
        if (session_available(s) && (!jid_present(only) || jid_eq(session_jid(s), only)))
            who[n++] = jid_copy(e.arena, session_jid(s));
    }
    account_pin_again(a);
    if (n)
        add_peers(&e, was, now);
    for (size_t i = 0; i < n; i++) {
        const struct privacy_list *before = jid_present(only) ? only_was : privacy_list_for(was, who[i]);
        settle_session(&e, jid_res(who[i]), (struct privacy_view){a, was, before},
                       (struct privacy_view){a, now, privacy_list_for(now, who[i])});
    }
    account_unpin(a);
    arena_release(&e.arena);
}
