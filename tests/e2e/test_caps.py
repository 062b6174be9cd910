"""Entity capabilities: what the server announces of itself, and what it believes of clients (XEP-0115, XEP-0390)."""
import base64
import hashlib
import sqlite3

import pytest

import stock
from xmppstream import ET, NS, local, q

CAPS, CAPS2, NODE = "http://jabber.org/protocol/caps", "urn:xmpp:caps", "https://www.process-one.net/ejabberd/"
FEATURES = ["http://jabber.org/protocol/disco#info", "urn:xmpp:ping"]


def configure(config):
    stock.configure(config)
    config["modules"]["mod_disco"] = {"server_info": [{"modules": "all", "name": "abuse-addresses", "urls": ["mailto:a@b.example"]}]}


def digest(text, algo="sha1"):
    return base64.b64encode(hashlib.new(algo, text.encode()).digest()).decode()


def ver_of(query, algo="sha1"):
    """The string of XEP-0115 §5.1, by its words."""
    parts = sorted((i.get("category"), i.get("type"), "", i.get("name") or "") for i in query.iter(q("info", "identity")))
    text = "".join("/".join(p) + "<" for p in parts)
    text += "".join(f + "<" for f in sorted(f.get("var") for f in query.iter(q("info", "feature"))))
    for form in query.iter("{jabber:x:data}x"):
        fields = {f.get("var"): sorted(v.text or "" for v in f) for f in form}
        text += fields.pop("FORM_TYPE")[0] + "<"
        text += "".join(f"{var}<" + "".join(v + "<" for v in values) for var, values in sorted(fields.items()))
    return digest(text, algo)


def ver2_of(query, lang, algo):
    """The input of XEP-0390 §4.1, by its words."""
    text = "".join(sorted(f.get("var") + "\x1f" for f in query.iter(q("info", "feature")))) + "\x1c"
    text += "".join(sorted("".join(w + "\x1f" for w in (i.get("category"), i.get("type"), lang, i.get("name") or "")) + "\x1e"
                           for i in query.iter(q("info", "identity")))) + "\x1c"
    text += "".join(sorted("".join(sorted(
        f.get("var") + "\x1f" + "".join(sorted((v.text or "") + "\x1f" for v in f)) + "\x1e" for f in form)) + "\x1d"
        for form in query.iter("{jabber:x:data}x"))) + "\x1c"
    return digest(text, algo)


def info(s, to, node=""):
    return s.iq(f"<query xmlns='{NS['info']}'{node and f' node={node!r}'}/>", to=to)


# --- the server's own ---

def features_of(server, host="localhost"):
    """After login."""
    user = server.register(host=host)
    with server.stream(to=host) as s:
        s.open_features()
        s.authenticate(user, "secret")
        return s.open_features()


@pytest.mark.parametrize("host", ["localhost", "example.test"])
def test_own_capabilities_are_what_disco_says(server, streams, host):
    """XEP-0115 §6.3, XEP-0390 §6: right digests, whose nodes can be asked for, and no others."""
    s = streams(server.login())
    el = info(s, host)
    query = el[0]
    assert {f.get("var") for f in query.iter(q("info", "feature"))} >= {CAPS, CAPS2}
    assert "mailto:a@b.example" in ET.tostring(query).decode()
    features = features_of(server, host)
    c = features.find(f"{{{CAPS}}}c")
    assert c.attrib == {"node": NODE, "hash": "sha-1", "ver": ver_of(query)}
    hashes = {h.get("algo"): h.text for h in features.find(f"{{{CAPS2}}}c")}
    assert hashes == {"sha-256": ver2_of(query, "en", "sha256"), "sha3-256": ver2_of(query, "en", "sha3_256")}
    for node in [f"{NODE}#{c.get('ver')}"] + [f"{CAPS2}#{algo}.{ver}" for algo, ver in hashes.items()]:
        answer = info(s, host, node)
        assert answer.get("type") == "result" and answer[0].get("node") == node
        assert [ET.tostring(e) for e in answer[0]] == [ET.tostring(e) for e in query]
    assert info(s, host, f"{NODE}#{digest('another')}").get("type") == "error"


def test_own_capabilities_follow_a_reload(new_server):
    """What is announced is what is answered, also after modules came and went."""
    server = new_server(configure)
    with server:
        with server.login() as s:
            before = features_of(server).find(f"{{{CAPS}}}c").get("ver")
            del server.config["modules"]["mod_version"]
            server.reload()
            after = features_of(server).find(f"{{{CAPS}}}c").get("ver")
            assert before != after == ver_of(info(s, "localhost")[0])


def test_without_disco_nothing_is_announced(new_server):
    """Nobody would answer."""
    server = new_server(configure)
    del server.config["modules"]["mod_disco"]
    with server:
        assert features_of(server).find(f"{{{CAPS}}}c") is None


# --- clients ---

def query_of(*features, more=""):
    """An answer to disco#info."""
    return (f"<query xmlns='{NS['info']}'{{node}}><identity category='client' type='pc'/>" +
            "".join(f"<feature var='{f}'/>" for f in features) + more + "</query>")


def element(query):
    return ET.fromstring(query.format(node=""))


def announced(query, node="urn:x", algo="sha-1"):
    return f"<c xmlns='{CAPS}' node='{node}' hash='{algo}' ver='{ver_of(element(query), algo.replace('-', ''))}'/>"


def asked(s):
    return s.expect(lambda e: local(e) == "iq" and e.get("type") == "get" and e[0].tag == q("info", "query"), "a question")


def answer(s, iq, query):
    node = f" node='{iq[0].get('node')}'"
    s.send(f"<iq type='result' id='{iq.get('id')}' to='{iq.get('from')}'>{query.format(node=node)}</iq>")
    s.ping()


def expect_not_asked(s):
    """What is known needs no question: the table was read when this comes back."""
    s.ping()
    assert not [e for e in s.items if local(e) == "iq" and e.get("type") == "get"], s.transcript()


def rows(server, ver):
    with sqlite3.connect(f"file:{server.spool / 'cjabberd.db'}?mode=ro", uri=True) as db:
        return sorted(r[0] for r in db.execute("SELECT feature FROM caps_features WHERE subnode = ?", (ver,)))



@pytest.fixture(scope="module")
def unique():
    n = iter(range(1000))
    return lambda: f"urn:test:{next(n)}"


def test_asked_once_and_believed(server, streams, unique):
    """XEP-0115 §5.4: the digest is right, so nobody else who announces it is asked."""
    query = query_of(*FEATURES, unique())
    s = streams(server.login())
    s.presence(announced(query))
    iq = asked(s)
    ver = ver_of(element(query))
    assert (iq.get("from"), iq.get("to"), iq[0].get("node")) == ("localhost", s.jid, f"urn:x#{ver}")
    answer(s, iq, query)
    assert rows(server, ver) == sorted(e.get("var") for e in element(query).iter(q("info", "feature")))
    s.presence(announced(query) + "<show>away</show>")
    again = streams(server.login(s.bare.partition("@")[0], "again"))
    again.presence(announced(query, node="urn:another:client"))
    expect_not_asked(again)
    expect_not_asked(s)


def test_hashes_of_the_newer_kind_come_first(server, streams, unique):
    """XEP-0390 §4.3: its node is asked, and its digest checked."""
    query = query_of(*FEATURES, unique())
    el = element(query)
    hashed = f"<c xmlns='{CAPS2}'><hash xmlns='urn:xmpp:hashes:2' algo='nonsense'>AA==</hash>" \
             f"<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{ver2_of(el, '', 'sha256')}</hash></c>"
    s = streams(server.login())
    s.presence(announced(query) + hashed)
    iq = asked(s)
    assert iq[0].get("node") == f"{CAPS2}#sha-256.{ver2_of(el, '', 'sha256')}"
    answer(s, iq, query)
    assert len(rows(server, f"sha-256.{ver2_of(el, '', 'sha256')}")) == 3


POISON = {
    "other features": lambda f: query_of("urn:evil"),
    "one feature more": lambda f: query_of(*FEATURES, f, "urn:evil"),
    "a form more": lambda f: query_of(*FEATURES, f, more="<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
                                                       "<value>f</value></field></x>"),
    "features twice": lambda f: query_of(*FEATURES, f, f),
    "two forms of a type": lambda f: query_of(*FEATURES, f, more=2 * "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' "
                                                                   "type='hidden'><value>f</value></field></x>"),
    "separators": lambda f: query_of(FEATURES[0] + "&lt;" + FEATURES[1], f),
    "huge": lambda f: query_of(*(f"urn:evil:{i}" for i in range(5000))),
    "nothing": lambda f: "",
    "another query": lambda f: f"<query xmlns='{NS['items']}'/>",
}


@pytest.mark.parametrize("how", POISON)
def test_poison_is_not_believed(server, streams, unique, how):
    """XEP-0115 §8.1: an answer that does not have the digest teaches nothing; whoever really has it is asked then."""
    feature = unique()
    query = query_of(*FEATURES, feature)
    ver = ver_of(element(query))
    evil, good = streams(server.login()), streams(server.login())
    good = streams(server.login(evil.bare.partition("@")[0], "good"))
    evil.presence(announced(query))
    iq = asked(evil)
    good.presence(announced(query))
    expect_not_asked(good)
    answer(evil, iq, POISON[how](feature))
    assert rows(server, ver) == []
    answer(good, asked(good), query)
    assert rows(server, ver) == sorted([*FEATURES, feature])
    evil.presence(announced(query))
    expect_not_asked(evil)


def test_errors_and_ends_pass_the_question_on(server, streams, unique):
    """Whoever cannot answer, or is gone, leaves it to the next."""
    query = query_of(*FEATURES, unique())
    first = streams(server.login())
    user = first.bare.partition("@")[0]
    second, third = (streams(server.login(user, r)) for r in ("second", "third"))
    first.presence(announced(query))
    iq = asked(first)
    for s in (second, third):
        s.presence(announced(query))
        expect_not_asked(s)
    first.send(f"<iq type='error' id='{iq.get('id')}' to='localhost'><error type='cancel'><item-not-found xmlns='{NS['stanzas']}'/>"
               "</error></iq>")
    asked(second)
    second.close()
    answer(third, asked(third), query)
    assert len(rows(server, ver_of(element(query)))) == 3


def test_answers_nobody_asked_for(server, streams, unique):
    """Neither with a made-up id nor for somebody else's question."""
    query = query_of(*FEATURES, unique())
    s, other = streams(server.login()), streams(server.login())
    other.send(f"<iq type='result' id='caps-00000000000000000000' to='localhost'>{query.format(node='')}</iq>")
    s.presence(announced(query))
    iq = asked(s)
    other.send(f"<iq type='result' id='{iq.get('id')}' to='localhost'>{query.format(node='')}</iq>")
    other.ping()
    assert rows(server, ver_of(element(query))) == []
    answer(s, iq, query)
    assert len(rows(server, ver_of(element(query)))) == 3


@pytest.mark.parametrize("c", [
    f"<c xmlns='{CAPS}' node='urn:x' ver='1.0'/>", f"<c xmlns='{CAPS}' node='urn:x' hash='md5' ver='AAAA'/>",
    f"<c xmlns='{CAPS}' hash='sha-1' ver='AAAA'/>", f"<c xmlns='{CAPS}' node='urn:x' hash='sha-1' ver='no base64!'/>",
    f"<c xmlns='{CAPS}' node='{'x' * 1100}' hash='sha-1' ver='AAAA'/>", f"<c xmlns='{CAPS}' node='urn:x' hash='sha-1' ver='{'A' * 200}'/>",
    f"<c xmlns='{CAPS2}'/>"], ids=lambda c: c[-30:])
def test_claims_that_cannot_be_proved_are_passed_over(server, streams, c):
    """XEP-0115 §1.4 (the old kind without hash), §5.4: no digest known here, nothing to ask about."""
    s = streams(server.login())
    s.presence(c)
    expect_not_asked(s)


def test_one_session_does_not_announce_for_ever(server, streams, unique):
    """A client that makes up digests is asked 16 times, no more."""
    s = streams(server.login())
    for _ in range(16):
        s.presence(announced(query_of(unique())))
        asked(s)
    for _ in range(4):
        s.presence(announced(query_of(unique())))
        s.iq("<query xmlns='jabber:iq:private'><a xmlns='urn:a'/></query>")  # reads a table, too
        expect_not_asked(s)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_known_after_a_restart(new_server, how):
    """Table caps_features: what was proved needs no second proof."""
    server = new_server(configure)
    query = query_of(*FEATURES)
    server.start()
    with server.login() as s:
        user = s.bare.partition("@")[0]
        s.presence(announced(query))
        answer(s, asked(s), query)
    getattr(server, how)()
    server.start()
    with server.login(user) as s:
        s.presence(announced(query))
        expect_not_asked(s)
        s.close()
