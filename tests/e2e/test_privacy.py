"""Privacy lists (XEP-0016): their management, and what they let through."""
import pytest

from im import befriend, drain, expect_no_presence, expect_presence, roster
from sm import Sm
from xmppstream import error_of, local, q, text_of_error

P = "{jabber:iq:privacy}"
QUERY = "<query xmlns='jabber:iq:privacy'>{}</query>"


def configure(config):
    config["modules"].update(mod_privacy={}, mod_roster={}, mod_shared_roster={})


@pytest.fixture
def pair(server, streams):
    return [streams(server.login(server.register(), presence=True)) for _ in range(2)]


def change(stream, inner):
    el = stream.iq(QUERY.format(inner), type_="set")
    assert el.get("type") == "result", stream.transcript()


def put(stream, name, *items):
    """§2.6: every session is told."""
    change(stream, f"<list name='{name}'>{''.join(items)}</list>")
    assert stream.expect(lambda e: e.find(f"{P}query/{P}list") is not None).find(f"{P}query/{P}list").get("name") == name


def item(action="deny", order=1, type_=None, value=None, inner=""):
    what = f" type='{type_}' value='{value}'" if type_ else ""
    return f"<item action='{action}' order='{order}'{what}>{inner}</item>"


def names(stream):
    return [(local(e), e.get("name")) for e in stream.iq(QUERY.format("")).find(f"{P}query")]


def bounced(stream, condition="service-unavailable"):
    el = stream.expect(lambda e: local(e) == "message" and e.get("type") == "error", "bounce")
    assert error_of(el)[1] == condition
    return el


def test_management(pair):
    """§2.3 to §2.8: made, shown, edited, default, active, removed."""
    one, _ = pair
    assert names(one) == [("active", None), ("default", None)]
    put(one, "a", item("allow", 7, "jid", "x@example.org", "<message/><presence-out/>"), item("deny", 3))
    got = one.iq(QUERY.format("<list name='a'/>")).find(f"{P}query/{P}list")
    assert [(i.get("action"), i.get("order"), i.get("type"), i.get("value"), [local(k) for k in i]) for i in got] == [
        ("deny", "3", None, None, []), ("allow", "7", "jid", "x@example.org", ["message", "presence-out"])]
    put(one, "a", item("allow"))
    put(one, "b", item("allow"))
    change(one, "<active name='a'/>")
    change(one, "<default name='b'/>")
    assert names(one) == [("active", "a"), ("default", "b"), ("list", "a"), ("list", "b")]
    for name in "ab":
        assert error_of(one.iq(QUERY.format(f"<list name='{name}'/>"), type_="set")) == ("cancel", "conflict")
    change(one, "<active/>")
    change(one, "<default/>")
    put(one, "a")
    assert names(one) == [("active", None), ("default", None), ("list", "b")]


@pytest.mark.parametrize("inner, condition", [
    ("", "bad-request"), ("<list name='a'/><list name='b'/>", "bad-request"), ("<list name='none'/>", "item-not-found"),
    ("<active name='none'/>", "item-not-found"), ("<default name='none'/>", "item-not-found"),
    ("<list name='a'><item action='deny'/></list>", "bad-request"),
    ("<list name='a'><item action='x' order='1'/></list>", "bad-request"),
    ("<list name='a'><item action='deny' order='-1'/></list>", "bad-request"),
    ("<list name='a'><item action='deny' order='1' type='x' value='y'/></list>", "bad-request"),
    ("<list name='a'><item action='deny' order='1' type='jid' value='@'/></list>", "bad-request"),
    ("<list name='a'><item action='deny' order='1' type='subscription' value='x'/></list>", "bad-request"),
])
def test_refused(pair, inner, condition):
    assert error_of(pair[0].iq(QUERY.format(inner), type_="set"))[1] == condition


def test_it_is_the_owners(pair):
    one, two = pair
    for type_ in ("get", "set"):
        assert error_of(two.iq(QUERY.format("<active/>"), to=one.bare, type_=type_)) == ("auth", "forbidden")


def test_deny_everything_from_one(pair):
    """§2.14: messages and requests come back, presence is ignored; what the owner sends is refused too."""
    one, two = pair
    put(one, "a", item("deny", 1, "jid", two.bare))
    change(one, "<default name='a'/>")
    two.message(one.bare, "in")
    bounced(two)
    assert error_of(two.iq("<ping xmlns='urn:xmpp:ping'/>", to=one.jid)) == ("cancel", "service-unavailable")
    two.send(f"<presence to='{one.jid}'/>")
    two.ping("localhost")
    one.expect_nothing()
    one.message(two.bare, "out")
    el = bounced(one, "not-acceptable")
    assert el.find(f"{q('client', 'error')}/{{urn:xmpp:blocking:errors}}blocked") is not None  # XEP-0191 §3.4
    one.send(f"<presence to='{two.jid}'/>")
    one.ping("localhost")
    two.expect_nothing()
    change(one, "<default/>")
    two.message(one.bare, "again")
    one.expect_message("again")


def test_first_match_decides(pair):
    """§2.2: by order; what no item fits is allowed."""
    one, two = pair
    put(one, "a", item("deny", 5), item("allow", 2, "jid", two.bare, "<message/>"))
    change(one, "<default name='a'/>")
    two.message(one.bare, "let in")
    one.expect_message("let in")
    assert error_of(two.iq("<ping xmlns='urn:xmpp:ping'/>", to=one.jid)) == ("cancel", "service-unavailable")


@pytest.mark.parametrize("stanza", ["<presence id='o' to='{}'/>", "<presence id='o' type='subscribe' to='{}'/>",
                                    "<message id='o' type='headline' to='{}'/>"])
def test_what_does_not_go_out_comes_back(pair, stanza):
    """§2.14, XEP-0191 §3.4: of any kind, by the list of the session it came from."""
    one, two = pair
    put(one, "a", item("deny", 1, "jid", two.bare))
    change(one, "<active name='a'/>")
    one.send(stanza.format(two.bare))
    el = one.expect(lambda e: e.get("type") == "error" and e.get("id") == "o")
    assert error_of(el)[1] == "not-acceptable" and el.get("from") == two.bare
    one.ping("localhost")
    two.expect_nothing()


@pytest.mark.parametrize("kind, blocked", [("message", "m"), ("iq", "i"), ("presence-in", "p"), ("presence-out", "o")])
def test_kinds(pair, kind, blocked):
    """§2.9 to §2.12: an item that names kinds is about these only."""
    one, two = pair
    put(one, "a", item("deny", 1, "jid", two.bare, f"<{kind}/>"))
    change(one, "<active name='a'/>")
    change(one, "<default name='a'/>")
    two.message(one.jid, "text")
    if blocked == "m":
        bounced(two)
    else:
        one.expect_message("text")
    two.send(f"<iq type='get' id='k' to='{one.jid}'><x xmlns='urn:x'/></iq>")
    if blocked == "i":
        assert error_of(two.expect_id("k")) == ("cancel", "service-unavailable")
    else:
        one.expect_id("k")
    two.send(f"<presence to='{one.jid}'><status>directed</status></presence>")
    if blocked == "p":
        two.ping("localhost")
        one.expect_nothing()
    else:
        one.expect(lambda e: local(e) == "presence" and e.get("from") == two.jid)
    one.send(f"<presence to='{two.jid}'><status>directed</status></presence>")
    if blocked == "o":
        one.expect(lambda e: local(e) == "presence" and e.get("type") == "error")
        two.expect_nothing()
    else:
        two.expect(lambda e: local(e) == "presence" and e.get("from") == one.jid)


def test_addresses(server, streams, pair):
    """§2.1: resource, account, domain."""
    one, two = pair
    for value, blocked in ((two.jid, True), (f"{two.bare}/other", False), ("localhost", True), ("example.org", False)):
        put(one, "a", item("deny", 1, "jid", value))
        change(one, "<default name='a'/>")
        two.message(one.bare, value)
        if blocked:
            bounced(two)
        else:
            one.expect_message(value)


def test_the_active_list_is_one_sessions(server, streams, pair):
    """§2.4 and §2.5: it goes before the default one, and ends with the session."""
    one, two = pair
    name = one.bare.partition("@")[0]
    other = streams(server.login(name, "other", presence=True))
    put(one, "none", item("deny", 1))
    change(one, "<active name='none'/>")
    two.message(one.jid, "to the silent one")
    bounced(two)
    two.message(other.jid, "to the other one")
    other.expect_message("to the other one")
    resource = one.jid.partition("/")[2]
    one.close()
    one = streams(server.login(name, resource, presence=True))
    two.message(one.jid, "after a new login")
    one.expect_message("after a new login")


def test_offline_accounts_are_protected(server, streams):
    """The default list counts whoever is connected."""
    name = server.register()
    with server.login(name) as one:
        put(one, "a", item("deny", 1))
        change(one, "<default name='a'/>")
    two = streams(server.login(server.register(), presence=True))
    two.send(f"<iq type='get' id='v' to='{name}@localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
    assert error_of(two.expect_id("v")) == ("cancel", "service-unavailable")
    two.message(f"{name}@localhost", "for later")
    bounced(two)


def test_nobody_locks_himself_out(pair):
    """His own account and server stay within reach."""
    one, _ = pair
    put(one, "a", item("deny", 1))
    change(one, "<active name='a'/>")
    change(one, "<default name='a'/>")
    one.ping("localhost")
    assert names(one)[0] == ("active", "a")
    change(one, "<active/>")
    change(one, "<default/>")


def test_survives_a_restart(new_server):
    server = new_server(configure)
    server.start()
    name = server.register()
    with server.login(name) as one:
        put(one, "a", item("deny", 1, "jid", "x@example.org"))
        change(one, "<default name='a'/>")
    server.kill()
    server.start()
    with server.login(name) as one:
        assert names(one) == [("active", None), ("default", "a"), ("list", "a")]


def test_disco(pair):
    info = pair[0].iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", to="localhost")
    assert "jabber:iq:privacy" in [f.get("var") for f in info.iter("{http://jabber.org/protocol/disco#info}feature")]


def test_words(pair):
    el = pair[0].iq(QUERY.format("<active name='x'/>"))
    assert error_of(el) == ("modify", "bad-request") and text_of_error(el) == "Only <list/> element is allowed in this query"


def test_an_active_list_counts_for_what_goes_to_the_bare_address(server, streams, pair):
    """§2.2: the list of the session a stanza is delivered to. Only when none of them may have it is it refused."""
    one, two = pair
    put(one, "none", item("deny", 1))
    change(one, "<active name='none'/>")
    two.message(one.bare, "nobody may have it")
    bounced(two)
    other = streams(server.login(one.bare.partition("@")[0], "other", presence=True))
    one.ping()
    one.items.clear()
    two.message(one.bare, "only the other one")
    other.expect_message("only the other one")
    assert not [e for e in one.items if local(e) == "message"]
    one.expect_nothing()
    change(one, "<active/>")
    two.message(one.bare, "both")
    one.expect_message("both")
    other.expect_message("both")


def test_the_default_list_of_other_sessions_stays(server, streams, pair):
    """§2.5: neither another one nor none, as long as somebody else goes by it."""
    one, _ = pair
    put(one, "a", item("allow"))
    put(one, "b", item("allow"))
    change(one, "<default name='a'/>")
    other = streams(server.login(one.bare.partition("@")[0], "other"))
    for inner in ("<default name='b'/>", "<default/>"):
        assert error_of(one.iq(QUERY.format(inner), type_="set")) == ("cancel", "conflict")
    change(one, "<default name='a'/>")
    change(other, "<active name='b'/>")
    change(one, "<default name='b'/>")
    assert names(one)[1] == ("default", "b")


# --- presence when lists change ---

@pytest.fixture
def friends(pair):
    befriend(*pair)
    return pair


APPLY = [("<default name='a'/>", "<default/>"), ("<active name='a'/>", "<active/>")]


@pytest.mark.parametrize("on, off", APPLY)
@pytest.mark.parametrize("kind", ["<presence-out/>", ""])
def test_who_is_shut_out_sees_it_leave(friends, kind, on, off):
    """§2.11: unavailable presence, for whoever had a right to see it; and it is back afterwards."""
    one, two = friends
    put(one, "a", item("deny", 1, "jid", two.bare, kind))
    change(one, on)
    expect_presence(two, one.jid, "unavailable")
    one.presence("<show>away</show>")
    expect_no_presence(one, two) if kind else two.expect_nothing()
    change(one, off)
    assert expect_presence(two, one.jid).findtext(q("client", "show")) == "away"


@pytest.mark.parametrize("on, off", APPLY)
def test_who_is_not_looked_at_is_gone(friends, on, off):
    """§2.10: the client sees her leave, and learns how she is when it looks again."""
    one, two = friends
    put(one, "a", item("deny", 1, "jid", two.bare, "<presence-in/>"))
    change(one, on)
    expect_presence(one, two.bare, "unavailable")
    two.presence("<show>dnd</show>")
    expect_no_presence(two, one)
    change(one, off)
    assert expect_presence(one, two.jid).findtext(q("client", "show")) == "dnd"


def test_an_edit_of_the_list_in_force_counts_at_once(server, streams, friends):
    """§2.2: also for the other sessions that go by it, and not for those with a list of their own."""
    one, two = friends
    name = one.bare.partition("@")[0]
    other, own = (streams(server.login(name, r, presence=True)) for r in ("other", "own"))
    put(one, "open", item("allow"))
    put(one, "a", item("deny", 1, "jid", "x@example.org"))
    change(one, "<default name='a'/>")
    change(own, "<active name='open'/>")
    drain(two, own)
    put(one, "a", item("deny", 1, "jid", two.bare, "<presence-out/>"))
    for s in (one, other):
        expect_presence(two, s.jid, "unavailable")
    expect_no_presence(own, two)


def test_strangers_see_nothing_of_it(pair):
    one, two = pair
    put(one, "a", item("deny", 1))
    change(one, "<default name='a'/>")
    change(one, "<default/>")
    expect_no_presence(one, two)


def test_many_items_and_contacts(server, streams):
    """Looked at piece by piece: others are served meanwhile, and nobody is left out."""
    one, two = (streams(server.login(presence=True)) for _ in range(2))
    befriend(one, two)
    many = "".join(item("deny", i + 1, "jid", f"u{i}@example.org") for i in range(3000)) + item("deny", 3001, "jid", two.bare)
    name = one.bare.partition("@")[0]
    for i in range(100):
        server.api("add_rosteritem", localuser=name, localhost="localhost", user=f"c{i}", host="example.org", nick="", groups=[],
                   subs="both")
    put(one, "a", many)
    change(one, "<default name='a'/>")
    expect_presence(two, one.jid, "unavailable")


# --- contacts that modules add ---

def test_shared_contacts_have_their_subscription_and_groups(server, streams, pair):
    """§2.1: somebody of a shared group is no stranger, and in that group."""
    one, two = pair
    third = streams(server.login(presence=True))
    server.api("srg_create", group="team", host="localhost", label="Team", description="", display=["team"])
    for s in (one, two):
        server.api("srg_user_add", user=s.bare.partition("@")[0], host="localhost", group="team", grouphost="localhost")
    assert two.bare in roster(one)
    put(one, "a", item("deny", 1, "subscription", "none", "<message/>"))
    change(one, "<active name='a'/>")
    two.message(one.jid, "of the team")
    one.expect_message("of the team")
    third.message(one.jid, "a stranger")
    bounced(third)
    put(one, "a", item("deny", 1, "group", "Team", "<message/>"))
    two.message(one.jid, "of the team")
    bounced(two)
    third.message(one.jid, "a stranger")
    one.expect_message("a stranger")
    change(one, "<active/>")


def test_active_list_of_a_session_that_waits_for_the_next_process(new_server):
    """Psi asks for one at each login: nothing of it is left when the server stops (LeakSanitizer looks)."""
    def change_(config):
        configure(config)
        config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60}

    server = new_server(change_).start()
    for _ in range(4):
        s = server.login(server.register(), presence=True)
        m = Sm(s)
        m.enable()
        put(s, "some", item(type_="jid", value="x@localhost"))
        change(s, "<active name='some'/>")
        m.acked_to(2)
        s.drop()
    server.stop()
