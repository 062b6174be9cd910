"""Many clients at once over all shards: nothing lost, nothing twice, order kept between each two."""
import collections
import threading

import pytest

from xmppstream import local, pump_all, q

CLIENTS, MESSAGES = 50, 100


def configure(config):
    config["shards"] = 4


@pytest.fixture(scope="module")
def crowd(server):
    people = [server.login(resource=f"r{i}", tls="direct", address=server.tls) if i % 5 == 0 else server.login(resource=f"r{i}")
              for i in range(CLIENTS)]
    yield people
    for s in people:
        s.drop()


def flood(people, pairs, count):
    """Every (sender, receiver) sends `count` numbered messages; returns what came: {(from, to): [numbers]}."""
    for s in people:
        s.items.clear()
    for n in range(count):
        for a, b in pairs:
            a.message(b.jid, str(n))
        if n % 10 == 9:
            for s in people:
                s.pump(0)
    pump_all(people, lambda: sum(len(s.items) for s in people) >= len(pairs) * count, "messages of the crowd")
    got = collections.defaultdict(list)
    for s in people:
        s.ping()  # what comes after the last expected one would be a duplicate
        for el in s.items:
            assert local(el) == "message" and el.get("type") == "chat", s.transcript()
            got[el.get("from"), el.get("to")].append(int(el.findtext(q("client", "body"))))
    return got


def test_crowd_keeps_order_and_loses_nothing(crowd):
    """Each to its neighbour at every distance of a few: same shard and other shards, both ways at once."""
    pairs = [(crowd[i], crowd[(i + d) % CLIENTS]) for i in range(CLIENTS) for d in (1, 7, -1)]
    got = flood(crowd, pairs, MESSAGES // 3)
    assert got == {(a.jid, b.jid): list(range(MESSAGES // 3)) for a, b in pairs}


def test_many_to_one(crowd):
    pairs = [(s, crowd[0]) for s in crowd[1:]]
    got = flood(crowd, pairs, MESSAGES)
    assert got == {(a.jid, b.jid): list(range(MESSAGES)) for a, b in pairs}


def test_one_to_many(crowd):
    pairs = [(crowd[0], s) for s in crowd[1:]]
    got = flood(crowd, pairs, MESSAGES)
    assert got == {(a.jid, b.jid): list(range(MESSAGES)) for a, b in pairs}


def test_order_between_messages_and_iqs(server, crowd):
    """One stream's stanzas keep their order, also when some of them wait for the store (last activity of an offline account)."""
    s, other = crowd[1], crowd[2]
    offline = server.register()
    for s_ in crowd:
        s_.items.clear()
    for n in range(100):
        s.send(f"<iq type='get' id='w{n}' to='{s.bare}'><query xmlns='jabber:iq:last'/></iq>"
               f"<iq type='get' id='x{n}' to='{offline}@localhost'><query xmlns='jabber:iq:last'/></iq>")
        s.message(other.jid, str(n))
    pump_all([s, other], lambda: len(s.items) >= 200 and len(other.items) >= 100, "answers and messages")
    assert [int(e.findtext(q("client", "body"))) for e in other.items] == list(range(100))
    own = [e.get("id") for e in s.items if e.get("id").startswith("w")]
    assert own == [f"w{n}" for n in range(100)]
    assert sorted(e.get("id") for e in s.items if e.get("id").startswith("x")) == sorted(f"x{n}" for n in range(100))


def test_logins_and_ends_under_load(server, crowd):
    """Sessions come and go (every way of going) while messages flow to them; those that stay miss nothing."""
    user = server.register()
    a, b = crowd[3], crowd[4]
    for s in crowd:
        s.items.clear()
    for n in range(60):
        guest = server.login(user, "guest" if n % 3 else f"g{n}", mechanism=("PLAIN", "SCRAM-SHA-1")[n % 2], presence=True)
        a.message(f"{user}@localhost", f"g{n}")
        a.message(b.jid, str(n))
        (guest.close if n % 4 == 0 else guest.drop)()
    b.wait(lambda: len([e for e in b.items if local(e) == "message"]) >= 60, "messages to the one that stays")
    assert [int(e.findtext(q("client", "body"))) for e in b.items if local(e) == "message"] == list(range(60))


def test_api_under_load(server, crowd):
    """Lists and counts gathered from all shards while clients log in and out in another thread."""
    stop = threading.Event()
    failures = []

    def churn():
        try:
            while not stop.is_set():
                server.login(presence=True).close()
        except BaseException as e:  # reported by the test
            failures.append(e)

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        present = {s.jid for s in crowd}
        for _ in range(60):
            assert present <= set(server.api("connected_users"))
            assert server.api("connected_users_number") >= len(present)
            info = server.api("connected_users_info")
            assert present <= {i["jid"] for i in info}
            assert server.api("status_num", status="available") >= 0
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not failures, failures[0]


def test_kicks_from_many_threads(server):
    """The same sessions kicked by several at once: each ends exactly once, the server stays well."""
    user = server.register()
    for _ in range(10):
        sessions = [server.login(user, f"k{i}", presence=True) for i in range(5)]
        threads = [threading.Thread(target=lambda: server.api_raw("kick_user", '{"user": "%s", "host": "localhost"}' % user))
                   for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for s in sessions:
            s.expect_stream_error()
            s.drop()
    assert server.api("num_resources", user=user, host="localhost") == 0
