/* Data forms, XEP-0004: what is read and refused, and what is built. */
#include "base/buf.h"
#include "xml/stream.h"
#include "xml/writer.h"
#include "xmpp/dataform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define IS(str_, lit) assert_true(str_eq((str_), S(lit)))

static int setup(void **state)
{
    *state = arena_new();
    return 0;
}

static int teardown(void **state)
{
    struct arena *a = *state;
    arena_release(&a);
    return 0;
}

static const char *read_form(struct arena *a, const char *xml, struct dataform *out)
{
    struct xml_el *x = xml_parse(a, str_of(xml), TOK_NS_DATA, NULL);
    assert_non_null(x);
    return dataform_read(a, x, out);
}

static void test_read(void **state)
{
    struct arena *a = *state;
    struct dataform f;
    assert_null(read_form(a, "<x type='submit'><title>t</title><field var='one'><value> a </value></field>"
                             "<field><value>n</value></field>"
                             "<field var='two'><value>b</value><value>c</value></field><field var='none'/></x>", &f));
    assert_int_equal(f.type, DATAFORM_SUBMIT);
    assert_int_equal(f.n, 3);
    IS(dataform_value(&f, S("one")), "a");
    IS(dataform_find(&f, S("one"))->values[0], " a ");
    assert_int_equal(dataform_find(&f, S("two"))->n, 2);
    IS(dataform_lines(a, dataform_find(&f, S("two"))), "b\nc");
    assert_null(dataform_value(&f, S("none")).p);
    assert_null(dataform_value(&f, S("absent")).p);
    assert_null(dataform_find(&f, S("absent")));
    IS(dataform_lines(a, dataform_find(&f, S("none"))), "");
}

static void test_types(void **state)
{
    struct dataform f;
    assert_null(read_form(*state, "<x type='cancel'/>", &f));
    assert_int_equal(f.type, DATAFORM_CANCEL);
    assert_null(read_form(*state, "<x type='result'/>", &f));
    assert_int_equal(f.type, DATAFORM_RESULT);
    assert_non_null(read_form(*state, "<x/>", &f));
    assert_non_null(read_form(*state, "<x type='Submit'/>", &f));
    assert_non_null(read_form(*state, "<y type='submit'/>", &f));
    assert_non_null(read_form(*state, "<x xmlns='other' type='submit'/>", &f));
}

static void test_refused(void **state)
{
    struct dataform f;
    struct buf b = BUF_INIT;
    assert_non_null(read_form(*state, "<x type='submit'><field var='a'/><field var='a'/></x>", &f));
    buf_add_str(&b, S("<x type='submit'>"));
    for (int i = 0; i <= DATAFORM_MAX_FIELDS; i++)
        buf_printf(&b, "<field var='f%d'/>", i);
    buf_add_str(&b, S("</x>"));
    buf_add_c(&b, 0);
    assert_non_null(read_form(*state, b.p, &f));
    buf_deinit(&b);
}

static void test_boolean(void **state)
{
    bool yes;
    assert_true(dataform_boolean(S("1"), &yes) && yes);
    assert_true(dataform_boolean(S("true"), &yes) && yes);
    assert_true(dataform_boolean(S("0"), &yes) && !yes);
    assert_true(dataform_boolean(S("false"), &yes) && !yes);
    assert_false(dataform_boolean(S("yes"), &yes));
    assert_false(dataform_boolean(STR_NULL, &yes));
}

static void test_build(void **state)
{
    struct arena *a = *state;
    struct buf b = BUF_INIT;
    struct xml_el *command = xml_new(a, TOK_command, TOK_NS_COMMANDS), *x = dataform_new(a, command, DATAFORM_FORM);
    dataform_title(a, x, S("T & t"));
    dataform_instructions(a, x, S("one\n\n two \r\nthree"));
    dataform_form_type(a, x, S("ns"));
    struct xml_el *f = dataform_add(a, x, S("list-single"), S("v"), S("L"));
    dataform_add_desc(a, f, S("d"));
    dataform_require(a, f);
    dataform_add_option(a, f, S("o"), S("1"));
    dataform_add_value(a, dataform_add(a, x, STR_NULL, STR_NULL, STR_NULL), S("a\x01" "b\xff" "c\xef\xbf\xbf"));
    xml_write(&b, x, TOK_NS_DATA);
    buf_add_c(&b, 0);
    assert_string_equal(b.p, "<x type='form'><title>T &amp; t</title><instructions>one</instructions>"
                             "<instructions>two</instructions><instructions>three</instructions>"
                             "<field var='FORM_TYPE' type='hidden'><value>ns</value></field>"
                             "<field var='v' type='list-single' label='L'><desc>d</desc><required/>"
                             "<option label='o'><value>1</value></option></field>"
                             "<field><value>a\xef\xbf\xbd" "b\xef\xbf\xbd" "c\xef\xbf\xbd</value></field></x>");
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_boolean, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
