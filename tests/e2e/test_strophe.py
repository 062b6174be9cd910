"""libstrophe: a client library in C, with its own XMPP, SASL and TLS code. It checks the server's certificate."""
import xml.etree.ElementTree as ET

import pytest

import strophe
from server import PASSWORD
from strophe import CLIENT, DIRECT_TLS, MANDATORY_TLS, TRUST_TLS

PING = "{urn:xmpp:ping}ping"
DISCO = "{http://jabber.org/protocol/disco#info}"
VERSION = "{jabber:iq:version}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
PLUS = [f"SCRAM-SHA-{n}-PLUS" for n in (1, 256, 512)]
MECHANISMS = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] + (PLUS if strophe.BINDS_CHANNELS else [])
BODY = "hello ✓ 𝄞 é <b> & ]]> \"quoted\" 'too'\n\ttabs and lines"


def only(mechanism):
    return f"only-{mechanism.lower()}.test"


def configure(config):
    """A host for each mechanism, where nothing else is offered."""
    config["hosts"] += [only(m) for m in MECHANISMS]
    offered = {*MECHANISMS, *PLUS, "X-OAUTH2"}
    config["host_config"] = {only(m): {"auth_password_format": "plain", "disable_sasl_mechanisms": sorted(offered - {m})}
                             for m in MECHANISMS}


@pytest.fixture
def loop():
    with strophe.Loop() as made:
        yield made


def connect(loop, server, user, resource, direct=False, host="localhost", password=PASSWORD, ca=True, flags=0):
    return loop.client(f"{user}@{host}/{resource}", password, server.tls if direct else server.c2s,
                       flags | (DIRECT_TLS if direct else MANDATORY_TLS), ca=server.cert.with_suffix(".crt") if ca else None)


def enter(*args, **options):
    c = connect(*args, **options).entered()
    assert c.secured and not c.certs_refused
    return c


def error_of(stanza):
    """Type and condition."""
    assert stanza.get("type") == "error"
    error = stanza.find(CLIENT + "error")
    return error.get("type"), [e.tag.removeprefix(STANZAS) for e in error if e.tag != STANZAS + "text"]


# --- entering ---

@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_two_clients_talk(server, loop, direct):
    a, b = [enter(loop, server, server.register(), "s", direct) for _ in range(2)]
    a.message(b.jid, BODY)
    got = b.expect_message()
    assert (got.findtext(CLIENT + "body"), got.get("from"), got.get("to")) == (BODY, a.jid, b.jid)
    b.message(a.jid, "and back")
    assert a.expect_message().findtext(CLIENT + "body") == "and back"
    for c in (a, b):
        c.leave()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_login_by_mechanism(server, loop, mechanism):
    host = only(mechanism)
    user = server.register(host=host)
    c = enter(loop, server, user, "r", host=host, flags=TRUST_TLS)
    assert c.jid == f"{user}@{host}/r"
    c.leave()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_wrong_password(server, loop, mechanism):
    host = only(mechanism)
    c = connect(loop, server, server.register(host=host), "r", host=host, password="wrong", flags=TRUST_TLS)
    c.expect_end()
    assert not c.connected
    assert "not-authorized" in loop.words()


def test_names_outside_ascii(server, loop):
    server.api("register", user="jürgen-ß", host="localhost", password="pässwörd ✓")
    c = enter(loop, server, "Jürgen-ß", "Büro ✓", password="pässwörd ✓")
    assert c.jid == "jürgen-ss@localhost/Büro ✓"  # nodeprep folds, resourceprep does not
    c.message(c.jid, "to myself")
    assert c.expect_message().get("from") == c.jid


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_unknown_certificate_is_refused(server, loop, direct):
    """The other way round: the checks that let the others in do refuse."""
    c = connect(loop, server, server.register(), "r", direct, ca=False)
    c.expect_end()
    assert not c.connected
    assert "localhost" in c.certs_refused[0][0]
    enter(loop, server, server.register(), "r", direct).leave()


# --- requests ---

def test_requests_to_the_server(server, loop):
    c = enter(loop, server, server.register(), "r")
    pong = c.iq("localhost", ET.Element(PING))
    assert (pong.get("type"), pong.get("from"), pong.get("to")) == ("result", "localhost", c.jid)
    info = c.iq("localhost", ET.Element(DISCO + "query")).find(DISCO + "query")
    assert "urn:xmpp:ping" in {f.get("var") for f in info.iter(DISCO + "feature")}
    assert ("server", "im") in {(i.get("category"), i.get("type")) for i in info.iter(DISCO + "identity")}
    version = c.iq("localhost", ET.Element(VERSION + "query")).find(VERSION + "query")
    assert version.findtext(VERSION + "name") and version.findtext(VERSION + "version")
    assert error_of(c.iq("localhost", ET.Element("{urn:example:unknown}query"))) == ("cancel", ["service-unavailable"])


def test_the_absent(server, loop):
    c = enter(loop, server, server.register(), "r")
    assert error_of(c.iq("nobody@localhost/none", ET.Element(PING))) == ("cancel", ["service-unavailable"])
    c.message("nobody@localhost", "?")
    bounced = c.expect_message("error")
    assert (error_of(bounced), bounced.get("from")) == (("cancel", ["service-unavailable"]), "nobody@localhost")
    there_not_connected = server.register()
    assert error_of(c.iq(f"{there_not_connected}@localhost/none", ET.Element(PING))) == ("cancel", ["service-unavailable"])


# --- presence ---

def test_presence_between_resources(server, loop):
    user = server.register()
    a, b = [enter(loop, server, user, r) for r in ("one", "two")]
    a.presence()
    a.expect_presence(a.jid)
    show, status = ET.Element("show"), ET.Element("status")
    show.text, status.text = "away", "lunch & ✓ <b>"
    b.presence(show, status)
    seen = a.expect_presence(b.jid)
    assert (seen.findtext(CLIENT + "show"), seen.findtext(CLIENT + "status")) == ("away", "lunch & ✓ <b>")
    b.expect_presence(a.jid)
    b.leave()
    a.expect_presence(b.jid, "unavailable")


def test_directed_presence_ends_with_the_stream(server, loop):
    """RFC 6121 §4.6.3."""
    a, b = [enter(loop, server, server.register(), "r") for _ in range(2)]
    a.presence(to=b.jid)
    b.expect_presence(a.jid)
    a.leave()
    b.expect_presence(a.jid, "unavailable")


# --- ends of streams ---

def test_the_same_resource_replaces(server, loop):
    user = server.register()
    first = enter(loop, server, user, "same")
    second = enter(loop, server, user, "same")
    first.expect_end()
    assert first.errors == [strophe.CONFLICT]
    assert second.iq("localhost", ET.Element(PING)).get("type") == "result"


def test_the_server_stops(new_server, loop):
    server = new_server().start()
    clients = [enter(loop, server, server.register(), "r", direct) for direct in (False, True)]
    server.stop()
    for c in clients:
        c.expect_end()
        assert c.errors == [strophe.SYSTEM_SHUTDOWN]
