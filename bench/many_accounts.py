#!/usr/bin/python3
"""Commands that go over many accounts: what they cost, what they hold in memory, and how long a bystander waits meanwhile.

Accounts and rosters are put into the embedded store directly. The bystander is a client that asks the server for a ping (XEP-0199)
again and again; his own account and his neighbours' are not touched by the commands. CPU is that of the whole server, memory its
peak (VmHWM, reset before each command) over what was resident before. Exit status 1: an answer was not whole."""
import argparse
import contextlib
import json
import os
import pathlib
import socket
import sqlite3
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "tests" / "e2e"), str(ROOT / "bench")]
from count_million import cpu_ms  # noqa: E402
from list_million import memory  # noqa: E402

DAY = 86400


def name(i):
    return f"account-{i:07}"


class Database:
    def __init__(self, server):
        file = next(f for f in server.spool.rglob("*") if f.is_file() and f.open("rb").read(15) == b"SQLite format 3")
        self.db = sqlite3.connect(file)

    def put(self, table, rows):
        """rows: dictionaries that all have the same columns"""
        host = ["server_host"] if "server_host" in [c[1] for c in self.db.execute(f"PRAGMA table_info({table})")] else []
        rows = iter(rows)
        first = next(rows, None)
        if first is None:
            return
        names = host + list(first)

        def values():
            yield (*["localhost"] * len(host), *first.values())
            for r in rows:
                yield (*["localhost"] * len(host), *r.values())
        self.db.executemany(f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join('?' * len(names))})", values())
        self.db.commit()


def item(user, contact, ask="N", subscription="B"):
    return {"username": user, "jid": contact, "nick": "Contact", "subscription": subscription, "ask": ask, "askmessage": "",
            "server": "N", "subscribe": "", "type": "item"}


def fill(server, accounts, contacts):
    base = Database(server)
    with contextlib.closing(base.db):
        base.put("users", ({"username": name(i), "type": 1, "password": "x"} for i in range(accounts)))
        base.put("last", ({"username": name(i), "seconds": str(int(time.time()) - 1000 * DAY), "state": ""} for i in range(accounts)))
        base.put("rosterusers", (item(name(i), f"{name(k)}@elsewhere.test") for i in range(accounts) for k in range(contacts)))


def configure(config):
    config["modules"]["mod_roster"] = {}
    config["modules"]["mod_announce"] = {"access": "all"}
    config["modules"]["mod_offline"] = {}
    config["modules"]["mod_shared_roster"] = {}


class Bystander:
    """Pings as soon as an answer has come; keeps how long each took."""
    def __init__(self, server):
        self.stream = server.login("bystander", "r")

    def run(self):
        while not self.stop:
            began = time.perf_counter()
            self.stream.iq("<ping xmlns='urn:xmpp:ping'/>", to="localhost")
            self.waits.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)

    def __enter__(self):
        self.stop, self.waits = False, []
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def call(server, command, args):
    """Milliseconds to the first byte, the whole answer. Its end is that of the connection."""
    body = json.dumps(args).encode()
    with socket.create_connection(server.http) as s:
        began, out = time.perf_counter(), bytearray()
        s.sendall(f"POST /api/{command} HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        first = None
        while part := s.recv(1 << 20):
            first = first or (time.perf_counter() - began) * 1000
            out += part
        return first, bytes(out)


def measure(server, bystander, what, size, command, args, work):
    """work: what the answer has to hold, and how often"""
    with open(f"/proc/{server.pid}/clear_refs", "w") as f:
        f.write("5")
    before, used, began = memory(server.pid, "VmRSS"), cpu_ms(server.pid), time.monotonic()
    with bystander:
        first, out = call(server, command, args)
        seconds = time.monotonic() - began
    used = cpu_ms(server.pid) - used
    pings = cpu_of_pings * len(bystander.waits)
    waits = sorted(bystander.waits)
    print(f"{what:38}{size:>12,}{first:>11.1f} ms{(used - pings) / 1000:>9.2f} s{seconds:>8.1f} s"
          f"{(memory(server.pid, 'VmHWM') - before) / 2**20:>9.1f} MB{waits[len(waits) * 99 // 100]:>8.1f}{waits[-1]:>8.1f} ms", flush=True)
    found = out.count(work[0])
    return [] if found == work[1] else [f"{what}: {found} instead of {work[1]}: {out[-300:]!r}"]


cpu_of_pings = 0.0


def ping_cost(server, bystander):
    """What the bystander's own pings cost, to be taken off."""
    global cpu_of_pings
    used = cpu_ms(server.pid)
    with bystander:
        time.sleep(2)
    cpu_of_pings = (cpu_ms(server.pid) - used) / max(1, len(bystander.waits))


def run(options, accounts):
    import server as harness
    harness.DEADLINE = 1800
    missed = []
    n, k = accounts, options.contacts
    with tempfile.TemporaryDirectory(prefix="bench-many-") as folder:
        server = harness.Server(folder, configure)
        server.start()
        server.api("register", user="bystander", host="localhost", password="secret")
        server.stop()
        fill(server, n, k)
        listed = {"action": "list", "subs": "any", "asks": "any", "users": "any", "contacts": "any"}
        with server:
            b = Bystander(server)
            ping_cost(server, b)
            print(f"{n:,} accounts with {k} contacts each")
            print(f"{'':38}{'rows':>12}{'first byte':>14}{'CPU':>11}{'all':>10}{'memory':>12}{'99 %':>8}{'worst':>8}")

            def one(what, size, command, args, work):
                if not options.only or options.only in what:
                    missed.extend(measure(server, b, what, size, command, args, work))
            row = b"@elsewhere.test"
            one("registered_users", n + 1, "registered_users", {"host": "localhost"}, (b'"account-', n))
            one("process_rosteritems list any", n * k, "process_rosteritems", listed, (row, n * k))
            one("process_rosteritems list glob", n, "process_rosteritems",
                listed | {"users": "*@localhost", "contacts": f"{name(k - 1)}@*"}, (row, n))
            one("process_rosteritems list SQL", n, "process_rosteritems",
                listed | {"users": "%", "contacts": f"{name(k - 1)}@%"}, (row, n))
            one("process_rosteritems list one owner", k, "process_rosteritems", listed | {"users": f"{name(7)}@localhost"}, (row, k))
            one("process_rosteritems delete glob", n, "process_rosteritems",
                listed | {"action": "delete", "contacts": f"{name(k - 1)}@*"}, (row, n))
            if n <= 10000:
                one("push_roster_all", 100 * 99, "push_roster_all", {"file": crowd(folder, 100)}, (b"\r\n\r\n0", 1))
            if options.alltoall:
                one("push_alltoall", n * n, "push_alltoall", {"host": "localhost", "group": "All"}, (b"\r\n\r\n0", 1))
            one("delete_old_users_vhost", n, "delete_old_users_vhost", {"host": "localhost", "days": 30}, (b"account-", n))
            b.stream.drop()
            server.kill()
    return missed


def crowd(folder, n):
    path = pathlib.Path(folder) / "roster.txt"
    path.write_text("[" + ",\n".join(f'{{"{name(i)}","localhost","Crowd","Member {i}"}}' for i in range(n)) + "].\n")
    return str(path)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--binary", default=str(ROOT / "build" / "cjabberd"))
    p.add_argument("--accounts", type=int, nargs="*", default=[10000, 100000])
    p.add_argument("--contacts", type=int, default=20)
    p.add_argument("--alltoall", action="store_true", help="push_alltoall, too: accounts times accounts")
    p.add_argument("--only", default="", help="only what has this in its name")
    options = p.parse_args()
    os.environ["CJABBERD_BUILD"] = os.path.dirname(os.path.abspath(options.binary))
    missed = []
    for n in options.accounts:
        missed += run(options, n)
    if missed:
        print("missed: " + ", ".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
