"""Acl type shared_group: access rules over members of shared roster groups (as ejabberd's acl and mod_shared_roster)."""
import pytest

from server import PASSWORD
from xmppstream import local, q, until

WARNING = "where mod_shared_roster is not enabled: it matches nobody in 'allow' and everybody in 'deny'"


def configure(config):
    config["acl"].update(
        banned={"shared_group": [{"banned": "localhost"}]}, speakers={"shared_group": "speakers"},
        foreign={"shared_group": {"speakers": "example.test"}}, everybody={"shared_group": {"everybody": "localhost"}})
    config["access_rules"].update(c2s=[{"deny": "banned"}, {"allow": "all"}],
                                  announce=[{"allow": "speakers"}, {"allow": "foreign"}, {"allow": "everybody"}])
    config["modules"].update(mod_roster={}, mod_shared_roster={}, mod_announce={"access": "announce"}, mod_adhoc={}, mod_offline={})


def add(server, user, group, host="localhost", grouphost="localhost"):
    assert server.api("srg_user_add", user=user, host=host, group=group, grouphost=grouphost) == 0


def drop(server, user, group, host="localhost", grouphost="localhost"):
    assert server.api("srg_user_del", user=user, host=host, group=group, grouphost=grouphost) == 0


@pytest.fixture
def s(new_server):
    made = new_server(configure)
    made.start()
    for name, host in (("banned", "localhost"), ("speakers", "localhost"), ("speakers", "example.test"), ("everybody", "localhost")):
        assert made.api("srg_add", group=name, host=host) == 0
    return made


def enters(server, streams, user, host="localhost"):
    stream = streams(server.stream(to=host))
    stream.open_features()
    stream.authenticate(user, PASSWORD, "PLAIN")
    stream.open_features()
    answer = stream.iq("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", type_="set")
    if answer.get("type") == "result":
        return True
    assert answer.find(".//" + q("stanzas", "forbidden")) is not None
    return False


def announces(stream, host="localhost"):
    """Does the host take an announcement to those who are online?"""
    stream.send(f"<message to='{host}/announce/online' id='a'><body>hear</body></message>")
    stream.ping()
    refused = [e for e in stream.items if local(e) == "message" and e.get("type") == "error"]
    stream.items.clear()
    return not refused


def test_deny_members(s, streams):
    """What an edit was answered for holds for the next login, on every shard; others are let in, with the first group too."""
    users = [s.register() for _ in range(4)]
    for user in users:
        assert enters(s, streams, user)
        add(s, user, "banned")
        assert not enters(s, streams, user)
    drop(s, users[0], "banned")
    assert enters(s, streams, users[0])
    assert [enters(s, streams, u) for u in users[1:]] == [False] * 3
    assert s.api("srg_delete", group="banned", host="localhost") == 0
    assert enters(s, streams, users[1])


def test_deny_after_a_restart(s, streams):
    """Nobody needs to have read a roster before the groups are known; until they are, nobody gets in."""
    bad, good = s.register(), s.register()
    add(s, bad, "banned")
    s.stop()
    s.start()
    assert not enters(s, streams, bad)
    until(lambda: enters(s, streams, good), "the groups are not read")
    assert not enters(s, streams, bad)


def test_allow_members(s, streams):
    """A bare name is a group of the host whose rule it is; a group on another host is another group."""
    a, b = s.register(), s.register(host="example.test")
    here, there = streams(s.login(a, presence=True)), streams(s.login(b, host="example.test", presence=True))
    assert not announces(here)
    add(s, a, "speakers", grouphost="localhost")
    assert announces(here)
    drop(s, a, "speakers")
    assert not announces(here)
    add(s, b, "speakers", host="example.test", grouphost="example.test")
    assert announces(there, "localhost") and announces(there, "example.test")
    assert not announces(here)
    add(s, a, "speakers", grouphost="example.test")
    assert announces(here)


def test_all_accounts(s, streams):
    """`@all@`: every account of the group's host, and of no other."""
    a, b = s.register(), s.register(host="example.test")
    here, there = streams(s.login(a, presence=True)), streams(s.login(b, host="example.test", presence=True))
    assert not announces(here)
    add(s, "@all@", "everybody")
    assert announces(here) and not announces(there, "localhost")
    drop(s, "@all@", "everybody")
    assert not announces(here)


def test_online_accounts(s, streams):
    """`@online@`: accounts of the host that have sessions."""
    here = streams(s.login(s.register(), presence=True))
    assert not announces(here)
    add(s, "@online@", "everybody")
    until(lambda: announces(here), "shards do not tell one another who is there")


def test_fails_closed_without_the_module(new_server, streams):
    """A group that nobody knows lets nobody in, and the configuration is warned about by the name of the acl."""
    def without(config):
        configure(config)
        del config["modules"]["mod_shared_roster"]
    server = new_server(without)
    server.start()
    assert f"acl 'banned' names shared group 'banned' of host 'localhost', {WARNING}" in server.log()
    user = server.register()
    assert not enters(server, streams, user)
    server.config["modules"]["mod_shared_roster"] = {}
    server.reload()
    until(lambda: enters(server, streams, user), "the groups are not read")
