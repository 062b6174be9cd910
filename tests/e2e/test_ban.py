"""Bans of accounts: what happens to sessions, logins and passwords."""
import pytest

import sasl
from xmppstream import q

MECHANISMS = ("PLAIN", "SCRAM-SHA-256")


def refused(server, name, password, mechanism):
    with server.stream() as s:
        s.open_features()
        first = sasl.plain(name, password) if mechanism == "PLAIN" else sasl.Scram(mechanism, name, password).first()
        s.auth_raw(mechanism, first)
        el = s.sasl_reply()
        return [e.tag.rpartition("}")[2] for e in el][:1], el.findtext("{urn:ietf:params:xml:ns:xmpp-sasl}text")


@pytest.mark.parametrize("password_format", ["plain", "scram"])
def test_ban_and_unban(new_server, password_format):
    def change(config):
        config["auth_password_format"] = password_format
        if password_format == "scram":
            config["auth_scram_hash"] = "sha256"

    server = new_server(change)
    server.start()
    name = server.register()
    with server.login(name, presence=True) as a:
        assert server.api("ban_account", user=name, host="localhost", reason="a < b") == 0
        error = a.expect_tag(q("stream", "error"))
        assert error.find(q("streams", "conflict")) is not None and error.findtext(q("streams", "text")) == "a < b"
    for mechanism in MECHANISMS:
        for password in ("secret", "wrong"):
            assert refused(server, name, password, mechanism) == (["account-disabled"], "Account is banned: a < b")
    assert server.api("check_password", user=name, host="localhost", password="secret") == 1
    assert server.api("ban_account", user=name, host="localhost", reason="again") == 1
    assert server.api("get_ban_details", user=name, host="localhost")["reason"] == "a < b"
    server.kill()  # what was answered is on disk
    server.start()
    assert refused(server, name, "secret", "PLAIN")[0] == ["account-disabled"]
    assert server.api("change_password", user=name, host="localhost", newpass="another") == 0
    assert server.api("unban_account", user=name, host="localhost") == 0
    for mechanism in MECHANISMS:
        with server.login(name, mechanism=mechanism) as a:
            a.ping()
    assert server.api("get_ban_details", user=name, host="localhost") == {}
    assert server.api("unban_account", user=name, host="localhost") == 1


def test_a_name_nobody_has_is_taken(server):
    assert server.api("ban_account", user="never-there", host="localhost", reason="r") == 0
    status, _ = server.api_raw("register", '{"user": "never-there", "host": "localhost", "password": "x"}')
    assert status == 409
