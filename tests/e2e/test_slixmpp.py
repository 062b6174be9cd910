"""slixmpp, as a client people use: it logs in over STARTTLS and direct TLS and talks."""
import asyncio
import inspect
import ssl

import pytest
import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from server import PASSWORD
from xmppstream import DEADLINE


class Client(slixmpp.ClientXMPP):
    def __init__(self, jid, plugins=("xep_0199", "xep_0030", "xep_0092", "xep_0202", "xep_0012")):
        super().__init__(jid, PASSWORD)
        for p in plugins:
            self.register_plugin(p)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.get_ssl_context = lambda: context
        self.ssl_context = context
        self.started, self.failed, self.gone = self.future(), self.future(), self.future()
        self.inbox, self.presences = asyncio.Queue(), asyncio.Queue()
        self.add_event_handler("session_start", lambda _: self.started.done() or self.started.set_result(True))
        self.add_event_handler("failed_auth", lambda _: self.failed.done() or self.failed.set_result(True))
        self.add_event_handler("disconnected", lambda _: self.gone.done() or self.gone.set_result(True))
        self.add_event_handler("message", self.inbox.put_nowait)
        self.register_handler(Callback("all presence", MatchXPath("{jabber:client}presence"), self.presences.put_nowait))

    def future(self):
        return self.loop.create_future()

    def dial(self, address, direct=False):
        """slixmpp 1.8 is told with the call which TLS to use, 1.10 before it."""
        if "use_ssl" in inspect.signature(self.connect).parameters:
            self.connect(address, use_ssl=direct, force_starttls=not direct, disable_starttls=direct)
        else:
            self.enable_direct_tls, self.enable_starttls, self.enable_plaintext = direct, not direct, False
            self.connect(*address)

    async def enter(self, address, direct=False):
        self.dial(address, direct)
        await wait(self.started)
        self.send_presence()
        await self.own_presence()

    async def own_presence(self):
        while (await wait(self.presences.get()))["from"] != self.boundjid:
            pass

    async def leave(self):
        self.disconnect()
        await wait(self.gone)


async def wait(what):
    return await asyncio.wait_for(what, DEADLINE)


@pytest.fixture
def run():
    """Runs a coroutine on a loop of its own; slixmpp 1.8 takes the current one."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop.run_until_complete
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
    loop.close()
    asyncio.set_event_loop(None)


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_two_clients_talk(server, run, direct):
    names = [server.register() for _ in range(2)]

    async def talk():
        a, b = [Client(f"{n}@localhost/slix") for n in names]
        address = server.tls if direct else server.c2s
        await a.enter(address, direct)
        await b.enter(address, direct)
        a.send_message(mto=b.boundjid.full, mbody="hello ✓ <b>", mtype="chat")
        got = await wait(b.inbox.get())
        assert (got["body"], got["from"].full) == ("hello ✓ <b>", a.boundjid.full)
        got.reply("and back").send()
        assert (await wait(a.inbox.get()))["body"] == "and back"
        # both the server and the other client answer pings
        await wait(a["xep_0199"].ping("localhost", timeout=DEADLINE))
        await wait(a["xep_0199"].ping(b.boundjid, timeout=DEADLINE))
        info = await wait(a["xep_0030"].get_info("localhost"))
        assert "urn:xmpp:ping" in info["disco_info"]["features"]
        version = await wait(a["xep_0092"].get_version("localhost"))
        assert version["software_version"]["name"]
        time = await wait(a["xep_0202"].get_entity_time("localhost"))
        assert time.xml.find("{urn:xmpp:time}time/{urn:xmpp:time}utc").text  # read raw: the plugin adds a second Z
        assert (await wait(a["xep_0012"].get_last_activity("localhost")))["last_activity"]["seconds"] >= 0
        await a.leave()
        await b.leave()

    run(talk())


def test_presence_between_resources(server, run):
    name = server.register()

    async def see():
        a, b = [Client(f"{name}@localhost/{r}") for r in ("one", "two")]
        await a.enter(server.c2s)
        await b.enter(server.c2s)
        b.send_presence(pshow="away", pstatus="lunch")
        while True:
            p = await wait(a.presences.get())
            if p["from"] == b.boundjid and p["status"] == "lunch":
                break
        assert p["show"] == "away"
        await a.leave()
        await b.leave()

    run(see())


def test_wrong_password(server, run):
    name = server.register()

    async def fail():
        c = Client(f"{name}@localhost/x")
        c.password = c.credentials["password"] = "wrong"
        c.dial(server.c2s)
        await wait(c.failed)
        c.abort()

    run(fail())


def test_message_to_nobody_bounces(server, run):
    name = server.register()

    async def bounce():
        c = Client(f"{name}@localhost/x")
        errors = asyncio.Queue()
        c.add_event_handler("message_error", errors.put_nowait)
        await c.enter(server.c2s)
        c.send_message(mto="nobody@localhost", mbody="?", mtype="chat")
        assert (await wait(errors.get()))["error"]["condition"] == "service-unavailable"
        await c.leave()

    run(bounce())
