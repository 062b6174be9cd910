"""The table of RFC 6121 §8.5, whole: every type of stanza to every kind of address and every state of the receiver, with a module
that keeps messages (XEP-0160) and without. What the RFC leaves open is as recorded from ejabberd (docs/compatibility.md)."""
import itertools

import pytest

from xmppstream import NS, error_of, local

WITH, WITHOUT = "localhost", "example.test"
MESSAGES = ("normal", "chat", "groupchat", "headline", "error")


def configure(config):
    modules = config["modules"]
    config["host_config"] = {WITH: {"modules": {**modules, "mod_offline": {}}}, WITHOUT: {"modules": dict(modules)}}


# Sessions of the receiver: priority, or None for no presence. NOBODY: there is no such account.
NOBODY = None
STATES = {
    "unknown": NOBODY, "offline": {}, "no presence": {"a": None}, "negative": {"a": -1}, "one": {"a": 0},
    "best of two": {"a": 5, "b": 1}, "two alike": {"a": 3, "b": 3}, "with a negative one": {"a": 0, "b": -5},
}
TOP = {"one": {"a"}, "best of two": {"a"}, "two alike": {"a", "b"}, "with a negative one": {"a"}}
ALL = {**TOP, "best of two": {"a", "b"}}
KEPT, ERROR = "kept", ("cancel", "service-unavailable")


def of_message(state, address, type_, offline):
    """Who gets it (a set), KEPT, or ERROR for the sender."""
    if address == "/a" and STATES[state]:
        return {"a"}                                          # §8.5.3.1: a connected resource that matches, whatever it is
    if type_ == "error":
        return set()                                          # §8.5.2.1.1, §8.5.3.2.1: silently ignored
    if type_ == "groupchat":
        return ERROR                                          # never to a bare JID, never to another resource
    if type_ == "headline":                                   # bare: all with non-negative priority; otherwise ignored
        return ALL.get(state, set()) if address == "" else set()
    if state in TOP:
        return TOP[state]                                     # §8.5.2.1.1, §8.5.3.2.1: as if it were sent to the bare JID
    return KEPT if offline and state != "unknown" else ERROR  # §8.5.2.2.1


class Receiver:
    def __init__(self, server, streams, host, state):
        sessions = STATES[state]
        self.server, self.host = server, host
        self.user = "nobody-at-all" if sessions is NOBODY else server.register(host=host)
        self.bare, self.sessions = f"{self.user}@{host}", {}
        for name, priority in (sessions or {}).items():
            s = self.sessions[name] = streams(server.login(self.user, name, host=host))
            if priority is not None:
                s.presence(f"<priority>{priority}</priority>")

    def kept(self):
        return self.server.api("get_offline_count", user=self.user, host=self.host) if self.user != "nobody-at-all" else 0

    def settle(self, sender):
        """Behind what was sent: an answer from the account itself, in its turn, and whatever its sessions were sent."""
        sender.send(f"<message to='{self.bare}' type='groupchat' id='behind'/>")
        sender.expect_id("behind")
        for s in self.sessions.values():
            s.ping()

    def got(self, id_):
        return {n for n, s in self.sessions.items() if s._take(lambda e: e.get("id") == id_) is not None}


@pytest.fixture(scope="module")
def receivers(server):
    """One of each kind on each host, for all stanzas."""
    opened, made = [], {}

    def keep(s):
        opened.append(s)
        return s

    for host, state in itertools.product((WITH, WITHOUT), STATES):
        made[host, state] = Receiver(server, keep, host, state)
    yield made
    for s in opened:
        s.drop()


@pytest.fixture(scope="module")
def sender(server):
    s = server.login(resource="out", presence=True)
    yield s
    s.drop()


@pytest.mark.parametrize("host,state,address,type_", itertools.product((WITH, WITHOUT), STATES, ("", "/a", "/none"), MESSAGES))
def test_message(receivers, sender, host, state, address, type_):
    """§8.5.1, §8.5.2.1.1, §8.5.2.2.1, §8.5.3."""
    r, want = receivers[host, state], of_message(state, address, type_, host == WITH)
    before = r.kept()
    inner = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" if type_ == "error" else ""
    sender.send(f"<message to='{r.bare}{address}' type='{type_}' id='m'><body>x</body>{inner}</message>")
    r.settle(sender)
    back = sender._take(lambda e: e.get("id") == "m")
    got, kept = r.got("m"), r.kept() - before
    assert got == (want if isinstance(want, set) else set())
    assert kept == (want == KEPT)
    assert (back is not None and error_of(back)) == (want if want == ERROR else False)


def of_iq(state, address, type_):
    if address == "":
        return set() if type_ in ("result", "error") else ERROR  # §8.5.2.1.3: the server answers for the account, always
    if address == "/a" and STATES[state]:
        return {"a"}
    return set() if type_ in ("result", "error") else ERROR      # §8.5.3.2.3


@pytest.mark.parametrize("state,address,type_", itertools.product(STATES, ("", "/a", "/none"), ("get", "set", "result", "error")))
def test_iq(receivers, sender, state, address, type_):
    """§8.5.2.1.3, §8.5.3: never to a resource that it was not sent to."""
    r, want = receivers[WITH, state], of_iq(state, address, type_)
    inner = {"error": f"<error type='cancel'><gone xmlns='{NS['stanzas']}'/></error>", "result": ""}
    sender.send(f"<iq to='{r.bare}{address}' type='{type_}' id='i'>{inner.get(type_, '<q xmlns={0!r}/>'.format('urn:unknown'))}</iq>")
    r.settle(sender)
    back = sender._take(lambda e: e.get("id") == "i")
    assert r.got("i") == (want if isinstance(want, set) else set())
    assert (back is not None and error_of(back)) == (want if want == ERROR else False)


@pytest.mark.parametrize("state,address,type_", itertools.product(STATES, ("", "/a", "/none"), (None, "unavailable", "error")))
def test_presence(receivers, sender, state, address, type_):
    """§8.5.2.1.2, §8.5.3: the bare JID stands for all available resources, negative priorities too; nothing comes back."""
    r = receivers[WITH, state]
    sessions = STATES[state] or {}
    if address == "/a":
        want = {"a"} & sessions.keys()
    else:
        want = {n for n, p in sessions.items() if p is not None} if address == "" else set()
    inner = f"<error type='cancel'><gone xmlns='{NS['stanzas']}'/></error>" if type_ == "error" else ""
    sender.send(f"<presence to='{r.bare}{address}'{f' type={type_!r}' if type_ else ''} id='p'>{inner}</presence>")
    r.settle(sender)
    assert r.got("p") == want
    assert not [e for e in sender.items if local(e) == "presence"]


@pytest.mark.parametrize("state", [s for s in STATES if s not in TOP])
@pytest.mark.parametrize("host", [WITH, WITHOUT])
def test_no_store(receivers, sender, host, state):
    """XEP-0334 §4.2: what must not be kept comes back where it cannot be delivered."""
    r = receivers[host, state]
    before = r.kept()
    sender.send(f"<message to='{r.bare}' type='chat' id='m'><body>x</body><no-store xmlns='urn:xmpp:hints'/></message>")
    r.settle(sender)
    assert error_of(sender.expect_id("m")) == ERROR and r.kept() == before and r.got("m") == set()
