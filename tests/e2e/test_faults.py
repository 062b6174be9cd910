"""Every kind of write (faults.py) in trouble: the database locked by somebody else, the disk full, the file read-only, a statement
failing half way, kill -9. What was acknowledged is there, what was refused has left nothing behind and was told to whoever asked,
nothing is half done or done twice, and all goes on by itself when the trouble is over."""
import concurrent.futures
import contextlib
import ctypes
import sqlite3
import subprocess
import threading

import pytest

import faults
from faults import about, broken_table, changed, database, full, likeness, locked, opened, shares
from server import Server
from xmppstream import DEADLINE, until

configure = faults.configure
EACH = pytest.mark.parametrize("kind", faults.KINDS, ids=[k.name for k in faults.KINDS])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("server"), configure, allow_errors=True)
    s.start()
    yield s
    try:
        assert s.alive(), f"the server ended by itself\n{s.words()}"
        s.stop()
    finally:
        s.give_up()


def state(server, work):
    with opened(server) as db:
        return about(db, work.names)


def settled(like):
    """Rows of streams come and go in their own time."""
    return {t: rows for t, rows in like.items() if t not in faults.STREAMS}


def expect_refused(kind, answer):
    """Somebody was told, with words, and that it is the server's fault: what he asked is as good as before."""
    assert answer is not None, f"{kind.name} was acknowledged"
    if isinstance(answer[0], int):
        # COMPAT: privacy_set says 1, and why in a header
        assert answer[0] in (500, 503) and answer[1] or answer[:2] == (200, "1") and answer[2] == "Database failure", answer
    else:
        assert answer[1] in ("internal-server-error", "resource-constraint") and answer[2], answer


def expect_nothing_done(kind, before, server, work):
    after = state(server, work)
    assert not changed(before, after), f"{kind.name} left something behind in {changed(before, after)}: {after}"


def expect_done(kind, control, server, work):
    assert settled(likeness(state(server, work), work.names)) == control, f"{kind.name}: {state(server, work)}"


def control_of(kind, server, streams):
    """What it looks like when it is done, and which tables it changes."""
    work = kind.make(server, streams)
    before = state(server, work)
    assert work.do() is None
    after = state(server, work)
    return settled(likeness(after, work.names)), changed(before, after)


@EACH
def test_disk_full(server, streams, kind):
    """Nothing more can be written to any file: told, nothing done; with room again it goes on by itself."""
    control, _ = control_of(kind, server, streams)
    work = kind.make(server, streams)
    before = state(server, work)
    with full(server):
        expect_refused(kind, work.do())
    expect_nothing_done(kind, before, server, work)
    assert work.do() is None
    expect_done(kind, control, server, work)


def test_no_room_left(tmp_path, new_server, streams):
    """The spool on a file system of its own that fills up. Where mounting is not allowed: a limit of file sizes once more."""
    server = new_server(configure, allow_errors=True)
    with faults.small_disk(server) as disk:
        server.start()
        controls = [control_of(k, server, streams)[0] for k in faults.KINDS]
        works = [k.make(server, streams) for k in faults.KINDS]
        before = [state(server, w) for w in works]
        with disk.full():
            for k, w in zip(faults.KINDS, works):
                expect_refused(k, w.do())
            assert server.api("registered_users", host="localhost")
        for k, w, b, c in zip(faults.KINDS, works, before, controls):
            expect_nothing_done(k, b, server, w)
            assert w.do() is None, k.name
            expect_done(k, c, server, w)
        done = [state(server, w) for w in works]
        server.kill()
        server.start()
        for k, w, d in zip(faults.KINDS, works, done):
            expect_nothing_done(k, d, server, w)
        with opened(server) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        server.stop()


@EACH
def test_half_way(server, streams, kind):
    """One of the tables that are changed cannot be: neither are the others."""
    control, tables = control_of(kind, server, streams)
    assert tables
    for table in tables:
        work = kind.make(server, streams)
        before = state(server, work)
        with broken_table(server, table):
            expect_refused(kind, work.do())
        expect_nothing_done(kind, before, server, work)
        assert work.do() is None, table
        expect_done(kind, control, server, work)


def test_locked(server, streams):
    """Another process holds the database for longer than the server waits: all are told."""
    controls = [control_of(k, server, streams)[0] for k in faults.KINDS]
    works = [k.make(server, streams) for k in faults.KINDS]
    before = [state(server, w) for w in works]
    with concurrent.futures.ThreadPoolExecutor(len(works)) as pool:
        with locked(server):
            answers = list(pool.map(lambda w: w.do(), works))
    for k, w, b, answer in zip(faults.KINDS, works, before, answers):
        expect_refused(k, answer)
        expect_nothing_done(k, b, server, w)
    for k, w, c in zip(faults.KINDS, works, controls):
        assert w.do() is None, k.name
        expect_done(k, c, server, w)


@pytest.mark.parametrize("answers", [3, 15, 35, 60])
def test_killed_in_the_middle(new_server, streams, answers):
    """kill -9 while all kinds of writes are under way: what was answered is there, what was not is there as a whole or not at all."""
    server = new_server(configure).start()
    controls, works = {}, []
    for k in (k for k in faults.KINDS if k.name not in faults.ALONE):
        work = k.make(server, streams)
        before = shares(likeness(state(server, work), work.names))
        assert work.do() is None
        controls[k.name] = before, shares(likeness(state(server, work), work.names))
        works += [(k, k.make(server, streams)) for _ in range(2)]
    done, enough = [], threading.Semaphore(0)

    def run(item):
        with contextlib.suppress(Exception):  # the server ends in the middle of the conversation
            if item[1].do() is None:
                done.append(item)
        enough.release()
    with concurrent.futures.ThreadPoolExecutor(len(works)) as pool:
        for item in works:
            pool.submit(run, item)
        for _ in range(answers):
            enough.acquire()
        acknowledged = list(done)
        server.kill()
    server.start()
    for item in works:
        k, work = item
        before, after = controls[k.name]
        now = shares(likeness(state(server, work), work.names))
        for owner in {*before, *after, *now}:
            allowed = [after.get(owner)] if item in acknowledged else [before.get(owner), after.get(owner)]
            assert now.get(owner) in allowed, (k.name, item in acknowledged, *(
                sorted(set(map(str, now.get(owner) or [])) ^ set(map(str, a or []))) for a in allowed))


def test_file_read_only_at_start(new_server):
    """A server that cannot write says so, and which file, instead of serving; with the rights back it starts."""
    server = new_server(configure, allow_errors=True).start()
    user = server.register()
    server.stop()
    file = database(server)
    command = server.command()
    file.chmod(0o444)
    r = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, preexec_fn=like_anybody)
    assert r.returncode == 1 and str(file) in r.stderr and "read-only" in r.stderr, r
    file.chmod(0o644)
    server.start()
    assert server.api("check_account", user=user, host="localhost") == 0


def like_anybody():
    """Root may write where nobody may (CAP_DAC_OVERRIDE, capabilities(7)); not after this, in programs that are started."""
    ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP


def test_file_becomes_read_only(new_server, streams):
    """While the server runs: every write is refused, reads go on. Here by the file's own mark (SQLite file format, §1.3.3)."""
    server = new_server(configure, allow_errors=True).start()
    works = [k.make(server, streams) for k in faults.KINDS]
    before = [state(server, w) for w in works]
    mark_read_only(server, 3)
    for k, w, b in zip(faults.KINDS, works, before):
        expect_refused(k, w.do())
        expect_nothing_done(k, b, server, w)
    assert server.api("registered_users", host="localhost")
    mark_read_only(server, 2)
    server.stop()
    server.start()
    assert server.api("register", user="after", host="localhost", password="x")


def mark_read_only(server, version):
    """The version of the format that a program must know to write to the file."""
    with contextlib.closing(sqlite3.connect(database(server), isolation_level=None)) as db:
        if version == 3:
            db.execute(f"PRAGMA user_version = {db.execute('PRAGMA user_version').fetchone()[0]}")  # page 1 is read again
            assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    with open(database(server), "r+b") as f:
        f.seek(18)
        f.write(bytes([version]))


def test_a_new_account_starts_clean(server, streams):
    """Nothing of the account that had the name before, not even after its sessions have ended."""
    one, two = faults.furnish(server, streams)
    settled_one = state(server, faults.Work([one.name], None))
    assert {"users", "last", "rosterusers", "rostergroups", "roster_version", "vcard", "vcard_search", "private_storage", "privacy_list",
            "privacy_list_data", "privacy_default_list", "sr_user", "oauth_token"} <= set(settled_one)
    faults.Sm(one).enable()
    two.message(one.jid, "not acknowledged")
    faults.settle(two, one.name)
    server.api("unregister", user=one.name, host="localhost")
    one.expect_stream_error("conflict")
    faults.settle(two, one.name)
    server.api("register", user=one.name, host="localhost", password="another")
    assert server.api("check_password", user=one.name, host="localhost", password="secret") == 1
    again = streams(server.login(one.name, "r", password="another"))
    assert faults.roster(again) == {}
    again.presence()
    again.expect_nothing()
    again.close()
    until(lambda: {t for t, rows in state(server, faults.Work([one.name], None)).items()
                   if any(r.get("username") == one.name or one.bare == r.get("jid") and t != "rosterusers" for r in rows)
                   } <= {"users", "last"}, "rows of the old account go")
    assert faults.roster(two)[one.bare] == ("none", None, None, [])
    assert server.api("get_last", user=one.name, host="localhost")["status"] != "x"


@pytest.mark.parametrize("pieces", [1, 7, 23])
def test_job_killed_in_the_middle(new_server, streams, pieces):
    """A batch job of delete_old_messages_batch after kill -9: its record says exactly what it has done, and it goes on to the end."""
    server, total = new_server(configure).start(), 60
    user = faults.account(server)
    s = faults.session(server, streams)
    for i in range(total):
        s.message(f"{user}@localhost", f"waits {i}")
    faults.settle(s, user)

    def waiting():
        return server.api("get_offline_count", user=user, host="localhost")
    assert waiting() == total
    assert server.api("delete_old_messages_batch", host="localhost", days=0, batch_size=1, rate=6000) == ""
    until(lambda: total - waiting() >= pieces, "the job does not begin")
    server.kill()
    with opened(server) as db:
        left = db.execute("SELECT count(*) FROM spool").fetchone()[0]
        state, done = db.execute("SELECT state, done FROM cj_job").fetchone()
    assert done == total - left and state == (0 if left else state)
    server.start()
    until(lambda: server.api("delete_old_messages_status", host="localhost") ==
          f"Operation was completed after deleting {total} messages", "the job does not go on")
    assert waiting() == 0


def test_job_in_trouble(new_server, streams):
    """The record and what it speaks of stay together when either cannot be written; the job goes on when it can."""
    server = new_server(configure, allow_errors=True).start()
    user = faults.waiting(server, streams, 4)
    with broken_table(server, "cj_job"):
        assert faults.call(server, "delete_old_messages_batch", host="localhost", days=0, batch_size=1, rate=1)[0] == 503
    assert server.api("delete_old_messages_status", host="localhost") == "Operation not started"
    with full(server):
        assert faults.call(server, "delete_old_messages_batch", host="localhost", days=0, batch_size=1, rate=1)[0] in (500, 503)
    server.api("delete_old_messages_batch", host="localhost", days=0, batch_size=1, rate=1)
    until(lambda: "deleted 1 messages" in server.api("delete_old_messages_status", host="localhost"), "the job does not begin")
    with full(server):
        assert faults.call(server, "abort_delete_old_messages", host="localhost")[0] in (500, 503)
    assert "in progress" in server.api("delete_old_messages_status", host="localhost")
    assert server.api("abort_delete_old_messages", host="localhost") == "Operation aborted"
    assert server.api("delete_old_messages_status", host="localhost") == "Operation was aborted after deleting 1 messages"
    assert server.api("get_offline_count", user=user, host="localhost") == 3
