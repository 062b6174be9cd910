"""What today's clients (Conversations, Dino, Gajim, Monal, Psi, Converse.js) send in a talk and ask for at login: what reaches a resource
that is there, the others' copies (XEP-0280 §6.1), and who comes later (XEP-0160 §3, XEP-0334); and what is refused in words."""
import pytest

from xmppstream import error_of, local, q, until

CARBONS = "{urn:xmpp:carbons:2}"
STORE = "<store xmlns='urn:xmpp:hints'/>"
ORIGIN = "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>"

# name -> (content, kept for who comes later)
TALK = {
    "call, XEP-0353": ("<propose xmlns='urn:xmpp:jingle-message:0' id='c'><description xmlns='urn:xmpp:jingle:apps:rtp:1' "
                       "media='audio'/></propose><request xmlns='urn:xmpp:receipts'/>" + STORE, True),
    "end of a call, XEP-0353": ("<finish xmlns='urn:xmpp:jingle-message:0' id='c'/>" + STORE, True),
    "reaction, XEP-0444": ("<reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>\U0001f44d</reaction></reactions>" + STORE, True),
    "reaction without hint": ("<reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>\u2764</reaction></reactions>", True),
    "retraction, XEP-0424": ("<retract xmlns='urn:xmpp:message-retract:1' id='m'/><fallback xmlns='urn:xmpp:fallback:0' "
                             "for='urn:xmpp:message-retract:1'/><body>/me retracted</body>" + STORE, True),
    "correction, XEP-0308": ("<body>better</body><replace xmlns='urn:xmpp:message-correct:0' id='m'/>" + ORIGIN, True),
    "OMEMO, XEP-0384": ("<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>AA==</key><iv>AA==</iv></header>"
                        "<payload>AA==</payload></encrypted><encryption xmlns='urn:xmpp:eme:0' "
                        "namespace='eu.siacs.conversations.axolotl'/><body>I sent you an OMEMO encrypted message</body>" + STORE, True),
    "OMEMO key without text": ("<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'><keys jid='a@b'/></header></encrypted>" + STORE, True),
    "file, XEP-0066": ("<body>https://example.org/f</body><x xmlns='jabber:x:oob'><url>https://example.org/f</url></x>", True),
    "receipt, XEP-0184": ("<received xmlns='urn:xmpp:receipts' id='m'/>" + STORE, True),
    "read, XEP-0333": ("<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>" + STORE, True),
    "typing, XEP-0085": ("<composing xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/>", False),
    "stopped typing": ("<paused xmlns='http://jabber.org/protocol/chatstates'/>" + ORIGIN, False),
}


def configure(config):
    config["modules"].update(mod_carboncopy={}, mod_offline={}, mod_privacy={}, mod_blocking={}, mod_roster={}, mod_vcard={}, mod_private={})


def with_copies(stream):
    stream.iq("<enable xmlns='urn:xmpp:carbons:2'/>", type_="set")
    stream.presence()
    return stream


def whole(el):
    """What is in a message, as text would be compared: names, attributes, texts."""
    return [(e.tag, dict(e.attrib), (e.text or "").strip()) for e in el.iter() if e is not el]


@pytest.fixture(scope="module")
def people(server):
    user = server.register("romeo")
    phone, desktop = (with_copies(server.login(user, r)) for r in ("phone", "desktop"))
    juliet = server.login(server.register("juliet"), "j", presence=True)
    with phone, desktop, juliet:
        yield phone, desktop, juliet


@pytest.mark.parametrize("name", TALK)
def test_talk(server, people, streams, name):
    phone, desktop, juliet = people
    inner, kept = TALK[name]
    juliet.send(f"<message to='{phone.jid}' type='chat' id='live'>{inner}</message>")
    content = whole(phone.expect_id("live"))
    copy = desktop.expect(lambda e: e.find(f"{CARBONS}received") is not None)
    assert whole(copy.find(f".//{q('client', 'message')}")) == content
    phone.send(f"<message to='{juliet.jid}' type='chat' id='out'>{inner}</message>")
    assert whole(juliet.expect_id("out")) == content
    copy = desktop.expect(lambda e: e.find(f"{CARBONS}sent") is not None)
    assert whole(copy.find(f".//{q('client', 'message')}")) == content
    later = server.register("later")
    juliet.send(f"<message to='{later}@localhost' type='chat' id='kept'>{inner}</message>")
    if not kept:
        assert error_of(juliet.expect_id("kept")) == ("cancel", "service-unavailable")
        return
    until(lambda: server.api("get_offline_count", user=later, host="localhost") == 1, "it is kept")
    el = streams(server.login(later, presence=True)).expect_id("kept")
    el.remove(el.find("{urn:xmpp:delay}delay"))
    assert whole(el) == content


# What this server does not serve: one answer each, and the stream goes on.
ASKED = {
    "archive, XEP-0313": ("set", None, "<query xmlns='urn:xmpp:mam:2' queryid='q'/>"),
    "archive preferences": ("get", None, "<prefs xmlns='urn:xmpp:mam:2'/>"),
    "archive of a contact": ("set", "juliet", "<query xmlns='urn:xmpp:mam:2'/>"),
    "avatar, XEP-0084": ("set", None, "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:xmpp:avatar:data'>"
                                      "<item id='x'><data xmlns='urn:xmpp:avatar:data'>AA==</data></item></publish></pubsub>"),
    "OMEMO devices of a contact": ("get", "juliet", "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
                                                    "<items node='eu.siacs.conversations.axolotl.devicelist'/></pubsub>"),
    "bookmarks, XEP-0402": ("get", None, "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:bookmarks:1'/></pubsub>"),
    "push, XEP-0357": ("set", None, "<enable xmlns='urn:xmpp:push:0' jid='push.example.org' node='n'/>"),
    "relays, XEP-0215": ("get", "localhost", "<services xmlns='urn:xmpp:extdisco:2'/>"),
    "upload, XEP-0363": ("get", "localhost", "<request xmlns='urn:xmpp:http:upload:0' filename='f' size='1'/>"),
}


@pytest.mark.parametrize("name", ASKED)
def test_refused_in_words(people, name):
    phone, _, juliet = people
    type_, to, inner = ASKED[name]
    el = phone.iq(inner, to=juliet.bare if to == "juliet" else to, type_=type_)
    assert error_of(el) == ("cancel", "service-unavailable")
    assert local(phone.iq("<ping xmlns='urn:xmpp:ping'/>")) == "iq"


def test_not_announced(people):
    """XEP-0030: nothing of it is in what the server says it can do, so that no client waits for it."""
    phone, _, _ = people
    for to in ("localhost", phone.bare):
        info = phone.iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
        features = {f.get("var") for f in info.iter(q("info", "feature"))}
        assert not [f for f in features if f.startswith(("urn:xmpp:mam", "urn:xmpp:push", "urn:xmpp:extdisco", "urn:xmpp:http:upload"))]
        assert not [f for f in features if f.startswith("http://jabber.org/protocol/pubsub")]
