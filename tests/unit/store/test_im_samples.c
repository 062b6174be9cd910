/* What ejabberd 25.03 keeps for its users, read and written over in the databases it made. */
#include "harness.h"

#include "store/account.h"
#include "store/motd.h"
#include "store/privacy.h"
#include "store/private.h"
#include "store/roster.h"
#include "store/spool.h"
#include "store/srg.h"
#include "store/vcard.h"
#include "xmpp/casefold.h"

#include <sqlite3.h>

#define HOST S("localhost")

static const struct roster_item *contact(const struct roster *r, struct str jid)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(r->items[i].jid, jid))
            return &r->items[i];
    CHECK(!"such a contact");
    return NULL;
}

static void rosters(struct arena *a)
{
    struct roster r;
    const struct roster_item *i;
    int64_t version;

    CHECK_INT(roster_load(a, HOST, S("alice"), &r), STORE_OK);
    CHECK_INT(r.version, 0);
    i = contact(&r, S("bob@localhost"));
    CHECK(i->subscription == ROSTER_BOTH && i->ask == ROSTER_ASK_NONE && i->n_groups == 2);
    CHECK_STR(i->groups[0], S("Friends"));
    CHECK_STR(i->groups[1], S("Work"));
    i = contact(&r, S("grace@localhost"));
    CHECK(i->subscription == ROSTER_TO && i->ask == ROSTER_ASK_IN);
    CHECK_STR(i->ask_message, S("ask back"));
    CHECK_STR(i->groups[1], S("\xc3\x9cn\xc3\xaf" "code \xe2\x98\x83"));
    CHECK_INT(roster_pending(a, HOST, S("alice"), &r), STORE_OK);
    CHECK_INT(r.n, 3);
    CHECK_INT(roster_set(HOST, S("alice"), &r.items[0], 1, &version), STORE_OK);
    CHECK(version > 0);
}

static bool first_one(const struct spool_message *m, void *arg)
{
    CHECK(str_starts(m->xml, S("<message xml:lang='en' to='frank@localhost'")));
    CHECK(m->stored_s > 1795430000 && m->stored_s < 1795450000);
    return false;
}

static bool has_row(const struct spool_message *m, void *arg)
{
    return true;
}

static void messages(struct arena *a)
{
    struct spool_sweep s = {.host = HOST, .expiring = true, .doomed = has_row};
    uint64_t n;

    CHECK_INT(spool_count(HOST, S("frank"), &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_INT(spool_each(HOST, S("frank"), 0, first_one, NULL), STORE_OK);
    while (!s.done)
        CHECK_INT(spool_sweep(&s, 0), STORE_OK);
    CHECK_INT(s.removed, 1);
    CHECK_INT(spool_add(HOST, S("frank"), S("<message/>"), 1795440000, 3), STORE_OK);
    CHECK_INT(spool_add(HOST, S("frank"), S("<message/>"), 1795440000, 3), STORE_LIMIT);
}

static bool fold_same(const struct vcard_found *v, void *arg)
{
    ++*(int *)arg;
    return true;
}

/* Our folding gives what ejabberd's gave: every search column of every row. */
static void folded(struct arena *a)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    int rows = 0;

    CHECK_INT(sqlite3_open(in_dir("db.sqlite"), &db), SQLITE_OK);
    CHECK_INT(sqlite3_prepare_v2(db, "SELECT fn, lfn, family, lfamily, given, lgiven, middle, lmiddle, nickname, lnickname,"
                                     " ctry, lctry, locality, llocality, email, lemail, orgname, lorgname, orgunit, lorgunit"
                                     " FROM vcard_search",
                                 -1, &s, NULL), SQLITE_OK);
    for (; sqlite3_step(s) == SQLITE_ROW; rows++)
        for (int i = 0; i < sqlite3_column_count(s); i += 2)
            CHECK_STR(casefold(a, str_of((const char *)sqlite3_column_text(s, i))),
                      str_of((const char *)sqlite3_column_text(s, i + 1)));
    CHECK(rows >= 6);
    sqlite3_finalize(s);
    sqlite3_close(db);
}

static void cards(struct arena *a)
{
    struct str patterns[VCARD_SEARCH_COUNT] = {0}, xml;
    int n = 0;

    folded(a);
    CHECK_INT(vcard_get(a, HOST, S("bob"), &xml), STORE_OK);
    CHECK(str_starts(xml, S("<vCard xmlns='vcard-temp'>")));
    patterns[VCARD_nickname] = S("\xd0\x9c\xd0\x90*");
    CHECK_INT(vcard_search(HOST, patterns, 0, fold_same, &n), STORE_OK);
    CHECK_INT(n, 1);
}

static void privacy(struct arena *a)
{
    struct privacy_list l;
    struct str name;

    CHECK_INT(privacy_get_default(a, HOST, S("bob"), &name), STORE_OK);
    CHECK_INT(privacy_get(a, HOST, S("bob"), name, &l), STORE_OK);
    CHECK_INT(l.n, 4);
    CHECK(l.items[0].type == PRIVACY_GROUP && l.items[0].allow && l.items[0].match_message && l.items[0].match_presence_in);
    CHECK(l.items[1].type == PRIVACY_JID && !l.items[1].allow && l.items[1].match_all && l.items[1].order == 3);
    CHECK(l.items[2].type == PRIVACY_SUBSCRIPTION && l.items[2].match_iq && l.items[2].match_presence_out);
    CHECK(l.items[3].type == PRIVACY_ANY && l.items[3].order == 100);
    CHECK_INT(privacy_remove(HOST, S("carol"), S("x")), STORE_OK);
    CHECK_INT(privacy_set(HOST, S("bob"), S("public"), &l, false), STORE_OK);
}

static void groups(struct arena *a)
{
    struct srg_group *g;
    struct str *members;
    size_t n;

    CHECK_INT(srg_list(a, HOST, &g, &n), STORE_OK);
    CHECK_INT(n, 4);
    for (size_t i = 0; i < n; i++)
        CHECK(!g[i].malformed);
    CHECK_STR(g[3].name, S("staff"));
    CHECK_STR(srg_opts_find(&g[3].opts, S("displayed_groups"), SRG_LIST)->items[1], S("guests"));
    CHECK_STR(srg_opts_find(&g[1].opts, S("label"), SRG_TEXT)->text, S("G\xc3\xa4ste"));
    CHECK(srg_opts_find(&g[2].opts, S("online_users"), SRG_FLAG)->on);
    CHECK_INT(srg_members(a, HOST, S("staff"), &members, &n), STORE_OK);
    CHECK_INT(n, 3);
    CHECK_INT(srg_set(HOST, S("staff"), &g[3].opts), STORE_OK);
}

static void all(void *arg)
{
    struct arena *a = arena_new();
    struct private_element *e;
    struct str xml;
    size_t n;

    rosters(a);
    messages(a);
    cards(a);
    privacy(a);
    groups(a);
    CHECK_INT(private_list(a, HOST, S("alice"), &e, &n), STORE_OK);
    CHECK_INT(n, 3);
    CHECK_STR(e[1].xml, S("<roster xmlns='roster:delimiter'>::</roster>"));
    CHECK_INT(motd_get(a, HOST, &xml), STORE_OK);
    CHECK_INT(motd_seen(HOST, S("bob")), STORE_OK);
    CHECK_INT(motd_seen(HOST, S("newcomer")), STORE_NONE);
    CHECK_INT(account_remove(HOST, S("alice"), NULL), STORE_OK);
    CHECK_INT(account_remove(HOST, S("alice"), NULL), STORE_NONE);
    arena_release(&a);
}

static void run(const char *database, bool new_schema)
{
    char cmd[512];

    snprintf(cmd, sizeof(cmd), "gzip -dc '%s/%s' > '%s'", getenv("SAMPLES"), database, in_dir("db.sqlite"));
    CHECK_INT(system(cmd), 0);
    start_store(new_schema);
    run_on_fiber(1, all, NULL);
    store_stop();
}

static void default_schema(void **state)
{
    run("default-localhost.sqlite.gz", false);
}

static void new_schema(void **state)
{
    run("new-all-hosts.sqlite.gz", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(default_schema, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(new_schema, dir_setup, dir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
