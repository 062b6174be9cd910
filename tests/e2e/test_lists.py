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
