/* Waiting messages that were delivered: nobody sees them from that moment on, whatever keeps their rows in the table. */
#include "area.h"

#include "store/delivered.h"
#include "store/ledger.h"
#include "store/spool.h"

#include <fcntl.h>
#include <sys/wait.h>

#define NOW 1700000000
#define ANN S("ann")
#define BOB S("bob")

static void open_ledger(void)
{
    struct error err = ERROR_INIT;

    CHECK_INT(ledger_open(in_dir(""), &err), 0);
}

static void use_ledger(void)
{
    struct error err = ERROR_INIT;

    open_ledger();
    CHECK_INT(spool_restore(), STORE_OK);
    CHECK_INT(ledger_commit(&err), 0);
}

static void end(void)
{
    spool_settle();
    ledger_close();
}

static void add(struct str user, const char *xml)
{
    CHECK_INT(spool_add(HOST, user, str_of(xml), NOW, 0), STORE_OK);
}

static uint64_t count(struct str user)
{
    uint64_t n;

    CHECK_INT(spool_count(HOST, user, &n), STORE_OK);
    return n;
}

struct seen {
    char words[64];
    int64_t ids[16];
    size_t n;
};

static bool see(const struct spool_message *m, void *arg)
{
    struct seen *s = arg;

    if (s->n < ARRAY_LEN(s->ids)) {
        s->ids[s->n] = m->id;
        snprintf(s->words + strlen(s->words), sizeof(s->words) - strlen(s->words), "%.*s", STR_ARG(m->xml));
    }
    s->n++;
    return true;
}

static struct seen waiting(struct str user)
{
    struct seen s = {0};

    CHECK_INT(spool_each(HOST, user, 0, see, &s), STORE_OK);
    return s;
}

static void until_gone(const char *sql)
{
    while (raw_int(sql))
        fiber_sleep(10);
}

static struct seen add_some(void)
{
    struct seen s;

    add(ANN, "a");
    add(BOB, "x");
    add(ANN, "b");
    add(ANN, "c");
    s = waiting(ANN);
    CHECK_INT(s.n, 3);
    return s;
}

/* a b c for ann and one for bob; ann has been given a and b. */
static struct seen deliver_two(void)
{
    struct seen s = add_some();

    CHECK_INT(spool_delivered(HOST, ANN, s.ids[1], NOW, NULL), STORE_OK);
    return s;
}

/* Who reads, counts, fetches or removes, while another process holds the database and the rows cannot go. */
static void hidden_at_once(void *arg)
{
    struct spool_sweep old = {.host = HOST, .before_s = NOW + 1};
    struct arena *a = arena_new();
    struct spool_message m;
    struct seen s;
    sqlite3 *lock;
    uint64_t n;

    use_ledger();
    add(ANN, "");
    s = waiting(ANN);
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[0], NOW, NULL), STORE_OK);
    until_gone("SELECT count(*) FROM spool");
    s = deliver_two();
    lock = raw_lock();
    CHECK_INT(count(ANN), 1);
    CHECK_INT(count(BOB), 1);
    CHECK_STR(str_of(waiting(ANN).words), S("c"));
    CHECK_INT(spool_get(a, HOST, ANN, s.ids[1], &m), STORE_NONE);
    CHECK_INT(spool_get(a, HOST, ANN, s.ids[2], &m), STORE_OK);
    CHECK_INT(spool_sweep_count(&old, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[2], NOW, NULL), STORE_OK);
    CHECK_INT(count(ANN), 0);
    CHECK_INT(waiting(ANN).n, 0);
    sqlite3_exec(lock, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(lock);
    until_gone("SELECT count(*) FROM spool WHERE username = 'ann'");
    CHECK_INT(count(BOB), 1);
    arena_release(&a);
    end();
}

/* What is removed on request counts what was there for its owner, not rows. */
static void removals_count_what_is_seen(void *arg)
{
    struct spool_sweep old = {.host = HOST, .before_s = NOW + 1};
    struct seen s;
    uint64_t n;

    use_ledger();
    s = deliver_two();
    CHECK_INT(spool_remove(HOST, ANN, s.ids, 3, &n), STORE_OK);
    CHECK_INT(n, 1);
    deliver_two();
    CHECK_INT(spool_remove_all(HOST, ANN, &n), STORE_OK);
    CHECK_INT(n, 1);
    deliver_two();
    CHECK_INT(spool_sweep(&old, 0), STORE_OK);
    CHECK_INT(old.removed, 4); /* c, and bob's three */
    CHECK_INT(count(ANN), 0);
    end();
    CHECK_INT(raw_int("SELECT count(*) FROM spool"), 0);
}

/* A limit is one of messages that wait (XEP-0160 §2), not of rows. */
static void limits_count_what_is_seen(void *arg)
{
    struct seen s;

    use_ledger();
    s = deliver_two();
    store_forget_counts();
    CHECK_INT(spool_add(HOST, ANN, S("d"), NOW, 2), STORE_OK);
    store_forget_counts();
    CHECK_INT(spool_add(HOST, ANN, S("e"), NOW, 2), STORE_LIMIT);
    CHECK_STR(str_of(waiting(ANN).words), S("cd"));
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[2], NOW, NULL), STORE_OK);
    store_forget_counts();
    CHECK_INT(spool_add(HOST, ANN, S("e"), NOW, 2), STORE_OK);
    CHECK_STR(str_of(waiting(ANN).words), S("de"));
    end();
}

/* "Nothing waits" is remembered only when nothing came while it was read. */
static void emptied(void *arg)
{
    struct seen s;
    uint64_t look;

    use_ledger();
    add(ANN, "a");
    add(ANN, "b");
    look = spool_look(HOST, ANN);
    s = waiting(ANN);
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[0], NOW, &look), STORE_OK);
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[1], NOW, &look), STORE_OK);
    spool_emptied(HOST, ANN, look);
    CHECK_INT(count(ANN), 0);
    add(ANN, "c");
    look = spool_look(HOST, ANN);
    s = waiting(ANN);
    add(ANN, "d");
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[0], NOW, &look), STORE_OK);
    spool_emptied(HOST, ANN, look);
    CHECK_INT(count(ANN), 1);
    CHECK_STR(str_of(waiting(ANN).words), S("d"));
    end();
}

/* More than one transaction takes, of more than one account. */
static void many(void *arg)
{
    char sql[400];

    use_ledger();
    snprintf(sql, sizeof(sql), "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 29999)"
             " INSERT INTO spool (username, %sxml, created_at) SELECT 'u' || (i %% 3), %s'<m/>', datetime(%d, 'unixepoch') FROM n",
             multihost ? "server_host, " : "", multihost ? "'a.example', " : "", NOW);
    raw_sql(sql);
    CHECK_INT(spool_delivered(HOST, S("u0"), raw_int("SELECT max(seq) FROM spool WHERE username = 'u0'"), NOW, NULL), STORE_OK);
    CHECK_INT(spool_delivered(HOST, S("u1"), raw_int("SELECT max(seq) - 3 FROM spool WHERE username = 'u1'"), NOW, NULL), STORE_OK);
    CHECK_INT(count(S("u1")), 1);
    until_gone("SELECT count(*) FROM spool WHERE username = 'u0'");
    until_gone("SELECT count(*) - 1 FROM spool WHERE username = 'u1'");
    CHECK_INT(raw_int("SELECT count(*) FROM spool WHERE username = 'u2'"), 10000);
    CHECK_INT(count(S("u1")), 1);
    end();
}

/* The end of the server: nothing is left for another one that takes the database (ejabberd) to deliver again. */
static void none_left_at_the_end(void *arg)
{
    use_ledger();
    deliver_two();
    end();
    CHECK_INT(raw_int("SELECT count(*) FROM spool"), 2);
}

/* Without a ledger the rows go before anything else happens. */
static void without_a_ledger(void *arg)
{
    deliver_two();
    CHECK_INT(raw_int("SELECT count(*) FROM spool"), 2);
}

/* --- kill -9 --- */

static void deliver_and_die(void *arg)
{
    struct seen s;

    use_ledger();
    s = add_some();
    raw_lock(); /* until it is dead */
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[0], NOW, NULL), STORE_OK);
    CHECK_INT(spool_delivered(HOST, ANN, s.ids[1], NOW, NULL), STORE_OK);
    _exit(0);
}

static void killed_process(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        start_store(multihost);
        run_on_fiber(1, deliver_and_die, NULL);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
}

static void starts_again(void *arg)
{
    sqlite3 *lock = raw_lock();

    use_ledger(); /* though nothing can be written */
    CHECK_INT(count(ANN), 1);
    CHECK_STR(str_of(waiting(ANN).words), S("c"));
    sqlite3_close(lock);
    until_gone("SELECT count(*) FROM spool WHERE username = 'ann' AND xml <> 'c'");
    CHECK_INT(count(BOB), 1);
    end();
}

static void had_none(void *arg)
{
    use_ledger();
    CHECK_INT(count(ANN), 3);
    end();
    CHECK_INT(raw_int("SELECT count(*) FROM spool"), 4);
}

/* The ledger as another start of the system left it: what the store has counts (store/ledger.h). */
static void other_boot(void)
{
    int fd = open(in_dir("streams.ledger"), O_RDWR);
    uint64_t n = 1;

    CHECK(fd >= 0);
    CHECK_INT(pwrite(fd, &n, sizeof(n), offsetof(struct ledger_cell, n)), sizeof(n));
    close(fd);
}

static void other_database(void)
{
    raw_sql("UPDATE spool SET created_at = '2001-01-01 00:00:00'");
}

static void other_account(void)
{
    raw_sql("UPDATE spool SET username = 'eve' WHERE username = 'bob'");
    raw_sql("UPDATE spool SET username = 'bob' WHERE username = 'ann'");
    raw_sql("UPDATE spool SET username = 'ann' WHERE username = 'eve'");
}

static void after_a_kill(void (*change)(void), void (*check)(void *))
{
    for (int new_schema = 0; new_schema <= 1; new_schema++) {
        multihost = new_schema;
        dir_setup(NULL);
        killed_process();
        if (change)
            change();
        start_store(multihost);
        run_on_fiber(1, check, NULL);
        store_stop();
        dir_teardown(NULL);
    }
}

static void all_of_bob(void *arg)
{
    use_ledger();
    CHECK_INT(count(BOB), 3);
    CHECK_INT(count(ANN), 1);
    end();
    CHECK_INT(raw_int("SELECT count(*) FROM spool"), 4);
}

static void test_kill(void **state) { after_a_kill(NULL, starts_again); }
static void test_kill_and_power_cut(void **state) { after_a_kill(other_boot, had_none); }
static void test_kill_and_other_database(void **state) { after_a_kill(other_database, had_none); }
static void test_kill_and_other_account(void **state) { after_a_kill(other_account, all_of_bob); }

AREA_TESTS(hidden_at_once, removals_count_what_is_seen, limits_count_what_is_seen, emptied, many, none_left_at_the_end,
           without_a_ledger)
AREA_MAIN(cmocka_unit_test(test_kill), cmocka_unit_test(test_kill_and_power_cut), cmocka_unit_test(test_kill_and_other_database),
          cmocka_unit_test(test_kill_and_other_account))
