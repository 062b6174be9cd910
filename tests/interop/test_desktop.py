"""Programs people use, on desktops: Anna's talks with Ben, whose client is a library that tells what it sees."""
import time

import pytest

from desktop import Dino, Gajim, Psi
from device import Device, Wire
from server import PASSWORD, Server, unique
from test_day import MODULES

PATIENCE = 200  # Dino 0.4 finds out that a connection broke by asking every minute
SOON = 5  # seconds in which what was typed into a window that is ready has arrived


@pytest.fixture
def server(tmp_path):
    def change(config):
        config["modules"].update(MODULES, mod_caps={}, mod_stream_mgmt={"resume_timeout": 300, "resend_on_timeout": "if_offline"})
        config["auth_password_format"] = "scram"
        config["registration_timeout"] = "infinity"
        config["listen"][0]["starttls_required"] = True
        del config["listen"][0]["starttls"]

    with Server(tmp_path / "server", change) as s:
        yield s


@pytest.fixture
def device(server, tmp_path):
    made = []

    def make(user, resource):
        made.append(Device("slixmpp", server, tmp_path, f"{user}-{resource}"))
        return made[-1].login(f"{user}@localhost", PASSWORD, resource)

    yield make
    for d in made:
        d.close()


@pytest.fixture
def friends(server):
    """Two accounts that see each other's presence."""
    names = server.register("anna"), server.register("ben")
    for one, other in (names, names[::-1]):
        server.api("add_rosteritem", localuser=one, localhost="localhost", user=other, host="localhost", nick=other.title(), groups=[],
                   subs="both")
    return names


@pytest.fixture
def program(server, friends, request):
    wire = Wire(server.c2s)
    p = request.param(server, wire, *friends)
    yield p
    p.close()
    wire.close()


def heard_by(ben):
    """Whether a message came, or comes soon."""
    def heard(words):
        end = time.monotonic() + SOON
        while not ben.seen("message", body=words) and time.monotonic() < end:
            ben.do("ping", jid="localhost")
        return bool(ben.seen("message", body=words))
    return heard


def told(ben, program, words):
    """A message to whichever device of Anna's; the program says it has it (XEP-0184) and keeps it, once."""
    id_ = unique("told")
    ben.chat(program.jid, words, id_)
    ben.expect("message", receipt=id_)
    program.until(lambda: program.kept(words), f"{words} on disk")
    assert program.kept(words) == 1


def sessions(server, user):
    return [s["resource"] for s in server.api("user_sessions_info", user=user, host="localhost")]


@pytest.mark.parametrize("program", [Dino, Gajim, Psi], indirect=True, ids=lambda p: p.__name__)
def test_a_desktop_program(program, server, friends, device):
    anna, ben_name = friends
    ben = device(ben_name, "phone")
    ben.do("presence")
    program.start()
    program.until(lambda: program.resource in sessions(server, anna), "its session")
    ben.expect_presence(f"{program.jid}/{program.resource}")

    told(ben, program, "hello <b> & more")
    words = program.say("typed on a keyboard", heard_by(ben))
    program.until(lambda: program.kept(words) == 1, "what was typed, on disk")

    # XEP-0280: what Anna says and hears elsewhere
    other = device(anna, "tablet")
    other.do("presence")
    other.do("carbons")
    other.chat(ben.bare, "from my tablet", unique("tablet"))
    program.until(lambda: program.kept("from my tablet") == 1, "what another device said")
    ben.chat(other.jid, "to your tablet", unique("tablet"))
    program.until(lambda: program.kept("to your tablet") == 1, "what another device heard")
    other.do("leave")

    # XEP-0198: the network is gone for a moment, and meanwhile the power of the server
    program.wire.cut()
    server.api("send_message", type="chat", **{"from": ben.bare}, to=program.jid, subject="", body="said in a tunnel")  # and it is safe
    server.kill()
    server.start()
    ben.expect("lost")
    ben.reconnect()
    program.wire.mend()
    ben.chat(program.jid, "after the power failed", unique("power"))
    for words in ("said in a tunnel", "after the power failed"):
        program.until(lambda: program.kept(words), words, PATIENCE)
        assert program.kept(words) == 1
    told(ben, program, "all is well")

    # XEP-0160
    program.quit()
    for n in range(3):
        ben.chat(program.jid, f"while you were away {n}", unique("away"))
    program.start()
    for n in range(3):
        program.until(lambda: program.kept(f"while you were away {n}"), f"waiting message {n}")
    told(ben, program, "welcome back")
    for n in range(3):
        assert program.kept(f"while you were away {n}") == 1
    assert server.api("get_offline_count", user=anna, host="localhost") == 0
