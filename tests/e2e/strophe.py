"""libstrophe, a client library in C, by way of its C API and ctypes.

A Loop is one libstrophe context; it runs any number of clients, in the thread of the test, and only while the test waits for
something. Callbacks do nothing but note what they were told: what one raises would be lost. Stanzas are ElementTree elements
here; the library's own functions make them and take them apart. No roster, no stream management: see test_sm*.py for that."""
import ctypes
import time
import xml.etree.ElementTree as ET
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_long, c_size_t, c_ulong, c_ushort, c_void_p

from xmppstream import DEADLINE

# xmpp_conn_event_t, xmpp_error_type_t, flags of connections: numbers of the library's interface
CONNECT, DISCONNECT = 0, 2
CONFLICT, SYSTEM_SHUTDOWN = 2, 18
MANDATORY_TLS, DIRECT_TLS, TRUST_TLS, DISABLE_SM = 1 << 1, 1 << 2, 1 << 3, 1 << 5
CERT_SUBJECT = 2
CLIENT = "{jabber:client}"


class StreamError(ctypes.Structure):
    _fields_ = [("type", c_int), ("text", c_char_p), ("stanza", c_void_p)]


Log = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_char_p)
ConnHandler = CFUNCTYPE(None, c_void_p, c_int, c_int, POINTER(StreamError), c_void_p)
StanzaHandler = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)
CertHandler = CFUNCTYPE(c_int, c_void_p, c_char_p)


class Logger(ctypes.Structure):
    _fields_ = [("handler", Log), ("userdata", c_void_p)]


def _library():
    lib = ctypes.CDLL("libstrophe.so.0")
    p, s = c_void_p, c_char_p
    for name, result, arguments in (
            ("initialize", None, []), ("ctx_new", p, [p, POINTER(Logger)]), ("ctx_free", None, [p]),
            ("free", None, [p, p]), ("run_once", None, [p, c_ulong]),
            ("conn_new", p, [p]), ("conn_release", c_int, [p]), ("conn_set_flags", c_int, [p, c_long]),
            ("conn_set_jid", None, [p, s]), ("conn_set_pass", None, [p, s]), ("conn_get_bound_jid", s, [p]),
            ("conn_set_cafile", None, [p, s]), ("conn_set_certfail_handler", None, [p, CertHandler]),
            ("conn_is_secured", c_int, [p]), ("tlscert_get_string", s, [p, c_int]),
            ("connect_client", c_int, [p, s, c_ushort, ConnHandler, p]), ("disconnect", None, [p]), ("send", None, [p, p]),
            ("handler_add", None, [p, StanzaHandler, s, s, s, p]),
            ("stanza_new", p, [p]), ("stanza_release", c_int, [p]), ("stanza_is_text", c_int, [p]),
            ("stanza_get_name", s, [p]), ("stanza_get_ns", s, [p]), ("stanza_get_text_ptr", s, [p]),
            ("stanza_get_children", p, [p]), ("stanza_get_next", p, [p]),
            ("stanza_get_attribute_count", c_int, [p]), ("stanza_get_attributes", c_int, [p, POINTER(s), c_int]),
            ("stanza_set_name", c_int, [p, s]), ("stanza_set_ns", c_int, [p, s]), ("stanza_set_attribute", c_int, [p, s, s]),
            ("stanza_set_text_with_size", c_int, [p, s, c_size_t]), ("stanza_add_child", c_int, [p, p]),
            ("message_new", p, [p, s, s, s]), ("message_set_body", c_int, [p, s]), ("iq_new", p, [p, s, s]),
            ("presence_new", p, [p]), ("stanza_set_to", c_int, [p, s])):
        f = getattr(lib, "xmpp_" + name)
        f.restype, f.argtypes = result, arguments
    lib.xmpp_initialize()
    return lib


lib = _library()
# SCRAM-*-PLUS: whole since 0.14, which is known by a function that came with it.
BINDS_CHANNELS = hasattr(lib, "xmpp_conn_set_sm_callback")


def decoded(word):
    return None if word is None else word.decode()


def element_of(stanza):
    """A stanza of the library as an element. Text that follows a child is the child's tail."""
    ns = decoded(lib.xmpp_stanza_get_ns(stanza))
    name = lib.xmpp_stanza_get_name(stanza).decode()
    count = lib.xmpp_stanza_get_attribute_count(stanza)
    words = (c_char_p * (2 * count))()
    lib.xmpp_stanza_get_attributes(stanza, words, 2 * count)
    pairs = zip(words[::2], words[1::2])
    e = ET.Element(f"{{{ns}}}{name}" if ns else name, {k.decode(): v.decode() for k, v in pairs if k != b"xmlns"})
    child = lib.xmpp_stanza_get_children(stanza)
    while child:
        if not lib.xmpp_stanza_is_text(child):
            e.append(element_of(child))
        elif len(e):
            e[-1].tail = (e[-1].tail or "") + lib.xmpp_stanza_get_text_ptr(child).decode()
        else:
            e.text = (e.text or "") + lib.xmpp_stanza_get_text_ptr(child).decode()
        child = lib.xmpp_stanza_get_next(child)
    return e


class Client:
    """One connection. The server's certificate has to pass the library's check, against `ca` or what the system trusts, unless
    `flags` say TRUST_TLS."""

    def __init__(self, loop, jid, password, address, flags, ca=None):
        self.loop, self.jid = loop, None
        self.stanzas, self.errors, self.certs_refused = [], [], []
        self.connected, self.ended, self.secured = False, False, False
        self.conn = lib.xmpp_conn_new(loop.ctx)
        lib.xmpp_conn_set_jid(self.conn, jid.encode())
        lib.xmpp_conn_set_pass(self.conn, password.encode())
        assert lib.xmpp_conn_set_flags(self.conn, flags | DISABLE_SM) == 0
        if ca:
            lib.xmpp_conn_set_cafile(self.conn, str(ca).encode())
        # ctypes does not keep them alive for the library.
        self.callbacks = ConnHandler(self._event), StanzaHandler(self._stanza), CertHandler(self._refused)
        lib.xmpp_conn_set_certfail_handler(self.conn, self.callbacks[2])
        assert lib.xmpp_connect_client(self.conn, address[0].encode(), address[1], self.callbacks[0], None) == 0

    def _event(self, conn, event, _error, stream_error, _userdata):
        if event == CONNECT:
            self.connected, self.jid = True, decoded(lib.xmpp_conn_get_bound_jid(conn))
            self.secured = bool(lib.xmpp_conn_is_secured(conn))
            lib.xmpp_handler_add(conn, self.callbacks[1], None, None, None, None)
            return
        self.ended = True
        if stream_error:
            self.errors.append(stream_error.contents.type)

    def _stanza(self, _conn, stanza, _userdata):
        self.stanzas.append(element_of(stanza))
        return 1

    def _refused(self, cert, why):
        self.certs_refused.append((decoded(lib.xmpp_tlscert_get_string(cert, CERT_SUBJECT)), decoded(why)))
        return 0

    # --- waiting ---

    def entered(self):
        """Waits for the login."""
        self.loop.until(lambda: self.connected or self.ended, "a login")
        assert self.connected and not self.ended, self.loop.words()
        return self

    def expect_end(self):
        self.loop.until(lambda: self.ended, "the end of the stream")

    def expect(self, matches):
        """Waits for a stanza that `matches(element)`; others that came before it are dropped."""
        def found():
            return any(matches(e) for e in self.stanzas)

        self.loop.until(lambda: found() or self.ended, "a stanza")
        assert found(), f"the stream ended\n{self.loop.words()}"
        while not matches(self.stanzas[0]):
            self.stanzas.pop(0)
        return self.stanzas.pop(0)

    def expect_message(self, kind="chat"):
        return self.expect(lambda e: e.tag == CLIENT + "message" and e.get("type") == kind)

    def expect_presence(self, sender, kind=None):
        return self.expect(lambda e: (e.tag, e.get("from"), e.get("type")) == (CLIENT + "presence", sender, kind))

    # --- sending ---

    def _send(self, stanza, *children):
        for e in children:
            self._add(stanza, e)
        lib.xmpp_send(self.conn, stanza)
        lib.xmpp_stanza_release(stanza)

    def _add(self, parent, e):
        ns, _, name = e.tag.rpartition("}")
        child = lib.xmpp_stanza_new(self.loop.ctx)
        lib.xmpp_stanza_set_name(child, name.encode())
        if ns:
            lib.xmpp_stanza_set_ns(child, ns[1:].encode())
        for key, value in e.items():
            lib.xmpp_stanza_set_attribute(child, key.encode(), value.encode())
        if e.text:
            text = lib.xmpp_stanza_new(self.loop.ctx)
            lib.xmpp_stanza_set_text_with_size(text, e.text.encode(), len(e.text.encode()))
            lib.xmpp_stanza_add_child(child, text)
            lib.xmpp_stanza_release(text)
        for c in e:
            self._add(child, c)
        lib.xmpp_stanza_add_child(parent, child)
        lib.xmpp_stanza_release(child)

    def message(self, to, body, kind="chat"):
        m = lib.xmpp_message_new(self.loop.ctx, kind.encode(), to.encode(), self.loop.new_id())
        lib.xmpp_message_set_body(m, body.encode())
        self._send(m)

    def presence(self, *children, to=None, kind=None):
        p = lib.xmpp_presence_new(self.loop.ctx)
        if to:
            lib.xmpp_stanza_set_to(p, to.encode())
        if kind:
            lib.xmpp_stanza_set_attribute(p, b"type", kind.encode())
        self._send(p, *children)

    def iq(self, to, payload, kind="get"):
        """Sends a request and waits for the answer, result or error."""
        number = self.loop.new_id()
        q = lib.xmpp_iq_new(self.loop.ctx, kind.encode(), number)
        lib.xmpp_stanza_set_to(q, to.encode())
        self._send(q, payload)
        return self.expect(lambda e: e.tag == CLIENT + "iq" and e.get("id") == number.decode() and e.get("type") in ("result", "error"))

    def leave(self):
        lib.xmpp_disconnect(self.conn)
        self.expect_end()
        assert not self.errors


class Loop:
    def __init__(self):
        self.log, self.clients, self.ids = [], [], 0
        self.logger = Logger(Log(lambda _data, _level, area, words: self.log.append((area + b": " + words).decode(errors="replace"))))
        self.ctx = lib.xmpp_ctx_new(None, ctypes.byref(self.logger))
        assert self.ctx

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for c in self.clients:
            lib.xmpp_conn_release(c.conn)
        lib.xmpp_ctx_free(self.ctx)

    def client(self, *args, **options):
        self.clients.append(Client(self, *args, **options))
        return self.clients[-1]

    def new_id(self):
        self.ids += 1
        return b"s%d" % self.ids

    def until(self, condition, what):
        """Lets the clients work until the condition holds. The library waits for its sockets, at most a second at a time."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, f"never came: {what}\n{self.words()}"
            lib.xmpp_run_once(self.ctx, 1000)

    def words(self):
        """What the library said, for messages."""
        return "\n".join(self.log)[-8000:]
