/* Contributed modules on disk: names and places, module.yml, copies and replacement of folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/arena.h"
#include "core/module/contrib_files.h"
#include "core/module/contrib_place.h"
#include "core/module/contrib_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/contrib-XXXXXX";

static const char *at(const char *path)
{
    static char out[8][CONTRIB_PATH_MAX];
    static unsigned n;
    n = (n + 1) % 8;
    snprintf(out[n], sizeof(out[n]), "%s/%s", root, path);
    return out[n];
}

static void folder(const char *path)
{
    struct error err = ERROR_INIT;
    assert_int_equal(folder_make(at(path), &err), 0);
}

static void file(const char *path, const char *text)
{
    FILE *f = fopen(at(path), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static bool there(const char *path)
{
    return access(at(path), F_OK) == 0;
}

static int group_setup(void **state)
{
    return mkdtemp(root) ? 0 : -1;
}

static int setup(void **state)
{
    return tree_remove(root) || mkdir(root, 0700);
}

static int group_teardown(void **state)
{
    return tree_remove(root);
}

/* --- names and places --- */

static void names(void **state)
{
    static const char *const good[] = {"mod_a", "m", "ejabberd_x", "mod_2"};
    static const char *const bad[] = {"", "Mod_a", "2mod", "_a", "mod-a", "mod_a/b", "..", ".", "mod_a\n", "mod_\xc3\xa9"};
    char longest[CONTRIB_NAME_MAX + 2];
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(contrib_name_valid(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(contrib_name_valid(str_of(bad[i])));
    memset(longest, 'a', sizeof(longest));
    assert_true(contrib_name_valid(str_n(longest, CONTRIB_NAME_MAX)));
    assert_false(contrib_name_valid(str_n(longest, CONTRIB_NAME_MAX + 1)));
}

static void add_name(void *arg, const char *name, const char *dir)
{
    strcat(arg, name);
    strcat(arg, " ");
}

static void places(void **state)
{
    char path[CONTRIB_PATH_MAX], seen[200] = "";
    assert_int_equal(contrib_state(root, S("mod_a")), CONTRIB_UNKNOWN); /* no folder at all */
    folder("sources/zoo/mod_a");
    folder("sources/ark/mod_a");
    folder("sources/mod_b");
    folder("sources/ark/not a module");
    folder("installed/mod_c");
    file("sources/zoo/mod_a/module.yml", "");
    file("sources/ark/mod_a/module.yml", "");
    file("sources/ark/not a module/module.yml", "");
    file("sources/mod_b/module.yml", "");
    assert_int_equal(contrib_state(root, S("mod_a")), CONTRIB_AVAILABLE);
    assert_true(contrib_source(root, "mod_a", path));
    assert_string_equal(path, at("sources/ark/mod_a"));
    assert_true(contrib_source(root, "mod_b", path));
    assert_string_equal(path, at("sources/mod_b"));
    assert_false(contrib_source(root, "mod_c", path));
    assert_int_equal(contrib_state(root, S("mod_c")), CONTRIB_UNKNOWN); /* without module.yml it is none */
    file("installed/mod_c/module.yml", "");
    assert_int_equal(contrib_state(root, S("mod_c")), CONTRIB_INSTALLED);
    assert_int_equal(contrib_state(root, S("../installed/mod_c")), CONTRIB_UNKNOWN);
    contrib_each(root, true, add_name, seen);
    assert_string_equal(seen, "mod_a mod_b mod_a "); /* ark, mod_b, zoo */
    seen[0] = 0;
    contrib_each(root, false, add_name, seen);
    assert_string_equal(seen, "mod_c ");
}

/* --- module.yml --- */

static int spec(const char *yml, struct arena *a, struct contrib_spec *out, struct str *unknown, struct error *err)
{
    *err = ERROR_INIT;
    *unknown = S("");
    file("module.yml", yml);
    return contrib_spec_read(a, root, "mod_x", out, unknown, err);
}

static void spec_good(void **state)
{
    struct arena *a = arena_new();
    struct contrib_spec s;
    struct str unknown;
    struct error err;
    assert_int_equal(spec("name: mod_x\nauthor: A <a@example.com>\nsummary: \"Does: much\"\ncategory: c\nhome: h\nurl: u\n"
                          "libs: [m, z, xml2]\ndepends: [x]\nold: 1\n", a, &s, &unknown, &err), 0);
    assert_true(str_eq(s.summary, S("Does: much")) && str_eq(s.author, S("A <a@example.com>")) && s.lib_count == 3);
    assert_true(str_eq(unknown, S("'depends', 'old'")));
    assert_int_equal(spec("summary: x\n", a, &s, &unknown, &err), 0);
    assert_true(str_eq(s.name, S("mod_x")) && s.lib_count == 0 && unknown.n == 0);
    arena_release(&a);
}

static void spec_bad(void **state)
{
    static const struct { const char *yml, *words; } rows[] = {
        {"", "expected a map"},
        {"- a\n", "expected a map"},
        {"name: mod_x\n", "'summary' is missing"},
        {"summary: x\nname: mod_y\n", "called 'mod_y' but its folder 'mod_x'"},
        {"summary: [x]\n", "'summary' must be a text"},
        {"summary: \"a\\nb\"\n", "must be one line"},
        {"summary: x\nsummary: y\n", "given twice"},
        {"summary: x\nlibs: m\n", "'libs' must be a list"},
        {"summary: x\nlibs: [\"-Wl,--wrap=x\"]\n", "a library is a name"},
        {"summary: x\nlibs: [\"a b\"]\n", "a library is a name"},
        {"summary: x\nlibs: [\"\"]\n", "a library is a name"},
        {"summary: \"x\n", "module.yml"},
    };
    struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct contrib_spec s;
        struct str unknown;
        struct error err;
        assert_int_equal(spec(rows[i].yml, a, &s, &unknown, &err), -1);
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: %s", rows[i].yml, err.text);
        assert_non_null(strstr(err.text, "module.yml"));
    }
    char *deep = arena_alloc(a, 70000);
    memset(deep, '[', 69999);
    deep[69999] = 0;
    struct contrib_spec s;
    struct str unknown;
    struct error err;
    assert_int_equal(spec(deep, a, &s, &unknown, &err), -1);
    arena_release(&a);
}

/* --- folders --- */

static void copies(void **state)
{
    struct error err = ERROR_INIT;
    folder("from/src/deep");
    folder("from/.git");
    file("from/a.c", "text");
    file("from/src/deep/b", "");
    file("from/.hidden", "x");
    assert_int_equal(symlink("/etc/passwd", at("from/link")), 0);
    assert_int_equal(tree_copy(at("from"), at("to"), &err), 0);
    assert_true(there("to/a.c") && there("to/src/deep/b"));
    assert_false(there("to/.git") || there("to/.hidden") || there("to/link"));
    assert_int_equal(tree_copy(at("from"), at("to"), &err), -1); /* never into what is there */
    assert_int_equal(tree_copy(at("nowhere"), at("other"), &err), -1);
    folder("from/1/2/3/4/5/6/7/8/9");
    assert_int_equal(tree_copy(at("from"), at("third"), &err), -1);
    assert_non_null(strstr(err.text, "deep"));
}

static void removes(void **state)
{
    folder("a/b");
    folder("kept");
    file("a/b/c", "");
    file("kept/d", "");
    assert_int_equal(symlink(at("kept"), at("a/link")), 0);
    assert_int_equal(tree_remove(at("a")), 0);
    assert_false(there("a"));
    assert_true(there("kept/d"));
    assert_int_equal(tree_remove(at("a")), 0);
}

static void replaces(void **state)
{
    struct error err = ERROR_INIT;
    folder("new");
    file("new/one", "");
    assert_int_equal(tree_replace(at("new"), at("there"), &err), 0); /* nothing was there */
    assert_true(there("there/one") && !there("new"));
    folder("new");
    file("new/two", "");
    assert_int_equal(tree_replace(at("new"), at("there"), &err), 0);
    assert_true(there("there/two") && !there("there/one") && !there("new"));
    assert_int_equal(tree_replace(at("missing"), at("there"), &err), -1);
    assert_true(there("there/two"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(names, setup),     cmocka_unit_test_setup(places, setup),   cmocka_unit_test_setup(spec_good, setup),
        cmocka_unit_test_setup(spec_bad, setup),  cmocka_unit_test_setup(copies, setup),   cmocka_unit_test_setup(removes, setup),
        cmocka_unit_test_setup(replaces, setup),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
