"""The blocking command (XEP-0191) with reports of spam (XEP-0377)."""
import pytest

from im import befriend, expect_no_presence, expect_presence, fence
from xmppstream import error_of, local, q, until

B = "{urn:xmpp:blocking}"


def configure(config):
    config["modules"].update(mod_privacy={}, mod_blocking={}, mod_roster={}, mod_shared_roster={}, mod_offline={})


@pytest.fixture
def pair(server, streams):
    return [streams(server.login(server.register(), presence=True)) for _ in range(2)]


def blocked(stream):
    return [i.get("jid") for i in stream.iq("<blocklist xmlns='urn:xmpp:blocking'/>").find(f"{B}blocklist")]


def ask(stream, what, *jids, report=""):
    items = "".join(f"<item jid='{j}'>{report}</item>" for j in jids)
    el = stream.iq(f"<{what} xmlns='urn:xmpp:blocking'>{items}</{what}>", type_="set")
    assert el.get("type") == "result", stream.transcript()


def pushed(stream, what):
    el = stream.expect(lambda e: e.get("type") == "set" and e.find(f"{B}{what}") is not None, f"push of {what}")
    return [i.get("jid") for i in el.find(f"{B}{what}")]


def refused(stream, condition):
    el = stream.expect(lambda e: local(e) == "message" and e.get("type") == "error", "bounce")
    assert error_of(el)[1] == condition
    return el


def test_block_and_unblock(server, streams, pair):
    """§3.2 to §3.5: all resources learn of it; messages come back both ways."""
    one, two = pair
    other = streams(server.login(one.bare.partition("@")[0]))
    assert blocked(one) == []
    ask(one, "block", two.bare, "romeo@example.org")
    for s in (one, other):
        assert pushed(s, "block") == [two.bare, "romeo@example.org"]
    assert sorted(blocked(one)) == sorted([two.bare, "romeo@example.org"])
    two.message(one.bare, "in")
    refused(two, "service-unavailable")
    one.message(two.bare, "out")
    assert refused(one, "not-acceptable").find(f"{q('client', 'error')}/{{urn:xmpp:blocking:errors}}blocked") is not None
    ask(one, "unblock", two.bare)
    assert pushed(one, "unblock") == [two.bare] and blocked(one) == ["romeo@example.org"]
    two.message(one.bare, "in again")
    one.expect_message("in again")
    ask(one, "unblock")
    assert pushed(one, "unblock") == [] and blocked(one) == []


@pytest.mark.parametrize("what", ["account", "resource", "domain"])
def test_contacts_see_it_leave_and_come_back(pair, what):
    """§3.3, §3.5, whatever form the address has (§3.6)."""
    one, two = pair
    befriend(one, two)
    blocked_ = {"account": two.bare, "resource": two.jid, "domain": "localhost"}[what]
    ask(one, "block", blocked_)
    expect_presence(two, one.jid, "unavailable")
    if what != "resource":
        expect_presence(one, two.bare, "unavailable")
    one.presence("<show>away</show>")
    ask(one, "unblock", blocked_)
    assert [e.findtext(q("client", "show")) for e in (expect_presence(two, one.jid),)] == ["away"]


def test_strangers_are_told_nothing(pair):
    """§3.3: only whom the account's presence is for."""
    one, two = pair
    ask(one, "block", two.bare)
    ask(one, "unblock", two.bare)
    expect_no_presence(one, two)


def test_shared_contacts_see_it_too(server, streams, pair):
    """§3.3: a subscription that a shared group gives is one."""
    one, two = pair
    server.api("srg_create", group="crew", host="localhost", label="Crew", description="", display=["crew"])
    for s in (one, two):
        server.api("srg_user_add", user=s.bare.partition("@")[0], host="localhost", group="crew", grouphost="localhost")
    for s in (one, two):
        s.iq("<query xmlns='jabber:iq:roster'/>")
        s.presence()
    fence(one, two)
    ask(one, "block", two.bare)
    expect_presence(two, one.jid, "unavailable")


def test_what_waited_is_not_delivered_after_a_block(server, streams):
    """§3.3: no stanza from the blocked: neither a request for a subscription nor a message that were there before. Others come."""
    name = server.register()
    spam, friend = (streams(server.login(server.register(), presence=True)) for _ in range(2))
    for s in (spam, friend):
        s.send(f"<presence type='subscribe' to='{name}@localhost'/>")
        s.message(f"{name}@localhost", f"from {s.bare}")
        s.iq("<ping xmlns='urn:xmpp:ping'/>", f"{name}@localhost/nobody")
    with server.login(name) as one:
        ask(one, "block", spam.bare)
    one = streams(server.login(name, presence=True))
    expect_presence(one, friend.bare, "subscribe")
    one.expect_message(f"from {friend.bare}")
    one.ping()
    assert not [e for e in one.items if e.get("from", "").startswith(spam.bare)], one.transcript()
    assert server.api("get_offline_count", user=name, host="localhost") == 0


def test_block_twice(pair):
    one, two = pair
    ask(one, "block", two.bare)
    ask(one, "block", two.bare, two.bare)
    assert blocked(one) == [two.bare]
    ask(one, "unblock", two.bare)
    assert blocked(one) == []


def test_a_domain(pair):
    """§3.6: any form of address."""
    one, two = pair
    ask(one, "block", "localhost")
    two.message(one.bare, "in")
    refused(two, "service-unavailable")
    one.ping("localhost")


def test_offline_accounts_are_protected(server, streams):
    name = server.register()
    two = streams(server.login(server.register(), presence=True))
    with server.login(name) as one:
        ask(one, "block", two.bare)
    two.message(f"{name}@localhost", "for later")
    refused(two, "service-unavailable")


def test_reports(server, pair):
    """XEP-0377 §3: a report goes along with a block, to the log."""
    one, two = pair
    report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text>pills</text></report>"
    ask(one, "block", two.bare, report=report)
    assert blocked(one) == [two.bare]
    until(lambda: f"{one.bare} reports {two.bare} (urn:xmpp:reporting:spam): pills" in server.log(), "the report in the log")


@pytest.mark.parametrize("inner", ["<block xmlns='urn:xmpp:blocking'/>", "<block xmlns='urn:xmpp:blocking'><item jid='@@'/></block>",
                                   "<block xmlns='urn:xmpp:blocking'><item/></block>", "<blocklist xmlns='urn:xmpp:blocking'/>"])
def test_refused(pair, inner):
    assert error_of(pair[0].iq(inner, type_="set")) == ("modify", "bad-request")


def test_it_is_the_owners(pair):
    one, two = pair
    assert error_of(two.iq("<blocklist xmlns='urn:xmpp:blocking'/>", to=one.bare)) == ("auth", "forbidden")


def test_it_is_the_default_privacy_list(pair):
    """§5: one list for both protocols."""
    one, two = pair
    ask(one, "block", two.bare)
    query = one.iq("<query xmlns='jabber:iq:privacy'/>").find("{jabber:iq:privacy}query")
    assert query.find("{jabber:iq:privacy}default").get("name") == "Blocked contacts"
    change = "<query xmlns='jabber:iq:privacy'><list name='Blocked contacts'><item action='deny' order='1' type='jid' value='a@b'/>" \
             "<item action='deny' order='2' type='jid' value='c@d'><message/></item></list></query>"
    assert one.iq(change, type_="set").get("type") == "result"
    assert blocked(one) == ["a@b"]


def test_disco(pair):
    info = pair[0].iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", to="localhost")
    features = [f.get("var") for f in info.iter("{http://jabber.org/protocol/disco#info}feature")]
    assert {"urn:xmpp:blocking", "urn:xmpp:reporting:1"} <= set(features)


def test_devices_that_block_at_once(server, streams):
    """§3.3: each one's result says that it is done, so that none may undo another's; and unblocking takes out its own only."""
    user = server.register()
    devices = [streams(server.login(user, f"r{i}", presence=True)) for i in range(8)]
    want = set()
    for what, sign in (("block", "a"), ("block", "b"), ("unblock", "a")):
        for i, s in enumerate(devices):
            s.send(f"<iq type='set' id='{what}{sign}'><{what} xmlns='urn:xmpp:blocking'><item jid='{sign}{i}@x.test'/></{what}></iq>")
            (want.add if what == "block" else want.discard)(f"{sign}{i}@x.test")
        for s in devices:
            assert s.expect_id(f"{what}{sign}").get("type") == "result"
    assert set(blocked(devices[0])) == want and len(want) == 8
