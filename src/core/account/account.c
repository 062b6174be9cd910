/*
 * Online accounts of this shard: the table of bare JIDs, their sessions, opening and closing them, and their presence
 * (RFC 6121 §4) among an account's own resources. Owned by the home shard; nothing here suspends. Delivery rules are in
 * core/account/deliver.c, questions from other shards in core/account/account_query.c, rosters and contacts in
 * core/account/roster.c and core/account/presence.c.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "core/account/presence.h"
#include "core/account/roster.h"
#include "core/account/session_table.h"
#include "core/account/stranger.h"
#include "core/c2s/c2s.h"
#include "core/c2s/mgmt.h"
#include "core/module/module.h"
#include "core/router.h"
#include "rt/shard.h"
#include "xml/stream.h"
#include "xml/writer.h"
#include <stdlib.h>

static _Thread_local struct session_table table;

/*
 * A hook handler may end any stream, its own session's too, while its caller still holds pointers: what is closed leaves the
 * tables at once, its memory at the end of the loop turn. Whoever suspends has to look it up again.
 */
struct grave {
    struct grave *next;
};
static _Thread_local struct grave *graves;
static _Thread_local struct shard_task grave_task;

static void empty_graves(struct shard_task *t)
{
    (void)t;
    while (graves) {
        struct grave *g = graves;
        graves = g->next;
        free(g);
    }
}

static void free_later(void *p)
{
    struct grave *g = p;
    g->next = graves;
    graves = g;
    shard_at_turn_end(&grave_task);
}

struct session_table *session_table_self(void)
{
    return &table;
}

static struct str full_address(const struct order_node *n)
{
    return jid_full(session_jid(CONTAINER_OF(n, const struct session, all)));
}

void account_shard_start(void)
{
    map_init(&table.accounts);
    table.all = (struct order){.key = full_address};
    grave_task = (struct shard_task){.fn = empty_graves};
}

static void leave_tables(struct session *s);

void account_shard_stop(void)
{
    /* Sessions that wait for their clients: the store has them. */
    while (table.all.root) {
        struct session *s = CONTAINER_OF(table.all.root, struct session, all);
        if (s->mgmt)
            mgmt_drop(&s->mgmt);
        leave_tables(s);
    }
    empty_graves(NULL);
    map_deinit(&table.accounts);
    free(table.per_host);
    table.per_host = NULL;
    table.hosts = 0;
}

struct account_key {
    struct str user, host;
};

static bool account_eq(const struct map_node *node, const void *key)
{
    const struct account *a = CONTAINER_OF(node, const struct account, node);
    const struct account_key *k = key;
    return a->user_len == k->user.n && a->host_len == k->host.n && memcmp(a->bare, k->user.p, k->user.n) == 0 &&
           memcmp(a->bare + (k->user.n ? k->user.n + 1 : 0), k->host.p, k->host.n) == 0;
}

static uint64_t account_hash(struct str user, struct str host)
{
    return hash_str(user) * 0x9E3779B97F4A7C15u ^ hash_str(host);
}

struct account *account_find(struct str user, struct str host)
{
    struct account_key k = {user, host};
    struct map_node *n = map_find(&table.accounts, account_hash(user, host), account_eq, &k);
    return n ? CONTAINER_OF(n, struct account, node) : NULL;
}

struct session *session_available_at(struct account *a, size_t place)
{
    LIST_EACH(it, &a->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        if (session_available(s) && place-- == 0)
            return s;
    }
    return NULL;
}

struct session *session_find(struct account *a, struct str resource)
{
    LIST_EACH(it, &a->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        if (str_eq(jid_res(session_jid(s)), resource))
            return s;
    }
    return NULL;
}

static struct account *account_new(unsigned host, struct jid j)
{
    struct str bare = jid_bare(j);
    struct account *a = mem_zalloc(sizeof *a + bare.n);
    list_init(&a->sessions);
    list_init(&a->inbox);
    a->host = host;
    a->user_len = j.user_len;
    a->host_len = j.host_len;
    memcpy(a->bare, bare.p, bare.n);
    map_add(&table.accounts, &a->node, account_hash(jid_user(j), jid_host(j)));
    return a;
}

static void forget_unused(struct account *a)
{
    if (!list_empty(&a->sessions) || a->pins)
        return;
    map_del(&table.accounts, &a->node);
    account_roster_free(a);
    free_later(a);
}

struct account *account_pin(unsigned host, struct jid j)
{
    struct account *a = account_find(jid_user(j), jid_host(j));
    if (!a)
        a = account_new(host, jid_to_bare(j));
    a->pins++;
    return a;
}

void account_unpin(struct account *a)
{
    a->pins--;
    forget_unused(a);
}

/* Counters per host, so that counting never lists. */
static void count_session(unsigned host, unsigned show, int delta)
{
    if (host == HOST_NONE)
        return;
    if (host >= table.hosts) {
        size_t n = host + 1u;
        uint64_t (*p)[SHOW__COUNT] = mem_realloc(table.per_host, n * sizeof *p);
        memset(p + table.hosts, 0, (n - table.hosts) * sizeof *p);
        table.per_host = p;
        table.hosts = n;
    }
    table.per_host[host][show] += (uint64_t)(int64_t)delta;
}

static void set_show(struct session *s, enum show show)
{
    count_session(s->account->host, s->show, -1);
    count_session(s->account->host, show, 1);
    s->show = (uint8_t)show;
}

struct session *session_open(unsigned host, struct jid full, struct c2s *owner)
{
    struct account *a = account_find(jid_user(full), jid_host(full));
    if (!a)
        a = account_new(host, full);
    struct str text = jid_full(full);
    struct session *s = mem_zalloc(sizeof *s + text.n);
    s->account = a;
    s->owner = owner;
    s->bound_ms = clock_mono_ms();
    s->priority = -1;
    s->res_len = full.res_len;
    memcpy(s->full, text.p, text.n);
    list_push(&a->sessions, &s->link);
    order_add(&table.all, &s->all);
    count_session(a->host, s->show, 1);
    return s;
}

void session_opened(struct session *s)
{
    hook_run_session_opened(s->account->host, &(struct session_event){.session = s});
}

static void forget_presence(struct session *s)
{
    free(s->presence);
    s->presence = NULL;
    s->presence_len = 0;
}

static void drop_presence(struct session *s)
{
    set_show(s, SHOW_UNAVAILABLE);
    s->priority = -1;
    forget_presence(s);
}

static void keep_presence(struct session *s, const struct stanza *p)
{
    struct buf b = BUF_INIT;
    forget_presence(s);
    xml_write_addressed(&b, p->el, TOK_NS_CLIENT, jid_full(session_jid(s)), STR_NULL);
    s->presence = mem_alloc(b.n);
    memcpy(s->presence, b.p, b.n);
    s->presence_len = (uint32_t)b.n;
    buf_deinit(&b);
}

struct stanza *session_last_presence(const struct session *s)
{
    const char *why;
    if (!s->presence)
        return NULL;
    struct arena *a = arena_new();
    struct xml_el *el = xml_parse(a, str_n(s->presence, s->presence_len), TOK_NS_CLIENT, &why);
    struct stanza *p = el ? stanza_of(a, el) : NULL;
    if (p)
        p->from = session_jid(s);
    else
        arena_release(&a);
    return p;
}

/* To every available resource of the account, the sender included (RFC 6121 §4.2.2, §4.4.2, §4.5.2). */
static void broadcast_own(struct session *from, const struct stanza *p)
{
    LIST_EACH(it, &from->account->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        if (session_available(s))
            session_send(s, p);
    }
}

/* A resource that comes online learns of the others (RFC 6121 §4.3.2: probe of the own account). */
static void introduce_others(struct session *to)
{
    LIST_EACH(it, &to->account->sessions) {
        struct session *s = LIST_ENTRY(it, struct session, link);
        struct stanza *p = s != to ? session_last_presence(s) : NULL;
        if (p) {
            session_send(to, p);
            stanza_end(&p);
        }
    }
}

static enum show parse_show(const struct stanza *p)
{
    struct xml_el *el = xml_child(p->el, TOK_show, TOK_NS_CLIENT);
    if (!el)
        return SHOW_AVAILABLE;
    struct str text = xml_text_of(p->arena, el);
    static const struct { const char *word; enum show show; } words[] = {
        {"chat", SHOW_CHAT}, {"away", SHOW_AWAY}, {"xa", SHOW_XA}, {"dnd", SHOW_DND}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(text, str_of(words[i].word)))
            return words[i].show;
    return SHOW_AVAILABLE;
}

/* RFC 6121 §4.7.2.3: -128..127; what does not fit is held to the nearest bound. */
static int8_t parse_priority(const struct stanza *p)
{
    struct xml_el *el = xml_child(p->el, TOK_priority, TOK_NS_CLIENT);
    int64_t v = 0;
    if (el && !str_to_i64(str_trim(xml_text_of(p->arena, el)), &v))
        v = 0;
    return (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}

static void go_unavailable(struct session *s, const struct stanza *p, bool was)
{
    if (was) {
        broadcast_own(s, p);
        drop_presence(s);
        presence_to_contacts(s, p);
    }
    presence_end_directed(s, p, was);
}

void session_restore_presence(struct session *s, const struct stanza *p)
{
    set_show(s, parse_show(p));
    s->priority = parse_priority(p);
    s->had_presence = true;
    keep_presence(s, p);
}

void session_presence(struct session *s, struct stanza *p)
{
    bool was = session_available(s), now = p->type == ST_AVAILABLE;
    struct presence_event ev = {.session = s, .presence = p, .was_available = was, .available = now};
    if (s->mgmt)
        mgmt_row_changed(s->mgmt);
    if (now) {
        session_restore_presence(s, p);
        if (!was)
            introduce_others(s);
        broadcast_own(s, p);
        presence_to_contacts(s, p);
        if (!was && session_available(s))
            presence_probe_contacts(s);
    } else {
        go_unavailable(s, p, was);
    }
    hook_run_session_presence(s->account->host, &ev);
}

/* The server speaks for a session that went away without saying so (RFC 6121 §4.5.2). */
static void announce_gone(struct session *s, const char *reason)
{
    struct stanza *p = stanza_new(STANZA_PRESENCE, ST_UNAVAILABLE, session_jid(s), jid_to_bare(session_jid(s)));
    if (reason)
        xml_add_leaf(p->arena, p->el, TOK_status, str_of(reason));
    bool was = s->show != SHOW_UNAVAILABLE;
    struct presence_event ev = {.session = s, .presence = p, .was_available = true, .available = false};
    go_unavailable(s, p, was);
    if (was)
        hook_run_session_presence(s->account->host, &ev);
    stanza_end(&p);
}

static void leave_tables(struct session *s)
{
    struct account *a = s->account;
    count_session(a->host, s->show, -1);
    list_del(&s->link);
    order_del(&table.all, &s->all);
    forget_presence(s);
    presence_directed_free(s);
    free_later(s);
    forget_unused(a);
}

void session_close(struct session **sp, const char *reason)
{
    struct session *s = *sp;
    *sp = NULL;
    if (!s || s->closing)
        return;
    s->closing = true;
    hook_run_session_closed(s->account->host, &(struct session_event){.session = s, .reason = reason});
    s->owner = NULL;
    if (s->show != SHOW_UNAVAILABLE || s->directed)
        announce_gone(s, reason);
    struct mgmt *m = s->mgmt;
    struct account *a = s->account;
    unsigned host = a->host;
    a->pins++;
    leave_tables(s);
    if (m)
        mgmt_end(&m, host);
    stranger_settle(a);
}

void session_send(struct session *s, const struct stanza *st)
{
    if (s->closing || mgmt_again(s, st))
        return;
    if (s->owner)
        c2s_send(s->owner, st);
    else if (s->mgmt)
        mgmt_send_detached(s, st);
}

void session_write(const struct session *s, const struct stanza *st, struct buf *out)
{
    /* Presence is for the resource it is given to (RFC 6121 §4.2.2); a message keeps the address it was sent to. */
    bool own = !jid_present(st->to) || (st->kind == STANZA_PRESENCE && jid_is_bare(st->to));
    xml_write_addressed(out, st->el, TOK_NS_CLIENT, jid_full(st->from), jid_full(own ? session_jid(s) : st->to));
}

static const char *const show_names[SHOW__COUNT] = {"unavailable", "available", "chat", "away", "xa", "dnd"};

const char *show_name(enum show s)
{
    return show_names[s];
}

bool show_of(struct str name, enum show *out)
{
    for (unsigned i = 0; i < SHOW__COUNT; i++)
        if (str_eq(name, str_of(show_names[i]))) {
            *out = (enum show)i;
            return true;
        }
    return false;
}

void account_config_changed(const struct config *c)
{
    if (table.hosts)
        memset(table.per_host, 0, table.hosts * sizeof *table.per_host);
    for (struct map_node *n = map_next(&table.accounts, NULL); n; n = map_next(&table.accounts, n)) {
        struct account *a = CONTAINER_OF(n, struct account, node);
        const struct vhost *h = config_host(c, jid_host(account_jid(a)));
        a->host = h ? h->index : HOST_NONE; /* its streams are being ended (core/c2s/c2s.c) */
        LIST_EACH(it, &a->sessions)
            count_session(a->host, LIST_ENTRY(it, struct session, link)->show, 1);
    }
}
