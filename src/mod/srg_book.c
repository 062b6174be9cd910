/*
 * Shared roster groups, shard 0: edits of the tables, one at a time, and the view made from them of each host, which goes to all
 * shards before an edit is answered (mod/srg_place.c). Accounts that come and go make a view stale, and one is made a second at
 * most. A view that cannot be made leaves the old one and is tried again. What is called here from other shards waits for shard 0.
 */
#include "mod/api/shared_roster.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/auth/auth.h"
#include "mod/api/srg_parts.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"

#define SETTLE_MS 1000 /* registrations in a row make one view a second, not one each */

struct book {
    struct map_node node;
    struct str host;
    struct srg_view *view;
    uint64_t generation;
    bool stale;           /* the view may lack what came or went since it was made */
    bool settling;
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

/*
 * Under the lock: a new view for every shard. When it cannot be made the old one stays, and is tried again later. Who is to be told
 * is found by comparing the views, because a new one also has what others changed since the last.
 */
static int renew(struct book *b, struct error *err) YIELDS;
static int renew(struct book *b, struct error *err)
{
    struct srg_view *now;
    struct str who = STR_NULL;
    b->stale = false;
    enum store_rc rc = make_view(b->host, &now);
    if (rc != STORE_OK) {
        b->stale = true;
        return store_error(rc, "shared roster groups", err);
    }
    enum srg_difference differs = b->view ? srg_view_difference(b->view, now, &who) : SRG_ANY;
    if (differs == SRG_ALIKE) {
        srg_view_release(&now);
        return 0;
    }
    struct arena *a = arena_new();
    struct srg_delivery *d = ARENA_NEW(a, struct srg_delivery);
    *d = (struct srg_delivery){arena_str(a, b->host), differs == SRG_ONE ? arena_str(a, who) : STR_NULL, now, ++b->generation};
    srg_view_release(&b->view);
    b->view = now;
    arena_on_release(a, arena_drop, arena_hold(now->arena));
    int done = mail_gather(srg_place_deliver, d, ARENA_ARRAY(a, void *, shard_count()), a, SRG_DEADLINE_MS, err);
    arena_release(&a);
    return done;
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
        rc = renew(b, err);
    if (rc == 0) {
        r->view = srg_view_hold(b->view);
        r->generation = b->generation;
    }
    unlock();
    return rc;
}

/* Of an answer that came too late for whoever asked. */
static void drop_request(void *arg)
{
    struct request *r = arg;
    srg_view_release(&r->view);
}

int srg_book_view(struct str host, struct srg_view **out, uint64_t *generation_out, struct error *err)
{
    struct arena *a = arena_new();
    struct request *r = ARENA_NEW(a, struct request);
    r->host = arena_str(a, host);
    arena_on_release(a, drop_request, r);
    int rc = mail_call(0, fetch, r, a, SRG_DEADLINE_MS, err);
    if (rc == 0) {
        *out = srg_view_hold(r->view);
        *generation_out = r->generation;
    }
    arena_release(&a);
    return rc;
}

/* --- what was not told yet --- */

/* Groups of everybody follow at once, and after that once a second. */
static void settle(void *arg) YIELDS;
static void settle(void *arg)
{
    struct book *b = arg;
    while (b->stale && !rt_stopping()) {
        struct error err = ERROR_INIT;
        lock();
        if (b->stale && renew(b, &err) != 0)
            LOG_LIMITED(ERROR, "mod_shared_roster", NULL, "%s", err.text);
        unlock();
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
    struct str host;
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
        rc = renew(b, err);
    else if (e->rc == STORE_UNAVAILABLE || e->rc == STORE_UNCERTAIN)
        rc = store_error(e->rc, "shared roster groups", err);
    unlock();
    if (b && b->stale)
        start_settling(b);
    return rc;
}

int shared_roster_edit(struct str host, enum store_rc (*edit)(void *arg), void *arg, struct arena *arena, enum store_rc *rc_out,
                       struct error *err)
{
    struct edit *e = ARENA_NEW(arena, struct edit);
    *e = (struct edit){arena_str(arena, host), edit, arg, STORE_UNCERTAIN};
    int rc = mail_call(0, edit_on_main, e, arena, SRG_DEADLINE_MS, err);
    *rc_out = rc == 0 ? e->rc : STORE_UNCERTAIN;
    return rc;
}

/* --- accounts that come and go --- */

struct known {
    struct msg m;
    struct arena *arena;
    struct str host;
};

static void on_known_message(struct msg *m)
{
    struct known *k = CONTAINER_OF(m, struct known, m);
    struct arena *a = k->arena;
    struct book *b = find_book(k->host);
    if (b && b->view && b->view->everybody) {
        b->stale = true;
        start_settling(b);
    }
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
    if (shared_roster_edit(f->host, forget, f, a, &rc, &err) != 0)
        LOG_LIMITED(ERROR, "mod_shared_roster", NULL, "memberships of %.*s: %s", STR_ARG(f->who), err.text);
    arena_release(&a);
}

void srg_book_account(struct jid account, bool there)
{
    struct arena *a = arena_new();
    struct known *k = ARENA_NEW(a, struct known);
    *k = (struct known){{.fn = on_known_message}, a, arena_str(a, jid_host(account))};
    if (!there)
        end_memberships(account);
    mail_post(0, &k->m);
}
