"""Service discovery recorded from ejabberd 25.03 with the modules of its example configuration: identities, features, forms and
items of the server, accounts, services and nodes; single requests and their answers. data/waiting.txt names what belongs to
modules that are not there yet, feature by feature."""
import json
import pathlib
from xml.sax.saxutils import quoteattr

import pytest

import stock
from recorded import parse, unlike, waiting
from xmppstream import ET, NS, local, q

configure = stock.configure

DATA = pathlib.Path(__file__).parent / "data"
RECORDED = json.loads((DATA / "disco.json").read_text())
CASES = RECORDED["cases"]
FORMS = [f for f in RECORDED["forms"] if f.get("send") and f.get("raw")]
ALL_MODULES = RECORDED["with_all_modules"]
ENTITIES, FEATURES, IDENTITIES, ITEMS, REQUESTS, ALL = (
    waiting(DATA, k) for k in ("entity", "feature", "identity", "item", "request", "all"))
# What this server has besides. XEP-0115 §7 and XEP-0390 §5 ask for the first two, XEP-0377 for the third; accounts answer the rest.
MORE = {"http://jabber.org/protocol/caps", "urn:xmpp:caps", "urn:xmpp:reporting:1"}
MORE_OF_ACCOUNTS = {"jabber:iq:last", "urn:xmpp:ping"}
# Commands of its own, and those that are the command line's alone.
OWN = {f"api-commands/{w}" for w in (DATA.parents[1] / "conformance" / "own_commands.txt").read_text().split()}
COMMAND_LINE = {f"api-commands/{w}" for w in ("help", "mnesia_info_ctl", "print_sql_schema")}
NO_NODE = ("<iq type='error' from='localhost' to='{}'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
           "<text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Node not found</text></error></iq>")
# A node that is not there is an error (XEP-0030 §4.3), not an empty list.
DIFFERENT_ITEMS = {
    # One that is not for him is as forbidden as to ask what it is.
    "server node announce, u1": (
        "<iq type='error' from='localhost' to='u1@localhost/r1'><error type='auth'><forbidden "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Access denied by "
        "service policy</text></error></iq>"),
    "server node http://jabber.org/protocol/admin, u1": NO_NODE.format("u1@localhost/r1"),
    "server node http://jabber.org/protocol/admin, admin": NO_NODE.format("admin@localhost/adm"),
    "server node nosuchnode, u1": NO_NODE.format("u1@localhost/r1"),
    "server node nosuchnode, admin": NO_NODE.format("admin@localhost/adm"),
}
IQ = "<iq type='result' from='localhost' to='u1@localhost/r1'>{}</iq>"
# What the program is, and how long it runs.
DIFFERENT_REQUESTS = {
    "software version": IQ.format("<query xmlns='jabber:iq:version'><name>cjabberd</name><version>{WORDS}</version></query>"),
    "uptime": IQ.format("<query xmlns='jabber:iq:last' seconds='{WORDS}'/>"),
    "server vCard": IQ.format("<vCard xmlns='vcard-temp'><FN>cjabberd</FN><DESC>XMPP server</DESC></vCard>"),
}
CAPS_NODE = "https://www.process-one.net/ejabberd/"


def title(case):
    return f"{case['entity']}{' ' + case['node'] if case['node'] else ''}, {case['asked_by']}"


@pytest.fixture(scope="module")
def sessions(server):
    stock.register(server)
    opened = {u: server.stream().login(u, stock.password(u), r, presence=True)
              for u, r in (("u1", "r1"), ("u2", "r2"), ("u3", "r3"), ("admin", "adm"))}
    server.api("register", user="newuser", host="localhost", password="np")
    with server.stream() as s:
        s.open_features()
        s.authenticate("u1", stock.password("u1"))
        opened["u1"].features = s.open_features()
    yield opened
    for s in opened.values():
        s.drop()


def ask(s, case, kind):
    node = case["node"]
    if node and node.startswith(CAPS_NODE):
        node = f"{CAPS_NODE}#{own_ver(s)}"
    return s.iq(f"<query xmlns='{NS[kind]}'{f' node={quoteattr(node)}' if node else ''}/>", to=case["to"])


def own_ver(s):
    """The server's own verification string, from the features of another stream."""
    el = s.features.find("{http://jabber.org/protocol/caps}c")
    assert el.get("node") == CAPS_NODE
    return el.get("ver")


def recorded_query(case):
    el = parse(case["info"])[0][0]
    return el, el[0]


def names_of(query, tag, *attributes):
    return {tuple(e.get(a) for a in attributes) for e in query.findall(tag)}


def same_error(got, want):
    why = unlike(got, want)
    assert not why, f"{why}\ngot  {ET.tostring(got).decode()}\nwant {ET.tostring(want).decode()}"


def info_unlike(case, got, want, query):
    """Where an answer differs from the recorded one, in words; None: nowhere."""
    if want.get("type") == "error" or got.get("type") != "result":
        return unlike(got, want)
    ours, identity, feature = got[0], q("info", "identity"), q("info", "feature")
    later = set() if title(case) in ENTITIES else {(i.partition(" ")[0], i.partition(" ")[2]) for i in IDENTITIES}
    more = MORE | MORE_OF_ACCOUNTS if "@" in case["to"] else MORE
    features = [e.get("var") for e in ours.findall(feature)]
    for what, have, wanted in (
            ("identities", names_of(ours, identity, "category", "type", "name"),
             {i for i in names_of(query, identity, "category", "type", "name") if i[:2] not in later}),
            ("features", set(features) - more,
             {f for f, in names_of(query, feature, "var")} - (set() if title(case) in ENTITIES else FEATURES)),
            ("features", len(features), len(set(features))),
            ("forms", *([ET.tostring(e) for e in el.iter("{jabber:x:data}x")] for el in (ours, query)))):
        if have != wanted:
            return f"{what}: {have} instead of {wanted}"
    return None


@pytest.mark.parametrize("case", [c for c in CASES if c["info"]], ids=title)
def test_info(sessions, case):
    got = ask(sessions[case["asked_by"]], case, "info")
    want, query = recorded_query(case)
    want.set("id", got.get("id"))
    if case["node"] and case["node"].startswith("running nodes/"):
        # "http://jabber.org/protocol/stats" is announced by mod_stats, where questions about it are answered.
        for feature in query.findall(q("info", "feature"))[:1]:
            query.remove(feature)
    why = info_unlike(case, got, want, query)
    if title(case) in ENTITIES:
        assert why, f"{title(case)!r} passes: take it out of data/waiting.txt"
    else:
        assert not why, f"{why}\ngot  {ET.tostring(got).decode()}\nwant {ET.tostring(want).decode()}"


@pytest.mark.parametrize("case", CASES, ids=title)
def test_items(sessions, case):
    got = ask(sessions[case["asked_by"]], case, "items")
    want = DIFFERENT_ITEMS.get(title(case), case["items"])
    if isinstance(want, str):
        want = parse(want)[0][0]
        want.set("id", got.get("id"))
        why = unlike(got, want)
    else:
        want = {(i["jid"], i.get("node"), i.get("name")) for i in want if i.get("node") not in COMMAND_LINE}
        ours = {i for i in names_of(got[0], q("items", "item"), "jid", "node", "name") if i[1] not in OWN}
        # What is there is what the reference has: only things of later modules are missing.
        assert ours <= want, ours - want
        why = got.get("type") != "result" or want - ours
    if title(case) in ITEMS:
        assert why, f"{title(case)!r} passes: take it out of data/waiting.txt"
    else:
        assert not why, f"{why}: {ET.tostring(got).decode()}"


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f["name"])
def test_request(sessions, form):
    s = sessions["u1"]
    want = parse(DIFFERENT_REQUESTS.get(form["name"], form["raw"]))[0][0]
    want.set("id", "asked")
    s.send(form["send"].replace("<iq ", "<iq id='asked' ", 1))
    got = s.expect_id("asked")
    if form["name"] in REQUESTS:
        assert unlike(got, want), f"{form['name']!r} passes: take it out of data/waiting.txt"
        return
    same_error(got, want)


def with_all_modules(config):
    stock.configure(config)
    config["modules"].update({m: {} for m in ALL_MODULES["modules_added"]})
    config["modules"]["mod_http_fileserver"] = {"docroot": "/nonexistent"}


def server_features(s):
    query = s.iq(f"<query xmlns='{NS['info']}'/>", to="localhost")[0]
    return {f for f, in names_of(query, q("info", "feature"), "var")}


def test_all_modules(new_server, sessions):
    """What more there is with every module that needs no external server: features, services, stream features."""
    added = set(ALL_MODULES["server_features_added"])
    with new_server(with_all_modules) as server:
        stock.register(server)
        with server.login("u1", password="pw1") as s:
            assert server_features(s) - server_features(sessions["u1"]) - FEATURES == added - ALL
            services = {f"jid={i.get('jid')!r}" for i in s.iq(f"<query xmlns='{NS['items']}'/>", to="localhost")[0] if not i.get("node")}
            known = {i for i in ALL_MODULES["server_items"] if not i.startswith("node")}
            assert services == known - ALL, services ^ known
            account = {f for f, in names_of(s.iq(f"<query xmlns='{NS['info']}'/>", to=s.bare)[0], q("info", "feature"), "var")}
            assert account & set(ALL_MODULES["account_features_added"]) == set(ALL_MODULES["account_features_added"]) - ALL
            service = s.iq(f"<query xmlns='{NS['info']}'/>", to="multicast.localhost")[0]
            assert {f"name={n!r} type={t!r} category={c!r}" for n, t, c in names_of(
                service, q("info", "identity"), "name", "type", "category")} == set(ALL_MODULES["multicast_service"]["identities"])
            assert {f for f, in names_of(service, q("info", "feature"), "var")} == set(ALL_MODULES["multicast_service"]["features"])
            s.close()


def test_lists_are_true():
    titles, queries = {title(c) for c in CASES}, [recorded_query(c)[1] for c in CASES if c["info"]]
    assert ENTITIES <= titles and ITEMS <= titles and DIFFERENT_ITEMS.keys() <= titles
    requests = {f["name"] for f in FORMS}
    assert REQUESTS <= requests and DIFFERENT_REQUESTS.keys() <= requests and not REQUESTS & DIFFERENT_REQUESTS.keys()
    assert FEATURES <= {e.get("var") for query in queries for e in query.findall(q("info", "feature"))}
    assert IDENTITIES <= {f"{i[0]} {i[1]}" for query in queries for i in names_of(query, q("info", "identity"), "category", "type")}
    assert ALL <= {x for key in ("server_features_added", "server_items", "account_features_added") for x in ALL_MODULES[key]}
