/* Who sees whom by shared roster groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "mod/api/srg_view.h"


#define OPTS(...) (struct srg_opt[]){__VA_ARGS__}
#define NAMES(...) (struct str[]){__VA_ARGS__}
#define SHOWS(...) {.name = S("displayed_groups"), .kind = SRG_LIST, .items = NAMES(__VA_ARGS__), \
                    .n = sizeof(NAMES(__VA_ARGS__)) / sizeof(struct str)}
#define FLAG(word) {.name = S(word), .kind = SRG_FLAG, .on = true}
#define LABEL(words) {.name = S("label"), .kind = SRG_TEXT, .text = S(words)}
#define GROUP(id, ...) {.name = S(id), .opts = {OPTS(__VA_ARGS__), sizeof(OPTS(__VA_ARGS__)) / sizeof(struct srg_opt)}}
#define MEMBERS(...) {NAMES(__VA_ARGS__), sizeof(NAMES(__VA_ARGS__)) / sizeof(struct str)}

static struct str who_is_online;

static bool online(struct str jid)
{
    return str_eq(jid, who_is_online);
}

/* What an account sees, as "jid<>Label,Label jid>Label jid<". */
static struct str seen(struct arena *a, const struct srg_view *v, struct str self)
{
    struct srg_eye e;
    struct srg_item i, again;
    struct str out = S("");
    srg_eye_open(&e, v, a, self, online, online(self));
    while (srg_eye_next(&e, &i)) {
        struct srg_eye other;
        out = arena_printf(a, "%.*s%s%.*s%s%s", STR_ARG(out), out.n ? " " : "", STR_ARG(i.jid), i.from ? "<" : "", i.to ? ">" : "");
        for (size_t k = 0; k < i.n_labels; k++)
            out = arena_printf(a, "%.*s%s%.*s", STR_ARG(out), k ? "," : "", STR_ARG(i.labels[k]));
        srg_eye_open(&other, v, a, self, online, online(self));
        assert_true(srg_eye_look(&other, i.jid, &again));
        assert_int_equal(srg_item_hash(&again), srg_item_hash(&i));
        srg_eye_open(&other, v, a, i.jid, online, online(i.jid));
        assert_true(srg_eye_look(&other, self, &again)); /* the same from the other side */
        assert_int_equal(again.to, i.from);
        assert_int_equal(again.from, i.to);
    }
    return out;
}

static void check(const struct srg_view *v, struct str self, const char *want)
{
    struct arena *a = arena_new();
    assert_string_equal(arena_cstr(a, seen(a, v, self)), want);
    arena_release(&a);
}

static void groups_show_groups(void **state)
{
    const struct srg_group groups[] = {
        GROUP("bosses", LABEL("Bosses"), SHOWS(S("workers"), S("workers"), S("gone"), S("off"))),
        GROUP("off", FLAG("disabled"), SHOWS(S("bosses"), S("off"))),
        GROUP("team", LABEL("Team"), SHOWS(S("team"))),
        GROUP("workers", LABEL("")),
    };
    const struct srg_members members[] = {
        MEMBERS(S("b@h")), MEMBERS(S("x@h"), S("y@h")), MEMBERS(S("w@h"), S("b@h"), S("W@h"), S("no@such@address")),
        MEMBERS(S("w@h"), S("v@h"))};
    struct srg_view *v = srg_view_new(groups, members, 4, NULL, 0);
    assert_false(v->everybody);
    check(v, S("b@h"), "v@h>workers w@h<>Team,workers");
    check(v, S("w@h"), "b@h<>Team");
    check(v, S("v@h"), "b@h<");
    check(v, S("x@h"), "");
    check(v, S("stranger@h"), "");
    srg_view_release(&v);
    assert_null(v);
}

static void everybody(void **state)
{
    const struct srg_group groups[] = {
        GROUP("all", LABEL("All"), FLAG("all_users"), SHOWS(S("help"))),
        GROUP("help", LABEL("Help"), SHOWS(S("all"))),
    };
    const struct srg_members members[] = {{NULL, 0}, MEMBERS(S("h@h"), S("far@away"))};
    const struct str accounts[] = {S("h@h"), S("b@h"), S("a@h")};
    struct srg_view *v = srg_view_new(groups, members, 2, accounts, 3);
    assert_true(srg_needs_accounts(groups, 2));
    assert_true(v->everybody && !v->online);
    check(v, S("a@h"), "far@away<>Help h@h<>Help");
    check(v, S("h@h"), "a@h<>All b@h<>All far@away<>Help");
    check(v, S("c@h"), "");
    srg_view_release(&v);
}

/* As ejabberd's srg_set_info writes it: a text. */
static void flag_as_text(void **state)
{
    const struct srg_group groups[] = {
        GROUP("all", {.name = S("all_users"), .kind = SRG_TEXT, .text = S("true")}, SHOWS(S("all")))};
    static const struct srg_members members[1];
    const struct str accounts[] = {S("a@h"), S("b@h")};
    struct srg_view *v = srg_view_new(groups, members, 1, accounts, 2);
    check(v, S("a@h"), "b@h<>all");
    srg_view_release(&v);
}

static void those_online(void **state)
{
    const struct srg_group groups[] = {
        GROUP("desk", LABEL("Desk"), SHOWS(S("now"))), GROUP("now", LABEL("Now"), FLAG("online_users"), SHOWS(S("desk")))};
    const struct srg_members members[] = {MEMBERS(S("d@h")), {NULL, 0}};
    const struct str accounts[] = {S("a@h"), S("b@h"), S("d@h")};
    struct srg_view *v = srg_view_new(groups, members, 2, accounts, 3);
    assert_true(v->online);
    check(v, S("d@h"), "");
    who_is_online = S("b@h");
    check(v, S("d@h"), "b@h<>Now");
    check(v, S("b@h"), "d@h<>Desk");
    check(v, S("a@h"), "");
    who_is_online = STR_NULL;
    srg_view_release(&v);
}

static void nothing(void **state)
{
    struct srg_view *v = srg_view_new(NULL, NULL, 0, NULL, 0);
    check(v, S("a@h"), "");
    srg_view_release(&v);
}

static void hashes_tell_items_apart(void **state)
{
    struct str one[] = {S("One"), S("Two")}, two[] = {S("Two"), S("One")};
    struct srg_item a = {S("a@h"), true, true, one, 2}, b = {S("b@h"), true, true, one, 2}, c = {S("a@h"), true, false, one, 2},
                    d = {S("a@h"), true, true, two, 2}, none = {S("a@h"), false, true, NULL, 0};
    assert_int_not_equal(srg_item_hash(&a), srg_item_hash(&b));
    assert_int_not_equal(srg_item_hash(&a), srg_item_hash(&c));
    assert_int_not_equal(srg_item_hash(&a), srg_item_hash(&d));
    assert_int_equal(srg_item_hash(&none), 0); /* rosters do not show it */
}

#define MANY 10000

/* What one account sees of a group of everybody costs no memory of its own. */
static void ten_thousand(void **state)
{
    const struct srg_group groups[] = {GROUP("all", LABEL("All"), FLAG("all_users"), SHOWS(S("all")))};
    static const struct srg_members members[1];
    struct arena *a = arena_new(), *scratch = arena_new();
    struct str *accounts = ARENA_ARRAY(a, struct str, MANY);
    for (unsigned i = 0; i < MANY; i++)
        accounts[i] = arena_printf(a, "user%u@example.com", i);
    struct srg_view *v = srg_view_new(groups, members, 1, accounts, MANY);
    assert_true(arena_size(v->arena) < 200 * MANY);
    size_t before = arena_size(scratch);
    for (unsigned k = 0; k < 10; k++) {
        struct srg_eye e;
        struct srg_item i;
        struct str last = S("");
        size_t n = 0;
        srg_eye_open(&e, v, scratch, accounts[k], NULL, false);
        for (; srg_eye_next(&e, &i); n++) {
            assert_true(str_cmp(last, i.jid) < 0);
            last = i.jid;
        }
        assert_int_equal(n, MANY - 1);
    }
    assert_true(arena_size(scratch) - before < 8192);
    srg_view_release(&v);
    arena_release(&scratch);
    arena_release(&a);
}

static enum srg_difference compare(const struct srg_group *g, const struct srg_members *m, const struct srg_group *g2,
                                   const struct srg_members *m2, const struct str *accounts, size_t n, size_t n2, const char *who)
{
    struct srg_view *a = srg_view_new(g, m, 2, accounts, n), *b = srg_view_new(g2, m2, 2, accounts, n2);
    struct str one = STR_NULL, other = STR_NULL;
    enum srg_difference d = srg_view_difference(a, b, &one);
    assert_int_equal(srg_view_difference(b, a, &other), d);
    if (d == SRG_ONE)
        assert_true(str_eq(one, str_of(who)) && str_eq(other, one));
    srg_view_release(&a);
    srg_view_release(&b);
    return d;
}

static void difference_of_views(void **state)
{
    const struct srg_group two[] = {GROUP("a", LABEL("A")), GROUP("b", LABEL("B"))};
    const struct srg_group label[] = {two[0], GROUP("b", LABEL("C"))}, shows[] = {GROUP("a", LABEL("A"), SHOWS(S("b"))), two[1]};
    const struct srg_group all[] = {GROUP("a", FLAG("all_users")), two[1]};
    const struct srg_members m[] = {MEMBERS(S("x@h"), S("y@h")), MEMBERS(S("y@h"))};
    const struct srg_members gone[] = {MEMBERS(S("x@h")), m[1]}, last[] = {m[0], MEMBERS(S("y@h"), S("z@h"))};
    const struct srg_members swapped[] = {MEMBERS(S("y@h")), MEMBERS(S("x@h"))};
    const struct str accounts[] = {S("p@h"), S("q@h"), S("r@h")};
    assert_int_equal(compare(two, m, two, m, NULL, 0, 0, NULL), SRG_ALIKE);
    assert_int_equal(compare(two, m, two, gone, NULL, 0, 0, "y@h"), SRG_ONE);
    assert_int_equal(compare(two, m, two, last, NULL, 0, 0, "z@h"), SRG_ONE);
    assert_int_equal(compare(two, m, two, swapped, NULL, 0, 0, NULL), SRG_ANY);
    assert_int_equal(compare(two, m, label, m, NULL, 0, 0, NULL), SRG_ANY);
    assert_int_equal(compare(two, m, shows, m, NULL, 0, 0, NULL), SRG_ANY);
    assert_int_equal(compare(two, m, all, m, NULL, 0, 0, NULL), SRG_ANY);
    assert_int_equal(compare(all, m, all, m, accounts, 2, 3, "r@h"), SRG_ONE);
    assert_int_equal(compare(all, m, all, m, accounts, 1, 3, NULL), SRG_ANY);
}

static enum srg_belongs belongs(const struct srg_view *v, struct str group, struct str jid)
{
    struct str h = jid_host(srg_jid(jid));
    return srg_view_belongs(v, group, srg_jid(jid), str_eq(h, S("h")), online(jid));
}

static void who_belongs(void **state)
{
    const struct srg_group groups[] = {GROUP("all", FLAG("all_users")), GROUP("off", FLAG("disabled"), FLAG("all_users")),
                                       GROUP("on", FLAG("online_users")), GROUP("team")};
    const struct srg_members members[] = {MEMBERS(S("guest@other")), MEMBERS(S("a@h")), MEMBERS(S("b@h")), MEMBERS(S("a@h"))};
    struct srg_view *v = srg_view_new(groups, members, 4, NAMES(S("a@h"), S("b@h"), S("c@h")), 3);
    who_is_online = S("c@h");
    assert_int_equal(belongs(v, S("team"), S("a@h")), SRG_INSIDE);
    assert_int_equal(belongs(v, S("team"), S("b@h")), SRG_OUTSIDE);
    assert_int_equal(belongs(v, S("team"), S("a@other")), SRG_OUTSIDE);
    assert_int_equal(belongs(v, S("all"), S("c@h")), SRG_INSIDE);
    assert_int_equal(belongs(v, S("all"), S("guest@other")), SRG_INSIDE);
    assert_int_equal(belongs(v, S("all"), S("new@h")), SRG_STRANGER); /* no account, or none that is listed yet */
    assert_int_equal(belongs(v, S("all"), S("new@other")), SRG_OUTSIDE);
    assert_int_equal(belongs(v, S("on"), S("b@h")), SRG_INSIDE);
    assert_int_equal(belongs(v, S("on"), S("c@h")), SRG_INSIDE);
    assert_int_equal(belongs(v, S("on"), S("a@h")), SRG_OUTSIDE);
    assert_int_equal(belongs(v, S("off"), S("a@h")), SRG_OUTSIDE);
    assert_int_equal(belongs(v, S("none"), S("a@h")), SRG_OUTSIDE);
    srg_view_release(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_show_groups), cmocka_unit_test(everybody), cmocka_unit_test(flag_as_text),
        cmocka_unit_test(those_online), cmocka_unit_test(nothing), cmocka_unit_test(hashes_tell_items_apart),
        cmocka_unit_test(ten_thousand), cmocka_unit_test(difference_of_views),
        cmocka_unit_test(who_belongs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
