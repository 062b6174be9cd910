#!/usr/bin/env python3
"""Compares the command table with the facts recorded from ejabberd 25.03: names, types, order, tags, renames, versions."""
import json
import subprocess
import sys

COMMANDS_AT_LEAST = 40


def fact(version):
    return {
        "args": [(a["name"], a["type"]) for a in version["args"]],
        "result": (version["result"]["name"], version["result"]["type"]),
        "tags": version["tags"],
        "note": version["note"],
        "renames": version["old_argument_names"],
    }


def flat(value):
    """The fields of an example result, one after another."""
    if isinstance(value, dict):
        return flat(value["tuple"])
    if isinstance(value, list):
        return [x for v in value for x in flat(v)]
    return [str(value)]


def compare(name, ours, theirs):
    if set(ours["versions"]) != {v[1:] for v in theirs["versions"]}:
        yield "%s: versions %s, recorded %s" % (name, sorted(ours["versions"]), sorted(theirs["versions"]))
        return
    for v, mine in ours["versions"].items():
        recorded = theirs["versions"]["v" + v]
        want, got = fact(recorded), fact(mine)
        for key in want:
            if want[key] != got[key]:
                yield "%s v%s: %s is %s, recorded %s" % (name, v, key, got[key], want[key])
        if mine["policy"] != theirs["policy"]:
            yield "%s: policy is %s, recorded %s" % (name, mine["policy"], theirs["policy"])
        if (mine["module"] or "unknown") != theirs["defined_by"]:
            yield "%s: module is %s, recorded %s" % (name, mine["module"], theirs["defined_by"])
        if mine["example"] != flat(recorded["args_example"] or []):
            yield "%s v%s: example is %s" % (name, v, mine["example"])
    if ours["brief"] == theirs["description"] or not ours["brief"]:
        yield "%s: the description is not our own" % name


def main(printer, registry):
    table = json.loads(subprocess.run([printer], check=True, stdout=subprocess.PIPE).stdout)
    with open(registry, encoding="utf-8") as f:
        facts = json.load(f)["commands"]
    problems = [p for name, ours in table.items() if name in facts for p in compare(name, ours, facts[name])]
    problems += ["%s: ejabberd has no such command" % n for n in table if n not in facts]
    if len(table) < COMMANDS_AT_LEAST:
        problems.append("only %d commands" % len(table))
    if list(table) != sorted(table):
        problems.append("the table is not sorted")
    print("\n".join(problems) or "%d commands as recorded" % len(table))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
