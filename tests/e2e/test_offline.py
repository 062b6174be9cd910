"""Messages that wait: XEP-0160 (what is kept, when it comes, in which order), XEP-0203, XEP-0334, XEP-0023, XEP-0013, limits, and the
commands of the family."""
import contextlib
import datetime
import json
import resource
import sqlite3

import pytest

from server import ApiError
from xmppstream import error_of, local, q, text_of_error, until

OFFLINE = "http://jabber.org/protocol/offline"
DELAY = "{urn:xmpp:delay}delay"
CHAT_STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"


def configure(config):
    config["modules"]["mod_offline"] = {"access_max_user_messages": "max_user_offline_messages"}
    config["acl"]["small"] = {"user_regexp": ["^small-"]}
    config["shaper_rules"]["max_user_offline_messages"] = [{"3": "small"}, {"infinity": "all"}]


@pytest.fixture
def sender(server, streams):
    return streams(server.login(resource="out"))


def count(server, user):
    return server.api("get_offline_count", user=user, host="localhost")


def send(sender, user, inner="<body>x</body>", type_="chat", to=None):
    """Sends one and waits until the receiver's home is through with it; what came back."""
    sender.sent = getattr(sender, "sent", 0) + 1
    id_ = f"m{sender.sent}"
    sender.send(f"<message to='{to or user + '@localhost'}' id='{id_}'{f' type={type_!r}' if type_ else ''}>{inner}</message>")
    settle(sender, user)
    got = [e for e in sender.items if local(e) == "message" and e.get("id") == id_]
    for e in got:
        sender.items.remove(e)
    return got[0] if got else None


def settle(sender, user):
    """A resource that is not there answers in turn with the account's messages."""
    el = sender.iq("<ping xmlns='urn:xmpp:ping'/>", f"{user}@localhost/nobody-here")
    assert error_of(el) == ("cancel", "service-unavailable")


def bodies(stream, n):
    return [stream.expect(lambda e: local(e) == "message", "a message").findtext(q("client", "body")) for _ in range(n)]


# --- what is kept ---

KEPT = {
    "chat": ("<body>x</body>", "chat"), "normal": ("<body>x</body>", "normal"), "no type": ("<body>x</body>", None),
    "unknown type": ("<body>x</body>", "foo"), "subject only": ("<subject>s</subject>", "normal"),
    "receipt": ("<received xmlns='urn:xmpp:receipts' id='a'/>", "chat"),
    "marker": ("<displayed xmlns='urn:xmpp:chat-markers:0' id='a'/>", "chat"),
    "invitation": ("<x xmlns='jabber:x:conference' jid='r@conference.localhost'/>", None),
    "chat state with body": ("<body>x</body><active xmlns='http://jabber.org/protocol/chatstates'/>", "chat"),
    "store hint": ("<store xmlns='urn:xmpp:hints'/>", "chat"),
    "store hint and chat state": (CHAT_STATE + "<store xmlns='urn:xmpp:hints'/>", "chat"),
    "no-permanent-store hint": ("<body>x</body><no-permanent-store xmlns='urn:xmpp:hints'/>", "chat"),
}
REFUSED = {
    "chat state": (CHAT_STATE, "chat"), "chat state in a thread": (CHAT_STATE + "<thread>t</thread>", "chat"),
    "chat state with hints and id": (CHAT_STATE + "<no-copy xmlns='urn:xmpp:hints'/><origin-id xmlns='urn:xmpp:sid:0' id='1'/>", "chat"),
    "nothing": ("", "chat"), "empty body": ("<body/>", "chat"), "groupchat": ("<body>x</body>", "groupchat"),
    "no-store hint": ("<body>x</body><no-store xmlns='urn:xmpp:hints'/>", "chat"),
    "no-store hint, normal": ("<body>x</body><no-store xmlns='urn:xmpp:hints'/>", "normal"),
}


@pytest.mark.parametrize("name", KEPT)
def test_kept(server, sender, name):
    """XEP-0160 §3, XEP-0334 §4."""
    user = server.register()
    assert send(sender, user, *KEPT[name]) is None
    assert count(server, user) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_told(server, sender, name):
    """What is not kept is answered (RFC 6121 §8.5.2.2.1), and the same whether the account exists or not (RFC 6120 §13.11)."""
    user = server.register()
    for who in (user, "nobody-there"):
        el = send(sender, who, *REFUSED[name])
        assert error_of(el) == ("cancel", "service-unavailable") and text_of_error(el) == "User session not found"
    assert count(server, user) == 0


@pytest.mark.parametrize("type_", ["headline", "error"])
def test_dropped_in_silence(server, sender, type_):
    """RFC 6121 §8.5.2.2.1; an error to an account that does not exist is dropped too."""
    user = server.register()
    inner = "<body>x</body>" + ("<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" if type_ == "error" else "")
    assert send(sender, user, inner, type_) is None
    assert count(server, user) == 0


@pytest.mark.parametrize("type_", ["chat", "normal", None])
def test_unknown_account(server, sender, type_):
    """As recorded: service-unavailable without a text (RFC 6121 §8.5.1)."""
    el = send(sender, "nobody-there", type_=type_)
    assert error_of(el) == ("cancel", "service-unavailable") and text_of_error(el) is None


def test_full_address_of_a_resource_that_is_gone(server, sender, streams):
    """RFC 6121 §8.5.3.2.1: as if it were the bare one; the address stays what the sender chose."""
    user = server.register()
    assert send(sender, user, to=f"{user}@localhost/gone") is None
    el = streams(server.login(user, "r", presence=True)).expect_message("x")
    assert el.get("to") == f"{user}@localhost/gone"


def test_negative_priority_is_offline(server, sender, streams):
    """RFC 6121 §8.5.2.1.1: messages to the bare JID are kept while all resources are negative; §2 of XEP-0160: they come with the
    first presence that is not."""
    user = server.register()
    s = streams(server.login(user, "r"))
    s.presence("<priority>-1</priority>")
    assert send(sender, user) is None
    s.expect_nothing()
    assert count(server, user) == 1
    s.presence("<priority>0</priority>")
    s.expect_message("x")
    until(lambda: count(server, user) == 0, "the store is not emptied")
    s.presence("<show>away</show>")
    s.expect_nothing()


def test_a_session_without_presence_gets_nothing(server, sender, streams):
    user = server.register()
    s = streams(server.login(user, "r"))
    send(sender, user)
    s.expect_nothing()
    assert count(server, user) == 1


# --- how it comes ---

def test_delay_and_content(server, sender, streams):
    """XEP-0203 §2: who kept it and since when; everything else as it was sent, foreign delays too, forged ones not."""
    user = server.register()
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    send(sender, user, "<body>a&lt;b&gt; &amp; ü</body><thread parent='p'>t</thread><x xmlns='urn:example' a=\"'&quot;\"><y/></x>"
         "<delay xmlns='urn:xmpp:delay' from='elsewhere.test' stamp='2001-01-01T00:00:00Z'/>"
         "<delay xmlns='urn:xmpp:delay' from='localhost' stamp='2002-02-02T00:00:00Z'/>"
         "<request xmlns='urn:xmpp:receipts'/>" + CHAT_STATE)
    el = streams(server.login(user, "r", presence=True)).expect_message()
    assert el.get("from") == sender.jid and el.get("to") == f"{user}@localhost" and el.get("type") == "chat" and el.get("id")
    assert el.findtext(q("client", "body")) == "a<b> & ü"
    assert el.find(q("client", "thread")).get("parent") == "p" and el.find("{urn:example}x").get("a") == "'\""
    assert el.find("{urn:xmpp:receipts}request") is not None
    assert el.find("{http://jabber.org/protocol/chatstates}composing") is not None
    delays = {d.get("from"): d for d in el.findall(DELAY)}
    assert set(delays) == {"elsewhere.test", "localhost"} and len(el.findall(DELAY)) == 2
    own = delays["localhost"]
    stamp = datetime.datetime.fromisoformat(own.get("stamp").replace("Z", "+00:00"))
    assert before <= stamp <= datetime.datetime.now(datetime.timezone.utc) and own.text == "Offline Storage"


def test_order_and_only_once(server, sender, streams):
    user = server.register()
    for i in range(300):
        sender.message(f"{user}@localhost", str(i))
    settle(sender, user)
    assert count(server, user) == 300
    s = streams(server.login(user, "r", presence=True))
    assert bodies(s, 300) == [str(i) for i in range(300)]
    until(lambda: count(server, user) == 0, "the store is not emptied")
    other = streams(server.login(user, "other", presence=True))
    other.ping()
    assert not [e for e in other.items if local(e) == "message"]


def test_live_messages_come_after_those_that_waited(server, sender, streams):
    """No message is overtaken: what arrives while the queue goes out waits behind it."""
    user = server.register()
    for i in range(500):
        sender.message(f"{user}@localhost", str(i))
    settle(sender, user)
    s = streams(server.login(user, "r"))
    s.send("<presence/>")
    for i in range(500, 600):
        sender.message(f"{user}@localhost", str(i))
    assert bodies(s, 600) == [str(i) for i in range(600)]


def test_thousands_to_a_slow_reader(server, sender, streams):
    """5,000 messages of some size: the server holds a piece of them, not all; none is lost."""
    user, n, filler = server.register(), 5000, "y" * 2000
    for i in range(n):
        sender.message(f"{user}@localhost", f"{i} {filler}")
        if i % 500 == 0:
            sender.ping()
    settle(sender, user)
    assert count(server, user) == n
    s = streams(server.login(user, "r", rcvbuf=4096))
    s.send("<presence/>")
    assert [b.partition(" ")[0] for b in bodies(s, n)] == [str(i) for i in range(n)]
    until(lambda: count(server, user) == 0, "the store is not emptied")


def test_a_client_that_goes_in_the_middle(server, sender, streams):
    """What its connection has not taken stays, in order, for the next session."""
    user, n, filler = server.register(), 400, "y" * 20000
    for i in range(n):
        sender.message(f"{user}@localhost", f"{i} {filler}")
        if i % 50 == 0:
            sender.ping()
    settle(sender, user)
    s = server.login(user, "r", rcvbuf=4096)
    s.send("<presence/>")
    bodies(s, 60)
    s.drop(rst=True)
    until(lambda: server.api("num_resources", user=user, host="localhost") == 0, "the session stays")
    left = count(server, user)
    assert 0 < left < n
    s = streams(server.login(user, "r", presence=True))
    assert [int(b.partition(" ")[0]) for b in bodies(s, left)] == list(range(n - left, n))


# --- limits and failures ---

def test_full(server, sender, streams):
    """As recorded: resource-constraint; what is there stays."""
    user = server.register("small")
    for i in range(3):
        assert send(sender, user, f"<body>{i}</body>") is None
    el = send(sender, user, "<body>3</body>")
    assert error_of(el) == ("wait", "resource-constraint")
    assert text_of_error(el) == "Your contact offline message queue is full. The message has been discarded."
    assert el.findtext(q("client", "body")) == "3" and el.find(DELAY) is None
    assert count(server, user) == 3
    el = send(sender, user, "<body>x</body><no-store xmlns='urn:xmpp:hints'/>")
    assert error_of(el) == ("cancel", "service-unavailable") and text_of_error(el) == "User session not found"
    assert bodies(streams(server.login(user, "r", presence=True)), 3) == ["0", "1", "2"]
    until(lambda: count(server, user) == 0, "the store is not emptied")


@pytest.mark.parametrize("how, chat_state, nothing", [("true", True, True), ("false", False, False), ("unless_chat_state", False, False)])
def test_option_store_empty_body(new_server, how, chat_state, nothing):
    def change(config):
        config["modules"]["mod_offline"] = {"store_empty_body": how if how.startswith("unless") else how == "true"}
    with new_server(change) as server:
        sender, user = server.login(resource="out"), server.register()
        assert (send(sender, user, CHAT_STATE) is None) == chat_state
        assert (send(sender, user, "") is None) == nothing
        assert (send(sender, user, "<received xmlns='urn:xmpp:receipts' id='a'/>") is None) == (how != "false")
        assert send(sender, user) is None
        sender.drop()


@pytest.mark.parametrize("bounce", [False, True])
def test_options_of_groupchat(new_server, bounce):
    """store_groupchat keeps what rooms send; a full queue tells them only with bounce_groupchat."""
    def change(config):
        config["shaper_rules"]["max_user_offline_messages"] = 1
        config["modules"]["mod_offline"] = {"store_groupchat": True, "bounce_groupchat": bounce}
    with new_server(change) as server:
        sender, user = server.login(resource="out"), server.register()
        assert send(sender, user, type_="groupchat") is None
        assert count(server, user) == 1
        el = send(sender, user, type_="groupchat")
        assert (error_of(el) == ("wait", "resource-constraint")) if bounce else el is None
        assert error_of(send(sender, user)) == ("wait", "resource-constraint")
        assert count(server, user) == 1
        sender.drop()


def test_without_the_module(new_server):
    with new_server() as server:
        sender, user = server.login(resource="out"), server.register()
        assert error_of(send(sender, user)) == ("cancel", "service-unavailable")
        assert count(server, user) == 0
        sender.drop()


# --- XEP-0023 ---

def test_time_that_is_left(server, sender, streams):
    user = server.register()
    send(sender, user, "<body>x</body><x xmlns='jabber:x:expire' seconds='1000'/>")
    send(sender, user, "<body>too late</body><x xmlns='jabber:x:expire' seconds='0'/>")
    send(sender, user, "<body>no number</body><x xmlns='jabber:x:expire' seconds='soon'/>")
    assert count(server, user) == 3
    s = streams(server.login(user, "r", presence=True))
    el = s.expect_message()
    assert el.findtext(q("client", "body")) == "x" and 900 < int(el.find("{jabber:x:expire}x").get("seconds")) <= 1000
    assert s.expect_message().findtext(q("client", "body")) == "no number"
    until(lambda: count(server, user) == 0, "the store is not emptied")


# --- XEP-0013 ---

def node(stream, what, to=None):
    return stream.iq(f"<query xmlns='http://jabber.org/protocol/disco#{what}' node='{OFFLINE}'/>", to)


def headers(stream):
    return [(i.get("node"), i.get("name"), i.get("jid")) for i in node(stream, "items").find(q("items", "query"))]


def offline_iq(stream, inner, type_="get", to=None):
    return stream.iq(f"<offline xmlns='{OFFLINE}'>{inner}</offline>", to, type_)


def waiting(server, sender, n):
    user = server.register()
    for i in range(n):
        send(sender, user, f"<body>{i}</body>")
    return user


def test_features(server, streams):
    """XEP-0160 §4, XEP-0013 §2.1."""
    s = streams(server.login())
    for to in ("localhost", s.bare):
        info = s.iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", to)
        assert {"msgoffline", OFFLINE} <= {f.get("var") for f in info.iter(q("info", "feature"))}


def test_number_and_no_flood(server, sender, streams):
    """§2.2: the number in a form; whoever asked is not flooded, nor is a second session while the first is there."""
    user = waiting(server, sender, 3)
    s = streams(server.login(user, "a"))
    query = node(s, "info").find(q("info", "query"))
    assert query.get("node") == OFFLINE
    assert [(i.get("category"), i.get("type")) for i in query.findall(q("info", "identity"))] == [("automation", "message-list")]
    fields = {f.get("var"): f.findtext("{jabber:x:data}value") for f in query.iter("{jabber:x:data}field")}
    assert fields == {"FORM_TYPE": OFFLINE, "number_of_messages": "3"}
    s.presence()
    s.expect_nothing()
    t = streams(server.login(user, "b", presence=True))
    t.expect(lambda e: local(e) == "presence" and e.get("from") == s.jid, "the other's presence")
    t.expect_nothing()
    settle(sender, user)
    assert count(server, user) == 3
    send(sender, user, "<body>live</body>")
    s.expect_message("live"), t.expect_message("live")
    s.close()
    u = streams(server.login(user, "c", presence=True))
    assert bodies(u, 3) == ["0", "1", "2"]


def test_headers_view_remove(server, sender, streams):
    """§2.3 to §2.5."""
    user = waiting(server, sender, 4)
    s = streams(server.login(user, "a"))
    found = headers(s)
    assert len(found) == 4 and all(name == sender.jid and jid == s.bare for _, name, jid in found)
    ids = [n for n, _, _ in found]
    assert ids == sorted(ids, key=int) and len(set(ids)) == 4
    el = offline_iq(s, f"<item action='view' node='{ids[1]}'/><item action='view' node='{ids[3]}'/>")
    assert el.get("type") == "result"
    for want in (1, 3):
        m = s.expect_message(str(want))
        assert m.find(f"{{{OFFLINE}}}offline/{{{OFFLINE}}}item").get("node") == ids[want] and m.find(DELAY) is not None
    assert count(server, user) == 4
    assert offline_iq(s, f"<item action='remove' node='{ids[0]}'/><item action='remove' node='{ids[1]}'/>", "set").get("type") == "result"
    assert [n for n, _, _ in headers(s)] == ids[2:]
    for type_, action in (("get", "view"), ("set", "remove")):
        for bad in (ids[0], "999999999", "x", ""):
            assert error_of(offline_iq(s, f"<item action='{action}' node='{bad}'/>", type_)) == ("cancel", "item-not-found")
    assert count(server, user) == 2


def test_fetch_and_purge(server, sender, streams):
    """§2.6, §2.7; with nothing there a result, as recorded."""
    user = waiting(server, sender, 3)
    s = streams(server.login(user, "a"))
    assert offline_iq(s, "<fetch/>").get("type") == "result"
    got = [s.expect_message() for _ in range(3)]
    assert [m.findtext(q("client", "body")) for m in got] == ["0", "1", "2"]
    s.presence()
    s.expect_nothing()
    assert count(server, user) == 3
    assert offline_iq(s, "<purge/>", "set").get("type") == "result"
    assert count(server, user) == 0 and headers(s) == []
    assert offline_iq(s, "<fetch/>").get("type") == "result" and offline_iq(s, "<purge/>", "set").get("type") == "result"


@pytest.mark.parametrize("inner, type_", [("", "get"), ("<item/>", "get"), ("<item action='remove' node='1'/>", "get"),
                                          ("<item action='view' node='1'/>", "set"), ("<other/>", "set"), ("<fetch/>", "set")])
def test_bad_requests(server, streams, inner, type_):
    s = streams(server.login())
    assert error_of(offline_iq(s, inner, type_)) == ("modify", "bad-request")


def test_of_somebody_else(server, sender, streams):
    """§2.3: forbidden; another's queue is neither seen nor touched."""
    user = waiting(server, sender, 1)
    for inner, type_ in (("<fetch/>", "get"), ("<purge/>", "set"), ("<item action='remove' node='1'/>", "set")):
        assert error_of(offline_iq(sender, inner, type_, f"{user}@localhost")) == ("auth", "forbidden")
    assert error_of(node(sender, "items", f"{user}@localhost"))
    mine = streams(server.login(resource="x"))
    theirs = server.login(user, "a")
    id_ = headers(theirs)[0][0]
    theirs.drop()
    assert error_of(offline_iq(mine, f"<item action='remove' node='{id_}'/>", "set")) == ("cancel", "item-not-found")
    assert error_of(offline_iq(mine, f"<item action='view' node='{id_}'/>")) == ("cancel", "item-not-found")
    assert count(server, user) == 1


def test_unknown_node(server, streams):
    s = streams(server.login())
    for what in ("info", "items"):
        el = s.iq(f"<query xmlns='http://jabber.org/protocol/disco#{what}' node='urn:nothing'/>")
        assert error_of(el) == ("cancel", "item-not-found")


# --- XEP-0359 ---

def test_forged_stanza_ids_are_taken_out(server, sender, streams):
    """§5: an id of the receiver's account can only come from its server; others stay, and what the client set does."""
    user = server.register()
    s = streams(server.login(user, "r", presence=True))
    ids = "".join(f"<stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='forged'/>"
                  for by in (f"{user}@localhost", f"{user.upper()}@LOCALHOST", "room@conference.localhost"))
    sender.send(f"<message to='{user}@localhost' type='chat'>{ids}<origin-id xmlns='urn:xmpp:sid:0' id='o'/><body>x</body></message>")
    el = s.expect_message("x")
    assert [e.get("by") for e in el.findall("{urn:xmpp:sid:0}stanza-id")] == ["room@conference.localhost"]
    assert el.find("{urn:xmpp:sid:0}origin-id").get("id") == "o"


# --- what passes through untouched ---

@pytest.mark.parametrize("inner", [
    "<request xmlns='urn:xmpp:receipts'/><body>x</body>", "<received xmlns='urn:xmpp:receipts' id='i'/>",
    "<markable xmlns='urn:xmpp:chat-markers:0'/><body>x</body>", "<displayed xmlns='urn:xmpp:chat-markers:0' id='i'/>",
    CHAT_STATE, "<active xmlns='http://jabber.org/protocol/chatstates'/><body>x</body>",
    "<replace xmlns='urn:xmpp:message-correct:0' id='i'/><body>y</body>", "<no-store xmlns='urn:xmpp:hints'/><body>x</body>"])
@pytest.mark.parametrize("full", [False, True])
def test_untouched(server, sender, streams, inner, full):
    """XEP-0184, XEP-0333, XEP-0085, XEP-0308, XEP-0334: the server passes them on as they are."""
    user = server.register()
    s = streams(server.login(user, "r", presence=True))
    sender.send(f"<message to='{s.jid if full else s.bare}' type='chat' id='u'>{inner}</message>")
    s.expect_id("u")
    raw = b"".join(d for who, d in s.log if who == "S").decode()
    assert inner in raw


# --- commands ---

def test_commands_of_old_and_expired_messages(new_server):
    def change(config):
        config["modules"]["mod_offline"] = {}
    with new_server(change) as server:
        sender, user = server.login(resource="out"), server.register()
        for inner in ("<body>stays</body>", "<body>gone</body><x xmlns='jabber:x:expire' seconds='0'/>",
                      "<body>jabber:x:expire</body>", "<body>later</body><x xmlns='jabber:x:expire' seconds='999'/>"):
            assert send(sender, user, inner) is None
        assert server.api("delete_expired_messages") == 0 and count(server, user) == 3
        assert server.api("delete_old_messages", days=1) == 0 and count(server, user) == 3
        assert server.api("delete_old_messages", days=0) == 0 and count(server, user) == 0
        sender.drop()


def test_batch_job(new_server):
    """Goes on after a restart, says how far it is, is stopped; only one at a time."""
    def change(config):
        config["modules"]["mod_offline"] = {}
    server = new_server(change).start()
    sender, user = server.login(resource="out"), server.register()
    for i in range(10):
        send(sender, user)

    def status():
        return server.api("delete_old_messages_status", host="localhost")

    assert status() == "Operation not started"
    assert server.api("abort_delete_old_messages", host="localhost") == "No task running"
    # 1 a minute: after the first piece it waits for hours
    assert server.api("delete_old_messages_batch", host="localhost", days=0, batch_size=4, rate=1) == ""
    until(lambda: status() == "Operation in progress, deleted 4 messages", "the job does not begin")
    with pytest.raises(ApiError) as e:
        server.api("delete_old_messages_batch", host="LOCALHOST", days=0, batch_size=4, rate=1)
    assert e.value.status == 400 and json.loads(e.value.body) == "Operation in progress"
    assert server.api("delete_old_messages_batch", host="example.test", days=0, batch_size=4, rate=1) == ""
    until(lambda: server.api("delete_old_messages_status", host="example.test").startswith("Operation was completed"), "no end")
    sender.drop()
    server.kill()
    server.start()
    until(lambda: status() == "Operation in progress, deleted 8 messages", "the job is not taken up again")
    assert count(server, user) == 2
    assert server.api("abort_delete_old_messages", host="localhost") == "Operation aborted"
    assert status() == "Operation was aborted after deleting 8 messages"
    server.reload()
    server.stop()
    server.start()
    assert status() == "Operation was aborted after deleting 8 messages" and count(server, user) == 2
    assert server.api("delete_old_messages_batch", host="localhost", days=0, batch_size=1, rate=1000000) == ""
    until(lambda: status() == "Operation was completed after deleting 2 messages", "the job does not end")
    assert count(server, user) == 0
    for batch, rate in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(ApiError) as e:
            server.api("delete_old_messages_batch", host="localhost", days=0, batch_size=batch, rate=rate)
        assert e.value.status == 400
    server.stop()


# --- kill -9 ---

def test_kill_while_storing(new_server):
    """What the sender knows to be stored (a later answer of the same account has come) is there; nothing is there twice."""
    def change(config):
        config["modules"]["mod_offline"] = {}
    server = new_server(change).start()
    sender, user = server.login(resource="out"), server.register()
    for i in range(200):
        sender.message(f"{user}@localhost", str(i))
    settle(sender, user)
    for i in range(200, 2000):
        sender.message(f"{user}@localhost", str(i))
    sender.send(f"<iq type='get' id='half' to='{user}@localhost/nobody-here'><ping xmlns='urn:xmpp:ping'/></iq>")
    for i in range(2000, 4000):
        sender.message(f"{user}@localhost", str(i))
    sender.expect_id("half")
    server.kill()
    sender.drop()
    server.start()
    n = count(server, user)
    assert 2000 <= n <= 4000
    s = server.login(user, "r", presence=True)
    assert bodies(s, n) == [str(i) for i in range(n)]
    s.drop()
    server.stop()


def test_kill_while_delivering(new_server):
    """Nothing is lost; what comes again is the last piece (at most 64), and can be told by id and stamp."""
    def change(config):
        config["modules"]["mod_offline"] = {}
    server = new_server(change).start()
    sender, user, n = server.login(resource="out"), server.register(), 2000
    for i in range(n):
        sender.message(f"{user}@localhost", f"{i} {'y' * 1000}", id_=f"id{i}")
    settle(sender, user)
    s = server.login(user, "r")
    s.send("<presence/>")
    for _ in range(500):
        s.expect(lambda e: local(e) == "message", "a message")
    server.kill()
    while not s.eof:
        s.pump()
    first = [e for e in s.items if local(e) == "message"]
    s.drop()
    sender.drop()
    seen = 500 + len(first)
    server.start()
    left = count(server, user)
    assert n - seen <= left <= n - seen + 64
    s = server.login(user, "r", presence=True)
    again = [s.expect(lambda e: local(e) == "message", "a message") for _ in range(left)]
    assert [e.get("id") for e in again] == [f"id{i}" for i in range(n - left, n)]
    known = {e.get("id"): e.find(DELAY).get("stamp") for e in first}
    assert all(known[e.get("id")] == e.find(DELAY).get("stamp") for e in again if e.get("id") in known)
    s.drop()
    server.stop()


# --- with the store in trouble ---

def test_database_locked(new_server):
    """Somebody else holds the database: the sender is told (and can send again), nothing waits for ever, nothing is kept twice."""
    def change(config):
        config["modules"]["mod_offline"] = {}
    server = new_server(change, allow_errors=True).start()
    sender, user = server.login(resource="out"), server.register()
    assert send(sender, user, "<body>before</body>") is None
    with contextlib.closing(sqlite3.connect(next(server.spool.glob("*.db")), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        el = send(sender, user, "<body>while</body>")
        assert error_of(el) == ("wait", "internal-server-error") and text_of_error(el) == "Database failure"
        db.execute("ROLLBACK")
    assert send(sender, user, "<body>after</body>") is None
    assert count(server, user) == 2
    assert bodies(server.login(user, "r", presence=True), 2) == ["before", "after"]
    sender.drop()
    server.stop()


def test_disk_full(new_server):
    """No byte more may be written to any file: the sender is told; with room again everything goes on."""
    def change(config):
        config["modules"]["mod_offline"] = {}
    server = new_server(change, allow_errors=True).start()
    sender, user = server.login(resource="out"), server.register()
    assert send(sender, user, "<body>before</body>") is None
    unlimited = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, unlimited[1]))
    assert error_of(send(sender, user, "<body>while</body>")) == ("wait", "internal-server-error")
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)
    assert send(sender, user, "<body>after</body>") is None
    assert count(server, user) == 2
    assert bodies(server.login(user, "r", presence=True), 2) == ["before", "after"]
    sender.drop()
    server.stop()
