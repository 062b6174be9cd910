"""Shared roster groups: contacts that an administrator's groups put into rosters (as ejabberd's mod_shared_roster), with presence
and without subscriptions (RFC 6121 §2, §3, §4)."""
import concurrent.futures

import pytest

from xmppstream import local, q

HOST = "localhost"
MODULES = ("mod_roster", "mod_shared_roster")


def configure(config):
    config["modules"].update({m: {} for m in MODULES})
    config["modules"]["mod_roster"] = {"versioning": True}


def item_of(el):
    return el.get("jid"), el.get("subscription"), el.get("name"), sorted(g.text for g in el)


def items_in(query):
    return [item_of(e) for e in query]


ROSTER = "{jabber:iq:roster}query"


class Person:
    def __init__(self, server, streams, online=True, host=HOST):
        self.server, self.streams, self.host = server, streams, host
        self.name = server.register(host=host)
        self.jid = f"{self.name}@{host}"
        self.stream = None
        if online:
            self.connect()

    def connect(self):
        self.stream = self.streams(self.server.login(self.name, "r", host=self.host))
        self.roster = self.ask()
        self.stream.presence()
        self.stream.ping()

    def query(self, ver=""):
        return self.stream.iq(f"<query xmlns='jabber:iq:roster'{ver}/>").find(ROSTER)

    def ask(self):
        return items_in(self.query())

    def listed(self):
        return self.server.api("get_roster", user=self.name, host=self.host)

    def expect_push(self, who, want):
        """want: the item, or its subscription only."""
        def fits(e):
            query = e.find(ROSTER) if local(e) == "iq" and e.get("type") == "set" else None
            return query is not None and query[0].get("jid") == who.jid and want in (item_of(query[0]), query[0].get("subscription"))
        self.stream.expect(fits, f"a push about {who.jid}: {want}")

    def expect_presence(self, who, type_=None, show=None):
        self.stream.expect(lambda e: local(e) == "presence" and e.get("from") == f"{who.jid}/r" and e.get("type") == type_
                           and (show is None or e.findtext(q("client", "show")) == show), f"presence of {who.jid}")

    def settle(self):
        """What the server had to say is here, and is forgotten."""
        self.stream.ping()
        self.stream.items.clear()

    def expect_nothing(self):
        self.stream.ping()
        assert not self.stream.items, self.stream.transcript()

    def set_item(self, who, inner="", **attrs):
        words = "".join(f" {k}='{v}'" for k, v in attrs.items())
        answer = self.stream.iq(f"<query xmlns='jabber:iq:roster'><item jid='{who.jid}'{words}>{inner}</item></query>", type_="set")
        assert answer.get("type") == "result"


class Group:
    count = 0

    def __init__(self, server, label="Team", shows=None):
        Group.count += 1
        self.server, self.name = server, f"group{Group.count}"
        shows = [self.name] if shows is None else [g.name for g in shows]
        self.api("create", label=label, description="", display=shows)

    def api(self, command, **args):
        assert self.server.api(f"srg_{command}", group=self.name, host=HOST, **args) == 0

    def member(self, command, user):
        name, host = (user.name, user.host) if isinstance(user, Person) else (user, HOST)
        assert self.server.api(f"srg_user_{command}", user=name, host=host, group=self.name, grouphost=HOST) == 0

    def add(self, *people):
        for p in people:
            self.member("add", p)
        return self

    def drop(self, user):
        self.member("del", user)


@pytest.fixture
def person(server, streams):
    return lambda online=True: Person(server, streams, online)


@pytest.fixture
def group(server):
    made = []

    def make(*args, **options):
        made.append(Group(server, *args, **options))
        return made[-1]
    yield make
    for g in made:
        g.api("delete")


def both(who, *groups, name=None):
    return who.jid, "both", name, sorted(groups)


def test_members_see_one_another(person, group):
    a, b = person(online=False), person(online=False)
    group().add(a, b)
    a.connect()
    assert a.roster == [both(b, "Team")]
    b.connect()
    assert b.roster == [both(a, "Team")]
    a.expect_presence(b)  # nobody subscribed to anybody
    b.expect_presence(a)  # the answer to a probe
    b.stream.presence("<show>away</show>")
    a.expect_presence(b, show="away")
    b.stream.close()
    a.expect_presence(b, "unavailable")


def test_new_member_is_pushed_and_seen(person, group):
    a, b, g = person(), person(), group()
    g.add(a)
    a.expect_nothing()
    g.add(b)
    a.expect_push(b, both(b, "Team"))
    b.expect_push(a, both(a, "Team"))
    a.expect_presence(b)
    b.expect_presence(a)


def test_member_who_leaves(person, group):
    a, b, g = person(), person(), group()
    g.add(a, b)
    a.expect_presence(b)
    b.expect_presence(a)
    a.settle()
    b.settle()
    g.drop(b)
    a.expect_push(b, (b.jid, "remove", None, ["Team"]))
    b.expect_push(a, (a.jid, "remove", None, ["Team"]))
    a.expect_presence(b, "unavailable")
    b.expect_presence(a, "unavailable")
    assert a.ask() == [] and b.ask() == []


def test_one_direction(person, group):
    """The members of a group see those of the groups it displays; these do not see them, but are seen."""
    boss, worker = person(), person()
    workers = group("Workers", shows=[]).add(worker)
    group("Bosses", shows=[workers]).add(boss)
    boss.expect_push(worker, (worker.jid, "to", None, ["Workers"]))
    boss.expect_presence(worker)
    worker.expect_nothing()
    boss.stream.presence("<show>dnd</show>")
    worker.stream.presence("<show>away</show>")
    boss.expect_presence(worker, show="away")
    worker.expect_nothing()
    assert worker.ask() == []


def test_stranger_sees_nothing(person, group):
    a, b, stranger = person(), person(), person()
    group().add(a, b)
    a.expect_presence(b)
    stranger.expect_nothing()
    stranger.stream.send(f"<presence type='probe' to='{a.jid}'/>")
    stranger.expect_nothing()


def test_groups_add_up(person, group):
    a, b = person(), person()
    one, two = group("One").add(a, b), group("Two").add(a, b)
    a.settle()
    assert a.ask() == [both(b, "One", "Two")]
    one.drop(b)
    a.expect_push(b, both(b, "Two"))
    a.expect_nothing()  # presence is what it was
    two.drop(b)
    a.expect_presence(b, "unavailable")


def test_displayed_groups_and_labels_change(server, person, group):
    a, b = person(), person()
    one, two = group("One", shows=[]).add(a), group("Two", shows=[]).add(b)
    a.expect_nothing()
    one.api("add_displayed", add=two.name)
    a.expect_push(b, (b.jid, "to", None, ["Two"]))
    a.expect_presence(b)
    b.expect_nothing()
    two.api("add_displayed", add=one.name)
    b.expect_push(a, both(a, "One"))
    a.expect_push(b, both(b, "Two"))
    b.expect_presence(a)
    two.api("set_info", key="label", value="Twelve")
    a.expect_push(b, both(b, "Twelve"))
    one.api("del_displayed", **{"del": two.name})
    a.expect_push(b, (b.jid, "remove", None, ["Twelve"]))
    a.expect_presence(b, "unavailable")
    b.settle()
    assert b.ask() == [(a.jid, "to", None, ["One"])]


def test_group_without_label_is_named_by_its_identifier(server, person):
    a, b = person(), person()
    server.api("srg_add", group="plain", host=HOST)
    server.api("srg_add_displayed", group="plain", host=HOST, add="plain")
    for p in (a, b):
        server.api("srg_user_add", user=p.name, host=HOST, group="plain", grouphost=HOST)
    a.expect_push(b, both(b, "plain"))
    server.api("srg_delete", group="plain", host=HOST)
    a.expect_push(b, (b.jid, "remove", None, ["plain"]))


def test_deleted_group(person, server):
    a, b, g = person(), person(), Group(server)
    g.add(a, b)
    a.expect_presence(b)
    g.api("delete")
    a.expect_push(b, "remove")
    a.expect_presence(b, "unavailable")
    g.api("add")
    assert server.api("srg_get_members", group=g.name, host=HOST) == []
    g.api("delete")


# --- the member's own words ---

def test_own_name_and_groups(person, group):
    a, b, g = person(), person(), group()
    g.add(a, b)
    a.settle()
    a.set_item(b, "<group>Friends</group><group>Team</group>", name="Bee")
    a.expect_push(b, both(b, "Friends", "Team", name="Bee"))
    assert a.ask() == [both(b, "Friends", "Team", name="Bee")]
    g.drop(b)
    a.expect_push(b, (b.jid, "none", "Bee", ["Friends"]))
    assert a.ask() == [(b.jid, "none", "Bee", ["Friends"])]


def test_words_are_taken_back(person, group):
    a, b, g = person(), person(), group()
    g.add(a, b)
    a.settle()
    a.set_item(b, "<group>Team</group>", name="Bee")
    a.expect_push(b, both(b, "Team", name="Bee"))
    a.set_item(b, "<group>Team</group>")
    a.expect_push(b, both(b, "Team"))
    g.drop(b)
    a.expect_push(b, "remove")
    assert a.ask() == []


def test_shared_contact_cannot_be_taken_out(person, group):
    a, b, g = person(), person(), group()
    g.add(a, b)
    a.set_item(b, name="Bee")
    a.expect_presence(b)
    b.expect_presence(a)
    a.settle()
    b.settle()
    a.set_item(b, subscription="remove")
    a.expect_push(b, both(b, "Team"))
    assert a.ask() == [both(b, "Team")]
    a.expect_nothing()
    b.expect_nothing()


@pytest.mark.parametrize("type_", ["subscribe", "unsubscribe", "subscribed", "unsubscribed"])
def test_subscriptions_of_shared_contacts_are_nobodys_business(person, group, type_):
    a, b, g = person(), person(), group()
    g.add(a, b)
    for one, other in ((a, b), (b, a)):
        one.expect_presence(other)
        one.settle()
    a.stream.send(f"<presence type='{type_}' to='{b.jid}'/>")
    a.expect_nothing()
    b.expect_nothing()
    assert a.ask() == [both(b, "Team")] and b.ask() == [both(a, "Team")]


def subscribe_both(a, b):
    for one, other in ((a, b), (b, a)):
        one.stream.send(f"<presence type='subscribe' to='{other.jid}'/>")
        other.stream.expect(lambda e, o=one: e.get("type") == "subscribe" and e.get("from") == o.jid)
        other.stream.send(f"<presence type='subscribed' to='{one.jid}'/>")
        one.expect_presence(other)


def test_subscriptions_outlive_the_group(person, group):
    a, b, g = person(), person(), group()
    subscribe_both(a, b)
    g.add(a, b)
    for p in (a, b):
        p.settle()
    g.drop(b)
    a.expect_push(b, (b.jid, "both", None, []))
    for p in (a, b):
        p.settle()
    b.stream.presence("<show>away</show>")
    a.expect_presence(b)


def test_ended_subscription_does_not_end_the_group(person, group):
    a, b, g = person(), person(), group()
    subscribe_both(a, b)
    g.add(a, b)
    for p in (a, b):
        p.settle()
    a.set_item(b, subscription="remove")
    a.expect_push(b, both(b, "Team"))
    a.settle()
    b.stream.presence("<show>away</show>")
    a.expect_presence(b)
    a.stream.presence("<show>xa</show>")
    b.expect_presence(a, show="xa")


# --- everybody ---

def test_everybody(person, server, group):
    a, g = person(), group("All")
    b = person(online=False)
    g.add("@all@")
    a.expect_push(b, both(b, "All"))
    late = person(online=False)
    a.expect_push(late, both(late, "All"))
    server.api("unregister", user=late.name, host=HOST)
    a.expect_push(late, "remove")
    b.connect()
    assert both(a, "All") in b.roster
    a.expect_presence(b)
    b.expect_presence(a)
    assert server.api("get_roster_count", user=a.name, host=HOST) == len(server.api("registered_users", host=HOST)) - 1
    g.drop("@all@")
    a.expect_push(b, "remove")
    assert a.ask() == []


def test_account_registered_before_an_edit_is_told(person, server, group):
    """What comes between two views is told with the next one, whatever that one was made for."""
    me, everybody, other = person(), group("All"), group("Other")
    everybody.add("@all@")
    for _ in range(3):
        first, second = person(online=False), person(online=False)  # the first is told at once, the second a second later
        other.add(person(online=False))
        me.expect_push(first, both(first, "All"))
        me.expect_push(second, both(second, "All"))


def test_those_who_are_online(person, group):
    a, b, g = person(), person(online=False), group("Online")
    g.add("@online@")
    b.connect()
    a.expect_push(b, both(b, "Online"))
    a.expect_presence(b)
    b.expect_presence(a)
    assert b.ask() == [both(a, "Online")] and a.ask() == [both(b, "Online")]
    b.stream.close()
    a.expect_presence(b, "unavailable")
    a.expect_push(b, "remove")
    assert a.ask() == []
    g.drop("@online@")


def test_name_that_is_registered_again_is_no_member(server, group, person):
    a, b, g = person(), person(online=False), group()
    g.add(a, b)
    server.api("unregister", user=b.name, host=HOST)
    a.expect_push(b, both(b, "Team"))
    a.expect_push(b, "remove")
    server.api("register", user=b.name, host=HOST, password="secret")
    assert server.api("srg_get_members", group=g.name, host=HOST) == [a.jid]


# --- versions, restarts, commands at once ---

def test_version_follows_the_groups(person, group):
    a, b, g = person(), person(), group()
    a.set_item(b, name="Bee")
    g.add(a, b)
    a.expect_push(b, both(b, "Team", name="Bee"))
    a.settle()
    ver = a.query(" ver=''").get("ver")
    assert ver and a.query(f" ver='{ver}'") is None  # XEP-0237 §4.2: current
    g.api("set_info", key="label", value="Crew")
    pushed = a.stream.expect(lambda e: local(e) == "iq" and e.find(ROSTER) is not None).find(ROSTER).get("ver")
    query = a.query(f" ver='{ver}'")
    assert items_in(query) == [both(b, "Crew", name="Bee")] and query.get("ver") == pushed


def test_groups_survive_a_restart(new_server, streams):
    server = new_server(configure)
    server.start()
    a, b = Person(server, streams, online=False), Person(server, streams, online=False)
    g = Group(server).add(a, b)
    g.add("@all@")
    third = Person(server, streams, online=False)
    info = server.api("srg_get_info", group=g.name, host=HOST)
    server.kill()
    server.start()
    a.connect()
    assert a.roster == sorted([both(b, "Team"), both(third, "Team")])
    assert server.api("srg_get_info", group=g.name, host=HOST) == info
    assert server.api("srg_get_members", group=g.name, host=HOST) == sorted([a.jid, b.jid])


def test_changes_at_once_are_not_lost(server, group):
    g = group(shows=[])
    others = [group().name for _ in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert set(pool.map(lambda o: server.api("srg_add_displayed", group=g.name, host=HOST, add=o), others)) == {0}
    assert server.api("srg_get_displayed", group=g.name, host=HOST) == sorted(others)
