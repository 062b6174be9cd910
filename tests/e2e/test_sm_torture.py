"""A server that is killed at any moment (SIGKILL), restarted or stopped, again and again, while people write to each other: every
message arrives once and in order (XEP-0198 §5, XEP-0160 for those who are away, XEP-0280 for copies). Nothing a client can see tells that
there was a crash. The seed is printed; CJABBERD_TORTURE=kills[:seed] makes it as long as one likes."""
import os
import random
import threading
import xml.etree.ElementTree as ET

from torture import Client, missing, pump
from xmppstream import Ended

KILLS, _, SEED = os.environ.get("CJABBERD_TORTURE", "24").partition(":")
PAIRS = 3


def configure(config):
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 300, "max_ack_queue": 20000, "resend_on_timeout": "if_offline"}
    for m in ("mod_offline", "mod_carboncopy"):
        config["modules"][m] = {}
    config["shaper_rules"]["max_user_offline_messages"] = "infinity"


class World:
    """Pairs of accounts with two sessions each, the second of them for copies, and for each pair one who comes and goes."""

    def __init__(self, server, rng):
        self.server, self.rng = server, rng
        self.writers, self.copies, self.guests, self.kills = [], [], [], {"kill": 0, "restart": 0, "stop": 0}
        self.pairs = []
        for _ in range(PAIRS):
            a, b, guest = (server.register() for _ in range(3))
            one, other = self.person(a), self.person(b)
            g = Client(server, rng, guest, "guest")
            self.guests.append(g)
            self.pairs.append((one, other, g))

    def person(self, user):
        first = Client(self.server, self.rng, user, "first", priority=5).enter()
        self.writers.append(first)
        self.copies.append(Client(self.server, self.rng, user, "copies", carbons=True, priority=1).enter())
        return first

    @property
    def all(self):
        return self.writers + self.copies + self.guests

    # --- one step of somebody ---

    def step(self):
        rng = self.rng
        one, other, guest = rng.choice(self.pairs)
        if rng.random() < 0.5:
            one, other = other, one
        if one.up:
            for _ in range(rng.randint(1, 6)):
                to = rng.choice((other.jid, other.jid, f"{other.user}@localhost", f"{guest.user}@localhost"))
                one.write(to, rng.choice((0, 0, 50, 3000)))
            if rng.random() < 0.5:
                one.ask()
        if rng.random() < 0.05:
            self.guest_step(guest)
        if rng.random() < 0.02:
            c = rng.choice(self.all)
            if c.up:
                c.drop()  # the network's fault, not the server's
        if rng.random() < 0.1:
            self.come_back(1)

    def guest_step(self, g):
        """Comes, or goes in order."""
        if g.up:
            if g.leave():
                g.id = None
        elif g.id is None:
            g.enter()

    def come_back(self, share):
        away = [c for c in self.all if c.id is not None and not c.up]
        self.rng.shuffle(away)
        for c in away:
            if self.rng.random() < share:
                c.drop()
                if not c.back():
                    assert c in self.guests, f"{c.jid} lost its session"
                    assert not c.unacked
                    c.id = None

    # --- the end of the server ---

    def traffic(self, alive):
        while alive():
            try:
                self.step()
                pump(self.all, 1 if self.rng.random() < 0.5 else 0)
            except (Ended, OSError):
                if alive():
                    raise

    def after_the_end(self):
        for c in self.all:
            if c.stream is not None:
                c.drain()
            elif getattr(c, "raw", None) is not None:
                c.raw.drop()
            if c.id is not None and not c.shown and c.unacked and c.unacked[0].startswith("<iq"):
                c.id = None  # it had not even begun: no session that was ever kept

    def kill(self, s):
        dead = threading.Event()

        def strike():
            dead.set()
            self.server.process.kill()
        t = threading.Timer(s, strike)
        t.start()
        self.traffic(lambda: not dead.is_set())
        t.join()
        self.server.wait_exit()
        self.server.check_health()
        self.after_the_end()
        self.server.start()

    def orderly(self, how):
        if how == "restart":
            self.server.api("restart")
            self.server.expect_notice("READY=1")
            self.after_the_end()
        else:
            self.server.stop()
            self.after_the_end()
            self.server.start()

    def end(self):
        rng = self.rng
        how = rng.choices(("kill", "restart", "stop"), (10, 1, 1))[0]
        self.kills[how] += 1
        if how == "kill":
            self.kill(rng.random() * rng.choice((0.01, 0.05, 0.3)))
        else:
            self.traffic(iter([True] * rng.randint(1, 40) + [False]).__next__)
            self.orderly(how)
        if rng.random() < 0.75:
            self.come_back(rng.choice((0.5, 1)))  # or the next one comes before they have

    # --- what should have come ---

    def expected(self):
        """(client, way, from, to, how many)."""
        for one, other, guest in self.pairs:
            for x, y in ((one, other), (other, one)):
                bare = f"{y.user}@localhost"
                for to in (y.jid, bare):
                    n = x.next.get(to, 0)
                    yield y, "message", x.jid, to, n
                    yield self.copy_of(y), "received", x.jid, to, n
                    yield self.copy_of(x), "sent", x.jid, to, n
                to = f"{guest.user}@localhost"
                n = x.next.get(to, 0)
                yield guest, "message", x.jid, to, n
                yield self.copy_of(x), "sent", x.jid, to, n

    def copy_of(self, c):
        return next(x for x in self.copies if x.user == c.user)

    def faults(self):
        return [(c.jid, way, from_, to, n, wrong) for c, way, from_, to, n in self.expected()
                if (wrong := missing(c.got.get((way, from_, to), []), n))]

    def settle(self):
        self.come_back(1)
        for g in self.guests:
            if g.id is None:
                g.enter()
        for c in self.writers:
            c.settle()
        for _ in range(200):
            # Two round trips: the first may still start the delivery of what waits.
            for c in self.all:
                c.send("<iq type='get' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
                c.settle()
                c.read(answer=True)
            if not any(w[5]["lost"] for w in self.faults()):
                break


def torture(server, kills, seed):
    rng = random.Random(seed)
    print(f"CJABBERD_TORTURE={kills}:{seed}")
    w = World(server, rng)
    for k in range(kills):
        w.end()
    w.settle()
    faults = w.faults()
    total = sum(n for *_, n in w.expected())
    print(f"{w.kills}, {total} messages and copies, {len(faults)} faults")
    assert not faults, "\n".join(map(str, faults))
    assert not (errors := [ET.tostring(e) for c in w.all for e in c.errors]), errors
    for c in w.all:
        c.drop()
    return total


def test_every_message_once_and_in_order(new_server):
    server = new_server(configure).start()
    total = torture(server, int(KILLS), int(SEED) if SEED else random.randrange(1 << 32))
    assert total > 100
