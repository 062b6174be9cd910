/*
 * Rosters in memory and their lock. Home shard; suspends where the header says so: for the store and for one's turn. What a
 * change means for presence is core/account/presence.c, for subscriptions core/account/subscribe.c.
 */
#include "core/account/roster.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/rand.h"
#include "core/account/session_table.h"
#include "core/config/option.h"
#include "core/module/module.h"
#include "rt/fiber.h"
#include <inttypes.h>
#include <stdlib.h>

struct account_roster {
    struct map contacts;
    size_t hidden, waiting;
    int64_t version;
    uint64_t extra; /* of what modules add, see struct roster_event */
    uint64_t extra_generation;
    bool loaded, locked;
    struct list queue; /* struct turn */
};

struct turn {
    struct list link;
    struct fiber *fiber;
};

bool roster_on(unsigned host)
{
    const struct config *c = config_current();
    return c && host < c->host_count && config_module(&c->hosts[host], S("mod_roster"));
}

/* --- versions (XEP-0237) --- */

static struct str version_text(struct arena *a, const struct account_roster *r)
{
    if (!r->version)
        return S("0");
    return r->extra ? arena_printf(a, "%" PRId64 ".%" PRIx64, r->version, r->extra) : arena_printf(a, "%" PRId64, r->version);
}

static bool is_version(const struct account_roster *r, struct str text)
{
    struct arena *a;
    bool same;
    if (!r->version || !text.n)
        return false;
    a = arena_new();
    same = str_eq(version_text(a, r), text);
    arena_release(&a);
    return same;
}

/* --- the lock --- */

static struct account_roster *roster_of(struct account *a)
{
    if (!a->roster) {
        a->roster = MEM_NEW(struct account_roster);
        map_init(&a->roster->contacts);
        list_init(&a->roster->queue);
    }
    return a->roster;
}

static void wait_turn(struct account_roster *r) YIELDS;
static void wait_turn(struct account_roster *r)
{
    struct turn t = {.fiber = fiber_self()};
    if (!r->locked) {
        r->locked = true;
        return;
    }
    list_push(&r->queue, &t.link);
    fiber_suspend("roster"); /* whoever goes before hands it over */
}

void account_roster_unlock(struct account *a)
{
    struct account_roster *r = a->roster;
    if (list_empty(&r->queue)) {
        r->locked = false;
    } else {
        struct turn *t = LIST_ENTRY(r->queue.next, struct turn, link);
        list_del(&t->link);
        fiber_wake(t->fiber);
    }
    account_unpin(a);
}

enum store_rc account_roster_lock(struct account *a)
{
    enum store_rc rc;
    account_pin_again(a);
    wait_turn(roster_of(a));
    rc = STORE_OK;
    if (!a->roster->loaded) {
        struct arena *arena = arena_new();
        struct roster items;
        struct str ver;
        rc = account_roster_items(a, arena, &items, &ver);
        arena_release(&arena);
    }
    if (rc != STORE_OK)
        account_roster_unlock(a);
    return rc;
}

enum store_rc account_roster_read(struct account *a, struct arena *arena, struct str known, struct roster *out, struct str *ver_out)
{
    enum store_rc rc = STORE_OK;
    bool same;
    account_pin_again(a);
    wait_turn(roster_of(a));
    same = a->roster->loaded && is_version(a->roster, known);
    if (!same)
        rc = account_roster_items(a, arena, out, ver_out);
    if (rc != STORE_OK)
        account_roster_unlock(a);
    else if (is_version(a->roster, known))
        rc = STORE_NONE;
    return rc;
}

void rosters_stale(unsigned host)
{
    const struct map *accounts = &session_table_self()->accounts;
    for (struct map_node *n = map_next(accounts, NULL); n; n = map_next(accounts, n)) {
        struct account *a = CONTAINER_OF(n, struct account, node);
        if (a->host == host && a->roster)
            a->roster->loaded = false;
    }
}

enum store_rc account_roster_load(struct account *a)
{
    if (a->roster && a->roster->loaded)
        return STORE_OK;
    enum store_rc rc = account_roster_lock(a);
    if (rc == STORE_OK)
        account_roster_unlock(a);
    return rc;
}

/* --- memory --- */

static bool contact_eq(const struct map_node *node, const void *key)
{
    const struct contact *c = CONTAINER_OF(node, const struct contact, node);
    const struct str *k = key;
    return str_eq(jid_full(contact_jid(c)), *k);
}

static struct contact *find_text(const struct account *a, struct str address)
{
    struct map_node *n = a->roster ? map_find(&a->roster->contacts, hash_str(address), contact_eq, &address) : NULL;
    return n ? CONTAINER_OF(n, struct contact, node) : NULL;
}

struct contact *account_contact(const struct account *a, struct jid who)
{
    return find_text(a, jid_full(who));
}

struct contact *account_contact_next(const struct account *a, const struct contact *prev)
{
    struct map_node *n = a->roster ? map_next(&a->roster->contacts, prev ? &prev->node : NULL) : NULL;
    return n ? CONTAINER_OF(n, struct contact, node) : NULL;
}

size_t account_contacts_waiting(const struct account *a)
{
    return a->roster ? a->roster->waiting : 0;
}

bool account_roster_is_loaded(const struct account *a)
{
    return a->roster && a->roster->loaded;
}

size_t account_contacts_visible(const struct account *a)
{
    return a->roster ? a->roster->contacts.count - a->roster->hidden : 0;
}

bool roster_full(const struct account *a, bool for_request, size_t more)
{
    return for_request ? a->roster->hidden + more > ROSTER_WAITING_MAX : account_contacts_visible(a) + more > ROSTER_ITEMS_MAX;
}

bool roster_item_hidden(const struct roster_item *i)
{
    return i->subscription == ROSTER_NONE && i->ask == ROSTER_ASK_IN && !i->approved && !i->nick.n && !i->n_groups;
}

static void count(struct account_roster *r, const struct contact *c, bool there)
{
    size_t one = there ? 1 : (size_t)-1;
    r->hidden += c->hidden ? one : 0;
    r->waiting += sub_waits((enum roster_ask)c->ask) ? one : 0;
}

static void fill(struct account_roster *r, struct contact *c, const struct roster_item *i, bool hidden)
{
    c->subscription = (uint8_t)i->subscription;
    c->ask = (uint8_t)i->ask;
    c->approved = i->approved;
    c->hidden = hidden;
    count(r, c, true);
}

static void add_contact(struct account_roster *r, const struct roster_item *i, struct jid j, bool hidden)
{
    struct str text = jid_full(j);
    struct contact *c = mem_zalloc(sizeof *c + text.n);
    c->user_len = j.user_len;
    c->host_len = j.host_len;
    c->res_len = j.res_len;
    memcpy(c->address, text.p, text.n);
    fill(r, c, i, hidden);
    map_add(&r->contacts, &c->node, hash_str(text));
}

static void drop_contact(struct account_roster *r, struct contact *c)
{
    count(r, c, false);
    map_del(&r->contacts, &c->node);
    free(c);
}

/* A contact that was put into the roster and asks afterwards stays visible, though the columns look the same. */
static void take_over(struct account *a, struct arena *arena, const struct roster_item *i)
{
    struct account_roster *r = a->roster;
    struct contact *c = find_text(a, i->jid);
    struct jid j;
    bool hidden = roster_item_hidden(i) && (!c || c->hidden);
    if (c) {
        count(r, c, false);
        fill(r, c, i, hidden);
    } else if (jid_parse(arena, i->jid, &j)) {
        add_contact(r, i, j, hidden);
    }
}

static void forget_contacts(struct account_roster *r)
{
    for (struct map_node *n; (n = map_next(&r->contacts, NULL));)
        drop_contact(r, CONTAINER_OF(n, struct contact, node));
}

void account_roster_free(struct account *a)
{
    if (!a->roster)
        return;
    forget_contacts(a->roster);
    map_deinit(&a->roster->contacts);
    free(a->roster);
    a->roster = NULL;
}

/* --- reading --- */

static void take_all(struct account *a, const struct roster *items, struct arena *arena)
{
    struct account_roster *r = a->roster;
    forget_contacts(r);
    for (size_t i = 0; i < items->n; i++)
        take_over(a, arena, &items->items[i]);
    r->loaded = true;
}

enum store_rc account_roster_items(struct account *a, struct arena *arena, struct roster *out, struct str *ver_out)
{
    struct jid j = account_jid(a);
    enum store_rc rc = STORE_OK;
    *out = (struct roster){0};
    *ver_out = S("0");
    if (!roster_on(a->host))
        return STORE_OK; /* not `loaded`: a reload may bring rosters */
    rc = roster_load(arena, jid_host(j), jid_user(j), out);
    if (rc != STORE_OK)
        return rc;
    struct roster_event ev = {.account = a, .arena = arena, .roster = out};
    if (!a->roster->loaded)
        take_all(a, out, arena); /* only what is the account's own: what everybody has is not copied for everybody */
    if (hook_run_roster_load(a->host, &ev) == HOOK_REJECT) {
        a->roster->loaded = false;
        return STORE_UNAVAILABLE;
    }
    a->roster->version = out->version;
    a->roster->extra = ev.version;
    a->roster->extra_generation = ev.generation;
    *ver_out = version_text(arena, a->roster);
    return STORE_OK;
}

enum store_rc account_roster_item(struct account *a, struct arena *arena, struct jid who, struct roster_item *out)
{
    struct jid j = account_jid(a);
    enum store_rc rc = STORE_NONE;
    if (account_contact(a, who))
        rc = roster_get(arena, jid_host(j), jid_user(j), jid_full(who), out);
    if (rc == STORE_NONE) {
        *out = (struct roster_item){.jid = arena_str(arena, jid_full(who)), .subscription = ROSTER_NONE, .ask = ROSTER_ASK_NONE};
        rc = STORE_OK;
    }
    return rc;
}

bool account_shared_contact(const struct account *a, struct arena *arena, struct jid who, struct contact_look *out)
{
    *out = (struct contact_look){.account = (struct account *)a, .arena = arena, .who = jid_to_bare(who)};
    if (a->host == HOST_NONE || !account_roster_is_loaded(a))
        return false;
    hook_run_contact_look(a->host, out);
    return out->to || out->from;
}

struct tally {
    const struct account *account;
    size_t n;
};

static void count_shared(void *arg, struct jid who, bool to, bool from)
{
    struct tally *t = arg;
    const struct contact *c = account_contact(t->account, who);
    t->n += to && (!c || c->hidden);
}

bool account_has_shared(struct account *a)
{
    struct arena *arena = arena_new();
    struct roster nothing = {0};
    bool any = a->host != HOST_NONE && (hook_run_roster_load(a->host, &(struct roster_event){.account = a, .arena = arena,
                                                             .roster = &nothing}) != HOOK_PASS || nothing.n);
    arena_release(&arena);
    return any;
}

size_t account_contacts_shared(const struct account *a)
{
    struct tally t = {a, 0};
    if (a->host != HOST_NONE && account_roster_is_loaded(a))
        hook_run_contact_walk(a->host, &(struct contact_walk){(struct account *)a, count_shared, &t});
    return t.n;
}

static enum roster_subscription with_shared(enum roster_subscription own, const struct contact_look *shared)
{
    bool to = sub_we_see(own) || shared->to, from = sub_sees_us(own) || shared->from;
    return to ? (from ? ROSTER_BOTH : ROSTER_TO) : from ? ROSTER_FROM : ROSTER_NONE;
}

enum roster_subscription account_subscription(const struct account *a, struct jid who)
{
    const struct contact *c = account_contact(a, who);
    struct contact_look shared;
    account_shared_contact(a, NULL, who, &shared);
    return with_shared(c ? (enum roster_subscription)c->subscription : ROSTER_NONE, &shared);
}

bool account_shows_presence_to(struct account *a, struct jid who)
{
    if (jid_bare_eq(account_jid(a), who))
        return true;
    account_pin_again(a);
    bool loaded = account_roster_load(a) == STORE_OK;
    bool shows = loaded && sub_sees_us(account_subscription(a, jid_to_bare(who)));
    account_unpin(a);
    return shows;
}

/* --- pushes (RFC 6121 §2.1.6) --- */

void roster_item_write(struct arena *arena, struct xml_el *query, const struct roster_item *i)
{
    struct xml_el *el = xml_add(arena, query, TOK_item, TOK_NONE);
    if (i->approved)
        xml_attr_set_text(arena, el, S("approved"), S("true"));
    if (i->ask == ROSTER_ASK_OUT || i->ask == ROSTER_ASK_BOTH)
        xml_attr_set_text(arena, el, S("ask"), S("subscribe"));
    xml_attr_set_text(arena, el, S("subscription"), str_of(subscription_name(i->subscription)));
    if (i->nick.n)
        xml_attr_set(arena, el, TOK_name, arena_str(arena, i->nick));
    xml_attr_set(arena, el, TOK_jid, arena_str(arena, i->jid));
    for (size_t g = 0; g < i->n_groups; g++)
        xml_append_text(arena, xml_add(arena, el, TOK_group, TOK_NONE), arena_str(arena, i->groups[g]));
}

static bool versioned(const struct account *a)
{
    const struct options *o = config_module(&config_current()->hosts[a->host], S("mod_roster"));
    return o && opt_bool(o, "versioning");
}

static struct stanza *push_new(const struct account *a, struct xml_el **query_out)
{
    char word[25] = "push";
    struct stanza *s = stanza_new(STANZA_IQ, ST_SET, account_jid(a), JID_NULL);
    rand_token(word + 4, 20);
    s->id = arena_str(s->arena, str_of(word));
    xml_attr_set(s->arena, s->el, TOK_id, s->id);
    *query_out = xml_add(s->arena, s->el, TOK_query, TOK_NS_ROSTER);
    if (versioned(a))
        xml_attr_set(s->arena, *query_out, TOK_ver, version_text(s->arena, a->roster));
    return s;
}

static bool anyone_interested(const struct account *a)
{
    LIST_EACH(it, &a->sessions)
        if (LIST_ENTRY(it, struct session, link)->interested)
            return true;
    return false;
}

static void push_out(struct account *a, struct stanza **s)
{
    LIST_EACH(it, &a->sessions) {
        struct session *x = LIST_ENTRY(it, struct session, link);
        if (x->interested)
            session_send(x, *s);
    }
    stanza_end(s);
}

void account_contact_reveal(struct account *a, struct contact *c)
{
    count(a->roster, c, false);
    c->hidden = false;
    count(a->roster, c, true);
}

static bool in_groups(const struct roster_item *i, struct str group)
{
    for (size_t g = 0; g < i->n_groups; g++)
        if (str_eq(i->groups[g], group))
            return true;
    return false;
}

void roster_item_share(struct arena *arena, struct roster_item *i, const struct contact_look *shared)
{
    struct str *groups = ARENA_ARRAY(arena, struct str, i->n_groups + shared->n_labels + 1);
    if (!shared->to)
        return;
    i->subscription = with_shared(i->subscription, shared);
    if (i->ask == ROSTER_ASK_OUT || i->ask == ROSTER_ASK_BOTH)
        i->ask = i->ask == ROSTER_ASK_BOTH ? ROSTER_ASK_IN : ROSTER_ASK_NONE;
    if (i->n_groups)
        memcpy(groups, i->groups, i->n_groups * sizeof *groups);
    i->groups = groups;
    for (size_t g = 0; g < shared->n_labels; g++)
        if (!in_groups(i, shared->labels[g]))
            groups[i->n_groups++] = shared->labels[g];
}

static void push_item(struct account *a, const struct roster_item *i)
{
    struct xml_el *query;
    struct contact_look shared;
    struct roster_item shown = *i;
    struct jid who;
    if (a->host == HOST_NONE || !anyone_interested(a))
        return;
    struct stanza *s = push_new(a, &query);
    if (jid_parse(s->arena, i->jid, &who) && account_shared_contact(a, s->arena, who, &shared))
        roster_item_share(s->arena, &shown, &shared);
    roster_item_write(s->arena, query, &shown);
    push_out(a, &s);
}

static void push_gone(struct account *a, struct jid who, const struct str *groups, size_t n_groups)
{
    struct xml_el *query;
    if (a->host == HOST_NONE || !anyone_interested(a))
        return;
    struct stanza *s = push_new(a, &query);
    struct xml_el *el = xml_add(s->arena, query, TOK_item, TOK_NONE);
    xml_attr_set_text(s->arena, el, S("subscription"), S("remove"));
    xml_attr_set(s->arena, el, TOK_jid, arena_str(s->arena, jid_full(who)));
    for (size_t g = 0; g < n_groups; g++)
        xml_append_text(s->arena, xml_add(s->arena, el, TOK_group, TOK_NONE), arena_str(s->arena, groups[g]));
    push_out(a, &s);
}

/* Whom modules put there cannot be taken out: she is back at once, as she is without the account's own words. */
static bool push_shared_again(struct account *a, struct jid who)
{
    struct contact_look shared;
    if (!account_shared_contact(a, NULL, who, &shared) || !shared.to)
        return false;
    push_item(a, &(struct roster_item){.jid = jid_full(who), .subscription = ROSTER_NONE, .ask = ROSTER_ASK_NONE});
    return true;
}

void account_roster_push_removed(struct account *a, struct jid who)
{
    if (!push_shared_again(a, who))
        push_gone(a, who, NULL, 0);
}

enum store_rc account_roster_push_shared(struct account *a, struct jid who, const struct str *gone, size_t n_gone, uint64_t from,
                                         uint64_t step)
{
    struct contact *c = account_contact(a, who);
    struct arena *arena = arena_new();
    struct roster_item own;
    enum store_rc rc = STORE_OK;
    bool kept = c && !c->hidden;
    if (a->roster->extra_generation == from)
        a->roster->extra += step;
    if (kept && anyone_interested(a))
        rc = account_roster_item(a, arena, who, &own);
    if (rc == STORE_OK && kept && anyone_interested(a))
        push_item(a, &own);
    else if (rc == STORE_OK && !kept && !push_shared_again(a, who))
        push_gone(a, who, gone, n_gone);
    arena_release(&arena);
    return rc;
}

void account_roster_shared_now(struct account *a, uint64_t from, uint64_t to)
{
    if (a->roster->extra_generation == from)
        a->roster->extra_generation = to;
}

/* --- changes --- */

/* What may or may not be written is read again before it is relied on. */
static enum store_rc failed(struct account *a, enum store_rc rc)
{
    if (rc == STORE_UNCERTAIN)
        a->roster->loaded = false;
    return rc;
}

static void take_in(struct account *a, struct arena *arena, const struct roster_item *i)
{
    const struct contact *c = find_text(a, i->jid);
    bool seen = c && !c->hidden;
    take_over(a, arena, i);
    c = find_text(a, i->jid);
    if (seen || (c && !c->hidden))
        push_item(a, i);
}

static enum store_rc write_items(struct account *a, const struct roster_item *items, size_t n) YIELDS;
static enum store_rc write_items(struct account *a, const struct roster_item *items, size_t n)
{
    struct jid j = account_jid(a);
    int64_t version = 0;
    enum store_rc rc = roster_set(jid_host(j), jid_user(j), items, n, &version);
    if (rc != STORE_OK)
        return failed(a, rc);
    a->roster->version = version;
    return STORE_OK;
}

static void take_in_all(struct account *a, const struct roster_item *items, size_t n)
{
    struct arena *arena = arena_new();
    for (size_t i = 0; i < n; i++)
        take_in(a, arena, &items[i]);
    arena_release(&arena);
}

enum store_rc account_roster_put(struct account *a, const struct roster_item *items, size_t n)
{
    enum store_rc rc = write_items(a, items, n);
    if (rc == STORE_OK)
        take_in_all(a, items, n);
    return rc;
}

enum store_rc account_roster_put_because(struct account *a, const struct roster_item *item,
                                         void (*say)(struct account *a, const struct stanza *s), const struct stanza *s)
{
    enum store_rc rc = write_items(a, item, 1);
    if (rc != STORE_OK)
        return rc;
    say(a, s);
    take_in_all(a, item, 1);
    return STORE_OK;
}

static void take_out(struct account *a, struct jid who)
{
    struct contact *c = account_contact(a, who);
    bool seen = c && !c->hidden;
    if (c)
        drop_contact(a->roster, c);
    if (seen)
        account_roster_push_removed(a, who);
}

enum store_rc account_roster_remove(struct account *a, const struct jid *who, size_t n)
{
    struct jid j = account_jid(a);
    struct arena *arena = arena_new();
    struct str *jids = ARENA_ARRAY(arena, struct str, n + 1);
    int64_t version = 0;
    for (size_t i = 0; i < n; i++)
        jids[i] = jid_full(who[i]);
    enum store_rc rc = roster_remove(jid_host(j), jid_user(j), jids, n, &version);
    arena_release(&arena);
    if (rc != STORE_OK && rc != STORE_NONE)
        return failed(a, rc);
    if (rc == STORE_OK)
        a->roster->version = version;
    for (size_t i = 0; i < n; i++)
        take_out(a, who[i]);
    return rc;
}

void account_roster_removed(struct account *a, struct jid who, int64_t version)
{
    struct contact *c = account_contact(a, who);
    if (!c)
        return;
    bool seen = !c->hidden;
    if (version > a->roster->version)
        a->roster->version = version;
    drop_contact(a->roster, c);
    if (seen)
        account_roster_push_removed(a, who);
}
