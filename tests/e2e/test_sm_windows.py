"""Each window of the table in docs/stream-management.md: the server ends by itself (SIGKILL) exactly there, is started again, the
clients come back in every order, or do not, and every message has arrived once and in order (XEP-0198 §5, XEP-0160, XEP-0280).
For builds with fault points (-Dfaults=true)."""
import contextlib
import http.client
import random
import select
import signal
import sqlite3
import struct
import time

import pytest

from im import home_of
from points import ALWAYS, Points
from torture import Client, missing
from xmppstream import DEADLINE, Ended, Timeout, until

CONF = {"resume_timeout": 300, "max_resume_timeout": 300, "resend_on_timeout": "if_offline"}


def configure(config, **more):
    config["modules"]["mod_stream_mgmt"] = {**CONF, **more}
    for m in ("mod_offline", "mod_carboncopy"):
        config["modules"][m] = {}


class World:
    """A server with points, and clients on it whose every message is counted."""

    def __init__(self, new_server, **more):
        self.server = new_server(lambda c: configure(c, **more))
        self.points = Points(self.server)
        self.server.start()
        self.clients, self.quiet = [], random.Random(1)

    def account(self, shard):
        while home_of(user := self.server.register()) != shard:
            pass
        return user

    def client(self, user, resource="one", **options):
        c = Client(self.server, self.quiet, user, resource, **options)
        self.clients.append(c)
        return c

    def start(self):
        self.server.start()

    # --- to the window ---

    def turn(self, clients, answer):
        """Whatever comes next to one of them."""
        live = {c.stream.sock.fileno(): c for c in clients if c.up}
        poll = select.poll()
        for fd in live:
            poll.register(fd, select.POLLIN)
        ready = poll.poll(DEADLINE * 1000)
        if not ready:
            raise Timeout("nothing comes\n" + self.server.words())
        for fd, _ in ready:
            c = live[fd]
            c.stream._receive()
            if c.up:
                c.read(answer=c in answer)

    def die(self, answer=()):
        """The clients live on until it has ended. answer: those who acknowledge what they are asked for."""
        live = [c for c in self.clients if c.up]
        while any(c.up for c in live):
            self.turn(live, answer)
        self.points.expect_death()
        for c in live:
            c.drain()

    # --- after it ---

    def settle(self, *clients):
        """Twice: what comes of the first question may still be on its way."""
        for _ in range(2):
            for c in clients:
                c.send("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
                c.ask()
                c.read(answer=True)
            while waiting := [c for c in clients if c.unacked]:
                self.turn(clients, clients)
                for c in waiting:
                    if not c.up:
                        raise Ended(c.jid)
                    if c.unacked and c.told:
                        c.ask()
                    c.told = False

    def receive(self, c, way, from_, to, upto):
        """Until the last has come; nothing comes behind it."""
        end = time.monotonic() + DEADLINE
        c.read(answer=True)
        while upto not in c.got.get((way, from_, to), []) and time.monotonic() < end:
            self.turn([c], [c])
        assert not (wrong := missing(c.got.get((way, from_, to), []), upto)), (way, wrong, c.got)

    def ask(self, question, *args):
        with contextlib.closing(sqlite3.connect(self.database(), timeout=DEADLINE)) as db:
            return db.execute(question, args).fetchone()[0]

    def rows(self):
        """What the store has left of streams and waiting messages."""
        return {t: n for t in ("cj_sm_session", "cj_sm_stanza", "cj_sm_done", "spool") if (n := self.ask(f"SELECT count(*) FROM {t}"))}

    def database(self):
        return next(f for f in self.server.spool.rglob("*") if f.is_file() and f.open("rb").read(15) == b"SQLite format 3")

    def cells(self):
        """(kind, stream) of those in the ledger that say something."""
        data = (self.server.spool / "streams.ledger").read_bytes()
        found = []
        for at in range(0, len(data), 64):
            kind, _, stream = struct.unpack_from("IIQ", data, at)
            if at % (256 << 10) and kind:
                found.append((kind, stream))
        return found

    def leave_nothing(self):
        """Everybody goes in order: nothing stays behind, neither now nor for the next process."""
        for c in self.clients:
            if c.up:
                self.settle(c)
                assert c.leave(), c.jid
        until(lambda: not self.rows(), "rows stay")
        self.server.stop()
        self.server.start()
        assert not self.cells() and not self.rows(), (self.cells(), self.rows())


# --- one message to one session ---

class Talk(World):
    """A writes to B; two messages are there and acknowledged, then come those of the window."""

    def __init__(self, new_server, same_shard, b_wait=None, **more):
        super().__init__(new_server, **more)
        self.a = self.client(self.account(0)).enter()
        self.b = self.client(self.account(0 if same_shard else 1), wait=b_wait).enter()
        self.to = self.b.jid
        self.settle(self.a, self.b)
        self.write(2)
        self.receive_all()
        self.settle(self.a, self.b)
        self.before = self.a.sent

    def write(self, n):
        for _ in range(n):
            self.a.write(self.to)

    @property
    def numbers(self):
        return self.b.got.setdefault(("message", self.a.jid, self.to), [])

    def receive_all(self):
        self.receive(self.b, "message", self.a.jid, self.to, self.a.next[self.to])

    def a_back(self):
        """h: how many of the window the server counts."""
        assert self.a.back()
        self.h = self.a.acked - self.before

    def b_back(self):
        assert self.b.back()

    def b_anew(self):
        """A session that knows nothing of the other; what was acknowledged is not for it."""
        self.b.drop()
        if not self.b_acked:
            del self.numbers[2:]
        self.b.enter()

    def finish(self):
        """All is there once; the next message is; a further resumption brings nothing, and both counts are right."""
        a, b = self.a, self.b
        self.settle(a)
        self.receive_all()
        self.settle(a, b)
        self.write(1)
        self.receive_all()
        self.settle(a, b)
        for c in (a, b):
            c.drop()
            had, sent = c.h, c.sent
            assert c.back() and c.acked == sent
            self.settle(c)
            assert c.h == had + 2, f"{c.h - had - 2} stanzas came that nobody had sent"
        assert not missing(self.numbers, a.next[self.to]), self.numbers
        assert not a.errors and not b.errors
        self.leave_nothing()


# point, which time, messages in the window, whether B acknowledges there, whether A hears that it is done.
WINDOWS = [
    ("die_received", 1, 2, False, False), ("die_received", 2, 3, False, False), ("die_cell", 1, 2, False, False),
    ("die_cell", 2, 3, False, False), ("die_uncopied", 1, 3, False, False), ("die_copied", 1, 3, False, False),
    ("die_acked", 1, 1, True, False), ("die_uncounted", 1, 3, False, False), ("die_counted", 1, 3, False, True),
    ("die_let_go", 1, 3, False, True)]
EACH_WINDOW = pytest.mark.parametrize("point,nth,n,acks,counted", WINDOWS, ids=[f"{w[0]}-{w[1]}" for w in WINDOWS])


def into(talk, point, nth, n, acks):
    talk.b_acked = acks
    talk.points.arm(point, nth)
    talk.write(n)
    talk.die([talk.b] if acks else [])
    talk.start()


def a_then_b(talk):
    talk.a_back()
    talk.b_back()


def b_then_a(talk):
    talk.b_back()
    talk.a_back()


def a_through_then_b(talk):
    """All that A had to do again is done when B comes."""
    talk.a_back()
    talk.settle(talk.a)
    talk.b_back()


def b_through_then_a(talk):
    talk.b_back()
    talk.settle(talk.b)
    talk.a_back()


def b_anew_then_a(talk):
    talk.b_anew()
    talk.a_back()


def a_then_b_anew(talk):
    talk.a_back()
    talk.settle(talk.a)
    talk.b_anew()


def twice(talk):
    """Nobody comes back before the next end, which comes without a word."""
    talk.server.kill()
    talk.start()
    talk.server.kill()
    talk.start()
    talk.b_back()
    talk.a_back()


WAYS = [a_then_b, b_then_a, a_through_then_b, b_through_then_a, b_anew_then_a, a_then_b_anew, twice]


@pytest.mark.parametrize("point,there", [("die_received", False), ("die_cell", False), ("die_copied", True), ("die_uncounted", True)])
def test_client_that_forgets_what_it_sent(new_server, point, there):
    """slixmpp 1.8 sends nothing again after a lost connection and goes on counting from what the server says: the next message has the
    number of one that was done, and is another."""
    talk = Talk(new_server, same_shard=True)
    into(talk, point, 1, 1, False)
    talk.a.unacked.clear()
    talk.a.sent -= 1
    talk.a_back()
    talk.write(1)
    talk.settle(talk.a)
    talk.b_back()
    talk.settle(talk.b)
    assert talk.numbers == ([1, 2, 3, 4] if there else [1, 2, 4])
    talk.leave_nothing()


@pytest.mark.parametrize("way", WAYS, ids=[w.__name__ for w in WAYS])
@EACH_WINDOW
def test_message_to_a_session(new_server, point, nth, n, acks, counted, way):
    """Rows 1 to 6."""
    talk = Talk(new_server, same_shard=WAYS.index(way) % 2 == 0)
    into(talk, point, nth, n, acks)
    way(talk)
    assert talk.h >= nth if counted else talk.h < nth, talk.h
    talk.finish()


@pytest.mark.parametrize("way", [b_then_a, a_through_then_b, b_anew_then_a, a_then_b_anew])
@pytest.mark.parametrize("point", ["die_cell", "die_uncopied", "die_copied", "die_counted"])
def test_message_to_a_session_without_a_stream(new_server, point, way):
    """The same while B's connection is gone and nobody has noticed that for long: it waits as its number."""
    talk = Talk(new_server, same_shard=WAYS.index(way) % 2 == 1)
    talk.b.drop()
    into(talk, point, 1, 3, False)
    way(talk)
    talk.finish()


@pytest.mark.parametrize("way", [a_then_b, b_through_then_a, twice])
@pytest.mark.parametrize("point", ["die_uncopied", "die_copied", "die_uncounted"])
def test_message_that_was_on_its_way(new_server, point, way):
    """Row 3 with a client that has not read what its socket had: it says less, and gets it again under the same number."""
    talk = Talk(new_server, same_shard=WAYS.index(way) % 2 == 0)
    h, got, drain = talk.b.h, list(talk.numbers), talk.b.drain

    def forget():
        drain()
        talk.b.h = h
        talk.numbers[:] = got
    talk.b.drain = forget
    into(talk, point, 1, 3, False)
    talk.b.drain = drain
    way(talk)
    talk.finish()


@pytest.mark.parametrize("way", [a_then_b, b_through_then_a])
def test_count_waits_for_the_copy(new_server, way):
    """What cannot be written of B's queue does not count on A's stream: B has no connection, and it is nowhere else."""
    talk = Talk(new_server, same_shard=False)
    talk.server.allow_errors = True  # the log says what cannot be written
    talk.b.drop()
    talk.points.arm("copies_late", ALWAYS)
    into(talk, "die_uncopied", 2, 3, False)
    way(talk)
    assert talk.h == 0
    talk.finish()


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("point", ["die_over", "die_forgotten", None])
def test_receiver_has_left(new_server, point, first):
    """Row 5: B acknowledged and ended its session in order before A's count was in the store."""
    talk = Talk(new_server, same_shard=False)
    talk.points.arm("sessions_late", ALWAYS)
    talk.write(1)
    talk.receive_all()
    if point:
        talk.points.arm(point)
    talk.b.leave()
    if point:
        talk.die()
    else:
        until(lambda: talk.rows()["cj_sm_session"] == 1, "B's session stays")
        talk.server.kill()
        talk.a.drain()
        talk.points.clear()
    talk.start()
    talk.b_acked = True
    (a_then_b_anew if first == "a" else b_anew_then_a)(talk)
    assert talk.h == 0
    talk.finish()


def test_receiver_times_out(new_server):
    """It is given back only once, and A's return finds it there."""
    for point in ("die_cell", "die_uncopied", "die_copied"):
        talk = Talk(new_server, same_shard=False, b_wait=1)
        talk.b.drop()
        into(talk, point, 1, 3, False)
        talk.a_back()
        talk.settle(talk.a)
        until(lambda: talk.rows().get("spool") == 3 and talk.rows()["cj_sm_session"] == 1, "they do not get into the spool")
        talk.b_acked = False
        talk.b_anew()
        talk.finish()


@pytest.mark.parametrize("point", ["die_cell", "die_uncopied", "die_copied", "die_uncounted", "die_counted"])
def test_error_comes_back(new_server, point):
    """An error holds the count of the message that it answers, and comes once."""
    w = World(new_server)
    a = w.client(w.account(0)).enter()
    w.settle(a)
    w.points.arm(point, 2 if point == "die_cell" else 1)
    for _ in range(3):
        a.write("nobody@localhost")
    w.die()
    w.start()
    assert a.back()
    w.settle(a)
    assert sorted(e.get("id") for e in a.errors) == ["1", "2", "3"]
    a.drop()
    h = a.h
    assert a.back()
    w.settle(a)
    assert a.h == h + 2 and len(a.errors) == 3
    w.leave_nothing()


# --- row 7: the spool ---

class Away(Talk):
    """B went in order; what A writes is for whoever comes."""

    def __init__(self, new_server):
        super().__init__(new_server, same_shard=False)
        assert self.b.leave()
        self.to = f"{self.b.user}@localhost"
        until(lambda: self.rows()["cj_sm_session"] == 1, "B's session stays")


def kept_a_then_b(talk):
    talk.a_back()
    talk.settle(talk.a)
    talk.b.enter()


def kept_b_then_a(talk):
    talk.b.enter()
    talk.settle(talk.b)
    talk.a_back()


def kept_b_came_and_went(talk):
    """It is delivered and removed, B is gone, and so is the process that knew: row 7, "also when it was delivered and removed"."""
    talk.b.enter()
    talk.settle(talk.b)
    assert talk.b.leave()
    until(lambda: "spool" not in talk.rows() and talk.rows()["cj_sm_session"] == 1, "it stays in the spool")
    talk.server.kill()
    talk.start()
    talk.a_back()
    talk.settle(talk.a)
    talk.b.enter()


def kept_and_taken_by_another(talk):
    """One that does not acknowledge and never comes back; whoever comes next has what it had."""
    talk.b.enter()
    talk.settle(talk.b)
    talk.b.drop()
    talk.server.kill()
    talk.start()
    talk.a_back()
    talk.settle(talk.a)
    assert talk.b.back()


KEPT = [kept_a_then_b, kept_b_then_a, kept_b_came_and_went, kept_and_taken_by_another]


@pytest.mark.parametrize("way", KEPT, ids=[w.__name__ for w in KEPT])
@pytest.mark.parametrize("point,nth,counted", [("die_uncommitted", 1, False), ("die_committed", 1, False), ("die_kept", 2, False),
                                               ("die_uncounted", 1, False), ("die_counted", 1, True)])
def test_message_to_somebody_who_is_away(new_server, point, nth, counted, way):
    """XEP-0160: kept once, delivered once."""
    talk = Away(new_server)
    into(talk, point, nth, 2, False)
    way(talk)
    assert (talk.h > 0) == counted, talk.h
    talk.finish()


def test_client_that_forgets_what_was_kept(new_server):
    """As test_client_that_forgets_what_it_sent, for somebody who is away: both messages wait."""
    talk = Away(new_server)
    into(talk, "die_uncounted", 1, 1, False)
    talk.a.unacked.clear()
    talk.a.sent -= 1
    talk.a_back()
    talk.write(1)
    talk.settle(talk.a)
    assert talk.ask("SELECT count(*) FROM spool") == 2
    talk.b.enter()
    talk.receive(talk.b, "message", talk.a.jid, talk.to, 2)
    talk.leave_nothing()


# --- row 8: some of several copies ---

class Family(World):
    """A with a second session for copies; B with two of one priority and one of a lower that has copies (XEP-0280)."""

    def __init__(self, new_server):
        super().__init__(new_server)
        a, b = self.account(0), self.account(1)
        self.a, self.a_copies = self.client(a), self.client(a, "copies", carbons=True, priority=-1)
        self.b = self.client(b, priority=5), self.client(b, "two", priority=5)
        self.b_copies = self.client(b, "copies", carbons=True, priority=1)
        for c in self.clients:
            c.enter()
        self.settle(*self.clients)
        self.to = f"{b}@localhost"
        self.a.write(self.to)
        self.check()

    def check(self):
        self.settle(self.a)
        n = self.a.next[self.to]
        for b in self.b:
            self.receive(b, "message", self.a.jid, self.to, n)
        self.receive(self.b_copies, "received", self.a.jid, self.to, n)
        self.receive(self.a_copies, "sent", self.a.jid, self.to, n)
        self.settle(*self.clients)
        for c in self.clients:
            for numbers in c.got.values():
                assert numbers == list(range(1, n + 1)), (c.jid, c.got)


ORDERS = {"a_first": [0, 1, 2, 3, 4], "a_between": [2, 0, 4, 1, 3]}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("point,nth", [("die_cell", n) for n in (1, 2, 3, 4)] + [("die_uncopied", n) for n in (1, 3)] +
                         [("die_copied", n) for n in (1, 2, 3)] + [("die_uncounted", 1), ("die_counted", 1)])
def test_several_copies(new_server, point, nth, order):
    """Those who have it do not get it, the others do."""
    w = Family(new_server)
    w.points.arm(point, nth)
    w.a.write(w.to)
    w.die()
    w.start()
    for i in ORDERS[order]:
        assert w.clients[i].back()
        if order == "a_between":
            w.settle(w.clients[i])
    w.check()
    w.a.write(w.to)
    w.check()
    w.leave_nothing()


# --- row 9: waiting messages ---

class Waiting(Away):
    """B comes to what waits; its presence is what starts the delivery."""

    def __init__(self, new_server, n):
        super().__init__(new_server)
        self.write(n)
        self.settle(self.a)
        self.b.enter(show=False)
        self.settle(self.b)

    def come(self, answer):
        self.b.show()
        self.die([self.b] if answer else [])
        self.start()


FLOOD = [("die_cell", 1), ("die_cell", 3), ("die_cell", 5), ("die_uncommitted", 1), ("die_committed", 1), ("die_uncommitted", 2),
         ("die_committed", 2)]
COPY = [("die_uncopied", 1), ("die_copied", 1)]  # what is acknowledged at once is never copied


@pytest.mark.parametrize("point,nth,answer,anew", [(*p, False, anew) for p in FLOOD + COPY for anew in (False, True)] +
                         [(*p, True, False) for p in FLOOD])
def test_waiting_messages(new_server, point, nth, answer, anew):
    """B's count decides for each; the rest comes from the spool. Who does not resume gets all again."""
    talk = Waiting(new_server, 5)
    talk.points.arm(point, nth)
    talk.come(answer)
    if anew:
        talk.numbers.clear()
        talk.b.enter()
    else:
        assert talk.b.back()
    talk.a_back()
    talk.finish()


# --- row 10: the queue is given back ---

class Ending(Talk):
    """B has messages that it never saw and does not come back: somebody else does, as the option says."""

    def __init__(self, new_server, resend, n=3):
        super().__init__(new_server, same_shard=False, resend_on_timeout=resend)
        self.b.drop()
        self.write(n)
        self.settle(self.a)

    def kick(self):
        self.server.api("kick_session", user=self.b.user, host="localhost", resource=self.b.resource, reason="it is over")

    def end(self, point, nth):
        self.points.arm(point, nth)
        with contextlib.suppress(OSError, http.client.HTTPException):  # the answer may not come any more
            self.kick()
        self.die()

    def until_given_back(self, point):
        if point == "die_ended":  # nobody was told that it was done
            self.kick()
        until(lambda: not self.ask("SELECT count(*) FROM cj_sm_session WHERE id = ?", self.b.id), "the session that ended stays")

    def die_again(self, point):
        """While the next process starts or does that again; None: not at all."""
        if point:
            self.points.arm(point)
            self.points.start_to_death()
        self.start()


ENDS = [("die_ended", 1), ("die_end_saved", 1), ("die_given_back", 1), ("die_given_back", 2), ("die_given_back", 3),
        ("die_end_safe", 1), ("die_over", 1), ("die_forgotten", 1)]


@pytest.mark.parametrize("point,nth", ENDS)
def test_queue_is_given_back(new_server, point, nth):
    """To the spool, when nobody is there."""
    talk = Ending(new_server, "if_offline")
    talk.end(point, nth)
    talk.die_again(None)
    assert talk.a.back()
    talk.b.enter()
    talk.finish()


@pytest.mark.parametrize("second", ["die_ledger_read", "die_returned", "die_restored", "die_end_saved", "die_given_back", "die_end_safe",
                                    "die_over", "die_forgotten", "die_ledger_old", "die_ledger_new"])
@pytest.mark.parametrize("point,nth", [("die_end_saved", 1), ("die_given_back", 2)])
def test_queue_is_given_back_again(new_server, point, nth, second):
    """The next process dies over it too."""
    talk = Ending(new_server, "if_offline")
    talk.end(point, nth)
    talk.die_again(second)
    assert talk.a.back()
    talk.b.enter()
    talk.finish()


@pytest.mark.parametrize("point,nth", ENDS)
def test_queue_is_given_back_before_the_count(new_server, point, nth):
    """Rows 5 and 10 in one: what B's session had not acknowledged is in the spool, its rows may be gone, and A sends all of it again."""
    talk = Talk(new_server, same_shard=False)
    talk.b.drop()
    talk.points.arm("sessions_late", ALWAYS)
    talk.write(3)
    talk.a.send(f"<iq type='get' id='turn' to='{talk.b.jid}-'><ping xmlns='urn:xmpp:ping'/></iq>")  # answered in turn with the messages
    talk.a.stream.wait(lambda: any(e.get("id") == "turn" for e in talk.a.stream.items), "its turn")
    talk.points.arm(point, nth)
    with contextlib.suppress(OSError, http.client.HTTPException):
        talk.server.api("kick_session", user=talk.b.user, host="localhost", resource=talk.b.resource, reason="it is over")
    talk.die()
    talk.start()
    talk.a_back()
    assert talk.h == 0
    talk.settle(talk.a)
    talk.b.enter()
    talk.finish()


def test_nothing_is_given_back_before_the_new_ledger_is_in_force(new_server):
    """What comes of it is noted there: a process that died in between gave the queue back a second time."""
    talk = Ending(new_server, "if_offline")
    talk.end("die_end_saved", 1)
    talk.points.arm("die_ended")
    talk.points.start_to_death()
    assert not (talk.server.spool / "streams.ledger.new").exists()
    talk.start()
    assert talk.a.back()
    talk.b.enter()
    talk.finish()


@pytest.mark.parametrize("point,nth", [e for e in ENDS if e[0] != "die_forgotten"])
def test_queue_goes_to_another_resource(new_server, point, nth):
    """resend_on_timeout: true. The other has some of it, and is away itself when the next process gives it back."""
    talk = Ending(new_server, True)
    talk.b2 = talk.client(talk.b.user, "two").enter()
    talk.settle(talk.b2)
    talk.end(point, nth)
    talk.start()
    assert talk.a.back() and talk.b2.back()
    talk.until_given_back(point)
    talk.settle(talk.a, talk.b2)
    assert talk.b2.got["message", talk.a.jid, talk.b.jid] == [3, 4, 5]
    talk.leave_nothing()


@pytest.mark.parametrize("point,nth", [e for e in ENDS if e[0] != "die_forgotten"])
def test_senders_are_told(new_server, point, nth):
    """resend_on_timeout: false. One error for each."""
    talk = Ending(new_server, False)
    talk.end(point, nth)
    talk.start()
    assert talk.a.back()
    talk.until_given_back(point)
    talk.settle(talk.a)
    assert sorted(e.get("id") for e in talk.a.errors) == ["3", "4", "5"]
    talk.leave_nothing()


# --- a second death over the recovery, and in the middle of going down ---

@pytest.mark.parametrize("second", ["die_ledger_read", "die_returned", "die_restored", "die_ledger_old", "die_ledger_new"])
@pytest.mark.parametrize("point,nth", [("die_cell", 2), ("die_copied", 1)])
def test_start_dies(new_server, point, nth, second):
    """At each stage of reading back and of making the new ledger; and once more."""
    talk = Talk(new_server, same_shard=False)
    talk.points.arm(point, nth)
    talk.write(3)
    talk.die()
    for n in (1, 1 if second.startswith("die_ledger") else 2):
        talk.points.arm(second, n)
        talk.points.start_to_death()
    talk.start()
    talk.b_back()
    talk.a_back()
    talk.finish()


@pytest.mark.parametrize("way", [b_then_a])
@pytest.mark.parametrize("second,n", [("die_again", 1), ("die_again", 2), ("die_put_back", 1), ("die_put_back", 3), ("die_uncopied", 1),
                                      ("die_copied", 1), ("die_uncounted", 1), ("die_counted", 1), ("die_let_go", 1)])
@pytest.mark.parametrize("gone", [False, True])
def test_dies_while_it_is_sent_again(new_server, second, n, gone, way):
    """A sends its messages again, they are recognised, and that process dies too."""
    talk = Talk(new_server, same_shard=False)
    if gone:
        talk.b.drop()
    talk.points.arm("die_uncopied")
    talk.write(3)
    talk.die()
    talk.start()
    talk.points.arm(second, n)
    assert talk.a.back()
    talk.die()
    talk.start()
    way(talk)
    talk.finish()


@pytest.mark.parametrize("point,nth", [("die_taken", 1), ("die_taken", 3), ("die_returned", 2), ("die_restored", 2), ("die_ledger_old", 1),
                                       ("die_ledger_new", 1)])
@pytest.mark.parametrize("first", ["die_uncopied", "die_copied"])
def test_start_dies_over_waiting_messages(new_server, first, point, nth):
    """Row 9 again: what the session has leaves the spool, and the process that does that dies."""
    talk = Waiting(new_server, 5)
    talk.points.arm(first)
    talk.b.show()
    talk.die()
    if point != "die_taken" or first == "die_copied":
        talk.points.arm(point, nth)
        talk.points.start_to_death()
    talk.start()
    talk.b_back()
    talk.a_back()
    talk.finish()


@pytest.mark.parametrize("point,nth", [("die_uncopied", 1), ("die_copied", 1), ("die_uncommitted", 1), ("die_committed", 1),
                                       ("die_uncommitted", 2), ("die_committed", 2), (None, 0)])
@pytest.mark.parametrize("way", [a_then_b])
def test_going_down(new_server, point, nth, way):
    """SIGTERM with messages under way; it dies over saving them."""
    talk = Talk(new_server, same_shard=False)
    talk.points.arm("sessions_late", ALWAYS)
    talk.write(3)
    talk.receive_all()
    if point:
        talk.points.arm(point, nth)
    talk.server.signal(signal.SIGTERM)
    if point:
        talk.die()
    else:
        talk.a.drain()
        talk.b.drain()
        talk.server.expect_clean_exit()
    talk.points.clear()
    talk.start()
    way(talk)
    talk.finish()
