"""Services: addresses of their own that modules answer at; their names, what all of them answer, reloads, contributed ones."""
import pathlib
import subprocess

import pytest

from server import BINARY, ApiError
from test_modules import sources
from xmppstream import error_of, local, q, text_of_error

V = "{vcard-temp}"
INFO, ITEMS = "<query xmlns='http://jabber.org/protocol/disco#info'/>", "<query xmlns='http://jabber.org/protocol/disco#items'/>"
VCARD = "<vCard xmlns='vcard-temp'/>"
UNKNOWN = "<query xmlns='urn:example:unknown'/>"


def configure(config):
    config["modules"]["mod_multicast"] = {
        "hosts": ["multicast.@HOST@", "many.@HOST@"], "name": "Many",
        "vcard": {"fn": "Many at once", "categories": ["a", "b"], "org": {"name": "Org", "units": ["u1", "u2"]},
                  "adr": [{"work": True, "home": False, "street": "Elm & Oak"}, {"home": True}], "class": "public",
                  "photo": {"type": "image/png", "extval": "http://pics.example/x.png"}}}
    config["modules"]["mod_disco"] = {"server_info": [
        {"modules": ["mod_multicast"], "name": "admin-addresses", "urls": ["mailto:many@example.test"]},
        {"modules": ["mod_disco"], "name": "abuse-addresses", "urls": ["mailto:abuse@example.test"]}]}


def items(stream, to):
    return [i.get("jid") for i in stream.iq(ITEMS, to=to).iter(q("items", "item")) if not i.get("node")]


@pytest.fixture
def user(server, streams):
    return streams(server.login(server.register()))


def test_items_of_the_host(user):
    """XEP-0030 §4.1: the services of a host, and no other host's."""
    assert items(user, "localhost") == ["many.localhost", "multicast.localhost"]
    assert items(user, "example.test") == ["many.example.test", "multicast.example.test"]
    assert items(user, "multicast.localhost") == []


def test_info(user):
    """XEP-0030 §3.1: identity and features, as recorded; XEP-0157: contacts named for the module."""
    query = user.iq(INFO, to="multicast.localhost").find(q("info", "query"))
    assert [dict(i.attrib) for i in query.iter(q("info", "identity"))] == [
        {"category": "service", "type": "multicast", "name": "Many"}]
    assert [f.get("var") for f in query.iter(q("info", "feature"))] == [
        "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "vcard-temp",
        "http://jabber.org/protocol/address"]
    assert [f.get("var") for f in query.iter("{jabber:x:data}field")] == ["FORM_TYPE", "admin-addresses"]


@pytest.mark.parametrize("query", ["info", "items"])
def test_unknown_node(user, query):
    """XEP-0030 §3.2, §7."""
    ns = f"http://jabber.org/protocol/disco#{query}"
    assert error_of(user.iq(f"<query xmlns='{ns}' node='nosuch'/>", to="multicast.localhost")) == ("cancel", "item-not-found")
    el = user.iq(f"<query xmlns='{ns}'/>", to="multicast.localhost", type_="set")
    assert error_of(el) == ("cancel", "not-allowed")
    assert text_of_error(el) == "Value 'set' of 'type' attribute is not allowed"


def test_vcard_of_the_option(user):
    """XEP-0054: the option's map as elements."""
    card = user.iq(VCARD, to="many.localhost").find(f"{V}vCard")
    assert [local(e) for e in card] == ["FN", "CATEGORIES", "ORG", "ADR", "ADR", "CLASS", "PHOTO"]
    assert card.findtext(f"{V}FN") == "Many at once"
    assert [k.text for k in card.find(f"{V}CATEGORIES")] == ["a", "b"]
    assert [(local(k), k.text) for k in card.find(f"{V}ORG")] == [("ORGNAME", "Org"), ("ORGUNIT", "u1"), ("ORGUNIT", "u2")]
    assert [[(local(k), k.text) for k in a] for a in card.findall(f"{V}ADR")] == [
        [("WORK", None), ("STREET", "Elm & Oak")], [("HOME", None)]]
    assert [local(k) for k in card.find(f"{V}CLASS")] == ["PUBLIC"]
    assert error_of(user.iq("<vCard xmlns='vcard-temp'><FN>x</FN></vCard>", to="many.localhost", type_="set")) == (
        "cancel", "not-allowed")


@pytest.mark.parametrize("to", ["multicast.localhost", "x@multicast.localhost", "multicast.localhost/r", "x@multicast.localhost/r"])
def test_unknown_request(user, to):
    """As recorded from the services of ejabberd (RFC 6120 §8.4)."""
    el = user.iq(UNKNOWN, to=to)
    assert el.get("from") == to and error_of(el) == ("cancel", "service-unavailable")
    assert text_of_error(el) == "No module is handling this query"


def test_answers_to_a_service_are_dropped(user):
    """RFC 6120 §8.2.3: nothing is answered to an answer."""
    for type_ in ("result", "error"):
        user.send(f"<iq type='{type_}' id='a' to='multicast.localhost'/>")
        user.send(f"<message type='error' id='a' to='x@multicast.localhost'/>")
    user.send("<iq type='get' id='b' to='multicast.localhost'/>")
    assert error_of(user.expect_id("b")) == ("modify", "bad-request")
    assert not user.items, user.transcript()


def test_not_a_service(user):
    assert error_of(user.iq(INFO, to="nosuch.localhost")) == ("cancel", "remote-server-not-found")


# --- the configuration ---

@pytest.mark.parametrize("options, words", [
    ({"host": "localhost"}, "'localhost', an address of module 'mod_multicast', is one of the hosts"),
    ({"host": "many.example"}, "'many.example', an address of module 'mod_multicast', is the same for two hosts"),
    ({"vcard": {"fnn": "x"}}, "is no element of a vCard"),
    ({"vcard": "x"}, "expected a map of the elements of a vCard"),
    ({"vcard": {"fn": "\x01"}}, "expected text that XML allows")])
def test_bad_configuration(new_server, options, words):
    """The place and what was expected; a running server keeps what it has."""
    s = new_server(lambda c: c["modules"].update(mod_multicast={}))
    s.start()
    s.config["modules"]["mod_multicast"] = options
    with pytest.raises(ApiError) as e:
        s.reload()
    said = e.value.body if isinstance(e.value.body, str) else e.value.body.decode()
    assert words in said and "ejabberd.yml:" in said
    with s.login() as user:
        assert items(user, "localhost") == ["multicast.localhost"]
    r = subprocess.run([str(BINARY), "--check-config", "--config", str(s.config_file), "--spool", str(s.spool)],
                       capture_output=True, text=True)
    assert r.returncode != 0 and words in r.stdout + r.stderr


def test_two_modules_one_name(new_server):
    s = new_server(lambda c: c["modules"].update(mod_multicast={"host": "s.@HOST@"}))
    s.start()
    s.config["modules"]["mod_vcard"] = {"search": True, "host": "s.@HOST@"}
    with pytest.raises(ApiError) as e:
        s.reload()
    assert "is the address of module" in str(e.value) and "already" in str(e.value)


def test_reload_brings_and_takes_names(new_server):
    """A name belongs to nobody, to the module, to another name, to nobody; on every shard."""
    s = new_server()
    s.start()
    users = [s.login() for _ in range(4)]
    for options, names in [({"host": "one.@HOST@"}, ["one.localhost"]), ({"hosts": ["b.@HOST@", "a.@HOST@"]}, ["a.localhost", "b.localhost"]),
                           (None, [])]:
        if options is None:
            del s.config["modules"]["mod_multicast"]
        else:
            s.config["modules"]["mod_multicast"] = options
        s.reload()
        for u in users:
            assert items(u, "localhost") == names
            for name in ("one.localhost", "a.localhost", "b.localhost"):
                el = u.iq(INFO, to=name)
                assert (el.get("type") == "result") == (name in names)
                assert name in names or error_of(el) == ("cancel", "remote-server-not-found")
    for u in users:
        u.drop()


# --- of a contributed module ---

SOURCE = """\
#include "cjabberd/module.h"

static void on_ask(struct iq *iq) YIELDS;
static void on_ask(struct iq *iq)
{
    fiber_sleep(0);
    struct stanza *r = iq_result_new(iq);
    xml_append(r->el, xml_new_text(r->arena, S("own"), S("urn:example:echo")));
    iq_result(iq, r);
}

/* Says what came, and on which address. */
static void on_stanza(struct stanza **s, unsigned host) YIELDS;
static void on_stanza(struct stanza **sp, unsigned host)
{
    struct stanza *s = *sp;
    if (s->kind != STANZA_MESSAGE || s->type == ST_ERROR)
        return; /* what is not taken is ended by the router */
    fiber_sleep(0);
    struct stanza *r = stanza_new(STANZA_MESSAGE, ST_CHAT, s->to, s->from);
    xml_add_leaf(r->arena, r->el, TOK_body, arena_printf(r->arena, "%u %.*s", host, STR_ARG(jid_full(s->to))));
    router_route(&r);
}

static const char *const features[] = {"urn:example:echo", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVICE, TOK_NONE, true, on_ask, "urn:example:echo"}, {0}};
static const struct opt_def options[] = {MODULE_OPTION("host", STR, "host", "echo.@HOST@"), MODULE_OPTION("on", BOOL, "bool", "true"), {0}};
static const struct service service = {.category = "component", .type = "generic", .features = features, .iqs = iqs,
    .receive = on_stanza, .waits = true, .at_home = true, .enabled_by = "on"};

MODULE(mod_echo) = {.name = "mod_echo", .options = options, .service = &service};
"""


def write_echo(folder, change=lambda s: s):
    d = pathlib.Path(folder) / "mod_echo"
    (d / "src").mkdir(parents=True, exist_ok=True)
    (d / "module.yml").write_text("name: mod_echo\nauthor: tests\nsummary: Echoes\n")
    (d / "src" / "mod_echo.c").write_text(change(SOURCE))


def test_contributed_service(new_server):
    """Installed, it has its addresses; handlers wait; what is for a name runs at the name's home; uninstalled, they are gone."""
    s = new_server()
    s.start()
    write_echo(sources(s))
    with s.login() as a, s.login() as b:
        assert s.api("module_install", module="mod_echo") == 0
        for u in (a, b):
            assert items(u, "localhost") == ["echo.localhost"]
            assert local(u.iq("<ask xmlns='urn:example:echo'/>", to="echo.localhost")[0]) == "own"
            assert u.iq(VCARD, to="echo.localhost").findtext(f".//{V}FN") == "cjabberd/mod_echo"
            places = ["echo.localhost", "echo.localhost/r", "x@echo.localhost/r"] + [f"n{i}@echo.localhost" for i in range(8)]
            for to in places:  # several names live on either shard
                u.message(to)
            said = sorted(u.expect_message().findtext(q("client", "body")) for _ in places)
            assert said == sorted(f"0 {to}" for to in places)
            u.message("n@echo.example.test")
            assert u.expect_message().findtext(q("client", "body")) == "1 n@echo.example.test"
        assert s.api("module_uninstall", module="mod_echo") == 0
        for u in (a, b):
            assert items(u, "localhost") == []
            assert error_of(u.iq(INFO, to="echo.localhost")) == ("cancel", "remote-server-not-found")


def test_contributed_service_switched_off(new_server):
    """Its boolean option says no; the configuration may change its mind."""
    s = new_server()
    s.start()
    write_echo(sources(s))
    assert s.api("module_install", module="mod_echo") == 0
    with s.login() as u:
        for on in (False, True):
            s.config["modules"]["mod_echo"] = {"on": on}
            s.reload()
            assert items(u, "localhost") == (["echo.localhost"] if on else [])


@pytest.mark.parametrize("change, words", [
    (lambda t: t.replace('.category = "component", ', ""), "a service needs an identity"),
    (lambda t: t.replace('"host", STR', '"hosst", STR'), "a service needs an identity"),
    (lambda t: t.replace('.enabled_by = "on"', '.enabled_by = "off"'), "is no boolean option"),
    (lambda t: t.replace('"echo.@HOST@"', '"@HOST@"'), "is one of the hosts"),
    (lambda t: t.replace('"echo.@HOST@"', '"multicast.@HOST@"'), "mod_multicast")])
def test_contributed_service_refused(new_server, change, words):
    """A bad table, or an address that is somebody's: nothing is installed."""
    s = new_server(lambda c: c["modules"].update(mod_multicast={}), allow_errors=True)
    s.start()
    write_echo(sources(s), change)
    with pytest.raises(ApiError) as e:
        s.api("module_install", module="mod_echo")
    assert words in str(e.value) + s.log()
    with s.login() as u:
        assert items(u, "localhost") == ["multicast.localhost"]
