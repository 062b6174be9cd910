"""Presence subscriptions and who sees presence (RFC 6121 §3, §4), between accounts on one and on different shards."""
import contextlib
import sqlite3

import pytest

from im import (befriend, drain, expect_no_presence, expect_presence, expect_push, fence, home_of, is_presence, is_push, pushed,
                remove_item, roster, set_item, tell)
from sm import Sm, authenticated, resume
from xmppstream import error_of, local, q


def configure(config):
    config["modules"]["mod_roster"] = {}


@pytest.fixture(params=["one shard", "two shards"])
def pair(server, streams, request):
    first = server.register("one")
    wanted = home_of(first) if request.param == "one shard" else 1 - home_of(first)
    second = next(u for u in iter(lambda: server.register("two"), None) if home_of(u) == wanted)
    one, two = streams(server.login(first, "one")), streams(server.login(second, "two"))
    for s in (one, two):
        roster(s)
        s.presence()
    return one, two


@pytest.fixture
def friends(pair):
    befriend(*pair)
    return pair


# --- requests (§3.1) ---

def test_request_and_approval(pair):
    one, two = pair
    tell(one, "subscribe", two.bare, "<status>It is me</status>")
    assert pushed(one, two.bare) == ("none", "subscribe", None, [])  # §3.1.2
    request = expect_presence(two, one.bare, "subscribe")
    assert request.findtext(q("client", "status")) == "It is me"
    fence(one, two)
    assert not any(map(is_push, two.items))  # §3.1.3: a request alone shows nothing
    assert roster(two) == {}
    tell(two, "subscribed", one.bare)
    assert pushed(two, one.bare) == ("from", None, None, [])
    assert pushed(one, two.bare) == ("to", None, None, [])
    expect_presence(one, two.bare, "subscribed")
    expect_presence(one, two.jid)  # §3.1.5
    expect_no_presence(one, two)   # only one way


def test_both_ways(friends):
    one, two = friends
    assert roster(one) == {two.bare: ("both", None, None, [])}
    assert roster(two) == {one.bare: ("both", None, None, [])}


def test_request_from_full_to_full(pair):
    """§3.1.2: addresses are bare whatever the client wrote."""
    one, two = pair
    tell(one, "subscribe", two.jid)
    assert expect_push(one).get("jid") == two.bare
    request = expect_presence(two, one.bare, "subscribe")
    assert request.get("to") in (two.bare, two.jid)


def test_refusal(pair):
    """§3.2.1 for a request: nothing is left of it on her side, and it can be asked again."""
    one, two = pair
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")
    tell(two, "unsubscribed", one.bare)
    expect_presence(one, two.bare, "unsubscribed")
    assert roster(one) == {two.bare: ("none", None, None, [])}
    assert roster(two) == {}
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")


def test_request_is_taken_back(pair):
    one, two = pair
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")
    tell(one, "unsubscribe", two.bare)
    expect_presence(two, one.bare, "unsubscribe")
    assert roster(one) == {two.bare: ("none", None, None, [])}
    tell(two, "subscribed", one.bare)  # too late (A.2.3): it is an approval in advance now
    assert expect_push(two, one.bare).get("approved") == "true"
    expect_no_presence(two, one)


def test_repeated_request_is_delivered_once(pair):
    """A.3.1: pending in stays as it is."""
    one, two = pair
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")
    tell(one, "subscribe", two.bare)
    expect_no_presence(one, two)


def test_request_to_who_has_agreed_is_answered(friends):
    """§3.1.3 no. 2: the server says so by itself."""
    one, two = friends
    tell(one, "subscribe", two.bare)
    expect_no_presence(one, two)
    assert roster(one)[two.bare] == ("both", None, None, [])


def test_stray_answers_are_not_delivered(pair):
    """A.3: subscribed, unsubscribe and unsubscribed of strangers mean nothing."""
    one, two = pair
    for type_ in ("subscribed", "unsubscribe", "unsubscribed"):
        tell(one, type_, two.bare)
    expect_no_presence(one, two)
    assert roster(two) == {}


def test_request_to_oneself_and_to_nobody(pair):
    one, _ = pair
    tell(one, "subscribe", one.bare)
    one.expect_nothing()
    tell(one, "subscribe", "nobody-has-this-name@localhost")
    assert pushed(one) == ("none", "subscribe", None, [])
    one.expect_nothing()  # §8.5.1


def test_request_to_another_server(pair):
    one, _ = pair
    tell(one, "subscribe", "x@unreachable.invalid")
    assert pushed(one) == ("none", "subscribe", None, [])
    e = one.expect(is_presence("x@unreachable.invalid", "error"))
    assert error_of(e) == ("cancel", "remote-server-not-found")


def test_crossing_requests(pair):
    """Both ask before either answers: none + pending out/in."""
    one, two = pair
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")
    tell(two, "subscribe", one.bare)
    expect_presence(one, two.bare, "subscribe")
    assert roster(two) == {one.bare: ("none", "subscribe", None, [])}
    tell(one, "subscribed", two.bare)
    expect_presence(two, one.bare, "subscribed")
    expect_presence(two, one.jid)
    assert roster(two) == {one.bare: ("to", None, None, [])}
    assert roster(one) == {two.bare: ("from", "subscribe", None, [])}
    tell(two, "subscribed", one.bare)
    expect_presence(one, two.bare, "subscribed")
    assert roster(one) == {two.bare: ("both", None, None, [])}


# --- approval in advance (§3.4) ---

def test_approval_in_advance(pair):
    one, two = pair
    tell(two, "subscribed", one.bare)
    item = expect_push(two, one.bare)
    assert (item.get("subscription"), item.get("approved")) == ("none", "true")  # §3.4.2
    expect_no_presence(two, one)  # it is not sent on
    tell(one, "subscribe", two.bare)
    expect_presence(one, two.bare, "subscribed")
    expect_presence(one, two.jid)
    assert pushed(two, one.bare)[0] == "from"
    expect_no_presence(one, two)  # nobody was asked
    assert roster(one)[two.bare][0] == "to"


def test_approval_in_advance_is_taken_back(pair):
    one, two = pair
    tell(two, "subscribed", one.bare)
    expect_push(two, one.bare)
    tell(two, "unsubscribed", one.bare)
    assert expect_push(two, one.bare).get("approved") is None
    fence(two, one)
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")


def test_features(server, streams):
    """§3.4.1, §2.6.1: versions only where they are on."""
    s = streams(server.stream())
    s.open_features()
    s.authenticate(server.register(), "secret")
    tags = {e.tag for e in s.open_features()}
    assert "{urn:xmpp:features:pre-approval}sub" in tags and "{urn:xmpp:features:rosterver}ver" not in tags


# --- ends (§3.2, §3.3) ---

def test_unsubscribed(friends):
    """§3.2: she is told and sees the end of our presence; the other direction stays."""
    one, two = friends
    tell(one, "unsubscribed", two.bare)
    expect_presence(two, one.jid, "unavailable")
    expect_presence(two, one.bare, "unsubscribed")
    assert pushed(one, two.bare) == ("to", None, None, [])
    assert pushed(two, one.bare) == ("from", None, None, [])
    one.presence("<show>away</show>")
    expect_no_presence(one, two)
    two.presence("<show>dnd</show>")
    expect_presence(one, two.jid)


def test_unsubscribe(friends):
    """§3.3: the other's server confirms and takes its presence away."""
    one, two = friends
    tell(one, "unsubscribe", two.bare)
    expect_presence(two, one.bare, "unsubscribe")
    expect_presence(one, two.jid, "unavailable")
    assert pushed(one, two.bare) == ("from", None, None, [])
    assert pushed(two, one.bare) == ("to", None, None, [])
    fence(two, one)
    drain(one, two)
    two.presence("<show>away</show>")
    expect_no_presence(two, one)


def in_order(stream, who, type_):
    """What the client heard about somebody, in order: the stanza of that type, and pushes."""
    stream.ping()
    return ["push" if is_push(e) else e.get("type") for e in stream.items
            if (is_push(e) and e.find(f".//{q('roster', 'item')}").get("jid") == who) or is_presence(who, type_)(e)]


@pytest.mark.parametrize("asks, answers", [("subscribe", "subscribed"), ("subscribe", "unsubscribed")])
def test_answer_comes_before_its_push(pair, asks, answers):
    """§3.1.6 no. 1, §3.2.3 no. 1: what it is that has changed the roster is known first."""
    one, two = pair
    tell(one, asks, two.bare)
    expect_presence(two, one.bare, asks)
    drain(one, two)
    tell(two, answers, one.bare)
    fence(two, one)
    assert in_order(one, two.bare, answers) == [answers, "push"]


@pytest.mark.parametrize("type_", ["unsubscribe", "unsubscribed"])
def test_end_comes_before_its_push(friends, type_):
    """§3.2.3 no. 1, §3.3.3 no. 1."""
    one, two = friends
    tell(one, type_, two.bare)
    fence(one, two)
    assert in_order(two, one.bare, type_) == [type_, "push"]


# --- presence (§4) ---

def test_broadcast(friends):
    """§4.2.2, §4.4.2, §4.5.2"""
    one, two = friends
    one.presence("<show>away</show><status>lunch</status><priority>3</priority><x xmlns='some:thing'/>")
    e = expect_presence(two, one.jid)
    assert [local(c) for c in e] == ["show", "status", "priority", "x"] and e.get("to") == two.jid
    one.send("<presence type='unavailable'><status>bye</status></presence>")
    assert expect_presence(two, one.jid, "unavailable").findtext(q("client", "status")) == "bye"
    one.send("<presence type='unavailable'/>")
    expect_no_presence(one, two)


@pytest.mark.parametrize("way", ["end tag", "reset"])
def test_lost_stream_is_announced(friends, way):
    """§4.5.2"""
    one, two = friends
    one.close() if way == "end tag" else one.drop(rst=True)
    expect_presence(two, one.jid, "unavailable")


def test_probes_at_login(server, streams, friends):
    """§4.2.2, §4.3: a new resource learns of all resources of the contact, the contact of the new one."""
    one, two = friends
    more = streams(server.login(two.name, "more"))
    more.presence("<priority>5</priority>")
    expect_presence(one, more.jid)
    again = streams(server.login(one.name, "again"))
    again.presence()
    for jid in (two.jid, more.jid, one.jid):
        expect_presence(again, jid)
    expect_presence(two, again.jid)
    expect_presence(more, again.jid)


def test_probe_of_strangers_has_no_answer(pair):
    one, two = pair
    tell(one, "probe", two.bare)
    expect_no_presence(two, one)
    tell(one, "probe", two.jid)
    expect_no_presence(two, one)


def test_probe_of_a_friend(friends):
    one, two = friends
    tell(one, "probe", two.bare)
    expect_presence(one, two.jid)


def test_probe_of_one_resource(server, streams, friends):
    """§4.3.2: nothing about the others, and no more than that it is there; nothing when it is not."""
    one, two = friends
    more = streams(server.login(two.name, "more"))
    more.presence("<show>dnd</show><status>not for you</status>")
    expect_presence(one, more.jid)
    drain(one)
    tell(one, "probe", more.jid)
    assert len(expect_presence(one, more.jid)) == 0
    tell(one, "probe", f"{two.bare}/none")
    expect_no_presence(two, one)


def test_negative_priority_gets_presence(friends):
    one, two = friends
    two.presence("<priority>-1</priority>")
    one.presence("<show>xa</show>")
    expect_presence(two, one.jid)


# --- directed presence (§4.6) ---

def test_directed_presence_ends_with_the_session(pair):
    one, two = pair
    one.send(f"<presence to='{two.jid}'><show>chat</show></presence>")
    expect_presence(two, one.jid)
    one.presence("<show>away</show>")
    expect_no_presence(one, two)  # §4.6.3: changes are not for her
    one.drop(rst=True)
    expect_presence(two, one.jid, "unavailable")


@pytest.mark.parametrize("online", [True, False])
def test_directed_presence_ends_when_unavailable(pair, online):
    one, two = pair
    if not online:
        tell_own = "<presence type='unavailable'/>"
        one.send(tell_own)
    one.send(f"<presence to='{two.bare}'/>")
    expect_presence(two, one.jid)
    one.send("<presence type='unavailable'/>")
    expect_presence(two, one.jid, "unavailable")
    one.send("<presence type='unavailable'/>")
    expect_no_presence(one, two)


def test_directed_presence_is_taken_back(pair):
    one, two = pair
    one.send(f"<presence to='{two.jid}'/>")
    expect_presence(two, one.jid)
    tell(one, "unavailable", two.jid)
    expect_presence(two, one.jid, "unavailable")
    one.send("<presence type='unavailable'/>")
    expect_no_presence(one, two)


def test_directed_presence_lets_probe(pair):
    """§4.3.2: who got presence may ask."""
    one, two = pair
    one.send(f"<presence to='{two.bare}'/>")
    expect_presence(two, one.jid)
    tell(two, "probe", one.bare)
    expect_presence(two, one.jid)


def test_probe_by_who_got_directed_presence_shows_that_it_is_there(server, streams, pair):
    """§4.6.6: no child elements, no other resource, also from a session that has not sent presence to everybody (§4.6.3 no. 3)."""
    one, two = pair
    one.send(f"<presence to='{two.bare}'><status>for you</status></presence>")
    expect_presence(two, one.jid)
    one.presence("<show>away</show><status>for contacts</status>")
    streams(server.login(one.name, "other")).presence()
    drain(one)
    tell(two, "probe", one.bare)
    assert len(expect_presence(two, one.jid)) == 0
    one.send("<presence type='unavailable'/>")
    expect_presence(two, one.jid, "unavailable")
    one.send(f"<presence to='{two.bare}'/>")
    expect_presence(two, one.jid)
    tell(two, "probe", one.jid)
    expect_presence(two, one.jid)
    expect_no_presence(one, two)


def test_who_leaves_hears_no_more(pair):
    """§4.6.1: she said goodbye herself, like a room somebody was sent out of."""
    one, two = pair
    one.send(f"<presence to='{two.jid}'/>")
    expect_presence(two, one.jid)
    tell(two, "unavailable", one.jid)
    expect_presence(one, two.jid, "unavailable")
    one.send("<presence type='unavailable'/>")
    expect_no_presence(one, two)


def test_directed_presence_to_a_friend_is_said_once(friends):
    one, two = friends
    one.send(f"<presence to='{two.bare}'><show>chat</show></presence>")
    expect_presence(two, one.jid)
    one.send("<presence type='unavailable'/>")
    expect_presence(two, one.jid, "unavailable")
    expect_no_presence(one, two)


def test_directed_presence_is_bounded(server, streams):
    s = streams(server.login(presence=True))
    s.send("".join(f"<presence to='r{i}@localhost'/>" for i in range(1001)))
    e = s.expect(is_presence("r1000@localhost", "error"))
    assert error_of(e) == ("cancel", "not-allowed")
    s.expect_nothing()


# --- who is not there ---

def test_request_waits_for_login(server, streams):
    """§3.1.3 no. 4, no. 5: until it is answered, at every login, with all that was in it."""
    one = streams(server.login(presence=True))
    name = server.register()
    tell(one, "subscribe", f"{name}@localhost", "<status>please</status>")
    tell(one, "subscribe", f"{name}@localhost")
    one.ping()
    for _ in range(2):
        two = streams(server.login(name, "r", presence=True))
        e = expect_presence(two, one.bare, "subscribe")
        assert e.findtext(q("client", "status")) == "please"
        two.presence("<show>away</show>")  # no initial presence: not again
        two.expect_nothing()
        two.close()
    two = streams(server.login(name, "r", presence=True))
    expect_presence(two, one.bare, "subscribe")
    tell(two, "subscribed", one.bare)
    expect_presence(one, two.bare, "subscribed")
    two.close()
    expect_presence(one, two.jid, "unavailable")
    two = streams(server.login(name, "r", presence=True))
    expect_no_presence(one, two)


def test_request_waits_with_all_its_content(server, streams):
    one = streams(server.login(presence=True))
    name = server.register()
    tell(one, "subscribe", f"{name}@localhost", "<status>&lt;hi></status><nick xmlns='http://jabber.org/protocol/nick'>Ann &amp; Co</nick>")
    one.ping()
    two = streams(server.login(name, "r", presence=True))
    e = expect_presence(two, one.bare, "subscribe")
    assert e.findtext(q("client", "status")) == "<hi>"
    assert e.findtext("{http://jabber.org/protocol/nick}nick") == "Ann & Co"


def test_answers_to_who_is_offline(server, streams):
    """The roster of an account that nobody is connected to changes all the same."""
    one, two = streams(server.login(resource="r", presence=True)), streams(server.login(resource="r", presence=True))
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")
    one.close()
    tell(two, "subscribed", one.bare)
    two.ping()
    tell(two, "subscribe", one.bare)
    two.ping()
    one = streams(server.login(one.name, "r"))
    assert roster(one) == {two.bare: ("to", None, None, [])}
    one.presence()
    expect_presence(one, two.bare, "subscribe")
    expect_presence(one, two.jid)


def test_states_survive_a_kill(new_server, streams):
    server = new_server(configure)
    server.start()
    one, two, three = (streams(server.login(resource="r", presence=True)) for _ in range(3))
    befriend(one, two)
    tell(one, "subscribe", three.bare, "<status>hey</status>")
    expect_presence(three, one.bare, "subscribe")
    tell(two, "subscribed", three.bare)  # in advance
    two.ping()
    set_item(one, two.bare, "Two", ["g"])
    server.kill()
    server.start()
    names = one.name, two.name, three.name
    one, two, three = (streams(server.login(n, "r")) for n in names)
    assert roster(one) == {two.bare: ("both", None, "Two", ["g"]), three.bare: ("none", "subscribe", None, [])}
    for s in (two, three, one):
        s.presence()
    expect_presence(two, one.jid)
    expect_presence(one, two.jid)
    assert expect_presence(three, one.bare, "subscribe").findtext(q("client", "status")) == "hey"
    tell(three, "subscribe", two.bare)
    expect_presence(three, two.bare, "subscribed")


def test_contacts_may_ask_for_last_activity(server, streams):
    """XEP-0012 §8: those who may see presence, and nobody else; also when nobody is connected."""
    one, two = streams(server.login(resource="r", presence=True)), streams(server.login(resource="r", presence=True))
    ask = "<query xmlns='jabber:iq:last'/>"
    assert error_of(two.iq(ask, to=one.bare)) == ("auth", "subscription-required")
    befriend(one, two)
    assert two.iq(ask, to=one.bare)[0].get("seconds") == "0"
    one.send("<presence type='unavailable'><status>gone</status></presence>")
    expect_presence(two, one.jid, "unavailable")
    one.close()
    answer = two.iq(ask, to=one.bare)[0]
    assert int(answer.get("seconds")) >= 0 and answer.text == "gone"


def test_resumed_session_goes_on(new_server, streams):
    """After kill -9 a resumed session gets pushes, its contacts' presence, and its end is told."""
    def change(config):
        configure(config)
        config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60}
    server = new_server(change)
    server.start()
    one, two = streams(server.login(resource="r")), streams(server.login(resource="r", presence=True))
    m = Sm(one)
    m.enable()
    roster(one)
    one.presence()
    befriend(one, two)
    m.acked()
    server.kill()
    server.start()
    again = streams(authenticated(server, one.name, "secret"))
    assert local(resume(again, m.id, 0)) == "resumed", again.transcript()
    again.jid = one.jid
    drain(again)
    two = streams(server.login(two.name, "r", presence=True))
    expect_presence(again, two.jid)
    expect_presence(two, one.jid)
    assert server.api("add_rosteritem", localuser=one.name, localhost="localhost", user="new", host="x.test", nick="", groups=[],
                      subs="to") == 0
    assert pushed(again) == ("to", None, None, [])
    again.close()
    expect_presence(two, one.jid, "unavailable")


def test_refused_writes_change_nothing(new_server, streams):
    """The database is locked by somebody else: the client gets an error, nobody hears of what was not written."""
    server = new_server(configure, allow_errors=True)
    server.start()
    one, two = streams(server.login(resource="r")), streams(server.login(resource="r", presence=True))
    roster(one)
    one.presence()
    set_item(one, two.bare, "Two")
    drain(one)
    file = next(f for f in server.spool.rglob("*") if f.is_file() and f.read_bytes()[:15] == b"SQLite format 3")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert error_of(set_item(one, "new@x.test"))[1] == "internal-server-error"
        assert error_of(remove_item(one, two.bare))[1] == "internal-server-error"
        tell(one, "subscribe", two.bare)
        assert error_of(one.expect(is_presence(two.bare, "error")))[1] == "internal-server-error"
        expect_no_presence(one, two)
        assert roster(one) == {two.bare: ("none", None, "Two", [])}
        db.execute("ROLLBACK")
    assert not any(map(is_push, one.items))
    befriend(one, two)
    assert roster(one) == {two.bare: ("both", None, "Two", [])}


def test_unregistering_tells_contacts(server, streams):
    one, two = streams(server.login(resource="r", presence=True)), streams(server.login(resource="r", presence=True))
    befriend(one, two)
    server.api("unregister", user=one.name, host="localhost")
    expect_presence(two, one.jid, "unavailable")
    expect_presence(two, one.bare, "unsubscribed")
    assert roster(two)[one.bare][0] == "none"
    assert server.api("get_roster_count", user=one.name, host="localhost") == 0


def test_hosts_without_rosters(new_server, streams):
    """Requests are presence like any other there."""
    server = new_server()
    server.start()
    one, two = streams(server.login(presence=True)), streams(server.login(presence=True))
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")
    iq = one.iq("<query xmlns='jabber:iq:roster'/>")
    assert error_of(iq) == ("cancel", "service-unavailable")


def test_rosters_come_and_go_with_a_reload(new_server, streams):
    """Sessions that were there before have contacts as soon as they speak again."""
    server = new_server(configure)
    server.start()
    one, two = streams(server.login(resource="r", presence=True)), streams(server.login(resource="r", presence=True))
    befriend(one, two)
    module = server.config["modules"].pop("mod_roster")
    assert server.reload() == 0
    one.presence("<show>away</show>")
    expect_no_presence(one, two)
    server.config["modules"]["mod_roster"] = module
    assert server.reload() == 0
    one.presence("<show>dnd</show>")
    expect_presence(two, one.jid)
    late = streams(server.login(one.name, "late"))
    assert roster(late) == {two.bare: ("both", None, None, [])}
