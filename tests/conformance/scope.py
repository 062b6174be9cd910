"""
What of the corpus concerns a server, which is asked for its commands: a scenario counts when it touches no HTTP handler that is
not served and every command in its steps is either implemented, or known and the recorded answer comes before the command itself
(arguments, names, permissions are looked at first). Help needs a command to be known; about others it is left out step by step.
"""
import fnmatch
import re

OTHER_HANDLERS = re.compile(r"^/(admin|bosh|ws|upload|register|captcha|\.well-known)(/|\?|$)")
# Answers that come before the command itself.
EARLY_TEXT = re.compile(r"Request have (missing|unknown|duplicate) argument|Arg .* is not in format |400 Bad Request$|"
                        r"unknown_command$|frontend_cannot_call_an_internal_command$", re.DOTALL)
EARLY_STATUS = (401, 403)
NUMBER = re.compile(r"[+-]?\d+$", re.ASCII)


class Scope:
    def __init__(self, registry, table):
        self.known = registry["commands"]
        self.table = table
        self.implemented = {n for n, c in table.items() if c["implemented"]}

    def tags(self, name):
        return {t for v in self.known[name]["versions"].values() for t in v["tags"]}

    def help_needs(self, word):
        shown = {n for n, c in self.known.items() if c["documented"]}
        if word in self.known:
            return {word}
        if word in ("tags", "commands"):
            return shown
        return {n for n in shown if word in self.tags(n) or ("*" in word or "?" in word) and fnmatch.fnmatchcase(n, word)}

    @staticmethod
    def ctl_words(step):
        """Command and arguments, without options."""
        words = [str(w) for w in step["ctl"]]
        while words and words[0].startswith("--"):
            del words[:{"--version": 2, "--auth": 4}.get(words[0], 1)]
        return words

    def shape(self, name, version):
        versions = {int(v): s for v, s in self.table[name]["versions"].items()}
        at = [v for v in versions if v <= version]
        return versions[max(at)] if at else {"args": []}

    def unfit_number(self, name, step):
        """An integer argument is given as a text that is none: the answer is the same for all commands."""
        types = {a["name"]: a["type"] for a in self.shape(name, step.get("version", 3))["args"]}
        return any(types.get(k) == "integer" and isinstance(v, str) and not NUMBER.match(v)
                   for k, v in step.get("args", {}).items())

    def early(self, name, step):
        """The recorded answer does not need the body of the command."""
        expect = step.get("expect") or {}
        text = expect.get("json")
        if expect.get("status") in EARLY_STATUS or isinstance(text, str) and EARLY_TEXT.match(text):
            return True
        return text == "internal_error" and self.unfit_number(name, step)

    def lacks(self, name, step):
        if name in self.implemented:
            return False
        return name not in self.table or not (self.table[name]["internal"] or self.early(name, step))

    def missing(self, step):
        """Commands the step calls that the server lacks, as far as the step needs them."""
        if "api" in step:
            names = {step["api"]}
        elif "ctl" in step:
            names = {w.replace("-", "_") for w in self.ctl_words(step)[:1]}
        elif "http" in step:
            m = re.match(r"/api/(\w+)", step["http"]["path"])
            names = {m.group(1)} if m else set()
        else:
            names = set()
        return {n for n in names if n in self.known and self.lacks(n, step)}

    def out_of_scope(self, sc):
        """Commands and handlers that the scenario needs and the server lacks."""
        steps = sc["steps"] + sc.get("cleanup", [])
        lacking = {n for s in steps for n in self.missing(s)}
        return lacking | {s["http"]["path"] for s in steps if "http" in s and OTHER_HANDLERS.match(s["http"]["path"])}

    def leave_out_help(self, sc):
        """Marks help steps about commands that the server does not know; how many."""
        n = 0
        for s in sc["steps"]:
            words = self.ctl_words(s) if "ctl" in s else []
            if len(words) == 2 and words[0] == "help" and self.help_needs(words[1]) - set(self.table):
                s["left_out"] = True
                n += 1
        return n
