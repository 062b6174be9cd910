"""Other people's TLS against both record layers of the server. Servers, accounts and streams are those of tests/e2e."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

from peers import Https  # noqa: E402
from server import BINARY, Server  # noqa: E402


def pytest_sessionstart(session):
    if not BINARY.exists():
        raise pytest.UsageError(f"{BINARY} is missing: build it, or name the build folder in CJABBERD_BUILD")


@pytest.fixture(scope="session", params=["own", "openssl"])
def server(request, tmp_path_factory):
    """One server for each record layer, with a listener for HTTPS; its accounts are cheap to log in."""
    def change(config):
        config["tls_record_layer"] = request.param
        config["auth_password_format"] = "plain"

    s = Server(tmp_path_factory.mktemp("server"), change)
    s.https = Https(s)
    s.start()
    yield s
    try:
        assert s.alive(), f"the server ended by itself\n{s.words()}"
        s.stop()
    finally:
        s.give_up()


@pytest.fixture
def new_server(tmp_path):
    """new_server() makes one of the test's own that is not started yet."""
    made = []

    def make():
        made.append(Server(tmp_path / f"server{len(made)}"))
        return made[-1]

    yield make
    try:
        for s in made:
            s.stop()
    finally:
        for s in made:
            s.give_up()


@pytest.fixture
def peer(request, tmp_path):
    """peer(kind, server, ...) is ended with the test."""
    made = []

    def make(kind, *args, **options):
        p = kind(tmp_path, *args, **options)
        made.append(p)
        return p

    yield make
    for p in made:
        p.kill()
