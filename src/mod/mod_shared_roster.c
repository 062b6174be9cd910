/*
 * Shared roster groups (no XEP; tables and rules as ejabberd's mod_shared_roster): contacts that an administrator's groups put
 * into rosters, with presence both ways and nothing to ask for. Shard 0 edits the tables, one edit at a time, and makes the
 * views (mod/api/srg_view.h); every shard holds the same one of each host and answers rosters and presence from it. What an edit
 * changes is told to connected accounts by a fiber of their shard, one edit after the other. Not here: groups of an LDAP
 * server; members of a group on another virtual host see nothing of it, as on ejabberd.
 */
#include "mod/api/shared_roster.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/account/roster.h"
#include "core/account/session_table.h"
#include "core/account/subscribe.h"
#include "core/auth/auth.h"
#include "core/module/module.h"
#include "mod/api/srg_view.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include <stdlib.h>

#define DEADLINE_MS 30000
#define SETTLE_MS 1000 /* registrations in a row make one view a second, not one each */

/* A host's view on one shard. */
struct place {
    struct map_node node;
    struct str host;
    struct srg_view *view; /* NULL: not asked for yet */
    uint64_t generation;
    bool announces;        /* tells every shard whose sessions begin and end here */
    bool follows;          /* keeps who is online: a group needs it */
    struct map online;     /* struct presence: accounts of the host with sessions on any shard */
};

struct presence {
    struct map_node node;
    struct str jid;
};

/* Who is online learns what is different between two views. */
struct change {
    struct list link;
    struct str host, who;     /* who absent: anybody */
    struct srg_view *was, *now;
    uint64_t from, to;
    const struct str *turned; /* those who came online, or went, in byte order */
    size_t n_turned;
    struct arena *arena;      /* owns it */
};

struct shard_state {
    struct map places;
    struct list changes;
    bool ready, telling;
};

static struct shard_state shards[SHARD_MAX];

static struct shard_state *here(void)
{
    struct shard_state *s = &shards[shard_self()];
    if (!s->ready) {
        map_init(&s->places);
        list_init(&s->changes);
        s->ready = true;
    }
    return s;
}

static bool place_eq(const struct map_node *node, const void *key)
{
    return str_eq(CONTAINER_OF(node, const struct place, node)->host, *(const struct str *)key);
}

static struct place *find_place(struct str host)
{
    struct map_node *n = map_find(&here()->places, hash_str(host), place_eq, &host);
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
    map_add(&here()->places, &p->node, hash_str(p->host));
    return p;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct srg_view *hold_view(struct srg_view *v)
{
    arena_hold(v->arena);
    return v;
}

static void drop_view(void *arg)
{
    struct srg_view *v = arg;
    srg_view_release(&v);
}

/* --- views, on shard 0 --- */

struct book {
    struct map_node node;
    struct str host;
    struct srg_view *view;
    uint64_t generation;
    struct arena *names;  /* of `who` */
    struct str who;       /* whose account came or went since the view was made; absent: several */
    bool stale, settling;
};

struct turn {
    struct list link;
    struct fiber *fiber;
};

static struct map books;
static struct list queue = {&queue, &queue};
static bool editing, started;

static void lock(void) YIELDS;
static void lock(void)
{
    struct turn t = {.fiber = fiber_self()};
    if (!editing) {
        editing = true;
        return;
    }
    list_push(&queue, &t.link);
    fiber_suspend("shared roster"); /* whoever goes before hands it over */
}

static void unlock(void)
{
    if (list_empty(&queue)) {
        editing = false;
        return;
    }
    struct turn *t = LIST_ENTRY(queue.next, struct turn, link);
    list_del(&t->link);
    fiber_wake(t->fiber);
}

static bool book_eq(const struct map_node *node, const void *key)
{
    return str_eq(CONTAINER_OF(node, const struct book, node)->host, *(const struct str *)key);
}

static struct book *find_book(struct str host)
{
    if (!started)
        map_init(&books);
    started = true;
    struct map_node *n = map_find(&books, hash_str(host), book_eq, &host);
    return n ? CONTAINER_OF(n, struct book, node) : NULL;
}

static struct book *book_of(struct str host)
{
    struct book *b = find_book(host);
    if (b)
        return b;
    b = mem_zalloc(sizeof *b + host.n);
    memcpy(b + 1, host.p, host.n);
    b->host = str_n((char *)(b + 1), host.n);
    map_add(&books, &b->node, hash_str(b->host));
    return b;
}

static enum store_rc read_accounts(struct arena *a, struct str host, struct str **out, size_t *n_out) YIELDS;
static enum store_rc read_accounts(struct arena *a, struct str host, struct str **out, size_t *n_out)
{
    struct error err = ERROR_INIT;
    if (auth_list(a, host, STR_NULL, 0, out, n_out, &err) != 0)
        return err.code == ERR_NO_HOST ? STORE_OK : STORE_UNAVAILABLE;
    for (size_t i = 0; i < *n_out; i++)
        (*out)[i] = jid_bare(jid_join(a, (*out)[i], host, STR_NULL));
    return STORE_OK;
}

static enum store_rc make_view(struct str host, struct srg_view **out) YIELDS;
static enum store_rc make_view(struct str host, struct srg_view **out)
{
    struct arena *a = arena_new();
    struct srg_group *groups = NULL;
    struct srg_members *members = NULL;
    struct str *accounts = NULL;
    size_t n = 0, n_accounts = 0;
    enum store_rc rc = srg_list(a, host, &groups, &n);
    if (rc == STORE_OK)
        members = ARENA_ARRAY(a, struct srg_members, n + 1);
    for (size_t i = 0; rc == STORE_OK && i < n; i++)
        rc = srg_members(a, host, groups[i].name, &members[i].jids, &members[i].n);
    if (rc == STORE_OK && srg_needs_accounts(groups, n))
        rc = read_accounts(a, host, &accounts, &n_accounts);
    if (rc == STORE_OK)
        *out = srg_view_new(groups, members, n, accounts, n_accounts);
    arena_release(&a);
    return rc;
}

struct delivery {
    struct str host, who;
    struct srg_view *view;
    uint64_t generation;
};

static int deliver(void *arg, void *slot, struct error *err) YIELDS;

/* Under the lock: a new view for every shard. When it cannot be made the old one stays, and is tried again later. */
static int renew(struct book *b, struct str who, struct error *err) YIELDS;
static int renew(struct book *b, struct str who, struct error *err)
{
    struct srg_view *now;
    enum store_rc rc = make_view(b->host, &now);
    if (rc != STORE_OK) {
        b->stale = true;
        return store_error(rc, "shared roster groups", err);
    }
    struct arena *a = arena_new();
    struct delivery *d = ARENA_NEW(a, struct delivery);
    srg_view_release(&b->view);
    b->view = now;
    b->generation++;
    *d = (struct delivery){arena_str(a, b->host), who.n ? arena_str(a, who) : STR_NULL, now, b->generation};
    arena_on_release(a, drop_view, hold_view(now));
    int done = mail_gather(deliver, d, ARENA_ARRAY(a, void *, shard_count()), a, DEADLINE_MS, err);
    arena_release(&a);
    return done;
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

/* While a change is told: these count as what they were before. */
static _Thread_local const struct change *before;

static bool has_turned(const struct change *c, struct str jid)
{
    return bsearch(&jid, c->turned, c->n_turned, sizeof jid, by_text) != NULL;
}

static bool is_online(struct str jid)
{
    ptrdiff_t at = str_find(jid, '@');
    struct place *p = find_place(str_n(jid.p + at + 1, jid.n - (size_t)(at + 1)));
    bool there = p && p->follows && map_find(&p->online, hash_str(jid), presence_eq, &jid);
    return before && before->n_turned && has_turned(before, jid) ? !there : there;
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

static void queue_turnout(struct place *p, struct turnout *t);

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
        queue_turnout(p, t);
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

/* The first session of an account begins, or the last one ends. */
static enum hook_verdict on_session(struct account *a, bool there)
{
    struct str jid = jid_bare(account_jid(a)), host = jid_host(account_jid(a));
    struct place *p = find_place(host);
    if (!p || !p->announces || a->sessions.next->next != &a->sessions)
        return HOOK_PASS;
    for (unsigned i = 0; i < shard_count(); i++) {
        struct turnout *t = turnout_new(on_turnout, host);
        t->jids = ARENA_NEW(t->arena, struct str);
        t->jids[t->n++] = arena_str(t->arena, jid);
        t->there = there;
        mail_post(i, &t->m);
    }
    return HOOK_PASS;
}

static enum hook_verdict on_opened(struct session_event *e)
{
    return on_session(e->session->account, true);
}

static enum hook_verdict on_closed(struct session_event *e)
{
    return on_session(e->session->account, false);
}

/* --- asking for a view --- */

struct request {
    struct str host;
    struct srg_view *view; /* out: held */
    uint64_t generation;
};

static int fetch(void *arg, struct error *err) YIELDS;
static int fetch(void *arg, struct error *err)
{
    struct request *r = arg;
    int rc = 0;
    lock();
    struct book *b = book_of(r->host);
    if (!b->view)
        rc = renew(b, STR_NULL, err);
    if (rc == 0) {
        r->view = hold_view(b->view);
        r->generation = b->generation;
    }
    unlock();
    return rc;
}

/* The view of this shard; NULL when the store does not answer. Borrowed until the next suspension. */
static struct srg_view *view_of(struct str host) YIELDS;
static struct srg_view *view_of(struct str host)
{
    struct place *p = place_of(host);
    struct error err = ERROR_INIT;
    if (p->view)
        return p->view;
    struct arena *a = arena_new();
    struct request *r = ARENA_NEW(a, struct request);
    r->host = arena_str(a, host);
    if (mail_call(0, fetch, r, a, DEADLINE_MS, &err) == 0) {
        if (!p->view || p->generation < r->generation) {
            srg_view_release(&p->view);
            p->view = r->view;
            p->generation = r->generation;
            follow(p);
        } else {
            srg_view_release(&r->view);
        }
    } else {
        LOG_LIMITED(ERROR, "mod_shared_roster", NULL, "%s", err.text);
    }
    arena_release(&a);
    return p->view;
}

/* --- telling those who are online --- */

static struct jid jid_of(struct str bare)
{
    ptrdiff_t at = str_find(bare, '@');
    size_t user = at < 0 ? 0 : (size_t)at;
    return (struct jid){bare.p, (uint16_t)user, (uint16_t)(bare.n - (at < 0 ? 0 : user + 1)), 0};
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

static void tell_item(struct account *a, const struct change *c, struct str jid, const struct srg_item *was,
                      const struct srg_item *now) YIELDS;
static void tell_item(struct account *a, const struct change *c, struct str jid, const struct srg_item *was,
                      const struct srg_item *now)
{
    static const enum roster_subscription words[] = {ROSTER_NONE, ROSTER_FROM, ROSTER_TO, ROSTER_BOTH};
    if (same(was, now))
        return;
    if (was->to || now->to)
        account_roster_push_shared(a, jid_of(jid), was->labels, was->n_labels, c->from, srg_item_hash(now) - srg_item_hash(was));
    if (was->to != now->to || was->from != now->from)
        subscribe_shared_changed(a, jid_of(jid), words[was->to * 2 + was->from]);
}

static void tell_all(struct account *a, const struct change *c, struct srg_eye *was, struct srg_eye *now) YIELDS;
static void tell_all(struct account *a, const struct change *c, struct srg_eye *was, struct srg_eye *now)
{
    static const struct srg_item nothing;
    struct srg_item x, y;
    before = c;
    bool more_x = srg_eye_next(was, &x);
    before = NULL;
    bool more_y = srg_eye_next(now, &y);
    before = NULL;
    while (more_x || more_y) {
        int d = !more_y ? -1 : !more_x ? 1 : str_cmp(x.jid, y.jid);
        tell_item(a, c, d <= 0 ? x.jid : y.jid, d <= 0 ? &x : &nothing, d >= 0 ? &y : &nothing);
        before = c;
        if (d <= 0)
            more_x = srg_eye_next(was, &x);
        before = NULL;
        if (d >= 0)
            more_y = srg_eye_next(now, &y);
    }
}

static void tell_account(struct account *a, const struct change *c) YIELDS;
static void tell_account(struct account *a, const struct change *c)
{
    struct str self = jid_bare(account_jid(a));
    struct srg_item x = {.to = false}, y = {.to = false};
    struct srg_eye was, now;
    if (account_roster_lock(a) != STORE_OK)
        return;
    struct arena *scratch = arena_new();
    before = c;
    srg_eye_open(&was, c->was, scratch, self, is_online, is_online(self));
    if (c->who.n)
        srg_eye_look(&was, c->who, &x);
    before = NULL;
    srg_eye_open(&now, c->now, scratch, self, is_online, is_online(self));
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
    struct shard_state *s = here();
    while (!list_empty(&s->changes)) {
        struct change *c = LIST_ENTRY(s->changes.next, struct change, link);
        struct arena *a = c->arena;
        struct account **who;
        list_del(&c->link);
        size_t n = readers(a, c->host, &who);
        for (size_t i = 0; i < n; i++) {
            if (!rt_stopping())
                tell_account(who[i], c);
            account_unpin(who[i]);
        }
        srg_view_release(&c->was);
        srg_view_release(&c->now);
        arena_release(&a);
    }
    s->telling = false;
}

static void queue_tell(struct change *c)
{
    struct shard_state *s = here();
    list_push(&s->changes, &c->link);
    if (!s->telling) {
        s->telling = true;
        fiber_run(tell, NULL);
    }
}

static void queue_change(struct srg_view *was, const struct delivery *d, uint64_t from)
{
    struct arena *a = arena_new();
    struct change *c = ARENA_NEW(a, struct change);
    *c = (struct change){.host = arena_str(a, d->host), .who = d->who.n ? arena_str(a, d->who) : STR_NULL, .was = was,
                         .now = hold_view(d->view), .from = from, .to = d->generation, .arena = a};
    queue_tell(c);
}

static void queue_turnout(struct place *p, struct turnout *t)
{
    struct change *c = ARENA_NEW(t->arena, struct change);
    *c = (struct change){.host = t->host, .who = t->n == 1 ? t->jids[0] : STR_NULL, .was = hold_view(p->view),
                         .now = hold_view(p->view), .from = p->generation, .to = p->generation, .turned = t->jids,
                         .n_turned = t->n, .arena = t->arena};
    queue_tell(c);
}

static int deliver(void *arg, void *slot, struct error *err)
{
    const struct delivery *d = arg;
    struct place *p = find_place(d->host);
    if (!p || p->generation >= d->generation)
        return 0;
    struct srg_view *was = p->view;
    uint64_t from = p->generation;
    p->view = hold_view(d->view);
    p->generation = d->generation;
    follow(p);
    if (was)
        queue_change(was, d, from);
    return 0;
}

/* --- what was not told yet --- */

/* Groups of everybody follow at once, and after that once a second. */
static void settle(void *arg) YIELDS;
static void settle(void *arg)
{
    struct book *b = arg;
    while (b->stale && !rt_stopping()) {
        struct arena *names = b->names;
        struct str who = b->who;
        struct error err = ERROR_INIT;
        lock();
        b->stale = false;
        b->names = NULL;
        b->who = STR_NULL;
        if (renew(b, who, &err) != 0)
            LOG_LIMITED(ERROR, "mod_shared_roster", NULL, "%s", err.text);
        unlock();
        arena_release(&names);
        fiber_sleep(SETTLE_MS);
    }
    b->settling = false;
}

static void start_settling(struct book *b)
{
    if (b->settling)
        return;
    b->settling = true;
    fiber_run(settle, b);
}

/* --- edits --- */

struct edit {
    struct str host, who;
    enum store_rc (*change)(void *arg) YIELDS;
    void *arg;
    enum store_rc rc;
};

static int edit_on_main(void *arg, struct error *err) YIELDS;
static int edit_on_main(void *arg, struct error *err)
{
    struct edit *e = arg;
    int rc = 0;
    lock();
    e->rc = e->change(e->arg);
    struct book *b = find_book(e->host);
    if (e->rc == STORE_OK && b && b->view)
        rc = renew(b, e->who, err);
    else if (e->rc == STORE_UNAVAILABLE || e->rc == STORE_UNCERTAIN)
        rc = store_error(e->rc, "shared roster groups", err);
    unlock();
    if (b && b->stale)
        start_settling(b);
    return rc;
}

int shared_roster_edit(struct str host, struct str who, enum store_rc (*edit)(void *arg), void *arg, struct arena *arena,
                       enum store_rc *rc_out, struct error *err)
{
    struct edit *e = ARENA_NEW(arena, struct edit);
    *e = (struct edit){arena_str(arena, host), who.n ? arena_str(arena, who) : STR_NULL, edit, arg, STORE_UNCERTAIN};
    int rc = mail_call(0, edit_on_main, e, arena, DEADLINE_MS, err);
    *rc_out = rc == 0 ? e->rc : STORE_UNCERTAIN;
    return rc;
}

/* --- accounts that come and go --- */

struct known {
    struct msg m;
    struct arena *arena;
    struct str host, who;
};

static void note_account(struct str host, struct str who)
{
    struct book *b = find_book(host);
    if (!b || !b->view || !b->view->everybody)
        return;
    if (b->stale) {
        b->who = STR_NULL; /* more than one */
    } else {
        b->names = arena_new();
        b->who = arena_str(b->names, who);
    }
    b->stale = true;
    start_settling(b);
}

static void on_known_message(struct msg *m)
{
    struct known *k = CONTAINER_OF(m, struct known, m);
    struct arena *a = k->arena;
    note_account(k->host, k->who);
    arena_release(&a);
}

struct forgotten {
    struct str host, who;
};

/* Its rows went with the rest of the account; whoever sees it is to know. */
static enum store_rc forget(void *arg) YIELDS;
static enum store_rc forget(void *arg)
{
    const struct forgotten *f = arg;
    const struct book *b = find_book(f->host);
    return b && b->view && srg_view_has_member(b->view, f->who) ? STORE_OK : STORE_NONE;
}

static void end_memberships(struct jid account) YIELDS;
static void end_memberships(struct jid account)
{
    struct arena *a = arena_new();
    struct forgotten *f = ARENA_NEW(a, struct forgotten);
    struct error err = ERROR_INIT;
    enum store_rc rc;
    *f = (struct forgotten){arena_str(a, jid_host(account)), arena_str(a, jid_bare(account))};
    if (shared_roster_edit(f->host, f->who, forget, f, a, &rc, &err) != 0)
        LOG_LIMITED(ERROR, "mod_shared_roster", NULL, "memberships of %.*s: %s", STR_ARG(f->who), err.text);
    arena_release(&a);
}

static enum hook_verdict on_known(struct known_event *e) YIELDS;
static enum hook_verdict on_known(struct known_event *e)
{
    if (e->stranger)
        return HOOK_PASS;
    struct arena *a = arena_new();
    struct known *k = ARENA_NEW(a, struct known);
    *k = (struct known){{.fn = on_known_message}, a, arena_str(a, jid_host(e->account)), arena_str(a, jid_bare(e->account))};
    if (!e->there)
        end_memberships(e->account);
    mail_post(0, &k->m);
    return HOOK_PASS;
}

/* --- rosters --- */

struct merge {
    struct arena *arena;
    struct roster_item *items;
    size_t n, cap;
};

static struct roster_item *next_item(struct merge *m)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 64;
        struct roster_item *more = ARENA_ARRAY(m->arena, struct roster_item, cap);
        if (m->n)
            memcpy(more, m->items, m->n * sizeof *more);
        m->items = more;
        m->cap = cap;
    }
    return &m->items[m->n++];
}

static void add_item(struct merge *m, const struct roster_item *own, const struct srg_item *shared)
{
    struct roster_item *to = next_item(m);
    *to = own ? *own : (struct roster_item){.jid = shared->jid, .subscription = ROSTER_NONE, .ask = ROSTER_ASK_NONE};
    if (shared)
        roster_item_share(m->arena, to, &(struct contact_look){
            .to = shared->to, .from = shared->from, .labels = shared->labels, .n_labels = shared->n_labels});
}

static bool next_seen(struct srg_eye *e, struct srg_item *out, uint64_t *version)
{
    bool more = srg_eye_next(e, out);
    while (more && !out->to)
        more = srg_eye_next(e, out);
    if (more)
        *version += srg_item_hash(out);
    return more;
}

static void merge_roster(struct roster_event *e, struct srg_eye *eye)
{
    struct merge m = {.arena = e->arena};
    struct srg_item x;
    size_t i = 0, n = e->roster->n;
    bool more = next_seen(eye, &x, &e->version);
    if (!more)
        return;
    while (i < n || more) {
        int d = !more ? -1 : i == n ? 1 : str_cmp(e->roster->items[i].jid, x.jid);
        add_item(&m, d <= 0 ? &e->roster->items[i] : NULL, d >= 0 ? &x : NULL);
        if (d <= 0)
            i++;
        if (d >= 0)
            more = next_seen(eye, &x, &e->version);
    }
    e->roster->items = m.items;
    e->roster->n = m.n;
}

static enum hook_verdict on_roster(struct roster_event *e) YIELDS;
static enum hook_verdict on_roster(struct roster_event *e)
{
    struct jid j = account_jid(e->account);
    struct srg_view *v = view_of(jid_host(j));
    struct srg_eye eye;
    if (!v)
        return HOOK_REJECT;
    arena_on_release(e->arena, drop_view, hold_view(v)); /* addresses and labels are the view's */
    srg_eye_open(&eye, v, e->arena, jid_bare(j), is_online, is_online(jid_bare(j)));
    e->generation = find_place(jid_host(j))->generation;
    merge_roster(e, &eye);
    return HOOK_PASS;
}

static struct srg_view *view_now(const struct account *a)
{
    struct place *p = find_place(jid_host(account_jid(a)));
    return p && p->view && p->view->n_groups ? p->view : NULL;
}

static enum hook_verdict on_look(struct contact_look *c)
{
    struct srg_view *v = view_now(c->account);
    struct srg_eye eye;
    struct srg_item x;
    if (!v)
        return HOOK_PASS;
    struct arena *scratch = arena_new();
    struct str self = jid_bare(account_jid(c->account));
    srg_eye_open(&eye, v, scratch, self, is_online, is_online(self));
    if (srg_eye_look(&eye, jid_bare(c->who), &x)) {
        c->to = x.to;
        c->from = x.from;
        c->labels = c->arena ? ARENA_ARRAY(c->arena, struct str, x.n_labels + 1) : NULL;
        for (size_t i = 0; c->arena && i < x.n_labels; i++)
            c->labels[c->n_labels++] = arena_str(c->arena, x.labels[i]);
    }
    arena_release(&scratch);
    return HOOK_PASS;
}

static enum hook_verdict on_walk(struct contact_walk *w)
{
    struct srg_view *v = view_now(w->account);
    struct srg_eye eye;
    struct srg_item x;
    if (!v)
        return HOOK_PASS;
    struct arena *scratch = arena_new();
    struct str self = jid_bare(account_jid(w->account));
    srg_eye_open(&eye, v, scratch, self, is_online, is_online(self));
    while (srg_eye_next(&eye, &x))
        w->each(w->arg, jid_of(x.jid), x.to, x.from);
    arena_release(&scratch);
    return HOOK_PASS;
}

static const struct hook_entry hooks[] = {
    ON(roster_load, ADD, on_roster), ON(contact_look, ADD, on_look), ON(contact_walk, ADD, on_walk),
    ON(account_known, STATE, on_known), ON(session_opened, STATE, on_opened), ON(session_closed, STATE, on_closed), {0}};

MODULE(mod_shared_roster) = {.name = "mod_shared_roster", .hooks = hooks};
