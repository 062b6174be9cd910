"""OAuth: tokens over the API and over XMPP, the token endpoint, the authorization page."""
import base64
import html.parser
import http.client
import json
import sqlite3
import urllib.parse

import pytest

import sasl
from server import DEADLINE, PASSWORD, unique

CALLBACK = "https://client.test/cb?x=1"


def configure(config):
    config["listen"][-1]["request_handlers"]["/oauth"] = "ejabberd_oauth"
    config["access_rules"]["tokens"] = [{"deny": "nobody"}, {"allow": "all"}]
    config["acl"]["nobody"] = {"user": ["outsider@localhost"]}
    config["oauth_access"] = "tokens"
    config["oauth_expire"] = 7200
    config["host_config"] = {"example.test": {"oauth_client_id_check": "db"}}
    config["api_permissions"]["tokens"] = {
        "who": {"oauth": {"scope": ["ejabberd:admin", "shop:read"], "access": {"allow": [{"acl": "loopback"}]}}}, "what": "*"}


def request(server, method, path, form=None, headers=None):
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        body = None if form is None else urllib.parse.urlencode(form)
        conn.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})})
        r = conn.getresponse()
        return r, r.read().decode()
    finally:
        conn.close()


def token(server, **form):
    r, body = request(server, "POST", "/oauth/token", {"grant_type": "password", "password": PASSWORD, "scope": "sasl_auth", **form})
    return r, json.loads(body)


def call(server, bearer, command="registered_vhosts", **args):
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request("POST", f"/api/{command}", json.dumps(args), {"Authorization": f"Bearer {bearer}"})
        r = conn.getresponse()
        r.read()
        return r.status
    finally:
        conn.close()


def issue(server, jid, *scopes, ttl=3600):
    return server.api("oauth_issue_token", jid=jid, ttl=ttl, scopes=list(scopes))["token"]


# --- commands and their effect ---

def test_tokens_open_the_api_until_they_are_revoked(server):
    t = issue(server, "anyone@elsewhere.test", "ejabberd:admin")
    assert len(t) == 32 and t.isalnum()
    assert call(server, t) == 200
    # every connection may land on another shard: all of them know it, and all of them forget it
    assert [call(server, t) for _ in range(8)] == [200] * 8
    server.api("oauth_revoke_token", token=t)
    assert [call(server, t) for _ in range(8)] == [401] * 8
    assert call(server, "x" * 32) == 401 and call(server, "") == 401 and call(server, "y" * 5000) == 401


def test_tokens_differ_and_are_listed_with_what_is_left(server):
    tokens = {issue(server, "lister@localhost", "sasl_auth", "register") for _ in range(20)}
    assert len(tokens) == 20
    expired = issue(server, "lister@localhost", "sasl_auth", ttl=0)
    rows = {r["token"]: r for r in server.api("oauth_list_tokens")}
    assert tokens <= set(rows) and expired not in rows
    one = rows[min(tokens)]
    assert one["user"] == "lister@localhost" and one["scope"] == "sasl_auth register"
    assert 3500 < int(one["expires_in"].split()[0]) <= 3600
    listed = server.ctl("oauth_list_tokens").stdout
    assert all(t in listed for t in tokens)


def test_expired_tokens_are_refused(server):
    assert call(server, issue(server, "a@localhost", "ejabberd:admin", ttl=0)) == 401
    assert call(server, issue(server, "a@localhost", "ejabberd:admin", ttl=-5)) == 401
    assert call(server, issue(server, "a@localhost", "ejabberd:admin", ttl=10**15)) == 200


def test_scopes(server):
    assert call(server, issue(server, "a@localhost", "sasl_auth")) == 403
    # a scope that only the permissions of this server know
    assert call(server, issue(server, "a@localhost", "shop:read")) == 200
    assert server.api_raw("oauth_issue_token", json.dumps({"jid": "a@localhost", "ttl": 1, "scopes": ["nosuch"]})) == \
        (400, '"invalid_scope"')
    assert call(server, issue(server, "a@localhost")) == 403


def test_tokens_survive_a_restart(new_server):
    s = new_server(configure)
    s.start()
    t = issue(s, "a@localhost", "ejabberd:admin")
    s.kill()
    s.start()
    assert call(s, t) == 200


def test_tables_are_written_as_ejabberd_writes_them(new_server):
    def one_file(config):
        configure(config)
        config.update(default_db="sql", sql_type="sqlite", new_sql_schema=True, auth_method="sql")
    s = new_server(one_file)
    s.config["sql_database"] = str(s.folder / "data.sqlite")
    s.start()
    t = issue(s, "søren@example.test/res", "ejabberd:user", "registered_users", ttl=1000)
    s.api("oauth_add_client_password", client_id="client-pw", client_name="Client & Sons", secret="s3cret")
    s.api("oauth_add_client_implicit", client_id="client-web", client_name="Web <client>", redirect_uri="http://localhost/cb?x=1")
    s.stop()
    db = sqlite3.connect(s.config["sql_database"])
    assert db.execute("SELECT token, jid, scope FROM oauth_token").fetchall() == [
        (t, "søren@example.test", "ejabberd:user registered_users")]
    assert db.execute("SELECT client_id, client_name, grant_type, options FROM oauth_client ORDER BY 1").fetchall() == [
        ("client-pw", "Client & Sons", "password", "g2wAAAABaAJkAAZzZWNyZXRtAAAABnMzY3JldGo="),
        ("client-web", "Web <client>", "implicit", "g2wAAAABaAJkAAxyZWRpcmVjdF91cmltAAAAF2h0dHA6Ly9sb2NhbGhvc3QvY2I/eD0xag==")]


def test_an_account_takes_its_tokens_with_it(server):
    user = server.register()
    t = issue(server, f"{user}@localhost", "ejabberd:admin")
    assert call(server, t) == 200
    server.api("unregister", user=user, host="localhost")
    assert [call(server, t) for _ in range(8)] == [401] * 8


@pytest.mark.parametrize("kind", ["rest", "sql"])
def test_a_store_that_is_not_there_is_refused(new_server, kind):
    s = new_server(lambda c: c.update(oauth_db_type=kind))
    with pytest.raises(AssertionError, match=f"oauth_db_type '{kind}' is not supported yet"):
        s.start()


# --- XMPP ---

def oauth_login(stream, user, t, authzid=""):
    stream.open_features()
    stream.auth_raw("X-OAUTH2", sasl.plain(user, t, authzid))


def test_login_with_a_token(server, streams):
    user = server.register()
    t = issue(server, f"{user}@localhost", "sasl_auth")
    s = streams(server.stream(to="localhost"))
    oauth_login(s, user, t)
    s.expect_success()
    s.open_features()
    assert s.bind("r") == f"{user}@localhost/r"


@pytest.mark.parametrize("case", ["scope", "owner", "host", "expired", "revoked", "unknown", "password", "no account"])
def test_refused_tokens(server, streams, case):
    user, other = server.register(), server.register()
    who = {"owner": f"{other}@localhost", "host": f"{user}@example.test", "no account": "ghost@localhost"}
    t = issue(server, who.get(case, f"{user}@localhost"), "ejabberd:admin" if case == "scope" else "sasl_auth",
              ttl=0 if case == "expired" else 3600)
    if case == "revoked":
        server.api("oauth_revoke_token", token=t)
    s = streams(server.stream(to="localhost"))
    oauth_login(s, "ghost" if case == "no account" else user, {"unknown": "z" * 32, "password": PASSWORD}.get(case, t))
    assert s.expect_failure() == "not-authorized"


def test_a_token_is_no_password_and_acts_for_nobody_else(server, streams):
    user, other = server.register(), server.register()
    t = issue(server, f"{user}@localhost", "sasl_auth")
    assert server.api("check_password", user=user, host="localhost", password=t) == 1
    s = streams(server.stream(to="localhost"))
    oauth_login(s, user, t, f"{other}@localhost")
    assert s.expect_failure() == "invalid-authzid"


# --- the token endpoint ---

def test_password_grant(server, streams):
    user = server.register()
    r, answer = token(server, username=f"{user}@localhost", scope="sasl_auth registered_users")
    assert r.status == 200 and r.getheader("Cache-Control") == "no-store"
    assert answer["token_type"] == "bearer" and answer["scope"] == "sasl_auth registered_users" and answer["expires_in"] == 7200
    s = streams(server.stream(to="localhost"))
    oauth_login(s, user, answer["access_token"])
    s.expect_success()
    assert PASSWORD not in server.log() and answer["access_token"] not in server.log()


@pytest.mark.parametrize("form,status,error", [
    ({"username": "x"}, 400, "invalid_grant"),
    ({"username": "@"}, 400, "invalid_request"),
    ({"username": "ghost@localhost"}, 400, "invalid_grant"),
    ({"username": "ghost@nowhere.test"}, 400, "invalid_grant"),
    ({"username": "localhost"}, 400, "invalid_grant"),
    ({"username": ""}, 400, "invalid_request"),
    ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ({"scope": "nosuch"}, 400, "invalid_grant"),
    ({"ttl": "-1"}, 400, "invalid_request"),
    ({"ttl": "soon"}, 400, "invalid_request"),
    ({"ttl": "9" * 30}, 400, "invalid_request"),
    ({"password": "wrong"}, 400, "invalid_grant"),
    ({"password": ""}, 400, "invalid_grant"),
])
def test_refused_grants(server, form, status, error):
    user = server.register()
    r, answer = token(server, **{"username": f"{user}@localhost", **form})
    assert r.status == status and answer["error"] == error and "access_token" not in answer


def test_oauth_access_decides_who_may_have_tokens(server):
    server.api("register", user="outsider", host="localhost", password=PASSWORD)
    r, answer = token(server, username="outsider@localhost")
    assert r.status == 400 and answer == {"error": "invalid_grant", "error_description": "Access denied"}


def test_clients_are_checked_where_the_option_says_so(server):
    user, client = server.register(host="example.test"), unique("shop")
    who = f"{user}@example.test"
    assert token(server, username=who)[0].status == 401
    server.api("oauth_add_client_password", client_id=client, client_name="Shop", secret="hush")
    assert token(server, username=who, client_id=client, client_secret="wrong")[1]["error"] == "invalid_client"
    assert token(server, username=who, client_id=client, client_secret="hush")[0].status == 200
    basic = base64.b64encode(f"{client}:hush".encode()).decode()
    r, _ = request(server, "POST", "/oauth/token", {"grant_type": "password", "username": who, "password": PASSWORD,
                                                    "scope": "sasl_auth"}, {"Authorization": f"Basic {basic}"})
    assert r.status == 200
    server.api("oauth_remove_client", client_id=client)
    assert token(server, username=who, client_id=client, client_secret="hush")[0].status == 401


def test_guessing_passwords_ends_soon(server):
    user = server.register()
    answers = [token(server, username=f"{user}@localhost", password=f"guess{i}")[0].status for i in range(12)]
    assert answers[:10] == [400] * 10 and answers[10:] == [429] * 2
    assert token(server, username=f"{user.upper()}@localhost")[0].status == 429  # the right one, too late, and no other spelling helps
    assert token(server, username=f"{server.register()}@localhost")[0].status == 200


@pytest.mark.parametrize("body", ["a", "%", "grant_type=password&grant_type=password", "grant_type=%ff", "username=a%00b", "&&&",
                                  "=".join("x" * 100), "&".join(f"a{i}=b" for i in range(100)), "a=" + "b" * 100000])
def test_malformed_forms(server, body):
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    conn.request("POST", "/oauth/token", body)
    r = conn.getresponse()
    assert r.status == 400 and b"access_token" not in r.read()
    conn.close()


def test_other_paths_and_methods(server):
    assert request(server, "GET", "/oauth/token")[0].status == 405
    assert request(server, "DELETE", "/oauth/authorization_token")[0].status == 405
    assert request(server, "GET", "/oauth")[0].status == 404
    assert request(server, "GET", "/oauth/nosuch")[0].status == 404
    assert request(server, "GET", "/oauth/token/more")[0].status == 404


# --- the page ---

class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.fields, self.labels, self.text = [], {}, set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.tags.append(tag)
        if tag in ("input", "select"):
            self.fields[a.get("name")] = a.get("value")
        if tag == "label":
            self.labels.add(a["for"])

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def client(server):
    name = unique("web")
    server.api("oauth_add_client_implicit", client_id=name, client_name='<b>Web</b> "shop"', redirect_uri=CALLBACK)
    return name


def page(server, client, **query):
    q = {"response_type": "token", "client_id": client, "redirect_uri": CALLBACK, "scope": "sasl_auth", "state": '"><x y=', **query}
    return request(server, "GET", "/oauth/authorization_token?" + urllib.parse.urlencode(q))


def submit(server, client, **form):
    r, body = page(server, client)
    fields = {k: v for k, v in Page(body).fields.items() if v is not None}
    return request(server, "POST", "/oauth/authorization_token", {**fields, "ttl": "100", **form})


def fragment(r):
    address, _, rest = r.getheader("Location").partition("#")
    assert address == CALLBACK
    return dict(urllib.parse.parse_qsl(rest))


def test_the_page(server, client):
    r, body = page(server, client)
    p = Page(body)
    assert r.status == 200 and "script" not in p.tags and "b" not in p.tags and "x" not in p.tags
    assert '<b>Web</b> "shop"' in p.text and "https://client.test" in p.text
    assert p.labels == {"username", "password", "ttl"} and p.fields["state"] == '"><x y='
    policy = r.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "form-action 'self' https://client.test" in policy
    assert r.getheader("X-Frame-Options") == "DENY" and r.getheader("Cache-Control") == "no-store"
    style, text = request(server, "GET", "/oauth/style.css")
    assert style.getheader("Content-Type").startswith("text/css") and text


def test_allowing(server, client, streams):
    user = server.register()
    r, _ = submit(server, client, username=f"{user}@localhost", password=PASSWORD)
    got = fragment(r)
    assert r.status == 302 and got["token_type"] == "bearer" and got["expires_in"] == "100" and got["scope"] == "sasl_auth"
    assert got["state"] == '"><x y='
    s = streams(server.stream(to="localhost"))
    oauth_login(s, user, got["access_token"])
    s.expect_success()


def test_denying_and_wrong_passwords(server, client):
    user = server.register()
    r, _ = submit(server, client, decision="deny")
    assert r.status == 302 and fragment(r) == {"error": "access_denied", "state": '"><x y='}
    r, body = submit(server, client, username=f"{user}@localhost", password="wrong")
    assert r.status == 403 and r.getheader("Location") is None and 'role="alert"' in body
    assert Page(body).fields["username"] == f"{user}@localhost" and "wrong" not in Page(body).fields.values()
    r, _ = submit(server, client, username="@", password="x")
    assert r.status == 400 and r.getheader("Location") is None


def test_errors_go_back_to_the_client(server, client):
    assert fragment(page(server, client, response_type="code")[0])["error"] == "unsupported_response_type"
    assert fragment(page(server, client, scope="nosuch")[0])["error"] == "invalid_scope"


@pytest.mark.parametrize("query", [
    {"redirect_uri": "https://evil.test/"}, {"redirect_uri": CALLBACK + "/"}, {"redirect_uri": "https://client.test@evil.test/cb?x=1"},
    {"client_id": "nosuch"}, {"client_id": ""},
])
def test_nobody_is_sent_to_an_address_that_is_not_registered(server, client, query):
    user = server.register()
    r, body = page(server, client, **query)
    assert r.status == 400 and r.getheader("Location") is None and "evil" not in body
    form = {"response_type": "token", "client_id": client, "redirect_uri": CALLBACK, "scope": "sasl_auth",
            "username": f"{user}@localhost", "password": PASSWORD, **query}
    r, body = request(server, "POST", "/oauth/authorization_token", form)
    assert r.status == 400 and r.getheader("Location") is None


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "not a uri", "https://a.test/\r\nX: y",
                                 "https://a.test/#frag", "//a.test", ""])
def test_dangerous_addresses_are_not_used(server, uri):
    name = unique("bad")
    server.api("oauth_add_client_implicit", client_id=name, client_name="n", redirect_uri=uri)
    r, body = request(server, "GET", "/oauth/authorization_token?" + urllib.parse.urlencode(
        {"response_type": "token", "client_id": name, "redirect_uri": uri, "scope": "sasl_auth"}))
    assert r.status == 400 and r.getheader("Location") is None and r.getheader("X") is None


def test_a_client_of_the_other_grant_has_no_page(server):
    name = unique("pw")
    server.api("oauth_add_client_password", client_id=name, client_name="n", secret=CALLBACK)
    assert page(server, name)[0].status == 400
