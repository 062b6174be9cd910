"""PROXY protocol, versions 1 and 2: the address that counts is the one the header names."""
import socket
import struct

import pytest

from xmppstream import Stream


def configure(config):
    config["listen"][0]["use_proxy_protocol"] = True
    config["listen"][1]["use_proxy_protocol"] = True
    config["listen"][1]["max_connections_per_ip"] = 2


def v1(family="TCP4", src="203.0.113.7", port=40000):
    dst = "::1" if family == "TCP6" else "127.0.0.1"
    return f"PROXY {family} {src} {dst} {port} 5222\r\n".encode()


def v2(src="203.0.113.8", port=40001, command=1, extra=b""):
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    if ":" in src:
        family, body = 0x21, socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, "::1")
    else:
        family, body = 0x11, socket.inet_aton(src) + socket.inet_aton("127.0.0.1")
    body += struct.pack("!HH", port, 5222) + extra
    return signature + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


def address_of(server, s):
    info = next(i for i in server.api("connected_users_info") if i["jid"] == s.jid)
    return info["ip"].removeprefix("::ffff:"), info["port"]


GOOD = {
    "v1 TCP4": (v1(), "203.0.113.7", 40000),
    "v1 TCP6": (v1("TCP6", "2001:db8::7"), "2001:db8::7", 40000),
    "v2 TCP4": (v2(), "203.0.113.8", 40001),
    "v2 TCP6": (v2("2001:db8::8"), "2001:db8::8", 40001),
    "v2 with TLVs": (v2(extra=b"\x04\x00\x05hello"), "203.0.113.8", 40001),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", "127.0.0.1", None),
    "v2 LOCAL": (v2(command=0), "127.0.0.1", None),
}


@pytest.mark.parametrize("name", GOOD)
def test_address(server, streams, name):
    header, ip, port = GOOD[name]
    s = streams(server.login(proxy=header))
    got = address_of(server, s)
    assert got[0] == ip and port in (None, got[1])


@pytest.mark.parametrize("name", ["v1 TCP4", "v2 TCP6"])
def test_before_tls(server, streams, name):
    header, ip, _ = GOOD[name]
    s = streams(server.login(proxy=header, tls="direct", address=server.tls))
    assert address_of(server, s)[0] == ip


@pytest.mark.parametrize("name", ["v1 TCP4", "v2 TCP6"])
def test_byte_by_byte(server, streams, name):
    header, ip, _ = GOOD[name]
    s = streams(Stream(server.c2s))
    s.send_each_byte(header)
    s.login(server.register(), "secret")
    assert address_of(server, s)[0] == ip


BAD = {
    "none at all": b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost' version='1.0'>",
    "v1 without end": b"PROXY TCP4 " + b"1" * 200,
    "v1 bad address": b"PROXY TCP4 1.2.3.400 127.0.0.1 1 2\r\n",
    "v1 bad port": b"PROXY TCP4 1.2.3.4 127.0.0.1 70000 2\r\n",
    "v1 wrong family": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "v1 missing field": b"PROXY TCP4 1.2.3.4 127.0.0.1 1\r\n",
    "v2 wrong version": b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c" + b"\0" * 12,
    "v2 short": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x04" + b"\0" * 4,
    "v2 unknown command": b"\r\n\r\n\0\r\nQUIT\n\x2f\x11\x00\x0c" + b"\0" * 12,
    "nonsense": b"\0\1\2\3\4\5\6\7\10\11\12\13\14\15",
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_header_is_dropped(server, streams, name):
    """Not one byte comes back: whoever speaks without the header is no proxy of ours."""
    s = streams(Stream(server.c2s))
    s.sock.sendall(BAD[name])
    s.expect_eof()
    assert not [d for who, d in s.log if who == "S"]


def test_limit_per_address_counts_the_named_address(server, streams):
    for n in range(3):
        for _ in range(2):
            streams(Stream(server.tls, tls="direct", proxy=v1(src=f"198.51.100.{n}")))
    third = streams(Stream(server.tls, proxy=v1(src="198.51.100.1")))
    third.expect_eof()
