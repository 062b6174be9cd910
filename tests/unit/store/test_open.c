/* What store_start finds: nothing, ejabberd's databases, and everything that must be refused in clear words. */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

static sqlite3 *raw_open(const char *path)
{
    sqlite3 *db = NULL;

    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    return db;
}

static void raw_exec(const char *path, const char *sql)
{
    sqlite3 *db = raw_open(path);
    char *msg = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", sql, msg);
        abort();
    }
    sqlite3_close(db);
}

/* First column of all rows, joined. */
static struct str raw_read(struct arena *a, const char *path, const char *sql)
{
    sqlite3 *db = raw_open(path);
    sqlite3_stmt *s = NULL;
    struct str out = S("");

    CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW)
        out = arena_printf(a, "%.*s%s;", STR_ARG(out), (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return out;
}

static void refused(const char *path, bool multihost, enum err_code code, const char *words)
{
    struct store_config cfg = config_of(path, multihost);
    struct error err = ERROR_INIT;

    CHECK_INT(store_start(&cfg, &err), -1);
    if (err.code != code || !strstr(err.text, words) || !strstr(err.text, path)) {
        fprintf(stderr, "error is %d \"%s\", not %d \"...%s...\"\n", err.code, err.text, code, words);
        abort();
    }
}

static void accepted(const char *path, bool multihost)
{
    struct store_config cfg = config_of(path, multihost);
    struct error err = ERROR_INIT;

    if (store_start(&cfg, &err) != 0) {
        fprintf(stderr, "store_start: %s\n", err.text);
        abort();
    }
    store_stop();
}

#define ALL_VERSIONS(auth)                                                                                               \
    "cj_fast 1;cj_job 1;cj_sm 1;cj_sm_done 1;cj_stranger 1;cjabberd_api_reply 1;ejabberd_auth_sql " auth ";"             \
    "ejabberd_oauth_sql 1;mod_announce_sql 1;mod_caps_sql 1;mod_last_sql 1;mod_offline_sql 1;mod_privacy_sql 1;"          \
    "mod_private_sql 1;"                                                                                                 \
    "mod_roster_sql 1;"                                                                                                  \
    "mod_shared_roster_sql 1;mod_vcard_sql 1;"
#define VERSIONS "SELECT module || ' ' || version FROM schema_version ORDER BY module"
#define TABLES                                                                                                           \
    "('users', 'last', 'schema_version', 'oauth_token', 'oauth_client', 'rosterusers', 'rostergroups', 'roster_version',"  \
    " 'spool', 'vcard', 'vcard_search', 'private_storage', 'privacy_default_list', 'privacy_list', 'privacy_list_data',"   \
    " 'motd', 'sr_group', 'sr_user', 'caps_features')"
#define LAYOUT                                                                                                           \
    "SELECT m.name || ' ' || p.name || ' ' || p.type || ' ' || p.\"notnull\" || ' ' || coalesce(p.dflt_value, '-') || ' ' || p.pk" \
    " FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.name IN " TABLES " ORDER BY m.name, p.cid"
/* Names, uniqueness and columns; the one of ours is marked by its name. */
#define INDEXES                                                                                                          \
    "SELECT m.name || ' ' || l.name || ' ' || l.\"unique\" || ' ' || i.seqno || ' ' || coalesce(i.name, '-') FROM sqlite_master m" \
    " JOIN pragma_index_list(m.name) l JOIN pragma_index_info(l.name) i WHERE m.name IN " TABLES                          \
    " AND l.name NOT LIKE 'i_cj_%' ORDER BY m.name, l.name, i.seqno"

static void created(void **state)
{
    struct arena *a = arena_new();
    const char *path = in_dir("db");
    struct stat st;

    for (int i = 0; i < 2; i++) {
        accepted(path, true);
        CHECK_STR(raw_read(a, path, VERSIONS), S(ALL_VERSIONS("2")));
    }
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_STR(raw_read(a, path, "PRAGMA journal_mode"), S("wal;"));
    /* The log is folded in at the end. */
    CHECK(access(in_dir("db-wal"), F_OK) != 0);
    arena_release(&a);
}

static const char *unpacked(const char *name)
{
    static char cmd[512];

    snprintf(cmd, sizeof(cmd), "gzip -dc '%s/%s.gz' > '%s'", getenv("SAMPLES"), name, in_dir(name));
    CHECK_INT(system(cmd), 0);
    return in_dir(name);
}

static void same_as_ejabberds(void **state)
{
    static const char *const samples[] = {"default-localhost.sqlite", "new-all-hosts.sqlite"};
    struct arena *a = arena_new();

    for (int multihost = 0; multihost < 2; multihost++) {
        const char *own = in_dir(multihost ? "own-new" : "own-default");
        accepted(own, multihost);
        CHECK_STR(raw_read(a, own, LAYOUT), raw_read(a, unpacked(samples[multihost]), LAYOUT));
        CHECK_STR(raw_read(a, own, INDEXES), raw_read(a, in_dir(samples[multihost]), INDEXES));
    }
    arena_release(&a);
}

static void other_layout(void **state)
{
    accepted(in_dir("new"), true);
    refused(in_dir("new"), false, ERR_CONFIG, "set new_sql_schema to true");
    accepted(in_dir("default"), false);
    refused(in_dir("default"), true, ERR_CONFIG, "set new_sql_schema to false");
    accepted(in_dir("default"), false);
}

static void newer_schema(void **state)
{
    struct arena *a = arena_new();

    accepted(in_dir("db"), false);
    raw_exec(in_dir("db"), "UPDATE schema_version SET version = 3 WHERE module = 'ejabberd_auth_sql'");
    refused(in_dir("db"), false, ERR_CONFIG, "newer than this server knows");
    raw_exec(in_dir("db"), "UPDATE schema_version SET version = 1 WHERE module = 'ejabberd_auth_sql'");
    refused(in_dir("db"), false, ERR_CONFIG, "too old");
    CHECK_STR(raw_read(a, in_dir("db"), VERSIONS), S(ALL_VERSIONS("1")));
    arena_release(&a);
}

/* Tables without their row of versions, as they are before a module of ejabberd's was used, and one that is too old. */
static void no_versions(void **state)
{
    struct arena *a = arena_new();

    accepted(in_dir("db"), false);
    raw_exec(in_dir("db"), "DROP TABLE schema_version");
    accepted(in_dir("db"), false);
    CHECK_STR(raw_read(a, in_dir("db"), VERSIONS), S(ALL_VERSIONS("2")));
    raw_exec(in_dir("db"), "DROP TABLE last");
    accepted(in_dir("db"), false);
    raw_exec(in_dir("old"), "CREATE TABLE users (username text PRIMARY KEY, password text, serverkey text, salt text,"
                            " iterationcount integer, created_at text)");
    refused(in_dir("old"), false, ERR_CONFIG, "no column type");
    CHECK_STR(raw_read(a, in_dir("old"), "SELECT name FROM sqlite_master WHERE type = 'table'"), S("users;"));
    arena_release(&a);
}

static void write_file(const char *path, const char *mode, long at, const char *bytes, size_t n)
{
    FILE *f = fopen(path, mode);

    CHECK(f && fseek(f, at, SEEK_SET) == 0);
    CHECK(fwrite(bytes, 1, n, f) == n);
    fclose(f);
}

static void no_database(void **state)
{
    static char junk[8192];

    memset(junk, 'j', sizeof(junk));
    write_file(in_dir("text"), "w", 0, junk, sizeof(junk));
    refused(in_dir("text"), false, ERR_IO, "not a database");
    accepted(in_dir("damaged"), false);
    /* The schema page, behind the file header. */
    write_file(in_dir("damaged"), "r+", 100, junk, 3000);
    refused(in_dir("damaged"), false, ERR_IO, "not a database");
    refused(in_dir("no/such/folder/db"), false, ERR_IO, "No such file");
    refused(test_dir, false, ERR_IO, "unable to open");
}

static void damaged_later(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c;

    CHECK_INT(users_get(a, S("a.example"), S("u0100"), &c), STORE_UNAVAILABLE);
    arena_release(&a);
}

/* Damage behind the schema shows when it is read: an answer, not a crash. */
static void damaged_table(void **state)
{
    struct store_config cfg = config_of(in_dir("db"), false);
    struct error err = ERROR_INIT;
    static char junk[4096];
    struct arena *a = arena_new();
    struct str root;
    int64_t page;

    accepted(cfg.path, false);
    raw_exec(cfg.path, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
                       " INSERT INTO users (username, type, password) SELECT printf('u%04d', i), 1, 'secret' FROM n");
    memset(junk, 0xfe, sizeof(junk));
    root = raw_read(a, cfg.path, "SELECT rootpage FROM sqlite_master WHERE name = 'users'");
    CHECK(str_to_i64(str_n(root.p, root.n - 1), &page));
    write_file(cfg.path, "r+", (page - 1) * (long)sizeof(junk), junk, sizeof(junk));
    CHECK_INT(store_start(&cfg, &err), 0);
    run_on_fiber(1, damaged_later, NULL);
    store_stop();
    arena_release(&a);
}

static void locked(void **state)
{
    sqlite3 *other;

    accepted(in_dir("db"), false);
    other = raw_open(in_dir("db"));
    CHECK_INT(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    refused(in_dir("db"), false, ERR_UNAVAILABLE, "locked by another process");
    sqlite3_close(other);
    accepted(in_dir("db"), false);
}

/* The superuser may write everywhere, so the attempt is made as somebody else where the test runs as root. */
static void read_only(void **state)
{
    bool root = geteuid() == 0;
    const char *path = in_dir("db");

    accepted(path, false);
    CHECK_INT(chmod(path, 0444), 0);
    CHECK_INT(chmod(test_dir, 0555), 0);
    CHECK(!root || seteuid(65534) == 0);
    refused(path, false, ERR_IO, "read-only");
    refused(in_dir("none"), false, ERR_IO, "unable to open");
    CHECK(!root || seteuid(0) == 0);
    CHECK_INT(chmod(test_dir, 0700), 0);
}

static void fill_disk(void *arg)
{
    struct arena *a = arena_new();
    struct user_creds c = plain_creds(S("a password of some length, to fill the disk sooner than later"));
    enum store_rc rc = STORE_OK;
    int added = 0;
    uint64_t n;

    for (int i = 0; i < 100000 && rc == STORE_OK; i++) {
        rc = users_add(S("a.example"), arena_printf(a, "user%d", i), &c);
        added += rc == STORE_OK;
    }
    CHECK(rc == STORE_UNAVAILABLE || rc == STORE_UNCERTAIN);
    CHECK(added > 10);
    /* What was acknowledged is there, and reading goes on. */
    for (int i = 0; i < added; i++)
        CHECK_INT(users_get(a, S("a.example"), arena_printf(a, "user%d", i), &c), STORE_OK);
    CHECK_INT(users_count(S("a.example"), &n), STORE_OK);
    CHECK_INT(n, added);
    arena_release(&a);
}

static void room_again(void *arg)
{
    struct user_creds c = plain_creds(S("x"));

    CHECK_INT(users_add(S("a.example"), S("late"), &c), STORE_OK);
}

static void disk_full(void **state)
{
    struct store_config cfg = config_of(in_dir("db"), true);
    struct error err = ERROR_INIT;
    struct rlimit old, small;

    CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1 << 20;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(store_start(&cfg, &err), 0);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    run_on_fiber(1, fill_disk, NULL);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
    run_on_fiber(1, room_again, NULL);
    store_stop();
    accepted(cfg.path, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(created, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(same_as_ejabberds, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(other_layout, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(newer_schema, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(no_versions, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(no_database, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(damaged_table, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(locked, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(read_only, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(disk_full, dir_setup, dir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
