/*
 * Contacts of a whole host that fit patterns. A page looks at a bounded number of rows, whether they fit or not, so that no
 * reader thread is held for long; what fits is removed page by page. Suspends: everything public.
 */
#include "store/roster_inner.h"

#define LOOK_AT 2048
#define WHO_MAX (2 * 1023 + 1)

struct scan {
    const struct roster_filter *f;
    struct str host, prefix; /* every name that can fit starts with it */
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

static bool user_fits(const struct scan *s, struct str user)
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

static bool read_match(const struct sql_query *q, struct rows *r, void *row_out)
{
    const struct scan *s = r->ctx;
    struct roster_match *m = row_out;

    roster_read_item(q, r, &m->item);
    m->user = arena_str(r->a, sql_text(q, 6));
    r->enough = !str_starts(m->user, s->prefix);
    return !r->enough && letter_ok(s->f->subscriptions, m->item.subscription) && letter_ok(s->f->asks, m->item.ask) &&
           any_fits(s->f->contacts, s->f->n_contacts, m->item.jid) && user_fits(s, m->user);
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

struct removal {
    struct str host;
    struct roster_match *m;
    size_t n;
};

static enum store_rc remove_page(struct sql_conn *c, void *arg)
{
    struct removal *j = arg;
    enum store_rc rc = STORE_OK;

    for (size_t i = 0; rc == STORE_OK && i < j->n; i++) {
        struct roster_match *m = &j->m[i];
        rc = roster_delete_in(c, j->host, m->user, m->item.jid, &(int64_t){0});
        /* Neighbours of one user share a version. */
        if (rc == STORE_OK && i > 0 && str_eq(m->user, m[-1].user))
            m->version = m[-1].version;
        else if (rc == STORE_OK)
            rc = roster_new_version(c, j->host, m->user, &m->version);
    }
    return rc;
}

enum store_rc roster_filter(struct str host, const struct roster_filter *f, bool remove,
                            bool (*fn)(const struct roster_match *m, void *arg) YIELDS, void *arg)
{
    struct scan s = {.f = f, .host = host, .prefix = prefix_of(f)};
    struct rows r = ROWS(struct roster_match, STMT_roster_scan, read_match, V_STR(host), V_STR(s.prefix), V_STR(S("")), V_INT(0));
    bool go_on = store_name_ok(host);

    r.advance = advance;
    r.ctx = &s;
    r.page = LOOK_AT;
    while (go_on && rows_page(&r)) {
        struct removal j = {host, (struct roster_match *)(void *)r.rows, r.n};
        if (remove)
            r.rc = store_write(remove_page, &j);
        for (size_t i = 0; r.rc == STORE_OK && go_on && fn && i < r.n; i++)
            go_on = fn(&j.m[i], arg);
    }
    return rows_end(&r);
}
