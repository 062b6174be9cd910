"""Stream management, XEP-0198: acknowledgements, resumption, what becomes of sessions that do not come back."""
import pytest

from server import PASSWORD
from sm import SM, Sm, authenticated, resume
from xmppstream import local, q, until

CONF = {"resume_timeout": 60, "max_resume_timeout": 120, "resend_on_timeout": "if_offline"}


def configure(config):
    config["modules"]["mod_stream_mgmt"] = dict(CONF)


@pytest.fixture
def managed(server, streams):
    """managed(user=None, ...) logs in and enables; (stream, sm) come back."""
    def make(user=None, resource=None, presence=True, resume=True, max_=None, host="localhost"):
        s = streams(server.login(user, resource, host=host))
        m = Sm(s)
        m.enable(resume, max_)
        if presence:
            s.presence()
        return s, m
    return make


def bodies(stream, n, what="messages"):
    """The next n messages, in order of arrival."""
    return [stream.expect_message().findtext(q("client", "body")) for _ in range(n)]


def user_of(stream):
    return stream.bare.partition("@")[0]


# --- features and enabling (§3) ---

def test_feature_after_authentication(server, streams):
    s = streams(authenticated(server, server.register(), PASSWORD))
    assert {e.tag for e in s.features} >= {"{urn:xmpp:sm:2}sm", "{urn:xmpp:sm:3}sm"}


def test_not_offered_where_the_module_is_not_loaded(new_server):
    with new_server() as other:
        s = authenticated(other, other.register(), PASSWORD)
        assert not [e for e in s.features if local(e) == "sm"]
        s.bind()
        s.send(f"<enable xmlns='{SM}'/>")
        s.expect_nothing()
        s.drop()


def test_enable(managed):
    _, m = managed(presence=False, max_=30)
    assert m.id and m.max == "30"


@pytest.mark.parametrize("asked,given", [("30", "30"), ("1000000", "120"), ("0", "60"), ("-1", "60"), ("soon", "60"), (None, "60")])
def test_resume_time_is_bounded(managed, asked, given):
    assert managed(presence=False, max_=asked)[1].max == given


def test_enable_without_resumption(managed):
    _, m = managed(resume=False)
    assert m.id is None and m.max is None


def test_enable_twice(managed):
    s, m = managed(presence=False)
    s.send(f"<enable xmlns='{SM}'/>")
    assert m.failed()[0] == "unexpected-request"


def test_enable_before_binding(server, streams):
    s = streams(authenticated(server, server.register(), PASSWORD))
    s.send(f"<enable xmlns='{SM}'/>")
    assert Sm(s).failed()[0] == "not-authorized"
    s.bind()


def test_request_without_enabling(server, streams):
    s = streams(server.login())
    s.send(f"<r xmlns='{SM}'/>")
    assert Sm(s).failed()[0] == "unexpected-request"


def test_the_older_namespace(server, streams):
    s = streams(server.login())
    m = Sm(s, "urn:xmpp:sm:2")
    m.enable()
    s.ping()
    m.acked_to(1)


# --- acknowledgements (§4) ---

def test_counts_stanzas_only(managed):
    s, m = managed(presence=False)
    assert m.acked() == 0
    s.ping()
    s.message(s.bare, "to myself")
    s.send("  ")
    m.acked_to(2)
    m.acked_to(2)


def test_server_asks_and_asks_again_only_when_answered(server, managed):
    s, m = managed(presence=False)
    s.ping()
    m.expect("r")
    s.ping()
    s.expect_nothing()  # a third answer: still nothing but what was asked for
    m.a(3)
    s.ping()
    m.expect("r")


def test_acknowledging_part_of_it_makes_it_ask_again(managed):
    s, m = managed(presence=False)
    s.ping()
    m.expect("r")
    s.ping()
    m.a(1)
    m.expect("r")


def test_acknowledging_nothing_new_does_not_make_it_ask_again(managed):
    """xmpp.js never counts the answers to its requests: the two of them would ask and answer for ever."""
    s, m = managed(presence=False)
    s.ping()
    m.expect("r")
    m.a(0)
    assert m.acked() == 1  # asked by us, after that
    assert s.items == [], s.transcript()
    s.ping()
    m.expect("r")


def test_too_many_acknowledged(managed):
    s, m = managed(presence=False)
    m.a(1)
    s.wait(lambda: s.items, "an error")
    el = s.items[0]
    too_high = el.find(f"{{{SM}}}handled-count-too-high")
    assert (too_high.get("h"), too_high.get("send-count")) == ("1", "0")
    s.expect_stream_error("undefined-condition")


@pytest.mark.parametrize("h", ["", " h='x'", " h='-1'", " h='4294967296'"])
def test_bad_count(managed, h):
    s, m = managed(presence=False)
    s.send(f"<a xmlns='{SM}'{h}/>")
    assert m.failed()[0] == "bad-request"
    s.ping()


def test_errors_about_malformed_stanzas_are_counted(managed):
    """Every stanza of the server counts, however it was made."""
    s, m = managed(presence=False)
    s.send("<iq type='get'/>")
    s.expect(lambda e: e.get("type") == "error")
    m.a(1)
    s.ping()


# --- resumption (§5) ---

def lose(stream, way):
    stream.drop(rst=way == "reset")


@pytest.mark.parametrize("way", ["FIN", "reset"])
@pytest.mark.parametrize("host", ["localhost", "example.test"])
def test_resume(server, managed, streams, way, host):
    """Six accounts, so that both shards have their share of homes: what was lost comes again, in order, once."""
    for _ in range(6):
        s, m = managed(host=host)
        sender = streams(server.login(host=host))
        jid = s.jid
        sender.message(jid, "before")
        s.expect_message("before")
        s.ping()
        got = 3  # own presence, the message, the ping's answer
        lose(s, way)
        for i in range(5):
            sender.message(jid, f"m{i}")
        n = streams(authenticated(server, user_of(s), PASSWORD, host))
        el = resume(n, m.id, got)
        assert local(el) == "resumed" and el.get("previd") == m.id and el.get("h") == "2"
        assert bodies(n, 5) == [f"m{i}" for i in range(5)]
        n.jid = jid
        sender.message(jid, "after")
        n.expect_message("after")
        n.ping()
        assert not [e for e in n.items if local(e) in ("message", "presence")]


def test_unacknowledged_comes_again_and_acknowledged_does_not(server, managed, streams):
    s, m = managed()
    sender = streams(server.login())
    for i in range(4):
        sender.message(s.jid, f"m{i}")
    assert bodies(s, 4) == ["m0", "m1", "m2", "m3"]
    m.a(3)  # presence, m0, m1
    s.ping()
    s.drop()
    n = streams(authenticated(server, user_of(s), PASSWORD))
    resume(n, m.id, 4)  # m2 as well
    assert bodies(n, 1) == ["m3"]
    n.expect(lambda e: local(e) == "iq")
    n.jid = s.jid
    n.expect(lambda e: local(e) == "r")
    n.ping()
    assert not [e for e in n.items if local(e) == "message"]


def test_resuming_what_is_still_open_ends_the_old_stream(server, managed, streams):
    s, m = managed()
    n = streams(authenticated(server, user_of(s), PASSWORD))
    assert local(resume(n, m.id, 1)) == "resumed"
    s.expect_stream_error("conflict")
    n.jid = s.jid
    n.ping()
    watcher = streams(server.login(user_of(s), presence=True))
    watcher.expect(lambda e: local(e) == "presence" and e.get("from") == n.jid, "still available")


def test_presence_stays_while_the_stream_is_away(server, managed, streams):
    s, m = managed()
    watcher = streams(server.login(user_of(s), presence=True))
    watcher.expect(lambda e: local(e) == "presence" and e.get("from") == s.jid and e.get("type") is None)
    s.drop()
    n = streams(authenticated(server, user_of(s), PASSWORD))
    resume(n, m.id, 1)
    n.jid = s.jid
    n.expect(lambda e: local(e) == "presence" and e.get("from") == watcher.jid)
    n.message(watcher.jid, "I was never gone")
    watcher.expect_message("I was never gone")
    assert not [e for e in watcher.items if e.get("type") == "unavailable"]


def test_resume_again_and_again(server, managed, streams):
    s, m = managed()
    sender = streams(server.login())
    jid, h, mine = s.jid, 1, 1
    for i in range(5):
        s.drop()
        sender.message(jid, f"round {i}")
        s = streams(authenticated(server, jid.partition("@")[0], PASSWORD))
        el = resume(s, m.id, h)
        assert int(el.get("h")) == mine
        s.expect_message(f"round {i}")
        s.jid = jid
        s.ping()
        h, mine = h + 2, mine + 1


def test_unknown_id(server, streams):
    s = streams(authenticated(server, server.register(), PASSWORD))
    s.send(f"<resume xmlns='{SM}' previd='nonsense' h='0'/>")
    condition, el = Sm(s).failed()
    assert condition == "item-not-found" and el.get("h") is None
    s.bind()  # §5: no need to start anew
    s.ping()


def test_another_account_cannot_resume_it(server, managed, streams):
    s, m = managed()
    s.drop()
    thief = streams(authenticated(server, server.register(), PASSWORD))
    thief.send(f"<resume xmlns='{SM}' previd='{m.id}' h='0'/>")
    assert Sm(thief).failed()[0] == "item-not-found"
    n = streams(authenticated(server, user_of(s), PASSWORD))
    assert local(resume(n, m.id, 1)) == "resumed"


@pytest.mark.parametrize("attrs", ["h='0'", "previd='x'", "previd='x' h='many'"])
def test_incomplete_resume(server, streams, attrs):
    s = streams(authenticated(server, server.register(), PASSWORD))
    s.send(f"<resume xmlns='{SM}' {attrs}/>")
    assert Sm(s).failed()[0] == "bad-request"
    s.bind()


def test_resume_with_a_count_too_high(server, managed, streams):
    s, m = managed()
    s.drop()
    n = streams(authenticated(server, user_of(s), PASSWORD))
    n.send(f"<resume xmlns='{SM}' previd='{m.id}' h='2'/>")
    n.expect_stream_error("undefined-condition")
    n = streams(authenticated(server, user_of(s), PASSWORD))
    assert local(resume(n, m.id, 1)) == "resumed", "the session must not have suffered"


def test_resume_on_a_bound_stream(managed):
    s, m = managed(presence=False)
    s.send(f"<resume xmlns='{SM}' previd='{m.id}' h='0'/>")
    assert m.failed()[0] == "unexpected-request"


def test_closed_stream_is_no_lost_stream(server, managed, streams):
    s, m = managed()
    s.close()
    n = streams(authenticated(server, user_of(s), PASSWORD))
    n.send(f"<resume xmlns='{SM}' previd='{m.id}' h='1'/>")
    condition, el = Sm(n).failed()
    assert condition == "item-not-found" and el.get("h") == "1"


def test_without_resumption_a_lost_session_ends(server, managed, streams):
    s, _ = managed(resume=False)
    watcher = streams(server.login(user_of(s), presence=True))
    watcher.expect(lambda e: local(e) == "presence" and e.get("from") == s.jid)
    s.drop()
    watcher.expect(lambda e: e.get("from") == s.jid and e.get("type") == "unavailable")


# --- sessions that end ---

def waiting(server, managed, streams, user=None):
    """A session that is lost with two messages; a sender."""
    s, m = managed(user)
    sender = streams(server.login())
    s.drop()
    for i in range(2):
        sender.message(s.jid, f"m{i}", id_=f"m{i}")
    sender.ping()
    return s, m, sender


def test_kicked_while_away(server, managed, streams):
    """Nobody else is there and nothing keeps messages: their sender is told of each."""
    s, m, sender = waiting(server, managed, streams)
    server.api("kick_user", user=user_of(s), host="localhost")
    for i in range(2):
        assert sender.expect_id(f"m{i}").get("type") == "error"
    n = streams(authenticated(server, user_of(s), PASSWORD))
    assert local(resume(n, m.id, 0)) == "failed"


def test_same_resource_again_instead_of_resuming(server, managed, streams):
    s, m, sender = waiting(server, managed, streams)
    n = streams(server.login(user_of(s), s.jid.partition("/")[2], presence=True))
    for i in range(2):
        assert sender.expect_id(f"m{i}").get("type") == "error"
    n.expect_nothing()


def test_iq_to_a_session_that_ends_is_answered(server, managed, streams):
    s, _ = managed()
    sender = streams(server.login())
    s.drop()
    sender.send(f"<iq type='get' id='q' to='{s.jid}'><ping xmlns='urn:xmpp:ping'/></iq>")
    sender.ping()
    server.api("kick_user", user=user_of(s), host="localhost")
    assert sender.expect_id("q").get("type") == "error"


def with_options(new_server, **options):
    def change(config):
        config["modules"]["mod_stream_mgmt"] = {**CONF, **options}
    return new_server(change)


def lost(server, resource=None, user=None):
    s = server.login(user, resource)
    m = Sm(s)
    m.enable()
    s.presence()
    s.drop()
    return s, m


def test_time_out(new_server):
    """resume_timeout: presence goes with the session; what it had dealt with is remembered."""
    with with_options(new_server, resume_timeout=1, max_resume_timeout=1) as server:
        watcher = server.login(presence=True)
        s, m = lost(server, user=user_of(watcher))
        watcher.expect(lambda e: e.get("from") == s.jid and e.get("type") == "unavailable")
        n = authenticated(server, user_of(s), PASSWORD)
        n.send(f"<resume xmlns='{SM}' previd='{m.id}' h='1'/>")
        condition, el = Sm(n).failed()
        assert condition == "item-not-found" and el.get("h") == "1"
        n.drop()
        watcher.drop()


@pytest.mark.parametrize("mode,other,gets", [
    ("true", True, "other"), ("if_offline", True, "error"), ("false", True, "error"), ("true", False, "error")])
def test_resend_on_timeout(new_server, mode, other, gets):
    """Documented meanings; with nobody there the message is undelivered, which without offline storage is an error."""
    with with_options(new_server, resume_timeout=1, max_resume_timeout=1,
                      resend_on_timeout=mode if mode == "if_offline" else mode == "true") as server:
        s, _ = lost(server)
        sender = server.login()
        sender.message(s.jid, "hello", id_="m")
        sender.ping()
        second = server.login(user_of(s), presence=True) if other else None
        if gets == "other":
            el = second.expect_message("hello")
            delay = el.find("{urn:xmpp:delay}delay")
            assert delay is not None and delay.get("from") == "localhost" and delay.get("stamp").endswith("Z")
        else:
            assert sender.expect_id("m").get("type") == "error"
        if second:
            second.drop()
        sender.drop()


def test_resumption_switched_off(new_server):
    with with_options(new_server, resume_timeout=0, max_resume_timeout=0) as server:
        s = server.login()
        assert Sm(s).enable().get("resume") is None
        s.drop()


@pytest.mark.parametrize("limits", [{"max_ack_queue": 3}, {"max_ack_queue_bytes": 4096}])
@pytest.mark.parametrize("away", [True, False])
def test_queue_is_bounded(new_server, limits, away):
    with with_options(new_server, **limits) as server:
        s = server.login()
        m = Sm(s)
        m.enable()
        s.presence()
        sender = server.login()
        if away:
            s.drop()
        for i in range(4):
            sender.message(s.jid, "x" * 1500, id_=f"m{i}")
        assert sender.expect_id("m0").get("type") == "error"
        if not away:
            s.expect_stream_error("policy-violation")
        n = authenticated(server, user_of(s), PASSWORD)
        assert local(resume(n, m.id, 1)) == "failed"
        n.drop()
        sender.drop()


def test_silent_client_is_given_up(new_server):
    """ack_timeout: the connection ends, the session waits."""
    with with_options(new_server, ack_timeout=1) as server:
        s = server.login()
        m = Sm(s)
        m.enable()
        s.presence()
        s.expect_eof()
        n = authenticated(server, user_of(s), PASSWORD)
        assert local(resume(n, m.id, 0)) == "resumed"
        n.jid = s.jid
        n.expect(lambda e: local(e) == "presence")
        n.drop()


def test_sessions_are_counted_and_listed_while_away(server, managed):
    s, m = managed()
    before = server.api("connected_users_number")
    s.drop()
    until(lambda: s.jid in server.api("connected_users"), "the session in the list")
    assert server.api("connected_users_number") == before
    assert server.api("kick_user", user=user_of(s), host="localhost") is not None
    until(lambda: s.jid not in server.api("connected_users"), "its end")
