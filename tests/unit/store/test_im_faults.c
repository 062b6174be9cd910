/*
 * What was acknowledged is there and what was refused is not, in each area: database locked, commit failing, server killed
 * in the middle. Fault points only where they are compiled in (-Dfaults=true).
 */
#include "area.h"

#include "rt/fault.h"
#include "store/account.h"
#include "store/job.h"
#include "store/motd.h"
#include "store/privacy.h"
#include "store/private.h"
#include "store/roster.h"
#include "store/sm.h"
#include "store/spool.h"
#include "store/srg.h"
#include "store/vcard.h"

#include <signal.h>
#include <sys/wait.h>

#define NOW 1700000000
#define ACKNOWLEDGED 400
#define FIBERS 8

/* --- a write of each area, numbered, and how it is found again --- */

struct area {
    const char *name;
    enum store_rc (*write)(struct arena *a, struct str key) YIELDS;
    enum store_rc (*find)(struct arena *a, struct str key) YIELDS;
};

static enum store_rc roster_write(struct arena *a, struct str key)
{
    struct str groups[] = {S("a"), S("b")};
    struct roster_item i = {.jid = key, .nick = key, .subscription = ROSTER_BOTH, .ask = ROSTER_ASK_NONE,
                            .groups = groups, .n_groups = 2};

    return roster_set(HOST, S("ann"), &i, 1, NULL);
}

static enum store_rc roster_find(struct arena *a, struct str key)
{
    struct roster_item i;
    enum store_rc rc = roster_get(a, HOST, S("ann"), key, &i);

    CHECK(rc != STORE_OK || i.n_groups == 2);
    return rc;
}

static enum store_rc spool_write(struct arena *a, struct str key)
{
    return spool_add(HOST, key, key, NOW, 1);
}

static enum store_rc spool_find(struct arena *a, struct str key)
{
    uint64_t n;
    enum store_rc rc = spool_count(HOST, key, &n);

    return rc != STORE_OK ? rc : n == 1 ? STORE_OK : STORE_NONE;
}

static enum store_rc vcard_write(struct arena *a, struct str key)
{
    struct str fields[VCARD_FIELD_COUNT] = {key};

    return vcard_set(HOST, key, key, fields);
}

static bool count_one(const struct vcard_found *v, void *arg)
{
    ++*(int *)arg;
    return true;
}

static enum store_rc vcard_find(struct arena *a, struct str key)
{
    struct str xml, patterns[VCARD_SEARCH_COUNT] = {key};
    enum store_rc rc = vcard_get(a, HOST, key, &xml);
    int n = 0;

    if (rc != STORE_OK)
        return rc;
    CHECK_INT(vcard_search(HOST, patterns, 0, count_one, &n), STORE_OK);
    CHECK_INT(n, 1);
    return STORE_OK;
}

static enum store_rc private_write(struct arena *a, struct str key)
{
    return private_set(HOST, S("ann"), &(struct private_element){key, key}, 1);
}

static enum store_rc private_find(struct arena *a, struct str key)
{
    struct str xml;

    return private_get(a, HOST, S("ann"), key, &xml);
}

static enum store_rc privacy_write(struct arena *a, struct str key)
{
    struct privacy_item items[] = {{.type = PRIVACY_ANY, .order = 1}, {.type = PRIVACY_JID, .value = key, .order = 2}};

    return privacy_set(HOST, key, key, &(struct privacy_list){items, 2}, true);
}

static enum store_rc privacy_find(struct arena *a, struct str key)
{
    struct privacy_list l;
    struct str name;
    enum store_rc rc = privacy_get(a, HOST, key, key, &l);

    CHECK_INT(privacy_get_default(a, HOST, key, &name), rc);
    CHECK(rc != STORE_OK || l.n == 2);
    return rc;
}

static enum store_rc motd_write(struct arena *a, struct str key)
{
    return motd_set_seen(HOST, key);
}

static enum store_rc motd_find(struct arena *a, struct str key)
{
    return motd_seen(HOST, key);
}

static enum store_rc srg_write(struct arena *a, struct str key)
{
    return srg_set(HOST, key, &(struct srg_opts){0});
}

static enum store_rc srg_find(struct arena *a, struct str key)
{
    struct srg_group g;

    return srg_get(a, HOST, key, &g);
}

static enum store_rc sm_write(struct arena *a, struct str key)
{
    struct sm_stanza s = {.h = 1, .sent_s = NOW, .xml = key};
    struct sm_session session = {.id = key, .host = HOST, .user = S("ann"), .resource = S("r"), .data = S("")};
    enum store_rc rc = sm_add(&session);

    /* Written over: it was there, acknowledged or not. */
    if (rc == STORE_CONFLICT)
        rc = sm_remove(key) == STORE_OK ? sm_add(&session) : STORE_UNAVAILABLE;
    return rc == STORE_OK ? sm_save(key, &(struct sm_change){.sent = &s, .n_sent = 1}) : rc;
}

static bool count_stanza(const struct sm_stanza *s, void *arg)
{
    ++*(int *)arg;
    return true;
}

static enum store_rc sm_find(struct arena *a, struct str key)
{
    int n = 0;
    enum store_rc rc = sm_stanzas(key, count_stanza, &n);

    CHECK(n <= 1);
    return rc != STORE_OK ? rc : n ? STORE_OK : STORE_NONE;
}

static enum store_rc job_write(struct arena *a, struct str key)
{
    int64_t id;
    enum store_rc rc = job_start(&(struct job){.kind = key, .host = HOST, .parameters = S("")}, &id);

    return rc == STORE_CONFLICT ? STORE_OK : rc;
}

static enum store_rc job_find(struct arena *a, struct str key)
{
    struct job j;

    return job_last(a, key, HOST, &j);
}

static const struct area areas[] = {
    {"roster", roster_write, roster_find}, {"spool", spool_write, spool_find}, {"vcard", vcard_write, vcard_find},
    {"private", private_write, private_find}, {"privacy", privacy_write, privacy_find}, {"motd", motd_write, motd_find},
    {"srg", srg_write, srg_find}, {"sm", sm_write, sm_find}, {"job", job_write, job_find},
};

/* --- killed in the middle --- */

static int ack_fd;
static unsigned lanes;

static void write_for_ever(void *arg)
{
    unsigned lane = lanes++;
    char line[48];

    for (unsigned i = 0;; i++) {
        const struct area *area = &areas[(i + lane) % ARRAY_LEN(areas)];
        struct arena *a = arena_new();
        int n = snprintf(line, sizeof(line), "%d/%u/%u", getpid(), lane, i);
        if (area->write(a, str_n(line, (size_t)n)) != STORE_OK)
            _exit(2);
        n = snprintf(line, sizeof(line), "%zu %d/%u/%u\n", (size_t)(area - areas), getpid(), lane, i);
        if (write(ack_fd, line, (size_t)n) != n)
            _exit(1);
        arena_release(&a);
    }
}

static void child(void *arg)
{
    for (int i = 1; i < FIBERS; i++)
        fiber_run(write_for_ever, NULL);
    write_for_ever(NULL);
}

static struct str killed_child(struct arena *a)
{
    char *all = arena_alloc(a, 1 << 20);
    size_t n = 0, lines = 0;
    int fds[2];
    ssize_t got;
    pid_t pid;

    CHECK_INT(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        ack_fd = fds[1];
        start_store(true);
        run_on_fiber(1, child, NULL);
        _exit(3);
    }
    close(fds[1]);
    while ((got = read(fds[0], all + n, (1 << 20) - n)) > 0) {
        for (ssize_t i = 0; i < got; i++)
            if (all[n + (size_t)i] == '\n' && ++lines == ACKNOWLEDGED)
                kill(pid, SIGKILL);
        n += (size_t)got;
    }
    close(fds[0]);
    CHECK_INT(waitpid(pid, (int[1]){0}, 0), pid);
    CHECK(lines >= ACKNOWLEDGED);
    return str_n(all, n);
}

static void verify(void *arg)
{
    struct str rest = *(struct str *)arg, line, number;
    int64_t area;

    while (str_split(&rest, '\n', &line)) {
        struct arena *a = arena_new();
        if (line.n) {
            CHECK(str_split(&line, ' ', &number) && str_to_i64(number, &area));
            CHECK_INT(areas[area].find(a, line), STORE_OK);
        }
        arena_release(&a);
    }
}

static void test_kill(void **state)
{
    struct arena *a = arena_new();

    for (int i = 0; i < 3; i++) {
        struct str acked = killed_child(a);
        start_store(true);
        run_on_fiber(1, verify, &acked);
        store_stop();
    }
    arena_release(&a);
}

/* --- failures that are said --- */

#ifdef CJ_FAULTS
static void set_fault(const char *fault)
{
    if (fault)
        setenv("CJABBERD_FAULTS", fault, 1);
    else
        unsetenv("CJABBERD_FAULTS");
    fault_init();
}

static void refused_then_written(void *arg)
{
    struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(areas); i++) {
        struct str key = str_of(areas[i].name);
        set_fault("store_busy");
        CHECK_INT(areas[i].write(a, key), STORE_UNAVAILABLE);
        /* Readers have the same trouble, and say so instead of "nothing there". */
        CHECK_INT(areas[i].find(a, key), STORE_UNAVAILABLE);
        set_fault(NULL);
        CHECK_INT(areas[i].find(a, key), STORE_NONE);
        set_fault("store_commit_fail");
        CHECK_INT(areas[i].write(a, key), STORE_UNCERTAIN);
        set_fault(NULL);
        CHECK_INT(areas[i].find(a, key), STORE_NONE);
        CHECK_INT(areas[i].write(a, key), STORE_OK);
        CHECK_INT(areas[i].find(a, key), STORE_OK);
    }
    set_fault("store_busy");
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_UNAVAILABLE);
    set_fault(NULL);
    CHECK_INT(roster_find(a, S("roster")), STORE_OK);
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_OK);
    CHECK_INT(roster_find(a, S("roster")), STORE_NONE);
    arena_release(&a);
}
#endif

static void test_refused(void **state)
{
#ifdef CJ_FAULTS
    run_bodies(true, (void (*const[])(void *)){refused_then_written}, 1);
#endif
}

/* --- full disk --- */

#include <sys/resource.h>

static void fill_disk(void *arg)
{
    static char xml[20000];
    uint64_t n;
    int added = 0;
    enum store_rc rc = STORE_OK;

    memset(xml, 'x', sizeof(xml));
    for (int i = 0; i < 10000 && rc == STORE_OK; i++) {
        rc = spool_add(HOST, S("ann"), str_n(xml, sizeof(xml)), NOW, 0);
        added += rc == STORE_OK;
    }
    CHECK(rc == STORE_UNAVAILABLE || rc == STORE_UNCERTAIN);
    CHECK(added > 10);
    CHECK_INT(spool_count(HOST, S("ann"), &n), STORE_OK);
    CHECK_INT(n, added);
}

static void room_again(void *arg)
{
    uint64_t n;

    CHECK_INT(spool_add(HOST, S("ann"), S("<late/>"), NOW, 0), STORE_OK);
    CHECK_INT(spool_remove_all(HOST, S("ann"), &n), STORE_OK);
}

static void test_full_disk(void **state)
{
    struct rlimit old, small;

    start_store(true);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 2 << 20;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    run_on_fiber(1, fill_disk, NULL);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
    run_on_fiber(1, room_again, NULL);
    store_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill, dir_setup, dir_teardown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test_setup_teardown(test_full_disk, dir_setup, dir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
