"""A device made of slixmpp and its plugins: the library of Poezio and of many bots."""
import asyncio
import hashlib
import inspect
import logging
import ssl
import sys

import agent
import slixmpp
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048.stanza import Bookmarks
from slixmpp.xmlstream.handler import Callback, Waiter
from slixmpp.xmlstream.matcher import MatchXPath

PLUGINS = ("xep_0012", "xep_0030", "xep_0048", "xep_0049", "xep_0054", "xep_0153", "xep_0184", "xep_0191", "xep_0198", "xep_0199",
           "xep_0203", "xep_0280", "xep_0333", "xep_0352")
MARKERS = ("received", "displayed", "acknowledged")


class Client(slixmpp.ClientXMPP):
    """Connected the same way whatever for; `ended` tells of the end of each connection."""

    def __init__(self, jid, password, address, direct, ca):
        super().__init__(jid, password)
        self.address, self.direct = address, direct
        context = ssl.create_default_context(cafile=ca)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # Python has no channel binding of later versions (RFC 9266)
        self.get_ssl_context = lambda: context
        self.ssl_context = context
        self.reply = None
        self.add_event_handler("failed_all_auth", lambda _: self.came("not-authorized"))
        self.add_event_handler("connection_failed", lambda e: self.came(f"connection failed: {e}"))
        self.register_plugin("xep_0077", {"order": 50})

    def came(self, what):
        if self.reply and not self.reply.done():
            self.reply.set_result(what)

    async def dial(self):
        """What the attempt came to: the name of one of the events above or below."""
        self.reply = self.loop.create_future()
        if "use_ssl" in inspect.signature(self.connect).parameters:
            self.connect(self.address, use_ssl=self.direct, force_starttls=not self.direct, disable_starttls=self.direct)
        else:
            self.enable_direct_tls, self.enable_starttls, self.enable_plaintext = self.direct, not self.direct, False
            self.connect(*self.address)
        return await self.reply


class Registering(Client):
    """Makes the account when the server offers it, and goes no further. The plugin's own way of asking is never sent before a
    session in 1.8; what it makes of the stanzas is taken."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.plugin["xep_0077"].create_account = False
        self.register_feature("register", self.make, restart=False, order=40)
        self.add_event_handler("session_start", lambda _: self.came("no registration offered"))

    async def ask(self, type_, **fields):
        iq = self.Iq()
        iq["type"] = type_
        iq.enable("register")
        for name, value in fields.items():
            iq["register"][name] = value
        answer = Waiter("answer", MatchXPath("{jabber:client}iq"))
        self.register_handler(answer)
        self.send_raw(str(iq))
        return await answer.wait(60)

    async def make(self, _features):
        form = await self.ask("get")
        if form["register"]["fields"] >= {"username", "password"}:
            made = await self.ask("set", username=self.boundjid.user, password=self.password)
            self.came("made" if made["type"] == "result" else made["error"]["condition"])
        else:
            self.came(f"asked for {form['register']['fields']}")
        return True


class Device(Client):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        for p in PLUGINS:
            self.register_plugin(p)
        self.plugin["xep_0077"].create_account = False
        self.plugin["xep_0184"].auto_request = False
        self.gone = None
        for name, handler in (
                ("session_start", lambda _: self.came("started")), ("session_resumed", lambda _: self.came("resumed")),
                ("disconnected", self.on_end), ("roster_update", self.on_roster),
                ("carbon_received", lambda m: self.on_message(m["carbon_received"], "received")),
                ("carbon_sent", lambda m: self.on_message(m["carbon_sent"], "sent"))):
            self.add_event_handler(name, handler)
        self.register_handler(Callback("all messages", MatchXPath("{jabber:client}message"), self.on_message))
        self.register_handler(Callback("all presence", MatchXPath("{jabber:client}presence"), self.on_presence))
        self.auto_authorize = self.auto_subscribe = None  # people decide

    def on_end(self, _why):
        agent.event("lost")
        if self.gone and not self.gone.done():
            self.gone.set_result(True)

    def on_message(self, m, carbon=None):
        """Looked at without the plugins' attributes where asking for one would make it."""
        has = {e.tag.partition("}")[2]: e for e in m.xml}
        if not carbon and ("sent" in has or "{urn:xmpp:carbons:2}received" in [e.tag for e in m.xml]):
            return  # told of by the events of carbons
        marker = next(([k, e.get("id")] for k, e in has.items() if k in MARKERS and "chat-markers" in e.tag), None)
        agent.event("message", **{"from": m["from"].full}, to=m["to"].full, id=m["id"], body=m["body"] or None, type=m["type"],
                    carbon=carbon, wants_receipt=bool(m["request_receipt"]), receipt=m["receipt"] or None,
                    marker=marker, delayed="delay" in has, error=m["error"]["condition"] if m["type"] == "error" else None)

    def on_presence(self, p):
        update = p.xml.find("{vcard-temp:x:update}x/{vcard-temp:x:update}photo")
        agent.event("presence", **{"from": p["from"].full}, type=p.xml.get("type"), show=p["show"] or None,
                    status=p["status"] or None, avatar=None if update is None else update.text)

    def on_roster(self, iq):
        if iq["type"] == "set":
            for jid, item in iq["roster"]["items"].items():
                agent.event("roster", jid=jid.bare, **self.shown(item))

    @staticmethod
    def shown(item):
        return {"subscription": item["subscription"], "ask": bool(item["ask"]), "name": item["name"] or "",
                "groups": sorted(item["groups"])}

    # --- orders ---

    async def enter(self):
        come = await self.dial()
        if come not in ("started", "resumed"):
            raise agent.Refused(come)
        return {"jid": self.boundjid.full, "resumed": come == "resumed", "mechanism": self.plugin["feature_mechanisms"].mech.name}

    async def do_leave(self):
        self.gone = self.loop.create_future()
        self.disconnect()
        await self.gone

    async def do_roster(self):
        iq = await self.get_roster()  # the library keeps items and version, and adds a <query/> where there was none
        return {"version": self.client_roster.version, "changed": "ver" in iq.xml.find("{jabber:iq:roster}query").attrib,
                "items": {j: {"subscription": self.client_roster[j]["subscription"], "name": self.client_roster[j]["name"],
                              "groups": sorted(self.client_roster[j]["groups"])}
                          for j in self.client_roster if j != self.boundjid.bare}}

    async def do_set_item(self, jid, name, groups):
        await self.update_roster(jid, name=name, groups=groups)

    async def do_remove_item(self, jid):
        await self.del_roster_item(jid)

    async def do_presence(self, to=None, type=None, show=None, status=None):
        self.send_presence(pto=to, ptype=type, pshow=show, pstatus=status)

    async def do_chat(self, to, body, id):
        m = self.make_message(to, body, mtype="chat")
        m["id"] = id
        m["request_receipt"] = True
        m.enable("markable")
        m.send()

    async def do_displayed(self, to, id):
        self["xep_0333"].send_marker(slixmpp.JID(to), id, "displayed")

    async def do_carbons(self):
        await self["xep_0280"].enable()

    async def do_block(self, jid):
        await self["xep_0191"].block(slixmpp.JID(jid))

    async def do_unblock(self, jid):
        await self["xep_0191"].unblock(slixmpp.JID(jid))

    async def do_blocked(self):
        return sorted(str(j) for j in (await self["xep_0191"].get_blocked())["blocklist"]["items"])

    async def do_set_vcard(self, name, photo):
        card = self["xep_0054"].make_vcard()
        card["FN"] = name
        await self["xep_0054"].publish_vcard(card)
        await self["xep_0153"].set_avatar(avatar=agent.unb64(photo), mtype="image/png")

    async def do_vcard(self, jid):
        card = (await self["xep_0054"].get_vcard(slixmpp.JID(jid)))["vcard_temp"]
        photo = card["PHOTO"]["BINVAL"]
        return {"name": card["FN"], "avatar": hashlib.sha1(photo).hexdigest() if photo else None}

    async def do_set_bookmarks(self, rooms):
        marks = Bookmarks()
        for jid, name in rooms:
            marks.add_conference(slixmpp.JID(jid), "me", autojoin=True, name=name)
        await self["xep_0048"].set_bookmarks(marks, method="xep_0049")

    async def do_bookmarks(self):
        iq = await self["xep_0048"].get_bookmarks(method="xep_0049")
        return [[str(c["jid"]), c["name"]] for c in iq["private"]["bookmarks"]["conferences"]]

    async def do_last(self, jid):
        return (await self["xep_0012"].get_last_activity(slixmpp.JID(jid)))["last_activity"]["seconds"]

    async def do_csi(self, active):
        (self["xep_0352"].send_active if active else self["xep_0352"].send_inactive)()

    async def do_ping(self, jid):
        await self["xep_0199"].send_ping(slixmpp.JID(jid))

    async def do_features(self, jid):
        return sorted((await self["xep_0030"].get_info(jid))["disco_info"]["features"])

    async def do_set_password(self, password):
        await self["xep_0077"].change_password(password)
        self.password = self.credentials["password"] = password

    async def do_remove_account(self):
        await self["xep_0077"].cancel_registration()


class Agent:
    def __init__(self, loop):
        self.loop, self.device = loop, None

    async def obey(self, n, name, args):
        try:
            if name == "register":
                result = await self.register(**args)
            elif name == "login":
                resource = args.pop("resource")
                self.device = Device(f"{args.pop('jid')}/{resource}", args.pop("password"), tuple(args.pop("address")), **args)
                result = await self.device.enter()
            elif name == "reconnect":
                result = await self.device.enter()
            else:
                result = await getattr(self.device, f"do_{name}")(**args)
            agent.answer(n, result)
        except IqError as e:
            agent.refuse(n, e.condition)
        except agent.Refused as e:
            agent.refuse(n, str(e))
        except Exception:
            agent.broke(n)

    async def register(self, jid, password, address, direct, ca):
        c = Registering(jid, password, tuple(address), direct, ca)
        come = await c.dial()
        c.abort()
        if come != "made":
            raise agent.Refused(come)

    def read(self):
        order = agent.read_order()
        if order is None:
            sys.exit(0)
        self.loop.create_task(self.obey(*agent.split(order)))


def main():
    logging.basicConfig(level=logging.DEBUG)  # for messages of failed tests
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.add_reader(sys.stdin, Agent(loop).read)
    loop.run_forever()


main()
