"""How many sessions an account has, and from where it gets in: max_user_sessions with rules, over SASL2, with sessions that lost their
stream; `access` of a listener over every way of binding."""
import pytest

from sm import Sm, authenticated
from sm import resume as resume_sm
from test_sasl2 import answer, bind2, entered, identity, plain
from xmppstream import error_of, q, until

NS_BIND = "urn:ietf:params:xml:ns:xmpp-bind"


def configure(config):
    config["acl"].update(many={"user": ["boss"]}, endless={"user": ["root"]}, barred={"user": ["barred"]})
    config["shaper_rules"]["max_user_sessions"] = [{"4": "many"}, {"infinity": "endless"}, {"2": "all"}]
    config["access_rules"]["c2s"] = [{"deny": "barred"}, {"allow": "all"}]
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60}
    next(l for l in config["listen"] if l.get("starttls"))["allow_unencrypted_sasl2"] = True


def left(server, user):
    return server.api("num_resources", user=user, host="localhost")


@pytest.mark.parametrize("user, most", [("boss", 4), ("anybody", 2), ("root", 12)])
def test_by_rule(server, streams, user, most):
    """The first rule that matches decides; the oldest session makes room (RFC 6120 §7.7.2.2 leaves it to the server)."""
    server.api("register", user=user, host="localhost", password="secret")
    opened = [streams(server.login(user, f"r{i}")) for i in range(12)]
    for s in opened[:len(opened) - most]:
        s.expect_stream_error("conflict")
    for s in opened[len(opened) - most:]:
        s.ping()
    assert left(server, user) == most


def test_over_sasl2(server, streams):
    """Bind 2 (XEP-0386) counts like the other way of binding."""
    user = server.register()
    first = streams(server.login(user, "first"))
    streams(server.login(user, "second"))
    entered(server, streams, user=user)
    first.expect_stream_error("conflict")
    assert left(server, user) == 2


def test_session_that_lost_its_stream(server, streams):
    """XEP-0198 §5: it counts until it is resumed or over, and is the one to go when it is the oldest."""
    user = server.register()
    s = streams(server.login(user, "lost"))
    sm = Sm(s)
    sm.enable(resume=True)
    s.drop()
    streams(server.login(user, "second")).ping()
    assert left(server, user) == 2
    streams(server.login(user, "third")).ping()
    assert left(server, user) == 2
    again = streams(authenticated(server, user, "secret"))
    assert resume_sm(again, sm.id, 0).tag.endswith("}failed")


def test_resuming_makes_no_second_one(server, streams):
    user = server.register()
    other, s = streams(server.login(user, "other")), streams(server.login(user, "r"))
    sm = Sm(s)
    sm.enable(resume=True)
    s.drop()
    again = streams(authenticated(server, user, "secret"))
    assert resume_sm(again, sm.id, 0).tag.endswith("}resumed")
    other.ping()
    assert left(server, user) == 2


def test_access_at_every_way_in(server, streams):
    """The listener's rule is asked when a resource is bound, whichever way."""
    server.api("register", user="barred", host="localhost", password="secret")
    s = streams(authenticated(server, "barred", "secret"))
    s.send(f"<iq type='set' id='b'><bind xmlns='{NS_BIND}'/></iq>")
    assert error_of(s.expect_id("b")) == ("auth", "forbidden")
    s = streams(server.stream())
    s.open_features()
    plain(s, "barred", bind2())
    s.expect_stream_error("policy-violation")
    s = streams(server.stream())
    s.open_features()
    plain(s, "barred")
    assert identity(answer(s, "success")) == "barred@localhost"
    s.expect_tag(q("stream", "features"))
    s.send(f"<iq type='set' id='b'><bind xmlns='{NS_BIND}'/></iq>")
    assert error_of(s.expect_id("b")) == ("auth", "forbidden")
    assert left(server, "barred") == 0


def test_access_by_address(new_server, streams):
    """An acl of addresses: the account gets in from one place and not from another."""
    def change(config):
        config["acl"]["near"] = {"ip": ["127.0.0.2/32"]}
        config["access_rules"]["c2s"] = [{"allow": "near"}]
    server = new_server(change).start()
    user = server.register()
    streams(server.login(user, source="127.0.0.2")).ping()
    s = streams(server.stream(source="127.0.0.3"))
    s.open_features()
    s.authenticate(user, "secret")
    s.open_features()
    s.send(f"<iq type='set' id='b'><bind xmlns='{NS_BIND}'/></iq>")
    assert error_of(s.expect_id("b")) == ("auth", "forbidden")


def test_limit_lowered_by_a_reload(new_server, streams):
    """What is open stays; the next login brings the account to the new number."""
    server = new_server().start()
    user = server.register()
    opened = [streams(server.login(user, f"r{i}")) for i in range(5)]
    server.config["shaper_rules"]["max_user_sessions"] = 2
    server.reload()
    for s in opened:
        s.ping()
    streams(server.login(user, "new")).ping()
    for s in opened[:4]:
        s.expect_stream_error("conflict")
    until(lambda: left(server, user) == 2, "two sessions")
    opened[4].ping()
