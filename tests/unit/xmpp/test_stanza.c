/* xmpp/stanza.h: reading kinds and types, new stanzas, results, error replies as ejabberd words them. */
#include "xml/stream.h"
#include "xml/writer.h"
#include "xmpp/stanza.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct arena *A;

static int setup(void **state)
{
    A = arena_new();
    return 0;
}

static int teardown(void **state)
{
    arena_release(&A);
    return 0;
}

static struct xml_el *parse(const char *text)
{
    const char *why = NULL;
    struct xml_el *el = xml_parse(A, str_of(text), TOK_NS_CLIENT, &why);
    if (!el)
        fail_msg("%s: %s", why, text);
    return el;
}

static struct jid address(const char *text)
{
    struct jid j = JID_NULL;
    if (text)
        assert_true(jid_parse(A, str_of(text), &j));
    return j;
}

/* As the stream leaves it: addresses prepared beside the element. */
static struct stanza *incoming(const char *xml, const char *from, const char *to)
{
    struct stanza *s = stanza_of(A, parse(xml));
    assert_non_null(s);
    s->from = address(from);
    s->to = address(to);
    return s;
}

static size_t attr_count(const struct xml_el *el)
{
    size_t n = 0;
    for (const struct xml_attr *at = el->attrs; at; at = at->next)
        n++;
    return n;
}

static bool has_attr(const struct xml_el *el, const struct xml_attr *want)
{
    for (const struct xml_attr *at = el->attrs; at; at = at->next)
        if (str_eq(at->name, want->name) && str_eq(at->ns_uri, want->ns_uri) && str_eq(at->value, want->value))
            return true;
    return false;
}

/* Same tree, attributes in any order. */
static bool same(const struct xml_el *a, const struct xml_el *b)
{
    if (!str_eq(a->name, b->name) || !str_eq(a->ns_uri, b->ns_uri) || attr_count(a) != attr_count(b))
        return false;
    for (const struct xml_attr *at = a->attrs; at; at = at->next)
        if (!has_attr(b, at))
            return false;
    if (!str_eq(xml_text_of(A, a), xml_text_of(A, b)))
        return false;
    const struct xml_el *x = xml_first(a), *y = xml_first(b);
    for (; x && y; x = xml_next(x), y = xml_next(y))
        if (!same(x, y))
            return false;
    return !x && !y;
}

/* Compares both the tree and what is read back from its bytes. */
static void assert_xml(const struct stanza *s, const char *want)
{
    struct buf out = BUF_INIT;
    xml_write(&out, s->el, TOK_NS_CLIENT);
    buf_add_c(&out, '\0');
    struct xml_el *expected = parse(want);
    if (!same(s->el, expected) || !same(parse(out.p), expected))
        fail_msg("got  %s\nwant %s", out.p, want);
    buf_deinit(&out);
}

static void test_reads_types(void **state)
{
    static const struct {
        const char *xml;
        enum stanza_kind kind;
        enum stanza_type type;
    } cases[] = {
        {"<message/>", STANZA_MESSAGE, ST_NORMAL},
        {"<message type=''/>", STANZA_MESSAGE, ST_NORMAL},
        {"<message type='normal'/>", STANZA_MESSAGE, ST_NORMAL},
        {"<message type='foo'/>", STANZA_MESSAGE, ST_NORMAL},
        {"<message type='get'/>", STANZA_MESSAGE, ST_NORMAL},
        {"<message type='chat'/>", STANZA_MESSAGE, ST_CHAT},
        {"<message type='groupchat'/>", STANZA_MESSAGE, ST_GROUPCHAT},
        {"<message type='headline'/>", STANZA_MESSAGE, ST_HEADLINE},
        {"<message type='error'/>", STANZA_MESSAGE, ST_ERROR},
        {"<presence/>", STANZA_PRESENCE, ST_AVAILABLE},
        {"<presence type='available'/>", STANZA_PRESENCE, ST_AVAILABLE},
        {"<presence type='unavailable'/>", STANZA_PRESENCE, ST_UNAVAILABLE},
        {"<presence type='subscribe'/>", STANZA_PRESENCE, ST_SUBSCRIBE},
        {"<presence type='subscribed'/>", STANZA_PRESENCE, ST_SUBSCRIBED},
        {"<presence type='unsubscribe'/>", STANZA_PRESENCE, ST_UNSUBSCRIBE},
        {"<presence type='unsubscribed'/>", STANZA_PRESENCE, ST_UNSUBSCRIBED},
        {"<presence type='probe'/>", STANZA_PRESENCE, ST_PROBE},
        {"<presence type='error'/>", STANZA_PRESENCE, ST_ERROR},
        {"<presence type='chat'/>", STANZA_PRESENCE, ST_INVALID},
        {"<presence type=''/>", STANZA_PRESENCE, ST_INVALID},
        {"<presence type='Unavailable'/>", STANZA_PRESENCE, ST_INVALID},
        {"<iq/>", STANZA_IQ, ST_INVALID},
        {"<iq type='get'/>", STANZA_IQ, ST_GET},
        {"<iq type='set'/>", STANZA_IQ, ST_SET},
        {"<iq type='result'/>", STANZA_IQ, ST_RESULT},
        {"<iq type='error'/>", STANZA_IQ, ST_ERROR},
        {"<iq type='foo'/>", STANZA_IQ, ST_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct stanza *s = stanza_of(A, parse(cases[i].xml));
        assert_non_null(s);
        if (s->kind != cases[i].kind || s->type != cases[i].type)
            fail_msg("%s: kind %d, type %d", cases[i].xml, (int)s->kind, (int)s->type);
        assert_false(jid_present(s->from) || jid_present(s->to));
        assert_null(s->id.p);
    }
    struct stanza *s = stanza_of(A, parse("<iq type='get' id='a1' to='x@y' from='z'/>"));
    assert_true(str_eq(s->id, S("a1")));
    assert_null(stanza_of(A, parse("<foo/>")));
    assert_null(stanza_of(A, parse("<message xmlns='jabber:server'/>")));
    assert_null(stanza_of(A, parse("<iq xmlns='urn:foo'/>")));
}

static void test_new_and_stamp(void **state)
{
    struct stanza *s = stanza_new(STANZA_MESSAGE, ST_CHAT, address("a@b/c"), address("d@e"));
    assert_xml(s, "<message from='a@b/c' to='d@e' type='chat'/>");
    s->from = jid_to_bare(s->from);
    s->to = JID_NULL;
    stanza_stamp(s);
    assert_xml(s, "<message from='a@b' type='chat'/>");
    stanza_end(&s);
    assert_null(s);
    stanza_end(&s);
    s = stanza_new(STANZA_PRESENCE, ST_AVAILABLE, JID_NULL, JID_NULL);
    assert_xml(s, "<presence/>");
    stanza_end(&s);
    s = stanza_new(STANZA_IQ, ST_SET, address("h"), address("a@b/c"));
    assert_xml(s, "<iq type='set' from='h' to='a@b/c'/>");
    stanza_end(&s);
}

/* The reply outlives what it answers. */
static void test_result(void **state)
{
    struct arena *mine = A;
    A = arena_new();
    struct stanza *q = incoming("<iq type='get' id='p' to='localhost' x='y'><ping xmlns='urn:xmpp:ping'/></iq>",
                                "u1@localhost/r1", "localhost");
    struct stanza *r = stanza_result(q), *own;
    q = incoming("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>", "u1@localhost/r1", NULL);
    own = stanza_result(q);
    arena_release(&A);
    A = mine;
    assert_xml(r, "<iq to='u1@localhost/r1' from='localhost' type='result' id='p'/>");
    assert_int_equal(r->type, ST_RESULT);
    assert_true(str_eq(r->id, S("p")));
    assert_xml(own, "<iq to='u1@localhost/r1' from='u1@localhost' type='result' id='p'/>");
    stanza_end(&r);
    stanza_end(&own);
}

#define STANZAS "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"

struct error_case {
    const char *xml, *to;
    const char *type, *condition, *text;
    const char *want;
};

/* What ejabberd 25.03 answers, without the language of the stream. */
static const struct error_case error_cases[] = {
    {"<iq type='get' id='i' to='localhost'><query xmlns='urn:example:unknown'/></iq>", "localhost", "cancel",
     "service-unavailable", "No module is handling this query",
     "<iq to='u1@localhost/r1' from='localhost' type='error' id='i'><query xmlns='urn:example:unknown'/>"
     "<error type='cancel'><service-unavailable " STANZAS "/><text xml:lang='en' " STANZAS
     ">No module is handling this query</text></error></iq>"},
    {"<iq type='set' id='i'><query xmlns='urn:example:unknown'/></iq>", NULL, "cancel", "service-unavailable",
     "No module is handling this query",
     "<iq to='u1@localhost/r1' from='u1@localhost' type='error' id='i'><query xmlns='urn:example:unknown'/>"
     "<error type='cancel'><service-unavailable " STANZAS "/><text xml:lang='en' " STANZAS
     ">No module is handling this query</text></error></iq>"},
    {"<message to='nobody@localhost' type='chat' id='m'><body>x</body></message>", "nobody@localhost", "cancel",
     "service-unavailable", NULL,
     "<message to='u1@localhost/r1' from='nobody@localhost' type='error' id='m'><body>x</body>"
     "<error type='cancel'><service-unavailable " STANZAS "/></error></message>"},
    {"<message to='off@localhost' type='chat' id='m'><active "
     "xmlns='http://jabber.org/protocol/chatstates'/></message>",
     "off@localhost", "cancel", "service-unavailable", "User session not found",
     "<message to='u1@localhost/r1' from='off@localhost' type='error' id='m'>"
     "<active xmlns='http://jabber.org/protocol/chatstates'/><error type='cancel'><service-unavailable " STANZAS
     "/><text xml:lang='en' " STANZAS ">User session not found</text></error></message>"},
    {"<presence to='x@unreachable.invalid' type='subscribe'/>", "x@unreachable.invalid", "cancel",
     "remote-server-not-found", "DNS lookup failed: enoname",
     "<presence to='u1@localhost/r1' from='x@unreachable.invalid' type='error'>"
     "<error type='cancel'><remote-server-not-found " STANZAS "/><text xml:lang='en' " STANZAS
     ">DNS lookup failed: enoname</text></error></presence>"},
    {"<message to='&lt;x&gt;@localhost' type='chat' id='m'><body>a &amp; b</body></message>", NULL, "modify",
     "bad-request", "Bad value of attribute 'to' in tag <message/> qualified by namespace 'jabber:client'",
     "<message type='error' id='m' from='&lt;x>@localhost' to='u1@localhost/r1'><body>a &amp; b</body>"
     "<error type='modify'><bad-request " STANZAS "/><text xml:lang='en' " STANZAS
     ">Bad value of attribute &apos;to&apos; in tag &lt;message/&gt; qualified by namespace "
     "&apos;jabber:client&apos;</text></error></message>"},
    /* one error only, and none of the sender's top-level attributes */
    {"<message to='a@b' x='1'><error type='wait'><gone " STANZAS "/></error><body>x</body></message>", "a@b", "wait",
     "resource-constraint", NULL,
     "<message to='u1@localhost/r1' from='a@b' type='error'><body>x</body>"
     "<error type='wait'><resource-constraint " STANZAS "/></error></message>"},
    {"<iq type='foo' id='i' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>", "localhost", "modify", "bad-request",
     NULL,
     "<iq type='error' id='i' from='localhost' to='u1@localhost/r1'><ping xmlns='urn:xmpp:ping'/>"
     "<error type='modify'><bad-request " STANZAS "/></error></iq>"},
};

static void test_errors(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(error_cases); i++) {
        const struct error_case *c = &error_cases[i];
        struct arena *mine = A;
        A = arena_new();
        struct stanza *s = incoming(c->xml, "u1@localhost/r1", c->to);
        char type[16], condition[32], text[128];
        snprintf(type, sizeof(type), "%s", c->type);
        snprintf(condition, sizeof(condition), "%s", c->condition);
        snprintf(text, sizeof(text), "%s", c->text ? c->text : "");
        struct stanza *r = stanza_error_words(s, str_of(type), str_of(condition), c->text ? str_of(text) : STR_NULL);
        /* Nothing of the original or of the words is needed any more. */
        arena_release(&A);
        memset(type, 'X', sizeof(type));
        memset(condition, 'X', sizeof(condition));
        memset(text, 'X', sizeof(text));
        A = mine;
        assert_non_null(r);
        assert_int_equal(r->type, ST_ERROR);
        assert_xml(r, c->want);
        stanza_end(&r);
    }
}

static void test_error_codes(void **state)
{
    struct stanza *s = incoming("<message to='a@b'/>", "u1@localhost/r1", "a@b");
    for (unsigned code = ERR_NONE + 1; code < ERR__COUNT; code++) {
        const struct err_info *info = err_info((enum err_code)code);
        struct stanza *r = stanza_error(s, (enum err_code)code, STR_NULL);
        struct xml_el *error = xml_child(r->el, TOK_error, TOK_NS_CLIENT);
        assert_non_null(error);
        assert_true(str_eq(xml_attr_get(error, TOK_type), str_of(info->stanza_type)));
        assert_true(str_eq(xml_first(error)->name, str_of(info->stanza_cond)));
        assert_int_equal(xml_first(error)->ns, TOK_NS_STANZAS);
        assert_null(xml_next(xml_first(error)));
        stanza_end(&r);
    }
}

static void test_no_error_for(void **state)
{
    static const char *const cases[] = {"<iq type='error' id='i'/>", "<iq type='result' id='i'/>",
                                        "<message type='error'/>", "<presence type='error'/>"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_null(stanza_error(incoming(cases[i], "a@b/c", "d@e"), ERR_NO_SERVICE, S("x")));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_types), TEST(test_new_and_stamp), TEST(test_result),   TEST(test_errors),
        TEST(test_error_codes), TEST(test_no_error_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
