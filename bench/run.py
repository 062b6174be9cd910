#!/usr/bin/python3
"""Runs the same loads against cjabberd, ejabberd, Prosody and the bare relay, side by side, and prints the table.

Needs Debian's python3 and nothing else; ejabberd and Prosody are installed from Debian when missing. Every run starts
its server fresh, on free loopback ports, in a folder of its own under a temporary one. See README.md."""

import argparse
import contextlib
import hashlib
import hmac
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DOMAIN, PREFIX, PASSWORD = "localhost", "bench", "bench-password"


class Failure(Exception):
    pass


# ---- Scenarios: arguments of bench/load, the figure taken from its report, the target of it.

def cpu_per(unit):
    return lambda report: report["server_cpu"] / report["count"] * unit


def cpu_of(part, unit, count="count"):
    return lambda report: report[part] / report[count] * unit


class Scenario:
    def __init__(self, name, title, mode, args, figure=None, unit="", store="plain", relay=False, http=False,
                 quick=None, target=None, flow=None, of=None):
        self.name, self.title, self.mode, self.args, self.figure, self.unit = name, title, mode, args, figure, unit
        self.store, self.relay, self.http, self.target = store, relay, http, target
        self.flow = flow  # for the table of pace, latency and loss: what is counted, and in how many seconds
        self.quick = quick or {}
        self.of = of  # another scenario whose runs this row looks at

    def load_args(self, quick):
        args = dict(self.args, **(self.quick if quick else {}))
        return [text for key, value in args.items() for text in ("--" + key, str(value))]

    def servers(self, names):
        return [n for n in names if (n != "relay" or self.relay) and (n != "prosody" or not self.http)]


def vs(server, factor):
    """Target: at most `factor` times the figure of `server` in the same run."""
    return {"server": server, "factor": factor}


def at_most(value):
    return {"value": value}


CHAT = {"pairs": 100, "body": 100, "count": 100000, "warm": 5000}
CHAT_QUICK = {"count": 5000, "warm": 500}
OPEN = {"pairs": 100, "body": 100, "rate": 3000, "seconds": 10, "warm": 1500}
OPEN_QUICK = {"rate": 1000, "seconds": 2, "warm": 200}
LOGIN = {"count": 2000, "concurrency": 50}
LOGIN_QUICK = {"count": 100, "concurrency": 20}
IDLE = {"count": 5000, "warm": 200, "settle": 10}
IDLE_QUICK = {"count": 400, "warm": 50, "settle": 1}
STORM = {"count": 1000, "contacts": 100, "concurrency": 50}
STORM_QUICK = {"count": 100, "contacts": 20, "concurrency": 20}
OFFLINE = {"pairs": 100, "accounts": 500, "count": 50000, "window": 10, "body": 100}
OFFLINE_QUICK = {"pairs": 20, "accounts": 50, "count": 1000}
RESUME = {"count": 1000, "rounds": 10, "window": 5, "body": 100, "concurrency": 50}
RESUME_QUICK = {"count": 100, "rounds": 2, "concurrency": 20}
LATENCY = ("latency_ms_p50", "latency_ms_p99", "latency_ms_max")
FLOW = ("count", "seconds")

SCENARIOS = [
    Scenario("chat", "chat, 100 pairs, 10 under way each", "chat", dict(CHAT, window=10), cpu_per(1e5),
             "CPU-s / 100,000", relay=True, quick=CHAT_QUICK, target=vs("relay", 2), flow=FLOW),
    Scenario("chat-1", "chat, 100 pairs, 1 under way each", "chat", dict(CHAT, window=1), cpu_per(1e5),
             "CPU-s / 100,000", relay=True, quick=CHAT_QUICK, target=vs("relay", 2), flow=FLOW),
    Scenario("chat-tls", "the same with TLS 1.3", "chat", dict(CHAT, window=1, tls="starttls"), cpu_per(1e5),
             "CPU-s / 100,000", quick=CHAT_QUICK, target=vs("ejabberd", 1 / 6), flow=FLOW),
    Scenario("open", "chat, open loop, 3,000/s over 100 pairs", "chat", OPEN, cpu_per(1e5), "CPU-s / 100,000",
             relay=True, quick=OPEN_QUICK, flow=FLOW),
    Scenario("open-tls", "the same with TLS 1.3", "chat", dict(OPEN, tls="starttls"), cpu_per(1e5), "CPU-s / 100,000",
             quick=OPEN_QUICK, flow=FLOW),
    Scenario("iqping", "IQ ping, 100 clients, 1 under way each", "iqping",
             {"pairs": 100, "window": 1, "count": 100000, "warm": 5000}, cpu_per(1e5), "CPU-s / 100,000",
             quick=CHAT_QUICK, relay=True, target=vs("ejabberd", 1 / 10), flow=FLOW),
    Scenario("iqping-10", "IQ ping, 100 clients, 10 in one write", "iqping",
             {"pairs": 100, "window": 10, "coalesce": True, "count": 100000, "warm": 5000}, cpu_per(1e5), "CPU-s / 100,000",
             quick=CHAT_QUICK, target=vs("ejabberd", 1 / 10), flow=FLOW),
    Scenario("login", "login, no TLS, plain store, PLAIN", "login", LOGIN, cpu_per(1e3), "CPU-s / 1,000",
             quick=LOGIN_QUICK, target=vs("ejabberd", 1 / 12)),
    Scenario("login-scram", "login, no TLS, SCRAM store, SCRAM-SHA-1", "login", dict(LOGIN, mech="scram"),
             cpu_per(1e3), "CPU-s / 1,000", store="scram", quick=LOGIN_QUICK, target=vs("ejabberd", 1 / 12)),
    Scenario("login-tls", "login, TLS 1.3 full handshake, PLAIN", "login", dict(LOGIN, tls="starttls"), cpu_per(1e3),
             "CPU-s / 1,000", quick=LOGIN_QUICK, target=vs("ejabberd", 1 / 4)),
    Scenario("login-tls-scram", "login, TLS 1.3 full handshake, SCRAM-SHA-1", "login",
             dict(LOGIN, tls="starttls", mech="scram"), cpu_per(1e3), "CPU-s / 1,000", store="scram",
             quick=LOGIN_QUICK, target=vs("ejabberd", 1 / 4)),
    Scenario("storm", "login storm: 1,000 accounts, 100 contacts each, in and out", "storm", STORM, cpu_per(1e3),
             "CPU-s / 1,000 logins", store="roster", quick=STORM_QUICK, target=vs("ejabberd", 1 / 8), flow=("presences", "seconds")),
    Scenario("storm-presence", "the same, for a presence delivered", "storm", STORM, cpu_of("server_cpu", 1e5, "presences"),
             "CPU-s / 100,000", store="roster", quick=STORM_QUICK, target=vs("ejabberd", 1 / 8), of="storm"),
    Scenario("offline", "offline messages: stored, 100 each for 500 accounts", "offline", OFFLINE, cpu_of("store_cpu", 1e5),
             "CPU-s / 100,000", quick=OFFLINE_QUICK, target=vs("ejabberd", 1 / 8), flow=("count", "store_seconds")),
    Scenario("offline-delivery", "the same: login and delivery in order", "offline", OFFLINE, cpu_of("delivery_cpu", 1e5),
             "CPU-s / 100,000", quick=OFFLINE_QUICK, target=vs("ejabberd", 1 / 8), of="offline",
             flow=("count", "delivery_seconds")),
    Scenario("resume", "10,000 resumptions, 5 messages sent again in each", "resume", RESUME, cpu_per(1e3), "CPU-s / 1,000",
             quick=RESUME_QUICK, target=vs("ejabberd", 1 / 8), flow=FLOW),
    Scenario("idle", "idle session, no TLS", "idle", IDLE, lambda r: r["bytes_per_session"], "bytes",
             quick=IDLE_QUICK, target=at_most(4096)),
    Scenario("idle-tls", "idle session, TLS 1.3", "idle", dict(IDLE, tls="starttls"),
             lambda r: r["bytes_per_session"], "bytes", quick=IDLE_QUICK, target=at_most(14336)),
    Scenario("start-rss", "just started: resident memory", "start", {}, lambda r: r["rss"] / 1e6, "MB",
             target=at_most(12)),
    Scenario("start-time", "from exec to the first login accepted", "start", {}, lambda r: r["seconds"], "s",
             target=at_most(0.15)),
    Scenario("http", "HTTP check_account, 32 keep-alive connections", "http",
             {"pairs": 32, "count": 100000, "warm": 2000}, cpu_per(1e5), "CPU-s / 100,000", http=True,
             quick={"count": 5000, "warm": 500}, target=vs("ejabberd", 1 / 10)),
    Scenario("http-list", "HTTP registered_users, 2,000 names, 8 keep-alive connections", "http-list",
             {"path": "/api/registered_users", "pairs": 8, "count": 2000, "warm": 50}, cpu_per(1e3), "CPU-s / 1,000", http=True,
             store="scram", quick={"count": 200, "warm": 20}, target=vs("ejabberd", 1 / 10)),
]
# The stores: plain passwords, SCRAM ones, and plain ones of accounts that have rosters.
ACCOUNTS = {"plain": 5200, "scram": 2000, "roster": STORM["count"]}
ACCOUNTS_QUICK = {"plain": 450, "scram": 100, "roster": STORM_QUICK["count"]}


# ---- The machine.

def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def server_rss(pid):
    """Rss of the process and its descendants, in bytes."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/stat") as f:
                parents[int(name)] = int(f.read().rsplit(")", 1)[1].split()[1])
    ours = {pid}
    while True:
        more = {p for p, parent in parents.items() if parent in ours} - ours
        if not more:
            break
        ours |= more
    total = 0
    for p in ours:
        with contextlib.suppress(OSError):
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += int(re.search(r"^Rss:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024
    return total


def install(package, program):
    """Installs a Debian package without letting its service start."""
    if shutil.which(program):
        return
    if os.geteuid() != 0:
        raise Failure(f"{program} is missing; as root: apt-get install {package} (or leave it out with --servers)")
    policy = "/usr/sbin/policy-rc.d"
    own_policy = not os.path.exists(policy)
    if own_policy:
        with open(policy, "w") as f:
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        for command in (["update", "-q"], ["install", "-qy", "--no-install-recommends", package]):
            subprocess.run(["apt-get"] + command, check=True, stdout=sys.stderr,
                           env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    finally:
        if own_policy:
            os.unlink(policy)


def debian_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return done.stdout or "?"


class Bench:
    """What all servers of one invocation share: folder, certificate, generator."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.accounts = ACCOUNTS_QUICK if options.quick else ACCOUNTS
        self.contacts = (STORM_QUICK if options.quick else STORM)["contacts"]
        self.load = self.find_load()
        self.cert, self.key, self.both = (os.path.join(folder, n) for n in ("cert.pem", "key.pem", "both.pem"))
        self.make_certificate()

    def find_load(self):
        if self.options.load:
            return os.path.abspath(self.options.load)
        built = os.path.join(os.path.dirname(os.path.abspath(self.options.binary)), "bench", "load", "load")
        if os.path.exists(built):
            return built
        out, source = os.path.join(self.folder, "load"), os.path.join(HERE, "load")
        files = [os.path.join(source, n) for n in sorted(os.listdir(source)) if n.endswith(".c")]
        subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", out, *files, "-lssl", "-lcrypto"], check=True)
        return out

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}",
                        "-keyout", self.key, "-out", self.cert], check=True, stderr=subprocess.DEVNULL)
        with open(self.both, "w") as both:
            for part in (self.key, self.cert):
                with open(part) as f:
                    both.write(f.read())

    def run_load(self, mode, args, port, pid=None, may_fail=False):
        command = [self.load, mode, "--port", str(port), "--domain", DOMAIN, "--prefix", PREFIX, "--password", PASSWORD,
                   "--timeout", str(self.options.timeout), *args]
        if pid:
            command += ["--server-pid", str(pid)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=self.options.timeout + 60)
        if done.returncode not in (0, 2) or not done.stdout:
            raise Failure(f"{' '.join(command)}: {done.stderr.strip()}")
        report = json.loads(done.stdout)
        report["clean"] = done.returncode == 0
        if done.returncode == 2:
            print("    " + done.stderr.strip(), file=sys.stderr)
        return report


# ---- The servers. start() returns when the server accepted a login.

class Server:
    def __init__(self, bench, store):
        self.bench, self.store = bench, store
        self.folder = os.path.join(bench.folder, f"{self.name}-{store}")
        os.makedirs(self.folder)
        self.port, self.tls_port, self.http_port = free_ports(3)
        self.process = None

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def environment(self):
        return dict(os.environ)

    def probe_args(self):
        return ["--mech", "scram" if self.store == "scram" else "plain"]

    def accept_probe(self):
        return subprocess.Popen([self.bench.load, "start", "--port", str(self.port), "--domain", DOMAIN,
                                 "--prefix", PREFIX, "--password", PASSWORD, "--timeout", "60", *self.probe_args()],
                                stdout=subprocess.PIPE, text=True)

    def execute(self):
        command, env = self.command(), self.environment()
        with open(self.path("output.txt"), "a") as out:
            began = time.monotonic_ns()
            self.process = subprocess.Popen(command, cwd=self.folder, env=env,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return began

    def start(self):
        """Starts it; the report tells the seconds to the first login and the resident memory after it."""
        probe = self.accept_probe()
        time.sleep(0.05)  # the probe is loaded and knocking before the server is executed
        began = self.execute()
        text, _ = probe.communicate(timeout=90)
        if probe.returncode != 0:
            self.stop()
            raise Failure(f"{self.name} does not accept logins; see {self.path('output.txt')}")
        return {"seconds": (json.loads(text)["accepted_at_ns"] - began) / 1e9, "rss": server_rss(self.process.pid),
                "clean": True}

    def stop(self):
        if not self.process:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def wait_for_port(self, port):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise Failure(f"{self.name} does not start; see {self.path('output.txt')}")

    def register(self):
        """Through the admin API, as an operator would."""
        self.execute()
        try:
            self.wait_for_port(self.http_port)
            report = self.bench.run_load("register", ["--path", "/api/register", "--pairs", "8", "--count",
                                                      str(self.bench.accounts[self.store])], self.http_port)
            if not report["clean"]:
                raise Failure(f"{self.name}: accounts cannot be registered")
            if self.store == "roster":
                self.fill_rosters()
        finally:
            self.stop()


    def fill_rosters(self):
        report = self.bench.run_load("rosters", ["--path", self.roster_path, "--pairs", "8", "--count",
                                                 str(self.bench.accounts[self.store]), "--contacts", str(self.bench.contacts)],
                                     self.http_port)
        if not report["clean"]:
            raise Failure(f"{self.name}: rosters cannot be filled")


# The modules each server runs. lean: what the measured job needs, the same on all. stock: what ejabberd's own
# configuration file switches on (those that touch a client's stanzas, the archive left out: in Mnesia it costs
# ejabberd fifty times the message), and Prosody's nearest equivalents.
YML_MODULES = {"lean": """\
  mod_admin_extra: {}
  mod_disco: {}
  mod_http_api: {}
  mod_last: {}
  mod_offline: {}
  mod_ping: {}
  mod_roster: {}
  mod_stream_mgmt:
    resend_on_timeout: if_offline
"""}
YML_MODULES["stock"] = YML_MODULES["lean"] + """\
  mod_adhoc: {}
  mod_announce: {}
  mod_avatar: {}
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_configure: {}
  mod_fail2ban: {}
  mod_mam: {}
  mod_muc: {}
  mod_privacy: {}
  mod_private: {}
  mod_pubsub:
    plugins:
      - flat
      - pep
  mod_push: {}
  mod_push_keepalive: {}
  mod_shared_roster: {}
  mod_vcard: {}
  mod_vcard_xupdate: {}
  mod_version: {}
"""
PROSODY_MODULES = {"lean": ["roster", "saslauth", "tls", "disco", "ping", "smacks"]}
PROSODY_MODULES["stock"] = PROSODY_MODULES["lean"] + [
    "blocklist", "bookmarks", "carbons", "csi_simple", "pep", "private", "time", "uptime", "vcard4",
    "vcard_legacy", "version"]


class YmlServer(Server):
    """A server that reads ejabberd.yml."""

    roster_path = "/api/add_rosteritem/v0"  # `group`, not yet `groups`: what Debian's ejabberd has

    def prepare(self):
        listener = f"    ip: 127.0.0.1\n    backlog: 4096\n    module: "
        c2s = "ejabberd_c2s\n    shaper: none\n    max_stanza_size: 262144\n    "
        self.write("ejabberd.yml", f"""hosts:
  - {DOMAIN}
loglevel: info
certfiles:
  - {self.bench.both}
auth_method: internal
auth_password_format: {'scram' if self.store == 'scram' else 'plain'}
registration_timeout: infinity
listen:
  -
    port: {self.port}
{listener}{c2s}starttls: true
  -
    port: {self.tls_port}
{listener}{c2s}tls: true
  -
    port: {self.http_port}
{listener}ejabberd_http
    request_handlers:
      /api: mod_http_api
api_permissions:
  "bench":
    from:
      - mod_http_api
    who:
      ip: 127.0.0.1/8
    what:
      - register
      - check_account
      - registered_users
      - add_rosteritem
modules:
{YML_MODULES[self.bench.options.modules]}""")
        self.register()


class Cjabberd(YmlServer):
    name, label = "cjabberd", "cjabberd"

    def command(self):
        for name in ("spool", "logs"):
            os.makedirs(self.path(name), exist_ok=True)
        return [os.path.abspath(self.bench.options.binary), "--config", self.path("ejabberd.yml"),
                "--spool", self.path("spool"), "--logs", self.path("logs")]


class Ejabberd(YmlServer):
    name, label = "ejabberd", "ejabberd"
    roster_path = "/api/add_rosteritem"

    def prepare(self):
        install("ejabberd", "ejabberdctl")
        os.makedirs(self.path("logs"))
        super().prepare()

    def environment(self):
        """No node name, so no epmd and no distribution port; the limits are those of Debian's start script."""
        beams = subprocess.run(["dpkg-query", "-L", "ejabberd"], capture_output=True, text=True).stdout
        libs = re.search(r"^(/usr/lib\S*?)/ejabberd-[^/\s]+/ebin", beams, re.M)
        if not libs:
            raise Failure("Debian's ejabberd is not where it was")
        return dict(os.environ, HOME=self.folder, ERL_LIBS=libs.group(1),
                    EJABBERD_CONFIG_PATH=self.path("ejabberd.yml"),
                    EJABBERD_LOG_PATH=self.path("logs", "ejabberd.log"), ERL_CRASH_DUMP_BYTES="0")

    def command(self):
        return ["erl", "-noinput", "+K", "true", "+P", "250000", "+Q", "65536", "-mnesia", "dir",
                '"' + self.path("spool") + '"', "-s", "ejabberd"]


class Prosody(Server):
    name, label = "prosody", "Prosody"

    def prepare(self):
        install("prosody", "prosody")
        hashed = self.store == "scram"
        self.write("prosody.cfg.lua", f"""run_as_root = true
pidfile = "{self.path('prosody.pid')}"
data_path = "{self.path('data')}"
log = {{ info = "{self.path('prosody.log')}" }}
network_backend = "epoll"
gc = {{ mode = "generational" }}
modules_enabled = {{ {", ".join(f'"{m}"' for m in PROSODY_MODULES[self.bench.options.modules])} }}
modules_disabled = {{ "s2s", "limits" }}
authentication = "internal_{'hashed' if hashed else 'plain'}"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
c2s_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {self.port} }}
c2s_direct_tls_interfaces = {{ "127.0.0.1" }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
http_ports = {{ }}
https_ports = {{ }}
ssl = {{ certificate = "{self.bench.cert}", key = "{self.bench.key}" }}
VirtualHost "{DOMAIN}"
""")
        os.makedirs(self.path("certs"))
        accounts = self.path("data", DOMAIN, "accounts")
        os.makedirs(accounts)
        text = self.hashed_account() if hashed else f'return {{\n\t["password"] = "{PASSWORD}";\n}};\n'
        for i in range(self.bench.accounts[self.store]):
            with open(os.path.join(accounts, f"{PREFIX}{i}.dat"), "w") as f:
                f.write(text)
        if self.store == "roster":
            self.fill_rosters()

    def fill_rosters(self):
        folder, n, half = self.path("data", DOMAIN, "roster"), self.bench.accounts["roster"], self.bench.contacts // 2
        os.makedirs(folder)
        for i in range(n):
            with open(os.path.join(folder, f"{PREFIX}{i}.dat"), "w") as f:
                f.write('return {\n\t[false] = { ["version"] = 1; ["pending"] = {}; };\n')
                for step in (s for s in range(-half, half + 1) if s):
                    f.write(f'\t["{PREFIX}{(i + step) % n}@{DOMAIN}"] = {{ ["subscription"] = "both"; ["name"] = "Contact"; '
                            '["groups"] = { ["Bench"] = true; }; };\n')
                f.write("};\n")

    @staticmethod
    def hashed_account():
        """What its store holds after a registration (10,000 rounds are its default); one salt serves all."""
        salt, rounds = "bench-salt-bench-salt-bench-salt", 10000
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt.encode(), rounds)
        client, server = (hmac.digest(salted, b + b" Key", "sha1") for b in (b"Client", b"Server"))
        return (f'return {{\n\t["iteration_count"] = {rounds};\n\t["salt"] = "{salt}";\n'
                f'\t["stored_key"] = "{hashlib.sha1(client).hexdigest()}";\n'
                f'\t["server_key"] = "{server.hex()}";\n}};\n')

    def command(self):
        return ["prosody", "-F", "--config", self.path("prosody.cfg.lua")]


class Relay(Server):
    name, label = "relay", "bare sockets"

    def prepare(self):
        pass

    def command(self):
        return [self.bench.load, "relay", "--port", str(self.port)]

    def start(self):
        self.execute()
        self.wait_for_port(self.port)


SERVERS = {c.name: c for c in (Cjabberd, Ejabberd, Prosody, Relay)}


# ---- Runs.

class Fleet:
    """One prepared folder per server and password store, made when first needed."""

    def __init__(self, bench):
        self.bench, self.prepared = bench, {}

    def get(self, name, store):
        if (name, store) not in self.prepared:
            print(f"preparing {name} ({store} passwords)", file=sys.stderr)
            server = SERVERS[name](self.bench, store)
            server.prepare()
            self.prepared[name, store] = server
        return self.prepared[name, store]


def run_once(bench, server, scenario):
    try:
        started = server.start()
        if scenario.mode == "start":
            return started
        port = server.http_port if scenario.http else server.port
        args = scenario.load_args(bench.options.quick)
        if server.name == "relay":
            args += ["--proto", "relay"]
        if scenario.mode == "http":
            args += ["--accounts", str(min(1000, bench.accounts[scenario.store]))]
        if scenario.mode == "http-list":
            args += ["--accounts", str(bench.accounts[scenario.store])]
        return bench.run_load(scenario.mode, args, port, server.process.pid)
    finally:
        server.stop()


def run_all(bench, fleet, scenarios, names):
    """results[scenario][server] = {"figure": median, "runs": [...]}; servers take turns within each round."""
    results, failures = {}, []
    for scenario in scenarios:
        if scenario.of in results:
            results[scenario.name] = {name: summary([dict(r, figure=scenario.figure(r)) for r in kept["runs"]])
                                      for name, kept in results[scenario.of].items()}
            continue
        runs = {name: [] for name in scenario.servers(names)}
        for round_no in range(bench.options.runs):
            for name in runs:
                try:
                    report = run_once(bench, fleet.get(name, scenario.store), scenario)
                except (Failure, subprocess.SubprocessError, OSError) as e:
                    failures.append(f"{scenario.name}, {name}: {e}")
                    print(f"  {scenario.name:16} {name:9} failed: {e}", file=sys.stderr)
                    continue
                report["figure"] = scenario.figure(report)
                if not report["clean"]:
                    failures.append(f"{scenario.name}, {name}: loss, disorder, duplicates or refusals: {report}")
                runs[name].append(report)
                print(f"  {scenario.name:16} {name:9} run {round_no + 1}: {report['figure']:.4g} {scenario.unit}",
                      file=sys.stderr)
        results[scenario.name] = {name: summary(reports) for name, reports in runs.items() if reports}
    return results, failures


def summary(reports):
    keys = [k for k, v in reports[0].items() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return {"figure": statistics.median(r["figure"] for r in reports), "runs": reports,
            "median": {k: statistics.median(r[k] for r in reports) for k in keys}}


# ---- The table.

def ratio(results, over):
    ours, theirs = results.get("cjabberd"), results.get(over)
    return ours["figure"] / theirs["figure"] if ours and theirs and theirs["figure"] > 0 else None


def target_text(scenario):
    t = scenario.target
    if not t:
        return "–"
    if "value" in t:
        return f"≤ {number(t['value'])} {scenario.unit}"
    factor = f"{t['factor']:g}×" if t["factor"] >= 1 else f"1/{round(1 / t['factor'])}"
    return f"≤ {factor} {SERVERS[t['server']].label}"


def verdict(scenario, results):
    t = scenario.target
    if not t or "cjabberd" not in results:
        return "–"
    if "value" in t:
        return "pass" if results["cjabberd"]["figure"] <= t["value"] else "fail"
    r = ratio(results, t["server"])
    return "–" if r is None else "pass" if r <= t["factor"] else "fail"


def number(value):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def rows(scenarios, results):
    head = ["", "/ ejabberd", "/ Prosody", "/ bare", "target", "", "cjabberd", "ejabberd", "Prosody", "bare", "unit"]
    body = []
    for s in scenarios:
        r = results.get(s.name, {})
        body.append([s.title] + [number(ratio(r, n)) for n in ("ejabberd", "prosody", "relay")]
                    + [target_text(s), verdict(s, r)]
                    + [number(r[n]["figure"]) if n in r else "–" for n in SERVERS] + [s.unit])
    return [head] + body


def flow_rows(scenarios, results):
    head = ["", "server", "per second", "p50 ms", "p99 ms", "max ms", "lost", "disorder", "duplicates", "generator CPU-s",
            "seconds"]
    body = []
    for s in (s for s in scenarios if s.flow):
        for name, r in results.get(s.name, {}).items():
            m, worst = r["median"], {k: max(run[k] for run in r["runs"]) for k in ("lost", "disorder", "duplicates")}
            counted, seconds = s.flow
            body.append([s.title, SERVERS[name].label, number(m[counted] / m[seconds])] + [number(m.get(k)) for k in LATENCY]
                        + [str(worst[k]) for k in ("lost", "disorder", "duplicates")]
                        + [number(m["load_cpu"]), number(m[seconds])])
    return [head] + body if body else []


def markdown(table):
    lines = ["| " + " | ".join(row) + " |" for row in table]
    lines.insert(1, "|" + "---|" * len(table[0]))
    return "\n".join(lines)


def plain(table):
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in table)


def environment():
    cpu = "?"
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "?")
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
            "ejabberd": debian_version("ejabberd"), "prosody": debian_version("prosody"),
            "openssl": debian_version("libssl3"), "date": time.strftime("%Y-%m-%d")}


INTRODUCTIONS = {
    "stock": """Every server as a production installation has it: ejabberd with those modules of its own configuration file that see stanzas (the
archive loaded, archiving nothing), Prosody with its nearest equivalents. The targets are judged here.""",
    "lean": """Only what the measured job needs, the same on all: roster, presence, offline, last, disco, ping, stream management,
HTTP API.""",
}


def section(name, kept):
    scenarios = [s for s in SCENARIOS if s.name in kept["scenarios"]]
    judged = rows(scenarios, kept["scenarios"])
    if name != "stock":
        judged = [row[:4] + row[6:] for row in judged]
    text = f"""## {name.capitalize()} modules

{INTRODUCTIONS[name]} Medians of {kept['runs']}{', small counts (--quick)' if kept['quick'] else ''}.

{markdown(judged)}
"""
    flows = flow_rows(scenarios, kept["scenarios"])
    if flows:
        text += f"\n{markdown(flows)}\n"
    if kept["failures"]:
        text += "\nFailed:\n" + "".join(f"- {f}\n" for f in kept["failures"])
    return text


def write_results(options, results, failures):
    """One section for each choice of modules; a run replaces the scenarios it ran."""
    path = os.path.join(HERE, "results.json")
    kept = {}
    with contextlib.suppress(OSError, ValueError), open(path) as f:
        kept = json.load(f)
    env = kept["environment"] = environment()
    before = kept.get(options.modules, {}).get("scenarios", {})
    kept[options.modules] = {"quick": options.quick, "runs": options.runs, "scenarios": {**before, **results}, "failures": failures}
    with open(path, "w") as f:
        json.dump(kept, f, indent=1, sort_keys=True)
        f.write("\n")
    text = f"""# Results

Written by `bench/run.py --write`; how it is measured: [README.md](README.md); every run: [results.json](results.json).

{env['date']}; {env['cores']} cores ({env['cpu']}), Linux {env['kernel']}; ejabberd {env['ejabberd']}, Prosody \
{env['prosody']}, OpenSSL {env['openssl']}. The first three columns of figures are cjabberd's share of the others' (smaller is better).
Latency is from the moment a stanza was sent (open loop: was due) to its arrival; per second: messages, pings, presences (storm) or
resumptions; loss, disorder and duplicates are the worst of the runs.

"""
    with open(os.path.join(HERE, "RESULTS.md"), "w") as f:
        f.write(text + "\n".join(section(m, kept[m]) for m in INTRODUCTIONS if m in kept))


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = [s.name for s in SCENARIOS]
    p.add_argument("--binary", default=os.path.join(ROOT, "build", "cjabberd"), help="cjabberd to measure")
    p.add_argument("--load", help="load generator (default: beside --binary, else compiled)")
    p.add_argument("--only", action="append", choices=names, metavar="SCENARIO", help="one of: " + ", ".join(names))
    p.add_argument("--servers", default=",".join(SERVERS), help="default: %(default)s")
    p.add_argument("--modules", choices=list(YML_MODULES), default="stock",
                   help="lean: the same small job for all; stock: as ejabberd's own configuration file has it")
    p.add_argument("--runs", type=int, default=3, help="runs per scenario and server; the median counts")
    p.add_argument("--quick", action="store_true", help="small counts: shows that it works, measures little")
    p.add_argument("--write", action="store_true", help="write RESULTS.md and results.json")
    p.add_argument("--timeout", type=int, default=300, help="seconds for one run")
    p.add_argument("--keep", action="store_true", help="keep the folder with configurations and logs")
    options = p.parse_args(argv)
    options.servers = options.servers.split(",")
    for name in options.servers:
        if name not in SERVERS:
            p.error(f"no server {name}; there are {', '.join(SERVERS)}")
    return options


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(argv):
    options = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers are stopped on the way out
    raise_descriptor_limit()
    if "cjabberd" in options.servers and not os.path.exists(options.binary):
        print(f"{options.binary} does not exist: cjabberd is left out", file=sys.stderr)
        options.servers.remove("cjabberd")
    scenarios = [s for s in SCENARIOS if not options.only or s.name in options.only]
    folder = tempfile.mkdtemp(prefix="bench-")
    try:
        bench = Bench(options, folder)
        results, failures = run_all(bench, Fleet(bench), scenarios, options.servers)
    finally:
        if options.keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(plain(rows(scenarios, results)))
    flows = flow_rows(scenarios, results)
    if flows:
        print("\n" + plain(flows))
    if options.write:
        write_results(options, results, failures)
    for failure in failures:
        print("failed: " + failure, file=sys.stderr)
    missed = [s.name for s in scenarios if verdict(s, results.get(s.name, {})) == "fail"]
    if missed:
        print("targets missed: " + ", ".join(missed), file=sys.stderr)
    return 1 if failures or missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
