"""Several auth_method of one host, in every order of two, also with one that cannot be asked (a dead program, LDAP that is down, a PAM
that cannot tell): a right password of one that answers is right; nobody comes in that none has taken; what cannot be known is
temporary-auth-failure and not not-authorized (RFC 6120 §6.5); nobody gets a name as a stranger that may be somebody's."""
import json
import os
import stat

import pytest

from server import ApiError, free_port, own_ip
from sasl import plain
from xmppstream import local

PROGRAM = r"""#!/usr/bin/python3 -SE
import os, struct, sys
while len(head := sys.stdin.buffer.read(2)) == 2:
    op, user, host, *rest = sys.stdin.buffer.read(struct.unpack(">H", head)[0]).decode().split(":", 3)
    yes = user == "ext" and (op == "isuser" or op == "auth" and rest == ["p-ext"])
    os.write(1, struct.pack(">HH", 2, yes))
"""
PAM_PROGRAM = "#!/bin/sh\n[ \"$PAM_USER $(tr -d '\\0')\" = 'daemon p-pam' ]\n"

# By name of the method: its account, the account's password, whether it can be asked.
METHODS = {"internal": ("int", "p-int", True), "external": ("ext", "p-ext", True), "pam": ("daemon", "p-pam", True),
           "dead": ("ext", "p-ext", False), "away": ("daemon", "p-pam", False), "down": ("dir", "p-dir", False)}
WORD = {"dead": "external", "away": "pam", "down": "ldap"}


def word(method):
    return WORD.get(method, method)


PAIRS = [(a, b) for a in METHODS for b in METHODS if word(a) != word(b)]


def host_of(pair, strangers=False):
    return f"{'-'.join(pair)}.{'strangers' if strangers else 'plain'}.test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    for name, text in (("extauth", PROGRAM), ("pam", PAM_PROGRAM)):
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    (folder / "pam.d").mkdir()
    (folder / "pam.d" / "good").write_text(f"auth required pam_exec.so expose_authtok quiet {folder}/pam\naccount required pam_unix.so\n")
    (folder / "pam.d" / "away").write_text("auth required pam_debug.so auth=authinfo_unavail\n"
                                           "account required pam_debug.so acct=authinfo_unavail\n")
    os.environ["CJABBERD_PAM_CONFDIR"] = str(folder / "pam.d")
    yield folder
    del os.environ["CJABBERD_PAM_CONFDIR"]


def options(folder, pair, strangers):
    o = {"auth_method": [word(m) for m in pair] + ["anonymous"] * strangers, "auth_use_cache": False}
    for m in pair:
        o.update({"external": {"extauth_program": f"{folder}/extauth", "extauth_pool_size": 1},
                  "dead": {"extauth_program": "/bin/false", "extauth_pool_size": 1},
                  "pam": {"pam_service": "good"}, "away": {"pam_service": "away"}, "internal": {},
                  "down": {"ldap_servers": [own_ip()], "ldap_port": free_port(), "ldap_base": "dc=x"}}[m])
    return {**o, **({"anonymous_protocol": "login_anon"} if strangers else {})}


@pytest.fixture(scope="module")
def at(folder, tmp_path_factory):
    """A server with a host for each pair. Accounts of the store are made while nothing else can be asked."""
    from server import Server
    hosts = {host_of(p, s): options(folder, p, s) for p in PAIRS for s in (False, True)}
    server = Server(tmp_path_factory.mktemp("server"), lambda c: c.update(hosts=c["hosts"] + list(hosts)))
    server.start()
    try:
        for p in PAIRS:
            for s in (False, True):
                if "internal" in p:
                    server.api("register", user="int", host=host_of(p, s), password="p-int")
        server.config["host_config"] = hosts
        server.reload()
        yield server
        server.stop()
    finally:
        server.give_up()


def outcome(server, streams, host, user, password):
    s = streams(server.stream(to=host))
    s.open_features()
    s.auth_raw("PLAIN", plain(user, password))
    el = s.sasl_reply()
    s.drop()
    return "success" if local(el) == "success" else local(el[0])


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_two_methods(at, streams, pair):
    host, all_answer = host_of(pair), all(METHODS[m][2] for m in pair)
    wrong = "not-authorized" if all_answer else "temporary-auth-failure"
    for m in pair:
        user, password, answers = METHODS[m]
        other = next(METHODS[o][1] for o in pair if o != m)
        assert outcome(at, streams, host, user, password) == ("success" if answers else wrong)
        assert outcome(at, streams, host, user, other) == wrong
    assert outcome(at, streams, host, "nobody-at-all", "x") == wrong


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_strangers_beside_two_methods(at, streams, pair):
    """anonymous_protocol login_anon: only where every method has said that the name is nobody's."""
    host, all_answer = host_of(pair, True), all(METHODS[m][2] for m in pair)
    wrong = "not-authorized" if all_answer else "temporary-auth-failure"
    for m in pair:
        user, password, answers = METHODS[m]
        assert outcome(at, streams, host, user, "x") == wrong
        assert outcome(at, streams, host, user, password) == ("success" if answers else wrong)
    assert outcome(at, streams, host, "nobody-at-all", "x") == ("success" if all_answer else wrong)


@pytest.mark.parametrize("pair", [p for p in PAIRS if not all(METHODS[m][2] for m in p) and "internal" in p], ids="-".join)
def test_no_second_account_of_a_name(at, pair):
    """It may be there already: registering fails as long as nobody can say."""
    with pytest.raises(ApiError) as e:
        at.api("register", user="new", host=host_of(pair), password="x")
    assert e.value.status >= 400
    assert "exists" not in json.dumps(e.value.body)


@pytest.mark.parametrize("pair", [p for p in PAIRS if "internal" in p], ids="-".join)
def test_no_keys_where_others_have_none(at, streams, pair):
    """SCRAM with the store's keys would pass over a method that sees passwords only."""
    s = streams(at.stream(to=host_of(pair)))
    assert not any("SCRAM" in (el.text or "") for el in s.open_features().iter())
