/* Counts that follow the writes, and when they are not known. */
#include "area.h"

#include "store/account.h"
#include "store/last.h"
#include "store/privacy.h"
#include "store/private.h"
#include "store/roster.h"
#include "store/spool.h"
#include "store/tally.h"
#include "store/users.h"
#include "store/vcard.h"

#define NOW 1700000000

static uint64_t known(struct tally_key k)
{
    uint64_t n;

    return tally_get(k, &n, NULL) ? n : UINT64_MAX;
}

static struct tally_key fresh(void)
{
    tally_reset(true);
    return tally_key(TALLY_SPOOL, HOST, S("ann"));
}

static void follows(void **state)
{
    struct tally_key k = fresh();

    CHECK(known(k) == UINT64_MAX);
    tally_set(k, tally_look(k), 7);
    CHECK_INT(known(k), 7);
    CHECK(known(tally_key(TALLY_SPOOL, OTHER, S("ann"))) == UINT64_MAX);
    CHECK(known(tally_key(TALLY_USERS, HOST, S("ann"))) == UINT64_MAX);
    tally_begin(k);
    CHECK_INT(known(k), 7);
    tally_end(k, STORE_OK, 3);
    CHECK_INT(known(k), 10);
    tally_begin(k);
    tally_end(k, STORE_UNAVAILABLE, 1);
    CHECK_INT(known(k), 10);
    tally_begin(k);
    tally_end(k, STORE_UNCERTAIN, 1);
    CHECK(known(k) == UINT64_MAX);
}

/* A write between looking and setting, around either of them, or of somebody who does not say whose it is. */
static void crossed(void **state)
{
    struct tally_key k = fresh();
    uint64_t look = tally_look(k);

    tally_begin(k);
    tally_set(k, look, 1);
    CHECK(known(k) == UINT64_MAX);
    look = tally_look(k);
    tally_set(k, look, 1);
    CHECK(known(k) == UINT64_MAX);
    tally_end(k, STORE_OK, 1);
    tally_set(k, look, 1);
    CHECK(known(k) == UINT64_MAX);
    look = tally_look(k);
    tally_begin_all(TALLY_SPOOL);
    tally_set(k, look, 1);
    CHECK(known(k) == UINT64_MAX);
    tally_end_all(TALLY_SPOOL);
    tally_set(k, look, 1);
    CHECK(known(k) == UINT64_MAX);
    look = tally_look(k);
    tally_forget(k);
    tally_set(k, look, 1);
    CHECK(known(k) == UINT64_MAX);
    tally_set(k, tally_look(k), 1);
    CHECK_INT(known(k), 1);
}

static void check_spool(struct str user, const char *sql)
{
    uint64_t n;

    CHECK_INT(spool_count(HOST, user, &n), STORE_OK);
    CHECK_INT(n, raw_int(sql));
}
#define SPOOL_OF(name) check_spool(S(name), "SELECT count(*) FROM spool WHERE username = '" name "'")

static bool first_two(const struct spool_message *m, void *arg)
{
    int64_t *ids = arg;

    ids[0] = ids[1];
    ids[1] = m->id;
    return ids[0] == 0;
}

/* Whatever writes to it, the count is that of the table. */
static void messages(void *arg)
{
    int64_t ids[2] = {0, 0};
    uint64_t n;
    struct spool_sweep sweep = {.host = HOST};

    SPOOL_OF("ann");
    for (int i = 0; i < 6; i++)
        CHECK_INT(spool_add(HOST, S("ann"), S("<m/>"), NOW, 6), STORE_OK);
    CHECK_INT(spool_add(HOST, S("ann"), S("<m/>"), NOW, 6), STORE_LIMIT);
    CHECK_INT(spool_add(HOST, S("bob"), S("<m/>"), NOW, 0), STORE_OK);
    SPOOL_OF("ann");
    SPOOL_OF("bob");
    CHECK_INT(spool_each(HOST, S("ann"), 0, first_two, ids), STORE_OK);
    CHECK_INT(spool_remove_upto(HOST, S("ann"), ids[0], &n), STORE_OK);
    SPOOL_OF("ann");
    CHECK_INT(spool_remove(HOST, S("ann"), &ids[1], 1, &n), STORE_OK);
    SPOOL_OF("ann");
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_OK);
    SPOOL_OF("ann");
    while (!sweep.done)
        CHECK_INT(spool_sweep(&sweep, 0), STORE_OK);
    SPOOL_OF("bob");
    CHECK_INT(spool_add(HOST, S("bob"), S("<m/>"), NOW, 0), STORE_OK);
    SPOOL_OF("bob");
    CHECK_INT(spool_remove_all(HOST, S("bob"), &n), STORE_OK);
    SPOOL_OF("bob");
}

static void check_users(void)
{
    uint64_t n;

    CHECK_INT(users_count(HOST, &n), STORE_OK);
    CHECK_INT(n, raw_int("SELECT count(DISTINCT username) FROM users"));
}

static void accounts(void *arg)
{
    struct user_creds creds = {.has_plain = true, .plain = S("secret")};

    check_users();
    CHECK_INT(users_add(HOST, S("ann"), &creds), STORE_OK);
    CHECK_INT(users_add(HOST, S("bob"), &creds), STORE_OK);
    CHECK_INT(users_add(HOST, S("cid"), &creds), STORE_OK);
    CHECK_INT(users_add(HOST, S("ann"), &creds), STORE_CONFLICT);
    check_users();
    CHECK_INT(users_set(HOST, S("bob"), &creds), STORE_OK);
    check_users();
    CHECK_INT(account_remove(HOST, S("bob"), NULL), STORE_OK);
    CHECK_INT(account_remove(HOST, S("bob"), NULL), STORE_NONE);
    check_users();
}

/* What is known to be absent comes into sight with whoever writes it. */
static void elements(void *arg)
{
    struct user_creds creds = {.has_plain = true, .plain = S("secret")};
    struct private_element e = {S("x:y"), S("<x/>")}, other = {S("o:p"), S("<o/>")};
    struct arena *a = arena_new();
    struct str xml;

    CHECK_INT(users_add(HOST, S("ann"), &creds), STORE_OK);
    for (int i = 0; i < 2; i++)
        CHECK_INT(private_get(a, HOST, S("ann"), e.ns, &xml), STORE_NONE);
    CHECK_INT(private_set(HOST, S("ann"), &other, 1), STORE_OK);
    CHECK_INT(private_get(a, HOST, S("ann"), e.ns, &xml), STORE_NONE);
    CHECK_INT(private_set(HOST, S("ann"), &e, 1), STORE_OK);
    CHECK_INT(private_get(a, HOST, S("ann"), e.ns, &xml), STORE_OK);
    CHECK_INT(private_remove(HOST, S("ann"), e.ns), STORE_OK);
    CHECK_INT(private_get(a, HOST, S("ann"), e.ns, &xml), STORE_NONE);
    CHECK_INT(users_set_with(HOST, S("ann"), &creds, &e, NULL), STORE_OK);
    CHECK_INT(private_get(a, HOST, S("ann"), e.ns, &xml), STORE_OK);
    CHECK_INT(private_get(a, HOST, S("ann"), other.ns, &xml), STORE_OK);
    arena_release(&a);
}

/* The same for what else every login looks for. */
static void absent(void *arg)
{
    static const struct str fields[VCARD_FIELD_COUNT];
    struct roster_item i = {.jid = S("bob@b.example"), .subscription = ROSTER_BOTH, .ask = ROSTER_ASK_NONE};
    struct arena *a = arena_new();
    struct str xml, *names;
    struct roster r;
    size_t n;

    for (int k = 0; k < 2; k++) {
        CHECK_INT(vcard_get(a, HOST, S("ann"), &xml), STORE_NONE);
        CHECK_INT(privacy_names(a, HOST, S("ann"), &names, &n), STORE_OK);
        CHECK_INT(n, 0);
        CHECK_INT(roster_load(a, HOST, S("ann"), &r), STORE_OK);
        CHECK(r.n == 0 && r.version == 0);
    }
    CHECK_INT(vcard_set(HOST, S("ann"), S("<v/>"), fields), STORE_OK);
    CHECK_INT(vcard_get(a, HOST, S("ann"), &xml), STORE_OK);
    CHECK_INT(privacy_set(HOST, S("ann"), S("list"), &(struct privacy_list){0}, false), STORE_OK);
    CHECK_INT(privacy_names(a, HOST, S("ann"), &names, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(roster_set(HOST, S("ann"), &i, 1, NULL), STORE_OK);
    CHECK_INT(roster_load(a, HOST, S("ann"), &r), STORE_OK);
    CHECK(r.n == 1 && r.version > 0);
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_OK);
    CHECK_INT(vcard_get(a, HOST, S("ann"), &xml), STORE_NONE);
    CHECK_INT(roster_load(a, HOST, S("ann"), &r), STORE_OK);
    CHECK_INT(r.n, 0);
    arena_release(&a);
}

/* A sign of life is written when there was none for a while, and after everything that may have written something older. */
static void signs_of_life(void *arg)
{
    struct arena *a = arena_new();
    struct str words;
    int64_t at;

    last_note_later(HOST, S("ann"), NOW);
    last_note_later(HOST, S("ann"), NOW + 60);
    CHECK_INT(last_get(a, HOST, S("ann"), &at, &words), STORE_OK);
    CHECK_INT(at, NOW);
    last_note_later(HOST, S("ann"), NOW + 3700);
    CHECK_INT(last_get(a, HOST, S("ann"), &at, &words), STORE_OK);
    CHECK_INT(at, NOW + 3700);
    CHECK_INT(last_set(HOST, S("ann"), 1, S("")), STORE_OK);
    last_note_later(HOST, S("ann"), NOW + 3701);
    CHECK_INT(last_get(a, HOST, S("ann"), &at, &words), STORE_OK);
    CHECK_INT(at, NOW + 3701);
    CHECK_INT(account_remove(HOST, S("ann"), NULL), STORE_OK);
    last_note_later(HOST, S("ann"), NOW + 3702);
    CHECK_INT(last_get(a, HOST, S("ann"), &at, &words), STORE_OK);
    arena_release(&a);
}

/* In the default schema the same rows are those of every host. */
static void hosts(void *arg)
{
    uint64_t n;

    CHECK_INT(spool_count(OTHER, S("ann"), &n), STORE_OK);
    CHECK_INT(n, 0);
    CHECK_INT(spool_add(HOST, S("ann"), S("<m/>"), NOW, 0), STORE_OK);
    CHECK_INT(spool_count(OTHER, S("ann"), &n), STORE_OK);
    CHECK_INT(n, multihost ? 0 : 1);
}

AREA_TESTS(messages, accounts, elements, absent, signs_of_life, hosts)
AREA_MAIN(cmocka_unit_test(follows), cmocka_unit_test(crossed))
