"""Message Carbons, XEP-0280 1.0.1: who gets copies of what. Every rule of §6.1 is REQUIRED, because urn:xmpp:carbons:rules:0 is
announced."""
import datetime

import pytest

from xmppstream import error_of, local, q

CARBONS = "urn:xmpp:carbons:2"
BODY = "<body>x</body>"
ERROR = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
MUC_USER = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
INVITE = "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@localhost'/></x>"
DIRECT_INVITE = "<x xmlns='jabber:x:conference' jid='r@conference.localhost'/>"
PRIVATE = f"<private xmlns='{CARBONS}'/>"
NO_COPY = "<no-copy xmlns='urn:xmpp:hints'/>"
CHAT_STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


def configure(config):
    config["modules"]["mod_carboncopy"] = {}
    config["modules"]["mod_offline"] = {}


def enable(stream, what="enable"):
    el = stream.iq(f"<{what} xmlns='{CARBONS}'/>", type_="set")
    assert el.get("type") == "result" and el.get("from") == stream.bare
    return stream


def session(server, streams, user, resource, priority=0, carbons=False):
    s = streams(server.login(user, resource))
    if priority is not None:
        s.presence(f"<priority>{priority}</priority>")
    return enable(s) if carbons else s


def quiet(stream):
    """The copies and messages that came, in the order they came."""
    stream.ping()
    got = [e for e in stream.items if local(e) == "message"]
    stream.items.clear()
    return got


def copy_of(el, direction):
    """The original inside a copy, None when it is none."""
    return el.find(f"{{{CARBONS}}}{direction}/{{urn:xmpp:forward:0}}forwarded/{q('client', 'message')}")


def through(sender, to):
    """The account's home is through with what was sent before."""
    assert error_of(sender.iq("<ping xmlns='urn:xmpp:ping'/>", f"{to}/nobody-here"))


@pytest.fixture
def talk(server, streams):
    """romeo: r1 talks, r2 has carbons, r3 has none; juliet: one session, in another shard or not."""
    class Talk:
        user = server.register("romeo")
        r1 = session(server, streams, user, "r1", 1)
        r2 = session(server, streams, user, "r2", 0, True)
        r3 = session(server, streams, user, "r3", 0)
        juliet = session(server, streams, server.register("juliet"), "j")
    for s in (Talk.r1, Talk.r2, Talk.r3):
        quiet(s)
    return Talk


# --- asking for it ---

def test_feature(server, streams):
    """§3, §6.2."""
    info = streams(server.login()).iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", "localhost")
    assert {CARBONS, "urn:xmpp:carbons:rules:0"} <= {f.get("var") for f in info.iter(q("info", "feature"))}


def test_disabled_by_default_enabled_disabled(talk):
    """§4, §5: each session for itself; twice is no error."""
    for want in (1, 0, 1):
        enable(talk.r2, "enable" if want else "disable")
        enable(talk.r2, "enable" if want else "disable")
        talk.juliet.message(talk.r1.jid, "x")
        talk.r1.expect_message("x")
        assert len(quiet(talk.r2)) == want and quiet(talk.r3) == []


def test_bad_requests(talk):
    """§4: only for oneself, and as a set."""
    assert error_of(talk.r1.iq(f"<enable xmlns='{CARBONS}'/>")) == ("cancel", "not-allowed")
    assert error_of(talk.r1.iq(f"<other xmlns='{CARBONS}'/>", type_="set")) == ("modify", "bad-request")
    assert error_of(talk.juliet.iq(f"<disable xmlns='{CARBONS}'/>", talk.r1.bare, "set")) == ("auth", "forbidden")
    talk.juliet.message(talk.r1.jid, "x")
    talk.r1.expect_message("x")
    assert len(quiet(talk.r2)) == 1


# --- how a copy looks ---

def test_received(talk):
    """§7: wrapped, from the own bare address, to the full one, same type; the original whole; not to whom it was sent."""
    talk.juliet.send(f"<message to='{talk.r1.jid}' type='chat' id='i'><body>a &lt; b</body><thread>t</thread></message>")
    assert talk.r1.expect_id("i").findtext(q("client", "body")) == "a < b"
    got = quiet(talk.r2)
    assert len(got) == 1 and (got[0].get("from"), got[0].get("to"), got[0].get("type")) == (talk.r1.bare, talk.r2.jid, "chat")
    inner = copy_of(got[0], "received")
    assert (inner.get("from"), inner.get("to"), inner.get("type"), inner.get("id")) == (talk.juliet.jid, talk.r1.jid, "chat", "i")
    assert inner.findtext(q("client", "body")) == "a < b" and inner.findtext(q("client", "thread")) == "t"
    stamp = got[0].find(f"{{{CARBONS}}}received/{{urn:xmpp:forward:0}}forwarded/{{urn:xmpp:delay}}delay").get("stamp")
    assert datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    assert quiet(talk.r1) == [] and quiet(talk.r3) == []


def test_sent(talk):
    """§8: also when the sending session has no carbons; not to itself when it has."""
    talk.r1.send(f"<message to='{talk.juliet.jid}' type='chat' id='i'>{BODY}</message>")
    talk.juliet.expect_id("i")
    got = quiet(talk.r2)
    assert len(got) == 1 and (got[0].get("from"), got[0].get("to"), got[0].get("type")) == (talk.r1.bare, talk.r2.jid, "chat")
    inner = copy_of(got[0], "sent")
    assert (inner.get("from"), inner.get("to"), inner.get("id")) == (talk.r1.jid, talk.juliet.jid, "i")
    talk.r2.message(talk.juliet.jid, "y")
    talk.juliet.expect_message("y")
    assert quiet(talk.r2) == [] and quiet(talk.r1) == [] and quiet(talk.r3) == []


def test_sent_to_nobody(talk):
    """The copy says what was sent; that it came back the sender learns alone, and the others by a copy of the error."""
    talk.r1.message("nobody@localhost", "x", id_="i")
    assert error_of(talk.r1.expect(lambda e: e.get("type") == "error", "the error"))
    got = quiet(talk.r2)
    assert copy_of(got[0], "sent").get("to") == "nobody@localhost"
    assert [copy_of(e, "received").get("type") for e in got[1:]] == ["error"]


def test_to_the_bare_address(server, streams):
    """RFC 6121 §8.5.2.1.1 decides who gets it; only the others get copies."""
    user = server.register()
    high = session(server, streams, user, "high", 5, True)
    low = session(server, streams, user, "low", 1, True)
    negative = session(server, streams, user, "negative", -1, True)
    silent = session(server, streams, user, "silent", None, True)
    out = streams(server.login(resource="out"))
    for s in (high, low, negative, silent):
        quiet(s)
    out.message(high.bare, "x")
    assert high.expect_message("x").get("to") == high.bare
    assert quiet(high) == []
    for s in (low, negative, silent):
        got = quiet(s)
        assert len(got) == 1 and copy_of(got[0], "received").get("to") == high.bare


def test_nobody_took_it(server, streams):
    """Kept for later (XEP-0160); who asked for copies has one already."""
    user = server.register()
    s = session(server, streams, user, "negative", -1, True)
    out = streams(server.login(resource="out"))
    out.message(s.bare, "x")
    through(out, s.bare)
    got = quiet(s)
    assert len(got) == 1 and copy_of(got[0], "received") is not None
    assert server.api("get_offline_count", user=user, host="localhost") == 1


def test_to_oneself(talk):
    """Sent and received at once: one copy."""
    talk.r1.message(talk.r1.bare, "x")
    talk.r1.expect_message("x")
    got = quiet(talk.r2)
    assert len(got) == 1 and copy_of(got[0], "received").get("from") == talk.r1.jid
    talk.r2.message(talk.r3.jid, "y")
    talk.r3.expect_message("y")
    assert quiet(talk.r2) == [] and quiet(talk.r1) == []


# --- which: §6.1 ---

ELIGIBLE = {
    "chat": ("chat", BODY), "chat without body": ("chat", "<subject>s</subject>"), "normal with body": (None, BODY),
    "chat state": ("chat", CHAT_STATE), "chat state, normal": (None, CHAT_STATE),
    "receipt": (None, "<received xmlns='urn:xmpp:receipts' id='i'/>"),
    "marker": (None, "<displayed xmlns='urn:xmpp:chat-markers:0' id='i'/>"),
    "error about a chat": ("error", BODY + ERROR), "mediated invitation": (None, INVITE), "direct invitation": (None, DIRECT_INVITE),
}
NOT = {
    "normal without body": (None, "<subject>s</subject>"), "groupchat": ("groupchat", BODY), "headline": ("headline", BODY),
    "private": ("chat", BODY + PRIVATE), "no-copy": ("chat", BODY + NO_COPY), "private and no-copy": ("chat", BODY + PRIVATE + NO_COPY),
    "error about nothing": ("error", ERROR),
}


def send(stream, to, type_, inner):
    stream.send(f"<message to='{to}' id='e'{f' type={type_!r}' if type_ else ''}>{inner}</message>")


@pytest.mark.parametrize("name", ELIGIBLE)
def test_eligible(talk, name):
    send(talk.juliet, talk.r1.jid, *ELIGIBLE[name])
    talk.r1.expect_id("e")
    got = quiet(talk.r2)
    assert len(got) == 1 and copy_of(got[0], "received").get("id") == "e"
    assert got[0].get("type") == (None if ELIGIBLE[name][0] is None else ELIGIBLE[name][0])
    send(talk.r1, talk.juliet.jid, *ELIGIBLE[name])
    talk.juliet.expect_id("e")
    assert [copy_of(e, "sent").get("id") for e in quiet(talk.r2)] == ["e"]


@pytest.mark.parametrize("name", NOT)
def test_not_eligible(talk, name):
    """§9: the words that keep it private stay in it."""
    type_, inner = NOT[name]
    send(talk.juliet, talk.r1.jid, type_, inner)
    el = talk.r1.expect_id("e")
    assert (el.find(f"{{{CARBONS}}}private") is not None) == (PRIVATE in inner)
    assert (el.find("{urn:xmpp:hints}no-copy") is not None) == (NO_COPY in inner)
    send(talk.r1, talk.juliet.jid, type_, inner)
    talk.juliet.expect_id("e")
    assert quiet(talk.r2) == []


def test_private_messages_of_rooms(talk):
    """§6.1: sent ones are copied, received ones are not (the room sends them to all who are in it)."""
    send(talk.juliet, talk.r1.jid, "chat", BODY + MUC_USER)
    talk.r1.expect_id("e")
    assert quiet(talk.r2) == []
    send(talk.r1, talk.juliet.jid, "chat", BODY + MUC_USER)
    talk.juliet.expect_id("e")
    assert len(quiet(talk.r2)) == 1


@pytest.mark.parametrize("direction", ["sent", "received"])
def test_copies_are_not_copied(talk, direction):
    """§11: what somebody else calls a copy is passed on as it is (clients refuse it) and never copied."""
    fake = (f"<{direction} xmlns='{CARBONS}'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' "
            f"from='a@b' to='c@d'>{BODY}</message></forwarded></{direction}>")
    send(talk.juliet, talk.r1.jid, "chat", fake)
    assert talk.r1.expect_id("e").get("from") == talk.juliet.jid
    send(talk.r1, talk.juliet.jid, "chat", fake)
    talk.juliet.expect_id("e")
    assert quiet(talk.r2) == []


def test_many_sessions_one_order(server, streams):
    """Copies keep the order of the conversation."""
    user = server.register()
    first = session(server, streams, user, "first", 1)
    others = [session(server, streams, user, f"r{i}", 0, True) for i in range(5)]
    out = session(server, streams, server.register(), "out")
    for s in others:
        quiet(s)
    for i in range(100):
        out.message(first.jid, str(i))
    for i in range(100):
        first.expect_message(str(i))
    for s in others:
        got = [s.expect(lambda e: local(e) == "message", "a copy") for _ in range(100)]
        assert [copy_of(e, "received").findtext(q("client", "body")) for e in got] == [str(i) for i in range(100)]
