"""A device made of nbxmpp, the library of Gajim, as Gajim uses it: what Gajim itself says on top of the library is said here."""
import hashlib
import logging
import sys

import agent
import gi

gi.require_version("Soup", "3.0")
from gi.repository import Gio, GLib  # noqa: E402
from nbxmpp.client import Client  # noqa: E402
from nbxmpp.const import ConnectionProtocol, ConnectionType, Mode  # noqa: E402
from nbxmpp.errors import is_error  # noqa: E402
from nbxmpp.modules.receipts import build_receipt  # noqa: E402
from nbxmpp.modules.vcard_temp import VCard  # noqa: E402
from nbxmpp.namespaces import Namespace  # noqa: E402
from nbxmpp.protocol import JID, Iq, Message, isResultNode  # noqa: E402
from nbxmpp.simplexml import Node  # noqa: E402
from nbxmpp.structs import BookmarkData, StanzaHandler  # noqa: E402


def condition(error):
    return getattr(error, "condition", None) or repr(error)


class Device:
    """`reply` is who waits for the end of the order under way; attempts to connect end with one of the signals."""

    def __init__(self, jid, password, resource, address, direct, ca, mode=Mode.CLIENT):
        self.reply, self.known = None, {}
        self.client = c = Client(log_context=resource)
        user, _, domain = jid.partition("@")
        c.set_mode(mode)
        c.set_domain(domain)
        c.set_username(user)
        c.set_resource(resource)
        c.set_password(password)
        c.set_custom_host("{}:{}".format(*address), ConnectionProtocol.TCP,
                          ConnectionType.DIRECT_TLS if direct else ConnectionType.START_TLS)
        c.set_accepted_certificates([Gio.TlsCertificate.new_from_file(ca)])
        c.subscribe("connected", lambda *_: self.came(resumed=False))
        c.subscribe("resume-successful", lambda *_: self.came(resumed=True))
        c.subscribe("connection-failed", lambda *_: self.came(failed="connection failed"))
        c.subscribe("disconnected", self.on_end)
        for name, handler in (("message", self.on_message), ("presence", self.on_presence), ("iq", self.on_iq)):
            c.register_handler(StanzaHandler(name=name, callback=handler, priority=90))

    def module(self, name):
        return self.client.get_module(name)

    # --- what happens ---

    def came(self, failed=None, **words):
        reply, self.reply = self.reply, None
        if reply:
            reply(failed, words)

    def on_end(self, *_):
        agent.event("lost")
        _domain, error, _text = self.client.get_error()
        self.came(failed=error or "left")

    def on_message(self, _client, stanza, p):
        has = p.receipt
        agent.event("message", **{"from": str(p.from_)}, to=str(p.to), id=p.id, body=p.body, type=p.type.value,
                    carbon=p.carbon.type if p.carbon else None, wants_receipt=bool(has and has.is_request),
                    receipt=has.id if has and has.is_received else None, marker=list(p.marker) if p.marker else None,
                    delayed=p.has_server_delay, error=p.error.condition if p.error else None)
        if has and has.is_request and not p.carbon:  # as Gajim does, with the library's words
            self.client.send_stanza(build_receipt(stanza))

    def on_presence(self, _client, _stanza, p):
        agent.event("presence", **{"from": str(p.jid)}, type=p.type.value, show=None if p.show.value == "online" else p.show.value,
                    status=p.status or None, avatar=p.avatar_sha)

    def on_iq(self, _client, _stanza, p):
        if p.is_roster:
            item = p.roster.item
            self.known[str(item.jid)] = item
            agent.event("roster", jid=str(item.jid), ask=bool(item.ask), **self.shown(item))

    @staticmethod
    def shown(item):
        return {"subscription": item.subscription, "name": item.name or "", "groups": sorted(item.groups)}

    # --- orders: they call done(failed, result) ---

    def enter(self, done):
        def came(failed, words):
            if failed:
                done(failed, None)
            else:
                done(None, {"jid": str(self.client.get_bound_jid()), "mechanism": self.mechanism(), **words})

        self.reply = came
        self.client.connect()

    def mechanism(self):
        return self.client._sasl._mechanism.name  # the library does not tell

    def task(self, task, done, made=lambda result: None):
        def finished(t):
            try:
                result = made(t.finish())
            except Exception as e:
                if not is_error(e):
                    raise
                done(condition(e), None)
            else:
                done(None, result)

        task.add_done_callback(finished, weak=False)

    def raw(self, iq, done):
        """What Gajim says without the library."""
        def answered(_client, answer):
            done(None if isResultNode(answer) else answer.getError(), None)

        self.answered = answered
        self.client.send_stanza(iq, callback=answered)

    def leave(self, done):
        self.reply = lambda _failed, _words: done(None, None)
        self.client.disconnect()

    def roster(self, done):
        def made(data):
            if data.items is not None:
                self.known = {str(i.jid): i for i in data.items}
            self.version = data.version
            return {"version": data.version, "changed": data.items is not None,
                    "items": {j: self.shown(i) for j, i in self.known.items()}}

        self.task(self.module("Roster").request_roster(getattr(self, "version", None)), done, made)

    def set_item(self, done, jid, name, groups):
        self.task(self.module("Roster").set_item(jid, name, groups), done)

    def presence(self, done, to=None, type=None, show=None, status=None):
        self.module("BasePresence").send(jid=to, typ=type, show=show, status=status, extend=[Node(f"{Namespace.VCARD_UPDATE} x")])
        done(None, None)

    def chat(self, done, to, body, id):
        m = Message(to=to, body=body, typ="chat")
        m.setID(id)
        m.setReceiptRequest()
        m.setMarkable()
        self.client.send_stanza(m)
        done(None, None)

    def displayed(self, done, to, id):
        m = Message(to=to, typ="chat")
        m.setMarker("displayed", id)
        m.setHint("store")
        self.client.send_stanza(m)
        done(None, None)

    def carbons(self, done):
        iq = Iq("set")
        iq.addChild("enable", namespace=Namespace.CARBONS)
        self.raw(iq, done)

    def csi(self, done, active):
        self.client.send_nonza(Node(f"urn:xmpp:csi:0 {'active' if active else 'inactive'}"))
        done(None, None)

    def block(self, done, jid):
        self.task(self.module("Blocking").block([JID.from_string(jid)]), done)

    def unblock(self, done, jid):
        self.task(self.module("Blocking").unblock([JID.from_string(jid)]), done)

    def blocked(self, done):
        self.task(self.module("Blocking").request_blocking_list(), done, lambda jids: sorted(map(str, jids)))

    def set_vcard(self, done, name, photo):
        card = VCard()
        card.data["FN"] = name
        card.set_avatar(agent.unb64(photo), "image/png")
        self.task(self.module("VCardTemp").set_vcard(card), done)

    def vcard(self, done, jid):
        def made(card):
            return {"name": card.data["FN"], "avatar": hashlib.sha1(agent.unb64(card.data["PHOTO"]["BINVAL"])).hexdigest()}

        self.task(self.module("VCardTemp").request_vcard(jid), done, made)

    def set_bookmarks(self, done, rooms):
        marks = [BookmarkData(jid=JID.from_string(jid), name=name, nick="me", autojoin=True) for jid, name in rooms]
        self.task(self.module("PrivateBookmarks").store_bookmarks(marks), done)

    def bookmarks(self, done):
        self.task(self.module("PrivateBookmarks").request_bookmarks(), done, lambda marks: [[str(b.jid), b.name] for b in marks])

    def last(self, done, jid):
        self.task(self.module("LastActivity").request_last_activity(jid), done, lambda data: data.seconds)

    def ping(self, done, jid):
        self.task(self.module("Ping").ping(jid), done)

    def features(self, done, jid):
        self.task(self.module("Discovery").disco_info(jid), done, lambda info: sorted(info.features))

    def set_password(self, done, password):
        def made(_result):
            self.client.set_password(password)

        self.task(self.module("Register").change_password(password), done, made)

    def remove_account(self, done):
        self.task(self.module("Register").unregister(), done)


class Registering(Device):
    def enter(self, done):
        """Over when the connection is."""
        self.outcome = "no form came"

        def ended(_failed, _words):
            done(None if self.outcome == "made" else self.outcome, None)

        def made(failed, _result):
            self.outcome = failed or "made"
            self.reply = ended
            self.client.disconnect()

        def form_came(failed, data):
            if failed:
                return made(failed, None)
            data.vars["username"].value, data.vars["password"].value = self.client.username, self.client.password
            self.task(self.module("Register").submit_register_form(data), made)

        def connected(failed, _words):
            if failed:
                return done(failed, None)
            self.task(self.module("Register").request_register_form(), form_came, lambda data: data.fields_form)

        self.reply = connected
        self.client.connect()


class Agent:
    def __init__(self):
        self.device = None

    def read(self, *_):
        order = agent.read_order()
        if order is None:
            sys.exit(0)
        n, name, args = agent.split(order)

        def done(failed, result):
            if failed:
                agent.refuse(n, failed)
            else:
                agent.answer(n, result)

        try:
            if name == "register":
                self.registering = Registering(**args, resource="new", mode=Mode.REGISTER)
                self.registering.enter(done)
            elif name == "login":
                self.device = Device(**args)
                self.device.enter(done)
            elif name == "reconnect":
                self.device.enter(done)
            else:
                getattr(self.device, name)(done, **args)
        except Exception:
            agent.broke(n)
        return True


logging.basicConfig(level=logging.INFO)  # for messages of failed tests
# Its loggers are children of this one; Gajim lets them through by choice.
logging.getLogger("nbxmpp").setLevel(logging.INFO)
GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, Agent().read)
GLib.MainLoop().run()
