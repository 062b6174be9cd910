"""Waiting messages and copies where streams are managed (XEP-0160 and XEP-0280 with XEP-0198): delivery goes at the pace of the
client's acknowledgements, and losing the stream, or the server, neither loses nor doubles one."""
import pytest

from server import PASSWORD
from sm import SM, Sm, authenticated, resume
from xmppstream import error_of, local, q, until

DELAY = "{urn:xmpp:delay}delay"


def configure(config):
    config["modules"]["mod_offline"] = {}
    config["modules"]["mod_carboncopy"] = {}
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60, "resend_on_timeout": "if_offline", "max_ack_queue": 500}


@pytest.fixture
def sender(server, streams):
    return streams(server.login(resource="out"))


def count(server, user):
    return server.api("get_offline_count", user=user, host="localhost")


def store(server, sender, user, n, filler=""):
    for i in range(n):
        sender.message(f"{user}@localhost", f"{i}{filler}", id_=f"id{i}")
    assert error_of(sender.iq("<ping xmlns='urn:xmpp:ping'/>", f"{user}@localhost/nobody-here"))
    assert count(server, user) == n


def read(stream, sm, n, answer=True):
    """Reads n messages; counts stanzas and, like a client, answers <r/>. Ids in order."""
    ids = []
    while len(ids) < n:
        el = stream.next("a stanza")
        if local(el) == "message":
            ids.append(el.get("id"))
        if el.tag == f"{{{SM}}}r" and answer:
            sm.a(sm.h)
        elif local(el) in ("message", "presence", "iq"):
            sm.h += 1
    return ids


def managed(server, user, resource="r"):
    s = server.login(user, resource)
    m = Sm(s)
    m.enable()
    return s, m


def test_more_than_the_queue_may_hold(server, sender, streams):
    """2,000 messages to a client whose queue may hold 500 (max_ack_queue): it is waited for."""
    user = server.register()
    store(server, sender, user, 2000)
    s, m = managed(server, user)
    streams(s)
    s.send("<presence/>")
    assert read(s, m, 2000) == [f"id{i}" for i in range(2000)]
    m.a(m.h)
    s.ping()
    until(lambda: count(server, user) == 0, "the store is not emptied")


def test_lost_and_resumed(server, sender, streams):
    """The stream goes in the middle; the resumed one gets the rest without sending presence again: each once, in order."""
    user = server.register()
    store(server, sender, user, 600, "y" * 500)
    s, m = managed(server, user)
    s.send("<presence/>")
    first = read(s, m, 200)
    s.drop(rst=True)
    t = streams(authenticated(server, user, PASSWORD))
    resumed = resume(t, m.id, m.h)
    assert local(resumed) == "resumed"
    m.stream = t
    t.jid = s.jid
    rest = read(t, m, 400)
    assert first + rest == [f"id{i}" for i in range(600)]
    m.a(m.h)
    until(lambda: count(server, user) == 0, "the store is not emptied")
    assert not [e for e in t.items if local(e) == "message"]


def test_kill_while_delivering_to_a_managed_stream(new_server):
    """kill -9 in the middle of the delivery, a piece of it is not acknowledged: resumed after the restart, each comes once."""
    server = new_server(configure).start()
    sender, user, n = server.login(resource="out"), server.register(), 600
    store(server, sender, user, n, "y" * 500)
    s, m = managed(server, user)
    s.send("<presence/>")
    first = read(s, m, 40, answer=False)
    until(lambda: count(server, user) == n - 64, "the first piece does not go over to the session")
    server.kill()
    s.drop()
    sender.drop()
    server.start()
    t = authenticated(server, user, PASSWORD)
    assert local(resume(t, m.id, m.h)) == "resumed"
    m.stream, t.jid = t, s.jid
    assert first + read(t, m, n - 40) == [f"id{i}" for i in range(n)]
    m.a(m.h)
    until(lambda: count(server, user) == 0, "the store is not emptied")
    assert not [e for e in t.items if local(e) == "message"]
    t.drop()
    server.stop()


def test_given_back_keeps_its_time(server, sender, streams):
    """What a session that ends had not acknowledged waits again, with the time when it was first kept (XEP-0203 §5)."""
    user = server.register()
    store(server, sender, user, 1)
    s, m = managed(server, user)
    s.presence()
    stamp = s.expect_message("0").find(DELAY).get("stamp")
    s.close()
    until(lambda: count(server, user) == 1, "it is not given back")
    again = streams(server.login(user, "other", presence=True)).expect_message("0")
    assert [d.get("stamp") for d in again.findall(DELAY)] == [stamp]


def test_copies_after_a_restart(new_server):
    """A session that outlives the server still gets copies (XEP-0280 §4)."""
    server = new_server(configure).start()
    user = server.register()
    s, m = managed(server, user)
    assert s.iq("<enable xmlns='urn:xmpp:carbons:2'/>", type_="set").get("type") == "result"
    s.presence()
    m.acked()
    server.stop()
    s.drop()
    server.start()
    t = authenticated(server, user, PASSWORD)
    assert local(resume(t, m.id, 2)) == "resumed"
    talks = server.login(user, "talks", presence=True)
    talks.message("nobody@localhost", "x")
    el = t.expect(lambda e: local(e) == "message" and e.find("{urn:xmpp:carbons:2}sent") is not None, "a copy")
    assert el.find(f".//{q('client', 'body')}").text == "x"
    for c in (t, talks):
        c.drop()
    server.stop()
