/* vCards and the search. */
#include "area.h"

#include "store/vcard.h"

#define MANY 5000
#define MARIA "\xd0\x9c\xd0\xb0\xd1\x80\xd0\xb8\xd1\x8f"

struct fields {
    struct str f[VCARD_FIELD_COUNT];
};

static void set(struct str user, struct str xml, struct str fn, struct str email)
{
    struct fields v = {0};

    v.f[VCARD_fn] = fn;
    v.f[VCARD_email] = email;
    CHECK_INT(vcard_set(HOST, user, xml, v.f), STORE_OK);
}

static void one_card(void *arg)
{
    struct arena *a = arena_new();
    struct str xml;

    CHECK_INT(vcard_get(a, HOST, S("ann"), &xml), STORE_NONE);
    set(S("ann"), S("<vCard/>"), S("Ann"), S("ann@x"));
    set(S("ann"), S("<vCard><FN>\xc3\x84nn</FN></vCard>"), S("\xc3\x84nn"), STR_NULL);
    CHECK_INT(vcard_get(a, HOST, S("ann"), &xml), STORE_OK);
    CHECK_STR(xml, S("<vCard><FN>\xc3\x84nn</FN></vCard>"));
    CHECK_INT(raw_int("SELECT count(*) FROM vcard_search WHERE lfn = '\xc3\xa4nn' AND fn = '\xc3\x84nn' AND lemail = ''"
                      " AND username = 'ann' AND lusername = 'ann'"), 1);
    CHECK_INT(raw_int("SELECT count(*) FROM vcard_search"), 1);
    CHECK_INT(vcard_remove(HOST, S("ann")), STORE_OK);
    CHECK_INT(vcard_remove(HOST, S("ann")), STORE_NONE);
    CHECK_INT(raw_int("SELECT count(*) FROM vcard_search"), 0);
    arena_release(&a);
}

struct seen {
    struct arena *a;
    struct str users;
    int n, stop_at;
};

static bool see(const struct vcard_found *v, void *arg)
{
    struct seen *s = arg;

    if (s->a)
        s->users = arena_printf(s->a, "%.*s%.*s=%.*s ", STR_ARG(s->users), STR_ARG(v->user), STR_ARG(v->field[VCARD_fn]));
    return ++s->n != s->stop_at;
}

static struct str found(struct arena *a, enum vcard_field f, struct str p, enum vcard_field f2, struct str p2)
{
    struct str patterns[VCARD_SEARCH_COUNT] = {0};
    struct seen s = {.a = a, .users = S("")};

    patterns[f] = p;
    patterns[f2] = p2;
    CHECK_INT(vcard_search(HOST, patterns, 0, see, &s), STORE_OK);
    return s.users;
}

static void searching(void *arg)
{
    struct arena *a = arena_new();

    set(S("ann"), S("<v/>"), S("Ann Lee"), S("ann@one.example"));
    set(S("bob"), S("<v/>"), S("Bob [x]?"), S("bob@two.example"));
    set(S("cyd"), S("<v/>"), S(MARIA), S("cyd@one.example"));
    set(S("dan"), S("<v/>"), S("Anna"), S(""));
    CHECK_STR(found(a, VCARD_fn, S("ANN LEE"), VCARD_email, STR_NULL), S("ann=Ann Lee "));
    CHECK_STR(found(a, VCARD_fn, S("ann*"), VCARD_email, STR_NULL), S("ann=Ann Lee dan=Anna "));
    CHECK_STR(found(a, VCARD_fn, S("ann"), VCARD_email, STR_NULL), S(""));
    CHECK_STR(found(a, VCARD_fn, S("ann*"), VCARD_email, S("*one*")), S("ann=Ann Lee "));
    CHECK_STR(found(a, VCARD_fn, S("\xd0\xbc\xd0\x90*"), VCARD_email, STR_NULL), S("cyd=" MARIA " "));
    CHECK_STR(found(a, VCARD_username, S("c*"), VCARD_email, STR_NULL), S("cyd=" MARIA " "));
    /* Only "*" means anything. */
    CHECK_STR(found(a, VCARD_fn, S("bob [x]?"), VCARD_email, STR_NULL), S("bob=Bob [x]? "));
    CHECK_STR(found(a, VCARD_fn, S("b?b*"), VCARD_email, STR_NULL), S(""));
    CHECK_STR(found(a, VCARD_fn, S("*%*"), VCARD_email, STR_NULL), S(""));
    CHECK_INT(found(a, VCARD_fn, S("*"), VCARD_email, STR_NULL).n, found(a, VCARD_fn, STR_NULL, VCARD_email, S("")).n);
    CHECK_STR(found(a, VCARD_fn, S("\xff"), VCARD_email, STR_NULL), S(""));
    arena_release(&a);
}

static void many(void *arg)
{
    struct str patterns[VCARD_SEARCH_COUNT] = {0};
    struct seen s = {0};
    char sql[2048];

    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO vcard_search (username, lusername, %sfn, lfn, family, lfamily, given, lgiven, middle, lmiddle, nickname,"
             " lnickname, bday, lbday, ctry, lctry, locality, llocality, email, lemail, orgname, lorgname, orgunit, lorgunit)"
             " SELECT 'u' || i, 'u' || i, %s'F' || (i %% 10), 'f' || (i %% 10), '', "
             "'', '', '', '', '', '', '', '', '', '', '', '', '',"
             " 'e' || i, 'e' || i, '', '', '', '' FROM n",
             MANY - 1, multihost ? "server_host, " : "", multihost ? "'a.example', " : "");
    raw_sql(sql);
    patterns[VCARD_fn] = S("F7");
    CHECK_INT(vcard_search(HOST, patterns, 0, see, &s), STORE_OK);
    CHECK_INT(s.n, MANY / 10);
    s = (struct seen){0};
    CHECK_INT(vcard_search(HOST, patterns, 30, see, &s), STORE_OK);
    CHECK_INT(s.n, 30);
    s = (struct seen){.stop_at = 3};
    CHECK_INT(vcard_search(HOST, patterns, 30, see, &s), STORE_OK);
    CHECK_INT(s.n, 3);
    s = (struct seen){0};
    patterns[VCARD_email] = S("*99");
    CHECK_INT(vcard_search(HOST, patterns, 0, see, &s), STORE_OK);
    CHECK_INT(s.n, 0);
    patterns[VCARD_fn] = STR_NULL;
    CHECK_INT(vcard_search(HOST, patterns, 0, see, &s), STORE_OK);
    CHECK_INT(s.n, MANY / 100);
}

static void odd_and_bad(void *arg)
{
    struct arena *a = arena_new();
    struct fields v = {0};
    static char longer[3000];
    struct str xml;

    for (size_t i = 0; i < ARRAY_LEN(odd_texts); i++) {
        set(odd_texts[i], odd_texts[i], odd_texts[i], odd_texts[i]);
        CHECK_INT(vcard_get(a, HOST, odd_texts[i], &xml), STORE_OK);
        CHECK_STR(xml, odd_texts[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_texts); i++) {
        CHECK_INT(vcard_set(HOST, bad_texts[i], S("x"), v.f), STORE_REFUSED);
        CHECK_INT(vcard_set(HOST, S("ann"), bad_texts[i], v.f), STORE_REFUSED);
        v.f[VCARD_orgunit] = bad_texts[i];
        CHECK_INT(vcard_set(HOST, S("ann"), S("x"), v.f), STORE_REFUSED);
        v.f[VCARD_orgunit] = STR_NULL;
    }
    /* Cut between characters. */
    for (int i = 0; i < 1500; i++)
        memcpy(longer + 2 * i, "\xc3\x84", 2);
    set(S("long"), S("x"), str_n(longer, sizeof(longer)), S(""));
    CHECK_INT(raw_int("SELECT length(CAST(fn AS BLOB)) FROM vcard_search WHERE lusername = 'long'"), 1022);
    CHECK_INT(raw_int("SELECT length(CAST(lfn AS BLOB)) FROM vcard_search WHERE lusername = 'long'"), 1022);
    arena_release(&a);
}

static void hosts_apart(void *arg)
{
    struct str patterns[VCARD_SEARCH_COUNT] = {0}, xml;
    struct arena *a = arena_new();
    struct seen s = {0};

    set(S("ann"), S("<v/>"), S("Ann"), S(""));
    CHECK_INT(vcard_get(a, OTHER, S("ann"), &xml), multihost ? STORE_NONE : STORE_OK);
    CHECK_INT(vcard_search(OTHER, patterns, 0, see, &s), STORE_OK);
    CHECK_INT(s.n, multihost ? 0 : 1);
    arena_release(&a);
}

AREA_TESTS(one_card, searching, many, odd_and_bad, hosts_apart)
AREA_MAIN()
