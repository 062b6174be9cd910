"""ejabberd_xmlrpc: Python's own client, and bodies written by hand as other clients send them."""
import http.client
import xmlrpc.client
import xml.etree.ElementTree as ET

import pytest

from server import PASSWORD, free_port, unique

UNKNOWN_CALL, DOUBLED, MISSING, PROBLEM, UNUSED, UNFIT = -112, -114, -116, -118, -120, -122


def configure(config):
    http_listener = next(l for l in config["listen"] if l["module"] == "ejabberd_http")
    http_listener["request_handlers"]["/xmlrpc"] = "ejabberd_xmlrpc"
    config["listen"].append({"port": free_port(), "ip": http_listener["ip"], "module": "ejabberd_xmlrpc", "tag": "own"})
    config["acl"]["boss"] = {"user": ["boss@localhost"]}
    config["acl"]["sub"] = {"user": ["sub@localhost"]}
    config["api_permissions"] = {
        "tests": {"from": ["mod_http_api"], "who": "all", "what": "*"},
        "anonymous": {"from": "ejabberd_xmlrpc", "who": {"acl": "loopback"},
                      "what": ["check_account", "registered_users", "get_last", "set_last", "registered_vhosts", "register",
                               "stats"]},
        "boss": {"from": "ejabberd_xmlrpc", "who": {"acl": "boss"}, "what": ["*", "!stop"]},
        "tagged": {"from": {"tag": "own"}, "who": {"acl": "sub"}, "what": "status"}}


def own_port(server):
    return next(l for l in server.config["listen"] if l["module"] == "ejabberd_xmlrpc")["port"]


@pytest.fixture(scope="module")
def boss(server):
    server.api("register", user="boss", host="localhost", password="pw")
    return {"user": "boss", "server": "localhost", "password": "pw"}


@pytest.fixture(params=["handler", "listener"])
def proxy(request, server):
    handler = request.param == "handler"
    url = f"http://{server.ip}:{server.http[1] if handler else own_port(server)}/{'xmlrpc' if handler else 'RPC2'}"
    with xmlrpc.client.ServerProxy(url, allow_none=True, use_builtin_types=True) as p:
        yield p


def post(server, body, path="/xmlrpc", method="POST", headers=None):
    c = http.client.HTTPConnection(server.ip, server.http[1], timeout=60)
    try:
        c.request(method, path, body, headers or {"Content-Type": "text/xml"})
        r = c.getresponse()
        return r.status, r.getheader("Content-Type"), r.read()
    finally:
        c.close()


def call(server, body):
    status, kind, answer = post(server, body)
    assert (status, kind) == (200, "text/xml"), answer
    return xmlrpc.client.loads(answer)[0][0]


def fault(code, what, *args):
    with pytest.raises(xmlrpc.client.Fault) as e:
        what(*args)
    assert e.value.faultCode == code, e.value
    assert e.value.faultString.startswith(f"Error {code}\n")
    return e.value.faultString


# --- results ---

def test_rescode(proxy, server):
    user = server.register()
    assert proxy.check_account({"user": user, "host": "localhost"}) == {"res": 0}
    assert proxy.check_account({"host": "localhost", "user": "nobody-of-that-name"}) == {"res": 1}


def test_restuple(proxy):
    user = unique("rpc")
    answer = proxy.register({"user": user, "host": "localhost", "password": "p"})
    assert answer == {"res": 0, "text": f"User {user}@localhost successfully registered"}


def test_list_of_texts(proxy, server):
    user = server.register(host="example.test")
    users = proxy.registered_users({"host": "example.test"})["users"]
    assert {"username": user} in users and users == sorted(users, key=lambda u: u["username"])


def test_empty_list(server, proxy, boss):
    assert proxy.connected_users_vhost(boss, {"host": "example.test"}) == {"connected_users_vhost": []}


def test_tuple(proxy, server):
    user = server.register()
    answer = proxy.get_last({"user": user, "host": "localhost"})["last_activity"]
    assert [list(field) for field in answer] == [["timestamp"], ["status"]]
    assert answer[1]["status"] == "Registered but didn't login"


def test_list_of_tuples(server, proxy, boss, streams):
    s = streams(server.login(resource="rpc"))
    sessions = proxy.connected_users_info(boss)["connected_users_info"]
    mine = next(x for x in sessions if {"jid": f"{s.bare}/rpc"} in x["session"])
    assert {"connection": "c2s"} in mine["session"] or {"connection": "c2s_tls"} in mine["session"]
    assert {"node": "ejabberd@localhost"} in mine["session"]


def test_integer(proxy):
    assert proxy.stats({"name": "registeredusers"})["stat"] > 0


def test_atom(proxy, boss):
    assert proxy.get_loglevel(boss) == {"levelatom": "info"}


# --- arguments ---

def test_integers_and_texts_that_are_some(proxy, server):
    user = server.register()
    for timestamp in (1500045311, "1500045311"):
        args = {"user": user, "host": "localhost", "timestamp": timestamp, "status": "Gö <&> \r\n x"}
        assert proxy.set_last(args) == {"res": 0}
        activity = proxy.get_last({"user": user, "host": "localhost"})["last_activity"]
        assert activity[0]["timestamp"].startswith("2017-07-14T15:15:11")


def test_text_survives(proxy, server):
    user, status = server.register(), "é \u4e2d <b>&amp; ]]> \t'\""
    proxy.set_last({"user": user, "host": "localhost", "timestamp": 1, "status": status})
    assert proxy.get_last({"user": user, "host": "localhost"})["last_activity"][1]["status"] == status


def test_old_argument_names(proxy, server, boss):
    """A name of an older version is the same argument: nothing is missing, nothing too much."""
    user = server.register()
    try:
        assert "contacts" in proxy.get_roster(boss, {"user": user, "server": "localhost"})
    except xmlrpc.client.Fault as e:
        assert e.faultCode == PROBLEM, e


MEMBER = "<member><name>{}</name><value>{}</value></member>"


def body(method, *structs):
    params = "".join("<param><value><struct>" + "".join(MEMBER.format(n, v) for n, v in s.items()) + "</struct></value></param>"
                     for s in structs)
    return f"<?xml version=\"1.0\" ?><methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"


@pytest.mark.parametrize("text", ["{}", "<string>{}</string>"])
def test_as_ruby_sends(server, text):
    user = server.register()
    # Ruby's client breaks lines after elements
    sent = body("check_account", {"user": text.format(user), "host": text.format("localhost")}).replace("><", ">\n<")
    assert call(server, sent) == {"res": 0}


def test_base64(server):
    import base64
    user = server.register()
    encoded = base64.encodebytes(user.encode()).decode()
    assert call(server, body("check_account", {"user": f"<base64>\n{encoded}</base64>", "host": "localhost"})) == {"res": 0}


@pytest.mark.parametrize("kind", ["int", "i4", "i8"])
def test_integer_types(server, kind):
    user = server.register()
    assert call(server, body("set_last", {"user": user, "host": "localhost", "timestamp": f"<{kind}> 77 </{kind}>",
                                          "status": "<string/>"})) == {"res": 0}


def test_no_params_at_all(server, boss):
    status = call(server, body("status", {"user": "boss", "server": "localhost", "password": "pw"}))
    assert status["res"] == 0 and "running" in status["text"]
    assert "vhosts" in call(server, "<methodCall><methodName>registered_vhosts</methodName></methodCall>")


def test_headers(server):
    """What every answer of the API has: the request's name."""
    c = http.client.HTTPConnection(server.ip, server.http[1], timeout=60)
    for sent in (body("registered_vhosts"), body("nosuch"), "<x/>"):
        c.request("POST", "/xmlrpc", sent, {"X-Request-Id": "mine-1"})
        r = c.getresponse()
        r.read()
        assert r.getheader("X-Request-Id") == "mine-1"
    c.close()


def test_comments_and_cdata(server):
    user = server.register()
    sent = body("check_account", {"user": f"<![CDATA[{user}]]>", "host": "<!-- which --><string>localhost</string>"})
    assert call(server, sent) == {"res": 0}


# --- faults ---

def test_missing(proxy):
    assert "'password'" in fault(MISSING, proxy.register, {"user": "x", "host": "localhost"})


def test_unused(proxy):
    told = fault(UNUSED, proxy.registered_users, {"host": "localhost", "host2": ["a", {"b": 1}]})
    assert "[{host2,{array,[<<\"a\">>,{struct,[{b,1}]}]}}]" in told


@pytest.mark.parametrize("wrong", [7, True, 1.5, None, ["a"], {"a": "b"}])
def test_unfit_text(proxy, wrong):
    assert "can't be coerced to type 'binary'" in fault(UNFIT, proxy.check_account, {"user": wrong, "host": "localhost"})


@pytest.mark.parametrize("wrong", ["abc", "", 1.5, None, [1]])
def test_unfit_integer(proxy, wrong):
    args = {"user": "u", "host": "localhost", "timestamp": wrong, "status": ""}
    assert "can't be coerced to type 'integer'" in fault(UNFIT, proxy.set_last, args)


def test_doubled(server):
    sent = ("<methodCall><methodName>check_account</methodName><params><param><value><struct>"
            + MEMBER.format("user", "a") * 2 + "</struct></value></param></params></methodCall>")
    with pytest.raises(xmlrpc.client.Fault) as e:
        call(server, sent)
    assert e.value.faultCode == DOUBLED


def test_command_fails(proxy, server):
    user = server.register()
    told = fault(PROBLEM, proxy.register, {"user": user, "host": "localhost", "password": "very secret"})
    assert "already registered" in told and "register" in told
    assert "very secret" not in told, "secrets are not repeated"


def test_unknown_command(proxy):
    fault(UNKNOWN_CALL, proxy.no_such_command, {})


@pytest.mark.parametrize("params", [("localhost",), (["localhost"],), ({}, {"host": "localhost"}),
                                    ({"host": "localhost"}, {"user": "a", "server": "b", "password": "c"})])
def test_parameters_that_are_not_understood(proxy, params):
    fault(UNKNOWN_CALL, proxy.registered_users, *params)


# --- who ---

def test_not_allowed(proxy):
    assert "access_rules_unauthorized" in fault(PROBLEM, proxy.status)


def test_credentials(proxy, server, boss):
    assert proxy.status(boss)["res"] == 0
    assert proxy.status(dict(boss, admin=True), {})["res"] == 0
    assert "access_rules_unauthorized" in fault(PROBLEM, proxy.stop, boss)
    other = {"user": server.register(), "server": "localhost", "password": PASSWORD}
    assert "access_rules_unauthorized" in fault(PROBLEM, proxy.status, other)


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"user": "nobody"}, {"server": "no.such.host"}, {"user": ""},
                                    {"password": ""}, {"password": 5}, {"server": "a b"}])
def test_wrong_credentials(proxy, boss, change):
    """Even for what everybody may do."""
    assert "Invalid authentication data" in fault(PROBLEM, proxy.registered_vhosts, dict(boss, **change))


def test_wrong_token(proxy):
    told = fault(PROBLEM, proxy.registered_vhosts, {"user": "boss", "server": "localhost", "token": "x"})
    assert "Invalid oauth token" in told


def test_tag_of_the_listener(server):
    server.api("register", user="sub", host="localhost", password="pw")
    who = {"user": "sub", "server": "localhost", "password": "pw"}
    with xmlrpc.client.ServerProxy(f"http://{server.ip}:{own_port(server)}/") as p:
        assert p.status(who)["res"] == 0
    with xmlrpc.client.ServerProxy(f"http://{server.ip}:{server.http[1]}/xmlrpc") as p:
        fault(PROBLEM, p.status, who)


# --- bad requests ---

@pytest.mark.parametrize("sent", [
    "hello", "<foo/>", "<methodCall/>", "<methodCall><methodName/></methodCall>", "<methodCall><methodName>status</methodName>",
    "<methodCall><methodName>status</methodName><params><param/></params></methodCall>",
    "<methodCall><methodName>status</methodName><params><x/></params></methodCall>",
    body("status", {"a": "<int>x</int>"}), body("status", {"a": "<int>99999999999999999999</int>"}),
    body("status", {"a": "<boolean>7</boolean>"}), body("status", {"a": "<what>7</what>"}),
    body("status", {"a": "<int>1</int><int>2</int>"}), body("status", {"a": "<base64>###</base64>"}),
    body("status", {"a": "<array/>"}), body("status", {"a": "<array><data><x/></data></array>"}),
    body("status", {"a": "<struct><member><name>x</name></member></struct>"}),
    "<!DOCTYPE x [<!ENTITY a 'b'>]><methodCall><methodName>&a;</methodName></methodCall>",
    "<?xml version='1.0' encoding='iso-8859-1'?><methodCall><methodName>é</methodName></methodCall>".encode("latin-1"),
    b"<methodCall><methodName>\xff</methodName></methodCall>",
    "<methodCall><methodName>status</methodName><params>" + "<param><value>x</value></param>" * 9 + "</params></methodCall>",
], ids=lambda s: None)
def test_malformed(server, sent):
    status, kind, answer = post(server, sent)
    assert status == 400 and b"<h1>Malformed" in answer and kind.startswith("text/html")


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "DELETE"])
def test_other_methods(server, method):
    assert post(server, None if method != "PUT" else "<x/>", method=method)[0] == 400


def test_deep_nesting(server):
    deep = "<value><array><data>" * 5000 + "</data></array></value>" * 5000
    sent = f"<methodCall><methodName>status</methodName><params><param>{deep}</param></params></methodCall>"
    status, _, answer = post(server, sent)
    assert status == 400 and b"Malformed" in answer
    deep = "<array><data><value>" * 20 + "</value></data></array>" * 20
    status, _, answer = post(server, body("status", {"a": deep}))
    assert status == 400 and b"nested too deep" in answer


def test_huge_body(server):
    """More elements than the parser builds, then one long text: refused, or answered; the server goes on."""
    many = body("registered_users", {f"x{i}": "y" for i in range(20000)})
    assert post(server, many)[0] == 400
    with pytest.raises(xmlrpc.client.Fault) as e:
        call(server, body("registered_users", {"host": "localhost", "x": "y" * 3_000_000}))
    assert e.value.faultCode == UNUSED and len(e.value.faultString) < 5000
    assert "vhosts" in call(server, "<methodCall><methodName>registered_vhosts</methodName></methodCall>")


def test_long_list_is_streamed_whole(server, boss):
    """A list of many elements comes in pieces and is one document."""
    for i in range(400):
        server.api("register", user=f"many-{i:04}", host="example.test", password="p")
    status, _, answer = post(server, body("registered_users", {"host": "example.test"}))
    assert status == 200
    names = [el.text for el in ET.fromstring(answer).iter("string")]
    assert [n for n in names if n.startswith("many-")] == [f"many-{i:04}" for i in range(400)]
