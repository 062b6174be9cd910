"""The client side of PLAIN and SCRAM (RFC 4616, 5802, 7677), with hooks for doing it wrong."""
import base64
import hashlib
import hmac
import secrets

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    return base64.b64decode(text or "")


def plain(user, password, authzid=""):
    return f"{authzid}\0{user}\0{password}".encode()


class Scram:
    """One exchange: first() -> final(challenge) -> verify(success)."""

    def __init__(self, mechanism, user, password, binding=None, binding_data=b"", authzid="", supports_binding=False):
        self.hash = HASHES[mechanism.removesuffix("-PLUS")]
        self.user, self.password = user, password
        self.binding_data = binding_data
        flag = f"p={binding}" if mechanism.endswith("-PLUS") else "y" if supports_binding else "n"
        name = authzid.replace("=", "=3D").replace(",", "=2C")
        self.gs2 = f"{flag},{'a=' + name if authzid else ''},"
        self.nonce = secrets.token_urlsafe(18)
        self.expected = None

    def _hmac(self, key, data):
        return hmac.new(key, data, self.hash).digest()

    def first(self):
        name = self.user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"
        return (self.gs2 + self.bare).encode()

    def final(self, challenge):
        challenge = challenge.decode()
        parts = dict(p.split("=", 1) for p in challenge.split(","))
        if not parts["r"].startswith(self.nonce) or len(parts["r"]) < len(self.nonce) + 12:
            raise AssertionError(f"server nonce is not an addition to ours: {challenge}")
        salted = hashlib.pbkdf2_hmac(self.hash, self.password.encode(), unb64(parts["s"]), int(parts["i"]))
        client_key = self._hmac(salted, b"Client Key")
        stored_key = hashlib.new(self.hash, client_key).digest()
        without = f"c={b64(self.gs2.encode() + self.binding_data)},r={parts['r']}"
        auth = f"{self.bare},{challenge},{without}".encode()
        signature = self._hmac(stored_key, auth)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.expected = self._hmac(self._hmac(salted, b"Server Key"), auth)
        return f"{without},p={b64(proof)}".encode()

    def verify(self, success):
        if success != b"v=" + b64(self.expected).encode():
            raise AssertionError(f"the server does not prove that it knows the password: {success!r}")
