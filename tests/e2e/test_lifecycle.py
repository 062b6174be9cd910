"""Start, stop, reload, crash: what clients see and what is kept."""
import http.client
import json
import signal
import threading

import pytest

import certs
from server import PASSWORD, ApiError
from xmppstream import Ended, Stream, until


# --- stop ---

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_stop_by_signal(new_server, streams, number):
    """Every stream is told system-shutdown; exit code 0."""
    server = new_server().start()
    sessions = [streams(server.login(presence=i % 2 == 0, tls="direct", address=server.tls) if i % 3 == 0 else server.login())
                for i in range(20)]
    halfway = streams(server.stream())
    halfway.open_features()
    server.signal(number)
    for s in sessions + [halfway]:
        s.expect_stream_error("system-shutdown")
    server.expect_clean_exit()


def test_stop_does_not_wait_for_the_stubborn(new_server, streams):
    """Peers that neither read nor close, that are in the middle of TLS or of a stanza, do not hold the end up."""
    server = new_server().start()
    s = streams(server.login())
    s.send("<message to='nobody@localhost'><body>unfinished")
    deaf = streams(server.login(rcvbuf=4096))
    deaf.send("<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>" * 4000)
    for address in (server.c2s, server.tls, server.http):
        streams(Stream(address))
    server.stop()


def test_stop_by_command(new_server, streams):
    server = new_server().start()
    s = streams(server.login())
    assert server.api("stop") == 0
    s.expect_stream_error("system-shutdown")
    server.expect_clean_exit()


def test_stop_and_start_again(new_server, streams):
    server = new_server().start()
    user = server.register()
    server.stop()
    server.start()
    streams(server.login(user)).ping()


def test_two_servers_cannot_share_a_spool(new_server):
    first = new_server().start()
    second = new_server()
    second.spool = first.spool
    with pytest.raises(AssertionError, match="did not start"):
        second.start()
    first.api("status")


def test_port_in_use_is_said(new_server):
    first = new_server().start()

    def same_port(config):
        config["listen"][0]["port"] = first.c2s[1]

    second = new_server(same_port, allow_errors=True)
    # Ports are shared among the sockets of one server only: another one that asks for it is told.
    with pytest.raises(AssertionError, match="did not start"):
        second.start()
    first.login().close()


# --- check-config ---

@pytest.mark.parametrize("change,words", [
    (lambda c: c.update(hostz=["x"]), ["hostz", "hosts"]),
    (lambda c: c.update(hosts=7), ["hosts"]),
    (lambda c: c["listen"][0].update(portt=1), ["portt", "port"]),
    (lambda c: c["listen"][0].update(port="many"), ["port"]),
    (lambda c: c.update(certfiles=["/nonexistent.pem"]), ["/nonexistent.pem"]),
    (lambda c: c.update(loglevel="loud"), ["loglevel"]),
    (lambda c: c.pop("hosts"), ["hosts"]),
], ids=["unknown option", "wrong type", "unknown listener option", "wrong listener type", "missing certificate", "unknown word", "no hosts"])
def test_wrong_configuration_is_refused_with_the_place(new_server, change, words):
    server = new_server(change, allow_errors=True)
    with pytest.raises(AssertionError, match="did not start") as e:
        server.start()
    for word in words:
        assert word in str(e.value)


# --- reload ---

@pytest.fixture
def live(new_server, streams):
    """A running server and a few sessions that must survive."""
    server = new_server().start()
    sessions = [streams(server.login(presence=True)), streams(server.login(tls="direct", address=server.tls, presence=True))]
    return server, sessions


def survive(sessions):
    for s in sessions:
        s.ping()
    sessions[0].message(sessions[1].jid, "still here")
    sessions[1].expect_message("still here")


def test_reload_changes_the_loglevel(live):
    server, sessions = live
    server.config["loglevel"] = "debug"
    server.reload()
    assert server.api("get_loglevel") == "debug"
    survive(sessions)


def test_reload_by_hangup(live):
    server, sessions = live
    server.config["loglevel"] = "warning"
    server.write_config()
    server.signal(signal.SIGHUP)
    until(lambda: server.api("get_loglevel") == "warning", "the new loglevel")
    survive(sessions)


def test_reload_adds_and_removes_a_host(live, streams):
    server, sessions = live
    server.config["hosts"].append("added.test")
    server.reload()
    assert "added.test" in server.api("registered_vhosts")
    added = streams(server.login(host="added.test"))
    added.message(sessions[0].jid, "from the new host")
    sessions[0].expect_message("from the new host")
    server.config["hosts"].remove("added.test")
    server.reload()
    added.expect_stream_error("host-gone")
    refused = streams(server.stream(to="added.test"))
    refused.open()
    refused.expect_stream_error("host-unknown")
    survive(sessions)


def test_reload_changes_the_order_of_hosts(live, streams):
    """Positions of hosts move under the feet of sessions."""
    server, sessions = live
    other = streams(server.login(host="example.test", presence=True))
    server.config["hosts"] = ["first.test", "example.test", "localhost"]
    server.reload()
    survive(sessions)
    other.ping("example.test")
    other.message(sessions[0].jid, "across")
    sessions[0].expect_message("across")
    assert server.api("connected_users_vhost", host="example.test") == [other.jid]
    assert server.api("stats_host", name="onlineusers", host="localhost") == 2
    assert server.api("stats_host", name="onlineusers", host="first.test") == 0


def test_reload_adds_and_removes_a_listener(live, streams):
    server, sessions = live
    address = server.add_listener(starttls=True)
    server.reload()
    s = streams(server.login(address=address))
    server.config["listen"].pop()
    server.reload()
    s.ping()  # connections of a listener that is gone go on
    with pytest.raises((ConnectionRefusedError, Ended)):
        streams(server.stream(address)).open()
    survive(sessions)


def test_reload_changes_a_listener(live, streams):
    server, sessions = live
    server.listener(server.c2s)["max_stanza_size"] = 1000
    server.reload()
    survive(sessions)
    s = streams(server.login())
    s.message(s.jid, "x" * 2000)
    s.expect_stream_error("policy-violation")


def test_reload_of_a_wrong_configuration_changes_nothing(live):
    server, sessions = live
    server.config["loglevel"] = "debug"
    server.config["nonsense"] = 1
    with pytest.raises(ApiError):
        server.reload()
    assert server.api("get_loglevel") == "info"
    survive(sessions)
    del server.config["nonsense"]
    server.reload()
    assert server.api("get_loglevel") == "debug"


def test_reload_unloads_a_module(live):
    server, sessions = live
    del server.config["modules"]["mod_version"]
    server.reload()
    el = sessions[0].iq("<query xmlns='jabber:iq:version'/>", "localhost")
    assert el.get("type") == "error"
    server.config["modules"]["mod_version"] = {}
    server.reload()
    el = sessions[0].iq("<query xmlns='jabber:iq:version'/>", "localhost")
    assert el.get("type") == "result"
    survive(sessions)


def test_reload_under_load(new_server, streams):
    """Again and again, with alternating configurations, while clients log in and chat."""
    server = new_server().start()
    a, b = streams(server.login()), streams(server.login())
    stop, failures = threading.Event(), []

    def churn():
        try:
            while not stop.is_set():
                server.login(presence=True).close()
        except BaseException as e:
            failures.append(e)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for n in range(30):
            server.config["loglevel"] = ("info", "notice")[n % 2]
            if n % 5 == 0:
                server.config["hosts"] = ["localhost", "example.test", *(["extra.test"] if n % 10 == 0 else [])]
            server.reload()
            a.message(b.jid, str(n))
            b.expect_message(str(n))
    finally:
        stop.set()
        thread.join()
    assert not failures, failures[0]


# --- crash ---

def test_kill_keeps_what_was_acknowledged(new_server):
    """kill -9 in the middle of registrations from several connections: every account that got its 200 is there."""
    server = new_server().start()
    for round_ in range(3):
        acknowledged = [[] for _ in range(4)]
        enough = threading.Semaphore(0)

        def register(mine, worker, round_=round_):
            conn = http.client.HTTPConnection(*server.http)
            try:
                for n in range(100000):
                    user = f"k{round_}-{worker}-{n}"
                    conn.request("POST", "/api/register", json.dumps({"user": user, "host": "localhost", "password": f"pw-{user}"}))
                    r = conn.getresponse()
                    r.read()
                    if r.status != 200:
                        return
                    mine.append(user)
                    enough.release()
            except (OSError, http.client.HTTPException):
                pass

        threads = [threading.Thread(target=register, args=(acknowledged[i], i)) for i in range(4)]
        for t in threads:
            t.start()
        for _ in range(40):
            assert enough.acquire(timeout=60)
        server.kill()
        for t in threads:
            t.join()
        server.start()
        there = set(server.api("registered_users", host="localhost"))
        names = {user for mine in acknowledged for user in mine}
        assert names <= there, sorted(names - there)
        for mine in acknowledged:
            server.login(mine[-1], password=f"pw-{mine[-1]}", mechanism="SCRAM-SHA-1").close()


def test_kill_keeps_password_changes_and_removals(new_server, streams):
    server = new_server().start()
    changed, removed, last = server.register(), server.register(), server.register()
    server.api("change_password", user=changed, host="localhost", newpass="new")
    server.api("unregister", user=removed, host="localhost")
    server.api("set_last", user=last, host="localhost", timestamp=1234567890, status="words")
    server.kill()
    server.start()
    assert server.api("check_password", user=changed, host="localhost", password="new") == 0
    assert server.api("check_password", user=changed, host="localhost", password=PASSWORD) == 1
    assert server.api("check_account", user=removed, host="localhost") == 1
    assert server.api("get_last", user=last, host="localhost")["status"] == "words"


def test_kill_then_all_ports_at_once(new_server, streams):
    """What a crash leaves behind (pid file, control socket, journal) is no obstacle."""
    server = new_server().start()
    user = server.register()
    for _ in range(5):
        server.kill()
        server.start()
        streams(server.login(user)).ping()
        assert server.ctl("status").returncode == 0


# --- certificates ---

def serial(server, streams, sni, **options):
    s = streams(server.stream(server.tls, tls="direct", sni=sni, to="localhost", **options))
    return s.tls.certificate().get_serial_number()


def test_certificate_by_name(new_server, streams, tmp_path):
    def change(config):
        config["hosts"] += ["one.test", "two.test"]
        config["certfiles"] = [str(certs.make(tmp_path / f"{i}.pem", names, i)) for i, names in
                               ((11, ["localhost"]), (12, ["one.test"]), (13, ["*.test"]))]

    server = new_server(change).start()
    assert serial(server, streams, "localhost") == 11
    assert serial(server, streams, "one.test") == 12
    assert serial(server, streams, "two.test") == 13
    assert serial(server, streams, "") == 11  # no name: the first host
    # STARTTLS without SNI: the host of the stream header decides (RFC 6120 §13.7.1.2)
    s = streams(server.stream(to="one.test", sni=""))
    s.open_features()
    s.starttls()
    assert s.tls.certificate().get_serial_number() == 12


def test_certificate_reload(new_server, streams, tmp_path):
    server = new_server(lambda c: c.update(certfiles=[str(certs.make(tmp_path / "c.pem", ["localhost", "example.test"], 21))])).start()
    s = streams(server.login(tls="direct", address=server.tls))
    assert s.tls.certificate().get_serial_number() == 21
    certs.make(tmp_path / "c.pem", ["localhost", "example.test"], 22)
    server.reload()
    assert serial(server, streams, "localhost") == 22
    s.ping()  # connections made with the old one go on


def test_broken_certificate_is_refused_on_reload(new_server, streams, tmp_path):
    server = new_server(lambda c: c.update(certfiles=[str(certs.make(tmp_path / "c.pem", ["localhost", "example.test"], 31))])).start()
    (tmp_path / "c.pem").write_text("no certificate")
    with pytest.raises(ApiError):
        server.reload()
    assert serial(server, streams, "localhost") == 31


def test_self_signed_for_hosts_without(new_server, streams):
    server = new_server(lambda c: c.pop("certfiles")).start()
    s = streams(server.stream(server.tls, tls="direct"))
    assert "localhost" in s.tls.certificate_names()
    first = s.tls.certificate().get_serial_number()
    server.stop()
    server.start()
    assert serial(server, streams, "localhost") == first  # made once, clients may have pinned it
