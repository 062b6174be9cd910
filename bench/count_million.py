#!/usr/bin/python3
"""What counting costs at a million sessions, a million accounts, a queue of 100,000 messages and a roster of 10,000 contacts.

The sessions need no sockets: they are put into the embedded store as sessions that wait for resumption (XEP-0198, table
cj_sm_session), as a server that was stopped leaves them, and the server brings all of them back when it starts; a tenth shows
"away". Each command is asked over one HTTP connection; CPU is that of the whole server, user and system, the request included.
The first call is told apart: it may have to count what later ones only look up. Exit status 1: a count was wrong, or took more
than a millisecond of CPU. Needs about 3 GB of memory for a million."""
import argparse
import contextlib
import json
import os
import pathlib
import socket
import sqlite3
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
LIMIT_MS, CALLS = 1.0, 200
CONTACTS, ASKING = 10000, 100


def name(i):
    return f"account-{i:07}"


def session(i, until):
    show = "<show>away</show>" if i % 10 == 0 else ""
    data = (f"<session xmlns='jabber:client' ns='3' wait='86400' had='1' carbons='0' keeps='0' takes='1' roster='0'>"
            f"<presence from='{name(i)}@localhost/r'>{show}</presence></session>")
    return (f"{i:024x}", "localhost", name(i), "r", 0, 0, until, data)


def fill(server, sessions, messages):
    file = next(f for f in server.spool.rglob("*") if f.is_file() and f.open("rb").read(15) == b"SQLite format 3")
    until = int(time.time()) + 86400
    with contextlib.closing(sqlite3.connect(file)) as db:
        def columns(table):
            return ["server_host"] if "server_host" in [c[1] for c in db.execute(f"PRAGMA table_info({table})")] else []
        host = columns("users")
        db.executemany(f"INSERT INTO users ({','.join(host + ['username', 'type', 'password'])}) VALUES ({'?,' * len(host)}?, 1, 'x')",
                       ((*["localhost"] * len(host), name(i)) for i in range(sessions)))
        db.executemany("INSERT INTO cj_sm_session (id, host, username, resource, handled, acked, expires, data) "
                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (session(i, until) for i in range(sessions)))
        host = columns("spool")
        xml = f"<message xmlns='jabber:client' to='{name(0)}@localhost' from='a@localhost' type='chat'><body>waits</body></message>"
        db.executemany(f"INSERT INTO spool ({','.join(host + ['username', 'xml'])}) VALUES ({'?,' * len(host)}?, ?)",
                       ((*["localhost"] * len(host), name(0), xml) for _ in range(messages)))
        host = columns("rosterusers")
        names = host + ["username", "jid", "nick", "subscription", "ask", "askmessage", "server", "subscribe", "type"]
        db.executemany(f"INSERT INTO rosterusers ({','.join(names)}) VALUES ({'?,' * len(host)}?, ?, ?, ?, ?, '', 'N', '', 'item')",
                       ((*["localhost"] * len(host), name(sessions), f"contact-{i:05}@elsewhere.test", "" if i < ASKING else "Contact",
                         "N" if i < ASKING else "B", "I" if i < ASKING else "N") for i in range(CONTACTS + ASKING)))
        db.commit()


def cpu_ms(pid):
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def settle(pid):
    """Until a second has passed in which next to nothing was done: accounts are counted in the background after the start."""
    last = cpu_ms(pid)
    while True:
        time.sleep(1)
        now = cpu_ms(pid)
        if now - last < 5:
            return
        last = now


class Caller:
    def __init__(self, address):
        self.socket = socket.create_connection(address)

    def ask(self, command, arguments):
        body = json.dumps(arguments).encode()
        self.socket.sendall((f"POST /api/{command} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
                             "\r\n\r\n").encode() + body)
        out = b""
        while b"\r\n\r\n" not in out:
            out += self.receive()
        head, _, rest = out.partition(b"\r\n\r\n")
        length = next(int(l.split(b":")[1]) for l in head.split(b"\r\n") if l.lower().startswith(b"content-length"))
        while len(rest) < length:
            rest += self.receive()
        return json.loads(rest)

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the server closed the connection")
        return data


def cases(sessions, messages):
    away = (sessions + 9) // 10
    return [
        ("connected_users_number", {}, sessions),
        ("stats", {"name": "onlineusers"}, sessions),
        ("stats", {"name": "onlineusersnode"}, sessions),
        ("stats_host", {"name": "onlineusers", "host": "localhost"}, sessions),
        ("status_num", {"status": "away"}, away),
        ("status_num", {"status": "all"}, sessions),
        ("status_num_host", {"host": "localhost", "status": "available"}, sessions - away),
        ("num_resources", {"user": name(7), "host": "localhost"}, 1),
        ("stats", {"name": "registeredusers"}, sessions),
        ("stats_host", {"name": "registeredusers", "host": "localhost"}, sessions),
        ("get_roster_count", {"user": name(sessions), "host": "localhost"}, CONTACTS),
        ("get_offline_count", {"user": name(0), "host": "localhost"}, messages),
    ]


def configure(config):
    config["modules"]["mod_offline"] = {}
    config["modules"]["mod_roster"] = {}
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 86400, "max_resume_timeout": 86400}


def measure(server, caller, command, arguments):
    before = cpu_ms(server.pid)
    answer = caller.ask(command, arguments)
    first = cpu_ms(server.pid) - before
    before = cpu_ms(server.pid)
    answers = [caller.ask(command, arguments) for _ in range(CALLS)]
    each = (cpu_ms(server.pid) - before) / CALLS
    return first, each, answer if all(a == answer for a in answers) else answers


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--binary", default=str(ROOT / "build" / "cjabberd"))
    p.add_argument("--sessions", type=int, default=1000000, help="and accounts")
    p.add_argument("--messages", type=int, default=100000)
    options = p.parse_args()
    os.environ["CJABBERD_BUILD"] = os.path.dirname(os.path.abspath(options.binary))
    import server as harness
    harness.DEADLINE = 1800
    missed = []
    with tempfile.TemporaryDirectory(prefix="bench-count-") as folder:
        server = harness.Server(folder, configure)
        server.start().stop()
        fill(server, options.sessions, options.messages)
        began = time.monotonic()
        with server:
            print(f"{options.sessions:,} sessions back after {time.monotonic() - began:.0f} s, "
                  f"{cpu_ms(server.pid) / options.sessions * 1000:.1f} us of CPU and {resident(server.pid) / options.sessions:.0f} bytes each")
            print(f"{'':50}{'first':>12}{'each':>12}")
            settle(server.pid)
            caller = Caller(server.http)
            for command, arguments, expected in cases(options.sessions, options.messages):
                first, each, answer = measure(server, caller, command, arguments)
                text = " ".join([command, *arguments.values()])
                print(f"{text:50}{first:>9.3f} ms{each:>9.3f} ms")
                if answer != expected:
                    missed.append(f"{text}: {answer} instead of {expected}")
                if each > LIMIT_MS:
                    missed.append(f"{text}: {each:.3f} ms")
            server.kill()  # ending a million sessions one by one is not what is measured here
    if missed:
        print("missed: " + ", ".join(missed), file=sys.stderr)
    return 1 if missed else 0


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(l.split()[1]) * 1024 for l in f if l.startswith("Rss:"))


if __name__ == "__main__":
    sys.exit(main())
