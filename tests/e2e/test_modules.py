"""Contributed modules: the whole life through HTTP and the tool, failures that change nothing, traffic while modules are replaced."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import threading
import urllib.parse

import pytest

from server import BUILD, DEADLINE, ROOT, ApiError
from xmppstream import error_of, local, q, until

CONTRIB = ROOT / "contrib"

SOURCE = """\
#include "cjabberd/module.h"

static struct module NAME;
static unsigned starts[2];

static void on_start(unsigned host)
{
    __atomic_add_fetch(&starts[host], 1, __ATOMIC_RELAXED);
}

static void answer(struct iq *iq, const char *word)
{
    struct stanza *r = iq_result_new(iq);
    struct xml_el *el = xml_new_text(r->arena, S("word"), S("urn:example:NAME"));
    xml_append_text(r->arena, el, str_of(word));
    xml_attr_set_text(r->arena, el, S("starts"), arena_printf(r->arena, "%u", __atomic_load_n(&starts[iq->host], __ATOMIC_RELAXED)));
    xml_attr_set_text(r->arena, el, S("size"), arena_printf(r->arena, "%d", (int)opt_int(module_options(iq->host, &NAME), "size")));
    xml_append(r->el, el);
    iq_result(iq, r);
}

static void on_ask(struct iq *iq)
{
    answer(iq, "WORD");
}

static void on_wait(struct iq *iq) YIELDS;
static void on_wait(struct iq *iq)
{
    fiber_sleep(10);
    answer(iq, "WORD");
}

/* Every message carries who let it pass. */
static enum hook_verdict on_sent(struct stanza_event *e)
{
    if (e->stanza->kind == STANZA_MESSAGE) {
        struct xml_el *el = xml_new_text(e->stanza->arena, S("passed"), S("urn:example:NAME"));
        xml_append_text(e->stanza->arena, el, S("WORD"));
        xml_append(e->stanza->el, el);
    }
    return HOOK_PASS;
}

static const char *const features[] = {"urn:example:NAME", NULL};
static const struct iq_entry iqs[] = {{IQ_TO_SERVER, TOK_NONE, false, on_ask, "urn:example:NAME"},
                                      {IQ_TO_ACCOUNT, TOK_NONE, true, on_wait, "urn:example:NAME"}, {0}};
static const struct hook_entry hooks[] = {ON(stanza_sent, FILTER, on_sent), {0}};
static const struct opt_def options[] = {MODULE_OPTION("size", INT, "int(1,100)", "5"), {0}};

MODULE(NAME) = {.name = "NAME", .features = features, .iqs = iqs, .hooks = hooks, .options = options, .start = on_start};
"""


def write_module(folder, name="mod_probe", word="one", change=lambda s: s, size=None):
    """Sources of a module that answers with its word; returns its folder."""
    d = pathlib.Path(folder) / name
    (d / "src").mkdir(parents=True, exist_ok=True)
    (d / "module.yml").write_text(f"name: {name}\nauthor: tests\nsummary: Says {word}\n")
    (d / "src" / f"{name}.c").write_text(change(SOURCE.replace("NAME", name).replace("WORD", word)))
    if size is not None:
        (d / "conf").mkdir(exist_ok=True)
        (d / "conf" / f"{name}.yml").write_text(f"modules:\n  {name}:\n    size: {size}\n")
    return d


def sources(server):
    return server.spool / "modules" / "sources"


def installed(server, name="mod_probe"):
    return server.spool / "modules" / "installed" / name


def ask(stream, name="mod_probe", to="localhost"):
    """The module's word, or the error condition."""
    el = stream.iq(f"<word xmlns='urn:example:{name}'/>", to)
    return error_of(el)[1] if el.get("type") == "error" else el.find(f"{{urn:example:{name}}}word").text


def attribute(stream, attr, name="mod_probe"):
    return stream.iq(f"<word xmlns='urn:example:{name}'/>", "localhost").find(f"{{urn:example:{name}}}word").get(attr)


def refused(server, command, **args):
    """The text of a 400."""
    with pytest.raises(ApiError) as e:
        server.api(command, **args)
    assert e.value.status == 400, e.value
    return json.loads(e.value.body)


def reason(server, command, **args):
    """Result and X-Reason."""
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request("POST", f"/api/{command}", json.dumps(args))
        r = conn.getresponse()
        return json.loads(r.read()), urllib.parse.unquote(r.getheader("X-Reason") or "")
    finally:
        conn.close()


def get(server, path):
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request("GET", path)
        r = conn.getresponse()
        return r.status, r.read().decode()
    finally:
        conn.close()


def git(folder, *args):
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com", *args], check=True,
                   capture_output=True)


def use_sources(config, *places):
    config["contrib_modules_sources"] = [str(p) for p in places]


# --- the whole life ---

@pytest.mark.parametrize("kind", ["folder", "git"])
def test_whole_life(new_server, streams, tmp_path, kind):
    origin = tmp_path / "zoo"

    def publish(**options):
        write_module(origin, **options)
        if kind == "git":
            if not (origin / ".git").exists():
                git(origin, "init", "-q")
            git(origin, "add", "-A")
            git(origin, "commit", "-qm", "x")

    publish()
    s = new_server(lambda c: use_sources(c, origin)).start()
    ann = streams(s.login(presence=True))
    assert s.api("modules_available") == {} and ask(ann) == "service-unavailable"
    assert s.api("modules_update_specs") == 0
    assert s.api("modules_available") == {"mod_probe": "Says one"}
    assert not (sources(s) / "zoo" / ".git").exists()
    assert s.api("modules_installed") == {} and ask(ann) == "service-unavailable"

    assert s.api("module_install", module="mod_probe") == 0
    assert s.api("modules_installed") == {"mod_probe": "Says one"}
    assert ask(ann) == "one"  # the client never left
    info = ann.iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", "localhost")
    assert "urn:example:mod_probe" in {f.get("var") for f in info.iter() if local(f) == "feature"}
    bob = streams(s.login(presence=True))
    bob.message(ann.jid, "hello")
    assert ann.expect_message("hello").findtext("{urn:example:mod_probe}passed") == "one"
    assert refused(s, "module_install", module="mod_probe") == "conflict"

    s.stop()
    s.start()
    ann = streams(s.login(presence=True))
    assert ask(ann) == "one" and s.api("modules_installed") == {"mod_probe": "Says one"}

    publish(word="two")
    assert s.api("module_upgrade", module="mod_probe") == 0  # the sources here are still the old ones
    assert ask(ann) == "one"
    assert s.ctl("modules_update_specs").returncode == 0
    assert s.ctl("module_upgrade", "mod_probe").returncode == 0
    assert ask(ann) == "two" and s.ctl("modules_installed").stdout == "mod_probe\tSays two\n"

    publish(word="three", change=lambda t: t.replace("return HOOK_PASS", "return HOOK_PAST"))
    assert s.api("modules_update_specs") == 0
    words = refused(s, "module_upgrade", module="mod_probe")
    assert "mod_probe does not compile" in words and re.search(r"src/mod_probe\.c:\d+:\d+: error: .*HOOK_PAST", words)
    tool = s.ctl("module_upgrade", "mod_probe")
    assert tool.returncode == 1 and "HOOK_PAST" in tool.stdout
    assert ask(ann) == "two" and s.api("modules_installed") == {"mod_probe": "Says two"}

    assert s.api("module_uninstall", module="mod_probe") == 0
    assert ask(ann) == "service-unavailable" and s.api("modules_installed") == {}
    assert refused(s, "module_uninstall", module="mod_probe") == "not_installed"
    assert refused(s, "module_upgrade", module="mod_probe") == "not_installed"
    assert not installed(s).exists() and not list((s.spool / "modules").glob(".work*"))
    ann.ping()


def test_names_that_are_no_modules(new_server):
    s = new_server().start()
    write_module(s.spool / "modules")
    (s.spool / "modules" / "sources").mkdir()
    for name in ("", "mod_nosuch", "../mod_probe", "mod_probe/", ".", "MOD", "a" * 5000, "mod_ping", "sources", "é"):
        for command in ("module_install", "module_upgrade", "module_check"):
            assert refused(s, command, module=name) == "not_available"
        assert refused(s, "module_uninstall", module=name) == "not_installed"


# --- sources ---

def test_sources_that_cannot_be_had(new_server, tmp_path, monkeypatch):
    good = tmp_path / "good"
    write_module(good)
    repo = tmp_path / "repo"
    write_module(repo, "mod_other")
    git(repo, "init", "-q")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "x")
    s = new_server(lambda c: use_sources(c, tmp_path / "missing", repo, "--upload-pack=x", good))
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    s.start()
    result, words = reason(s, "modules_update_specs")
    assert result == 1 and f"{tmp_path}/missing is neither a folder nor the address of a git repository" in words
    assert "git is not installed" in words and "--upload-pack" in words
    assert s.api("modules_available") == {"mod_probe": "Says one"}  # the good one came all the same
    shutil.rmtree(good)
    assert reason(s, "modules_update_specs")[0] == 1
    assert s.api("modules_available") == {"mod_probe": "Says one"}


def test_repository_that_is_broken(new_server, tmp_path):
    bad = tmp_path / "bad"
    bad.mkdir()
    git(bad, "init", "-q")
    (bad / ".git" / "HEAD").write_text("nonsense")
    s = new_server(lambda c: use_sources(c, bad, "ext::sh -c 'touch PWNED'")).start()
    result, words = reason(s, "modules_update_specs")
    assert result == 1 and f"git cannot clone {bad}" in words
    assert not any("PWNED" in str(p) for p in s.folder.rglob("*"))


def test_examples_without_any_option(new_server):
    s = new_server().start()
    assert s.api("modules_update_specs") == 0
    assert set(s.api("modules_available")) == {"mod_message_rate", "mod_status_http"}
    for name in s.api("modules_available"):
        assert reason(s, "module_check", module=name) == (0, "")  # without a warning
    assert s.api("modules_installed") == {}


# --- modules that are not good ---

def with_line(line):
    return lambda text: text.replace("static unsigned starts[2];", "static unsigned starts[2];\n" + line)


BROKEN = {
    "missing function": (with_line("extern int no_such_function(void);\n__attribute__((used)) static int f(void) { return no_such_function(); }"),
                         "undefined symbol: no_such_function"),
    "other headers": (with_line('#undef CJABBERD_ABI\n#define CJABBERD_ABI "0.0.1-old"'), "compiled against other headers (0.0.1-old)"),
    "other name": (lambda t: t.replace('.name = "mod_probe"', '.name = "mod_else"'), "of module 'mod_else'"),
    "no module": (lambda t: re.sub(r"MODULE\(.*", "", t, flags=re.S).replace("static const", "extern const int x; __attribute__((used)) static const")
                  .replace("static void on_start", "void on_start(unsigned host);\nvoid on_start"), "exports no module"),
    "namespace of another": (lambda t: t.replace('{IQ_TO_SERVER, TOK_NONE, false, on_ask, "urn:example:mod_probe"}',
                                                 "{IQ_TO_SERVER, TOK_NS_PING, false, on_ask}"), "both answer namespace 'urn:xmpp:ping'"),
    "bad option type": (lambda t: t.replace('"int(1,100)"', '"integer"'), "option 1 has a bad type"),
    "ends the process": (with_line("__attribute__((constructor)) static void end(void) { abort(); }"), "ended with signal 6"),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_broken_module_changes_nothing(new_server, streams, what):
    change, words = BROKEN[what]
    s = new_server().start()
    ann = streams(s.login())
    write_module(sources(s), change=change)
    for command in ("module_check", "module_install"):
        assert words in refused(s, command, module="mod_probe")
    assert s.api("modules_installed") == {} and ask(ann) == "service-unavailable"
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0 and ask(ann) == "one"
    write_module(sources(s), word="two", change=change)
    assert words in refused(s, "module_upgrade", module="mod_probe")
    assert ask(ann) == "one" and s.api("modules_installed") == {"mod_probe": "Says one"}
    s.stop()
    s.start()
    assert ask(streams(s.login())) == "one"


def test_module_yml_and_files(new_server):
    s = new_server().start()
    d = write_module(sources(s))
    (d / "module.yml").write_text("name: mod_probe\nsummary: [1]\n")
    words = refused(s, "module_install", module="mod_probe")
    assert "module.yml:2:10: 'summary' must be a text" in words
    assert "broken module.yml" in s.api("modules_available")["mod_probe"]
    (d / "module.yml").write_text("summary: fine\nlibs: [no_such_library_here]\n")
    assert "no_such_library_here" in refused(s, "module_install", module="mod_probe")
    (d / "module.yml").write_text("summary: fine\n")
    shutil.rmtree(d / "src")
    assert "has 0 source files" in refused(s, "module_install", module="mod_probe")
    assert s.api("modules_installed") == {}


def test_check_tells_warnings(new_server):
    s = new_server().start()
    d = write_module(sources(s), change=with_line("static int nobody_calls_this(void) { return 1; }"))
    (d / "module.yml").write_text("summary: x\ndepends: y\n")
    result, words = reason(s, "module_check", module="mod_probe")
    assert result == 0 and "nobody_calls_this" in words and "unknown 'depends'" in words
    assert s.api("modules_installed") == {}


def test_compiler(new_server, tmp_path):
    def configure(c):
        c["contrib_compiler"] = "no-such-compiler"
        c["contrib_compiler_flags"] = ["-Werror", "-DWORD_OF_OPTION=\"flagged\""]
    s = new_server(configure).start()
    write_module(sources(s), change=lambda t: t.replace('answer(iq, "one")', "answer(iq, WORD_OF_OPTION)"))
    assert "there is no compiler 'no-such-compiler'" in refused(s, "module_install", module="mod_probe")
    del s.config["contrib_compiler"]
    s.reload()
    assert s.api("module_install", module="mod_probe") == 0
    with s.login() as ann:
        assert ask(ann) == "flagged"
        write_module(sources(s), change=with_line("static int nobody_calls_this(void) { return 1; }"))
        assert "nobody_calls_this" in refused(s, "module_upgrade", module="mod_probe")
        assert ask(ann) == "flagged"


def test_compiler_memory(new_server):
    """A source that makes the compiler grow is the module's fault, not the machine's."""
    least = 64 << 20
    s = new_server(lambda c: c.update(contrib_compiler_memory=least)).start()
    digits = "".join(f"#define X{n + 1} X{n} X{n} X{n} X{n} X{n} X{n} X{n} X{n} X{n} X{n}\n" for n in range(7))
    write_module(sources(s), change=lambda t: f"{t}\n#define X0 1,\n{digits}static const int much[] = {{X7}};\n")
    words = refused(s, "module_install", module="mod_probe")
    assert f"takes more memory than option contrib_compiler_memory allows ({least} bytes)" in words
    assert s.api("modules_installed") == {} and s.api("status")
    s.config["contrib_compiler_memory"] = "infinity"
    s.reload()
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0


def test_switched_off(new_server, streams):
    s = new_server().start()
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0
    s.config["allow_contrib_modules"] = False
    s.reload()
    for command in ("module_install", "module_uninstall", "module_upgrade", "module_check"):
        assert "allow_contrib_modules" in refused(s, command, module="mod_probe")
    assert "allow_contrib_modules" in refused(s, "modules_update_specs")
    assert "allow_contrib_modules" in refused(s, "compile", file=str(sources(s) / "mod_probe/src/mod_probe.c"))
    assert "allow_contrib_modules" in refused(s, "update", module="all")
    s.stop()
    s.start()
    assert ask(streams(s.login())) == "service-unavailable"
    assert s.api("modules_installed") == {"mod_probe": "Says one"}


# --- start ---

def test_compiled_again_for_other_headers(new_server, streams):
    """After an upgrade of the server the objects are of other headers: they are made again from the sources that are kept."""
    s = new_server().start()
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0
    s.stop()
    shutil.rmtree(sources(s))
    so = installed(s) / "mod_probe.so"
    data = so.read_bytes()
    stamp = re.search(rb"\d+\.\d+\.\d+-[0-9a-f]{16}\0", data).group()
    so.write_bytes(data.replace(stamp, b"9" + stamp[1:]))
    s.start()
    assert ask(streams(s.login())) == "one"
    assert "compiling mod_probe again" in s.log()
    s.stop()
    said = len(s.log())
    s.start()
    assert "compiling" not in s.log()[said:]
    s.stop()
    # one that cannot be made again is left out, in words
    so.write_bytes(data.replace(stamp, b"9" + stamp[1:]))
    (installed(s) / "src" / "mod_probe.c").write_text("nonsense")
    s.allow_errors = True
    s.start()
    assert ask(streams(s.login())) == "service-unavailable"
    assert re.search(r"installed module mod_probe does not run: mod_probe does not compile: src/mod_probe.c:1:1", s.log())


def test_installed_by_configuration(new_server, streams, tmp_path):
    write_module(tmp_path / "zoo")

    def configure(c):
        use_sources(c, tmp_path / "zoo")
        c["install_contrib_modules"] = ["mod_probe"]
        c["modules"]["mod_probe"] = {"size": 9}
    s = new_server(configure).start()
    assert attribute(streams(s.login()), "size") == "9"
    s.stop()
    shutil.rmtree(tmp_path / "zoo")
    s.start()
    assert ask(streams(s.login())) == "one"


def test_leftovers_of_a_crash(new_server, streams):
    s = new_server().start()
    write_module(sources(s))
    half = s.spool / "modules" / ".work-mod_probe"
    (half / "src").mkdir(parents=True)
    (half / "src" / "other.c").write_text("nonsense")
    assert s.api("module_install", module="mod_probe") == 0
    assert sorted(p.name for p in installed(s).rglob("*.c")) == ["mod_probe.c"] and not half.exists()
    s.kill()
    s.start()
    assert ask(streams(s.login())) == "one"
    assert len(list((s.spool / "modules" / "running").iterdir())) == 1


def test_killed_in_the_middle(new_server, streams):
    """kill -9 while a new version is put in the old one's place: one of the two is there, whole."""
    s = new_server().start()
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0
    work = s.spool / "modules" / ".work-mod_probe"
    seen = set()
    for n, moment in enumerate((work, work / "module.yml", work / "src", work / "mod_probe.so") * 3):
        new = f"v{n}"
        write_module(sources(s), word=new)

        def upgrade():
            with contextlib.suppress(OSError, http.client.HTTPException, ApiError):
                s.api("module_upgrade", module="mod_probe")
        thread = threading.Thread(target=upgrade)
        thread.start()
        until(lambda: moment.exists() or not thread.is_alive(), "the change is under way")
        s.kill()
        thread.join()
        s.start()
        word = ask(streams(s.login()))
        assert s.api("modules_installed") == {"mod_probe": f"Says {word}"} and not work.exists()
        seen.add(word)
        assert s.api("module_upgrade", module="mod_probe") == 0 and ask(streams(s.login())) == new
    assert len(seen) > 1


def test_object_is_missing(new_server, streams):
    """A backup without what can be made again."""
    s = new_server().start()
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0
    s.stop()
    (installed(s) / "mod_probe.so").unlink()
    (s.spool / "modules" / ".work-mod_old").mkdir()
    s.start()
    assert ask(streams(s.login())) == "one"
    assert not list((s.spool / "modules").glob(".work*"))


def test_objects_that_everybody_may_write(new_server, streams):
    s = new_server().start()
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0
    ann = streams(s.login())
    replace_object(s, "two")
    so = installed(s) / "mod_probe.so"
    so.chmod(0o777)
    result, words = reason(s, "update", module="mod_probe")
    assert result == "Not updated: mod_probe" and "everybody may write it" in words and ask(ann) == "one"
    so.chmod(0o755)
    installed(s).chmod(0o777)
    assert s.api("update", module="all") == "No modules updated" and ask(ann) == "one"
    s.stop()
    s.allow_errors = True
    s.start()
    ann = streams(s.login())
    assert ask(ann) == "service-unavailable"
    installed(s).chmod(0o755)
    assert s.api("update_list") == ["mod_probe"]
    assert s.api("update", module="all") == "Updated modules: mod_probe" and ask(ann) == "two"


def test_stop_while_compiling(new_server, tmp_path):
    """A compiler that does not end holds up neither the server's end nor other commands, and is ended with the server."""
    compiler, pid = tmp_path / "compiler", tmp_path / "pid"
    compiler.write_text(f"#!/bin/sh\necho $$ > {pid}.new\nmv {pid}.new {pid}\nexec sleep 100000\n")
    compiler.chmod(0o755)
    s = new_server(lambda c: c.update(contrib_compiler=str(compiler))).start()
    write_module(sources(s))

    def install():
        with contextlib.suppress(OSError, http.client.HTTPException, ApiError):
            s.api("module_install", module="mod_probe")
    waiting = threading.Thread(target=install)
    waiting.start()
    until(pid.exists, "the compiler runs")
    fd = os.pidfd_open(int(pid.read_text()))
    assert s.api("modules_installed") == {} and s.api("status")
    s.stop()
    waiting.join()
    assert select.select([fd], [], [], DEADLINE)[0], "the compiler outlives the server"
    os.close(fd)
    s.config["contrib_compiler"] = "cc"
    s.start()
    assert s.api("module_install", module="mod_probe") == 0


def test_names_of_the_server_itself(new_server):
    s = new_server().start()
    write_module(sources(s), "mod_ping")
    assert "the name of a module of the server itself" in refused(s, "module_install", module="mod_ping")
    write_module(sources(s), "mod_roster")
    assert "the name of a module of the server itself" in refused(s, "module_check", module="mod_roster")


# --- options ---

def test_options(new_server, streams):
    s = new_server().start()
    write_module(sources(s), size=7)
    assert s.api("module_install", module="mod_probe") == 0
    ann = streams(s.login())
    assert attribute(ann, "size") == "7"  # its own defaults
    s.config["modules"]["mod_probe"] = {}
    s.reload()
    assert attribute(ann, "size") == "5"  # named: what is not given is the option's default
    s.config["modules"]["mod_probe"] = {"size": 33}
    s.reload()
    assert attribute(ann, "size") == "33"
    s.config["modules"]["mod_probe"] = {"size": 101}
    s.write_config()
    status, body = s.api_raw("reload_config", "{}")
    assert status == 400 and "option 'size' of module mod_probe must be an integer from 1 to 100, got '101'" in body
    s.config["modules"]["mod_probe"] = {"weight": 1}
    s.write_config()
    assert "unknown option 'weight' of module mod_probe" in s.api_raw("reload_config", "{}")[1]
    assert attribute(ann, "size") == "33"
    # only on one host
    del s.config["modules"]["mod_probe"]
    s.config["append_host_config"] = {"example.test": {"modules": {"mod_probe": {"size": 2}}}}
    s.reload()
    assert ask(ann) == "service-unavailable"
    assert ask(streams(s.login(host="example.test")), to="example.test") == "one"
    # a new version without the option the configuration uses is refused
    write_module(sources(s), change=lambda t: t.replace('"size"', '"length"'))
    assert "unknown option 'size'" in refused(s, "module_upgrade", module="mod_probe")
    assert reason(s, "module_uninstall", module="mod_probe") == (0, "the configuration still names the module")
    s.stop()
    s.start()  # a warning, no error: its sources are here
    assert "module 'mod_probe' is not installed" in s.log()


def test_wrong_defaults(new_server):
    s = new_server().start()
    write_module(sources(s), size="many")
    assert re.search(r"mod_probe\.yml:3:11: option 'size' of module mod_probe must be", refused(s, "module_install", module="mod_probe"))
    assert s.api("modules_installed") == {}


# --- compile, update, restart_module ---

def test_compile(new_server, streams, tmp_path):
    s = new_server().start()
    d = write_module(tmp_path)
    file = d / "src" / "mod_probe.c"
    assert reason(s, "compile", file=str(file)) == (0, "it compiles; the module is not installed, so nothing was reloaded")
    assert s.api("modules_installed") == {}
    write_module(sources(s), word="zero")
    assert s.api("module_install", module="mod_probe") == 0
    ann = streams(s.login())
    assert ask(ann) == "zero"
    assert s.api("compile", file=str(file)) == 0 and ask(ann) == "one"
    write_module(tmp_path, word="two", change=lambda t: t.replace("fiber_sleep(10)", "fiber_slip(10)"))
    result, words = reason(s, "compile", file=str(file))
    assert (result, words) == (1, "mod_probe does not compile") and ask(ann) == "one"
    tool = s.ctl("compile", str(file))
    assert tool.returncode == 1 and "fiber_slip" in tool.stdout and tool.stdout.endswith("\nError: error\n")
    for wrong, words in ((d / "module.yml", "not the name of a C source file"), (tmp_path / "x.c", "no such file or directory")):
        assert s.api("compile", file=str(wrong)) == 1
        assert words in s.ctl("compile", str(wrong)).stdout
    (tmp_path / "x.c").write_text("int x;")
    assert "there is no module.yml beside it" in reason(s, "compile", file=str(tmp_path / "x.c"))[1]
    # the sources that are kept with the installed module
    kept = installed(s) / "src" / "mod_probe.c"
    kept.write_text(kept.read_text().replace('"one"', '"four"'))
    assert s.api("compile", file=str(kept)) == 0 and ask(ann) == "four"
    s.stop()
    s.start()
    assert ask(streams(s.login())) == "four"


def replace_object(server, word, name="mod_probe"):
    """As an administrator who compiles by hand: another object under the installed one's name."""
    other = server.folder / "other"
    write_module(other, name, word)
    shutil.rmtree(sources(server) / name, ignore_errors=True)
    aside = server.folder / "aside"
    headers = BUILD / "include"
    so = aside.with_suffix(".so")
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-shared", "-fPIC", f"-I{headers}", f"-I{headers}/cjabberd", "-o", str(so),
                    str(other / name / "src" / f"{name}.c")], check=True)
    so.rename(installed(server, name) / f"{name}.so")


def test_update(new_server, streams):
    s = new_server().start()
    for name in ("mod_probe", "mod_second"):
        write_module(sources(s), name)
        assert s.api("module_install", module=name) == 0
    ann = streams(s.login())
    assert s.api("update_list") == [] and s.api("update", module="all") == "No modules updated"
    replace_object(s, "two")
    replace_object(s, "two", "mod_second")
    assert s.api("update_list") == ["mod_probe", "mod_second"] and ask(ann) == "one"
    assert s.ctl("update_list").stdout == "mod_probe\nmod_second\n"
    assert s.api("update", module="mod_second") == "Updated modules: mod_second"
    assert (ask(ann), ask(ann, "mod_second")) == ("one", "two") and s.api("update_list") == ["mod_probe"]
    assert s.api("update", module="all") == "Updated modules: mod_probe"
    assert ask(ann) == "two" and s.api("update_list") == []
    (installed(s) / "mod_probe.so").write_bytes(b"not an object")
    assert s.api("update_list") == ["mod_probe"]
    result, words = reason(s, "update", module="mod_probe")
    assert result == "Not updated: mod_probe" and "mod_probe compiles but cannot be loaded" in words
    assert ask(ann) == "two"
    assert s.api("module_uninstall", module="mod_probe") == 0 and s.api("update_list") == []


def test_restart_module(new_server, streams):
    s = new_server().start()
    write_module(sources(s))
    assert s.api("module_install", module="mod_probe") == 0
    ann = streams(s.login())
    shards = s.config["shards"]
    assert attribute(ann, "starts") == str(shards)  # once on every shard
    assert s.api("restart_module", host="localhost", module="mod_probe") == 0
    assert attribute(ann, "starts") == str(2 * shards)
    assert s.api("restart_module", host="example.test", module="mod_probe") == 0
    assert attribute(ann, "starts") == str(2 * shards)
    for host, module in (("nowhere.test", "mod_probe"), ("localhost", "mod_none"), ("localhost", ""), ("", "mod_probe")):
        assert s.api("restart_module", host=host, module=module) == 1
    assert s.api("restart_module", host="localhost", module="mod_ping") == 0
    ann.ping()
    replace_object(s, "two")
    assert s.api("restart_module", host="localhost", module="mod_probe") == 0 and ask(ann) == "two"
    (installed(s) / "mod_probe.so").write_bytes(b"not an object")
    result, words = reason(s, "restart_module", host="localhost", module="mod_probe")
    assert result == 2 and "cannot be loaded" in words and ask(ann) == "two"
    assert s.ctl("restart_module", "localhost", "mod_probe").stdout == "2\n"


# --- HTTP handlers and the examples ---

def test_status_page(new_server, streams):
    def configure(c):
        c["listen"][-1]["request_handlers"].update({"/status": "mod_status_http", "/api/inner": "mod_status_http"})
    s = new_server(configure)
    shutil.copytree(CONTRIB / "mod_status_http", sources(s) / "mod_status_http")
    s.start()
    assert get(s, "/status")[0] == 404  # mounted before there is a module
    assert s.api("module_install", module="mod_status_http") == 0
    before = json.loads(get(s, "/status")[1])
    assert before["hosts"] == {"localhost": 0, "example.test": 0} and before["sessions"] == 0
    streams(s.login())
    streams(s.login(host="example.test"))
    streams(s.login())
    status, body = get(s, "/status/")
    assert status == 200 and json.loads(body)["hosts"] == {"localhost": 2, "example.test": 1}
    status, body = get(s, "/status/metrics")
    assert status == 200 and 'cjabberd_sessions{host="localhost"} 2\n' in body
    for line in body.splitlines():
        assert re.fullmatch(r"# TYPE [a-z_]+ gauge|[a-z_]+(\{host=\"[^\"]+\"\})? \d+", line)
    assert get(s, "/status/other")[0] == 404 and json.loads(get(s, "/api/inner")[1])["sessions"] == 3
    assert s.api("module_uninstall", module="mod_status_http") == 0
    assert get(s, "/status")[0] == 404
    assert s.api("module_install", module="mod_status_http") == 0
    s.stop()
    s.start()
    assert json.loads(get(s, "/status")[1])["sessions"] == 0


def test_message_rate(new_server, streams):
    s = new_server(lambda c: c["modules"].update(mod_message_rate={"burst": 3, "per_minute": 1}))
    shutil.copytree(CONTRIB / "mod_message_rate", sources(s) / "mod_message_rate")
    s.start()
    assert s.api("module_install", module="mod_message_rate") == 0
    ann, bob = streams(s.login(presence=True)), streams(s.login(presence=True))
    for n in range(5):
        bob.message(ann.jid, f"m{n}", id_=f"id{n}")
    for n in range(3):
        ann.expect_message(f"m{n}")
    for n in (3, 4):
        assert error_of(bob.expect_id(f"id{n}")) == ("wait", "resource-constraint")
    bob.send(f"<message to='{ann.jid}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
    ann.expect(lambda e: local(e) == "message" and e.find(q("client", "body")) is None, "a chat state")
    ann.message(bob.jid, "mine")  # others are not concerned
    bob.expect_message("mine")
    ann.expect_nothing()
    assert s.api("module_uninstall", module="mod_message_rate") == 0
    bob.message(ann.jid, "free")
    ann.expect_message("free")


# --- at once ---

def together(*calls):
    """Their results, in order; what raised as the exception."""
    out = [None] * len(calls)

    def one(i):
        try:
            out[i] = calls[i]()
        except ApiError as e:
            out[i] = e
    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


def test_two_at_once(new_server, streams):
    s = new_server().start()
    write_module(sources(s))
    write_module(sources(s), "mod_second")
    same = together(*[lambda: s.api("module_install", module="mod_probe")] * 3)
    assert sorted(r if r == 0 else json.loads(r.body) for r in same if r == 0) == [0]
    assert [json.loads(r.body) for r in same if r != 0] == ["conflict"] * 2
    both = together(lambda: s.api("module_install", module="mod_second"), lambda: s.api("module_upgrade", module="mod_probe"),
                    lambda: s.reload(), lambda: s.api("module_check", module="mod_probe"))
    assert both == [0, 0, 0, 0]
    ann = streams(s.login())
    assert (ask(ann), ask(ann, "mod_second")) == ("one", "one")
    gone = together(lambda: s.api("module_uninstall", module="mod_second"), lambda: s.api("module_uninstall", module="mod_probe"))
    assert gone == [0, 0] and ask(ann) == ask(ann, "mod_second") == "service-unavailable"


def test_old_code_wakes_up(new_server, streams):
    """A handler waits while its module is replaced by one with other options, and then goes: it ends in its own code."""
    s = new_server().start()
    slow = lambda t: t.replace("fiber_sleep(10)", "fiber_sleep(700)")
    write_module(sources(s), change=slow)
    assert s.api("module_install", module="mod_probe") == 0
    ann, bob = streams(s.login(presence=True)), streams(s.login(presence=True))
    question = "<iq type='get' id='slow' to='{}'><word xmlns='urn:example:mod_probe'/></iq>"
    ann.send(question.format(ann.bare))
    ann.ping()  # the question has been read
    write_module(sources(s), word="two", change=lambda t: slow(t.replace('"size"', '"length"')))
    assert s.api("module_upgrade", module="mod_probe") == 0
    word = ann.expect_id("slow").find("{urn:example:mod_probe}word")
    assert word.text == "one" and word.get("size") == "5"
    bob.send(question.format(bob.bare))
    assert s.api("module_uninstall", module="mod_probe") == 0
    assert bob.expect_id("slow") is not None
    ann.ping()


RELOADS = 50


def test_traffic_while_modules_are_replaced(new_server, streams):
    """Messages, questions and HTTP go on while the module is read again, compiled again, and the configuration reloaded."""
    s = new_server(lambda c: c["listen"][-1]["request_handlers"].update({"/status": "mod_status_http"}))
    shutil.copytree(CONTRIB / "mod_status_http", sources(s) / "mod_status_http")
    write_module(sources(s))
    s.start()
    for name in ("mod_probe", "mod_status_http"):
        assert s.api("module_install", module=name) == 0
    crowd = [streams(s.login(presence=True)) for _ in range(4)]
    done = threading.Event()

    def change():
        for n in range(RELOADS):
            if n % 10 == 9:
                write_module(sources(s), word="two" if n % 20 == 9 else "one")
                assert s.api("module_upgrade", module="mod_probe") == 0
            else:
                for name in ("mod_probe", "mod_status_http"):
                    so = installed(s, name) / f"{name}.so"
                    copy = so.with_suffix(".new")
                    shutil.copy(so, copy)
                    copy.rename(so)
                assert s.api("update", module="all") == "Updated modules: mod_probe, mod_status_http"
            if n % 10 == 4:
                assert s.api("reload_config") == 0

    def watched():
        try:
            change()
        finally:
            done.set()

    changer = threading.Thread(target=watched)
    changer.start()
    rounds = 0
    while not done.is_set() or rounds == 0:
        for i, a in enumerate(crowd):
            b = crowd[(i + 1) % len(crowd)]
            a.message(b.jid, f"{rounds}")
            a.send(f"<iq type='get' id='s{rounds}' to='localhost'><word xmlns='urn:example:mod_probe'/></iq>"
                   f"<iq type='get' id='a{rounds}' to='{a.bare}'><word xmlns='urn:example:mod_probe'/></iq>")
        for i, a in enumerate(crowd):
            got = a.expect_message(f"{rounds}")
            assert [e.text in ("one", "two") for e in got.findall("{urn:example:mod_probe}passed")] == [True]
            for kind in "sa":
                assert a.expect_id(f"{kind}{rounds}").find("{urn:example:mod_probe}word").text in ("one", "two")
        assert json.loads(get(s, "/status")[1])["sessions"] == len(crowd)
        rounds += 1
    changer.join()
    assert s.log().count("mod_probe runs with new code") == RELOADS
    for a in crowd:
        a.ping()
