"""Permissions over HTTP: from, who, what, tags, administrators of one host, and explain_permission, also on files."""
import base64
import http.client
import json
import os

import pytest

from server import DEADLINE, PASSWORD, free_port

REFUSED = {"status": "error", "message": "AccessRules: Account does not have the right to perform the operation.", "code": 32}
TAGS = ("names", "tags", "both")


def configure(config):
    config["acl"]["admin"] = {"user": ["root@localhost"]}
    config["access_rules"]["admins"] = [{"deny": {"user": "fired@localhost"}}, {"allow": "admin"}]
    config["api_permissions"]["tests"]["from"] = [{"tag": "open"}]
    config["listen"][-1]["tag"] = "open"
    config["api_permissions"]["by name"] = {
        "from": ["mod_http_api", {"tag": "names"}], "who": {"access": "admins"}, "what": ["*", "!stop", "![tag:purge]"]}
    config["api_permissions"]["by tag"] = {
        "from": {"tag": "tags"}, "who": [{"ip": "127.0.0.0/8"}], "what": ["[tag:accounts]", "[tag:v2]", "!register"]}
    config["api_permissions"]["nested"] = {
        "from": {"tag": "both"}, "who": {"access": {"allow": [{"acl": "admin"}, {"acl": "loopback"}]}}, "what": "status"}
    config["api_permissions"]["other net"] = {
        "from": {"tag": "both"}, "who": {"access": {"allow": [{"acl": "admin"}, {"ip": "192.0.2.0/24"}]}}, "what": "status"}
    config["append_host_config"] = {"example.test": {"acl": {"admin": {"user": ["boss@example.test"]}}}}
    for tag in TAGS:
        config["listen"].append({**config["listen"][3], "port": free_port(), "tag": tag})


def at(server, tag):
    """Address of the listener with the tag."""
    return next((l["ip"], l["port"]) for l in server.config["listen"] if l.get("tag") == tag)


@pytest.fixture(scope="module")
def accounts(server):
    for user, host in (("root", "localhost"), ("fired", "localhost"), ("boss", "example.test"), ("boss", "localhost"),
                       ("juliet", "example.test"), ("romeo", "localhost")):
        server.api("register", user=user, host=host, password=PASSWORD)


def call(where, who, command, version="", **args):
    conn = http.client.HTTPConnection(*where, timeout=DEADLINE)
    try:
        headers = {}
        if who:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{who}:{PASSWORD}".encode()).decode()
        conn.request("POST", f"/api/{command}{version}", json.dumps(args), headers)
        r = conn.getresponse()
        return r.status, json.loads(r.read())
    finally:
        conn.close()


def test_from_who_and_what(server, accounts):
    names = at(server, "names")
    assert call(names, "root@localhost", "registered_vhosts")[0] == 200
    assert call(names, "ROOT@Localhost/x", "registered_vhosts")[0] == 200
    assert call(names, None, "registered_vhosts") == (403, REFUSED)
    assert call(names, "fired@localhost", "registered_vhosts") == (403, REFUSED)
    assert call(names, "romeo@localhost", "registered_vhosts") == (403, REFUSED)
    assert call(names, "root@localhost", "stop") == (403, REFUSED)
    assert call(names, "root@localhost", "delete_old_users", days=1000) == (403, REFUSED)
    assert call(at(server, "tags"), "root@localhost", "registered_vhosts") == (403, REFUSED)


def test_tags(server, accounts):
    tags = at(server, "tags")
    assert call(tags, None, "check_account", user="root", host="localhost") == (200, 0)
    assert call(tags, None, "register", user="x", host="localhost", password="x") == (403, REFUSED)
    assert call(tags, None, "get_loglevel") == (403, REFUSED)
    # the tag of a version holds for that version alone
    assert call(tags, None, "kick_user", "/v2", user="nobody", host="localhost")[0] == 200
    assert call(tags, None, "kick_user", "/v1", user="nobody", host="localhost") == (403, REFUSED)


def test_entries_of_one_allow_are_all_needed(server, accounts):
    both = at(server, "both")
    assert call(both, "root@localhost", "status")[0] == 200
    assert call(both, "romeo@localhost", "status") == (403, REFUSED)
    assert call(both, None, "status") == (403, REFUSED)


def test_an_administrator_of_one_host_stays_on_it(server, accounts):
    names, boss = at(server, "names"), "boss@example.test"
    assert call(names, boss, "registered_users", host="example.test") == (200, ["boss", "juliet"])
    assert call(names, boss, "registered_users", host="localhost") == (403, REFUSED)
    assert call(names, boss, "registered_vhosts") == (403, REFUSED)
    assert call(names, boss, "register", user="new", host="example.test", password="x")[0] == 200
    assert call(names, boss, "register", user="new", host="localhost", password="x") == (403, REFUSED)
    assert call(names, boss, "change_password", user="juliet", host="EXAMPLE.test", newpass="x") == (200, 0)
    assert call(names, boss, "status_list_host", host="all", status="available") == (403, REFUSED)
    assert call(names, boss, "send_message", type="chat", to="romeo@localhost", subject="", body="hi",
                **{"from": "juliet@example.test"}) == (200, 0)
    assert call(names, boss, "send_message", type="chat", to="juliet@example.test", subject="", body="hi",
                **{"from": "romeo@localhost"}) == (403, REFUSED)
    assert call(names, boss, "set_last", user="romeo", host="localhost", timestamp=1, status="x") == (403, REFUSED)
    # what is left out for everybody stays left out
    assert call(names, boss, "delete_old_users_vhost", host="example.test", days=1000) == (403, REFUSED)
    # the same name on a host without rules of its own is nobody
    assert call(names, "boss@localhost", "registered_users", host="localhost") == (403, REFUSED)
    assert call(names, "juliet@example.test", "registered_users", host="example.test")[0] in (401, 403)
    assert call(names, "root@localhost", "registered_users", host="example.test")[0] == 200


def test_tokens_of_such_an_administrator_go_no_further(server, accounts):
    token = server.api("oauth_issue_token", jid="boss@example.test", ttl=60, scopes=["ejabberd:admin"])["token"]
    conn = http.client.HTTPConnection(*at(server, "names"), timeout=DEADLINE)
    conn.request("POST", "/api/registered_users", '{"host":"localhost"}', {"Authorization": f"Bearer {token}"})
    assert conn.getresponse().status == 403
    conn.close()


def test_the_old_way_can_be_chosen(new_server):
    def old(config):
        configure(config)
        config["api_host_admins"] = "ejabberd"
    s = new_server(old)
    s.start()
    s.api("register", user="boss", host="example.test", password=PASSWORD)
    assert call(at(s, "names"), "boss@example.test", "registered_users", host="example.test") == (403, REFUSED)


# --- explain ---

def explain(server, command="register", caller="", ip="", origin="", scopes="", file=""):
    status, body = server.api_raw("explain_permission", json.dumps({
        "command": command, "caller": caller, "ip": ip, "from": origin, "scopes": scopes, "file": str(file)}))
    return json.loads(body) if status == 200 else (status, json.loads(body))


def of(rows, section, part):
    return [r for r in rows if r["section"] == section and r["part"] == part]


def test_explain_names_what_missed_and_where(server):
    rows = explain(server, "stop", "romeo@localhost", "10.0.0.1", "mod_http_api tag:names")
    assert [r["number"] for r in rows] == list(range(len(rows)))
    assert rows[0]["verdict"] == "refused" and "romeo@localhost from 10.0.0.1" in rows[0]["reason"]
    [section] = of(rows, "by name", "section")
    assert section["verdict"] == "refused" and section["reason"].endswith("because of who, what")
    assert of(rows, "by name", "from")[0]["verdict"] == "matched"
    assert '"!stop"' in of(rows, "by name", "what")[0]["reason"]
    who = of(rows, "by name", "who")
    assert "access rule admins: allow if acl 'admin'" in who[1]["reason"] and "user 'root' of localhost" in who[1]["reason"]
    lines = server.config_file.read_text().splitlines()
    file, line, column = who[1]["place"].rsplit(":", 2)
    assert file == str(server.config_file) and '"allow"' in lines[int(line) - 1]
    file, line, column = section["place"].rsplit(":", 2)
    assert '"by name"' in lines[int(line) - 1][int(column) - 1:]
    [section] = of(rows, "by tag", "from")
    assert section["verdict"] == "missed" and "tag tags" in section["reason"] and "listener tag names" in section["reason"]


@pytest.mark.parametrize("command", ["status", "stop_s2s_connections", "get_loglevel"])
@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("who", [None, "root@localhost", "romeo@localhost", "fired@localhost"])
def test_explain_says_what_a_call_gets(server, accounts, who, tag, command):
    rows = explain(server, command, who or "", "127.0.0.1", f"mod_http_api tag:{tag}")
    assert (rows[0]["verdict"] == "allowed") == (call(at(server, tag), who, command)[0] != 403)
    assert (rows[0]["verdict"] == "allowed") == any(r["verdict"] == "allowed" for r in rows[1:])


def test_explain_tokens_and_hosts(server):
    rows = explain(server, caller="root@localhost", ip="127.0.0.1", origin="mod_http_api, tag:names", scopes="sasl_auth,register")
    assert rows[0]["verdict"] == "refused" and "token for 'sasl_auth register'" in rows[0]["reason"]
    assert all("only oauth clauses" in r["reason"] for r in of(rows, "by name", "who"))
    rows = explain(server, caller="boss@example.test", origin="tag:names")
    assert rows[0]["verdict"] == "allowed" and "one host only" in rows[0]["reason"]
    assert any(r["part"] == "host" and "example.test" in r["reason"] for r in rows)


def test_explain_on_the_command_line(server):
    assert "nobody by name from no known address may not run register" in server.ctl("explain-permission", "register").stdout
    r = server.ctl("explain-permission", "get-loglevel", "romeo@localhost", "", "mod_http_api tag:names", "", "")
    assert r.returncode == 0 and r.stdout.startswith("0\t\tverdict\trefused\tromeo@localhost from no known address may not run")
    r = server.ctl("explain_permission", "stop", "", "", "ejabberd_ctl", "", "")
    assert "verdict\tallowed" in r.stdout


def test_a_file_is_checked_without_applying_it(server, tmp_path):
    file = tmp_path / "new.yml"
    file.write_text("acl:\n  editors:\n    user: romeo@localhost\napi_permissions:\n  edit:\n    who: editors\n    what: register\n")
    rows = explain(server, caller="romeo@localhost", file=file)
    assert rows[0]["verdict"] == "allowed" and of(rows, "edit", "who")[0]["place"] == f"{file}:6:10"
    assert explain(server, caller="romeo@localhost")[0]["verdict"] == "refused"
    # names that the file does not define are those in force
    file.write_text("api_permissions:\n  edit:\n    who: admin\n    what: register\n")
    assert explain(server, caller="root@localhost", file=file)[0]["verdict"] == "allowed"
    assert explain(server, caller="romeo@localhost", file=file)[0]["verdict"] == "refused"
    # a whole configuration
    whole = {**server.config, "api_permissions": {"x": {"who": "all", "what": "register"}}}
    file.write_text(json.dumps(whole))
    assert explain(server, file=file)[0]["verdict"] == "allowed"
    assert explain(server)[0]["verdict"] == "refused"


@pytest.mark.parametrize("text,want", [
    ("acl:\n  x:\n    usr: a\n", ":3:5: unknown acl type 'usr'; did you mean 'user'?"),
    ("api_permissions:\n  x:\n    form: all\n", ":3:5: unknown option of api_permissions 'form'; did you mean 'from'?"),
    ("api_permissions:\n  x:\n who: all\n", ":3:"),
    ("listen: []\n", ":1:1: option 'listen' has no place in a file of permissions"),
    ("hosts: [a]\nacll: {}\n", ":2:1: unknown option 'acll'; did you mean 'acl'?"),
    ("- a\n", ":1:1: a file of permissions is a map"),
    ("acl: {}\nacl: {}\n", ":2:1: option 'acl' is given twice"),
    ("\x00", ""),
])
def test_errors_of_a_file_name_the_place(server, tmp_path, text, want):
    file = tmp_path / "bad.yml"
    file.write_text(text)
    status, reason = explain(server, file=file)
    assert status == 400 and reason.startswith(str(file)) and want in reason


def test_what_is_not_said_is_empty(server):
    assert server.api_raw("explain_permission", '{"command":"register"}')[1] == json.dumps(explain(server), separators=(",", ":"))
    assert server.api_raw("explain_permission", "{}") == (400, '"Request have missing argument: command"')


def test_wrong_questions(server, tmp_path):
    assert explain(server, "registr") == (400, "argument command: there is no command 'registr'; the nearest is 'register'")
    assert explain(server, caller="@")[0] == 400 and explain(server, ip="1.2.3")[0] == 400
    assert explain(server, file=tmp_path / "missing.yml")[0] == 400


def test_only_files_are_read(server, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert explain(server, file=tmp_path / "pipe") == (400, f"{tmp_path}/pipe: not a file")
    assert explain(server, file=tmp_path)[0] == 400
    assert explain(server, file="/dev/zero") == (400, "/dev/zero: not a file")
