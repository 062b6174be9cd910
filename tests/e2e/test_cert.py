"""SASL EXTERNAL with client certificates (XEP-0178 §2, RFC 6120 §6.3.4 and §13.7.1.4), over both TLS record layers."""
import copy
import types

import pytest
from cryptography import x509

from authority import DAY, Authority
from server import PASSWORD, Server, free_port, own_ip
from test_sasl2 import NS2, answer, authenticate, bind2, identity
from cryptography.x509.oid import ExtendedKeyUsageOID
from xmppstream import q


def setting(tmp, **top):
    """A server that trusts one authority on its listeners, another one on example.test."""
    at = types.SimpleNamespace(ca=Authority(tmp, "Test CA"), other=Authority(tmp, "Other CA"))

    def change(config):
        config.update(top)
        for l in config["listen"][:3]:
            l.update(tls_verify=True, cafile=str(at.ca.file))
        config["host_config"] = {"example.test": {"c2s_cafile": str(at.other.file)}}
        config["modules"]["mod_stream_mgmt"] = {}
    at.server = Server(tmp / "server", change)
    return at


@pytest.fixture(scope="module", params=["own", "openssl"])
def at(request, tmp_path_factory):
    at = setting(tmp_path_factory.mktemp("cert"), tls_record_layer=request.param)
    at.server.start()
    yield at
    try:
        at.server.stop()
    finally:
        at.server.give_up()


@pytest.fixture(params=["1.2", "1.3"])
def version(request):
    return request.param


def connected(at, streams, cert, host="localhost", address=None, **options):
    """Where features have come over TLS; the mechanisms that were offered."""
    s = streams(at.server.stream(address, to=host, cert=cert, **options))
    s.open_features()
    s.starttls()
    return s, [m.text for m in s.open_features().find(q("sasl", "mechanisms"))]


def enter(s, authzid=b""):
    s.auth_raw("EXTERNAL", authzid)
    s.expect_success()
    s.open_features()
    return s.bind()


def test_one_address(at, streams, version):
    """XEP-0178 §2 step 10: one address, no authorization identity."""
    user = at.server.register()
    s, offered = connected(at, streams, at.ca.client([f"{user}@localhost"]), version=version)
    assert offered[0] == "EXTERNAL"
    assert enter(s).startswith(f"{user}@localhost/")
    s.ping()


def test_direct_tls(at, streams, version):
    """XEP-0368: the certificate comes before the first stream header."""
    user = at.server.register()
    s = streams(at.server.stream(at.server.tls, tls="direct", cert=at.ca.client([f"{user}@localhost"]), version=version))
    assert "EXTERNAL" in [m.text for m in s.open_features().find(q("sasl", "mechanisms"))]
    enter(s)


def test_own_authzid(at, streams):
    """RFC 6120 §6.3.8: an authorization identity that says what the certificate says already."""
    user = at.server.register()
    s, _ = connected(at, streams, at.ca.client([f"{user}@localhost"]))
    assert enter(s, f"{user}@localhost".encode()).startswith(f"{user}@")


def test_initial_response_on_demand(at, streams):
    """RFC 6120 §6.4.2: without an initial response the server asks for it with an empty challenge."""
    user = at.server.register()
    s, _ = connected(at, streams, at.ca.client([f"{user}@localhost"]))
    s.auth_raw("EXTERNAL", None)
    assert s.sasl_reply().tag == q("sasl", "challenge")
    s.respond_raw(b"")
    s.expect_success()


def test_several_addresses(at, streams, version):
    """XEP-0178 §2 step 10: with several the client has to say which; nothing else is possible."""
    one, two, stranger = (at.server.register() for _ in range(3))
    cert = at.ca.client([f"{one}@localhost", f"{two}@localhost", f"{one}@elsewhere.test"])
    s, offered = connected(at, streams, cert, version=version)
    assert "EXTERNAL" in offered
    s.auth_raw("EXTERNAL", b"")
    s.expect_failure("invalid-authzid")
    for wrong in (f"{stranger}@localhost", f"{one}@elsewhere.test", f"{two}@localhost/home", "localhost", "@", "\0"):
        s, _ = connected(at, streams, cert)
        s.auth_raw("EXTERNAL", wrong.encode())
        s.expect_failure("invalid-authzid")
    s, _ = connected(at, streams, cert)
    assert enter(s, f"{two}@localhost".encode()).startswith(f"{two}@")


@pytest.mark.parametrize("what", ["no address", "mail", "name", "domain", "other host", "resource", "unparsable"])
def test_no_address_of_this_host(at, streams, what):
    """XEP-0178 §2 step 9: not offered when the certificate is nobody's of this host; a name or mail address is no address."""
    user = at.server.register()
    cert = at.ca.client(**{
        "no address": {}, "mail": {"names": [x509.RFC822Name(f"{user}@localhost")]}, "name": {"cn": f"{user}@localhost"},
        "domain": {"addresses": ["localhost"]}, "other host": {"addresses": [f"{user}@elsewhere.test"]},
        "resource": {"addresses": [f"{user}@localhost/x"]}, "unparsable": {"addresses": [f"{user}\0@localhost", "a@b@c"]}}[what])
    s, offered = connected(at, streams, cert)
    assert "EXTERNAL" not in offered
    s.auth_raw("EXTERNAL", f"{user}@localhost".encode())
    s.expect_failure("invalid-mechanism")
    s.authenticate(user, PASSWORD)


@pytest.mark.parametrize("what", ["untrusted", "expired", "not yet", "server's", "none"])
def test_bad_certificates(at, streams, version, what):
    """RFC 6120 §13.7.2: what does not verify is as good as none; the other mechanisms are still there."""
    user = at.server.register()
    names = [f"{user}@localhost"]
    cert = {"untrusted": lambda: at.other.client(names), "expired": lambda: at.ca.client(names, start=-9 * DAY, end=-DAY),
            "not yet": lambda: at.ca.client(names, start=DAY), "none": lambda: None,
            "server's": lambda: at.ca.client(names, usage=ExtendedKeyUsageOID.SERVER_AUTH)}[what]()
    s, offered = connected(at, streams, cert, version=version)
    assert "EXTERNAL" not in offered and "SCRAM-SHA-1-PLUS" in offered
    s.auth_raw("EXTERNAL", b"")
    s.expect_failure("invalid-mechanism")
    s.authenticate(user, PASSWORD, "SCRAM-SHA-1-PLUS", binding="tls-server-end-point")


def test_intermediate_authority(at, streams, version, tmp_path):
    user = at.server.register()
    middle = Authority(tmp_path, "Middle CA", parent=at.ca)
    s, offered = connected(at, streams, middle.client([f"{user}@localhost"]), version=version)
    assert "EXTERNAL" in offered
    enter(s)


def test_authorities_of_a_host(at, streams):
    """Option c2s_cafile, per host, goes before the listener's cafile."""
    user = at.server.register(host="example.test")
    names = [f"{user}@example.test"]
    assert "EXTERNAL" not in connected(at, streams, at.ca.client(names), host="example.test")[1]
    s, offered = connected(at, streams, at.other.client(names), host="example.test")
    assert "EXTERNAL" in offered
    enter(s)


def test_prepared_names(at, streams):
    """RFC 7622: addresses are compared prepared."""
    user = at.server.register("straße")
    s, _ = connected(at, streams, at.ca.client([f"{user.upper()}@LocalHost"]))
    assert enter(s).split("/")[0] == f"{user}@localhost".replace("ß", "ss")


def test_account_that_is_gone(at, streams):
    """A certificate outlives the account; only what is registered comes in."""
    user = at.server.register()
    cert = at.ca.client([f"{user}@localhost"])
    at.server.api("unregister", user=user, host="localhost")
    s, _ = connected(at, streams, cert)
    s.auth_raw("EXTERNAL", b"")
    s.expect_failure("not-authorized")


def test_accounts_out_of_reach(alone, streams):
    """RFC 6120 §6.5.12: whether the account is there cannot be told."""
    alone.server.config["host_config"]["localhost"] = {"auth_method": ["ldap"], "ldap_servers": [own_ip()], "ldap_base": "dc=x",
                                                       "ldap_port": free_port()}
    with alone.server:
        s, offered = connected(alone, streams, alone.ca.client(["ann@localhost"]))
        assert "EXTERNAL" in offered
        s.auth_raw("EXTERNAL", b"")
        s.expect_failure("temporary-auth-failure")


def test_banned_account(at, streams):
    user = at.server.register()
    at.server.api("ban_account", user=user, host="localhost", reason="spam")
    s, _ = connected(at, streams, at.ca.client([f"{user}@localhost"]))
    s.auth_raw("EXTERNAL", b"")
    s.expect_failure("account-disabled")


def test_without_tls(at, streams):
    """Nothing was shown, nothing is offered."""
    s = streams(at.server.stream())
    assert "EXTERNAL" not in [m.text for m in s.open_features().find(q("sasl", "mechanisms"))]
    s.auth_raw("EXTERNAL", b"")
    s.expect_failure("invalid-mechanism")


def test_sasl2(at, streams, version):
    """XEP-0388 §2.3 with the same mechanism, and Bind 2 inline."""
    user = at.server.register()
    s = streams(at.server.stream(cert=at.ca.client([f"{user}@localhost"]), version=version))
    s.open_features()
    s.starttls()
    f = s.open_features().find(f"{{{NS2}}}authentication")
    assert "EXTERNAL" in [m.text for m in f.findall(f"{{{NS2}}}mechanism")]
    authenticate(s, "EXTERNAL", b"", bind2())
    assert identity(answer(s, "success")).startswith(f"{user}@localhost/T.")


def test_sasl2_several_addresses(at, streams):
    one, two = (at.server.register() for _ in range(2))
    s, _ = connected(at, streams, at.ca.client([f"{one}@localhost", f"{two}@localhost"]))
    authenticate(s, "EXTERNAL", None, bind2())
    answer(s, "challenge")
    s.send(f"<response xmlns='{NS2}'/>")
    failure = answer(s, "failure")
    assert failure[0].tag == q("sasl", "invalid-authzid")
    authenticate(s, "EXTERNAL", f"{two}@localhost".encode(), bind2())
    assert identity(answer(s, "success")).startswith(f"{two}@")


def test_more_addresses_than_are_looked_at(at, streams):
    """What a client makes its authority sign is bounded."""
    users = [f"u{i}@localhost" for i in range(100)]
    s, offered = connected(at, streams, at.ca.client(users))
    assert "EXTERNAL" in offered
    s.auth_raw("EXTERNAL", b"")
    s.expect_failure("invalid-authzid")


# --- with a server of their own ---

@pytest.fixture
def alone(tmp_path):
    at = setting(tmp_path)
    yield at
    at.server.give_up()


def test_revoked(alone, streams):
    """Lists of revoked certificates in the authority's file; a reload brings a new one to listeners that stay."""
    with alone.server as server:
        one, two = server.register(), server.register()
        good, bad = alone.ca.client([f"{one}@localhost"]), alone.ca.client([f"{two}@localhost"])
        assert "EXTERNAL" in connected(alone, streams, bad)[1]
        alone.ca.revoke(bad)
        server.reload()
        assert "EXTERNAL" not in connected(alone, streams, bad)[1]
        s, offered = connected(alone, streams, good)
        assert "EXTERNAL" in offered
        enter(s)


def test_not_asked_for(alone, streams):
    """Without tls_verify nobody is asked, and nobody is let in."""
    for l in alone.server.config["listen"][:3]:
        l["tls_verify"] = False
    with alone.server as server:
        user = server.register()
        assert "EXTERNAL" not in connected(alone, streams, alone.ca.client([f"{user}@localhost"]))[1]


def test_disabled(alone, streams):
    alone.server.config["disable_sasl_mechanisms"] = ["external"]
    with alone.server as server:
        user = server.register()
        s, offered = connected(alone, streams, alone.ca.client([f"{user}@localhost"]))
        assert "EXTERNAL" not in offered
        s.auth_raw("EXTERNAL", b"")
        s.expect_failure("invalid-mechanism")


def test_certificate_required_to_log_in(alone, streams):
    """All other mechanisms can be taken away: then the certificate is the only way in."""
    alone.server.config["disable_sasl_mechanisms"] = ["PLAIN", "X-OAUTH2"] + [
        f"SCRAM-SHA-{n}{plus}" for n in (1, 256, 512) for plus in ("", "-PLUS")]
    with alone.server as server:
        user = server.register()
        s, offered = connected(alone, streams, alone.ca.client([f"{user}@localhost"]))
        assert offered == ["EXTERNAL"]
        enter(s)


def test_authorities_that_cannot_be_read(alone):
    """A wrong path is said at the start and at a reload, and the old configuration stays."""
    with alone.server as server:
        before = copy.deepcopy(server.config)
        server.config["host_config"]["example.test"]["c2s_cafile"] = str(alone.ca.folder / "nothing.pem")
        server.write_config()
        status, body = server.api_raw("reload_config", "{}")
        assert status == 400 and "nothing.pem" in body
        server.config = before
        server.reload()
