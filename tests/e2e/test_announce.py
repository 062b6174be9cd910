"""mod_announce: messages to everybody and the message of the day, by address and by ad-hoc command (XEP-0133)."""
import threading

import pytest

from im import drain
from server import PASSWORD
from test_adhoc import ADMIN, COMMANDS, DATA, form
from xmppstream import error_of, local, q, text_of_error, until

ITEMS = "<query xmlns='http://jabber.org/protocol/disco#items'{}/>"
INFO = "<query xmlns='http://jabber.org/protocol/disco#info'{}/>"
HOST_NODES = ["announce", "announce-all", "set-motd", "edit-motd", "delete-motd"]
NODES = HOST_NODES + ["announce-allhosts", "announce-all-allhosts", "set-motd-allhosts", "edit-motd-allhosts", "delete-motd-allhosts"]


def configure(config):
    config["acl"].update(boss={"user": ["boss@localhost"]}, local={"user": ["local@example.test"]},
                         near={"ip": ["127.0.0.0/8"], "user": ["nobody@localhost"]})
    config["access_rules"]["announce"] = [{"allow": "boss"}]
    config["append_host_config"] = {"example.test": {"access_rules": {"announce": [{"allow": "boss"}, {"allow": "local"}]}}}
    config["modules"].update(mod_announce={"access": "announce"}, mod_adhoc={}, mod_offline={}, mod_configure={"access": "announce"})


@pytest.fixture
def world(new_server, streams):
    """A server of its own: an announcement reaches everybody."""
    s = new_server(configure)
    s.start()
    for user, host in (("boss", "localhost"), ("local", "example.test"), ("plain", "localhost"), ("away", "localhost"),
                       ("other", "example.test"), ("gone", "example.test")):
        s.api("register", user=user, host=host, password=PASSWORD)

    class World:
        server = s

        @staticmethod
        def login(user, host="localhost", presence=True):
            return streams(s.login(user, host=host, presence=presence))
    w = World()
    w.boss, w.plain = w.login("boss"), w.login("plain")
    w.other = w.login("other", "example.test")
    return w


def say(stream, to, body="hear", more=""):
    stream.send(f"<message to='{to}' id='a'{more}><subject>s</subject><body>{body}</body></message>")


def heard(stream, body="hear"):
    m = stream.expect_message(body)
    return m.get("from"), m.get("to")


def bodies(stream):
    return [e.findtext(q("client", "body")) for e in stream.items if local(e) == "message"]


def shown_to_somebody_new(world):
    """What an account sees that has never been here."""
    with world.server.login(presence=True) as s:
        s.ping()
        return bodies(s)


def quiet(*streams):
    for s in streams:
        s.ping()
        assert not [e for e in s.items if local(e) == "message"], s.transcript()


# --- by address ---

def test_online(world):
    """Every session of the host, whatever its presence; nobody else, and nobody later."""
    silent = world.login("plain", presence=False)
    say(world.boss, "localhost/announce/online")
    for s in (world.boss, world.plain, silent):
        assert heard(s) == ("localhost", s.jid)
    quiet(world.other, world.login("away"), world.plain)


def test_all(world):
    """Every account of the host; who is away finds it at the next login (XEP-0160)."""
    say(world.boss, "localhost/announce/all")
    assert heard(world.plain) == ("localhost", world.plain.bare)
    until(lambda: world.server.api("get_offline_count", user="away", host="localhost") == 1, "kept for who is away")
    away = world.login("away")
    assert heard(away) == ("localhost", "away@localhost")
    gone = world.login("gone", "example.test")
    quiet(world.other, gone)


def test_all_hosts(world):
    say(world.boss, "localhost/announce/all-hosts/online", "one")
    assert heard(world.plain, "one") == ("localhost", world.plain.jid)
    assert heard(world.other, "one") == ("example.test", world.other.jid)
    say(world.boss, "localhost/announce/all-hosts/all", "two")
    assert heard(world.plain, "two")[0] == "localhost" and heard(world.other, "two")[0] == "example.test"
    until(lambda: world.server.api("get_offline_count", user="gone", host="example.test") == 1, "kept for who is away")
    assert heard(world.login("gone", "example.test"), "two")[0] == "example.test"


def test_order_of_announcements(world):
    """One after the other, each to all."""
    for i in range(12):
        say(world.boss, "localhost/announce/online", f"n{i}")
    assert [world.plain.expect(lambda e: local(e) == "message").findtext(q("client", "body")) for _ in range(12)] == [
        f"n{i}" for i in range(12)]


@pytest.mark.parametrize("what", ["online", "all", "motd", "motd/update", "motd/delete", "all-hosts/online", "all-hosts/all",
                                  "all-hosts/motd", "all-hosts/motd/update", "all-hosts/motd/delete"])
def test_without_right(world, what):
    """As recorded."""
    say(world.plain, f"localhost/announce/{what}", "x")
    e = world.plain.expect_id("a")
    assert e.get("from") == f"localhost/announce/{what}" and error_of(e) == ("auth", "forbidden")
    assert text_of_error(e) == "Access denied by service policy" and e.findtext(q("client", "body")) == "x"
    quiet(world.boss, world.plain, world.other)


def test_right_on_one_host(world):
    """What concerns all hosts needs the right on all of them."""
    admin = world.login("local", "example.test")
    say(admin, "example.test/announce/online", "mine")
    assert heard(world.other, "mine")[0] == "example.test"
    heard(admin, "mine")
    for to in ("localhost/announce/online", "example.test/announce/all-hosts/online", "example.test/announce/all-hosts/motd"):
        say(admin, to)
        assert error_of(admin.expect_id("a")) == ("auth", "forbidden")
    quiet(world.plain)


@pytest.mark.parametrize("resource", ["announce/nosuch", "announce", "announce/", "announce/motd/", "announce/ALL", "x"])
def test_unknown_address(world, resource):
    """As recorded: nobody is there."""
    if resource.endswith("/") and len(resource) < 10:
        resource += "online/"
    say(world.boss, f"localhost/{resource}")
    e = world.boss.expect_id("a")
    assert error_of(e) == ("cancel", "item-not-found") and text_of_error(e) == "No available resource found"


# --- message of the day ---

def test_motd(world):
    """To who is online now, to others when they come; to each account once, also after a restart."""
    say(world.boss, "localhost/announce/motd", "day")
    assert heard(world.plain, "day") == ("localhost", world.plain.jid)
    quiet(world.login("plain"))
    away = world.login("away", presence=False)
    quiet(away)
    away.presence("<priority>-1</priority>")
    quiet(away)
    away.presence("<priority>0</priority>")
    quiet(away)  # it is available already
    world.server.kill()
    world.server.start()
    away, plain = world.login("away"), world.login("plain")
    assert heard(away, "day") == ("localhost", away.jid)
    quiet(plain, world.login("away"), world.login("other", "example.test"))


def test_motd_of_another_day(world):
    """A new one is for everybody again; an update is not sent to who is online; a deleted one is not shown any more."""
    say(world.boss, "localhost/announce/motd", "one")
    assert heard(world.plain, "one")
    say(world.boss, "localhost/announce/motd", "two")
    assert heard(world.plain, "two")
    say(world.boss, "localhost/announce/motd/update", "three")
    until(lambda: shown_to_somebody_new(world) == ["three"], "the update is in force")
    quiet(world.plain)
    assert heard(world.login("away"), "three") and heard(world.login("plain"), "three")
    drain(world.plain)
    say(world.boss, "localhost/announce/motd/delete", "")
    until(lambda: shown_to_somebody_new(world) == [], "the message is deleted")
    quiet(world.login("plain"), world.login("away"))


def test_motd_of_all_hosts(world):
    say(world.boss, "localhost/announce/all-hosts/motd", "all")
    assert heard(world.plain, "all")[0] == "localhost" and heard(world.other, "all")[0] == "example.test"
    assert heard(world.login("gone", "example.test"), "all")[0] == "example.test"
    say(world.boss, "localhost/announce/all-hosts/motd/delete")
    until(lambda: shown_to_somebody_new(world) == [], "the message is deleted")
    until(lambda: not bodies(world.server.login(host="example.test", presence=True)), "the message is deleted there")


def test_motd_once_with_two_resources(world):
    """Two resources that come at once: one of them, or both, show it once."""
    say(world.boss, "localhost/announce/motd", "day")
    heard(world.boss, "day")
    one, two = world.login("away", presence=False), world.login("away", presence=False)
    for s in (one, two):
        s.send("<presence/>")
    for s in (one, two):
        assert heard(s, "day")
    quiet(one, two)


def test_motd_while_people_come(world):
    """Set again and again while accounts log in and out: each sees the last one at most once, and sees it in the end."""
    names = [world.server.register() for _ in range(6)]
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            for n in names:
                with world.server.login(n, presence=True) as s:
                    s.ping()
    t = threading.Thread(target=come_and_go)
    t.start()
    try:
        for i in range(20):
            say(world.boss, "localhost/announce/motd", f"day{i}")
            heard(world.boss, f"day{i}")
    finally:
        stop.set()
        t.join()
    quiet(world.boss)
    for n in names:
        with world.server.login(n, presence=True) as s, world.server.login(n, presence=True) as again:
            s.ping()
            again.ping()
            for x in (s, again):
                assert bodies(x) in ([], ["day19"]), x.transcript()
        with world.server.login(n, presence=True) as s:
            quiet(s)


def test_reload(world):
    """The module goes and comes: nothing is shown without it, and what was not seen is shown with it."""
    say(world.boss, "localhost/announce/motd", "day")
    heard(world.boss, "day")
    module = world.server.config["modules"].pop("mod_announce")
    world.server.reload()
    quiet(world.login("away"))
    say(world.boss, "localhost/announce/online")
    assert error_of(world.boss.expect_id("a")) == ("cancel", "item-not-found")
    world.server.config["modules"]["mod_announce"] = module
    world.server.reload()
    assert heard(world.login("away"), "day")


def test_everybody_of_many(new_server, streams):
    """More accounts than a page: every one of them, once."""
    s = new_server(configure)
    s.start()
    s.api("register", user="boss", host="localhost", password=PASSWORD)
    names = [f"u{i:04}" for i in range(1100)]
    for n in names:
        s.api("register", user=n, host="localhost", password=PASSWORD)
    boss = streams(s.login("boss", presence=True))
    say(boss, "localhost/announce/all")
    assert heard(boss)
    say(boss, "localhost/announce/online", "after")
    heard(boss, "after")  # the one before has ended
    for n in names[::100] + names[1000:]:
        assert s.api("get_offline_count", user=n, host="localhost") == 1, n


# --- by command ---

def command(stream, node, inner="", more="", to="localhost"):
    return stream.iq(f"<command xmlns='{COMMANDS}' node='{ADMIN}{node}'{more}>{inner}</command>", to=to, type_="set")


def complete(stream, node, fields, to="localhost"):
    return command(stream, node, form({"FORM_TYPE": ADMIN[:-1], **fields}), " action='complete'", to)


def nodes_in(el):
    return [i.get("node") for i in el.iter(q("items", "item"))]


def test_discovery(world):
    """As recorded: the item of the host, its node, what is below."""
    boss, plain = world.boss, world.plain
    node = " node='announce'"
    assert nodes_in(boss.iq(ITEMS.format(""), to="localhost"))[0] == "announce"
    assert "announce" not in nodes_in(plain.iq(ITEMS.format(""), to="localhost"))
    assert nodes_in(boss.iq(ITEMS.format(node), to="localhost")) == [ADMIN + n for n in NODES]
    assert len(boss.iq(INFO.format(node), to="localhost").find(q("info", "query"))) == 0
    for ask in (ITEMS, INFO):
        e = plain.iq(ask.format(node), to="localhost")
        assert error_of(e) == ("auth", "forbidden") and text_of_error(e) == "Access denied by service policy"
    info = boss.iq(INFO.format(f" node='{ADMIN}announce'"), to="localhost")
    assert info.find(f".//{q('info', 'identity')}").get("name") == "Send announcement to all online users"
    all_ = nodes_in(boss.iq(ITEMS.format(f" node='{COMMANDS}'"), to="localhost"))
    assert [n for n in all_ if n in {ADMIN + x for x in NODES}] == [ADMIN + n for n in NODES]
    admin = world.login("local", "example.test")
    assert nodes_in(admin.iq(ITEMS.format(node), to="example.test")) == [ADMIN + n for n in HOST_NODES]


@pytest.mark.parametrize("node", NODES)
def test_form(world, node):
    """As recorded: title and fields of the first stage."""
    c = command(world.boss, node).find(f"{{{COMMANDS}}}command")
    x = c.find(f"{{{DATA}}}x")
    fields = [(f.get("var"), f.get("type"), f.get("label")) for f in x.iter(f"{{{DATA}}}field")]
    confirm = ("confirm", "boolean", "Really delete message of the day?")
    text = [("subject", "text-single", "Subject"), ("body", "text-multi", "Message body")]
    assert c.get("status") == "executing"
    assert fields == [("FORM_TYPE", "hidden", None)] + ([confirm] if node.startswith("delete") else text)
    titles = {i.get("node"): i.get("name") for i in
              world.boss.iq(ITEMS.format(" node='announce'"), to="localhost").iter(q("items", "item"))}
    assert x.findtext(f"{{{DATA}}}title") == titles[ADMIN + node]
    assert error_of(command(world.plain, node)) == ("auth", "forbidden")


def test_commands(world):
    """XEP-0133 §4.23 to §4.26."""
    boss = world.boss

    def do(node, fields):
        el = complete(boss, node, fields)
        assert el.find(f"{{{COMMANDS}}}command").get("status") == "completed", error_of(el)
    do("announce", {"subject": "Sub", "body": ["two", "lines"]})
    m = world.plain.expect_message("two\nlines")
    assert (m.get("from"), m.get("type"), m.findtext(q("client", "subject"))) == ("localhost", "headline", "Sub")
    do("announce-all", {"body": "all"})
    heard(world.plain, "all")
    until(lambda: world.server.api("get_offline_count", user="away", host="localhost") == 1, "kept for who is away")
    do("set-motd", {"body": "day"})
    heard(world.plain, "day")
    do("edit-motd", {"body": "better day"})
    quiet(world.plain)
    heard(world.login("away"), "better day")
    do("delete-motd", {"confirm": "0"})
    heard(world.login("plain"), "better day")
    do("delete-motd", {"confirm": "true"})
    quiet(world.login("local", "example.test"))
    do("announce-allhosts", {"body": "both"})
    heard(world.plain, "both"), heard(world.other, "both")


@pytest.mark.parametrize("node, fields, error", [
    ("announce", {"subject": "s"}, ("modify", "not-acceptable")), ("set-motd", {"body": " "}, ("modify", "not-acceptable")),
    ("delete-motd", {"confirm": "perhaps"}, ("modify", "bad-request"))])
def test_bad_forms(world, node, fields, error):
    assert error_of(complete(world.boss, node, fields)) == error
    quiet(world.plain)


def test_many_sessions(new_server, streams):
    """More sessions than are looked at in a round, several of an account: each hears it once."""
    s = new_server(configure)
    s.start()
    s.api("register", user="boss", host="localhost", password=PASSWORD)
    boss = streams(s.login("boss", presence=True))
    names = [s.register() for _ in range(60)]
    readers = [streams(s.login(n, presence=True)) for n in names for _ in range(5)]
    for what in ("online", "motd", "online"):
        say(boss, f"localhost/announce/{what}", what)
        for r in readers:
            r.expect_message(what)
    heard(boss, "online"), heard(boss, "motd"), heard(boss, "online")
    quiet(boss, *readers)
