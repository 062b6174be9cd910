"""Commands about rosters, shared groups, vCards, private XML, waiting messages and privacy lists: each example of the published
reference through every front end, what is wrong with one argument, and what clients see of it."""
import base64
import hashlib
import http.client
import json
import re
import urllib.parse
import xmlrpc.client

import pytest

from im import befriend, drain, expect_presence, pushed, roster
from server import PASSWORD, free_port
from test_adhoc import execute
from xmppstream import DEADLINE, error_of, local, until

HOST = "myserver.com"  # of the reference's examples
NOTES = "<query xmlns='jabber:iq:private'><storage xmlns='storage:rosternotes'/></query>"


def configure(config):
    config["hosts"].append(HOST)
    config["modules"].update({m: {} for m in ("mod_shared_roster", "mod_vcard", "mod_vcard_xupdate", "mod_private", "mod_privacy",
                                              "mod_blocking", "mod_offline", "mod_adhoc_api")})
    config["modules"].update(mod_adhoc={"report_commands_node": True}, mod_roster={"versioning": True})
    config["listen"][-1]["request_handlers"]["/xmlrpc"] = "ejabberd_xmlrpc"
    config["acl"]["boss"] = {"user": ["boss@localhost"]}
    config["api_permissions"]["tests"]["from"] = [{"tag": "open"}]
    config["listen"][-1]["tag"] = "open"
    config["listen"].append({**config["listen"][-1], "port": free_port(), "tag": "judged"})
    config["append_host_config"] = {HOST: {"acl": {"local": {"user": [f"user1@{HOST}"]}}}}
    config["acl"]["local"] = {"user": ["boss@localhost"]}
    config["api_permissions"]["judged"] = {"from": {"tag": "judged"}, "who": {"acl": "local"}, "what": "*"}
    config["api_permissions"]["boss"] = {"from": ["mod_adhoc_api", "ejabberd_xmlrpc"], "who": {"acl": "boss"}, "what": "*"}


def ask(server, command, args, version="", who=None):
    """Status, body, and the reason as the header says it; who: by name, where that counts."""
    port = next(l["port"] for l in server.config["listen"] if l.get("tag") == ("judged" if who else "open"))
    conn = http.client.HTTPConnection(server.ip, port, timeout=DEADLINE)
    headers = {"Authorization": "Basic " + base64.b64encode(f"{who}:{PASSWORD}".encode()).decode()} if who else {}
    try:
        conn.request("POST", f"/api/{command}{version}", json.dumps(args), headers)
        r = conn.getresponse()
        return r.status, json.loads(r.read()), urllib.parse.unquote(r.getheader("X-Reason") or "")
    finally:
        conn.close()


# --- front ends: (command, arguments) to the result in one form: a number, a text, a list of texts or of lists ---

def plain(value):
    if isinstance(value, list):
        return [list(v.values()) if isinstance(v, dict) else v for v in value]
    return value


class Http:
    def __init__(self, server, streams, version):
        self.server, self.version = server, version

    def __call__(self, command, **args):
        if self.version == "/v0":  # one text where a list is now
            args = {"group" if k == "groups" else k: "\\n".join(v) if isinstance(v, list) and k != "contents" else v
                    for k, v in args.items()}
        status, value, reason = ask(self.server, command, args, self.version)
        assert status == 200, (value, reason)
        return plain(next(iter(value.values())) if isinstance(value, dict) else value)


class CommandLine:
    def __init__(self, server, streams):
        self.server = server

    def __call__(self, command, **args):
        ran = self.server.ctl(command, *(",".join(v) if isinstance(v, list) else str(v) for v in args.values()))
        assert ran.returncode in (0, 1) and (ran.returncode == 1) == ran.stdout.startswith("Error"), ran
        lines = ran.stdout.splitlines()
        return 1 if ran.returncode else [line.split("\t") if "\t" in line else line for line in lines]


class XmlRpc:
    MEMBERS = {"groups": "group", "display": "group", "contents": "value"}

    def __init__(self, server, streams):
        self.proxy = xmlrpc.client.ServerProxy(f"http://{server.ip}:{server.http[1]}/xmlrpc", use_builtin_types=True)

    def __call__(self, command, **args):
        args = {k: [{self.MEMBERS[k]: x} for x in v] if isinstance(v, list) else v for k, v in args.items()}
        with self.proxy as proxy:
            answer = getattr(proxy, command)({"user": "boss", "server": "localhost", "password": PASSWORD}, args)
        value = answer.get("text", next(iter(answer.values())))
        return [self.flat(next(iter(v.values()))) for v in value] if isinstance(value, list) else value

    def flat(self, v):
        return [self.flat(next(iter(x.values()))) for x in v] if isinstance(v, list) else v


class AdHoc:
    def __init__(self, server, streams):
        self.stream = streams(server.login("boss"))

    def __call__(self, command, **args):
        a = execute(self.stream, f"api-commands/{command}", {k: v if isinstance(v, list) else str(v) for k, v in args.items()})
        assert a.status == "completed", a.el
        if a.table():
            return [list(row.values()) for row in a.table()]
        return next((v for k, v in a.fields().items() if k not in args), [])


FRONT_ENDS = {"v0": lambda *a: Http(*a, "/v0"), "v1": lambda *a: Http(*a, "/v1"), "v2": lambda *a: Http(*a, "/v2"),
              "v3": lambda *a: Http(*a, "/v3"), "newest": lambda *a: Http(*a, ""), "ctl": CommandLine, "xmlrpc": XmlRpc,
              "adhoc": AdHoc}


@pytest.fixture(scope="module")
def accounts(server):
    for user, host in (("boss", "localhost"), ("user1", HOST), ("user2", HOST)):
        server.api("register", user=user, host=host, password=PASSWORD)
    file = server.folder / "roster.txt"
    file.write_text('[{"user1", "myserver.com", "Workers", "User 1"},\n {"user2", "myserver.com", "Workers", <<"Üser 2"/utf8>>}].')
    return str(file)


def same(got, want):
    """A command line writes texts line by line and no status of 0, a form only texts."""
    if isinstance(want, re.Pattern):
        return want.fullmatch(got if isinstance(got, str) else got[0])
    if isinstance(want, int):
        return got in (want, [str(want)], [] if want == 0 else want)
    if isinstance(want, str):
        return got in (want, [want], [] if not want else want)
    got, want = sorted(got), sorted(want)  # the command line keeps the order in which they are stored
    flat = [[",".join(x) if isinstance(x, list) else x for x in row] if isinstance(row, list) else row for row in want]
    lines = [[x.replace(",", "\n") for x in row] if isinstance(row, list) else row for row in flat]
    return got in (want, flat, lines)


ONE, TWO, GROUP = {"user": "user1", "host": HOST}, {"user": "user2", "host": HOST}, {"group": "group3", "host": HOST}
FILE = "/home/ejabberd/roster.txt"
CONVERSATION = [
    ("add_rosteritem", {"localuser": "user1", "localhost": HOST, **TWO, "nick": "User 2", "groups": ["Friends"],
                        "subs": "both"}, 0),
    ("get_roster", ONE, [["user2@myserver.com", "User 2", "both", "undefined", ["Friends"]]]),
    ("get_roster_count", ONE, 1),
    ("process_rosteritems", {"action": "list", "subs": "none:from:to", "asks": "any", "users": "*@example.org",
                             "contacts": "*:*@*icq*"}, []),
    ("process_rosteritems", {"action": "list", "subs": "to", "asks": "any", "users": "%@example.org", "contacts": "%@%icq%"}, []),
    ("process_rosteritems", {"action": "list", "subs": "both", "asks": "none", "users": "user1@*", "contacts": "%2@my%"},
     [["user1@myserver.com", "user2@myserver.com"]]),
    ("delete_rosteritem", {"localuser": "user1", "localhost": HOST, **TWO}, 0),
    ("push_alltoall", {"host": HOST, "group": "Everybody"}, 0),
    ("get_roster", TWO, [["user1@myserver.com", "user1", "both", "undefined", ["Everybody"]]]),
    ("push_roster_all", {"file": FILE}, 0),
    ("get_roster", ONE, [["user2@myserver.com", "Üser 2", "both", "undefined", ["Workers"]]]),
    ("push_roster", {"file": FILE, **ONE}, 0),
    ("process_rosteritems", {"action": "delete", "subs": "any", "asks": "any", "users": "user1@myserver.com", "contacts": "any"},
     [["user1@myserver.com", "user1@myserver.com"], ["user1@myserver.com", "user2@myserver.com"]]),
    ("get_roster_count", ONE, 0),
    ("srg_add", {"group": "group1", "host": HOST}, 0),
    ("srg_create", {"group": "group2", "host": HOST, "label": "", "description": "", "display": []}, 0),
    ("srg_create", {**GROUP, "label": "Group3", "description": "Third group", "display": ["group1", "group2"]}, 0),
    ("srg_list", {"host": HOST}, ["group1", "group2", "group3"]),
    ("srg_get_displayed", GROUP, ["group1", "group2"]),
    ("srg_del_displayed", {**GROUP, "del": "group1"}, 0),
    ("srg_add_displayed", {**GROUP, "add": "group1"}, 0),
    ("srg_del_displayed", {**GROUP, "del": "nosuch"}, 1),
    ("srg_del_displayed", {**GROUP, "del": "group1"}, 0),
    ("srg_set_info", {**GROUP, "key": "label", "value": "Family"}, 0),
    ("srg_get_info", GROUP, [["description", "Third group"], ["displayed_groups", "group2"], ["label", "Family"]]),
    ("srg_user_add", {**ONE, "group": "group3", "grouphost": HOST}, 0),
    ("srg_get_members", GROUP, ["user1@myserver.com"]),
    ("srg_user_del", {**ONE, "group": "group3", "grouphost": HOST}, 0),
    ("srg_get_members", GROUP, []),
    *(("srg_delete", {"group": f"group{i}", "host": HOST}, 0) for i in (1, 2, 3)),
    ("srg_list", {"host": HOST}, []),
    ("set_nickname", {**ONE, "nickname": "User 1"}, 0),
    ("set_vcard", {**ONE, "name": "URL", "content": "www.example.com"}, 0),
    ("set_vcard2", {**ONE, "name": "TEL", "subname": "NUMBER", "content": "123456"}, 0),
    ("set_vcard2_multi", {**ONE, "name": "ORG", "subname": "ORGUNIT", "contents": ["eeeee", "fffff"]}, 0),
    ("get_vcard", {**ONE, "name": "NICKNAME"}, "User 1"),
    ("get_vcard", {**ONE, "name": "URL"}, "www.example.com"),
    ("get_vcard2", {**ONE, "name": "TEL", "subname": "NUMBER"}, "123456"),
    ("get_vcard2_multi", {**ONE, "name": "ORG", "subname": "ORGUNIT"}, ["eeeee", "fffff"]),
    ("private_set", {**ONE, "element": "<storage xmlns='storage:rosternotes'/>"}, 0),
    ("private_get", {**ONE, "element": "storage", "ns": "storage:rosternotes"}, NOTES),
    ("get_offline_count", ONE, 0),
    ("delete_expired_messages", {}, 0),
    ("delete_old_messages", {"days": 31}, 0),
    ("delete_old_messages_batch", {"host": "localhost", "days": 31, "batch_size": 1000, "rate": 10000}, ""),
    ("delete_old_messages_status", {"host": "localhost"}, re.compile("Operation (in progress|was completed after).* 0 messages")),
    ("abort_delete_old_messages", {"host": "localhost"}, re.compile("Operation aborted|No task running")),
    ("privacy_set", {**ONE, "xmlquery": "<query xmlns='jabber:iq:privacy'>..."}, 1),
]


def wait_for_jobs(server):
    until(lambda: not any("progress" in server.api("delete_old_messages_status", host=h) for h in ("localhost", HOST)), "no end")


@pytest.mark.parametrize("front_end", FRONT_ENDS)
def test_examples_of_the_reference(server, streams, accounts, front_end):
    call = FRONT_ENDS[front_end](server, streams)
    for command, args, want in CONVERSATION:
        wait_for_jobs(server)
        got = call(command, **{k: accounts if v == FILE else v for k, v in args.items()})
        assert same(got, want), (command, args, got)


def test_an_administrator_of_one_host_stays_there(server, accounts):
    """With api_host_admins: strict each argument that names a host has to be of his; what concerns all hosts is refused whole."""
    def status(who, command, args):
        wait_for_jobs(server)
        return ask(server, command, args, who=who)[0]
    for command, args, _ in CONVERSATION:
        args = {k: accounts if v == FILE else HOST if v == "localhost" else v for k, v in args.items()}
        hosts = [k for k in args if "host" in k and (command, k) not in (("add_rosteritem", "host"), ("delete_rosteritem", "host"))]
        assert status(f"user1@{HOST}", command, args) == (200 if hosts and "file" not in args else 403), (command, args)
        for name in hosts:
            assert status(f"user1@{HOST}", command, {**args, name: "localhost"}) == 403, (command, name)
        assert (status(f"user2@{HOST}", command, args), status("boss@localhost", command, args)) == (403, 200), command


# --- one argument is wrong ---

ITEM = {"localuser": "user1", "localhost": HOST, "user": "c", "host": "x.test", "nick": "", "groups": [], "subs": "none"}
PROCESS = {"action": "list", "subs": "any", "asks": "any", "users": "any", "contacts": "any"}
FIELD = {**ONE, "name": "N", "subname": "FAMILY", "content": "x"}
BATCH = {"host": "localhost", "days": 1, "batch_size": 1, "rate": 1}
CREATE = {**GROUP, "label": "L", "description": "", "display": []}
PRIVACY = "<query xmlns='jabber:iq:privacy'>{}</query>"
LONG, CONTROL, UNASSIGNED = "x" * 1024, "a\x01b", "a\u0378"
WRONG = [
    *(("add_rosteritem", {**ITEM, "localuser": x}, 400, "Invalid 'localuser'/'localserver'")
      for x in ("a b", "a@b", CONTROL, LONG, UNASSIGNED)),
    *(("add_rosteritem", {**ITEM, "host": x}, 400, "Invalid 'user'/'server'") for x in ("", "a b", "a/b", LONG, UNASSIGNED)),
    ("add_rosteritem", {**ITEM, "localhost": "nowhere.test"}, 500, "not served"),
    *(("add_rosteritem", {**ITEM, "nick": x}, 200, why) for x, why in ((LONG, "1023 bytes"), (CONTROL, "XML"), ("a\ufffe", "XML"),
                                                                       ("\0", "XML"))),
    *(("add_rosteritem", {**ITEM, "groups": x}, 200, why) for x, why in (
        ([LONG], "1023 bytes"), (["ok", CONTROL], "XML"), ([str(i) for i in range(101)], "100 groups"))),
    *(("add_rosteritem", {**ITEM, "subs": x}, 200, "none, from, to, both") for x in ("", "BOTH", "any")),
    *(("process_rosteritems", {**PROCESS, k: "nonsense"}, 400, k) for k in ("action", "subs", "asks")),
    *(("process_rosteritems", {**PROCESS, k: ":".join(["a"] * 65)}, 400, "at most 64 words") for k in ("users", "contacts")),
    ("push_alltoall", {"host": HOST, "group": CONTROL}, 200, "XML"),
    ("push_alltoall", {"host": HOST, "group": LONG}, 200, "1023 bytes"),
    ("push_roster", {"file": "/dev/null\0x", **ONE}, 500, "NUL"),
    ("push_roster", {"file": "/dev/null", **ONE}, 500, "not a file"),
    *(("srg_create", {**CREATE, "group": x}, 500, "no identifier") for x in ("", "a b", CONTROL, LONG, UNASSIGNED)),
    *(("srg_create", {**CREATE, "label": x}, 200, "1023 bytes") for x in (LONG, CONTROL)),
    ("srg_create", {**CREATE, "display": ["nosuch"]}, 200, "there is no group"),
    *(("srg_set_info", {**GROUP, "key": "label", "value": x}, 200, "1023 bytes") for x in (LONG, CONTROL)),
    *(("srg_add_displayed", {**GROUP, "group": x, "add": "group3"}, 400, "no identifier") for x in ("", CONTROL, LONG, "\0")),
    *(("srg_user_add", {**ONE, "group": x, "grouphost": HOST}, 400, "no identifier") for x in ("", CONTROL, LONG)),
    *(("srg_user_add", {**ONE, "user": x, "group": "g", "grouphost": HOST}, 400, "no address") for x in ("", "a b", LONG)),
    ("srg_list", {"host": "nowhere.test"}, 500, "no virtual host"),
    *(("set_vcard2", {**FIELD, k: x}, 400, k) for k in ("name", "subname") for x in ("", "a b", "1", "é", LONG, "a><b")),
    *(("set_vcard2", {**FIELD, "content": x}, 500, "XML") for x in (CONTROL, "a\ufffe", "\0")),
    ("set_vcard2_multi", {**ONE, "name": "N", "subname": "X", "contents": ["ok", CONTROL]}, 500, "XML"),
    ("set_vcard2_multi", {**ONE, "name": "N", "subname": "X", "contents": []}, 500, "empty"),
    ("set_vcard2", {**ONE, "name": "PHOTO", "subname": "BINVAL", "content": "no picture"}, 400, "base64"),
    ("set_nickname", {**ONE, "nickname": CONTROL}, 500, "XML"),
    ("set_nickname", {**ONE, "user": "a b", "nickname": "x"}, 400, "badarg"),
    ("get_vcard", {**ONE, "host": "nowhere.test", "name": "FN"}, 400, "error_wrong_hostname"),
    *(("private_get", {**ONE, "element": x, "ns": "urn:none"}, 400, "element")
      for x in ("", "a b", "a b='c'", "a><b/", "1", "x:y")),
    ("private_get", {**ONE, "element": "a", "ns": CONTROL}, 400, "ns"),
    *(("private_set", {**ONE, "element": x}, 200, "no XML") for x in (
        "", "text", "<a>", "<a/><b/>", "<a/>x", "<a b='1' b='2'/>", "<p:a/>", "<!DOCTYPE a><a/>", "<a>&foo;</a>", "<a>&#1;</a>",
        "<a>" * 5000 + "</a>" * 5000)),
    ("private_set", {**ONE, "element": "<banned xmlns='jabber:ejabberd:banned'/>"}, 200, "unban_account"),
    ("private_set", {**ONE, "host": "nowhere.test", "element": "<a/>"}, 500, "not served"),
    ("get_offline_count", {**ONE, "host": "nowhere.test"}, 500, "unknown virtual host"),
    *(("delete_old_messages_batch", {**BATCH, k: x}, 400, "at least 1") for k in ("batch_size", "rate") for x in (0, -1)),
    ("delete_old_messages_batch", {**BATCH, "host": "nowhere.test"}, 500, "unknown virtual host"),
    *(("privacy_set", {**ONE, "xmlquery": x}, 500, why) for x, why in (
        ("<query xmlns='jabber:iq:roster'/>", "no query of privacy lists"), ("<query/>", "no query of privacy lists"),
        (PRIVACY.format("<list/>"), "Missing attribute 'name'"),
        (PRIVACY.format("<list name='l'><item action='maybe' order='1'/></list>"), "'action'"),
        (PRIVACY.format("<list name='l'><item action='deny' order='-1'/></list>"), "'order'"))),
    *(("privacy_set", {**ONE, "xmlquery": PRIVACY.format(x)}, 200, why) for x, why in (
        ("", "exactly one"), ("<default name='nosuch'/>", "No privacy list"), ("<active name='l'/>", "Only a session"),
        (f"<list name='{LONG}'><item action='deny' order='1'/></list>", "too long"))),
]


def test_wrong_arguments(server, accounts):
    """Refused, with the reason, and nothing is done."""
    server.allow_errors = True  # failures like these are in the log, too
    before = state(server)
    for command, args, status, why in WRONG:
        got = ask(server, command, args)
        assert got[0] == status and (status != 200 or got[1] == 1) and why in got[2], (command, args, got)
        assert ask(server, command, {**args, "extra": 1})[:2] == (400, "Request have unknown arguments: [extra]")
        for name in (k for k, v in args.items() if not isinstance(v, list)):  # a missing list is an empty one
            missing = {k: v for k, v in args.items() if k != name}
            assert ask(server, command, missing)[:2] == (400, f"Request have missing argument: {name}"), (command, name)
    assert state(server) == before


def state(server):
    return [ask(server, c, a) for c, a in (("get_roster", ONE), ("srg_list", {"host": HOST}), ("get_vcard", {**ONE, "name": "N"}),
                                           ("get_vcard", {**ONE, "name": "NICKNAME"}),
                                           ("private_get", {**ONE, "element": "a", "ns": ""}))]


@pytest.mark.parametrize("text, why", [
    ('[{"a", "x.test", "G", "N\\x01"}].', "XML"),
    ('[{"a", "x.test", "' + ";".join(map(str, range(101))) + '", ""}].', "100 groups"),
    ('[{"a", "x.test", "' + LONG + '", ""}].', "1023 bytes"), ('[{"a", "x.test", "", "' + LONG + '"}].', "too long"),
    ('[{"a b", "x.test", "", ""}].', "no address"), ('[{"a", "", "", ""}].', "no address"), ('[{a, "x.test", "", ""}].', "line 1"),
    ('[{"ok", "x.test", "", ""},\n {"a", "x.test", ""}].', "line 2"), ('[{"a", "x.test", "", ""}]', "syntax error")])
def test_files_that_are_wrong(server, accounts, text, why):
    """Nothing of such a file gets into a roster, and the reason names the line."""
    server.allow_errors = True
    file, user = server.folder / "wrong.txt", server.register()
    file.write_text(text)
    status, _, reason = ask(server, "push_roster", {"file": str(file), "user": user, "host": "localhost"})
    assert status == 500 and why in reason, reason
    assert server.api("get_roster", user=user, host="localhost") == []


@pytest.mark.parametrize("text, want", [
    ("[].", []), ("%% nobody yet\n[].\n", []),
    ('[{"A", "X.test", "one;;two", "N"}, % with a comment\n {"", "gw.test", "", []}].',
     [("a@x.test", "N", ["one", "two"]), ("gw.test", "", [])]),
    ('[{"a", "x.test", "G", "one"}, {"a", "x.test", "H", "two"}].', [("a@x.test", "two", ["H"])])])
def test_files_that_are_right(server, accounts, text, want):
    file, user = server.folder / "right.txt", server.register()
    file.write_text(text)
    assert server.api("push_roster", file=str(file), user=user, host="localhost") == 0
    assert [(c["jid"], c["nick"], c["groups"]) for c in server.api("get_roster", user=user, host="localhost")] == want


# --- what clients see ---

def test_pushed_rosters_are_seen(server, streams):
    """push_roster_all: both owners get the other with a new version (XEP-0237), and each other's presence; nobody oneself."""
    people = [streams(server.login(server.register(), "r", presence=True)) for _ in range(2)]
    for p in people:
        assert roster(p, "") == {}
    drain(*people)
    file = server.folder / "both.txt"
    file.write_text("[%s]." % ",".join(f'{{"{p.bare.partition("@")[0]}","localhost","Team","N"}}' for p in people))
    assert server.api("push_roster_all", file=str(file)) == 0
    for p, other in (people, people[::-1]):
        assert pushed(p, other.bare) == ("both", None, "N", ["Team"])
        expect_presence(p, other.jid)
    args = {"action": "delete", "subs": "any", "asks": "any", "users": people[0].bare, "contacts": people[1].bare}
    assert len(server.api("process_rosteritems", **args)) == 1
    assert pushed(people[0], people[1].bare)[0] == "remove"
    expect_presence(people[1], people[0].jid, "unavailable")


def test_photo_set_by_a_command(server, streams):
    """XEP-0153 §4.1: contacts and own resources see the new digest at once."""
    one, two = (streams(server.login(server.register(), "r", presence=True)) for _ in range(2))
    befriend(one, two)
    user, update = one.bare.partition("@")[0], "{vcard-temp:x:update}"
    for content, digest in (("AAEC", hashlib.sha1(b"\0\1\2").hexdigest()), ("AAED\n", hashlib.sha1(b"\0\1\3").hexdigest())):
        assert server.api("set_vcard2", user=user, host="localhost", name="PHOTO", subname="BINVAL", content=content) == 0
        for s in (one, two):
            assert expect_presence(s, one.jid).findtext(f"{update}x/{update}photo") == digest


def test_private_xml_of_commands_and_clients(server, streams):
    """XEP-0049: one storage, whoever writes; prefixes are kept or spelled out."""
    user = server.register()
    s = streams(server.login(user))
    ask_for = "<query xmlns='jabber:iq:private'><{} xmlns='{}'/></query>"
    server.api("private_set", user=user, host="localhost", element="<p:a xmlns:p='urn:p' b='&lt;'><p:c/>é</p:a>")
    (a,) = s.iq(ask_for.format("a", "urn:p"))[0]
    assert a.tag == "{urn:p}a" and a.get("b") == "<" and a[0].tag == "{urn:p}c" and a[0].tail == "é"
    s.iq("<query xmlns='jabber:iq:private'><a xmlns='urn:p'>mine</a></query>", type_="set")
    for name in ("a", "", "another"):  # the namespace alone counts
        assert server.api("private_get", user=user, host="localhost", element=name, ns="urn:p") == \
            "<query xmlns='jabber:iq:private'><a xmlns='urn:p'>mine</a></query>"
    assert server.api("private_get", user="a b", host="localhost", element="x", ns="y") == \
        "<query xmlns='jabber:iq:private'><x xmlns='y'/></query>"


def test_privacy_lists_set_by_a_command(server, streams):
    """XEP-0016 §2.6, §2.4: every session is told which list has changed, and the default list counts at once."""
    user = server.register()
    one, two = (streams(server.login(user, r, presence=True)) for r in ("one", "two"))
    other = streams(server.login(server.register(), presence=True))

    def command(inner):
        return ask(server, "privacy_set", {"user": user, "host": "localhost", "xmlquery": PRIVACY.format(inner)})[1]
    item = f"<item type='jid' value='{other.bare}' action='deny' order='1'/>"
    assert command(f"<list name='l'>{item}</list>") == 0
    for s in (one, two):
        push = s.expect(lambda e: local(e) == "iq" and e.get("type") == "set", "push of the list")
        assert push[0][0].get("name") == "l"
    other.message(one.bare, "still gets through")
    one.expect_message("still gets through")
    assert command("<default name='l'/>") == 0
    now = one.iq("<query xmlns='jabber:iq:privacy'/>")[0]
    assert [(local(e), e.get("name")) for e in now][1:] == [("default", "l"), ("list", "l")]
    other.message(one.bare, "does not", id_="denied")
    assert error_of(other.expect_id("denied"))[1] == "service-unavailable"
    assert command("<list name='l'/>") in (0, 1) and command("<default/>") == 0
    other.message(one.bare, "again")
    one.expect_message("again")


def test_job_that_is_aborted_and_begun_anew(server, streams):
    """The one that naps ends when it wakes; the new one does its work and counts for itself; another host's goes on meanwhile."""
    sender = streams(server.login())
    for host in ("localhost", HOST):
        user = server.register(host=host)
        for i in range(6):
            sender.message(f"{user}@{host}", str(i))
        until(lambda: server.api("get_offline_count", user=user, host=host) == 6, "messages are not stored")

    def status(host):
        return server.api("delete_old_messages_status", host=host)
    for host in ("localhost", HOST):
        assert server.api("delete_old_messages_batch", host=host, days=0, batch_size=2, rate=1) == ""
        until(lambda: status(host) == "Operation in progress, deleted 2 messages", "the job does not begin")
    assert server.api("abort_delete_old_messages", host="localhost") == "Operation aborted"
    assert server.api("abort_delete_old_messages", host="localhost") == "No task running"
    assert status("localhost") == "Operation was aborted after deleting 2 messages"
    assert server.api("delete_old_messages_batch", host="localhost", days=0, batch_size=3, rate=10 ** 9) == ""
    until(lambda: status("localhost") == "Operation was completed after deleting 4 messages", "the new job does not end")
    assert status(HOST) == "Operation in progress, deleted 2 messages"
    assert server.api("abort_delete_old_messages", host=HOST) == "Operation aborted"
