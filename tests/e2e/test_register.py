"""In-band registration (XEP-0077): accounts made, changed and removed by clients, and the limits of that."""
import pytest

from server import unique
from xmppstream import error_of, local, q, text_of_error

R = "{jabber:iq:register}"
QUERY = "<query xmlns='jabber:iq:register'>{}</query>"


def configure(config):
    config["registration_timeout"] = "infinity"
    config["modules"]["mod_register"] = {"password_strength": 20, "welcome_message": {"subject": "Hi", "body": "Be nice."}}


def fields(user, password="Secret-1"):
    return QUERY.format(f"<username>{user}</username><password>{password}</password>")


@pytest.fixture
def early(server, streams):
    s = streams(server.stream())
    s.features = s.open_features()
    return s


def log_in(server, streams, name, password="Secret-1"):
    return streams(server.login(name, password=password))


def test_offered(early):
    """§8: the stream feature, and the fields to fill in (§3.1)."""
    assert early.features.find("{http://jabber.org/features/iq-register}register") is not None
    asked = early.iq(QUERY.format(""), to="localhost").find(f"{R}query")
    assert [local(e) for e in asked] == ["username", "password", "instructions"]


def test_register(server, streams, early):
    """§3.1, examples 3 and 4, then a login on the same stream."""
    name = unique("new")
    assert early.iq(fields(name), type_="set").get("type") == "result"
    early.authenticate(name, "Secret-1")
    assert error_of(streams(opened(server)).iq(fields(name), type_="set")) == ("cancel", "conflict")
    me = log_in(server, streams, name)
    assert [local(e) for e in me.iq(QUERY.format(""), to="localhost").find(f"{R}query")] == [
        "username", "registered", "password", "instructions"]


def opened(server):
    s = server.stream()
    s.open_features()
    return s


def test_register_with_a_form(server, streams, early):
    """§4: a submitted data form."""
    name = unique("form")
    form = "<x xmlns='jabber:x:data' type='submit'>" + "".join(
        f"<field var='{k}'><value>{v}</value></field>" for k, v in (("username", name), ("password", "Secret-1"))) + "</x>"
    assert early.iq(QUERY.format(form), type_="set").get("type") == "result"
    log_in(server, streams, name)


@pytest.mark.parametrize("inner, error", [
    ("<username>x</username>", ("modify", "not-acceptable")),
    ("<password>Secret-1</password>", ("modify", "not-acceptable")),
    ("<username>a b</username><password>Secret-1</password>", ("modify", "jid-malformed")),
    ("<username></username><password>Secret-1</password>", ("modify", "jid-malformed")),
    ("<username>weak</username><password>abcd</password>", ("modify", "not-acceptable")),
    ("<username>empty</username><password></password>", ("modify", "not-acceptable")),
    ("<remove/>", ("auth", "forbidden")),
])
def test_refused(early, inner, error):
    assert error_of(early.iq(QUERY.format(inner), type_="set")) == error


def test_anything_else_ends_the_stream(early):
    early.send("<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>")
    early.expect_stream_error("not-authorized")


def test_change_password(server, streams):
    """§3.3."""
    name = server.register()
    me = streams(server.login(name))
    assert me.iq(fields(name, "Another-2"), to="localhost", type_="set").get("type") == "result"
    log_in(server, streams, name, "Another-2").ping()
    assert error_of(me.iq(fields(name, ""), to="localhost", type_="set")) == ("cancel", "not-allowed")
    assert error_of(me.iq(fields(name, "weak"), to="localhost", type_="set")) == ("modify", "not-acceptable")
    assert error_of(me.iq(QUERY.format(f"<username>{name}</username>"), to="localhost", type_="set")) == ("modify", "bad-request")
    for who, to in ((server.register(), "localhost"), (unique("none"), "localhost"), (name, f"{server.register()}@localhost"),
                    (name, "example.test")):
        assert error_of(me.iq(fields(who), to=to, type_="set")) == ("auth", "forbidden")


def test_remove(server, streams):
    """§3.2: the account is gone, its sessions end."""
    name = server.register()
    me, other = streams(server.login(name)), streams(server.login(name))
    assert error_of(me.iq(QUERY.format("<remove/>"), to="example.test", type_="set")) == ("auth", "forbidden")
    assert error_of(me.iq(QUERY.format("<remove/><username>x</username>"), to="localhost", type_="set")) == ("modify", "bad-request")
    assert me.iq(QUERY.format("<remove/>"), to="localhost", type_="set").get("type") == "result"
    me.expect_stream_error("conflict")
    other.expect_stream_error("conflict")
    assert server.api("check_account", user=name, host="localhost") == 1


def test_for_others(new_server, streams):
    """Options access_from and allow_modules: accounts that somebody who is logged in makes for others."""
    def change(config):
        config["registration_timeout"] = "infinity"
        config["acl"]["helper"] = {"user_glob": ["helper*"]}
        config["modules"]["mod_register"] = {"access_from": [{"allow": "helper"}]}

    server = new_server(change)
    server.start()
    helper, other = (streams(server.login(server.register(n))) for n in ("helper", "other"))
    assert error_of(other.iq(fields("pupil"), to="localhost", type_="set")) == ("auth", "forbidden")
    assert helper.iq(fields("pupil"), to="localhost", type_="set").get("type") == "result"
    log_in(server, streams, "pupil").ping()
    server.config["modules"]["mod_register"] = {"allow_modules": ["mod_register_web"]}
    server.write_config()
    server.reload()
    assert error_of(streams(opened(server)).iq(fields("alone"), type_="set")) == ("auth", "forbidden")


def test_limits(new_server, streams):
    """Options access, registration_timeout, registration_watchers, ip_access."""
    def change(config):
        config["registration_timeout"] = "10 minutes"
        config["acl"]["reserved"] = {"user_glob": ["adm*"]}
        config["modules"]["mod_register"] = {"access": [{"deny": "reserved"}, {"allow": "all"}],
                                             "registration_watchers": ["watcher@localhost"], "access_remove": "none"}

    server = new_server(change)
    server.start()
    server.api("register", user="watcher", host="localhost", password="secret")
    watcher = streams(server.login("watcher", presence=True))
    s = streams(opened(server))
    assert error_of(s.iq(fields("adm-1"), type_="set")) == ("auth", "forbidden")
    assert error_of(s.iq(fields("watcher"), type_="set")) == ("cancel", "conflict")
    assert s.iq(fields("first"), type_="set").get("type") == "result"
    assert "first@localhost" in watcher.expect_message().findtext(q("client", "body"))
    el = streams(opened(server)).iq(fields("second"), type_="set")
    assert error_of(el) == ("wait", "resource-constraint") and "quickly" in text_of_error(el)
    assert server.api("check_account", user="second", host="localhost") == 1
    me = streams(server.login("first", password="Secret-1"))
    assert error_of(me.iq(QUERY.format("<remove/>"), to="localhost", type_="set")) == ("auth", "forbidden")
    server.config["modules"]["mod_register"] = {"ip_access": "none"}
    server.write_config()
    server.reload()
    s = server.stream()
    assert streams(s).open_features().find("{http://jabber.org/features/iq-register}register") is None
    assert error_of(s.iq(QUERY.format(""))) == ("auth", "forbidden")


def test_without_captchas_nobody_comes_in(new_server, streams):
    """Option captcha_protected: what cannot be asked is not taken for answered. Accounts go on."""
    server = new_server(lambda c: c["modules"].update(mod_register={"captcha_protected": True}))
    server.start()
    s = server.stream()
    assert streams(s).open_features().find("{http://jabber.org/features/iq-register}register") is None
    for type_, inner in (("get", ""), ("set", "<username>robot</username><password>Secret-1</password>")):
        assert error_of(s.iq(QUERY.format(inner), type_=type_))[1] == "internal-server-error"
    assert server.api("check_account", user="robot", host="localhost") == 1
    name = server.register()
    me = streams(server.login(name))
    assert me.iq(fields(name, "Another-2"), to="localhost", type_="set").get("type") == "result"


def test_elsewhere(new_server, streams):
    """Option redirect_url: §5."""
    server = new_server(lambda c: c["modules"].update(mod_register={"redirect_url": "https://example.test/new"}))
    server.start()
    asked = streams(opened(server)).iq(QUERY.format("")).find(f"{R}query")
    assert asked.findtext("{jabber:x:oob}x/{jabber:x:oob}url") == "https://example.test/new"
