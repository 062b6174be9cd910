"""Variables, placeholders and comparison of recorded with actual answers (README.md, Matching)."""
import difflib
import json
import re
import xml.etree.ElementTree as ET

NS_CLIENT = "jabber:client"
NS_STREAM = "http://etherx.jabber.org/streams"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
VAR = re.compile(r"\$(?:\$|\{(\w+)\}|([A-Za-z_]\w*))")


class Vars(dict):
    """Named values; $name, ${name} and $$ inside strings."""

    def sub(self, text, quote=str):
        def one(m):
            if m.group(0) == "$$":
                return quote("$")
            name = m.group(1) or m.group(2)
            return quote(str(self[name])) if name in self else m.group(0)
        return VAR.sub(one, text)

    def deep(self, value):
        if isinstance(value, str):
            if value.startswith("$") and value[1:] in self:
                return self[value[1:]]
            return self.sub(value)
        if isinstance(value, list):
            return [self.deep(v) for v in value]
        if isinstance(value, dict):
            return {self.sub(k): self.deep(v) for k, v in value.items()}
        return value


class Matcher:
    """Every method returns a list of "where: problem" lines, empty when equal."""

    def __init__(self, variables):
        self.vars = variables

    def match(self, exp, act, path=""):
        where = path or "(value)"
        if isinstance(exp, dict) and len(exp) == 1:
            key, arg = next(iter(exp.items()))
            special = getattr(self, "is_" + key[1:], None) if key.startswith("$") else None
            if special:
                return special(arg, act, path, where)
        if isinstance(exp, str):
            return self.string(exp, act, where)
        if type(exp) is not type(act):
            return ["%s: expected %s, got %s" % (where, show(exp), show(act))]
        if isinstance(exp, list):
            return self.sequence(exp, act, path, where)
        if isinstance(exp, dict):
            return self.mapping(exp, act, path)
        return [] if exp == act else ["%s: expected %s, got %s" % (where, show(exp), show(act))]

    # {"$unordered": [...]} and its kin
    def is_unordered(self, arg, act, path, where):
        return self.unordered(arg, act, where, True)

    def is_contains(self, arg, act, path, where):
        return self.unordered(arg, act, where, False)

    def is_each(self, arg, act, path, where):
        if not isinstance(act, list):
            return ["%s: expected a list, got %s" % (where, show(act))]
        return [p for i, a in enumerate(act) for p in self.match(arg, a, "%s[%d]" % (path, i))][:5]

    def is_lacks(self, arg, act, path, where):
        if not isinstance(act, list):
            return ["%s: expected a list, got %s" % (where, show(act))]
        return ["%s: has the unwanted element %s" % (where, show(a)) for a in act for e in arg if not self.match(e, a)]

    def is_oneof(self, arg, act, path, where):
        if any(not self.match(e, act) for e in arg):
            return []
        return ["%s: %s is none of %s" % (where, show(act), show(arg))]

    def is_subset(self, arg, act, path, where):
        if not isinstance(act, dict):
            return ["%s: expected an object, got %s" % (where, show(act))]
        return self.mapping(arg, {k: v for k, v in act.items() if k in {self.vars.sub(x) for x in arg}}, path)

    def sequence(self, exp, act, path, where):
        if sorted_by_port(exp):
            return self.unordered(exp, act, where, True)
        out = []
        if len(exp) != len(act):
            out.append("%s: expected %d elements, got %d: %s" % (where, len(exp), len(act), show(act)))
        for i, (e, a) in enumerate(zip(exp, act)):
            out += self.match(e, a, "%s[%d]" % (path, i))
        return out

    def mapping(self, exp, act, path):
        out = []
        keys = {self.vars.sub(k): k for k in exp}
        for k, raw in keys.items():
            if k in act:
                out += self.match(exp[raw], act[k], "%s.%s" % (path, k))
            else:
                out.append("%s.%s: missing" % (path, k))
        return out + ["%s.%s: not expected, got %s" % (path, k, show(v)) for k, v in act.items() if k not in keys]

    def string(self, exp, act, where):
        number = isinstance(act, (int, float)) and not isinstance(act, bool)
        integer = number and isinstance(act, int)
        kinds = {"$any": True, "$int": integer, "$number": number, "$str": isinstance(act, str), "$list": isinstance(act, list),
                 "$object": isinstance(act, dict),
                 "$timestamp": isinstance(act, str) and TIMESTAMP.fullmatch(act)}
        if exp in kinds:
            return [] if kinds[exp] else ["%s: expected %s, got %s" % (where, exp, show(act))]
        m = re.fullmatch(r"\$add:(\w+):(-?\d+)", exp)
        if m:
            want = int(self.vars.get(m.group(1), 0)) + int(m.group(2))
            return [] if integer and act == want else ["%s: expected %d, got %s" % (where, want, show(act))]
        if exp.startswith("$re:"):
            rx = self.vars.sub(exp[4:], re.escape)
            ok = isinstance(act, str) and re.fullmatch(rx, act, re.S)
            return [] if ok else ["%s: expected text like /%s/, got %s" % (where, rx, show(act))]
        want = self.vars.deep(exp)
        if type(want) is type(act) and want == act:
            return []
        return ["%s: expected %s, got %s" % (where, show(want), show(act))]

    def unordered(self, exp, act, where, exact):
        if not isinstance(act, list):
            return ["%s: expected a list, got %s" % (where, show(act))]
        left, out = list(act), []
        for e in exp:
            for i, a in enumerate(left):
                if not self.match(e, a):
                    del left[i]
                    break
            else:
                out.append("%s: no element like %s" % (where, show(e)))
        if exact and left:
            out.append("%s: not expected: %s" % (where, show(left)))
        return out + (["%s: the list was %s" % (where, show(act))] if out else [])

    def text(self, exp, act):
        """Whole texts; a readable difference when they are long."""
        if isinstance(exp, dict) and "$lines" in exp:
            return self.unordered(exp["$lines"], act.splitlines(), "(lines)", True)
        if not isinstance(exp, str) or exp.startswith("$re:") or exp in ("$any", "$str", "$timestamp"):
            return self.match(exp, act, "(text)")
        want = self.vars.sub(exp)
        if want == act:
            return []
        if "\n" not in want and "\n" not in act:
            return ["(text): expected %s, got %s" % (show(want), show(act))]
        diff = difflib.unified_diff(want.split("\n"), act.split("\n"), "expected", "got", lineterm="", n=1)
        return ["(text) differs:"] + ["  " + ln for ln in diff][:60]

    def xml(self, pat, el):
        """None when everything that the pattern names is in the element."""
        if pat.tag != el.tag:
            return "element %s instead of %s" % (short(el.tag), short(pat.tag))
        for k, v in pat.attrib.items():
            got = el.get(k)
            if v == "$absent":
                if got is not None:
                    return "%s: attribute %s must be absent" % (short(pat.tag), k)
            elif got is None:
                return "%s: attribute %s missing" % (short(pat.tag), k)
            elif self.string(v, got, k):
                return "%s: %s" % (short(pat.tag), self.string(v, got, "@" + k)[0])
        want = (pat.text or "").strip()
        if want:
            got = el.text or ""
            if self.string(want, got if want.startswith("$re:") else got.strip(), "text"):
                return "%s: text %r instead of %r" % (short(pat.tag), got, want)
        return self.xml_children(pat, el)

    def xml_children(self, pat, el):
        left = list(el)
        for child in pat:
            why = "no such child"
            for i, c in enumerate(left):
                r = self.xml(child, c)
                if r is None:
                    del left[i]
                    break
                if c.tag == child.tag:
                    why = r
            else:
                return "%s: child %s: %s" % (short(pat.tag), short(child.tag), why)
        return None


def sorted_by_port(exp):
    """Rows of user_sessions_info: the first field that differs is the client's port, and that is the kernel's choice."""
    return len(exp) > 1 and all(isinstance(e, dict) and e.get("port") == "$int" and "jid" not in e for e in exp)


def short(tag):
    return tag.split("}")[-1]


def show(v, limit=300):
    s = json.dumps(v, ensure_ascii=False)
    return s if len(s) <= limit else s[:limit] + "... (%d characters)" % len(s)


def parse_fragment(xml):
    return list(ET.fromstring("<r xmlns='%s' xmlns:stream='%s'>%s</r>" % (NS_CLIENT, NS_STREAM, xml)))


def xml_text(el, ns=NS_CLIENT):
    """An element as text with default namespace declarations, no prefixes."""
    def esc(s):
        return s.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    uri, name = "", el.tag
    if name.startswith("{"):
        uri, name = name[1:].split("}", 1)
    out = "<" + name + (" xmlns='%s'" % uri if uri != ns else "")
    for k, v in el.attrib.items():
        out += " %s='%s'" % ("xml:lang" if k.endswith("}lang") else k, esc(v).replace("'", "&apos;"))
    inner = esc(el.text or "") + "".join(xml_text(c, uri) + esc(c.tail or "") for c in el)
    return out + (">%s</%s>" % (inner, name) if inner else "/>")
