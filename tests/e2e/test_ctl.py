"""The command line tool: output and exit codes, --json, --dry-run, command files, a server that is not there, the server's start."""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import select
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import termios

import pytest

from server import BINARY, BUILD, CTL, SANITIZED, Server
from xmppstream import DEADLINE, until



def run(server, *words, program=CTL, stdin=None, **env):
    """One call of the tool; words are its command line after --spool."""
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run([str(program), "--spool", str(server.spool), *words], capture_output=True, text=not isinstance(stdin, bytes),
                          env={**os.environ, **env}, timeout=10 * DEADLINE, **given)


def done(r, code=0):
    assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    return r.stdout


def names(n, prefix="batch"):
    return [f"{prefix}{i}" for i in range(n)]


# --- name, options, output ---

def test_program_name_follows_the_call(server, tmp_path):
    other = tmp_path / "ejabberdctl"
    other.symlink_to(CTL)
    assert "Example: ejabberdctl register" in done(run(server, "help", "register", program=other))
    assert "Example: cjabberdctl register" in done(run(server, "help", "register"))
    assert run(server, "nosuch", program=other).returncode == 1


def test_options_before_the_command_only(server):
    assert done(run(server, "--version", "0", "--no-timeout", "registered_vhosts")) == "localhost\nexample.test\n"
    assert done(run(server, "--unknown", "status"), 1).startswith("Error: unknown option --unknown")
    assert "requires 1 less argument" in done(run(server, "status", "--json"), 2)


@pytest.mark.parametrize("words,body", [
    (["registered_vhosts"], ["example.test", "localhost"]),
    (["check_account", "nobody", "localhost"], 1),
    (["--version", "0", "stats", "registeredusers"], {"stat": 0}),
    (["--version", "0", "connected_users"], []),
])
def test_json_is_the_body_of_the_api(server, words, body):
    r = run(server, "--json", *words)
    got = json.loads(done(r, 1 if body == 1 else 0))
    if words[-1] == "registeredusers":
        assert set(got) == {"stat"}
    else:
        assert got == body
    assert r.stdout.count("\n") == 1


def test_json_of_texts_and_of_status(server):
    user = "json-user"
    assert json.loads(done(run(server, "--json", "register", user, "localhost", "pw"))) == f"User {user}@localhost successfully registered"
    assert "is running in that node" in json.loads(done(run(server, "--json", "status")))
    assert "Command Name: register" in json.loads(done(run(server, "--json", "help", "register")))
    error = json.loads(done(run(server, "--json", "register", user, "localhost", "pw"), 1))
    assert error["status"] == "error" and error["code"] == 10090 and user in error["message"]


@pytest.mark.parametrize("words,code,said", [
    (["nosuch"], 1, "unknown command 'nosuch'"),
    (["register", "a"], 2, "requires 2 more argument"),
    (["--version", "x", "status"], 1, "Invalid API version number"),
    (["--unknown"], 1, "unknown option"),
])
def test_json_of_errors_keeps_the_exit_code(server, words, code, said):
    error = json.loads(done(run(server, "--json", *words), code))
    assert error["status"] == "error" and said in error["message"] and not error["message"].startswith("Error")


def test_reason_goes_to_standard_error(server):
    r = run(server, "check_account", "nobody", "localhost")
    assert (r.returncode, r.stdout) == (1, "Error: false\n")
    assert r.stderr.startswith("Reason: ") and r.stderr.count("\n") == 1
    r = run(server, "--json", "check_account", "nobody", "localhost")
    assert r.stdout == "1\n" and r.stderr.startswith("Reason: ")


def test_dry_run(server):
    user = server.register("dry")
    shown = done(run(server, "--dry-run", "unregister", user, "localhost"))
    assert user in shown and "1 would be touched" in shown
    asked = json.loads(done(run(server, "--dry-run", "--json", "unregister", user, "localhost")))
    assert asked["dry_run"] is True and asked["count"] == 1 and user in asked["items"][0]
    assert done(run(server, "check_account", user, "localhost")) == ""
    refused = run(server, "--dry-run", "register", "dry-never", "localhost", "pw")
    assert refused.returncode == 1 and "without doing it" in refused.stdout
    assert run(server, "check_account", "dry-never", "localhost").returncode == 1


def test_words_that_are_no_utf8(server):
    r = subprocess.run([str(CTL).encode(), b"--spool", str(server.spool).encode(), b"check_account", b"a\xff", b"localhost"],
                       capture_output=True)
    assert r.returncode == 1 and b"not UTF-8" in r.stdout and b"\xff" not in r.stdout
    r = subprocess.run([str(CTL).encode(), b"--spool", str(server.spool).encode(), b"--json", b"\xfe\xff"], capture_output=True)
    assert r.returncode == 1 and json.loads(r.stdout)["status"] == "error"


def test_arguments_that_are_too_long(server):
    r = run(server, *["x"] * 1100)
    assert r.returncode == 1 and "too long" in r.stderr and r.stdout == ""


def test_large_arguments_arrive_whole(server):
    """Larger than what the server is offered at once."""
    user, text = server.register("large"), "ä" * 60000
    assert done(run(server, "set_last", user, "localhost", "1234567890", text)) == ""
    assert server.api("get_last", user=user, host="localhost")["status"] == text
    text = "line " * 180000
    assert done(run(server, "-", stdin=f"set_last {user} localhost 1234567890 '{text}'\n")) == ""
    assert server.api("get_last", user=user, host="localhost")["status"] == text


# --- credentials ---

def test_auth(server):
    user = server.register("auth", password="right")
    assert done(run(server, "--auth", user, "localhost", "right", "registered_vhosts")) == "localhost\nexample.test\n"
    r = run(server, "--auth", user, "localhost", "wrong", "unregister", user, "localhost")
    assert r.returncode == 1 and "not authorized" in r.stdout
    for nobody in (("nobody", "localhost"), (user, "elsewhere.test"), ("", "localhost"), ("a@b", "localhost")):
        assert run(server, "--auth", *nobody, "right", "registered_vhosts").returncode == 1
    assert done(run(server, "check_account", user, "localhost")) == ""
    assert "is started" in done(run(server, "--auth", user, "localhost", "wrong", "status"))  # as recorded


def test_auth_names_an_account_to_the_rules(new_server):
    def only_alice(config):
        config["acl"]["alice"] = {"user": ["alice@localhost"]}
        config["api_permissions"]["tests"]["from"] = "mod_http_api"
        config["api_permissions"]["console commands"] = {
            "from": "ejabberd_ctl", "who": {"access": {"allow": [{"acl": "alice"}]}}, "what": ["registered_vhosts"]}

    server = new_server(only_alice).start()
    for user in ("alice", "bob"):
        server.api("register", user=user, host="localhost", password="pw")
    assert done(run(server, "registered_vhosts")) == "localhost\nexample.test\n"  # the owner of the socket is asked nothing
    assert run(server, "--auth", "bob", "localhost", "pw", "registered_vhosts").returncode == 1
    assert done(run(server, "--auth", "alice", "localhost", "pw", "registered_vhosts")) == "localhost\nexample.test\n"
    assert run(server, "--auth", "alice", "localhost", "pw", "registered_users", "localhost").returncode == 1


# --- command files ---

def test_batch_from_standard_input(server):
    lines = "\n".join(f"register {n} localhost pw" for n in names(5)) + "\n# a comment\n\n   registered_vhosts # and one behind\n"
    out = done(run(server, "-", stdin=lines)).splitlines()
    assert len(out) == 7 and out[5:] == ["localhost", "example.test"]
    assert done(run(server, "--batch", stdin="check_account batch0 localhost")) == ""


def test_batch_file_and_quoting(server, tmp_path):
    user = server.register("quote")
    file = tmp_path / "commands"
    for written, meant in [("'a b # c'", "a b # c"), ('"a \\"b\\" \\\\ \\x $HOME"', 'a "b" \\ \\x $HOME'), ("a\\ b'c d'\"e f\"", "a bc de f"),
                           (r"$'1\n2\t3\'4'", "1\n2\t3'4"), ("''", ""), ("a#b", "a#b"), ("äöü", "äöü"), ("'\\'", "\\")]:
        file.write_text(f"set_last {user} localhost 7 {written}")
        done(run(server, "--batch", str(file)))
        assert server.api("get_last", user=user, host="localhost")["status"] == meant, written


def test_batch_of_another_system(server):
    """A byte order mark and DOS line ends."""
    assert done(run(server, "-", stdin=b"\xef\xbb\xbfregistered_vhosts\r\nregistered_vhosts\r\n")) == b"localhost\nexample.test\n" * 2


@pytest.mark.parametrize("line,said", [
    ("register 'a localhost pw", "a quote is not closed"), ('register "a', "a quote is not closed"), ("register a\\", "backslash"),
    ("register $'\\q'", "unknown escape"), ("started", "cannot stand in a command file"), ("register a\0b", "NUL"),
    ("x " * 2000, "too many words"),
])
def test_batch_lines_that_are_no_commands(server, line, said):
    r = run(server, "-", stdin=f"registered_vhosts\n{line}\nregistered_vhosts\n")
    assert r.returncode == 1 and r.stdout == "localhost\nexample.test\n"
    assert "line 2: " in r.stderr and said in r.stderr


def test_batch_ends_at_the_first_failure(server):
    r = run(server, "-", stdin="registered_vhosts\n\ncheck_account nobody localhost\nregistered_vhosts\n")
    assert (r.returncode, r.stdout) == (1, "localhost\nexample.test\nError: false\n")
    assert "line 3: check_account: exit code 1" in r.stderr


def test_batch_keeps_going(server):
    r = run(server, "--keep-going", "-", stdin="register a\nregister ' \nnosuch\nregistered_vhosts\n")
    assert r.returncode == 2 and r.stdout.endswith("localhost\nexample.test\n")  # the code of the first
    for words in ("line 1: register: exit code 2", "line 2: a quote", "line 3: nosuch: exit code 1", "3 of the lines failed, the first was line 1"):
        assert words in r.stderr


def test_batch_never_repeats_a_secret(server):
    r = run(server, "--keep-going", "-", stdin="register a nowhere.test hidden1\nregister hidden2\nregister 'hidden3\n")
    assert "hidden" not in r.stderr and r.returncode == 1


def test_batch_options(server):
    """Those of the command line stand in front of every line's own."""
    r = run(server, "--json", "-", stdin="registered_vhosts\n--version 0 stats registeredusers\ncheck_account nobody localhost\n")
    vhosts, stats, check = r.stdout.splitlines()
    assert json.loads(vhosts) == ["example.test", "localhost"] and set(json.loads(stats)) == {"stat"} and check == "1"
    assert run(server, "--batch", "-", "status", stdin="").returncode == 2
    assert run(server, "--batch", "/nonexistent/file").returncode == 1
    assert done(run(server, "-", stdin="")) == ""
    assert done(run(server, "--batch", "/dev/null")) == ""


def test_batch_is_one_connection(server):
    with piped_batch(server) as p:
        send(p, "registered_vhosts\n", "localhost\nexample.test\n")
        before = server.sockets()
        for _ in range(50):
            send(p, "registered_vhosts\n", "localhost\nexample.test\n")
        assert server.sockets() == before


@contextlib.contextmanager
def piped_batch(server, *words):
    p = subprocess.Popen([str(CTL), "--spool", str(server.spool), *words, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, bufsize=0)
    try:
        yield p
    finally:
        with contextlib.suppress(BrokenPipeError):
            p.stdin.close()
        p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()


def read_exactly(f, n):
    got = b""
    while len(got) < n:
        part = f.read(n - len(got))
        assert part, f"the output ended after {got!r}"
        got += part
    return got


def send(p, lines, answer):
    p.stdin.write(lines.encode())
    assert read_exactly(p.stdout, len(answer)) == answer.encode()


def peak(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


def test_batch_of_100000_lines_in_constant_memory(server):
    lines, answer = "registered_vhosts # a line\n" * 1000, "localhost\nexample.test\n" * 1000
    with piped_batch(server) as p:
        send(p, lines, answer)
        tool, served = peak(p.pid), server.rss()
        for _ in range(99):
            send(p, lines, answer)
        assert peak(p.pid) - tool < 256 << 10
        assert SANITIZED or server.rss() - served < 4 << 20
        p.stdin.close()
        assert p.wait(DEADLINE) == 0


def test_batch_goes_on_after_a_restart(new_server):
    """By a line of its own, or by somebody else between two lines."""
    server = new_server().start()
    r = run(server, "-", stdin="registered_vhosts\nrestart\nregistered_vhosts\n")
    assert (r.returncode, r.stdout) == (0, "localhost\nexample.test\n" * 2), r.stderr
    with piped_batch(server) as p:
        send(p, "registered_vhosts\n", "localhost\nexample.test\n")
        assert run(server, "restart").returncode == 0
        send(p, "registered_vhosts\n", "localhost\nexample.test\n")
        server.stop()
    server.start()


# --- pipes, signals, slow readers ---

def test_closed_output_ends_without_a_word(server):
    for sigpipe in (signal.SIG_DFL, signal.SIG_IGN):
        reader, writer = os.pipe()
        os.close(reader)
        p = subprocess.Popen([str(CTL), "--spool", str(server.spool), "--dump-api"], stdout=writer, stderr=subprocess.PIPE,
                             preexec_fn=lambda s=sigpipe: signal.signal(signal.SIGPIPE, s), restore_signals=False)
        os.close(writer)
        assert p.stderr.read() == b""
        assert p.wait(DEADLINE) in (1, -signal.SIGPIPE)
        p.stderr.close()
    server.api("status")


def test_full_output_device_is_an_error(server):
    with open("/dev/full", "wb") as full:
        r = subprocess.run([str(CTL), "--spool", str(server.spool), "registered_vhosts"], stdout=full, stderr=subprocess.PIPE)
    assert r.returncode == 1 and b"cannot write" in r.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_descriptors(server, closed):
    """The socket must not become standard output or standard error."""
    script = f"exec {closed}; exec {CTL} --spool {server.spool} check_account nobody localhost"
    assert subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE).returncode == 1
    user = server.register("closed")
    assert subprocess.run(["sh", "-c", script.replace("nobody", user)], stdin=subprocess.DEVNULL).returncode == 0


def waiting_bytes(fd):
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0]


def test_slow_reader_gets_everything(server):
    """The tool blocks on a full pipe; the server goes on with others meanwhile."""
    whole = done(run(server, "--dump-api"))
    assert len(whole) > 65536
    with piped_batch(server, "--dump-api") as p:
        p.stdin.write(b"x\n" * 20)
        until(lambda: waiting_bytes(p.stdout.fileno()) >= 32768, "a full pipe")
        assert done(run(server, "registered_vhosts")) == "localhost\nexample.test\n"
        for _ in range(20):
            assert read_exactly(p.stdout, len(whole.encode())) == whole.encode()


def test_stop_does_not_wait_for_a_slow_reader(new_server):
    server = new_server().start()
    with piped_batch(server, "--dump-api") as p:
        p.stdin.write(b"x\n" * 50)
        until(lambda: waiting_bytes(p.stdout.fileno()) >= 32768, "a full pipe")
        server.stop()


def test_many_at_once(server):
    """More than the socket's backlog."""
    tools = [subprocess.Popen([str(CTL), "--spool", str(server.spool), "register", f"many{i}", "localhost", "pw"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for i in range(100)]
    failures = [(p.returncode, err) for p in tools for err in (p.communicate(timeout=DEADLINE)[1],) if p.returncode or err]
    assert failures == []
    assert sum(u.startswith("many") for u in done(run(server, "registered_users", "localhost")).split()) == 100


def test_halt_has_no_answer(new_server):
    for words, stdin in ((["halt"], None), (["-"], "halt\n")):
        server = new_server().start()
        r = run(server, *words, stdin=stdin)
        assert (r.returncode, r.stdout, r.stderr) == (0, "", "")
        server.wait_exit()
        assert run(server, "status").returncode == 3


def test_interrupt_ends_the_tool_only(server):
    with piped_batch(server, "--dump-api") as p:
        p.stdin.write(b"x\n" * 20)
        until(lambda: waiting_bytes(p.stdout.fileno()) >= 32768, "a full pipe")
        p.send_signal(signal.SIGINT)
        assert p.wait(DEADLINE) == -signal.SIGINT
    assert done(run(server, "registered_vhosts")) == "localhost\nexample.test\n"


def test_server_that_dies_between_commands(new_server):
    server = new_server().start()
    with piped_batch(server, "--timeout", "1", "--keep-going") as p:
        send(p, "registered_vhosts\n", "localhost\nexample.test\n")
        server.kill()
        p.stdin.write(b"registered_vhosts\nregistered_vhosts\n")
        p.stdin.close()
        assert p.wait(DEADLINE) == 3
        assert b"no server runs" in p.stderr.read() and p.stdout.read() == b""
    server.start()


@contextlib.contextmanager
def fake_server(server, *words):
    """The tool, and the connection on which a test plays the server."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(server.spool / "cjabberd.ctl"))
        s.listen(1)
        p = subprocess.Popen([str(CTL), "--spool", str(server.spool), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        c, _ = s.accept()
        try:
            yield p, c
        finally:
            c.close()
            p.kill()
            p.communicate()


def frame(kind, text):
    return kind + struct.pack("<I", len(text)) + text


@pytest.mark.parametrize("said", [b"", b"o", frame(b"o", b"half") + b"o", frame(b"o", b"half") + frame(b"o", b"0123456789")[:7],
                                  frame(b"x", b"")[:5], b"x\1\0\0\0"], ids=range(6))
def test_answer_that_is_cut_off(new_server, said):
    with fake_server(new_server(), "registered_vhosts") as (p, c):
        c.recv(65536)
        c.sendall(said)
        c.close()
        out, err = p.communicate(timeout=DEADLINE)
    assert p.returncode == 3 and b"the server ended the connection before the command was done" in err
    assert out in (b"", b"half", b"half01")


def test_unknown_frames_are_passed_over(new_server):
    """What a newer server may say."""
    frames = b"".join([frame(b"z", b"unknown"), frame(b"o", b"out"), frame(b"e", b"err"), frame(b"z", b""), frame(b"x", b"\x05")])
    with fake_server(new_server(), "status") as (p, c):
        for i in range(len(frames)):
            c.sendall(frames[i:i + 1])
        assert p.communicate(timeout=DEADLINE) == (b"out", b"err") and p.returncode == 5


# --- who may talk to whom ---

def test_socket_is_the_owners_alone(server):
    mode = (server.spool / "cjabberd.ctl").stat()
    assert stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid == os.geteuid()


FAKE = """
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
if os.geteuid() == 0 and sys.argv[2] == "other":
    os.setuid(65534)
s.listen(1)
print("listening", flush=True)
c, _ = s.accept()
sys.stdout.buffer.write(c.recv(65536))
c.sendall(b"x\\x01\\0\\0\\0\\x07")
"""


@pytest.mark.parametrize("who", ["own", "other"])
def test_nothing_is_said_to_a_stranger(new_server, who):
    """A socket that another user's process listens on gets no passwords; one of the own user's does."""
    server = new_server()
    p = subprocess.Popen(["/usr/bin/python3", "-c", FAKE, str(server.spool / "cjabberd.ctl"), who], stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"listening\n"
        r = run(server, "register", "a", "localhost", "hidden")
        trusted = who == "own" or os.geteuid() != 0
        assert (b"hidden" in p.stdout.read()) == trusted
        assert r.returncode == (7 if trusted else 3)
        assert trusted or "another user's process: nothing was sent" in r.stderr
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_long_spool_path(new_server):
    """Longer than an address of a local socket can be."""
    server = new_server()
    server.spool = server.folder / ("d" * 100) / ("e" * 100)
    server.spool.mkdir(parents=True)
    server.start()
    assert done(run(server, "registered_vhosts")) == "localhost\nexample.test\n"
    server.stop()
    assert not (server.spool / "cjabberd.ctl").exists()


# --- a server that does not run ---

def test_status_of_a_server_that_never_ran(new_server):
    server = new_server()
    r = run(server, "--logs", str(server.logs), "status")
    assert done(r, 3).startswith(f"The server is not running on {server.spool}.\n")
    assert "cjabberd.pid: none" in r.stdout and "cjabberd.ctl: none" in r.stdout and "Start it with: " in r.stdout
    error = json.loads(done(run(server, "--json", "status"), 3))
    assert error["status"] == "error" and error["code"] == 3 and error["pid_file"] == "none"


def test_status_after_a_crash(new_server):
    server = new_server().start()
    pid = server.pid
    until(server.log, "the first line of the log")  # a thread of its own writes it
    server.kill()
    r = done(run(server, "status"), 3)
    assert "ended without cleaning up" in r and f"stale, of process {pid}" in r and "left behind, nobody listens" in r
    tail = [line.strip() for line in r.split("its last lines:\n")[1].splitlines() if line.startswith("    ")]
    assert 1 <= len(tail) <= 5 and tail == server.log().splitlines()[-len(tail):]


def test_status_shows_the_log_bounded(new_server):
    server = new_server()
    (server.logs / "cjabberd.log").write_text("x" * 100000 + "\n" + "\x1b[2Jevil\n" * 3 + "y" * 3000 + "\nlast\n")
    r = done(run(server, "--logs", str(server.logs), "status"), 3)
    assert "last\n" in r and "?[2Jevil" in r and "\x1b" not in r and len(r) < 8000


def test_status_of_a_server_on_its_way(new_server):
    """It holds the lock, but the socket is not there (any more)."""
    server = new_server()
    with open(server.spool / "cjabberd.pid", "w") as f:
        f.write("4711\n")
        f.flush()
        fcntl.flock(f, fcntl.LOCK_EX)
        assert "starting or stopping" in done(run(server, "status"), 3)
        r = run(server, "registered_vhosts")
        assert r.returncode == 3 and r.stdout == "" and "starting or stopping" in r.stderr
        r = run(server, "--timeout", "1", "start")
        assert r.returncode == 1 and "neither answers nor ends" in r.stderr
        assert run(server, "--timeout", "1", "stopped").returncode == 1
    done(run(server, "stopped"))


@pytest.mark.parametrize("words", [["registered_vhosts"], ["stop"], ["nosuch"], ["help"], []])
def test_every_command_says_in_short_that_no_server_runs(new_server, words):
    r = run(new_server(), *words)
    assert r.returncode == 3 and r.stdout == ""
    assert r.stderr.splitlines()[0].startswith("cjabberdctl: no server runs on ") and "cjabberdctl status" in r.stderr
    assert (len(r.stderr.splitlines()) == 1) == bool(words)


def test_batch_without_a_server(new_server):
    r = run(new_server(), "--keep-going", "-", stdin="# nothing yet\nstatus\nstatus\n")
    assert r.returncode == 3 and r.stdout == "" and r.stderr.count("no server runs") == 1


# --- the server's life ---

@pytest.fixture
def daemon(new_server):
    """A server that the tool starts; what is left of it at the end is ended."""
    server = new_server()
    server.write_config()
    yield server
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = pid_of(server)
        os.kill(pid, signal.SIGKILL)
    said = "".join(f.read_text(errors="replace") for f in server.logs.glob("cjabberd.*"))
    assert "Sanitizer" not in said and "runtime error" not in said, said


def pid_of(server):
    return int((server.spool / "cjabberd.pid").read_text().split("\n")[0])


def started(server, verb, *more):
    return ["--config", str(server.config_file), "--logs", str(server.logs), *more, verb]


def test_start_and_stop(daemon):
    assert done(run(daemon, *started(daemon, "start"))) == ""
    pid = pid_of(daemon)
    assert os.getsid(pid) == pid and os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert "is started" in done(run(daemon, "status"))
    assert done(run(daemon, "ping")) == "pong\n"
    done(run(daemon, "started"))
    r = run(daemon, *started(daemon, "start"))
    assert r.returncode == 1 and "runs on" in r.stderr and "already" in r.stderr
    done(run(daemon, "stop"))
    done(run(daemon, "stopped"))
    assert not pathlib.Path(f"/proc/{pid}").exists() or "Z" in pathlib.Path(f"/proc/{pid}/stat").read_text()
    assert done(run(daemon, "ping"), 1) == "pang\n"
    assert "cjabberd is stopped" in done(run(daemon, "--logs", str(daemon.logs), "status"), 3)


def test_start_right_after_stop(daemon):
    """A server that is still ending is waited for."""
    done(run(daemon, *started(daemon, "start")))
    for _ in range(3):
        done(run(daemon, "stop"))
        done(run(daemon, *started(daemon, "start")))
    done(run(daemon, "stop"))
    done(run(daemon, "stopped"))


def test_restart_keeps_the_process_and_started_waits_for_the_new_one(daemon):
    done(run(daemon, *started(daemon, "start")))
    pid = pid_of(daemon)
    done(run(daemon, "register", "kept", "localhost", "pw"))
    for _ in range(3):
        done(run(daemon, "restart"))
        done(run(daemon, "started"))
        done(run(daemon, "check_account", "kept", "localhost"))
        assert pid_of(daemon) == pid
    done(run(daemon, "stop"))
    done(run(daemon, "stopped"))


def test_start_says_why_it_failed(daemon):
    daemon.config["hostz"] = ["x"]
    daemon.write_config()
    r = run(daemon, *started(daemon, "start"))
    assert r.returncode == 1 and "did not start" in r.stderr and "hostz" in r.stderr
    r = run(daemon, *started(daemon, "start", "--server", "/nonexistent"))
    assert r.returncode == 1 and "cannot run /nonexistent" in r.stderr
    assert run(daemon, "status").returncode == 3


def test_start_of_relative_paths(daemon):
    r = subprocess.run([str(CTL), "--config", "ejabberd.yml", "--spool", "spool", "--logs", "logs", "start"], cwd=daemon.folder,
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    done(run(daemon, "restart"))
    done(run(daemon, "started"))
    done(run(daemon, "stop"))
    done(run(daemon, "stopped"))


def test_start_by_root_is_a_start_by_the_owner():
    """Files that root makes in the spool folder would shut the server out later."""
    folder = pathlib.Path(tempfile.mkdtemp())
    server = Server(folder)
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    try:
        server.write_config()
        program = shutil.copy(BINARY, folder / "cjabberd")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, owner if owner == 65534 else -1)
        done(run(server, *started(server, "start", "--server", str(program))))
        uids = next(line for line in pathlib.Path(f"/proc/{pid_of(server)}/status").read_text().splitlines() if line.startswith("Uid:"))
        assert set(uids.split()[1:]) == {str(owner)}
        assert (server.spool / "cjabberd.ctl").stat().st_uid == owner
        done(run(server, "registered_vhosts"))  # root may ask it
        done(run(server, "stop"))
        done(run(server, "stopped"))
    finally:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(pid_of(server), signal.SIGKILL)
        shutil.rmtree(folder)


def test_started_has_a_limit(new_server):
    r = run(new_server(), "--timeout", "1", "started")
    assert r.returncode == 3 and "no server runs" in r.stderr
    for bad in ("0", "x", "", "999999999"):
        assert run(new_server(), "--timeout", bad, "started").returncode == 2


def spawn(server, *words, **options):
    return subprocess.Popen([str(CTL), "--spool", str(server.spool), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def read_until(f, words):
    got = b""
    while words not in got:
        part = os.read(f.fileno(), 65536)
        assert part, got
        got += part
    return got


def test_foreground(daemon):
    """The same process, its log on standard error; signals reach the server."""
    p = spawn(daemon, "--config", str(daemon.config_file), "foreground")
    read_until(p.stderr, b"is started")
    assert pid_of(daemon) == p.pid
    r = done(run(daemon, "ping"))
    assert r == "pong\n"
    p.terminate()
    assert b"cjabberd is stopped" in p.communicate(timeout=DEADLINE)[1] and p.returncode == 0


def test_foreground_quiet(daemon):
    p = spawn(daemon, *started(daemon, "foreground-quiet"))
    done(run(daemon, "started"))
    done(run(daemon, "stop"))
    assert p.communicate(timeout=DEADLINE) == (b"", b"") and p.returncode == 0
    assert "cjabberd is stopped" in daemon.log()


def test_live_shows_the_log_of_a_running_server(new_server):
    server = new_server().start()
    p = spawn(server, "live")
    read_until(p.stderr, b"Ctrl-C")
    read_until(p.stdout, b"is started")
    server.register("seen-live")
    read_until(p.stdout, b"seen-live")
    server.api("rotate_log")
    server.register("after-rotation")
    read_until(p.stdout, b"after-rotation")
    p.send_signal(signal.SIGINT)
    assert p.wait(DEADLINE) == -signal.SIGINT
    p.communicate()
    p = spawn(server, "live")
    read_until(p.stderr, b"Ctrl-C")
    server.stop()
    out, err = p.communicate(timeout=DEADLINE)
    assert p.returncode == 0 and b"cjabberd is stopped" in out and b"the server has ended" in err


def test_live_runs_a_stopped_server(daemon):
    p = spawn(daemon, *started(daemon, "live"))
    read_until(p.stderr, b"end with Ctrl-C")
    assert done(run(daemon, "get_loglevel")) == "debug\n"
    done(run(daemon, "register", "seen-live", "localhost", "pw"))
    read_until(p.stdout, b"seen-live")
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=DEADLINE)
    assert p.returncode == 0 and b"cjabberd is stopped" in out
    assert run(daemon, "status").returncode == 3


@pytest.mark.parametrize("verb", ["debug", "iexdebug", "etop"])
def test_verbs_that_only_erlang_has(new_server, verb):
    r = run(new_server(), verb)
    assert r.returncode == 1 and r.stdout == "" and "no Erlang" in r.stderr
    assert run(new_server(), verb, "extra").returncode == 2


def test_settings_from_ejabberdctl_cfg(daemon, tmp_path):
    cfg = tmp_path / "ejabberdctl.cfg"
    cfg.write_text(f"# settings\n#SPOOL_DIR=/nowhere\nEJABBERD_CONFIG_PATH='{daemon.config_file}'\nSPOOL_DIR=\"{daemon.spool}\"\n"
                   f"export LOGS_DIR={daemon.logs}\nERLANG_NODE=me@here\nPOLL=true\nif [ x ]; then\nfi\n")

    def tool(*words, **env):
        return subprocess.run([str(CTL), *words], capture_output=True, text=True, env={**os.environ, **env})

    done(tool("--ctl-config", str(cfg), "start"))
    assert "me@here" in done(tool("status", CJABBERD_CTL_CONFIG=str(cfg)))
    assert "me@here" in done(tool("--config-dir", str(tmp_path), "status"))
    assert tool("--spool", str(tmp_path), "status", CJABBERD_CTL_CONFIG=str(cfg)).returncode == 3  # the command line wins
    done(tool("--ctl-config", str(cfg), "stop"))
    done(tool("--ctl-config", str(cfg), "stopped"))
    assert tool("--ctl-config", "/nonexistent.cfg", "status").returncode == 2
    cfg.write_text("SPOOL_DIR=$HOME/spool\n")
    assert "substitutions" in tool("--ctl-config", str(cfg), "status").stderr


# --- completion ---

def complete(words, shell_path=None):
    """What bash offers for the last of these words."""
    script = BUILD / "tools" / "ctl" / "cjabberdctl.bash"
    text = (f". {shlex.quote(str(script))}; COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1}; "
            "_cjabberdctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
    r = subprocess.run(["bash", "--norc", "-c", text], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    return [w for w in r.stdout.splitlines() if w]


def test_bash_completion(new_server):
    assert complete(["cjabberdctl", "regis"]) == ["register", "registered_users", "registered_vhosts"]
    assert complete(["cjabberdctl", "--json", "check-acc"]) == ["check_account"]
    assert "foreground-quiet" in complete(["ejabberdctl", "foreground-"])
    assert complete(["cjabberdctl", "--dr"]) == ["--dry-run"]
    assert complete(["cjabberdctl", "--version", ""]) == ["0", "1", "2", "3"]
    assert "accounts" in complete(["cjabberdctl", "help", "acc"]) and "accounts" not in complete(["cjabberdctl", "acc"])
    assert complete(["cjabberdctl", "register", ""])[0] == "<user>"
    assert complete(["cjabberdctl", "--auth", "u", "h", "p", "register", "bob", "example.test", ""])[0] == "<password>"
    assert complete(["cjabberdctl", "set_loglevel", "deb"]) == ["debug"]
    assert complete(["cjabberdctl", "status", ""]) == []
    assert complete(["cjabberdctl", "completion", ""]) == ["bash", "zsh"]
    nobody = new_server()
    assert complete([str(CTL), "--spool", str(nobody.spool), "register", "bob", ""])[0] == "<host>"


def test_bash_completion_asks_a_running_server_for_hosts(server):
    assert complete([str(CTL), "--spool", str(server.spool), "register", "bob", ""]) == ["localhost", "example.test"]
    assert complete([str(CTL), "--spool", str(server.spool), "register", "bob", "ex"]) == ["example.test"]


def test_completion_is_printed_without_a_server(server, new_server):
    nobody = new_server()
    for shell, file in (("bash", "cjabberdctl.bash"), ("zsh", "_cjabberdctl")):
        assert done(run(nobody, "completion", shell)) == (BUILD / "tools" / "ctl" / file).read_text()
    assert run(nobody, "completion").returncode == 2 and run(nobody, "completion", "fish").returncode == 2
    zsh = (BUILD / "tools" / "ctl" / "_cjabberdctl").read_text()
    for name in json.loads(done(run(server, "--dump-api"))):
        assert f"'{name}:" in zsh or name not in done(run(server, "help", "commands")).split()


def test_on_a_terminal(server):
    """Standard input and output of a terminal: a command file line by line."""
    master, slave = pty.openpty()
    p = subprocess.Popen([str(CTL), "--spool", str(server.spool), "-"], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, b"registered_vhosts\n")
    got = b""
    while b"example.test\r\n" not in got:
        assert select.select([master], [], [], DEADLINE)[0], got
        got += os.read(master, 4096)
    os.write(master, b"\x04")
    assert p.wait(DEADLINE) == 0
    os.close(master)
