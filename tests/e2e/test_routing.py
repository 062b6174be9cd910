"""Who receives what: RFC 6121 §8 without rosters, for accounts on the same and on different shards and hosts."""
import itertools

import pytest

from xmppstream import error_of, local, q

TYPES = ("chat", "normal", "headline", "groupchat", "error")


@pytest.fixture
def sender(server, streams):
    return streams(server.login(resource="out"))


class Family:
    """Sessions of one account: name -> stream, with a priority, or None for no presence."""

    def __init__(self, server, streams, **priorities):
        self.user = server.register()
        self.bare = f"{self.user}@localhost"
        self.sessions = {}
        for name, priority in priorities.items():
            s = streams(server.login(self.user, name))
            if priority is not None:
                s.presence(f"<priority>{priority}</priority>")
            self.sessions[name] = s

    def receivers(self, sender, to, type_):
        """Sends one message; the names of the sessions that got it, and the error that came back."""
        marker = f"m{next(_markers)}"
        sender.send(f"<message to='{to}' type='{type_}' id='{marker}'><body>x</body>" +
                    ("<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" if type_ == "error" else "") +
                    "</message>")
        # Answered at the account's home, behind the message.
        sender.ping(self.bare)
        for s in self.sessions.values():
            s.ping()
        bounce = sender._take(lambda e: e.get("id") == marker)
        got = {n for n, s in self.sessions.items() if s._take(lambda e: e.get("id") == marker) is not None}
        return got, bounce is not None and error_of(bounce)


_markers = itertools.count()

# sessions (name=priority), to ("" bare, "/x" full), {type: receivers or error condition}
RULES = [
    # RFC 6121 §8.5.2.1: bare JID; the most available resources
    ({"a": 5, "b": 1}, "", {"chat": {"a"}, "normal": {"a"}, "headline": {"a", "b"}}),
    ({"a": 5, "b": 5, "c": 4}, "", {"chat": {"a", "b"}, "normal": {"a", "b"}, "headline": {"a", "b", "c"}}),
    ({"a": 0, "b": -1}, "", {"chat": {"a"}, "normal": {"a"}, "headline": {"a"}}),
    ({"a": 0, "b": None}, "", {"chat": {"a"}, "normal": {"a"}, "headline": {"a"}}),
    # never to negative priorities, never to sessions without presence
    ({"a": -1}, "", {"chat": "service-unavailable", "normal": "service-unavailable", "headline": set()}),
    ({"a": None}, "", {"chat": "service-unavailable", "normal": "service-unavailable", "headline": set()}),
    ({"a": -128, "b": None}, "", {"chat": "service-unavailable", "headline": set()}),
    ({"a": 127, "b": -128}, "", {"chat": {"a"}}),
    # groupchat to the bare JID is always an error, error is always dropped
    ({"a": 5}, "", {"groupchat": "service-unavailable", "error": set()}),
    ({"a": None}, "", {"groupchat": "service-unavailable", "error": set()}),
    # §8.5.3.1: full JID that exists, whatever its priority
    ({"a": 5, "b": 1}, "/b", {t: {"b"} for t in TYPES}),
    ({"a": 5, "b": -1}, "/b", {t: {"b"} for t in TYPES}),
    ({"a": 5, "b": None}, "/b", {t: {"b"} for t in TYPES}),
    # §8.5.3.2: full JID that does not exist
    ({"a": 5, "b": 1}, "/none", {"chat": {"a"}, "groupchat": "service-unavailable", "headline": set(), "error": set()}),
    ({"a": -1}, "/none", {"chat": "service-unavailable", "groupchat": "service-unavailable", "error": set()}),
    # §8.5.1/2: nobody there
    ({}, "", {"chat": "service-unavailable", "normal": "service-unavailable", "groupchat": "service-unavailable", "error": set()}),
    ({}, "/none", {"chat": "service-unavailable", "normal": "service-unavailable", "groupchat": "service-unavailable", "error": set()}),
]


@pytest.mark.parametrize("sessions,to,want", RULES, ids=lambda v: str(v).replace(" ", "")[:40] if not isinstance(v, str) else v or "bare")
def test_messages(server, streams, sender, sessions, to, want):
    family = Family(server, streams, **sessions)
    for type_, expected in want.items():
        got, error = family.receivers(sender, family.bare + to, type_)
        if isinstance(expected, str):
            assert (got, error and error[1]) == (set(), expected), type_
        else:
            assert (got, error) == (expected, False), type_


def test_message_without_type_is_normal(server, streams, sender):
    family = Family(server, streams, a=1)
    sender.message(family.bare, "untyped", type_=None)
    assert family.sessions["a"].expect_message("untyped").get("type") in (None, "normal")


def test_message_keeps_everything_but_from(server, streams, sender):
    receiver = streams(server.login(resource="r"))
    payload = ("<body xml:lang='de'>Grüße &amp; &lt;tags&gt; ✓</body><x:y xmlns:x='urn:x' x:z='1' w='&apos;&quot;'><x:v xmlns='urn:v'/></x:y>"
               "<thread parent='p'>t</thread>")
    sender.send(f"<message to='{receiver.jid}' type='chat' id='all' xml:lang='pl'>{payload}</message>")
    got = receiver.expect_id("all")
    assert got.get("from") == sender.jid and got.get("to") == receiver.jid
    assert got.get("{http://www.w3.org/XML/1998/namespace}lang") == "pl"
    body = got.find(q("client", "body"))
    assert body.text == "Grüße & <tags> ✓" and body.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
    xy = got.find("{urn:x}y")
    assert xy.get("{urn:x}z") == "1" and xy.get("w") == "'\"" and xy.find("{urn:v}v") is not None or xy.find("{urn:x}v") is not None
    assert got.find(q("client", "thread")).get("parent") == "p"


def test_language_of_the_stream_is_stamped(server, streams):
    """RFC 6120 §8.1.5: what has no xml:lang has that of the sender's stream."""
    user = server.register()
    s = streams(server.stream())
    lang = " xml:lang='de'"
    s.open_features(extra=lang)
    s.authenticate(user, "secret")
    s.open_features(extra=lang)
    s.bind("r")
    receiver = streams(server.login())
    s.message(receiver.jid, "hallo")
    assert receiver.expect_message("hallo").get("{http://www.w3.org/XML/1998/namespace}lang") == "de"


def test_own_bare_address(server, streams):
    """RFC 6120 §10.3.1: a message without `to` is for the own account."""
    s = streams(server.login(resource="r", presence=True))
    s.send("<message id='self' type='chat'><body>note</body></message>")
    assert s.expect_id("self").get("from") == s.jid


# --- IQ ---

def test_iq_between_clients(server, streams, sender):
    other = streams(server.login(resource="r"))
    sender.send(f"<iq type='get' id='q1' to='{other.jid}'><query xmlns='urn:example:q'/></iq>")
    got = other.expect_id("q1")
    assert got.get("from") == sender.jid and got.find("{urn:example:q}query") is not None
    other.send(f"<iq type='result' id='q1' to='{sender.jid}'/>")
    assert sender.expect_id("q1").get("from") == other.jid


@pytest.mark.parametrize("type_", ["result", "error"])
def test_iq_answer_to_nobody_is_dropped(server, streams, sender, type_):
    """RFC 6121 §8.5.3.2.3 would bounce forever otherwise."""
    family = Family(server, streams, a=1)
    sender.send(f"<iq type='{type_}' id='x' to='{family.bare}/none'/>")
    sender.ping(family.bare)
    sender.expect_nothing()


@pytest.mark.parametrize("type_", ["get", "set"])
@pytest.mark.parametrize("to", ["{bare}/none", "nobody@localhost/x"])
def test_iq_to_absent_resource(server, streams, sender, type_, to):
    family = Family(server, streams, a=1)
    el = sender.iq("<query xmlns='urn:example:q'/>", to.format(bare=family.bare), type_)
    assert error_of(el) == ("cancel", "service-unavailable")


def test_iq_to_bare_is_answered_by_the_server(server, streams, sender):
    """RFC 6121 §8.5.2.1.3: never delivered to a resource."""
    family = Family(server, streams, a=1)
    el = sender.iq("<query xmlns='urn:example:q'/>", family.bare)
    assert error_of(el) == ("cancel", "service-unavailable") and el.get("from") == family.bare
    family.sessions["a"].expect_nothing()


# --- directed presence ---

def test_directed_presence(server, streams, sender):
    family = Family(server, streams, a=1, b=-1, c=None)
    sender.send(f"<presence to='{family.bare}' id='d1'><status>here</status></presence>")
    sender.send(f"<presence to='{family.bare}/c' id='d2'/>")
    sender.send(f"<presence to='{family.bare}/none' id='d3'/>")
    sender.ping(family.bare)
    for s in family.sessions.values():
        s.ping()
    got = {n: [e.get("id") for e in s.items if e.get("from") == sender.jid] for n, s in family.sessions.items()}
    assert got == {"a": ["d1"], "b": ["d1"], "c": ["d2"]}
    sender.expect_nothing()


# --- hosts ---

def test_other_host_of_the_same_server(server, streams, sender):
    other = streams(server.login(host="example.test", resource="r", presence=True))
    sender.message(f"{other.name}@example.test", "over there")
    assert other.expect_message("over there").get("from") == sender.jid
    other.message(sender.jid, "and back")
    assert sender.expect_message("and back").get("from") == f"{other.name}@example.test/r"


@pytest.mark.parametrize("to,condition", [("x@unreachable.invalid", "remote-server-not-found"), ("unreachable.invalid", "remote-server-not-found"),
                         ("localhost", None), ("localhost/x", None), ("nobody@localhost", "service-unavailable"),
                         ("nobody@localhost/r", "service-unavailable"), ("nobody@example.test", "service-unavailable")])
def test_message_to_absent_destinations(server, sender, to, condition):
    sender.message(to, id_="m")
    got = error_of(sender.expect_id("m"))
    assert got is not None and got[0] == "cancel" and condition in (None, got[1])


def test_errors_are_never_answered_with_errors(server, sender):
    for to in ("nobody@localhost", "nobody@localhost/r", "localhost", "x@unreachable.invalid"):
        for kind in ("message", "presence", "iq"):
            sender.send(f"<{kind} type='error' id='e' to='{to}'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
                        f"</{kind}>")
        sender.ping(to if to.endswith("@localhost") else None)
    sender.expect_nothing()


def test_routing_over_all_shards(server, streams):
    """Every pair of a dozen accounts, so that homes on the same shard and on others are both met."""
    people = [streams(server.login(resource="r")) for _ in range(12)]
    for a in people:
        for b in people:
            a.message(b.jid, f"from {a.name}")
    for b in people:
        for a in people:
            assert b.expect_message(f"from {a.name}").get("from") == a.jid
