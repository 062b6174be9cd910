"""Extended Stanza Addressing (XEP-0033) through the multicast service of a host."""
import pytest

from im import drain, expect_presence
from xmppstream import error_of, local, q, text_of_error

NS = "http://jabber.org/protocol/address"
A = f"{{{NS}}}"
SERVICE = "multicast.localhost"


def configure(config):
    config["acl"]["quiet"] = {"user": ["quiet"]}
    config["access_rules"]["multicast"] = [{"deny": "quiet"}, {"allow": "all"}]
    config["modules"].update(mod_multicast={"access": "multicast", "limits": {"local": {"message": 30, "presence": "infinite"}}},
                             mod_offline={}, mod_roster={})


def addresses(*list_):
    inner = "".join("<address " + " ".join(f"{k}='{v}'" for k, v in a.items()) + "/>" for a in list_)
    return f"<addresses xmlns='{NS}'>{inner}</addresses>"


def address(type_, jid, **more):
    return dict(type=type_, jid=jid, **more)


def shown(el):
    return [dict(a.attrib) for a in el.iter(f"{A}address")]


def send(stream, *list_, to=SERVICE, more=" type='chat' id='m'", body="hi"):
    stream.send(f"<message to='{to}'{more}>{addresses(*list_)}<body>{body}</body></message>")


def is_message(e):
    return local(e) == "message"


def nothing_came(*all_):
    for s in all_:
        s.ping()
        assert not [e for e in s.items if local(e) == "message"], s.transcript()


@pytest.fixture
def people(server, streams):
    """Four accounts, of both shards most of the time, and one of the other host."""
    all_ = [streams(server.login(server.register(), presence=True)) for _ in range(4)]
    all_.append(streams(server.login(server.register(host="example.test"), host="example.test", presence=True)))
    drain(*all_)
    return all_


def test_to_and_cc(people):
    """§4.6.1, §4.6.2, §6: each gets the stanza, from the sender, with all addresses marked as delivered."""
    a, b, c, d, e = people
    send(a, address("to", b.bare, desc="B"), address("cc", c.jid), address("cc", e.bare), address("replyto", d.bare),
         {"type": "noreply"})
    seen = [{"type": "to", "jid": b.bare, "desc": "B", "delivered": "true"}, {"type": "cc", "jid": c.jid, "delivered": "true"},
            {"type": "cc", "jid": e.bare, "delivered": "true"}, {"type": "replyto", "jid": d.bare}, {"type": "noreply"}]
    for who, to in ((b, b.bare), (c, c.jid), (e, e.bare)):
        m = who.expect_message("hi")
        assert (m.get("from"), m.get("to"), m.get("type"), m.get("id")) == (a.jid, to, "chat", "m")
        assert shown(m) == seen
    nothing_came(a, d)


def test_bcc(people):
    """§4.6.3: nobody sees a blind recipient but she herself."""
    a, b, c, d, _ = people
    send(a, address("to", b.bare), address("bcc", c.bare), address("bcc", d.bare))
    seen = [{"type": "to", "jid": b.bare, "delivered": "true"}]
    assert shown(b.expect_message()) == seen
    assert shown(c.expect_message()) == seen + [{"type": "bcc", "jid": c.bare}]
    assert shown(d.expect_message()) == seen + [{"type": "bcc", "jid": d.bare}]


def test_only_bcc(people):
    a, b, c, *_ = people
    send(a, address("bcc", b.bare), address("bcc", c.bare))
    assert shown(b.expect_message()) == [{"type": "bcc", "jid": b.bare}]
    assert shown(c.expect_message()) == [{"type": "bcc", "jid": c.bare}]


def test_delivered_is_not_sent_again(people):
    """§4.5: the loop breaker."""
    a, b, c, *_ = people
    send(a, address("to", b.bare, delivered="true"), address("to", c.bare))
    assert len(shown(c.expect_message())) == 2
    nothing_came(a, b)


def test_each_recipient_once(people):
    a, b, *_ = people
    send(a, address("to", b.bare), address("cc", b.bare), address("bcc", b.bare), address("to", b.bare.upper()))
    assert [x["type"] for x in shown(b.expect_message())] == ["to", "cc", "to"]
    nothing_came(a, b)


def test_services_are_not_recipients(people):
    """A service that named itself, or its sister, would hand out again what it hands out: bcc bears no mark."""
    a, b, *_ = people
    send(a, address("bcc", SERVICE), address("to", "multicast.example.test"), address("to", b.bare))
    assert shown(b.expect_message()) == [{"type": "to", "jid": "multicast.example.test", "delivered": "true"},
                                         {"type": "to", "jid": b.bare, "delivered": "true"}]
    nothing_came(a, b)


def test_offline_recipient(server, people, streams):
    """Each recipient's own rules hold (RFC 6121 §8.5.2): who is away finds it later, with the addresses."""
    a, b, *_ = people
    name = server.register()
    send(a, address("to", b.bare), address("bcc", f"{name}@localhost"))
    b.expect_message()
    late = streams(server.login(name, presence=True))
    m = late.expect_message("hi")
    assert m.get("from") == a.jid and shown(m) == [{"type": "to", "jid": b.bare, "delivered": "true"},
                                                   {"type": "bcc", "jid": f"{name}@localhost"}]


def test_unknown_recipients(people):
    """Errors come from whom they are about; the others are not held up."""
    a, b, *_ = people
    send(a, address("to", "x@nosuch.invalid"), address("to", b.bare), address("to", "localhost/none"))
    b.expect_message()
    errors = {}
    for _ in range(2):
        e = a.expect(is_message)
        errors[e.get("from")] = error_of(e)
    assert errors == {"x@nosuch.invalid": ("cancel", "remote-server-not-found"), "localhost/none": ("cancel", "item-not-found")}


# --- errors: nobody gets anything ---

@pytest.mark.parametrize("bad, error", [
    ([dict(type="to", uri="sip:x@example.test")], ("modify", "jid-malformed")),
    ([dict(type="to", uri="sip:x@example.test", jid="a@b")], ("modify", "bad-request")),
    ([address("to", "@@")], ("modify", "jid-malformed")),
    ([address("replyto", "@@")], ("modify", "jid-malformed")),
    ([dict(type="to", desc="nobody")], ("modify", "bad-request")),
    ([dict(jid="x@localhost")], ("modify", "bad-request")),
    ([address("nosuch", "x@localhost")], ("modify", "bad-request")),
    ([address("to", f"x{i}@localhost") for i in range(30)], ("modify", "not-acceptable"))])
def test_bad_addresses(people, bad, error):
    """§4, §8."""
    a, b, *_ = people
    send(a, address("to", b.bare), *bad)
    e = a.expect(is_message)
    assert e.get("from") == SERVICE and e.get("type") == "error" and error_of(e) == error
    assert shown(e)[0] == {"type": "to", "jid": b.bare}
    nothing_came(a, b)


def test_limit(server, people):
    """§8: as many as the option says; addresses that are no recipients do not count."""
    a, b, *_ = people
    send(a, *[address("to", f"{b.bare}/r{i}") for i in range(29)], address("to", b.bare), address("replyto", a.bare),
         address("to", "done@localhost", delivered="true"), more=" type='headline'")
    assert len(shown(b.expect_message())) == 32


@pytest.mark.parametrize("inner, text", [("", "No addresses element found"), (f"<addresses xmlns='{NS}'/>", "No address elements found")])
def test_no_addresses(people, inner, text):
    a = people[0]
    a.send(f"<message to='{SERVICE}' id='m'>{inner}<body>x</body></message>")
    e = a.expect_id("m")
    assert error_of(e) == ("modify", "bad-request") and text_of_error(e) == text


def test_only_the_service_itself(people):
    """§3: no user name, no resource; §3: not in an IQ."""
    a, b, *_ = people
    for to in (f"x@{SERVICE}", f"{SERVICE}/x"):
        send(a, address("to", b.bare), to=to)
        assert error_of(a.expect(is_message)) == ("cancel", "service-unavailable")
    el = a.iq(addresses(address("to", b.bare)), to=SERVICE)
    assert error_of(el) == ("cancel", "service-unavailable")
    nothing_came(a, b)


def test_access(server, streams, people):
    """§3.2, §8: who may not use it."""
    b = people[1]
    server.api("register", user="quiet", host="localhost", password="secret")
    quiet = streams(server.login("quiet"))
    send(quiet, address("to", b.bare))
    e = quiet.expect(is_message)
    assert error_of(e) == ("auth", "forbidden") and text_of_error(e) == "Access denied by service policy"
    nothing_came(b)


# --- presence ---

def present(stream, *list_, type_=None):
    stream.send(f"<presence to='{SERVICE}'{f' type={chr(39)}{type_}{chr(39)}' if type_ else ''}>"
                f"{addresses(*list_) if list_ else ''}<status>s</status></presence>")


@pytest.mark.parametrize("end", ["to the service", "to all", "stream", "lost"])
def test_directed_presence_ends(people, end):
    """§5.1: whoever got available presence through the service learns that the sender is gone, however that comes."""
    a, b, c, _, e = people
    present(a, address("to", b.bare), address("bcc", c.jid), address("cc", e.bare))
    for who in (b, c, e):
        expect_presence(who, a.jid)
    if end == "to the service":
        present(a, type_="unavailable")
    elif end == "to all":
        a.send("<presence type='unavailable'/>")
    elif end == "stream":
        a.close()
    else:
        a.drop()
    for who in (b, c, e):
        expect_presence(who, a.jid, "unavailable")
    drain(b, c, e)
    if end == "to the service":  # it ended once
        a.send("<presence type='unavailable'/>")
        a.ping()
        for who in (b, c, e):
            who.ping()
            assert not who.items, who.transcript()


def test_directed_presence_of_some_ends(people):
    """§5.1, example 2: unavailable presence with addresses is for these; the others are told at the end."""
    a, b, c, *_ = people
    present(a, address("to", b.bare), address("to", c.bare))
    present(a, address("to", b.bare), type_="unavailable")
    expect_presence(b, a.jid, "unavailable")
    a.close()
    expect_presence(c, a.jid, "unavailable")
    drain(b)
    b.ping()
    assert not b.items, b.transcript()


def test_directed_presence_is_bounded(people):
    a = people[0]
    present(a, *[address("to", f"p{i}@localhost") for i in range(1001)])
    e = a.expect(lambda x: local(x) == "presence" and x.get("type") == "error")
    assert error_of(e) == ("modify", "not-acceptable")


@pytest.mark.parametrize("type_", ["subscribe", "probe"])
def test_no_subscriptions_for_many(people, type_):
    """They have rules of their own that one stanza to many would go round (RFC 6121 §3)."""
    a, b, *_ = people
    present(a, address("to", b.bare), type_=type_)
    e = a.expect(lambda x: local(x) == "presence" and x.get("type") == "error")
    assert error_of(e) == ("cancel", "not-allowed")
    nothing_came(b)


def test_many(server, streams):
    """Thirty accounts on both shards get each stanza once, in the order they were sent."""
    sender = streams(server.login(presence=True))
    names = [server.register() for _ in range(30)]
    readers = [streams(server.login(n, presence=True)) for n in names]
    for i in range(5):
        send(sender, *[address("to", f"{n}@localhost") for n in names], body=f"b{i}")
    for r in readers:
        assert [r.expect(is_message).findtext(q("client", "body")) for _ in range(5)] == [f"b{i}" for i in range(5)]
    nothing_came(*readers)
