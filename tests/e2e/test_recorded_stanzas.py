"""Stanzas recorded from ejabberd 25.03 and what came back, replayed in order with the same sessions and compared to the letter.
DIFFERENT says what is expected instead, and why; data/waiting.txt names the cases of modules that are not there yet."""
import contextlib
import json
import pathlib
from xml.sax.saxutils import quoteattr

import pytest

import stock
from recorded import all_unlike, expanded, not_repeated, parse, to_bytes, waiting
from xmppstream import DEADLINE, ET, NS, Timeout, until

configure = stock.configure

DATA = pathlib.Path(__file__).parent / "data"
CASES = json.loads((DATA / "stanzas.json").read_text())["cases"]
for CASE in CASES:
    CASE["title"] = f"{CASE['group']}: {CASE['name']}"
WAITING = waiting(DATA, "stanza")
SESSIONS = (("u1", "r1"), ("u2", "r2"), ("u3", "r3"), ("admin", "adm"))

# title -> (what the sender receives, {others: what they receive}); None: as recorded.
LANG, STANZAS = "xml:lang='en'", f"xmlns='{NS['stanzas']}'"
BODY = "<message to='{}' from='u1@localhost/r1' type='chat' id='m'><body>x</body></message>"
BLOCKED = (f"<message to='u1@localhost/r1' from='{{}}' type='error' id='m'><error type='modify'><not-acceptable {STANZAS}/>"
           f"<text {LANG} {STANZAS}>Your active privacy list has denied the routing of this stanza.</text>"
           "<blocked xmlns='urn:xmpp:blocking:errors'/></error><body>x</body></message>")


def refused(user, type_, condition, text=None, more="", from_="localhost"):
    said = f"<text {LANG} {STANZAS}>{text}</text>" if text else ""
    return [f"<iq to='{user}' from='{from_}' type='error' id='i'><error type='{type_}'><{condition} {STANZAS}/>{said}{more}</error></iq>"]


def of_commands(condition):
    return f"<{condition} xmlns='http://jabber.org/protocol/commands'/>"


DIFFERENT = {
    # What the program is; the API keeps the reference's words.
    "iq: version to server": (["<iq to='u1@localhost/r1' from='localhost' type='result' id='i'><query xmlns='jabber:iq:version'>"
                               "<name>cjabberd</name><version>{WORDS}</version></query></iq>"], None),
    # The address arrives prepared, and as the sender chose it (no resource put in its place).
    "addressing: message to 'U1@LOCALHOST'": ([BODY.format("u1@localhost")], None),
    "addressing: message to '\uff55\uff11@localhost'": ([BODY.format("u1@localhost")], None),
    "addressing: message to nonexistent resource of online user": ([], {"u2@localhost/r2": [BODY.format("u2@localhost/none")]}),
    # An error would tell who has an account: for one that has, nothing comes back (RFC 6121 §8.5.1 leaves the choice).
    "addressing: message type headline to unknown user": ([], None),
    # XEP-0153 §4.1: a photo element, empty, says that there is none; without it the client is not ready to say.
    "presence: priority 200": (["<presence to='u1@localhost/r1' from='u1@localhost/r1'><x xmlns='vcard-temp:x:update'><photo/></x>"
                                "<priority>200</priority></presence>"], None),
    # XEP-0191 §3.4: and that it is the sender's own block.
    "privacy: message to denied user": ([BLOCKED.format("u3@localhost")], None),
    "blocking: message to blocked": ([BLOCKED.format("u2@localhost")], None),
    # Nobody is shown the form of a command that is not for him.
    "adhoc: forbidden api command": (refused("u1@localhost/r1", "auth", "forbidden", "Access denied by service policy"), None),
    # XEP-0050 §4.4: what is wrong with it.
    "adhoc: bad action": (refused(
        "u1@localhost/r1", "modify", "bad-request", "Bad value of attribute 'action' in tag &lt;command/&gt; qualified by namespace "
        "'http://jabber.org/protocol/commands'", of_commands("malformed-action")), None),
    "adhoc: complete with missing fields": (refused(
        "admin@localhost/adm", "modify", "bad-request", "The field 'accountjid' is required", of_commands("bad-payload")), None),
    "adhoc: unknown session": (refused(
        "admin@localhost/adm", "modify", "bad-request", "There is no such session", of_commands("bad-sessionid")), None),
    "adhoc: add existing user": (refused("admin@localhost/adm", "cancel", "conflict", "{WORDS}"), None),
    # The reference says it had done it, and has not.
    "other services: carbons to other user": (refused("u1@localhost/r1", "auth", "forbidden", from_="u2@localhost"), None),
}


class Play:
    """The dialogue as far as it has been replayed."""

    def __init__(self, server):
        self.server = server
        stock.register(server)
        self.sessions = {f"{u}@localhost/{r}": server.stream().login(u, stock.password(u), r, presence=True) for u, r in SESSIONS}
        self.sessions["u1@localhost/r1"].iq("<query xmlns='jabber:iq:roster'/>")  # gets pushes (RFC 6121 §2.1.6)
        self.done = []

    def fence(self, case):
        """Behind the stanza on its own way: what it caused is there when the answers are."""
        sender = self.sessions[case["from"]]
        attr = case["send"].partition("to=")[2]
        to = attr[1:].partition(attr[0])[0].partition("/")[0] if attr else ""
        ways = [None, "localhost"] + ([to] if to.endswith("@localhost") and " " not in to and "<" not in to else [])
        for i, way in enumerate(ways):
            sender.send(f"<iq type='get' id='way{i}'{f' to={quoteattr(way)}' if way else ''}><ping xmlns='{NS['ping']}'/></iq>")
        for i, _ in enumerate(ways):
            sender.expect_id(f"way{i}")
        for other in self.sessions.values():
            other.ping()

    def waiting_messages(self):
        return int(self.server.api("get_offline_count", user="off", host="localhost"))

    def prepare(self, case):
        """What the recording had done before."""
        if case["group"] == "limits":
            for _ in range(100 - self.waiting_messages()):
                self.sessions[case["from"]].message("off@localhost", "x")
            until(lambda: self.waiting_messages() == 100, "the offline storage is full")

    def run(self, case):
        self.prepare(case)
        for s in self.sessions.values():
            s.items.clear()
        sender = self.sessions[case["from"]]
        want, others = expected(case)
        sender.send_bytes(to_bytes(expanded(case["send"])))
        self.fence(case)
        for s, n in [(sender, len(want))] + [(self.sessions[who], len(o)) for who, o in others.items()]:
            with contextlib.suppress(Timeout):
                s.wait(lambda s=s, n=n: len(s.items) >= n, "answers", 0.01 if case["title"] in WAITING else DEADLINE)
        return {who: list(s.items) for who, s in self.sessions.items()}

    def up_to(self, case):
        while len(self.done) <= CASES.index(case):
            self.done.append(self.run(CASES[len(self.done)]))
        return self.done[CASES.index(case)]


def wrong(case, got):
    """(whom, why, what is wanted); None: all is as it should be."""
    want, others = expected(case)
    for who, els in ((case["from"], want), *others.items()):
        why = all_unlike(got[who], els)
        if why:
            return who, why, els
    sent = next(iter(elements([case["send"]])), None) if "\\x" not in case["send"] else None
    for el in got[case["from"]]:
        if el.get("type") == "error" and sent is not None and el.get("id") == sent.get("id"):
            why = not_repeated(el, sent)
            if why:
                return case["from"], why, want
    return None


def elements(texts):
    return [e for text in texts for e in parse(expanded(text))[0]]


def expected(case):
    receive, others = DIFFERENT.get(case["title"], (None, None))
    return (elements(case["receive"] if receive is None else receive),
            {who: elements(texts) for who, texts in (case["others"] if others is None else others).items()})


@pytest.fixture(scope="module")
def play(server):
    p = Play(server)
    yield p
    for s in p.sessions.values():
        s.drop()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["title"][:80])
def test_stanza(play, case):
    got = play.up_to(case)
    found = wrong(case, got)
    if case["title"] in WAITING:
        assert found, f"{case['title']!r} passes: take it out of data/waiting.txt"
    elif found:
        who, why, want = found
        said = [f"{what} {ET.tostring(e).decode()[:1500]}" for what, els in (("got ", got[who]), ("want", want)) for e in els]
        pytest.fail("\n".join([f"{who}: {why}", f"sent {case['send'][:500]}", *said]), pytrace=False)


def test_lists_are_true():
    titles = {c["title"] for c in CASES}
    assert len(titles) == len(CASES) and WAITING <= titles and DIFFERENT.keys() <= titles and not WAITING & DIFFERENT.keys()
