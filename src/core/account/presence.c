/*
 * Fan-out of presence. One list of receivers per shard, one message per list; the receiving shard passes over accounts that
 * nobody is connected to, so that a contact who is offline costs a look-up. Every receiver gets a copy of its own, because
 * handlers may change it; the copy keeps the bytes, which are written as they are.
 */
#include "core/account/presence.h"

#include "base/mem.h"
#include "core/account/roster.h"
#include "core/router.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "xml/stream.h"
#include <stdlib.h>

static void send_copy(const struct stanza *p, struct jid to)
{
    struct stanza *s = stanza_copy(p, to);
    router_route(&s);
}

/* --- fan-out --- */

struct fan {
    struct msg m;
    struct arena *arena; /* owns all of it */
    struct stanza *presence;
    struct jid *to;
    size_t n;
};

static bool online(struct jid j)
{
    struct account *a = account_find(jid_user(j), jid_host(j));
    if (!a)
        return false;
    LIST_EACH(it, &a->sessions)
        if (session_available(LIST_ENTRY(it, struct session, link)))
            return true;
    return false;
}

static void fan_out(struct fan *f)
{
    struct arena *a = f->arena;
    for (size_t i = 0; i < f->n; i++)
        if (online(f->to[i])) {
            struct stanza *s = stanza_copy(f->presence, f->to[i]);
            account_receive(&s);
        }
    arena_release(&a);
}

static void on_fan(struct msg *m)
{
    fan_out(CONTAINER_OF(m, struct fan, m));
}

static bool is_local(const struct account *a, struct jid j)
{
    return j.user_len && (str_eq(jid_host(account_jid(a)), jid_host(j)) || config_host(config_current(), jid_host(j)));
}

typedef bool (*choose_fn)(enum roster_subscription s);

/* Who gets it, as copies: while they are served the roster may change. */
struct receivers {
    struct arena *arena;
    struct jid *jids;
    size_t n;
};

static void add_receiver(struct receivers *r, struct jid j)
{
    if (!r->arena)
        r->arena = arena_new();
    ARENA_MORE(r->arena, r->jids, r->n);
    r->jids[r->n++] = jid_copy(r->arena, j);
}

struct choice {
    const struct account *account;
    choose_fn wanted;
    struct receivers *lists;
};

static void add_chosen(const struct choice *c, enum roster_subscription s, struct jid j)
{
    if (c->wanted(s) && !jid_bare_eq(j, account_jid(c->account)))
        add_receiver(&c->lists[is_local(c->account, j) ? shard_of(jid_home_hash(j)) : shard_count()], j);
}

/* Contacts that modules add; but those that the account's own roster has told about already. */
static void choose_shared(void *arg, struct jid who, bool to, bool from)
{
    const struct choice *c = arg;
    const struct contact *own = account_contact(c->account, who);
    if (!own || !c->wanted((enum roster_subscription)own->subscription))
        add_chosen(c, to ? (from ? ROSTER_BOTH : ROSTER_TO) : from ? ROSTER_FROM : ROSTER_NONE, who);
}

/* lists[shard] for accounts of this server, lists[shards] for everybody else. */
static void choose(const struct account *a, choose_fn fn, struct receivers *lists)
{
    struct choice choice = {a, fn, lists};
    struct contact_walk walk = {.account = (struct account *)a, .each = choose_shared, .arg = &choice};
    for (const struct contact *c = account_contact_next(a, NULL); c; c = account_contact_next(a, c))
        add_chosen(&choice, (enum roster_subscription)c->subscription, contact_jid(c));
    if (a->host != HOST_NONE)
        hook_run_contact_walk(a->host, &walk);
}

static void send_fan(unsigned shard, const struct stanza *p, const struct receivers *r)
{
    struct fan *f = ARENA_NEW(r->arena, struct fan);
    *f = (struct fan){.m = {.fn = on_fan}, .arena = r->arena, .to = r->jids, .n = r->n};
    f->presence = ARENA_NEW(r->arena, struct stanza);
    *f->presence = *p;
    f->presence->arena = r->arena;
    f->presence->cause = NULL;
    f->presence->watch = NULL;
    f->presence->el = xml_copy(r->arena, p->el);
    f->presence->from = jid_copy(r->arena, p->from);
    f->presence->id = arena_str(r->arena, p->id);
    if (shard == shard_self())
        fan_out(f); /* at once: a message that follows must not come before it */
    else
        mail_post(shard, &f->m);
}

/* Those whom a module does not let it go to (privacy lists). */
static void leave_out(const struct account *a, const struct stanza *p, struct receivers *r)
{
    struct account *own = (struct account *)a;
    struct presence_out_event ev = {.account = own, .session = session_find(own, jid_res(p->from)), .type = p->type};
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        ev.to = r->jids[i];
        if (hook_run_presence_out(a->host, &ev) == HOOK_PASS)
            r->jids[n++] = r->jids[i];
    }
    r->n = n;
    if (!n)
        arena_release(&r->arena);
}

static void to_chosen(const struct account *a, choose_fn fn, const struct stanza *p)
{
    unsigned shards = shard_count();
    struct receivers lists[SHARD_MAX + 1];
    if (!a->roster || (a->host != HOST_NONE && !roster_on(a->host)))
        return;
    memset(lists, 0, (shards + 1) * sizeof *lists);
    choose(a, fn, lists);
    for (unsigned i = 0; i <= shards && a->host != HOST_NONE; i++)
        leave_out(a, p, &lists[i]);
    for (unsigned i = 0; i < shards; i++)
        if (lists[i].n)
            send_fan(i, p, &lists[i]);
    for (size_t i = 0; i < lists[shards].n; i++)
        send_copy(p, lists[shards].jids[i]);
    arena_release(&lists[shards].arena);
}

/* --- broadcast and probes --- */

struct directed {
    struct directed *next;
    uint16_t user_len, host_len, res_len;
    char address[];
};

static struct jid directed_jid(const struct directed *d)
{
    return (struct jid){d->address, d->user_len, d->host_len, d->res_len};
}

/* A contact who sees our presence has been told already. */
static bool told(const struct account *a, struct jid to)
{
    return jid_bare_eq(account_jid(a), to) || sub_sees_us(account_subscription(a, jid_to_bare(to)));
}

void presence_end_directed(struct session *s, const struct stanza *p, bool broadcast)
{
    struct directed *d = s->directed;
    s->directed = NULL;
    s->directed_n = 0;
    for (struct directed *next; d; d = next) {
        next = d->next;
        if (!broadcast || !told(s->account, directed_jid(d)))
            send_copy(p, directed_jid(d));
        free(d);
    }
}

void presence_to_contacts(struct session *s, const struct stanza *p)
{
    to_chosen(s->account, sub_sees_us, p);
}

static struct stanza *probe_new(const struct session *s)
{
    return stanza_new(STANZA_PRESENCE, ST_PROBE, session_jid(s), JID_NULL);
}

void presence_probe_contacts(struct session *s)
{
    struct stanza *p = probe_new(s);
    to_chosen(s->account, sub_we_see, p);
    stanza_end(&p);
}

/* --- one contact --- */

void presence_show(struct account *a, struct jid to)
{
    struct session *s;
    account_pin_again(a);
    for (size_t i = 0; (s = session_available_at(a, i)); i++) {
        struct stanza *p = session_last_presence(s);
        if (p) {
            send_copy(p, to);
            stanza_end(&p);
        }
    }
    account_unpin(a);
}

void presence_hide(struct account *a, struct jid to)
{
    struct session *s;
    if (sub_sees_us(account_subscription(a, jid_to_bare(to))))
        return; /* she sees it for another reason too */
    account_pin_again(a);
    for (size_t i = 0; (s = session_available_at(a, i)); i++) {
        struct stanza *p = stanza_new(STANZA_PRESENCE, ST_UNAVAILABLE, session_jid(s), to);
        router_route(&p);
    }
    account_unpin(a);
}

void presence_probe(struct account *a, struct jid contact)
{
    struct session *s;
    account_pin_again(a);
    for (size_t i = 0; (s = session_available_at(a, i)); i++) {
        struct stanza *p = probe_new(s);
        send_copy(p, contact);
        stanza_end(&p);
    }
    account_unpin(a);
}

static bool is_directed_to(const struct session *s, struct jid who)
{
    for (const struct directed *d = s->directed; d; d = d->next)
        if (jid_bare_eq(directed_jid(d), who))
            return true;
    return false;
}

/* As session_available_at, with sessions that are online for some only (§4.6.3 no. 3), and of the resource that was asked about. */
static struct session *probed_at(struct account *a, struct str resource, size_t place)
{
    LIST_EACH(it, &a->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        bool asked = !resource.n || str_eq(resource, jid_res(session_jid(s)));
        if (asked && (session_available(s) || (s->directed && !s->closing)) && place-- == 0)
            return s;
    }
    return NULL;
}

/* Subscribers see all of it. Who asks about one resource, or got presence of her own, learns only that it is there (§4.6.6). */
static struct stanza *probe_answer(const struct session *s, const struct stanza *probe, bool shows)
{
    bool sees = shows && session_available(s);
    if (sees && jid_is_bare(probe->to))
        return session_last_presence(s);
    return sees || is_directed_to(s, probe->from) ? stanza_new(STANZA_PRESENCE, ST_AVAILABLE, session_jid(s), JID_NULL) : NULL;
}

void presence_answer_probe(struct account *a, const struct stanza *probe)
{
    struct str resource = jid_res(probe->to);
    struct session *s;
    if (!probed_at(a, resource, 0))
        return;
    bool shows = account_shows_presence_to(a, probe->from);
    for (size_t i = 0; (s = probed_at(a, resource, i)); i++) {
        struct stanza *p = probe_answer(s, probe, shows);
        if (p) {
            send_copy(p, probe->from);
            stanza_end(&p);
        }
    }
}

/* --- requests that wait --- */

static struct stanza *request_new(const struct roster_item *i, struct jid from, struct jid to)
{
    const char *why;
    if (!str_starts(i->ask_message, S("<presence"))) {
        struct stanza *p = stanza_new(STANZA_PRESENCE, ST_SUBSCRIBE, from, to);
        if (i->ask_message.n)
            xml_add_leaf(p->arena, p->el, TOK_status, arena_str(p->arena, i->ask_message));
        return p;
    }
    struct arena *a = arena_new();
    struct xml_el *el = xml_parse(a, i->ask_message, TOK_NS_CLIENT, &why);
    struct stanza *p = el ? stanza_of(a, el) : NULL;
    if (!p || p->type != ST_SUBSCRIBE) {
        arena_release(&a);
        return stanza_new(STANZA_PRESENCE, ST_SUBSCRIBE, from, to);
    }
    p->from = jid_copy(a, from);
    p->to = jid_copy(a, to);
    stanza_stamp(p);
    return p;
}

/* Whoever was shut out meanwhile is not heard (XEP-0191 §3.3). */
static bool still_wanted(struct account *a, struct stanza *request) YIELDS;
static bool still_wanted(struct account *a, struct stanza *request)
{
    struct stanza_event ev = {.account = a, .stanza = request};
    return a->host != HOST_NONE && hook_run_stanza_received(a->host, &ev) == HOOK_PASS;
}

void presence_waiting_requests(struct account *a, struct str resource)
{
    struct jid own = account_jid(a), from;
    struct roster waiting;
    struct session *s;
    if (!account_contacts_waiting(a))
        return;
    struct arena *arena = arena_new();
    resource = arena_str(arena, resource);
    account_pin_again(a);
    if (roster_pending(arena, jid_host(own), jid_user(own), &waiting) == STORE_OK)
        for (size_t i = 0; i < waiting.n && (s = session_find(a, resource)) && session_available(s); i++)
            if (jid_parse(arena, waiting.items[i].jid, &from)) {
                struct stanza *p = request_new(&waiting.items[i], from, session_jid(s)); /* its list decides */
                bool wanted = still_wanted(a, p);
                if (wanted && (s = session_find(a, resource)))
                    session_send(s, p);
                stanza_end(&p);
            }
    account_unpin(a);
    arena_release(&arena);
}

/* --- directed presence (§4.6) --- */

static struct directed **find_directed(struct session *s, struct jid to)
{
    struct directed **d = &s->directed;
    while (*d && !jid_eq(directed_jid(*d), to))
        d = &(*d)->next;
    return d;
}

void presence_directed_over(struct session *s, struct jid to)
{
    struct directed **d = find_directed(s, to), *gone = *d;
    if (!gone)
        return;
    *d = gone->next;
    s->directed_n--;
    free(gone);
}

bool presence_directed(struct session *s, const struct stanza *p)
{
    if (p->type == ST_UNAVAILABLE)
        presence_directed_over(s, p->to);
    if (p->type != ST_AVAILABLE || jid_bare_eq(p->to, account_jid(s->account)) || *find_directed(s, p->to))
        return true;
    if (s->directed_n == DIRECTED_MAX)
        return false;
    struct str text = jid_full(p->to);
    struct directed *d = mem_zalloc(sizeof *d + text.n);
    d->user_len = p->to.user_len;
    d->host_len = p->to.host_len;
    d->res_len = p->to.res_len;
    memcpy(d->address, text.p, text.n);
    d->next = s->directed;
    s->directed = d;
    s->directed_n++;
    return true;
}

void presence_directed_free(struct session *s)
{
    for (struct directed *d = s->directed, *next; d; d = next) {
        next = d->next;
        free(d);
    }
    s->directed = NULL;
    s->directed_n = 0;
}
