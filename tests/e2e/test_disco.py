"""Service discovery of accounts (XEP-0030 §8): the owner and those who may see presence are told, strangers nothing."""
import pytest

import stock
from im import befriend
from xmppstream import NS, error_of, q

configure = stock.configure


def ask(s, kind, to, node=""):
    return s.iq(f"<query xmlns='{NS[kind]}'{node and f' node={node!r}'}/>", to=to)


def items(s, to):
    return {(i.get("jid"), i.get("name")) for i in ask(s, "items", to).iter(q("items", "item"))}


def test_contacts_are_told_as_the_owner_is(server, streams):
    """§8: identity, features and available resources for whoever has a subscription; the owner's nodes stay his."""
    one, two = (streams(server.login(presence=True)) for _ in range(2))
    hidden = streams(server.login(one.bare.partition("@")[0], "no presence"))
    assert error_of(ask(two, "info", one.bare)) == error_of(ask(two, "items", one.bare)) == ("auth", "subscription-required")
    befriend(one, two)
    for s in (one, two, hidden):
        info = ask(s, "info", one.bare)
        assert ("account", "registered") in {(i.get("category"), i.get("type")) for i in info.iter(q("info", "identity"))}
        assert items(s, one.bare) == {(one.jid, one.bare.partition("@")[0])}
    for kind in ("info", "items"):
        assert ask(one, kind, one.bare, "http://jabber.org/protocol/offline").get("type") == "result"
        assert error_of(ask(two, kind, one.bare, "http://jabber.org/protocol/offline")) == ("cancel", "item-not-found")


def test_extra_domains_are_shown(new_server):
    """Option extra_domains: addresses that somebody else serves, behind the server's own items; on each host its own."""
    def change(config):
        stock.configure(config)
        config["host_config"] = {"example.test": {"modules": {**config["modules"], "mod_disco": {}}}}
        config["modules"]["mod_disco"] = {"extra_domains": ["users.jabber.example", "irc.example"]}
    with new_server(change) as server, server.login() as s:
        assert items(s, "localhost") >= {("users.jabber.example", None), ("irc.example", None)}
        assert not {("irc.example", None)} & items(s, "example.test")
        s.close()


def test_name(new_server):
    """Option name: of the server's identity (§3.1), on each host its own."""
    def change(config):
        stock.configure(config)
        config["host_config"] = {"example.test": {"modules": {**config["modules"], "mod_disco": {}}}}
        config["modules"]["mod_disco"] = {"name": "The <house>"}
    with new_server(change) as server, server.login() as s:
        assert [ask(s, "info", to).find(f".//{q('info', 'identity')}").get("name") for to in ("localhost", "example.test")] == [
            "The <house>", "ejabberd"]
        s.close()


@pytest.mark.parametrize("kind", ["info", "items"])
def test_changes_are_refused(server, streams, kind):
    """Only questions: sets are not-allowed, at the server and at the account."""
    s = streams(server.login())
    for to in ("localhost", s.bare):
        assert error_of(s.iq(f"<query xmlns='{NS[kind]}'/>", to=to, type_="set")) == ("cancel", "not-allowed")
