"""Logging in: every mechanism over every way to connect, against every form of stored password, and all that must fail."""
import pytest

import sasl
from server import PASSWORD
from xmppstream import NS, local, q

# host name -> options; the name says how its passwords are stored.
STORES = {
    "plain.test": {"auth_password_format": "plain"},
    "sha1.test": {"auth_password_format": "scram", "auth_scram_hash": "sha"},
    "sha256.test": {"auth_password_format": "scram", "auth_scram_hash": "sha256"},
    "sha512.test": {"auth_password_format": "scram", "auth_scram_hash": "sha512"},
}
SCRAM_OF = {"plain.test": ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"], "sha1.test": ["SCRAM-SHA-1"],
            "sha256.test": ["SCRAM-SHA-256"], "sha512.test": ["SCRAM-SHA-512"]}
WAYS = {  # name -> (starttls, listener, version)
    "plain": (False, "c2s", None), "starttls12": (True, "c2s", "1.2"), "starttls13": (True, "c2s", "1.3"),
    "required13": (True, "required", "1.3"), "direct12": (False, "tls", "1.2"), "direct13": (False, "tls", "1.3"),
}
BINDINGS = {"1.2": ["tls-unique", "tls-exporter", "tls-server-end-point"], "1.3": ["tls-exporter", "tls-server-end-point"]}

MATRIX = [(host, mech, way) for host in STORES for mech in ["PLAIN"] + SCRAM_OF[host] for way in WAYS]
PLUS_MATRIX = [(host, mech, way, cb) for host in STORES for mech in SCRAM_OF[host] for way in ("starttls12", "starttls13", "direct12",
               "direct13") for cb in BINDINGS[WAYS[way][2]]]


def configure(config):
    config["hosts"] += list(STORES)
    config["host_config"] = {**STORES, "nothing.test": {"disable_sasl_mechanisms": ["PLAIN", "scram-sha-1"]}}
    config["hosts"].append("nothing.test")


@pytest.fixture(scope="module")
def accounts(server):
    """One account on every host, made through the API."""
    return {host: server.register(host=host, password="pässword ✓ =,") for host in STORES}


def connect(server, way, host="localhost"):
    starttls, listener, version = WAYS[way]
    s = server.stream(getattr(server, listener), to=host, version=version, tls="direct" if listener == "tls" else None)
    features = s.open_features()
    if starttls:
        s.starttls()
        features = s.open_features()
    return s, features


def mechanisms(features):
    return [m.text for m in features.findall(f"{q('sasl', 'mechanisms')}/{q('sasl', 'mechanism')}")]


def finish(s):
    """From authenticated to a bound, working stream."""
    s.open_features()
    s.bind()
    s.ping()


@pytest.mark.parametrize("host,mech,way", MATRIX, ids="-".join)
def test_login(server, accounts, streams, host, mech, way):
    s = streams(connect(server, way, host)[0])
    s.authenticate(accounts[host], "pässword ✓ =,", mech)
    finish(s)


@pytest.mark.parametrize("host,mech,way,binding", PLUS_MATRIX, ids="-".join)
def test_login_with_channel_binding(server, accounts, streams, host, mech, way, binding):
    s, features = connect(server, way, host)
    streams(s)
    offered = [c.get("type") for c in features.findall(f"{q('cb', 'sasl-channel-binding')}/{q('cb', 'channel-binding')}")]
    assert binding in offered
    s.authenticate(accounts[host], "pässword ✓ =,", mech + "-PLUS", binding)
    finish(s)


@pytest.mark.parametrize("host", STORES)
@pytest.mark.parametrize("way", WAYS)
def test_offered_mechanisms(server, streams, host, way):
    """SCRAM only for hashes that the store can serve, -PLUS only over TLS, stronger ones nowhere missing."""
    s, features = connect(server, way, host)
    streams(s)
    want = {"PLAIN", *SCRAM_OF[host]}
    if s.tls:
        want |= {m + "-PLUS" for m in SCRAM_OF[host]}
    assert set(mechanisms(features)) >= want
    extra = set(mechanisms(features)) - want
    assert not {m for m in extra if m.startswith("SCRAM")}, extra


def test_disabled_mechanisms_are_not_offered_and_refused(server, streams):
    user = server.register(host="nothing.test")
    s, features = connect(server, "plain", "nothing.test")
    streams(s)
    assert "PLAIN" not in mechanisms(features) and "SCRAM-SHA-1" not in mechanisms(features)
    s.auth_raw("PLAIN", sasl.plain(user, PASSWORD))
    s.expect_failure("invalid-mechanism")


# --- order and content of features (RFC 6120 §4.3, XEP-0170) ---

def test_features_before_tls(server, streams):
    s = streams(server.stream())
    names = [local(f) for f in s.open_features()]
    assert "mechanisms" in names and "starttls" in names and "bind" not in names


def test_features_when_tls_is_required(server, streams):
    s = streams(server.stream(server.required))
    features = s.open_features()
    assert [local(f) for f in features] == ["starttls", "limits"]  # limits only tell (XEP-0478): nothing to negotiate
    assert features.find(f"{q('tls', 'starttls')}/{q('tls', 'required')}") is not None


@pytest.mark.parametrize("way", ["starttls13", "direct13"])
def test_features_over_tls(server, streams, way):
    s, features = connect(server, way)
    streams(s)
    names = [local(f) for f in features]
    assert "starttls" not in names and "mechanisms" in names and "sasl-channel-binding" in names


def test_features_after_login(server, streams):
    user = server.register()
    s = streams(server.stream())
    s.open_features()
    s.authenticate(user, PASSWORD)
    names = [local(f) for f in s.open_features()]
    assert names[0] == "bind" and "session" in names and "mechanisms" not in names and "starttls" not in names


def test_login_before_required_tls_is_refused(server, streams):
    user = server.register()
    s = streams(server.stream(server.required))
    s.open_features()
    s.auth_raw("PLAIN", sasl.plain(user, PASSWORD))
    s.expect_failure("encryption-required")
    s.starttls()  # and the stream is still good for the right way
    s.open_features()
    s.authenticate(user, PASSWORD)
    finish(s)


def test_stream_ids_differ_in_every_header(server, streams):
    user = server.register()
    s = streams(server.stream())
    ids = [s.open().get("id")]
    s.expect_tag(q("stream", "features"))
    s.starttls()
    ids.append(s.open().get("id"))
    s.expect_tag(q("stream", "features"))
    s.authenticate(user, PASSWORD)
    ids.append(s.open().get("id"))
    assert all(ids) and len(set(ids)) == 3
    assert min(map(len, ids)) >= 16


# --- who is not let in ---

def attempt(s, mech, user, password, **options):
    """Runs an exchange that must fail; returns the condition."""
    if mech == "PLAIN":
        s.auth_raw(mech, sasl.plain(user, password, options.get("authzid", "")))
        return s.expect_failure()
    x = sasl.Scram(mech, user, password, **options)
    s.auth_raw(mech, x.first())
    el = s.sasl_reply()
    if local(el) == "failure":
        return local(el[0])
    s.respond_raw(x.final(sasl.unb64(el.text)))
    return s.expect_failure()


@pytest.mark.parametrize("host,mech", [(h, m) for h in STORES for m in ["PLAIN"] + SCRAM_OF[h]])
def test_wrong_password(server, accounts, streams, host, mech):
    s = streams(connect(server, "plain", host)[0])
    assert attempt(s, mech, accounts[host], "wrong") == "not-authorized"
    s.authenticate(accounts[host], "pässword ✓ =,", mech)  # another try on the same stream
    finish(s)


@pytest.mark.parametrize("host,mech", [(h, m) for h in STORES for m in ["PLAIN"] + SCRAM_OF[h]])
def test_unknown_user_looks_like_wrong_password(server, accounts, streams, host, mech):
    """RFC 5802 §9: no answer before the last tells whether the name exists."""
    known, unknown = streams(connect(server, "plain", host)[0]), streams(connect(server, "plain", host)[0])
    assert attempt(unknown, mech, "nobody-at-all", "wrong") == attempt(known, mech, accounts[host], "wrong") == "not-authorized"
    texts = [[item for item in s.log if item[0] == "S"][-1][1] for s in (known, unknown)]
    assert texts[0] == texts[1]


def test_unknown_user_gets_the_same_salt_each_time(server, accounts, streams):
    """A salt that changes would tell that the name does not exist."""
    salts = []
    for _ in range(2):
        s = streams(connect(server, "plain", "sha1.test")[0])
        s.auth_raw("SCRAM-SHA-1", sasl.Scram("SCRAM-SHA-1", "nobody-at-all", "x").first())
        challenge = sasl.unb64(s.sasl_reply().text).decode()
        salts.append(challenge.split(",")[1:])
    assert salts[0] == salts[1]


@pytest.mark.parametrize("mech", ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("kind", ["other user", "other host", "other resource", "bare name"])
def test_authzid_of_somebody_else_is_refused(server, accounts, streams, mech, kind):
    """RFC 6120 §6.3.8; ejabberd 25.03 lets any account in as any other here."""
    user, other = accounts["plain.test"], server.register(host="plain.test")
    authzid = {"other user": f"{other}@plain.test", "other host": f"{user}@localhost", "other resource": f"{user}@plain.test/r",
               "bare name": other}[kind]
    s = streams(connect(server, "plain", "plain.test")[0])
    assert attempt(s, mech, user, "pässword ✓ =,", authzid=authzid) == "invalid-authzid"


@pytest.mark.parametrize("mech", ["PLAIN", "SCRAM-SHA-1"])
def test_own_authzid_is_accepted(server, accounts, streams, mech):
    user = accounts["plain.test"]
    s = streams(connect(server, "plain", "plain.test")[0])
    s.authenticate(user, "pässword ✓ =,", mech, authzid=f"{user}@plain.test")
    finish(s)


def test_account_of_another_host_is_not_let_in(server, accounts, streams):
    s = streams(connect(server, "plain", "sha1.test")[0])
    assert attempt(s, "PLAIN", accounts["plain.test"], "pässword ✓ =,") == "not-authorized"


def test_user_name_is_prepared(server, streams):
    user = server.register("mixed")
    s = streams(connect(server, "plain")[0])
    s.authenticate(user.upper(), PASSWORD)
    s.open_features()
    assert s.bind("r") == f"{user}@localhost/r"


def test_too_many_failures_end_the_stream(server, streams):
    """RFC 6120 §6.4.5: between 2 and 5 tries; then policy-violation."""
    user = server.register()
    s = streams(connect(server, "plain")[0])
    tries = 0
    while True:
        s.auth_raw("PLAIN", sasl.plain(user, "wrong"))
        s.expect_failure("not-authorized")
        tries += 1
        s.pump(0)
        if tries >= 5 or s.items or s.stream_ended:
            break
    assert 2 <= tries <= 5
    s.expect_stream_error("policy-violation")


def test_abort(server, streams):
    user = server.register()
    s = streams(connect(server, "plain")[0])
    s.auth_raw("SCRAM-SHA-1", sasl.Scram("SCRAM-SHA-1", user, "x").first())
    s.sasl_reply()
    s.send(f"<abort xmlns='{NS['sasl']}'/>")
    s.expect_failure("aborted")
    s.authenticate(user, PASSWORD, "SCRAM-SHA-1")
    finish(s)


def test_plain_without_initial_response(server, streams):
    user = server.register()
    s = streams(connect(server, "plain")[0])
    s.auth_raw("PLAIN", None)
    el = s.sasl_reply()
    assert local(el) == "challenge" and not el.text
    s.respond_raw(sasl.plain(user, PASSWORD))
    s.expect_success()
    finish(s)


def test_scram_without_initial_response(server, streams):
    user = server.register()
    s = streams(connect(server, "plain")[0])
    x = sasl.Scram("SCRAM-SHA-1", user, PASSWORD)
    s.auth_raw("SCRAM-SHA-1", None)
    assert local(s.sasl_reply()) == "challenge"
    s.respond_raw(x.first())
    s.respond_raw(x.final(sasl.unb64(s.sasl_reply().text)))
    x.verify(s.expect_success())
    finish(s)


# --- channel binding done wrong ---

def test_wrong_channel_binding_data(server, accounts, streams):
    """A man in the middle has another TLS connection: the data differ."""
    s = streams(connect(server, "direct13", "sha256.test")[0])
    x = sasl.Scram("SCRAM-SHA-256-PLUS", accounts["sha256.test"], "pässword ✓ =,", "tls-exporter", b"\0" * 32)
    s.auth_raw("SCRAM-SHA-256-PLUS", x.first())
    s.respond_raw(x.final(sasl.unb64(s.sasl_reply().text)))
    s.expect_failure("not-authorized")


def test_unknown_channel_binding_type(server, accounts, streams):
    s = streams(connect(server, "direct13", "sha256.test")[0])
    x = sasl.Scram("SCRAM-SHA-256-PLUS", accounts["sha256.test"], "x", "tls-nonsense", b"")
    s.auth_raw("SCRAM-SHA-256-PLUS", x.first())
    s.expect_failure()


def test_tls_unique_does_not_exist_in_tls13(server, accounts, streams):
    s, features = connect(server, "direct13", "sha256.test")
    streams(s)
    offered = [c.get("type") for c in features.iter(q("cb", "channel-binding"))]
    assert "tls-unique" not in offered and "tls-exporter" in offered and "tls-server-end-point" in offered


def test_downgrade_is_noticed(server, accounts, streams):
    """RFC 5802 §6: a client that says 'you offered no -PLUS' ('y') to a server that did has been lied to."""
    s = streams(connect(server, "direct13", "sha256.test")[0])
    assert attempt(s, "SCRAM-SHA-256", accounts["sha256.test"], "pässword ✓ =,", supports_binding=True) == "not-authorized"


def test_plus_without_tls_is_no_mechanism(server, accounts, streams):
    s = streams(connect(server, "plain", "sha256.test")[0])
    s.auth_raw("SCRAM-SHA-256-PLUS", sasl.Scram("SCRAM-SHA-256-PLUS", "x", "x", "tls-exporter").first())
    s.expect_failure("invalid-mechanism")


# --- malformed exchanges: each answered, none fatal ---

MALFORMED = {
    "not base64": ("PLAIN", "!!!", ("incorrect-encoding", "not-authorized")),
    "bad padding": ("PLAIN", "AHUxAHB3MQ", ("incorrect-encoding", "not-authorized")),
    "empty": ("PLAIN", b"", ("malformed-request", "not-authorized")),
    "no NUL": ("PLAIN", b"u1pw1", ("malformed-request", "not-authorized")),
    "one NUL": ("PLAIN", b"u1\0pw1", ("malformed-request", "not-authorized")),
    "four parts": ("PLAIN", b"\0u1\0pw1\0x", ("malformed-request", "not-authorized")),
    "empty name": ("PLAIN", b"\0\0pw", ("malformed-request", "not-authorized")),
    "empty password": ("PLAIN", b"\0u1\0", ("malformed-request", "not-authorized")),
    "invalid UTF-8 name": ("PLAIN", b"\0\xff\xfe\0pw", ("malformed-request", "not-authorized")),
    "name with @": ("PLAIN", b"\0u@localhost\0pw", ("not-authorized", "malformed-request")),
    "very long name": ("PLAIN", b"\0" + b"x" * 20000 + b"\0pw", ("malformed-request", "not-authorized")),
    "scram nonsense": ("SCRAM-SHA-1", b"nonsense", ("malformed-request", "not-authorized")),
    "scram no nonce": ("SCRAM-SHA-1", b"n,,n=u1", ("malformed-request", "not-authorized")),
    "scram mandatory extension": ("SCRAM-SHA-1", b"n,,m=1,n=u1,r=abc", ("malformed-request", "not-authorized")),
    "scram bad escape": ("SCRAM-SHA-1", b"n,,n=u=00,r=abcdefgh", ("malformed-request", "not-authorized")),
    "scram p without plus": ("SCRAM-SHA-1", b"p=tls-unique,,n=u1,r=abcdefgh", ("malformed-request", "not-authorized")),
    "scram NUL": ("SCRAM-SHA-1", b"n,,n=u\x001,r=abcdefgh", ("malformed-request", "not-authorized")),
    "unknown mechanism": ("FOO", b"x", ("invalid-mechanism",)),
    "empty mechanism": ("", b"x", ("invalid-mechanism", "malformed-request")),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exchange(server, streams, name):
    mech, data, allowed = MALFORMED[name]
    user = server.register()
    s = streams(connect(server, "plain")[0])
    s.auth_raw(mech, data)
    s.expect_failure(allowed)
    s.authenticate(user, PASSWORD)
    finish(s)


FINALS = {
    "nonsense": b"nonsense", "empty": b"", "other nonce": b"c=biws,r=other,p=AAAA", "no proof": b"c=biws,r=%s",
    "short proof": b"c=biws,r=%s,p=AAAA", "wrong gs2": b"c=eSws,r=%s,p=AAAA", "proof not base64": b"c=biws,r=%s,p=!!!",
}


@pytest.mark.parametrize("name", FINALS)
def test_malformed_scram_final(server, streams, name):
    user = server.register()
    s = streams(connect(server, "plain")[0])
    s.auth_raw("SCRAM-SHA-1", sasl.Scram("SCRAM-SHA-1", user, PASSWORD).first())
    nonce = dict(p.split(b"=", 1) for p in sasl.unb64(s.sasl_reply().text).split(b","))[b"r"]
    final = FINALS[name]
    s.respond_raw(final.replace(b"%s", nonce))
    s.expect_failure(("not-authorized", "malformed-request"))
    s.authenticate(user, PASSWORD)
    finish(s)


def test_response_without_auth(server, streams):
    s = streams(connect(server, "plain")[0])
    s.respond_raw(b"x")
    s.expect_failure(("not-authorized", "malformed-request"))


def test_second_login_before_the_restart_is_refused(server, streams):
    """RFC 6120 §6.4.6: after success a new stream header is due."""
    user = server.register()
    s = streams(connect(server, "plain")[0])
    s.authenticate(user, PASSWORD)
    s._new_parser()
    s.auth_raw("PLAIN", sasl.plain(user, PASSWORD))
    s.expect_stream_error()


def test_stream_of_another_host_after_login_is_refused(server, streams):
    """What was proved for one host is not carried to another."""
    user = server.register()
    s = streams(connect(server, "plain")[0])
    s.authenticate(user, PASSWORD)
    s.open(to="example.test")
    s.expect_stream_error()


def test_pipelined_login(server, streams):
    """Everything in one segment: a client that knows what it wants (XEP-0305) must not lose bytes when the stream moves."""
    user = server.register()
    s = streams(server.stream())
    head = f"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{NS['stream']}' to='localhost' version='1.0'>"
    auth = f"<auth xmlns='{NS['sasl']}' mechanism='PLAIN'>{sasl.b64(sasl.plain(user, PASSWORD))}</auth>"
    bind = f"<iq type='set' id='b'><bind xmlns='{NS['bind']}'><resource>r</resource></bind></iq>"
    ping = f"<iq type='get' id='p'><ping xmlns='{NS['ping']}'/></iq>"
    whole = head + auth + head + bind + ping
    s.send_bytes(whole.encode())
    # Two documents come back in a row: look at the bytes.
    text = lambda: b"".join(d for w, d in s.log if w == "S")
    s._parse = lambda data: s.log.append(("S", data))
    s.wait(lambda: b"id='p'" in text() or b'id="p"' in text(), "waiting for the answer to the pipelined ping")
    assert text().index(b"<success") < text().index(f"{user}@localhost/r".encode())
