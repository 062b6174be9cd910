"""Stream management (XEP-0198) on a raw client stream."""
import contextlib

from xmppstream import local, namespace

SM = "urn:xmpp:sm:3"


class Sm:
    """The client's side of a stream with management: counts what comes and answers when told to."""

    def __init__(self, stream, ns=SM):
        self.stream, self.ns, self.h, self.id, self.max = stream, ns, 0, None, None

    def expect(self, tag):
        return self.stream.expect(lambda e: e.tag == f"{{{self.ns}}}{tag}", f"<{tag}/> of stream management")

    def enable(self, resume=True, max_=None):
        self.stream.send(f"<enable xmlns='{self.ns}'" + (" resume='true'" if resume else "") +
                         (f" max='{max_}'" if max_ is not None else "") + "/>")
        el = self.expect("enabled")
        self.id, self.max = el.get("id"), el.get("max")
        return el

    def r(self):
        self.stream.send(f"<r xmlns='{self.ns}'/>")

    def acked(self):
        """Asks, and waits for the answer."""
        self.r()
        return int(self.expect("a").get("h"))

    def acked_to(self, h):
        """Asks until the server has that many."""
        while (got := self.acked()) != h:
            assert got < h, f"{got} acknowledged of {h}"

    def a(self, h):
        self.stream.send(f"<a xmlns='{self.ns}' h='{h}'/>")

    def failed(self):
        el = self.expect("failed")
        return next(local(c) for c in el if namespace(c) == "urn:ietf:params:xml:ns:xmpp-stanzas" and local(c) != "text"), el


def authenticated(server, user, password, host="localhost", address=None):
    """A stream that may bind or resume."""
    s = server.stream(address, to=host)
    s.name = user
    s.open_features()
    s.authenticate(user, password)
    s.features = s.open_features()
    return s


def resume(stream, id_, h, ns=SM):
    """Sends it; the answer comes back."""
    stream.send(f"<resume xmlns='{ns}' previd='{id_}' h='{h}'/>")
    return stream.expect(lambda e: namespace(e) == ns and local(e) in ("resumed", "failed"), "an answer to resume")


def stanzas(stream):
    """Those that have come."""
    with contextlib.suppress(Exception):
        while stream.pump(0):
            pass
    return [e for e in stream.items if namespace(e) == "jabber:client"]
