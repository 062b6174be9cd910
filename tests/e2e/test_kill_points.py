"""Every kind of write (faults.py), and the process ends exactly before or behind the COMMIT that it waits for: what it writes is there as
a whole or not at all, and what was answered is there. For builds with fault points (-Dfaults=true)."""
import contextlib

import pytest

import faults
from faults import about, likeness, opened, shares
from points import Points


def state(server, work):
    with opened(server) as db:
        return shares(likeness(about(db, work.names), work.names))


def done_of(kind, server, streams):
    work = kind.make(server, streams)
    assert work.do() is None
    return state(server, work)


@pytest.mark.parametrize("kind", faults.KINDS, ids=[k.name for k in faults.KINDS])
def test_killed_at_the_commit(new_server, streams, kind):
    server = new_server(faults.configure)
    points = Points(server)
    server.start()
    after = done_of(kind, server, streams)
    for point in ("die_uncommitted", "die_committed"):
        work = kind.make(server, streams)
        before, answer = state(server, work), "none"
        points.arm(point)
        with contextlib.suppress(Exception):  # the server ends in the middle of the conversation
            answer = work.do()
        points.expect_death()
        server.start()
        now = state(server, work)
        for owner in {*before, *after, *now}:
            allowed = [after.get(owner)] if answer is None else [before.get(owner), after.get(owner)]
            assert now.get(owner) in allowed, (point, answer, now.get(owner), before.get(owner), after.get(owner))
