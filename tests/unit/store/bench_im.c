/*
 * What the areas of instant messaging cost in rows a second: a roster of 5,000 contacts, messages stored and handed out,
 * stanzas of resumable streams. Run by hand or by `meson test --benchmark`; prints, judges nothing.
 */
#include "harness.h"

#include "base/clock.h"
#include "store/roster.h"
#include "store/sm.h"
#include "store/spool.h"

#include <sys/resource.h>

#define HOST S("a.example")
#define CONTACTS 5000
#define LOADS 100
#define MESSAGES 20000
#define FIBERS 64

static uint64_t wall0, cpu0;

static uint64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void mark(void)
{
    wall0 = clock_mono_us();
    cpu0 = cpu_us();
}

static void report(const char *what, unsigned rows)
{
    double wall = (double)(clock_mono_us() - wall0), cpu = (double)(cpu_us() - cpu0);

    printf("%-52s %9.0f rows a second, %7.2f us CPU a row\n", what, rows * 1e6 / wall, cpu / rows);
}

static void rosters(void)
{
    struct arena *a = arena_new();
    struct roster_item *items = ARENA_ARRAY(a, struct roster_item, CONTACTS);
    struct str groups[] = {S("Friends"), S("Work")};
    struct roster r;

    for (unsigned i = 0; i < CONTACTS; i++)
        items[i] = (struct roster_item){
            .jid = arena_printf(a, "contact%u@somewhere.example", i), .nick = arena_printf(a, "Contact %u", i),
            .subscription = ROSTER_BOTH, .ask = ROSTER_ASK_NONE, .groups = groups, .n_groups = 2,
        };
    mark();
    CHECK_INT(roster_set(HOST, S("ann"), items, CONTACTS, NULL), STORE_OK);
    report("roster_set, 5,000 contacts in 2 groups each", CONTACTS);
    mark();
    for (int i = 0; i < LOADS; i++) {
        struct arena *b = arena_new();
        CHECK_INT(roster_load(b, HOST, S("ann"), &r), STORE_OK);
        CHECK_INT(r.n, CONTACTS);
        arena_release(&b);
    }
    report("roster_load, the same", LOADS * CONTACTS);
    CHECK_INT(roster_set(HOST, S("bob"), items, 100, NULL), STORE_OK);
    mark();
    for (int i = 0; i < LOADS * 20; i++) {
        struct arena *b = arena_new();
        CHECK_INT(roster_load(b, HOST, S("bob"), &r), STORE_OK);
        arena_release(&b);
    }
    report("roster_load, 100 contacts in 2 groups each", LOADS * 20 * 100);
    arena_release(&a);
}

static unsigned next;
static struct latch ended;
static char stanza[400];

static void store_some(void *arg)
{
    char user[16];

    while (next < MESSAGES) {
        snprintf(user, sizeof(user), "user%u", next++ % 200);
        CHECK_INT(spool_add(HOST, str_of(user), str_n(stanza, sizeof(stanza)), 1700000000, 1000), STORE_OK);
    }
    latch_up(&ended);
}

static void queue_some(void *arg)
{
    struct sm_stanza s = {.sent_s = 1700000000, .xml = str_n(stanza, sizeof(stanza))};
    char id[16];

    while (next < MESSAGES) {
        snprintf(id, sizeof(id), "stream%u", next % 200);
        s.h = next++ / 200 + 1;
        CHECK_INT(sm_save(str_of(id), &(struct sm_change){.sent = &s, .n_sent = 1}), STORE_OK);
    }
    latch_up(&ended);
}

static void together(fiber_fn fn)
{
    next = 0;
    ended = (struct latch){0};
    for (unsigned i = 0; i < FIBERS; i++)
        fiber_run(fn, NULL);
    latch_wait(&ended, FIBERS);
}

static bool last_id(const struct spool_message *m, void *arg)
{
    *(int64_t *)arg = m->id;
    return true;
}

static void messages(void)
{
    char user[16];

    mark();
    together(store_some);
    report("spool_add, durable, 64 fibers, 200 accounts", MESSAGES);
    mark();
    for (unsigned i = 0; i < 200; i++) {
        uint64_t n;
        int64_t id = 0;
        snprintf(user, sizeof(user), "user%u", i);
        CHECK_INT(spool_each(HOST, str_of(user), 0, last_id, &id), STORE_OK);
        CHECK_INT(spool_remove_upto(HOST, str_of(user), id, &n), STORE_OK);
        CHECK_INT(n, MESSAGES / 200);
    }
    report("spool_each and spool_remove_upto, 100 at a time", MESSAGES);
}

static void streams(void)
{
    char id[16];

    for (unsigned i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "stream%u", i);
        CHECK_INT(sm_add(&(struct sm_session){.id = str_of(id), .host = HOST, .user = S("u"), .resource = S("r"), .data = S("")}),
                  STORE_OK);
    }
    mark();
    together(queue_some);
    report("sm_save of one stanza, durable, 64 fibers", MESSAGES);
}

static void bench(void *arg)
{
    memset(stanza, 'x', sizeof(stanza));
    rosters();
    messages();
    streams();
}

int main(int argc, char **argv)
{
    struct store_config cfg;
    struct error err = ERROR_INIT;

    snprintf(test_dir, sizeof(test_dir), "%s/cj-store-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(test_dir))
        return 1;
    cfg = config_of(in_dir("db.sqlite"), true);
    cfg.durable = true;
    CHECK_INT(store_start(&cfg, &err), 0);
    run_on_fiber(1, bench, NULL);
    store_stop();
    return dir_teardown(NULL);
}
