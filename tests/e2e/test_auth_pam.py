"""auth_method pam: a real PAM with service files of the test's own; what happens when a module crashes, hangs, or cannot tell; several
methods in order. Accounts that "exist" are the machine's own, which are only looked at."""
import os
import pathlib
import stat

import pytest

from server import ApiError
from xmppstream import until

# Asked by pam_exec for each login: the password is a line of the file "passwords". Names say what else it does.
PROGRAM = r"""#!/usr/bin/python3 -SE
import os, signal, sys
folder, user = os.path.dirname(sys.argv[0]), os.environ["PAM_USER"]
password = sys.stdin.buffer.read().rstrip(b"\0").decode()
with open(folder + "/seen", "a") as f:
    f.write(f"{user} {os.getppid()}\n")
if user == "bin":
    os.kill(os.getppid(), signal.SIGKILL)
if user == "games":
    signal.alarm(30)
    signal.pause()
sys.exit(f"{user} {password}" not in open(folder + "/passwords").read().splitlines())
"""
EXEC = "auth required pam_exec.so expose_authtok quiet {folder}/program\n"
SERVICES = {
    "ejabberd": EXEC + "account required pam_unix.so\naccount required pam_listfile.so item=user sense=deny file={folder}/locked\n",
    "jid": EXEC + "account required pam_permit.so\n",
}
# What modules may answer: to the password, and about the account.
ANSWERS = {"good": ("success", "success"), "bad": ("auth_err", "success"), "unknown": ("user_unknown", "user_unknown"),
           "tries": ("maxtries", "success"), "old": ("success", "new_authtok_reqd"), "gone": ("success", "acct_expired"),
           "away": ("authinfo_unavail", "authinfo_unavail"), "broken": ("service_err", "service_err"),
           "half": ("success", "authinfo_unavail")}
HOSTS = {"pam.test": {"auth_method": ["pam"]}, "jid.test": {"auth_method": ["pam"], "pam_service": "jid", "pam_userinfotype": "jid"},
         "missing.test": {"auth_method": ["pam"], "pam_service": "nothing"},
         "both.test": {"auth_method": ["pam", "internal"]}, "turned.test": {"auth_method": ["internal", "pam"]},
         "awayboth.test": {"auth_method": ["pam", "internal"], "pam_service": "away"},
         "strangers.test": {"auth_method": ["pam", "anonymous"], "anonymous_protocol": "login_anon"},
         "gonestrangers.test": {"auth_method": ["pam", "anonymous"], "anonymous_protocol": "login_anon", "pam_service": "gone"},
         "awaystrangers.test": {"auth_method": ["pam", "anonymous"], "anonymous_protocol": "login_anon", "pam_service": "away"},
         **{f"{a}.test": {"auth_method": ["pam"], "pam_service": a} for a in ANSWERS}}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pam")
    program = folder / "program"
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "passwords").write_text("daemon pass:word ü\nsys changed\nann@jid.test hers\nmail own\nnobodyatall x\nbin x\ngames x\n")
    (folder / "locked").write_text("mail\n")
    (folder / "locked").chmod(0o644)
    (folder / "seen").write_text("")
    services = folder / "pam.d"
    services.mkdir()
    for name, text in SERVICES.items():
        (services / name).write_text(text.format(folder=folder))
    for name, (auth, account) in ANSWERS.items():
        (services / name).write_text(f"auth required pam_debug.so auth={auth}\naccount required pam_debug.so acct={account}\n")
    os.environ["CJABBERD_PAM_CONFDIR"] = str(services)
    yield folder
    del os.environ["CJABBERD_PAM_CONFDIR"]


def configure(config):
    config["hosts"] += list(HOSTS)
    config["host_config"] = HOSTS


def attempt(server, streams, user, password, host="pam.test"):
    s = streams(server.stream(to=host))
    s.open_features()
    s.auth_raw("PLAIN", f"\0{user}\0{password}".encode())
    return s


def enters(server, streams, user, password, host="pam.test"):
    s = attempt(server, streams, user, password, host)
    s.expect_success()
    s.open_features()
    assert s.bind().startswith(f"{user}@{host}/")


def refused(server, streams, user, password, host="pam.test", condition="not-authorized"):
    attempt(server, streams, user, password, host).expect_failure(condition)


def test_offer(server, streams):
    """PAM has no keys: only passwords make sense."""
    s = streams(server.stream(to="pam.test"))
    assert {el.text for el in s.open_features().iter() if el.tag.endswith("}mechanism")} == {"PLAIN", "X-OAUTH2"}


def test_login(server, streams):
    enters(server, streams, "daemon", "pass:word ü")
    refused(server, streams, "daemon", "pass:word")
    refused(server, streams, "sys", "pass:word ü")


def test_name_that_nobody_has(server, streams):
    """The account phase decides too: the machine does not know the name."""
    refused(server, streams, "nobodyatall", "x")
    assert server.api("check_account", user="nobodyatall", host="pam.test") == 1
    assert server.api("check_account", user="daemon", host="pam.test") == 0


def test_locked_account(server, streams):
    """Right password, but the account may not be used; its name is taken all the same."""
    refused(server, streams, "mail", "own")
    assert server.api("check_account", user="mail", host="pam.test") == 0


def test_changed_password_counts_at_once(server, streams, folder):
    enters(server, streams, "sys", "changed")
    (folder / "passwords").write_text((folder / "passwords").read_text().replace("sys changed", "sys again"))
    refused(server, streams, "sys", "changed")
    enters(server, streams, "sys", "again")


def test_whole_address_as_name(server, streams):
    """Option pam_userinfotype."""
    enters(server, streams, "ann", "hers", "jid.test")
    refused(server, streams, "ann", "hers", "pam.test")


def test_accounts_cannot_be_changed(server):
    with pytest.raises(ApiError):
        server.api("change_password", user="daemon", host="pam.test", newpass="x")
    with pytest.raises(ApiError):
        server.api("register", user="new", host="pam.test", password="x")


@pytest.mark.parametrize("host, condition", [("bad", "not-authorized"), ("unknown", "not-authorized"), ("tries", "not-authorized"),
                                             ("old", "not-authorized"), ("gone", "not-authorized"),
                                             ("away", "temporary-auth-failure"), ("broken", "temporary-auth-failure"),
                                             ("half", "temporary-auth-failure"), ("missing", "temporary-auth-failure")])
def test_answers_of_modules(server, streams, host, condition):
    """RFC 6120 §6.5: a service that cannot tell is no wrong password."""
    refused(server, streams, "ann", "any", f"{host}.test", condition)


def test_good_answer(server, streams):
    enters(server, streams, "ann", "any", "good.test")


def test_module_that_crashes(server, streams):
    """It takes its process along (as here its program does), not the server's; the next question finds another one."""
    refused(server, streams, "bin", "x", condition="temporary-auth-failure")
    enters(server, streams, "daemon", "pass:word ü")


def test_module_that_hangs(server, streams, folder):
    """Others go on meanwhile; the process with the module is ended."""
    s = attempt(server, streams, "games", "x")
    until(lambda: "games " in (folder / "seen").read_text(), "the module to be asked")
    enters(server, streams, "daemon", "pass:word ü")
    s.expect_failure("temporary-auth-failure")
    pid = next(l.split()[1] for l in (folder / "seen").read_text().splitlines() if l.startswith("games "))
    until(lambda: not running(pid), "the process to be gone")


def running(pid):
    """A dead one may wait for an init that this machine does not have."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("host", ["both.test", "turned.test"])
def test_several_methods(server, streams, host):
    """The next method is asked whatever the one before says, but nobody comes in with a password that none of them takes."""
    user = server.register(host=host)
    enters(server, streams, user, "secret", host)
    enters(server, streams, "daemon", "pass:word ü", host)
    refused(server, streams, user, "pass:word ü", host)
    refused(server, streams, "daemon", "secret", host)


def test_out_of_reach_beside_accounts(server, streams):
    """A right password of another method is right; of a wrong one nobody can say that it is wrong."""
    host = "awayboth.test"
    with pytest.raises(ApiError):  # it may be an account there
        server.api("register", user="ann", host=host, password="secret")
    refused(server, streams, "ann", "any", host, "temporary-auth-failure")


def test_strangers_have_no_account_s_name(server, streams):
    """anonymous_protocol login_anon: a name of PAM's, or one that cannot be asked about, is not for strangers."""
    enters(server, streams, "stranger", "any", "strangers.test")
    refused(server, streams, "daemon", "wrong", "strangers.test")
    refused(server, streams, "mail", "wrong", "strangers.test")
    refused(server, streams, "ann", "any", "gonestrangers.test")
    refused(server, streams, "ann", "any", "awaystrangers.test", "temporary-auth-failure")


@pytest.mark.parametrize("service", ["../shadow", "a/b", ""])
def test_service_that_is_no_name(new_server, service):
    server = new_server().start()
    server.config["host_config"] = {"localhost": {"auth_method": ["pam"], "pam_service": service}}
    server.write_config()
    status, body = server.api_raw("reload_config", "{}")
    assert status == 400 and "pam_service" in body
