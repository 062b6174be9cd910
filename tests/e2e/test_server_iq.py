"""What the server itself answers: ping, version, disco, time, last activity; and what it refuses."""
import re

import pytest

from xmppstream import NS, error_of, q, until


@pytest.fixture
def s(server, streams):
    return streams(server.login(resource="r"))


@pytest.mark.parametrize("to", ["localhost", "example.test", None, "own bare"])
def test_ping(s, to):
    s.ping(s.bare if to == "own bare" else to)


@pytest.mark.parametrize("to", ["localhost", "example.test"])
def test_version(s, to):
    el = s.iq("<query xmlns='jabber:iq:version'/>", to)
    query = el.find("{jabber:iq:version}query")
    assert query.findtext("{jabber:iq:version}name") and query.findtext("{jabber:iq:version}version")


def test_disco_info_of_the_server(s):
    el = s.iq(f"<query xmlns='{NS['info']}'/>", "localhost")
    query = el.find(q("info", "query"))
    identities = {(i.get("category"), i.get("type")) for i in query.findall(q("info", "identity"))}
    features = {f.get("var") for f in query.findall(q("info", "feature"))}
    assert ("server", "im") in identities
    assert features >= {NS["info"], NS["items"], "urn:xmpp:ping", "jabber:iq:version", "urn:xmpp:time", "jabber:iq:last"}


def test_disco_info_of_the_own_account(s):
    el = s.iq(f"<query xmlns='{NS['info']}'/>", s.bare)
    identities = {(i.get("category"), i.get("type")) for i in el.iter(q("info", "identity"))}
    assert ("account", "registered") in identities


@pytest.mark.parametrize("other", ["existing", "absent"])
def test_disco_info_of_strangers_tells_nothing(server, s, other):
    """XEP-0030 §8: the same answer whether or not the account exists."""
    to = f"{server.register()}@localhost" if other == "existing" else "nobody-at-all@localhost"
    assert error_of(s.iq(f"<query xmlns='{NS['info']}'/>", to)) == ("auth", "subscription-required")


@pytest.mark.parametrize("to", ["localhost", "own bare"])
def test_disco_items(s, to):
    el = s.iq(f"<query xmlns='{NS['items']}'/>", s.bare if to == "own bare" else to)
    assert el.get("type") == "result" and el.find(q("items", "query")) is not None


@pytest.mark.parametrize("what", ["info", "items"])
def test_disco_of_an_unknown_node(s, what):
    assert error_of(s.iq(f"<query xmlns='{NS[what]}' node='none'/>", "localhost")) == ("cancel", "item-not-found")


def test_time(s):
    el = s.iq("<time xmlns='urn:xmpp:time'/>", "localhost").find("{urn:xmpp:time}time")
    assert re.fullmatch(r"[+-]\d\d:\d\d|Z", el.findtext("{urn:xmpp:time}tzo"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", el.findtext("{urn:xmpp:time}utc"))


def test_uptime(s):
    el = s.iq("<query xmlns='jabber:iq:last'/>", "localhost").find("{jabber:iq:last}query")
    assert int(el.get("seconds")) >= 0


def test_last_activity_of_the_own_account(s):
    el = s.iq("<query xmlns='jabber:iq:last'/>", s.bare).find("{jabber:iq:last}query")
    assert el.get("seconds") == "0"


def test_last_activity_of_others_needs_a_subscription(server, s):
    el = s.iq("<query xmlns='jabber:iq:last'/>", f"{server.register()}@localhost")
    assert error_of(el) is not None and error_of(el)[0] == "auth"


def test_last_words_are_kept(server, streams):
    user = server.register()
    s = server.login(user, presence=True)
    s.send("<presence type='unavailable'><status>see you</status></presence>")
    s.close()
    # Written behind the client's back: asked until it is there.
    until(lambda: server.api("get_last", user=user, host="localhost")["status"] == "see you", "last words")


@pytest.mark.parametrize("payload", ["<query xmlns='jabber:iq:version'/>", f"<query xmlns='{NS['info']}'/>", "<time xmlns='urn:xmpp:time'/>",
                         "<query xmlns='jabber:iq:last'/>", "<ping xmlns='urn:xmpp:ping'/>", "<query xmlns='urn:example:none'/>"])
def test_sets_are_refused(s, payload):
    assert error_of(s.iq(payload, "localhost", "set")) is not None


@pytest.mark.parametrize("type_", ["get", "set"])
@pytest.mark.parametrize("payload", ["", "<a xmlns='urn:a'/><b xmlns='urn:b'/>"], ids=["no child", "two children"])
def test_malformed_iq(s, type_, payload):
    assert error_of(s.iq(payload, "localhost", type_)) == ("modify", "bad-request")


def test_whitespace_keepalive(s):
    s.send(" \n\t " * 100)
    s.ping()


def test_many_pings_in_one_segment(s):
    s.send("".join(f"<iq type='get' id='n{i}'><ping xmlns='urn:xmpp:ping'/></iq>" for i in range(1000)))
    assert [s.expect(lambda e: e.get("id", "").startswith("n")).get("id") for _ in range(1000)] == [f"n{i}" for i in range(1000)]


def test_byte_by_byte(server, streams):
    """A whole session of single bytes, login and TLS bytes included."""
    user = server.register()
    s = streams(server.stream())
    s.send_bytes, whole = (lambda data, note=True: s.send_each_byte(data)), s.send_bytes
    s.login(user, "secret", "r", mechanism="SCRAM-SHA-1", presence=True)
    s.message(s.jid, "ä✓𝄞 in bytes")
    s.expect_message("ä✓𝄞 in bytes")
    s.close()


def test_byte_by_byte_in_tls_records(server, streams):
    user = server.register()
    s = streams(server.stream(server.tls, tls="direct"))
    s.send_bytes = lambda data, note=True: s.send_each_byte(data)
    s.login(user, "secret", "r", presence=True)
    s.message(s.jid, "ä✓𝄞 in records")
    s.expect_message("ä✓𝄞 in records")
    s.close()
