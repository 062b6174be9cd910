#!/usr/bin/env python3
"""
Replays the recorded exchanges in corpus/ against a server of its own built from this tree.

Runs every scenario whose commands the server has; the others are counted. Those that stop the server get one of their own.
Where one exists twice, X for one storage of the reference and X-sql for the other, one of the two has to pass. Last line:
N passed, N failed. Exit status 1 when one failed.
"""
import argparse
import concurrent.futures
import contextlib
import glob
import json
import os
import re
import sys
import threading
import time

import exceptions
import scenario
import scope
import server

HERE = os.path.dirname(os.path.abspath(__file__))


def options(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build", help="folder with cjabberd and cjabberdctl")
    p.add_argument("--only", help="regular expression on scenario names")
    p.add_argument("-j", "--jobs", type=int, default=4)
    p.add_argument("-v", "--verbose", action="store_true", help="name passing scenarios too")
    p.add_argument("--json", metavar="FILE", help="write a report")
    p.add_argument("--keep", action="store_true", help="keep the server's folder")
    return p.parse_args(argv)


def load():
    out = {}
    for name in sorted(glob.glob(os.path.join(HERE, "corpus", "*.json"))):
        with open(name, encoding="utf-8") as f:
            sc = json.load(f)
        out[sc["name"]] = sc
    return out


def target(srv):
    return scenario.Target(srv.url(5280), ("127.0.0.1", srv.ports[5222]),
                           {"authonly": srv.url(5281), "stock": srv.url(5282)}, srv.ctl, srv.start, srv.dir)


@contextlib.contextmanager
def running_server(build):
    srv = server.Server(build)
    try:
        srv.start()
        srv.tool_output("register", "admin", "localhost", "admin")
        yield srv
    finally:
        srv.stop()
        srv.remove()


class Conformance:
    def __init__(self, opts, srv):
        self.o, self.srv = opts, srv
        self.ex = exceptions.Exceptions.load(os.path.join(HERE, "exceptions.json"))
        self.lock = threading.Lock()
        self.report, self.compared, self.identical = [], 0, 0
        self.target = target(srv)

    def select(self, scenarios):
        """Names in scope; twins (X, X-sql) stand as one list."""
        with open(os.path.join(HERE, "registry.json"), encoding="utf-8") as f:
            registry = json.load(f)
        sc = scope.Scope(registry, json.loads(self.srv.tool_output("--dump-api")))
        groups, self.outside, self.help_left_out = {}, {}, 0
        for name, one in scenarios.items():
            if self.o.only and not re.search(self.o.only, name):
                continue
            lacking = sc.out_of_scope(one)
            if lacking:
                self.outside[name] = lacking
                continue
            self.help_left_out += sc.leave_out_help(one)
            if one["steps"] and all(s.get("left_out") for s in one["steps"]):
                self.outside[name] = {"help"}
                continue
            for n in self.ex.of(name).left_out():
                one["steps"][n - 1]["left_out"] = True
            for n, expected in self.ex.of(name).expected().items():
                one["steps"][n - 1]["expect"] = expected
            groups.setdefault(re.sub(r"-sql$", "", name), []).append(one)
        return list(groups.values())

    def attempt(self, one):
        if "disruptive" not in one["needs"]:
            return self.attempt_at(one, self.target)
        with running_server(self.o.build) as srv:
            return self.attempt_at(one, target(srv))

    def attempt_at(self, one, where):
        run = scenario.Run(one, where, self.ex.of(one["name"]))
        start = time.monotonic()
        try:
            passed = run.go()
        except Exception as e:  # a broken scenario must not end the run
            passed, run.problems = False, run.problems + [(-1, {"sleep": 0}, ["%s: %s" % (type(e).__name__, e)])]
        return passed, run, time.monotonic() - start

    def work(self, group):
        tries = []
        for one in group:
            tries.append((one, *self.attempt(one)))
            if tries[-1][1]:
                break
        one, passed, run, seconds = tries[-1]
        with self.lock:
            self.compared += run.compared
            self.identical += run.identical
            self.report.append({"name": one["name"], "passed": passed, "seconds": round(seconds, 3),
                                "problems": [{"step": i + 1, "what": run.v.sub(scenario.label(s)), "why": why}
                                             for _, _, r, _ in ([] if passed else tries) for i, s, why in r.problems]})
            self.tell(tries)

    def tell(self, tries):
        one, passed, _, seconds = tries[-1]
        if passed:
            if self.o.verbose:
                print("ok    %s (%.2f s)" % (one["name"], seconds))
            return
        for one, _, run, _ in tries:
            print("FAIL  %s" % one["name"])
            for i, step, why in run.problems:
                print("   step %d: %s" % (i + 1, run.v.sub(scenario.label(step))[:400]))
                for line in why[:12]:
                    print("      " + line)
        sys.stdout.flush()

    def go(self, scenarios):
        groups = self.select(scenarios)
        alone = [g for g in groups if any(s.get("exclusive") for s in g)]
        with concurrent.futures.ThreadPoolExecutor(self.o.jobs) as pool:
            list(pool.map(self.work, [g for g in groups if g not in alone]))
        for g in alone:
            self.work(g)

    def summary(self):
        passed = sum(r["passed"] for r in self.report)
        lacking = {}
        for names in self.outside.values():
            for n in names:
                lacking[n] = lacking.get(n, 0) + 1
        print("%d values compared, %d as recorded or as an exception says" % (self.compared, self.identical))
        print("%d scenarios wait for %d commands or handlers that are not there yet; %d help texts about unknown commands left out"
              % (len(self.outside), len(lacking), self.help_left_out))
        print("%d passed, %d failed" % (passed, len(self.report) - passed))
        return len(self.report) - passed


def main(argv=None):
    opts = options(argv)
    srv = server.Server(opts.build)
    try:
        srv.start()
        srv.tool_output("register", "admin", "localhost", "admin")
        c = Conformance(opts, srv)
        c.go(load())
        if not srv.alive():
            print("the server ended during the run:\n" + srv.output())
        status = srv.stop()
        if status != 0:
            print("the server ended with status %d\n%s" % (status, srv.output()))
        failed = c.summary()
        if opts.json:
            with open(opts.json, "w", encoding="utf-8") as f:
                json.dump(sorted(c.report, key=lambda r: r["name"]), f, indent=1, ensure_ascii=False)
        return 1 if failed or status != 0 or not c.report else 0
    finally:
        if srv.process:
            srv.stop()
        if opts.keep:
            print("kept: %s" % srv.dir)
        else:
            srv.remove()


if __name__ == "__main__":
    sys.exit(main())
