"""Streams recorded from ejabberd 25.03, replayed. Where RFC 6120/6121 ask for something else than ejabberd does, the RFC is
followed: DIFFERENT says what is expected instead and why."""
import json
import pathlib

import pytest

import sasl
import stock
from recorded import all_unlike, header, header_of, meaning, parse, to_bytes
from xmppstream import NS, Ended, local, namespace

DATA = pathlib.Path(__file__).parent / "data"
STREAMS = json.loads((DATA / "streams.json").read_text())["cases"]


def configure(config):
    del config["modules"]["mod_time"]  # not loaded in the recordings


def stream_error(condition):
    return [("stream error", condition)], True


def failure(condition):
    return [("sasl", "failure", condition)], False


# name -> (meanings of the last step, whether the stream ends)
DIFFERENT_STREAMS = {
    "wrong default namespace": stream_error("invalid-namespace"),           # RFC 6120 §4.9.3.10
    "other root element": stream_error("bad-format"),                       # §4.9.3.1; invalid-xml is for failed validation
    "root without prefix": stream_error("invalid-namespace"),               # content in the streams' namespace, §4.8.2
    "malformed to": stream_error("improper-addressing"),                    # §4.9.3.7
    "malformed from": stream_error("invalid-from"),                         # §4.9.3.9
    "version text": stream_error("bad-format"),                             # §4.9.3.1
    "encoding ISO-8859-1": stream_error("unsupported-encoding"),            # §11.6: UTF-8 only
    "encoding unknown": stream_error("unsupported-encoding"),
    "encoding UTF-16 bytes": stream_error("not-well-formed"),               # no UTF-8
    "XML 1.1": stream_error("not-well-formed"),                             # §11.5: XML 1.0
    "DTD": stream_error("restricted-xml"),                                  # §11.1 for all that follow
    "comment inside stream": stream_error("restricted-xml"),
    "processing instruction inside stream": stream_error("restricted-xml"),
    "undefined entity": stream_error("restricted-xml"),
    "second stream header after bind": stream_error("restricted-xml"),      # its declaration is a processing instruction here
    "undeclared prefix": stream_error("bad-namespace-prefix"),              # §4.9.3.2
    "bad base64": failure("incorrect-encoding"),                            # §6.5.5
    "initial response =": failure("malformed-request"),                     # §6.5.7: decoded, but no PLAIN message
    "PLAIN without NUL": failure("malformed-request"),
    "empty auth": ([("sasl", "challenge")], False),                         # §6.4.3: PLAIN starts with the client
    "auth twice": stream_error("invalid-namespace"),                        # a stream header was due, §6.4.6
    "stanza before bind": stream_error("not-authorized"),                   # §7.1
    "bind type get": stream_error("not-authorized"),
    "session before bind": stream_error("not-authorized"),
    "from malformed": stream_error("invalid-from"),                         # §8.1.2.1
    # Text between stanzas can be ignored or refused; it is refused as what no stream contains (§4.9.3.1).
    "text between stanzas": stream_error("bad-format"),
}


# Compared by meaning only.
OTHER_WORDS = {
    # The words of another XML parser.
    "not XML at all", "HTTP request on c2s port", "character reference to control character", "raw control character",
    "invalid UTF-8", "mismatched tags", "duplicate attribute",
    "authzid of other user",  # the reference lets one in as the other
    "SCRAM with bad proof",   # no more is told than that it failed
}


@pytest.fixture(scope="module")
def people(server):
    stock.register(server)


def same(got, want, s):
    if got != want:
        pytest.fail(f"got  {got}\nwant {want}\n{s.transcript()}", pytrace=False)


def with_features(s):
    s.open_features()
    return s


def start(server, how, name):
    if name == "starttls on TLS":
        return with_features(server.stream(server.tls, tls="direct"))
    s = server.stream()
    if how.startswith("log in"):
        s.login("u1", "pw1", "r1")
    elif how.startswith("open stream"):
        with_features(s)
    if "authenticate" in how:
        s.authenticate("u1", "pw1")
        s.open_features()
    return s


def sync(s, state, recorded):
    """Something the server answers in every state, and otherwise than the case itself, so that what it sent before is complete."""
    if state.startswith("log in"):
        s.send("<iq type='get' id='sync'><ping xmlns='urn:xmpp:ping'/></iq>")
        s.expect_id("sync")
    elif "authenticate" in state:
        s.send(f"<iq type='set' id='sync'><bind xmlns='{NS['bind']}'/></iq>")
        s.expect_id("sync")
    else:
        condition = "invalid-mechanism" if "aborted" in recorded else "aborted"
        if condition == "aborted":
            s.send(f"<abort xmlns='{NS['sasl']}'/>")
        else:
            s.auth_raw("SYNC", b"x")
        s.expect(lambda e: namespace(e) == NS["sasl"] and local(e) == "failure" and local(e[0]) == condition, "sync")


def converse(s, case, want_ended):
    """Plays the steps; returns the meanings of what came after the last one, and whether the stream ended."""
    state = case["start"]
    for i, step in enumerate(case["steps"]):
        last = i == len(case["steps"]) - 1
        s.items.clear()
        s.send_bytes(to_bytes(step["send"]))
        if not last:
            n = len(parse(step["receive"])[0])
            s.wait(lambda n=n: len(s.items) >= n, f"answers to {step['send'][:60]}")
            if any(local(e) == "success" for e in s.items):
                s._new_parser()  # the next header is a new document
        elif want_ended:
            s.expect_eof()
        elif ":stream" in to_bytes(step["send"]).decode(errors="replace"):
            s.wait(lambda: s.header is not None and len(s.items) >= len(parse(step["receive"])[0]), "the stream header")
            if not s.items:
                sync(s, state, step["receive"])
        elif "success" in step["receive"]:
            s.wait(lambda: s.items, "success")
        else:
            try:
                sync(s, state, step["receive"])
            except Ended:
                pass
    return [meaning(e) for e in s.items], s.stream_ended


@pytest.mark.parametrize("case", STREAMS, ids=lambda c: c["name"])
def test_stream(server, people, streams, case):
    elements, ended = parse(case["steps"][-1]["receive"])
    want = [meaning(e) for e in elements]
    ended = ended or case["closed"]
    if case["name"] in DIFFERENT_STREAMS:
        want, ended = DIFFERENT_STREAMS[case["name"]]
    s = streams(start(server, case["start"], case["name"]))
    got, got_ended = converse(s, case, ended)
    if case["name"].startswith("bind with"):
        got, want = [m[:3] for m in got], [m[:3] for m in want]
    same((got, got_ended), (want, ended), s)
    if case["name"] not in DIFFERENT_STREAMS and case["name"] not in OTHER_WORDS:
        offers = "{http://etherx.jabber.org/streams}features"  # test_recorded_dialogues.py looks at them
        why = all_unlike([e for e in s.items if e.tag != offers], [e for e in elements if e.tag != offers])
        assert not why, f"{why}\n{s.transcript()}"
    want_header = header(case["steps"][-1]["receive"])
    if want_header and case["name"] not in DIFFERENT_STREAMS:
        same(header_of(s.header), want_header, s)
