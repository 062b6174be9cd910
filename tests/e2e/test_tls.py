"""TLS of listeners: versions, ALPN (XEP-0368), injection before STARTTLS, handshakes gone wrong."""
import socket

import pytest

from tlslayer import TlsError
from xmppstream import NS, Ended, Stream, q


def configure(config):
    config["c2s_protocol_options"] = ["no_sslv3", "no_tlsv1", "no_tlsv1_1"]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_versions(server, streams, version):
    s = streams(server.login(tls="direct", address=server.tls, version=version))
    assert s.tls.version() == f"TLSv{version}"


@pytest.mark.parametrize("offer,taken", [(["xmpp-client"], "xmpp-client"), (["h2", "xmpp-client"], "xmpp-client"), (None, "")])
def test_alpn(server, streams, offer, taken):
    s = streams(server.stream(server.tls, tls="direct", alpn=offer))
    assert s.tls.alpn() == taken
    s.open_features()


@pytest.mark.parametrize("offer", [["http/1.1"], ["xmpp-server"], ["h2", "http/1.1"]])
def test_alpn_of_another_protocol_is_refused(server, offer):
    """A browser or a server connection must not end up in a client stream (ALPACA)."""
    with pytest.raises((TlsError, Ended)):
        server.stream(server.tls, tls="direct", alpn=offer)


def test_plain_bytes_behind_starttls_are_dropped(server, streams):
    """RFC 6120 §5.4.3.3: what an attacker appended in the clear must not be read as if it came through TLS."""
    s = streams(server.stream())
    s.open_features()
    injected = f"<iq type='get' id='injected'><ping xmlns='{NS['ping']}'/></iq>"
    s.send(f"<starttls xmlns='{NS['tls']}'/>" + injected)
    s.expect_tag(q("tls", "proceed"))
    s._new_parser()
    try:
        s.start_tls_now()
    except (TlsError, Ended):
        return  # taken for a broken handshake: as good
    s.open_features()
    s.auth_raw("NONE", b"x")
    s.expect_failure("invalid-mechanism")
    assert all(e.get("id") != "injected" for e in s.items) and not s.stream_ended


def test_starttls_twice(server, streams):
    s = streams(server.stream())
    s.open_features()
    s.starttls()
    s.open_features()
    s.send(f"<starttls xmlns='{NS['tls']}'/>")
    s.expect_tag(q("tls", "failure"))
    s.expect_end()


def test_starttls_where_there_is_none(new_server, streams):
    server = new_server(lambda c: c["listen"][0].pop("starttls")).start()
    s = streams(server.stream())
    assert q("tls", "starttls") not in [f.tag for f in s.open_features()]
    s.send(f"<starttls xmlns='{NS['tls']}'/>")
    s.expect_tag(q("tls", "failure"))
    s.expect_end()


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02" + b"\0" * 60, b"\0" * 300,
                                  b"<stream:stream xmlns='jabber:client'>"], ids=["http", "bad hello", "sslv2", "zeros", "plain xmpp"])
def test_nonsense_instead_of_a_handshake(server, streams, data):
    s = streams(Stream(server.tls))
    s.sock.sendall(data)
    s._parse = lambda data: None
    s.expect_eof()
    server.login().close()


def test_handshake_dropped_at_every_byte(server):
    """A ClientHello cut anywhere, then FIN or reset."""
    from tlslayer import TlsLayer
    hello = TlsLayer("localhost").step()
    for n in range(0, len(hello), 7):
        s = Stream(server.tls)
        s.sock.send(hello[:n])
        s.drop(rst=n % 2 == 0)
    server.login(tls="direct", address=server.tls).close()


def test_truncated_tls_is_an_end(server, streams):
    """FIN without close_notify: the session ends, its contacts hear of it."""
    user = server.register()
    one, two = streams(server.login(user, "one", presence=True)), streams(server.login(user, "two", tls="direct", address=server.tls))
    two.presence()
    one.expect(lambda e: e.get("from") == two.jid)
    two.sock.shutdown(socket.SHUT_WR)
    one.expect(lambda e: e.get("from") == two.jid and e.get("type") == "unavailable", "unavailable presence")


def test_large_records_both_ways(server, streams):
    a, b = streams(server.login(tls="direct", address=server.tls)), streams(server.login(tls="direct", address=server.tls))
    body = "0123456789abcdef" * 12000
    for _ in range(5):
        a.message(b.jid, body)
    for _ in range(5):
        assert b.expect_message().findtext(q("client", "body")) == body
