"""What clients say first, word for word as they say it, and the class of answer that each can live with. A part of the protocol
that is not there has to be refused politely (RFC 6120 §8.3.3.19): a client that gets no answer, or another error, hangs or asks
again.

Also what XEP-0479 (compliance suites 2023) asks of a server in the categories Core, IM and Mobile, without rooms and archives."""
import xml.etree.ElementTree as ET

import pytest

import sasl
from server import PASSWORD
from sm import SM, Sm
from xmppstream import canonical, error_of, local, namespace, q

RESULT = "result"
NO_SERVICE = ("cancel", "service-unavailable")
NO_ITEM = ("cancel", "item-not-found")
NO_SERVER = ("cancel", "remote-server-not-found")
ME, SERVER, ROOMS = "{me}", "localhost", "conference.localhost"
INFO, ITEMS = "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items"
PUBSUB, PRIVATE, OMEMO = "http://jabber.org/protocol/pubsub", "jabber:iq:private", "eu.siacs.conversations.axolotl"
MODULES = ("mod_adhoc", "mod_blocking", "mod_carboncopy", "mod_client_state", "mod_offline", "mod_privacy", "mod_private",
           "mod_register", "mod_vcard", "mod_vcard_xupdate")
CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:x' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/>"


def configure(config):
    config["modules"] |= {m: {} for m in MODULES}
    config["modules"] |= {"mod_roster": {"versioning": True}, "mod_stream_mgmt": {"resume_timeout": 60}}
    next(l for l in config["listen"] if l.get("starttls"))["allow_unencrypted_sasl2"] = True


def query(ns, inner="", **attrs):
    words = "".join(f" {k}='{v}'" for k, v in attrs.items())
    return f"<query xmlns='{ns}'{words}>{inner}</query>" if inner else f"<query xmlns='{ns}'{words}/>"


def pubsub(inner):
    return f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>"


def items(node, most=None):
    return pubsub(f"<items node='{node}'" + (f" max_items='{most}'" if most else "") + "/>")


def published(node, payload, options=""):
    form = f"<publish-options><x xmlns='jabber:x:data' type='submit'>{options}</x></publish-options>" if options else ""
    return pubsub(f"<publish node='{node}'><item id='current'>{payload}</item></publish>{form}")


def get(inner, to=None, answer=RESULT):
    return to, "get", inner, answer


def put(inner, to=None, answer=RESULT):
    return to, "set", inner, answer


def private(name, ns):
    return get(query(PRIVATE, f"<{name} xmlns='{ns}'/>"))


ROSTER, BLOCKED = get(query("jabber:iq:roster", ver="")), get("<blocklist xmlns='urn:xmpp:blocking'/>")
CARBONS, PING = put("<enable xmlns='urn:xmpp:carbons:2'/>"), get("<ping xmlns='urn:xmpp:ping'/>", SERVER)
MARKS, DELIMITER = private("storage", "storage:bookmarks"), private("roster", "roster:delimiter")
SERVER_INFO, SERVER_ITEMS, OWN_INFO, OWN_ITEMS = [get(query(ns), to) for to in (SERVER, ME) for ns in (INFO, ITEMS)]
COMMANDS = get(query(ITEMS, node="http://jabber.org/protocol/commands"), SERVER)
OWN_CARD, PRIVACY = get("<vCard xmlns='vcard-temp'/>"), get(query("jabber:iq:privacy"))
# Not there yet.
NEW_MARKS = get(items("urn:xmpp:bookmarks:1"), None, NO_SERVICE)
OPEN = "<field var='pubsub#access_model'><value>open</value></field>"
DEVICES = put(published(f"{OMEMO}.devicelist", f"<list xmlns='{OMEMO}'><device id='7'/></list>", OPEN), None, NO_SERVICE)
NICK = put(published("http://jabber.org/protocol/nick", "<nick xmlns='http://jabber.org/protocol/nick'>A</nick>"), None, NO_SERVICE)
ARCHIVE = put(query("urn:xmpp:mam:2", "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set>"), None, NO_SERVICE)
ARCHIVE_WISHES = get("<prefs xmlns='urn:xmpp:mam:2'/>", None, NO_SERVICE)
CALLS = get("<services xmlns='urn:xmpp:extdisco:2'/>", SERVER, NO_SERVICE)
SLOT = get("<request xmlns='urn:xmpp:http:upload:0' filename='a.jpg' size='9' content-type='image/jpeg'/>", SERVER, NO_SERVICE)
PUSH = put("<enable xmlns='urn:xmpp:push:0' jid='p.example' node='n'/>", None, NO_SERVICE)
INVITE = put("<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite'/>", SERVER, NO_ITEM)

OPENINGS = {
    "Conversations": [
        SERVER_INFO, OWN_INFO, SERVER_ITEMS, ROSTER, CARBONS, BLOCKED, NEW_MARKS, MARKS, DEVICES, PUSH, ARCHIVE_WISHES, ARCHIVE,
        COMMANDS, CALLS, PING, SLOT, get(query(INFO), ROOMS, NO_SERVER), get(items("urn:xmpp:mds:displayed:0"), None, NO_SERVICE),
        get("<vCard xmlns='vcard-temp'/>", ME)],
    "Gajim": [
        SERVER_INFO, SERVER_ITEMS, OWN_INFO, DELIMITER, ROSTER, private("storage", "storage:rosternotes"), MARKS, BLOCKED, CARBONS,
        NEW_MARKS, OWN_CARD, get(items("urn:xmpp:vcard4"), None, NO_SERVICE), ARCHIVE, CALLS, COMMANDS, NICK,
        get(query("jabber:iq:register"), SERVER)],
    "Dino": [
        ROSTER, SERVER_INFO, OWN_INFO, SERVER_ITEMS, CARBONS, NEW_MARKS, MARKS, BLOCKED, DEVICES, ARCHIVE, PING, CALLS,
        get(items("urn:xmpp:avatar:metadata", 1), None, NO_SERVICE), get(items(f"{OMEMO}.bundles:7"), None, NO_SERVICE)],
    "Monal": [
        OWN_INFO, SERVER_INFO, SERVER_ITEMS, ROSTER, CARBONS, BLOCKED, PUSH, ARCHIVE_WISHES, ARCHIVE, NEW_MARKS, MARKS, DEVICES,
        CALLS, COMMANDS, get(query("jabber:iq:version"), SERVER), INVITE],
    "Psi": [
        ROSTER, SERVER_INFO, SERVER_ITEMS, OWN_INFO, OWN_ITEMS, MARKS, OWN_CARD, CARBONS, PRIVACY, DELIMITER,
        get(items("storage:bookmarks"), None, NO_SERVICE), get(query("jabber:iq:search"), SERVER, NO_SERVICE),
        get(query("http://jabber.org/protocol/bytestreams"), SERVER, NO_SERVICE)],
    "Profanity": [
        ROSTER, MARKS, BLOCKED, SERVER_INFO, SERVER_ITEMS, CARBONS, PING, DEVICES, get(query(ITEMS), ROOMS, NO_SERVER)],
    "Converse": [
        SERVER_INFO, SERVER_ITEMS, CARBONS, ROSTER, BLOCKED, OWN_CARD, NEW_MARKS, MARKS, ARCHIVE_WISHES, PUSH, OWN_INFO, PING],
    "Pidgin": [
        SERVER_INFO, SERVER_ITEMS, OWN_CARD, ROSTER, MARKS, PRIVACY, get(query("google:jingleinfo"), None, NO_SERVICE),
        get(query("jabber:iq:last"), SERVER)],
}


@pytest.mark.parametrize("client", OPENINGS)
def test_every_question_is_answered(server, streams, client):
    """All at once and with stream management, as clients do; each answer once, from whom was asked (RFC 6120 §8.1.2.1)."""
    s = streams(server.login())
    m = Sm(s)
    m.enable()
    for i, (to, kind, inner, _) in enumerate(OPENINGS[client]):
        to = to and f" to='{to.format(me=s.bare)}'"
        s.send(f"<iq type='{kind}' id='{client}-{i}'{to or ''}>{inner}</iq>")
    s.send(f"<presence>{CAPS}</presence>")
    s.send("<inactive xmlns='urn:xmpp:csi:0'/><active xmlns='urn:xmpp:csi:0'/>")
    for i, (to, _, inner, expected) in enumerate(OPENINGS[client]):
        answer = s.expect_id(f"{client}-{i}")
        assert (error_of(answer) or answer.get("type")) == expected, f"{inner}\n{s.transcript()}"
        assert answer.get("from") == (to.format(me=s.bare) if to else s.bare) and answer.get("to") == s.jid
    m.acked_to(len(OPENINGS[client]) + 1)
    s.items = [e for e in s.items if namespace(e) != SM and local(e) != "presence"]
    s.expect_nothing()


@pytest.mark.parametrize("more", ["", "<unknown xmlns='urn:example:2'/>"], ids=["plain", "unknown"])
def test_one_round_trip(server, streams, more):
    """Conversations and Monal: SASL2 with a user agent, Bind 2 with everything in it (XEP-0388, XEP-0386); what is not known is
    passed over."""
    user = server.register()
    s = streams(server.stream())
    s.open_features()
    first = sasl.b64(sasl.plain(user, PASSWORD))
    s.send(f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{first}</initial-response>"
           "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Conversations</software></user-agent>"
           "<bind xmlns='urn:xmpp:bind:0'><tag>Conversations</tag><enable xmlns='urn:xmpp:carbons:2'/>"
           f"<enable xmlns='{SM}' resume='true'/><enable xmlns='urn:xmpp:push:0' jid='p.example' node='n'/></bind>"
           f"{more}</authenticate>")
    el = s.expect(lambda e: namespace(e) == "urn:xmpp:sasl:2", "an answer of SASL2")
    assert local(el) == "success", s.transcript()
    s.jid = el.findtext("{urn:xmpp:sasl:2}authorization-identifier")
    assert s.jid.startswith(f"{user}@localhost/Conversations")
    assert el.find(f".//{{{SM}}}enabled").get("resume") == "true"
    s.expect_tag(q("stream", "features"))
    s.ping()


MESSAGES = {
    "Conversations": "<body>hi</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"
                     "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/><active xmlns='http://jabber.org/protocol/chatstates'/>",
    "OMEMO": f"<encrypted xmlns='{OMEMO}'><header sid='7'><key rid='8' prekey='true'>MwohBQ==</key><iv>rpTbcc==</iv></header>"
             "<payload>n2sg</payload></encrypted><store xmlns='urn:xmpp:hints'/><encryption xmlns='urn:xmpp:eme:0' "
             f"namespace='{OMEMO}' name='OMEMO'/><body>I sent you an OMEMO encrypted message.</body>",
    "OpenPGP": "<openpgp xmlns='urn:xmpp:openpgp:0'>LS0tLS1CRUdJTg==</openpgp>",
    "correction": "<body>better</body><replace xmlns='urn:xmpp:message-correct:0' id='m0'/>",
    "reaction": "<reactions xmlns='urn:xmpp:reactions:0' id='m0'><reaction>👋</reaction></reactions><store xmlns='urn:xmpp:hints'/>",
    "retraction": "<retract xmlns='urn:xmpp:message-retract:1' id='m0'/><fallback xmlns='urn:xmpp:fallback:0'/>"
                  "<body>/me took it back</body>",
    "reply": "<body>&gt; hi\nyes</body><reply xmlns='urn:xmpp:reply:0' to='a@localhost' id='m0'/>"
             "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='5'/></fallback>",
    "a file": "<body>https://x.example/a.jpg</body><x xmlns='jabber:x:oob'><url>https://x.example/a.jpg</url></x>",
    "a call": "<propose xmlns='urn:xmpp:jingle-message:0' id='c1'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>"
              "</propose>",
    "an invitation": "<x xmlns='jabber:x:conference' jid='room@conference.localhost'/><body>come</body>",
    "rich text": "<body>b</body><html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'>"
                 "<p style='color:red'><strong>b</strong></p></body></html>",
    "two languages": "<body xml:lang='de'>ja</body><body xml:lang='en'>yes</body><thread parent='p'>t</thread><subject>s</subject>",
    "typing": "<composing xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/>",
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_messages_arrive_as_they_were_sent(server, streams, kind):
    a, b = [streams(server.login(presence=True)) for _ in range(2)]
    a.send(f"<message to='{b.bare}' type='chat' id='m1' xml:lang='en'>{MESSAGES[kind]}</message>")
    got = b.expect_id("m1")
    sent = ET.fromstring(f"<message xmlns='jabber:client'>{MESSAGES[kind]}</message>")
    assert [canonical(c) for c in got] == [canonical(c) for c in sent]
    assert got.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"


FEATURES = {
    SERVER: [INFO, ITEMS, "urn:xmpp:ping", "vcard-temp", "urn:xmpp:carbons:2", "urn:xmpp:blocking", "jabber:iq:register",
             "jabber:iq:version", "urn:xmpp:time", "jabber:iq:last", "http://jabber.org/protocol/commands", "jabber:iq:privacy",
             "msgoffline"],
    ME: [INFO, ITEMS, "urn:xmpp:ping", "vcard-temp"],
}


@pytest.mark.parametrize("who", FEATURES, ids=["server", "account"])
def test_compliance_suites_features(server, streams, who):
    """XEP-0479: feature discovery, vcard-temp, message synchronization, blocking; what clients look for before they use it."""
    s = streams(server.login())
    info = s.iq(query(INFO), to=who.format(me=s.bare)).find(q("info", "query"))
    have = [f.get("var") for f in info.iter(q("info", "feature"))]
    assert set(FEATURES[who]) <= set(have) and len(have) == len(set(have))
    identity = ("server", "im") if who == SERVER else ("account", "registered")
    assert identity in {(i.get("category"), i.get("type")) for i in info.iter(q("info", "identity"))}


def test_compliance_suites_stream(server, streams):
    """XEP-0479: stream management, client state indication; RFC 6121 §2.6.1, §3.4.1; direct TLS (XEP-0368)."""
    s = streams(server.stream(server.tls, tls="direct", alpn=["xmpp-client"]))
    s.open_features()
    s.authenticate(server.register(), PASSWORD)
    features = {e.tag for e in s.open_features()}
    assert {f"{{{SM}}}sm", "{urn:xmpp:csi:0}csi", "{urn:xmpp:features:rosterver}ver", "{urn:xmpp:features:pre-approval}sub",
            q("bind", "bind")} <= features
