"""SASL upgrade tasks (XEP-0480) within SASL2 (XEP-0388 §2.6.3): what is offered to whom, a task's steps, and what must not do."""
import hashlib
import sqlite3

import pytest

import sasl
from faults import locked
from server import PASSWORD
from test_sasl2 import AGENT, BIND2, NS2, answer, bind2, identity, offered
from xmppstream import local, q

UPGRADE, TASK = "urn:xmpp:sasl:upgrade:0", "urn:xmpp:scram-upgrade:0"
U256, U512 = "UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-512"


def configure(config):
    config["modules"]["mod_scram_upgrade"] = {}
    config["modules"]["mod_auth_fast"] = {}
    config["auth_stored_password_types"] = ["scram_sha1"]
    config["hosts"].append("plain.test")
    config["host_config"] = {"plain.test": {"auth_stored_password_types": ["plain"]}}
    next(l for l in config["listen"] if l.get("starttls"))["allow_unencrypted_sasl2"] = True


def opened(server, streams, user=None, host="localhost", tls=True):
    """A stream that names the account in its header, or not."""
    s = streams(server.stream(server.tls, tls="direct", to=host) if tls else server.stream(to=host))
    s.features = s.open_features(extra=f" from='{user}@{host}'" if user else "")
    return s


def mechanisms(s):
    return [m.text for m in offered(s.features).findall(f"{{{NS2}}}mechanism")]


def tasks_offered(s):
    return [u.text for u in offered(s.features).findall(f"{{{UPGRADE}}}upgrade")]


def start(s, user, asked=(U256,), mechanism="SCRAM-SHA-1", password=PASSWORD, inner=""):
    """Up to the outcome of SCRAM, which is returned; the server's proof is checked."""
    x = sasl.Scram(mechanism, user, password)
    s.send(f"<authenticate xmlns='{NS2}' mechanism='{mechanism}'><initial-response>{sasl.b64(x.first())}</initial-response>"
           f"<user-agent id='{AGENT}'/>" + "".join(f"<upgrade xmlns='{UPGRADE}'>{t}</upgrade>" for t in asked) + f"{inner}</authenticate>")
    s.send(f"<response xmlns='{NS2}'>{sasl.b64(x.final(sasl.unb64(answer(s, 'challenge').text)))}</response>")
    el = s.expect(lambda e: e.tag.startswith(f"{{{NS2}}}"))
    if local(el) != "failure":
        x.verify(sasl.unb64(el.findtext(f"{{{NS2}}}additional-data")))
    return el


def task_of(el):
    assert local(el) == "continue"
    names = [t.text for t in el.findall(f"{{{NS2}}}tasks/{{{NS2}}}task")]
    assert len(names) == 1  # §2.2: a single one
    return names[0]


def next_task(s, name):
    s.send(f"<next xmlns='{NS2}' task='{name}'/>")
    el = answer(s, "task-data").find(f"{{{TASK}}}salt")
    return sasl.unb64(el.text), int(el.get("iterations"))


def send_hash(s, data):
    s.send(f"<task-data xmlns='{NS2}'><hash xmlns='{TASK}'>{data if isinstance(data, str) else sasl.b64(data)}</hash></task-data>")


def do_task(s, name, password=PASSWORD):
    salt, iterations = next_task(s, name)
    algorithm = "sha256" if name == U256 else "sha512"
    send_hash(s, hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, iterations))


def upgraded(server, streams, tasks=(U256,)):
    user = server.register()
    s = opened(server, streams, user)
    el = start(s, user, tasks)
    for t in tasks:
        assert task_of(el) == t
        do_task(s, t)
        el = s.expect(lambda e: e.tag.startswith(f"{{{NS2}}}"))
    assert local(el) == "success" and el.find(f"{{{NS2}}}additional-data") is None  # it went with the first <continue/>
    return user


def login(server, streams, user, mechanism, password=PASSWORD):
    s = opened(server, streams, user)
    return local(start(s, user, (), mechanism, password))


def failed(s, condition):
    assert answer(s, "failure")[0].tag == q("sasl", condition), s.transcript()


# --- what is offered ---

def test_offer(server, streams):
    """§2.1, and what the account has by its header: the mechanisms follow the stored hashes."""
    user = upgraded(server, streams)
    old = server.register()
    assert tasks_offered(opened(server, streams, old)) == [U256, U512]
    assert [m for m in mechanisms(opened(server, streams, old)) if "SCRAM" in m] == ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"]
    assert tasks_offered(opened(server, streams, user)) == [U512]
    assert [m for m in mechanisms(opened(server, streams, user)) if "SCRAM" in m] == [
        "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"]
    assert tasks_offered(opened(server, streams)) == [U256, U512]


def test_a_name_nobody_has_looks_like_an_account(server, streams):
    """XEP-0388 §3: one that was upgraded, or one that was not; always the same."""
    looks = {tuple(mechanisms(opened(server, streams, f"nobody{i}"))) for i in range(24)}
    full, old = upgraded(server, streams, (U256, U512)), server.register()
    assert looks == {tuple(mechanisms(opened(server, streams, full))), tuple(mechanisms(opened(server, streams, old)))}
    assert mechanisms(opened(server, streams, "nobody1")) == mechanisms(opened(server, streams, "nobody1"))


def test_not_without_tls(server, streams):
    """§5: whoever hears a salted password can log in with it."""
    user = server.register()
    s = opened(server, streams, user, tls=False)
    assert tasks_offered(s) == []
    assert local(start(s, user)) == "success"


@pytest.mark.parametrize("option,tasks", [(["sha512"], [U512]), (["sha256"], [U256])])
def test_option(new_server, streams, option, tasks):
    def change(config):
        configure(config)
        config["modules"]["mod_scram_upgrade"] = {"offered_upgrades": option}
    with new_server(change) as server:
        user = server.register()
        s = opened(server, streams, user)
        assert tasks_offered(s) == tasks
        assert task_of(start(s, user, (U256, U512))) == tasks[0]


def test_not_to_a_disabled_mechanism(new_server, streams):
    def change(config):
        configure(config)
        config["disable_sasl_mechanisms"] = ["SCRAM-SHA-256"]
    with new_server(change) as server:
        assert tasks_offered(opened(server, streams, server.register())) == [U512]


# --- upgrading ---

@pytest.mark.parametrize("tasks", [(U256,), (U512,), (U256, U512)])
def test_upgrade(server, streams, tasks):
    """§2.2, §2.3, §3, §4: the new hash is good for logins, the old one stays, others are not there."""
    user = upgraded(server, streams, tasks)
    for mechanism in ["SCRAM-SHA-1"] + [t.removeprefix("UPGR-") for t in tasks]:
        assert login(server, streams, user, mechanism) == "success"
        s = opened(server, streams, user)
        assert local(start(s, user, (), mechanism, "wrong")) == "failure"


def test_one_after_the_other(server, streams):
    user = upgraded(server, streams)
    s = opened(server, streams, user)
    assert task_of(start(s, user, (U512, U256), "SCRAM-SHA-256")) == U512  # the other one is there already
    do_task(s, U512)
    answer(s, "success")
    assert login(server, streams, user, "SCRAM-SHA-512") == "success"


def test_inline_features_wait_for_the_task(server, streams):
    """XEP-0386 §3.2, XEP-0484 §3.3: binding and tokens come after all tasks."""
    user = server.register()
    s = opened(server, streams, user)
    el = start(s, user, inner=bind2() + "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>")
    assert [local(e) for e in el] == ["additional-data", "tasks"]
    do_task(s, task_of(el))
    el = answer(s, "success")
    assert el.find(f"{{{BIND2}}}bound") is not None and el.find("{urn:xmpp:fast:0}token") is not None
    s.jid = identity(el)
    s.ping()


def test_plain_needs_none(server, streams):
    """The server makes every hash itself from what it has."""
    user = server.register(host="plain.test")
    s = opened(server, streams, user, "plain.test")
    assert tasks_offered(s) == [] and "SCRAM-SHA-512" in mechanisms(s)
    s = opened(server, streams, None, "plain.test")
    assert local(start(s, user, (U256, U512))) == "success"


def test_unknown_tasks_are_passed_over(server, streams):
    user = server.register()
    assert local(start(opened(server, streams, user), user, ("UPGR-BLOOP2", "UPGR-SCRAM-SHA-1", ""))) == "success"


def test_survives_kill_and_new_password(new_server, streams):
    with new_server(configure) as server:
        user = upgraded(server, streams)
        server.kill()
        server.start()
        assert login(server, streams, user, "SCRAM-SHA-256") == "success"
        server.api("change_password", user=user, host="localhost", newpass="another")
        assert login(server, streams, user, "SCRAM-SHA-1", "another") == "success"
        s = opened(server, streams, user)
        assert "SCRAM-SHA-256" not in mechanisms(s)  # the old password is nowhere any more


# --- what must not do ---

def test_password_that_changed_meanwhile(server, streams):
    """Or the old one would go on being good by the new hash."""
    user = server.register()
    s = opened(server, streams, user)
    task_of(start(s, user))
    server.api("change_password", user=user, host="localhost", newpass="another")
    do_task(s, U256)
    failed(s, "not-authorized")
    assert mechanisms(opened(server, streams, user)).count("SCRAM-SHA-256") == 0


def test_account_that_is_gone(server, streams):
    user = server.register()
    s = opened(server, streams, user)
    task_of(start(s, user))
    server.api("unregister", user=user, host="localhost")
    do_task(s, U256)
    failed(s, "not-authorized")


def test_not_with_a_token(server, streams):
    """Whoever has a token only must not make a password of it."""
    import test_fast
    user, token = test_fast.obtain(server, streams, user=server.register())
    s = opened(server, streams, user)
    test_fast.show(s, user, token, inner=f"<upgrade xmlns='{UPGRADE}'>{U256}</upgrade>")
    test_fast.fits(s)


@pytest.mark.parametrize("data", ["", "=", "???", sasl.b64(b"x" * 31), sasl.b64(b"x" * 33), sasl.b64(b"x" * 64),
                                  sasl.b64(b"x" * 30000)])
def test_malformed_hash(server, streams, data):
    user = server.register()
    s = opened(server, streams, user)
    task_of(start(s, user))
    next_task(s, U256)
    send_hash(s, data)
    failed(s, "malformed-request")
    assert "SCRAM-SHA-256" not in mechanisms(opened(server, streams, user))
    assert local(start(s, user, ())) == "success"  # another try on the stream


@pytest.mark.parametrize("send", [f"<next xmlns='{NS2}'/>", f"<next xmlns='{NS2}' task='{U512}'/>",
                                  f"<next xmlns='{NS2}' task='SCRAM-SHA-256'/>", f"<response xmlns='{NS2}'/>",
                                  f"<task-data xmlns='{NS2}'><hash xmlns='{TASK}'>{sasl.b64(b'x' * 32)}</hash></task-data>",
                                  f"<task-data xmlns='{NS2}'/>", f"<nonsense xmlns='{NS2}'/>",
                                  "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHUA</auth>"])
def test_out_of_turn(server, streams, send):
    user = server.register()
    s = opened(server, streams, user)
    task_of(start(s, user))
    s.send(send)
    failed(s, "malformed-request")


def test_abort(server, streams):
    user = server.register()
    s = opened(server, streams, user)
    task_of(start(s, user))
    s.send(f"<abort xmlns='{NS2}'/>")
    failed(s, "aborted")


def test_not_authenticated_while_a_task_is_left(server, streams):
    """XEP-0388 §2.4: nothing but the exchange."""
    user = server.register()
    s = opened(server, streams, user)
    task_of(start(s, user, inner=bind2()))
    s.send("<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>")
    s.expect_stream_error("policy-violation")


def test_second_authentication(server, streams):
    """XEP-0388 §4.8: after <continue/> another <authenticate/> is a stream error."""
    user = server.register()
    s = opened(server, streams, user)
    task_of(start(s, user))
    s.send(f"<authenticate xmlns='{NS2}' mechanism='PLAIN'/>")
    s.expect_stream_error("policy-violation")


def test_only_keys_are_stored(new_server, streams):
    with new_server(configure) as server:
        user = upgraded(server, streams)
        for file in server.spool.rglob("*"):
            if file.is_file() and file.read_bytes()[:15] == b"SQLite format 3":
                with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
                    rows = db.execute("SELECT type, password, salt FROM users WHERE username = ? ORDER BY type", (user,)).fetchall()
        assert [r[0] for r in rows] == [2, 3]
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), sasl.unb64(rows[1][2]), 4096)
        assert sasl.b64(salted) != rows[1][1]


def test_database_that_cannot_be_written(new_server, streams):
    """The task fails, and the stream goes on: the client may log in without it."""
    with new_server(configure, allow_errors=True) as server:
        user = server.register()
        s = opened(server, streams, user)
        task_of(start(s, user))
        with locked(server):
            do_task(s, U256)
            failed(s, "temporary-auth-failure")
            assert local(start(s, user, ())) == "success"
        assert tasks_offered(opened(server, streams, user)) == [U256, U512]


@pytest.mark.parametrize("stored,served", [
    (["plain"], ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]), (["scram_sha1"], ["SCRAM-SHA-1"]),
    (["scram_sha256"], ["SCRAM-SHA-256"]), (["scram_sha512"], ["SCRAM-SHA-512"]),
    (["scram_sha1", "scram_sha512"], ["SCRAM-SHA-1", "SCRAM-SHA-512"]),
    (["plain", "scram_sha256"], ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])])
def test_accounts_from_before_a_change_of_what_is_stored(new_server, streams, stored, served):
    """auth_stored_password_types, and then another one: by its name in the header an account is offered what it has."""
    def change(config):
        configure(config)
        config["auth_stored_password_types"] = stored
    with new_server(change) as server:
        user = server.register()
        server.config["auth_stored_password_types"] = ["scram_sha256"]
        server.reload()
        s = opened(server, streams, user)
        assert sorted(m for m in mechanisms(s) if m.startswith("SCRAM") and not m.endswith("PLUS")) == served
        for m in served:
            assert login(server, streams, user, m) == "success"
        p = opened(server, streams, user)
        p.send(f"<authenticate xmlns='{NS2}' mechanism='PLAIN'><initial-response>{sasl.b64(sasl.plain(user, PASSWORD))}"
               "</initial-response></authenticate>")
        answer(p, "success")
