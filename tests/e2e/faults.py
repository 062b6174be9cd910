"""Every kind of write of instant messaging, one entry each, for tests/e2e/test_faults.py: what is made ready, what is asked, and how
the answer says whether it was done. Also what the database holds of somebody, and the ways to put it in trouble."""
import collections
import contextlib
import http.client
import json
import os
import re
import resource
import sqlite3
import subprocess

from im import befriend, drain, is_presence, roster, set_item, tell
from server import unique
from sm import Sm
from xmppstream import DEADLINE, error_of, local, text_of_error, until

MODULES = {m: {} for m in ("mod_blocking", "mod_last", "mod_offline", "mod_privacy", "mod_private", "mod_roster",
                           "mod_shared_roster", "mod_vcard")}

# name: for messages. make(server, streams): Work.
Kind = collections.namedtuple("Kind", "name make")
# names: texts that every row of it has, somewhere. do(): None when it was done, or why not.
Work = collections.namedtuple("Work", "names do")
KINDS = []
COMMANDS = "http://jabber.org/protocol/commands"
ALONE = {"delete_old_messages", "push_alltoall", "delete_old_users_vhost", "motd_set", "motd_update", "motd_delete"}  # goes over what everybody has: not together with the others


def configure(config):
    config["registration_timeout"] = "infinity"
    config["shaper_rules"]["max_user_sessions"] = 1000
    config["hosts"] += ["all.test", "old.test", "set.test", "edit.test", "delete.test"]  # for what is done to everybody of a host
    config["access_rules"]["announce"] = [{"allow": "all"}]
    config["modules"].update({**MODULES, "mod_register": {"ip_access": "all"}, "mod_stream_mgmt": {"resume_timeout": 600},
                              "mod_adhoc": {}, "mod_announce": {"access": "announce"}, "mod_configure": {"access": "announce"}})


def kind(make):
    KINDS.append(Kind(make.__name__, make))
    return make


# --- asking ---

def call(server, command, **args):
    """None when it was done; otherwise (status, body, words)."""
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request("POST", f"/api/{command}", json.dumps(args))
        r = conn.getresponse()
        body = r.read().decode()
    finally:
        conn.close()
    return None if r.status == 200 and body != "1" else (r.status, body, r.getheader("X-Reason"))


def iq(stream, inner, type_="set", to=None):
    el = stream.iq(inner, to, type_)
    return None if el.get("type") == "result" else (*error_of(el), text_of_error(el))


def asked(stream, inner, *more, to=None):
    return Work([stream.name, *more], lambda: iq(stream, inner, to=to))


def account(server):
    user = unique("fault")
    server.api("register", user=user, host="localhost", password="secret")
    return user


def session(server, streams, **how):
    s = streams(server.login(account(server), "r", **how))
    # The time of coming online is written behind the client's back: it is there when another write behind it is.
    server.api("set_last", user=s.name, host="localhost", timestamp=1, status="")
    return s


# --- accounts ---

@kind
def register(server, streams):
    user = unique("fault")
    return Work([user], lambda: call(server, "register", user=user, host="localhost", password="x"))


@kind
def register_in_band(server, streams):
    user, s = unique("fault"), streams(server.stream())
    s.open_features()
    return Work([user], lambda: iq(s, f"<query xmlns='jabber:iq:register'><username>{user}</username>"
                                      f"<password>Secret-1</password></query>"))


@kind
def change_password(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "change_password", user=user, host="localhost", newpass="other"))


@kind
def change_password_in_band(server, streams):
    s = session(server, streams)
    return asked(s, f"<query xmlns='jabber:iq:register'><username>{s.name}</username><password>Secret-1</password></query>",
                 to="localhost")


def furnish(server, streams):
    """An account with something in every table; its client and that of its contact are there."""
    one, two = session(server, streams, presence=True), session(server, streams, presence=True)
    befriend(one, two)
    user, host = one.name, "localhost"
    server.api("set_vcard", user=user, host=host, name="FN", content="x")
    server.api("private_set", user=user, host=host, element="<a xmlns='urn:a'>x</a>")
    server.api("add_rosteritem", localuser=user, localhost=host, user="other", host="x.test", nick="", groups=["g"], subs="both")
    server.api("set_last", user=user, host=host, timestamp=1000000000, status="x")
    server.api("srg_create", group=f"group-{user}", host=host, label="l", description="d", display=[])
    server.api("srg_user_add", user=user, host=host, group=f"group-{user}", grouphost=host)
    server.api("oauth_issue_token", jid=f"{user}@{host}", ttl=3600, scopes="ejabberd:user")
    assert iq(one, "<query xmlns='jabber:iq:privacy'><list name='a'><item action='allow' order='1'/></list></query>") is None
    assert iq(one, "<query xmlns='jabber:iq:privacy'><default name='a'/></query>") is None
    assert iq(one, "<block xmlns='urn:xmpp:blocking'><item jid='x@x.test'/></block>") is None
    drain(one, two)
    return one, two


def waiting(server, streams, n=3):
    """An account for which messages wait."""
    user, s = account(server), session(server, streams)
    for i in range(n):
        s.message(f"{user}@localhost", f"waits {i}")
    s.ping(), settle(s, user)
    assert server.api("get_offline_count", user=user, host="localhost") == n
    return user


def settle(s, user):
    """A resource that is not there answers in turn with the account's messages."""
    assert error_of(s.iq("<ping xmlns='urn:xmpp:ping'/>", f"{user}@localhost/nobody")) == ("cancel", "service-unavailable")


@kind
def unregister(server, streams):
    one, two = furnish(server, streams)
    one.close()
    drain(two)
    two.message(one.bare, "waits")
    settle(two, one.name)
    return Work([one.name], lambda: and_settled(call(server, "unregister", user=one.name, host="localhost"), one, two))


def and_settled(answer, gone, contact):
    """Its contact has been told."""
    settle(contact, gone.name)
    settle(contact, contact.name)
    return answer


@kind
def unregister_online(server, streams):
    one, two = furnish(server, streams)
    Sm(one).enable()
    return Work([one.name], lambda: and_settled(call(server, "unregister", user=one.name, host="localhost"), one, two))


@kind
def unregister_in_band(server, streams):
    one, two = furnish(server, streams)
    Sm(one).enable()
    return Work([one.name], lambda: and_settled(iq(one, "<query xmlns='jabber:iq:register'><remove/></query>", to="localhost"), one,
                                                two))


@kind
def ban_account(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "ban_account", user=user, host="localhost", reason="spam"))


@kind
def unban_account(server, streams):
    user = account(server)
    server.api("ban_account", user=user, host="localhost", reason="spam")
    return Work([user], lambda: call(server, "unban_account", user=user, host="localhost"))


# --- rosters ---

@kind
def roster_set(server, streams):
    s = session(server, streams)
    roster(s)
    set_item(s, "old@x.test", "Old", ["a"])
    return asked(s, "<query xmlns='jabber:iq:roster'><item jid='old@x.test' name='New'><group>b</group><group>c</group></item></query>")


@kind
def roster_remove(server, streams):
    s = session(server, streams)
    set_item(s, "old@x.test", "Old", ["a"])
    return asked(s, "<query xmlns='jabber:iq:roster'><item jid='old@x.test' subscription='remove'/></query>")


def told(stream, type_, to):
    """A subscription stanza; both homes are through with it when it comes back."""
    tell(stream, type_, to)
    settle(stream, stream.name)
    settle(stream, to.partition("@")[0])
    settle(stream, stream.name)
    got = [e for e in stream.items if is_presence(to, "error")(e)]
    stream.items[:] = [e for e in stream.items if e not in got]
    return (*error_of(got[0]), text_of_error(got[0])) if got else None


@kind
def subscribe(server, streams):
    one, two = session(server, streams, presence=True), session(server, streams, presence=True)
    return Work([one.name, two.name], lambda: told(one, "subscribe", two.bare))


@kind
def subscribed(server, streams):
    one, two = session(server, streams, presence=True), session(server, streams, presence=True)
    assert told(one, "subscribe", two.bare) is None
    return Work([one.name, two.name], lambda: told(two, "subscribed", one.bare))


@kind
def unsubscribe(server, streams):
    one, two = session(server, streams, presence=True), session(server, streams, presence=True)
    befriend(one, two)
    return Work([one.name, two.name], lambda: told(one, "unsubscribe", two.bare))


@kind
def add_rosteritem(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "add_rosteritem", localuser=user, localhost="localhost", user="f", host="x.test",
                                     nick="n", groups=["a", "b"], subs="both"))


@kind
def delete_rosteritem(server, streams):
    user = account(server)
    server.api("add_rosteritem", localuser=user, localhost="localhost", user="f", host="x.test", nick="n", groups=["a"], subs="both")
    return Work([user], lambda: call(server, "delete_rosteritem", localuser=user, localhost="localhost", user="f", host="x.test"))


@kind
def process_rosteritems(server, streams):
    user = account(server)
    for i in range(20):
        server.api("add_rosteritem", localuser=user, localhost="localhost", user=f"f{i}", host="x.test", nick="n", groups=["a"],
                   subs="both")
    return Work([user], lambda: call(server, "process_rosteritems", action="delete", subs="any", asks="any",
                                     users=f"{user}@localhost", contacts="any"))


def template(server, *jids):
    file = server.folder / unique("template")
    file.write_text("[" + ",".join(f'{{"{j.partition("@")[0]}", "{j.partition("@")[2]}", "G", "Name"}}' for j in jids) + "].\n")
    return str(file)


@kind
def push_roster(server, streams):
    user = account(server)
    file = template(server, *(f"f{i}@x.test" for i in range(30)))
    return Work([user], lambda: call(server, "push_roster", file=file, user=user, host="localhost"))


@kind
def push_roster_all(server, streams):
    users = [account(server) for _ in range(3)]
    file = template(server, *(f"{u}@localhost" for u in users))
    return Work(users, lambda: call(server, "push_roster_all", file=file))


def only(server, host, n):
    """Accounts of a host that has no others."""
    for user in server.api("registered_users", host=host):
        server.api("unregister", user=user, host=host)
    users = [unique("fault") for _ in range(n)]
    for user in users:
        server.api("register", user=user, host=host, password="secret")
    return users


@kind
def push_alltoall(server, streams):
    users = only(server, "all.test", 3)
    return Work(users, lambda: call(server, "push_alltoall", host="all.test", group="g"))


@kind
def delete_old_users_vhost(server, streams):
    users = only(server, "old.test", 3)
    for user in users:
        server.api("set_last", user=user, host="old.test", timestamp=1000000000, status="x")
        server.api("set_vcard", user=user, host="old.test", name="FN", content="x")
    return Work(users, lambda: call(server, "delete_old_users_vhost", host="old.test", days=30))


# --- the message of the day ---

def motd(server, streams, host, what, **fields):
    """XEP-0133 §4.23 to §4.25: sends the form; somebody of that host."""
    s = streams(server.login(only(server, host, 1)[0], "r", host=host))
    node = f"http://jabber.org/protocol/admin#{what}-motd"
    values = "".join(f"<field var='{k}'><value>{v}</value></field>" for k, v in fields.items())

    def do():
        started = s.iq(f"<command xmlns='{COMMANDS}' node='{node}' action='execute'/>", host, "set")
        id_ = started.find(f"{{{COMMANDS}}}command").get("sessionid")
        return iq(s, f"<command xmlns='{COMMANDS}' node='{node}' sessionid='{id_}' action='complete'>"
                     f"<x xmlns='jabber:x:data' type='submit'>{values}</x></command>", to=host)
    return do


def motd_work(server, streams, what, old=None, **fields):
    """Each on a host of its own, which has the old one, or none."""
    name, host = unique("fault"), f"{what}.test"
    assert motd(server, streams, host, "delete", confirm="true")() is None
    if old:
        assert motd(server, streams, host, "set", subject="s", body=f"{name} {old}")() is None
    return Work([name], motd(server, streams, host, what, **{k: v.format(name) for k, v in fields.items()}))


@kind
def motd_set(server, streams):
    return motd_work(server, streams, "set", subject="s", body="{} new")


@kind
def motd_update(server, streams):
    return motd_work(server, streams, "edit", "old", subject="s", body="{} new")


@kind
def motd_delete(server, streams):
    return motd_work(server, streams, "delete", "old", confirm="true")


# --- messages ---

def sent(stream, user):
    id_ = unique("m")
    stream.message(f"{user}@localhost", "kept", id_=id_)
    settle(stream, user)
    got = [e for e in stream.items if local(e) == "message" and e.get("id") == id_]
    stream.items.clear()
    return (*error_of(got[0]), text_of_error(got[0])) if got else None


@kind
def offline_store(server, streams):
    user, s = account(server), session(server, streams)
    return Work([user], lambda: sent(s, user))


@kind
def send_message(server, streams):
    """To somebody who is away: done is when it waits in the store."""
    user = account(server)
    return Work([user], lambda: call(server, "send_message", type="chat", to=f"{user}@localhost", subject="", body="kept",
                                     **{"from": "x@localhost/r"}))


@kind
def send_stanza(server, streams):
    user = account(server)
    stanza = "<message type='chat'><body>kept</body></message>"
    return Work([user], lambda: call(server, "send_stanza", to=f"{user}@localhost", stanza=stanza, **{"from": "x@localhost/r"}))


@kind
def offline_purge(server, streams):
    """XEP-0013 §2.6"""
    user = waiting(server, streams)
    s = streams(server.login(user, "r"))
    return asked(s, "<offline xmlns='http://jabber.org/protocol/offline'><purge/></offline>")


@kind
def delete_old_messages(server, streams):
    user = waiting(server, streams)
    return Work([user], lambda: call(server, "delete_old_messages", days=0))


# --- data of accounts ---

@kind
def vcard_set(server, streams):
    s = session(server, streams)
    return asked(s, f"<vCard xmlns='vcard-temp'><FN>{s.name}</FN><N><FAMILY>F</FAMILY></N></vCard>")


@kind
def set_vcard(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "set_vcard", user=user, host="localhost", name="FN", content="x"))


@kind
def set_vcard2_multi(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "set_vcard2_multi", user=user, host="localhost", name="ORG", subname="ORGUNIT",
                                     contents=["a", "b"]))


@kind
def set_nickname(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "set_nickname", user=user, host="localhost", nickname="x"))


@kind
def private_iq(server, streams):
    s = session(server, streams)
    return asked(s, "<query xmlns='jabber:iq:private'><a xmlns='urn:a'>1</a><b xmlns='urn:b'>2</b></query>")


@kind
def private_set(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "private_set", user=user, host="localhost", element="<a xmlns='urn:a'>1</a>"))


@kind
def set_last(server, streams):
    user = account(server)
    return Work([user], lambda: call(server, "set_last", user=user, host="localhost", timestamp=1000000000, status="x"))


@kind
def privacy_list(server, streams):
    s = session(server, streams)
    old = "<query xmlns='jabber:iq:privacy'><list name='a'><item action='allow' order='1'/></list></query>"
    assert iq(s, old) is None
    return asked(s, "<query xmlns='jabber:iq:privacy'><list name='a'><item action='deny' order='2' type='jid' value='x@x.test'/>"
                    "<item action='allow' order='3'/></list></query>")


@kind
def privacy_list_removed(server, streams):
    s = session(server, streams)
    assert iq(s, "<query xmlns='jabber:iq:privacy'><list name='a'><item action='allow' order='1'/></list></query>") is None
    return asked(s, "<query xmlns='jabber:iq:privacy'><list name='a'/></query>")


@kind
def privacy_default(server, streams):
    s = session(server, streams)
    assert iq(s, "<query xmlns='jabber:iq:privacy'><list name='a'><item action='allow' order='1'/></list></query>") is None
    return asked(s, "<query xmlns='jabber:iq:privacy'><default name='a'/></query>")


@kind
def privacy_default_declined(server, streams):
    s = session(server, streams)
    assert iq(s, "<query xmlns='jabber:iq:privacy'><list name='a'><item action='allow' order='1'/></list></query>") is None
    assert iq(s, "<query xmlns='jabber:iq:privacy'><default name='a'/></query>") is None
    return asked(s, "<query xmlns='jabber:iq:privacy'><default/></query>")


@kind
def privacy_set(server, streams):
    user = account(server)
    xml = "<query xmlns='jabber:iq:privacy'><list name='a'><item action='deny' order='2' type='jid' value='x@x.test'/></list></query>"
    return Work([user], lambda: call(server, "privacy_set", user=user, host="localhost", xmlquery=xml))


@kind
def block(server, streams):
    s = session(server, streams)
    return asked(s, "<block xmlns='urn:xmpp:blocking'><item jid='a@x.test'/><item jid='b@x.test'/></block>")


@kind
def block_more(server, streams):
    """XEP-0191 over a list that there is, with a reason (XEP-0377)."""
    s = session(server, streams)
    assert iq(s, "<block xmlns='urn:xmpp:blocking'><item jid='a@x.test'/></block>") is None
    return asked(s, "<block xmlns='urn:xmpp:blocking'><item jid='b@x.test'><report xmlns='urn:xmpp:reporting:1' "
                    "reason='urn:xmpp:reporting:spam'/></item></block>")


@kind
def unblock(server, streams):
    s = session(server, streams)
    assert iq(s, "<block xmlns='urn:xmpp:blocking'><item jid='a@x.test'/><item jid='b@x.test'/></block>") is None
    return asked(s, "<unblock xmlns='urn:xmpp:blocking'><item jid='a@x.test'/></unblock>")


@kind
def unblock_all(server, streams):
    s = session(server, streams)
    assert iq(s, "<block xmlns='urn:xmpp:blocking'><item jid='a@x.test'/></block>") is None
    return asked(s, "<unblock xmlns='urn:xmpp:blocking'/>")


# --- shared roster groups ---

def group(server, members=0):
    name = unique("group")
    server.api("srg_create", group=name, host="localhost", label="l", description="d", display=[])
    for i in range(members):
        server.api("srg_user_add", user=f"{name}-{i}", host="localhost", group=name, grouphost="localhost")
    return name


@kind
def srg_create(server, streams):
    name = unique("group")
    return Work([name], lambda: call(server, "srg_create", group=name, host="localhost", label="l", description="d", display=[]))


@kind
def srg_delete(server, streams):
    name = group(server, 3)
    return Work([name], lambda: call(server, "srg_delete", group=name, host="localhost"))


@kind
def srg_set_info(server, streams):
    name = group(server)
    return Work([name], lambda: call(server, "srg_set_info", group=name, host="localhost", key="label", value="other"))


@kind
def srg_add_displayed(server, streams):
    name, other = group(server), group(server)
    return Work([name], lambda: call(server, "srg_add_displayed", group=name, host="localhost", add=other))


@kind
def srg_del_displayed(server, streams):
    name, other = group(server), group(server)
    server.api("srg_add_displayed", group=name, host="localhost", add=other)
    return Work([name], lambda: call(server, "srg_del_displayed", group=name, host="localhost", **{"del": other}))


@kind
def srg_user_add(server, streams):
    name = group(server)
    return Work([name], lambda: call(server, "srg_user_add", user=f"{name}-x", host="localhost", group=name, grouphost="localhost"))


@kind
def srg_user_del(server, streams):
    name = group(server, 2)
    return Work([name], lambda: call(server, "srg_user_del", user=f"{name}-0", host="localhost", group=name, grouphost="localhost"))


# --- what is in the database ---

# What two runs of the same work write differently.
PASSING = {"id", "token", "password", "serverkey", "salt", "created_at", "seq", "timestamp", "version", "seconds", "sent", "at", "started",
           "expire"}
STREAMS = {"cj_sm_session", "cj_sm_stanza"}  # what was said over them, refusals too
OWN_BUSINESS = {"cjabberd_api_reply", "schema_version", "sqlite_sequence", "sqlite_stat1"}


def database(server):
    return next(f for f in server.spool.rglob("*") if f.is_file() and f.open("rb").read(15) == b"SQLite format 3")


@contextlib.contextmanager
def opened(server):
    with contextlib.closing(sqlite3.connect(database(server), isolation_level=None, timeout=DEADLINE)) as db:
        yield db


def tables(db):
    return [t for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") if t not in OWN_BUSINESS]


def about(db, names):
    """{table: its rows that have one of the names in them}"""
    found = {}
    for t in tables(db):
        cursor = db.execute(f"SELECT * FROM {t}")
        columns = [c[0] for c in cursor.description]
        rows = [dict(zip(columns, row)) for row in cursor]
        pattern = re.compile("|".join(rf"\b{re.escape(n)}\b(?!-\d*[a-z])" for n in names))
        rows = [r for r in rows if any(isinstance(v, str) and pattern.search(v) for v in r.values())]
        if t == "privacy_list_data":
            lists = {r["id"] for r in found.get("privacy_list", [])}
            rows = [r for r in map(dict, (zip(columns, row) for row in db.execute(f"SELECT * FROM {t}"))) if r["id"] in lists]
        if rows:
            found[t] = sorted(rows, key=repr)
    return found


def likeness(found, names):
    """The same for all works of a kind, with the same things done."""
    def plain(value):
        if not isinstance(value, str):
            return value
        for i, n in enumerate(names):
            value = re.sub(rf"\b{re.escape(n)}\b", f"NAME{i}", value)
        value = re.sub(r"<(\w+) [^>]*xmlns='ejabberd:banned'.*|<banned.*", "BAN", value, flags=re.S)
        return re.sub(r"\b(fault|group|m)-\d+\b|\d{6,}|\d+-\d+-\d+T[\d:.]+Z|id='[^']*'|[0-9a-f-]{20,}", "#", value)
    return {t: sorted(repr({k: plain(v) for k, v in r.items() if k not in PASSING}) for r in rows) for t, rows in found.items()}


def changed(before, after):
    return [t for t in {**before, **after} if t not in STREAMS and before.get(t) != after.get(t)]


def shares(like):
    """{NAME0: its rows of all tables}: what one transaction has to change. Others' rows follow in their own time."""
    parts = {}
    for t, rows in like.items():
        for r in rows if t not in STREAMS else []:
            owner = re.search(r"'username': '(NAME\d)'", r) or "username" not in r and re.search(r"(NAME\d)\b", r)
            if owner:
                parts.setdefault(owner[1], []).append((t, r))
    return {owner: sorted(rows) for owner, rows in parts.items()}


# --- trouble ---

@contextlib.contextmanager
def locked(server):
    """Another process holds the right to write."""
    with opened(server) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


@contextlib.contextmanager
def full(server):
    """No file can grow: what a full disk or a quota looks like to who writes."""
    unlimited = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, unlimited[1]))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)


class Disk:
    """The spool's file system, and how it gets full."""

    def __init__(self, server, mounted):
        self.server, self.mounted = server, mounted

    @contextlib.contextmanager
    def full(self):
        if not self.mounted:
            with full(self.server):
                yield
            return
        filler = self.server.spool / "filler"
        with opened(self.server) as db:
            until(lambda: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "the log keeps room for writes")
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(1 << 12))
        try:
            yield
        finally:
            filler.unlink()


@contextlib.contextmanager
def small_disk(server):
    """A small tmpfs where the server, not yet started, will have its spool; Disk tells whether that was allowed."""
    command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "tmpfs", str(server.spool)]
    try:
        mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield Disk(server, mounted)
    finally:
        server.give_up()
        if mounted:
            subprocess.run(["umount", "-l", str(server.spool)], check=True)


@contextlib.contextmanager
def broken_table(server, table):
    """Nothing can be changed in one table: whatever is done in several steps ends in the middle."""
    with opened(server) as db:
        for what in ("INSERT", "UPDATE", "DELETE"):
            db.execute(f"CREATE TRIGGER broken_{what} BEFORE {what} ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END")
    try:
        yield
    finally:
        with opened(server) as db:
            for what in ("INSERT", "UPDATE", "DELETE"):
                db.execute(f"DROP TRIGGER broken_{what}")
