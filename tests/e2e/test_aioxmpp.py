"""aioxmpp: a second client library, written independently of slixmpp, stricter about the standards. Its own presence and
roster machinery is left out: without a roster there is nothing for it to fetch."""
import asyncio

import aiosasl
import aioxmpp
import aioxmpp.connector
import aioxmpp.dispatcher
import pytest

from server import PASSWORD
from xmppstream import DEADLINE


async def wait(what):
    return await asyncio.wait_for(what, DEADLINE)


@pytest.fixture
def run():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop.run_until_complete
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
    loop.close()
    asyncio.set_event_loop(None)


def client(server, user, resource, direct=False):
    security = aioxmpp.make_security_layer(PASSWORD, no_verify=True)
    connector = aioxmpp.connector.XMPPOverTLSConnector() if direct else aioxmpp.connector.STARTTLSConnector()
    address = server.tls if direct else server.c2s
    return aioxmpp.Client(aioxmpp.JID(user, "localhost", resource), security, override_peer=[(address[0], address[1], connector)])


class Inbox:
    """Messages of a connected client."""

    def __init__(self, c):
        self.queue = asyncio.Queue()
        c.summon(aioxmpp.dispatcher.SimpleMessageDispatcher).register_callback(None, None, self.queue.put_nowait)

    async def get(self):
        return await wait(self.queue.get())


def message(to, body):
    msg = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=to)
    msg.body[None] = body
    return msg


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
def test_two_clients_talk(server, run, direct):
    names = [server.register() for _ in range(2)]

    async def talk():
        a, b = [client(server, n, "aio", direct) for n in names]
        async with a.connected(), b.connected():
            inbox_a, inbox_b = Inbox(a), Inbox(b)
            await wait(a.send(message(b.local_jid, "hello ✓ <b>")))
            got = await inbox_b.get()
            assert (got.body.any(), got.from_) == ("hello ✓ <b>", a.local_jid)
            await wait(b.send(message(a.local_jid, "and back")))
            assert (await inbox_a.get()).body.any() == "and back"
            await wait(aioxmpp.ping.ping(a, aioxmpp.JID.fromstr("localhost")))
            info = await wait(a.summon(aioxmpp.DiscoClient).query_info(aioxmpp.JID.fromstr("localhost")))
            assert "urn:xmpp:ping" in info.features
            assert ("server", "im") in {(i.category, i.type_) for i in info.identities}
            assert await wait(aioxmpp.version.query_version(a, aioxmpp.JID.fromstr("localhost")))

    run(talk())


def test_error_reply(server, run):
    async def ask():
        a = client(server, server.register(), "aio")
        async with a.connected():
            with pytest.raises(aioxmpp.errors.XMPPCancelError) as e:
                await wait(aioxmpp.ping.ping(a, aioxmpp.JID.fromstr("nobody@localhost/none")))
            assert e.value.condition == aioxmpp.ErrorCondition.SERVICE_UNAVAILABLE

    run(ask())


def test_wrong_password(server, run):
    name = server.register()

    async def fail():
        c = client(server, name, "aio")
        c._security_layer = aioxmpp.make_security_layer("wrong", no_verify=True)
        with pytest.raises(aiosasl.AuthenticationFailure):
            async with c.connected():
                pass

    run(fail())
