"""auth_method external: a program that knows the accounts, in ejabberd's protocol; what happens when it dies, hangs or talks nonsense;
several methods in order."""
import json
import stat

import pytest

from server import ApiError
from xmppstream import until

# Accounts are in a file, one JSON object; every start and every question leaves a line. Names say what else it does.
PROGRAM = r"""#!/usr/bin/python3 -SE
import json, os, struct, sys
folder = sys.argv[1]
def note(words):
    with open(folder + "/seen", "a") as f:
        f.write(words + "\n")
def load():
    with open(folder + "/accounts") as f:
        return json.load(f)
def save(accounts):
    with open(folder + "/new", "w") as f:
        json.dump(accounts, f)
    os.replace(folder + "/new", folder + "/accounts")
def answer(bits):
    os.write(1, struct.pack(">HH", 2, bits))
note("start")
while True:
    head = sys.stdin.buffer.read(2)
    if len(head) < 2:
        break
    op, user, host, *rest = sys.stdin.buffer.read(struct.unpack(">H", head)[0]).decode().split(":", 3)
    password = rest[0] if rest else None
    note(f"{op} {user}@{host}")
    accounts = load()
    key = f"{user}@{host}"
    if user == "die" or (user == "dieset" and op == "setpass"):
        sys.exit(1)
    elif user == "hang":
        sys.stdin.buffer.read()
    elif user == "nonsense":
        os.write(1, b"yes\n")
    elif user == "chatty":
        os.write(1, struct.pack(">HHHH", 2, 0, 2, 1))
    elif op == "auth":
        answer(accounts.get(key) == password)
    elif op == "isuser":
        answer(key in accounts)
    elif op in ("setpass", "tryregister"):
        fits = (key in accounts) == (op == "setpass")
        if fits:
            save({**accounts, key: password})
        answer(fits)
    elif op == "removeuser":
        accounts.pop(key, None)
        save(accounts)
        answer(1)
    else:
        answer(0)
"""
HOSTS = {"one.test": ["external"], "both.test": ["external", "internal"], "turned.test": ["internal", "external"]}


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extauth")
    program = folder / "program"
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "accounts").write_text(json.dumps({f"{u}@{h}": "pass:word ü" for h in HOSTS for u in ("ann", "dieset")}))
    (folder / "seen").write_text("")
    return folder


class Seen:
    def __init__(self, folder):
        self.file = folder / "seen"
        self.at = len(self.file.read_text().splitlines())

    def __call__(self, what):
        return self.file.read_text().splitlines()[self.at:].count(what)


@pytest.fixture
def seen(outside):
    return Seen(outside)


@pytest.fixture(scope="module")
def server(outside, tmp_path_factory):
    from server import Server

    def change(config):
        config["hosts"] += list(HOSTS)
        config["host_config"] = {h: {"auth_method": m, "extauth_program": f"{outside}/program {outside}", "extauth_pool_size": 1,
                                     "auth_use_cache": h != "one.test"} for h, m in HOSTS.items()}
    with Server(tmp_path_factory.mktemp("server"), change) as s:
        yield s


def try_login(server, streams, user, password, host="one.test", condition=None):
    s = streams(server.stream(to=host))
    s.open_features()
    if condition:
        s.auth_raw("PLAIN", f"\0{user}\0{password}".encode())
        s.expect_failure(condition)
    else:
        s.authenticate(user, password)
        s.open_features()
        s.bind()
        s.ping()
    return s


def mechanisms(server, streams, host):
    return {el.text for el in streams(server.stream(to=host)).open_features().iter() if el.tag.endswith("}mechanism")}


@pytest.mark.parametrize("host", HOSTS)
def test_only_plain_is_offered(server, streams, host):
    """A program sees passwords and has no keys: SCRAM would fail for its accounts."""
    assert mechanisms(server, streams, host) == {"PLAIN", "X-OAUTH2"}
    assert "SCRAM-SHA-1" in mechanisms(server, streams, "localhost")


def test_login(server, streams, seen):
    try_login(server, streams, "ann", "pass:word ü")
    try_login(server, streams, "ann", "wrong", condition="not-authorized")
    try_login(server, streams, "nobody", "pass:word ü", condition="not-authorized")
    assert seen("auth ann@one.test") == 2 and seen("auth nobody@one.test") == 1


def test_commands(server, streams):
    host = "one.test"
    assert server.api("check_account", user="ann", host=host) == 0
    assert server.api("check_account", user="nobody", host=host) == 1
    assert server.api("check_password", user="ann", host=host, password="pass:word ü") == 0
    assert server.api("check_password", user="ann", host=host, password="pass") == 1
    server.api("register", user="new", host=host, password="a")
    with pytest.raises(ApiError) as e:
        server.api("register", user="new", host=host, password="b")
    assert e.value.status == 409
    assert server.api("change_password", user="new", host=host, newpass="c:d") == 0
    try_login(server, streams, "new", "a", condition="not-authorized")
    try_login(server, streams, "new", "c:d")
    server.api("unregister", user="new", host=host)
    assert server.api("check_account", user="new", host=host) == 1
    assert server.api("registered_users", host=host) == []


def test_it_dies_and_is_started_again(server, streams, seen):
    """What it cannot answer is no wrong password: the client may try again."""
    try_login(server, streams, "ann", "pass:word ü")
    try_login(server, streams, "die", "x", condition="temporary-auth-failure")
    assert seen("auth die@one.test") == 1
    assert server.api_raw("check_account", json.dumps({"user": "die", "host": "one.test"}))[0] == 503
    until(lambda: server.api_raw("check_password", json.dumps({"user": "ann", "host": "one.test", "password": "pass:word ü"}))
          == (200, "0"), "the program to run again")
    try_login(server, streams, "ann", "pass:word ü")
    assert seen("start") >= 1


def test_a_write_it_died_of_is_uncertain(server, seen):
    until(lambda: server.api_raw("check_account", json.dumps({"user": "dieset", "host": "one.test"})) == (200, "0"), "the program to run")
    status, _ = server.api_raw("change_password", json.dumps({"user": "dieset", "host": "one.test", "newpass": "x"}))
    assert status == 500 and seen("setpass dieset@one.test") == 1


@pytest.mark.parametrize("user", ["nonsense", "chatty", "hang"])
def test_no_answer_is_no_yes(server, streams, seen, user):
    """A late or surplus answer must not become the answer to the next question."""
    until(lambda: server.api_raw("check_account", json.dumps({"user": "ann", "host": "one.test"})) == (200, "0"), "the program to run")
    try_login(server, streams, user, "x", condition="temporary-auth-failure")
    until(lambda: server.api_raw("check_password", json.dumps({"user": "ann", "host": "one.test", "password": "wrong"}))
          == (200, "1"), "the program to run again")
    assert seen("start") >= 1


def test_answers_are_kept(server, streams, seen):
    try_login(server, streams, "ann", "pass:word ü", host="both.test")
    try_login(server, streams, "ann", "pass:word ü", host="both.test")
    assert seen("auth ann@both.test") == 1
    try_login(server, streams, "ann", "other", host="both.test", condition="not-authorized")
    assert seen("auth ann@both.test") == 2
    assert server.api("change_password", user="ann", host="both.test", newpass="fresh") == 0
    try_login(server, streams, "ann", "pass:word ü", host="both.test", condition="not-authorized")
    try_login(server, streams, "ann", "fresh", host="both.test")


def test_several_in_order(server, streams, outside, seen):
    """The first that makes an account has it; one that does not know a name leaves it to the next."""
    server.api("register", user="dora", host="turned.test", password="in")
    server.api("register", user="dora", host="both.test", password="out")
    accounts = json.loads((outside / "accounts").read_text())
    assert "dora@turned.test" not in accounts and accounts["dora@both.test"] == "out"
    try_login(server, streams, "dora", "in", host="turned.test")
    try_login(server, streams, "dora", "out", host="both.test")
    try_login(server, streams, "ann", "pass:word ü", host="turned.test")
    assert server.api("registered_users", host="turned.test") == ["dora"]
    assert server.api("change_password", user="dora", host="turned.test", newpass="in2") == 0
    try_login(server, streams, "dora", "in2", host="turned.test")
    assert server.api_raw("register", json.dumps({"user": "ann", "host": "turned.test", "password": "x"}))[0] == 409
    server.api("unregister", user="dora", host="turned.test")
    try_login(server, streams, "dora", "in2", host="turned.test", condition="not-authorized")


def test_one_out_of_reach_does_not_hide_the_other(server, streams):
    """The store's account logs in; a name the store does not have cannot be told wrong."""
    assert server.api_raw("register", json.dumps({"user": "die", "host": "turned.test", "password": "x"}))[0] == 503
    try_login(server, streams, "die", "x", host="turned.test", condition="temporary-auth-failure")
    server.api("register", user="eve", host="turned.test", password="in")
    try_login(server, streams, "eve", "in", host="turned.test")


def test_reload_lets_programs_go(server, streams, seen):
    until(lambda: server.api_raw("check_account", json.dumps({"user": "ann", "host": "one.test"})) == (200, "0"), "the program to run")
    server.reload()
    try_login(server, streams, "ann", "pass:word ü")
    assert seen("start") >= 1


def test_program_missing(new_server, tmp_path):
    def change(config):
        config.update({"auth_method": ["external"], "extauth_program": f"{tmp_path}/none"})
    with pytest.raises(AssertionError, match="extauth_program: cannot run"):
        new_server(change).start()
