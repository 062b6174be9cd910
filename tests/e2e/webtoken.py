"""Tokens for tests: made by a library that is not the server's own code."""
import base64
import hmac
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n):
    return b64u(n.to_bytes((n.bit_length() + 7) // 8, "big"))


class Secret:
    def __init__(self, secret, **more):
        self.secret, self.more = secret, more

    def jwk(self):
        return {"kty": "oct", "k": b64u(self.secret), **self.more}

    def sign(self, alg, data):
        return hmac.new(self.secret, data, f"sha{alg[2:]}").digest()


class Rsa:
    def __init__(self, bits=2048, **more):
        self.key, self.more = rsa.generate_private_key(65537, bits), more

    def jwk(self):
        n = self.key.public_key().public_numbers()
        return {"kty": "RSA", "n": number(n.n), "e": number(n.e), **self.more}

    def sign(self, alg, data):
        return self.key.sign(data, padding.PKCS1v15(), HASHES[alg[2:]]())


class Ec:
    def __init__(self, **more):
        self.key, self.more = ec.generate_private_key(ec.SECP256R1()), more

    def jwk(self):
        n = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": b64u(n.x.to_bytes(32, "big")), "y": b64u(n.y.to_bytes(32, "big")), **self.more}

    def sign(self, alg, data):
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(key, alg, claims, **header):
    head = b64u(json.dumps({"alg": alg, "typ": "JWT", **header}).encode())
    body = b64u(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    text = f"{head}.{body}"
    return f"{text}.{b64u(key.sign(alg, text.encode()))}"


