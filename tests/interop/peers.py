"""Programs that speak TLS: gnutls-cli, openssl s_client and NSS's tstclnt become client streams, curl asks over HTTPS.

A program's input and output are a socket pair; what it says about itself goes to a file. Everything sent ends with a line
end, because gnutls-cli reads lines.
"""
import json
import re
import select
import signal
import socket
import subprocess
import time

import sasl
from server import PASSWORD, free_port
from xmppstream import DEADLINE, NS, Stream, Timeout, q


class Peer(Stream):
    """A program as the TLS of a stream."""
    starttls_by_itself = False
    ends_with_its_input = False

    def __init__(self, folder, server, *options, starttls=False, **more):
        self.to, self.name, self.tls, self.jid, self.header = "localhost", type(self).__name__, None, None, None
        self.log, self.items, self.held = [], [], b""
        self.stream_ended = self.eof = self.reset = False
        self.folder, self.server, self.with_starttls = folder, server, starttls
        self.said_file = folder / f"{self.name}-says-{time.monotonic_ns()}"
        self.said_file.touch()
        self._new_parser()
        self.sock, theirs = socket.socketpair()
        self.sock.setblocking(False)
        with open(self.said_file, "ab") as err:
            self.process = subprocess.Popen([str(a) for a in self.command(*options, **more)], stdin=theirs, stdout=theirs, stderr=err)
        theirs.close()

    def address(self):
        return self.server.c2s if self.with_starttls else self.server.tls

    def said(self):
        return self.said_file.read_text(errors="replace")

    def wait_said(self, pattern):
        """The program has said it; its output is a file, so an answer of the process is awaited by looking again."""
        end = time.monotonic() + DEADLINE
        while not (found := re.findall(pattern, self.said())):
            if time.monotonic() > end or self.process.poll() is not None:
                raise Timeout(f"{self.name} did not say {pattern}: {self.said()}")
            select.select([self.sock], [], [], 0.01)
        return found

    def transcript(self, limit=4000):
        return super().transcript(limit) + f"\n--- {self.process.args}\n{self.said()[-2000:]}"

    def send_bytes(self, data, note=True):
        super().send_bytes(data + b"\n", note)

    def _parse(self, data):
        """gnutls-cli writes single bytes; expat puts off a token that is cut, until much more has come."""
        self.held += data
        if self.held.endswith(b">"):
            data, self.held = self.held, b""
            super()._parse(data)

    def open(self, **args):
        return super().open(**{"declare": False, **args})  # after our line ends it would not be at the beginning

    def begin(self, user):
        """Up to the features before login, over TLS."""
        self.name = f"{user} of {self.name}"
        self.open_features()
        if self.with_starttls and not self.starttls_by_itself:
            self.send(f"<starttls xmlns='{NS['tls']}'/>")
            self.expect_tag(q("tls", "proceed"))
            self._new_parser()
            self.shake_hands()
            self.open_features()

    def enter(self, user, password=PASSWORD, resource=None, binding=None):
        self.begin(user)
        if binding:
            x = sasl.Scram("SCRAM-SHA-1-PLUS", user, password, "tls-exporter", binding(), "", True)
            self.auth_raw("SCRAM-SHA-1-PLUS", x.first())
            self.respond_raw(x.final(sasl.unb64(self.sasl_reply().text)))
            x.verify(self.expect_success())
        else:
            self.authenticate(user, password)
        self.open_features()
        self.bind(resource)
        return self

    def close(self):
        """In order; the program's exit status."""
        self.send("</stream:stream>")
        self.wait(lambda: self.stream_ended, "waiting for </stream:stream>")
        if self.ends_with_its_input:
            self.end_input()
        self.expect_eof()
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} does not end\n{self.transcript()}") from None

    def end_input(self):
        self.sock.shutdown(socket.SHUT_WR)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.drop()


class Gnutls(Peer):
    talks = False  # its own words come first, up to this line
    BEGIN = b"- Simple Client Mode:\n\n"

    def command(self, *options, version="1.3", cipher=None, talks=False):
        self.talks = talks
        priority = f"NORMAL:-VERS-ALL:+VERS-TLS{version}" + (f":-CIPHER-ALL:+{cipher}" if cipher else "")
        ip, port = self.address()
        return ["gnutls-cli", "--insecure", "--sni-hostname", "localhost", "--priority", priority, "--port", port,
                *(["--keymatexport", "EXPORTER-Channel-Binding", "--keymatexportsize", 32] if talks else ["--logfile", self.said_file]),
                *(["--starttls"] if self.with_starttls else ["--alpn", "xmpp-client"]), *options, ip]

    def _parse(self, data):
        if not self.talks:
            return super()._parse(data)
        self.held += data
        words, begin, rest = self.held.partition(self.BEGIN)
        if begin:
            self.held, self.talks = b"", False
            self.exported = bytes.fromhex(re.search(rb"Key material: ([0-9a-f]{64})", words)[1].decode())
            super()._parse(rest)

    def exporter(self):
        return self.exported

    def shake_hands(self):
        self.process.send_signal(signal.SIGALRM)
        self.wait_said("Starting TLS handshake")

    def update_keys(self, both):
        """A key update; with both the server's key too."""
        self.send("^rekey^" if both else "^rekey1^")


class Openssl(Peer):
    starttls_by_itself = True

    def command(self, *options, version="1.3", cipher=None, commands=False):
        ip, port = self.address()
        suite = ["-ciphersuites" if version == "1.3" else "-cipher", cipher] if cipher else []
        return ["openssl", "s_client", "-quiet", "-no_ign_eof" if commands else "-ign_eof", "-connect", f"{ip}:{port}",
                "-servername", "localhost", f"-tls{version.replace('.', '_')}", *suite,
                *(["-starttls", "xmpp", "-xmpphost", "localhost"] if self.with_starttls else ["-alpn", "xmpp-client"]), *options]

    def update_keys(self, both):
        """Its commands are single letters that come alone; it says when it has obeyed."""
        n = len(re.findall("KEYUPDATE", self.said()))
        super(Peer, self).send_bytes(b"K\n" if both else b"k\n")
        self.wait_said("(?s)" + ".*".join(["KEYUPDATE"] * (n + 1)))


class Nss(Peer):
    ends_with_its_input = True

    def command(self, *options, version="1.3", cipher=None):
        ip, port = self.address()
        return ["tstclnt", "-D", "-o", "-h", ip, "-p", port, "-a", "localhost", "-V", f"tls{version}:tls{version}", "-f", *options]


class Https:
    """The server's administration API over TLS, asked by curl."""

    def __init__(self, server):
        self.server, self.port = server, free_port()
        plain = server.listener(server.http)
        server.config["listen"].append({**plain, "port": self.port, "tls": True})

    def url(self, command):
        return f"https://localhost:{self.port}/api/{command}"

    def curl(self, *args, data=None):
        r = subprocess.run(["curl", "--silent", "--show-error", "--insecure", "--max-time", str(DEADLINE), "--resolve",
                            f"localhost:{self.port}:{self.server.ip}", *map(str, args)], input=data, capture_output=True)
        assert r.returncode == 0, f"curl: {r.returncode} {r.stderr.decode()}"
        return r.stdout


def answers(output):
    """Several JSON documents, one behind the other."""
    decoder, text, found = json.JSONDecoder(), output.decode().strip(), []
    while text:
        value, n = decoder.raw_decode(text)
        found.append(value)
        text = text[n:].strip()
    return found
