"""Resource binding (RFC 6120 §7), what happens when a resource is in use, how many sessions an account may have."""
import pytest

from server import PASSWORD
from xmppstream import NS, Stream, error_of, q

CONFLICT = {"set.test": "setresource", "old.test": "closeold", "new.test": "closenew", "accept.test": "acceptnew"}


def configure(config):
    config["hosts"] += [*CONFLICT, "three.test"]
    config["host_config"] = {host: {"resource_conflict": how} for host, how in CONFLICT.items()}
    config["host_config"]["three.test"] = {"shaper_rules": {"max_user_sessions": 3}}
    config["acl"]["blocked"] = {"user": ["blocked@localhost"]}


def authenticated(server, streams, user, host="localhost"):
    s = streams(Stream(server.c2s, to=host))
    s.open_features()
    s.authenticate(user, PASSWORD)
    s.open_features()
    return s


def ask(s, resource, id_="b"):
    s.send(f"<iq type='set' id='{id_}'><bind xmlns='{NS['bind']}'>" + (f"<resource>{resource}</resource>" if resource is not None
           else "") + "</bind></iq>")
    return s.expect_id(id_)


def test_chosen_resource(server, streams):
    user = server.register()
    s = authenticated(server, streams, user)
    assert s.bind("balcony") == f"{user}@localhost/balcony"


@pytest.mark.parametrize("resource", [None, ""], ids=["missing", "empty"])
def test_server_chooses(server, streams, resource):
    user = server.register()
    jids = {authenticated(server, streams, user).bind(resource) for _ in range(3)}
    assert len(jids) == 3
    assert all(j.startswith(f"{user}@localhost/") and len(j.partition("/")[2]) >= 8 for j in jids)


@pytest.mark.parametrize("resource", ["/", "a/b@c", "ⅸ ✓ 日本", "a" * 1023, "x y"])
def test_unusual_resources(server, streams, resource):
    s = authenticated(server, streams, server.register())
    jid = s.bind(resource)
    s.send(f"<message to='{jid}' id='self'><body>x</body></message>")
    assert s.expect_id("self").get("to") == jid


@pytest.mark.parametrize("resource", ["a" * 1024, "\u200e", "a&#9;b"], ids=["1024 bytes", "prohibited", "control"])
def test_impossible_resources(server, streams, resource):
    s = authenticated(server, streams, server.register())
    el = ask(s, resource)
    assert error_of(el) == ("modify", "bad-request")
    s.bind("good")  # another try is allowed (RFC 6120 §7.7.2.1)
    s.ping()


def test_only_one_bind(server, streams):
    s = authenticated(server, streams, server.register())
    s.bind("r")
    assert error_of(ask(s, "other")) is not None
    s.ping()


def test_session_request_of_old_clients(server, streams):
    """RFC 3921 §3: not needed any more, but answered."""
    s = authenticated(server, streams, server.register())
    s.bind("r")
    for to in (None, "localhost"):
        el = s.iq(f"<session xmlns='{NS['session']}'/>", to, "set")
        assert el.get("type") == "result"


def test_access_rule_of_the_listener(server, streams):
    if server.api_raw("check_account", '{"user": "blocked", "host": "localhost"}')[1] != "0":
        server.api("register", user="blocked", host="localhost", password=PASSWORD)
    s = streams(Stream(server.c2s))
    s.open_features()
    s.authenticate("blocked", PASSWORD)
    s.open_features()
    assert error_of(ask(s, "r")) is not None


def test_access_rule_written_in_place(new_server, streams):
    """A rule in the listener itself, and still after a reload that changes something else."""
    server = new_server()
    address = server.add_listener(access=[{"deny": {"user": "barred@localhost"}}, {"allow": "all"}])
    server.start()
    server.api("register", user="barred", host="localhost", password=PASSWORD)
    for user, allowed in (("barred", False), (server.register(), True)):
        s = streams(Stream(address))
        s.open_features()
        s.authenticate(user, PASSWORD)
        s.open_features()
        assert (error_of(ask(s, "r")) is None) == allowed
    server.config["loglevel"] = "warning"
    server.write_config()
    server.api("reload_config")
    s = streams(Stream(address))
    s.open_features()
    s.authenticate("barred", PASSWORD)
    s.open_features()
    assert error_of(ask(s, "r")) is not None


# --- conflicts ---

def two(server, streams, host, resource="r"):
    user = server.register(host=host)
    first = streams(server.login(user, resource, host=host))
    second = authenticated(server, streams, user, host)
    return user, first, second


@pytest.mark.parametrize("host", ["old.test", "accept.test", "localhost"])
def test_conflict_closes_the_old_session(server, streams, host):
    user, first, second = two(server, streams, host)
    assert second.bind("r") == f"{user}@{host}/r"
    first.expect_stream_error("conflict")
    second.ping()


def test_conflict_closes_the_new_session(server, streams):
    user, first, second = two(server, streams, "new.test")
    assert error_of(ask(second, "r"))[1] == "conflict"
    first.ping()
    assert second.bind("s") == f"{user}@new.test/s"


def test_conflict_gives_another_resource(server, streams):
    user, first, second = two(server, streams, "set.test")
    jid = second.bind("r")
    assert jid.startswith(f"{user}@set.test/") and jid != first.jid
    first.ping()
    second.ping()


def test_conflict_of_prepared_names(server, streams):
    """ⅸ is ix after resourceprep: the same resource."""
    user, first, second = two(server, streams, "old.test", "ix")
    assert second.bind("ⅸ") == f"{user}@old.test/ix"
    first.expect_stream_error("conflict")


def test_replaced_session_announces_its_end(server, streams):
    user = server.register()
    watcher = streams(server.login(user, "watcher", presence=True))
    first = streams(server.login(user, "r", presence=True))
    watcher.expect(lambda e: e.get("from") == first.jid and e.get("type") is None)
    second = streams(server.login(user, "r"))
    first.expect_stream_error("conflict")
    watcher.expect(lambda e: e.get("from") == second.jid and e.get("type") == "unavailable", "unavailable presence")


def test_messages_follow_the_new_session(server, streams):
    user, first, second = two(server, streams, "old.test")
    second.bind("r")
    first.expect_stream_error("conflict")
    other = streams(server.login(host="old.test"))
    other.message(second.jid, "after")
    second.expect_message("after")


# --- how many ---

def test_max_user_sessions_closes_the_oldest(server, streams):
    user = server.register(host="three.test")
    opened = [streams(server.login(user, f"r{i}", host="three.test")) for i in range(5)]
    for s in opened[:2]:
        s.expect_stream_error("conflict")
    for s in opened[2:]:
        s.ping()
    assert server.api("num_resources", user=user, host="three.test") == 3


def test_kicked_session(server, streams):
    s = streams(server.login(resource="r"))
    server.api("kick_session", user=s.name, host="localhost", resource="r", reason="go away & <hide>")
    s.expect_stream_error("conflict")


def test_removed_account_is_logged_out(server, streams):
    s = streams(server.login(resource="r"))
    server.api("unregister", user=s.name, host="localhost")
    s.expect_stream_error(("conflict", "not-authorized", "reset"))
