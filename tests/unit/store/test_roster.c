/* Rosters. */
#include "area.h"

#include "base/buf.h"
#include "store/roster.h"

#define MANY 5000

static struct roster_item item(struct str jid, struct str nick)
{
    return (struct roster_item){.jid = jid, .nick = nick, .subscription = ROSTER_BOTH, .ask = ROSTER_ASK_NONE};
}

static struct roster load(struct arena *a, struct str user)
{
    struct roster r;

    CHECK_INT(roster_load(a, HOST, user, &r), STORE_OK);
    return r;
}

static void one_contact(void *arg)
{
    struct arena *a = arena_new();
    struct str groups[] = {S("Work"), S("Friends"), S("\xc3\x9cn\xc3\xaf \xe2\x98\x83")};
    struct roster_item i = item(S("bob@b.example"), S("Bob")), found;
    int64_t v1, v2, v3;
    uint64_t n;

    CHECK_INT(load(a, S("ann")).n, 0);
    CHECK_INT(roster_get(a, HOST, S("ann"), i.jid, &found), STORE_NONE);
    i.groups = groups;
    i.n_groups = 3;
    i.ask = ROSTER_ASK_OUT;
    i.subscription = ROSTER_FROM;
    i.ask_message = S("please");
    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, &v1), STORE_OK);
    CHECK_INT(roster_get(a, HOST, S("ann"), i.jid, &found), STORE_OK);
    CHECK_STR(found.nick, S("Bob"));
    CHECK_STR(found.ask_message, S("please"));
    CHECK(found.subscription == ROSTER_FROM && found.ask == ROSTER_ASK_OUT && !found.approved);
    CHECK_INT(found.n_groups, 3);
    for (int g = 0; g < 3; g++)
        CHECK_STR(found.groups[g], groups[g]);
    i.n_groups = 1;
    i.approved = true;
    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, &v2), STORE_OK);
    CHECK(v2 > v1);
    CHECK_INT(roster_version(HOST, S("ann"), &v3), STORE_OK);
    CHECK_INT(v3, v2);
    CHECK_INT(roster_get(a, HOST, S("ann"), i.jid, &found), STORE_OK);
    CHECK(found.n_groups == 1 && found.approved);
    CHECK_INT(roster_count(HOST, S("ann"), &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(roster_remove(HOST, S("ann"), &i.jid, 1, &v3), STORE_OK);
    CHECK(v3 > v2);
    CHECK_INT(roster_remove(HOST, S("ann"), &i.jid, 1, NULL), STORE_NONE);
    CHECK_INT(load(a, S("ann")).version, v3);
    CHECK_INT(raw_int("SELECT count(*) FROM rostergroups"), 0);
    arena_release(&a);
}

/* Contacts are in the order of addresses, each with its own groups, whatever else is in the table. */
static void many_contacts(void *arg)
{
    struct arena *a = arena_new();
    struct roster_item *items = ARENA_ARRAY(a, struct roster_item, MANY);
    struct roster r;

    for (int i = 0; i < MANY; i++) {
        items[i] = item(arena_printf(a, "c%04d@b.example", i * 7919 % MANY), arena_printf(a, "N%d", i * 7919 % MANY));
        items[i].n_groups = (size_t)(i * 7919 % MANY % 3);
        items[i].groups = ARENA_ARRAY(a, struct str, 2);
        items[i].groups[0] = arena_printf(a, "G%d", i * 7919 % MANY);
        items[i].groups[1] = S("all");
    }
    CHECK_INT(roster_set(HOST, S("ann"), items, MANY, NULL), STORE_OK);
    /* Groups of nobody, before, between and behind. */
    raw_sql(multihost ? "INSERT INTO rostergroups (username, server_host, jid, grp) VALUES ('ann', 'a.example', 'a', 'x'),"
                        " ('ann', 'a.example', 'c0007', 'x'), ('ann', 'a.example', 'z', 'x')"
                      : "INSERT INTO rostergroups (username, jid, grp) VALUES ('ann', 'a', 'x'), ('ann', 'c0007', 'x'),"
                        " ('ann', 'z', 'x')");
    r = load(a, S("ann"));
    CHECK_INT(r.n, MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK_STR(r.items[i].jid, arena_printf(a, "c%04d@b.example", i));
        CHECK_STR(r.items[i].nick, arena_printf(a, "N%d", i));
        CHECK_INT(r.items[i].n_groups, i % 3);
        if (i % 3)
            CHECK_STR(r.items[i].groups[0], arena_printf(a, "G%d", i));
    }
    CHECK_INT(roster_remove_all(HOST, S("ann"), NULL), STORE_OK);
    CHECK_INT(roster_remove_all(HOST, S("ann"), NULL), STORE_NONE);
    CHECK_INT(load(a, S("ann")).n, 0);
    arena_release(&a);
}

static void pending_ones(void *arg)
{
    const enum roster_ask asks[] = {ROSTER_ASK_NONE, ROSTER_ASK_OUT, ROSTER_ASK_IN, ROSTER_ASK_BOTH};
    struct arena *a = arena_new();
    struct roster r;

    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        struct roster_item c = item(arena_printf(a, "c%zu@b.example", i), S(""));
        c.ask = asks[i];
        c.ask_message = S("let me in");
        CHECK_INT(roster_set(HOST, S("ann"), &c, 1, NULL), STORE_OK);
    }
    CHECK_INT(roster_pending(a, HOST, S("ann"), &r), STORE_OK);
    CHECK_INT(r.n, 2);
    CHECK_STR(r.items[0].jid, S("c2@b.example"));
    CHECK_STR(r.items[1].jid, S("c3@b.example"));
    CHECK_STR(r.items[1].ask_message, S("let me in"));
    arena_release(&a);
}

/* RFC 6121 §3.1.3: whoever only asked is no contact yet, unless the account has said something about her. */
static void count_without_those_who_only_asked(void *arg)
{
    struct arena *a = arena_new();
    struct str group = S("Work");
    struct roster_item i[] = {item(S("a@b.example"), S("")), item(S("b@b.example"), S("")), item(S("c@b.example"), S("Cee")),
                              item(S("d@b.example"), S("")), item(S("e@b.example"), S("")), item(S("f@b.example"), S(""))};
    uint64_t n;

    for (size_t k = 0; k < ARRAY_LEN(i); k++) {
        i[k].subscription = ROSTER_NONE;
        i[k].ask = ROSTER_ASK_IN;
    }
    i[3].groups = &group;
    i[3].n_groups = 1;
    i[4].approved = true;
    i[5].subscription = ROSTER_TO;
    CHECK_INT(roster_set(HOST, S("ann"), i, ARRAY_LEN(i), NULL), STORE_OK);
    CHECK_INT(roster_set(HOST, S("bob"), i, 2, NULL), STORE_OK);
    CHECK_INT(roster_count(HOST, S("ann"), &n), STORE_OK);
    CHECK_INT(n, 4);
    CHECK_INT(roster_count(HOST, S("bob"), &n), STORE_OK);
    CHECK_INT(n, 0);
    arena_release(&a);
}

static void odd_and_bad(void *arg)
{
    struct arena *a = arena_new();
    struct roster_item i;
    struct roster r;
    size_t n = ARRAY_LEN(odd_texts);

    for (size_t k = 0; k < n; k++) {
        struct str t = odd_texts[k];
        i = item(t, t);
        i.ask_message = t;
        i.groups = &t;
        i.n_groups = 1;
        CHECK_INT(roster_set(HOST, t, &i, 1, NULL), STORE_OK);
        r = load(a, t);
        CHECK_INT(r.n, 1);
        CHECK_STR(r.items[0].jid, t);
        CHECK_STR(r.items[0].groups[0], t);
    }
    for (size_t k = 0; k < ARRAY_LEN(bad_texts); k++) {
        struct str t = bad_texts[k];
        i = item(S("x"), t);
        CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_REFUSED);
        i = item(t, S("x"));
        CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_REFUSED);
        i = item(S("x"), S("x"));
        i.groups = &t;
        i.n_groups = 1;
        CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_REFUSED);
        CHECK_INT(roster_set(HOST, t, &i, 0, NULL), STORE_REFUSED);
        CHECK_INT(roster_remove(HOST, S("ann"), &t, 1, NULL), STORE_NONE);
        CHECK_INT(roster_get(a, HOST, S("ann"), t, &i), STORE_NONE);
        CHECK_INT(roster_load(a, HOST, t, &r), STORE_OK);
        CHECK_INT(r.n, 0);
    }
    i = item(S(""), S("x"));
    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_REFUSED);
    arena_release(&a);
}

/* What another server has written: its version is none of ours, unknown letters are harmless. */
static void foreign_rows(void *arg)
{
    struct arena *a = arena_new();
    struct roster_item i = item(S("x@b.example"), S(""));
    struct roster r;
    int64_t version;

    raw_sql(multihost ? "INSERT INTO roster_version (server_host, username, version) VALUES ('a.example', 'ann', '5eeb1fad94e9')"
                      : "INSERT INTO roster_version (username, version) VALUES ('ann', '5eeb1fad94e9')");
    raw_sql(multihost ? "INSERT INTO rosterusers VALUES ('ann', 'a.example', 'q@b', 'q', '?', 'S', '', 'N', '', '', '2020-01-01')"
                      : "INSERT INTO rosterusers VALUES ('ann', 'q@b', 'q', '?', 'S', '', 'N', '', '', '2020-01-01')");
    r = load(a, S("ann"));
    CHECK_INT(r.version, 0);
    CHECK(r.items[0].subscription == ROSTER_NONE && r.items[0].ask == ROSTER_ASK_OUT);
    CHECK_INT(roster_version(HOST, S("ann"), &version), STORE_OK);
    CHECK_INT(version, 0);
    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, &version), STORE_OK);
    CHECK(version > 1500000000000000);
    /* The clock was set back: the version goes on all the same. */
    raw_sql("UPDATE roster_version SET version = '4000000000000000000'");
    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, &version), STORE_OK);
    CHECK_INT(version, 4000000000000000001);
    arena_release(&a);
}

/* --- over all accounts --- */

/* "user>contact " of all that fit. */
static struct str filtered(struct arena *a, const struct roster_filter *f)
{
    struct roster_scan *s = roster_scan_new(HOST, f, 0);
    const struct roster_match *m;
    struct buf b = BUF_INIT;
    struct str out;

    while ((m = roster_scan_next(s)))
        buf_printf(&b, "%.*s>%.*s ", STR_ARG(m->user), STR_ARG(m->item.jid));
    CHECK_INT(roster_scan_end(&s), STORE_OK);
    CHECK(!s);
    out = arena_str(a, buf_str(&b));
    buf_deinit(&b);
    return out;
}

static size_t count_filtered(const struct roster_filter *f)
{
    struct roster_scan *s = roster_scan_new(HOST, f, 0);
    size_t n = 0;

    while (roster_scan_next(s))
        n++;
    CHECK_INT(roster_scan_end(&s), STORE_OK);
    return n;
}

static struct pattern glob(const char *text)
{
    return (struct pattern){PATTERN_GLOB, str_of(text)};
}

static void fill(struct arena *a, struct str host)
{
    const enum roster_subscription subs[] = {ROSTER_NONE, ROSTER_TO, ROSTER_FROM, ROSTER_BOTH};

    for (int u = 0; u < 3; u++)
        for (int c = 0; c < 4; c++) {
            struct roster_item i = item(c == 3 ? S("icq.example") : arena_printf(a, "c%d@b.example", c), S(""));
            i.subscription = subs[c];
            i.ask = u == 1 ? ROSTER_ASK_IN : ROSTER_ASK_NONE;
            CHECK_INT(roster_set(host, arena_printf(a, "u%d", u), &i, 1, NULL), STORE_OK);
        }
}

static void filters(void *arg)
{
    struct arena *a = arena_new();
    struct pattern users[] = {glob("u1@*"), glob("u2@a.example")}, contacts[] = {glob("*icq*"), glob("c0@*")};
    struct pattern like = {PATTERN_LIKE, S("%@%")}, all[] = {glob("*")}, other[] = {glob("*@b.example")}, bare[] = {glob("u")};

    fill(a, HOST);
    if (multihost)
        fill(a, OTHER);
    CHECK_STR(filtered(a, &(struct roster_filter){.subscriptions = S("TF"), .users = users, .n_users = 2}),
              S("u1>c1@b.example u1>c2@b.example u2>c1@b.example u2>c2@b.example "));
    CHECK_STR(filtered(a, &(struct roster_filter){.users = users, .n_users = 1, .contacts = contacts, .n_contacts = 2}),
              S("u1>c0@b.example u1>icq.example "));
    CHECK_STR(filtered(a, &(struct roster_filter){.asks = S("IB"), .contacts = &like, .n_contacts = 1}),
              S("u1>c0@b.example u1>c1@b.example u1>c2@b.example "));
    CHECK_INT(filtered(a, &(struct roster_filter){.users = all, .n_users = 1}).n,
              filtered(a, &(struct roster_filter){0}).n);
    CHECK_STR(filtered(a, &(struct roster_filter){.users = other, .n_users = 1}), S(""));
    CHECK_STR(filtered(a, &(struct roster_filter){.users = bare, .n_users = 1}), S(""));
    CHECK_STR(filtered(a, &(struct roster_filter){.subscriptions = S("")}), S(""));
    arena_release(&a);
}

/* More than a page, and a page in which nothing fits. */
static void filter_pages(void *arg)
{
    struct arena *a = arena_new();
    struct pattern contact = glob("x4[0-9][0-9][0-9]@*"), user = glob("ann@a.example"), nobody = glob("ann0@*");
    struct roster_item *items = ARENA_ARRAY(a, struct roster_item, MANY);
    struct roster_scan *s;

    for (int i = 0; i < MANY; i++)
        items[i] = item(arena_printf(a, "x%04d@b.example", i), S(""));
    CHECK_INT(roster_set(HOST, S("ann"), items, MANY, NULL), STORE_OK);
    CHECK_INT(roster_set(HOST, S("bob"), items, MANY, NULL), STORE_OK);
    CHECK_INT(count_filtered(&(struct roster_filter){.contacts = &contact, .n_contacts = 1}), 2000);
    CHECK_INT(count_filtered(&(struct roster_filter){.users = &nobody, .n_users = 1}), 0);
    CHECK_INT(count_filtered(&(struct roster_filter){.users = &user, .n_users = 1, .contacts = &contact, .n_contacts = 1}), 1000);
    /* Nobody has to see all. */
    s = roster_scan_new(HOST, &(struct roster_filter){0}, 0);
    for (int i = 0; i < 10; i++)
        CHECK(roster_scan_next(s));
    CHECK_INT(roster_scan_end(&s), STORE_OK);
    arena_release(&a);
}

/* The owner's address ends with the host: "ann.b@..." and "ann-b@..." come before "ann@...", "annie@..." behind it. */
static void filter_order(void *arg)
{
    static const char *const names[] = {"ann.b", "ann.", "ann.-x", "ann-1", "ann-", "ann",
                                        "annie", "ann_b", "b", "b.b.b", "b.b", "a"};
    static const size_t pages[] = {1, 2, 3, 5, 1000};
    struct arena *a = arena_new();
    struct roster_item three[] = {item(S("x@b.example"), S("")), item(S("y@b.example"), S("")), item(S("z@b.example"), S(""))};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        CHECK_INT(roster_set(HOST, str_of(names[i]), three, 1 + i % 3, NULL), STORE_OK);
    for (size_t p = 0; p < ARRAY_LEN(pages); p++) {
        struct roster_scan *s = roster_scan_new(HOST, &(struct roster_filter){0}, pages[p]);
        const struct roster_match *m;
        struct str last = S(""), now;
        size_t n = 0;
        for (; (m = roster_scan_next(s)); last = now, n++) {
            now = arena_printf(a, "%.*s@a.example>%.*s", STR_ARG(m->user), STR_ARG(m->item.jid));
            CHECK(str_cmp(last, now) < 0);
        }
        CHECK_INT(n, 24);
        CHECK_INT(roster_scan_end(&s), STORE_OK);
    }
    arena_release(&a);
}

static void hosts_apart(void *arg)
{
    struct arena *a = arena_new();
    struct roster_item i = item(S("x@b.example"), S("here"));
    struct roster r;

    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_OK);
    CHECK_INT(roster_load(a, OTHER, S("ann"), &r), STORE_OK);
    CHECK_INT(r.n, multihost ? 0 : 1);
    CHECK_INT(roster_remove_all(OTHER, S("ann"), NULL), multihost ? STORE_NONE : STORE_OK);
    arena_release(&a);
}

/* Nothing of a write that failed is there, and reading goes on. */
static void locked(void *arg)
{
    struct arena *a = arena_new();
    struct roster_item i = item(S("x@b.example"), S("here"));
    sqlite3 *other = raw_lock();

    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_UNAVAILABLE);
    CHECK_INT(load(a, S("ann")).n, 0);
    sqlite3_close(other);
    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_OK);
    CHECK_INT(load(a, S("ann")).n, 1);
    arena_release(&a);
}

AREA_TESTS(one_contact, many_contacts, pending_ones, count_without_those_who_only_asked, odd_and_bad,
           foreign_rows, filters, filter_pages, filter_order, hosts_apart)

static void locked_database(void **state)
{
    run_bodies(true, (void (*const[])(void *)){locked}, 1);
}

AREA_MAIN(cmocka_unit_test(locked_database))
