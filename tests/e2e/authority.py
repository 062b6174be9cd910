"""A certificate authority of a test's own: certificates of clients with XMPP addresses (RFC 6120 §13.7.1.4), and lists of revoked ones."""
import datetime
import itertools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

XMPP_ADDR = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")
DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM


def utf8(text):
    data = text.encode()
    length = bytes([len(data)]) if len(data) < 128 else bytes([0x81, len(data)]) if len(data) < 256 else \
        b"\x82" + len(data).to_bytes(2, "big")
    return b"\x0c" + length + data


def xmpp(address):
    return x509.OtherName(XMPP_ADDR, utf8(address))


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


class Authority:
    def __init__(self, folder, name="Test CA", parent=None):
        self.folder, self.name, self.parent = folder, name, parent
        self.serials = itertools.count(10)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.cert = self._sign(name, self.key.public_key(), parent or self, [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)])
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(self.cert.public_bytes(PEM))

    def _sign(self, name, key, by, extensions, start=-DAY, end=30 * DAY, serial=1):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by.name)])
        b = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key).serial_number(serial)
        b = b.not_valid_before(now() + start).not_valid_after(now() + end)
        for extension, critical in extensions:
            b = b.add_extension(extension, critical)
        return b.sign(by.key, hashes.SHA256())

    def client(self, addresses=(), names=(), cn="client", usage=ExtendedKeyUsageOID.CLIENT_AUTH, **times):
        """Paths of a key and of a certificate with its chain; `serial` is in the second's name."""
        key, serial = ec.generate_private_key(ec.SECP256R1()), next(self.serials)
        san = [xmpp(a) for a in addresses] + list(names)
        extensions = [(x509.ExtendedKeyUsage([usage]), False)] + ([(x509.SubjectAlternativeName(san), False)] if san else [])
        cert = self._sign(cn, key.public_key(), self, extensions, serial=serial, **times)
        paths = self.folder / f"{self.name}-{serial}.key", self.folder / f"{self.name}-{serial}.crt"
        paths[0].write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        paths[1].write_bytes(cert.public_bytes(PEM) + (self.cert.public_bytes(PEM) if self.parent else b""))
        return paths

    def revoke(self, *clients):
        """Writes the list of what is revoked behind the authority's own certificate."""
        b = x509.CertificateRevocationListBuilder().issuer_name(self.cert.subject)
        b = b.last_update(now() - DAY).next_update(now() + DAY)
        for _, cert in clients:
            serial = x509.load_pem_x509_certificate(cert.read_bytes()).serial_number
            b = b.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now() - DAY).build())
        crl = b.sign(self.key, hashes.SHA256())
        self.file.write_bytes(self.cert.public_bytes(PEM) + crl.public_bytes(PEM))
