"""TLS of a client over memory buffers: versions, SNI, ALPN and all three channel bindings can be chosen and seen.

pyOpenSSL is used instead of the standard ssl module because only it exports keying material (RFC 9266).
"""
import hashlib

from OpenSSL import SSL, crypto

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


class TlsError(Exception):
    """The peer or OpenSSL refused the handshake, or the record layer failed."""


class TlsLayer:
    def __init__(self, server_name=None, version=None, alpn=None, cert=None):
        """cert: (path of a key, path of the client's certificate and those it was signed by)."""
        ctx = SSL.Context(SSL.TLS_CLIENT_METHOD)
        ctx.set_verify(SSL.VERIFY_NONE)
        if version:
            ctx.set_min_proto_version(VERSIONS[version])
            ctx.set_max_proto_version(VERSIONS[version])
        if cert:
            ctx.use_privatekey_file(str(cert[0]))
            ctx.use_certificate_chain_file(str(cert[1]))
        if alpn:
            ctx.set_alpn_protos([p.encode() for p in alpn])
        self.conn = SSL.Connection(ctx, None)
        if server_name:
            self.conn.set_tlsext_host_name(server_name.encode())
        self.conn.set_connect_state()
        self.done = False

    def step(self, data=b""):
        """Feeds bytes of the peer into the handshake; returns the bytes to send. `done` says when it is over."""
        if data:
            self.conn.bio_write(data)
        try:
            self.conn.do_handshake()
            self.done = True
        except SSL.WantReadError:
            pass
        except SSL.Error as e:
            raise TlsError(str(e)) from e
        return self.outgoing()

    def outgoing(self):
        out = b""
        while True:
            try:
                out += self.conn.bio_read(65536)
            except SSL.WantReadError:
                return out

    def wrap(self, data):
        out = b""
        for at in range(0, len(data), 1 << 20):
            self.conn.sendall(data[at:at + (1 << 20)])
            out += self.outgoing()
        return out

    def unwrap(self, data):
        """Plain bytes, and whether the peer ended the TLS connection in order."""
        if data:
            self.conn.bio_write(data)
        plain = b""
        while True:
            try:
                plain += self.conn.recv(65536)
            except SSL.WantReadError:
                return plain, False
            except SSL.ZeroReturnError:
                return plain, True
            except SSL.Error as e:
                raise TlsError(str(e)) from e

    def close_notify(self):
        try:
            self.conn.shutdown()
        except SSL.Error:
            pass
        return self.outgoing()

    # --- what was negotiated ---

    def version(self):
        return self.conn.get_protocol_version_name()

    def alpn(self):
        return self.conn.get_alpn_proto_negotiated().decode()

    def certificate(self):
        return self.conn.get_peer_certificate()

    def certificate_names(self):
        cert = self.certificate()
        names = [cert.get_subject().CN]
        for i in range(cert.get_extension_count()):
            ext = cert.get_extension(i)
            if ext.get_short_name() == b"subjectAltName":
                names += [part.strip().removeprefix("DNS:") for part in str(ext).split(",")]
        return names

    def channel_binding(self, kind):
        if kind == "tls-exporter":
            return self.conn.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        if kind == "tls-unique":  # RFC 5929 §3: the first Finished message; handshakes here are never resumed ones
            return self.conn.get_finished()
        if kind == "tls-server-end-point":
            cert = self.certificate()
            name = cert.get_signature_algorithm().decode().lower()
            hash_name = next((h for h in ("sha512", "sha384", "sha256") if h in name), "sha256")
            return hashlib.new(hash_name, crypto.dump_certificate(crypto.FILETYPE_ASN1, cert)).digest()
        raise ValueError(kind)
