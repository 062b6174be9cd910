/*
 * Digests of disco#info: the examples of XEP-0115 §5.3 and XEP-0390 §4.5, what a real server announced, and answers that must not
 * have a digest.
 */
#include "xml/stream.h"
#include "xmpp/caps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define INFO "<query xmlns='http://jabber.org/protocol/disco#info'>"
#define FORM(type, inner) "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'" type "</field>" inner "</x>"

static const char simple[] =
    "<query xmlns='http://jabber.org/protocol/disco#info'>"
    "<identity category='client' name='BombusMod' type='mobile'/><feature var='http://jabber.org/protocol/si'/>"
    "<feature var='http://jabber.org/protocol/bytestreams'/>"
    "<feature var='http://jabber.org/protocol/chatstates'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/><feature var='urn:xmpp:ping'/>"
    "<feature var='jabber:iq:time'/><feature var='jabber:iq:privacy'/><feature var='jabber:iq:version'/>"
    "<feature var='http://jabber.org/protocol/rosterx'/><feature var='urn:xmpp:time'/>"
    "<feature var='jabber:x:oob'/><feature var='http://jabber.org/protocol/ibb'/>"
    "<feature var='http://jabber.org/protocol/si/profile/file-transfer'/><feature var='urn:xmpp:receipts'/>"
    "<feature var='jabber:iq:roster'/><feature var='jabber:iq:last'/></query>";
static const char with_form[] =
    "<query xmlns='http://jabber.org/protocol/disco#info'>"
    "<identity category='client' name='Tkabber' type='pc' xml:lang='en'/>"
    "<identity category='client' name='Ткаббер' type='pc' xml:lang='ru'/><feature var='games:board'/>"
    "<feature var='http://jabber.org/protocol/activity'/>"
    "<feature var='http://jabber.org/protocol/activity+notify'/>"
    "<feature var='http://jabber.org/protocol/bytestreams'/>"
    "<feature var='http://jabber.org/protocol/chatstates'/><feature var='http://jabber.org/protocol/commands'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/evil'/>"
    "<feature var='http://jabber.org/protocol/feature-neg'/><feature var='http://jabber.org/protocol/geoloc'/>"
    "<feature var='http://jabber.org/protocol/geoloc+notify'/><feature var='http://jabber.org/protocol/ibb'/>"
    "<feature var='http://jabber.org/protocol/iqibb'/><feature var='http://jabber.org/protocol/mood'/>"
    "<feature var='http://jabber.org/protocol/mood+notify'/><feature var='http://jabber.org/protocol/rosterx'/>"
    "<feature var='http://jabber.org/protocol/si'/>"
    "<feature var='http://jabber.org/protocol/si/profile/file-transfer'/>"
    "<feature var='http://jabber.org/protocol/tune'/><feature var='http://www.facebook.com/xmpp/messages'/>"
    "<feature var='http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify'/>"
    "<feature var='jabber:iq:avatar'/><feature var='jabber:iq:browse'/><feature var='jabber:iq:dtcp'/>"
    "<feature var='jabber:iq:filexfer'/><feature var='jabber:iq:ibb'/><feature var='jabber:iq:inband'/>"
    "<feature var='jabber:iq:jidlink'/><feature var='jabber:iq:last'/><feature var='jabber:iq:oob'/>"
    "<feature var='jabber:iq:privacy'/><feature var='jabber:iq:roster'/><feature var='jabber:iq:time'/>"
    "<feature var='jabber:iq:version'/><feature var='jabber:x:data'/><feature var='jabber:x:event'/>"
    "<feature var='jabber:x:oob'/><feature var='urn:xmpp:avatar:metadata+notify'/><feature var='urn:xmpp:ping'/>"
    "<feature var='urn:xmpp:receipts'/><feature var='urn:xmpp:time'/><x xmlns='jabber:x:data' type='result'>"
    "<field type='hidden' var='FORM_TYPE'><value>urn:xmpp:dataforms:softwareinfo</value></field>"
    "<field var='software'><value>Tkabber</value></field><field var='software_version'>"
    "<value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)</value></field><field var='os'><value>Windows</value></field>"
    "<field var='os_version'><value>XP</value></field></x></query>";
static const char psi[] =
    "<query xmlns='http://jabber.org/protocol/disco#info' node='http://psi-im.org#q07IKJEyjvHSyhy//CH0CxmKi8w='>"
    "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
    "<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/muc'/>"
    "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
    "<value>urn:xmpp:dataforms:softwareinfo</value></field><field var='ip_version' type='text-multi' >"
    "<value>ipv4</value><value>ipv6</value></field><field var='os'><value>Mac</value></field>"
    "<field var='os_version'><value>10.5.1</value></field><field var='software'><value>Psi</value></field>"
    "<field var='software_version'><value>0.11</value></field></x></query>";
static const char server[] =
    "<query xmlns='http://jabber.org/protocol/disco#info'><identity type='pep' category='pubsub'/>"
    "<identity name='ejabberd' type='im' category='server'/><feature var='http://jabber.org/protocol/commands'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/><feature var='http://jabber.org/protocol/offline'/>"
    "<feature var='http://jabber.org/protocol/pubsub'/>"
    "<feature var='http://jabber.org/protocol/pubsub#access-authorize'/>"
    "<feature var='http://jabber.org/protocol/pubsub#access-open'/>"
    "<feature var='http://jabber.org/protocol/pubsub#access-presence'/>"
    "<feature var='http://jabber.org/protocol/pubsub#access-whitelist'/>"
    "<feature var='http://jabber.org/protocol/pubsub#auto-create'/>"
    "<feature var='http://jabber.org/protocol/pubsub#auto-subscribe'/>"
    "<feature var='http://jabber.org/protocol/pubsub#collections'/>"
    "<feature var='http://jabber.org/protocol/pubsub#config-node'/>"
    "<feature var='http://jabber.org/protocol/pubsub#config-node-max'/>"
    "<feature var='http://jabber.org/protocol/pubsub#create-and-configure'/>"
    "<feature var='http://jabber.org/protocol/pubsub#create-nodes'/>"
    "<feature var='http://jabber.org/protocol/pubsub#delete-items'/>"
    "<feature var='http://jabber.org/protocol/pubsub#delete-nodes'/>"
    "<feature var='http://jabber.org/protocol/pubsub#filtered-notifications'/>"
    "<feature var='http://jabber.org/protocol/pubsub#get-pending'/>"
    "<feature var='http://jabber.org/protocol/pubsub#instant-nodes'/>"
    "<feature var='http://jabber.org/protocol/pubsub#item-ids'/>"
    "<feature var='http://jabber.org/protocol/pubsub#last-published'/>"
    "<feature var='http://jabber.org/protocol/pubsub#manage-subscriptions'/>"
    "<feature var='http://jabber.org/protocol/pubsub#member-affiliation'/>"
    "<feature var='http://jabber.org/protocol/pubsub#modify-affiliations'/>"
    "<feature var='http://jabber.org/protocol/pubsub#multi-items'/>"
    "<feature var='http://jabber.org/protocol/pubsub#outcast-affiliation'/>"
    "<feature var='http://jabber.org/protocol/pubsub#persistent-items'/>"
    "<feature var='http://jabber.org/protocol/pubsub#presence-notifications'/>"
    "<feature var='http://jabber.org/protocol/pubsub#presence-subscribe'/>"
    "<feature var='http://jabber.org/protocol/pubsub#publish'/>"
    "<feature var='http://jabber.org/protocol/pubsub#publish-only-affiliation'/>"
    "<feature var='http://jabber.org/protocol/pubsub#publish-options'/>"
    "<feature var='http://jabber.org/protocol/pubsub#publisher-affiliation'/>"
    "<feature var='http://jabber.org/protocol/pubsub#purge-nodes'/>"
    "<feature var='http://jabber.org/protocol/pubsub#retract-items'/>"
    "<feature var='http://jabber.org/protocol/pubsub#retrieve-affiliations'/>"
    "<feature var='http://jabber.org/protocol/pubsub#retrieve-default'/>"
    "<feature var='http://jabber.org/protocol/pubsub#retrieve-items'/>"
    "<feature var='http://jabber.org/protocol/pubsub#retrieve-subscriptions'/>"
    "<feature var='http://jabber.org/protocol/pubsub#shim'/>"
    "<feature var='http://jabber.org/protocol/pubsub#subscribe'/>"
    "<feature var='http://jabber.org/protocol/pubsub#subscription-notifications'/><feature var='iq'/>"
    "<feature var='jabber:iq:last'/><feature var='jabber:iq:privacy'/><feature var='jabber:iq:register'/>"
    "<feature var='jabber:iq:version'/><feature var='msgoffline'/><feature var='presence'/>"
    "<feature var='urn:xmpp:blocking'/><feature var='urn:xmpp:carbons:2'/>"
    "<feature var='urn:xmpp:carbons:rules:0'/><feature var='urn:xmpp:extdisco:2'/>"
    "<feature var='urn:xmpp:mam:0'/><feature var='urn:xmpp:mam:1'/><feature var='urn:xmpp:mam:2'/>"
    "<feature var='urn:xmpp:mam:tmp'/><feature var='urn:xmpp:message-retract:1'/><feature var='urn:xmpp:ping'/>"
    "<feature var='vcard-temp'/><x type='result' xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'>"
    "<value>http://jabber.org/network/serverinfo</value></field></x></query>";

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

static struct xml_el *parse(struct arena *a, const char *text)
{
    struct xml_el *el = xml_parse(a, str_of(text), TOK_NS_CLIENT, NULL);
    assert_non_null(el);
    return el;
}

static void expect_ver(struct arena *a, const char *text, const char *want)
{
    struct str ver;
    assert_null(caps_ver(a, parse(a, text), S("sha-1"), &ver));
    assert_string_equal(arena_cstr(a, ver), want);
}

static void expect_hash(struct arena *a, const char *text, const char *algo, const char *want)
{
    struct str ver;
    assert_null(caps2_ver(a, parse(a, text), STR_NULL, str_of(algo), &ver));
    assert_string_equal(arena_cstr(a, ver), want);
}

static void test_examples(void **state)
{
    expect_ver(*state, psi, "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    expect_hash(*state, simple, "sha-256", "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=");
    expect_hash(*state, simple, "sha3-256", "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q=");
    expect_hash(*state, with_form, "sha-256", "u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=");
    expect_hash(*state, with_form, "sha3-256", "XpUJzLAc93258sMECZ3FJpebkzuyNXDzRNwQog8eycg=");
}

/* A form that says nothing but its type counts, too. */
static void test_recorded_server(void **state)
{
    expect_ver(*state, server, "9ClsM0zPMCK8t8JE0gy2umW/7qA=");
}

/* Parts are sorted before they are joined: '/' and '<' are not below all letters. */
static void test_order(void **state)
{
    struct str one, two;
    struct arena *a = *state;
    assert_null(caps_ver(a, parse(a, INFO "<identity category='a-b' type='t'/><identity category='a' type='t'/>"
        FORM(" type='hidden'><value>f</value>", "<field var='v1'/><field var='v'><value>x1</value><value>x</value></field>")
        "</query>"), S("sha-256"), &one));
    assert_null(caps_ver(a, parse(a, INFO "<identity category='a' type='t'/><identity category='a-b' type='t'/>"
        FORM(" type='hidden'><value>f</value>", "<field var='v'><value>x</value><value>x1</value></field><field var='v1'/>")
        "</query>"), S("sha-256"), &two));
    assert_true(str_eq(one, two));
    /* printf 'a/t//<a-b/t//<f<v<x<x1<v1<' | openssl dgst -sha256 -binary | base64 */
    assert_string_equal(arena_cstr(a, one), "gVuy1YMuFkOkVmqOsomzlBEiRLDnSiWCJMlPMIr0iWg=");
}

static void test_ill_formed(void **state)
{
    struct arena *a = *state;
    static const char *const both[] = {
        INFO "<feature var='a'/><feature var='a'/></query>",
        INFO "<feature/></query>",
        INFO "<identity category='a' type='b'/><identity category='a' type='b'/></query>",
    };
    static const char *const old[] = {
        INFO "<feature var='a&lt;b'/></query>",
        INFO "<identity category='a&lt;b' type='b'/></query>",
        INFO FORM(" type='hidden'><value>f</value>", "") FORM(" type='hidden'><value>f</value>", "") "</query>",
        INFO FORM(" type='hidden'><value>f</value><value>g</value>", "") "</query>",
        INFO FORM(" type='hidden'>", "") "</query>",
        INFO FORM(" type='hidden'><value>f</value>", "<field var='v&lt;'/>") "</query>",
        INFO FORM(" type='hidden'><value>f</value>", "<field var='v'><value>a&lt;b</value></field>") "</query>",
    };
    static const char *const newer[] = {
        INFO "<other/></query>",
        INFO FORM("><value>f</value>", "") "</query>",
        INFO FORM(" type='hidden'><value>f</value>", "<reported/>") "</query>",
        INFO FORM(" type='hidden'><value>f</value>", "<item/>") "</query>",
    };
    struct str ver;
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        assert_non_null(caps_ver(a, parse(a, both[i]), S("sha-1"), &ver));
        assert_non_null(caps2_ver(a, parse(a, both[i]), STR_NULL, S("sha-256"), &ver));
        assert_null(ver.p);
    }
    for (size_t i = 0; i < ARRAY_LEN(old); i++)
        assert_non_null(caps_ver(a, parse(a, old[i]), S("sha-1"), &ver));
    for (size_t i = 0; i < ARRAY_LEN(newer); i++)
        assert_non_null(caps2_ver(a, parse(a, newer[i]), STR_NULL, S("sha-256"), &ver));
    assert_non_null(caps_ver(a, parse(a, psi), S("md5"), &ver));
}

/* XEP-0115 §5.4 no. 3.6: a form whose type is not hidden is passed over. */
static void test_forms_without_type(void **state)
{
    struct str one, two;
    assert_null(caps_ver(*state, parse(*state, INFO "<feature var='a'/></query>"), S("sha-1"), &one));
    const char *with = INFO "<feature var='a'/>" FORM("><value>f</value>", "") "</query>";
    assert_null(caps_ver(*state, parse(*state, with), S("sha-1"), &two));
    assert_true(str_eq(one, two));
}

static void test_too_much(void **state)
{
    struct arena *a = *state;
    struct xml_el *query = parse(a, INFO "</query>");
    struct str ver, *features;
    size_t n;
    for (int i = 0; i <= CAPS_FEATURES_MAX; i++)
        xml_attr_set(a, xml_add(a, query, TOK_feature, TOK_NS_DISCO_INFO), TOK_var, arena_printf(a, "f%d", i));
    assert_non_null(caps_ver(a, query, S("sha-1"), &ver));
    assert_non_null(caps_features(a, query, &features, &n));
    assert_int_equal(n, 0);
    query = parse(a, INFO "<feature var='b'/><feature var='a'/></query>");
    assert_null(caps_features(a, query, &features, &n));
    assert_int_equal(n, 2);
    assert_true(str_eq(features[0], S("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_examples, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recorded_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ill_formed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forms_without_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_much, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
