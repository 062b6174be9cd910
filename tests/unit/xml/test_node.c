/* Looking at trees, editing them, copying them. */
#include "test.h"

static struct xml_el *parse(struct arena *a, const char *doc)
{
    const char *why;
    struct xml_el *el = xml_parse(a, str_of(doc), TOK_NS_CLIENT, &why);
    assert_non_null(el);
    return el;
}

static void assert_dump(const struct xml_el *el, const char *want)
{
    struct buf out = BUF_INIT;
    dump_tree(&out, el);
    assert_str(buf_str(&out), str_of(want));
    buf_deinit(&out);
}

static void looking(void **state)
{
    struct arena *a = arena_new();
    struct xml_el *el = parse(a, "<message to='t' xml:lang='en' odd='o' xmlns:p='urn:p' p:to='p'>a<body>b</body>c<x/>"
                                 "<body xmlns='urn:x'/><x xmlns='urn:xmpp:ping'/></message>");
    assert_str(xml_attr_get(el, TOK_to), S("t"));
    assert_null(xml_attr_get(el, TOK_from).p);
    assert_null(xml_attr_get(el, TOK_lang).p);
    assert_str(xml_attr_get_ns(el, TOK_NS_XML, TOK_lang), S("en"));
    assert_str(xml_attr_get_text(el, S("odd")), S("o"));
    assert_str(xml_attr_get_text(el, S("to")), S("t"));
    assert_null(xml_attr_get_text(el, S("lang")).p);
    assert_ptr_equal(xml_child(el, TOK_body, TOK_NS_CLIENT), xml_first(el));
    assert_ptr_equal(xml_child(el, TOK_body, TOK_NONE), xml_first(el));
    assert_int_equal(xml_child(el, TOK_x, TOK_NS_PING)->ns, TOK_NS_PING);
    assert_null(xml_child(el, TOK_iq, TOK_NONE));
    assert_int_equal(xml_next(xml_first(el))->tok, TOK_x);
    assert_str(xml_text_of(a, el), S("ac"));
    assert_str(xml_text_of(a, xml_first(el)), S("b"));
    assert_ptr_equal(xml_text_of(a, xml_first(el)).p, ((struct xml_text *)xml_first(el)->children)->text.p);
    assert_str(xml_text_of(a, xml_next(xml_first(el))), S(""));
    arena_release(&a);
}

static void building(void **state)
{
    struct arena *a = arena_new();
    struct xml_el *iq = xml_new(a, TOK_iq, TOK_NS_CLIENT), *q, *odd;
    xml_attr_set(a, iq, TOK_type, S("get"));
    xml_attr_set(a, iq, TOK_id, S("1"));
    xml_attr_set(a, iq, TOK_type, S("set"));
    xml_attr_set_text(a, iq, S("odd"), S("x"));
    xml_attr_set_ns(a, iq, TOK_NS_XML, TOK_lang, S("de"));
    xml_attr_set(a, iq, TOK_from, STR_NULL);
    q = xml_add(a, iq, TOK_query, TOK_NS_ROSTER);
    xml_add_leaf(a, q, TOK_item, S("t<"));
    xml_add_leaf(a, q, TOK_item, S(""));
    odd = xml_new_text(a, S("odd"), S("urn:odd"));
    xml_append(iq, odd);
    xml_append_text(a, iq, S("end"));
    check_tree(iq);
    assert_dump(iq, "({jabber:client}iq type=[set] id=[1] odd=[x] {http://www.w3.org/XML/1998/namespace}lang=[de] "
                    "({jabber:iq:roster}query ({jabber:iq:roster}item \"t<\") ({jabber:iq:roster}item)) "
                        "({urn:odd}odd) \"end\")");
    xml_attr_set(a, iq, TOK_type, STR_NULL);
    xml_attr_set_text(a, iq, S("odd"), STR_NULL);
    xml_remove(iq, odd);
    xml_remove(iq, odd);
    xml_remove(q, xml_first(q));
    assert_dump(iq, "({jabber:client}iq id=[1] {http://www.w3.org/XML/1998/namespace}lang=[de] "
                    "({jabber:iq:roster}query ({jabber:iq:roster}item)) \"end\")");
    xml_remove(q, xml_first(q));
    xml_add(a, q, TOK_x, TOK_NONE);
    assert_dump(q, "({jabber:iq:roster}query ({jabber:iq:roster}x))");
    assert_null(odd->parent);
    check_writing(iq);
    arena_release(&a);
}

/* Each edit drops the source bytes it makes wrong, and only those. */
static void edits_drop_raw(void **state)
{
    struct arena *a = arena_new();
    const char *doc = "<message><x><y>t</y></x><z/></message>";
    struct xml_el *el = parse(a, doc), *x = xml_first(el), *y = xml_first(x), *z = xml_next(x);
    assert_str(el->raw, str_of(doc));
    assert_str(y->raw_inner, S("t"));
    xml_attr_set(a, y, TOK_to, STR_NULL);
    assert_str(el->raw, str_of(doc));
    xml_attr_set(a, y, TOK_to, S("t"));
    assert_null(y->raw.p);
    assert_str(y->raw_inner, S("t"));
    assert_null(x->raw.p);
    assert_null(x->raw_inner.p);
    assert_null(el->raw.p);
    assert_null(el->raw_inner.p);
    assert_str(z->raw, S("<z/>"));
    el = parse(a, doc);
    xml_append_text(a, xml_first(el), S("n"));
    assert_null(xml_first(el)->raw_inner.p);
    assert_null(el->raw_inner.p);
    assert_str(xml_first(xml_first(el))->raw, S("<y>t</y>"));
    el = parse(a, doc);
    xml_remove(el, xml_first(el));
    assert_null(el->raw.p);
    el = parse(a, doc);
    xml_add(a, el, TOK_x, TOK_NS_DELAY);
    assert_null(el->raw_inner.p);
    assert_dump(el, "({jabber:client}message ({jabber:client}x ({jabber:client}y \"t\")) ({jabber:client}z) "
        "({urn:xmpp:delay}x))");
    arena_release(&a);
}

static bool inside(struct str outer, struct str s)
{
    return s.p >= outer.p && s.p + s.n <= outer.p + outer.n;
}

static void copies_stand_alone(void **state)
{
    static const char doc[] = "<message to='a&amp;b' odd='o'>x&lt;<odd xmlns='urn:o' a='v'><z/></odd><p:y "
        "xmlns:p='urn:p'/></message>";
    struct arena *from = arena_new(), *to = arena_new();
    char *text = strdup(doc);
    struct xml_el *el = parse(from, text), *copy = xml_copy(to, el), *edited;
    xml_attr_set(from, el, TOK_to, S("q"));
    edited = xml_copy(to, el);
    free(text);
    arena_release(&from);
    check_tree(copy);
    check_tree(edited);
    assert_null(copy->parent);
    assert_str(copy->raw, str_of(doc));
    assert_true(inside(copy->raw, copy->raw_inner));
    assert_true(inside(copy->raw_inner, xml_first(copy)->raw));
    assert_true(inside(copy->raw, xml_attr_get_text(copy, S("odd"))));
    assert_null(edited->raw.p);
    assert_true(inside(edited->raw_inner, xml_first(edited)->raw));
    assert_dump(copy, "({jabber:client}message to=[a&b] odd=[o] \"x<\" ({urn:o}odd a=[v] ({urn:o}z)) ({urn:p}y))");
    assert_dump(edited, "({jabber:client}message to=[q] odd=[o] \"x<\" ({urn:o}odd a=[v] ({urn:o}z)) ({urn:p}y))");
    check_writing(copy);
    check_writing(edited);
    arena_release(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looking), cmocka_unit_test(building), cmocka_unit_test(edits_drop_raw),
        cmocka_unit_test(copies_stand_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
