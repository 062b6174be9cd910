"""Commands of accounts, sessions and stanzas: what they do, as clients see it."""
import base64
import http.client
import json
import sqlite3
import stat

import pytest

import sasl
import stock
from im import befriend, expect_presence, is_presence
from server import ApiError, free_port
from sm import Sm
from xmppstream import DEADLINE, Stream, error_of, local, q, until

EXTAUTH = r"""#!/usr/bin/python3 -SE
import os, struct, sys
while len(head := sys.stdin.buffer.read(2)) == 2:
    op, user, host, *rest = sys.stdin.buffer.read(struct.unpack(">H", head)[0]).decode().split(":", 3)
    os.write(1, struct.pack(">HH", 2, user == "ext" and (op == "isuser" or op == "auth" and rest == ["p-ext"])))
"""
V6 = ("::1", free_port())


def configure(config):
    stock.configure(config)
    config["modules"]["mod_fail2ban"] = {"c2s_max_auth_failures": 3}
    config["listen"].append({**config["listen"][0], "ip": V6[0], "port": V6[1]})
    config["listen"].append({**config["listen"][-2], "port": free_port(), "tag": "strict"})
    config["api_permissions"]["tests"]["from"] = ["mod_http_api"]
    config["api_permissions"]["own"] = {"from": {"tag": "strict"}, "what": "status", "who": {
        "oauth": [{"scope": "ejabberd:admin"}, {"access": [{"allow": "all"}]}]}}
    config["auth_password_format"] = "plain"


def account(s):
    return s.bare.partition("@")[0]


def node(s):
    return {"user": account(s), "host": "localhost"}


def bound_to(s):
    return {**node(s), "resource": s.jid.partition("/")[2]}


def early(server, name, password="secret"):
    """Logged in, and not bound yet."""
    s = server.stream()
    s.open_features()
    s.authenticate(name, password)
    s.open_features()
    return s


def ask_to_bind(s):
    s.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")


# --- accounts that go ---

def test_unregister_leaves_nothing(server, streams):
    """No table has the name any more, neither as an owner nor anywhere inside, but for what is its contact's own: an entry without a
    subscription, of which the contact was told (RFC 6121 §3.3)."""
    friend = streams(server.login(presence=True))
    gone = streams(server.login(server.register("leaves-nothing"), "r1", presence=True))
    name, bare = account(gone), gone.bare
    befriend(gone, friend)
    for query in ("<query xmlns='jabber:iq:private'><mine xmlns='urn:mine'>x</mine></query>",
                  "<vCard xmlns='vcard-temp'><FN>Gone</FN></vCard>",
                  "<block xmlns='urn:xmpp:blocking'><item jid='x@y.test'/></block>",
                  "<query xmlns='jabber:iq:privacy'><list name='l'><item action='allow' order='1'/></list></query>"):
        assert gone.iq(query, type_="set").get("type") == "result"
    server.api("srg_create", group="g1", host="localhost", label="g", description="", display=[])
    server.api("srg_user_add", **node(gone), group="g1", grouphost="localhost")
    server.api("set_last", **node(gone), timestamp=5, status="s")
    server.api("oauth_issue_token", jid=bare, ttl=3600, scopes=["sasl_auth"])
    Sm(gone).enable()
    gone.ping()
    gone.close()
    server.api("send_message", type="chat", **{"from": "localhost"}, to=bare, subject="", body="waits")
    gone = streams(server.login(name, "r2"))
    Sm(gone).enable()
    gone.drop()
    assert traces(server, name)
    assert server.api("unregister", user=name, host="localhost") == ""
    expect_presence(friend, bare, "unsubscribed")
    friend.ping()
    left = traces(server, name)
    assert list(left) == ["rosterusers"] and [r[0] for r in left["rosterusers"]] == [account(friend)], left
    assert friend.iq("<query xmlns='jabber:iq:roster'/>").find(".//*[@jid]").get("subscription") == "none"
    assert server.api("check_account", user=name, host="localhost") == 1
    with pytest.raises(ApiError):
        server.api("get_vcard", user=name, host="localhost", name="FN")


def traces(server, name):
    """Tables with a row in which the name stands."""
    db = sqlite3.connect(f"file:{server.spool}/cjabberd.db?mode=ro", uri=True)
    try:
        tables = [n for n, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        return {t: found for t in tables if (found := [r for r in db.execute(f"SELECT * FROM {t}") if name in repr(r)])}
    finally:
        db.close()


LATE = {
    "unregister": ("unregister", {}, "User removed"),
    "ban": ("ban_account", {"reason": "a & b"}, "a & b"),
    "old": ("delete_old_users_vhost", {"days": 0}, "User removed"),
}


@pytest.mark.parametrize("what", LATE)
def test_late_binding(server, what):
    """A client that logged in before, and binds only now, gets what the account's sessions got (RFC 6120 §4.9.3.3)."""
    command, args, text = LATE[what]
    name = server.register()
    with early(server, name) as s:
        if what == "old":
            server.api("set_last", user=name, host="localhost", timestamp=1, status="")
            assert name in server.api(command, host="localhost", **args)
        else:
            server.api(command, user=name, host="localhost", **args)
        ask_to_bind(s)
        error = s.expect_tag(q("stream", "error"))
        assert error.find(q("streams", "conflict")) is not None and error.findtext(q("streams", "text")) == text
        s.expect_end()
    assert server.api("user_resources", user=name, host="localhost") == []


def test_late_binding_of_somebody_who_stays(server):
    name = server.register()
    with early(server, name) as s:
        server.api("change_password", user=name, host="localhost", newpass="new")
        server.api("ban_account", user=name, host="localhost", reason="r")
        server.api("unban_account", user=name, host="localhost")
        s.bind("here")
        assert server.api("user_resources", user=name, host="localhost") == ["here"]


# --- tokens ---

def token_for(server, name):
    return server.api("oauth_issue_token", jid=f"{name}@localhost", ttl=3600, scopes=["sasl_auth", "ejabberd:admin"])["token"]


def lets_in(server, name, token):
    """(X-OAUTH2, the API)"""
    with server.stream() as s:
        s.open_features()
        s.auth_raw("X-OAUTH2", sasl.plain(name, token))
        by_sasl = local(s.sasl_reply()) == "success"
    return by_sasl, api_as(server, f"Bearer {token}") == 200


def api_as(server, authorization):
    strict = next((l["ip"], l["port"]) for l in server.config["listen"] if l.get("tag") == "strict")
    conn = http.client.HTTPConnection(*strict, timeout=DEADLINE)
    try:
        conn.request("POST", "/api/status", "{}", {"Authorization": authorization})
        return conn.getresponse().status
    finally:
        conn.close()


def change(server, name):
    server.api("change_password", user=name, host="localhost", newpass="new")


def ban_and_unban(server, name):
    server.api("ban_account", user=name, host="localhost", reason="r")
    assert lets_in(server, name, token_for(server, name))[0] is False  # one that an administrator makes opens no session either
    server.api("unban_account", user=name, host="localhost")


@pytest.mark.parametrize("what", [change, ban_and_unban])
def test_tokens_end_with_the_password(server, what):
    """Whoever knew the password may have got tokens with it (RFC 6749 §10.3); others keep theirs."""
    name, other = server.register(), server.register()
    token, others = token_for(server, name), token_for(server, other)
    assert lets_in(server, name, token) == (True, True)
    what(server, name)
    assert lets_in(server, name, token) == (False, False)
    assert lets_in(server, other, others) == (True, True)


def test_ban_where_passwords_are_kept_elsewhere(new_server, tmp_path):
    """The program still says yes; the API, like clients' logins, does not let the account in."""
    program = tmp_path / "extauth"
    program.write_text(EXTAUTH)
    program.chmod(stat.S_IRWXU)

    def change(config):
        configure(config)
        config["listen"] = [l for l in config["listen"] if l["ip"] != V6[0]]
        config["api_permissions"]["own"]["who"] = {"access": [{"allow": "all"}]}
        config["host_config"] = {"localhost": {"auth_method": ["external", "internal"], "extauth_program": str(program),
                                               "extauth_pool_size": 1}}
    server = new_server(change)
    server.start()
    basic = "Basic " + base64.b64encode(b"ext@localhost:p-ext").decode()
    assert api_as(server, basic) == 200
    assert server.api("check_password", user="ext", host="localhost", password="p-ext") == 0
    server.api_raw("ban_account", json.dumps({"user": "ext", "host": "localhost", "reason": "r"}))
    assert server.api("get_ban_details", user="ext", host="localhost")["reason"] == "r"
    assert api_as(server, basic) == 401
    assert server.api("check_password", user="ext", host="localhost", password="p-ext") == 1
    assert server.api("unban_account", user="ext", host="localhost") == 0
    assert api_as(server, basic) == 200


# --- presence and kicks ---

def test_set_presence_goes_with_the_session(server, streams):
    """Contacts get it as they would from the client, and the session's end takes it back; get_presence follows."""
    one, two = streams(server.login(presence=True)), streams(server.login(presence=True))
    befriend(one, two)
    server.api("set_presence", **bound_to(one), type="available", show="dnd", status="<busy> & more", priority=-5)
    for s in (one, two):
        told = expect_presence(s, one.jid)
        assert [told.findtext(q("client", n)) for n in ("show", "status", "priority")] == ["dnd", "<busy> & more", "-5"]
    assert server.api("get_presence", **node(one)) == {"jid": one.jid, "show": "dnd", "status": "<busy> & more"}
    assert server.api("status_num", status="dnd") == 1
    again = streams(server.login(presence=True))
    befriend(again, two)
    server.api("set_presence", **bound_to(one), type="unavailable", show="", status="bye", priority=0)
    assert expect_presence(two, one.jid, "unavailable").findtext(q("client", "status")) == "bye"
    assert server.api("status_num", status="dnd") == 0
    one.presence("<show>away</show>")
    expect_presence(two, one.jid)
    one.close()
    expect_presence(two, one.jid, "unavailable")
    assert server.api("get_presence", **node(one)) == {"jid": one.bare, "show": "unavailable", "status": ""}
    with pytest.raises(ApiError, match="User session not found"):
        server.api("set_presence", **bound_to(one), type="available", show="", status="", priority=0)


def test_set_presence_before_the_first(server, streams):
    """A session that has sent none becomes available, and gets what waits for it (RFC 6121 §4.2, XEP-0160 §2)."""
    name = server.register()
    server.api("send_message", type="chat", **{"from": "localhost"}, to=f"{name}@localhost", subject="", body="waits")
    s = streams(server.login(name))
    assert server.api("status_num_host", host="localhost", status="unavailable") >= 1
    server.api("set_presence", **bound_to(s), type="available", show="", status="", priority=1)
    s.expect(is_presence(s.jid), "own presence")
    s.expect_message("waits")


KICKS = {
    "kick_user": ({}, "Kicked sessions: 2", "policy-violation", "has been kicked"),
    "kick_user/v1": ({}, 2, "policy-violation", "has been kicked"),
    "kick_session": ({"resource": "", "reason": "ä & <b>\x01"}, 0, "conflict", "ä & <b>?"),
    "ban_account": ({"reason": "spam <b>"}, 0, "conflict", "spam <b>"),
    "ban_account/v0": ({"reason": "spam <b>"}, 0, "conflict", "spam <b>"),
    "unregister": ({}, "", "conflict", "User removed"),
}


@pytest.mark.parametrize("command", KICKS)
def test_kicks(server, streams, command):
    """Every session gets the stream error with the reason, contacts its unavailable presence; a session that waits for its client to
    come back ends, too (XEP-0198 §4)."""
    more, answer, condition, text = KICKS[command]
    friend = streams(server.login(presence=True))
    one = streams(server.login(resource="r1", presence=True))
    name = account(one)
    befriend(one, friend)
    away = streams(server.login(name, "r2", presence=True))
    expect_presence(friend, away.jid)
    id_ = Sm(away).enable().get("id")
    away.ping()
    away.drop()
    until(lambda: server.api("num_resources", **node(one)) == 2 and lost(server, one), "the stream is gone")
    assert server.api(command, **node(one), **more) == answer
    error = one.expect_tag(q("stream", "error"))
    assert error.find(q("streams", condition)) is not None and error.findtext(q("streams", "text")) == text
    one.expect_end()
    if command != "unregister":
        for s in (one, away):
            expect_presence(friend, s.jid, "unavailable")
    assert server.api("user_resources", **node(one)) == []
    if command.startswith("kick"):
        back = streams(early(server, name))
        back.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{id_}'/>")
        assert local(back.next()) == "failed"


def lost(server, s):
    """The server knows that the stream of r2 has gone: a stanza to it is not written any more."""
    return any(x["resource"] == "r2" for x in server.api("user_sessions_info", **node(s)))


def test_sessions_that_wait_for_their_client(server, streams):
    """They are listed with the address they came from, can be spoken for, and the client finds on return what happened."""
    s = streams(server.login(resource="r", presence=True))
    friend = streams(server.login(presence=True))
    befriend(s, friend)
    port = server.api("user_sessions_info", **node(s))[0]["port"]
    id_ = Sm(s).enable().get("id")
    s.ping()
    s.drop()
    server.api("set_presence", **bound_to(s), type="available", show="away", status="", priority=3)
    expect_presence(friend, s.jid)
    server.api("send_stanza_c2s", **bound_to(s), stanza=f"<message to='{friend.jid}'><body>from afar</body></message>")
    assert friend.expect_message("from afar").get("from") == s.jid
    info, = server.api("user_sessions_info", **node(s))
    assert (info["ip"], info["port"], info["status"], info["priority"]) == ("127.0.0.1", port, "away", 3)
    back = streams(early(server, account(s)))
    back.send(f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{id_}'/>")
    assert local(back.next()) == "resumed"
    assert back.expect(is_presence(s.jid), "own presence").findtext(q("client", "show")) == "away"


# --- stanzas ---

def send(server, kind, to, from_="admin@localhost", body="b"):
    if kind == "message":
        return server.api("send_message", type="chat", **{"from": from_}, to=to, subject="", body=body)
    return server.api("send_stanza", **{"from": from_}, to=to, stanza=f"<message type='chat'><body>{body}</body></message>")


@pytest.mark.parametrize("kind", ["message", "stanza"])
def test_where_stanzas_go(server, streams, kind):
    """RFC 6121 §8.5: to a resource, to the best ones of an account, into the store; RFC 6120 §10: errors come back to the sender,
    whoever that is."""
    low, high = streams(server.login(resource="low", presence=True)), None
    high = streams(server.login(account(low), "high"))
    high.presence("<priority>5</priority>")
    expect_presence(high, low.jid)
    send(server, kind, low.jid, body="full")
    low.expect_message("full")
    send(server, kind, low.bare.upper(), body="bare")
    assert high.expect_message("bare").get("to") == low.bare
    low.items.clear()
    low.expect_nothing()
    name = server.register()
    send(server, kind, f"{name}@localhost/gone", body="stored")
    assert server.api("get_offline_count", user=name, host="localhost") == 1
    for to, condition in (("nobody-there@localhost", "service-unavailable"), ("x@nowhere.test", "remote-server-not-found"),
                          ("localhost", "item-not-found"), ("example.test", "item-not-found")):
        send(server, kind, to, from_=high.jid)
        back = high.expect(lambda e: local(e) == "message" and e.get("type") == "error", f"the error from {to}")
        assert (back.get("from"), error_of(back)[1]) == (to, condition)
    send(server, kind, "nobody-there@localhost", from_="localhost")  # errors to the server itself, and to strangers, end there
    send(server, kind, "nobody-there@localhost", from_="nobody-else@localhost")
    high.expect_nothing()


def test_a_request_is_answered_to_its_sender(server, streams):
    s = streams(server.login(presence=True))
    server.api("send_stanza", **{"from": s.jid}, to="localhost", stanza="<iq type='get' id='v'><query xmlns='jabber:iq:version'/></iq>")
    assert s.expect_id("v").get("type") == "result"
    server.api("send_stanza", **{"from": "x@nowhere.test"}, to=s.jid, stanza="<iq type='get' id='w'><query xmlns='jabber:iq:version'/></iq>")
    assert s.expect_id("w").get("from") == "x@nowhere.test"


def test_stanzas_for_a_session_are_not_held_against_its_client(server, streams):
    """What no client may send is refused; the stream, which has sent nothing, is neither told nor ended (RFC 6120 §8.1.2.1)."""
    s = streams(server.login(presence=True))
    for stanza, status in ((f"<message from='x@y.test' to='{s.jid}'/>", 400), ("<presence><show>busy</show></presence>", 500),
                           ("<message to='@'/>", 500), ("<iq type='get'/>", 500), ("<a xmlns='urn:xmpp:sm:3' h='1'/>", 500)):
        assert server.api_raw("send_stanza_c2s", json.dumps({**bound_to(s), "stanza": stanza}))[0] == status, stanza
    s.expect_nothing()
    server.api("send_stanza_c2s", **bound_to(s), stanza=f"<message from='{s.bare}' to='{s.jid}'><body>own</body></message>")
    assert s.expect_message("own").get("from") == s.jid
    server.api("send_stanza_c2s", **bound_to(s), stanza="<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>")
    assert s.expect_id("q").get("type") == "result"


def test_clients_that_leave_while_their_stanzas_are_sent(server, streams):
    """A stanza of an administrator waits for the store (privacy lists, vCards); the stream it goes by may be gone by then."""
    friend = streams(server.login(presence=True))
    for i in range(40):
        with server.login(resource="r") as s:
            conn = [http.client.HTTPConnection(*server.http, timeout=DEADLINE) for _ in range(4)]
            for n, c in enumerate(conn):
                stanza = ("<presence/>", f"<message to='{friend.jid}'><body>x</body></message>",
                          f"<presence to='{friend.bare}' type='subscribe'/>", "<presence><priority>1</priority></presence>")[n]
                c.request("POST", "/api/send_stanza_c2s", json.dumps({**bound_to(s), "stanza": stanza}))
            s.drop(rst=i % 2)
            for c in conn:
                r = c.getresponse()
                assert r.status in (200, 400), r.read()
                c.close()
    friend.ping()


# --- addresses ---

def fail(address):
    with Stream(address) as s:
        s.open_features()
        s.auth_raw("PLAIN", sasl.plain("nobody-there", "x"))
        return s.next().tag == q("stream", "error")


UNBANS = [  # family of the clients, argument, how many are forgotten
    (4, "127.0.0.1", 1), (4, "::ffff:127.0.0.1", 1), (4, "::FFFF:127.0.0.1/128", 1), (4, "127.0.0.0/8", 1), (4, "0.0.0.0/0", 1),
    (4, "::ffff:127.0.0.0/104", 1), (4, "::ffff:0:0/96", 1), (4, "127.0.0.2", 0), (4, "128.0.0.0/1", 0), (4, "::1", 0), (4, "::/0", 0),
    (6, "::1", 1), (6, "0:0:0:0:0:0:0:1", 1), (6, "::/127", 1), (6, "::/0", 1), (6, "::2", 0), (6, "::2/127", 0), (6, "127.0.0.1", 0),
    (6, "0.0.0.0/0", 0), (6, "::ffff:0:0/96", 0)]


@pytest.mark.parametrize("family, argument, n", UNBANS)
def test_unban_ip(server, family, argument, n):
    """Whoever it names may try again; the others stay out."""
    address = server.c2s if family == 4 else V6
    while not fail(address):
        pass
    assert server.api("unban_ip", address=argument) == n
    assert fail(address) is (n == 0)
    server.api("unban_ip", address="0.0.0.0/0"), server.api("unban_ip", address="::/0")
