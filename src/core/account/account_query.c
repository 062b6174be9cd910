/*
 * Questions about online accounts from any shard: lists, counts, kicks, injected stanzas. Each goes to the home shard of the
 * account, or to all shards and back; everything here may suspend. Answers are copies.
 */
#include "base/clock.h"
#include "core/account/session_table.h"
#include "core/c2s/c2s.h"
#include "core/c2s/mgmt.h"
#include "core/config/config.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

#include <stdlib.h>

#define DEADLINE_MS 10000

/* --- snapshots --- */

struct listing {
    struct arena *own; /* of the shard that fills it */
    struct session_info *items;
    size_t n;
};

static void snapshot(struct arena *a, const struct session *s, struct session_info *out)
{
    uint64_t now = clock_mono_ms();
    *out = (struct session_info){.jid = jid_copy(a, session_jid(s)), .connection = "c2s", .priority = s->priority,
                                 .uptime_s = (now - s->bound_ms) / 1000, .show = show_name(s->show)};
    struct stanza *p = session_last_presence(s);
    struct xml_el *status = p ? xml_child(p->el, TOK_status, TOK_NS_CLIENT) : NULL;
    if (status)
        out->status_text = arena_str(a, xml_text_of(p->arena, status));
    if (p)
        stanza_end(&p);
    if (s->owner) {
        c2s_info(s->owner, &out->connection, &out->ip, &out->port);
    } else if (s->mgmt && s->mgmt->peer) { /* it waits for its client */
        out->connection = s->mgmt->peer->connection;
        out->ip = s->mgmt->peer->ip;
        out->port = s->mgmt->peer->port;
    }
}

static void list_one(struct listing *l, const struct session *s)
{
    ARENA_MORE(l->own, l->items, l->n);
    snapshot(l->own, s, &l->items[l->n++]);
}

static void listing_free(void *arg)
{
    arena_release(&((struct listing *)arg)->own);
}

/* --- all of them, piece by piece --- */

#define PIECE 128    /* sessions that a shard tells at once */
#define LOOK_AT 4096 /* at most so many are looked at for that */

/* What one shard is asked and tells; in an arena of its own, which outlives even a shard that answers too late. */
struct piece {
    struct arena *arena;
    struct str host, show, after; /* out: after: how far it has come */
    bool by_parts; /* in order of names, then hosts, then resources; `after` is a name, and a piece has whole names */
    struct listing listing;
    size_t looked_at;
    bool more;
};

static bool is_wanted(const struct piece *p, const struct session *s)
{
    return (!p->host.n || str_eq(jid_host(session_jid(s)), p->host)) && (!p->show.n || str_eq(str_of(show_name(s->show)), p->show));
}

static bool take_session(struct order_node *n, void *arg)
{
    struct piece *p = arg;
    const struct session *s = CONTAINER_OF(n, const struct session, all);
    if (is_wanted(p, s))
        list_one(&p->listing, s);
    p->more = ++p->looked_at == LOOK_AT || p->listing.n == PIECE;
    if (p->more)
        p->after = arena_str(p->listing.own, jid_full(session_jid(s)));
    return !p->more;
}

struct named {
    struct piece *piece;
    struct str name;
};

static bool take_named(struct order_node *node, void *arg)
{
    const struct named *n = arg;
    const struct session *s = CONTAINER_OF(node, const struct session, all);
    if (!str_eq(jid_user(session_jid(s)), n->name))
        return false;
    n->piece->looked_at++;
    if (is_wanted(n->piece, s))
        list_one(&n->piece->listing, s);
    return true;
}

static int compare_parts(struct jid a, struct jid b)
{
    int d = str_cmp(jid_user(a), jid_user(b));
    d = d ? d : str_cmp(jid_host(a), jid_host(b));
    return d ? d : str_cmp(jid_res(a), jid_res(b));
}

static int by_parts(const void *a, const void *b)
{
    return compare_parts(((const struct session_info *)a)->jid, ((const struct session_info *)b)->jid);
}

static void list_by_parts(struct piece *p)
{
    const struct order *all = &session_table_self()->all;
    struct str name = p->after;
    while (!p->more && (name = order_next_name(all, name, '@')).p) {
        size_t before = p->listing.n;
        order_walk(all, str_n(name.p, name.n + 1), take_named, &(struct named){p, name});
        if (p->listing.n > before + 1)
            qsort(p->listing.items + before, p->listing.n - before, sizeof *p->listing.items, by_parts);
        p->more = p->looked_at >= LOOK_AT || p->listing.n >= PIECE;
        if (p->more)
            p->after = arena_str(p->listing.own, name);
    }
}

static int list_piece(void *arg, struct error *err)
{
    struct piece *p = arg;
    (void)err;
    p->listing.own = arena_new();
    if (p->by_parts) {
        list_by_parts(p);
        return 0;
    }
    order_walk(&session_table_self()->all, p->after, take_session, p);
    return 0;
}

/* What is wanted of all. */
struct wanted {
    struct str host, show, after;
    bool by_parts;
    session_fn fn;
    void *arg;
};

/* One shard's part of the list. */
struct source {
    struct piece *piece; /* NULL: none yet */
    size_t at;
    bool ended;
};

static void source_drop(struct source *s)
{
    if (s->piece)
        arena_drop(s->piece->arena);
    s->piece = NULL;
}

/* The next that is not empty. The place to go on from is the old piece's, which goes only then. */
static int source_fill(struct source *s, unsigned shard, const struct wanted *w, struct error *err) YIELDS;
static int source_fill(struct source *s, unsigned shard, const struct wanted *w, struct error *err)
{
    while (!s->ended && (!s->piece || s->at == s->piece->listing.n)) {
        struct arena *g = arena_new();
        struct piece *p = ARENA_NEW(g, struct piece);
        *p = (struct piece){.arena = g, .host = arena_str(g, w->host), .show = arena_str(g, w->show), .by_parts = w->by_parts};
        if (s->piece || w->after.p)
            p->after = arena_str(g, s->piece ? s->piece->after : w->after);
        arena_on_release(g, listing_free, &p->listing);
        source_drop(s);
        s->piece = p;
        s->at = 0;
        if (mail_call(shard, list_piece, p, g, DEADLINE_MS, err) != 0)
            return -1;
        s->ended = !p->more;
        fiber_sleep(0); /* on the own shard nothing has waited */
    }
    return 0;
}

static struct jid next_of(const struct source *s)
{
    return s->piece->listing.items[s->at].jid;
}

static int compare(struct jid a, struct jid b, bool parts)
{
    return parts ? compare_parts(a, b) : str_cmp(jid_full(a), jid_full(b));
}

/* Of the sources the one whose next session is first; NULL: that was all. */
static struct source *source_first(struct source *sources, unsigned n, bool parts)
{
    struct source *best = NULL;
    for (unsigned i = 0; i < n; i++) {
        struct source *s = &sources[i];
        if (!s->piece || s->at == s->piece->listing.n)
            continue;
        if (!best || compare(next_of(s), next_of(best), parts) < 0)
            best = s;
    }
    return best;
}

static int each_in_order(struct source *sources, const struct wanted *w, struct error *err) YIELDS;
static int each_in_order(struct source *sources, const struct wanted *w, struct error *err)
{
    struct source *s;
    for (unsigned i = 0; i < shard_count(); i++)
        if (source_fill(&sources[i], i, w, err) != 0)
            return -1;
    while ((s = source_first(sources, shard_count(), w->by_parts))) {
        if (!w->fn(&s->piece->listing.items[s->at++], w->arg))
            return 0;
        if (source_fill(s, (unsigned)(s - sources), w, err) != 0)
            return -1;
    }
    return 0;
}

static int each(const struct wanted *given, struct error *err) YIELDS;
static int each(const struct wanted *given, struct error *err)
{
    struct arena *a = arena_new();
    struct wanted w = *given;
    struct source *sources = ARENA_ARRAY(a, struct source, shard_count());
    w.host = arena_str(a, w.host);
    w.show = arena_str(a, w.show);
    w.after = w.after.p ? arena_str(a, w.after) : STR_NULL;
    int rc = each_in_order(sources, &w, err);
    for (unsigned i = 0; i < shard_count(); i++)
        source_drop(&sources[i]);
    arena_release(&a);
    return rc;
}

int account_sessions_each(struct str host, struct str show, struct str after, session_fn fn, void *arg, struct error *err)
{
    return each(&(struct wanted){.host = host, .show = show, .after = after, .fn = fn, .arg = arg}, err);
}

int account_sessions_each_by_parts(struct str host, struct str show, session_fn fn, void *arg, struct error *err)
{
    return each(&(struct wanted){.host = host, .show = show, .by_parts = true, .fn = fn, .arg = arg}, err);
}

struct collection {
    struct arena *arena;
    struct session_info *items;
    size_t n;
};

static bool collect(const struct session_info *s, void *arg)
{
    struct collection *l = arg;
    ARENA_MORE(l->arena, l->items, l->n);
    struct session_info *to = &l->items[l->n++];
    *to = *s;
    to->jid = jid_copy(l->arena, s->jid);
    to->status_text = arena_str(l->arena, s->status_text);
    return true;
}

int account_sessions(struct arena *a, struct str host, struct session_info **out, size_t *n_out, struct error *err)
{
    struct collection l = {.arena = a};
    if (account_sessions_each(host, STR_NULL, STR_NULL, collect, &l, err) != 0)
        return -1;
    *out = l.items;
    *n_out = l.n;
    return 0;
}

/* --- counting --- */

struct counting {
    struct str host;
    unsigned show, end; /* from and up to, not included */
};

static int count_host(void *arg, void *slot, struct error *err)
{
    const struct counting *c = arg;
    const struct session_table *t = session_table_self();
    const struct vhost *h = c->host.n ? config_host(config_current(), c->host) : NULL;
    uint64_t *n = slot;
    (void)err;
    for (size_t i = 0; i < t->hosts; i++)
        for (unsigned s = c->show; s < c->end && (!c->host.n || (h && h->index == i)); s++)
            *n += t->per_host[i][s];
    return 0;
}

static int count_all(struct str host, unsigned show, unsigned end, uint64_t *out, struct error *err) YIELDS;
static int count_all(struct str host, unsigned show, unsigned end, uint64_t *out, struct error *err)
{
    struct arena *g = arena_new();
    void **slots = ARENA_ARRAY(g, void *, shard_count());
    for (unsigned i = 0; i < shard_count(); i++)
        slots[i] = ARENA_NEW(g, uint64_t);
    struct counting *arg = ARENA_NEW(g, struct counting);
    *arg = (struct counting){arena_str(g, host), show, end};
    int rc = mail_gather(count_host, arg, slots, g, DEADLINE_MS, err);
    *out = 0;
    for (unsigned i = 0; rc == 0 && i < shard_count(); i++)
        *out += *(uint64_t *)slots[i];
    arena_release(&g);
    return rc;
}

int account_count_sessions(struct str host, uint64_t *out, struct error *err)
{
    return count_all(host, 0, SHOW__COUNT, out, err);
}

int account_count_showing(struct str host, struct str word, uint64_t *out, struct error *err)
{
    enum show show;
    *out = 0;
    return show_of(word, &show) ? count_all(host, show, show + 1u, out, err) : 0;
}

/* --- one account --- */

struct account_call {
    struct arena *arena;
    struct str user, host, resource, reason;
    enum kick_kind kind;
    struct listing listing;
    unsigned kicked;
    struct stanza *stanza;
};

static struct account_call *call_new(struct str user, struct str host)
{
    struct arena *g = arena_new();
    struct account_call *c = ARENA_NEW(g, struct account_call);
    c->arena = g;
    c->user = arena_str(g, user);
    c->host = arena_str(g, host);
    arena_on_release(g, listing_free, &c->listing);
    return c;
}

static int call_home(struct account_call *c, call_fn fn, struct error *err) YIELDS;
static int call_home(struct account_call *c, call_fn fn, struct error *err)
{
    return mail_call(shard_of(jid_home_hash_parts(c->user, c->host)), fn, c, c->arena, DEADLINE_MS, err);
}

static int list_account(void *arg, struct error *err)
{
    struct account_call *c = arg;
    struct account *a = account_find(c->user, c->host);
    (void)err;
    c->listing.own = arena_new();
    if (a)
        LIST_EACH(it, &a->sessions)
            list_one(&c->listing, LIST_ENTRY(it, struct session, link));
    return 0;
}

int account_user_sessions(struct arena *a, struct str user, struct str host, struct session_info **out, size_t *n_out,
                          struct error *err)
{
    struct account_call *c = call_new(user, host);
    arena_on_release(a, arena_drop, c->arena);
    if (call_home(c, list_account, err) != 0)
        return -1;
    *out = c->listing.items;
    *n_out = c->listing.n;
    return 0;
}

static int count_account(void *arg, struct error *err)
{
    struct account_call *c = arg;
    struct account *a = account_find(c->user, c->host);
    (void)err;
    if (a)
        LIST_EACH(it, &a->sessions)
            c->listing.n++;
    return 0;
}

int account_count_user_sessions(struct str user, struct str host, uint64_t *out, struct error *err)
{
    struct account_call *c = call_new(user, host);
    struct arena *g = c->arena;
    int rc = call_home(c, count_account, err);
    *out = rc == 0 ? c->listing.n : 0;
    arena_release(&g);
    return rc;
}

static void end_session(struct session *s, enum kick_kind kind, struct str reason)
{
    static const char *const conditions[] = {
        [KICK_ADMIN] = "policy-violation", [KICK_SESSION] = "conflict", [KICK_REMOVED] = "conflict",
        [KICK_STOP] = "system-shutdown"};
    struct str text = kind == KICK_ADMIN ? S("has been kicked") : kind == KICK_REMOVED ? S("User removed") : reason;
    if (s->owner)
        c2s_end(s->owner, conditions[kind], text);
    else
        session_close(&s, "kicked");
}

/* An account that is only being told something has no session. */
static struct session *first_session(struct account *a)
{
    return list_empty(&a->sessions) ? NULL : LIST_ENTRY(a->sessions.next, struct session, link);
}

static int kick_account(void *arg, struct error *err)
{
    struct account_call *c = arg;
    struct account *a = account_find(c->user, c->host);
    (void)err;
    while (a) {
        struct session *victim = c->resource.n ? session_find(a, c->resource) : first_session(a);
        if (!victim || victim->closing)
            break;
        end_session(victim, c->kind, c->reason);
        c->kicked++;
        a = account_find(c->user, c->host); /* the last session takes the account along */
    }
    return 0;
}

int account_kick(struct str user, struct str host, struct str resource, enum kick_kind kind, struct str reason,
                 unsigned *kicked_out, struct error *err)
{
    struct account_call *c = call_new(user, host);
    c->resource = arena_str(c->arena, resource);
    c->reason = arena_str(c->arena, reason);
    c->kind = kind;
    struct arena *g = c->arena;
    int rc = call_home(c, kick_account, err);
    if (rc == 0)
        *kicked_out = c->kicked;
    arena_release(&g);
    return rc;
}

static void drop_stanza(void *arg)
{
    stanza_end(arg);
}

static int inject(void *arg, struct error *err) YIELDS;
static int inject(void *arg, struct error *err)
{
    struct account_call *c = arg;
    struct account *a = account_find(c->user, c->host);
    struct session *s = a ? session_find(a, c->resource) : NULL;
    if (s && !s->closing)
        return c2s_inject(s, &c->stanza, err);
    stanza_end(&c->stanza);
    return err_set(err, ERR_NOT_FOUND, "no such session");
}

int account_inject(struct str user, struct str host, struct str resource, struct stanza **s, struct error *err)
{
    struct account_call *c = call_new(user, host);
    c->resource = arena_str(c->arena, resource);
    c->stanza = *s;
    *s = NULL;
    arena_on_release(c->arena, drop_stanza, &c->stanza); /* should the call get lost */
    struct arena *g = c->arena;
    int rc = call_home(c, inject, err);
    arena_release(&g);
    return rc;
}
