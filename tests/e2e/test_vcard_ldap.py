"""vCards of a directory (mod_vcard, db_type ldap), against a real slapd: XEP-0054 reading, XEP-0055 searching, no changes."""
import base64
import hashlib
import json

import pytest

from server import Server
from slapd import BASE, Directory
from xmppstream import error_of, q

V, D, SEARCH = "{vcard-temp}", "{jabber:x:data}", "{jabber:iq:search}"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
GET = "<vCard xmlns='vcard-temp'/>"
ASK = "<query xmlns='jabber:iq:search'/>"


def entry(uid, cn, sn, mail, *more):
    lines = "".join(f"{line}\n" for line in more)
    return (f"dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {cn}\nsn: {sn}\nmail: {mail}\n"
            f"userPassword: pass-{uid}\n{lines}\n")


LDIF = (entry("ann", "Ann Doe", "Doe", "ann@mail.test", "displayName: Ann (the first) Doe", "givenName: Ann", "title: Boss",
              "telephoneNumber: +1 23", "o: Example", "ou: Heads", "l: Verona", "street: Via 1", "postalCode: 0815",
              "jpegPhoto:: " + base64.b64encode(PNG).decode())
        + entry("bob", "Bob Doe", "Doe", "robert@mail.test", "displayName: Bob & <b>", "givenName: Bob")
        + entry("eve", "Eve Evil", "Evil", "eve@mail.test", "displayName: Eve*", "givenName: Eve")
        + entry("two", "Two", "Same", "same@mail.test") + entry("too", "Too", "Same", "same@mail.test")
        + "".join(entry(f"crowd{i}", f"Crowd {i}", "Crowd", f"crowd{i}@mail.test") for i in range(8)))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    d = Directory(tmp_path_factory.mktemp("slapd"), LDIF)
    yield d
    d.stop()


@pytest.fixture(scope="module")
def server(directory, tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), lambda c: configure(c, directory)) as s:
        yield s


def configure(config, directory):
    """ldap.test: accounts and vCards from one directory. map.test: accounts of the store, options of the module's own."""
    own = directory.options(ldap_uids={"mail": "%u@mail.test"}, ldap_filter="(!(sn=Evil))", allow_return_all=True, matches="infinity",
                            ldap_vcard_map={"FN": {"%s, %s": ["sn", "givenName"]}, "NICKNAME": {"%u of %d": []}, "ROLE": {"%s": ["none"]},
                                            "EMAIL": {"%s": ["mail"]}},
                            ldap_search_fields={"User": "%u", "Family Name": "sn"},
                            ldap_search_reported={"Full Name": "FN", "Email": "EMAIL"})
    modules = config["modules"]
    config["hosts"] += ["ldap.test", "map.test", "gone.test"]
    config["host_config"] = {
        "ldap.test": directory.options(auth_method=["ldap"],
                                       modules={**modules, "mod_vcard_xupdate": {},
                                                "mod_vcard": {"db_type": "ldap", "search": True, "matches": 5}}),
        "map.test": {"modules": {**modules, "mod_vcard": {"db_type": "ldap", "search": True, **own}}},
        "gone.test": {"modules": {**modules, "mod_vcard": {"db_type": "ldap", "search": True,
                                                           **directory.options(ldap_password="wrong")}}}}


@pytest.fixture
def ann(server, streams):
    return streams(server.login("ann", password="pass-ann", host="ldap.test"))


@pytest.fixture(scope="module")
def mapped(server):
    for user in ("ann", "robert", "eve", "same", "crowd1"):
        server.api("register", user=user, host="map.test", password="pass")


@pytest.fixture
def own(server, streams, mapped):
    return streams(server.login("ann", password="pass", host="map.test"))


def vcard(stream, to=None):
    el = stream.iq(GET, to=to)
    assert el.get("type") == "result", error_of(el)
    return el.find(f"{V}vCard")


def text(card, *path):
    return card.findtext("/".join(V + p for p in path))


def test_an_entry_is_a_vcard(ann):
    """XEP-0054 §3.1: the fields that the map has by default, each in its place."""
    card = vcard(ann)
    assert text(card, "FN") == "Ann (the first) Doe"
    assert (text(card, "N", "FAMILY"), text(card, "N", "GIVEN")) == ("Doe", "Ann")
    assert (text(card, "ADR", "LOCALITY"), text(card, "ADR", "STREET"), text(card, "ADR", "PCODE")) == ("Verona", "Via 1", "0815")
    assert (text(card, "ORG", "ORGNAME"), text(card, "ORG", "ORGUNIT")) == ("Example", "Heads")
    assert (text(card, "TEL", "NUMBER"), text(card, "EMAIL", "USERID")) == ("+1 23", "ann@mail.test")
    assert (text(card, "NICKNAME"), text(card, "TITLE"), text(card, "URL")) == ("ann", "Boss", None)
    assert text(card, "PHOTO", "TYPE") == "image/png"
    assert base64.b64decode(text(card, "PHOTO", "BINVAL")) == PNG


def test_somebody_elses(ann):
    card = vcard(ann, "bob@ldap.test")
    assert (text(card, "FN"), text(card, "NICKNAME")) == ("Bob & <b>", "bob")


def test_patterns_of_the_map(own):
    card = vcard(own, "robert@map.test")
    assert (text(card, "FN"), text(card, "NICKNAME"), text(card, "EMAIL", "USERID")) == (
        "Doe, Bob", "robert of map.test", "robert@mail.test")
    assert text(card, "ROLE") is None


def test_who_has_no_entry_has_no_vcard(own, server, mapped):
    """ldap_filter of the module leaves one out, two entries are nobody's, and an entry without an account is none's."""
    for user in ("eve", "same"):
        assert len(vcard(own, f"{user}@map.test")) == 0
    status, _ = server.api_raw("get_vcard", json.dumps({"user": "crowd2", "host": "map.test", "name": "FN"}))
    assert status != 200


def test_it_is_not_changed_from_here(ann, server):
    """RFC 6120 §8.3.3.10: nobody may do it here."""
    el = ann.iq("<vCard xmlns='vcard-temp'><FN>Other</FN></vCard>", type_="set")
    assert error_of(el) == ("cancel", "not-allowed")
    status, body = server.api_raw("set_vcard", json.dumps({"user": "ann", "host": "ldap.test", "name": "FN", "content": "Other"}))
    assert status == 400, body
    assert text(vcard(ann), "FN") == "Ann (the first) Doe"
    assert server.api("get_vcard", user="ann", host="ldap.test", name="FN") == "Ann (the first) Doe"


def form(**fields):
    inner = "".join(f"<field var='{k.replace('user', '%u')}'><value>{v}</value></field>" for k, v in fields.items())
    return f"<query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='submit'>{inner}</x></query>"


def search(stream, to, **fields):
    el = stream.iq(form(**fields), to=to, type_="set")
    assert el.get("type") == "result", error_of(el)
    return [{f.get("var"): f.findtext(f"{D}value") or "" for f in i.iter(f"{D}field")} for i in el.iter(f"{D}item")]


def found(stream, to="vjud.ldap.test", **fields):
    return sorted(r["jid"].split("@")[0] for r in search(stream, to, **fields))


def test_the_form(ann, own):
    """XEP-0055 §3: the form has the fields of ldap_search_fields, the rest of the answer those of old clients."""
    el = ann.iq(ASK, to="vjud.ldap.test")
    fields = {f.get("var"): f.get("label") for f in el.iter(f"{D}field")}
    assert fields["%u"] == "User" and fields["sn"] == "Family Name" and fields["ou"] == "Organization Unit"
    assert all(el.find(f"{SEARCH}query/{SEARCH}{name}") is not None for name in ("first", "last", "nick", "email"))
    el = own.iq(ASK, to="vjud.map.test")
    assert {f.get("var"): f.get("label") for f in el.iter(f"{D}field")} == {"FORM_TYPE": None, "%u": "User", "sn": "Family Name"}


def test_searching(ann):
    assert found(ann, sn="Doe") == found(ann, sn="doe") == ["ann", "bob"]
    assert found(ann, sn="Doe", givenName="Bob") == ["bob"]
    assert found(ann, user="an*") == ["ann"]
    assert found(ann, user="an") == found(ann, sn="Do") == []
    assert found(ann, sn="D*") == ["ann", "bob"]
    assert found(ann) == []


def test_what_is_shown(ann, own):
    [row] = search(ann, "vjud.ldap.test", user="ann")
    assert row == {"jid": "ann@ldap.test", "FN": "Ann (the first) Doe", "FIRST": "Ann", "LAST": "Doe", "NICK": "ann", "MIDDLE": "",
                   "BDAY": "", "CTRY": "", "LOCALITY": "Verona", "EMAIL": "ann@mail.test", "ORGNAME": "Example", "ORGUNIT": "Heads"}
    [row] = search(own, "vjud.map.test", user="robert")
    assert row == {"jid": "robert@map.test", "FN": "Doe, Bob", "EMAIL": "robert@mail.test"}


def test_only_accounts_are_found(own):
    """allow_return_all and matches: infinity; who has no account, or fails ldap_filter, is not shown."""
    assert found(own, "vjud.map.test") == ["ann", "crowd1", "robert", "same", "same"]


def test_a_value_is_only_a_value(ann):
    """RFC 4515 §3: what a client sends is never part of the filter."""
    for value in ("*)(uid=*", "Doe)(uid=ann", "x)(|(sn=*", "\\2a", "**", "*oe"):
        assert found(ann, sn=value) == [] and found(ann, user=value) == []
    assert found(ann, displayName="Ann (the first) Doe") == ["ann"]
    assert found(ann, displayName="Bob &amp; &lt;b&gt;") == ["bob"]


def test_at_most_matches(ann):
    assert len(found(ann, sn="Crowd")) == 5


def test_the_fields_of_old_clients(ann):
    """XEP-0055 §2.1: first, last, nick and email are those of the map."""
    el = ann.iq("<query xmlns='jabber:iq:search'><last>Doe</last><nick>b*</nick></query>", to="vjud.ldap.test", type_="set")
    [item] = el.iter(f"{SEARCH}item")
    assert item.get("jid") == "bob@ldap.test"
    assert (item.findtext(f"{SEARCH}first"), item.findtext(f"{SEARCH}last"), item.findtext(f"{SEARCH}email")) == (
        "Bob", "Doe", "robert@mail.test")


def test_the_photo_is_in_presence(ann):
    """XEP-0153 §3.1: the digest is of the picture in the directory."""
    ann.send("<presence/>")
    presence = ann.expect(lambda el: el.tag == q("client", "presence"))
    assert presence.findtext(".//{vcard-temp:x:update}photo") == hashlib.sha1(PNG).hexdigest()


def test_the_directory_cannot_be_asked(server, streams):
    """Not an empty vCard: nobody would know that it is there."""
    name = server.register("somebody", host="gone.test")
    s = streams(server.login(name, host="gone.test"))
    assert error_of(s.iq(GET))[1] == "internal-server-error"
    assert error_of(s.iq(form(sn="x"), to="vjud.gone.test", type_="set"))[1] == "internal-server-error"


def test_options_that_make_no_sense(new_server, directory):
    def change(config):
        config["modules"]["mod_vcard"] = {"db_type": "ldap", **directory.options(ldap_filter="sn=x")}
    with pytest.raises(AssertionError, match="ldap_filter"):
        new_server(change).start()


def test_options_of_another_store(new_server, directory):
    """Known only with the db_type that they belong to, as in the reference; search_all_hosts with the embedded store."""
    def wrong(config):
        config["modules"]["mod_vcard"] = {"ldap_base": BASE}
    with pytest.raises(AssertionError, match="ldap_base"):
        new_server(wrong).start()

    def right(config):
        config["modules"]["mod_vcard"] = {"search_all_hosts": False}
    new_server(right).start()
