/* Whole documents, and expat's words for what is wrong with them (compared with expat itself in test_expat.c). */
#include "test.h"

static void assert_words(const char *doc, const char *why)
{
    struct arena *a = arena_new();
    const char *got = "not set";
    struct xml_el *el = xml_parse(a, str_of(doc), TOK_NS_CLIENT, &got);
    assert_null(el);
    if (!got || strcmp(got, why) != 0)
        print_error("%s\n", doc);
    assert_string_equal(got, why);
    arena_release(&a);
}

static void assert_tree(struct str doc, const char *want)
{
    struct arena *a = arena_new();
    struct buf out = BUF_INIT;
    const char *why = "not set";
    struct xml_el *el = xml_parse(a, doc, TOK_NS_CLIENT, &why);
    if (!el)
        print_error("%.*s: %s\n", STR_ARG(doc), why);
    assert_non_null(el);
    assert_null(why);
    check_tree(el);
    dump_tree(&out, el);
    assert_str(buf_str(&out), str_of(want));
    buf_deinit(&out);
    arena_release(&a);
}

static void accepted(void **state)
{
    assert_tree(S("<message><ext attr='value &amp; more'/></message>"),
                "({jabber:client}message ({jabber:client}ext attr=[value & more]))");
    assert_tree(S("\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>\n<a/>\n"), "({jabber:client}a)");
    assert_tree(S("<?xml version='1.1'?><!-- one --><?pi two?><a>x<!-- 3 -->y<?pi?>z</a><!--4--> <?five six?>"),
                "({jabber:client}a \"xyz\")");
    assert_tree(S("<a xmlns='urn:x'/>"), "({urn:x}a)");
    assert_tree(S("<a xmlns=''/>"), "(a)");
    assert_tree(S("<a>x<![CDATA[<!-- y -->]]>&amp;<!--&amp;-->z</a>"), "({jabber:client}a \"x<!-- y -->&z\")");
}

static void refused(void **state)
{
    assert_words("", "no element found");
    assert_words("  \n", "no element found");
    assert_words("<?xml version='1.0'?>", "no element found");
    assert_words("<!-- c -->", "no element found");
    assert_words("<message", "unclosed token");
    assert_words("<", "unclosed token");
    assert_words("<m a='", "unclosed token");
    assert_words("<m a='1'", "unclosed token");
    assert_words("<m>&am", "unclosed token");
    assert_words("<m></m", "unclosed token");
    assert_words("<m><!-- ", "unclosed token");
    assert_words("<!-- ", "unclosed token");
    assert_words("<m><![CDATA[x", "unclosed CDATA section");
    assert_words("<m>", "no element found");
    assert_words("<m>text", "no element found");
    assert_words("<m>\xc3", "partial character");
    assert_words("text", "syntax error");
    assert_words("text <a/>", "syntax error");
    assert_words("&amp;", "not well-formed (invalid token)");
    assert_words("</a>", "not well-formed (invalid token)");
    assert_words("<message/><message/>", "junk after document element");
    assert_words("<message/>x", "junk after document element");
    assert_words("<message/></message>", "not well-formed (invalid token)");
    assert_words("<a></b>", "mismatched tag");
    assert_words("<a></ab>", "mismatched tag");
    assert_words("<ab></a>", "mismatched tag");
    assert_words("<a></b <", "not well-formed (invalid token)");
    assert_words("<a><b></a>", "mismatched tag");
    assert_words("<a b></a>", "not well-formed (invalid token)");
    assert_words("<a b='1' b='2'/>", "duplicate attribute");
    assert_words("<a b='1' b='2' <", "not well-formed (invalid token)");
    assert_words("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", "duplicate attribute");
    assert_words("<p:a/>", "unbound prefix");
    assert_words("<a p:b=''/>", "unbound prefix");
    assert_words("<a>&foo;</a>", "undefined entity");
    assert_words("<a b='&foo;'/>", "undefined entity");
    assert_words("<a>&#0;</a>", "reference to invalid character number");
    assert_words("<a b='&#xFFFF;'/>", "reference to invalid character number");
    assert_words("<a>]]></a>", "not well-formed (invalid token)");
    assert_words("<a b='<'/>", "not well-formed (invalid token)");
    assert_words("<a>\x01</a>", "not well-formed (invalid token)");
    assert_words("<?xml version='.0'?><a/>", "XML declaration not well-formed"); /* XML 1.0 §2.8 */
    assert_words("<?xml version='1.'?><a/>", "XML declaration not well-formed");
    assert_words("<?xml version='1.0x'?><a/>", "XML declaration not well-formed");
    assert_words("<a><?xml version='1.0'?></a>", "XML or text declaration not at start of entity");
    assert_words(" <?xml version='1.0'?><a/>", "XML or text declaration not at start of entity");
    assert_words("<?xml version='1.0' ?><?xml version='1.0' ?><a/>", "XML or text declaration not at start of entity");
    assert_words("<?xml versio='1.0' ?><a/>", "XML declaration not well-formed");
    assert_words("<?xml version='1.0' encoding='klingon'?><a/>", "unknown encoding");
    assert_words("<a xmlns:p=''/>", "must not undeclare prefix");
    assert_words("<a xmlns:xmlns='u'/>", "reserved prefix (xmlns) must not be declared or undeclared");
    assert_words("<a xmlns:xml='u'/>", "reserved prefix (xml) must not be undeclared or bound to another namespace "
        "name");
    assert_words("<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "prefix must not be bound to one of the reserved namespace names");
}

static void document_types_are_refused(void **state)
{
    assert_words("<!DOCTYPE a><a/>", "syntax error");
    assert_words("<!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]><lolz>&lol2;</lolz>", "syntax error");
    assert_words("<a><!DOCTYPE a></a>", "not well-formed (invalid token)");
}

static void limits_hold(void **state)
{
    struct buf doc = BUF_INIT;
    for (int i = 0; i < 101; i++)
        buf_add_str(&doc, S("<a>"));
    buf_add_c(&doc, 0);
    assert_words(doc.p, "limit exceeded");
    buf_clear(&doc);
    buf_add_str(&doc, S("<a"));
    for (int i = 0; i < 65; i++)
        buf_printf(&doc, " a%d=''", i);
    buf_add_str(&doc, str_n("/>", 3));
    assert_words(doc.p, "limit exceeded");
    buf_deinit(&doc);
}

/* Where a comment was cut out, the source bytes are not what the tree says. */
static void raw_of_documents(void **state)
{
    struct arena *a = arena_new();
    const char *why;
    struct xml_el *el = xml_parse(a, S("<a><b/><c>x<!-- --></c><?p?></a>"), TOK_NS_CLIENT, &why);
    assert_null(el->raw.p);
    assert_null(el->raw_inner.p);
    assert_str(xml_first(el)->raw, S("<b/>"));
    assert_null(xml_next(xml_first(el))->raw.p);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted), cmocka_unit_test(refused), cmocka_unit_test(document_types_are_refused),
        cmocka_unit_test(limits_hold), cmocka_unit_test(raw_of_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
