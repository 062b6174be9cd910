"""XMPP Ping (XEP-0199): clients that are silent are asked whether they are still there, as the options of mod_ping say."""
import pytest

from sm import Sm, authenticated, resume
from xmppstream import local, q

NEVER = "1 hour"


def started(new_server, **options):
    server = new_server(lambda c: c["modules"].update(mod_ping=options, mod_stream_mgmt={}))
    server.start()
    return server


def expect_question(stream):
    """§4.1: from the server, to the full address."""
    el = stream.expect(lambda e: local(e) == "iq" and e.get("type") == "get", "question")
    assert (el.get("from"), el.get("to")) == ("localhost", stream.jid)
    assert [c.tag for c in el] == [q("ping", "ping")]
    return el.get("id")


def answer(stream, id_):
    stream.send(f"<iq type='result' id='{id_}' to='localhost'/>")


def test_nobody_is_asked_without_the_option(new_server, streams):
    """Option send_pings: off unless it is said, on each host for itself."""
    options = {"ping_interval": 1, "ping_ack_timeout": 1, "timeout_action": "kill"}
    server = new_server(lambda c: c.update(host_config={"example.test": {"modules": {**c["modules"], "mod_ping": {
        **options, "send_pings": True}}}}) or c["modules"].update(mod_ping=options))
    server.start()
    quiet = streams(server.login())
    asked = streams(server.login(server.register(host="example.test"), host="example.test"))
    assert asked.expect(lambda e: e.find(q("ping", "ping")) is not None).get("from") == "example.test"
    quiet.expect_nothing()


def test_silent_clients_are_asked(new_server, streams):
    """Options send_pings and ping_interval: again and again; whoever answers stays."""
    server = started(new_server, send_pings=True, ping_interval=1, ping_ack_timeout=NEVER, timeout_action="kill")
    s = streams(server.login())
    ids = []
    for _ in range(3):
        ids.append(expect_question(s))
        answer(s, ids[-1])
    assert len(set(ids)) == 3


@pytest.mark.parametrize("said", ["<iq type='error' id='{}' to='localhost'><error type='cancel'><service-unavailable "
                                  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", "<presence/>"])
def test_any_stanza_is_an_answer(new_server, streams, said):
    """§4.1: an error shows it too; and so does everything else that comes."""
    server = started(new_server, send_pings=True, ping_interval=1, ping_ack_timeout=NEVER, timeout_action="kill")
    s = streams(server.login())
    s.send(said.format(expect_question(s)))
    expect_question(s)


def test_who_does_not_answer_is_gone(new_server, streams):
    """Options timeout_action and ping_ack_timeout; RFC 6120 §4.9.3.4."""
    server = started(new_server, send_pings=True, ping_interval=1, ping_ack_timeout=1, timeout_action="kill")
    s = streams(server.login())
    expect_question(s)
    s.expect_stream_error("connection-timeout")


def test_without_action_it_is_asked_again(new_server, streams):
    server = started(new_server, send_pings=True, ping_interval=1, ping_ack_timeout=1, timeout_action="none")
    s = streams(server.login())
    assert expect_question(s) != expect_question(s)
    s.ping()


def test_who_can_resume_may(new_server, streams):
    """XEP-0198 §5: a silent connection is no verdict on the session, which is asked again where it goes on."""
    server = started(new_server, send_pings=True, ping_interval=1, ping_ack_timeout=1, timeout_action="kill")
    name = server.register()
    s = streams(server.login(name))
    sm = Sm(s)
    sm.enable()
    expect_question(s)
    s.expect_eof()
    again = streams(authenticated(server, name, "secret"))
    assert local(resume(again, sm.id, 0)) == "resumed"
    again.jid = s.jid
    expect_question(again)


def test_sessions_that_were_there_before(new_server, streams):
    """A reload that loads the module."""
    server = new_server(lambda c: c["modules"].pop("mod_ping", None))
    server.start()
    s = streams(server.login())
    server.config["modules"]["mod_ping"] = {"send_pings": True, "ping_interval": 1, "ping_ack_timeout": NEVER}
    server.write_config()
    server.reload()
    expect_question(s)
