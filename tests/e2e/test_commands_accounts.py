"""Commands of accounts, sessions, last activity and stanzas: what each one answers in every version of the API and at every front end
to the example of the published reference, what to arguments that are wrong one at a time, and who may not call it."""
import http.client
import json
import re
import sqlite3
import urllib.parse
import xmlrpc.client

import pytest

import stock
from server import DEADLINE, free_port

HOSTS = ("localhost", "myserver.com", "example.com", "myexample.com")
USERS = (("peter", "myserver.com"), ("peter", "myexample.com"), ("user1", "myserver.com"), ("user1", "example.com"),
         ("user1", "localhost"), ("admin", "localhost"), ("admin", "myserver.com"), ("attacker", "myserver.com"),
         ("gooduser", "myserver.com"))
SESSIONS = (("peter", "myserver.com", "Psi"), ("user1", "myserver.com", "tka1"), ("user1", "example.com", "tka1"),
            ("admin", "myserver.com", "bot"), ("peter", "myserver.com", "new"))
MD5_OF_SECRET = "5EBE2294ECD0E0F08EAB7690D2A6EE69"


def configure(config):
    stock.configure(config)
    config["hosts"] = list(HOSTS)
    config["auth_password_format"] = "plain"
    config["modules"]["mod_fail2ban"] = {"c2s_max_auth_failures": 1000}
    config["listen"][-1]["request_handlers"]["/xmlrpc"] = "ejabberd_xmlrpc"
    config["listen"].append({**config["listen"][-1], "port": free_port(), "tag": "strict"})
    config["listen"][-2]["tag"] = "open"
    config["api_permissions"] = {
        "console commands": {"from": "ejabberd_ctl", "who": "all", "what": "*"},
        "admins": {"from": [{"tag": "strict"}], "who": {"oauth": [{"scope": "ejabberd:admin"}, {"access": [{"allow": "admin"}]}]},
                   "what": "*"},
        "tests": {"from": [{"tag": "open"}], "who": {"access": {"allow": [{"acl": "loopback"}]}}, "what": ["*"]}}


@pytest.fixture(scope="module")
def world(server):
    """The accounts and sessions that the examples speak of."""
    open_ = {}

    def make():
        for user, host in USERS:
            server.api_raw("unban_account", json.dumps({"user": user, "host": host}))
            server.api_raw("register", json.dumps({"user": user, "host": host, "password": "secret"}))
            server.api("change_password", user=user, host=host, newpass="secret")
        for key in SESSIONS:
            if key not in open_ or key[2] not in server.api("user_resources", user=key[0], host=key[1]):
                open_[key] = server.login(key[0], key[2], host=key[1], password="secret", presence=True)
    yield make
    for s in open_.values():
        s.drop()


ROW = {"connection": "c2s", "node": "ejabberd@localhost", "ip": "127.0.0.1"}


def rows(*sessions, more=ROW):
    return lambda got: len(got) == len(sessions) and all(x.items() >= {**more, **y}.items() for x, y in zip(got, sessions))


def ends(got):
    return got.startswith("Deleted ") and re.fullmatch(r"Deleted \d+ users: \[.*\]", got, re.S)


def dated(words):
    return lambda got: got["status"] == words and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", got["timestamp"])


# The example of the reference as it stands, and the answer of the newest version. A last element: what others get instead.
EXAMPLES = {
    "register": ({"user": "bob", "host": "example.com", "password": "SomEPass44"}, "User bob@example.com successfully registered"),
    "unregister": ({"user": "bob", "host": "example.com"}, ""),
    "check_account": ({"user": "peter", "host": "myserver.com"}, 0),
    "check_password": ({"user": "peter", "host": "myserver.com", "password": "secret"}, 0),
    "check_password_hash": ({"user": "peter", "host": "myserver.com", "passwordhash": MD5_OF_SECRET.lower(), "hashmethod": "md5"}, 1),
    "change_password": ({"user": "peter", "host": "myserver.com", "newpass": "blank"}, 0),
    "registered_users": ({"host": "example.com"}, ["user1"]),
    "ban_account": ({"user": "attacker", "host": "myserver.com", "reason": "Spaming other users"}, 0),
    "unban_account": ({"user": "gooduser", "host": "myserver.com"}, 1),
    "get_ban_details": ({"user": "attacker", "host": "myserver.com"}, {}),
    "delete_old_users": ({"days": 30}, ends),
    "delete_old_users_vhost": ({"host": "myserver.com", "days": 30}, ends),
    "unban_ip": ({"address": "::FFFF:127.0.0.1/128"}, 0),
    "connected_users": ({}, sorted(f"{u}@{h}/{r}" for u, h, r in SESSIONS)),
    "connected_users_info": ({}, rows(*({"jid": j} for j in sorted(f"{u}@{h}/{r}" for u, h, r in SESSIONS)))),
    "connected_users_number": ({}, len(SESSIONS)),
    "connected_users_vhost": ({"host": "myexample.com"}, []),
    "get_presence": ({"user": "peter", "host": "myexample.com"}, {"jid": "peter@myexample.com", "show": "unavailable", "status": ""}),
    "set_presence": ({"user": "user1", "host": "myserver.com", "resource": "tka1", "type": "available", "show": "away", "status": "BB",
                      "priority": 7}, 0),
    "kick_session": ({"user": "peter", "host": "myserver.com", "resource": "Psi", "reason": "Stuck connection"}, 0),
    "kick_user": ({"user": "user1", "host": "example.com"}, "Kicked sessions: 1"),
    "num_resources": ({"user": "peter", "host": "myserver.com"}, 2),
    "resource_num": ({"user": "peter", "host": "myserver.com", "num": 2}, lambda got: got in ("Psi", "new")),
    "user_resources": ({"user": "user1", "host": "example.com"}, ["tka1"]),
    "user_sessions_info": ({"user": "peter", "host": "myserver.com"}, lambda got: {x["resource"] for x in got} == {"Psi", "new"}),
    "status_list": ({"status": "dnd"}, []),
    "status_list_host": ({"host": "myserver.com", "status": "dnd"}, []),
    "status_num": ({"status": "dnd"}, 0),
    "status_num_host": ({"host": "myserver.com", "status": "dnd"}, 0),
    "get_last": ({"user": "user1", "host": "myserver.com"}, dated("ONLINE")),
    "set_last": ({"user": "user1", "host": "myserver.com", "timestamp": 1500045311, "status": "GoSleeping"}, 0),
    "send_message": ({"type": "headline", "from": "admin@localhost", "to": "user1@localhost", "subject": "Restart",
                      "body": "In 5 minutes"}, 0),
    "send_stanza": ({"from": "admin@localhost", "to": "user1@localhost", "stanza": "<message><ext attr='value'/></message>"}, 0),
    "send_stanza_c2s": ({"user": "admin", "host": "myserver.com", "resource": "bot",
                         "stanza": "<message to='user1@localhost'><ext attr='value'/></message>"}, 0),
}
SINCE = {"unban_account": 2, "get_ban_details": 2}
# Results of version 0 that have a name around them.
NAMED = {"connected_users_number": "num_sessions", "num_resources": "resources", "resource_num": "resource", "status_num": "users",
         "status_num_host": "users", "unban_ip": "unbanned"}


def fits(want, got):
    return want(got) if callable(want) else want == got


def post(server, command, args, version="", headers=(), where=None):
    conn = http.client.HTTPConnection(*(where or server.http), timeout=DEADLINE)
    try:
        conn.request("POST", f"/api/{command}{version}", json.dumps(args), dict(headers))
        r = conn.getresponse()
        return r.status, json.loads(r.read())
    finally:
        conn.close()


@pytest.mark.parametrize("version", [0, 1, 2, 3, ""])
@pytest.mark.parametrize("command", EXAMPLES)
def test_example_by_http(server, world, command, version):
    world()
    args, want = EXAMPLES[command]
    number = 3 if version == "" else version
    if command == "set_presence" and number == 0:
        args = {**args, "priority": "7"}
    status, got = post(server, command, args, f"/v{version}" if version != "" else "")
    if command == "register":
        post(server, "unregister", {"user": "bob", "host": "example.com"})
    if number < SINCE.get(command, 0):
        assert (status, got) == (400, "unknown_command")
        return
    if command == "kick_user" and number < 2:
        want = {"num_resources": 1} if number == 0 else 1
    if number == 0 and command in NAMED:
        assert list(got) == [NAMED[command]]
        got = got[NAMED[command]]
    assert status == 200 and fits(want, got), got


@pytest.mark.parametrize("command", EXAMPLES)
def test_example_by_get(server, world, command):
    """All arguments are texts then; integers are read from them."""
    world()
    args, want = EXAMPLES[command]
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    conn.request("GET", f"/api/{command}?{urllib.parse.urlencode(args)}")
    r = conn.getresponse()
    got = json.loads(r.read())
    conn.close()
    if command == "register":
        post(server, "unregister", {"user": "bob", "host": "example.com"})
    assert r.status == 200 and fits(want, got), got


@pytest.mark.parametrize("command", EXAMPLES)
def test_example_by_the_tool(server, world, command):
    """Status codes become exit codes; lists a line for each element, tuples fields between tabs."""
    world()
    args, want = EXAMPLES[command]
    done = server.ctl(command, *(str(x) for x in args.values()))
    if command == "register":
        post(server, "unregister", {"user": "bob", "host": "example.com"})
    code = want if command in ("check_password_hash", "unban_account") else 0
    assert done.returncode == code, done
    lines = done.stdout.splitlines()
    if command == "connected_users_info":
        assert [x.split("\t")[0] for x in lines] == sorted(x.split("\t")[0] for x in lines) and len(lines) == len(SESSIONS)
    elif isinstance(want, list):
        assert lines == want
    elif isinstance(want, dict):
        assert lines == (["\t".join(want.values())] if want else [])
    elif code:
        assert lines == ["Error: error"] or lines == [f"Error: {code}"] or lines[0].startswith("Error"), lines
    elif isinstance(want, int) and EXAMPLES[command][1] == 0 and command not in NAMED:
        assert lines == []
    elif isinstance(want, (int, str)):
        assert lines == ([str(want)] if want != "" else [])
    else:
        assert lines


@pytest.mark.parametrize("command", EXAMPLES)
def test_example_by_xmlrpc(server, world, command):
    """XML-RPC names its results; the newest version has them. A status of 1 is an answer, too."""
    world()
    args, want = EXAMPLES[command]
    with xmlrpc.client.ServerProxy(f"http://{server.http[0]}:{server.http[1]}/xmlrpc") as proxy:
        got = getattr(proxy, command)(args)
    if command == "register":
        post(server, "unregister", {"user": "bob", "host": "example.com"})
    if "text" in got or command.startswith("delete_old"):
        assert got["res"] == 0 and fits(want, got["text"]), got
        return
    (name, value), = got.items()
    if isinstance(want, int):
        assert value == want, got
    elif isinstance(want, list):
        assert [list(x.values())[0] for x in value] == want, got
    else:
        assert value or want == {}, got


# --- arguments that are wrong, one at a time ---

NO = (200, 1)
SILENT = (200, 0)
NONE_LEFT = (200, "Kicked sessions: 0")
CRASH = (500, "internal_error")
NOBODY = (404, "unknown_user")
NO_SESSION = (400, "User session not found")


def cannot(why):
    return lambda a: a[0] == 500 and a[1]["code"] == 10001 and a[1]["message"].endswith(why)


UNKNOWN = (lambda a: a[0] == 200 and a[1]["status"] == "NOT FOUND")
ABSENT = (lambda a: a[0] == 200 and a[1]["show"] == "unavailable")
# For an account that is not there (also: a name that is no name), and for a host that is not.
WRONG = {
    "register": (None, cannot("Unknown virtual host")),
    "unregister": ((200, ""), (400, "Unknown virtual host")),
    "check_account": (NO, NO), "check_password": (NO, NO), "check_password_hash": (NO, NO), "change_password": (NOBODY, NOBODY),
    "ban_account": (None, NO), "unban_account": (NO, NO), "get_ban_details": ((200, {}), (200, {})),
    "registered_users": (None, (400, "Unknown virtual host")),
    "delete_old_users_vhost": (None, (200, "Deleted 0 users: []")),
    "connected_users_vhost": (None, (200, [])), "get_presence": (ABSENT, ABSENT),
    "set_presence": (NO_SESSION, NO_SESSION), "kick_session": (SILENT, SILENT), "kick_user": (NONE_LEFT, NONE_LEFT),
    "num_resources": (SILENT, SILENT), "resource_num": (CRASH, CRASH), "user_resources": ((200, []), (200, [])),
    "user_sessions_info": ((200, []), (200, [])), "status_list_host": (None, (200, [])), "status_num_host": (None, SILENT),
    "get_last": (UNKNOWN, CRASH), "set_last": (None, CRASH), "send_stanza_c2s": ((400, "no_session"), (400, "no_session")),
}
NO_NAMES = ("nobody-there", "a b", "a@b", "x" * 1024, "a\x01b", "\u202ea", "a\x00b")
NO_HOSTS = ("nowhere.test", "", "a b.test", "x" * 1024, "loc\x01alhost", "myserver.com/x", "@")


def newest(server, command, **change):
    return post(server, command, {**EXAMPLES[command][0], **change})


@pytest.mark.parametrize("command", WRONG)
def test_names_that_are_nobodys(server, world, command):
    """The account is not there, the host is not served, or the text is no name at all (RFC 7622 §3): one answer for all of them."""
    world()
    args, (user, host) = EXAMPLES[command][0], WRONG[command]
    for name in NO_NAMES if user and "user" in args else ():
        got = newest(server, command, user=name)
        assert user(got) if callable(user) else got == user, (name, got)
    for name in NO_HOSTS:
        got = newest(server, command, host=name)
        assert host(got) if callable(host) else got == host, (name, got)


@pytest.mark.parametrize("command", [c for c in WRONG if "user" in EXAMPLES[c][0] or "host" in EXAMPLES[c][0]])
def test_names_are_folded(server, world, command):
    """Addresses are compared as prepared (RFC 6120 §15.3 by stringprep): case and width make no other account. get_last looks for the
    name as it is given, COMPAT(ejabberd)."""
    world()
    args, want = EXAMPLES[command]
    wide = {k: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in v.upper())
            for k, v in args.items() if k == "host" or k == "user" and command != "get_last"}
    got = newest(server, command, **wide)
    if command == "register":
        assert got == (200, f"User {wide['user']}@{wide['host']} successfully registered")
        assert newest(server, command)[0] == 409
        newest(server, "unregister")
    elif command == "get_presence":
        assert got[1]["show"] == "unavailable"
    else:
        assert got[0] == 200 and fits(want, got[1]), got


@pytest.mark.parametrize("command", EXAMPLES)
def test_arguments_missing_of_another_type_or_too_many(server, command):
    """In the order in which they are declared; nothing is done."""
    args = EXAMPLES[command][0]
    for name, value in args.items():
        assert post(server, command, {k: v for k, v in args.items() if k != name}) == (400, f"Request have missing argument: {name}")
        kind = "integer" if isinstance(value, int) else "binary"
        for wrong, shown in (({}, "#{}"), (None, "null"), (1.5, "1.5"), (True, "true")):
            assert post(server, command, {**args, name: wrong}) == (400, f"Arg {shown} is not in format {kind}")
        if kind == "integer":
            assert post(server, command, {**args, name: "seven"}) == CRASH
            assert post(server, command, {**args, name: 10**30}) == CRASH
    assert post(server, command, {**args, "more": 1}) == (400, "Request have unknown arguments: [more]")


VALUES = [
    ("register", {"user": "a b"}, cannot("Malformed username")),
    ("register", {"user": "x" * 1024}, cannot("Malformed username")),
    ("register", {"password": ""}, cannot("The password contains unacceptable characters")),
    ("register", {"password": "a\x00b"}, cannot("The password contains unacceptable characters")),
    ("register", {"password": "x" * 1024}, cannot("The password contains unacceptable characters")),
    ("change_password", {"newpass": ""}, (400, "invalid_password")),
    ("change_password", {"newpass": "a\x01"}, (400, "invalid_password")),
    ("check_password", {"password": ""}, NO),
    ("check_password", {"password": "x" * 300000}, NO),
    ("check_password_hash", {"passwordhash": MD5_OF_SECRET}, SILENT),
    ("check_password_hash", {"hashmethod": "rot13"}, (400, "unkown_hash_method")),
    ("set_presence", {"type": "subscribe"}, (400, "type: expected available or unavailable")),
    ("set_presence", {"show": "Away"}, (400, "show: expected away, chat, dnd, xa or nothing")),
    ("set_presence", {"priority": 128}, (400, "priority: expected a number from -128 to 127")),
    ("set_presence", {"status": "a\x01"}, (400, "status: it has characters that XML does not allow")),
    ("set_presence", {"resource": "gone"}, NO_SESSION),
    ("set_presence", {"resource": ""}, NO_SESSION),
    ("set_presence", {"resource": "x" * 1024}, NO_SESSION),
    ("kick_session", {"resource": "gone"}, SILENT),
    ("kick_session", {"resource": "x" * 1024}, SILENT),
    ("resource_num", {"num": 0}, CRASH), ("resource_num", {"num": -1}, CRASH), ("resource_num", {"num": 3}, CRASH),
    ("set_last", {"timestamp": 2**62}, (400, "timestamp: out of range")),
    ("set_last", {"timestamp": -2**62}, (400, "timestamp: out of range")),
    ("set_last", {"status": "a\x00"}, (400, "last activity: text that cannot be stored")),
    ("status_num", {"status": "Available"}, SILENT), ("status_num", {"status": ""}, SILENT),
    ("status_list", {"status": "\x00"}, (200, [])),
    ("status_num_host", {"host": "all", "status": "all"}, (200, len(SESSIONS))),
    ("unban_ip", {"address": "127.0.0.1\x00"}, (200, -1)), ("unban_ip", {"address": "::1/129"}, (200, -1)),
    ("send_message", {"to": "@"}, lambda a: a[0] == 400 and a[1].startswith("Bad value of attribute 'to'")),
    ("send_message", {"from": "a b@c"}, lambda a: a[0] == 400 and a[1].startswith("Bad value of attribute 'from'")),
    ("send_message", {"body": "\x01"}, (400, "The text has characters that XML does not allow")),
    ("send_message", {"subject": "\ufffe"}, (400, "The text has characters that XML does not allow")),
    ("send_stanza", {"to": "x" * 1024 + "@localhost"}, (400, "JID malformed")),
    ("send_stanza", {"stanza": "<presence><show>busy</show></presence>"}, CRASH),
    ("send_stanza", {"stanza": "<presence><priority>high</priority></presence>"}, CRASH),
    ("send_stanza", {"stanza": "<iq id='1'/>"}, CRASH), ("send_stanza", {"stanza": "<iq type='get'/>"}, CRASH),
    ("send_stanza_c2s", {"stanza": "<presence><show>busy</show></presence>"}, CRASH),
    ("send_stanza_c2s", {"stanza": "<message to='@'/>"}, CRASH),
    ("send_stanza_c2s", {"stanza": "<message from='admin@localhost' to='user1@localhost'/>"},
     (400, "Bad value of attribute 'from' in tag <message/> qualified by namespace 'jabber:client'")),
]


@pytest.mark.parametrize("command, change, want", VALUES, ids=range(len(VALUES)))
def test_values(server, world, command, change, want):
    world()
    got = newest(server, command, **change)
    assert want(got) if callable(want) else got == want, got


# --- who may ---

def stored(server):
    """All tables but those that only note that somebody came or went."""
    db = sqlite3.connect(f"file:{server.spool}/cjabberd.db?mode=ro", uri=True)
    try:
        names = [n for n, in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {n: sorted(map(repr, db.execute(f"SELECT * FROM {n}"))) for n in names if not n.startswith(("last", "sqlite_", "cj_sm"))}
    finally:
        db.close()


def test_who_may_not(server, world):
    """Neither a stranger nor an account's own password or token calls any of them; an administrator's token does. Nothing is changed
    by those who are refused."""
    world()
    strict = next((l["ip"], l["port"]) for l in server.config["listen"] if l.get("tag") == "strict")
    tokens = {who: server.api("oauth_issue_token", jid=who, ttl=3600, scopes=[scope])["token"]
              for who, scope in (("peter@myserver.com", "ejabberd:user"), ("user1@localhost", "ejabberd:admin"),
                                 ("admin@localhost", "ejabberd:admin"))}
    before = stored(server)
    refused = 403
    for command, (args, _) in EXAMPLES.items():
        for headers in ({}, {"Authorization": "Basic cGV0ZXJAbXlzZXJ2ZXIuY29tOnNlY3JldA=="},
                        {"Authorization": f"Bearer {tokens['peter@myserver.com']}"},
                        {"Authorization": f"Bearer {tokens['user1@localhost']}"}):
            assert post(server, command, args, headers=headers, where=strict)[0] == refused, (command, headers)
    assert stored(server) == before
    for command in ("connected_users_number", "registered_users", "check_account"):
        args, want = EXAMPLES[command]
        got = post(server, command, args, headers={"Authorization": f"Bearer {tokens['admin@localhost']}"}, where=strict)
        assert got[0] == 200 and fits(want, got[1]), got
