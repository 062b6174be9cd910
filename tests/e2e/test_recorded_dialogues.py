"""Whole dialogues recorded from ejabberd 25.03, replayed to the letter: what is offered before and after login, over TLS and not,
stream management, SASL2, registration, stanzas that are too big, sessions that are ended. DIFFERENT says what is expected instead,
and why; data/waiting.txt names the dialogues of listeners that are not there yet: they are replayed too, and one that passes fails."""
import copy
import hashlib
import http.client
import json
import pathlib

import pytest

import stock
from recorded import all_unlike, expanded, header, header_of, parse, to_bytes, unlike, waiting
from server import free_port, own_ip
from xmppstream import DEADLINE, ET, NS, Ended, local, namespace, q

DATA = pathlib.Path(__file__).parent / "data"
CASES = json.loads((DATA / "dialogues.json").read_text())["cases"]
WAITING = waiting(DATA, "dialogue")
OFFERED = f"{{{NS['stream']}}}features"
MECHANISM = {f"{{{ns}}}mechanism" for ns in (NS["sasl"], "urn:xmpp:sasl:2")}

COMPONENT_PASSWORD = "component's"


def configure(config):
    stock.configure(config)
    config.update(auth_password_format="plain", registration_timeout="infinity")
    config["listen"][-1]["request_handlers"]["/bosh"] = "mod_bosh"
    for module, more in (("ejabberd_s2s_in", {}), ("ejabberd_service", {"hosts": {"comp.localhost": {"password": COMPONENT_PASSWORD}}})):
        config["listen"].append({"port": free_port(), "ip": own_ip(), "module": module, **more})


# --- features ---

def offers(el):
    """What features offer: names of elements, mechanisms."""
    found = set()
    for e in el.iter():
        if e.tag in MECHANISM:
            found.add(e.text)
        elif e.tag != OFFERED and e.get("type"):
            found.add(f"{local(e)} {e.get('type')}")
        elif e.tag != OFFERED:
            found.add(e.tag)
    return found


# Offered by the reference and not here: what needs passwords in the clear on the server.
LESS = {"DIGEST-MD5"}
# Offered here besides: XEP-0390, pre-approval (RFC 6121 §3.4), limits (XEP-0478).
LIMITS = {f"{{urn:xmpp:stream-limits:0}}{name}" for name in ("limits", "max-bytes", "idle-seconds")}
MORE = {"{urn:xmpp:caps}c", "{urn:xmpp:hashes:2}hash", "{urn:xmpp:features:pre-approval}sub"} | LIMITS
# On TLS also to clients that do not say who they are; XEP-0388 §2.1 does not ask for that.
SASL2 = {"{urn:xmpp:sasl:2}authentication", "{urn:xmpp:sasl:2}inline", "{urn:xmpp:bind:0}bind", "{urn:xmpp:bind:0}inline",
         "{urn:xmpp:bind:0}feature", "{urn:xmpp:sm:3}sm"}


def features_unlike(got, want):
    ours, theirs = offers(got), offers(want)
    if not theirs & SASL2 and f"{{{NS['cb']}}}sasl-channel-binding" in theirs:
        ours -= SASL2
    return None if theirs - LESS == ours - MORE else f"lacks {theirs - LESS - ours}, has {ours - MORE - theirs} besides"


def step_unlike(got, want):
    if len(got) != len(want):
        return f"{len(got)} elements {[local(e) for e in got]} instead of {[local(e) for e in want]}"
    for a, b in zip(got, want):
        why = features_unlike(a, b) if a.tag == b.tag == OFFERED else unlike(a, b)
        if why:
            return why
    return None


# --- where a dialogue takes place ---

def started(server, case):
    """A stream on the listener of the recording, brought as far as the case begins."""
    name = case["name"]
    first = next((s["do"] for s in case["steps"] if "do" in s and s["do"] != "TLS handshake"), "")
    if "direct TLS" in name:
        return server.stream(server.tls, tls="direct")
    if name.startswith(("s2s", "component")):
        return server.stream(address_of(server, "ejabberd_s2s_in" if name.startswith("s2s") else "ejabberd_service"))
    required = "starttls required" in name or "starttls_required" in name
    s = server.stream(server.required if required else server.c2s)
    if first.startswith("log in"):
        s.login("u1", stock.password("u1"), "r1")
    elif first:
        s.open_features()
        if "authenticate" in first:
            s.authenticate("u1", stock.password("u1"))
            s.open_features()
    return s


def address_of(server, module):
    return server.ip, next(l["port"] for l in server.config["listen"] if l["module"] == module)


def with_digest(s, case, text):
    """XEP-0114 §3: of the stream's id and the password."""
    if "{DIGEST}" not in text:
        return text
    password = COMPONENT_PASSWORD if "right password" in case["name"] else "another"
    return text.replace("{DIGEST}", hashlib.sha1((s.header.get("id") + password).encode()).hexdigest())


def default_namespace(name):
    return "jabber:server" if name.startswith("s2s") else "jabber:component:accept" if name.startswith("component") else NS["client"]


def play(s, case, step, last):
    """One step; what is wrong, or None."""
    if step.get("do") == "TLS handshake":
        s._new_parser()
        s.start_tls_now()
        return None
    if "do" in step:
        return None
    want, ended = parse(expanded(step["receive"]), default_namespace(case["name"])) if step["receive"] else ([], False)
    closed, want_header = case["closed_by_server"], header(step["receive"])
    s.items.clear()
    text = with_digest(s, case, expanded(step["send"]))
    if "<stream:stream" in text:
        s._new_parser()
        s.header = None
    try:
        s.send_bytes(to_bytes(text))
        if ended or last and closed:
            s.expect_eof()
        else:
            s.wait(lambda: len(s.items) >= len(want) and (s.header is not None or not want_header), f"answers to {text[:80]}")
    except Ended:
        if not (ended or last and closed):
            raise
    got_header = None if s.header is None else header_of(s.header)
    if want_header and got_header != want_header:
        return f"header {got_header} instead of {want_header}"
    return step_unlike(s.items, want)


def replay_http(server, case):
    """One request and its answer; what is offered in it as in a stream."""
    step = case["steps"][0]
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request("POST", "/bosh", step["send"], {"Content-Type": "text/xml; charset=utf-8"})
        answer = conn.getresponse()
        status, text = f"HTTP {answer.status}", answer.read().decode()
    finally:
        conn.close()
    want_status, _, want_text = step["receive"].partition("\n")
    if status != want_status or bool(text) != bool(want_text):
        return f"{status} {text!r} instead of {step['receive']!r}"
    if not want_text:
        return None
    got, want = ET.fromstring(text), ET.fromstring(want_text)
    offered = [body.find(OFFERED) for body in (got, want)]
    if None not in offered:
        got.remove(offered[0])
        want.remove(offered[1])
    return unlike(got, want) or (features_unlike(*offered) if None not in offered else None)


def replay(server, streams, case):
    if case["name"].startswith("BOSH"):
        return replay_http(server, case)
    s = streams(started(server, case))
    for i, step in enumerate(case["steps"]):
        last = i == len(case["steps"]) - 1
        why = play(s, case, step, last)
        if why:
            return f"step {i}: {why}\n{s.transcript()}"
    return None


# --- deviations ---

def with_answer(case, step, text):
    changed = copy.deepcopy(case)
    changed["steps"][step]["receive"] = text
    return changed


DIFFERENT = {
    # Nothing but white space may stand before a stream (RFC 6120 §4.9.3.13): over at the first letter, not after 256 KB of them.
    "oversized text before header": (0, "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' "
                                     "xmlns='jabber:client' version='1.0'><stream:error><not-well-formed "
                                     "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"),
    # XEP-0153 §4.1: a photo element, empty, says that there is none.
    "login with PLAIN, bind, session, presence, close": (
        5, "<presence to='u1@localhost/r1' from='u1@localhost/r1'><x xmlns='vcard-temp:x:update'><photo/></x></presence>"),
    # The same with words to it.
    "auth required before TLS on starttls_required listener": (
        1, f"<failure xmlns='{NS['sasl']}'><encryption-required/><text xml:lang='en'>Encryption is required</text></failure>"),
    # XEP-0388 §6: data only where the mechanism has some; XEP-0386 §4: <bound/> behind the address, which begins with the tag. What
    # is enabled already is not offered again.
    "SASL2 PLAIN with bind2": (
        4, "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>u1@localhost/T.{RANDOM}</authorization-identifier>"
           "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3'/></bound></success><stream:features>"
           "<c ver='x' node='x' hash='sha-1' xmlns='http://jabber.org/protocol/caps'/><ver xmlns='urn:xmpp:features:rosterver'/>"
           "<csi xmlns='urn:xmpp:csi:0'/></stream:features>"),
    # XEP-0077 §3.1.1: not-acceptable, and what is missing.
    "in-band registration": (
        7, f"<iq from='localhost' type='error' id='r2'><error type='modify'><not-acceptable xmlns='{NS['stanzas']}'/><text xml:lang='en' "
           f"xmlns='{NS['stanzas']}'>{{WORDS}}</text></error></iq>"),
    # Forms are taken, whether or not one was offered (XEP-0077 §4).
    "in-band registration by form": (1, "<iq type='result' id='r3' from='localhost'/>"),
    # XEP-0198 §4: and what was wrong with the count.
    "stream management enable, request, ack, resume of unknown": (
        8, f"<stream:error><undefined-condition xmlns='{NS['streams']}'/><text xml:lang='en' xmlns='{NS['streams']}'>Client "
           "acknowledged more stanzas than sent by server</text><handled-count-too-high xmlns='urn:xmpp:sm:3' h='99' send-count='0'/>"
           "</stream:error></stream:stream>"),
}


@pytest.fixture(scope="module")
def people(server):
    stock.register(server)


# Sessions that are ended from outside: who does it, and what the session sees.
ENDINGS = {
    "resource conflict, what the old session gets": lambda server: server.login("u1", "r1", password="pw1").close(),
    "kicked by kick_session": lambda server: server.api("kick_session", user="u1", host="localhost", resource="r1",
                                                       reason="go away & <hide>"),
    "banned while online": lambda server: server.api("ban_account", user="u1", host="localhost", reason="spam"),
}
TOO_MANY = (f"<stream:error><conflict xmlns='{NS['streams']}'/><text xml:lang='en' xmlns='{NS['streams']}'>Replaced by new connection"
            "</text></stream:error>")
CONVERSATIONS = [c for c in CASES if c["name"] not in ENDINGS]


def still_waits(server, streams, case):
    """Nobody listens, or what is said is not as recorded."""
    try:
        return replay(server, streams, case) is not None
    except (OSError, AssertionError, ET.ParseError, http.client.HTTPException):
        return True


@pytest.mark.parametrize("case", CONVERSATIONS, ids=lambda c: c["name"])
def test_dialogue(server, people, streams, case):
    if case["name"] in WAITING:
        assert still_waits(server, streams, case), f"{case['name']!r} passes: take it out of data/waiting.txt"
        return
    if "banned" in case["name"]:
        server.api("ban_account", user="u3", host="localhost", reason="spam")
    if case["name"] in DIFFERENT:
        case = with_answer(case, *DIFFERENT[case["name"]])
    why = replay(server, streams, case)
    if why:
        pytest.fail(why, pytrace=False)


@pytest.mark.parametrize("case", [c for c in CASES if c["name"] in ENDINGS], ids=lambda c: c["name"])
def test_ended(server, people, streams, case):
    s = streams(server.login("u1", "r1", password="pw1"))
    ENDINGS[case["name"]](server)
    s.expect_eof()
    if "banned" in case["name"]:
        server.api("unban_account", user="u1", host="localhost")
    want, ended = parse(case["steps"][-1]["receive"])
    assert s.stream_ended == ended and not all_unlike(s.items, want), s.transcript()


def test_more_sessions_than_allowed(server, people, streams):
    """limits: more sessions than max_user_sessions (10): the oldest gets ... (recorded)."""
    opened = [streams(server.login("u2", f"s{i}", password="pw2")) for i in range(12)]
    want, _ = parse(TOO_MANY)
    for s in opened[:2]:
        s.expect_end()
        assert not all_unlike(s.items, want), s.transcript()
    for s in opened[2:]:
        s.expect_nothing()


def test_lists_are_true():
    names = {c["name"] for c in CASES}
    assert WAITING <= names and DIFFERENT.keys() <= names and ENDINGS.keys() <= names
