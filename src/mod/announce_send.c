/*
 * Announcements to many. Accounts are walked in pages and sessions in batches; every account gets its copy on its own fiber, and
 * at most AT_ONCE of a shard are at work at once, so that neither a loop nor memory is filled by an announcement to a
 * million accounts. Suspends throughout.
 */
#include "base/mem.h"
#include "core/account/session_table.h"
#include "core/auth/auth.h"
#include "mod/api/announce.h"
#include "rt/fiber.h"
#include "rt/mailbox.h"
#include "rt/shard.h"
#include "xml/stream.h"

#include <stdlib.h>

#define PAGE 1024
#define PAGE_MS 300000 /* a page is written to offline storage at the worst */

struct stanza *announce_message(struct str text, struct str host, struct jid to)
{
    const char *why;
    struct arena *a = arena_new();
    struct xml_el *el = xml_parse(a, text, TOK_NS_CLIENT, &why);
    struct stanza *s = el ? stanza_of(a, el) : NULL;
    if (!s || s->kind != STANZA_MESSAGE || s->type == ST_ERROR) {
        arena_release(&a);
        return NULL;
    }
    s->from = jid_join(a, STR_NULL, host, STR_NULL);
    s->to = jid_copy(a, to);
    stanza_stamp(s);
    return s;
}

/* --- so many at once --- */

#define AT_ONCE 64

struct turns {
    struct fiber *waiting;
    unsigned under_way, woken_below;
};

struct turn {
    struct turns *turns;
    void (*work)(struct account *a, void *arg) YIELDS;
    void *arg;
};

static void wait_below(struct turns *t, unsigned n) YIELDS;
static void wait_below(struct turns *t, unsigned n)
{
    while (t->under_way >= n) {
        t->waiting = fiber_self();
        t->woken_below = n;
        fiber_suspend("announce");
    }
}

static void run_turn(struct account *a, void *arg) YIELDS;
static void run_turn(struct account *a, void *arg)
{
    struct turn turn = *(struct turn *)arg;
    free(arg);
    turn.work(a, turn.arg);
    struct turns *t = turn.turns;
    t->under_way--;
    if (t->waiting && t->under_way < t->woken_below) {
        struct fiber *f = t->waiting;
        t->waiting = NULL;
        fiber_wake(f);
    }
}

static void in_turn(struct turns *t, struct account *a, void (*fn)(struct account *a, void *arg) YIELDS, void *arg) YIELDS;
static void in_turn(struct turns *t, struct account *a, void (*fn)(struct account *a, void *arg) YIELDS, void *arg)
{
    struct turn *turn = MEM_NEW(struct turn);
    *turn = (struct turn){t, fn, arg};
    account_pin_again(a);
    wait_below(t, AT_ONCE);
    t->under_way++;
    account_in_turn(a, run_turn, turn);
    account_unpin(a);
}

static void wait_all(struct turns *t) YIELDS;
static void wait_all(struct turns *t)
{
    wait_below(t, 1);
}

/* --- accounts --- */

struct page {
    struct str host, text;
    struct str *users;
    size_t n;
};

/* The account has dealt with what came before when its turn comes: the message was handled. */
static void nothing(struct account *a, void *arg)
{
}

static void give_account(struct turns *t, const struct page *p, struct jid to) YIELDS;
static void give_account(struct turns *t, const struct page *p, struct jid to)
{
    const struct vhost *h = config_host(config_current(), p->host);
    struct stanza *s = h ? announce_message(p->text, p->host, to) : NULL;
    if (!s)
        return;
    struct account *a = account_pin(h->index, to);
    account_receive(&s);
    in_turn(t, a, nothing, NULL);
    account_unpin(a);
}

static int page_here(void *arg, void *slot, struct error *err) YIELDS;
static int page_here(void *arg, void *slot, struct error *err)
{
    const struct page *p = arg;
    struct turns turns = {0};
    struct arena *a = arena_new();
    (void)slot;
    (void)err;
    for (size_t i = 0; i < p->n && !rt_stopping(); i++)
        if (shard_of(jid_home_hash_parts(p->users[i], p->host)) == shard_self())
            give_account(&turns, p, jid_join(a, p->users[i], p->host, STR_NULL));
    wait_all(&turns);
    arena_release(&a);
    return 0;
}

/* The next page; *n_out 0: that was the last one. `after` is renewed. */
static int next_page(struct arena *after_arena, struct str *after, struct str host, struct str text, size_t *n_out,
                     struct error *err) YIELDS;
static int next_page(struct arena *after_arena, struct str *after, struct str host, struct str text, size_t *n_out,
                     struct error *err)
{
    struct arena *a = arena_new();
    struct page *p = ARENA_NEW(a, struct page);
    *p = (struct page){.host = arena_str(a, host), .text = arena_str(a, text)};
    int rc = auth_list(a, host, *after, PAGE, &p->users, &p->n, err);
    *n_out = rc == 0 ? p->n : 0;
    if (*n_out) {
        *after = arena_str(after_arena, p->users[p->n - 1]);
        rc = mail_gather(page_here, p, ARENA_ARRAY(a, void *, shard_count()), a, PAGE_MS, err);
    }
    arena_release(&a);
    return rc;
}

int announce_to_accounts(struct str host, struct str text, struct error *err)
{
    struct arena *a = arena_new();
    struct str after = STR_NULL;
    size_t n;
    int rc;
    do {
        struct arena *b = arena_new();
        rc = next_page(b, &after, host, text, &n, err);
        arena_release(&a);
        a = b; /* holds `after` */
    } while (rc == 0 && n == PAGE && !rt_stopping());
    arena_release(&a);
    return rc;
}

/* --- sessions --- */

/* As account_receive would, but for this session only: it may be gone by now, and the message would wait for the next one. */
static void give_session(struct account *a, struct stanza *s) YIELDS;
static void give_session(struct account *a, struct stanza *s)
{
    struct stanza_event ev = {.account = a, .stanza = s};
    stanza_id_strip(s, jid_to_bare(s->to));
    bool pass = a->host != HOST_NONE && hook_run_stanza_received(a->host, &ev) == HOOK_PASS;
    struct session *x = pass ? session_find(a, jid_res(s->to)) : NULL;
    if (x && !x->closing)
        session_send(x, s);
    stanza_end(&s);
}

void announce_to_sessions_of(struct account *a, struct str text)
{
    struct arena *own = arena_new();
    struct str host = arena_str(own, jid_host(account_jid(a)));
    size_t n = 0, i = 0;
    LIST_EACH(it, &a->sessions)
        n++;
    struct jid *to = ARENA_ARRAY(own, struct jid, n + 1);
    LIST_EACH(it, &a->sessions)
        to[i++] = jid_copy(own, session_jid(LIST_ENTRY(it, struct session, link)));
    for (i = 0; i < n; i++) {
        struct stanza *s = announce_message(text, host, to[i]);
        if (s)
            give_session(a, s);
    }
    arena_release(&own);
}

#define ROUND 256

/* Accounts of the next sessions, in order of their addresses: those of one account are neighbours. */
struct round {
    struct arena *arena;
    struct str host;
    struct jid who[ROUND], last; /* last: of whatever was looked at */
    size_t n, looked_at;
};

static bool take_session(struct order_node *node, void *arg)
{
    struct round *r = arg;
    struct jid j = session_jid(CONTAINER_OF(node, struct session, all));
    bool again = jid_present(r->last) && jid_bare_eq(r->last, j);
    r->last = jid_copy(r->arena, j);
    if (!again && str_eq(jid_host(j), r->host))
        r->who[r->n++] = jid_to_bare(r->last);
    return ++r->looked_at < ROUND;
}

static void run_round(struct turns *t, const struct round *r, void (*fn)(struct account *a, void *arg) YIELDS, void *arg) YIELDS;
static void run_round(struct turns *t, const struct round *r, void (*fn)(struct account *a, void *arg) YIELDS, void *arg)
{
    for (size_t i = 0; i < r->n && !rt_stopping(); i++) {
        struct account *account = account_find(jid_user(r->who[i]), jid_host(r->who[i]));
        if (account)
            in_turn(t, account, fn, arg);
    }
}

void announce_online_here(struct str host, void (*fn)(struct account *a, void *arg) YIELDS, void *arg)
{
    struct turns turns = {0};
    struct arena *a = arena_new();
    struct jid last = JID_NULL;
    bool more;
    do {
        struct arena *next = arena_new(); /* of what is done only the place is kept */
        struct round r = {.arena = next, .host = host, .last = jid_present(last) ? jid_copy(next, last) : JID_NULL};
        order_walk(&session_table_self()->all, jid_present(r.last) ? jid_full(r.last) : STR_NULL, take_session, &r);
        run_round(&turns, &r, fn, arg);
        last = r.last;
        more = r.looked_at == ROUND && !rt_stopping();
        arena_release(&a);
        a = next;
        fiber_sleep(0);
    } while (more);
    wait_all(&turns);
    arena_release(&a);
}

static void tell(struct account *a, void *arg) YIELDS;
static void tell(struct account *a, void *arg)
{
    announce_to_sessions_of(a, ((const struct page *)arg)->text);
}

static int sessions_here(void *arg, void *slot, struct error *err) YIELDS;
static int sessions_here(void *arg, void *slot, struct error *err)
{
    (void)slot;
    (void)err;
    announce_online_here(((const struct page *)arg)->host, tell, arg);
    return 0;
}

int announce_to_sessions(struct str host, struct str text, struct error *err)
{
    struct arena *a = arena_new();
    struct page *p = ARENA_NEW(a, struct page);
    *p = (struct page){.host = arena_str(a, host), .text = arena_str(a, text)};
    int rc = mail_gather(sessions_here, p, ARENA_ARRAY(a, void *, shard_count()), a, PAGE_MS, err);
    arena_release(&a);
    return rc;
}
