"""A cjabberd of one test's own: generated configuration, free loopback address, start and stop by event, health checks.

The address is 127.x.y.z made of the process id of the test run, so that parallel runs and workers cannot meet (the server
binds with SO_REUSEPORT: two on one port would share it in silence).
"""
import contextlib
import copy
import http.client
import itertools
import json
import os
import pathlib
import select
import signal
import socket
import subprocess

import certs
from xmppstream import DEADLINE, Stream

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("CJABBERD_BUILD", "build")).resolve()
BINARY = BUILD / "cjabberd"
CTL = BUILD / "cjabberdctl"
PASSWORD = "secret"
SANITIZED = b"__asan_init" in BINARY.read_bytes() or b"__tsan_init" in BINARY.read_bytes() if BINARY.exists() else False
REPORTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "UndefinedBehaviorSanitizer", "runtime error:",
           "Assertion `", "stack smashing", "double free", "corrupted size", "free(): ")

_ports = itertools.count(20000)
_names = itertools.count(1)


def own_ip():
    pid = os.getpid()
    return f"127.{64 + (pid >> 16 & 127)}.{pid >> 8 & 255}.{pid & 255}"


def free_port():
    """A port of our own address that is free now; nobody else uses the address."""
    while True:
        port = next(_ports)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                s.bind((own_ip(), port))
                return port


def unique(name):
    return f"{name}-{next(_names)}"


class ApiError(AssertionError):
    def __init__(self, command, status, body):
        super().__init__(f"{command}: HTTP {status}: {body!r}")
        self.status, self.body = status, body


class Server:
    HOSTS = ("localhost", "example.test")

    def __init__(self, folder, change=None, allow_errors=False):
        """change: called with the configuration (a dict) before the first start. allow_errors: of the log's [error] lines."""
        self.folder = pathlib.Path(folder)
        self.spool, self.logs = self.folder / "spool", self.folder / "logs"
        for d in (self.spool, self.logs):
            d.mkdir(parents=True, exist_ok=True)
        self.allow_errors = allow_errors
        self.ip = own_ip()
        self.c2s, self.tls, self.required, self.http = [(self.ip, free_port()) for _ in range(4)]
        self.cert = certs.make(self.folder / "cert.pem", list(self.HOSTS))
        self.config = self._config()
        if change:
            change(self.config)
        self.config_file = self.folder / "ejabberd.yml"
        self.env = {}
        self.process = None
        self.starts = 0

    # --- configuration ---

    def _config(self):
        def c2s(address, **more):
            return {"port": address[1], "ip": self.ip, "module": "ejabberd_c2s", "max_stanza_size": 262144, "backlog": 4096,
                    "access": "c2s", "shaper": "c2s_shaper", **more}
        return {
            "hosts": list(self.HOSTS),
            "loglevel": "info",
            "certfiles": [str(self.cert)],
            "shards": 2,
            "listen": [
                c2s(self.c2s, starttls=True), c2s(self.tls, tls=True), c2s(self.required, starttls_required=True),
                {"port": self.http[1], "ip": self.ip, "module": "ejabberd_http", "request_handlers": {"/api": "mod_http_api"}}],
            "acl": {"loopback": {"ip": ["127.0.0.0/8", "::1/128"]}, "blocked": {"user": []}},
            "access_rules": {"c2s": [{"deny": "blocked"}, {"allow": "all"}]},
            "api_permissions": {
                "console commands": {"from": "ejabberd_ctl", "who": "all", "what": "*"},
                "tests": {"who": {"access": {"allow": [{"acl": "loopback"}]}}, "what": "*"}},
            "shaper_rules": {"c2s_shaper": "none", "max_user_sessions": 10},
            "modules": {m: {} for m in ("mod_admin_extra", "mod_disco", "mod_http_api", "mod_last", "mod_ping", "mod_stats",
                                        "mod_time", "mod_version")},
        }

    def listener(self, address):
        return next(l for l in self.config["listen"] if l["port"] == address[1])

    def add_listener(self, **options):
        """Another client listener; returns its address."""
        address = (self.ip, free_port())
        self.config["listen"].append({**copy.deepcopy(self.listener(self.c2s)), "port": address[1], **options})
        return address

    def write_config(self):
        self.config_file.write_text(json.dumps(self.config, indent=1))  # JSON is YAML

    # --- life ---

    def _environment(self, notify):
        env = dict(os.environ, NOTIFY_SOCKET=notify, **self.env)
        for name, options in (("ASAN", "exitcode=86:detect_leaks=1"), ("UBSAN", "exitcode=86:halt_on_error=1:print_stacktrace=1"),
                              ("TSAN", "exitcode=86:second_deadlock_stack=1")):
            env[f"{name}_OPTIONS"] = f"{options}:{os.environ.get(f'{name}_OPTIONS', '')}"
        return env

    def command(self):
        return [str(BINARY), "--config", str(self.config_file), "--spool", str(self.spool), "--logs", str(self.logs)]

    def start(self):
        self.write_config()
        self.starts += 1
        self.stderr = self.folder / f"stderr-{self.starts}"
        # An abstract socket: the path of a test's folder may be longer than sun_path. It stays: restarts and reloads say things.
        self.notify, self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), []
        name = f"cjabberd-e2e-{os.getpid()}-{next(_names)}"
        self.notify.bind(b"\0" + name.encode())
        with open(self.stderr, "wb") as err:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                            env=self._environment("@" + name))
        self.pidfd = os.pidfd_open(self.process.pid)
        try:
            self.expect_notice("READY=1")
        except AssertionError as e:
            if self.alive():
                self.process.kill()
            self._reap()
            raise AssertionError(f"the server did not start\n{self.words()}") from e
        return self

    def _read_notices(self):
        """The socket holds only a few, and the server would wait."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.notices.append(self.notify.recv(4096, socket.MSG_DONTWAIT).decode())

    def expect_notice(self, words):
        """Waits until the server has said this to systemd; what it said up to then comes back, a list of messages."""
        poll = select.poll()
        poll.register(self.notify, select.POLLIN)
        poll.register(self.pidfd, select.POLLIN)
        self._read_notices()
        while not any(words in n for n in self.notices):
            events = dict(poll.poll(DEADLINE * 1000))
            self._read_notices()
            if self.notify.fileno() not in events and not any(words in n for n in self.notices):
                raise AssertionError(f"never said {words} but {self.notices}\n{self.words()}")
        at = next(i for i, n in enumerate(self.notices) if words in n)
        said, self.notices = self.notices[:at + 1], self.notices[at + 1:]
        return said

    def words(self):
        """What the server said, for messages."""
        said = self.stderr.read_text(errors="replace")
        return f"--- stderr\n{said[-8000:]}\n--- log\n{self.log()[-4000:]}"

    def log(self):
        file = self.logs / "cjabberd.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def _reap(self):
        code = self.process.wait()
        os.close(self.pidfd)
        self.notify.close()
        self.process = None
        return code

    def wait_exit(self):
        """Waits for the end of the process; its exit code."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        if not poll.poll(DEADLINE * 1000):
            self.process.kill()
            self._reap()
            raise AssertionError(f"the server does not stop\n{self.words()}")
        return self._reap()

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self):
        """SIGTERM; exit code 0 and a clean bill of health, or an error."""
        if self.alive():
            self.signal(signal.SIGTERM)
        self.expect_clean_exit()

    def expect_clean_exit(self):
        code = self.wait_exit()
        self.check_health()
        assert code == 0, f"exit code {code}\n{self.words()}"

    def kill(self):
        """kill -9: nothing may be lost that was acknowledged."""
        self.signal(signal.SIGKILL)
        code = self.wait_exit()
        self.check_health()
        assert code == -signal.SIGKILL, f"exit code {code}\n{self.words()}"

    def check_health(self):
        said = self.stderr.read_text(errors="replace") + self.log()
        assert not any(r in said for r in REPORTS), self.words()
        if not self.allow_errors:
            bad = [line for line in self.log().splitlines() if "[error]" in line or "[critical]" in line]
            assert not bad, "\n".join(bad[:20])

    def give_up(self):
        """For the end of a test that failed: no checks, nothing left running."""
        if self.alive():
            self.process.kill()
            self._reap()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.process is None:
            return
        if kind is None:
            self.stop()
        else:
            self.give_up()

    # --- resources ---

    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def sockets(self):
        """Open ones; those of listeners included."""
        n = 0
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                n += os.readlink(f"/proc/{self.pid}/fd/{fd}").startswith("socket:")
        return n

    # --- administration ---

    def api(self, command, **args):
        status, body = self.api_raw(command, json.dumps(args))
        if status != 200:
            raise ApiError(command, status, body)
        return json.loads(body)

    def api_raw(self, command, body):
        self._read_notices()
        conn = http.client.HTTPConnection(*self.http, timeout=DEADLINE)
        try:
            conn.request("POST", f"/api/{command}", body)
            r = conn.getresponse()
            return r.status, r.read().decode()
        finally:
            conn.close()

    def ctl_words(self, *args):
        return [str(CTL), "--spool", str(self.spool), *args]

    def ctl(self, *args):
        return subprocess.run(self.ctl_words(*args), capture_output=True, text=True)

    def reload(self):
        self.write_config()
        return self.api("reload_config")

    def register(self, name="user", host="localhost", password=PASSWORD):
        """A new account with a name of its own; returns the name."""
        user = unique(name)
        self.api("register", user=user, host=host, password=password)
        return user

    # --- clients ---

    def stream(self, address=None, **options):
        return Stream(address or self.c2s, **options)

    def login(self, user=None, resource=None, host="localhost", address=None, presence=False, password=PASSWORD, mechanism="PLAIN",
              starttls=False, **options):
        """A bound stream of the account, which is made when no name is given."""
        user = user or self.register(host=host)
        s = Stream(address or self.c2s, to=host, **options)
        try:
            return s.login(user, password, resource, mechanism=mechanism, starttls=starttls, presence=presence)
        except BaseException:
            s.drop()
            raise
