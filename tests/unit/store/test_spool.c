/* Waiting messages. */
#include "area.h"

#include "store/spool.h"

#define MANY 5000
#define DAY 86400
#define NOW 1700000000

static void add(struct str user, struct str xml)
{
    CHECK_INT(spool_add(HOST, user, xml, NOW, 0), STORE_OK);
}

static uint64_t count(struct str user)
{
    uint64_t n;

    CHECK_INT(spool_count(HOST, user, &n), STORE_OK);
    return n;
}

struct seen {
    struct arena *a;
    struct str words;
    int64_t last;
    int n, stop_at;
};

static bool see(const struct spool_message *m, void *arg)
{
    struct seen *s = arg;

    CHECK(m->id > s->last);
    CHECK_INT(m->stored_s, NOW);
    s->last = m->id;
    if (s->a)
        s->words = arena_printf(s->a, "%.*s%.*s ", STR_ARG(s->words), STR_ARG(m->xml));
    return ++s->n != s->stop_at;
}

static void in_order(void *arg)
{
    struct arena *a = arena_new();
    struct seen s = {.a = a, .words = S("")};
    struct spool_message m;
    uint64_t n;

    add(S("ann"), S("<a/>"));
    add(S("bob"), S("<x/>"));
    add(S("ann"), S("<b/>"));
    add(S("ann"), S("<c/>"));
    CHECK_INT(spool_each(HOST, S("ann"), 0, see, &s), STORE_OK);
    CHECK_STR(s.words, S("<a/> <b/> <c/> "));
    CHECK_INT(spool_get(a, HOST, S("ann"), s.last, &m), STORE_OK);
    CHECK_STR(m.xml, S("<c/>"));
    CHECK_STR(m.user, S("ann"));
    CHECK_INT(spool_get(a, HOST, S("bob"), s.last, &m), STORE_NONE);
    /* Delivery: what came in meanwhile stays. */
    add(S("ann"), S("<d/>"));
    CHECK_INT(spool_remove_upto(HOST, S("ann"), s.last, &n), STORE_OK);
    CHECK_INT(n, 3);
    CHECK_INT(spool_remove_upto(HOST, S("ann"), s.last, &n), STORE_NONE);
    CHECK_INT(count(S("ann")), 1);
    CHECK_INT(count(S("bob")), 1);
    s.words = S("");
    CHECK_INT(spool_each(HOST, S("ann"), s.last, see, &s), STORE_OK);
    CHECK_STR(s.words, S("<d/> "));
    arena_release(&a);
}

static void by_ids(void *arg)
{
    struct seen s = {0};
    int64_t ids[3];
    uint64_t n;

    add(S("ann"), S("<a/>"));
    CHECK_INT(spool_each(HOST, S("ann"), 0, see, &s), STORE_OK);
    ids[0] = s.last;
    add(S("ann"), S("<b/>"));
    add(S("bob"), S("<x/>"));
    s.last = 0;
    CHECK_INT(spool_each(HOST, S("bob"), 0, see, &s), STORE_OK);
    ids[1] = s.last;
    ids[2] = 4711;
    CHECK_INT(spool_remove(HOST, S("ann"), ids, 3, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(spool_remove(HOST, S("ann"), ids, 3, &n), STORE_NONE);
    CHECK_INT(count(S("ann")), 1);
    CHECK_INT(count(S("bob")), 1);
    CHECK_INT(spool_remove_all(HOST, S("ann"), &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(spool_remove_all(HOST, S("ann"), &n), STORE_NONE);
}

static struct latch ended;
static int added, full;

static void push_some(void *arg)
{
    for (int i = 0; i < 10; i++) {
        enum store_rc rc = spool_add(HOST, S("ann"), S("<m/>"), NOW, 50);
        CHECK(rc == STORE_OK || rc == STORE_LIMIT);
        added += rc == STORE_OK;
        full += rc == STORE_LIMIT;
    }
    latch_up(&ended);
}

/* The bound holds whoever comes in between. */
static void bounded(void *arg)
{
    ended = (struct latch){0};
    added = full = 0;
    for (int i = 0; i < 10; i++)
        fiber_run(push_some, NULL);
    latch_wait(&ended, 10);
    CHECK_INT(added, 50);
    CHECK_INT(full, 50);
    CHECK_INT(count(S("ann")), 50);
    CHECK_INT(spool_add(HOST, S("bob"), S("<m/>"), NOW, 1), STORE_OK);
    CHECK_INT(spool_add(HOST, S("ann"), S("<m/>"), NOW, 0), STORE_OK);
    CHECK_INT(spool_add(HOST, S("ann"), S("<m/>"), NOW, UINT64_MAX), STORE_OK);
}

/* In one transaction, past the API: 5,000 fibers' worth of waiting would only test the writer. */
static void fill(int64_t first_s)
{
    char sql[512];

    snprintf(sql, sizeof(sql), "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO spool (username, %sxml, created_at) SELECT 'u' || (i %% 2), %s'<m id=''' || i || '''/>',"
             " datetime(%lld + i * %d, 'unixepoch') FROM n", MANY - 1, multihost ? "server_host, " : "",
             multihost ? "'a.example', " : "", (long long)first_s, DAY / 100);
    raw_sql(sql);
}

static bool in_turn(const struct spool_message *m, void *arg)
{
    struct seen *s = arg;
    char want[32];

    snprintf(want, sizeof(want), "<m id='%d'/>", s->n * 2);
    CHECK_STR(m->xml, str_of(want));
    CHECK_INT(m->stored_s, NOW + s->n * 2 * (DAY / 100));
    return ++s->n != s->stop_at;
}

static void many(void *arg)
{
    struct seen s = {0};

    fill(NOW);
    CHECK_INT(spool_each(HOST, S("u0"), 0, in_turn, &s), STORE_OK);
    CHECK_INT(s.n, MANY / 2);
    s = (struct seen){.stop_at = 7};
    CHECK_INT(spool_each(HOST, S("u0"), 0, in_turn, &s), STORE_OK);
    CHECK_INT(s.n, 7);
}

/* Large stanzas: a page ends by its bytes. */
static bool large_one(const struct spool_message *m, void *arg)
{
    int *n = arg;

    CHECK_INT(m->xml.n, 100000);
    CHECK_INT(m->xml.p[99999], 'a' + *n % 26);
    (*n)++;
    return true;
}

static void large(void *arg)
{
    char *xml = malloc(100000);
    int n = 0;

    for (int i = 0; i < 40; i++) {
        memset(xml, 'a' + i % 26, 100000);
        add(S("ann"), str_n(xml, 100000));
    }
    CHECK_INT(spool_each(HOST, S("ann"), 0, large_one, &n), STORE_OK);
    CHECK_INT(n, 40);
    free(xml);
}

static void sweep(void *arg)
{
    struct spool_sweep s = {.host = HOST, .before_s = NOW + 20 * DAY};
    uint64_t n, pieces = 0;

    fill(NOW);
    if (multihost)
        raw_sql("INSERT INTO spool (username, server_host, xml, created_at)"
                " VALUES ('x', 'b.example', '<m/>', '2001-01-01 00:00:00')");
    CHECK_INT(spool_sweep_count(&s, &n), STORE_OK);
    CHECK_INT(n, 2000);
    for (; !s.done; pieces++)
        CHECK_INT(spool_sweep(&s, 700), STORE_OK);
    CHECK_INT(s.removed, 2000);
    CHECK_INT(pieces, (MANY + multihost) / 700 + 1);
    CHECK_INT(raw_int("SELECT count(*) FROM spool"), MANY - 2000 + multihost);
    s = (struct spool_sweep){.host = HOST, .before_s = NOW + 20 * DAY};
    CHECK_INT(spool_sweep(&s, 0), STORE_OK);
    CHECK(s.done && s.removed == 0);
}

static bool every_other(const struct spool_message *m, void *arg)
{
    int *asked = arg;

    return (*asked)++ % 2 == 0;
}

static void sweep_expiring(void *arg)
{
    int asked = 0;
    struct spool_sweep s = {.host = HOST, .expiring = true, .doomed = every_other, .arg = &asked};

    for (int i = 0; i < 10; i++)
        add(S("ann"), i % 2 ? S("<m><x xmlns='jabber:x:expire' seconds='5'/></m>") : S("<m/>"));
    while (!s.done)
        CHECK_INT(spool_sweep(&s, 3), STORE_OK);
    CHECK_INT(asked, 5);
    CHECK_INT(s.removed, 3);
    CHECK_INT(count(S("ann")), 7);
}

static void odd_and_bad(void *arg)
{
    struct arena *a = arena_new();
    uint64_t n;

    for (size_t i = 0; i < ARRAY_LEN(odd_texts); i++) {
        struct seen s = {.a = a, .words = S("")};
        add(odd_texts[i], odd_texts[i]);
        CHECK_INT(spool_each(HOST, odd_texts[i], 0, see, &s), STORE_OK);
        CHECK_STR(s.words, arena_printf(a, "%.*s ", STR_ARG(odd_texts[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_texts); i++) {
        CHECK_INT(spool_add(HOST, bad_texts[i], S("x"), NOW, 0), STORE_REFUSED);
        CHECK_INT(spool_add(HOST, S("ann"), bad_texts[i], NOW, 0), STORE_REFUSED);
        CHECK_INT(spool_count(HOST, bad_texts[i], &n), STORE_OK);
        CHECK_INT(n, 0);
    }
    arena_release(&a);
}

static void hosts_apart(void *arg)
{
    uint64_t n;

    add(S("ann"), S("<a/>"));
    CHECK_INT(spool_count(OTHER, S("ann"), &n), STORE_OK);
    CHECK_INT(n, multihost ? 0 : 1);
}

AREA_TESTS(in_order, by_ids, bounded, many, large, sweep, sweep_expiring, odd_and_bad, hosts_apart)
AREA_MAIN()
