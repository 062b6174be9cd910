"""mod_fail2ban: addresses that failed to log in too often."""
import re

import pytest

import sasl
from xmppstream import q


def configure(config):
    config["modules"]["mod_fail2ban"] = {"c2s_max_auth_failures": 3, "c2s_auth_ban_lifetime": "10 minutes"}


def attempt(server, name, password, mechanism="PLAIN"):
    """True: accepted; False: wrong password; otherwise the text of the stream error."""
    with server.stream() as s:
        s.open_features()
        if mechanism == "PLAIN":
            s.auth_raw(mechanism, sasl.plain(name, password))
        else:
            x = sasl.Scram(mechanism, name, password)
            s.auth_raw(mechanism, x.first())
            el = s.next()
            if el.tag == q("stream", "error"):
                return text_of(el)
            s.respond_raw(x.final(sasl.unb64(el.text)))
        el = s.next()
        return text_of(el) if el.tag == q("stream", "error") else el.tag == q("sasl", "success")


def text_of(el):
    assert el.find(q("streams", "policy-violation")) is not None
    return el.findtext(q("streams", "text"))


def test_failures_are_counted(server):
    """Over names, mechanisms and shards; a success in between starts anew."""
    name = server.register()
    assert [attempt(server, name, "wrong") for _ in range(2)] == [False, False]
    assert attempt(server, name, "secret") is True
    assert [attempt(server, name, "wrong"), attempt(server, "nobody", "x", "SCRAM-SHA-1")] == [False] * 2
    assert attempt(server, name, "wrong", "SCRAM-SHA-1").startswith("Too many (3)")
    for mechanism in ("PLAIN", "SCRAM-SHA-1"):
        words = attempt(server, name, "secret", mechanism)
        assert re.fullmatch(rf"Too many \(3\) failed authentications from this IP address \(127\.0\.0\.1\)\. The address will be "
                            r"unblocked at \d\d:\d\d:\d\d \d\d\.\d\d\.\d{4} UTC", words)
    assert server.api("unban_ip", address="127.0.0.1/32") == 1
    assert server.api("unban_ip", address="127.0.0.1/32") == 0
    assert attempt(server, name, "secret") is True


@pytest.mark.parametrize("address", ["", "nosuch", "127.0.0.1/33", "127.0.0.1 ", "::1/x"])
def test_no_address(server, address):
    assert server.api("unban_ip", address=address) == -1


def test_trusted_addresses_are_not_counted(new_server):
    server = new_server(lambda c: c["modules"].update(mod_fail2ban={"c2s_max_auth_failures": 1, "access": [{"allow": "loopback"}]}))
    server.start()
    name = server.register()
    assert [attempt(server, name, "wrong") for _ in range(3)] == [False] * 3
    assert server.api("unban_ip", address="0.0.0.0/0") == 0
