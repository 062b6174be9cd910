"""Desktop programs as people run them: a screen without a monitor, keys that are pressed, and what the program keeps on its disk.

A program gets a screen, a session bus and a home of its own, does not run as root, and finds the network through elsewhere.c.
"""
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile

from server import PASSWORD
from xmppstream import until

NOBODY = 65534
# Nothing is started on demand: no other program of the machine belongs to the test.
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir={}</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"
eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""


def shim(folder):
    out = pathlib.Path(folder) / "elsewhere.so"
    source = pathlib.Path(__file__).with_name("elsewhere.c")
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o", out, source, "-ldl"], check=True)
    return out


def finish(process):
    process.kill()
    process.wait()


class Screen:
    """An X server and a session bus; their names come from themselves."""

    def __init__(self, home, run):
        read, write = os.pipe()
        with open(home / "screen.log", "wb") as log:
            self.x = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1200x900x24", "-nolisten", "tcp",
                                       "-nolisten", "local"],
                                      pass_fds=[write], stdout=log, stderr=log)
        os.close(write)
        with os.fdopen(read) as pipe:
            self.display = ":" + pipe.readline().strip()
        assert self.display != ":", (home / "screen.log").read_text()
        (home / "bus.conf").write_text(BUS.format(home / "run"))
        self.bus_process = run(["dbus-daemon", f"--config-file={home / 'bus.conf'}", "--nofork", "--print-address=1"],
                               stdout=subprocess.PIPE)
        self.bus = self.bus_process.stdout.readline().decode().strip()

    def close(self):
        self.bus_process.stdout.close()
        for p in (self.bus_process, self.x):
            finish(p)


class Program:
    """resource: as it shows itself to contacts. say() writes to the peer it was started with."""

    def __init__(self, server, wire, user, peer):
        self.jid, self.peer, self.wire = f"{user}@localhost", f"{peer}@localhost", wire
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="cjabberd-desktop-"))
        self.person = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.process = self.screen = None
        shutil.copy(server.cert.with_suffix(".crt"), self.home / "authority.pem")
        self.elsewhere = shim(self.home)
        (self.home / "run").mkdir(mode=0o700)
        self.env = {
            "HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC", "XDG_RUNTIME_DIR": str(self.home / "run"),
            "GDK_BACKEND": "x11", "GSK_RENDERER": "cairo", "GTK_A11Y": "none", "NO_AT_BRIDGE": "1", "GIO_USE_VFS": "local",
            "GSETTINGS_BACKEND": "memory", "QT_QPA_PLATFORM": "xcb"}
        self.prepare()
        self._give_away()
        self.screen = Screen(self.home, self._run)
        self.env.update(DISPLAY=self.screen.display, DBUS_SESSION_BUS_ADDRESS=self.screen.bus)

    def _give_away(self):
        if self.person:
            for folder, _, files in os.walk(self.home):
                for name in ("", *files):
                    os.chown(os.path.join(folder, name), NOBODY, NOBODY)

    def _run(self, command, **more):
        with open(self.home / f"{pathlib.Path(command[0]).name}.log", "ab") as log:
            return subprocess.Popen(list(map(str, command)), cwd=self.home, stdin=subprocess.DEVNULL,
                                    **{"env": self.env, "stdout": log, "stderr": log, **self.person, **more})

    def start(self):
        ip, port = self.wire.address
        env = {**self.env, "LD_PRELOAD": str(self.elsewhere), "ELSEWHERE_IP": ip, "ELSEWHERE_PORT": str(port),
               "ELSEWHERE_CA": str(self.home / "authority.pem")}
        self.process = self._run(self.command(), env=env, start_new_session=True)

    def quit(self):
        """As at the end of a desktop session."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.process = None

    def close(self):
        if self.process:
            finish(self.process)
        if self.screen:
            self.screen.close()
        shutil.rmtree(self.home)

    def words(self):
        return "\n".join(f"--- {f.name}\n{f.read_text(errors='replace')[-20000:]}" for f in self.home.glob("*.log"))

    def until(self, condition, what, deadline=None):
        try:
            until(condition, what, deadline)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.words()}") from None

    # --- keys ---

    def _xdotool(self, *words):
        done = subprocess.run(["xdotool", *map(str, words)], env=self.env, capture_output=True, text=True, timeout=60)
        return done.stdout.split() if done.returncode == 0 else []

    def windows(self, title):
        return self._xdotool("search", "--onlyvisible", "--name", title)

    def focus(self, title):
        """The window with this title, once it is there."""
        self.until(lambda: self.windows(title), f"a window {title}")
        self._xdotool("windowfocus", self.windows(title)[-1])

    def keys(self, *names):
        self._xdotool("key", *names)

    def write(self, text):
        self._xdotool("type", "--delay", "15", text)
        self.keys("Return")

    def say(self, text, heard):
        """heard(words): whether they arrived, waiting a little. A window that is still being drawn swallows keys; a person then says
        it again. Returns the words that arrived."""
        for n in range(1, 13):
            self.ready()
            self.write(f"{text} {n}")
            if heard(f"{text} {n}"):
                return f"{text} {n}"
        raise AssertionError(f"{text}: never heard\n{self.words()}")

    def ready(self):
        self.focus(self.title)

    # --- what it keeps ---

    def kept(self, text):
        """How often it has this message."""
        return sum(self._rows(f, text) for f in self.home.rglob("*.*") if f.suffix in (".db", ".sqlite") and f.is_file())

    @staticmethod
    def _rows(file, text):
        """Read from a copy: opening a database in use would leave files of another owner."""
        with tempfile.TemporaryDirectory() as folder:
            for part in ("", "-wal"):
                if os.path.exists(f"{file}{part}"):
                    shutil.copy(f"{file}{part}", folder)
            db = sqlite3.connect(pathlib.Path(folder) / file.name)
            try:
                tables = db.execute("SELECT name FROM sqlite_master WHERE type='table' AND sql LIKE 'create table%'").fetchall()
                n = 0
                for table, in tables:
                    for column in ("body", "message", "text"):
                        if any(c[1] == column for c in db.execute(f"PRAGMA table_info({table!r})")):
                            n += db.execute(f'SELECT count(*) FROM "{table}" WHERE "{column}" = ?', (text,)).fetchone()[0]
                return n
            except sqlite3.DatabaseError:
                return 0  # copied between two of its writes
            finally:
                db.close()


class Dino(Program):
    """xmpp-vala. It makes its database at its first start, without an account."""
    resource, title = "dino", "Dino"

    def prepare(self):
        self.file = self.home / ".local/share/dino/dino.db"

    def start(self):
        self.peer_uri = []
        if not self.file.exists():
            super().start()
            self.focus(self.title)
            self.quit()
            with sqlite3.connect(self.file) as db:
                self._insert(db, "account", bare_jid=self.jid, resourcepart=self.resource, password=PASSWORD, alias="Anna", enabled=1,
                             roster_version="")
                self._insert(db, "jid", bare_jid=self.peer)
                # Later versions encrypt when nothing else was said, and Ben has no keys.
                self._insert(db, "conversation", account_id=1, jid_id=1, active=1, type=0, encryption=0, active_last_changed=0,
                             read_up_to_item=-1, notification=0, send_typing=0, send_marker=0)
            db.close()
            self._give_away()
        self.peer_uri = [f"xmpp:{self.peer}?message"]
        super().start()

    @staticmethod
    def _insert(db, table, **row):
        db.execute(f"INSERT INTO {table} ({','.join(row)}) VALUES ({','.join('?' * len(row))})", list(row.values()))

    def command(self):
        return ["dino-im", "--print-xmpp=all", *self.peer_uri]


class Gajim(Program):
    """nbxmpp and GTK."""
    resource, title, question = "gajim", "Gajim", "Start / Join Chat"

    def prepare(self):
        folder = self.home / ".config/gajim"
        folder.mkdir(parents=True)
        account = {"name": self.jid.partition("@")[0], "hostname": "localhost", "address": self.jid, "password": PASSWORD,
                   "savepass": True, "resource": self.resource, "active": True, "enabled": True, "autoconnect": True}
        app = {"is_window_visible": True, "use_keyring": False, "plugins_update_check": False, "check_for_update": False,
               "show_trayicon": False, "confirm_on_window_delete": False, "confirm_close": False}
        with sqlite3.connect(folder / "settings.sqlite") as db:
            db.executescript("CREATE TABLE settings (name TEXT UNIQUE, settings TEXT);"
                             "CREATE TABLE account_settings (account TEXT UNIQUE, settings TEXT);")
            db.execute("INSERT INTO settings VALUES ('app', ?)", (json.dumps(app),))
            db.execute("INSERT INTO account_settings VALUES ('account', ?)",
                       (json.dumps({"account": account, "contact": {}, "group_chat": {}}),))
        db.close()

    def command(self):
        return ["gajim", "-v", f"xmpp:{self.peer}?message"]

    def ready(self):
        if self.windows(self.question):
            self.focus(self.question)
            self.keys("Return")
        super().ready()


class Psi(Program):
    """Iris and Qt 5."""
    resource, title = "psi", "Ben"

    def prepare(self):
        self.env["PSIDATADIR"] = str(self.home / "psi")
        profile = self.home / "psi/profiles/default"
        profile.mkdir(parents=True)
        # What it reads back is no secret: characters, each mixed with one of the address.
        password = "".join(f"{ord(c) ^ ord(self.jid[i % len(self.jid)]):04x}" for i, c in enumerate(PASSWORD))
        values = {"name": ("QString", "anna"), "enabled": ("bool", "true"), "auto": ("bool", "true"), "reconn": ("bool", "true"),
                  "jid": ("QString", self.jid), "password": ("QString", password), "automatic-resource": ("bool", "false"),
                  "resource": ("QString", self.resource), "ssl": ("QString", "yes"), "log": ("bool", "true"),
                  "enable-sm": ("bool", "true"), "use-host": ("bool", "true"), "host": ("QString", self.wire.address[0]),
                  "port": ("int", self.wire.address[1])}
        lines = "".join(f'<{k} type="{t}">{v}</{k}>\n' for k, (t, v) in values.items())
        (profile / "accounts.xml").write_text(f'<!DOCTYPE accounts>\n<accounts xmlns="http://psi-im.org/options" version="1.5">'
                                              f"<accounts><a0>\n{lines}</a0></accounts></accounts>\n")
        (profile / "options.xml").write_text(
            '<!DOCTYPE options>\n<options xmlns="http://psi-im.org/options" version="1.5"><options><ui>'
            '<chat><auto-popup type="bool">true</auto-popup></chat><tip><show type="bool">false</show></tip>'
            "</ui></options></options>\n")

    def command(self):
        return ["psi"]

    def kept(self, text):
        return sum(line.rstrip("\n").endswith(f"|{text}") for f in (self.home / "psi").rglob("*.history")
                   for line in f.read_text().splitlines())
