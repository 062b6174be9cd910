"""Devices of people: other people's client libraries, each in a process of its own (agents/), and networks that fail.

An agent obeys: register, login, reconnect (after `lost`; the result says whether the session was resumed), leave, roster,
set_item, remove_item, presence, chat (asks for a receipt, may be marked), displayed, carbons, block, unblock, blocked, set_vcard,
vcard, set_bookmarks, bookmarks, last, csi, ping, features, set_password, remove_account. What the library refuses to understand
never becomes an event or an answer: the test waits for it in vain.
"""
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from server import free_port, own_ip
from xmppstream import DEADLINE

AGENTS = pathlib.Path(__file__).parent / "agents"
NODE = AGENTS.parents[2] / "build-js" / "node"  # scripts/jsenv
STACKS = {
    "slixmpp": [sys.executable, "-B", AGENTS / "slix.py"],
    "nbxmpp": [sys.executable, "-B", AGENTS / "nbx.py"],
    "xmppjs": [NODE, AGENTS / "xmppjs.mjs"],
}


class Refused(AssertionError):
    """The server answered with this condition."""


class Wire:
    """The network of one device: an address that leads to the server until it is cut."""

    def __init__(self, server_address):
        self.there, self.whole, self.pairs, self.lock = server_address, True, [], threading.Lock()
        self.address = (own_ip(), free_port())
        self.listener = socket.create_server(self.address)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                try:
                    there = socket.create_connection(self.there) if self.whole else None
                except OSError:
                    there = None
                if there is None:
                    here.close()
                    continue
                self.pairs += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one, other):
        try:
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            for s in (one, other):
                self._reset(s)

    @staticmethod
    def _reset(s):
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def cut(self):
        """Everything under way is lost, and nobody gets through any more."""
        with self.lock:
            self.whole = False
            for s in self.pairs:
                self._reset(s)
            self.pairs.clear()

    def mend(self):
        with self.lock:
            self.whole = True

    def close(self):
        self.cut()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Device:
    def __init__(self, stack, server, folder, name, direct=False):
        self.server, self.direct, self.name = server, direct, f"{name} ({stack})"
        self.wire = Wire(server.tls if direct else server.c2s)
        self.ca = str(server.cert.with_suffix(".crt"))
        self.events, self.answers, self.orders, self.rest, self.log = [], {}, 0, b"", []
        self.said = folder / f"{name}-{stack}.stderr"
        with open(self.said, "wb") as err:
            self.process = subprocess.Popen(list(map(str, STACKS[stack])), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=err, env={**os.environ, "NODE_EXTRA_CA_CERTS": self.ca})
        self.jid = None

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.wire.close()

    def words(self):
        return "\n".join(self.log)[-6000:] + f"\n--- {self.name} says\n{self.said.read_text(errors='replace')[-3000:]}"

    # --- what it says ---

    def _read(self, end, what):
        poll = select.poll()
        poll.register(self.process.stdout, select.POLLIN)
        if not poll.poll(max(0, end - time.monotonic()) * 1000):
            raise AssertionError(f"{self.name}: never came: {what}\n{self.words()}")
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        if not data:
            raise AssertionError(f"{self.name} ended\n{self.words()}")
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.log.append(f"< {line.decode()}")
            words = json.loads(line)
            if "event" in words:
                self.events.append(words)
            else:
                self.answers[words["n"]] = words

    def expect(self, event, **like):
        """The first event of the kind that has these values; others stay for later."""
        end = time.monotonic() + DEADLINE
        while True:
            for i, e in enumerate(self.events):
                if e["event"] == event and all(e.get(k) == v for k, v in like.items()):
                    return self.events.pop(i)
            self._read(end, f"{event} {like}")

    def expect_message(self, body, **like):
        return self.expect("message", body=body, **like)

    def expect_presence(self, from_, **like):
        return self.expect("presence", **{"from": from_, "type": None, **like})

    def forget(self):
        """Everything up to now; a round trip shows that it is all."""
        self.do("ping", jid=self.jid.partition("@")[2].partition("/")[0])
        self.events.clear()

    def seen(self, event, **like):
        return [e for e in self.events if e["event"] == event and all(e.get(k) == v for k, v in like.items())]

    # --- what it is told ---

    def do(self, order, **args):
        self.orders += 1
        line = json.dumps({"n": self.orders, "do": order, **args})
        self.log.append(f"> {line}")
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        end = time.monotonic() + DEADLINE
        while self.orders not in self.answers:
            self._read(end, f"an answer to {line}")
        answer = self.answers.pop(self.orders)
        if "refused" in answer:
            raise Refused(answer["refused"])
        assert "result" in answer, f"{self.name}: {answer}\n{self.words()}"
        return answer["result"]

    def _where(self):
        return {"address": list(self.wire.address), "direct": self.direct, "ca": self.ca}

    def register(self, jid, password):
        self.do("register", jid=jid, password=password, **self._where())

    def login(self, jid, password, resource):
        self.entered = self.do("login", jid=jid, password=password, resource=resource, **self._where())
        self.jid, self.bare = self.entered["jid"], jid
        assert self.jid.startswith(f"{jid}/{resource}")  # with Bind 2 it is the beginning only (XEP-0386 §4)
        return self

    def reconnect(self):
        """After `lost`; whether it is the same session again."""
        self.entered = result = self.do("reconnect")
        assert result["jid"] == self.jid
        return result["resumed"]

    def chat(self, to, body, id):
        self.do("chat", to=to, body=body, id=id)
