/*
 * Argument binding against the recordings, without a server: every http.arg-* and *.args-* scenario of all commands. The
 * shapes come from the recorded registry, so commands that do not exist yet are bound too. Whatever was recorded as an
 * argument error must come out with the same words; whatever was not must bind.
 */
#include "admin/args.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *folder;
static json_t *registry;
static unsigned checked, failed;

/* --- types from "[option::{name::binary, value::binary}]" --- */

static struct type parse_type(struct arena *a, const char *name, const char **p);

static char *word(struct arena *a, const char **p)
{
    size_t n = strspn(*p, "abcdefghijklmnopqrstuvwxyz_0123456789");
    char *w = arena_cstr(a, str_n(*p, n));
    *p += n;
    return w;
}

static const struct type *parse_fields(struct arena *a, const char **p, char end, uint8_t *count)
{
    struct type *of = ARENA_ARRAY(a, struct type, 16);
    for ((*p)++; **p && **p != end;) {
        char *name = word(a, p);
        *p += 2; /* :: */
        of[*count] = parse_type(a, name, p);
        (*count)++;
        *p += strspn(*p, ", ");
    }
    (*p)++;
    return of;
}

static struct type parse_type(struct arena *a, const char *name, const char **p)
{
    static const char *const words[] = {[V_INTEGER] = "integer", [V_STRING] = "string", [V_BINARY] = "binary", [V_ATOM] = "atom",
                                        [V_RESCODE] = "rescode", [V_RESTUPLE] = "restuple", [V_LIST] = "", [V_TUPLE] = "",
                                        [V_ANY] = "any"};
    struct type t = {.name = name};
    if (**p == '[' || **p == '{') {
        t.kind = **p == '[' ? V_LIST : V_TUPLE;
        t.of = parse_fields(a, p, **p == '[' ? ']' : '}', &t.count);
        return t;
    }
    const char *w = word(a, p);
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        if (!strcmp(words[i], w))
            t.kind = (enum value_kind)i;
    return t;
}

static struct cmd_shape shape_of(struct arena *a, const json_t *version)
{
    const json_t *args = json_object_get(version, "args");
    struct type *types = ARENA_ARRAY(a, struct type, json_array_size(args) + 1);
    for (size_t i = 0; i < json_array_size(args); i++) {
        const json_t *arg = json_array_get(args, i);
        const char *text = json_string_value(json_object_get(arg, "type"));
        types[i] = parse_type(a, json_string_value(json_object_get(arg, "name")), &text);
    }
    return (struct cmd_shape){.args = types, .arg_count = (uint8_t)json_array_size(args)};
}

/* The newest definition not above `version`; NULL when there is none. */
static const json_t *definition(const char *name, int version)
{
    const json_t *versions = json_object_get(json_object_get(json_object_get(registry, "commands"), name), "versions");
    char key[16];
    for (int v = version; v >= 0; v--) {
        snprintf(key, sizeof(key), "v%d", v);
        if (json_object_get(versions, key))
            return json_object_get(versions, key);
    }
    return NULL;
}

/* Versions in which an old name is also an argument: ejabberd renames it all the same and then misses it. Not so here. */
static bool renames_an_argument(const json_t *def)
{
    const json_t *old = json_object_get(def, "old_argument_names"), *arg;
    size_t i;
    json_array_foreach(json_object_get(def, "args"), i, arg)
        if (json_object_get(old, json_string_value(json_object_get(arg, "name"))))
            return true;
    return false;
}

static void fill_renames(struct arena *a, struct admin_cmd *d, const json_t *def)
{
    json_t *old = json_object_get(def, "old_argument_names"), *now;
    struct cmd_rename *r = ARENA_ARRAY(a, struct cmd_rename, json_object_size(old) + 1);
    const char *key;
    json_object_foreach(old, key, now)
        r[d->rename_count++] = (struct cmd_rename){key, json_string_value(now)};
    d->renames = r;
}

/* --- steps --- */

static struct str body_of(struct arena *a, const json_t *step)
{
    if (json_object_get(step, "raw"))
        return arena_str(a, str_of(json_string_value(json_object_get(step, "raw"))));
    char *text = json_dumps(json_object_get(step, "args"), JSON_COMPACT | JSON_ENCODE_ANY);
    struct str body = arena_str(a, str_of(text ? text : "{}"));
    free(text);
    return body;
}

static bool argument_error(const char *text)
{
    return text && (!strncmp(text, "Request have ", 13) || !strncmp(text, "Arg ", 4) || !strcmp(text, "400 Bad Request"));
}

static void complain(const char *file, const json_t *step, const char *want, const struct cmd_call *c, bool parsed)
{
    char *text = json_dumps(step, JSON_COMPACT);
    print_message("%s: %s\n   wanted %s, got %.*s\n", file, text, want ? want : "no error",
                  parsed ? (int)c->failure.text.n : 15, parsed ? (c->failure.text.p ? c->failure.text.p : "") : "400 Bad Request");
    free(text);
    failed++;
}

static void check_step(const char *file, const json_t *step)
{
    const char *name = json_string_value(json_object_get(step, "api"));
    const json_t *expect = json_object_get(step, "expect"), *version = json_object_get(step, "version");
    const json_t *def = definition(name ? name : "", json_is_integer(version) ? (int)json_integer_value(version) : API_NEWEST);
    const char *method = json_string_value(json_object_get(step, "method"));
    if (!def || !expect || (method && !strcmp(method, "GET")) || renames_an_argument(def))
        return;
    struct arena *a = arena_new();
    struct cmd_shape shape = shape_of(a, def);
    struct admin_cmd d = {.shapes = &shape, .shape_count = 1};
    struct command cmd = {.name = str_of(name), .d = &d};
    fill_renames(a, &d, def);
    struct cmd_call *c = cmd_call_new(&cmd, &shape, API_NEWEST);
    struct raw_args *raw = raw_args_json(c->arena, body_of(a, step));
    int rc = raw ? args_bind(c, raw) : -1;
    const char *want = json_string_value(json_object_get(expect, "json"));
    int status = (int)json_integer_value(json_object_get(expect, "status"));
    if (argument_error(want)) {
        struct str got = !raw ? S("400 Bad Request") : rc < 0 ? c->failure.text : S("");
        /* the recorder took an argument's name for the host of the same name */
        struct str recorded = str_of(want);
        if (strstr(want, "argument: $D"))
            recorded = S("Request have missing argument: localhost");
        if (!str_eq(got, recorded))
            complain(file, step, want, c, raw != NULL);
    } else if (rc < 0 && !(status == 500 && c->failure.code == ERR_INTERNAL)) {
        complain(file, step, NULL, c, raw != NULL);
    }
    checked++;
    cmd_call_end(&c);
    arena_release(&a);
}

/* The one number of the recordings that jansson cannot hold becomes a smaller one; its step only has to bind. */
static void shrink_number(char *text)
{
    char *huge = strstr(text, "100000000000000000000");
    if (huge)
        memset(huge + 1, ' ', 20);
}

static void check_file(const char *name)
{
    char path[512];
    static char text[1 << 20];
    snprintf(path, sizeof(path), "%s/corpus/%s", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    shrink_number(text);
    json_t *sc = json_loads(text, JSON_ALLOW_NUL, NULL), *step;
    size_t i;
    if (!sc)
        print_message("%s: unreadable\n", name);
    assert_non_null(sc);
    json_array_foreach(json_object_get(sc, "steps"), i, step)
        check_step(name, step);
    json_decref(sc);
}

static void test_recordings(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s/corpus", folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (strstr(e->d_name, ".args-") || !strncmp(e->d_name, "http.arg-", 9))
            check_file(e->d_name);
    closedir(dir);
    print_message("%u steps\n", checked);
    assert_true(checked > 1500);
    assert_int_equal(failed, 0);
}

/* --- the edges that no recording has --- */

static const struct type one_text[] = {T_STRING("s", NULL)};
static const struct cmd_shape text_shape = {.args = one_text, .arg_count = 1};
static const struct type one_list[] = {T_LIST("l", NULL, T_TUPLE("p", T_BINARY("name", NULL), T_BINARY("value", NULL)))};
static const struct cmd_shape list_shape = {.args = one_list, .arg_count = 1};
static const struct admin_cmd text_cmd = {.shapes = &text_shape, .shape_count = 1};
static const struct admin_cmd list_cmd = {.shapes = &list_shape, .shape_count = 1};

static struct cmd_call *bind_text(const char *body)
{
    static const struct command cmd = {.name = {"t", 1}, .d = &text_cmd};
    struct cmd_call *c = cmd_call_new(&cmd, &text_shape, API_NEWEST);
    struct raw_args *raw = raw_args_json(c->arena, str_of(body));
    assert_non_null(raw);
    args_bind(c, raw);
    return c;
}

static void expect_text(const char *body, struct str want)
{
    struct cmd_call *c = bind_text(body);
    assert_int_equal(c->failure.code, ERR_NONE);
    assert_true(str_eq(c->args[0].s, want));
    cmd_call_end(&c);
}

static void test_texts(void **state)
{
    (void)state;
    expect_text("{\"s\":\"a\\u0000b\"}", S("a\0b"));
    expect_text("{\"s\":[\"a\",[\"b\",[99]],233]}", S("abc\xc3\xa9"));
    expect_text("{\"s\":[]}", S(""));
    struct cmd_call *c = bind_text("{\"s\":100000000000000000000}");
    assert_true(str_starts(c->failure.text, S("Arg 1")));
    cmd_call_end(&c);
}

static void expect_no_json(struct str body)
{
    struct arena *a = arena_new();
    assert_null(raw_args_json(a, body));
    arena_release(&a);
}

static void test_bounds(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_add_str(&b, S("{\"s\":"));
    for (int i = 0; i < 100; i++)
        buf_add_c(&b, '[');
    for (int i = 0; i < 100; i++)
        buf_add_c(&b, ']');
    buf_add_c(&b, '}');
    expect_no_json(buf_str(&b));
    buf_clear(&b);
    buf_add_str(&b, S("{\"s\":[0"));
    for (int i = 0; i < 20001; i++)
        buf_add_str(&b, S(",0"));
    buf_add_str(&b, S("]}"));
    expect_no_json(buf_str(&b));
    buf_deinit(&b);
    expect_no_json(S("[]"));
    expect_no_json(S("{\"a\":1e999}"));
    expect_no_json(S("{\"a\":\"\\ud800\"}"));
    expect_no_json(S("{\"a\":\"\xff\"}"));
}

static struct cmd_call *bind_list(const struct str word)
{
    static const struct command cmd = {.name = {"l", 1}, .d = &list_cmd};
    struct cmd_call *c = cmd_call_new(&cmd, &list_shape, API_NEWEST);
    args_bind_words(c, &word, 1);
    return c;
}

static void test_words(void **state)
{
    (void)state;
    struct cmd_call *c = bind_list(S("a:b,title:My:Room"));
    assert_int_equal(c->args[0].n, 2);
    assert_true(str_eq(c->args[0].items[1].items[0].s, S("title")));
    assert_true(str_eq(c->args[0].items[1].items[1].s, S("My:Room")));
    cmd_call_end(&c);
    c = bind_list(S(""));
    assert_int_equal(c->args[0].n, 0);
    assert_int_equal(c->failure.code, ERR_NONE);
    cmd_call_end(&c);
    c = bind_list(S("alone"));
    assert_int_equal(c->failure.code, ERR_INTERNAL);
    cmd_call_end(&c);
}

static void expect_query(struct str query, bool ok)
{
    struct arena *a = arena_new();
    assert_int_equal(raw_args_query(a, query) != NULL, ok);
    arena_release(&a);
}

static void test_queries(void **state)
{
    (void)state;
    expect_query(STR_NULL, true);
    expect_query(S("a=b&c=d"), true);
    expect_query(S("a&c=d"), true);
    expect_query(S("novalue"), false);
    expect_query(S("a=b&&"), false);
    expect_query(S("a=%zz"), false);
    expect_query(S("a=%ff"), false);
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : ".";
    char path[512];
    snprintf(path, sizeof(path), "%s/registry.json", folder);
    registry = json_load_file(path, 0, NULL);
    args_start();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recordings), cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_bounds), cmocka_unit_test(test_words), cmocka_unit_test(test_queries)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(registry);
    return rc;
}
