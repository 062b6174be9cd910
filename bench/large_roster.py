#!/usr/bin/python3
"""What a roster of 5,000 contacts who are all online costs, and the fiftieth resource of an account.

Half of the contacts and all of them: CPU of the server (user and system) for one broadcast, one login and one roster would grow
with the square if anything did, so each is told per contact. The contacts are sessions of bench/load. Resources: CPU of each
login with its presence, the earlier resources online, in tens."""
import argparse
import contextlib
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
RESOURCES = 50


def cpu_ms(pid):
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def settled(pid):
    """CPU when nothing is under way any more."""
    last = cpu_ms(pid)
    for _ in range(200):
        time.sleep(0.1)
        now = cpu_ms(pid)
        if now - last < 2:
            return now
        last = now
    return last


def fill(server, contacts):
    file = next(f for f in server.spool.rglob("*") if f.is_file() and f.open("rb").read(15) == b"SQLite format 3")
    with contextlib.closing(sqlite3.connect(file)) as db:
        def put(table, rows):
            host = ["server_host"] if "server_host" in [c[1] for c in db.execute(f"PRAGMA table_info({table})")] else []
            names = host + list(rows[0])
            db.executemany(f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join('?' * len(names))})",
                           ((*["localhost"] * len(host), *r.values()) for r in rows))
        people = [f"bench{i}" for i in range(contacts)]
        put("users", [{"username": u, "type": 1, "password": "secret"} for u in [*people, "hub", "half", "many"]])

        def item(user, contact):
            return {"username": user, "jid": f"{contact}@localhost", "nick": "Contact", "subscription": "B", "ask": "N",
                    "askmessage": "", "server": "N", "subscribe": "", "type": "item"}
        put("rosterusers", [item(u, c) for p in people for u, c in (("hub", p), (p, "hub"))])
        put("rosterusers", [item(u, c) for p in people[::2] for u, c in (("half", p), (p, "half"))])
        db.commit()


def configure(config):
    config["modules"]["mod_roster"] = {}
    config["shaper_rules"]["max_user_sessions"] = RESOURCES + 10


class Meter:
    def __init__(self, server):
        self.pid, self.last = server.pid, settled(server.pid)

    def lap(self):
        now = settled(self.pid)
        used, self.last = now - self.last, now
        return used


def presences(stream, count):
    """Reads until so many contacts have been heard of."""
    for _ in range(count):
        stream.expect(lambda e: e.tag.endswith("presence") and e.get("from", "").startswith("bench"), "a contact's presence")


def with_contacts(server, user, contacts):
    """CPU of: roster, initial presence with everything it brings, a change, the end."""
    meter = Meter(server)
    s = server.login(user, "r")
    login = meter.lap()
    s.iq("<query xmlns='jabber:iq:roster'/>")
    roster = meter.lap()
    s.send("<presence/>")
    presences(s, contacts)
    initial = meter.lap()
    s.send("<presence><show>away</show></presence>")
    change = meter.lap()
    s.drop()
    gone = meter.lap()
    print(f"{contacts:>8,} contacts online: login {login:.1f} ms, roster {roster:.1f} ms, initial presence and probes {initial:.1f} ms "
          f"({initial / contacts * 1000:.1f} us a contact), change {change:.1f} ms ({change / contacts * 1000:.1f}), "
          f"end {gone:.1f} ms ({gone / contacts * 1000:.1f})")


def many_resources(server):
    meter, streams, costs = Meter(server), [], []
    for first in range(0, RESOURCES, 10):
        for i in range(first, first + 10):
            streams.append(server.login("many", f"r{i}", presence=True))
        costs.append(meter.lap() / 10)
    print("resources of one account, CPU of a login with presence: " +
          ", ".join(f"{10 * i + 1}-{10 * i + 10}: {c:.2f} ms" for i, c in enumerate(costs)))
    streams[0].send("<presence><show>away</show></presence>")
    print(f"a change told to {RESOURCES} resources: {meter.lap():.2f} ms")
    for s in streams:
        s.drop()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--binary", default=str(ROOT / "build" / "cjabberd"))
    p.add_argument("--contacts", type=int, default=5000)
    options = p.parse_args()
    build = pathlib.Path(options.binary).resolve().parent
    os.environ["CJABBERD_BUILD"] = str(build)
    from server import Server
    with tempfile.TemporaryDirectory(prefix="bench-roster-") as folder:
        server = Server(folder, configure)
        server.start().stop()
        fill(server, options.contacts)
        with server:
            many_resources(server)
            crowd = subprocess.Popen([build / "bench" / "load" / "load", "idle", "--host", server.c2s[0], "--port", str(server.c2s[1]),
                                      "--password", "secret", "--warm", str(options.contacts), "--count", "1",
                                      "--settle", "200", "--timeout", "600"], stdout=subprocess.DEVNULL)
            try:
                while server.api("status_num", status="available") < options.contacts:
                    time.sleep(0.2)
                with_contacts(server, "half", options.contacts // 2)
                with_contacts(server, "hub", options.contacts)
            finally:
                crowd.send_signal(signal.SIGKILL)
                crowd.wait()


if __name__ == "__main__":
    sys.exit(main())
