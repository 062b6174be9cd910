"""Lists of sessions: sent while they are made, in one order over all shards, whole and in pages, in lines, and in constant memory."""
import http.client
import json

import pytest

from xmppstream import DEADLINE

N = 300  # more than a shard tells at once


@pytest.fixture(scope="module")
def sessions(server):
    """Full addresses of all sessions of a crowd, in order; names that sort otherwise by parts than as a whole."""
    users = ["a", "an-n", "ann", "ann-b", "ann.c", "zoe"]
    for name in users:
        server.api("register", user=name, host="localhost", password="secret")
    open_ = [server.login(users[i % 6], f"r{i:03}", presence=i % 3 == 0) for i in range(N)]
    yield sorted(s.jid for s in open_)
    for s in open_:
        s.drop()


def configure(config):
    config["shaper_rules"]["max_user_sessions"] = 1000
    config["modules"]["mod_roster"] = {}


def ask(server, command, query="", accept="application/json", **args):
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request("POST", f"/api/{command}{query}", json.dumps(args), {"Accept": accept})
        r = conn.getresponse()
        body = r.read().decode()
        assert r.status == 200, body
        return r, body
    finally:
        conn.close()


LISTS = {"connected_users": {}, "connected_users_info": {}, "connected_users_vhost": {"host": "localhost"},
         "status_list": {"status": "all"}, "status_list_host": {"host": "localhost", "status": "all"}}


def address(row):
    return row if isinstance(row, str) else row["jid"]


@pytest.mark.parametrize("command", LISTS)
def test_whole(server, sessions, command):
    r, body = ask(server, command, **LISTS[command])
    assert [address(x) for x in json.loads(body)] == sessions
    r, body = ask(server, command, accept="application/x-ndjson", **LISTS[command])
    assert [address(json.loads(x)) for x in body.splitlines()] == sessions
    assert r.getheader("Transfer-Encoding") == "chunked" or len(body) < 8192


@pytest.mark.parametrize("limit", [7, 128, 299, 300, 1000])
@pytest.mark.parametrize("command", LISTS)
def test_pages(server, sessions, command, limit):
    """Each session once, although what is said of it (its uptime) changes between two pages."""
    seen, query = [], f"?limit={limit}"
    while True:
        r, body = ask(server, command, query, **LISTS[command])
        seen += [address(x) for x in json.loads(body)]
        if not r.getheader("X-Next-After"):
            break
        assert len(json.loads(body)) == limit
        query = f"?limit={limit}&after={r.getheader('X-Next-After')}"
    assert seen == sessions


@pytest.mark.parametrize("version", [0, 2])
def test_older_versions(server, sessions, version):
    """In parts the order is another one: by user first."""
    r, body = ask(server, f"status_list/v{version}", status="all")
    rows = [(x["user"], x["host"], x["resource"]) for x in json.loads(body)]
    assert rows == sorted((s.partition("@")[0], *s.partition("@")[2].split("/", 1)) for s in sessions)
    assert [f"{u}@{h}/{r}" for u, h, r in rows] != sessions


def test_some(server, sessions):
    for word, n in (("available", N // 3), ("unavailable", N - N // 3), ("dnd", 0), ("nonsense", 0), ("", 0)):
        for args in ({"status": word}, {"status": word, "host": "localhost"}):
            command = "status_list_host" if "host" in args else "status_list"
            assert len(json.loads(ask(server, command, **args)[1])) == n
    assert json.loads(ask(server, "connected_users_vhost", host="example.test")[1]) == []
    assert json.loads(ask(server, "connected_users_vhost", host="none.test")[1]) == []
    assert server.ctl("connected_users").stdout.splitlines() == sessions


def test_reader_goes_away(server, sessions):
    """In the middle of a list; the server goes on."""
    for _ in range(20):
        conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
        conn.request("POST", "/api/connected_users_info", "{}")
        conn.getresponse().read(100)
        conn.close()
    assert server.api("connected_users_number") == N


# --- lists of what the store has ---

OWNERS = ["a", "a.1", "a.1-x", "b-", "b", "bb"]
CONTACTS = 200


@pytest.fixture(scope="module")
def rosters(server):
    """Pairs of owner and contact, in order of addresses: more than a page, on two hosts, of owners whose names sort otherwise."""
    file = server.folder / "contacts"
    contacts = [f"c{i:03}" for i in range(CONTACTS)]
    file.write_text("[" + ",".join(f'{{"{c}", "many.test", "g", ""}}' for c in contacts) + "].")
    owners = sorted(f"{name}@{host}" for name in OWNERS for host in server.HOSTS)
    for owner in owners:
        user, host = owner.split("@")
        assert server.api("push_roster", file=str(file), user=user, host=host) == 0
    return [(owner, f"{c}@many.test") for owner in owners for c in contacts]


MATCHING = {"action": "list", "subs": "any", "asks": "any", "users": "any", "contacts": "*@many.test"}


def test_rosters(server, rosters):
    assert sorted(OWNERS) != [o.partition("@")[0] for o, _ in rosters[::CONTACTS] if o.endswith("@localhost")]
    _, body = ask(server, "process_rosteritems", **MATCHING)
    assert [(x["user"], x["contact"]) for x in json.loads(body)] == rosters
    r, body = ask(server, "process_rosteritems", accept="application/x-ndjson", **MATCHING)
    assert [tuple(json.loads(x).values()) for x in body.splitlines()] == rosters
    assert r.getheader("Transfer-Encoding") == "chunked"
    words = server.ctl("process_rosteritems", *MATCHING.values()).stdout
    assert [tuple(line.split("\t")) for line in words.splitlines()] == rosters
    for command in MATCHING.values(), ("list", "both", "none", "a.1@localhost", "c17%"):
        assert server.ctl("--dry-run", "process_rosteritems", *command).stdout.endswith("Dry run: 0 would be touched, nothing was.\n")
    one = MATCHING | {"users": "a.1@localhost", "contacts": "c17%"}
    assert len(json.loads(ask(server, "process_rosteritems", **one)[1])) == 10


def test_rosters_delete(server, rosters):
    """More rosters than are changed at once are changed all the same; what is told is what was deleted."""
    some = MATCHING | {"action": "delete", "contacts": "c00[0-4]@many.test"}
    gone = [pair for pair in rosters if pair[1] < "c005"]
    _, body = ask(server, "process_rosteritems", **some)
    assert [(x["user"], x["contact"]) for x in json.loads(body)] == gone
    assert json.loads(ask(server, "process_rosteritems", **some)[1]) == []
    _, body = ask(server, "process_rosteritems", **MATCHING)
    assert [(x["user"], x["contact"]) for x in json.loads(body)] == [pair for pair in rosters if pair not in gone]


def pages(server, command, limit, **args):
    seen, query = [], f"?limit={limit}"
    while True:
        r, body = ask(server, command, query, **args)
        seen += json.loads(body)
        if not r.getheader("X-Next-After"):
            return seen
        query = f"?limit={limit}&after={r.getheader('X-Next-After')}"


def test_shared_groups(server):
    """Groups and members, more than the store reads at once."""
    names = [f"group{i:03}" for i in range(300)]
    members = [f"m{i:03}@localhost" for i in range(300)]
    for name in names:
        server.api("srg_add", group=name, host="example.test")
    for m in reversed(members):
        server.api("srg_user_add", user=m.partition("@")[0], host="localhost", group=names[7], grouphost="example.test")
    for limit in (7, 256, 299, 300, 1000):
        assert pages(server, "srg_list", limit, host="example.test") == names
        assert pages(server, "srg_get_members", limit, group=names[7], host="example.test") == members
    assert server.api("srg_list", host="example.test") == names
    assert server.api("srg_get_members", group=names[7], host="example.test") == members
    assert server.api("srg_get_members", group=names[8], host="example.test") == []
