/* Writing: namespaces, escapes, source bytes used only where they are right. */
#include "test.h"

static struct xml_el *parse(struct arena *a, const char *doc)
{
    const char *why;
    struct xml_el *el = xml_parse(a, str_of(doc), TOK_NS_CLIENT, &why);
    assert_non_null(el);
    return el;
}

static void assert_written(const struct xml_el *el, enum token ctx, const char *want)
{
    struct buf out = BUF_INIT;
    xml_write(&out, el, ctx);
    assert_str(buf_str(&out), str_of(want));
    buf_deinit(&out);
}

static void assert_addressed(const struct xml_el *el, enum token ctx, struct str from, struct str to, const char *want)
{
    struct buf out = BUF_INIT;
    xml_write_addressed(&out, el, ctx, from, to);
    assert_str(buf_str(&out), str_of(want));
    buf_deinit(&out);
}

static void escapes(void **state)
{
    struct buf out = BUF_INIT;
    xml_escape_text(&out, S("a<b>&'\"\t\n\r\xc3\xa9 long enough for a whole block of sixteen \xf0\x9f\x98\x80<"));
    assert_str(buf_str(&out), S("a&lt;b&gt;&amp;'\"\t\n&#13;\xc3\xa9 long enough for a whole block of sixteen "
        "\xf0\x9f\x98\x80&lt;"));
    buf_clear(&out);
    xml_escape_attr(&out, S("a<b>&'\"\t\n\rlong enough for a whole block of sixteen'"));
    assert_str(buf_str(&out), S("a&lt;b&gt;&amp;&apos;&quot;&#9;&#10;&#13;long enough for a whole block of "
        "sixteen&apos;"));
    buf_clear(&out);
    /* what XML cannot say must not end the peer's stream */
    xml_escape_text(&out, str_n("a\0b\x1f" "c\xff" "d\xed\xa0\x80" "e\xef\xbf\xbf" "f\xe2\x82", 17));
    assert_str(buf_str(&out),
        S("a\xef\xbf\xbd" "b\xef\xbf\xbd" "c\xef\xbf\xbd" "d\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "e"
                                "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "f\xef\xbf\xbd\xef\xbf\xbd"));
    buf_clear(&out);
    xml_escape_text(&out, STR_NULL);
    assert_int_equal(out.n, 0);
    buf_deinit(&out);
}

static void built_trees(void **state)
{
    struct arena *a = arena_new();
    struct xml_el *el = xml_new(a, TOK_iq, TOK_NS_CLIENT), *q;
    assert_written(el, TOK_NS_CLIENT, "<iq/>");
    assert_written(el, TOK_NS_SERVER, "<iq xmlns='jabber:client'/>");
    assert_written(el, TOK_NONE, "<iq xmlns='jabber:client'/>");
    xml_attr_set(a, el, TOK_id, S("<'>"));
    xml_attr_set_ns(a, el, TOK_NS_XML, TOK_lang, S("en"));
    q = xml_add(a, el, TOK_query, TOK_NS_ROSTER);
    xml_add_leaf(a, q, TOK_item, S("a&b"));
    xml_append(q, xml_new(a, TOK_x, TOK_NONE));
    xml_append(q, xml_new(a, TOK_error, TOK_NS_CLIENT));
    assert_written(el, TOK_NS_CLIENT, "<iq id='&lt;&apos;&gt;' xml:lang='en'><query xmlns='jabber:iq:roster'>"
                                      "<item>a&amp;b</item><x xmlns=''/><error xmlns='jabber:client'/></query></iq>");
    xml_attr_set_ns(a, q, TOK_NS_PING, TOK_to, S("1"));
    xml_attr_set_ns(a, q, TOK_NS_TIME, TOK_to, S("2"));
    assert_written(q, TOK_NS_ROSTER, "<query xmlns:n1='urn:xmpp:ping' n1:to='1' xmlns:n2='urn:xmpp:time' n2:to='2'>"
                                     "<item>a&amp;b</item><x xmlns=''/><error xmlns='jabber:client'/></query>");
    check_writing(el);
    arena_release(&a);
}

static void standard_prefixes(void **state)
{
    struct arena *a = arena_new();
    struct xml_el *el = xml_new(a, TOK_features, TOK_NS_STREAM);
    xml_add(a, el, TOK_starttls, TOK_NS_TLS);
    xml_add(a, el, TOK_bind, TOK_NS_CLIENT);
    assert_written(el, TOK_NS_CLIENT, "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"
                                      "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><bind/></stream:features>");
    check_writing(el);
    el = parse(a, "<xml:a><xml:b/><c/></xml:a>");
    xml_attr_set(a, el, TOK_id, S("1"));
    assert_written(el, TOK_NS_CLIENT, "<xml:a id='1'><xml:b/><c/></xml:a>");
    check_writing(el);
    el = parse(a, "<error xmlns='http://etherx.jabber.org/streams'><a/></error>");
    xml_attr_set(a, el, TOK_id, S("1"));
    assert_written(el, TOK_NS_CLIENT, "<stream:error xmlns:stream='http://etherx.jabber.org/streams' id='1'>"
                                      "<stream:a xmlns:stream='http://etherx.jabber.org/streams'/></stream:error>");
    check_writing(el);
    arena_release(&a);
}

static void source_bytes(void **state)
{
    struct arena *a = arena_new();
    struct xml_el *el = parse(a, "<message  to=\"x\" ><body  />&#65;<a xmlns='urn:a' ><b /></a></message>");
    assert_written(el, TOK_NS_CLIENT, "<message  to=\"x\" ><body  />&#65;<a xmlns='urn:a' ><b /></a></message>");
    assert_written(el, TOK_NS_SERVER, "<message xmlns='jabber:client' to='x'><body  />&#65;<a xmlns='urn:a' ><b "
        "/></a></message>");
    assert_addressed(el, TOK_NS_CLIENT, S("f"), S("t"),
        "<message to='t' from='f'><body  />&#65;<a xmlns='urn:a' ><b /></a></message>");
    assert_addressed(el, TOK_NS_CLIENT, STR_NULL, STR_NULL,
        "<message><body  />&#65;<a xmlns='urn:a' ><b /></a></message>");
    xml_add(a, el, TOK_x, TOK_NONE);
    assert_written(el, TOK_NS_CLIENT, "<message to='x'><body  />A<a xmlns='urn:a' ><b /></a><x/></message>");
    struct xml_el *b = xml_first(xml_next(xml_first(el)));
    assert_written(b, TOK_NS_CLIENT, "<b xmlns='urn:a'/>");
    check_writing(el);
    arena_release(&a);
}

/* Prefixes and default namespaces declared outside make bytes useless elsewhere. */
static void bytes_that_cannot_stand_alone(void **state)
{
    struct arena *a = arena_new();
    struct xml_el *el = parse(a, "<message xmlns:p='urn:p'><p:a><b xmlns='urn:b'/><p:c/></p:a><d/></message>");
    struct xml_el *pa = xml_first(el);
    assert_non_null(el->raw.p);
    assert_null(el->raw_inner.p);
    assert_null(pa->raw.p);
    assert_null(pa->raw_inner.p);
    assert_str(xml_first(pa)->raw, S("<b xmlns='urn:b'/>"));
    assert_false(xml_first(pa)->raw_leans);
    assert_null(xml_next(xml_first(pa))->raw.p);
    assert_str(xml_next(pa)->raw, S("<d/>"));
    assert_true(xml_next(pa)->raw_leans);
    assert_addressed(el, TOK_NS_CLIENT, STR_NULL, S("t"),
                     "<message to='t'><a xmlns='urn:p'><b xmlns='urn:b'/><c/></a><d/></message>");
    check_writing(el);
    /* an unprefixed element inside a prefixed one leans on a namespace the prefixed one does not set */
    el = parse(a, "<message><p:a xmlns:p='urn:p'><b/></p:a><p:a xmlns:p='urn:p'><p:b/></p:a></message>");
    pa = xml_first(el);
    assert_non_null(el->raw.p);
    assert_non_null(el->raw_inner.p);
    assert_null(pa->raw.p);
    assert_null(pa->raw_inner.p);
    assert_non_null(xml_next(pa)->raw.p);
    assert_null(xml_next(pa)->raw_inner.p);
    check_writing(el);
    el = parse(a, "<p:message xmlns:p='jabber:client' xmlns='urn:x'><b/></p:message>");
    assert_non_null(el->raw.p);
    assert_null(el->raw_inner.p);
    check_writing(el);
    arena_release(&a);
}

/* Prefixes of the stream header are outside of every stanza. */
static void header_prefixes(void **state)
{
    static const char doc[] = "<stream:stream xmlns='jabber:client' xmlns:x='urn:x' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
                              "<message x:a='1'><body/></message>";
    struct xml_stream *s = xml_stream_new(NULL);
    struct arena *a;
    struct xml_el *el;
    size_t pos = 0;
    assert_int_equal(xml_stream_next(s, doc, sizeof(doc) - 1, &pos, &a, &el), XML_OPEN);
    arena_release(&a);
    assert_int_equal(xml_stream_next(s, doc, sizeof(doc) - 1, &pos, &a, &el), XML_STANZA);
    assert_null(el->raw.p);
    assert_str(el->raw_inner, S("<body/>"));
    assert_written(el, TOK_NS_CLIENT, "<message xmlns:n1='urn:x' n1:a='1'><body/></message>");
    check_writing(el);
    arena_release(&a);
    xml_stream_delete(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes), cmocka_unit_test(built_trees), cmocka_unit_test(standard_prefixes),
        cmocka_unit_test(source_bytes), cmocka_unit_test(bytes_that_cannot_stand_alone),
            cmocka_unit_test(header_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
