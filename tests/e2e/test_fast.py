"""FAST (XEP-0484) with the Hashed Token mechanisms over SASL2 (XEP-0388): what is offered, what a token does, how it ends."""
import hashlib
import hmac
import json
import sqlite3

import pytest

import sasl
from faults import locked
from server import PASSWORD
from test_sasl2 import AGENT, BIND2, NS2, answer, bind2, identity, offered, plain
from sm import SM
from xmppstream import local, q, until

FAST = "urn:xmpp:fast:0"
OTHER_AGENT = "00000000-0000-4000-8000-00000000000b"
BINDING = {"HT-SHA-256-UNIQ": "tls-unique", "HT-SHA-256-EXPR": "tls-exporter", "HT-SHA-256-ENDP": "tls-server-end-point"}


def configure(config):
    config["modules"]["mod_auth_fast"] = {}
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60}
    config["auth_stored_password_types"] = ["plain"]
    next(l for l in config["listen"] if l.get("starttls"))["allow_unencrypted_sasl2"] = True


def secure(server, streams, version="1.3", host="localhost", address=None):
    s = streams(server.stream(address or server.tls, tls="direct", version=version, to=host))
    s.features = s.open_features()
    return s


def proof(token, text, s, mechanism):
    data = s.tls.channel_binding(BINDING[mechanism]) if mechanism in BINDING else b""
    return hmac.new(token.encode(), text.encode() + data, hashlib.sha256).digest()


def request(mechanism):
    return f"<request-token xmlns='{FAST}' mechanism='{mechanism}'/>"


def token_of(success):
    el = success.find(f"{{{FAST}}}token")
    return None if el is None else el.get("token")


def obtain(server, streams, mechanism="HT-SHA-256-NONE", user=None, agent=AGENT, version="1.3", host="localhost", **more):
    """(user, token) of a login with a password."""
    user = user or server.register(host=host)
    s = secure(server, streams, version, host, **more)
    plain(s, user, request(mechanism), agent=agent)
    return user, token_of(answer(s, "success"))


def show(s, user, token, mechanism="HT-SHA-256-NONE", fast="<fast xmlns='urn:xmpp:fast:0'/>", inner="", agent=AGENT):
    """Sends it; the proof of the server is checked by fits()."""
    s.token, s.mechanism = token, mechanism
    data = user.encode() + b"\0" + proof(token, "Initiator", s, mechanism)
    s.send(f"<authenticate xmlns='{NS2}' mechanism='{mechanism}'><initial-response>{sasl.b64(data)}</initial-response>"
           f"<user-agent id='{agent}'/>{fast}{inner}</authenticate>")


def fits(s):
    el = answer(s, "success")
    got = sasl.unb64(el.findtext(f"{{{NS2}}}additional-data"))
    assert got == proof(s.token, "Responder", s, s.mechanism), "the server proves that it knows the token"
    return el


def refused(s, condition="not-authorized"):
    assert answer(s, "failure")[0].tag == q("sasl", condition), s.transcript()


def attempt(server, streams, *args, **options):
    s = secure(server, streams)
    show(s, *args, **options)
    return s


# --- what is offered ---

@pytest.mark.parametrize("version,missing", [("1.2", None), ("1.3", "HT-SHA-256-UNIQ")])
def test_offer(server, streams, version, missing):
    """§3.1. No 'tls-0rtt': early data is not accepted. tls-unique is not defined for TLS 1.3 (RFC 9266 §3)."""
    el = offered(secure(server, streams, version).features).find(f"{{{NS2}}}inline/{{{FAST}}}fast")
    names = [m.text for m in el]
    assert names == [n for n in ("HT-SHA-256-NONE", "HT-SHA-256-UNIQ", "HT-SHA-256-EXPR", "HT-SHA-256-ENDP") if n != missing]
    assert not el.attrib
    assert not [m for m in offered(secure(server, streams).features).findall(f"{{{NS2}}}mechanism") if m.text.startswith("HT-")]


def test_never_without_tls(server, streams):
    """§6, also where SASL2 is allowed in the clear."""
    s = streams(server.stream())
    f = s.open_features()
    assert offered(f) is not None and f.find(f".//{{{FAST}}}fast") is None
    user, token = obtain(server, streams)
    show(s, user, token)
    refused(s, "invalid-mechanism")
    plain(s, user, request("HT-SHA-256-NONE"))
    assert token_of(answer(s, "success")) is None


def test_not_without_the_module(new_server, streams):
    with new_server() as server:
        s = secure(server, streams)
        assert s.features.find(f".//{{{FAST}}}fast") is None
        user = server.register()
        show(s, user, "x")
        refused(s, "invalid-mechanism")
        plain(s, user, request("HT-SHA-256-NONE"))
        assert token_of(answer(s, "success")) is None


def test_disabled(new_server, streams):
    """Option disable_sasl_mechanisms: only tokens that are bound to the connection."""
    def change(config):
        configure(config)
        config["disable_sasl_mechanisms"] = ["ht-sha-256-none", "HT-SHA-256-ENDP"]
    with new_server(change) as server:
        s = secure(server, streams)
        assert [m.text for m in s.features.find(f".//{{{FAST}}}fast")] == ["HT-SHA-256-EXPR"]
        user, token = obtain(server, streams)
        assert token is None
        show(s, user, "x")
        refused(s, "invalid-mechanism")


# --- tokens ---

@pytest.mark.parametrize("mechanism,version", [("HT-SHA-256-NONE", "1.3"), ("HT-SHA-256-EXPR", "1.3"), ("HT-SHA-256-ENDP", "1.3"),
                                               ("HT-SHA-256-NONE", "1.2"), ("HT-SHA-256-UNIQ", "1.2"), ("HT-SHA-256-EXPR", "1.2")])
@pytest.mark.parametrize("host", ["localhost", "example.test"])
def test_login(server, streams, mechanism, version, host):
    """§3.2 to §3.4: asked for, given with its end, shown again and again with Bind 2 in one round trip."""
    user = server.register(host=host)
    s = secure(server, streams, version, host)
    plain(s, user, bind2() + request(mechanism))
    el = answer(s, "success")
    assert el.find(f"{{{BIND2}}}bound") is not None
    given = el.find(f"{{{FAST}}}token")
    assert given.get("expiry").endswith("Z") and len(given.get("token")) >= 43
    for _ in range(3):
        n = secure(server, streams, version, host)
        show(n, user, given.get("token"), mechanism, inner=bind2())
        el = fits(n)
        assert identity(el).startswith(f"{user}@{host}/T.") and token_of(el) is None  # not due
        n.jid = identity(el)
        n.ping()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256-PLUS"])
def test_token_from_scram(server, streams, mechanism):
    user = server.register()
    s = secure(server, streams)
    plus = mechanism.endswith("PLUS")
    x = sasl.Scram(mechanism, user, PASSWORD, "tls-exporter" if plus else None, s.tls.channel_binding("tls-exporter") if plus else b"")
    s.send(f"<authenticate xmlns='{NS2}' mechanism='{mechanism}'><initial-response>{sasl.b64(x.first())}</initial-response>"
           f"<user-agent id='{AGENT}'/>{request('HT-SHA-256-EXPR')}</authenticate>")
    s.send(f"<response xmlns='{NS2}'>{sasl.b64(x.final(sasl.unb64(answer(s, 'challenge').text)))}</response>")
    fits(attempt(server, streams, user, token_of(answer(s, "success")), "HT-SHA-256-EXPR"))


def test_resumption_with_a_token(server, streams):
    """XEP-0198 §9 inline; the new token comes along there too."""
    user, token = obtain(server, streams)
    s = attempt(server, streams, user, token, inner=bind2(f"<enable xmlns='{SM}' resume='true'/>"))
    enabled = fits(s).find(f"{{{BIND2}}}bound/{{{SM}}}enabled")
    s.drop()
    n = attempt(server, streams, user, token, inner=f"<resume xmlns='{SM}' previd='{enabled.get('id')}' h='0'/>"
                + request("HT-SHA-256-NONE"))
    el = fits(n)
    assert el.find(f"{{{SM}}}resumed") is not None and token_of(el)


@pytest.mark.parametrize("inner", ["<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-UNIQ'/>",
                                   "<request-token xmlns='urn:xmpp:fast:0' mechanism='PLAIN'/>",
                                   "<request-token xmlns='urn:xmpp:fast:0'/>"])
def test_request_for_what_is_not_offered(server, streams, inner):
    """The login is good without (§3.2: the mechanism must be one of those advertised)."""
    s = secure(server, streams)
    plain(s, server.register(), inner)
    assert token_of(answer(s, "success")) is None


@pytest.mark.parametrize("agent", ["", "x" * 129])
def test_no_token_for_a_client_without_a_name(server, streams, agent):
    """§4.1: user-agent with an id."""
    s = secure(server, streams)
    plain(s, server.register(), request("HT-SHA-256-NONE"), agent=agent)
    assert token_of(answer(s, "success")) is None


def test_survives_kill(new_server, streams):
    """What was answered is so afterwards: a token, its count, and its end."""
    with new_server(configure) as server:
        user, token = obtain(server, streams)
        _, other = obtain(server, streams, user=user, agent=OTHER_AGENT)
        fits(attempt(server, streams, user, token, fast=f"<fast xmlns='{FAST}' count='3'/>"))
        fits(attempt(server, streams, user, other, agent=OTHER_AGENT, fast=f"<fast xmlns='{FAST}' invalidate='1'/>"))
        server.kill()
        server.start()
        refused(attempt(server, streams, user, token, fast=f"<fast xmlns='{FAST}' count='3'/>"))
        fits(attempt(server, streams, user, token, fast=f"<fast xmlns='{FAST}' count='4'/>"))
        refused(attempt(server, streams, user, other, agent=OTHER_AGENT))


# --- rotation, §3.5 and §5 ---

def renewed(server, streams, user, token):
    """The new token that comes once this one is due."""
    found = []

    def due():
        found.append(token_of(fits(attempt(server, streams, user, token))))
        return found[-1]
    until(due, "the token is due")
    return found[-1]


def test_rotation(new_server, streams):
    def change(config):
        configure(config)
        config["modules"]["mod_auth_fast"] = {"token_refresh_age": "1 second"}
    with new_server(change) as server:
        user, first = obtain(server, streams)
        second = renewed(server, streams, user, first)
        assert second != first
        third = token_of(fits(attempt(server, streams, user, first)))  # the answer was lost: the old one is still good
        refused(attempt(server, streams, user, second))  # handed out, never used, replaced
        fits(attempt(server, streams, user, third))
        refused(attempt(server, streams, user, first))  # the newer one was used


def test_not_due(server, streams):
    """token_refresh_age is a day unless set."""
    user, token = obtain(server, streams)
    assert token_of(fits(attempt(server, streams, user, token))) is None


def test_asked_for_again(server, streams):
    user, first = obtain(server, streams)
    second = token_of(fits(attempt(server, streams, user, first, inner=request("HT-SHA-256-EXPR"))))
    fits(attempt(server, streams, user, second, "HT-SHA-256-EXPR"))
    refused(attempt(server, streams, user, first))


def test_expired(new_server, streams):
    """§4.2: credentials-expired, and the password goes on being good."""
    def change(config):
        configure(config)
        config["modules"]["mod_auth_fast"] = {"token_lifetime": "1 second"}
    with new_server(change) as server:
        user, token = obtain(server, streams)

        def over():
            s = attempt(server, streams, user, token)
            el = s.expect(lambda e: e.tag.startswith(f"{{{NS2}}}"))
            if local(el) == "failure":
                assert el[0].tag == q("sasl", "credentials-expired")
                plain(s, user)
                answer(s, "success")
            return local(el) == "failure"
        until(over, "the token ends")


# --- invalidation, §3.6 ---

@pytest.mark.parametrize("value", ["true", "1"])
def test_invalidate(server, streams, value):
    user, token = obtain(server, streams)
    el = fits(attempt(server, streams, user, token, fast=f"<fast xmlns='{FAST}' invalidate='{value}'/>"))
    assert token_of(el) is None
    refused(attempt(server, streams, user, token))


def test_invalidate_is_not_followed_by_a_new_one(new_server, streams):
    """Even if it was due, but for a client that asks."""
    def change(config):
        configure(config)
        config["modules"]["mod_auth_fast"] = {"token_refresh_age": "1 second"}
    with new_server(change) as server:
        user, token = obtain(server, streams)
        gone = f"<fast xmlns='{FAST}' invalidate='true'/>"
        unused = renewed(server, streams, user, token)
        assert token_of(fits(attempt(server, streams, user, token, fast=gone))) is None
        refused(attempt(server, streams, user, unused))  # who logs out has no second way in
        user, token = obtain(server, streams)
        new = token_of(fits(attempt(server, streams, user, token, fast=gone, inner=request("HT-SHA-256-NONE"))))
        refused(attempt(server, streams, user, token))
        fits(attempt(server, streams, user, new))


def test_other_clients_stay(server, streams):
    user, token = obtain(server, streams)
    _, other = obtain(server, streams, user=user, agent=OTHER_AGENT)
    fits(attempt(server, streams, user, token, fast=f"<fast xmlns='{FAST}' invalidate='true'/>"))
    fits(attempt(server, streams, user, other, agent=OTHER_AGENT))


# --- what ends all tokens of an account ---

def test_change_of_password(server, streams):
    user, token = obtain(server, streams)
    server.api("change_password", user=user, host="localhost", newpass="another")
    refused(attempt(server, streams, user, token))


def test_unregister(server, streams):
    user, token = obtain(server, streams)
    server.api("unregister", user=user, host="localhost")
    refused(attempt(server, streams, user, token))
    server.api("register", user=user, host="localhost", password="x")
    refused(attempt(server, streams, user, token))


def test_ban(server, streams):
    """Also when it is lifted."""
    user, token = obtain(server, streams)
    server.api("ban_account", user=user, host="localhost", reason="x")
    refused(attempt(server, streams, user, token), "account-disabled")
    server.api("unban_account", user=user, host="localhost")
    refused(attempt(server, streams, user, token))
    s = secure(server, streams)
    plain(s, user)
    answer(s, "success")


# --- attacks ---

def test_proof_is_not_replayed_elsewhere(server, streams):
    """A channel binding makes what was heard on one connection worthless on another."""
    user, token = obtain(server, streams, "HT-SHA-256-EXPR")
    heard = secure(server, streams)
    data = user.encode() + b"\0" + proof(token, "Initiator", heard, "HT-SHA-256-EXPR")
    s = secure(server, streams)
    s.send(f"<authenticate xmlns='{NS2}' mechanism='HT-SHA-256-EXPR'><initial-response>{sasl.b64(data)}</initial-response>"
           f"<user-agent id='{AGENT}'/><fast xmlns='{FAST}'/></authenticate>")
    refused(s)


@pytest.mark.parametrize("asked,used", [("HT-SHA-256-EXPR", "HT-SHA-256-NONE"), ("HT-SHA-256-NONE", "HT-SHA-256-ENDP"),
                                        ("HT-SHA-256-EXPR", "HT-SHA-256-ENDP")])
def test_other_mechanism(server, streams, asked, used):
    """§3.4: tokens are bound to the mechanism they were asked for."""
    user, token = obtain(server, streams, asked)
    refused(attempt(server, streams, user, token, used))
    fits(attempt(server, streams, user, token, asked))


def test_count(server, streams):
    """§3.4: equal or lower is a replay, also on another connection; none at all is no replay without early data."""
    def with_count(n):
        return attempt(server, streams, user, token, fast=f"<fast xmlns='{FAST}' count='{n}'/>")
    user, token = obtain(server, streams)
    fits(with_count(5))
    refused(with_count(5))
    refused(with_count(4))
    fits(with_count(6))
    fits(attempt(server, streams, user, token))
    refused(with_count(6))
    new = token_of(fits(attempt(server, streams, user, token, inner=request("HT-SHA-256-NONE"))))
    fits(attempt(server, streams, user, new, fast=f"<fast xmlns='{FAST}' count='0'/>"))  # of the new one nothing was counted


def test_token_of_another_client(server, streams):
    user, token = obtain(server, streams)
    refused(attempt(server, streams, user, token, agent=OTHER_AGENT))
    fits(attempt(server, streams, user, token))


def test_token_of_another_account(server, streams):
    _, token = obtain(server, streams)
    refused(attempt(server, streams, server.register(), token))
    refused(attempt(server, streams, "nobody-at-all", token))


def test_token_of_another_host(server, streams):
    user, token = obtain(server, streams)
    server.api("register", user=user, host="example.test", password=PASSWORD)
    s = secure(server, streams, host="example.test")
    show(s, user, token)
    refused(s)


GOOD = sasl.b64(b"user\0" + bytes(32))


@pytest.mark.parametrize("initial,fast", [
    (f"<initial-response>{GOOD}</initial-response>", ""),  # §3.4: <fast/> must be there
    ("", f"<fast xmlns='{FAST}'/>"),
    ("<initial-response/>", f"<fast xmlns='{FAST}'/>"),
    ("<initial-response>=</initial-response>", f"<fast xmlns='{FAST}'/>"),
    ("<initial-response>?!</initial-response>", f"<fast xmlns='{FAST}'/>"),
    (f"<initial-response>{GOOD[:-2]}</initial-response>", f"<fast xmlns='{FAST}'/>"),
    (f"<initial-response>{sasl.b64(b'user')}</initial-response>", f"<fast xmlns='{FAST}'/>"),
    (f"<initial-response>{sasl.b64(bytes(33))}</initial-response>", f"<fast xmlns='{FAST}'/>"),
    (f"<initial-response>{sasl.b64(b'user' + bytes(32))}</initial-response>", f"<fast xmlns='{FAST}'/>"),
    (f"<initial-response>{sasl.b64(b'u' * 4000 + bytes(33))}</initial-response>", f"<fast xmlns='{FAST}'/>"),
    (f"<initial-response>{sasl.b64(bytes([0xff]) + bytes(33))}</initial-response>", f"<fast xmlns='{FAST}'/>"),
    (f"<initial-response>{GOOD}</initial-response>", f"<fast xmlns='{FAST}' count='-1'/>"),
    (f"<initial-response>{GOOD}</initial-response>", f"<fast xmlns='{FAST}' count='2147483648'/>"),
    (f"<initial-response>{GOOD}</initial-response>", f"<fast xmlns='{FAST}' count='1e3'/>"),
    (f"<initial-response>{GOOD}</initial-response>", f"<fast xmlns='{FAST}' count=''/>"),
    (f"<initial-response>{GOOD}</initial-response>", f"<fast xmlns='{FAST}' invalidate='perhaps'/>"),
])
def test_malformed(server, streams, initial, fast):
    s = secure(server, streams)
    s.send(f"<authenticate xmlns='{NS2}' mechanism='HT-SHA-256-NONE'>{initial}<user-agent id='{AGENT}'/>{fast}</authenticate>")
    refused(s, "malformed-request")
    plain(s, server.register())
    answer(s, "success")


@pytest.mark.parametrize("agent", ["", "<user-agent/>", f"<user-agent id='{'x' * 129}'/>"])
def test_no_client_id(server, streams, agent):
    s = secure(server, streams)
    s.send(f"<authenticate xmlns='{NS2}' mechanism='HT-SHA-256-NONE'><initial-response>{GOOD}</initial-response>{agent}"
           f"<fast xmlns='{FAST}'/></authenticate>")
    refused(s, "malformed-request")


def test_guessing_ends_the_stream(server, streams):
    """RFC 6120 §6.4.5, as for passwords."""
    s = secure(server, streams)
    for _ in range(4):
        show(s, "user", "x")
        refused(s)
    show(s, "user", "x")
    refused(s)
    s.expect_stream_error("policy-violation")


def test_database_gives_no_login(new_server, streams):
    """What is in the table is not the token, and with another cluster secret there is none."""
    with new_server(configure) as server:
        user, token = obtain(server, streams)
        fits(attempt(server, streams, user, token))
        rows = []
        for file in server.spool.rglob("*"):
            if file.is_file() and file.read_bytes()[:15] == b"SQLite format 3":
                with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
                    rows += db.execute("SELECT * FROM cj_fast_token").fetchall()
        assert len(rows) == 1 and token not in json.dumps(rows)
        for value in (str(v) for v in rows[0]):
            refused(attempt(server, streams, user, value))
        server.stop()
        (server.spool / "cookie").unlink()
        server.start()
        refused(attempt(server, streams, user, token))


def test_not_for_what_ends_by_itself(new_server, streams):
    """A token of FAST would outlive an OAuth token; a visitor has nothing to come back to."""
    def change(config):
        configure(config)
        config["hosts"].append("guests.test")
        config["host_config"] = {"guests.test": {"auth_method": ["anonymous"], "anonymous_protocol": "both"}}
    with new_server(change) as server:
        user = server.register()
        oauth = server.api("oauth_issue_token", jid=f"{user}@localhost", ttl=3600, scopes="sasl_auth")["token"]
        s = secure(server, streams)
        s.send(f"<authenticate xmlns='{NS2}' mechanism='X-OAUTH2'><initial-response>{sasl.b64(sasl.plain(user, oauth))}"
               f"</initial-response><user-agent id='{AGENT}'/>{request('HT-SHA-256-NONE')}</authenticate>")
        assert token_of(answer(s, "success")) is None
        s = secure(server, streams, host="guests.test")
        plain(s, "visitor", request("HT-SHA-256-NONE"), password="any")
        assert token_of(answer(s, "success")) is None
        s = secure(server, streams, host="guests.test")
        s.send(f"<authenticate xmlns='{NS2}' mechanism='ANONYMOUS'><initial-response/><user-agent id='{AGENT}'/>"
               f"{request('HT-SHA-256-NONE')}</authenticate>")
        assert token_of(answer(s, "success")) is None


# --- trouble ---

def test_database_that_cannot_be_written(new_server, streams):
    """A token that must be noted as used is not good unnoted; a login with a password goes on without a new one."""
    with new_server(configure, allow_errors=True) as server:
        user, first = obtain(server, streams)
        fits(attempt(server, streams, user, first))
        second = token_of(fits(attempt(server, streams, user, first, inner=request("HT-SHA-256-NONE"))))
        with locked(server):
            fits(attempt(server, streams, user, first))  # nothing changes by it
            refused(attempt(server, streams, user, first, fast=f"<fast xmlns='{FAST}' count='1'/>"), "temporary-auth-failure")
            refused(attempt(server, streams, user, first, fast=f"<fast xmlns='{FAST}' invalidate='true'/>"), "temporary-auth-failure")
            refused(attempt(server, streams, user, second), "temporary-auth-failure")
            s = secure(server, streams)
            plain(s, user, request("HT-SHA-256-NONE"))
            assert token_of(answer(s, "success")) is None
        fits(attempt(server, streams, user, second))
        refused(attempt(server, streams, user, first))
