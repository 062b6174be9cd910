#!/usr/bin/python3
"""Runs every attack of attacks.py against a fresh server and prints, for each, what a bystander saw and what memory did.

usage: tests/e2e/hostile_report.py [--connects 100000] [--only NAME,...]   (CJABBERD_BUILD names the build folder)"""
import argparse
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import attacks  # noqa: E402
from server import Server  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connects", type=int, default=100000)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(attacks.ALL)
    print(f"{'attack':24}{'seconds':>9}{'pings':>9}{'lost':>6}{'p99 ms':>9}{'max ms':>9}{'RSS before':>12}{'after':>9}  (MiB)")
    worst, lost = 0, 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder, Server(folder) as server:
            sockets = attacks.warm_up(server)
            before = server.rss()
            begin = time.monotonic()
            with attacks.Bystander(server) as bystander:
                attacks.ALL[name](server, **({"count": args.connects} if name == "connects_and_drops" else {}))
                seconds = time.monotonic() - begin
                seen = bystander.finish()
            attacks.settle(server, sockets)
            print(f"{name:24}{seconds:9.1f}{seen['pings']:9}{seen['lost']:6}{seen['p99_ms']:9}{seen['max_ms']:9}"
                  f"{before / 2**20:12.1f}{server.rss() / 2**20:9.1f}", flush=True)
            worst, lost = max(worst, seen["max_ms"]), lost + seen["lost"]
    print(f"longest round trip of the bystander {worst} ms (target 50), lost pings {lost}")
    return 0 if not lost and worst <= 50 else 1


if __name__ == "__main__":
    sys.exit(main())
