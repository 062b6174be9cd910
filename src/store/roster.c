/* Rosters of one account. Suspends: everything public; the rest runs on the reader threads and the writer. */
#include "store/roster_inner.h"

#include "base/clock.h"
#include "store/tally.h"
#include <inttypes.h>
#include <stdio.h>

#define APPROVED S("approved")

static char letter(struct str s)
{
    return s.n == 1 ? s.p[0] : 'N';
}

static enum roster_subscription subscription_of(struct str s)
{
    char c = letter(s);

    return c == ROSTER_TO || c == ROSTER_FROM || c == ROSTER_BOTH ? (enum roster_subscription)c : ROSTER_NONE;
}

static enum roster_ask ask_of(struct str s)
{
    char c = letter(s);

    if (c == 'S')
        return ROSTER_ASK_OUT;
    return c == ROSTER_ASK_OUT || c == ROSTER_ASK_IN || c == ROSTER_ASK_BOTH ? (enum roster_ask)c : ROSTER_ASK_NONE;
}

bool roster_read_item(const struct sql_query *q, struct rows *r, void *row_out)
{
    struct roster_item *i = row_out;

    i->jid = arena_str(r->a, sql_text(q, 0));
    i->nick = arena_str(r->a, sql_text(q, 1));
    i->subscription = subscription_of(sql_text(q, 2));
    i->ask = ask_of(sql_text(q, 3));
    i->ask_message = arena_str(r->a, sql_text(q, 4));
    i->approved = str_eq(sql_text(q, 5), APPROVED);
    return true;
}

struct group_row {
    struct str jid, name;
};

static bool read_group(const struct sql_query *q, struct rows *r, void *row_out)
{
    struct group_row *g = row_out;

    g->jid = arena_str(r->a, sql_text(q, 0));
    g->name = arena_str(r->a, sql_text(q, 1));
    return true;
}

/*
 * Both lists come in the same order, so a look forward finds the contact at once; groups of nobody (left over from another
 * server) cost one pass each.
 */
static struct roster_item *item_of(struct roster_item *from, struct roster_item *end, struct str jid)
{
    while (from < end && !str_eq(from->jid, jid))
        from++;
    return from < end ? from : NULL;
}

static void link_groups(struct rows *items, const struct rows *groups)
{
    struct roster_item *at = (struct roster_item *)(void *)items->rows, *end = items->n ? at + items->n : at, *found;
    const struct group_row *g = (const struct group_row *)(void *)groups->rows;
    struct str *names = ARENA_ARRAY(items->a, struct str, groups->n + 1);

    for (size_t i = 0, run; i < groups->n; i += run) {
        for (run = 0; i + run < groups->n && str_eq(g[i].jid, g[i + run].jid); run++)
            names[i + run] = g[i + run].name;
        found = item_of(at, end, g[i].jid);
        if (!found)
            continue;
        at = found;
        at->groups = names + i;
        at->n_groups = run;
    }
}

struct load {
    struct str host, user;
    struct rows items, groups;
    int64_t version;
};

/* Only what this server wrote is a number that fits. */
static enum store_rc read_version(struct sql_conn *c, struct str host, struct str user, int64_t *out)
{
    struct sql_query q;

    *out = 0;
    sql_start(c, STMT_roster_version, SQL_ARGS(V_STR(host), V_STR(user)), &q);
    if (sql_next(&q) && (!str_to_i64(sql_text(&q, 0), out) || *out < 0))
        *out = 0;
    return sql_end(&q);
}

static enum store_rc load_items(struct sql_conn *c, struct load *l)
{
    enum store_rc rc = rows_fetch(c, &l->items);

    if (rc == STORE_OK && l->groups.size)
        rc = rows_fetch(c, &l->groups);
    if (rc == STORE_OK && l->groups.size)
        link_groups(&l->items, &l->groups);
    return rc;
}

static enum store_rc load_all(struct sql_conn *c, void *arg)
{
    struct load *l = arg;
    enum store_rc rc = read_version(c, l->host, l->user, &l->version);

    return rc == STORE_OK ? load_items(c, l) : rc;
}

/* Texts that no database holds find nothing. */
static enum store_rc load_to(struct arena *a, struct load *l, struct roster *out) YIELDS;
static enum store_rc load_to(struct arena *a, struct load *l, struct roster *out)
{
    enum store_rc rc = STORE_OK;

    *out = (struct roster){0};
    if (owner_ok(l->host, l->user))
        rc = store_read(load_all, l);
    if (rc == STORE_OK) {
        *out = (struct roster){(struct roster_item *)(void *)l->items.rows, l->items.n, l->version};
        rows_give(&l->groups, a);
        rows_give(&l->items, a);
    }
    rows_end(&l->groups);
    rows_end(&l->items);
    return rc;
}

enum store_rc roster_load(struct arena *a, struct str host, struct str user, struct roster *out)
{
    struct load l = {.host = host, .user = user,
                     .items = ROWS(struct roster_item, STMT_roster_all, roster_read_item, V_STR(host), V_STR(user)),
                     .groups = ROWS(struct group_row, STMT_roster_groups, read_group, V_STR(host), V_STR(user))};
    struct tally_key k = tally_key(TALLY_ROSTER, host, user);
    uint64_t look = tally_look(k), none;
    enum store_rc rc;

    if (tally_get(k, &none, NULL)) {
        *out = (struct roster){0};
        return STORE_OK;
    }
    rc = load_to(a, &l, out);
    if (rc == STORE_OK && !out->n && !out->version)
        tally_set(k, look, 0);
    return rc;
}

enum store_rc roster_get(struct arena *a, struct str host, struct str user, struct str jid, struct roster_item *out)
{
    struct load l = {.host = host, .user = user,
                     .items = ROWS(struct roster_item, STMT_roster_get, roster_read_item, V_STR(host), V_STR(user), V_STR(jid)),
                     .groups = ROWS(struct group_row, STMT_roster_get_groups, read_group, V_STR(host), V_STR(user), V_STR(jid))};
    struct roster found;
    enum store_rc rc = store_text_ok(jid) ? load_to(a, &l, &found) : STORE_NONE;

    if (rc != STORE_OK || found.n == 0)
        return rc == STORE_OK ? STORE_NONE : rc;
    *out = found.items[0];
    return STORE_OK;
}

enum store_rc roster_pending(struct arena *a, struct str host, struct str user, struct roster *out)
{
    struct load l = {.host = host, .user = user,
                     .items = ROWS(struct roster_item, STMT_roster_pending, roster_read_item, V_STR(host), V_STR(user))};

    return load_to(a, &l, out);
}

enum store_rc roster_count(struct str host, struct str user, uint64_t *out)
{
    struct rows r = ROWS(int64_t, STMT_roster_count, read_int, V_STR(host), V_STR(user), V_STR(host), V_STR(user), V_STR(host));
    int64_t n;
    enum store_rc rc = rows_number(&r, &n);

    *out = (uint64_t)n;
    return rc;
}

static bool read_version_text(const struct sql_query *q, struct rows *r, void *row_out)
{
    int64_t *version = row_out;

    return str_to_i64(sql_text(q, 0), version) && *version > 0;
}

enum store_rc roster_version(struct str host, struct str user, int64_t *out)
{
    struct rows r = ROWS(int64_t, STMT_roster_version, read_version_text, V_STR(host), V_STR(user));

    return rows_number(&r, out);
}

/* --- writing --- */

struct change {
    struct str host, user;
    const struct roster_item *items; /* to write */
    const struct str *jids;          /* to delete */
    size_t n;
    int64_t version;
};

static enum store_rc new_version(struct sql_conn *c, struct str host, struct str user, int64_t *out)
{
    int64_t before;
    char text[24];
    enum store_rc rc = read_version(c, host, user, &before);

    if (rc != STORE_OK)
        return rc;
    *out = (int64_t)clock_wall_us();
    if (*out <= before)
        *out = before + 1;
    snprintf(text, sizeof(text), "%" PRId64, *out);
    return sql_run(c, STMT_roster_version_set, SQL_ARGS(V_STR(host), V_STR(user), V_STR(str_of(text))), NULL);
}

static enum store_rc write_item(struct sql_conn *c, const struct change *w, const struct roster_item *i)
{
    char subscription = (char)i->subscription, ask = (char)i->ask;
    enum store_rc rc = sql_run(c, STMT_roster_set,
                               SQL_ARGS(V_STR(w->host), V_STR(w->user), V_STR(i->jid), V_STR(i->nick),
                                        V_STR(str_n(&subscription, 1)), V_STR(str_n(&ask, 1)), V_STR(i->ask_message),
                                        V_STR(i->approved ? APPROVED : S(""))), NULL);

    if (rc == STORE_OK)
        rc = sql_run(c, STMT_roster_groups_delete, SQL_ARGS(V_STR(w->host), V_STR(w->user), V_STR(i->jid)), NULL);
    for (size_t g = 0; rc == STORE_OK && g < i->n_groups; g++)
        rc = sql_run(c, STMT_roster_group_add, SQL_ARGS(V_STR(w->host), V_STR(w->user), V_STR(i->jid), V_STR(i->groups[g])), NULL);
    return rc;
}

static enum store_rc write_items(struct sql_conn *c, void *arg)
{
    struct change *w = arg;
    enum store_rc rc = STORE_OK;

    for (size_t i = 0; rc == STORE_OK && i < w->n; i++)
        rc = write_item(c, w, &w->items[i]);
    return rc == STORE_OK ? new_version(c, w->host, w->user, &w->version) : rc;
}

static bool item_ok(const struct roster_item *i)
{
    bool ok = i->jid.n && store_text_ok(i->jid) && store_text_ok(i->nick) && store_text_ok(i->ask_message);

    for (size_t g = 0; ok && g < i->n_groups; g++)
        ok = store_text_ok(i->groups[g]);
    return ok;
}

static enum store_rc write_change(store_fn fn, struct change *w, int64_t *version_out) YIELDS;
static enum store_rc write_change(store_fn fn, struct change *w, int64_t *version_out)
{
    struct tally_key k = tally_key(TALLY_ROSTER, w->host, w->user);
    enum store_rc rc;

    tally_forget(k);
    rc = store_write(fn, w);
    tally_forget(k);
    if (version_out)
        *version_out = w->version;
    return rc;
}

enum store_rc roster_set(struct str host, struct str user, const struct roster_item *items, size_t n, int64_t *version_out)
{
    struct change w = {.host = host, .user = user, .items = items, .n = n};

    if (!owner_ok(host, user))
        return STORE_REFUSED;
    for (size_t i = 0; i < n; i++)
        if (!item_ok(&items[i]))
            return STORE_REFUSED;
    return write_change(write_items, &w, version_out);
}

static enum store_rc delete_in(struct sql_conn *c, struct str host, struct str user, struct str jid, int64_t *touched_out)
{
    enum store_rc rc = sql_run(c, STMT_roster_delete, SQL_ARGS(V_STR(host), V_STR(user), V_STR(jid)), touched_out);

    return rc == STORE_OK ? sql_run(c, STMT_roster_groups_delete, SQL_ARGS(V_STR(host), V_STR(user), V_STR(jid)), NULL) : rc;
}

static enum store_rc delete_some(struct sql_conn *c, void *arg)
{
    struct change *w = arg;
    int64_t touched, all = 0;
    enum store_rc rc = STORE_OK;

    for (size_t i = 0; rc == STORE_OK && i < w->n; i++) {
        rc = delete_in(c, w->host, w->user, w->jids[i], &touched);
        all += touched;
    }
    if (rc != STORE_OK || all == 0)
        return rc == STORE_OK ? STORE_NONE : rc;
    return new_version(c, w->host, w->user, &w->version);
}

enum store_rc roster_remove(struct str host, struct str user, const struct str *jids, size_t n, int64_t *version_out)
{
    struct change w = {.host = host, .user = user, .jids = jids, .n = n};

    if (!owner_ok(host, user))
        return STORE_NONE;
    for (size_t i = 0; i < n; i++)
        if (!store_text_ok(jids[i]))
            return STORE_NONE;
    return write_change(delete_some, &w, version_out);
}

static enum store_rc delete_all(struct sql_conn *c, void *arg)
{
    struct change *w = arg;
    int64_t touched = 0;
    enum store_rc rc = sql_run(c, STMT_roster_groups_delete_all, SQL_ARGS(V_STR(w->host), V_STR(w->user)), NULL);

    if (rc == STORE_OK)
        rc = sql_run(c, STMT_roster_delete_all, SQL_ARGS(V_STR(w->host), V_STR(w->user)), &touched);
    if (rc != STORE_OK || touched == 0)
        return rc == STORE_OK ? STORE_NONE : rc;
    return new_version(c, w->host, w->user, &w->version);
}

enum store_rc roster_remove_all(struct str host, struct str user, int64_t *version_out)
{
    struct change w = {.host = host, .user = user};

    return owner_ok(host, user) ? write_change(delete_all, &w, version_out) : STORE_NONE;
}
