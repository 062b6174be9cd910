"""Clients that resume (XEP-0198) and count what they get, for tests that end the server at any moment.

A client is as a good one is: it counts every stanza that has come in whole, keeps what it sent until the server has it, and on
resuming sends again exactly what the server does not count. What it got is written down per sender, so that the end of the test can
ask for every number exactly once and in order."""
import select

from server import PASSWORD
from sm import SM
from xmppstream import NS, Ended, Stream, local, namespace, q

NS["carbons"], NS["forward"] = "urn:xmpp:carbons:2", "urn:xmpp:forward:0"


class Client:
    """One session of an account. got: {(way, sender): [numbers]}, way "message", "sent" or "received" (carbons). wait: seconds that
    the session is to wait for its client (XEP-0198 §3), None: as the server likes."""

    def __init__(self, server, rng, user, resource, carbons=False, priority=0, wait=None):
        self.server, self.rng, self.user, self.resource, self.carbons = server, rng, user, resource, carbons
        self.jid, self.priority = f"{user}@localhost/{resource}", priority
        self.got, self.next, self.stream, self.id = {}, {}, None, None
        self.errors, self.deaf, self.wait = [], False, wait
        self.told = False  # something was acknowledged since this was asked last

    # --- the stream ---

    @property
    def up(self):
        return self.stream is not None and not self.stream.eof and not self.stream.stream_ended

    def _authenticated(self):
        s = Stream(self.server.c2s, to="localhost", name=self.jid)
        self.raw = s
        s.open_features()
        s.authenticate(self.user, PASSWORD)
        s.open_features()
        return s

    def enter(self, show=True):
        """A new session; what is sent before it is known to be kept would be nobody's. show: so is its presence."""
        s = self._authenticated()
        s.bind(self.resource)
        self.stream, self.h, self.sent, self.acked, self.unacked, self.shown, self.deaf = s, 0, 0, 0, [], False, False
        most = "" if self.wait is None else f" max='{self.wait}'"
        s.send(f"<enable xmlns='{SM}' resume='true'{most}/>")
        self.id = s.expect_tag(f"{{{SM}}}enabled").get("id")
        if self.carbons:
            self.send("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        self.send("<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.settle()
        if show:
            self.show()
            self.settle()
        return self

    def show(self):
        if not self.shown:
            self.shown = True
            self.send(f"<presence><priority>{self.priority}</priority></presence>")

    def back(self):
        """Resumes, or begins anew when the session is over. Ended: the server was killed meanwhile."""
        s = self._authenticated()
        s.send(f"<resume xmlns='{SM}' previd='{self.id}' h='{self.h}'/>")
        el = s.expect(lambda e: namespace(e) == SM and local(e) in ("resumed", "failed"), "an answer to resume")
        if local(el) == "failed":
            s.drop()
            return False
        self.stream = s
        self._acknowledged(int(el.get("h")))
        for text in self.unacked:
            s.send(text)
        self.deaf = False
        self.show()
        return True

    def settle(self):
        """Until everything that was sent counts."""
        while self.unacked:
            self.stream.send(f"<r xmlns='{SM}'/>")
            before = self.acked
            while self.acked == before and self.unacked:
                if not self.up:
                    raise Ended(self.jid)
                if not self.stream.pump():
                    raise AssertionError(f"no acknowledgement\n{self.stream.transcript()}")
                self.read(answer=True)

    def leave(self):
        """In order: all is acknowledged both ways. False: that was not to be, the session may be there still."""
        try:
            self.settle()
            self.read()
            self.stream.send(f"<a xmlns='{SM}' h='{self.h}'/></stream:stream>")
            self.deaf = True  # what comes now it could not acknowledge any more: that is not its own
            while not self.stream.stream_ended and not self.stream.eof:
                self.stream.pump()
                self.read()
        except Ended:
            pass
        ended = self.stream.stream_ended
        self.drop()
        return ended

    def drop(self):
        """The connection is gone; what came before that counts."""
        if self.stream is None:
            return
        self.read()
        self.stream.drop()
        self.stream = None

    def drain(self):
        """To the end of what a server that died had still sent."""
        while self.stream is not None and not self.stream.eof:
            self.stream.pump()
        self.drop()

    # --- stanzas ---

    def send(self, text):
        self.sent += 1
        self.unacked.append(text)
        self.stream.send(text)

    def write(self, to, pad=0):
        """The next number to that address."""
        n = self.next[to] = self.next.get(to, 0) + 1
        self.send(f"<message type='chat' id='{n}' to='{to}'><body>{n}{' ' * pad}</body></message>")

    def ask(self):
        self.stream.send(f"<r xmlns='{SM}'/>")

    def _acknowledged(self, h):
        if not self.acked <= h <= self.sent:
            print(self.stream.transcript(2500))
        assert self.acked <= h <= self.sent, f"{self.jid}: {h} acknowledged, between {self.acked} and {self.sent}"
        del self.unacked[:h - self.acked]
        self.acked, self.told = h, True

    def _note(self, way, m):
        body = m.findtext(q("client", "body"))
        if body:
            self.got.setdefault((way, m.get("from"), m.get("to")), []).append(int(body))

    def _stanza(self, el):
        if self.deaf:
            return
        self.h += 1
        if local(el) != "message":
            return
        if el.get("type") == "error":
            self.errors.append(el)
            return
        for way in ("sent", "received"):
            copy = el.find(q("carbons", way))
            if copy is not None:
                self._note(way, copy.find(f"{q('forward', 'forwarded')}/{q('client', 'message')}"))
                return
        self._note("message", el)

    def read(self, answer=None):
        """What has come. answer: whether requests for acknowledgement are (None: now and then)."""
        if self.stream is None or self.id is None:
            return
        items, self.stream.items = self.stream.items, []
        for el in items:
            if namespace(el) == "jabber:client":
                self._stanza(el)
            elif el.tag == f"{{{SM}}}a":
                self._acknowledged(int(el.get("h")))
            elif el.tag == f"{{{SM}}}r" and (answer or (answer is None and self.rng.random() < 0.6)) and self.up:
                self.stream.send(f"<a xmlns='{SM}' h='{self.h}'/>")


def pump(clients, ms):
    """Reads what comes to anybody; waits for the first of it."""
    live = {c.stream.sock.fileno(): c for c in clients if c.up}
    poll = select.poll()
    for fd in live:
        poll.register(fd, select.POLLIN)
    for fd, _ in poll.poll(ms):
        live[fd].stream._receive()
        live[fd].read()


def missing(got, n):
    """What is wrong with a list that should be 1..n; None: nothing."""
    if got == list(range(1, n + 1)):
        return None
    seen = set(got)
    return {"doubled": sorted({x for x in got if got.count(x) > 1}), "lost": [x for x in range(1, n + 1) if x not in seen],
            "order": [b for a, b in zip(got, got[1:]) if b < a and got.count(b) == 1]}
