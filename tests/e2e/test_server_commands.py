"""Commands of the tags server, config, logs and sql: what they do to a running server and its clients."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import stat
import subprocess
import threading

import pytest

from server import BINARY, PASSWORD, SANITIZED, ApiError
from xmppstream import Ended, local, pump_all, q, until

HASHES = {"md5": "md5", "ripemd160": "ripemd160", "sha": "sha1", "sha224": "sha224", "sha256": "sha256", "sha384": "sha384",
          "sha512": "sha512", "sha3_224": "sha3-224", "sha3_256": "sha3-256", "sha3_384": "sha3-384", "sha3_512": "sha3-512",
          "blake2b": "blake2b512", "blake2s": "blake2s256"}


def descriptors(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def plain(config):
    config["auth_password_format"] = "plain"


def stored(server):
    """Rows of the table users."""
    with sqlite3.connect(f"file:{server.spool / 'cjabberd.db'}?mode=ro", uri=True) as db:
        return db.execute("select server_host, username, type, password from users order by 1, 2, 3").fetchall()


# --- restart ---

def test_restart(new_server, streams):
    """The same process serves again: clients are told, data and control socket are there, the clock starts anew."""
    server = new_server().start()
    user = server.register()
    s = streams(server.login(user))
    pid = server.pid
    until(lambda: server.api("stats", name="uptimeseconds") > 0, "the first second")
    assert server.api("restart") == 0
    s.expect_stream_error("system-shutdown")
    said = server.expect_notice("READY=1")
    assert any("RELOADING=1" in m and "MONOTONIC_USEC=" in m for m in said) and not any("STOPPING=1" in m for m in said)
    assert server.pid == pid and server.alive()
    assert server.api("stats", name="uptimeseconds") == 0
    assert server.ctl("status").returncode == 0
    for address in (server.c2s, server.tls, server.required):
        tls = {"tls": "direct"} if address == server.tls else {"starttls": True} if address == server.required else {}
        streams(server.login(user, address=address, **tls)).ping()


def test_ten_restarts_leak_no_descriptors(new_server, streams):
    """Not even of connections whose peers neither read nor close."""
    server = new_server().start()

    def restart(stubborn):
        for address in (server.c2s, server.tls, server.http) if stubborn else ():
            streams(server.stream(address))
        assert server.ctl("restart").returncode == 0
        server.expect_notice("READY=1")
        server.api("status")
        return descriptors(server)

    first = restart(False)
    for i in range(9):
        last = restart(i < 2)
    # the connection of the test's last call may be there or not
    assert last <= first + 2


def test_restart_with_a_wrong_configuration_is_refused(new_server, streams):
    server = new_server().start()
    s = streams(server.login())
    right = server.config["hosts"]
    server.config["hosts"] = 7
    server.write_config()
    with pytest.raises(ApiError) as e:
        server.api("restart")
    assert e.value.status == 400 and "hosts" in e.value.body
    r = server.ctl("restart")
    assert r.returncode == 1 and "hosts" in r.stdout
    s.ping()
    server.config["hosts"] = right
    server.write_config()


def test_halt(new_server):
    """No answer, exit status 1, and what was acknowledged is there at the next start."""
    server = new_server().start()
    user = server.register()
    with pytest.raises(Exception):
        server.api("halt")
    assert server.wait_exit() == 1
    server.start()
    assert server.api("check_account", user=user, host="localhost") == 0


def test_stop_is_told_to_systemd(new_server):
    server = new_server().start()
    server.api("stop")
    assert "STOPPING=1" in server.expect_notice("STOPPING=1")[-1]
    server.expect_clean_exit()


@pytest.mark.parametrize("good", [True, False])
def test_reload_is_told_to_systemd(new_server, good):
    server = new_server().start()
    if not good:
        server.config["nonsense"] = 1
        with pytest.raises(ApiError):
            server.reload()
    else:
        server.reload()
    said = server.expect_notice("READY=1")
    assert "RELOADING=1" in said[0]
    server.config.pop("nonsense", None)
    server.write_config()


# --- stop_kindly, evacuate_kindly ---

def begin(server, command, delay, words):
    """Calls it over HTTP, where the connection closes without an answer, and waits for its first step."""
    with pytest.raises(Exception) as e:
        server.api(command, delay=delay, announcement=words)
    assert not isinstance(e.value, ApiError), e.value
    until(lambda: "Waiting" in server.log(), "the waiting")


def announcement(stream):
    m = stream.expect_tag(q("client", "message"))
    assert m.get("type") == "headline" and m.get("from") == "localhost" and m.get("to") == stream.jid
    return m.findtext(q("client", "subject")), m.findtext(q("client", "body"))


def test_stop_kindly(new_server, streams):
    server = new_server().start()
    available, silent = streams(server.login(presence=True)), streams(server.login())
    assert server.ctl("stop_kindly", "1", "Bye & bye <now>").stdout.count(" done\n") == 5
    for s in (available, silent):
        assert announcement(s) == ("Server stop in 1 seconds!", "Bye & bye <now>")
        s.expect_stream_error("system-shutdown")
    server.expect_clean_exit()


def test_kindly_waits_and_refuses(new_server, streams):
    """While it waits sessions go on, nobody new comes in, a second call is told so, and a plain stop goes ahead."""
    server = new_server().start()
    s = streams(server.login(presence=True))
    halfway = streams(server.stream())
    halfway.open_features()
    begin(server, "stop_kindly", 600, "Later")
    announcement(s)
    halfway.expect_stream_error("system-shutdown")
    s.ping()
    for address in (server.c2s, server.http):
        with pytest.raises((ConnectionRefusedError, Ended)):
            streams(server.stream(address)).open()
    for command in ("stop_kindly", "evacuate_kindly"):
        r = server.ctl(command, "0", "Again")
        assert r.returncode == 1 and "stop_kindly is under way" in r.stdout
    assert server.ctl("reload_config").returncode == 0
    with pytest.raises((ConnectionRefusedError, Ended)):  # a reload does not open what was closed
        streams(server.stream()).open()
    s.ping()
    assert server.ctl("stop").returncode == 0
    s.expect_stream_error("system-shutdown")
    server.expect_clean_exit()


def test_evacuate_kindly(new_server, streams):
    """The process stays without listeners, says so when asked again, and serves after a restart."""
    server = new_server().start()
    user = server.register()
    s = streams(server.login(user, presence=True))
    r = server.ctl("evacuate_kindly", "0", "Leave")
    assert r.returncode == 0 and r.stdout.startswith("[1/7 0s] Stopping ejabberd port listeners... done\n")
    announcement(s)
    s.expect_stream_error("system-shutdown")
    with pytest.raises((ConnectionRefusedError, Ended)):
        streams(server.stream()).open()
    assert server.ctl("status").returncode == 0
    r = server.ctl("evacuate_kindly", "0", "Leave")
    assert r.returncode == 1 and "evacuated already" in r.stdout
    assert server.ctl("restart").returncode == 0
    server.expect_notice("READY=1")
    streams(server.login(user)).ping()


def test_a_kind_stop_of_an_evacuated_server(new_server):
    server = new_server().start()
    assert server.ctl("evacuate_kindly", "0", "").returncode == 0
    assert server.ctl("stop_kindly", "0", "").returncode == 0
    server.expect_clean_exit()


@pytest.mark.parametrize("delay,words", [(-1, "x"), (10 ** 9, "x"), (0, "a\x01b"), (0, "x" * 20000)])
def test_kindly_with_wrong_arguments(server, delay, words):
    for command in ("stop_kindly", "evacuate_kindly"):
        with pytest.raises(ApiError) as e:
            server.api(command, delay=delay, announcement=words)
        assert e.value.status == 400
    server.login().close()


def test_kindly_goes_on_without_its_caller(new_server, streams):
    server = new_server().start()
    s = streams(server.login())
    caller = subprocess.Popen(server.ctl_words("stop_kindly", "1", "Bye"), stdout=subprocess.PIPE)
    caller.stdout.readline()
    caller.kill()
    caller.wait()
    caller.stdout.close()
    s.expect_stream_error("system-shutdown")
    server.expect_clean_exit()


# --- logs ---

def test_rotate_log_loses_no_line(new_server):
    """Lines that are logged while files are rotated are all there, each once, and as many old files as configured."""
    server = new_server(lambda c: c.update(log_rotate_count=3, loglevel="info")).start()
    names = [f"x{i}" for i in range(60)]

    def work():
        for name in names:
            server.api("register", user=name, host="localhost", password=PASSWORD)

    t = threading.Thread(target=work)
    t.start()
    assert server.api("rotate_log") == 0
    assert server.ctl("rotate_log").returncode == 0
    t.join()
    old = [server.logs / f"cjabberd.log.{i}" for i in range(5)]
    assert [f.exists() for f in old] == [True, True, False, False, False]
    text = "".join(f.read_text() for f in old[1::-1]) + server.log()
    assert [m for m in re.findall(r"calls register user=\"(x\d+)\"", text)] == names
    for _ in range(4):
        server.api("rotate_log")
    assert [f.exists() for f in old] == [True, True, True, False, False]


def test_reopen_log(new_server):
    server = new_server().start()
    file = server.logs / "cjabberd.log"
    server.api("register", user="before", host="localhost", password=PASSWORD)
    file.rename(server.logs / "moved")
    server.api("register", user="between", host="localhost", password=PASSWORD)
    assert server.api("reopen_log") == 0
    server.api("register", user="after", host="localhost", password=PASSWORD)
    until(lambda: "\"after\"" in server.log(), "the line in the new file")
    moved = (server.logs / "moved").read_text()
    assert "\"before\"" in moved and "\"between\"" in moved and "\"between\"" not in server.log()


def test_a_log_that_cannot_be_opened_is_no_success(new_server):
    server = new_server().start()
    file = server.logs / "cjabberd.log"
    file.rename(server.logs / "moved")
    file.mkdir()  # in the way
    with pytest.raises(ApiError) as e:
        server.api("reopen_log")
    assert e.value.status == 500 and "directory" in e.value.body
    r = server.ctl("reopen_log")
    assert r.returncode == 1 and "directory" in r.stdout
    file.rmdir()
    assert server.api("reopen_log") == 0


# --- the cluster secret ---

def test_cookie(new_server):
    server = new_server().start()
    file = server.spool / "cookie"
    secret = server.api("get_cookie")
    assert re.fullmatch("[A-Z]{32}", secret) and file.read_text() == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert server.ctl("get_cookie").stdout == secret + "\n"
    server.stop()
    server.start()
    assert server.api("get_cookie") == secret
    server.stop()
    file.write_text("MWTAVMODFELNLSMYXPPD\n")  # as copied from another node
    file.chmod(0o644)
    server.start()
    assert server.api("get_cookie") == "MWTAVMODFELNLSMYXPPD"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in server.log() and "MWTAV" not in server.log()


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"x" * 300, b"\xff\xfe"])
def test_a_broken_cookie_is_said(new_server, content):
    server = new_server(allow_errors=True)
    (server.spool / "cookie").write_bytes(content)
    with pytest.raises(AssertionError, match="cluster secret"):
        server.start()


# --- passwords ---

@pytest.mark.parametrize("method", sorted(HASHES))
def test_check_password_hash(new_plain, method):
    import hashlib
    try:
        right = hashlib.new(HASHES[method], "pässword".encode()).hexdigest()
    except ValueError:
        pytest.fail(f"no {method} to compare with")
    user = new_plain.register(password="pässword")
    ask = lambda digest, name=user: new_plain.api("check_password_hash", user=name, host="localhost", passwordhash=digest,
                                                  hashmethod=method)
    assert ask(right.upper()) == 0
    assert ask(right) == 1  # as recorded: compared as it stands
    assert ask(right.upper()[:-1]) == 1 and ask("") == 1
    assert ask(hashlib.new(HASHES[method], b"").hexdigest().upper(), "nobody") == 0


@pytest.fixture(scope="module")
def new_plain(tmp_path_factory):
    from server import Server
    with Server(tmp_path_factory.mktemp("plain"), plain) as s:
        yield s


def test_check_password_hash_with_an_unknown_method(new_plain):
    for method in ("md6", "", "shake128", "SHA256"):
        with pytest.raises(ApiError) as e:
            new_plain.api("check_password_hash", user="a", host="localhost", passwordhash="00", hashmethod=method)
        assert (e.value.status, json.loads(e.value.body)) == (400, "unkown_hash_method")


def test_check_password_hash_of_scram_keys(server):
    """Nothing fits, not even the digest of the empty password."""
    user = server.register()
    empty = "D41D8CD98F00B204E9800998ECF8427E"
    assert server.api("check_password_hash", user=user, host="localhost", passwordhash=empty, hashmethod="md5") == 1


MECHANISMS = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]


def test_convert_to_scram(new_server, streams):
    """All accounts of the host, others untouched; every login goes on, also with what was cached."""
    server = new_server(plain).start()
    names = [f"u{i}" for i in range(150)] + ["ünï"]
    for name in names:
        server.api("register", user=name, host="localhost", password=f"pw-{name}")
    server.api("register", user="other", host="example.test", password="pw-other")
    for mechanism in MECHANISMS:
        server.login("u1", password="pw-u1", mechanism=mechanism).close()
    assert server.api("convert_to_scram", host="localhost") == 0
    rows = stored(server)
    assert ("example.test", "other", 1, "pw-other") in rows
    assert {r[1] for r in rows if r[0] == "localhost"} == set(names)
    assert all(r[2] in (2, 3, 4) and not r[3].startswith("pw-") for r in rows if r[0] == "localhost")
    for name in ("u0", "u1", "u149", "ünï"):
        for mechanism in MECHANISMS:
            server.login(name, password=f"pw-{name}", mechanism=mechanism).close()
        assert server.api("check_password", user=name, host="localhost", password="wrong") == 1
    again = stored(server)
    assert server.api("convert_to_scram", host="localhost") == 0 and stored(server) == again


def test_convert_to_scram_is_resumed_after_a_crash(new_server):
    server = new_server(plain).start()
    names = [f"u{i:03}" for i in range(300)]
    for name in names:
        server.api("register", user=name, host="localhost", password=PASSWORD)
    caller = subprocess.Popen(server.ctl_words("convert_to_scram", "localhost"), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    until(lambda: any(r[2] != 1 for r in stored(server)), "the first batch")
    server.kill()
    caller.wait()
    kinds = {}
    for r in stored(server):
        kinds.setdefault(r[1], set()).add(r[2])
    assert set(kinds) == set(names) and all(k in ({1}, {2, 3, 4}) for k in kinds.values())
    server.start()
    for name in (names[0], names[-1]):
        assert server.api("check_password", user=name, host="localhost", password=PASSWORD) == 0
    assert server.api("convert_to_scram", host="localhost") == 0
    assert all(r[2] != 1 for r in stored(server))


def test_convert_to_scram_lets_others_work(new_server, streams):
    server = new_server(plain).start()
    for i in range(200):
        server.api("register", user=f"u{i}", host="localhost", password=PASSWORD)
    s = streams(server.login("u0", mechanism="PLAIN"))
    t = threading.Thread(target=server.api, args=("convert_to_scram",), kwargs={"host": "localhost"})
    t.start()
    pings = 0
    while t.is_alive():
        s.ping()
        server.login("u1", mechanism="SCRAM-SHA-256").close()
        pings += 1
    t.join()
    assert pings > 3


# --- memory ---

@pytest.mark.parametrize("how", ["http", "tool"])
def test_clear_cache(new_server, how):
    """What another program writes into the database counts after it."""
    server = new_server(plain).start()
    user = server.register(password="before")
    fits = lambda password: server.api("check_password", user=user, host="localhost", password=password) == 0
    assert fits("before")
    with sqlite3.connect(server.spool / "cjabberd.db", timeout=30) as db:
        db.execute("update users set password = 'after' where username = ?", (user,))
    assert fits("before") and not fits("after")
    assert (server.ctl("clear_cache").returncode if how == "tool" else server.api("clear_cache")) == 0
    assert fits("after") and not fits("before")


def test_clear_cache_of_data(new_server, streams):
    """The same for privacy lists, vCards and rosters of somebody who is there."""
    def configure(config):
        config["modules"].update({m: {} for m in ("mod_privacy", "mod_vcard", "mod_vcard_xupdate", "mod_roster")})
    server = new_server(configure).start()
    name = server.register()
    s = streams(server.login(name, "r", presence=True))
    lists = lambda: len(list(s.iq("<query xmlns='jabber:iq:privacy'/>").iter("{jabber:iq:privacy}list")))
    names = lambda: server.api_raw("get_vcard", f'{{"user": "{name}", "host": "localhost", "name": "FN"}}')[0]
    contacts = lambda: len(list(s.iq("<query xmlns='jabber:iq:roster'/>").iter("{jabber:iq:roster}item")))
    assert (lists(), names(), contacts()) == (0, 400, 0)
    with sqlite3.connect(server.spool / "cjabberd.db", timeout=30) as db:
        host = db.execute("select 1 from pragma_table_info('vcard') where name = 'server_host'").fetchone()
        keys, marks = ("username, server_host", "?, 'localhost'") if host else ("username", "?")
        db.execute(f"insert into privacy_list ({keys}, name) values ({marks}, 'new')", (name,))
        db.execute(f"insert into vcard ({keys}, vcard) values ({marks}, '<vCard xmlns=''vcard-temp''><FN>new</FN></vCard>')", (name,))
        db.execute(f"insert into rosterusers ({keys}, jid, nick, subscription, ask, askmessage, server, subscribe, type) "
                   f"values ({marks}, 'x@x.test', '', 'B', 'N', '', 'N', '', 'item')", (name,))
    server.api("clear_cache")
    assert (lists(), names(), contacts()) == (1, 200, 1)


def test_gc_gives_memory_back(new_server, streams):
    server = new_server().start()
    server.api("gc")
    before = server.rss()
    sessions = [streams(server.login(server.register())) for _ in range(4)]
    big = "x" * 200000
    for s in sessions:
        for _ in range(10):
            s.message(sessions[0].jid, big)
    # thousands of stanzas at once: stacks, arenas and buffers at their largest
    for s in sessions:
        s.send("<iq type='get' id='a'><ping xmlns='urn:xmpp:ping'/></iq>" * 3000)
    pump_all(sessions, lambda: all(sum(1 for e in s.items if e.get("id") == "a") >= 3000 for s in sessions), "the answers")
    for s in sessions:
        s.close()
    loaded = server.rss()
    assert server.api("gc") == 0
    after = server.rss()
    if not SANITIZED:  # the sanitizers keep what is freed
        assert after < loaded
        assert after < before + (6 << 20)


# --- old configurations ---

OLD = r"""
%% a school
override_global.
{define_macro, 'PORT', %d}.
{loglevel, 4}.
{hosts, ["school.example", "b.example"]}.
{listen, [{{'PORT', {127,0,0,1}}, ejabberd_c2s, [{access, c2s}, {shaper, c2s_shaper}, starttls, {max_stanza_size, 65536}]},
          {{%d, "127.0.0.1"}, ejabberd_http, [{request_handlers, [{["api"], mod_http_api}]}, http_poll, web_admin]}]}.
{acl, admin, {user, "root", "school.example"}}.
{acl, loopback, {ip, {127,0,0,0}, 8}}.
{access, c2s, [{deny, blocked}, {allow, all}]}.
{access, c2s_shaper, [{none, admin}, {normal, all}]}.
{access, max_user_sessions, [{10, all}]}.
{shaper, normal, {maxrate, 100000}}.
{include_config_file, "more.cfg"}.
{watchdog_admins, ["root@school.example"]}.
"""
MORE = r"""{modules, [{mod_ping, [{iqdisc, no_queue}]}, mod_time, {mod_irc, []}, {mod_last_odbc, []}]}."""


def test_dump_config_is_for_the_owner(server, tmp_path):
    """Also where a file, or a link that somebody else has laid, is in the way."""
    out, other = tmp_path / "new" / "dump.yml", tmp_path / "other.yml"
    assert server.api("dump_config", out=str(out)) == 0
    text = out.read_text()
    assert "mod_ping" in text and stat.S_IMODE(out.stat().st_mode) == 0o600
    out.write_text("old")
    out.chmod(0o666)
    with out.open() as old:
        assert server.api("dump_config", out=str(out)) == 0
        assert old.read() == "old"
    assert out.read_text() == text and stat.S_IMODE(out.stat().st_mode) == 0o600
    other.write_text("other")
    out.unlink()
    out.symlink_to(other)
    assert server.api("dump_config", out=str(out)) == 0
    assert other.read_text() == "other" and out.read_text() == text and not out.is_symlink()
    assert [p.name for p in out.parent.iterdir()] == ["dump.yml"]


def test_dump_config_does_not_wait_for_a_reader(server, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert server.api_raw("dump_config", json.dumps({"out": str(tmp_path / "fifo")}))[0] == 400
    assert server.api_raw("dump_config", json.dumps({"out": "/dev/full"})) == \
        (400, "\"Failed to write to '/dev/full': no space left on device\"")
    assert server.api_raw("dump_config", json.dumps({"out": str(tmp_path)}))[0] == 400


def test_convert_to_yaml(new_server, streams, tmp_path):
    """The result is accepted, and a server that is started with it serves."""
    server, second = new_server().start(), new_server()
    (tmp_path / "old.cfg").write_text(OLD % (second.c2s[1], second.http[1]))
    (tmp_path / "more.cfg").write_text(MORE)
    new = tmp_path / "sub" / "new.yml"
    assert server.api("convert_to_yaml", **{"in": str(tmp_path / "old.cfg"), "out": str(new)}) == 0
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    text = new.read_text()
    for note in ("watchdog_admins", "mod_irc", "http_poll", "iqdisc"):
        assert re.search(f"^#.*{note}", text, re.M), note
    r = subprocess.run([str(BINARY), "--check-config", "--config", str(new), "--spool", str(second.spool)], capture_output=True,
                       text=True)
    assert r.returncode == 0, r.stderr
    second.ip = "127.0.0.1"
    second.c2s, second.http = ("127.0.0.1", second.c2s[1]), ("127.0.0.1", second.http[1])
    second.write_config = lambda: second.config_file.write_text(text)
    second.start()
    assert second.ctl("register", "root", "school.example", PASSWORD).returncode == 0
    streams(second.login("root", host="school.example")).ping()


@pytest.mark.parametrize("content,words", [
    ("this is not (a config", "at line 1: syntax error before: is"),
    ("hosts:\n  - x.test\n", "at line 2: syntax error before: '-'"),
    ("{hosts, [\"a\"]}", "at line 1: syntax error before: end of file"),
    ("{a, \"b}.\n", "at line 1: unterminated"),
    ("[" * 100, "too many levels"),
    ("{a, X}.", "at line 1: syntax error before: X"),
])
def test_convert_to_yaml_of_something_else(server, tmp_path, content, words):
    (tmp_path / "old.cfg").write_text(content)
    with pytest.raises(ApiError) as e:
        server.api("convert_to_yaml", **{"in": str(tmp_path / "old.cfg"), "out": str(tmp_path / "new.yml")})
    assert e.value.status == 400
    assert json.loads(e.value.body).startswith(f"Failed to read configuration from '{tmp_path}/old.cfg': ")
    assert words in e.value.body
    assert not (tmp_path / "new.yml").exists()


def test_convert_to_yaml_of_what_is_no_file(server, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path, "illegal operation on a directory"), (tmp_path / "none", "no such file or directory"),
                        (pathlib.Path("/dev/zero"), "invalid argument"), (tmp_path / "pipe", "invalid argument")):
        with pytest.raises(ApiError) as e:
            server.api("convert_to_yaml", **{"in": str(path), "out": str(tmp_path / "new.yml")})
        assert e.value.status == 400 and words in e.value.body
