"""What strangers leave (XEP-0175 §3: an anonymous user's data is not kept): it goes with the last session under the name, also when the
server is killed; the next one under the name sees nothing of it. Accounts keep theirs."""
import sqlite3

import pytest

from sm import Sm
from sm import resume as resume_sm
from xmppstream import error_of, local, until

MODULES = ("mod_vcard", "mod_private", "mod_roster", "mod_offline", "mod_privacy", "mod_last")
HOSTS = {
    "sasl.test": {"auth_method": ["anonymous"]},
    "login.test": {"auth_method": ["anonymous"], "anonymous_protocol": "login_anon"},
    "many.test": {"auth_method": ["anonymous"], "anonymous_protocol": "login_anon", "allow_multiple_connections": True},
    "both.test": {"auth_method": ["internal", "anonymous"], "anonymous_protocol": "both"},
}


def configure(config):
    config["hosts"] += list(HOSTS)
    config["host_config"] = HOSTS
    config["new_sql_schema"] = True
    config["modules"].update({m: {} for m in MODULES}, mod_stream_mgmt={"resume_timeout": 60})


def rows(server, user):
    """Tables that have something under the name, of any host."""
    found = {}
    with sqlite3.connect(f"file:{server.spool}/{database(server)}?mode=ro", uri=True) as db:
        tables = [t for t, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for t in tables:
            if any(c[1] == "username" for c in db.execute(f"PRAGMA table_info({t})")):
                n = db.execute(f"SELECT count(*) FROM {t} WHERE username = ?", (user,)).fetchone()[0]
                if n:
                    found[t] = n
    db.close()
    return found


def database(server):
    return next(f.name for f in server.spool.iterdir() if f.suffix == ".db" or f.name.endswith(".sqlite"))


def stranger(server, streams, host="sasl.test", user=None):
    s = streams(server.stream(to=host))
    s.open_features()
    if user is None:
        s.auth_raw("ANONYMOUS", b"x")
    else:
        s.auth_raw("PLAIN", f"\0{user}\0any".encode())
    s.expect_success()
    s.open_features()
    s.bind("r")
    s.user = s.bare.partition("@")[0]
    return s


def has_card(s):
    return s.iq("<vCard xmlns='vcard-temp'/>").find("{vcard-temp}vCard/{vcard-temp}FN") is not None


LIST = ("<query xmlns='jabber:iq:privacy'><list name='l'><item type='jid' value='nobody@example.test' action='deny' order='1'/></list>"
        "</query>")


def fill(server, streams, s):
    """Something of everything that is kept for an account."""
    for xml in ("<vCard xmlns='vcard-temp'><FN>Nobody</FN></vCard>", "<query xmlns='jabber:iq:private'><a xmlns='urn:a'>x</a></query>",
                "<query xmlns='jabber:iq:roster'><item jid='friend@example.test'><group>g</group></item></query>", LIST,
                "<query xmlns='jabber:iq:privacy'><default name='l'/></query>"):
        answer = s.iq(xml, type_="set")
        assert answer.get("type") == "result", s.transcript()
    peer = streams(server.login())
    peer.message(s.bare, "kept")  # no presence yet: it waits
    until(lambda: "spool" in rows(server, s.user), "the message to wait")
    assert set(rows(server, s.user)) >= {"vcard", "private_storage", "rosterusers", "rostergroups", "privacy_list", "privacy_default_list",
                                         "spool", "cj_stranger"}


def gone(server, user):
    until(lambda: rows(server, user) == {}, f"everything of {user} to be gone")


@pytest.mark.parametrize("how", ["close", "drop", "kick"])
def test_end_of_the_session(server, streams, how):
    s = stranger(server, streams)
    fill(server, streams, s)
    s.send("<presence><status>here</status></presence>")
    s.expect_message("kept")
    if how == "kick":
        server.api("kick_session", user=s.user, host="sasl.test", resource="r", reason="out")
        s.expect_end()
    else:
        s.close() if how == "close" else s.drop()
    gone(server, s.user)


def test_waiting_messages_go_too(server, streams):
    """What was never delivered; and nothing new is kept for a name that nobody has."""
    s = stranger(server, streams)
    fill(server, streams, s)
    s.close()
    gone(server, s.user)
    peer = streams(server.login())
    peer.message(s.bare, "too late", id_="late")
    assert error_of(peer.expect_id("late"))[1] == "service-unavailable"
    assert rows(server, s.user) == {}


def test_killed(new_server, streams):
    """kill -9 while they are online: gone before the next process takes connections."""
    server = new_server(configure).start()
    s, t = stranger(server, streams), stranger(server, streams, "login.test", "ann")
    for x in (s, t):
        fill(server, streams, x)
    account = server.register(host="both.test")
    a = streams(server.login(account, host="both.test"))
    assert a.iq("<vCard xmlns='vcard-temp'><FN>A</FN></vCard>", type_="set").get("type") == "result"
    server.kill()
    server.start()
    assert rows(server, s.user) == {} and rows(server, "ann") == {}
    assert "vcard" in rows(server, account)
    ann = stranger(server, streams, "login.test", "ann")
    assert not has_card(ann)


def test_stopped(new_server, streams):
    server = new_server(configure).start()
    s = stranger(server, streams)
    fill(server, streams, s)
    server.stop()
    server.start()
    assert rows(server, s.user) == {}


def test_the_next_one_under_the_name(server, streams):
    """login_anon: nothing is left in memory either; a privacy list that was remembered shuts nobody out."""
    s = stranger(server, streams, "login.test", "bob")
    fill(server, streams, s)
    s.close()
    gone(server, "bob")
    s = stranger(server, streams, "login.test", "bob")
    assert not has_card(s)
    assert len(s.iq("<query xmlns='jabber:iq:roster'/>")[0]) == 0
    assert len(s.iq("<query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>")[0][0]) == 0
    lists = s.iq("<query xmlns='jabber:iq:privacy'/>")[0]
    assert lists.find('{jabber:iq:privacy}list') is None


def test_privacy_lists_of_a_removed_account(server, streams):
    """The same for accounts: whoever registers the name later is not shut in by lists of the one before."""
    peer = streams(server.login())
    user = server.register()
    s = streams(server.login(user))
    for xml in (LIST.replace("nobody@example.test", peer.bare), "<query xmlns='jabber:iq:privacy'><default name='l'/></query>"):
        assert s.iq(xml, type_="set").get("type") == "result"
    s.items.clear()
    peer.message(s.jid, "unheard")
    s.expect_nothing()
    server.api("unregister", user=user, host="localhost")
    s.expect_stream_error("conflict")
    server.api("register", user=user, host="localhost", password="secret")
    s = streams(server.login(user, presence=True))
    peer.message(s.jid, "heard")
    s.expect_message("heard")


def test_several_under_one_name(server, streams):
    """allow_multiple_connections: it goes with the last of them."""
    one, two = (stranger_many(server, streams, r) for r in ("one", "two"))
    assert one.iq("<vCard xmlns='vcard-temp'><FN>N</FN></vCard>", type_="set").get("type") == "result"
    one.close()
    assert has_card(two)
    assert "vcard" in rows(server, "cleo")
    two.close()
    gone(server, "cleo")


def stranger_many(server, streams, resource):
    s = streams(server.stream(to="many.test"))
    s.open_features()
    s.auth_raw("PLAIN", b"\0cleo\0any")
    s.expect_success()
    s.open_features()
    s.bind(resource)
    return s


def test_one_at_a_time(server, streams):
    """Without the option the name is taken as long as somebody is there."""
    s = stranger(server, streams, "login.test", "dan")
    other = streams(server.stream(to="login.test"))
    other.open_features()
    other.auth_raw("PLAIN", b"\0dan\0any")
    other.expect_failure("not-authorized")
    s.close()
    gone(server, "dan")
    stranger(server, streams, "login.test", "dan").ping()


def test_lost_stream(server, streams):
    """XEP-0198 §5: as long as the session can be resumed nothing goes, and nobody takes the name."""
    s = stranger(server, streams, "many.test", "eve")
    sm = Sm(s)
    sm.enable(resume=True)
    assert s.iq("<vCard xmlns='vcard-temp'><FN>N</FN></vCard>", type_="set").get("type") == "result"
    s.drop()
    again = streams(server.stream(to="many.test"))
    again.open_features()
    again.auth_raw("PLAIN", b"\0eve\0any")
    again.expect_success()
    again.open_features()
    resume_sm(again, sm.id, 0)
    assert has_card(again)
    again.close()
    gone(server, "eve")


def test_no_resource_bound(server, streams):
    """A login that leads to nothing leaves nothing."""
    s = streams(server.stream(to="sasl.test"))
    s.open_features()
    s.auth_raw("ANONYMOUS", b"x")
    s.expect_success()
    s.drop()
    s = streams(server.stream(to="login.test"))
    s.open_features()
    s.auth_raw("PLAIN", b"\0finn\0any")
    s.expect_success()
    s.open_features()
    s.send(f"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{'x' * 2000}</resource></bind></iq>")
    assert error_of(s.expect_id("b")) == ("modify", "bad-request")
    s.close()
    gone(server, "finn")


def test_contacts_learn_of_it(server, streams):
    """RFC 6121 §3: who was subscribed to a stranger is not left waiting for presence."""
    peer = streams(server.login(presence=True))
    s = stranger(server, streams)
    s.presence()
    assert s.iq(f"<query xmlns='jabber:iq:roster'><item jid='{peer.bare}'/></query>", type_="set").get("type") == "result"
    s.send(f"<presence type='subscribe' to='{peer.bare}'/>")
    peer.expect(lambda e: local(e) == "presence" and e.get("type") == "subscribe", "the request")
    peer.send(f"<presence type='subscribed' to='{s.bare}'/>")
    s.expect(lambda e: local(e) == "presence" and e.get("type") == "subscribed", "the approval")
    s.close()
    peer.expect(lambda e: local(e) == "presence" and e.get("type") == "unsubscribe", "the end of the subscription")
    gone(server, s.user)
