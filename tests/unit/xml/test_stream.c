/* The stream parser, each input fed whole, byte by byte and in random pieces. */
#include "test.h"

/* error numbers of enum xml_error in the dumps */
#define NWF "error 1\n"
#define RESTRICTED "error 2\n"
#define PREFIX "error 3\n"
#define ENCODING "error 4\n"
#define UTF8 "error 5\n"
#define TOO_BIG "error 6\n"
#define LIMIT "error 7\n"
#define TEXT "error 8\n"

static void headers(void **state)
{
    assert_feed("", "");
    assert_in("", "");
    assert_feed("<?xml version='1.0'?>" HEADER, OPENED);
    assert_feed("<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes' ?>\n " HEADER, OPENED);
    assert_feed("  \n" HEADER, OPENED);
    assert_feed("<?xml  version = '1.0'  encoding='UTF-8'?>" HEADER "</stream:stream>", OPENED "close\n");
    assert_feed("<s xmlns='urn:x'>", "open ({urn:x}s)\n");
    assert_feed("<s:stream xmlns:s='http://etherx.jabber.org/streams' xml:lang='de' s:a='1'/>",
                "open ({http://etherx.jabber.org/streams}stream {http://www.w3.org/XML/1998/namespace}lang=[de] "
                "{http://etherx.jabber.org/streams}a=[1])\nclose\n");
    assert_feed("<?xml vers", "partial\n");
    assert_feed("<", "partial\n");
    assert_feed("<stream:stream xmlns:stream='http://", "partial\n");
}

static void bad_headers(void **state)
{
    assert_feed("x", NWF);
    assert_feed("\xef\xbb\xbf<a>", NWF);
    assert_feed("</a>", NWF);
    assert_feed("<?xml version='1.1'?><a>", NWF);
    assert_feed("<?xml version='1.0'encoding='utf-8'?><a>", NWF);
    assert_feed("<?xml encoding='utf-8'?><a>", NWF);
    assert_feed("<?xml version='1.0' standalone='maybe'?><a>", NWF);
    assert_feed("<?xml version='1.0' standalone='yes' encoding='utf-8'?><a>", NWF);
    assert_feed("<?xml?>", NWF);
    assert_feed("<?xml version='1.0' encoding='iso-8859-1'?><a>", ENCODING);
    assert_feed("<?xml version='1.0' encoding='utf-16'?><a>", ENCODING);
    assert_feed(" <?xml version='1.0'?><a>", RESTRICTED);
    assert_feed("<?xml-stylesheet href='x'?><a>", RESTRICTED);
    assert_feed("<?p", RESTRICTED);
    assert_feed("<!-- c -->", RESTRICTED);
    assert_feed("<!DOCTYPE a>", RESTRICTED);
    assert_feed("<![CDATA[x]]>", NWF);
    assert_feed("<a:b>", PREFIX);
    assert_feed("<a x:b=''>", PREFIX);
}

static void stanzas(void **state)
{
    assert_in("<message/>", "stanza (" MSG ")\n");
    assert_in(" <message\n/>\r\n\t<iq ></iq\t>", "stanza (" MSG ")\nstanza ({jabber:client}iq)\n");
    assert_in("<message to='a' type=\"b\"><body>hi</body></message>",
              "stanza (" MSG " to=[a] type=[b] ({jabber:client}body \"hi\"))\n");
    assert_in("<message><a>1</a>2<b>3</b>4</message>",
              "stanza (" MSG " ({jabber:client}a \"1\") \"2\" ({jabber:client}b \"3\") \"4\")\n");
    assert_in("<message a = 'x'\tb\n=\r\"y\"></message ></stream:stream >", "stanza (" MSG " a=[x] b=[y])\nclose\n");
    assert_in("<message>\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80</message>",
              "stanza (" MSG " \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\")\n");
    assert_in("<\xc3\xa9l\xe2\x82\x81 \xd0\xb6.-_1='\xc2\xb7'/>",
        "stanza ({jabber:client}\xc3\xa9l\xe2\x82\x81 \xd0\xb6.-_1=[\xc2\xb7])\n");
    assert_in("<a-very-long-name-of-an-element.with_all-sorts0123456789 and-an-equally-long-attribute-name='v'>"
              "t</a-very-long-name-of-an-element.with_all-sorts0123456789>",
              "stanza ({jabber:client}a-very-long-name-of-an-element.with_all-sorts0123456789 "
              "and-an-equally-long-attribute-name=[v] \"t\")\n");
    assert_in("<message", "partial\n");
    assert_in("<message><body>a", "partial\n");
    assert_in("<message/></stream:stream>\n ", "stanza (" MSG ")\nclose\n");
    assert_in("</stream:stream>x", "close\n" NWF);
    assert_in("</stream:stream><message/>", "close\n" NWF);
}

static void characters(void **state)
{
    assert_in("<m>&lt;&gt;&amp;&apos;&quot;</m>", "stanza ({jabber:client}m \"<>&'\"\")\n");
    assert_in("<m>a&#65;&#x42;&#x00043;&#128512;&#xe9;b</m>",
              "stanza ({jabber:client}m \"aABC\xf0\x9f\x98\x80\xc3\xa9" "b\")\n");
    assert_in("<m>a\r\nb\rc\n\td&#13;e</m>", "stanza ({jabber:client}m \"a\nb\nc\n\td\re\")\n");
    assert_in("<m>a<![CDATA[<b>&amp;]] ]>\r\n]]>c<![CDATA[]]>d</m>",
              "stanza ({jabber:client}m \"a<b>&amp;]] ]>\ncd\")\n");
    assert_in("<m><![CDATA[]]></m>", "stanza ({jabber:client}m)\n");
    assert_in("<m>]] ]> ]]&gt;</m>", "stanza ({jabber:client}m \"]] ]> ]]>\")\n");
    assert_in("<m a='&lt;\t\r\n\n\r &#10;&#9;&quot;\"'/>", "stanza ({jabber:client}m a=[<     \n\t\"\"])\n");
    assert_in("<m a=\"'>]]>\"/>", "stanza ({jabber:client}m a=['>]]>])\n");
    assert_in("<m a=''/>", "stanza ({jabber:client}m a=[])\n");
}

static void bad_characters(void **state)
{
    assert_in("<m>\x01</m>", NWF);
    assert_in("<m>\x7f</m>", "stanza ({jabber:client}m \"\x7f\")\n");
    assert_feed_lim(NULL, str_n(HEADER "<m>\0</m>", sizeof(HEADER "<m>\0</m>") - 1), S(OPENED NWF));
    assert_feed_lim(NULL, str_n(HEADER "<m\0/>", sizeof(HEADER "<m\0/>") - 1), S(OPENED NWF));
    assert_feed_lim(NULL, str_n(HEADER "<m a='\0'/>", sizeof(HEADER "<m a='\0'/>") - 1), S(OPENED NWF));
    assert_in("<m>]]></m>", NWF);
    assert_in("<m>x]]]></m>", NWF);
    assert_in("<m a='<'/>", NWF);
    assert_in("<m a='\x1f'/>", NWF);
    assert_in("<m>&#0;</m>", NWF);
    assert_in("<m>&#31;</m>", NWF);
    assert_in("<m>&#xD800;</m>", NWF);
    assert_in("<m>&#xFFFE;</m>", NWF);
    assert_in("<m>&#x110000;</m>", NWF);
    assert_in("<m>&#99999999999999999999;</m>", NWF);
    assert_in("<m>&#;</m>", NWF);
    assert_in("<m>&#x;</m>", NWF);
    assert_in("<m>&#1a;</m>", NWF);
    assert_in("<m>&;</m>", NWF);
    assert_in("<m>& </m>", NWF);
    assert_in("<m a='&'/>", NWF);
    assert_in("<m>&am</m>", NWF);
    assert_in("<m>&foo;</m>", RESTRICTED);
    assert_in("<m a='&lol9;'/>", RESTRICTED);
    assert_in("<m>&ampx;</m>", RESTRICTED);
    assert_in("<m>&LT;</m>", RESTRICTED);
}

static void bad_utf8(void **state)
{
    static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3(", "\xe0\x80\x80", "\xe0\x9f\xbf",
                                      "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82(", "\xef\xbf\xbe", "\xef\xbf\xbf",
                                      "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                      "\xf0\x9f\x98(", "\xff", "\xfe"};
    static const char *const places[] = {HEADER "<m>%s</m>", HEADER "<m a='%s'/>", HEADER "<m><![CDATA[%s]]></m>",
                                         HEADER "<m%s/>", HEADER "<m a%s='b'/>"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        for (size_t k = 0; k < ARRAY_LEN(places); k++) {
            char doc[256];
            size_t at = (size_t)(strchr(places[k], '%') - places[k]), n = strlen(bad[i]);
            memcpy(doc, places[k], at);
            memcpy(doc + at, bad[i], n);
            strcpy(doc + at + n, places[k] + at + 2);
            assert_feed_lim(NULL, str_of(doc), S(OPENED UTF8));
        }
    assert_in("<m>\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf</m>",
        "stanza ({jabber:client}m \"\xee\x80\x80\xef\xbf\xbd\xf4\x8f\xbf\xbf\")\n");
}

static void bad_syntax(void **state)
{
    static const char *const bad[] = {
        "<m></n>", "<m></mm>", "<m></>", "<m><a></m></a>", "</m>", "</stream:strea>", "</stream:streams>", "</stream>",
        "<m a>", "<m a=>", "<m a=b>", "<m a='1'b='2'/>", "<m a='1' a='2'/>", "<m / >", "<m/a>", "<1/>", "<-a/>",
            "<.a/>",
        "<:a/>", "<a:/>", "<a:b:c/>", "<stream:1/>", "< m/>", "<m 1='a'/>", "<m ='a'/>", "<m '/>", "<m a='1' =''/>",
        "<m><</m>", "<m><![cdata[x]]></m>", "<m><![CDATA x]]></m>", "<m><!x></m>", "<m><!-x--></m>",
        "<![CDATA[x]]>", "<m></m a='1'>", "<m \xe2\x80\x90='1'/>", "<\xc2\xb7/>", "<m\xe2\x80\x80/>",
        "<m xmlns='a' xmlns='b'/>", "<m xmlns:p='a' xmlns:p='b'/>", "<m xmlns:p='a' xmlns:q='a' p:x='1' q:x='2'/>",
        "<m xmlns:p=''/>", "<m xmlns:xmlns='a'/>", "<m xmlns:xml='a'/>",
            "<m xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<m xmlns='http://www.w3.org/XML/1998/namespace'/>", "<m xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<m xmlns:p='http://www.w3.org/2000/xmlns/'/>", "<m xmlns:='a'/>",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf doc = BUF_INIT, got;
        buf_printf(&doc, HEADER "%s", bad[i]);
        got = feed_all(NULL, buf_str(&doc));
        if (!str_eq(buf_str(&got), S(OPENED NWF)))
            print_error("%s\n", bad[i]);
        assert_str(buf_str(&got), S(OPENED NWF));
        buf_deinit(&got);
        buf_deinit(&doc);
    }
}

static void restricted(void **state)
{
    assert_in("<!-- c -->", RESTRICTED);
    assert_in("<m><!-- c --></m>", RESTRICTED);
    assert_in("<m>text<!-- c --></m>", RESTRICTED);
    assert_in("<?pi?>", RESTRICTED);
    assert_in("<m><?pi x?></m>", RESTRICTED);
    assert_in("<?xml version='1.0'?>", RESTRICTED);
    assert_in("<!DOCTYPE x>", RESTRICTED);
    assert_in("<m><!DOCTYPE lolz [<!ENTITY lol 'lol'>]></m>", RESTRICTED);
}

static void namespaces(void **state)
{
    assert_in("<m xmlns='urn:a'><b/><c xmlns=''><d/></c><e/></m>",
              "stanza ({urn:a}m ({urn:a}b) (c (d)) ({urn:a}e))\n");
    assert_in("<p:m xmlns:p='urn:a' p:x='1' x='2'><p:b xmlns:p='urn:b'/><p:c/><d/></p:m>",
              "stanza ({urn:a}m {urn:a}x=[1] x=[2] ({urn:b}b) ({urn:a}c) ({jabber:client}d))\n");
    assert_in("<m p:x='1' xmlns:p='urn:&amp;a'/>", "stanza (" "{jabber:client}m {urn:&a}x=[1])\n");
    assert_in("<m xml:lang='en' xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
              "stanza ({jabber:client}m {http://www.w3.org/XML/1998/namespace}lang=[en])\n");
    assert_in("<stream:error xmlns:a='u'><a:x/></stream:error>",
              "stanza ({http://etherx.jabber.org/streams}error ({u}x))\n");
    assert_in("<m xmlns:stream='urn:o'><stream:x/></m><stream:x/>",
              "stanza ({jabber:client}m ({urn:o}x))\nstanza ({http://etherx.jabber.org/streams}x)\n");
    assert_in("<p:m/>", PREFIX);
    assert_in("<m p:a='1'/>", PREFIX);
    assert_in("<m><p:a xmlns:p='u'/><p:b/></m>", PREFIX);
    assert_in("<xmlns:m/>", PREFIX);
    assert_in("<m xmlnsx='1' xmln='2' xmlns-a='3'/>", "stanza ({jabber:client}m xmlnsx=[1] xmln=[2] xmlns-a=[3])\n");
}

static void unusual_headers(void **state)
{
    assert_feed("<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
                "xmlns:stream='http://etherx.jabber.org/streams'><db:result to='x'>k</db:result><iq/></stream:stream>",
                "open ({http://etherx.jabber.org/streams}stream)\nstanza ({jabber:server:dialback}result to=[x] "
                    "\"k\")\n"
                "stanza ({jabber:server}iq)\nclose\n");
    assert_feed("<s:stream xmlns='urn:odd' xmlns:s='http://etherx.jabber.org/streams'><a s:b='1'/></s:stream>",
                "open ({http://etherx.jabber.org/streams}stream)\n"
                "stanza ({urn:odd}a {http://etherx.jabber.org/streams}b=[1])\nclose\n");
    assert_feed("<stream xmlns='http://etherx.jabber.org/streams'><a/><stream:b/>",
                "open ({http://etherx.jabber.org/streams}stream)\nstanza "
                    "({http://etherx.jabber.org/streams}a)\n" PREFIX);
    assert_feed("<s xmlns:stream='urn:x'><a/><stream:b/></s>", "open (s)\nstanza (a)\nstanza ({urn:x}b)\nclose\n");
    assert_feed("<s:stream xmlns:s='urn:x'></stream:stream>", "open ({urn:x}stream)\n" NWF);
}

static struct buf repeat(const char *before, const char *what, size_t times, const char *after)
{
    struct buf b = BUF_INIT;
    buf_add_str(&b, str_of(before));
    for (size_t i = 0; i < times; i++) {
        struct str w = str_of(what);
        for (size_t k = 0; k < w.n; k++) { /* '#' stands for the number */
            if (w.p[k] == '#')
                buf_printf(&b, "%zu", i);
            else
                buf_add_c(&b, w.p[k]);
        }
    }
    buf_add_str(&b, str_of(after));
    return b;
}

/* Ends with that line, in every cut. */
static void assert_last(const struct xml_limits *lim, struct buf doc, const char *line)
{
    struct buf got = feed_all(lim, buf_str(&doc));
    size_t n = strlen(line);
    assert_true(got.n >= n);
    assert_str(str_n(got.p + got.n - n, n), str_of(line));
    buf_deinit(&got);
    buf_deinit(&doc);
}

/* Well-formed, but no stanza (RFC 6120 §4.9.3.1). */
static void text_between_stanzas(void **state)
{
    static const char *const bad[] = {"text", "&amp;", "<m/>x", "<m/> \n\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_last(NULL, repeat(HEADER, bad[i], 1, ""), TEXT);
    assert_last(NULL, repeat(HEADER, "\x01", 1, ""), NWF);
}

static void limits(void **state)
{
    struct xml_limits lim = {.max_stanza = 100, .max_depth = 3, .max_attrs = 4, .max_name = 16};
    assert_last(&lim, repeat(HEADER "<m>", "a", 93, "</m>"), ")\n");
    assert_last(&lim, repeat(HEADER "<m>", "a", 94, "</m>"), TOO_BIG);
    assert_last(&lim, repeat(HEADER "<m>", "a", 5000, "</m>"), TOO_BIG);
    assert_last(&lim, repeat(HEADER "<m a='", "a", 5000, "'/>"), TOO_BIG);
    assert_last(&lim, repeat(HEADER, "<m>0123456789</m>\n", 500, ""), ")\n");
    assert_last(&lim, repeat(HEADER "<m><m><m>", "", 0, "</m></m></m>"), ")))\n");
    assert_last(&(struct xml_limits){.max_elements = 4}, repeat(HEADER "<m>", "<a/>", 3, "</m>"), ")\n");
    assert_last(&(struct xml_limits){.max_elements = 4}, repeat(HEADER "<m>", "<a/>", 4, "</m>"), LIMIT);
    assert_last(NULL, repeat(HEADER "<m>", "<a/>", 16384, ""), LIMIT);
    assert_last(&lim, repeat(HEADER "<m><m><m><m", "", 0, ""), LIMIT);
    assert_last(&lim, repeat(HEADER "<m ", "a#='' ", 4, "/>"), ")\n");
    assert_last(&lim, repeat(HEADER "<m ", "a#='' ", 5, "/>"), LIMIT);
    assert_last(&lim, repeat(HEADER "<m xmlns='' xmlns:b='u' ", "a#='' ", 2, "/>"), ")\n");
    assert_last(&lim, repeat(HEADER "<m xmlns='' xmlns:b='u' ", "a#='' ", 3, "/>"), LIMIT);
    assert_last(&lim, repeat(HEADER "<", "n", 16, "/>"), ")\n");
    assert_last(&lim, repeat(HEADER "<", "n", 17, "/>"), LIMIT);
    assert_last(&lim, repeat(HEADER "<", "\xc3\xa9", 9, "/>"), LIMIT);
    assert_last(&lim, repeat(HEADER "<m ", "n", 17, "=''/>"), LIMIT);
    assert_last(NULL, repeat("<s a='", "a", 8000, "'>"), ")\n");
    assert_last(NULL, repeat("<s a='", "a", 9000, ""), TOO_BIG);
    assert_last(NULL, repeat("", " ", 9000, ""), TOO_BIG);
    assert_last(NULL, repeat("<?xml version='1.0'", " ", 5000, "?><a>"), LIMIT);
    assert_last(NULL, repeat(HEADER "<m>&#", "0", 5000, "65;</m>"), LIMIT);
    assert_last(NULL, repeat(HEADER, "<m>", 101, ""), LIMIT);
    assert_last(NULL, repeat(HEADER "<m ", "xmlns:a#='u#' ", 60, "><m xmlns:b0='u' xmlns:b1='u' xmlns:b2='u' /></m>"),
        ")\n");
    assert_last(NULL, repeat(HEADER "<m>", "<m xmlns:a='u' xmlns:b='u'/>", 200, "</m>"), ")\n");
    assert_last(NULL, repeat(HEADER, "<m xmlns:a='u' xmlns:b='u'>", 99, ""), LIMIT);
}

/* A depth and sizes that outgrow what is set up for a chat stanza. */
static void large(void **state)
{
    struct xml_limits lim = {.max_depth = 2000};
    struct buf doc = repeat(HEADER, "<m#>\n", 1500, "x"), got;
    for (int i = 1499; i >= 0; i--)
        buf_printf(&doc, "</m%d>", i);
    got = feed_all(&lim, buf_str(&doc));
    assert_non_null(memmem(got.p, got.n, "m1499 \"\nx\")", 11));
    buf_deinit(&got);
    buf_deinit(&doc);
    assert_last(NULL, repeat(HEADER "<m>", "<item jid='user#@example.org'>text &amp; more #</item>", 4000, "</m>"),
        ")\n");
    assert_last(NULL, repeat(HEADER "<m>", "0123456789]\xc3\xa9", 20000, "</m>"), ")\n");
}

static void pulls_one_at_a_time(void **state)
{
    static const char bytes[] = HEADER "<a/> <b/><c";
    struct xml_stream *s = xml_stream_new(NULL);
    struct arena *a;
    struct xml_el *el;
    size_t pos = 0, n = sizeof(bytes) - 1;
    assert_int_equal(xml_stream_content_ns(s), TOK_NONE);
    assert_int_equal(xml_stream_next(s, bytes, n, &pos, &a, &el), XML_OPEN);
    assert_int_equal(pos, sizeof(HEADER) - 1);
    assert_int_equal(xml_stream_content_ns(s), TOK_NS_CLIENT);
    arena_release(&a);
    assert_int_equal(xml_stream_next(s, bytes, n, &pos, &a, &el), XML_STANZA);
    assert_int_equal(pos, sizeof(HEADER "<a/>") - 1);
    assert_false(xml_stream_partial(s));
    arena_release(&a);
    assert_int_equal(xml_stream_next(s, bytes, n, &pos, &a, &el), XML_STANZA);
    assert_int_equal(pos, sizeof(HEADER "<a/> <b/>") - 1);
    arena_release(&a);
    assert_int_equal(xml_stream_next(s, bytes, n, &pos, &a, &el), XML_MORE);
    assert_int_equal(pos, n);
    assert_true(xml_stream_partial(s));
    assert_null(a);
    /* after SASL: whatever was under way is dropped, a header is expected */
    xml_stream_reset(s);
    assert_false(xml_stream_partial(s));
    pos = 0;
    assert_int_equal(xml_stream_next(s, bytes, n, &pos, &a, &el), XML_OPEN);
    arena_release(&a);
    assert_true(xml_stream_footprint(s) < 128);
    xml_stream_delete(&s);
    assert_null(s);
    xml_stream_delete(&s);
}

static void dead_after_an_error(void **state)
{
    struct xml_stream *s = xml_stream_new(NULL);
    struct arena *a;
    struct xml_el *el;
    size_t pos = 0;
    assert_int_equal(xml_stream_next(s, "<<", 2, &pos, &a, &el), XML_ERROR);
    pos = 0;
    assert_int_equal(xml_stream_next(s, HEADER, sizeof(HEADER) - 1, &pos, &a, &el), XML_ERROR);
    assert_int_equal(xml_stream_error(s), XML_ERR_NOT_WELL_FORMED);
    xml_stream_reset(s);
    assert_int_equal(xml_stream_error(s), XML_ERR_NONE);
    pos = 0;
    assert_int_equal(xml_stream_next(s, HEADER, sizeof(HEADER) - 1, &pos, &a, &el), XML_OPEN);
    arena_release(&a);
    xml_stream_delete(&s);
}

/* The offending byte itself must end the stream, whatever would follow. */
static void errors_come_at_once(void **state)
{
    static const char *const bad[] = {"<m><!D", "<m><?", "<m><!--", "<m>&x", "<m></n", "<m>\xc0", "<m>\xed\xa0",
        "<m>\x01",
                                      "<m a='<", "<m a='1' a=", "<m><1", "</x", "x", "<m xmlns:p=''", "<m>]]>"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf doc = BUF_INIT;
        buf_printf(&doc, HEADER "%s", bad[i]);
        struct buf got = feed_all(NULL, buf_str(&doc));
        if (!memmem(got.p, got.n, "error", 5))
            print_error("%s: %.*s\n", bad[i], STR_ARG(buf_str(&got)));
        assert_non_null(memmem(got.p, got.n, "error", 5));
        buf_deinit(&got);
        /* and not before it */
        doc.n--;
        got = feed_all(NULL, buf_str(&doc));
        assert_null(memmem(got.p, got.n, "error", 5));
        buf_deinit(&got);
        buf_deinit(&doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers), cmocka_unit_test(bad_headers), cmocka_unit_test(stanzas),
            cmocka_unit_test(characters),
        cmocka_unit_test(bad_characters), cmocka_unit_test(bad_utf8), cmocka_unit_test(bad_syntax),
        cmocka_unit_test(restricted), cmocka_unit_test(namespaces), cmocka_unit_test(unusual_headers),
        cmocka_unit_test(text_between_stanzas), cmocka_unit_test(limits), cmocka_unit_test(large),
        cmocka_unit_test(pulls_one_at_a_time),
        cmocka_unit_test(dead_after_an_error), cmocka_unit_test(errors_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
