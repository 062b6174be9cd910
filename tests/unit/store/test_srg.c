/* Shared roster groups, and the Erlang text of their options. */
#include "area.h"

#include "store/srg.h"

static struct str again(struct arena *a, struct str text)
{
    struct srg_opts o;

    CHECK(srg_opts_parse(a, text, &o));
    return srg_opts_write(a, &o);
}

/* As ejabberd 25.03 has written them. */
static void recorded(void **state)
{
    static const char *const texts[] = {
        "[{description,<<\"set later\">>},{label,<<\"G\xc3\xa4ste\">>},{displayed_groups,[]}]",
        "[{label,<<\"Staff\">>},{displayed_groups,[<<\"staff\">>,<<\"guests\">>]},{description,<<\"All & <staff>\">>}]",
        "[{label,<<\"Everyone\">>},{displayed_groups,[<<\"everyone\">>]},{description,<<\"a\\nb\">>},{all_users,true}]",
        "[{label,<<>>},{displayed_groups,[]},{description,<<>>}]",
        "[]",
    };
    struct arena *a = arena_new();

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        CHECK_STR(again(a, str_of(texts[i])), str_of(texts[i]));
    arena_release(&a);
}

#define MIXED "[{label,<<208,147,209,128>>},{description,<<\"q\\\"\\\\\\t\">>},{online_users,true},{disabled,false}]"

static void values(void **state)
{
    struct arena *a = arena_new();
    struct srg_opts o;
    const struct srg_opt *opt;

    CHECK(srg_opts_parse(a, S(MIXED), &o));
    CHECK_STR(srg_opts_find(&o, S("label"), SRG_TEXT)->text, S("\xd0\x93\xd1\x80"));
    CHECK_STR(srg_opts_find(&o, S("description"), SRG_TEXT)->text, S("q\"\\\t"));
    CHECK(srg_opts_find(&o, S("online_users"), SRG_FLAG)->on && !srg_opts_find(&o, S("disabled"), SRG_FLAG)->on);
    CHECK(!srg_opts_find(&o, S("label"), SRG_LIST) && !srg_opts_find(&o, S("nosuch"), SRG_TEXT));
    /* Bytes that Latin-1 does not print are numbers again. */
    CHECK_STR(srg_opts_write(a, &o), S(MIXED));
    CHECK(srg_opts_parse(a, S(" [ { label , << \"a\" , 98 >> } , {'Odd one',<<\"\\x{44f}\"/utf8>>} ] .\n"), &o));
    CHECK_STR(o.opts[0].text, S("ab"));
    CHECK_STR(o.opts[1].name, S("Odd one"));
    CHECK_STR(o.opts[1].text, S("\xd1\x8f"));
    CHECK_STR(srg_opts_write(a, &o), S("[{label,<<\"ab\">>},{'Odd one',<<209,143>>}]"));
    /* What is not understood is carried along. */
    CHECK(srg_opts_parse(a, S("[{x,{a,[1,\"],\"],'}'}},{y,-5.0},{label,<<255>>}]"), &o));
    opt = srg_opts_find(&o, S("x"), SRG_OTHER);
    CHECK_STR(opt->text, S("{a,[1,\"],\"],'}'}"));
    CHECK_STR(srg_opts_write(a, &o), S("[{x,{a,[1,\"],\"],'}'}},{y,-5.0},{label,<<255>>}]"));
    arena_release(&a);
}

static void malformed(void **state)
{
    static const char *const texts[] = {
        "", "[", "]", "[{label,<<\"a\">>}", "[{label,<<\"a\">>}] x", "[{label}]", "{label,<<>>}", "[label]", "[{label,<<\"a>>}]",
        "[{label,<<256>>}]x", "[{x,[}]", "[{x,}]", "[{x,<<\"\\", "[{,a}]", "[{x,[1,[2]}]",
    };
    struct arena *a = arena_new();
    struct srg_opts o;
    char deep[400];

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (srg_opts_parse(a, str_of(texts[i]), &o)) {
            fprintf(stderr, "taken: %s\n", texts[i]);
            abort();
        }
    memcpy(deep, "[{x,", 4);
    memset(deep + 4, '[', 396);
    CHECK(!srg_opts_parse(a, str_n(deep, sizeof(deep)), &o));
    CHECK_INT(o.n, 0);
    arena_release(&a);
}

static void changes(void **state)
{
    struct arena *a = arena_new();
    struct srg_opts o;

    CHECK(srg_opts_parse(a, S("[{label,<<\"a\">>},{all_users,true}]"), &o));
    srg_opts_put(a, &o, &(struct srg_opt){.name = S("all_users"), .kind = SRG_FLAG, .on = false});
    srg_opts_put(a, &o, &(struct srg_opt){.name = S("description"), .kind = SRG_TEXT, .text = S("d")});
    CHECK_STR(srg_opts_write(a, &o), S("[{description,<<\"d\">>},{all_users,false},{label,<<\"a\">>}]"));
    CHECK(srg_opts_drop(&o, S("all_users")) && !srg_opts_drop(&o, S("all_users")));
    CHECK_STR(srg_opts_write(a, &o), S("[{description,<<\"d\">>},{label,<<\"a\">>}]"));
    arena_release(&a);
}

static void groups(void *arg)
{
    struct arena *a = arena_new();
    struct srg_opt label = {.name = S("label"), .kind = SRG_TEXT, .text = S("\xd0\x9b")};
    struct srg_group g, *all;
    struct str *names;
    size_t n;

    CHECK_INT(srg_get(a, HOST, S("staff"), &g), STORE_NONE);
    CHECK_INT(srg_set(HOST, S("staff"), &(struct srg_opts){&label, 1}), STORE_OK);
    CHECK_INT(srg_set(HOST, S("guests"), &(struct srg_opts){0}), STORE_OK);
    CHECK_INT(srg_add_member(HOST, S("staff"), S("bob@a.example")), STORE_OK);
    CHECK_INT(srg_add_member(HOST, S("staff"), S("ann@a.example")), STORE_OK);
    CHECK_INT(srg_add_member(HOST, S("staff"), S("ann@a.example")), STORE_CONFLICT);
    CHECK_INT(srg_add_member(HOST, S("nosuch"), S("ann@a.example")), STORE_OK);
    CHECK_INT(srg_get(a, HOST, S("staff"), &g), STORE_OK);
    CHECK_STR(g.opts.opts[0].text, S("\xd0\x9b"));
    /* Members stay when the options change. */
    label.text = S("new");
    CHECK_INT(srg_set(HOST, S("staff"), &(struct srg_opts){&label, 1}), STORE_OK);
    CHECK_INT(srg_members(a, HOST, S("staff"), &names, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_STR(names[0], S("ann@a.example"));
    CHECK_INT(srg_groups_of(a, HOST, S("ann@a.example"), &names, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_STR(names[1], S("staff"));
    CHECK_INT(srg_list(a, HOST, &all, &n), STORE_OK);
    CHECK_INT(n, 2);
    CHECK_STR(all[0].name, S("guests"));
    CHECK_STR(all[1].opts.opts[0].text, S("new"));
    CHECK_INT(srg_list(a, OTHER, &all, &n), STORE_OK);
    CHECK_INT(n, multihost ? 0 : 2);
    CHECK_INT(srg_remove_member(HOST, S("staff"), S("bob@a.example")), STORE_OK);
    CHECK_INT(srg_remove_member(HOST, S("staff"), S("bob@a.example")), STORE_NONE);
    CHECK_INT(srg_remove(HOST, S("staff")), STORE_OK);
    CHECK_INT(srg_remove(HOST, S("staff")), STORE_NONE);
    CHECK_INT(srg_members(a, HOST, S("staff"), &names, &n), STORE_OK);
    CHECK_INT(n, 0);
    raw_sql("UPDATE sr_group SET opts = 'junk'");
    CHECK_INT(srg_get(a, HOST, S("guests"), &g), STORE_OK);
    CHECK(g.malformed && g.opts.n == 0);
    CHECK_INT(srg_set(HOST, S(""), &(struct srg_opts){0}), STORE_REFUSED);
    CHECK_INT(srg_add_member(HOST, bad_texts[0], S("x")), STORE_REFUSED);
    CHECK_INT(srg_add_member(HOST, S("x"), bad_texts[0]), STORE_REFUSED);
    arena_release(&a);
}

#define MANY 5000

static void many(void *arg)
{
    struct arena *a = arena_new();
    struct str *names;
    char sql[400];
    size_t n;

    snprintf(sql, sizeof(sql), "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) INSERT INTO sr_user"
             " (jid, %sgrp) SELECT printf('u%%04d@a.example', i), %s'all' FROM n", MANY - 1, multihost ? "server_host, " : "",
             multihost ? "'a.example', " : "");
    raw_sql(sql);
    CHECK_INT(srg_members(a, HOST, S("all"), &names, &n), STORE_OK);
    CHECK_INT(n, MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_STR(names[i], arena_printf(a, "u%04d@a.example", i));
    arena_release(&a);
}

AREA_TESTS(groups, many)
AREA_MAIN(cmocka_unit_test(recorded), cmocka_unit_test(values), cmocka_unit_test(malformed), cmocka_unit_test(changes))
