"""hide_sensitive_log_data: addresses of clients and of callers of the API stay out of the log."""
import http.client
import json
import urllib.parse

import pytest

import sasl
from authority import Authority
from server import DEADLINE, PASSWORD, unique
from xmppstream import Stream

CLIENT, NAMED, FORWARDED = "127.9.8.7", "203.0.113.77", "198.51.100.66"

# What a line of the log says, and whose address it has.
SAID = {"accepted PLAIN authentication": CLIENT, "failed authentication": CLIENT, "client certificate is not accepted": CLIENT,
        " calls unban_ip address=": CLIENT, "explain_permission failed": CLIENT,
        " calls explain_permission": CLIENT, "no token for": CLIENT, ", scopes '": CLIENT, "registered from": NAMED,
        "refused: too many connections from this address": CLIENT}


@pytest.fixture
def private(new_server, tmp_path):
    """Makes a server that tells everything but, perhaps, addresses."""
    def make(log_format="text", **options):
        authority = Authority(tmp_path, "Test CA")

        def change(config):
            config.update(loglevel="debug", log_format=log_format, **options)
            config["listen"][1].update(tls_verify=True, cafile=str(authority.file))
            config["listen"][-1]["request_handlers"]["/oauth"] = "ejabberd_oauth"
            config["access_rules"]["tokens"] = [{"allow": "all"}]
            config["oauth_access"] = "tokens"
            config["modules"].update(mod_register={}, mod_fail2ban={"c2s_max_auth_failures": 3})

        server = new_server(change)
        server.stranger = Authority(tmp_path, "Other CA").client(["x@localhost"])
        server.proxy = server.add_listener(use_proxy_protocol=True)
        server.single = server.add_listener(max_connections_per_ip=1)
        return server.start()
    return make


def post(server, path, body, **headers):
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE, source_address=(CLIENT, 0))
    try:
        conn.request("POST", path, body, {"X-Forwarded-For": FORWARDED, **headers})
        r = conn.getresponse()
        r.read()
        return r.status
    finally:
        conn.close()


def api(server, command, /, **args):
    return post(server, f"/api/{command}", json.dumps(args))


def grant(server, user, password):
    form = {"grant_type": "password", "username": f"{user}@localhost", "password": password, "scope": "sasl_auth"}
    return post(server, "/oauth/token", urllib.parse.urlencode(form), **{"Content-Type": "application/x-www-form-urlencoded"})


def attempt(server, user, password="wrong", host="localhost"):
    with Stream(server.c2s, to=host, source=CLIENT) as s:
        s.open_features()
        s.auth_raw("PLAIN", sasl.plain(user, password))
        return s.next().tag.endswith("}success")


def drive(server):
    """Everything that tells the log of an address."""
    user = server.register()
    assert [attempt(server, user, p) for p in (PASSWORD, "wrong", "wrong", "wrong", PASSWORD)] == [True] + [False] * 4
    assert api(server, "unban_ip", address=f"{CLIENT}/32") == 200
    assert attempt(server, user, PASSWORD)
    assert api(server, "explain_permission", command="status", ip=f"{CLIENT}/32") == 400
    assert (grant(server, user, "wrong"), grant(server, user, PASSWORD)) == (400, 200)
    with Stream(server.tls, tls="direct", source=CLIENT, cert=server.stranger) as s:
        s.open_features()
    with Stream(server.proxy, proxy=f"PROXY TCP4 {NAMED} 127.0.0.1 54321 5222\r\n".encode()) as s:
        s.open_features()
        fields = f"<username>{unique('new')}</username><password>Secret-1</password>"
        assert s.iq(f"<query xmlns='jabber:iq:register'>{fields}</query>", type_="set").get("type") == "result"
    with Stream(server.single, source=CLIENT) as s:
        s.open_features()
        with Stream(server.single, source=CLIENT) as second:
            second.expect_eof()


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("hidden", [False, True])
def test_addresses(private, log_format, hidden):
    server = private(log_format, hide_sensitive_log_data=hidden)
    drive(server)
    server.stop()
    lines = server.log().splitlines()
    for words, address in SAID.items():
        assert any(words in line and ("hidden" if hidden else address) in line for line in lines), words
    if hidden:
        assert not [line for line in lines if any(a in line for a in (CLIENT, NAMED, FORWARDED, "127.0.0.1"))]
        assert any("start accepting connections at" in line and server.ip in line for line in lines)
    assert "hide_sensitive_log_data" not in server.log()  # as an option without effect


def test_hosts_and_reload(private):
    """A host has its own say; a reload is enough."""
    server = private(host_config={"example.test": {"hide_sensitive_log_data": True}})

    def failures(host, user):
        assert not attempt(server, user, host=host)
        server.api("rotate_log")
        return next(line for line in (server.logs / "cjabberd.log.0").read_text().splitlines() if f"for {user}@{host}" in line)

    assert failures("localhost", "a").endswith(f"ip={CLIENT}")
    assert failures("example.test", "b").endswith("ip=hidden")
    server.config["hide_sensitive_log_data"] = True
    server.config["host_config"]["example.test"]["hide_sensitive_log_data"] = False
    server.reload()
    api(server, "unban_ip", address=CLIENT)
    assert failures("localhost", "c").endswith("ip=hidden")
    assert failures("example.test", "d").endswith(f"ip={CLIENT}")
