"""Search of vCards (XEP-0055): the service, its form, the fields of old clients, limits."""
import pytest

from xmppstream import error_of, q, text_of_error

SEARCH, D = "{jabber:iq:search}", "{jabber:x:data}"
ASK = "<query xmlns='jabber:iq:search'/>"
VJUD = "vjud.localhost"


def configure(config):
    config["modules"].update(mod_vcard={"search": True, "matches": 5})


def save(server, name, host="localhost", **fields):
    inner = "".join(f"<{k}>{v}</{k}>" for k, v in fields.items())
    with server.login(name, host=host) as s:
        assert s.iq(f"<vCard xmlns='vcard-temp'>{inner}</vCard>", type_="set").get("type") == "result"


def form(**fields):
    inner = "".join(f"<field var='{k}'><value>{v}</value></field>" for k, v in fields.items())
    return f"<query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='submit'>{inner}</x></query>"


def rows(el):
    assert el.get("type") == "result", error_of(el)
    return [{f.get("var"): f.findtext(f"{D}value") or "" for f in i.iter(f"{D}field")} for i in el.iter(f"{D}item")]


def search(stream, to=VJUD, **fields):
    return sorted(r["jid"] for r in rows(stream.iq(form(**fields), to=to, type_="set")))


@pytest.fixture(scope="module")
def world(server):
    names = {}
    for who, fields in {
            "juliet": dict(FN="Juliet Capulet", N="<FAMILY>Capulet</FAMILY><GIVEN>Juliet</GIVEN><MIDDLE>M</MIDDLE>", NICKNAME="Jule",
                           BDAY="1597-01-01", ADR="<CTRY>Italia</CTRY><LOCALITY>Verona</LOCALITY>",
                           EMAIL="<USERID>juliet@capulet.example</USERID>", ORG="<ORGNAME>Capulet</ORGNAME><ORGUNIT>Balcony</ORGUNIT>"),
            "julian": dict(FN="Julian 100% 'sure' \"really\" _x_ [y]"),
            "weird": dict(FN="Ω &amp; &lt;b&gt;"),
            **{f"crowd{i}": dict(FN=f"Crowd {i}") for i in range(8)}}.items():
        names[who] = server.register(who)
        save(server, names[who], **fields)
    names["foreign"] = server.register("foreign", host="example.test")
    save(server, names["foreign"], host="example.test", FN="Juliet Elsewhere")
    return names


@pytest.fixture
def user(server, streams, world):
    return streams(server.login(server.register("seeker")))


def test_discovery(user):
    """XEP-0030: the service is an item of the host, a directory of users that can be searched."""
    items = user.iq("<query xmlns='http://jabber.org/protocol/disco#items'/>", to="localhost")
    assert VJUD in [i.get("jid") for i in items.iter(q("items", "item"))]
    info = user.iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=VJUD)
    assert [dict(i.attrib) for i in info.iter(q("info", "identity"))] == [
        {"category": "directory", "type": "user", "name": "vCard User Search"}]
    assert "jabber:iq:search" in [f.get("var") for f in info.iter(q("info", "feature"))]


def test_fields(user):
    """§2.1, §3: a form whose FORM_TYPE is jabber:iq:search, and the fields of clients that know no forms."""
    query = user.iq(ASK, to=VJUD).find(f"{SEARCH}query")
    assert [c.tag for c in query] == [f"{SEARCH}{t}" for t in ("instructions", "first", "last", "nick", "email")] + [f"{D}x"]
    x = query.find(f"{D}x")
    assert x.get("type") == "form" and x.findtext(f"{D}title") == "Search users in vjud.localhost"
    assert [f.get("var") for f in x.iter(f"{D}field")] == [
        "FORM_TYPE", "user", "fn", "first", "middle", "last", "nick", "bday", "ctry", "locality", "email", "orgname", "orgunit"]
    assert x.find(f"{D}field").findtext(f"{D}value") == "jabber:iq:search"


def test_result(user, world):
    """§3: reported fields, then a row for each who matches."""
    el = user.iq(form(fn="juliet capulet"), to=VJUD, type_="set")
    x = el.find(f"{SEARCH}query/{D}x")
    assert x.get("type") == "result"
    assert [f.get("var") for f in x.find(f"{D}reported")] == [
        "jid", "fn", "first", "middle", "last", "nick", "bday", "ctry", "locality", "email", "orgname", "orgunit"]
    assert rows(el) == [{"jid": f"{world['juliet']}@localhost", "fn": "Juliet Capulet", "first": "Juliet", "middle": "M",
                         "last": "Capulet", "nick": "Jule", "bday": "1597-01-01", "ctry": "Italia", "locality": "Verona",
                         "email": "juliet@capulet.example", "orgname": "Capulet", "orgunit": "Balcony"}]


@pytest.mark.parametrize("field, value", [
    ("first", "JULIET"), ("middle", "m"), ("last", "cap*"), ("nick", "jule"), ("bday", "1597*"), ("ctry", "italia"),
    ("locality", "vero*"), ("email", "juliet@*"), ("orgname", "Capulet"), ("orgunit", "b*"), ("user", "juliet*")])
def test_each_field(user, world, field, value):
    """Case does not matter; a star at the end stands for any text."""
    assert search(user, **{field: value}) == [f"{world['juliet']}@localhost"]


def test_whole_values(user, world):
    """Without a star the whole value is compared; all fields must fit."""
    assert search(user, fn="juli") == []
    mine = [f"{world[n]}@localhost" for n in ("julian", "juliet")]
    assert search(user, fn="juli*") == sorted(mine + [f"{world['foreign']}@example.test"])
    assert search(user, fn="juli*", last="capulet") == [f"{world['juliet']}@localhost"]
    assert search(user, fn="juli*", last="montague") == []


@pytest.mark.parametrize("value", ["julian 100% &apos;sure&apos; &quot;really&quot; _x_ [y]", "julian 100% &apos;*"])
def test_text_is_only_text(user, world, value):
    """Quotes, signs of SQL and of patterns mean nothing."""
    assert search(user, fn=value) == [f"{world['julian']}@localhost"]


@pytest.mark.parametrize("value", ["&apos; OR 1=1 --", "%", "_____*", "?*", "[a-z]*", "&apos;; DROP TABLE vcard_search; --", "*juliet*",
                                   "**", "\\*"])
def test_nobody_has_that(user, world, value):
    assert search(user, fn=value) == []
    assert search(user, fn="juliet capulet") == [f"{world['juliet']}@localhost"]


def test_special_characters_come_back(user, world):
    assert [r["fn"] for r in rows(user.iq(form(fn="ω*"), to=VJUD, type_="set"))] == ["Ω & <b>"]


def test_matches(user):
    """Option matches: no more rows than that."""
    assert len(search(user, fn="crowd*")) == 5


def test_nothing_filled_in(user):
    """Option allow_return_all is off; a star alone asks for everybody, up to the limit."""
    assert search(user) == [] and search(user, fn="", nick=" ") == []
    assert len(search(user, fn="*")) == 5


def test_legacy(user, world):
    """§2.1, examples 3 and 4: without a form."""
    el = user.iq("<query xmlns='jabber:iq:search'><last>Capulet</last></query>", to=VJUD, type_="set")
    item, = el.iter(f"{SEARCH}item")
    assert item.get("jid") == f"{world['juliet']}@localhost"
    assert [(c.tag[len(SEARCH):], c.text) for c in item] == [
        ("first", "Juliet"), ("last", "Capulet"), ("nick", "Jule"), ("email", "juliet@capulet.example")]


def test_legacy_nobody(user):
    """§2.1: an empty query when nobody matches."""
    el = user.iq("<query xmlns='jabber:iq:search'><last>Nobody</last></query>", to=VJUD, type_="set")
    assert el.get("type") == "result" and len(el.find(f"{SEARCH}query")) == 0


@pytest.mark.parametrize("x", ["<x xmlns='jabber:x:data' type='form'/>", "<x xmlns='jabber:x:data'/>", "<x xmlns='jabber:x:data' type='no'/>"])
def test_bad_form(user, x):
    el = user.iq(f"<query xmlns='jabber:iq:search'>{x}</query>", to=VJUD, type_="set")
    assert error_of(el) == ("modify", "bad-request") and text_of_error(el)


def test_canceled(user):
    el = user.iq("<query xmlns='jabber:iq:search'><x xmlns='jabber:x:data' type='cancel'/></query>", to=VJUD, type_="set")
    assert el.get("type") == "result"


def test_options(new_server):
    """allow_return_all, search_all_hosts, matches without end; a host that is not searched; no service without `search`."""
    s = new_server(lambda c: c["modules"].update(mod_vcard={"search": True, "allow_return_all": True, "matches": "infinity"},
                                                mod_vcard_mnesia={"search_all_hosts": False}))
    s.start()
    here, there = s.register("here"), s.register("there", host="example.test")
    save(s, here, FN="Same")
    save(s, there, host="example.test", FN="Same")
    local, foreign = f"{here}@localhost", f"{there}@example.test"
    with s.login() as u:
        assert search(u) == [local] and search(u, fn="same") == [local]
        assert search(u, "vjud.example.test", fn="same") == [foreign]
        del s.config["modules"]["mod_vcard_mnesia"]
        s.reload()
        assert search(u) == sorted([local, foreign]) and search(u, "vjud.example.test", fn="s*") == sorted([local, foreign])
        s.config["host_config"] = {"example.test": {"modules": {**s.config["modules"], "mod_vcard": {}}}}
        s.reload()
        assert search(u) == [local]
        assert error_of(u.iq(ASK, to="vjud.example.test")) == ("cancel", "remote-server-not-found")
