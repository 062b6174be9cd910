"""Programs people use, on terminals: Profanity (libstrophe) is Anna's, MCabber (loudmouth) is Ben's."""
import pytest

from device import Wire
from server import PASSWORD, Server
from terminal import Terminal
from test_day import MODULES

ACCOUNT = """[{jid}]
enabled=true
jid={jid}
server={address[0]}
port={address[1]}
tls.policy=trust
password={password}
resource=profanity
"""
PROFRC = """[ui]
splash=false
[connection]
reconnect=1
carbons=true
receipts.request=true
receipts.send=true
"""
# Without a certificate authority of its own: the fingerprint is for people.
MCABBERRC = """set jid = {jid}
set password = {password}
set server = {address[0]}
set port = {address[1]}
set resource = mcabber
set tls = 1
set ssl_ignore_checks = 1
set beep_on_message = 0
set logging = 0
set log_win_height = 16
"""


@pytest.fixture
def server(tmp_path):
    def change(config):
        config["modules"].update(MODULES)
        config["auth_password_format"] = "scram"

    with Server(tmp_path / "server", change) as s:
        yield s


@pytest.fixture
def terminal():
    made = []

    def make(*args):
        made.append(Terminal(*args))
        return made[-1]

    yield make
    for t in made:
        t.close()


@pytest.fixture
def wire(server):
    w = Wire(server.c2s)
    yield w
    w.close()


class Profanity:
    def __init__(self, terminal, home, jid, address):
        data, config = home / ".local/share/profanity", home / ".config/profanity"
        for folder in (data, config):
            folder.mkdir(parents=True)
        (data / "accounts").write_text(ACCOUNT.format(jid=jid, password=PASSWORD, address=address))
        (config / "profrc").write_text(PROFRC)
        self.terminal, self.logs = terminal(["profanity", "-l", "DEBUG", "-a", jid], home), data / "logs"
        self.expect, self.type = self.terminal.expect, self.terminal.type
        self.expect("logged in successfully")

    def log(self):
        return "".join(f.read_text(errors="replace") for f in self.logs.glob("*.log"))

    def back(self, times):
        """It has come back by itself so many times."""
        self.terminal.until(lambda: self.terminal.shown().count("Connection re-established.") == times, "connected again")


def mcabber(terminal, home, jid, address):
    home.mkdir()
    rc = home / "mcabberrc"
    rc.write_text(MCABBERRC.format(jid=jid, password=PASSWORD, address=address))
    rc.chmod(0o600)
    t = terminal(["mcabber", "-f", rc], home)
    t.expect("Your status has been set: [_>o]")
    return t


def test_two_people_at_terminals(server, terminal, wire, tmp_path):
    anna_name, ben_name = server.register("anna"), server.register("ben")
    anna_jid, ben_jid = f"{anna_name}@localhost", f"{ben_name}@localhost"
    anna = Profanity(terminal, tmp_path / "anna", anna_jid, wire.address)
    assert "mechanism=\"SCRAM-SHA-1" in anna.log() or "mechanism='SCRAM-SHA-1" in anna.log()
    ben = mcabber(terminal, tmp_path / "ben", ben_jid, server.c2s)

    # RFC 6121 §3.1, both ways
    anna.type(f"/roster add {ben_jid} Ben")
    anna.expect(f"Roster item added: {ben_jid} (Ben)")
    anna.type(f"/sub request {ben_jid}")
    anna.expect(f"Sent subscription request to {ben_jid}")
    ben.expect(f"<{anna_jid}> wants to subscribe")
    ben.type("/event 1 accept")
    ben.expect(f"<{anna_jid}> is allowed to receive")
    ben.type(f"/authorization request {anna_jid}")
    anna.expect(f"Received authorization request from {ben_jid}")
    anna.type(f"/sub allow {ben_jid}")
    ben.expect(f"<{anna_jid}> has allowed you")
    anna.type(f"/msg {ben_jid} hello ✓")
    ben.expect(f"#[o] {anna_jid[:16]}")  # something to read; the column is narrow
    ben.type(f"/roster search {anna_jid}")
    ben.type("")  # shows what was said
    ben.expect("hello ✓")
    ben.type("and back")
    anna.expect("and back")
    assert "<received" in anna.log()  # the receipt for hers (XEP-0184)
    assert server.api("get_roster", user=anna_name, host="localhost")[0]["subscription"] == "both"
    anna.expect("[online] [unencrypted]")  # Ben, in the title of the talk

    # XEP-0280: her other device is heard here too
    desk = server.login(anna_name, "desk", presence=True)
    desk.message(ben_jid, "from my desk")
    for t in (ben, anna):
        t.expect("from my desk")
    desk.close()

    # a tunnel, and the server goes down for a while
    wire.cut()
    anna.expect("Lost connection.")
    ben.type("said in between")
    ben.expect("said in between")
    wire.mend()
    anna.back(1)
    anna.expect("said in between")
    server.api("restart")
    server.expect_notice("READY=1")
    anna.back(2)
    ben.expect("Disconnected")
    ben.type("/connect")
    ben.expect(f"[o] {anna_jid[:16]}")
    ben.type(f"/say_to {anna_jid} here again")
    anna.expect("here again")
    anna.type("me too")
    ben.expect("me too")
    anna.expect("[online] [unencrypted]")  # Ben, in the title of the talk
