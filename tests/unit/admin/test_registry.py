#!/usr/bin/env python3
"""
Compares the command table with the facts recorded from ejabberd 25.03: names, versions, types, order, tags, old names, policy,
module, notes and examples must be the recorded ones, sentences must be our own. And pending.txt names exactly the commands that
are known but not implemented; it may only lose names: those that ever stood there are in pending_first.txt.

    test_registry.py FOLDER cjabberd --print json            what differs, exit status 1 when anything does
    test_registry.py --write FOLDER cjabberd --print json    takes implemented commands out of pending.txt before
"""
import json
import os
import re
import subprocess
import sys

# Commands that ejabberd does not have.
OWN = {"explain_permission"}
# The recorded example does not work: a digest in lower case never fits.
OWN_EXAMPLE = {"check_password_hash"}
# The result of the recorded example is broken.
OWN_SHOWS = {"status"}
WORDS_IN_A_ROW = 9


def words(text):
    return re.findall(r"\w+", text.lower())


def example(value):
    """An argument of an example as a word of the command line."""
    if isinstance(value, dict):
        return ":".join(example(v) for v in value["tuple"])
    return ",".join(example(v) for v in value) if isinstance(value, list) else str(value)


def same_example(ours, recorded):
    """Values are the recorded ones; where a sentence was recorded there is another sentence."""
    return len(ours) == len(recorded) and all(a == b or " " in a.strip() and b.count(" ") > 1 for a, b in zip(ours, recorded))


def shown(result, value):
    """The result of an example: its fields one after another."""
    if value == "none" and result["type"] != "atom":
        return []
    if isinstance(value, dict):
        return [example(v) for v in value["tuple"][1 if result["type"] == "restuple" else 0:]]
    if isinstance(value, list):
        return [x for v in value for x in (shown(result, v) if isinstance(v, dict) else [example(v)])]
    return [str(value)]


def facts(version):
    """Of the table or of the recording; the rest of both is not for comparing."""
    return {
        "args": [(a["name"], a["type"]) for a in version["args"]],
        "result": (version["result"]["name"], version["result"]["type"]),
        "tags": version["tags"],
        "note": version["note"],
        "renames": version["old_argument_names"],
    }


def without_help(ours, recorded):
    """Names of arguments that the reference explains and the table does not."""
    for mine, theirs in zip(ours["args"], recorded["args"]):
        if theirs.get("description") and not mine["help"]:
            yield mine["name"]
    if recorded["result_description"] and ours["result"]["type"] not in ("rescode", "restuple") and not ours["result"]["help"]:
        yield ours["result"]["name"]


def compare_version(where, ours, recorded):
    want, got = facts(recorded), facts(ours)
    want["example"], got["example"] = [example(v) for v in recorded["args_example"] or []], ours["example"]
    want["shows"] = shown(recorded["result"], recorded["result_example"])
    got["shows"] = ours["shows"]
    if where.split()[0] in OWN_SHOWS or not want["shows"] and not want["example"]:
        del want["shows"]
    if where.split()[0] in OWN_EXAMPLE or same_example(got["example"], want["example"]):
        del want["example"]
    for key in want:
        if want[key] != got[key]:
            yield "%s: %s is %s, recorded %s" % (where, key, got[key], want[key])
    for name in without_help(ours, recorded):
        yield "%s: %s has no help text" % (where, name)


def copied(ours, theirs):
    """A row of words that both texts have."""
    mine, other = words(re.sub(r"`[^`]*`", "", ours)), words(theirs)
    rows = {tuple(other[i:i + WORDS_IN_A_ROW]) for i in range(len(other) - WORDS_IN_A_ROW + 1)}
    for i in range(len(mine) - WORDS_IN_A_ROW + 1):
        if tuple(mine[i:i + WORDS_IN_A_ROW]) in rows and len(set(mine[i:i + WORDS_IN_A_ROW])) == WORDS_IN_A_ROW:
            return " ".join(mine[i:i + WORDS_IN_A_ROW])
    return None


def compare_texts(name, ours, theirs):
    if not ours["brief"] or words(ours["brief"]) == words(theirs["description"]):
        yield "%s: the description is not our own" % name
    row = copied(ours["text"], theirs["long_description"])
    if row:
        yield "%s: the text is not our own: %s" % (name, row)


def compare(name, ours, theirs):
    if set(ours["versions"]) != {v[1:] for v in theirs["versions"]}:
        yield "%s: versions %s, recorded %s" % (name, sorted(ours["versions"]), sorted(theirs["versions"]))
        return
    for v, mine in ours["versions"].items():
        yield from compare_version("%s v%s" % (name, v), mine, theirs["versions"]["v" + v])
        if mine["policy"] != theirs["policy"]:
            yield "%s: policy is %s, recorded %s" % (name, mine["policy"], theirs["policy"])
        if (mine["module"] or "unknown") != theirs["defined_by"]:
            yield "%s: module is %s, recorded %s" % (name, mine["module"] or "unknown", theirs["defined_by"])
    if ours["internal"] != theirs["internal"]:
        yield "%s: internal is %s, recorded %s" % (name, ours["internal"], theirs["internal"])
    yield from compare_texts(name, ours, theirs)


def compare_all(table, recorded):
    for name in sorted(set(table) | set(recorded)):
        if name not in table:
            yield "%s: missing" % name
        elif name in recorded:
            yield from compare(name, table[name], recorded[name])
        elif name not in OWN:
            yield "%s: ejabberd has no such command, and OWN does not name it" % name
    if list(table) != sorted(table):
        yield "the table is not sorted"


def names(path):
    with open(path, encoding="utf-8") as f:
        return [line.strip() for line in f if line.strip() and not line.startswith("#")]


def pending(table):
    return {n for n, c in table.items() if not c["implemented"] and not c["internal"]}


def compare_pending(table, listed, first):
    actual = pending(table)
    for n in sorted(set(listed) - actual):
        yield "pending.txt: %s is %s: take it out" % (n, "implemented" if n in table else "no command")
    for n in sorted(actual - set(listed)):
        yield "pending.txt: %s is not implemented and not listed" % n
    for n in sorted(set(listed) - set(first)):
        yield "pending.txt: %s was implemented once; the list may only lose names" % n
    if listed != sorted(set(listed)):
        yield "pending.txt is not sorted"


def write_pending(path, table):
    with open(path, encoding="utf-8") as f:
        lines = f.readlines()
    keep = pending(table)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(line for line in lines if line.startswith("#") or line.strip() in keep)


def main(argv):
    write = argv[0] == "--write"
    folder, printer = argv[write], argv[write + 1:]
    table = json.loads(subprocess.run(printer, check=True, stdout=subprocess.PIPE).stdout)
    with open(os.path.join(folder, "registry.json"), encoding="utf-8") as f:
        recorded = json.load(f)["commands"]
    path = os.path.join(folder, "pending.txt")
    if write:
        write_pending(path, table)
    listed = names(path)
    problems = list(compare_all(table, recorded))
    problems += compare_pending(table, listed, names(os.path.join(folder, "pending_first.txt")))
    print("\n".join(problems) or "%d commands as recorded, %d of them pending" % (len(table), len(listed)))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
