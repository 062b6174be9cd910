#!/usr/bin/python3
"""Lists of a million sessions over HTTP: what they cost cjabberd in memory, how soon the first byte comes, how long the rest takes.

The sessions are those of bench/count_million.py, without sockets; figures as in bench/list_million.py: the server's memory is its
peak (VmHWM), reset before each request, over what was resident before. Exit status 1: a list was not whole, or a target was missed
(5 MB of memory, 10 ms to the first byte). Needs about 3 GB of memory for a million."""
import argparse
import json
import os
import pathlib
import socket
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "tests" / "e2e"), str(ROOT / "bench")]
from count_million import fill  # noqa: E402
from list_million import FIRST_BYTE_MS, MEMORY, cpu, exchange, memory  # noqa: E402

LISTS = (("connected_users", {}), ("connected_users_info", {}), ("connected_users_vhost", {"host": "localhost"}),
         ("status_list", {"status": "away"}), ("status_list/v2", {"status": "all"}))


def request(command, args, query=""):
    body = json.dumps(args).encode()
    return f"POST /api/{command}{query} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def measure(server, command, args):
    with socket.create_connection(server.http) as s:
        exchange(s, request(command, args, "?limit=1000"))  # connection and buffers are there
        with open(f"/proc/{server.pid}/clear_refs", "w") as f:
            f.write("5")
        before, used = memory(server.pid, "VmRSS"), cpu(server.pid)
        first, out = exchange(s, request(command, args))
        return {"first": first, "rows": out.count(b'"account-'), "memory": memory(server.pid, "VmHWM") - before,
                "cpu": cpu(server.pid) - used}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--binary", default=str(ROOT / "build" / "cjabberd"))
    p.add_argument("--sessions", type=int, default=1000000)
    p.add_argument("--runs", type=int, default=3, help="medians of so many; memory: the worst")
    options = p.parse_args()
    os.environ["CJABBERD_BUILD"] = os.path.dirname(os.path.abspath(options.binary))
    import server as harness
    harness.DEADLINE = 1800
    missed = []
    with tempfile.TemporaryDirectory(prefix="bench-list-") as folder:
        server = harness.Server(folder, lambda c: c["modules"].update(mod_stream_mgmt={"resume_timeout": 86400}))
        server.start().stop()
        fill(server, options.sessions, 0)
        with server:
            print(f"{'':24}{'sessions':>10}{'first byte':>13}{'memory':>12}{'CPU-s':>8}")
            for command, args in LISTS:
                runs = [measure(server, command, args) for _ in range(options.runs)]
                first, used, most = (statistics.median(r["first"] for r in runs), statistics.median(r["cpu"] for r in runs),
                                     max(r["memory"] for r in runs))
                print(f"{command:24}{runs[0]['rows']:>10,}{first:>10.2f} ms{most / 2**20:>9.2f} MB{used:>8.2f}", flush=True)
                whole = options.sessions // 10 if args.get("status") == "away" else options.sessions
                if any(r["rows"] != whole for r in runs):
                    missed.append(f"{command}: sessions are missing")
                if most > MEMORY:
                    missed.append(f"{command}: memory")
                if first > FIRST_BYTE_MS:
                    missed.append(f"{command}: first byte")
    if missed:
        print("missed: " + ", ".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
