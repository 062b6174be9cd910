"""SASL2 (XEP-0388) with Bind 2 (XEP-0386), stream management inline (XEP-0198 §9), channel bindings named (XEP-0440)."""
import hashlib

import pytest

import sasl
from server import PASSWORD
from sm import SM, Sm
from xmppstream import local, namespace, q

NS2, BIND2 = "urn:xmpp:sasl:2", "urn:xmpp:bind:0"
CARBONS = "urn:xmpp:carbons:2"
AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"


def configure(config):
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60}
    config["modules"]["mod_client_state"] = {}
    config["modules"]["mod_carboncopy"] = {}
    config["modules"]["mod_roster"] = {"versioning": True}
    next(l for l in config["listen"] if l.get("starttls"))["allow_unencrypted_sasl2"] = True


def opened(server, streams, address=None, starttls=False, host="localhost"):
    s = streams(server.stream(address, to=host))
    f = s.open_features()
    if starttls:
        s.starttls()
        f = s.open_features()
    s.features = f
    return s


def offered(features):
    return features.find(f"{{{NS2}}}authentication")


def authenticate(s, mechanism, data, inner="", agent=AGENT):
    initial = "" if data is None else f"<initial-response>{sasl.b64(data)}</initial-response>"
    s.send(f"<authenticate xmlns='{NS2}' mechanism='{mechanism}'>{initial}"
           f"<user-agent id='{agent}'><software>test</software></user-agent>{inner}</authenticate>")


def answer(s, tag):
    el = s.expect(lambda e: namespace(e) == NS2, "an answer of SASL2")
    assert local(el) == tag, s.transcript()
    return el


def identity(success):
    return success.findtext(f"{{{NS2}}}authorization-identifier")


def plain(s, user, inner="", password=PASSWORD, agent=AGENT):
    authenticate(s, "PLAIN", sasl.plain(user, password), inner, agent)


def bind2(inner="", tag="T"):
    return f"<bind xmlns='{BIND2}'><tag>{tag}</tag>{inner}</bind>"


def entered(server, streams, inner="", user=None, agent=AGENT, **options):
    """A stream that is in; its <success/>."""
    s = opened(server, streams, **options)
    user = user or server.register(host=options.get("host", "localhost"))
    s.name = user
    plain(s, user, bind2(inner), agent=agent)
    el = answer(s, "success")
    s.jid = identity(el)
    s.features = s.expect_tag(q("stream", "features"))
    return s, el


# --- what is offered ---

def test_offer(server, streams):
    s = opened(server, streams, starttls=True)
    el = offered(s.features)
    names = [m.text for m in el.findall(f"{{{NS2}}}mechanism")]
    assert names == [m.text for m in s.features.find(q("sasl", "mechanisms"))]
    inline = el.find(f"{{{NS2}}}inline")
    assert inline.find(f"{{{SM}}}sm") is not None
    assert inline.find(f"{{{BIND2}}}bind") is not None
    assert {e.get("type") for e in s.features.find(q("cb", "sasl-channel-binding"))} >= {"tls-exporter", "tls-server-end-point"}


def test_only_over_tls_unless_allowed(new_server):
    with new_server() as server:
        s = server.stream()
        assert offered(s.open_features()) is None
        plain(s, server.register())
        assert local(answer(s, "failure")[0]) == "encryption-required"
        s.starttls()
        assert offered(s.open_features()) is not None
        s.drop()


# --- authentication ---

def test_without_binding_the_old_way_goes_on(server, streams):
    """No stream restart: features follow, then a bind request as ever."""
    s = opened(server, streams)
    user = server.register()
    plain(s, user)
    assert identity(answer(s, "success")) == f"{user}@localhost"
    assert s.expect_tag(q("stream", "features")).find(q("bind", "bind")) is not None
    s.bind("r")
    s.ping()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"])
@pytest.mark.parametrize("host", ["localhost", "example.test"])
def test_scram(server, streams, mechanism, host):
    """The server's proof comes in <additional-data/>. Several accounts: some move to another shard in between."""
    for _ in range(4):
        plus = mechanism.endswith("PLUS")
        s = opened(server, streams, starttls=True, host=host)
        user = server.register(host=host)
        x = sasl.Scram(mechanism, user, PASSWORD, "tls-exporter" if plus else None,
                       s.tls.channel_binding("tls-exporter") if plus else b"", "", False)
        authenticate(s, mechanism, x.first(), bind2())
        s.send(f"<response xmlns='{NS2}'>{sasl.b64(x.final(sasl.unb64(answer(s, 'challenge').text)))}</response>")
        el = answer(s, "success")
        x.verify(sasl.unb64(el.findtext(f"{{{NS2}}}additional-data")))
        assert identity(el).startswith(f"{user}@{host}/T.")
        s.jid = identity(el)
        s.ping()


def test_no_initial_response(server, streams):
    s = opened(server, streams)
    user = server.register()
    authenticate(s, "PLAIN", None)
    answer(s, "challenge")
    s.send(f"<response xmlns='{NS2}'>{sasl.b64(sasl.plain(user, PASSWORD))}</response>")
    answer(s, "success")


@pytest.mark.parametrize("send,condition", [
    (f"<authenticate xmlns='{NS2}' mechanism='NONSENSE'/>", "invalid-mechanism"),
    (f"<authenticate xmlns='{NS2}'/>", "malformed-request"),
    (f"<authenticate xmlns='{NS2}' mechanism='PLAIN'><initial-response>???</initial-response></authenticate>", "incorrect-encoding"),
    (f"<authenticate xmlns='{NS2}' mechanism='PLAIN'><initial-response/></authenticate>", "malformed-request"),
])
def test_failures(server, streams, send, condition):
    s = opened(server, streams)
    s.send(send)
    el = answer(s, "failure")
    assert el[0].tag == q("sasl", condition)
    plain(s, server.register())  # "the stream and session state remain entirely unchanged"
    answer(s, "success")


def test_wrong_password(server, streams):
    s = opened(server, streams)
    plain(s, server.register(), bind2(), "wrong")
    assert answer(s, "failure")[0].tag == q("sasl", "not-authorized")
    s.authenticate(server.register(), PASSWORD)  # the older profile is as good


def test_abort(server, streams):
    s = opened(server, streams)
    authenticate(s, "PLAIN", None)
    answer(s, "challenge")
    s.send(f"<abort xmlns='{NS2}'/>")
    assert answer(s, "failure")[0].tag == q("sasl", "aborted")


def test_answer_in_the_words_of_the_other_profile(server, streams):
    s = opened(server, streams)
    authenticate(s, "PLAIN", None)
    answer(s, "challenge")
    s.respond_raw(sasl.plain(server.register(), PASSWORD))
    s.expect(lambda e: local(e) == "failure")


# --- Bind 2 ---

def test_bind(server, streams):
    s, el = entered(server, streams)
    assert el.find(f"{{{BIND2}}}bound") is not None and "/T." in s.jid
    assert s.features.find(q("bind", "bind")) is None
    assert f"{{{SM}}}sm" in {e.tag for e in s.features}
    s.presence()
    s.message(s.bare, "to myself")
    s.expect_message("to myself")


@pytest.mark.parametrize("tag", ["", "x" * 65, "\x7f"])
def test_tag_that_cannot_be_used(server, streams, tag):
    s = opened(server, streams)
    plain(s, server.register(), bind2(tag=tag))
    assert "." not in identity(answer(s, "success")).partition("/")[2]


def test_two_of_one_tag(server, streams):
    a, _ = entered(server, streams)
    b, _ = entered(server, streams, user=a.name, agent="00000000-0000-4000-8000-000000000001")
    assert a.jid != b.jid
    a.ping()
    b.ping()


def test_resource_is_stable(server, streams):
    """XEP-0386 §3.2.1: the same tag and the same user-agent id, the same resource; the id is not in it. §3.2: what the same
    client had before ends."""
    a, _ = entered(server, streams)
    b, _ = entered(server, streams, user=a.name)
    assert a.jid == b.jid and AGENT[:8] not in a.jid
    a.expect_stream_error("conflict")
    b.ping()
    other, _ = entered(server, streams)
    assert other.jid.partition("/")[2] != b.jid.partition("/")[2]  # nothing that follows a client from account to account


@pytest.mark.parametrize("agent", ["", "x" * 129])
def test_resource_without_a_usable_id_is_random(server, streams, agent):
    a, _ = entered(server, streams, agent=agent)
    b, _ = entered(server, streams, user=a.name, agent=agent)
    assert a.jid != b.jid
    a.ping()


def test_bind2_features_offered(server, streams):
    """XEP-0386 §3.1"""
    el = offered(opened(server, streams, starttls=True).features)
    found = {f.get("var") for f in el.findall(f"{{{NS2}}}inline/{{{BIND2}}}bind/{{{BIND2}}}inline/{{{BIND2}}}feature")}
    assert found == {SM, CARBONS, "urn:xmpp:csi:0"}


def test_features_behind_success(server, streams):
    """XEP-0388 §2.6.1: as a classic stream has them, but for binding."""
    s, _ = entered(server, streams)
    old = streams(server.stream())
    old.open_features()
    old.authenticate(s.name, PASSWORD)
    classic = {e.tag for e in old.open_features()} - {q("bind", "bind"), q("session", "session")}
    assert {e.tag for e in s.features} == classic
    assert "{urn:xmpp:features:rosterver}ver" in classic and "{urn:xmpp:features:pre-approval}sub" in classic


def test_carbons_inline(server, streams):
    """XEP-0386 §3.2: enabled, no answer of its own; also where the stream is resumed after a restart of carbons' state."""
    a, el = entered(server, streams, f"<enable xmlns='{CARBONS}'/><enable xmlns='{SM}' resume='true'/>")
    assert [local(e) for e in el.find(f"{{{BIND2}}}bound")] == ["enabled"]
    b, _ = entered(server, streams, user=a.name, agent="00000000-0000-4000-8000-000000000002")
    b.send(f"<message to='other@localhost' type='chat'><body>copy me</body></message>")
    copy = a.expect(lambda e: e.find(f"{{{CARBONS}}}sent") is not None, "a carbon copy")
    assert copy.find(".//{jabber:client}body").text == "copy me"


def test_no_carbons_unless_asked(server, streams):
    a, _ = entered(server, streams)
    b, _ = entered(server, streams, user=a.name, agent="00000000-0000-4000-8000-000000000003")
    b.send(f"<message to='{b.bare}/nobody' type='chat'><body>no copy</body></message>")
    b.ping()
    assert not [e for e in a.items if e.find(f"{{{CARBONS}}}sent") is not None]


# --- downgrade protection, XEP-0474 ---

def downgrade_hash(s, profile, algorithm):
    names = offered(s.features).findall(f"{{{NS2}}}mechanism") if profile == 2 else s.features.find(q("sasl", "mechanisms"))
    text = "\x1e".join(sorted(m.text for m in names))
    types = s.features.find(q("cb", "sasl-channel-binding"))
    if types is not None:
        text += "\x1f" + "\x1e".join(sorted(t.get("type") for t in types))
    return sasl.b64(hashlib.new(algorithm, text.encode()).digest())


@pytest.mark.parametrize("profile", [1, 2])
@pytest.mark.parametrize("tls", [False, True])
def test_downgrade_protection(server, streams, profile, tls):
    """XEP-0474 §6.1: what was offered is in the challenge, and so in the proofs."""
    s = opened(server, streams, starttls=tls)
    user = server.register()
    x = sasl.Scram("SCRAM-SHA-1", user, PASSWORD)
    if profile == 2:
        authenticate(s, "SCRAM-SHA-1", x.first())
        challenge = sasl.unb64(answer(s, "challenge").text)
    else:
        s.auth_raw("SCRAM-SHA-1", x.first())
        challenge = sasl.unb64(s.expect(lambda e: local(e) == "challenge").text)
    assert challenge.decode().endswith(",h=" + downgrade_hash(s, profile, "sha1"))
    final = x.final(challenge)
    if profile == 2:
        s.send(f"<response xmlns='{NS2}'>{sasl.b64(final)}</response>")
        x.verify(sasl.unb64(answer(s, "success").findtext(f"{{{NS2}}}additional-data")))
    else:
        s.respond_raw(final)
        x.verify(sasl.unb64(s.expect(lambda e: local(e) == "success").text))


def test_downgrade_protection_can_be_turned_off(new_server):
    """Option disable_sasl_scram_downgrade_protection."""
    with new_server(lambda config: config.update(disable_sasl_scram_downgrade_protection=True)) as server:
        s = server.stream()
        s.open_features()
        s.auth_raw("SCRAM-SHA-1", sasl.Scram("SCRAM-SHA-1", server.register(), PASSWORD).first())
        assert b",h=" not in sasl.unb64(s.expect(lambda e: local(e) == "challenge").text)
        s.drop()


# --- rules of XEP-0388 ---

def test_other_traffic_during_authentication(server, streams):
    """§2.4: the server must disconnect."""
    s = opened(server, streams)
    authenticate(s, "PLAIN", None)
    answer(s, "challenge")
    s.send("<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>")
    s.expect_stream_error("policy-violation")


def test_second_authentication(server, streams):
    """§4.8: after <success/> another <authenticate/> is a stream error."""
    s, _ = entered(server, streams)
    plain(s, s.name)
    s.expect_stream_error("policy-violation")


@pytest.mark.parametrize("header,condition", [("{user}@localhost", None), ("somebody@localhost", "invalid-authzid"), (None, None)])
def test_authzid_and_header(server, streams, header, condition):
    """§4.4: an authorization string that is not the header's `from` is an error."""
    s = streams(server.stream())
    user = server.register()
    if header:
        s.open(extra=f" from='{header.format(user=user)}'")
        s.features = s.expect_tag(q("stream", "features"))
    else:
        s.open_features()
    authenticate(s, "PLAIN", sasl.plain(user, PASSWORD, f"{user}@localhost"))
    el = answer(s, "failure" if condition else "success")
    if condition:
        assert el[0].tag == q("sasl", condition)


@pytest.mark.parametrize("version,types", [("1.2", ["tls-exporter", "tls-unique", "tls-server-end-point"]),
                                           ("1.3", ["tls-exporter", "tls-server-end-point"])])
def test_channel_bindings_named(server, streams, version, types):
    """XEP-0440 §3: for either profile, exactly those this connection has (tls-unique: RFC 9266 §3, not with TLS 1.3)."""
    s = streams(server.stream(server.tls, tls="direct", version=version))
    f = s.open_features()
    assert sorted(e.get("type") for e in f.find(q("cb", "sasl-channel-binding"))) == sorted(types)
    user = server.register()
    for kind in types:
        n = streams(server.stream(server.tls, tls="direct", version=version))
        n.open_features()
        x = sasl.Scram("SCRAM-SHA-1-PLUS", user, PASSWORD, kind, n.tls.channel_binding(kind), "", False)
        authenticate(n, "SCRAM-SHA-1-PLUS", x.first())
        n.send(f"<response xmlns='{NS2}'>{sasl.b64(x.final(sasl.unb64(answer(n, 'challenge').text)))}</response>")
        answer(n, "success")


def test_management_inline(server, streams):
    s, el = entered(server, streams, f"<enable xmlns='{SM}' resume='true'/>")
    enabled = el.find(f"{{{BIND2}}}bound/{{{SM}}}enabled")
    m = Sm(s)
    s.ping()
    m.acked_to(1)
    s.drop()
    # and resumed inline: no features, the stream goes on at once
    n = opened(server, streams)
    plain(n, s.bare.partition("@")[0], f"<resume xmlns='{SM}' previd='{enabled.get('id')}' h='1'/>" + bind2())
    el = answer(n, "success")
    assert el.find(f"{{{SM}}}resumed").get("h") == "1" and el.find(f"{{{BIND2}}}bound") is None
    assert identity(el) == s.jid
    n.jid = s.jid
    n.ping()
    assert not [e for e in n.items if e.tag == q("stream", "features")]


def test_what_was_enabled_inline_is_not_offered_again(server, streams):
    """xmpp.js asks for the stream management it is offered and gives up what it has when that is refused; RFC 6120 §4.3.2."""
    feature = f"{{{SM}}}sm"
    assert entered(server, streams)[0].features.find(feature) is not None
    s, el = entered(server, streams, f"<enable xmlns='{SM}' resume='true'/>")
    assert el.find(f".//{{{SM}}}enabled") is not None and s.features.find(feature) is None


def test_resumption_that_fails_binds(server, streams):
    s = opened(server, streams)
    plain(s, server.register(), f"<resume xmlns='{SM}' previd='nonsense' h='0'/>" + bind2())
    el = answer(s, "success")
    assert el.find(f"{{{SM}}}failed") is not None and el.find(f"{{{BIND2}}}bound") is not None
    s.jid = identity(el)
    s.ping()


def test_resumption_that_fails_without_binding(server, streams):
    s = opened(server, streams)
    plain(s, server.register(), f"<resume xmlns='{SM}' previd='nonsense' h='0'/>")
    assert answer(s, "success").find(f"{{{SM}}}failed") is not None
    s.expect_tag(q("stream", "features"))
    s.bind()
    s.ping()


def test_inactive_from_the_start(server, streams):
    s, _ = entered(server, streams, "<inactive xmlns='urn:xmpp:csi:0'/>")
    other = streams(server.login())
    other.send(f"<presence to='{s.jid}'/>")
    other.ping()
    s.expect_nothing()


def test_everything_in_one_packet(server, streams):
    """The client need not wait: what follows <authenticate/> is taken as sent on the stream that comes of it."""
    s = opened(server, streams)
    user = server.register()
    s.send(f"<authenticate xmlns='{NS2}' mechanism='PLAIN'><initial-response>{sasl.b64(sasl.plain(user, PASSWORD))}"
           f"</initial-response>{bind2()}</authenticate><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
    answer(s, "success")
    assert s.expect_id("p").get("type") == "result"


def test_resource_limit_and_rules_hold(new_server):
    def change(config):
        config["acl"]["blocked"] = {"user": ["bad"]}
        next(l for l in config["listen"] if l.get("starttls"))["allow_unencrypted_sasl2"] = True
    with new_server(change) as server:
        server.api("register", user="bad", host="localhost", password=PASSWORD)
        s = server.stream()
        s.open_features()
        plain(s, "bad", bind2())
        s.expect_stream_error("policy-violation")
