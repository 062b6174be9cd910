"""A client stream in the raw: every byte that goes out is the test's own, what comes in is parsed and can be waited for.

Waiting is always for an event (an element, the end of the stream, the end of the connection) with a deadline that only a
broken server meets; the message then shows the whole conversation. Not thread-safe; one thread may drive many streams
with `pump_all`.
"""
import contextlib
import os
import select
import selectors
import socket
import struct
import time
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import sasl
from tlslayer import TlsLayer

NS = {
    "stream": "http://etherx.jabber.org/streams", "client": "jabber:client", "sasl": "urn:ietf:params:xml:ns:xmpp-sasl",
    "tls": "urn:ietf:params:xml:ns:xmpp-tls", "bind": "urn:ietf:params:xml:ns:xmpp-bind",
    "session": "urn:ietf:params:xml:ns:xmpp-session", "streams": "urn:ietf:params:xml:ns:xmpp-streams",
    "stanzas": "urn:ietf:params:xml:ns:xmpp-stanzas", "ping": "urn:xmpp:ping", "cb": "urn:xmpp:sasl-cb:0",
    "info": "http://jabber.org/protocol/disco#info", "items": "http://jabber.org/protocol/disco#items",
}
# Sanitizer builds on two busy cores are slow; a correct server never comes near it.
DEADLINE = float(os.environ.get("E2E_DEADLINE", "60"))


class Timeout(AssertionError):
    pass


class Ended(AssertionError):
    """The stream or the connection ended while something else was awaited."""


def q(prefix, name):
    return f"{{{NS[prefix]}}}{name}"


def local(el):
    return el.tag.rpartition("}")[2]


def namespace(el):
    return el.tag[1:].partition("}")[0] if el.tag.startswith("{") else ""


def error_of(stanza):
    """(type, condition) of an error stanza, None of another."""
    err = stanza.find(q("client", "error"))
    if err is None:
        return None
    return err.get("type"), next(local(c) for c in err if namespace(c) == NS["stanzas"] and local(c) != "text")


def text_of_error(stanza):
    text = stanza.find(f"{q('client', 'error')}/{q('stanzas', 'text')}")
    return None if text is None else text.text


def canonical(el):
    """For comparing trees: names, attributes, text; children in order."""
    return (el.tag, tuple(sorted(el.attrib.items())), (el.text or "").strip(), tuple(canonical(c) for c in el))


class Stream:
    def __init__(self, address, to="localhost", name="", tls=None, version=None, sni=None, alpn=None, source=None,
                 rcvbuf=None, proxy=None, cert=None):
        """address: (ip, port). tls='direct' shakes hands at once. version: '1.2' or '1.3'. proxy: bytes sent before all."""
        self.to, self.name = to, name or "client"
        self.version, self.alpn, self.sni = version, alpn, to if sni is None else sni
        self.log, self.items = [], []
        self.tls, self.cert = None, cert
        self.jid = None
        self.header = None
        self.stream_ended = self.eof = self.reset = False
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        self.sock.setblocking(False)
        self._new_parser()
        if proxy:
            self.send_bytes(proxy)
        if tls == "direct":
            self.start_tls_now()

    # --- bytes ---

    def _new_parser(self):
        self.parser = ET.XMLPullParser(events=("start", "end"))
        self.depth, self.root = 0, None

    def _send_raw(self, data, deadline=None):
        deadline = time.monotonic() + DEADLINE if deadline is None else deadline
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view):]
            except BlockingIOError:
                # The server may wait for us to read before it reads on.
                r, _, _ = select.select([self.sock], [], [], 0)
                if r:
                    self._receive()
                self._wait(select.POLLOUT | select.POLLIN, deadline, "the server takes no more bytes")
            except (BrokenPipeError, ConnectionResetError):
                self.eof = self.reset = True
                return

    def _wait(self, events, deadline, what):
        poll = select.poll()
        poll.register(self.sock, events)
        if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
            raise Timeout(f"{self.name}: {what}\n{self.transcript()}")

    def send_bytes(self, data, note=True):
        """Plain bytes for the server's parser, wrapped when TLS is on."""
        if note:
            self.log.append(("C", data))
        self._send_raw(self.tls.wrap(data) if self.tls else data)

    def send(self, text):
        self.send_bytes(text.encode())

    def send_each_byte(self, text):
        """Every byte in a segment of its own."""
        data = text.encode() if isinstance(text, str) else text
        self.log.append(("C", data))
        for i in range(len(data)):
            self._send_raw(self.tls.wrap(data[i:i + 1]) if self.tls else data[i:i + 1])

    def _receive(self):
        """Takes what the socket has; False when it had nothing."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return False
        except (ConnectionResetError, TimeoutError):
            self.eof = self.reset = True
            return True
        if not data:
            self.eof = True
            return True
        if self.tls and not self.tls.done:
            self._send_raw(self.tls.step(data))
            if not self.tls.done:
                return True
            data = b""
        if self.tls:
            data, ended = self.tls.unwrap(data)
            self.eof = self.eof or ended
        self._parse(data)
        return True

    def _parse(self, data):
        if not data:
            return
        self.log.append(("S", data))
        self.parser.feed(data)
        for event, el in self.parser.read_events():
            if event == "start":
                self.depth += 1
                if self.depth == 1:
                    self.root, self.header = el, el
            else:
                self.depth -= 1
                if self.depth == 1:
                    self.root.remove(el)
                    el.tail = None
                    self.items.append(el)
                elif self.depth == 0:
                    self.stream_ended = True

    def transcript(self, limit=4000):
        text = "\n".join(f"{who}: {data[:1500]!r}" + (f"... [{len(data)} bytes]" if len(data) > 1500 else "")
                         for who, data in self.log)
        state = [n for n in ("stream_ended", "eof", "reset") if getattr(self, n)]
        return f"--- conversation of {self.name} ({', '.join(state) or 'open'})\n{text[-limit:]}"

    # --- waiting ---

    def pump(self, timeout=None):
        """Waits for bytes and parses them. timeout 0: only what is there. False: nothing came."""
        if self.eof:
            return False
        end = time.monotonic() + (DEADLINE if timeout is None else timeout)
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(max(0, end - time.monotonic()) * 1000):
            return False
        return self._receive()

    def wait(self, condition, what, deadline=None):
        """Until condition() is true of the items; its value is returned."""
        end = time.monotonic() + (DEADLINE if deadline is None else deadline)
        while True:
            value = condition()
            if value:
                return value
            if self.eof or self.stream_ended and self.items == []:
                value = condition()
                if value:
                    return value
                if self.eof:
                    raise Ended(f"{self.name}: {what}: the connection ended\n{self.transcript()}")
            if time.monotonic() > end:
                raise Timeout(f"{self.name}: {what}\n{self.transcript()}")
            self.pump(max(0, end - time.monotonic()))

    def _take(self, predicate):
        for i, el in enumerate(self.items):
            if predicate(el):
                return self.items.pop(i)
        return None

    def expect(self, predicate, what="the awaited element"):
        """The first element the predicate likes; others stay for later."""
        found = []
        self.wait(lambda: (e := self._take(predicate)) is not None and (found.append(e) or True), f"waiting for {what}")
        return found[0]

    def next(self, what="an element"):
        return self.expect(lambda e: True, what)

    def expect_tag(self, tag):
        return self.expect(lambda e: e.tag == tag, tag)

    def expect_id(self, id_):
        return self.expect(lambda e: e.get("id") == id_, f"stanza with id {id_!r}")

    def expect_end(self):
        """The server's end tag, then the end of the connection."""
        self.wait(lambda: self.stream_ended, "waiting for </stream:stream>")
        self.expect_eof()

    def expect_eof(self):
        end = time.monotonic() + DEADLINE
        while not self.eof:
            if time.monotonic() > end:
                raise Timeout(f"{self.name}: waiting for the end of the connection\n{self.transcript()}")
            self.pump(max(0, end - time.monotonic()))

    def expect_stream_error(self, condition=None):
        """The error element; checks the condition, the end tag and that the connection is closed."""
        err = self.expect_tag(q("stream", "error"))
        got = next(local(c) for c in err if namespace(c) == NS["streams"] and local(c) != "text")
        if condition:
            allowed = (condition,) if isinstance(condition, str) else condition
            assert got in allowed, f"stream error {got}, expected {condition}\n{self.transcript()}"
        self.expect_end()
        return got

    def expect_nothing(self):
        """Nothing was sent to us up to now: proved by a round trip through the server on this very stream."""
        self.ping()
        assert not self.items, f"{self.name}: unexpected {[ET.tostring(e) for e in self.items]}\n{self.transcript()}"

    # --- stream, TLS, SASL ---

    def open(self, to=None, version="1.0", extra="", declare=True):
        self._new_parser()
        self.header = None
        self.send(("<?xml version='1.0'?>" if declare else "") +
                  f"<stream:stream xmlns='jabber:client' xmlns:stream='{NS['stream']}' to={quoteattr(to or self.to)}" +
                  (f" version='{version}'" if version else "") + f"{extra}>")
        self.wait(lambda: self.header is not None, "waiting for the stream header")
        return self.header

    def open_features(self, **args):
        self.open(**args)
        return self.expect_tag(q("stream", "features"))

    def start_tls_now(self):
        self.tls = TlsLayer(self.sni, self.version, self.alpn, self.cert)
        self._send_raw(self.tls.step())
        end = time.monotonic() + DEADLINE
        while not self.tls.done and not self.eof:
            if time.monotonic() > end:
                raise Timeout(f"{self.name}: TLS handshake\n{self.transcript()}")
            self.pump(max(0, end - time.monotonic()))
        if not self.tls.done:
            raise Ended(f"{self.name}: the connection ended in the TLS handshake\n{self.transcript()}")

    def starttls(self):
        self.send(f"<starttls xmlns='{NS['tls']}'/>")
        self.expect_tag(q("tls", "proceed"))
        self._new_parser()
        self.start_tls_now()

    def auth_raw(self, mechanism, data):
        """data: bytes to encode, None for no text, a string for text as it is."""
        body = "" if data is None else data if isinstance(data, str) else sasl.b64(data) or "="
        self.send(f"<auth xmlns='{NS['sasl']}' mechanism='{mechanism}'>{body}</auth>")

    def respond_raw(self, data):
        body = data if isinstance(data, str) else sasl.b64(data) or "="
        self.send(f"<response xmlns='{NS['sasl']}'>{body}</response>")

    def sasl_reply(self):
        return self.expect(lambda e: namespace(e) == NS["sasl"], "an answer of SASL")

    def expect_failure(self, condition=None):
        el = self.sasl_reply()
        assert local(el) == "failure", f"expected failure\n{self.transcript()}"
        got = local(el[0])
        if condition:
            allowed = (condition,) if isinstance(condition, str) else condition
            assert got in allowed, f"failure {got}, expected {condition}\n{self.transcript()}"
        return got

    def expect_success(self):
        el = self.sasl_reply()
        assert local(el) == "success", f"expected success\n{self.transcript()}"
        return sasl.unb64(el.text)

    def authenticate(self, user, password, mechanism="PLAIN", binding=None, authzid="", supports_binding=False):
        if mechanism == "PLAIN":
            self.auth_raw(mechanism, sasl.plain(user, password, authzid))
            self.expect_success()
        else:
            data = self.tls.channel_binding(binding) if binding else b""
            x = sasl.Scram(mechanism, user, password, binding, data, authzid, supports_binding)
            self.auth_raw(mechanism, x.first())
            challenge = self.sasl_reply()
            assert local(challenge) == "challenge", f"expected challenge\n{self.transcript()}"
            self.respond_raw(x.final(sasl.unb64(challenge.text)))
            x.verify(self.expect_success())

    def bind(self, resource=None, id_="bind"):
        res = "" if resource is None else f"<resource>{escape(resource)}</resource>"
        self.send(f"<iq type='set' id='{id_}'><bind xmlns='{NS['bind']}'>{res}</bind></iq>")
        el = self.expect_id(id_)
        assert el.get("type") == "result", f"binding refused: {error_of(el)}\n{self.transcript()}"
        self.jid = el.find(f"{q('bind', 'bind')}/{q('bind', 'jid')}").text
        return self.jid

    def login(self, user, password, resource=None, mechanism="PLAIN", starttls=False, presence=False, **auth):
        self.name = user
        self.open_features()
        if starttls:
            self.starttls()
            self.open_features()
        self.authenticate(user, password, mechanism, **auth)
        self.open_features()
        self.bind(resource)
        if presence:
            self.presence()
        return self

    # --- conveniences of a bound stream ---

    @property
    def bare(self):
        return self.jid.partition("/")[0]

    def presence(self, inner="", type_=None):
        """Broadcast presence and wait for its echo to ourselves."""
        self.send(f"<presence{f' type={quoteattr(type_)}' if type_ else ''}>{inner}</presence>")
        if type_ is None:
            self.expect(lambda e: local(e) == "presence" and e.get("from") == self.jid, "own presence")

    def iq(self, inner, to=None, type_="get", id_=None):
        id_ = id_ or f"iq{len(self.log)}"
        self.send(f"<iq type='{type_}' id='{id_}'{f' to={quoteattr(to)}' if to else ''}>{inner}</iq>")
        return self.expect_id(id_)

    def ping(self, to=None):
        el = self.iq(f"<ping xmlns='{NS['ping']}'/>", to)
        assert el.get("type") == "result", f"{self.name}: ping failed\n{self.transcript()}"

    def message(self, to, body="hi", type_="chat", id_=None):
        self.send(f"<message to={quoteattr(to)}{f' type={quoteattr(type_)}' if type_ else ''}" +
                  (f" id='{id_}'" if id_ else "") + f"><body>{escape(body)}</body></message>")

    def expect_message(self, body=None):
        return self.expect(lambda e: local(e) == "message" and (body is None or e.findtext(q("client", "body")) == body),
                           f"message {body!r}")

    # --- the end ---

    def close(self):
        """In order: end tag, wait for the server's, end of the connection."""
        if not self.eof and not self.stream_ended:
            self.send("</stream:stream>")
            self.expect_end()
        self.drop()

    def drop(self, rst=False):
        """Without a word. rst: reset instead of FIN."""
        if rst:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.eof = True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.drop()


def until(condition, what, deadline=None):
    """Asks the server again and again: every question is a round trip, so this does not spin."""
    end = time.monotonic() + (DEADLINE if deadline is None else deadline)
    while not condition():
        if time.monotonic() > end:
            raise Timeout(what)


def pump_all(streams, condition, what, deadline=None):
    """Reads from all streams until condition() holds."""
    end = time.monotonic() + (DEADLINE if deadline is None else deadline)
    with selectors.DefaultSelector() as sel:
        live = set()
        for s in streams:
            if not s.eof:
                sel.register(s.sock, selectors.EVENT_READ, s)
                live.add(s)
        while not condition():
            if time.monotonic() > end:
                raise Timeout(f"{what}\n" + "\n".join(s.transcript(400) for s in streams[:3]))
            if not live:
                raise Ended(what)
            for key, _ in sel.select(max(0, end - time.monotonic())):
                key.data._receive()
                if key.data.eof:
                    sel.unregister(key.data.sock)
                    live.discard(key.data)
