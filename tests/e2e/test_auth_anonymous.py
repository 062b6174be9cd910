"""auth_method anonymous: SASL ANONYMOUS (XEP-0175, RFC 4505) and names that need no password (anonymous_protocol)."""
import base64

import pytest

from xmppstream import until

HOSTS = {
    "sasl.test": {"auth_method": ["anonymous"]},
    "login.test": {"auth_method": ["anonymous"], "anonymous_protocol": "login_anon"},
    "both.test": {"auth_method": ["internal", "anonymous"], "anonymous_protocol": "both"},
    "many.test": {"auth_method": ["anonymous", "internal"], "anonymous_protocol": "both", "allow_multiple_connections": True},
    "beside.test": {"auth_method": ["internal", "anonymous"]},
}


def configure(config):
    config["hosts"] += list(HOSTS)
    config["host_config"] = HOSTS
    config["acl"]["boss"] = {"user": ["root"]}


def connect(server, streams, host):
    s = streams(server.stream(to=host))
    return s, {el.text for el in s.open_features().iter() if el.tag.endswith("}mechanism")}


def finish(s):
    s.expect_success()
    s.open_features()
    s.bind()
    s.ping()
    return s


@pytest.mark.parametrize("host, want", [("sasl.test", {"ANONYMOUS"}), ("login.test", {"PLAIN", "X-OAUTH2"}),
                                        ("both.test", {"PLAIN", "X-OAUTH2", "ANONYMOUS"}), ("many.test", {"PLAIN", "X-OAUTH2", "ANONYMOUS"})])
def test_offers(server, streams, host, want):
    assert connect(server, streams, host)[1] == want


def test_offer_beside_accounts(server, streams):
    offered = connect(server, streams, "beside.test")[1]
    assert {"ANONYMOUS", "PLAIN", "SCRAM-SHA-1"} <= offered
    assert "ANONYMOUS" not in connect(server, streams, "localhost")[1]


@pytest.mark.parametrize("trace", [b"", b"sirhc@example.com", "ü".encode() * 60])
def test_sasl_anonymous(server, streams, trace):
    names = set()
    for _ in range(3):
        s, _ = connect(server, streams, "sasl.test")
        s.auth_raw("ANONYMOUS", trace or None)
        if not trace:
            assert s.next().tag.endswith("}challenge")
            s.respond_raw(b"")
        names.add(finish(s).bare)
        assert s.bare.endswith("@sasl.test")
    assert len(names) == 3


def test_two_strangers_talk(server, streams):
    a, b = connect(server, streams, "sasl.test")[0], connect(server, streams, "sasl.test")[0]
    for s in (a, b):
        s.auth_raw("ANONYMOUS", b"x")
        finish(s)
        s.presence()
    a.message(b.jid, "hello")
    b.expect_message("hello")


def test_the_account_lives_as_long_as_the_session(server, streams):
    s, _ = connect(server, streams, "sasl.test")
    s.auth_raw("ANONYMOUS", b"x")
    user = finish(s).bare.split("@")[0]
    assert server.api("check_account", user=user, host="sasl.test") == 0
    s.close()
    until(lambda: server.api("check_account", user=user, host="sasl.test") == 1, "the account to be gone")


def plain(server, streams, host, user, password="any"):
    s, _ = connect(server, streams, host)
    s.auth_raw("PLAIN", f"\0{user}\0{password}".encode())
    return s


def test_a_name_without_a_password(server, streams):
    finish(plain(server, streams, "login.test", "ann"))
    plain(server, streams, "login.test", "ann", "other").expect_failure("not-authorized")
    finish(plain(server, streams, "many.test", "ann"))
    finish(plain(server, streams, "many.test", "ann", "other"))


@pytest.mark.parametrize("host", ["both.test", "many.test"])
def test_an_account_is_not_for_strangers(server, streams, host):
    user = server.register(host=host)
    plain(server, streams, host, user, "wrong").expect_failure("not-authorized")
    finish(plain(server, streams, host, user, "secret"))
    finish(plain(server, streams, host, f"no{user}", "wrong"))


def test_names_only_where_they_are_let(server, streams):
    plain(server, streams, "beside.test", "ann").expect_failure("not-authorized")
    s, _ = connect(server, streams, "sasl.test")
    s.auth_raw("PLAIN", b"\0ann\0any")
    s.expect_failure("invalid-mechanism")


def test_callers_of_the_api_are_not_strangers(server):
    import http.client
    assert server.api("check_password", user="root", host="login.test", password="any") == 1
    c = http.client.HTTPConnection(*server.http)
    c.request("POST", "/api/status", "{}", {"Authorization": "Basic " + base64.b64encode(b"root@login.test:any").decode()})
    assert c.getresponse().status == 401
    c.close()


def test_not_beside_tokens(new_server, tmp_path):
    (tmp_path / "key").write_text('{"kty":"oct","k":"' + "c" * 43 + '"}')

    def change(config):
        config.update({"auth_method": ["jwt", "anonymous"], "jwt_key": str(tmp_path / "key"), "anonymous_protocol": "both"})
    with pytest.raises(AssertionError, match="would let anybody in"):
        new_server(change).start()
