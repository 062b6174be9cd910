"""Rosters of clients (RFC 6121 §2, XEP-0237) and the commands that change them."""
import json

import pytest

from im import (befriend, drain, expect_no_presence, expect_presence, expect_push, fence, is_push, item_of, pushed, remove_item,
                roster, set_item, tell)
from xmppstream import error_of, q, text_of_error


def configure(config):
    config["modules"]["mod_roster"] = {"versioning": True}


@pytest.fixture
def me(server, streams):
    s = streams(server.login(resource="r", presence=True))
    roster(s)
    return s


def get(stream, ver):
    return stream.iq(f"<query xmlns='jabber:iq:roster' ver='{ver}'/>")


def query(iq):
    return iq.find(q("roster", "query"))


# --- items (§2.3, §2.4, §2.5) ---

def test_add_change_remove(me):
    assert set_item(me, "a@b.example", "Ann", ["Friends", "Work"]).get("type") == "result"
    assert pushed(me) == ("none", None, "Ann", ["Friends", "Work"])
    assert roster(me) == {"a@b.example": ("none", None, "Ann", ["Friends", "Work"])}
    set_item(me, "A@b.Example", "Änn <&'\">", ["日本"])
    assert pushed(me, "a@b.example") == ("none", None, "Änn <&'\">", ["日本"])
    assert roster(me) == {"a@b.example": ("none", None, "Änn <&'\">", ["日本"])}
    assert remove_item(me, "a@b.example").get("type") == "result"
    assert pushed(me) == ("remove", None, None, [])
    assert roster(me) == {}


def test_push_comes_from_the_account(me):
    """§2.1.6: from the bare address (or none), with an id of its own, before or after the result."""
    set_item(me, "a@b.example")
    push = me.expect(is_push)
    assert push.get("from") in (None, me.bare) and push.get("id") and push.get("to") == me.jid


def test_pushes_go_to_interested_resources_only(server, streams, me):
    """§2.1.6: those that have asked for the roster, available or not."""
    silent = streams(server.login(me.name, "silent"))
    roster(silent)
    uninterested = streams(server.login(me.name, "uninterested", presence=True))
    drain(me, silent, uninterested)
    set_item(me, "a@b.example", "Ann")
    assert pushed(me) == pushed(silent) == ("none", None, "Ann", [])
    fence(me, uninterested)
    assert not any(map(is_push, uninterested.items))


def test_subscription_is_the_servers(me):
    """§2.1.2.5: a client's word for it, but remove, means nothing."""
    set_item(me, "a@b.example", more=" subscription='both' ask='subscribe' approved='true'")
    assert pushed(me) == ("none", None, None, [])


def test_name_and_groups_stay_when_subscriptions_change(server, streams, me):
    other = streams(server.login(presence=True))
    set_item(me, other.bare, "Other", ["g"])
    expect_push(me)
    tell(me, "subscribe", other.bare)
    assert pushed(me) == ("none", "subscribe", "Other", ["g"])
    expect_presence(other, me.bare, "subscribe")
    tell(other, "subscribed", me.bare)
    assert pushed(me) == ("to", None, "Other", ["g"])
    set_item(me, other.bare, "Renamed")
    assert pushed(me) == ("to", None, "Renamed", [])


def test_removing_ends_subscriptions(server, streams, me):
    """§2.5.2"""
    other = streams(server.login(resource="r", presence=True))
    roster(other)
    befriend(me, other)
    remove_item(me, other.bare)
    assert pushed(me) == ("remove", None, None, [])
    expect_presence(other, me.jid, "unavailable")
    expect_presence(other, me.bare, "unsubscribed")
    expect_presence(other, me.bare, "unsubscribe")
    expect_presence(me, other.jid, "unavailable")
    assert roster(other) == {me.bare: ("none", None, None, [])}
    drain(me, other)
    other.presence("<show>away</show>")
    expect_no_presence(other, me)


def test_added_after_a_request_is_visible(server, streams, me):
    """A contact who asked is shown once somebody has put her there."""
    other = streams(server.login(presence=True))
    tell(other, "subscribe", me.bare)
    expect_presence(me, other.bare, "subscribe")
    assert roster(me) == {}
    set_item(me, other.bare)
    assert pushed(me, other.bare) == ("none", None, None, [])
    set_item(me, other.bare, "Other")
    assert roster(me) == {other.bare: ("none", None, "Other", [])}
    tell(me, "subscribed", other.bare)
    assert roster(me) == {other.bare: ("from", None, "Other", [])}


ERRORS = {
    "two items": ("<item jid='a@b'/><item jid='c@d'/>", ("modify", "bad-request"), "Multiple <item/> elements"),
    "no jid": ("<item/>", ("modify", "bad-request"), "Missing attribute 'jid'"),
    "bad jid": ("<item jid='@@'/>", ("modify", "bad-request"), "Bad value of attribute 'jid'"),
    "bad subscription": ("<item jid='a@b' subscription='foo'/>", ("modify", "bad-request"), "Bad value of attribute 'subscription'"),
    "empty group": ("<item jid='a@b'><group/></item>", ("modify", "bad-request"), "Missing cdata in tag <group/>"),
    "doubled group": ("<item jid='a@b'><group>g</group><group>g</group></item>", ("modify", "bad-request"), "Duplicated groups"),
    "long name": (f"<item jid='a@b' name='{'n' * 1024}'/>", ("modify", "not-acceptable"), ""),
    "long group": (f"<item jid='a@b'><group>{'g' * 1024}</group></item>", ("modify", "not-acceptable"), ""),
    "many groups": ("<item jid='a@b'>" + "".join(f"<group>{i}</group>" for i in range(101)) + "</item>",
                    ("modify", "not-acceptable"), ""),
    "nothing": ("", ("cancel", "service-unavailable"), "No module"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(me, name):
    """§2.3.3, in ejabberd's words where it has any; nothing changes."""
    inner, error, text = ERRORS[name]
    iq = me.iq(f"<query xmlns='jabber:iq:roster'>{inner}</query>", type_="set")
    assert error_of(iq) == error and text in (text_of_error(iq) or "")
    me.expect_nothing()
    assert roster(me) == {}


@pytest.mark.parametrize("type_", ["get", "set"])
def test_rosters_of_others(server, me, type_):
    other = server.register()
    item = "<item jid='a@b.example'/>" if type_ == "set" else ""
    iq = me.iq(f"<query xmlns='jabber:iq:roster'>{item}</query>", to=f"{other}@localhost", type_=type_)
    assert error_of(iq) == ("auth", "forbidden") and text_of_error(iq) == "Query to another users is forbidden"
    assert server.api("get_roster", user=other, host="localhost") == []


def test_get_with_items(me):
    iq = me.iq("<query xmlns='jabber:iq:roster'><item jid='a@b'/></query>")
    assert error_of(iq) == ("modify", "bad-request")


def test_removing_who_is_not_there(me):
    """COMPAT(ejabberd): no error."""
    assert remove_item(me, "zz@b.example").get("type") == "result"
    assert pushed(me) == ("remove", None, None, [])


def test_access(new_server, streams):
    def change(config):
        configure(config)
        config["modules"]["mod_roster"]["access"] = "few"
        config["acl"]["few"] = {"user": ["chosen@localhost"]}
        config["access_rules"]["few"] = [{"allow": "few"}]
    server = new_server(change)
    server.start()
    s = streams(server.login())
    assert error_of(set_item(s, "a@b.example")) == ("cancel", "not-allowed")
    assert roster(s) == {}
    server.api("register", user="chosen", host="localhost", password="secret")
    s = streams(server.login("chosen"))
    assert set_item(s, "a@b.example").get("type") == "result"


# --- versions (XEP-0237, §2.6) ---

def test_versions(server, streams, me):
    set_item(me, "a@b.example", "Ann")
    first = query(me.expect(is_push)).get("ver")
    iq = get(me, "")
    assert query(iq).get("ver") == first and item_of(iq).get("jid") == "a@b.example"
    again = streams(server.login(me.name, "again"))
    iq = get(again, first)
    assert iq.get("type") == "result" and query(iq) is None  # §2.6.3: what it has is current
    set_item(me, "c@b.example")
    second = query(me.expect(is_push)).get("ver")
    assert second != first and query(again.expect(is_push)).get("ver") == second
    assert len(query(get(again, first))) == 2
    remove_item(me, "c@b.example")
    third = query(me.expect(is_push)).get("ver")
    assert third not in (first, second) and query(get(again, third)) is None


def test_version_is_only_told_who_asks(me):
    set_item(me, "a@b.example")
    iq = me.iq("<query xmlns='jabber:iq:roster'/>")
    assert query(iq).get("ver") is None


def test_versions_survive_a_restart(new_server, streams):
    server = new_server(configure)
    server.start()
    s = streams(server.login())
    roster(s)
    set_item(s, "a@b.example")
    ver = query(s.expect(is_push)).get("ver")
    server.stop()
    server.start()
    s = streams(server.login(s.name))
    assert query(get(s, ver)) is None


def test_version_feature(server, streams):
    s = streams(server.stream())
    s.open_features()
    s.authenticate(server.register(), "secret")
    assert s.open_features().find("{urn:xmpp:features:rosterver}ver") is not None


# --- size ---

def test_large_roster(server, streams, me):
    """5,000 contacts, 20 of them online."""
    friends = [streams(server.login(resource="f")) for _ in range(20)]
    file = server.folder / "contacts"
    rows = [f'{{"c{i}", "far.example", "G{i % 7}", "Name {i}"}}' for i in range(4980)]
    rows += [f'{{"{f.name}", "localhost", "Near", "Friend"}}' for f in friends]
    file.write_text("[" + ",\n".join(rows) + "].\n")
    assert server.api("push_roster", file=str(file), user=me.name, host="localhost") == 0
    drain(me)
    assert server.api("get_roster_count", user=me.name, host="localhost") == 5000
    for f in friends:
        server.api("add_rosteritem", localuser=f.name, localhost="localhost", user=me.name, host="localhost", nick="", groups=[],
                   subs="both")
        f.presence()
    mine = streams(server.login(me.name, "again"))
    got = roster(mine)
    assert len(got) == 5000 and got["c4979@far.example"] == ("both", None, "Name 4979", ["G2"])
    mine.presence()
    for f in friends:
        expect_presence(mine, f.jid)
        expect_presence(f, mine.jid)


# --- order ---

def test_changes_of_two_resources(server, streams, me):
    """Pushes come to both in one order, and the roster is what the last push said."""
    other = streams(server.login(me.name, "other"))
    roster(other)
    for i in range(100):
        for s in (me, other):
            s.send(f"<iq type='set' id='{s.jid}{i}'><query xmlns='jabber:iq:roster'><item jid='a@b.example' name='{s.jid}{i}'/></query></iq>")
    for s in (me, other):
        for i in range(100):
            s.expect_id(f"{s.jid}{i}")
    for s in (me, other):
        s.ping()
    seen = [[item_of(e).get("name") for e in s.items if is_push(e)] for s in (me, other)]
    assert seen[0] == seen[1] and len(seen[0]) == 200
    assert roster(me)["a@b.example"][2] == seen[0][-1]


# --- commands ---

def test_added_contact_sees_presence(server, streams, me):
    """One side only; presence follows at once."""
    other = streams(server.login(resource="r", presence=True))
    args = dict(localuser=me.name, localhost="localhost", user=other.name, host="localhost")
    assert server.api("add_rosteritem", **args, nick="O", groups=["g"], subs="both") == 0
    assert pushed(me) == ("both", None, "O", ["g"])
    expect_presence(other, me.jid)
    fence(other, me)
    assert server.api("get_roster", user=other.name, host="localhost") == []
    assert server.api("add_rosteritem", **args, nick="O", groups=[], subs="to") == 0
    expect_presence(other, me.jid, "unavailable")
    assert server.api("delete_rosteritem", **args) == 0
    assert pushed(me, other.bare)[0] == "to" and pushed(me, other.bare)[0] == "remove"


def test_count_does_not_load(server, streams):
    name = server.register()
    for i in range(3):
        server.api("add_rosteritem", localuser=name, localhost="localhost", user=f"c{i}", host="x.test", nick="", groups=[], subs="both")
    other = streams(server.login(presence=True))
    tell(other, "subscribe", f"{name}@localhost")
    other.ping()
    assert server.api("get_roster_count", user=name, host="localhost") == 3
    assert len(server.api("get_roster", user=name, host="localhost")) == 3
    assert server.api_raw("get_roster", json.dumps({"user": "a b", "host": "localhost"})) == (400, "\"Invalid 'user'/'server'\"")


@pytest.fixture
def many(server, streams, me):
    other = server.register()
    for owner in (me.name, other):
        for contact, subs in (("icq-fan", "both"), ("x", "none")):
            server.api("add_rosteritem", localuser=owner, localhost="localhost", user=contact, host=f"h-{me.name}.test", nick="",
                       groups=[], subs=subs)
        server.api("add_rosteritem", localuser=owner, localhost="localhost", user="", host=f"icq-{me.name}.test", nick="", groups=[],
                   subs="to")
    drain(me)
    return me, other, f"h-{me.name}.test", f"icq-{me.name}.test"


def process(server, action, subs, asks, users, contacts):
    rows = server.api("process_rosteritems", action=action, subs=subs, asks=asks, users=users, contacts=contacts)
    return [(r["user"], r["contact"]) for r in rows]


def test_process_rosteritems(server, many):
    me, other, host, gateway = many
    mine, theirs = f"{me.name}@localhost", f"{other}@localhost"
    assert process(server, "list", "any", "any", mine, "any") == [(mine, f"icq-fan@{host}"), (mine, gateway), (mine, f"x@{host}")]
    # Globs: with "@" addresses of people, without those of hosts.
    assert sorted(process(server, "list", "any", "any", "*@localhost", f"*@{host}")) == sorted(
        (o, f"{c}@{host}") for o in (mine, theirs) for c in ("icq-fan", "x"))
    assert process(server, "list", "any", "any", mine, "icq*") == [(mine, gateway)]
    assert process(server, "list", "none:from", "any", mine, "any") == [(mine, f"x@{host}")]
    assert process(server, "list", "any", "out:in", mine, "any") == []
    assert process(server, "list", "any", "none", f"{mine}:{theirs}", f"[!x]*@{host}") == sorted(
        [(mine, f"icq-fan@{host}"), (theirs, f"icq-fan@{host}")])
    # SQL: owners without their host.
    assert process(server, "list", "any", "any", me.name, f"%fan@{host}") == [(mine, f"icq-fan@{host}")]
    assert process(server, "list", "to", "any", f"{me.name[:-1]}%", f"%{gateway}") != []


def test_process_rosteritems_delete(server, many):
    me, other, host, gateway = many
    mine, theirs = f"{me.name}@localhost", f"{other}@localhost"
    status, body = server.api_raw("process_rosteritems", json.dumps(
        {"action": "nonsense", "subs": "any", "asks": "any", "users": "any", "contacts": "any"}))
    assert status == 400 and "list or delete" in body
    assert process(server, "delete", "any", "any", "any", f"*@{host}") == sorted(
        (o, f"{c}@{host}") for o in (mine, theirs) for c in ("icq-fan", "x"))
    assert {pushed(me, f"{c}@{host}")[0] for c in ("icq-fan", "x")} == {"remove"}
    for name in (me.name, other):
        assert [c["jid"] for c in server.api("get_roster", user=name, host="localhost")] == [gateway]


@pytest.mark.parametrize("content, word", [("[{1,2}].", "expected"), ("nonsense", ""), ("{a}.", "one list"), ("", "")])
def test_push_roster_of_bad_files(server, content, word):
    file = server.folder / "bad"
    file.write_text(content)
    server.allow_errors = True  # the log says what is wrong with the file
    status, body = server.api_raw("push_roster", json.dumps({"file": str(file), "user": "a", "host": "localhost"}))
    assert (status, body) == (500, '"internal_error"')


def test_set_presence_is_seen_by_contacts(server, streams, me):
    other = streams(server.login(resource="r", presence=True))
    befriend(me, other)
    args = dict(user=me.name, host="localhost", resource="r", type="available", show="away", status="api", priority=7)
    assert server.api("set_presence", **args) == 0
    e = expect_presence(other, me.jid)
    assert e.findtext(q("client", "show")) == "away" and e.findtext(q("client", "priority")) == "7"
    assert server.api("get_presence", user=me.name, host="localhost") == {"jid": me.jid, "show": "away", "status": "api"}
    for wrong in ({"type": "nonsense"}, {"show": "nonsense"}, {"priority": 200}):
        status, _ = server.api_raw("set_presence", json.dumps({**args, **wrong}))
        assert status == 400
    assert server.api("set_presence", **{**args, "type": "unavailable"}) == 0
    expect_presence(other, me.jid, "unavailable")
