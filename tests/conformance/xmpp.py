"""A small XMPP client: one stream, stanzas in an inbox, PLAIN or SCRAM login. Standard library only."""
import base64
import hashlib
import hmac
import random
import select
import socket
import time
import xml.etree.ElementTree as ET

from matching import NS_CLIENT, NS_STREAM

NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"


class StepError(Exception):
    """A step could not be carried out at all."""


class Closed(Exception):
    pass


def b64(data):
    return base64.b64encode(data).decode()


class Client:
    def __init__(self, host, port):
        self.sock = socket.create_connection((host, port), timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inbox, self.closed, self.error, self.jid = [], False, None, None
        self.reset()

    def reset(self):
        self.parser = ET.XMLPullParser(("start", "end"))
        self.depth, self.root = 0, None

    def write(self, text):
        try:
            self.sock.sendall(text.encode())
        except OSError:
            self.closed = True
            raise Closed()

    def pump(self, timeout):
        """Read what is there (or arrives within timeout) into the inbox."""
        end = time.monotonic() + timeout
        while not self.closed:
            if not select.select([self.sock], [], [], max(0, end - time.monotonic()))[0]:
                return False
            try:
                data = self.sock.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return False
            if self.feed(data):
                return True
        return False

    def feed(self, data):
        got = False
        try:
            self.parser.feed(data)
            for event, el in self.parser.read_events():
                got = self.on_event(event, el) or got
        except ET.ParseError as e:
            raise StepError("unreadable XML from the server: %s" % e)
        return got

    def on_event(self, event, el):
        if event == "start":
            self.depth += 1
            if self.depth == 1:
                self.root = el
            return self.depth == 1
        self.depth -= 1
        if self.depth == 0:
            self.closed = True
            try:
                self.sock.sendall(b"</stream:stream>")
            except OSError:
                pass
        if self.depth != 1:
            return False
        self.root.remove(el)
        if el.tag == "{%s}error" % NS_STREAM:
            self.error = el
        self.inbox.append(el)
        return True

    def next(self, timeout, test):
        """Take the first stanza for which test(stanza) is true; None when none comes."""
        end = time.monotonic() + timeout
        seen = 0
        while True:
            while seen < len(self.inbox):
                if test(self.inbox[seen]):
                    return self.inbox.pop(seen)
                seen += 1
            if self.closed or time.monotonic() >= end:
                return None
            self.pump(end - time.monotonic())

    def wait(self, what):
        el = self.next(10, lambda e: True)
        if el is None:
            raise StepError("no %s from the server%s" % (what, ", stream closed" if self.closed else ""))
        return el

    def open(self, domain):
        self.reset()
        self.write("<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='%s' to='%s' version='1.0'>"
                   % (NS_CLIENT, NS_STREAM, domain))
        return self.wait("stream features")

    def login(self, user, domain, password, resource):
        """None, or the element that says why not."""
        features = self.open(domain)
        if features.tag == "{%s}error" % NS_STREAM:
            return features
        failure = self.sasl([m.text for m in features.iter("{%s}mechanism" % NS_SASL)], user, password)
        if failure is not None:
            return failure
        self.open(domain)
        res = "<resource>%s</resource>" % resource if resource else ""
        self.write("<iq type='set' id='_bind'><bind xmlns='%s'>%s</bind></iq>" % (NS_BIND, res))
        iq = self.wait("bind answer")
        if iq.get("type") != "result":
            return iq
        self.jid = iq.findtext(".//{%s}jid" % NS_BIND)
        return None

    def sasl(self, mechs, user, password):
        if "PLAIN" in mechs:
            self.write("<auth xmlns='%s' mechanism='PLAIN'>%s</auth>"
                       % (NS_SASL, b64(("\0%s\0%s" % (user, password)).encode())))
            el = self.wait("SASL answer")
            return None if el.tag.endswith("}success") else el
        for name, algo in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-512", "sha512")):
            if name in mechs:
                return self.scram(name, algo, user, password)
        raise StepError("no usable SASL mechanism among %s" % mechs)

    def scram(self, name, algo, user, password):
        first = "n=%s,r=%024x" % (user.replace("=", "=3D").replace(",", "=2C"), random.getrandbits(96))
        self.write("<auth xmlns='%s' mechanism='%s'>%s</auth>" % (NS_SASL, name, b64(("n,," + first).encode())))
        el = self.wait("SASL challenge")
        if not el.tag.endswith("}challenge"):
            return el
        server = base64.b64decode(el.text).decode()
        f = dict(p.split("=", 1) for p in server.split(","))
        salted = hashlib.pbkdf2_hmac(algo, password.encode(), base64.b64decode(f["s"]), int(f["i"]))
        ckey = hmac.new(salted, b"Client Key", algo).digest()
        final = "c=biws,r=" + f["r"]
        sig = hmac.new(hashlib.new(algo, ckey).digest(), (first + "," + server + "," + final).encode(), algo).digest()
        proof = bytes(a ^ b for a, b in zip(ckey, sig))
        self.write("<response xmlns='%s'>%s</response>" % (NS_SASL, b64((final + ",p=" + b64(proof)).encode())))
        el = self.wait("SASL answer")
        return None if el.tag.endswith("}success") else el

    def close(self):
        try:
            if not self.closed:
                self.sock.sendall(b"</stream:stream>")
                end = time.monotonic() + 2
                while not self.closed and time.monotonic() < end:
                    self.pump(end - time.monotonic())
        except (OSError, Closed, StepError):
            pass
        self.kill()

    def kill(self):
        self.closed = True
        try:
            self.sock.close()
        except OSError:
            pass
