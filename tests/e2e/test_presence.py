"""Presence among the resources of one account (RFC 6121 §4 as far as it needs no roster)."""
import pytest

from xmppstream import local, q


def of(stream, type_=None):
    return lambda e: local(e) == "presence" and e.get("from") == stream.jid and e.get("type") == type_


@pytest.fixture
def pair(server, streams):
    user = server.register()
    return streams(server.login(user, "one")), streams(server.login(user, "two"))


def test_own_resources_see_one_another(pair):
    one, two = pair
    one.presence("<show>away</show><status>lunch</status><priority>3</priority>")
    two.presence()
    one.expect(of(two), "presence of the second")
    el = two.expect(of(one), "presence of the first")
    assert el.findtext(q("client", "show")) == "away" and el.findtext(q("client", "status")) == "lunch"
    assert el.findtext(q("client", "priority")) == "3"


def test_change_is_broadcast(pair):
    one, two = pair
    one.presence()
    two.presence()
    one.expect(of(two))
    two.presence("<show>dnd</show>")
    assert one.expect(of(two)).findtext(q("client", "show")) == "dnd"


def test_unavailable(pair):
    one, two = pair
    one.presence()
    two.presence()
    one.expect(of(two))
    two.send("<presence type='unavailable'><status>gone</status></presence>")
    assert one.expect(of(two, "unavailable")).findtext(q("client", "status")) == "gone"
    # Still connected: full JID reachable, bare JID not.
    one.message(two.jid, "still there?")
    two.expect_message("still there?")


@pytest.mark.parametrize("way", ["end tag", "FIN", "reset"])
def test_lost_session_is_announced(pair, way):
    """RFC 6121 §4.5.2: the server says it for a client that cannot."""
    one, two = pair
    one.presence()
    two.presence()
    one.expect(of(two))
    two.close() if way == "end tag" else two.drop(rst=way == "reset")
    one.expect(of(two, "unavailable"), "unavailable presence")


def test_session_without_presence_is_not_announced(pair):
    one, two = pair
    one.presence()
    two.close()
    one.ping()
    assert not one.items


def test_nothing_is_sent_to_sessions_without_presence(pair):
    one, two = pair
    one.presence()
    two.expect_nothing()


def test_strangers_see_nothing(server, streams, pair):
    one, _ = pair
    stranger = streams(server.login(presence=True))
    one.presence()
    stranger.expect_nothing()


def test_priority_is_held_to_its_bounds(server, streams):
    user = server.register()
    high, low = streams(server.login(user, "high")), streams(server.login(user, "low"))
    high.presence("<priority>200</priority>")
    low.presence("<priority>-200</priority>")
    priorities = {s[0].rpartition("/")[2] if isinstance(s, list) else s["resource"]: s["priority"]
                  for s in server.api("user_sessions_info", user=user, host="localhost")}
    assert priorities == {"high": 127, "low": -128}


@pytest.mark.parametrize("show", ["away", "chat", "dnd", "xa"])
def test_get_presence(server, streams, show):
    s = streams(server.login(resource="r"))
    s.presence(f"<show>{show}</show><status>words</status>")
    got = server.api("get_presence", user=s.name, host="localhost")
    assert got == {"jid": s.jid, "show": show, "status": "words"}
