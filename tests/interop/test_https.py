"""The administration API over TLS: curl and Python's ssl, with keep-alive, large bodies both ways, ends in and out of order."""
import hashlib
import http.client
import json
import socket
import ssl
import struct

import pytest

from peers import answers
from server import PASSWORD
from xmppstream import DEADLINE

VERSIONS = [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"], ["--tlsv1.3", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"],
            ["--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"]]


def name_of(options):
    return options[-1] if len(options) > 1 else options[0].strip("-")


def context(version=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
    if version:
        c.minimum_version = c.maximum_version = version
    return c


@pytest.mark.parametrize("options", VERSIONS, ids=name_of)
def test_keep_alive(server, options):
    user = server.register()
    call = ["--data", json.dumps({"user": user, "host": "localhost"}), server.https.url("check_account")]
    args = [a for i in range(20) for a in ((["--next", "--insecure"] if i else []) + [*options, "--write-out", " %{num_connects}\n", *call])]
    assert server.https.curl(*args).split() == [b"0", b"1"] + [b"0", b"0"] * 19


@pytest.mark.parametrize("options", VERSIONS, ids=name_of)
@pytest.mark.parametrize("chunked", [[], ["--header", "Transfer-Encoding: chunked"]], ids=["length", "chunked"])
def test_large_body(server, options, chunked):
    """Just below the limit; white space is the cheapest way to be large."""
    user = server.register()
    body = json.dumps({"user": user, "host": "localhost"}).encode()
    body += b" \r\n\t" * (((10 << 20) - len(body)) // 4)
    out = server.https.curl(*options, *chunked, "--data-binary", "@-", server.https.url("check_account"), data=body)
    assert answers(out) == [0]


@pytest.mark.parametrize("options", VERSIONS, ids=name_of)
def test_large_answer(server, options):
    """Some 700 KB in one answer, and the same again on the same connection."""
    names = sorted(hashlib.sha256(b"%d" % i).hexdigest() * 15 for i in range(700))
    known = set(server.api("registered_users", host="example.test"))
    for name in names:
        if name not in known:
            server.api("register", user=name, host="example.test", password=PASSWORD)
    call = [*options, "--data", '{"host":"example.test"}', server.https.url("registered_users")]
    first, second = answers(server.https.curl(*call, "--next", "--insecure", *call))
    assert sorted(first) == names and second == first


def test_many_at_once(server):
    user = server.register()
    call = ["--data", json.dumps({"user": user, "host": "localhost"}), server.https.url("check_account")]
    args = [a for i in range(60) for a in ((["--next", "--insecure"] if i else []) + call)]
    assert server.https.curl("--parallel", "--parallel-max", "20", *args) == b"0" * 60


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda v: v.name)
def test_pieces_of_odd_sizes(server, version):
    """Every send is a record of its own; bodies and header fields are cut anywhere."""
    user = server.register()
    conn = http.client.HTTPSConnection(server.ip, server.https.port, timeout=DEADLINE, context=context(version))
    conn.connect()
    conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for size in (1, 2, 3, 7, 16, 17, 251, 1021, 4093, 16383, 16384, 16385, 50000):
        body = json.dumps({"user": user, "host": "localhost"}).encode() + b" " * (size * 3)
        request = b"POST /api/check_account HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        for at in range(0, len(request), size):
            conn.sock.sendall(request[at:at + size])
        answer = http.client.HTTPResponse(conn.sock)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b"0")
    conn.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda v: v.name)
@pytest.mark.parametrize("address", ["tls", "https"])
def test_close_notify_is_answered(server, version, address):
    target = server.tls if address == "tls" else (server.ip, server.https.port)
    with socket.create_connection(target, DEADLINE) as raw:
        s = context(version).wrap_socket(raw, server_hostname="localhost")
        assert s.version() == version.name.replace("_", ".")
        s.unwrap()  # sends ours and waits for the server's


@pytest.mark.parametrize("rst", [False, True], ids=["fin", "reset"])
def test_ends_in_the_middle_of_an_answer(server, rst):
    """Without a word while megabytes are on their way; the server goes on for everybody else."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for _ in range(10):
            raw = socket.create_connection((server.ip, server.https.port), DEADLINE)
            s = context(version).wrap_socket(raw, server_hostname="localhost")
            body = b'{"host":"example.test"}'
            s.sendall((b"POST /api/registered_users HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body) * 5)
            s.recv(100)
            if rst:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
    assert answers(server.https.curl("--data", '{"host":"localhost"}', server.https.url("registered_users")))


def test_plain_http_on_the_tls_port(server):
    with socket.create_connection((server.ip, server.https.port), DEADLINE) as raw:
        raw.sendall(b"GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(1000)[:1] in (b"", b"\x15")  # nothing, or a TLS alert
