"""Client streams of GnuTLS, OpenSSL and NSS: login, megabytes in odd pieces, key updates, small and padded records, both ends."""
import pytest

from peers import Gnutls, Nss, Openssl
from xmppstream import local

SIZES = [1, 2, 15, 16, 17, 255, 256, 257, 1023, 4095, 4096, 4097, 8191, 16320, 16383, 16384, 16385, 16641, 32767, 65535, 65536, 100001]

PEERS = [
    (Gnutls, {"cipher": "AES-128-GCM"}), (Gnutls, {"cipher": "AES-256-GCM"}), (Gnutls, {"cipher": "CHACHA20-POLY1305"}),
    (Gnutls, {"version": "1.2"}), (Gnutls, {"starttls": True}), (Gnutls, {"version": "1.2", "starttls": True}),
    (Openssl, {"cipher": "TLS_AES_128_GCM_SHA256"}), (Openssl, {"cipher": "TLS_AES_256_GCM_SHA384"}),
    (Openssl, {"cipher": "TLS_CHACHA20_POLY1305_SHA256"}), (Openssl, {"version": "1.2"}),
    (Openssl, {"version": "1.2", "cipher": "ECDHE-ECDSA-CHACHA20-POLY1305"}),
    (Openssl, {"version": "1.2", "cipher": "ECDHE-ECDSA-AES256-GCM-SHA384"}),
    (Openssl, {"starttls": True}), (Openssl, {"version": "1.2", "starttls": True}),
    (Nss, {}), (Nss, {"version": "1.2"}),
]


def name_of(value):
    if isinstance(value, dict):
        return "-".join("starttls" if k == "starttls" else str(v) for k, v in value.items()) or "default"
    return value.__name__ if isinstance(value, type) else str(value)


def talk(stream, sizes, rounds=1):
    """Messages to itself; all come back as they were. Digits only: single letters are commands of s_client."""
    for r in range(rounds):
        bodies = [(f"{r}{i:04}" * (n // 5 + 1))[:n] for i, n in enumerate(sizes)]
        for body in bodies:
            stream.message(stream.jid, body)
        for body in bodies:
            stream.expect_message(body)


@pytest.mark.parametrize("kind,options", PEERS, ids=name_of)
def test_megabytes(server, peer, kind, options):
    s = peer(kind, server, **options).enter(server.register())
    talk(s, SIZES, 2 if kind is Gnutls else 4)  # it writes every byte by itself
    assert s.close() == 0


@pytest.mark.parametrize("kind,options", [(Openssl, {"commands": True}), (Gnutls, {})], ids=name_of)
@pytest.mark.parametrize("starttls", [False, True], ids=["direct", "starttls"])
def test_key_updates(server, peer, kind, options, starttls):
    more = ["--inline-commands"] if kind is Gnutls else []
    s = peer(kind, server, *more, starttls=starttls, **options).enter(server.register())
    for i in range(5):  # GnuTLS takes no more than eight of ours in a second
        s.update_keys(both=i % 2 == 0)
        talk(s, [1, 100, 5000])
    for _ in range(3):  # several in a row
        s.update_keys(both=True)
    talk(s, [1, 3000])


@pytest.mark.parametrize("padding", [2, 512, 4096, 16384])
def test_padded_records(server, peer, padding):
    s = peer(Openssl, server, "-record_padding", padding).enter(server.register())
    talk(s, SIZES)


@pytest.mark.parametrize("kind,option", [(Openssl, "-maxfraglen"), (Gnutls, "--recordsize")], ids=name_of)
@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("size", [512, 1024, 4096])
def test_small_records(server, peer, kind, option, version, size):
    """Peers with small buffers say so (RFC 6066 §4); larger records would end the connection."""
    s = peer(kind, server, option, size, version=version).enter(server.register())
    for n in (SIZES if kind is Openssl else [1, 7, 100, 300]):  # gnutls-cli loses what a record does not take
        talk(s, [n])
    other = server.login()
    for n in SIZES:
        other.message(s.jid, "7" * n)
    for n in SIZES:
        s.expect_message("7" * n)
    other.close()


def test_channel_binding(server, peer):
    """What another library exports is what the server expects (RFC 9266)."""
    s = peer(Gnutls, server, talks=True)
    s.enter(server.register(), binding=s.exporter)
    s.ping()


@pytest.mark.parametrize("kind,how", [(Gnutls, "close_notify"), (Openssl, "close_notify"), (Gnutls, "killed"), (Openssl, "killed"),
                                      (Nss, "killed")], ids=name_of)
def test_ends(server, peer, kind, how):
    """A peer that goes, in order or not, is gone for its contacts at once."""
    user = server.register()
    watch = server.login(user, "watch", presence=True)
    s = peer(kind, server, **({"commands": True} if kind is Openssl else {})).enter(user, resource="peer")
    s.presence()
    watch.expect(lambda e: e.get("from") == s.jid and e.get("type") is None, "presence")
    if how == "killed":
        s.process.kill()
    else:
        s.end_input()  # it says close_notify and ends
    watch.expect(lambda e: local(e) == "presence" and e.get("from") == s.jid and e.get("type") == "unavailable", "unavailable presence")
    watch.close()


@pytest.mark.parametrize("kind", [Gnutls, Openssl, Nss])
def test_server_closes_in_order(server, peer, kind):
    """Our close_notify is understood: the program ends without complaint."""
    s = peer(kind, server).enter(server.register())
    assert s.close() == 0
    assert "truncat" not in s.said().lower() and "properly terminated" not in s.said().lower()


def test_reload_changes_the_record_layer(new_server, peer):
    """For new connections; those that live go on with what they have."""
    server = new_server().start()
    kept = []
    for layer in ("openssl", "own", "openssl"):
        kept.append(server.login(tls="direct", address=server.tls))
        server.config["tls_record_layer"] = layer
        server.reload()
        for s in kept:
            talk(s, [1, 16384, 50000])
        s = peer(Openssl, server, commands=True).enter(server.register())
        s.update_keys(both=True)
        talk(s, [1, 5000])
    for s in kept:
        s.close()
