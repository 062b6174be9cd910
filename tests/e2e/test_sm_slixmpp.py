"""slixmpp's own stream management (plugin xep_0198): it loses its connection and comes back to the same session."""

import pytest

from test_slixmpp import Client, run, wait  # noqa: F401

pytest.importorskip("slixmpp")


def configure(config):
    config["modules"]["mod_stream_mgmt"] = {"resume_timeout": 60}


class Managed(Client):
    def __init__(self, jid):
        super().__init__(jid, ("xep_0199", "xep_0198"))
        self.resumed = self.future()
        self.add_event_handler("session_resumed", lambda _: self.resumed.done() or self.resumed.set_result(True))


def account(server):
    return f"{server.register()}@localhost"


def test_comes_back_after_a_lost_connection(server, run):  # noqa: F811
    async def go():
        a, b = Managed(account(server)), Client(account(server))
        await a.enter(server.c2s)
        await b.enter(server.c2s)
        assert a.plugin["xep_0198"].sm_id
        full = a.boundjid.full
        b.send_message(full, "one", mtype="chat")
        assert (await wait(a.inbox.get()))["body"] == "one"
        a.transport.abort()
        await wait(a.gone)
        for i in range(3):
            b.send_message(full, f"while away {i}", mtype="chat")
        a.dial(server.c2s)
        await wait(a.resumed)
        assert [(await wait(a.inbox.get()))["body"] for _ in range(3)] == [f"while away {i}" for i in range(3)]
        assert a.boundjid.full == full
        a.send_message(b.boundjid.full, "back", mtype="chat")
        assert (await wait(b.inbox.get()))["body"] == "back"
        assert a.inbox.empty()
        for c in (a, b):
            c.gone = c.future()
            await c.leave()
    run(go())
