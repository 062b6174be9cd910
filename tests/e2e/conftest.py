"""Fixtures. A module's tests share one running server and are kept apart by accounts of their own; tests that stop, reload or
configure a server start one for themselves. No test sleeps, none asserts how long something took."""
import contextlib
import importlib.util
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import points  # noqa: E402
from server import BINARY, Server  # noqa: E402

# Debian 13 has no aioxmpp any more; test_strophe.py is the second client library's test on every release.
collect_ignore = [] if importlib.util.find_spec("aioxmpp") else ["test_aioxmpp.py"]
# Builds without fault points cannot end where these want it; scripts/test sees to it that one with them has run.
if not points.COMPILED_IN:
    collect_ignore += points.TESTS


def pytest_sessionstart(session):
    # A run in the background of a shell ignores it, and so would every program started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not BINARY.exists():
        raise pytest.UsageError(f"{BINARY} is missing: build it, or name the build folder in CJABBERD_BUILD")


@pytest.fixture(scope="module")
def server(request, tmp_path_factory):
    """The module's server; a module may define `configure(config)` to change its configuration."""
    s = Server(tmp_path_factory.mktemp("server"), getattr(request.module, "configure", None))
    s.start()
    yield s
    try:
        assert s.alive(), f"the server ended by itself\n{s.words()}"
        s.stop()
    finally:
        s.give_up()


@pytest.fixture
def new_server(tmp_path):
    """new_server(change=None) makes one that is not started yet; it is stopped and checked at the end."""
    made = []

    def make(change=None, **options):
        s = Server(tmp_path / f"server{len(made)}", change, **options)
        made.append(s)
        return s

    yield make
    with contextlib.ExitStack() as stack:
        for s in made:
            stack.callback(s.give_up)
        for s in made:
            if s.process is not None:
                s.stop()


@pytest.fixture
def streams():
    """streams(stream) has the stream dropped at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda s: stack.enter_context(s)
