"""Hostile input: each attack runs while a bystander pings. No ping may be lost, every refusal carries its stream error (asserted
inside the attacks), connections are let go, memory comes back. How long pings took is measured by hostile_report.py, not here."""
import os

import pytest

import attacks
from server import SANITIZED
from xmppstream import until

# Sanitizers are slow, and the same code is walked with fewer.
CONNECTS = int(os.environ.get("E2E_CONNECTS", 2000 if SANITIZED else 20000))
SCALE = 10 if SANITIZED else 1
ARGUMENTS = {
    "connects_and_drops": {"count": CONNECTS}, "half_open": {"count": 2000 // SCALE}, "stanza_flood": {"count": 30000 // SCALE},
    "presence_flood": {"count": 3000 // SCALE}, "byte_by_byte": {"count": 20 // min(SCALE, 4)}, "login_guessing": {"count": 400 // SCALE},
    "never_reading_answers": {"count": 200000 // SCALE},
}
# What pools and the allocator keep for the next storm.
MEMORY_SLACK = 4 << 20


@pytest.mark.parametrize("name", attacks.ALL)
def test_attack(server, name):
    attack = attacks.ALL[name]
    sockets = attacks.warm_up(server)
    with attacks.Bystander(server) as bystander:
        attack(server, **ARGUMENTS.get(name, {}))
        result = bystander.finish()
    assert result["lost"] == 0 and result["pings"] > 0, result
    attacks.settle(server, sockets)
    server.login().close()


@pytest.mark.parametrize("name", ["connects_and_drops", "half_open", "never_reading", "never_reading_answers", "huge_stanza", "stanza_flood"])
def test_memory_comes_back(new_server, name):
    """What is resident returns to where it was before the storms, by itself."""
    server = new_server().start()
    arguments = {**ARGUMENTS.get(name, {}), **({"count": CONNECTS // 4} if name == "connects_and_drops" else {})}
    sockets = attacks.warm_up(server)
    before = server.rss()
    for _ in range(3):
        attacks.ALL[name](server, **arguments)
        attacks.settle(server, sockets)
    if not SANITIZED:  # their quarantine keeps what is freed
        until(lambda: bool(server.api("status")) and server.rss() <= before + MEMORY_SLACK, f"memory: {before} before")
