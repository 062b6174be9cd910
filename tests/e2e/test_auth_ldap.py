"""auth_method ldap, against a real slapd: searching, binding, filters, TLS, backups, a directory that goes away and comes back."""
import json

import pytest

from server import Server
from slapd import BASE, Directory

LDIF = "".join(f"""dn: uid={uid},{BASE}
objectClass: inetOrgPerson
uid: {uid}
cn: {cn}
sn: {sn}
mail: {mail}
userPassword: {password}

""" for uid, cn, sn, mail, password in [
    ("ann", "Ann", "Doe", "ann@mail.test", "pass-ann"), ("bob", "Bob", "Doe", "robert@mail.test", "pass-bob"),
    ("eve", "Eve", "Evil", "eve@mail.test", "pass-eve"), ("two", "Two", "Doe", "same@mail.test", "pass-two"),
    ("too", "Too", "Doe", "same@mail.test", "pass-two"), ("paren(x)", "Paren", "Doe", "p@mail.test", "pass-paren")])


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    d = Directory(tmp_path_factory.mktemp("slapd"), LDIF)
    yield d
    d.stop()


def options(directory, **more):
    return directory.options(**{"auth_method": ["ldap"], "auth_use_cache": False, **more})


@pytest.fixture(scope="module")
def server(directory, tmp_path_factory):
    cert = str(directory.cert)
    hosts = {
        "uid.test": options(directory),
        "mail.test": options(directory, ldap_uids={"mail": "%u@mail.test"}, ldap_filter="(objectClass=inetOrgPerson)"),
        "filter.test": options(directory, ldap_uids=["uid", "cn"], ldap_filter="(!(sn=Evil))"),
        "dn.test": options(directory, ldap_dn_filter={"(&(sn=%s)(uid=%u)(mail=*@%d))": ["sn"]}),
        "sn.test": options(directory, ldap_uids=["sn"]),
        "tls.test": options(directory, ldap_encrypt="tls", ldap_port=directory.tls),
        "starttls.test": options(directory, ldap_encrypt="starttls"),
        "verified.test": options(directory, ldap_encrypt="tls", ldap_port=directory.tls, ldap_tls_verify="hard", ldap_tls_cacertfile=cert),
        "unverified.test": options(directory, ldap_encrypt="tls", ldap_port=directory.tls, ldap_tls_verify="hard"),
        "backup.test": options(directory, ldap_servers=[directory.ip.rsplit(".", 1)[0] + ".251"], ldap_backups=[directory.ip]),
        "nobody.test": options(directory, ldap_password="wrong"),
        "both.test": options(directory, auth_method=["ldap", "internal"]),
        "cached.test": options(directory, auth_use_cache=True),
    }

    def change(config):
        config["hosts"] += list(hosts)
        config["host_config"] = hosts
    with Server(tmp_path_factory.mktemp("server"), change) as s:
        yield s


def try_login(server, streams, user, password, host="uid.test", condition=None):
    s = streams(server.stream(to=host))
    s.open_features()
    s.auth_raw("PLAIN", f"\0{user}\0{password}".encode())
    if condition:
        s.expect_failure(condition)
        return
    s.expect_success()
    s.open_features()
    s.bind()
    s.ping()


def check(server, user, password, host="uid.test"):
    return server.api_raw("check_password", json.dumps({"user": user, "host": host, "password": password}))


@pytest.mark.parametrize("host", ["uid.test", "mail.test", "filter.test", "tls.test", "starttls.test", "verified.test", "backup.test",
                                  "both.test", "cached.test"])
def test_login(server, streams, host):
    try_login(server, streams, "ann", "pass-ann", host)
    try_login(server, streams, "ann", "pass-bob", host, condition="not-authorized")
    try_login(server, streams, "nobody", "pass-ann", host, condition="not-authorized")
    assert server.api("check_account", user="ann", host=host) == 0
    assert server.api("check_account", user="nobody", host=host) == 1


@pytest.mark.parametrize("host", ["unverified.test", "nobody.test"])
def test_it_cannot_be_asked(server, streams, host):
    """A certificate nobody vouches for, a wrong ldap_password: a fault of the server's, not of the client's."""
    try_login(server, streams, "ann", "pass-ann", host, condition="temporary-auth-failure")
    assert server.api_raw("check_account", json.dumps({"user": "ann", "host": host}))[0] == 503


def test_only_plain_is_offered(server, streams):
    features = streams(server.stream(to="uid.test")).open_features()
    assert "SCRAM-SHA-1" not in {el.text for el in features.iter() if el.tag.endswith("}mechanism")}


def test_patterns_and_filters(server):
    assert check(server, "robert", "pass-bob", "mail.test") == (200, "0")
    assert check(server, "bob", "pass-bob", "mail.test") == (200, "1")
    assert check(server, "eve", "pass-eve") == (200, "0")
    assert check(server, "eve", "pass-eve", "filter.test") == (200, "1")


def test_a_name_is_only_a_name(server):
    """RFC 4515 §3: what a client sends is never part of the filter."""
    for user in ("*", "a*", "ann)(uid=*", "*)(objectClass=*", "ann\\2a"):
        status, body = check(server, user, "pass-ann")
        assert (status, body) == (200, "1") or status == 400, (user, status, body)
    assert check(server, "paren(x)", "pass-paren") == (200, "0")


def test_more_than_one_entry_is_nobody(server):
    assert check(server, "Doe", "pass-ann", "sn.test") == (200, "1")
    assert check(server, "Evil", "pass-eve", "sn.test") == (200, "0")
    assert check(server, "same", "pass-two", "mail.test") == (200, "1")


def test_dn_filter(server):
    assert check(server, "ann", "pass-ann", "dn.test") == (200, "1")


def test_an_empty_password_is_none(server):
    """RFC 4513 §5.1.2: the directory would say yes to it."""
    assert check(server, "ann", "")[1] != "0"


def test_it_is_not_changed_from_here(server):
    status, body = server.api_raw("change_password", json.dumps({"user": "ann", "host": "uid.test", "newpass": "x"}))
    assert status != 200 or body != "0"
    status, _ = server.api_raw("register", json.dumps({"user": "new", "host": "uid.test", "password": "x"}))
    assert status != 200
    assert check(server, "ann", "pass-ann") == (200, "0")


def test_beside_the_store(server, streams):
    server.api("register", user="own", host="both.test", password="in")
    try_login(server, streams, "own", "in", "both.test")
    try_login(server, streams, "ann", "pass-ann", "both.test")


def test_it_goes_away_and_comes_back(server, directory, streams):
    """A connection that broke while nobody used it is made again; what is remembered helps meanwhile."""
    try_login(server, streams, "bob", "pass-bob", "cached.test")
    try_login(server, streams, "ann", "pass-ann")
    directory.stop()
    try_login(server, streams, "ann", "pass-ann", condition="temporary-auth-failure")
    try_login(server, streams, "bob", "pass-bob", "cached.test")
    server.api("register", user="own2", host="localhost", password="in")
    directory.start()
    try_login(server, streams, "ann", "pass-ann")
    directory.stop()
    directory.start()
    try_login(server, streams, "ann", "pass-ann")


@pytest.mark.parametrize("option, words", [({"ldap_filter": "uid=%u"}, "ldap_filter"), ({"ldap_uids": {"uid": "x"}}, "ldap_uids"),
                                           ({"ldap_uids": ["a)(b"]}, "ldap_uids")])
def test_options_that_make_no_sense(new_server, option, words):
    def change(config):
        config.update({"auth_method": ["ldap"], **option})
    with pytest.raises(AssertionError, match=words):
        new_server(change).start()
