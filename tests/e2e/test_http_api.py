"""What the HTTP API adds to the recorded one: names of requests, reasons, lines of JSON, pages, idempotency keys, dry runs; limits,
framing, and lists that are streamed. Bodies without these are in tests/conformance."""
import contextlib
import http.client
import json
import re
import socket
import sqlite3
import ssl
import threading
import urllib.parse

import pytest

import attacks
from server import PASSWORD, SANITIZED, free_port, unique
from xmppstream import DEADLINE, q, until


def configure(config):
    config["loglevel"] = "debug"
    config["hosts"].append("many.test")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.text = body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def rows(self):
        assert self.headers["Content-Type"] == "application/x-ndjson"
        assert not self.body or self.body.endswith(b"\n")
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def reason(self):
        value = self.headers["X-Reason"]
        return None if value is None else urllib.parse.unquote(value)


def ask(server, method, path, body=None, **headers):
    """One request on a connection of its own; names of headers are written with _."""
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request(method, "/api" + path, json.dumps(body) if isinstance(body, dict) else body,
                     {k.replace("_", "-"): v for k, v in headers.items()})
        r = conn.getresponse()
        return Answer(r.status, r.headers, r.read())
    finally:
        conn.close()


def call(server, command, args=None, query="", **headers):
    return ask(server, "POST", f"/{command}{query}", args or {}, **headers)


def raw(server, data, sent=None):
    """Bytes on a connection; everything that comes back until the server closes it."""
    with socket.create_connection(server.http, DEADLINE) as s:
        s.sendall(data)
        out = b""
        while part := s.recv(65536):
            out += part
        return out


def statuses(answer):
    return [int(n) for n in re.findall(rb"^HTTP/1\.1 (\d+)", answer, re.M)]


def accounts(server, names, host="localhost"):
    for name in names:
        server.api("register", user=name, host=host, password=PASSWORD)


def log_lines(server, text):
    """Lines that have it; the log is written behind."""
    found = []

    def look():
        found[:] = [line for line in server.log().splitlines() if text in line]
        return bool(found)
    until(look, f"a log line with {text}")
    return found


# --- names of requests ---

EVERY_KIND = [
    ("POST", "/status", {}), ("GET", "/status", None), ("OPTIONS", "/status", None), ("OPTIONS", "/status/x", None), ("POST", "/nothing", {}),
    ("POST", "/status", "no json"), ("POST", "/register", {}), ("DELETE", "/status", None), ("HEAD", "/status", None), ("POST", "/status", None),
    ("GET", "", None), ("PATCH", "/status", {}), ("GET", "/registered_users?host=localhost", None), ("GET", "/connected_users?x=1", None)]


@pytest.mark.parametrize("method,path,body", EVERY_KIND)
def test_every_answer_has_a_name(server, method, path, body):
    first, second = (ask(server, method, path, body).headers["X-Request-Id"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-z]{16}", first) and re.fullmatch(r"[0-9a-z]{16}", second) and first != second
    assert ask(server, method, path, body, X_Request_Id="trace:1/2-3=x_y").headers["X-Request-Id"] == "trace:1/2-3=x_y"


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "ü", "a\tb", "a\"b", "<script>", "a;b", "%0d%0a"])
def test_names_that_are_not_taken_over(server, bad):
    got = ask(server, "POST", "/status", {}, X_Request_Id=bad.encode()).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-z]{16}", got)


def test_refused_requests_have_names_too(server):
    for data, status in ((b"nonsense\r\n\r\n", 400), (b"POST /api/status HTTP/1.1\r\nX-Request-Id: mine-1\r\nContent-Length: 99999999999\r\n\r\n", 413)):
        got = raw(server, data)
        assert statuses(got) == [status]
        assert re.search(rb"^X-Request-Id: ([0-9a-z]{16}|mine-1)\r$", got, re.M)
    assert b"mine-1" in got


def test_the_log_knows_the_name(server):
    user, name = unique("logged"), unique("request")
    call(server, "register", {"user": user, "host": "localhost", "password": "do-not-log-me"}, X_Request_Id=name)
    line, = log_lines(server, name)
    assert "register" in line and user in line and "do-not-log-me" not in line
    name = unique("request")
    assert call(server, "register", {"user": user, "host": "localhost", "password": "x"}, X_Request_Id=name).status == 409
    until(lambda: len(log_lines(server, name)) == 2, "the call and its failure")
    assert "already registered" in log_lines(server, name)[1]
    name = unique("request")
    assert call(server, "resource_num", {"user": "nobody", "host": "localhost", "num": 4}, X_Request_Id=name).status == 500
    assert any("[warning]" in line for line in log_lines(server, name))


def test_secrets_in_wrong_arguments_are_not_logged(server):
    name = unique("request")
    got = call(server, "check_password", {"user": "a", "host": "localhost", "password": {"secret-word": 1}}, X_Request_Id=name)
    assert got.status == 400 and got.text.startswith("\"Arg ")
    assert got.reason == "argument password: expected binary"
    assert not any("secret" in line or "115,101,99" in line for line in log_lines(server, name))


# --- reasons ---

def test_reasons(server):
    user = server.register()
    host = {"host": "localhost"}
    assert call(server, "check_account", {"user": "nobody", **host}).reason == "there is no such account"
    ok = call(server, "check_account", {"user": user, **host})
    assert ok.text == "0" and ok.reason is None
    got = call(server, "check_password", {"user": user, "password": "wrong", **host})
    assert got.text == "1" and got.reason == call(server, "check_password", {"user": "nobody", "password": "x", **host}).reason
    assert call(server, "check_password", {"user": user, "password": PASSWORD, **host}).reason is None
    assert call(server, "register", {"user": user, "password": "x", **host}).reason == f"User {user}@localhost already registered"
    assert call(server, "nothing").reason == "Endpoint not found."
    assert call(server, "status", {"a": 1}).reason == "Request have unknown arguments: [a]"
    assert call(server, "resource_num", {"user": user, "num": 1, **host}).reason == "the account has no session number 1"
    got = ask(server, "POST", "/status", {}, Authorization="Basic x")
    assert (got.status, got.reason) == (401, "You are not authorized to call this command.")


def test_reasons_are_safe_and_bounded(server):
    got = call(server, "register", {"user": "größe\r\nX-Evil: 1 %", "host": "localhost", "password": "x"})
    assert got.status == 500 and got.headers["X-Evil"] is None
    assert "größe\r\nX-Evil: 1 %" in got.reason
    got = call(server, "register", {"user": "ü" * 5000, "host": "localhost", "password": "x"})
    assert len(got.headers["X-Reason"]) <= 300 and got.reason.endswith("ü")


def test_commands_not_implemented(server):
    """Known commands without a function say so in the recorded form of an error."""
    for name in ("incoming_s2s_number", "outgoing_s2s_number", "list_cluster", "list_cluster_detailed", "list_certificates"):
        got = call(server, name)
        assert got.status in (200, 501), got.text
        if got.status == 501:
            assert (got.json, got.reason) == ("not implemented", "not implemented")


# --- lines ---

def test_lines(server):
    names = sorted(unique("lines") for _ in range(5))
    accounts(server, names, "example.test")
    got = call(server, "registered_users", {"host": "example.test"}, Accept="application/x-ndjson")
    assert [n for n in got.rows if n in names] == names
    assert got.rows == call(server, "registered_users", {"host": "example.test"}).json


@pytest.mark.parametrize("accept,lines", [
    ("application/x-ndjson", True), ("APPLICATION/X-NDJSON;q=0.5", True), ("application/json, application/x-ndjson", True),
    ("application/json;q=0.5, application/x-ndjson;q=0.9", True), ("application/json, application/x-ndjson;q=0.9", False),
    ("application/x-ndjson;q=0", False), ("application/x-ndjson;q=0.000", False), ("*/*", False), ("application/json", False),
    ("text/x-ndjson", False), ("", False), (",;q=,", False)])
def test_who_gets_lines(server, accept, lines):
    got = call(server, "registered_vhosts", Accept=accept)
    assert got.headers["Content-Type"] == ("application/x-ndjson" if lines else "application/json")
    assert (got.rows if lines else got.json) == ["example.test", "localhost", "many.test"]


def test_lines_of_what_is_no_list(server):
    """One line; failures stay what they are; an empty list has no line."""
    def lines(*args, **more):
        return call(server, *args, **more, Accept="application/x-ndjson")
    assert lines("check_account", {"user": "x", "host": "localhost"}).text == "1\n"
    assert lines("user_resources", {"user": "x", "host": "localhost"}).text == ""
    got = lines("nothing")
    assert got.status == 404 and got.headers["Content-Type"] == "application/json"
    with server.login() as s:
        assert lines("user_sessions_info", {"user": s.jid.split("@")[0], "host": "localhost"}).rows[0]["connection"] == "c2s"


# --- pages ---

def pages(server, command, args, limit, **headers):
    """All pages; checks the headers on the way."""
    out, after = [], None
    while True:
        query = f"?limit={limit}" + (f"&after={after}" if after else "")
        got = call(server, command, args, query, **headers)
        assert got.status == 200, got.text
        out.append(got.rows if headers else got.json)
        after = got.headers["X-Next-After"]
        if after is None:
            assert got.headers["Link"] is None
            return out
        assert len(out[-1]) == limit
        assert got.headers["Link"] == f"<?limit={limit}&after={after}>; rel=\"next\""
        assert re.fullmatch(r"[0-9A-Za-z_-]+", after)


@pytest.fixture(scope="module")
def crowd(server):
    """Accounts of a host of their own, with names that sort and end in every awkward way."""
    names = ["", "a", "a-", "a0", "ab", "b" * 1000, "b" * 1001, "b" * 1002, "ü", "üü", "\u4e2d", "z%+=~"] + [f"n{i:03}" for i in range(60)]
    accounts(server, names, "many.test")
    return sorted(names, key=lambda n: n.encode())


@pytest.mark.parametrize("limit", [1, 2, 7, 71, 72, 73, 10000])
def test_pages(server, crowd, limit):
    parts = pages(server, "registered_users", {"host": "many.test"}, limit)
    assert sum(parts, []) == crowd
    assert [len(p) for p in parts[:-1]] == [limit] * (len(parts) - 1)
    parts = pages(server, "registered_users", {"host": "many.test"}, limit, Accept="application/x-ndjson")
    assert sum(parts, []) == crowd


def test_pages_by_get(server, crowd):
    got = ask(server, "GET", "/registered_users?host=many.test&limit=10")
    assert got.json == crowd[:10]
    link = re.fullmatch(r'<(\?host=many\.test&limit=10&after=[\w-]+)>; rel="next"', got.headers["Link"]).group(1)
    got = ask(server, "GET", "/registered_users" + link)
    assert got.json == crowd[10:20]
    assert ask(server, "GET", f"/registered_users?host=many.test&after={got.headers['X-Next-After']}").json == crowd[20:]


def test_pages_while_accounts_come_and_go(server):
    names = [f"move{i:02}" for i in range(10)]
    accounts(server, names, "example.test")
    listed = call(server, "registered_users", {"host": "example.test"}).json
    at = listed.index("move03") + 1
    first = call(server, "registered_users", {"host": "example.test"}, f"?limit={at}")
    assert first.json[-1] == "move03"
    server.api("unregister", user="move03", host="example.test")
    server.api("unregister", user="move00", host="example.test")
    accounts(server, ["move03a", "move01a"], "example.test")
    rest = call(server, "registered_users", {"host": "example.test"}, f"?after={first.headers['X-Next-After']}").json
    assert rest[:2] == ["move03a", "move04"]


def test_pages_of_lists_that_are_not_streamed(server, streams):
    """Tuples, texts in them longer than a cursor keeps, rows that are alike."""
    user = server.register()
    resources = sorted(["r" * 300 + str(i) for i in range(4)] + ["a", "b", "c"])
    for r in resources:
        streams(server.login(user, r, presence=True))
    args = {"user": user, "host": "localhost"}
    for limit in (1, 2, 3, 6, 7):
        assert sum(pages(server, "user_resources", args, limit), []) == resources
    rows = call(server, "user_sessions_info", args).json
    for limit in (1, 3):
        got = sum(pages(server, "user_sessions_info", args, limit), [])
        assert [r["resource"] for r in got] == [r["resource"] for r in rows]


@pytest.mark.parametrize("query,words", [
    ("?limit=0", "limit: "), ("?limit=-1", "limit: "), ("?limit=10001", "limit: "), ("?limit=x", "limit: "), ("?limit=", "limit: "),
    ("?limit=99999999999999999999", "limit: "), ("?limit=1&limit=2", "limit is given more than once"), ("?after=", "after: "),
    ("?after=x", "after: "), ("?after=AQAAAAA", "after: "), ("?after=AQAAAABh", "after: "), ("?after=" + "A" * 2000, "after: "),
    ("?after=AQAAAAFh%00", "after: "), ("?after=a&after=b", "after is given more than once")])
def test_pages_that_nobody_can_mean(server, query, words):
    got = call(server, "registered_users", {"host": "localhost"}, query)
    assert got.status == 400 and got.json.startswith(words) and got.reason.startswith(words)


def test_forged_cursors(server, crowd):
    """Whatever the place they name, they only choose a part of the list."""
    for cursor in ("AQAAAAFh", "AQAAAAFhAAA", "AQAAAAF6", "Af____9h", "AQAAAAHDvA", "AQAAAAHD", "AQAAAAEAAA", "AQAAAAEA"):
        for query in (f"?after={cursor}", f"?after={cursor}&limit=5"):
            got = call(server, "registered_users", {"host": "many.test"}, query)
            assert got.status == 200, (cursor, got.text)
            at = crowd.index(got.json[0]) if got.json else len(crowd)
            assert got.json == (crowd[at:at + 5] if "limit" in query else crowd[at:])


def test_paging_is_not_for_others(server):
    """What is no list keeps its recorded answer; what changes something is not done once for each page."""
    got = call(server, "process_rosteritems", {"action": "delete", "subs": "any", "asks": "any", "users": "any", "contacts": "any"}, "?limit=1")
    assert got.status == 400 and "does not come in pages" in got.reason
    assert call(server, "check_account", {"user": "x", "host": "localhost"}, "?limit=1").text == "1"
    assert ask(server, "GET", "/check_account?user=x&host=localhost&limit=1").json == "Request have unknown arguments: [limit]"
    assert call(server, "registered_users", {"host": "localhost", "limit": "1"}).json == "Request have unknown arguments: [limit]"
    assert call(server, "registered_vhosts", {}, "?other=1&&%zz").json == ["example.test", "localhost", "many.test"]


# --- idempotency keys ---

def test_a_key_answers_again(server):
    user, key = unique("once"), unique("key")
    args = {"user": user, "host": "localhost", "password": "x"}
    first = call(server, "register", args, Idempotency_Key=key)
    assert first.status == 200 and first.headers["Idempotent-Replayed"] is None
    again = call(server, "register", args, Idempotency_Key=key)
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["Idempotent-Replayed"] == "true" and again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert call(server, "register", args).status == 409
    # the same request in other clothes
    spaced = json.dumps(dict(reversed(args.items())), indent=3)
    assert ask(server, "POST", "/register", spaced, Idempotency_Key=key).headers["Idempotent-Replayed"] == "true"
    assert ask(server, "GET", "/register?" + urllib.parse.urlencode(args), Idempotency_Key=key).body == first.body


def test_failures_are_answered_again(server):
    user, key = server.register(), unique("key")
    args = {"user": user, "host": "localhost", "password": "x"}
    first = call(server, "register", args, Idempotency_Key=key)
    server.api("unregister", user=user, host="localhost")
    again = call(server, "register", args, Idempotency_Key=key)
    assert (again.status, again.body, again.reason) == (409, first.body, first.reason)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]


def test_messages_are_sent_once(server, streams):
    user, key = server.register(), unique("key")
    s = streams(server.login(user, "here", presence=True))
    args = {"type": "chat", "from": "localhost", "to": f"{user}@localhost", "subject": "", "body": "only once"}
    for _ in range(5):
        assert call(server, "send_message", args, Idempotency_Key=key).text == "0"
    server.api("send_message", **{**args, "body": "the end"})
    seen = []
    while "the end" not in seen:
        seen.append(s.expect(lambda e: e.tag == q("client", "message")).findtext(q("client", "body")))
    assert seen == ["only once", "the end"]


def test_a_key_is_for_one_request(server):
    user, key = unique("once"), unique("key")
    args = {"user": user, "host": "localhost", "password": "x"}
    assert call(server, "register", args, Idempotency_Key=key).status == 200
    others = [call(server, "register", {**args, "password": "y"}, Idempotency_Key=key),
              call(server, "register", {**args, "user": unique("other")}, Idempotency_Key=key),
              call(server, "unregister", {"user": user, "host": "localhost"}, Idempotency_Key=key),
              ask(server, "POST", "/register/v1", args, Idempotency_Key=key),
              call(server, "register", args, Idempotency_Key=key, Accept="application/x-ndjson")]
    for got in others:
        assert (got.status, got.json, got.reason) == (422, "This Idempotency-Key was used for another call", got.json)
    assert server.api("check_account", user=user, host="localhost") == 0


def test_what_a_key_does_not_touch(server):
    """Reading; requests that were refused before they ran; dry runs."""
    user, key = unique("once"), unique("key")
    host = {"user": user, "host": "localhost"}
    assert call(server, "check_account", host, Idempotency_Key=key).text == "1"
    assert call(server, "register", host, Idempotency_Key=key).status == 400
    assert call(server, "unregister", host, Idempotency_Key=key, Prefer="dry-run").json["dry_run"]
    assert ask(server, "POST", "/register", host, Idempotency_Key=key, Authorization="Basic x").status == 401
    assert call(server, "register", {**host, "password": "x"}, Idempotency_Key=key).status == 200
    assert call(server, "check_account", host, Idempotency_Key=key).text == "0"


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ü"])
def test_keys_that_are_none(server, key):
    user = unique("none")
    got = call(server, "register", {"user": user, "host": "localhost", "password": "x"}, Idempotency_Key=key.encode())
    assert got.status == 400 and got.json.startswith("Idempotency-Key: expected")
    assert server.api("check_account", user=user, host="localhost") == 1


def test_a_key_belongs_to_its_caller(new_server):
    """Three callers, one key: each has his own call."""
    import base64
    server = new_server().start()
    names = [server.register("caller") for _ in range(2)]
    basic = [{"Authorization": "Basic " + base64.b64encode(f"{n}@localhost:{PASSWORD}".encode()).decode()} for n in names]
    made = [unique("made") for _ in range(3)]
    for who, user in zip([*basic, {}], made):
        for expected in (None, "true"):
            got = call(server, "register", {"user": user, "host": "localhost", "password": "x"}, Idempotency_Key="1", **who)
            assert (got.status, got.headers["Idempotent-Replayed"]) == (200, expected)
    assert all(server.api("check_account", user=u, host="localhost") == 0 for u in made)


def test_many_at_once_with_one_key(server):
    """One of them is carried out; the others get its answer or are told to wait."""
    user, key = unique("race"), unique("key")
    args = {"user": user, "host": "localhost", "password": "x"}
    answers, start = [], threading.Barrier(16)

    def one():
        start.wait()
        answers.append(call(server, "register", args, Idempotency_Key=key))
    threads = [threading.Thread(target=one) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    done = [a for a in answers if a.status == 200]
    assert len([a for a in done if a.headers["Idempotent-Replayed"] is None]) == 1
    for a in answers:
        if a.status != 200:
            assert (a.status, a.headers["Retry-After"]) == (409, "1") and "still being carried out" in a.reason
    assert call(server, "register", args, Idempotency_Key=key).status == 200


def store_of(server):
    return next(f for f in server.spool.rglob("*") if f.is_file() and f.read_bytes()[:15] == b"SQLite format 3")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_keys_survive_a_restart(new_server, end):
    server = new_server().start()
    args = {"user": unique("kept"), "host": "localhost", "password": "very-secret-indeed"}
    first = call(server, "register", args, Idempotency_Key="k-1")
    getattr(server, end)()
    server.start()
    again = call(server, "register", args, Idempotency_Key="k-1")
    assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (200, first.body, "true")
    assert call(server, "register", {**args, "password": "y"}, Idempotency_Key="k-1").status == 422


def test_calls_that_a_crash_interrupted_are_not_done_twice(new_server):
    """What a kill between claim and answer leaves behind: a claim of another run, without an answer."""
    server = new_server().start()
    args = {"user": unique("kept"), "host": "localhost", "password": "very-secret-indeed"}
    assert call(server, "register", args, Idempotency_Key="k-1").status == 200
    server.stop()
    with contextlib.closing(sqlite3.connect(store_of(server))) as db:
        rows = db.execute("SELECT * FROM cjabberd_api_reply").fetchall()
        assert len(rows) == 1 and not any(word in str(rows) for word in ("k-1", "very-secret", args["user"], "successfully"))
        db.execute("UPDATE cjabberd_api_reply SET status = 0")
        db.commit()
    server.start()
    got = call(server, "register", args, Idempotency_Key="k-1")
    assert got.status == 409 and "interrupted by the end of the server" in got.reason


def test_what_was_acknowledged_before_a_kill(new_server):
    """kill -9 among calls with keys: answers that were sent are sent again, no call is carried out twice, none is half done."""
    server = new_server().start()
    lock, enough = threading.Lock(), threading.Event()
    sent, acknowledged = [], {}

    def client(number):
        with contextlib.suppress(OSError, http.client.HTTPException):
            for i in range(10000):
                user = f"kill-{number}-{i}"
                with lock:
                    sent.append(user)
                got = call(server, "register", {"user": user, "host": "localhost", "password": "x"}, Idempotency_Key="key-" + user)
                assert got.status == 200
                with lock:
                    acknowledged[user] = got.body
                    if len(acknowledged) >= 60:
                        enough.set()
    threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    assert enough.wait(DEADLINE)
    server.kill()
    for t in threads:
        t.join()
    server.start()
    for user in sent:
        got = call(server, "register", {"user": user, "host": "localhost", "password": "x"}, Idempotency_Key="key-" + user)
        if user in acknowledged:
            assert (got.status, got.body, got.headers["Idempotent-Replayed"]) == (200, acknowledged[user], "true")
        elif got.status != 200:
            assert got.status == 409 and "interrupted" in got.reason
        if got.status == 200:
            assert server.api("check_account", user=user, host="localhost") == 0


def test_a_store_that_is_locked_leaves_the_key_free(new_server):
    server = new_server(allow_errors=True).start()
    args = {"user": unique("kept"), "host": "localhost", "password": "x"}
    with contextlib.closing(sqlite3.connect(store_of(server), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        got = call(server, "register", args, Idempotency_Key="k-1")
        assert got.status == 503 and "storage unavailable" in got.reason
        db.execute("ROLLBACK")
    got = call(server, "register", args, Idempotency_Key="k-1")
    assert (got.status, got.headers["Idempotent-Replayed"]) == (200, None)
    assert call(server, "register", args, Idempotency_Key="k-1").headers["Idempotent-Replayed"] == "true"


def test_kept_answers_that_were_changed_are_not_sent(new_server):
    server = new_server().start()
    args = [{"user": unique("kept"), "host": "localhost", "password": "x"} for _ in range(2)]
    for i, a in enumerate(args):
        assert call(server, "register", a, Idempotency_Key=f"k-{i}").status == 200
    server.stop()
    with contextlib.closing(sqlite3.connect(store_of(server))) as db:
        bodies = [row[0] for row in db.execute("SELECT body FROM cjabberd_api_reply")]
        db.executemany("UPDATE cjabberd_api_reply SET body = ? WHERE body = ?", [("QUJD", bodies[0]), (bodies[0], bodies[1])])
        db.commit()
    server.start()
    for i, a in enumerate(args):
        got = call(server, "register", a, Idempotency_Key=f"k-{i}")
        assert got.status == 409 and "damaged" in got.reason and "registered" not in got.text


def test_old_keys_are_forgotten(new_server):
    server = new_server().start()
    user = unique("kept")
    args = {"user": user, "host": "localhost", "password": "x"}
    assert call(server, "register", args, Idempotency_Key="k-1").status == 200
    server.stop()
    with contextlib.closing(sqlite3.connect(store_of(server))) as db:
        db.execute("UPDATE cjabberd_api_reply SET created = created - 90000")
        db.commit()
    server.start()
    assert call(server, "register", args, Idempotency_Key="k-1").status == 409  # carried out: the account is there
    server.stop()
    with contextlib.closing(sqlite3.connect(store_of(server))) as db:
        assert db.execute("SELECT count(*) FROM cjabberd_api_reply").fetchone() == (1,)


def test_so_many_keys_and_no_more(new_server):
    server = new_server().start()
    server.stop()
    with contextlib.closing(sqlite3.connect(store_of(server))) as db:
        db.executemany("INSERT INTO cjabberd_api_reply VALUES (?, 'r', 'run', strftime('%s', 'now') - 50000 + ?, 200, 't', '', '')",
                       ((f"id{i}", i // 10) for i in range(100500)))
        db.commit()
    server.start()
    assert call(server, "register", {"user": unique("k"), "host": "localhost", "password": "x"}, Idempotency_Key="new").status == 200
    server.stop()
    with contextlib.closing(sqlite3.connect(store_of(server))) as db:
        count, = db.execute("SELECT count(*) FROM cjabberd_api_reply").fetchone()
        assert 99980 <= count <= 100001
        assert db.execute("SELECT count(*) FROM cjabberd_api_reply WHERE id = 'id0'").fetchone() == (0,)


# --- dry runs ---

def test_dry_runs(server, streams):
    user = server.register()
    who = {"user": user, "host": "localhost"}
    streams(server.login(user, "one"))
    streams(server.login(user, "two"))
    session = [f"session {user}@localhost/{r}" for r in ("one", "two")]
    for command, args, items in (
            ("unregister", who, [f"account {user}@localhost", *session]), ("kick_user", who, session),
            ("kick_session", {**who, "resource": "two", "reason": ""}, session[1:]), ("kick_session", {**who, "resource": "", "reason": ""}, session)):
        got = call(server, command, args, Prefer="respond-async, dry-run")
        assert got.status == 200 and got.headers["Preference-Applied"] == "dry-run"
        assert got.headers["Content-Type"] == "application/json"
        assert {**got.json, "items": sorted(got.json["items"])} == {"dry_run": True, "count": len(items), "items": items}
    assert len(server.api("user_resources", **who)) == 2 and server.api("check_account", **who) == 0
    assert call(server, "unregister", {"user": "nobody", "host": "localhost"}, Prefer="dry-run").json == {"dry_run": True, "count": 0, "items": []}
    assert call(server, "unregister", {"user": "x", "host": "unknown.test"}, Prefer="dry-run").status == 400


def test_dry_runs_of_oauth(server):
    user = server.register()
    server.api("oauth_add_client_password", client_id="shop", client_name="Shop", secret="x")
    token = server.api("oauth_issue_token", jid=f"{user}@localhost", ttl=100, scopes=["sasl_auth"])["token"]
    for command, args, item in (("oauth_remove_client", {"client_id": "shop"}, "client shop"),
                                ("oauth_revoke_token", {"token": token}, f"token of {user}@localhost")):
        for _ in range(2):
            assert call(server, command, args, Prefer="dry-run").json == {"dry_run": True, "count": 1, "items": [item]}
        assert call(server, command, args).text == '""'
        assert call(server, command, args, Prefer="dry-run").json["count"] == 0


def test_commands_without_a_dry_run_are_not_run(server):
    user = unique("dry")
    got = call(server, "register", {"user": user, "host": "localhost", "password": "x"}, Prefer="dry-run")
    assert got.status == 400 and "register" in got.reason and got.headers["Preference-Applied"] is None
    assert server.api("check_account", user=user, host="localhost") == 1
    assert call(server, "register", {"user": user, "host": "localhost", "password": "x"}, Prefer="dry-runs, x=dry-run").status == 200


# --- framing and limits ---

END = b"Connection: close\r\n\r\n"
GOOD = b"POST /api/check_account HTTP/1.1\r\nContent-Length: 33\r\n" + END + b'{"user":"nobody","host":"localhost'
BODY = b'{"user":"nobody","host":"localhost"}'


def post(*headers, body=BODY, version=b"1.1"):
    return b"POST /api/check_account HTTP/" + version + b"\r\n" + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"
SMUGGLED = b"GET /api/stop HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("data", [
    post(LENGTH, b"Transfer-Encoding: chunked", body=CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: chunked", LENGTH, body=CHUNKED + SMUGGLED),
    post(LENGTH, LENGTH, body=BODY + SMUGGLED),
    post(LENGTH, b"Content-Length: 0", body=BODY + SMUGGLED),
    post(LENGTH + b", %d" % len(BODY), body=BODY + SMUGGLED),
    post(b"Content-Length: +%d" % len(BODY), body=BODY + SMUGGLED),
    post(b"Content-Length: 0x24", body=BODY + SMUGGLED),
    post(b"Content-Length : %d" % len(BODY), body=BODY + SMUGGLED),
    post(b" Content-Length: %d" % len(BODY), body=BODY + SMUGGLED),
    post(b"Transfer-Encoding : chunked", body=CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked", body=CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: xchunked", body=CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: chunked, identity", body=CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: gzip, chunked", body=CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: chunked", body=CHUNKED + SMUGGLED, version=b"1.0"),
    post(b"Transfer-Encoding: chunked", body=b"-1\r\n" + CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: chunked", body=b"0x10\r\n" + CHUNKED + SMUGGLED),
    post(b"Transfer-Encoding: chunked", body=b"ffffffffffffffff1\r\n" + CHUNKED + SMUGGLED),
    post(b"Content-Length: 36\r\nX: a\0b", body=BODY + SMUGGLED),
])
def test_requests_of_doubtful_length(server, data):
    """One refusal and the end of the connection: nothing behind it is taken for a request (here it would stop the server)."""
    got = raw(server, data)
    assert len(statuses(got)) == 1 and statuses(got)[0] in (400, 501), got
    assert b"Connection: close" in got
    assert server.alive() and server.api("check_account", user="nobody", host="localhost") == 1


def test_lengths_that_are_fine(server):
    for data in (post(LENGTH, b"Connection: close"), post(b"Transfer-Encoding: Chunked", b"Connection: close", body=CHUNKED),
                 post(b"Transfer-Encoding: chunked", b"Connection: close", body=b"1;ext=\"x\"\r\n{\r\n%x\r\n" % (len(BODY) - 1) + BODY[1:]
                      + b"\r\n00\r\nX-Trailer: 5\r\n\r\n"),
                 post(b"content-LENGTH:%d" % len(BODY), b"Connection: close"), post(LENGTH, version=b"1.0")):
        got = raw(server, data)
        assert statuses(got) == [200] and got.endswith(b"\r\n\r\n1")


def test_pipelined_requests_are_answered_in_order(server):
    """The slow ones first."""
    user = server.register()
    wanted, data = [], b""
    for i in range(60):
        password = PASSWORD if i % 3 else "wrong"
        for command, args, answer in (("check_password", {"user": user, "host": "localhost", "password": password}, 0 if i % 3 else 1),
                                      ("check_account", {"user": f"nobody{i}", "host": "localhost"}, 1)):
            body = json.dumps(args).encode()
            data += f"POST /api/{command} HTTP/1.1\r\nX-Request-Id: p{len(wanted)}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            wanted.append(answer)
    got = raw(server, data + b"OPTIONS /api/x HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"X-Request-Id: (p\d+)", got) == [b"p%d" % i for i in range(120)]
    assert [int(n) for n in re.findall(rb"\r\n\r\n([01])HTTP", got)] == wanted


def test_expectations(server):
    with socket.create_connection(server.http, DEADLINE) as s:
        s.sendall(b"POST /api/check_account HTTP/1.1\r\nExpect: 100-continue\r\n" + LENGTH + b"\r\n\r\n")
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(BODY)
        assert s.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    assert statuses(raw(server, b"POST /api/status HTTP/1.1\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n")) == [417]
    assert statuses(raw(server, b"POST /api/status HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")) == [413]
    assert statuses(raw(server, b"POST /api/status HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")) == [200]


def test_head_has_no_body(server):
    got = raw(server, b"HEAD /api/status HTTP/1.1\r\n\r\nHEAD /nothing HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert statuses(got) == [400, 404] and got.count(b"\r\n\r\n") == 2 and got.endswith(b"\r\n\r\n")


def test_limits(server):
    assert statuses(raw(server, post(b"Content-Length: %d" % (11 << 20)))) == [413]
    assert statuses(raw(server, b"GET /api/%s HTTP/1.1\r\n\r\n" % (b"x" * 70000))) == [414]
    assert statuses(raw(server, b"GET /api/status HTTP/1.1\r\nX: %s\r\n\r\n" % (b"x" * 70000))) == [431]
    assert statuses(raw(server, b"GET /api/status HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n")) == [431]
    with socket.create_connection(server.http, DEADLINE) as s:  # chunks without an end
        s.sendall(post(b"Transfer-Encoding: chunked", body=b""))
        with contextlib.suppress(OSError):
            for _ in range(200):
                s.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        out = b""
        with contextlib.suppress(OSError):
            while part := s.recv(65536):
                out += part
        assert not out or statuses(out) == [413]


@pytest.mark.parametrize("body", [
    b"[" * 100000, b'{"user":' * 50000, b'{"user":"' + b"x" * 100, b'{"user":"\xff\xfe","host":"localhost"}', b'{"user":"\xed\xa0\x80","host":"x"}',
    b'\xef\xbb\xbf{}', b'{"user":"\\ud800","host":"x"}', "{}".encode("utf-16"), b"\0" * 1000, b'{"a":1e999999}', b'{"user":"a" "host":"b"}',
    b'{"user":' + b"[" * 31 + b"1" + b"]" * 31 + b',"host":["localhost"]}'[:0] + b"}", b"{" + b'"k":1,' * 30000 + b'"z":1}', b"", b" ", b"nul"])
def test_bodies_that_are_none(server, body):
    got = ask(server, "POST", "/check_account", body)
    assert got.status in (400, 500), got.text
    assert server.api("check_account", user="nobody", host="localhost") == 1


def test_slow_and_truncated_senders_hold_nobody_up(server):
    """Connections that stop at every place of a request; the others go on, and each is let go when it ends."""
    before = server.sockets()
    data = post(b"X-Test: 1", LENGTH)
    idle = []
    for n in range(0, len(data), 3):
        s = socket.create_connection(server.http, DEADLINE)
        s.sendall(data[:n])
        idle.append(s)
    assert server.api("check_account", user="nobody", host="localhost") == 1
    for i, s in enumerate(idle):
        if i % 2:
            s.shutdown(socket.SHUT_WR)
        s.close()
    until(lambda: server.sockets() <= before, "the connections are let go")


def test_huge_requests_hold_nobody_up(server):
    """Bodies near the limit, good and bad, while somebody else pings: no ping is lost, the memory of the requests comes back."""
    big = "x" * (9 << 20)
    message = {"type": "chat", "from": "localhost", "to": "nobody@localhost", "subject": "", "body": big}
    bodies = [json.dumps(message), json.dumps(message) + "x", "[" * (9 << 20), '{"a":"' + big, json.dumps({"user": [97] * 19000, "host": "x"})]
    with attacks.Bystander(server) as bystander:
        for i, body in enumerate(bodies * 2):
            got = ask(server, "POST", "/send_message", body, Idempotency_Key=f"huge-{i}")
            assert got.status == (200 if i % len(bodies) == 0 else 400), got.text[:200]
        result = bystander.finish()
    assert result["lost"] == 0 and result["pings"] > 0, result


def test_connection_limits(new_server):
    def change(config):
        config["listen"][-1]["max_connections"] = 5
    server = new_server(change).start()
    idle = [socket.create_connection(server.http, DEADLINE) for _ in range(5)]
    for s in idle:  # accepted is what has answered
        s.sendall(b"OPTIONS /api/x HTTP/1.1\r\n\r\n")
        assert s.recv(1000).startswith(b"HTTP/1.1 200")
    with socket.create_connection(server.http, DEADLINE) as sixth:
        with contextlib.suppress(ConnectionError):
            sixth.sendall(b"OPTIONS /api/x HTTP/1.1\r\n\r\n")
            assert sixth.recv(1000) == b""
    for s in idle:
        s.close()

    def served():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return server.api("status") is not None
    until(served, "room for another connection")


def test_the_same_over_tls(new_server):
    server = new_server()
    secure = (server.ip, free_port())
    server.config["listen"].append({"port": secure[1], "ip": server.ip, "module": "ejabberd_http", "tls": True,
                                    "request_handlers": {"/api": "mod_http_api"}})
    server.start()
    user = unique("tls")
    context = ssl.create_default_context(cafile=str(server.cert))
    context.check_hostname = False
    conn = http.client.HTTPSConnection(*secure, timeout=DEADLINE, context=context)
    for expected in (None, "true"):
        conn.request("POST", "/api/register", json.dumps({"user": user, "host": "localhost", "password": "x"}), {"Idempotency-Key": "k"})
        r = conn.getresponse()
        assert r.read() == f'"User {user}@localhost successfully registered"'.encode()
        assert (r.status, r.headers["Idempotent-Replayed"]) == (200, expected) and r.headers["X-Request-Id"]
    accounts(server, [f"many{i}-" + "x" * 500 for i in range(200)])  # more than one TLS record
    conn.request("GET", "/api/registered_users?host=localhost", headers={"Accept": "application/x-ndjson"})
    r = conn.getresponse()
    assert r.headers["Transfer-Encoding"] == "chunked" and len(r.read().splitlines()) == 201
    conn.close()


# --- long lists ---

LONG = 20000 if SANITIZED else 100000


@pytest.fixture(scope="module")
def long_list(tmp_path_factory):
    """A server with many accounts of one host, put into its store directly."""
    from server import Server
    server = Server(tmp_path_factory.mktemp("long"))
    server.start().stop()
    with contextlib.closing(sqlite3.connect(store_of(server))) as db:
        columns = [c[1] for c in db.execute("PRAGMA table_info(users)")]
        host = ["server_host"] if "server_host" in columns else []
        db.executemany(f"INSERT INTO users ({','.join(host + ['username', 'type', 'password'])}) VALUES ({'?,' * len(host)}?, 1, 'x')",
                       ((*["example.test"] * len(host), f"account-{i:07}") for i in range(LONG)))
        db.commit()
    server.start()
    try:
        yield server
        server.stop()
    finally:
        server.give_up()


def peak(server):
    with open(f"/proc/{server.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


def long_request(more=b""):
    body = b'{"host":"example.test"}'
    return b"POST /api/registered_users HTTP/1.1\r\n" + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_long_lists_need_no_memory(long_list, accept):
    def fetch():
        return call(long_list, "registered_users", {"host": "example.test"}, Accept=accept)
    ask(long_list, "GET", "/registered_users?host=example.test&limit=3000")  # readers and buffers are there
    call(long_list, "registered_users", {"host": "localhost"})
    before = peak(long_list)
    got = fetch()
    rows = got.rows if "nd" in accept else got.json
    assert len(rows) == LONG and rows[0] == "account-0000000" and rows == sorted(rows)
    if not SANITIZED:
        assert peak(long_list) - before < 5 << 20
    assert got.headers["Transfer-Encoding"] == "chunked"


def test_long_lists_in_pages(long_list):
    parts = pages(long_list, "registered_users", {"host": "example.test"}, 9999)
    assert sum(parts, []) == [f"account-{i:07}" for i in range(LONG)]


def test_readers_that_do_not_read(long_list):
    """The list waits for them without growing, and others are served meanwhile."""
    call(long_list, "registered_users", {"host": "localhost"})
    before = peak(long_list)
    lazy = []
    for _ in range(10):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(DEADLINE)
        s.connect(long_list.http)
        s.sendall(long_request())
        assert s.recv(12) == b"HTTP/1.1 200"
        lazy.append(s)
    assert len(call(long_list, "registered_users", {"host": "example.test"}).json) == LONG
    if not SANITIZED:
        assert peak(long_list) - before < 10 << 20
    for s in lazy[1:]:
        s.close()
    out = b""
    lazy[0].sendall(b"OPTIONS /api/x HTTP/1.1\r\nConnection: close\r\n\r\n")
    while part := lazy[0].recv(65536):
        out += part
    assert out.count(b"account-") == LONG and b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n" in out
    lazy[0].close()


@pytest.mark.parametrize("reset", [False, True])
def test_readers_that_go_away(long_list, reset):
    before = long_list.sockets()
    for i in range(30):
        with socket.create_connection(long_list.http, DEADLINE) as s:
            s.sendall(long_request() * (1 + i % 3))
            if i % 4:
                assert s.recv(1000 * (i % 4))
            if reset:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: long_list.sockets() <= before, "the connections are let go")
    assert long_list.api("check_account", user="account-0000000", host="example.test") == 0


def test_old_clients_get_the_list_until_the_end(long_list):
    got = raw(long_list, b"GET /api/registered_users?host=example.test HTTP/1.0\r\n\r\n")
    head, body = got.split(b"\r\n\r\n", 1)
    assert b"Connection: close" in head and b"chunked" not in head and len(json.loads(body)) == LONG
