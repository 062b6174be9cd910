"""Sessions that survive the server (XEP-0198): restart and kill -9, nothing lost, nothing doubled."""
import pytest

from server import PASSWORD
from sm import Sm, authenticated, resume
from xmppstream import local, q

CONF = {"resume_timeout": 60, "resend_on_timeout": "if_offline"}


def configure(config):
    config["modules"]["mod_stream_mgmt"] = dict(CONF)


def managed(server, user=None, **options):
    s = server.login(user, **options)
    m = Sm(s)
    m.enable()
    s.presence()
    return s, m


def back(server, s, m, h, host="localhost"):
    """Resumes; the stream and what the server has of it."""
    n = authenticated(server, s.bare.partition("@")[0], PASSWORD, host)
    el = resume(n, m.id, h)
    assert local(el) == "resumed", n.transcript()
    n.jid = s.jid
    return n, int(el.get("h"))


def text(el):
    return el.findtext(q("client", "body"))


def gone(server, way):
    if way == "kill":
        server.kill()
    elif way == "restart":
        server.api("restart")
        server.expect_notice("READY=1")
        return
    else:
        server.stop()
    server.start()


@pytest.mark.parametrize("way", ["kill", "stop", "restart"])
def test_talk_goes_on(new_server, way):
    """Two people talk; the server goes down with messages under way to both, twice. Both shards: four pairs."""
    server = new_server(configure).start()
    pairs = []
    for _ in range(4):
        a, am = managed(server)
        b, bm = managed(server)
        for i in range(3):
            a.message(b.jid, f"{i}")
        am.acked_to(4)  # what was acknowledged must not get lost
        assert [text(b.expect_message()) for _ in range(3)] == ["0", "1", "2"]
        bm.a(2)         # presence and the first; b never told of the others
        b.message(a.jid, "and you?")
        bm.acked_to(2)
        a.expect_message("and you?")
        pairs.append((a, am, b, bm))
    for round_ in range(2):
        gone(server, way)
        for i, (a, am, b, bm) in enumerate(pairs):
            if round_ == 0:
                a2, ah = back(server, a, am, 1)
                assert ah == 4
                assert text(a2.expect_message()) == "and you?"
                b2, bh = back(server, b, bm, 3)  # it had "1" too
                assert bh == 2
                assert text(b2.expect_message()) == "2"
                Sm(a2).a(2)
                Sm(b2).a(4)
            else:
                a2, ah = back(server, a, am, 3)
                b2, bh = back(server, b, bm, 5)
                assert (ah, bh) == (5, 3)
            a2.ping()
            b2.ping()
            assert not [e for s in (a2, b2) for e in s.items if local(e) in ("message", "presence")], "doubled"
            Sm(a2).acked_to(5 + round_)
            Sm(b2).acked_to(3 + round_)
            pairs[i] = (a2, am, b2, bm)
    for a, _, b, _ in pairs:
        a.message(b.jid, "still here")
        b.expect_message("still here")
        a.drop()
        b.drop()


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_messages_while_away_are_kept_over_the_restart(new_server, way):
    server = new_server(configure).start()
    s, m = managed(server)
    sender, sm = managed(server)
    s.drop()
    for i in range(20):
        sender.message(s.jid if i % 2 else s.bare, f"m{i}")
    sm.acked_to(21)
    gone(server, way)
    other = server.login()
    other.message(s.bare, "after the restart")
    other.ping()
    n, _ = back(server, s, m, 1)
    assert [text(n.expect_message()) for _ in range(21)] == [f"m{i}" for i in range(20)] + ["after the restart"]
    n.ping()
    assert not [e for e in n.items if local(e) == "message"]
    other.drop()
    n.drop()


def test_presence_is_kept(new_server):
    server = new_server(configure).start()
    s = server.login()
    m = Sm(s)
    m.enable()
    s.presence("<show>dnd</show><status>do not disturb</status><priority>7</priority>")
    m.a(1)
    m.acked_to(1)
    gone(server, "kill")
    watcher = server.login(s.bare.partition("@")[0], presence=True)
    el = watcher.expect(lambda e: local(e) == "presence" and e.get("from") == s.jid)
    assert [el.findtext(q("client", x)) for x in ("show", "status", "priority")] == ["dnd", "do not disturb", "7"]
    watcher.drop()


def test_who_does_not_come_back(new_server):
    """The time goes on: after it the sender is told, once."""
    def change(config):
        config["modules"]["mod_stream_mgmt"] = {**CONF, "resume_timeout": 2}
    server = new_server(change).start()
    s, m = managed(server)
    sender, sm = managed(server)
    sender.message(s.jid, "hello", id_="m")
    sm.acked_to(2)
    m.a(1)
    m.acked_to(1)
    gone(server, "kill")
    n, _ = back(server, sender, sm, 1)
    assert n.expect_id("m").get("type") == "error"
    gone(server, "stop")
    n, _ = back(server, sender, sm, 2)
    n.ping()
    assert not [e for e in n.items if local(e) == "message"]
    n.drop()


def test_session_of_a_removed_account_does_not_come_back(new_server):
    server = new_server(configure).start()
    s, m = managed(server)
    m.acked_to(1)
    server.api("unregister", user=s.bare.partition("@")[0], host="localhost")
    gone(server, "kill")
    assert server.api("connected_users") == []


def test_without_a_copy(new_server):
    """survive_restart: false keeps nothing."""
    def change(config):
        config["modules"]["mod_stream_mgmt"] = {**CONF, "survive_restart": False}
    server = new_server(change).start()
    s, m = managed(server)
    assert m.acked() == 1
    gone(server, "kill")
    n = authenticated(server, s.bare.partition("@")[0], PASSWORD)
    assert local(resume(n, m.id, 1)) == "failed"
    n.drop()


def test_written_after_much_that_never_was(new_server):
    """What is acknowledged quickly is never written; the number of what is written must be right all the same."""
    server = new_server(configure).start()
    s, m = managed(server)
    sender, sm = managed(server)
    m.expect("r")
    m.a(1)
    for i in range(5):
        sender.message(s.jid, f"quick {i}")
        s.expect_message(f"quick {i}")
        m.a(2 + i)
    s.ping()
    m.a(7)
    m.acked_to(2)
    sender.message(s.jid, "not seen")
    sm.acked_to(7)
    gone(server, "kill")
    n, _ = back(server, s, m, 7)
    assert text(n.expect_message()) == "not seen"
    n.ping()
    assert not [e for e in n.items if local(e) == "message"]
    n.drop()


@pytest.mark.parametrize("way", ["stop", "restart"])
def test_a_server_that_goes_down_ends_no_resumable_session_in_words(new_server, way):
    """A stream error or an end tag is the end of the session to nbxmpp: whoever may resume (XEP-0198 §5) only loses the connection."""
    server = new_server(configure).start()
    s, m = managed(server)
    other = server.login(presence=True)
    once = server.login(presence=True)
    Sm(once).enable(resume=False)
    m.acked_to(1)
    gone(server, way)
    s.expect_eof()
    assert not s.stream_ended and not [e for e in s.items if e.tag == q("stream", "error")], s.transcript()
    for told in (other, once):
        told.expect_stream_error("system-shutdown")
    back(server, s, m, 1)[0].ping()
