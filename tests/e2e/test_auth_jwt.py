"""auth_method jwt: signed tokens in place of passwords (RFC 7515, 7517, 7518, 7519)."""
import json
import time

import pytest

from webtoken import Ec, Rsa, Secret, b64u, token

SECRET, RSA, EC, OTHER = Secret(b"s" * 32, kid="h"), Rsa(kid="r"), Ec(kid="e"), Rsa()
HOUR = 3600
KEYS = {"HS256": SECRET, "HS384": SECRET, "HS512": SECRET, "RS256": RSA, "RS384": RSA, "RS512": RSA, "ES256": EC}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from server import Server
    folder = tmp_path_factory.mktemp("jwt")
    (folder / "set").write_text(json.dumps({"keys": [k.jwk() for k in (SECRET, RSA, EC)]}))
    (folder / "one").write_text(json.dumps(SECRET.jwk()))

    def change(config):
        config["hosts"] += ["set.test", "one.test", "mixed.test"]
        config["access_rules"]["tokens"] = [{"allow": [{"user": ["robot"]}]}]
        config["host_config"] = {
            "set.test": {"auth_method": "jwt", "jwt_key": str(folder / "set")},
            "one.test": {"auth_method": ["jwt"], "jwt_key": str(folder / "one"), "jwt_jid_field": "sub"},
            "mixed.test": {"auth_method": ["internal", "jwt"], "jwt_key": str(folder / "one"), "jwt_auth_only_rule": "tokens"}}
    with Server(tmp_path_factory.mktemp("server"), change) as s:
        yield s


def now():
    return int(time.time())


def good(**more):
    return {"jid": "ann@set.test", "exp": now() + HOUR, **more}


def try_token(server, streams, text, user="ann", host="set.test", fits=True):
    s = streams(server.stream(to=host))
    s.open_features()
    s.auth_raw("PLAIN", f"\0{user}\0{text}".encode())
    if not fits:
        s.expect_failure("not-authorized")
        return
    s.expect_success()
    s.open_features()
    s.bind()
    s.ping()


@pytest.mark.parametrize("alg", KEYS)
def test_algorithms(server, streams, alg):
    text = token(KEYS[alg], alg, good())
    try_token(server, streams, text)
    try_token(server, streams, text, user="bob", fits=False)
    try_token(server, streams, text[:-6] + ("AAAAAA" if text[-6:] != "AAAAAA" else "BBBBBB"), fits=False)
    head, body, sig = text.split(".")
    try_token(server, streams, f"{head}.{b64u(json.dumps(good(more=1)).encode())}.{sig}", fits=False)


def test_the_key_is_found_by_its_name(server, streams):
    try_token(server, streams, token(RSA, "RS256", good(), kid="r"))
    try_token(server, streams, token(RSA, "RS256", good(), kid="e"), fits=False)


def test_only_plain_is_offered(server, streams):
    features = streams(server.stream(to="set.test")).open_features()
    assert {el.text for el in features.iter() if el.tag.endswith("}mechanism")} == {"PLAIN", "X-OAUTH2"}


def test_field_and_long_tokens(server, streams):
    claims = {"sub": "ann@one.test/home", "exp": now() + HOUR, "jid": "bob@one.test", "groups": "x" * 3000}
    try_token(server, streams, token(SECRET, "HS256", claims), host="one.test")
    try_token(server, streams, token(SECRET, "HS256", claims), user="bob", host="one.test", fits=False)


def unsigned(claims):
    return b64u(json.dumps({"alg": "none"}).encode()) + "." + b64u(json.dumps(claims).encode()) + "."


BAD = {
    "expired": lambda: token(SECRET, "HS256", good(exp=now() - 1)),
    "expired in fractions": lambda: token(SECRET, "HS256", good(exp=now() - 0.5)),
    "expiry is text": lambda: token(SECRET, "HS256", good(exp=str(now() + HOUR))),
    "expiry is huge text": lambda: token(SECRET, "HS256", b'{"jid":"ann@set.test","exp":1e999}'),
    "not yet": lambda: token(SECRET, "HS256", good(nbf=now() + HOUR)),
    "nobody's": lambda: token(SECRET, "HS256", {"exp": now() + HOUR}),
    "whose is a number": lambda: token(SECRET, "HS256", good(jid=1)),
    "no host": lambda: token(SECRET, "HS256", good(jid="ann")),
    "other host": lambda: token(SECRET, "HS256", good(jid="ann@one.test")),
    "two owners": lambda: token(SECRET, "HS256", f'{{"jid":"ann@set.test","jid":"ann@set.test","exp":{now() + HOUR}}}'.encode()),
    "claims are a list": lambda: token(SECRET, "HS256", b"[]"),
    "claims are no JSON": lambda: token(SECRET, "HS256", b"{"),
    "other key": lambda: token(OTHER, "RS256", good()),
    "other secret": lambda: token(Secret(b"t" * 32), "HS256", good()),
    "critical extension": lambda: token(SECRET, "HS256", good(), crit=["x"], x=1),
    "unknown algorithm": lambda: token(SECRET, "XX256", good()),
    "none": lambda: unsigned(good()),
    "none without the last dot": lambda: unsigned(good())[:-1],
    "the public key as a secret": lambda: token(Secret(json.dumps(RSA.jwk()).encode()), "HS256", good(), kid="r"),
    "padding": lambda: token(SECRET, "HS256", good()) + "=",
    "four parts": lambda: token(SECRET, "HS256", good()) + ".x",
    "no token": lambda: "password",
    "dots": lambda: "..",
}


@pytest.mark.parametrize("what", BAD)
def test_refused(server, streams, what):
    try_token(server, streams, BAD[what](), fits=False)


def test_no_expiry_is_for_ever(server, streams):
    """RFC 7519 §4.1.4: exp is optional."""
    try_token(server, streams, token(SECRET, "HS256", {"jid": "ann@set.test"}))


def test_accounts(server, streams):
    """Nobody keeps a list: an account exists while it is online and once it has been."""
    assert server.api("check_account", user="carl", host="set.test") == 1
    try_token(server, streams, token(EC, "ES256", good(jid="carl@set.test")), user="carl")
    assert server.api("check_account", user="carl", host="set.test") == 0
    status, _ = server.api_raw("register", json.dumps({"user": "dora", "host": "set.test", "password": "x"}))
    assert status != 200 and server.api("check_account", user="dora", host="set.test") == 1


def test_beside_passwords(server, streams):
    server.api("register", user="ann", host="mixed.test", password="in")
    server.api("register", user="robot", host="mixed.test", password="in")
    try_token(server, streams, "in", host="mixed.test")
    try_token(server, streams, token(SECRET, "HS256", good(jid="ann@mixed.test")), host="mixed.test")
    try_token(server, streams, "in", user="robot", host="mixed.test", fits=False)
    try_token(server, streams, token(SECRET, "HS256", good(jid="robot@mixed.test")), user="robot", host="mixed.test")


@pytest.mark.parametrize("text, words", [
    (None, "needs jwt_key"), ("", "expected a JSON Web Key"), ("[]", "expected a JSON Web Key"), ("{}", "no key for signatures"),
    ('{"keys": []}', "no key for signatures"), ('{"kty": "oct", "k": "c2hvcnQ"}', "at least 16 bytes"),
    (json.dumps({**RSA.jwk(), "n": "AQAB"}), "RSA key"), (json.dumps({**EC.jwk(), "x": EC.jwk()["y"]}), "curve"),
    (json.dumps({**SECRET.jwk(), "alg": "RS256"}), "is not one of keys")])
def test_keys_that_are_none(new_server, tmp_path, text, words):
    def change(config):
        config["auth_method"] = ["jwt"]
        if text is not None:
            (tmp_path / "key").write_text(text)
            config["jwt_key"] = str(tmp_path / "key")
    with pytest.raises(AssertionError, match=words):
        new_server(change).start()
