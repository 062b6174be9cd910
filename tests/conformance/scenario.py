"""One scenario against one server: carries out the steps, compares what comes back, cleans up."""
import base64
import glob
import http.client
import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse

from matching import NS_CLIENT, VAR, Matcher, Vars, parse_fragment, short, show, xml_text
from xmpp import Client, Closed, StepError

SETTLE_S = 5
READS = ("get_", "num_resources", "user_resources", "connected_users", "stats", "muc_online_rooms", "rooms_empty_list")
STEP_KINDS = ("api", "http", "xmpp", "ctl", "file", "sleep", "wait", "start")
FRESH = "23456789abcdefghjkmnpqrstuvwxyz"


class Target:
    """Where the server is. ctl: words of a command line; start: brings a stopped server up again."""

    def __init__(self, base, c2s, listeners, ctl, start, tmp, domain="localhost", domain2="example.test",
                 node="ejabberd@localhost", timeout=3.0):
        self.base, self.c2s, self.listeners, self.ctl, self.start, self.tmp = base, c2s, listeners, ctl, start, tmp
        self.domain, self.domain2, self.node, self.timeout = domain, domain2, node, timeout


class Run:
    def __init__(self, scenario, target, exceptions):
        self.sc, self.t, self.ex = scenario, target, exceptions
        self.clients, self.problems, self.compared, self.identical = {}, [], 0, 0
        self.tmp = tempfile.mkdtemp(prefix="conf-", dir=target.tmp)
        os.chmod(self.tmp, 0o777)
        fresh = random.choice("abcdefghjkmnpqrstuvwxyz") + "".join(random.choice(FRESH) for _ in range(7))
        self.v = Vars(U=fresh, TMP=self.tmp, D=target.domain, D2=target.domain2, NODE=target.node,
                      MUC="conference." + target.domain, MUC2="conference." + target.domain2,
                      PUBSUB="pubsub." + target.domain)
        self.m = Matcher(self.v)

    # --- the steps in order

    def go(self):
        try:
            before = {}
            for i, step in enumerate(self.sc["steps"]):
                if step.get("left_out"):
                    continue
                bad = self.settled(step) if "sleep" in before and is_read(step) else self.attempt(step)
                before = step
                if bad:
                    self.problems.append((i, step, bad))
        finally:
            for step in self.sc.get("cleanup", []):
                self.attempt(dict(step, expect=None))
            for c in self.clients.values():
                c.close()
            shutil.rmtree(self.tmp, ignore_errors=True)
        return not self.problems

    def settled(self, step):
        """A question after a pause: what was sent before it may take longer here than where it was recorded."""
        end = time.monotonic() + SETTLE_S
        counts = self.compared, self.identical
        bad = self.attempt(step)
        while bad and time.monotonic() < end:
            time.sleep(0.05)
            self.compared, self.identical = counts
            bad = self.attempt(step)
        return bad

    def attempt(self, step):
        try:
            kind = next((k for k in STEP_KINDS if k in step), None)
            if kind is None:
                raise StepError("unknown step: %s" % show(step))
            return getattr(self, "do_" + kind)(step) or []
        except StepError as e:
            return [str(e)]
        except Closed:
            return ["the stream is closed"]
        except (OSError, http.client.HTTPException, subprocess.SubprocessError) as e:
            return ["%s: %s" % (type(e).__name__, e)]

    # --- comparison

    def judge(self, step, actual):
        bad = []
        for part, want in (step.get("expect") or {}).items():
            if part == "headers":
                for name, value in want.items():
                    bad += self.count(self.header(name, value, actual.get("headers", {})))
            else:
                bad += self.count(self.part(part, want, actual))
        return bad + self.save(step, actual)

    def count(self, problems):
        self.compared += 1
        self.identical += not problems
        return problems

    def header(self, name, want, headers):
        got = headers.get(name.lower())
        if want is None:
            return ["header %s: must be absent, got %s" % (name, show(got))] if got is not None else []
        return ["header %s: missing" % name] if got is None else \
            ["header %s: %s" % (name, p) for p in self.m.text(want, got)]

    def part(self, part, want, actual):
        if part not in actual:
            return ["%s: expected %s, got %s" % (part, show(want), show({k: v for k, v in actual.items() if k != "headers"}))]
        got = actual[part]
        want, got = self.ex.apply(part, want, got)
        if part in ("text", "stdout"):
            return self.m.text(want, got)
        return ["%s%s" % (part, p) if p[:1] in ".[" else "%s %s" % (part, p) for p in self.m.match(want, got)]

    def save(self, step, actual):
        out = []
        wanted = step.get("save") or []
        for one in wanted if isinstance(wanted, list) else [wanted]:
            cur = actual
            for key in one["from"].split("."):
                try:
                    cur = cur[int(key)] if isinstance(cur, list) else cur[key]
                except (KeyError, IndexError, TypeError, ValueError):
                    cur = None
                    break
            if "re" in one and isinstance(cur, str):
                m = re.search(one["re"], cur, re.S)
                cur = m.group(1) if m else None
            if cur is None:
                out.append("save %s: nothing at %s" % (one["var"], one["from"]))
            else:
                self.v[one["var"]] = cur
        return out

    # --- HTTP

    def do_api(self, step):
        headers = self.headers(step)
        path = "/api/" + self.v.sub(step["api"])
        if step.get("version") is not None:
            path += "/v%s" % step["version"]
        method = step.get("method", "POST")
        args = self.v.deep(step.get("args", {}))
        body = self.v.sub(step["raw"]).encode() if "raw" in step else None
        if method == "GET":
            query = [urllib.parse.urlencode(args, doseq=True)] if args else []
            query += [self.v.sub(step["query"])] if "query" in step else []
            path += "?" + "?".join(query) if query else ""
        elif "raw_hex" in step:
            body = bytes.fromhex(step["raw_hex"])
        elif body is None:
            body = json.dumps(args, ensure_ascii=False).encode()
        if body is not None and "content-type" not in {h.lower() for h in headers}:
            headers["Content-Type"] = "application/json"
        return self.judge(step, self.exchange(step, method, path, headers, body))

    def do_http(self, step):
        h = step["http"]
        headers = self.headers(dict(h, auth=step.get("auth")))
        body = None
        if "form" in h:
            body = urllib.parse.urlencode(self.v.deep(h["form"])).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif "body" in h:
            body = self.v.sub(h["body"]).encode()
        elif "body_hex" in h:
            body = bytes.fromhex(h["body_hex"])
        return self.judge(step, self.exchange(step, h.get("method", "GET"), self.v.sub(h["path"]), headers, body))

    def headers(self, step):
        headers = {k: self.v.sub(x) if x is not None else None for k, x in step.get("headers", {}).items()}
        auth = step.get("auth") or {}
        if "basic" in auth:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.v.deep(auth["basic"])).encode()).decode()
        elif "bearer" in auth:
            headers["Authorization"] = "Bearer " + self.v.sub(auth["bearer"])
        elif "raw" in auth:
            headers["Authorization"] = self.v.sub(auth["raw"])
        return headers

    def exchange(self, step, method, path, headers, body):
        name = step.get("listener")
        try:
            status, got, data = self.request(self.t.listeners[name] if name else self.t.base, method, path, headers, body)
        except ConnectionRefusedError:
            return {"error": "refused"}
        except (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionResetError, BrokenPipeError):
            return {"error": "closed"}
        actual = {"status": status, "headers": got}
        if "content-type" in got:
            actual["type"] = got["content-type"]
        text = data.decode("utf-8", "replace")
        try:
            actual["json"] = json.loads(text)
        except ValueError:
            actual["text"] = text
        return actual

    def request(self, base, method, path, headers, body):
        u = urllib.parse.urlsplit(base)
        con = http.client.HTTPConnection(u.hostname, u.port, timeout=60)
        try:
            con.putrequest(method, path, skip_accept_encoding=True, skip_host=any(h.lower() == "host" for h in headers))
            for h, value in headers.items():
                if value is not None:
                    con.putheader(h, value)
            if body is not None and "content-length" not in {h.lower() for h in headers}:
                con.putheader("Content-Length", str(len(body)))
            con.endheaders(body or None)
            r = con.getresponse()
            return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
        finally:
            con.close()

    # --- command line, files

    def do_ctl(self, step):
        words = [str(a) for a in self.v.deep(step["ctl"])]
        p = subprocess.run(self.t.ctl + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=60)
        return self.judge(step, {"rc": p.returncode, "stdout": p.stdout.decode("utf-8", "replace")})

    def do_file(self, step):
        path = self.v.sub(step["path"])
        return getattr(self, "file_" + step["file"])(step, path)

    def file_write(self, step, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(bytes.fromhex(step["hex"]) if "hex" in step else self.v.sub(step.get("content", "")).encode())
        os.chmod(path, 0o666)

    def file_mkdir(self, step, path):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o777)

    def file_exists(self, step, path):
        return self.judge(step, {"exists": bool(glob.glob(path))})

    def file_list(self, step, path):
        return self.judge(step, {"names": sorted(os.listdir(path)) if os.path.isdir(path) else []})

    def file_read(self, step, path):
        names = sorted(glob.glob(path)) or [path]
        try:
            with open(names[0], "rb") as f:
                text = f.read().decode("utf-8", "replace")
        except OSError as e:
            return self.judge(step, {"error": type(e).__name__})
        if "from" in step:
            text = text[text.index(self.v.sub(step["from"])):] if self.v.sub(step["from"]) in text else ""
        if "lines" in step:
            text = "".join(text.splitlines(True)[:step["lines"]])
        exp = step.get("expect") or {}
        if "has" not in exp and "hasnt" not in exp:
            return self.judge(step, {"text": text})
        bad = []
        for key, wanted in (("has", True), ("hasnt", False)):
            for x in exp.get(key, []):
                good = (self.v.sub(x) in text) == wanted
                bad += self.count([] if good else ["file %s %s: %s" % ("lacks" if wanted else "has", x, show(text, 600))])
        return bad

    # --- waiting, life of the server

    def do_sleep(self, step):
        time.sleep(step["sleep"])

    def alive(self):
        try:
            return self.request(self.t.base, "POST", "/api/status", {}, b"{}")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def do_wait(self, step):
        want = step["wait"] == "up"
        end = time.monotonic() + step.get("timeout", 60)
        while time.monotonic() < end:
            if self.alive() == want:
                return []
            time.sleep(0.05)
        return ["the server did not %s" % ("come up" if want else "go away")]

    def do_start(self, step):
        self.t.start()
        return self.do_wait({"wait": "up"})

    # --- XMPP

    def do_xmpp(self, step):
        return getattr(self, "xmpp_" + step["xmpp"])(step)

    def client(self, step):
        if step["as"] not in self.clients:
            raise StepError("no connection named %s" % step["as"])
        return self.clients[step["as"]]

    def pattern(self, xml):
        """Placeholders stay, variables are filled in."""
        def one(m):
            name = m.group(1) or m.group(2)
            if name not in self.v:
                return m.group(0)
            return str(self.v[name]).replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
        els = parse_fragment(VAR.sub(one, xml))
        if len(els) != 1:
            raise StepError("a pattern is exactly one element")
        return els[0]

    def xmpp_connect(self, step):
        user, _, domain = self.v.sub(step["jid"]).partition("@")
        old = self.clients.pop(step["as"], None)
        if old:
            old.close()
        try:
            c = Client(*self.t.c2s)
        except socket.timeout:
            raise StepError("no connection")
        failure = c.login(user, domain, self.v.sub(step["password"]), self.v.sub(step.get("resource", "")))
        if failure is not None:
            c.kill()
            return self.login_failed(step, failure)
        self.clients[step["as"]] = c
        self.v[step["as"] + "_jid"] = c.jid
        presence = step.get("presence", False)
        if presence:
            c.write("<presence/>" if presence is True else self.v.sub(presence))
            if not step.get("quick"):
                c.next(3, lambda e: e.tag == "{%s}presence" % NS_CLIENT and e.get("from") == c.jid)
        return self.judge(step, {"connected": True}) if step.get("mayfail") or step.get("expect") else []

    def login_failed(self, step, failure):
        kids = [short(e.tag) for e in failure.iter()
                if e is not failure and not e.tag.endswith(("}text", "}bind", "}resource", "}error"))]
        actual = {"failure": kids[0] if kids else short(failure.tag)}
        text = [e.text or "" for e in failure.iter() if e.tag.endswith("}text")]
        if text:
            actual["text"] = text[0]
        return self.judge(step, actual) if step.get("expect") else ["login failed: %s" % show(actual)]

    def xmpp_disconnect(self, step):
        c = self.clients.pop(step["as"], None)
        if c:
            c.kill() if step.get("abrupt") else c.close()

    def xmpp_send(self, step):
        self.client(step).write(self.v.sub(step["xml"]))

    def xmpp_expect(self, step):
        c = self.client(step)
        pat = self.pattern(self.ex.pattern(step["xml"]))
        el = c.next(step.get("timeout", self.t.timeout), lambda e: self.m.xml(pat, e) is None)
        if el is not None:
            self.count([])
            return self.save_xml(step, el)
        lines = ["no stanza like %s" % self.v.sub(step["xml"])]
        for e in c.inbox[-6:]:
            lines.append("  waiting: %s" % xml_text(e)[:1500])
            if e.tag == pat.tag:
                lines.append("  nearest differs in: %s" % self.m.xml(pat, e))
        return self.count(lines + (["  the stream is closed"] if c.closed else []))

    def save_xml(self, step, el):
        wanted = step.get("save") or []
        for one in wanted if isinstance(wanted, list) else [wanted]:
            path, _, attr = one["from"].partition("@")
            sub = el.find(path.rstrip("/")) if path else el
            value = None if sub is None else (sub.get(attr) if attr else sub.text)
            if value is None:
                return ["save %s: nothing at %s" % (one["var"], one["from"])]
            self.v[one["var"]] = value
        return []

    def xmpp_expect_none(self, step):
        pat = self.pattern(step["xml"]) if step.get("xml") else None
        el = self.client(step).next(step.get("timeout", 0.6), lambda e: pat is None or self.m.xml(pat, e) is None)
        return self.count([] if el is None else ["unwanted stanza: %s" % xml_text(el)[:1500]])

    def xmpp_expect_closed(self, step):
        c = self.client(step)
        end = time.monotonic() + step.get("timeout", self.t.timeout)
        while not c.closed and time.monotonic() < end:
            c.pump(end - time.monotonic())
        if not c.closed:
            return self.count(["the stream is still open"])
        actual = {"closed": True}
        if c.error is not None:
            actual["error"] = next((short(e.tag) for e in c.error if not e.tag.endswith("}text")), "")
            text = [e.text or "" for e in c.error if e.tag.endswith("}text")]
            if text:
                actual["errortext"] = text[0]
        return self.judge(step, actual)

    def xmpp_drain(self, step):
        c = self.client(step)
        end = time.monotonic() + step.get("timeout", 0.4)
        while time.monotonic() < end and not c.closed:
            c.pump(end - time.monotonic())
        c.inbox.clear()


def is_read(step):
    """Asking again changes nothing."""
    return (step.get("api") or step.get("ctl", [""])[0]).startswith(READS)


def label(step):
    if "api" in step:
        version = "/v%s" % step["version"] if step.get("version") is not None else ""
        return "%s %s%s %s" % (step.get("method", "POST"), step["api"], version,
                               step.get("raw") or json.dumps(step.get("args", {}), ensure_ascii=False))
    if "http" in step:
        return "%s %s" % (step["http"].get("method", "GET"), step["http"]["path"])
    if "ctl" in step:
        return "ctl " + " ".join(map(str, step["ctl"]))
    if "xmpp" in step:
        return "xmpp %s %s %s" % (step["xmpp"], step.get("as", ""), step.get("xml", step.get("jid", "")))
    if "file" in step:
        return "file %s %s" % (step["file"], step["path"])
    return json.dumps(step)
