"""
Differences from the recordings that are wanted: exceptions.json, one entry each, with a reason that docs/compatibility.md
repeats. An entry changes as little as possible: the rest of its scenario is still compared.

    {"scenario": REGEX, "reason": TEXT, "replace": {RECORDED: OURS, ...}}   texts inside expected values
    {"scenario": REGEX, "reason": TEXT, "mask": "help"}                     sentences in help texts are not compared
    {"scenario": REGEX, "reason": TEXT, "leave_out": [N, ...]}              steps, counted from 1
    {"scenario": REGEX, "reason": TEXT, "expect": {"N": {...}, ...}}        other expectations of steps
"""
import json
import re


def mask_help(text):
    """Layout and facts of a help text stay; sentences, which are our own, are cut out."""
    out, section = [], ""
    for line in text.split("\n"):
        if re.match(r"  [A-Z]\w+( \w+)?: ", line):
            section = line.split(":")[0].strip()
        elif re.match(r"(Error: |  \w+( \w+)*$)", line):
            section = ""
        line = re.sub(r"^(  Note: ).* argument.*: (\S+)$", r"\1\2", line)
        if line.startswith("  Example: "):
            line = re.sub(r'"(?:[^" ]+ ){2,}[^" ]+"', '"..."', line)
        if section == "Arguments":
            line = re.sub(r" : .*", "", line)
        elif section == "Description" or re.match(r" {13}\S", line) and not section:
            continue
        out.append(line)
    return "\n".join(out)


class Exceptions:
    def __init__(self, entries):
        self.entries = entries

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            return cls(json.load(f))

    def of(self, name):
        return Exceptions([e for e in self.entries if re.fullmatch(e["scenario"], name)])

    def left_out(self):
        return {n for e in self.entries for n in e.get("leave_out", [])}

    def expected(self):
        return {int(n): what for e in self.entries for n, what in e.get("expect", {}).items()}

    def pattern(self, xml):
        for e in self.entries:
            xml = replaced(xml, e.get("replace", {}))
        return xml

    def apply(self, part, want, got):
        for e in self.entries:
            if "replace" in e:
                want = replaced(want, e["replace"])
            if e.get("mask") == "help" and part == "stdout" and isinstance(want, str) and isinstance(got, str):
                want, got = mask_help(want), mask_help(got)
        return want, got


def replaced(value, pairs):
    if isinstance(value, str):
        for old, new in pairs.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, list):
        return [replaced(v, pairs) for v in value]
    if isinstance(value, dict):
        return {k: replaced(v, pairs) for k, v in value.items()}
    return value
