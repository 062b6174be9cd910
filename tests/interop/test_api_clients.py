"""
Other people's clients of ejabberd's administration API, unchanged, against the XML-RPC listener and the HTTP API. They log in as an
administrator, as their users configure them.
"""
import contextlib
import io

import pytest
from ejabberd_python3d.client import EjabberdAPIClient as Python3d
from ejabberd_python3d.core.errors import UserAlreadyRegisteredError
from ejabberdapi import Ejabberd
from pyejabberd import EjabberdAPIClient as PyEjabberd

from server import PASSWORD, Server, free_port, unique

ADMIN = ("boss", "localhost", "boss-password")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    def change(config):
        config["listen"].append({"port": free_port(), "ip": config["listen"][0]["ip"], "module": "ejabberd_xmlrpc"})
        config["acl"]["boss"] = {"user": "boss@localhost"}
        config["api_permissions"]["boss"] = {"from": ["ejabberd_xmlrpc", "mod_http_api"], "who": {"acl": "boss"}, "what": "*"}
        config["modules"]["mod_http_api"] = {"default_version": 0}
        config["auth_password_format"] = "plain"  # hashes of passwords can be compared then

    s = Server(tmp_path_factory.mktemp("server"), change)
    s.xmlrpc = next(l["port"] for l in s.config["listen"] if l["module"] == "ejabberd_xmlrpc")
    s.start()
    s.api("register", user=ADMIN[0], host=ADMIN[1], password=ADMIN[2])
    yield s
    try:
        assert s.alive(), f"the server ended by itself\n{s.words()}"
        s.stop()
    finally:
        s.give_up()


@pytest.fixture(params=["ejabberd-python3d", "pyejabberd"])
def client(request, server):
    if request.param == "pyejabberd":
        return PyEjabberd(server.ip, server.xmlrpc, ADMIN[0], ADMIN[2], ADMIN[1], protocol="http")
    return Python3d(server.ip, ADMIN[0], ADMIN[2], server=ADMIN[1], port=server.xmlrpc, protocol="http")


@pytest.fixture
def sessions(server):
    with contextlib.ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(server.login(*args, **options))


def test_accounts_come_and_go(server, client):
    name = unique("ann")
    assert client.register(name, "localhost", "first")
    assert name in [u["username"] for u in client.registered_users("localhost")]
    assert client.check_password_hash(name, "localhost", "first")
    assert client.change_password(name, "localhost", "second")
    assert not client.check_password_hash(name, "localhost", "first")
    assert client.unregister(name, "localhost")
    assert name not in [u["username"] for u in client.registered_users("localhost")]


def test_registering_twice_is_an_error_of_the_client(server, client):
    name = unique("ann")
    assert client.register(name, "localhost", "x")
    with pytest.raises(Exception) as e:
        client.register(name, "localhost", "x")
    assert "already" in str(e.value)


def test_sessions_are_seen(client, sessions):
    s = sessions(resource="desk", presence=True)
    assert client.connected_users_number() >= 1  # sessions of tests before may still be closing
    assert any(s.jid in str(u) for u in client.connected_users())


def test_wrong_password_of_the_administrator(server):
    for c in (PyEjabberd(server.ip, server.xmlrpc, ADMIN[0], "wrong", ADMIN[1], protocol="http"),
              Python3d(server.ip, ADMIN[0], "wrong", server=ADMIN[1], port=server.xmlrpc, protocol="http")):
        with pytest.raises(Exception) as e:
            c.registered_users("localhost")
        assert "account" in str(e.value).lower() or "auth" in str(e.value).lower()


@pytest.fixture
def http_client(server, tmp_path, monkeypatch):
    """EjabberdAPI keeps what it needs in a file below the working directory."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "ejabberd_secrets.txt").write_text(
        f"api_base_url: http://{server.ip}:{server.http[1]}\nlocal_vhost: localhost\n"
        f"admin_account: {ADMIN[0]}@{ADMIN[1]}\nadmin_pass: {ADMIN[2]}\n")
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        yield Ejabberd()


def test_accounts_over_http(http_client):
    name = unique("bea")
    assert http_client.register(name, "localhost", "pw") == (True, f"User {name}@localhost successfully registered")
    assert http_client.check_account(name, "localhost")
    assert http_client.register(name, "localhost", "pw")[0] is False
    assert http_client.unregister(name, "localhost") == (True, False)
    assert not http_client.check_account(name, "localhost")


def test_statistics_over_http(http_client):
    stats = http_client.stats()
    assert stats.registeredusers >= 1 and stats.uptimeseconds >= 0 and stats.onlineusers == stats.onlineusersnode
    assert "is running" in http_client.status()


def test_sessions_over_http(server, http_client, sessions):
    name = unique("bea")
    server.api("register", user=name, host="localhost", password=PASSWORD)
    sessions(name, resource="desk", presence=True)
    info = http_client.user_sessions_info(name, "localhost")
    assert info.resource == "desk" and info.status == "available"
