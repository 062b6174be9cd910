"""Between the delivery of waiting messages (XEP-0160) and the end of their rows in the table: whatever happens there, the receiver has
each once, nobody counts or shows it any more, and another server that takes the database (ejabberd) finds none."""
import contextlib
import sqlite3

import pytest

from faults import database, full, locked, opened
from server import PASSWORD
from sm import Sm, authenticated, resume
from xmppstream import error_of, local, q, until

OFFLINE = "http://jabber.org/protocol/offline"
CANNOT = "delivered messages cannot be removed"
N = 150  # more than are handed over at a time


def configure(config):
    config["modules"]["mod_offline"] = {"access_max_user_messages": "few"}
    config["shaper_rules"]["few"] = [{N: "all"}]
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60, "max_ack_queue": 1000}


@pytest.fixture
def server(new_server):
    return new_server(configure, allow_errors=True).start()


@pytest.fixture
def sender(server, streams):
    return streams(server.login(resource="out"))


def count(server, user):
    return server.api("get_offline_count", user=user, host="localhost")


def rows(server):
    with opened(server) as db:
        return db.execute("SELECT count(*) FROM spool").fetchone()[0]


def streams_kept(server, user):
    with opened(server) as db:
        return db.execute("SELECT count(*) FROM cj_sm_session WHERE username = ?", (user,)).fetchone()[0]


def rows_in_file(server):
    """As somebody finds it who comes when the server has gone."""
    with contextlib.closing(sqlite3.connect(f"file:{database(server)}?mode=ro", uri=True)) as db:
        return db.execute("SELECT count(*) FROM spool").fetchone()[0]


def settle(sender, user):
    assert error_of(sender.iq("<ping xmlns='urn:xmpp:ping'/>", f"{user}@localhost/nobody-here"))


def store(server, sender, n=N):
    user = server.register()
    for i in range(n):
        sender.message(f"{user}@localhost", str(i), id_=f"id{i}")
    settle(sender, user)
    assert count(server, user) == n
    return user


def receive(server, user, n=N, resource="r"):
    s = server.login(user, resource)
    s.presence()
    for i in range(n):
        s.expect_message(str(i))
    until(lambda: count(server, user) == 0, "they are not noted as delivered")
    return s


def expect_nothing(server, user, resource="again"):
    """What comes by itself has come when the account answers for a resource that is not there."""
    s = server.login(user, resource)
    s.presence()
    settle(s, user)
    assert not [e for e in s.items if local(e) == "message"]
    return s


def number_of_messages(s):
    """XEP-0013 §2.2, and the items of §2.3."""
    info = s.iq(f"<query xmlns='http://jabber.org/protocol/disco#info' node='{OFFLINE}'/>", s.jid.split("/")[0])
    number = int(info.find(".//{jabber:x:data}field[@var='number_of_messages']/{jabber:x:data}value").text)
    items = s.iq(f"<query xmlns='http://jabber.org/protocol/disco#items' node='{OFFLINE}'/>", s.jid.split("/")[0])
    assert len(items.findall(".//{http://jabber.org/protocol/disco#items}item")) == number
    return number


def gone(server):
    until(lambda: rows(server) == 0, "delivered messages stay in the table")


def test_killed_before_the_rows_are_gone(server, sender):
    """kill -9: the mark is in the ledger, the rows are in the table."""
    user = store(server, sender)
    with locked(server):
        s = receive(server, user)
        server.kill()
    s.drop()
    sender.drop()
    assert rows(server) == N
    server.start()
    assert count(server, user) == 0
    s = expect_nothing(server, user)
    assert number_of_messages(s) == 0
    gone(server)
    s.drop()
    server.stop()


def test_killed_twice(server, sender):
    """The process that takes the mark over is killed as well."""
    user = store(server, sender)
    with locked(server):
        s = receive(server, user)
        server.kill()
        s.drop()
        sender.drop()
    with locked(server):  # what it does at the start is written before
        pass
    server.start()
    with locked(server):
        assert count(server, user) == 0
        server.kill()
    server.start()
    expect_nothing(server, user).drop()
    gone(server)
    server.stop()


def test_killed_with_a_managed_stream(server, sender):
    """XEP-0198: what was acknowledged is delivered; the resumed client gets the rest, nobody gets anything twice."""
    user = store(server, sender)
    s = server.login(user, "r")
    m = Sm(s)
    m.enable()
    s.send("<presence/>")
    got = 0
    while got < N:
        el = s.next("a stanza")
        got += local(el) == "message"
        if local(el) == "r":
            m.a(m.h)
        elif local(el) in ("message", "presence", "iq"):
            m.h += 1
    m.a(m.h)
    until(lambda: count(server, user) == 0, "they are not noted as delivered")
    until(lambda: streams_kept(server, user), "the stream is not kept")
    server.kill()
    s.drop()
    sender.drop()
    server.start()
    t = authenticated(server, user, PASSWORD)
    assert local(resume(t, m.id, m.h)) == "resumed"
    t.jid = s.jid
    settle(t, user)
    assert not [e for e in t.items if local(e) == "message"]
    expect_nothing(server, user).drop()
    gone(server)
    t.drop()
    server.stop()


def test_disk_full_when_they_go(server, sender, streams):
    """Said once, tried again; meanwhile nobody gets them twice and nobody counts them."""
    user = store(server, sender)
    with opened(server) as db:
        until(lambda: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "the log keeps room for writes")
    with full(server):
        streams(receive(server, user))
        until(lambda: CANNOT in server.log(), "nothing is said about it")
        s = streams(expect_nothing(server, user))
        assert number_of_messages(s) == 0
        assert s.iq(f"<offline xmlns='{OFFLINE}'><fetch/></offline>").get("type") == "result"
        assert not [e for e in s.items if local(e) == "message"]
        assert rows(server) == N
    gone(server)
    assert server.log().count(CANNOT) == 1
    assert count(server, user) == 0


def test_database_locked_when_they_go(server, sender, streams):
    """Another process holds it for longer than the server waits."""
    user = store(server, sender)
    with locked(server):
        streams(receive(server, user))
        until(lambda: CANNOT in server.log(), "nothing is said about it")
        assert number_of_messages(streams(expect_nothing(server, user))) == 0
    gone(server)
    assert server.log().count(CANNOT) == 1


def test_stopped_at_once(server, sender):
    """An orderly stop right after the delivery leaves no delivered row in the file, and what waits stays."""
    user, other = store(server, sender), store(server, sender, 3)
    s = receive(server, user)
    server.stop()
    assert rows_in_file(server) == 3
    s.drop()
    sender.drop()
    server.start()
    assert count(server, user) == 0 and count(server, other) == 3
    receive(server, other, 3).drop()
    server.stop()
    assert rows_in_file(server) == 0


def test_stopped_while_they_cannot_go(server, sender):
    """Nor can they when the server stops: the next start knows of them all the same."""
    user = store(server, sender)
    with locked(server):
        s = receive(server, user)
        server.stop()
    s.drop()
    sender.drop()
    assert rows_in_file(server) == N
    server.start()
    assert count(server, user) == 0
    expect_nothing(server, user).drop()
    gone(server)
    server.stop()


def test_the_limit_is_one_of_those_that_wait(server, sender, streams):
    """As many again as may wait, while the delivered ones are in the table still (access_max_user_messages)."""
    user = store(server, sender)
    s = receive(server, user)
    s.close()
    for i in range(N + 1):
        sender.message(f"{user}@localhost", f"new{i}", id_=f"new{i}")
    settle(sender, user)
    refused = [e.get("id") for e in sender.items if local(e) == "message" and e.get("type") == "error"]
    assert refused == [f"new{N}"]
    assert count(server, user) == N
    s = streams(server.login(user, "r"))
    s.presence()
    assert [s.expect(lambda e: local(e) == "message", "a message").findtext(q("client", "body")) for _ in range(N)] == [
        f"new{i}" for i in range(N)]


def test_old_messages_are_those_that_wait(server, sender, streams):
    """delete_old_messages says how many were removed of those that anybody could still have got."""
    user, other = store(server, sender), store(server, sender, 3)
    streams(receive(server, user))
    assert server.api("delete_old_messages", days=0) is not None
    assert count(server, user) == count(server, other) == 0
    gone(server)


def test_a_new_account_of_the_name(server, sender, streams):
    """Marks of the account before hide nothing of the one after it."""
    user = store(server, sender)
    s = receive(server, user)
    server.api("unregister", user=user, host="localhost")
    s.drop()
    server.api("register", user=user, host="localhost", password=PASSWORD)
    sender.message(f"{user}@localhost", "0", id_="first")
    settle(sender, user)
    assert count(server, user) == 1
    streams(receive(server, user, 1))
    gone(server)
