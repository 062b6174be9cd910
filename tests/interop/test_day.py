"""A day in the life of an account, lived with other people's client libraries. Anna has a phone and a desktop, Ben a phone."""
import hashlib

import pytest

from agents.agent import b64
from device import STACKS, Device, Refused
from server import Server, unique

MODULES = {
    "mod_roster": {"versioning": True}, "mod_register": {}, "mod_stream_mgmt": {"resume_timeout": 300},
    "mod_carboncopy": {}, "mod_client_state": {}, "mod_offline": {}, "mod_blocking": {}, "mod_privacy": {}, "mod_private": {},
    "mod_vcard": {}, "mod_vcard_xupdate": {}, "mod_last": {}, "mod_ping": {}, "mod_disco": {},
    "mod_auth_fast": {},
}
# One transparent pixel.
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
                      "0000000d49444154789c6360000000020001e221bc330000000049454e44ae426082")
PASSWORDS = "Schlüssel 1", "another one"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    def change(config):
        config["modules"].update(MODULES)
        config["auth_password_format"] = "scram"
        config["registration_timeout"] = "infinity"
        for listener in config["listen"]:
            if listener["module"] == "ejabberd_c2s":
                listener.pop("starttls", None)
                listener.update({} if listener.get("tls") else {"starttls_required": True})

    s = Server(tmp_path_factory.mktemp("home"), change)
    s.start()
    yield s
    try:
        s.stop()
    finally:
        s.give_up()


@pytest.fixture
def device(home, tmp_path):
    made = []

    def make(stack, name, **options):
        made.append(Device(stack, home, tmp_path, name, **options))
        return made[-1]

    yield make
    for d in made:
        d.close()


def befriend(one, two):
    """RFC 6121 §3.1, from the first word to both seeing each other."""
    one.do("set_item", jid=two.bare, name="Ben", groups=["Friends"])
    one.expect("roster", jid=two.bare, name="Ben", groups=["Friends"], subscription="none")
    one.do("presence", to=two.bare, type="subscribe")
    one.expect("roster", jid=two.bare, ask=True)
    two.expect("presence", **{"from": one.bare, "type": "subscribe"})
    two.do("presence", to=one.bare, type="subscribed")
    two.expect("roster", jid=one.bare, subscription="from")
    one.expect("roster", jid=two.bare, subscription="to", ask=False, name="Ben")
    one.expect_presence(two.jid)
    two.do("presence", to=one.bare, type="subscribe")
    one.expect("presence", **{"from": two.bare, "type": "subscribe"})
    one.do("presence", to=two.bare, type="subscribed")
    for a, b in ((one, two), (two, one)):
        a.expect("roster", jid=b.bare, subscription="both")
    two.expect_presence(one.jid)


def see_status(one, two):
    for show, status in (("away", "lunch ✓ & <b>"), ("dnd", "busy"), (None, None)):
        one.do("presence", show=show, status=status)
        two.expect_presence(one.jid, show=show, status=status)


def talk(one, two):
    """A message, its receipt (XEP-0184) and that it was seen (XEP-0333), both ways."""
    for a, b, id_ in ((one, two, "t1"), (two, one, "t2")):
        a.chat(b.jid, f"hello ✓ 𝄞 <b> & {id_}", id_)
        got = b.expect_message(f"hello ✓ 𝄞 <b> & {id_}", id=id_)
        assert (got["from"], got["wants_receipt"], got["delayed"]) == (a.jid, True, False)
        a.expect("message", receipt=id_)
        b.do("displayed", to=a.jid, id=id_)
        a.expect("message", marker=["displayed", id_])


def talk_with_two_devices(phone, desktop, ben):
    """XEP-0280: what one device says or hears, the other knows."""
    for d in (phone, desktop):
        d.do("carbons")
    ben.chat(phone.jid, "where are you?", "c1")
    phone.expect_message("where are you?", carbon=None)
    assert desktop.expect_message("where are you?")["carbon"] == "received"
    desktop.chat(ben.bare, "at my desk", "c2")
    ben.expect_message("at my desk")
    assert phone.expect_message("at my desk")["carbon"] == "sent"
    assert not desktop.seen("message", body="at my desk")


def lose_the_network(one, other, words):
    """XEP-0198: said while it was away, and heard, once."""
    one.wire.cut()
    one.expect("lost")
    for w in words:
        other.chat(one.jid, w, f"id {w}")
    one.wire.mend()
    assert one.reconnect(), "a new session"
    for w in words:
        one.expect_message(w)
    one.chat(other.jid, f"I am back after {words[0]}", "back")
    other.expect_message(f"I am back after {words[0]}")
    one.do("ping", jid="localhost")
    assert not [e for e in one.events if e.get("body") in words]


def be_offline(one, jid, password, other):
    """XEP-0160: kept, marked as late (XEP-0203), given once; a logout is not a lost network."""
    one.do("presence", type="unavailable")
    other.expect("presence", **{"from": one.jid, "type": "unavailable"})
    one.do("leave")
    assert other.do("last", jid=jid) >= 0  # XEP-0012, of somebody who is away
    for i in range(3):
        other.chat(jid, f"kept {i}", f"k{i}")
    other.forget()
    one.events.clear()
    one.login(jid, password, "phone")
    one.do("presence")
    heard = []
    while len(heard) < 3:
        heard += [e for e in [one.expect("message", type="chat")["body"]] if e]  # receipts may have been kept too
    assert heard == ["kept 0", "kept 1", "kept 2"]
    other.expect_presence(one.jid)
    one.events.clear()
    one.do("presence", type="unavailable")
    one.do("presence")
    other.expect_presence(one.jid)
    one.do("ping", jid="localhost")
    assert not [e for e in one.seen("message") if e["body"]]


def block(one, two):
    """XEP-0191: the blocked one sees somebody who is away and is told that words did not arrive."""
    two.events.clear()
    one.do("block", jid=two.bare)
    assert one.do("blocked") == [two.bare]
    two.expect("presence", **{"from": one.jid, "type": "unavailable"})
    two.chat(one.bare, "hear me", "b1")
    assert two.expect("message", type="error")["error"] == "service-unavailable"
    one.do("unblock", jid=two.bare)
    assert one.do("blocked") == []
    two.expect_presence(one.jid)
    two.chat(one.jid, "at last", "b2")
    one.expect_message("at last")
    assert not one.seen("message", body="hear me")


def show_a_face(one, two):
    """XEP-0054, and XEP-0153: contacts are told with the presence that there is a new face."""
    two.events.clear()
    one.do("set_vcard", name="Anna Ä. <Example>", photo=b64(PIXEL))
    hashed = hashlib.sha1(PIXEL).hexdigest()
    two.expect_presence(one.jid, avatar=hashed)
    assert two.do("vcard", jid=one.bare) == {"name": "Anna Ä. <Example>", "avatar": hashed}
    one.do("presence", show="chat")  # by itself, without a word about the face
    assert two.expect_presence(one.jid, show="chat")["avatar"] == hashed


def rest(phone, ben):
    """XEP-0352: presence waits while nobody looks, words do not."""
    phone.forget()
    phone.do("csi", active=False)
    ben.do("presence", show="xa", status="not urgent")
    ben.chat(phone.jid, "urgent", "r1")
    phone.expect_message("urgent")
    phone.do("csi", active=True)
    phone.expect_presence(ben.jid, show="xa", status="not urgent")


def keep_bookmarks(phone, desktop):
    """XEP-0049 with XEP-0048: what one device keeps, the other finds."""
    assert phone.do("bookmarks") == []
    rooms = [["garden@rooms.localhost", "The garden ✓"], ["work@rooms.localhost", "Work & <more>"]]
    phone.do("set_bookmarks", rooms=rooms)
    assert desktop.do("bookmarks") == rooms


def restart(home, devices):
    """Everybody is back in the session of before, and nobody was seen to leave."""
    for d in devices:
        d.events.clear()
    home.api("restart")
    home.expect_notice("READY=1")
    for d in devices:
        d.expect("lost")
    return [d.reconnect() for d in devices]


def change_password(one, jid):
    one.do("set_password", password=PASSWORDS[1])
    one.do("leave")
    with pytest.raises(Refused, match="not-authorized"):
        one.login(jid, PASSWORDS[0], "phone")
    one.login(jid, PASSWORDS[1], "phone")


def end_the_account(one, two):
    """XEP-0077 §3.2: the contacts lose it from their lists, and its name is free."""
    two.events.clear()
    one.do("remove_account")
    two.expect("presence", **{"from": one.bare, "type": "unsubscribed"})
    two.expect("roster", jid=one.bare, subscription="none")
    one.expect("lost")
    with pytest.raises(Refused, match="not-authorized"):
        one.login(one.bare, PASSWORDS[1], "phone")


DAYS = {**{stack: (stack,) * 3 for stack in STACKS}, "mixed": ("nbxmpp", "slixmpp", "xmppjs")}


@pytest.mark.parametrize("stacks", DAYS.values(), ids=DAYS)
def test_a_day(home, device, stacks):
    anna, ben = [f"{unique(n)}@localhost" for n in ("anna", "ben")]
    phone, desktop, friend = device(stacks[0], "phone"), device(stacks[1], "desktop", direct=True), device(stacks[2], "friend")
    for d, jid in ((phone, anna), (friend, ben)):
        d.register(jid, PASSWORDS[0])
    with pytest.raises(Refused, match="conflict"):
        friend.register(anna, PASSWORDS[1])
    phone.login(anna, PASSWORDS[0], "phone")
    assert phone.entered["mechanism"].startswith("SCRAM-SHA-1" + ("-PLUS" if stacks[0] == "slixmpp" else "")), phone.entered
    friend.login(ben, PASSWORDS[0], "mobile")
    for d in (phone, friend):
        assert d.do("roster")["items"] == {}
        d.do("presence")
        d.expect_presence(d.jid)
    befriend(phone, friend)
    version = phone.do("roster")
    assert version["items"] == {ben: {"subscription": "both", "name": "Ben", "groups": ["Friends"]}} and version["version"]
    assert not phone.do("roster")["changed"]  # RFC 6121 §2.6
    see_status(phone, friend)
    talk(phone, friend)

    desktop.login(anna, PASSWORDS[0], "desktop")
    assert ben in desktop.do("roster")["items"]
    desktop.do("presence")
    for jid in (friend.jid, phone.jid):
        desktop.expect_presence(jid)
    for d in (phone, friend):
        d.expect_presence(desktop.jid)
    talk_with_two_devices(phone, desktop, friend)
    keep_bookmarks(phone, desktop)
    assert "urn:xmpp:blocking" in phone.do("features", jid="localhost")
    assert phone.do("last", jid=ben) == 0
    show_a_face(phone, friend)
    block(phone, friend)
    rest(phone, friend)
    lose_the_network(phone, friend, ["tunnel 1", "tunnel 2"])
    lose_the_network(phone, friend, ["again 1"])
    if stacks[0] == "xmppjs":
        assert phone.entered["mechanism"] == "HT-SHA-256-NONE"  # XEP-0484
    desktop.do("leave")
    friend.expect("presence", **{"from": desktop.jid, "type": "unavailable"})
    be_offline(phone, anna, PASSWORDS[0], friend)
    phone.do("roster")  # who has asked gets pushes
    resumed = restart(home, [phone, friend])
    assert all(resumed)
    talk(phone, friend)
    assert not friend.seen("presence", **{"from": phone.jid, "type": "unavailable"})
    change_password(phone, anna)
    end_the_account(phone, friend)
