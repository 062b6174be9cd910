/*
 * Subscriptions (RFC 6121 §3): the tables of core/account/subscription.c applied to rosters. Home shard; every public
 * function holds the roster's lock over reading, writing, pushing and routing, so that what contacts hear has the order in
 * which it was written. Routing never suspends.
 */
#include "core/account/subscribe.h"

#include "core/account/presence.h"
#include "core/auth/auth.h"
#include "core/config/config.h"
#include "core/router.h"
#include "store/account.h"
#include "xml/writer.h"

#define MESSAGE_MAX 4096 /* bytes of a request that are kept until it is answered */

static void tell(struct account *a, enum stanza_type t, struct jid to)
{
    struct stanza *s = stanza_new(STANZA_PRESENCE, t, account_jid(a), to);
    router_route(&s);
}

static enum sub_state state_of(const struct roster_item *i)
{
    return subscription_state(i->subscription, i->ask);
}

static void set_state(struct roster_item *i, enum sub_state s)
{
    i->subscription = subscription_of_state(s);
    i->ask = subscription_ask_of_state(s);
    if (!sub_waits(i->ask))
        i->ask_message = STR_NULL;
}

/* To the account's clients. */
static void deliver(struct account *a, const struct stanza *s)
{
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (session_available(x) || (x->interested && s->type != ST_SUBSCRIBE))
            session_send(x, s);
    }
}

/*
 * A stranger who is refused, or who takes back her request, leaves nothing behind. news: what clients hear before the push of
 * what it has changed (§3.1.6, §3.2.3, §3.3.3); NULL: nothing.
 */
static enum store_rc save(struct account *a, struct jid who, const struct roster_item *i, const struct stanza *news) YIELDS;
static enum store_rc save(struct account *a, struct jid who, const struct roster_item *i, const struct stanza *news)
{
    const struct contact *c = account_contact(a, who);
    if (c && c->hidden && i->subscription == ROSTER_NONE && i->ask == ROSTER_ASK_NONE && !i->approved) {
        enum store_rc rc = account_roster_remove(a, &who, 1); /* nobody has seen her: nothing is pushed */
        if (news && (rc == STORE_OK || rc == STORE_NONE))
            deliver(a, news);
        return rc == STORE_NONE ? STORE_OK : rc;
    }
    if ((!c || c->hidden) && roster_full(a, roster_item_hidden(i), 1) && !(c && roster_item_hidden(i)))
        return STORE_LIMIT;
    return news ? account_roster_put_because(a, i, deliver, news) : account_roster_put(a, i, 1);
}

static void refuse(struct stanza **s, enum store_rc rc)
{
    if (rc == STORE_LIMIT)
        router_bounce(s, ERR_NOT_ALLOWED, "Too many contacts");
    else
        router_bounce(s, ERR_UNAVAILABLE, "Database failure");
}

/* --- from the account's clients --- */

/* Approval before the request (§3.4) is kept, and not sent on. Refusing takes it back. */
static bool approved_after(const struct roster_item *i, enum stanza_type t, struct sub_step step)
{
    if (t == ST_SUBSCRIBED && !step.pass && !sub_sees_us(i->subscription))
        return true;
    return t == ST_UNSUBSCRIBED ? false : i->approved;
}

/*
 * A contact whom modules put there, and nobody else: nothing is left to ask, to grant or to take back. COMPAT(ejabberd): silently.
 * to: it is about her presence, else about the account's.
 */
static bool is_shared(const struct account *a, struct jid who, bool to)
{
    struct contact_look shared;
    return !account_contact(a, who) && account_shared_contact(a, NULL, who, &shared) && (to ? shared.to : shared.from);
}

static enum store_rc go_out(struct account *a, struct stanza *s, struct sub_step *step_out, bool *lost_out,
                            bool *gained_out) YIELDS;
static enum store_rc go_out(struct account *a, struct stanza *s, struct sub_step *step_out, bool *lost_out, bool *gained_out)
{
    struct roster_item i;
    enum store_rc rc = account_roster_item(a, s->arena, s->to, &i);
    if (rc != STORE_OK)
        return rc;
    enum sub_state was = state_of(&i);
    struct sub_step step = subscription_out(was, s->type);
    bool approved = approved_after(&i, s->type, step), saw = sub_sees_us(i.subscription);
    bool changed = step.next != was || approved != i.approved;
    i.approved = approved;
    set_state(&i, step.next);
    *step_out = step;
    *lost_out = saw && !sub_sees_us(i.subscription);
    *gained_out = !saw && sub_sees_us(i.subscription);
    return changed ? save(a, s->to, &i, NULL) : STORE_OK;
}

static void send_locked(struct account *a, struct stanza **sp) YIELDS;
static void send_locked(struct account *a, struct stanza **sp)
{
    struct jid to = (*sp)->to;
    struct sub_step step;
    bool lost, gained;
    enum store_rc rc = go_out(a, *sp, &step, &lost, &gained);
    if (rc != STORE_OK) {
        refuse(sp, rc);
        return;
    }
    struct arena *arena = arena_hold((*sp)->arena); /* the address */
    if (lost)
        presence_hide(a, to); /* §3.2.2 */
    if (step.pass)
        router_route(sp);
    if (gained)
        presence_show(a, to); /* §3.1.5 */
    stanza_end(sp);
    arena_release(&arena);
}

/* Under the roster's lock, unless modules show the other already: then there is nothing to ask for, and it ends here. */
static void step_locked(struct account *a, struct stanza **sp, struct jid other, bool to,
                        void (*step)(struct account *a, struct stanza **sp) YIELDS) YIELDS;
static void step_locked(struct account *a, struct stanza **sp, struct jid other, bool to,
                        void (*step)(struct account *a, struct stanza **sp))
{
    enum store_rc rc = account_roster_lock(a);
    if (rc != STORE_OK) {
        refuse(sp, rc);
        return;
    }
    if (is_shared(a, other, to))
        stanza_end(sp);
    else
        step(a, sp);
    account_roster_unlock(a);
}

void subscribe_send(struct account *a, struct stanza **sp)
{
    struct stanza *s = *sp;
    s->to = jid_to_bare(s->to); /* §3.1.2 */
    if (jid_eq(s->to, account_jid(a))) {
        stanza_end(sp); /* everybody sees his own resources anyway */
        return;
    }
    step_locked(a, sp, s->to, s->type == ST_SUBSCRIBE || s->type == ST_UNSUBSCRIBE, send_locked);
}

/* --- for the account --- */

static bool plain_request(const struct stanza *s)
{
    struct xml_el *first = xml_first(s->el);
    return !first || (first->tok == TOK_status && first->ns == TOK_NS_CLIENT && !xml_next(first));
}

/* §3.1.3: all of it is kept. As text where it has only a text: that is what ejabberd expects in the column. */
static struct str request_text(const struct stanza *s, struct jid to)
{
    struct xml_el *status = xml_child(s->el, TOK_status, TOK_NS_CLIENT);
    struct str text = status ? xml_text_of(s->arena, status) : STR_NULL;
    struct buf b = BUF_INIT;
    if (!plain_request(s) || str_starts(text, S("<"))) {
        xml_write_addressed(&b, s->el, TOK_NS_CLIENT, jid_full(s->from), jid_full(to));
        text = b.n <= MESSAGE_MAX ? arena_str(s->arena, buf_str(&b)) : STR_NULL;
        buf_deinit(&b);
    }
    return text.n <= MESSAGE_MAX ? text : STR_NULL;
}

/* Whom the owner let in beforehand she need not ask (§3.4.2). */
static struct sub_step step_in(const struct roster_item *i, enum stanza_type t)
{
    struct sub_step step = subscription_in(state_of(i), t);
    if (t == ST_SUBSCRIBE && i->approved && !sub_sees_us(i->subscription)) {
        step.next = subscription_out(step.next, ST_SUBSCRIBED).next;
        step.pass = false;
        step.reply = ST_SUBSCRIBED;
    }
    return step;
}

/* §8.5.1: requests for nobody must not fill the store. */
static bool is_somebody(struct account *a) YIELDS;
static bool is_somebody(struct account *a)
{
    struct error err = ERROR_INIT;
    struct jid j = account_jid(a);
    bool there = false;
    return !list_empty(&a->sessions) || (auth_exists(jid_host(j), jid_user(j), &there, &err) == 0 && there);
}

static void answer(struct account *a, const struct stanza *s, struct sub_step step, bool lost)
{
    if (lost)
        presence_hide(a, s->from);
    if (step.reply != ST_INVALID)
        tell(a, step.reply, s->from);
    if (step.reply == ST_SUBSCRIBED)
        presence_show(a, s->from);
}

static void receive_locked(struct account *a, struct stanza **sp) YIELDS;
static void receive_locked(struct account *a, struct stanza **sp)
{
    struct stanza *s = *sp;
    struct roster_item i;
    enum store_rc rc = account_roster_item(a, s->arena, s->from, &i);
    bool saw = rc == STORE_OK && sub_sees_us(i.subscription), changed = false;
    struct sub_step step = {SUB_NONE, false, ST_INVALID};
    if (rc == STORE_OK) {
        step = step_in(&i, s->type);
        changed = step.next != state_of(&i);
        set_state(&i, step.next);
        if (changed && sub_waits(i.ask) && s->type == ST_SUBSCRIBE)
            i.ask_message = request_text(s, account_jid(a));
        if (changed)
            rc = save(a, s->from, &i, step.pass ? s : NULL);
        else if (step.pass)
            deliver(a, s);
    }
    if (rc != STORE_OK) {
        refuse(sp, rc);
        return;
    }
    answer(a, s, step, saw && !sub_sees_us(i.subscription));
    stanza_end(sp);
}

void subscribe_receive(struct account *a, struct stanza **sp)
{
    struct stanza *s = *sp;
    s->from = jid_to_bare(s->from);
    if (jid_eq(s->from, account_jid(a)) || !is_somebody(a)) {
        stanza_end(sp);
        return;
    }
    step_locked(a, sp, s->from, s->type == ST_SUBSCRIBED || s->type == ST_UNSUBSCRIBED, receive_locked);
}

/* --- changes of the roster itself --- */

/* Somebody has put them there: also those who only asked are contacts from now on. */
static enum store_rc put_visible(struct account *a, const struct roster_item *items, const struct jid *who, size_t n) YIELDS;
static enum store_rc put_visible(struct account *a, const struct roster_item *items, const struct jid *who, size_t n)
{
    struct contact *c;
    size_t fresh = 0;
    for (size_t i = 0; i < n; i++)
        fresh += !(c = account_contact(a, who[i])) || c->hidden;
    if (fresh && roster_full(a, false, fresh))
        return STORE_LIMIT;
    for (size_t i = 0; i < n; i++)
        if ((c = account_contact(a, who[i])))
            account_contact_reveal(a, c);
    return account_roster_put(a, items, n);
}

/* The groups that modules show her in are not written down: they end when the module says so. Nor is an item of nothing else. */
static enum store_rc put_own(struct account *a, struct jid who, struct roster_item *i) YIELDS;
static enum store_rc put_own(struct account *a, struct jid who, struct roster_item *i)
{
    struct arena *arena = arena_new();
    struct contact_look shared;
    size_t kept = 0;
    bool there = account_shared_contact(a, arena, who, &shared);
    for (size_t g = 0; g < i->n_groups; g++) {
        bool own = true;
        for (size_t k = 0; k < shared.n_labels; k++)
            own = own && !str_eq(shared.labels[k], i->groups[g]);
        if (own)
            i->groups[kept++] = i->groups[g];
    }
    i->n_groups = kept;
    arena_release(&arena);
    if (!there || !shared.to || i->nick.n || kept || i->subscription != ROSTER_NONE || i->ask != ROSTER_ASK_NONE || i->approved)
        return put_visible(a, i, &who, 1);
    const struct contact *c = account_contact(a, who);
    bool hidden = !c || c->hidden;
    enum store_rc rc = c ? account_roster_remove(a, &who, 1) : STORE_OK;
    if (hidden && (rc == STORE_OK || rc == STORE_NONE))
        account_roster_push_removed(a, who);
    return rc == STORE_NONE ? STORE_OK : rc;
}

enum store_rc subscribe_edit(struct account *a, struct jid who, struct str nick, struct str *groups, size_t n_groups)
{
    struct roster_item i;
    enum store_rc rc = account_roster_lock(a);
    if (rc != STORE_OK)
        return rc;
    struct arena *arena = arena_new();
    rc = account_roster_item(a, arena, who, &i);
    if (rc == STORE_OK) {
        i.nick = nick;
        i.groups = groups;
        i.n_groups = n_groups;
        rc = put_own(a, who, &i);
    }
    account_roster_unlock(a);
    arena_release(&arena);
    return rc;
}

/* §2.5.2: unsubscribes, refuses, and nobody who was a contact goes on seeing presence. */
static void part(struct account *a, struct jid who, enum roster_subscription subscription, enum roster_ask ask)
{
    if (sub_sees_us(subscription))
        presence_hide(a, who);
    if (sub_sees_us(subscription) || sub_waits(ask))
        tell(a, ST_UNSUBSCRIBED, who);
    if (sub_we_see(subscription) || ask == ROSTER_ASK_OUT || ask == ROSTER_ASK_BOTH)
        tell(a, ST_UNSUBSCRIBE, who);
}

enum store_rc subscribe_remove(struct account *a, struct jid who)
{
    enum store_rc rc = account_roster_lock(a);
    if (rc != STORE_OK)
        return rc;
    const struct contact *c = account_contact(a, who);
    struct contact was = c ? *c : (struct contact){.subscription = ROSTER_NONE, .ask = ROSTER_ASK_NONE, .hidden = true};
    rc = account_roster_remove(a, &who, 1);
    if (rc == STORE_OK)
        part(a, who, (enum roster_subscription)was.subscription, (enum roster_ask)was.ask);
    if (rc == STORE_NONE && was.hidden)
        account_roster_push_removed(a, who); /* COMPAT(ejabberd): no error (§2.5.3) */
    account_roster_unlock(a);
    return rc == STORE_NONE ? STORE_OK : rc;
}

/* Contacts see what the new subscription lets them see. */
static void adjust(struct account *a, struct jid who, enum roster_subscription was, enum roster_subscription now)
{
    if (sub_sees_us(was) && !sub_sees_us(now))
        presence_hide(a, who);
    if (!sub_sees_us(was) && sub_sees_us(now))
        presence_show(a, who);
    if (!sub_we_see(was) && sub_we_see(now))
        presence_probe(a, who);
}

static enum roster_subscription subscription_now(const struct account *a, struct jid who)
{
    return account_subscription(a, who);
}

void subscribe_shared_changed(struct account *a, struct jid who, enum roster_subscription was)
{
    const struct contact *c = account_contact(a, who);
    enum roster_subscription own = c ? (enum roster_subscription)c->subscription : ROSTER_NONE;
    bool to = sub_we_see(was) || sub_we_see(own), from = sub_sees_us(was) || sub_sees_us(own);
    adjust(a, who, to ? (from ? ROSTER_BOTH : ROSTER_TO) : from ? ROSTER_FROM : ROSTER_NONE, subscription_now(a, who));
}

enum store_rc subscribe_impose(struct account *a, const struct roster_item *items, const struct jid *who, size_t n)
{
    enum store_rc rc = account_roster_lock(a);
    if (rc != STORE_OK)
        return rc;
    struct arena *arena = arena_new();
    enum roster_subscription *was = ARENA_ARRAY(arena, enum roster_subscription, n + 1);
    for (size_t i = 0; i < n; i++)
        was[i] = subscription_now(a, who[i]);
    rc = put_visible(a, items, who, n);
    for (size_t i = 0; rc == STORE_OK && i < n; i++)
        adjust(a, who[i], was[i], items[i].subscription);
    account_roster_unlock(a);
    arena_release(&arena);
    return rc;
}

enum store_rc subscribe_impose_removal(struct account *a, const struct jid *who, size_t n)
{
    enum store_rc rc = account_roster_lock(a);
    if (rc != STORE_OK)
        return rc;
    struct arena *arena = arena_new();
    enum roster_subscription *was = ARENA_ARRAY(arena, enum roster_subscription, n + 1);
    for (size_t i = 0; i < n; i++)
        was[i] = subscription_now(a, who[i]);
    rc = account_roster_remove(a, who, n);
    for (size_t i = 0; rc == STORE_OK && i < n; i++)
        adjust(a, who[i], was[i], ROSTER_NONE);
    account_roster_unlock(a);
    arena_release(&arena);
    return rc;
}

void subscribe_removed(struct account *a, struct jid who, int64_t version)
{
    if (!a->roster || account_roster_lock(a) != STORE_OK)
        return; /* nobody has read it: nothing to take back */
    enum roster_subscription was = subscription_now(a, who);
    account_roster_removed(a, who, version);
    adjust(a, who, was, ROSTER_NONE);
    account_roster_unlock(a);
}

static void part_from_all(struct account *a, struct arena *arena, const struct roster *all)
{
    struct jid who;
    for (size_t i = 0; i < all->n; i++)
        if (jid_parse(arena, all->items[i].jid, &who) && !jid_bare_eq(who, account_jid(a))) {
            account_roster_removed(a, who, 0);
            part(a, who, all->items[i].subscription, all->items[i].ask);
        }
}

static enum store_rc erase(struct account *a, int64_t *tokens_out) YIELDS;
static enum store_rc erase(struct account *a, int64_t *tokens_out)
{
    struct jid own = account_jid(a);
    struct roster all;
    struct str ver;
    enum store_rc rc = account_roster_lock(a);
    if (rc != STORE_OK)
        return rc;
    struct arena *arena = arena_new();
    rc = account_roster_items(a, arena, &all, &ver);
    if (rc == STORE_OK)
        rc = account_remove(jid_host(own), jid_user(own), tokens_out);
    LIST_EACH(it, &a->sessions)
        if (rc == STORE_OK) {
            struct session *s = LIST_ENTRY(it, struct session, link);
            s->orphan = true;
            s->interested = false; /* who is about to be thrown out need not hear of each */
        }
    if (rc == STORE_OK)
        part_from_all(a, arena, &all);
    account_roster_unlock(a);
    arena_release(&arena);
    return rc;
}

enum store_rc account_erase(struct str host, struct str user, int64_t *tokens_out)
{
    const struct vhost *h = config_host(config_current(), host);
    *tokens_out = 0;
    if (!h)
        return account_remove(host, user, tokens_out);
    struct arena *arena = arena_new();
    struct account *a = account_pin(h->index, jid_join(arena, user, host, STR_NULL));
    enum store_rc rc = erase(a, tokens_out);
    account_unpin(a);
    arena_release(&arena);
    return rc;
}
