/*
 * Contacts of a whole host that fit patterns. A page looks at a bounded number of rows, whether they fit or not, so that no
 * reader thread is held for long. The table's order is that of names, the wanted one that of addresses: "ann" comes before "ann.b",
 * "ann@" behind "ann.b@". So an owner is held back, by name only, while longer names come that belong before, and read when her
 * turn has come. Names and nesting are bounded by the length of a name. Suspends: roster_scan_next.
 */
#include "store/roster_inner.h"

#include "base/mem.h"
#include <stdlib.h>

#define LOOK_AT 2048
#define WHO_MAX (2 * 1023 + 1)

/* An owner whose turn has not come. */
struct held {
    struct held *below;
    struct str user;
    char text[];
};

struct roster_scan {
    const struct roster_filter *f;
    struct str host, prefix; /* every name that can fit starts with it */
    struct rows all;         /* in order of names */
    const struct roster_match *ahead; /* of `all`: comes behind who is held */
    struct rows one;         /* of the owner `only` */
    struct str only;         /* absent: nobody is being read apart */
    struct held *held;       /* the last one first */
    struct held *current;    /* whose rows of `all` are passed on */
    enum store_rc rc;
};

static bool letter_ok(struct str letters, int letter)
{
    return !letters.p || str_find(letters, (char)letter) >= 0;
}

static bool any_fits(const struct pattern *p, size_t n, struct str text)
{
    for (size_t i = 0; i < n; i++)
        if (pattern_match(&p[i], text))
            return true;
    return n == 0;
}

static bool user_fits(const struct roster_scan *s, struct str user)
{
    char who[WHO_MAX];

    if (s->f->n_users == 0)
        return true;
    if (user.n + 1 + s->host.n > sizeof(who))
        return false;
    memcpy(who, user.p, user.n);
    who[user.n] = '@';
    memcpy(who + user.n + 1, s->host.p, s->host.n);
    /* COMPAT(ejabberd): the account with the empty name is written without "@". */
    return any_fits(s->f->users, s->f->n_users, user.n ? str_n(who, user.n + 1 + s->host.n) : s->host);
}

static bool read_fitting(struct rows *r, const struct roster_match *m, bool enough)
{
    const struct roster_scan *s = r->ctx;

    r->enough = enough;
    return !enough && letter_ok(s->f->subscriptions, m->item.subscription) && letter_ok(s->f->asks, m->item.ask) &&
           any_fits(s->f->contacts, s->f->n_contacts, m->item.jid) && user_fits(s, m->user);
}

static void read_row(const struct sql_query *q, struct rows *r, struct roster_match *m)
{
    roster_read_item(q, r, &m->item);
    m->user = arena_str(r->a, sql_text(q, 6));
}

static bool read_any(const struct sql_query *q, struct rows *r, void *row_out)
{
    struct roster_match *m = row_out;

    read_row(q, r, m);
    return read_fitting(r, m, !str_starts(m->user, ((const struct roster_scan *)r->ctx)->prefix));
}

static bool read_only(const struct sql_query *q, struct rows *r, void *row_out)
{
    struct roster_match *m = row_out;

    read_row(q, r, m);
    return read_fitting(r, m, !str_eq(m->user, ((const struct roster_scan *)r->ctx)->only));
}

static void advance(struct rows *r, const void *last)
{
    const struct roster_match *m = last;

    r->args[1] = V_STR(m->user);
    r->args[2] = V_STR(m->item.jid);
}

/* Up to the "@" at most: what follows is not in the column. */
static struct str prefix_of(const struct roster_filter *f)
{
    struct str p;
    ptrdiff_t at;

    if (f->n_users != 1)
        return S("");
    p = pattern_prefix(&f->users[0]);
    at = str_find(p, '@');
    /* Without "@" it may be the host that is meant. */
    return at >= 0 ? str_n(p.p, (size_t)at) : pattern_is_plain(&f->users[0]) ? S("") : p;
}

struct roster_scan *roster_scan_new(struct str host, const struct roster_filter *f, size_t page)
{
    struct roster_scan *s = MEM_NEW(struct roster_scan);

    *s = (struct roster_scan){.f = f, .host = host, .prefix = prefix_of(f)};
    s->all = (struct rows)ROWS(struct roster_match, STMT_roster_scan, read_any, V_STR(host), V_STR(s->prefix), V_STR(S("")),
                               V_INT(0));
    s->all.advance = advance;
    s->all.ctx = s;
    s->all.page = page ? page : LOOK_AT;
    s->all.more = store_name_ok(host);
    return s;
}

/* --- who is held back --- */

static struct held *held_new(struct str user, struct held *below)
{
    struct held *h = mem_alloc(sizeof(*h) + user.n + 1);

    *h = (struct held){.below = below, .user = str_n(h->text, user.n)};
    memcpy(h->text, user.p, user.n);
    return h;
}

/* Does the address of the longer name come before that of the shorter one, which it begins with? */
static bool comes_before(struct str longer, struct str shorter)
{
    return longer.n > shorter.n && str_starts(longer, shorter) && (unsigned char)longer.p[shorter.n] < '@';
}

/* Names that come before `user` and fit are in the page, or somewhere in the pages to come. */
static bool must_wait(struct roster_scan *s, struct str user) YIELDS;
static bool must_wait(struct roster_scan *s, struct str user)
{
    const struct roster_match *m = (const struct roster_match *)(void *)s->all.rows;
    struct str found;
    struct arena *a;

    for (size_t i = s->all.at; i < s->all.n; i++)
        if (!str_eq(m[i].user, user))
            return comes_before(m[i].user, user);
    if (!s->all.more)
        return false;
    a = arena_new();
    struct rows between = ROWS(struct str, STMT_roster_owner_between, read_str, V_STR(s->host), V_STR(user),
                               V_STR(arena_printf(a, "%.*s@", STR_ARG(user))));
    enum store_rc rc = rows_one(a, &between, &found);
    arena_release(&a);
    if (rc != STORE_OK && rc != STORE_NONE)
        s->rc = rc;
    return rc == STORE_OK;
}

static void read_apart(struct roster_scan *s)
{
    s->only = s->held->user;
    s->one = (struct rows)ROWS(struct roster_match, STMT_roster_scan, read_only, V_STR(s->host), V_STR(s->only), V_STR(S("")),
                               V_INT(0));
    s->one.advance = advance;
    s->one.ctx = s;
    s->one.page = s->all.page;
}

static const struct roster_match *next_apart(struct roster_scan *s) YIELDS;
static const struct roster_match *next_apart(struct roster_scan *s)
{
    const struct roster_match *m = rows_next(&s->one);
    struct held *done = s->held;

    if (m)
        return m;
    s->rc = rows_end(&s->one);
    s->only = STR_NULL;
    s->held = done->below;
    free(done);
    return NULL;
}

/* --- one after the other --- */

/* The next of all; NULL too when it has to wait or somebody else comes before, who is being read then. */
static const struct roster_match *next_of_all(struct roster_scan *s, bool *end_out) YIELDS;
static const struct roster_match *next_of_all(struct roster_scan *s, bool *end_out)
{
    const struct roster_match *m = s->ahead ? s->ahead : rows_next(&s->all);

    s->ahead = NULL;
    *end_out = !m && (!s->held || s->all.rc != STORE_OK);
    if (*end_out)
        return NULL;
    if (m && s->held && str_eq(m->user, s->held->user))
        return NULL;
    if (s->held && (!m || !comes_before(m->user, s->held->user))) {
        s->ahead = m;
        read_apart(s);
        return NULL;
    }
    if (!m || (s->current && str_eq(m->user, s->current->user)))
        return m;
    if (must_wait(s, m->user)) {
        s->held = held_new(m->user, s->held);
        return NULL;
    }
    free(s->current);
    s->current = held_new(m->user, NULL);
    return m;
}

const struct roster_match *roster_scan_next(struct roster_scan *s)
{
    const struct roster_match *m = NULL;
    bool end = false;

    while (!m && !end && s->rc == STORE_OK)
        m = s->only.p ? next_apart(s) : next_of_all(s, &end);
    return s->rc == STORE_OK ? m : NULL;
}

enum store_rc roster_scan_end(struct roster_scan **sp)
{
    struct roster_scan *s = *sp;
    enum store_rc rc = rows_end(&s->all), apart = rows_end(&s->one);

    *sp = NULL;
    rc = s->rc != STORE_OK ? s->rc : rc != STORE_OK ? rc : apart;
    while (s->held) {
        struct held *h = s->held;
        s->held = h->below;
        free(h);
    }
    free(s->current);
    free(s);
    return rc;
}
