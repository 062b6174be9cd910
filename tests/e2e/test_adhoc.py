"""Ad-hoc commands (XEP-0050): sessions and their rules, every API command as a form, server administration (XEP-0133)."""
import asyncio
import contextlib
import json
import pathlib
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

import pytest

from server import PASSWORD, unique
from test_slixmpp import Client, run, wait  # noqa: F401  (run is a fixture)
from xmppstream import NS, Ended, error_of, q, until

COMMANDS, DATA = "http://jabber.org/protocol/commands", "jabber:x:data"
ADMIN = "http://jabber.org/protocol/admin#"
NODE = "running nodes/ejabberd@localhost"
RECORDED = json.loads((pathlib.Path(__file__).parent / "data" / "adhoc.json").read_text())
COMMAND_LINE_ONLY = {"help", "man", "mnesia_info_ctl", "print_sql_schema"}
SECRET = {"password", "newpass", "passwordhash", "token", "secret"}


def configure(config):
    config["acl"].update(boss={"user": ["boss@localhost"]}, local={"user": ["local@example.test"]})
    config["access_rules"]["configure"] = [{"allow": "boss"}]
    both = [{"allow": "boss"}, {"allow": "local"}]
    config["append_host_config"] = {"example.test": {"access_rules": {"configure": both}}}
    config["api_permissions"]["tests"]["from"] = ["mod_http_api"]
    config["api_permissions"]["boss"] = {"from": "mod_adhoc_api", "who": {"acl": "boss"}, "what": "*"}
    config["api_permissions"]["all"] = {"from": "mod_adhoc_api", "who": {"ip": "127.0.0.0/8"},
                                        "what": ["status", "connected_users_number"]}
    for name in ("mod_adhoc_api", "mod_configure"):
        config["modules"][name] = {}
    config["modules"]["mod_adhoc"] = {"report_commands_node": True}


@pytest.fixture(scope="module")
def accounts(server):
    for user, host in (("boss", "localhost"), ("local", "example.test"), ("plain", "localhost")):
        server.api("register", user=user, host=host, password=PASSWORD)


@pytest.fixture
def boss(server, accounts, streams):
    return streams(server.login("boss"))


@pytest.fixture
def plain(server, accounts, streams):
    return streams(server.login("plain"))


# --- speaking the protocol ---

def form(fields, type_="submit"):
    inner = "".join(f"<field var={quoteattr(var)}>" + "".join(f"<value>{escape(v)}</value>" for v in
                    ([values] if isinstance(values, str) else values)) + "</field>" for var, values in fields.items())
    return f"<x xmlns='{DATA}' type='{type_}'>{inner}</x>"


class Answer:
    def __init__(self, el):
        self.el, self.error = el, error_of(el)
        self.command = None if self.error else el.find(f"{{{COMMANDS}}}command")
        if self.command is not None:
            self.status, self.id = self.command.get("status"), self.command.get("sessionid")
            self.form = self.command.find(f"{{{DATA}}}x")
            self.notes = [(n.get("type"), n.text) for n in self.command.findall(f"{{{COMMANDS}}}note")]
            actions = self.command.find(f"{{{COMMANDS}}}actions")
            self.actions = None if actions is None else (actions.get("execute"), sorted(a.tag.partition("}")[2] for a in actions))

    @property
    def condition(self):
        """The application's own, XEP-0050 §4.3."""
        error = self.el.find(q("client", "error"))
        return next((c.tag.partition("}")[2] for c in error if c.tag.startswith(f"{{{COMMANDS}}}")), None)

    def fields(self):
        return {f.get("var"): [v.text or "" for v in f.findall(f"{{{DATA}}}value")] for f in self.form.findall(f"{{{DATA}}}field")
                if f.get("var")}

    def table(self):
        return [{f.get("var"): "\n".join(v.text or "" for v in f.findall(f"{{{DATA}}}value")) for f in item}
                for item in self.form.findall(f"{{{DATA}}}item")]


def command(s, node, action=None, session=None, fields=None, to="localhost", inner=""):
    attrs = " ".join(f"{name}={quoteattr(value)}" for name, value in
                     (("node", node), ("action", action), ("sessionid", session)) if value)
    payload = inner or ("" if fields is None else form(fields))
    return Answer(s.iq(f"<command xmlns='{COMMANDS}' {attrs}>{payload}</command>", to, "set"))


def execute(s, node, fields, to="localhost"):
    first = command(s, node, "execute", to=to)
    assert first.status == "executing", first.el
    return command(s, node, "complete", first.id, fields, to=to)


def items(s, node=None, to="localhost"):
    el = s.iq(f"<query xmlns='{NS['items']}'{f' node={quoteattr(node)}' if node else ''}/>", to)
    return error_of(el) or [(i.get("node"), i.get("name")) for i in el.iter(q("items", "item"))]


def info(s, node, to="localhost"):
    el = s.iq(f"<query xmlns='{NS['info']}' node={quoteattr(node)}/>", to)
    return error_of(el) or ([(i.get("category"), i.get("type"), i.get("name")) for i in el.iter(q("info", "identity"))],
                            {f.get("var") for f in el.iter(q("info", "feature"))})


# --- discovery ---

def test_feature_and_nodes(boss):
    el = boss.iq(f"<query xmlns='{NS['info']}'/>", "localhost")
    assert COMMANDS in {f.get("var") for f in el.iter(q("info", "feature"))}
    names = dict(items(boss))
    assert names[COMMANDS] == "Commands" and names["api-commands"] == "API Commands"
    assert {"config", "user", "online users", "all users", "outgoing s2s", "running nodes", "stopped nodes"} <= set(names)
    assert info(boss, COMMANDS) == ([("automation", "command-list", "Commands")], set())
    assert info(boss, "api-commands") == ([("automation", "command-node", "API Commands")], set())
    assert info(boss, "api-commands/status") == ([("automation", "command-node", "status")], {COMMANDS, DATA})
    assert info(boss, ADMIN + "add-user") == ([("automation", "command-node", "Add User")], {COMMANDS, DATA})
    assert info(boss, NODE)[0] == [("ejabberd", "node", "ejabberd@localhost")]
    assert info(boss, "user") == ([], set())
    assert info(boss, "nosuchnode") == ("cancel", "item-not-found")


def test_lists(boss, plain):
    mine = dict(items(boss, COMMANDS))
    assert ("ping", "Ping") in mine.items() and ("api-commands/register", "register") in mine.items()
    assert set(dict(items(boss, "api-commands"))) == {n for n in mine if n.startswith("api-commands/")}
    assert len(mine) > 180
    assert dict(items(plain, COMMANDS)) == {"api-commands/connected_users_number": "connected_users_number",
                                            "api-commands/status": "status", "ping": "Ping"}
    assert "user" not in dict(items(plain)) and "api-commands" in dict(items(plain))


def test_nodes_of_administration(boss, plain):
    for node, recorded in RECORDED["items"].items():
        have = items(boss, node)
        # what is missing has no command behind it yet, or never will (tables of Mnesia)
        if have == ("cancel", "item-not-found"):
            assert not {n for n, _ in recorded} & set(dict(items(boss, COMMANDS))), node
            continue
        assert set(have) <= {tuple(r) for r in recorded} and have, node
        assert items(plain, node) == ("auth", "forbidden")
        assert info(plain, node) == ("auth", "forbidden")
    assert [n for n, _ in items(boss, "user")] == [r[0] for r in RECORDED["items"]["user"]]
    assert items(boss, "config") == ("cancel", "item-not-found")
    assert items(boss, "outgoing s2s") == [] and items(boss, "stopped nodes") == []


def test_users_as_nodes(server, boss):
    other = server.register()
    el = boss.iq(f"<query xmlns='{NS['items']}' node='online users'/>", "localhost")
    assert (boss.jid, "boss@localhost") in {(i.get("jid"), i.get("name")) for i in el.iter(q("items", "item"))}
    el = boss.iq(f"<query xmlns='{NS['items']}' node='all users'/>", "localhost")
    assert f"{other}@localhost" in {i.get("jid") for i in el.iter(q("items", "item"))}


def test_own_account_has_none(boss):
    assert items(boss, COMMANDS, boss.bare) == []
    assert command(boss, "nosuch", "execute", to=boss.bare).error == ("cancel", "item-not-found")


# --- the protocol ---

def test_ping(plain):
    a = command(plain, "ping", "execute")
    assert (a.status, a.actions) == ("completed", None) and [n[1] for n in a.notes] == ["Pong"]


def test_errors(plain, boss):
    assert command(plain, "nosuch", "execute").error == ("cancel", "item-not-found")
    assert command(plain, ADMIN + "add-user", "execute").error == ("auth", "forbidden")
    assert command(plain, "api-commands/stop", "execute").error == ("auth", "forbidden")
    assert command(plain, "api-commands/nosuch", "execute").error == ("cancel", "item-not-found")
    a = command(plain, "ping", "foo")
    assert a.error == ("modify", "bad-request") and a.condition == "malformed-action"
    assert error_of(plain.iq(f"<command xmlns='{COMMANDS}' node='ping'/>", "localhost", "get")) == ("modify", "bad-request")
    assert error_of(plain.iq(f"<command xmlns='{COMMANDS}'/>", "localhost", "set")) == ("modify", "bad-request")
    for action in ("prev", "next"):
        a = command(boss, "api-commands/status", action)
        assert a.error == ("modify", "bad-request") and a.condition == "bad-action"


def test_a_command_step_by_step(boss):
    first = command(boss, "api-commands/check_account")
    assert (first.status, first.actions) == ("executing", ("complete", ["complete"])) and first.form.get("type") == "form"
    assert first.fields() == {"user": [], "host": ["localhost"]}
    # "execute" is what the form says by default (§3.4)
    last = command(boss, "api-commands/check_account", "execute", first.id, {"user": "boss", "host": "localhost"})
    assert (last.status, last.id, last.form.get("type")) == ("completed", first.id, "result")
    assert last.fields() == {"user": ["boss"], "host": ["localhost"], "res": ["0"]} and last.notes == []
    again = command(boss, "api-commands/check_account", "complete", first.id, {"user": "boss", "host": "localhost"})
    assert again.error == ("cancel", "not-allowed") and again.condition == "session-expired"


def test_without_a_session(boss):
    """Who knows the form sends it at once."""
    done = command(boss, "api-commands/check_account", "complete", fields={"user": "boss", "host": "localhost"})
    assert done.status == "completed" and done.fields()["res"] == ["0"]


def test_cancel(boss):
    first = command(boss, "api-commands/register")
    a = command(boss, "api-commands/register", "cancel", first.id)
    assert (a.status, a.id, a.form) == ("canceled", first.id, None)
    a = command(boss, "api-commands/register", "complete", first.id, {"user": "x", "host": "localhost", "password": "p"})
    assert a.condition == "session-expired"
    assert command(boss, "api-commands/register", "cancel").status == "canceled"
    first = command(boss, "api-commands/register")
    assert command(boss, "api-commands/register", None, first.id, inner=form({}, "cancel")).status == "canceled"


def test_foreign_sessions(server, accounts, streams, boss):
    """A session belongs to one resource and one node; another learns nothing about it."""
    other = streams(server.login("boss", resource="other"))
    first = command(boss, "api-commands/status")
    for s, node, session in ((other, "api-commands/status", first.id), (boss, "api-commands/check_account", first.id),
                             (boss, "api-commands/status", "nosuch"), (boss, "api-commands/status", "x" * 5000)):
        for action in ("complete", "cancel", "prev"):
            a = command(s, node, action, session)
            assert a.error == ("modify", "bad-request") and a.condition == "bad-sessionid"
    assert command(boss, "api-commands/status", "complete", first.id).status == "completed"


def test_sessions_are_bounded(server, accounts, streams):
    """The oldest goes when an account has too many; others keep theirs."""
    a, b = streams(server.login("boss", resource="many")), streams(server.login("plain", resource="few"))
    kept = command(b, "api-commands/status")
    opened = [command(a, "api-commands/status").id for _ in range(20)]
    assert len(set(opened)) == 20
    assert command(a, "api-commands/status", "complete", opened[0]).condition == "bad-sessionid"
    assert command(a, "api-commands/status", "complete", opened[-1]).status == "completed"
    assert command(b, "api-commands/status", "complete", kept.id).status == "completed"


def test_forms_that_do_not_fit(boss):
    node = "api-commands/check_account"
    first = command(boss, node)
    for fields in ({"user": "boss"}, {"user": "boss", "host": "localhost", "more": "x"}, {}):
        a = command(boss, node, "complete", first.id, fields)
        assert a.error == ("modify", "bad-request") and a.condition == "bad-payload"
    for inner in (f"<x xmlns='{DATA}'/>", f"<x xmlns='{DATA}' type='what'/>",
                  f"<x xmlns='{DATA}' type='submit'>" + "<field var='user'><value>a</value></field>" * 2 + "</x>",
                  f"<x xmlns='{DATA}' type='submit'>" + "".join(f"<field var='f{i}'/>" for i in range(400)) + "</x>"):
        a = command(boss, node, "complete", first.id, inner=inner)
        assert a.error == ("modify", "bad-request") and a.condition == "bad-payload"
    fields = {"user": "boss", "host": "localhost", "timestamp": "soon", "status": ""}
    a = command(boss, "api-commands/set_last", "complete", fields=fields)
    assert a.condition == "bad-payload"
    # the session is still there
    assert command(boss, node, "complete", first.id, {"user": "boss", "host": "localhost"}).status == "completed"


# --- every command of the API ---

def shown(answer):
    """The fields of a form as the recordings have them."""
    out = []
    for f in answer.form.findall(f"{{{DATA}}}field"):
        options = [[o.get("label"), o.findtext(f"{{{DATA}}}value")] for o in f.findall(f"{{{DATA}}}option")]
        out.append([f.get("var"), f.get("type"), f.get("label"), f.find(f"{{{DATA}}}required") is not None,
                    [v.text or "" for v in f.findall(f"{{{DATA}}}value")], options])
    return out


def expected(node, fields):
    """Where this server differs: secrets are hidden and have no example; what has no example has no value."""
    out = []
    for var, type_, label, required, values, options in fields:
        if node.startswith("api-commands/"):
            type_, values = ("text-private", []) if var in SECRET else (type_, [] if values == [""] else values)
        out.append([var, type_, label, required, values, options])
    return out


def test_every_form(boss):
    """Field for field what ejabberd 25.03 shows; values of examples are ours."""
    offered = dict(items(boss, COMMANDS))
    seen, absent = 0, []
    for node, recorded in RECORDED["forms"].items():
        if node not in offered and not node.startswith("api-commands/"):
            continue  # of administration: no command behind it yet
        first = command(boss, node)
        if node not in offered:
            absent.append(node)
            continue
        assert first.status == "executing", f"{node}: {ET.tostring(first.el)}"
        title = first.form.findtext(f"{{{DATA}}}title")
        assert title == recorded["title"], node
        want, have = expected(node, recorded["fields"]), shown(first)
        if node.startswith("api-commands/"):
            want, have = [[f[:4] for f in form_] for form_ in (want, have)]
            private = [f[0] for f in shown(first) if f[1] == "text-private"]
            assert not any(f[4] for f in shown(first) if f[0] in private), "secrets have no example"
        assert have == want, node
        seen += 1
    assert set(absent) <= {f"api-commands/{name}" for name in COMMAND_LINE_ONLY}
    assert seen >= 185


def test_lists_and_tables(server, boss):
    host_users = execute(boss, "api-commands/registered_users", {"host": "localhost"})
    assert {"boss", "plain"} <= set(host_users.fields()["users"])
    sessions = execute(boss, "api-commands/connected_users_info", {})
    reported = [f.get("var") for f in sessions.form.find(f"{{{DATA}}}reported")]
    assert reported[:2] == ["jid", "connection"]
    assert boss.jid in {row["jid"] for row in sessions.table()}
    last = execute(boss, "api-commands/get_last", {"user": "boss", "host": "localhost"}).fields()
    assert last["status"] == ["ONLINE"] and len(last["timestamp"]) == 1


def test_failures_are_notes(server, boss):
    user = server.register()
    a = execute(boss, "api-commands/register", {"user": user, "host": "localhost", "password": "hidden"})
    assert a.status == "completed" and a.notes[0][0] == "error" and "already registered" in a.notes[0][1]
    a = execute(boss, "api-commands/check_account", {"user": "nobody-there", "host": "localhost"})
    assert a.fields()["res"] == ["1"] and a.notes[0][0] == "error"
    user = unique("made")
    a = execute(boss, "api-commands/register", {"user": user, "host": "localhost", "password": "hidden"})
    assert a.fields()["password"] == [] and b"hidden" not in ET.tostring(a.el), "secrets are not repeated"
    assert server.api("check_password", user=user, host="localhost", password="hidden") == 0


def test_texts_that_xml_cannot_carry(server, boss):
    user = server.register()
    server.api("set_last", user=user, host="localhost", timestamp=1, status="a\x01b\ufffe")
    a = execute(boss, "api-commands/get_last", {"user": user, "host": "localhost"})
    assert a.fields()["status"] == ["a\ufffdb\ufffd"]


def test_wizard_that_shows_what_would_happen(server, boss):
    """A command that can say what it would touch has a second stage; nothing happens before it is completed."""
    node, user = "api-commands/unregister", server.register()
    first = command(boss, node)
    assert first.actions == ("complete", ["complete", "next"])
    second = command(boss, node, "next", first.id, {"user": user, "host": "localhost"})
    assert second.status == "executing" and second.actions == ("complete", ["complete", "prev"])
    assert user in ET.tostring(second.form, encoding="unicode")
    assert server.api("check_account", user=user, host="localhost") == 0
    back = command(boss, node, "prev", first.id)
    assert back.fields() == {"user": [user], "host": ["localhost"]} and back.actions == ("complete", ["complete", "next"])
    assert command(boss, node, "prev", first.id).condition == "bad-action"
    assert command(boss, node, "next", first.id).status == "executing"
    assert command(boss, node, "next", first.id).condition == "bad-action"
    assert command(boss, node, "complete", first.id).status == "completed"
    assert server.api("check_account", user=user, host="localhost") == 1


def test_default_version(new_server, streams):
    def old(config):
        configure(config)
        config["modules"]["mod_adhoc_api"] = {"default_version": 0}
    server = new_server(old).start()
    server.api("register", user="boss", host="localhost", password=PASSWORD)
    s = streams(server.login("boss"))
    fields = {f[0]: f[1] for f in shown(command(s, "api-commands/add_rosteritem"))}
    assert fields["group"] == "text-single" and "groups" not in fields
    assert "localserver" in fields or "localhost" in fields


# --- server administration ---

def admin(s, name, fields, to="localhost"):
    return command(s, ADMIN + name, "complete", fields={"FORM_TYPE": ADMIN[:-1], **fields}, to=to)


def test_accounts(server, boss):
    user = unique("by-admin")
    jid = f"{user}@localhost"
    assert execute(boss, ADMIN + "add-user", {"accountjid": jid, "password": "one", "password-verify": "one"}).status == "completed"
    assert server.api("check_password", user=user, host="localhost", password="one") == 0
    again = admin(boss, "add-user", {"accountjid": jid, "password": "x", "password-verify": "x"})
    assert again.error == ("cancel", "conflict")
    assert admin(boss, "change-user-password", {"accountjid": jid, "password": "two"}).status == "completed"
    assert server.api("check_password", user=user, host="localhost", password="two") == 0
    a = admin(boss, "get-user-lastlogin", {"accountjid": jid})
    assert a.fields()["accountjid"] == [jid] and a.fields()["lastlogin"] != ["Online"]
    assert admin(boss, "get-user-lastlogin", {"accountjid": boss.bare}).fields()["lastlogin"] == ["Online"]
    assert admin(boss, "delete-user", {"accountjids": [jid]}).status == "completed"
    assert server.api("check_account", user=user, host="localhost") == 1
    assert admin(boss, "get-user-lastlogin", {"accountjid": jid}).error == ("cancel", "item-not-found")


def test_delete_looks_at_all_addresses_first(server, boss):
    user = server.register()
    a = admin(boss, "delete-user", {"accountjids": [f"{user}@localhost", "x@no.such.host"]})
    assert a.condition == "bad-payload"
    a = admin(boss, "delete-user", {"accountjids": [f"{user}@localhost", "nobody-there@localhost"]})
    assert a.error == ("cancel", "item-not-found")
    assert server.api("check_account", user=user, host="localhost") == 0


@pytest.mark.parametrize("name,fields", [
    ("add-user", {}), ("add-user", {"accountjid": "x@localhost", "password": "a"}),
    ("add-user", {"accountjid": "x@localhost", "password": "a", "password-verify": "b"}),
    ("add-user", {"accountjid": "@@", "password": "a", "password-verify": "a"}),
    ("add-user", {"accountjid": "localhost", "password": "a", "password-verify": "a"}),
    ("add-user", {"accountjid": "x@no.such.host", "password": "a", "password-verify": "a"}),
    ("delete-user", {"accountjids": []}), ("delete-user", {"accountjids": ["", " "]}), ("end-user-session", {"accountjid": ""}),
    ("change-user-password", {"accountjid": "boss@localhost"}), ("user-stats", {"accountjid": "boss@localhost", "more": "x"})])
def test_bad_forms(boss, name, fields):
    a = admin(boss, name, fields)
    assert a.error == ("modify", "bad-request") and a.condition == "bad-payload"


def test_numbers_and_lists(server, boss):
    users = command(boss, ADMIN + "get-registered-users-list")
    assert users.status == "completed" and {"boss@localhost", "plain@localhost"} <= set(users.fields()["registereduserjids"])
    number = str(len(users.fields()["registereduserjids"]))
    assert command(boss, ADMIN + "get-registered-users-num").fields()["registeredusersnum"] == [number]
    assert command(boss, ADMIN + "get-online-users-num").fields()["onlineusersnum"] == ["1"]
    assert command(boss, ADMIN + "get-online-users-list").fields()["onlineuserjids"] == ["boss@localhost"]


def test_user_stats(boss):
    fields = admin(boss, "user-stats", {"accountjid": boss.bare}).fields()
    assert fields["ipaddresses"] == [boss.sock.getsockname()[0]] and fields["onlineresources"] == [boss.jid.partition("/")[2]]
    assert "rostersize" not in fields  # this server keeps no rosters


@pytest.mark.parametrize("full", [False, True])
def test_end_session(server, boss, streams, full):
    other = streams(server.login())
    assert admin(boss, "end-user-session", {"accountjid": other.jid if full else other.bare}).status == "completed"
    other.expect_eof()


def test_administrator_of_one_host(server, accounts, streams):
    s = streams(server.login("local", host="example.test"))
    user = unique("one-host")
    fields = {"password": "p", "password-verify": "p"}
    assert admin(s, "add-user", {"accountjid": f"{user}@example.test", **fields}, to="example.test").status == "completed"
    assert admin(s, "add-user", {"accountjid": f"{user}@localhost", **fields}, to="example.test").error == ("auth", "forbidden")
    assert admin(s, "add-user", {"accountjid": f"{user}@localhost", **fields}, to="localhost").error == ("auth", "forbidden")
    both = {"accountjids": [f"{user}@example.test", "boss@localhost"]}
    assert admin(s, "delete-user", both, to="example.test").error == ("auth", "forbidden")
    assert server.api("check_account", user=user, host="example.test") == 0, "nothing was done"
    # nor what concerns everybody
    for node in (NODE + "/shutdown", NODE + "/restart"):
        assert command(s, node, "execute", to="example.test").error == ("auth", "forbidden")
    assert items(s, "running nodes", "example.test") == ("auth", "forbidden")
    assert items(s, NODE, "example.test") == ("auth", "forbidden")
    offered = dict(items(s, COMMANDS, "example.test"))
    assert ADMIN + "add-user" in offered and not any(n.startswith("running") for n in offered)
    assert "user" in dict(items(s, None, "example.test")) and "running nodes" not in dict(items(s, None, "example.test"))
    assert server.api("check_account", user=user, host="localhost") == 1


def test_administrator_of_one_host_does_not_get_a_greater_account(new_server, streams):
    def change(config):
        configure(config)
        config["append_host_config"]["localhost"] = {"acl": {"one": {"user": ["one@localhost"]}},
                                                     "access_rules": {"configure": [{"allow": "boss"}, {"allow": "one"}]}}
    server = new_server(change).start()
    for user in ("boss", "one", "plain"):
        server.api("register", user=user, host="localhost", password=PASSWORD)
    one, password = streams(server.login("one")), {"password": "taken"}
    assert admin(one, "change-user-password", {"accountjid": "plain@localhost", **password}).status == "completed"
    assert admin(one, "change-user-password", {"accountjid": "boss@localhost", **password}).error == ("auth", "forbidden")
    assert admin(one, "delete-user", {"accountjids": ["plain@localhost", "boss@localhost"]}).error == ("auth", "forbidden")
    assert server.api("check_account", user="plain", host="localhost") == 0, "nothing was done"
    assert server.api("check_password", user="boss", host="localhost", password=PASSWORD) == 0
    boss = streams(server.login("boss"))
    assert admin(boss, "change-user-password", {"accountjid": "boss@localhost", **password}).status == "completed"


def test_api_commands_of_an_administrator_of_one_host(new_server, streams):
    def change(config):
        configure(config)
        config["acl"]["hosts"] = {"user": ["boss@localhost"]}
        config["append_host_config"]["localhost"] = {"acl": {"hosts": {"user": ["one@localhost"]}}}
        config["api_permissions"]["hosts"] = {"from": "mod_adhoc_api", "who": {"acl": "hosts"}, "what": "*"}
    server = new_server(change).start()
    for user, host in (("one", "localhost"), ("boss", "localhost"), ("juliet", "localhost"), ("romeo", "example.test")):
        server.api("register", user=user, host=host, password=PASSWORD)
    one = streams(server.login("one"))
    offered = dict(items(one, "api-commands"))
    assert "api-commands/change_password" in offered
    assert "api-commands/stop" not in offered and "api-commands/dump_config" not in offered
    node, new = "api-commands/change_password", {"newpass": "changed"}
    assert execute(one, node, {"user": "juliet", "host": "localhost", **new}).fields()["res"] == ["0"]
    for user, host in (("romeo", "example.test"), ("boss", "localhost")):
        assert execute(one, node, {"user": user, "host": host, **new}).error == ("auth", "forbidden")
        assert server.api("check_password", user=user, host=host, password=PASSWORD) == 0
    assert command(one, node, "complete", fields={"user": "boss", "host": "localhost", **new}).error == ("auth", "forbidden")
    assert command(one, "api-commands/stop", "execute").error == ("auth", "forbidden")


def test_restart(new_server, streams):
    server = new_server(configure).start()
    server.api("register", user="boss", host="localhost", password=PASSWORD)
    s, other = streams(server.login("boss")), streams(server.login(presence=True))
    text = {"delay": "1", "subject": "Soon", "announcement": ["the server", "restarts"]}
    assert execute(s, NODE + "/restart", text).status == "completed"
    assert "Soon: the server\nrestarts" in other.expect_message().findtext(q("client", "body"))
    other.expect_eof()

    def back():
        with contextlib.suppress(OSError, Ended, AssertionError):
            streams(server.login("boss")).ping()
            return True
        return False

    until(back, "the server does not come back")


def test_shut_down(new_server, streams):
    server = new_server(configure).start()
    server.api("register", user="boss", host="localhost", password=PASSWORD)
    s = streams(server.login("boss"))
    node = NODE + "/shutdown"
    for delay in ("0", "x", "100000"):
        assert command(s, node, "complete", fields={"delay": delay}).condition == "bad-payload"
    assert execute(s, node, {"delay": "1", "subject": "", "announcement": ""}).status == "completed"
    server.expect_clean_exit()


# --- a client people use ---

def test_slixmpp(server, accounts, run):  # noqa: F811
    user = unique("slix")

    async def talk():
        c = Client("boss@localhost/slix", ("xep_0030", "xep_0004", "xep_0050"))
        await c.enter(server.c2s)
        offered = await wait(c["xep_0050"].get_commands(jid="localhost"))
        nodes = {i[1] for i in offered["disco_items"]["items"]}
        assert "api-commands/register" in nodes and ADMIN + "add-user" in nodes

        async def through(node, answers, actions=("complete",)):
            answer = await wait(c["xep_0050"].send_command("localhost", node, action="execute"))
            for action in actions:
                session = answer["command"]["sessionid"]
                x = c["xep_0004"].make_form(ftype="submit")
                for var, value in answers.items():
                    x.add_field(var=var, value=value)
                answer = await wait(c["xep_0050"].send_command("localhost", node, action=action, sessionid=session, payload=x))
            return answer["command"]

        done = await through("api-commands/register", {"user": user, "host": "localhost", "password": "p"})
        assert done["status"] == "completed" and "successfully registered" in str(done["form"])
        done = await through("api-commands/registered_users", {"host": "localhost"})
        assert user in str(done["form"])
        done = await through("api-commands/unregister", {"user": user, "host": "localhost"}, ("next", "prev", "next", "complete"))
        assert done["status"] == "completed"
        with pytest.raises(Exception) as e:
            await c["xep_0050"].send_command("localhost", "api-commands/status", action="complete", sessionid="nosuch")
        assert "bad-request" in str(e.value)
        await c.leave()

    run(talk())
    assert server.api("check_account", user=user, host="localhost") == 1
    assert asyncio.iscoroutinefunction(talk)
