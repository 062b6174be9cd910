"""Stream limits (XEP-0478): what is announced in stream features is what is enforced, before and after the login."""
import pytest

from server import PASSWORD
from test_sasl2 import answer, bind2, plain
from xmppstream import NS, q

LIMIT = 20000
BEFORE_LOGIN = 65536
HARD = 16 << 20
SL = "{urn:xmpp:stream-limits:0}"


def configure(config):
    config["listen"][0]["max_stanza_size"] = LIMIT
    config["listen"][1]["max_stanza_size"] = "infinity"


def limits(features):
    el = features.find(f"{SL}limits")
    return {c.tag.removeprefix(SL): int(c.text) for c in el}


def sized(total):
    frame = "<message to='nobody@localhost' id='big'><body></body></message>"
    return frame.replace("<body>", "<body>" + "x" * (total - len(frame)))


@pytest.mark.parametrize("listener, before, after", [("c2s", LIMIT, LIMIT), ("tls", BEFORE_LOGIN, HARD),
                                                     ("required", BEFORE_LOGIN, 262144)])
def test_announced(server, streams, listener, before, after):
    s = streams(server.stream(getattr(server, listener), tls="direct" if listener == "tls" else None))
    f = s.open_features()
    if listener == "required":
        assert limits(f)["max-bytes"] == before  # of this state too, where nothing but TLS may come
        s.starttls()
        f = s.open_features()
    assert limits(f)["max-bytes"] == before and 0 < limits(f)["idle-seconds"] <= 120
    s.authenticate(server.register(), PASSWORD)
    assert limits(s.open_features()) == {"max-bytes": after}  # a session may be silent


def test_announced_behind_sasl2(server, streams):
    """XEP-0388 §2.6.1: the features behind <success/> are the last ones."""
    s = streams(server.stream(server.tls, tls="direct"))
    s.open_features()
    plain(s, server.register(), bind2())
    answer(s, "success")
    assert limits(s.expect_tag(q("stream", "features"))) == {"max-bytes": HARD}


def test_bytes_before_login(server, streams):
    for over in (0, 1):
        s = streams(server.stream(server.tls, tls="direct"))
        most = limits(s.open_features())["max-bytes"]
        frame = f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'></auth>"
        s.send(frame.replace("></", ">" + "A" * (most - len(frame) + over) + "</"))
        s.expect_stream_error("policy-violation") if over else s.expect_failure()


def test_bytes_after_login(server, streams):
    for over in (0, 1):
        s = streams(server.stream())
        s.open_features()
        s.authenticate(server.register(), PASSWORD)
        most = limits(s.open_features())["max-bytes"]
        s.bind()
        s.send(sized(most + over))
        s.expect_stream_error("policy-violation") if over else s.expect_id("big")


def test_idle_before_login(new_server, streams):
    """The time that is left of negotiation_timeout; after it the stream ends."""
    server = new_server(lambda c: c.update(negotiation_timeout=2)).start()
    s = streams(server.stream())
    assert 0 < limits(s.open_features())["idle-seconds"] <= 2
    s.expect_stream_error("connection-timeout")


def test_a_long_time(new_server, streams):
    server = new_server(lambda c: c.update(negotiation_timeout="9999 days")).start()
    assert limits(streams(server.stream()).open_features())["idle-seconds"] > 800000000
