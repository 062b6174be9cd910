"""see-other-host (RFC 6120 §4.9.3.19): clients of a host that was moved, and of a server that is being left, learn where to go."""
import pytest

from server import PASSWORD
from sm import Sm
from xmppstream import Ended, q, until


def expect_redirect(s, address):
    """The stream error with the address in its condition, no text, and the end."""
    el = s.expect_tag(q("stream", "error"))
    condition = el.find(q("streams", "see-other-host"))
    assert len(el) == 1 and condition is not None and condition.text == address, s.transcript()
    s.expect_end()


ADDRESSES = ["other.example", "other.example:5223", "bücher.example", "192.0.2.1", "192.0.2.1:5222", "[2001:db8::1]", "[2001:db8::1]:9222"]
NO_ADDRESSES = ["", "user@other.example", "other.example/x", "other.example:", "other.example:0", "other.example:65536", "other.example:+5",
                "2001:db8::1", "[2001:db8::1", "[2001:db8::1]5222", "[192.0.2.1]", "[]:5", ":5222", "a b", "a<b", "xmpp://other.example"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_host_that_was_moved(new_server, streams, address):
    """Answered with a stream header and the error (§4.9.1.2); other hosts are served as ever."""
    server = new_server(lambda c: c.update(host_config={"example.test": {"see_other_host": address}})).start()
    s = streams(server.stream(to="example.test"))
    assert s.open().get("from") == "example.test"
    expect_redirect(s, address)
    streams(server.login()).ping()


def test_over_tls(new_server, streams):
    server = new_server(lambda c: c.update(see_other_host="other.example")).start()
    s = streams(server.stream(server.tls, tls="direct"))
    s.open()
    expect_redirect(s, "other.example")


@pytest.mark.parametrize("address", NO_ADDRESSES)
@pytest.mark.parametrize("option", ["see_other_host", "see_other_host_when_draining"])
def test_what_is_no_address(server, option, address):
    """Nothing takes effect, and the message says what was expected."""
    server.config["host_config"] = {"example.test": {option: address}}
    server.write_config()
    status, body = server.api_raw("reload_config", "{}")
    assert status == 400 and option in body
    del server.config["host_config"]
    server.write_config()


def test_moving_a_host_while_clients_are_connected(new_server, streams):
    """A reload sends away who is logged in, who is about to, and who comes; the others hear nothing; back again it serves."""
    server = new_server().start()
    user = server.register(host="example.test")
    stays, goes = streams(server.login()), streams(server.login(user, host="example.test"))
    halfway = streams(server.stream(to="example.test"))
    halfway.open_features()
    server.config["host_config"] = {"example.test": {"see_other_host": "other.example"}}
    server.reload()
    for s in (goes, halfway):
        expect_redirect(s, "other.example")
    late = streams(server.stream(to="example.test"))
    late.open()
    expect_redirect(late, "other.example")
    stays.ping()
    assert server.api("connected_users_vhost", host="example.test") == []
    del server.config["host_config"]
    server.reload()
    streams(server.login(user, host="example.test")).ping()


def test_header_behind_the_login(new_server, streams):
    """The option may come between the login and the stream that follows it."""
    server = new_server().start()
    s = streams(server.stream())
    s.open_features()
    s.authenticate(server.register(), PASSWORD)
    s._new_parser()
    server.config["see_other_host"] = "other.example"
    server.reload()
    expect_redirect(s, "other.example")


def test_evacuation(new_server, streams):
    """Who is connected is told at the end, who comes at once; sessions go on until then."""
    server = new_server(lambda c: c.update(see_other_host_when_draining="other.example:5222")).start()
    user = server.register()
    s = streams(server.login(user, presence=True))
    unopened, halfway = streams(server.stream()), streams(server.stream())
    halfway.open_features()
    with pytest.raises(Exception):
        server.api("evacuate_kindly", delay=600, announcement="")
    until(lambda: "Waiting" in server.log(), "the waiting")
    expect_redirect(halfway, "other.example:5222")
    for late in (unopened, streams(server.stream()), streams(server.stream(to="example.test"))):
        late.open()
        expect_redirect(late, "other.example:5222")
    with pytest.raises((ConnectionRefusedError, Ended)):  # listeners for anything else are closed
        streams(server.stream(server.http)).open()
    s.ping()
    assert server.ctl("stop").returncode == 0
    expect_redirect(s, "other.example:5222")
    server.expect_clean_exit()


def test_evacuated(new_server, streams):
    """Nobody is served afterwards, everybody is told; a restart serves again."""
    server = new_server(lambda c: c.update(see_other_host_when_draining="other.example")).start()
    user = server.register()
    s = streams(server.login(user))
    assert server.ctl("evacuate_kindly", "0", "").returncode == 0
    expect_redirect(s, "other.example")
    late = streams(server.stream())
    late.open()
    expect_redirect(late, "other.example")
    assert server.ctl("restart").returncode == 0
    server.expect_notice("READY=1")
    streams(server.login(user)).ping()


def test_hosts_without_the_option(new_server, streams):
    """Per host: whoever has nowhere to go hears system-shutdown as before."""
    server = new_server(lambda c: c.update(host_config={"example.test": {"see_other_host_when_draining": "other.example"}})).start()
    here, there = streams(server.login()), streams(server.login(host="example.test"))
    assert server.ctl("evacuate_kindly", "0", "").returncode == 0
    expect_redirect(there, "other.example")
    here.expect_stream_error("system-shutdown")
    late = streams(server.stream())
    late.open()
    late.expect_stream_error("system-shutdown")


def test_not_without_need(new_server, streams):
    """A plain stop is no drain: clients come back to where they were."""
    server = new_server(lambda c: c.update(see_other_host_when_draining="other.example")).start()
    s = streams(server.login())
    s.ping()
    assert server.ctl("stop").returncode == 0
    s.expect_stream_error("system-shutdown")
    server.expect_clean_exit()


def test_what_the_client_does_not_have_is_kept(new_server, streams):
    """A session that is sent away is over, resumable or not: messages it did not acknowledge wait for the next one (XEP-0160)."""
    def change(config):
        config["modules"].update(mod_stream_mgmt={"resend_on_timeout": True}, mod_offline={})
    server = new_server(change).start()
    a, user = streams(server.login()), server.register()
    s = streams(server.login(user, presence=True))
    Sm(s).enable(resume=True)
    a.message(s.bare, "kept")
    s.expect_message("kept")
    server.config["see_other_host"] = "other.example"
    server.reload()
    expect_redirect(s, "other.example")
    until(lambda: server.api("get_offline_count", user=user, host="localhost") == 1, "the message to be stored")
    del server.config["see_other_host"]
    server.reload()
    again = streams(server.login(user))
    again.send("<presence/>")
    again.expect_message("kept")
