"""Limits: sizes, counts, time-outs, shapers. Time-outs are waited for as events; how long they take is not looked at."""
import time

import pytest

import sasl
from server import PASSWORD
from xmppstream import NS, Stream, local, q, until

LIMIT = 10000


def configure(config):
    config["listen"][0]["max_stanza_size"] = LIMIT
    config["listen"][1]["max_stanza_size"] = "infinity"


def sized(to, total):
    """A message element of exactly `total` bytes."""
    frame = f"<message to='{to}' id='big'><body></body></message>"
    return frame.replace("<body>", "<body>" + "x" * (total - len(frame)))


# --- max_stanza_size ---

def test_stanza_of_exactly_the_limit(server, streams):
    s = streams(server.login())
    s.send(sized(s.jid, LIMIT))
    assert len(s.expect_id("big").findtext(q("client", "body"))) > LIMIT - 200


def test_stanza_over_the_limit(server, streams):
    s = streams(server.login())
    s.send(sized(s.jid, LIMIT + 1))
    s.expect_stream_error("policy-violation")


def test_many_stanzas_are_not_one(server, streams):
    s = streams(server.login())
    s.send(sized(s.jid, LIMIT // 2) * 20)
    for _ in range(20):
        s.expect_id("big")


@pytest.mark.parametrize("piece", ["<message to='x@localhost'><body>" + "y" * LIMIT, "<message to='" + "y" * LIMIT, "<" + "y" * LIMIT,
                                   "<message " + " ".join(f"a{i}='x'" for i in range(LIMIT // 5)), "<message>" + "<a>" * LIMIT,
                                   "<message to='x'><body>" + "&amp;" * LIMIT],
                         ids=["text", "attribute", "name", "attributes", "depth", "entities"])
def test_endless_stanza_is_cut_at_the_limit(server, streams, piece):
    """Refused while it comes, not when it ends."""
    s = streams(server.login())
    s.send(piece)
    s.expect_stream_error("policy-violation")


@pytest.mark.parametrize("state", ["header", "before login", "over TLS"])
def test_size_before_login(server, streams, state):
    """Who is not logged in gets less, also where the listener sets no limit."""
    if state == "header":
        s = streams(server.stream())
        s.send("<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='" + "x" * 100000)
    elif state == "before login":
        s = streams(server.stream())
        s.open_features()
        s.send("<iq type='set' id='x'><query xmlns='jabber:iq:register'>" + "x" * 300000)
    else:
        s = streams(server.stream(server.tls, tls="direct"))
        s.open_features()
        s.send(f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>" + "A" * 300000)
    s.expect_stream_error("policy-violation")


def test_blanks_between_stanzas_are_free(server, streams):
    s = streams(server.login())
    for _ in range(20):
        s.send(" " * LIMIT)
    s.ping()


def test_blanks_before_the_header_are_not_endless(server, streams):
    """Bytes that lead nowhere end somewhere, or cost nothing; either way the server is well."""
    s = streams(server.stream())
    for _ in range(20):
        s.send(" " * 100000)
    server.login().close()


def test_large_stanza_where_there_is_no_limit(server, streams):
    a = streams(server.login(tls="direct", address=server.tls))
    b = streams(server.login(tls="direct", address=server.tls))
    a.message(b.jid, "x" * 1500000)
    assert len(b.expect_message().findtext(q("client", "body"))) == 1500000


# --- connections ---

def test_connections_per_address(new_server, streams):
    server = new_server(lambda c: c["listen"][0].update(max_connections_per_ip=3)).start()
    user = server.register()
    first = [streams(Stream(server.c2s, source="127.0.0.1")) for _ in range(3)]
    for s in first:
        s.open_features()
    streams(Stream(server.c2s, source="127.0.0.1")).expect_eof()
    streams(server.login(user, source="127.0.0.2")).ping()
    first[0].drop()
    until(lambda: opens(Stream(server.c2s, source="127.0.0.1")), "room after one has gone")


def opens(s):
    """Whether the stream gets an answer; it is dropped."""
    with s:
        try:
            s.open()
            return True
        except AssertionError:
            return False


def test_connections_of_a_listener(new_server, streams):
    server = new_server(lambda c: c["listen"][0].update(max_connections=2)).start()
    for _ in range(2):
        streams(Stream(server.c2s)).open_features()
    streams(Stream(server.c2s)).expect_eof()
    streams(Stream(server.required)).open_features()


def test_connections_in_all(new_server, streams):
    server = new_server(lambda c: c.update(max_connections=4)).start()
    held = [streams(Stream(a)) for a in (server.c2s, server.required) for _ in range(2)]
    for s in held:
        s.open_features()
    streams(Stream(server.c2s)).expect_eof()
    held[0].drop()
    until(lambda: opens(Stream(server.required)), "room after one has gone")


# --- time-outs ---

@pytest.fixture
def impatient(new_server):
    return new_server(lambda c: c.update(negotiation_timeout="1 second")).start()


@pytest.mark.parametrize("state", ["connected", "half a header", "features", "half an auth", "SASL challenge", "authenticated", "no bind"])
def test_stalled_negotiation_is_ended(impatient, streams, state):
    user = impatient.register()
    s = streams(impatient.stream())
    if state == "half a header":
        s.send("<?xml version='1.0'?><stream:stream xmlns='jab")
    elif state != "connected":
        s.open_features()
    if state == "half an auth":
        s.send(f"<auth xmlns='{NS['sasl']}' mechanism='PLA")
    if state == "SASL challenge":
        s.auth_raw("SCRAM-SHA-1", sasl.Scram("SCRAM-SHA-1", user, PASSWORD).first())
        s.sasl_reply()
    if state in ("authenticated", "no bind"):
        s.authenticate(user, PASSWORD)
    if state == "authenticated":
        s._new_parser()  # the error comes with a header of its own
    if state == "no bind":
        s.open_features()
    s.expect_stream_error("connection-timeout")


def test_a_drip_does_not_help(impatient, streams):
    """The deadline is for the whole negotiation: bytes now and then do not put it off."""
    s = streams(impatient.stream())
    s.open_features()
    until(lambda: s.pump(0.05) or s.eof or s.stream_ended or s.send(" "), "the end of the drip")
    s.expect_stream_error("connection-timeout")


def test_idle_session_stays(impatient, streams):
    """After login silence is golden: shown by another stream's time-out that starts later."""
    s = streams(impatient.login())
    other = streams(impatient.stream())
    other.open_features()
    other.expect_stream_error("connection-timeout")
    s.ping()


# --- shapers ---

def test_shaper_slows_and_loses_nothing(new_server, streams):
    """A shaped client gets every answer in order. That it was slowed shows in a lower bound of the time, which load cannot break."""
    def change(config):
        config["shaper"] = {"slow": {"rate": 60000, "burst_size": 2000}}
        config["shaper_rules"]["c2s_shaper"] = [{"none": "free"}, {"slow": "all"}]
        config["acl"]["free"] = {"user": ["free@localhost"]}

    server = new_server(change).start()
    server.api("register", user="free", host="localhost", password=PASSWORD)
    s, free = streams(server.login(resource="r")), streams(server.login("free"))
    pings = [f"<iq type='get' id='n{i:04}'><ping xmlns='urn:xmpp:ping'/></iq>" for i in range(2000)]
    begin = time.monotonic()
    s.send("".join(pings))
    free.ping()
    ids = [s.expect(lambda e: local(e) == "iq").get("id") for _ in pings]
    assert ids == [f"n{i:04}" for i in range(2000)]
    # What one read takes (32 KiB) may pass at once; the rest comes at the rate.
    assert time.monotonic() - begin > 0.5 * (len("".join(pings)) - 2000 - 32768) / 60000
