/* Private XML, privacy lists, message of the day: what an account keeps in small pieces. */
#include "area.h"

#include "store/caps.h"
#include "store/motd.h"
#include "store/privacy.h"
#include "store/private.h"

static void private_xml(void *arg)
{
    struct arena *a = arena_new();
    struct private_element two[] = {{S("storage:bookmarks"), S("<storage/>")}, {S("b"), S("<b/>")}}, *all;
    struct str xml;
    size_t n;

    CHECK_INT(private_get(a, HOST, S("ann"), S("b"), &xml), STORE_NONE);
    CHECK_INT(private_list(a, HOST, S("ann"), &all, &n), STORE_OK);
    CHECK_INT(n, 0);
    CHECK_INT(private_set(HOST, S("ann"), two, 2), STORE_OK);
    two[1].xml = S("<b>\xd0\xb1</b>");
    CHECK_INT(private_set(HOST, S("ann"), two + 1, 1), STORE_OK);
    CHECK_INT(private_get(a, HOST, S("ann"), S("b"), &xml), STORE_OK);
    CHECK_STR(xml, S("<b>\xd0\xb1</b>"));
    CHECK_INT(private_list(a, HOST, S("ann"), &all, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_STR(all[0].ns, S("b"));
    CHECK_STR(all[1].xml, S("<storage/>"));
    CHECK_INT(private_list(a, OTHER, S("ann"), &all, &n), STORE_OK);
    CHECK_INT(n, multihost ? 0 : 2);
    CHECK_INT(private_remove(HOST, S("ann"), S("b")), STORE_OK);
    CHECK_INT(private_remove(HOST, S("ann"), S("b")), STORE_NONE);
    CHECK_INT(private_remove_all(HOST, S("ann")), STORE_OK);
    CHECK_INT(private_remove_all(HOST, S("ann")), STORE_NONE);
    arena_release(&a);
}

static void private_odd(void *arg)
{
    struct arena *a = arena_new();
    struct str xml;

    for (size_t i = 0; i < ARRAY_LEN(odd_texts); i++) {
        CHECK_INT(private_set(HOST, S("ann"), &(struct private_element){odd_texts[i], odd_texts[i]}, 1), STORE_OK);
        CHECK_INT(private_get(a, HOST, S("ann"), odd_texts[i], &xml), STORE_OK);
        CHECK_STR(xml, odd_texts[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_texts); i++) {
        CHECK_INT(private_set(HOST, S("ann"), &(struct private_element){bad_texts[i], S("x")}, 1), STORE_REFUSED);
        CHECK_INT(private_set(HOST, S("ann"), &(struct private_element){S("x"), bad_texts[i]}, 1), STORE_REFUSED);
        CHECK_INT(private_get(a, HOST, S("ann"), bad_texts[i], &xml), STORE_NONE);
        CHECK_INT(private_remove(HOST, bad_texts[i], S("x")), STORE_NONE);
    }
    arena_release(&a);
}

static void privacy_lists(void *arg)
{
    struct arena *a = arena_new();
    struct privacy_item items[] = {
        {.type = PRIVACY_ANY, .value = S(""), .allow = true, .order = 100, .match_all = true},
        {.type = PRIVACY_JID, .value = S("x@b.example"), .order = 4294967295, .match_iq = true, .match_presence_out = true},
        {.type = PRIVACY_SUBSCRIPTION, .value = S("none"), .order = 3, .match_message = true, .match_presence_in = true},
    };
    struct privacy_list l = {items, 3}, found;
    struct str *names, name;
    size_t n;

    CHECK_INT(privacy_get(a, HOST, S("ann"), S("public"), &found), STORE_NONE);
    CHECK_INT(privacy_set(HOST, S("ann"), S("public"), &l, false), STORE_OK);
    CHECK_INT(privacy_set(HOST, S("ann"), S("empty"), &(struct privacy_list){0}, false), STORE_OK);
    CHECK_INT(privacy_get(a, HOST, S("ann"), S("public"), &found), STORE_OK);
    CHECK_INT(found.n, 3);
    CHECK(found.items[0].type == PRIVACY_SUBSCRIPTION && found.items[0].match_message && found.items[0].match_presence_in);
    CHECK(found.items[1].type == PRIVACY_ANY && found.items[1].allow && found.items[1].match_all && !found.items[1].match_iq);
    CHECK(found.items[2].type == PRIVACY_JID && !found.items[2].allow);
    CHECK(found.items[2].match_iq && found.items[2].match_presence_out);
    CHECK_INT(found.items[2].order, 4294967295);
    CHECK_STR(found.items[2].value, S("x@b.example"));
    CHECK_INT(privacy_get(a, HOST, S("ann"), S("empty"), &found), STORE_OK);
    CHECK_INT(found.n, 0);
    l.n = 1;
    CHECK_INT(privacy_set(HOST, S("ann"), S("public"), &l, false), STORE_OK);
    CHECK_INT(privacy_get(a, HOST, S("ann"), S("public"), &found), STORE_OK);
    CHECK_INT(found.n, 1);
    CHECK_INT(privacy_names(a, HOST, S("ann"), &names, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_STR(names[0], S("empty"));
    CHECK_INT(privacy_get_default(a, HOST, S("ann"), &name), STORE_NONE);
    CHECK_INT(privacy_set_default(HOST, S("ann"), S("nosuch")), STORE_NONE);
    CHECK_INT(privacy_set_default(HOST, S("ann"), S("empty")), STORE_OK);
    CHECK_INT(privacy_remove(HOST, S("ann"), S("empty")), STORE_CONFLICT);
    CHECK_INT(privacy_set(HOST, S("ann"), S("public"), &l, true), STORE_OK);
    CHECK_INT(privacy_get_default(a, HOST, S("ann"), &name), STORE_OK);
    CHECK_STR(name, S("public"));
    CHECK_INT(privacy_remove(HOST, S("ann"), S("empty")), STORE_OK);
    CHECK_INT(privacy_remove(HOST, S("ann"), S("empty")), STORE_NONE);
    CHECK_INT(privacy_unset_default(HOST, S("ann")), STORE_OK);
    CHECK_INT(privacy_unset_default(HOST, S("ann")), STORE_NONE);
    CHECK_INT(privacy_remove_all(HOST, S("ann")), STORE_OK);
    CHECK_INT(privacy_remove_all(HOST, S("ann")), STORE_NONE);
    CHECK_INT(raw_int("SELECT count(*) FROM privacy_list_data"), 0);
    arena_release(&a);
}

/* Lists of different people never touch each other, also when one is taken away. */
static void privacy_apart(void *arg)
{
    struct arena *a = arena_new();
    struct privacy_item item = {.type = PRIVACY_GROUP, .value = S("Friends"), .order = 1, .match_all = true};
    struct privacy_list l = {&item, 1}, found;

    for (size_t i = 0; i < ARRAY_LEN(odd_texts); i++)
        CHECK_INT(privacy_set(HOST, odd_texts[i], odd_texts[i], &l, true), STORE_OK);
    CHECK_INT(privacy_remove_all(HOST, odd_texts[0]), STORE_OK);
    for (size_t i = 1; i < ARRAY_LEN(odd_texts); i++) {
        CHECK_INT(privacy_get(a, HOST, odd_texts[i], odd_texts[i], &found), STORE_OK);
        CHECK_INT(found.n, 1);
        CHECK_INT(privacy_get(a, OTHER, odd_texts[i], odd_texts[i], &found), multihost ? STORE_NONE : STORE_OK);
    }
    item.value = bad_texts[0];
    CHECK_INT(privacy_set(HOST, S("ann"), S("l"), &l, true), STORE_REFUSED);
    arena_release(&a);
}

static void motd(void *arg)
{
    struct arena *a = arena_new();
    struct str xml;

    CHECK_INT(motd_get(a, HOST, &xml), STORE_NONE);
    CHECK_INT(motd_remove(HOST), STORE_NONE);
    CHECK_INT(motd_set(HOST, S("<message>\xd0\xb4</message>"), false), STORE_OK);
    CHECK_INT(motd_get(a, HOST, &xml), STORE_OK);
    CHECK_STR(xml, S("<message>\xd0\xb4</message>"));
    CHECK_INT(motd_seen(HOST, S("ann")), STORE_NONE);
    CHECK_INT(motd_set_seen(HOST, S("ann")), STORE_OK);
    CHECK_INT(motd_set_seen(HOST, S("ann")), STORE_OK);
    CHECK_INT(motd_seen(HOST, S("ann")), STORE_OK);
    CHECK_INT(motd_seen(OTHER, S("ann")), multihost ? STORE_NONE : STORE_OK);
    /* The empty name is the message's row. */
    CHECK_INT(motd_set_seen(HOST, S("")), STORE_OK);
    CHECK_INT(motd_seen(HOST, S("")), STORE_NONE);
    CHECK_INT(motd_set(HOST, S("<message>2</message>"), true), STORE_OK);
    CHECK_INT(motd_seen(HOST, S("ann")), STORE_OK);
    CHECK_INT(motd_set(HOST, S("<message>3</message>"), false), STORE_OK);
    CHECK_INT(motd_seen(HOST, S("ann")), STORE_NONE);
    CHECK_INT(motd_get(a, HOST, &xml), STORE_OK);
    CHECK_STR(xml, S("<message>3</message>"));
    CHECK_INT(motd_set(HOST, bad_texts[0], false), STORE_REFUSED);
    CHECK_INT(motd_remove(HOST), STORE_OK);
    CHECK_INT(motd_get(a, HOST, &xml), STORE_NONE);
    arena_release(&a);
}

static void caps(void *arg)
{
    struct arena *a = arena_new();
    const struct str two[] = {S("a"), S("b")}, bad[] = {S("a"), bad_texts[0]};
    struct str *found;
    size_t n;

    CHECK_INT(caps_get(a, S("node"), S("ver"), 10, &found, &n), STORE_NONE);
    CHECK_INT(caps_set(S("node"), S("ver"), two, 2), STORE_OK);
    CHECK_INT(caps_set(S("node"), S("other"), odd_texts, ARRAY_LEN(odd_texts)), STORE_OK);
    CHECK_INT(caps_get(a, S("node"), S("ver"), 10, &found, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_STR(found[0], S("a"));
    CHECK_STR(found[1], S("b"));
    CHECK_INT(caps_get(a, S("node"), S("other"), 100, &found, &n), STORE_OK);
    CHECK_INT(n, ARRAY_LEN(odd_texts));
    CHECK_INT(caps_get(a, S("node"), S("other"), 1, &found, &n), STORE_OK);
    CHECK_INT(n, 1);
    /* All or nothing; again replaces. */
    CHECK_INT(caps_set(S("node"), S("ver"), bad, 2), STORE_REFUSED);
    CHECK_INT(caps_set(S("node"), S("ver"), two, 1), STORE_OK);
    CHECK_INT(caps_get(a, S("node"), S("ver"), 10, &found, &n), STORE_OK);
    CHECK_INT(n, 1);
    CHECK_INT(caps_get(a, S("node"), bad_texts[0], 10, &found, &n), STORE_NONE);
    arena_release(&a);
}

/* Whoever announces ever new hashes does not fill the disk. */
static void caps_bounded(void *arg)
{
    const struct str one = S("a");

    CHECK_INT(caps_set(S("node"), S("ver"), &one, 1), STORE_OK);
    raw_sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO caps_features "
            "(node, subnode, feature, created_at) SELECT 'x', i, 'f', datetime('2020-01-01', '+' || i || ' seconds') FROM n");
    CHECK_INT(caps_set(S("node"), S("newer"), &one, 1), STORE_OK);
    CHECK_INT(raw_int("SELECT count(*) < 160000 FROM caps_features"), 1);
    CHECK_INT(raw_int("SELECT count(*) FROM caps_features WHERE node = 'node'"), 2);
}

AREA_TESTS(private_xml, private_odd, privacy_lists, privacy_apart, motd, caps, caps_bounded)
AREA_MAIN()
