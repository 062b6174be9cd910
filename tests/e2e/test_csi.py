"""Client state indication, XEP-0352: what waits, what does not, and in which order it goes out."""
import pytest

from server import PASSWORD
from sm import Sm, authenticated, resume
from xmppstream import local, q

CSI = "urn:xmpp:csi:0"
COMPOSING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


def configure(config):
    config["modules"]["mod_client_state"] = {}
    config["modules"]["mod_stream_mgmt"] = {}


def state(stream, word):
    stream.send(f"<{word} xmlns='{CSI}'/>")


def bare_presence(stream, inner, to):
    stream.send(f"<presence to='{to}'>{inner}</presence>")


def status(el):
    return el.findtext(q("client", "status"))


@pytest.fixture
def phone(server, streams):
    """A client that nobody looks at."""
    s = streams(server.login(presence=True))
    state(s, "inactive")
    return s


@pytest.fixture
def other(server, streams):
    return streams(server.login())


def told(stream, *others):
    """Nothing of what the others sent is still under way."""
    for o in others:
        o.ping()
    stream.ping()
    return [e for e in stream.items if local(e) in ("message", "presence")]


def test_feature(server, streams):
    s = streams(authenticated(server, server.register(), PASSWORD))
    assert f"{{{CSI}}}csi" in {e.tag for e in s.features}


def test_newest_presence_of_each_when_active_again(server, streams, phone, other):
    third = streams(server.login())
    for i in range(5):
        bare_presence(other, f"<status>{i}</status>", phone.jid)
    assert told(phone, other) == []
    bare_presence(third, "<status>third</status>", phone.jid)
    assert told(phone, third) == []
    state(phone, "active")
    phone.ping()
    got = [e for e in phone.items if local(e) == "presence"]
    assert [status(e) for e in got] == ["4", "third"]
    assert all(e.find("{urn:xmpp:delay}delay") is not None for e in got)


def test_subscription_requests_do_not_wait(phone, other):
    other.send(f"<presence type='error' to='{phone.jid}'/>")
    phone.expect(lambda e: local(e) == "presence" and e.get("type") == "error")


def test_chat_states_wait_and_messages_do_not(phone, other):
    other.send(f"<message to='{phone.jid}' type='chat'>{COMPOSING}</message>")
    other.send(f"<message to='{phone.jid}' type='chat'>{COMPOSING}<no-store xmlns='urn:xmpp:hints'/><thread>t</thread></message>")
    assert told(phone, other) == []
    other.send(f"<message to='{phone.jid}' type='chat'><body>hi</body><active xmlns='http://jabber.org/protocol/chatstates'/></message>")
    first, second = phone.expect(lambda e: local(e) == "message"), phone.expect(lambda e: local(e) == "message")
    assert first.find(q("client", "body")) is None and first.find(q("client", "thread")) is not None
    assert second.findtext(q("client", "body")) == "hi"


@pytest.mark.parametrize("inner", [
    "<encrypted xmlns='eu.siacs.conversations.axolotl'/>", "<received xmlns='urn:xmpp:receipts' id='1'/>",
    "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
    "<x xmlns='jabber:x:conference' jid='room@muc.test'/>", "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
    f"{COMPOSING}<encrypted xmlns='eu.siacs.conversations.axolotl'/>", ""])
@pytest.mark.parametrize("kind", ["chat", "normal", "headline"])
def test_only_what_is_known_to_be_unimportant_waits(phone, other, inner, kind):
    """XEP-0352 §3.2: what nobody here understands may be what the person waits for."""
    other.send(f"<message to='{phone.jid}' type='{kind}' id='m'>{inner}</message>")
    assert [m.get("id") for m in told(phone, other)] == ["m"]


def test_a_message_brings_what_waits_of_its_sender_only(server, streams, phone, other):
    third = streams(server.login())
    bare_presence(third, "<status>third</status>", phone.jid)
    bare_presence(other, "<status>mine</status>", phone.jid)
    told(phone, other, third)
    other.message(phone.jid, "hi")
    assert status(phone.expect(lambda e: local(e) == "presence")) == "mine"
    phone.expect_message("hi")
    assert told(phone) == []
    state(phone, "active")
    assert status(phone.expect(lambda e: local(e) == "presence")) == "third"


def test_events_of_accounts(phone, other):
    def event(n, node="tune"):
        other.send(f"<message to='{phone.jid}' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>"
                   f"<items node='{node}'><item id='{n}'/></items></event></message>")
    event(1)  # from a full address: not an account's own event
    phone.expect(lambda e: local(e) == "message")


def test_too_much_goes_out(phone, other):
    """Memory is bounded: 256 senders, then all of them."""
    for i in range(257):
        other.send(f"<message to='{phone.jid}' type='chat' from='{other.jid}'>{COMPOSING}</message>")
    assert told(phone, other) == []
    big = "x" * 60000
    for i in range(5):
        bare_presence(other, f"<status>{i}{big}</status>", phone.jid)
    assert told(phone, other) == [], "five of one sender are one"


def test_own_presence_is_not_held_back(phone):
    phone.presence("<show>away</show>")


def test_resumed_stream_is_active(server, streams, other):
    s = streams(server.login())
    m = Sm(s)
    m.enable()
    s.presence()
    state(s, "inactive")
    bare_presence(other, "<status>waits</status>", s.jid)
    other.ping()
    s.ping()
    s.drop()
    n = streams(authenticated(server, s.bare.partition("@")[0], PASSWORD))
    assert local(resume(n, m.id, 2)) == "resumed"
    assert status(n.expect(lambda e: local(e) == "presence")) == "waits"
    n.jid = s.jid
    bare_presence(other, "<status>now</status>", s.jid)
    assert status(n.expect(lambda e: local(e) == "presence")) == "now"


def test_not_loaded(new_server):
    with new_server() as server:
        s = server.login(presence=True)
        state(s, "inactive")
        o = server.login()
        bare_presence(o, "<status>at once</status>", s.jid)
        assert status(s.expect(lambda e: local(e) == "presence")) == "at once"
        s.drop()
        o.drop()


def test_switched_off(new_server):
    def change(config):
        config["modules"]["mod_client_state"] = {"queue_presence": False, "queue_chat_states": False}
    with new_server(change) as server:
        s = server.login(presence=True)
        state(s, "inactive")
        o = server.login()
        bare_presence(o, "<status>at once</status>", s.jid)
        o.send(f"<message to='{s.jid}' type='chat'>{COMPOSING}</message>")
        assert status(s.expect(lambda e: local(e) == "presence")) == "at once"
        s.expect(lambda e: local(e) == "message")
        s.drop()
        o.drop()
