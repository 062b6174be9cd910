#!/usr/bin/python3
"""A list of a million accounts over HTTP: what it costs cjabberd in memory, how soon its first byte comes, how long the rest takes.

The accounts are put into the embedded store directly (SQLite, table users). The server's memory is its peak (VmHWM), reset
before each request, over what was resident before; the first byte of the body is timed on a connection that is open already.
Exit status 1: a target was missed (5 MB of memory, 10 ms to the first byte). Server and generator share the machine: run it
where nothing else runs."""
import argparse
import contextlib
import os
import pathlib
import re
import socket
import sqlite3
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
MEMORY, FIRST_BYTE_MS, PAGE = 5 << 20, 10, 10000


def fill(server, count):
    file = next(f for f in server.spool.rglob("*") if f.is_file() and f.open("rb").read(15) == b"SQLite format 3")
    with contextlib.closing(sqlite3.connect(file)) as db:
        host = ["server_host"] if "server_host" in [c[1] for c in db.execute("PRAGMA table_info(users)")] else []
        db.executemany(f"INSERT INTO users ({','.join(host + ['username', 'type', 'password'])}) VALUES ({'?,' * len(host)}?, 1, 'x')",
                       ((*["localhost"] * len(host), f"account-{i:07}") for i in range(count)))
        db.commit()


def memory(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(rf"{name}:\s+(\d+)", f.read()).group(1)) * 1024


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request(query="", accept="application/json"):
    body = b'{"host":"localhost"}'
    return (f"POST /api/registered_users{query} HTTP/1.1\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def exchange(s, data):
    """Milliseconds to the first byte of the body, the whole answer. The end is that of its framing."""
    begin = time.perf_counter()
    s.sendall(data)
    out, first, length = bytearray(), None, None
    while True:
        part = s.recv(1 << 20)
        if not part:
            raise SystemExit("the server closed the connection")
        out += part
        if first is None and (at := out.find(b"\r\n\r\n")) >= 0 and len(out) > at + 8:
            first = (time.perf_counter() - begin) * 1000
            found = re.search(rb"\r\nContent-Length: (\d+)", out[:at])
            length = at + 4 + int(found.group(1)) if found else None
        if len(out) == length or (length is None and out.endswith(b"\r\n0\r\n\r\n")):
            return first, bytes(out)


def measure(server, name, ask):
    """ask(socket) -> (first byte, number of accounts)"""
    with socket.create_connection(server.http) as s:
        exchange(s, request("?limit=3000"))  # connection, reader threads and buffers are there
        with open(f"/proc/{server.pid}/clear_refs", "w") as f:
            f.write("5")
        before, used, begin = memory(server.pid, "VmRSS"), cpu(server.pid), time.perf_counter()
        first, count = ask(s)
        return {"what": name, "accounts": count, "first_ms": first, "memory": memory(server.pid, "VmHWM") - before,
                "seconds": time.perf_counter() - begin, "cpu": cpu(server.pid) - used}


def whole(accept):
    def ask(s):
        first, out = exchange(s, request(accept=accept))
        return first, out.count(b'"account-')
    return ask


def paged(s):
    count, after, firsts = 0, "", []
    while True:
        first, out = exchange(s, request(f"?limit={PAGE}{after}"))
        firsts.append(first)
        count += out.count(b'"account-')
        found = re.search(rb"\r\nX-Next-After: (\S+)", out[:2000])
        if not found:
            return max(firsts), count
        after = "&after=" + found.group(1).decode()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--binary", default=str(ROOT / "build" / "cjabberd"))
    p.add_argument("--accounts", type=int, default=1000000)
    p.add_argument("--runs", type=int, default=3, help="medians of so many; memory: the worst")
    options = p.parse_args()
    os.environ["CJABBERD_BUILD"] = os.path.dirname(os.path.abspath(options.binary))
    from server import Server
    missed = []
    with tempfile.TemporaryDirectory(prefix="bench-list-") as folder:
        server = Server(folder)
        server.start().stop()
        fill(server, options.accounts)
        with server:
            print(f"{'':24}{'accounts':>10}{'first byte':>13}{'memory':>12}{'seconds':>9}{'CPU-s':>8}")
            for name, ask in (("JSON array", whole("application/json")), ("lines", whole("application/x-ndjson")), (f"pages of {PAGE:,}", paged)):
                runs = [measure(server, name, ask) for _ in range(options.runs)]
                first, seconds, used = (statistics.median(r[k] for r in runs) for k in ("first_ms", "seconds", "cpu"))
                most = max(r["memory"] for r in runs)
                print(f"{name:24}{runs[0]['accounts']:>10,}{first:>10.2f} ms{most / 2**20:>9.2f} MB{seconds:>9.2f}{used:>8.2f}")
                if any(r["accounts"] != options.accounts for r in runs):
                    missed.append(f"{name}: accounts are missing")
                if most > MEMORY:
                    missed.append(f"{name}: memory")
                if ask is not paged and first > FIRST_BYTE_MS:
                    missed.append(f"{name}: first byte")
    if missed:
        print("missed: " + ", ".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
