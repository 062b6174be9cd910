"""Hostile clients, as functions that run an attack and end; used by test_hostile.py and by hostile_report.py. And the bystander:
a well-behaved client in a process of its own that counts its pings, the unanswered ones and the longest round trip."""
import json
import random
import socket
import struct
import subprocess
import sys
import time

import sasl
from server import PASSWORD
from tlslayer import TlsLayer
from xmppstream import NS, Ended, Stream, q, until

HEAD = (f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{NS['stream']}' to='localhost' version='1.0'>").encode()
TLS_NS = NS["tls"]


# --- the bystander ---

class Bystander:
    """A child process that pings the server without pause."""

    def __init__(self, server):
        user = server.register("bystander")
        self.child = subprocess.Popen([sys.executable, __file__, server.c2s[0], str(server.c2s[1]), user], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "ready\n"

    def finish(self):
        """{"pings", "lost", "max_ms", "p99_ms"}"""
        out, _ = self.child.communicate("\n")
        return json.loads(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.communicate()


def bystander_main(ip, port, user):
    """Closed loop with one ping under way; stops at the first line of standard input."""
    import select
    s = Stream((ip, int(port))).login(user, PASSWORD)
    sock = s.sock
    sock.setblocking(True)
    sock.settimeout(60)
    print("ready", flush=True)
    times, lost, n = [], 0, 0
    rest = b""
    while not select.select([sys.stdin], [], [], 0)[0]:
        n += 1
        mark = f"id='b{n}'".encode()
        begin = time.perf_counter()
        try:
            sock.sendall(f"<iq type='get' id='b{n}'><ping xmlns='urn:xmpp:ping'/></iq>".encode())
            while mark not in rest:
                data = sock.recv(65536)
                if not data:
                    raise OSError("closed")
                rest = rest[-4096:] + data
        except OSError:
            lost += 1
            break
        times.append(time.perf_counter() - begin)
        rest = b""
        select.select([sys.stdin], [], [], 0.001)  # its own load stays small
    times.sort()
    print(json.dumps({"pings": len(times), "lost": lost, "max_ms": round(times[-1] * 1000, 2) if times else None,
                      "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 2) if times else None}))


# --- attacks ---

def dial(address, i=0):
    """A raw socket; source addresses vary, so that ports never run out."""
    s = socket.socket()
    s.bind((f"127.0.{1 + i // 200 % 50}.{1 + i % 200}", 0))
    s.connect(address)
    return s


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half_open(server, count=2000):
    """Connections that say nothing, half a header, half a ClientHello, all held at once; then dropped."""
    hello = TlsLayer("localhost").step()
    held = []
    for i in range(count):
        kind = i % 4
        s = dial(server.tls if kind == 3 else server.c2s, i)
        if kind == 1:
            s.send(HEAD[:40])
        elif kind == 2:
            s.send(HEAD)
        elif kind == 3:
            s.send(hello[:len(hello) // 2])
        held.append(s)
    server.api("status")
    for i, s in enumerate(held):
        (reset if i % 2 else socket.socket.close)(s)


def connects_and_drops(server, count=20000):
    """Connections dropped at every stage of a login, by FIN and by reset."""
    user = server.register()
    auth = f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>{sasl.b64(sasl.plain(user, PASSWORD))}</auth>".encode()
    scram = f"<auth xmlns='{NS['sasl']}' mechanism='SCRAM-SHA-1'>{sasl.b64(sasl.Scram('SCRAM-SHA-1', user, '').first())}</auth>".encode()
    bind = f"<iq type='set' id='b'><bind xmlns='{NS['bind']}'/></iq>".encode()
    hello = TlsLayer("localhost").step()
    stages = [
        (server.c2s, b"", False), (server.c2s, HEAD[:50], False), (server.c2s, HEAD, False), (server.c2s, HEAD, True),
        (server.c2s, HEAD + f"<starttls xmlns='{TLS_NS}'/>".encode(), True), (server.tls, hello[:100], False), (server.tls, hello, True),
        (server.c2s, HEAD + scram, True), (server.c2s, b"\0\xff garbage", True), (server.c2s, HEAD + auth, False),
    ]
    full = (server.c2s, HEAD + auth + HEAD + bind, True)
    waiting = []
    for i in range(count):
        # A whole login costs a password hash: one in fifty.
        address, data, answer = full if i % 50 == 0 else stages[i % len(stages)]
        s = dial(address, i)
        if data:
            s.send(data)
        waiting.append((s, answer, i))
        if len(waiting) == 64:
            _drop(waiting)
            waiting = []
    _drop(waiting)


def _drop(waiting):
    for s, answer, i in waiting:
        if answer:
            s.settimeout(60)
            try:
                s.recv(65536)
            except ConnectionResetError:
                pass
        (reset if i % 3 == 0 else socket.socket.close)(s)


def byte_by_byte(server, count=20):
    """Clients that send a whole session in segments of one byte, all at once."""
    users = [server.register() for _ in range(count)]
    clients = [Stream(server.c2s, name=u) for u in users]
    for c in clients:
        c.open_features()
    for c, u in zip(clients, users):
        c.send_each_byte(f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>{sasl.b64(sasl.plain(u, PASSWORD))}</auth>")
    for c in clients:
        c.expect_success()
        c.open_features()
        c.bind()
    text = "".join(f"<iq type='get' id='d{i}'><ping xmlns='urn:xmpp:ping'/></iq>" for i in range(20)).encode()
    for i in range(len(text)):
        for c in clients:
            c._send_raw(text[i:i + 1])
    for c in clients:
        for i in range(20):
            c.expect_id(f"d{i}")
        c.close()


def never_reading(server, messages=4000):
    """Floods a session that never reads until the server lets it go; then its messages bounce."""
    sender = server.login()
    deaf = server.login(resource="deaf", rcvbuf=4096)
    body = "x" * 4000
    for n in range(messages):
        sender.message(deaf.jid, body, id_=f"m{n}")
        sender.pump(0)
        if any(e.get("type") == "error" for e in sender.items):
            break
    else:
        sender.expect(lambda e: e.get("type") == "error", "a bounce once the deaf session is gone")
    sender.drop()
    # What had been queued still arrives, then the end.
    deaf.tolerant = True
    while not deaf.eof:
        deaf._parse = lambda data: None
        if not deaf.pump():
            raise AssertionError("the deaf session was not closed")
    deaf.drop()


def never_reading_answers(server, count=200000):
    """Asks and asks and never reads an answer: the server must stop reading or close, not queue without end."""
    s = server.login(rcvbuf=4096)
    data = b"".join(b"<iq type='get' id='q%d'><ping xmlns='urn:xmpp:ping'/></iq>" % i for i in range(100))
    s.sock.setblocking(False)
    sent, refused = 0, 0
    end = time.monotonic() + 60
    while sent < count * 60 and time.monotonic() < end:
        try:
            sent += s.sock.send(data)
            refused = 0
        except BlockingIOError:
            refused += 1
            server.api("status")
            if refused > 20:  # it does not take any more: that is an answer too
                break
        except OSError:
            break
    s.drop(rst=True)


def huge_stanza(server, size=10_000_000):
    """10 MB after login where the limit is 256 KiB, and before login. Returns the conditions."""
    found = []
    for logged_in in (True, False):
        s = server.login() if logged_in else server.stream()
        if not logged_in:
            s.open_features()
        piece = b"x" * 100_000
        s.send("<message to='nobody@localhost'><body>")
        for _ in range(size // len(piece)):
            s.send_bytes(piece, note=False)
            if s.eof or s.stream_ended:
                break
        found.append(s.expect_stream_error("policy-violation"))
        s.drop()
    return found


LAUGHS = ("<!DOCTYPE lolz [<!ENTITY lol 'lol'>" + "".join(f"<!ENTITY lol{i} '" + f"&lol{i - 1 if i > 1 else ''};" * 10 + "'>" for i in range(1, 10)) +
          "]>")


def billion_laughs(server):
    """Entities that grow: before the header, inside the stream. Refused as restricted-xml at the DTD or the reference."""
    s = server.stream()
    s.send("<?xml version='1.0'?>" + LAUGHS + HEAD.decode().partition("?>")[2])
    s.expect_stream_error("restricted-xml")
    s.drop()
    for text in (LAUGHS, "<message><body>&lol9;</body></message>", "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", "<!ELEMENT x ANY>"):
        s = server.login()
        s.send(text)
        s.expect_stream_error(("restricted-xml", "not-well-formed"))
        s.drop()


BAD_UTF8 = [b"\xff", b"\xfe\xff", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80",
            b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\x80", b"\xbf\xbf", b"\xc3(", b"\xe2\x82(", b"\xf0\x9f\x98(", b"\xef\xbf\xbe",
            b"\xef\xbf\xbf", b"\x00", b"\x0b", b"\x1b", b"\x7f\x00"]


def invalid_utf8(server):
    """Overlong forms, surrogates, stray and cut sequences, characters XML forbids; in text, attributes, names; whole and byte by byte."""
    frames = (b"<message to='nobody@localhost'><body>%s</body></message>", b"<message to='nobody@localhost' id='%s'/>",
              b"<message><x%s xmlns='urn:x'/></message>")
    for bad in BAD_UTF8:
        for i, frame in enumerate(frames):
            s = server.login()
            if i == 0 and len(bad) > 1:
                s.send_each_byte(frame.replace(b"%s", bad))
            else:
                s.send_bytes(frame.replace(b"%s", bad))
            s.expect_stream_error("not-well-formed")
            s.drop()


def stanza_flood(server, count=30000):
    """Stanzas as fast as they go: to nobody, to itself, queries; the flooder reads. Counts every bounce."""
    s = server.login()
    bounces = 0
    kinds = (f"<message to='nobody@localhost' id='f'><body>x</body></message>", f"<message to='{s.jid}' id='f'><body>x</body></message>",
             "<iq type='get' id='f' to='localhost'><query xmlns='urn:none'/></iq>", f"<iq type='get' id='f' to='{s.jid[:-3]}none'><a xmlns='b'/></iq>")
    data = "".join(kinds[i % 4] for i in range(200)).encode()
    for _ in range(count // 200):
        s.send_bytes(data, note=False)
        while s.pump(0):
            pass
        bounces += len(s.items)
        s.items.clear()
        s.log.clear()
    s.wait(lambda: bounces + len(s.items) >= count // 200 * 200, "an answer for every stanza of the flood")
    bounces += len(s.items)
    s.items.clear()
    s.ping()
    s.close()
    return bounces


def presence_flood(server, count=3000):
    """A resource that changes its presence without pause before nine others of the account."""
    user = server.register()
    sessions = [server.login(user, f"r{i}", presence=True) for i in range(10)]
    for n in range(count):
        sessions[0].send(f"<presence><priority>{n % 100}</priority><status>{n}</status></presence>")
        if n % 50 == 49:
            for s in sessions:
                s.pump(0)
                s.items = s.items[-1:]
                s.log.clear()
    for s in sessions:
        s.wait(lambda s=s: s.items and s.items[-1].findtext(q("client", "status")) == str(count - 1), "the last presence")
    for s in sessions:
        s.close()


def login_guessing(server, count=400):
    """Wrong passwords with every mechanism from many connections."""
    user = server.register()
    for i in range(count // 5):
        s = Stream(server.c2s)
        s.open_features()
        for _ in range(5):
            try:
                s.auth_raw("PLAIN", sasl.plain(user, f"guess{i}"))
                s.expect_failure("not-authorized")
            except Ended:
                break
        s.drop()


def random_bytes(server, count=300):
    """Noise and damaged streams, from a fixed seed."""
    rng = random.Random(2025)
    good = HEAD + b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHUAcA==</auth><iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
    for i in range(count):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        s = dial(server.c2s, i)
        s.sendall(bytes(data) if i % 3 else rng.randbytes(rng.randrange(1, 3000)))
        s.shutdown(socket.SHUT_WR)
        s.settimeout(60)
        try:
            while s.recv(65536):
                pass
        except ConnectionResetError:
            pass
        s.close()


def warm_up(server):
    """Everything a server opens on first use, on every shard; returns the number of its sockets."""
    for _ in range(12):
        server.login(tls="direct", address=server.tls).close()
    counts = []
    until(lambda: counts.append(server.sockets()) or len(counts) > 3 and len(set(counts[-3:])) == 1, "quiet")
    return counts[-1]


def settle(server, sockets):
    """Until the server has let go of the attackers' connections."""
    until(lambda: bool(server.api("status")) and server.sockets() <= sockets, "connections of the attack still open")


ALL = {f.__name__: f for f in (half_open, connects_and_drops, byte_by_byte, never_reading, never_reading_answers, huge_stanza,
       billion_laughs, invalid_utf8, stanza_flood, presence_flood, login_guessing, random_bytes)}

if __name__ == "__main__":
    bystander_main(*sys.argv[1:])
