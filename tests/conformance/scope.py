"""
What of the corpus concerns a server: a scenario counts when every command in its steps is implemented there (the server is
asked) and it touches no HTTP handler that is not served. Help about commands that are missing is left out step by step.
"""
import fnmatch
import re

OTHER_HANDLERS = re.compile(r"^/(oauth|admin|bosh|ws|upload|register|captcha|\.well-known)(/|\?|$)")


class Scope:
    def __init__(self, registry, implemented):
        self.known = {name: c for name, c in registry["commands"].items()}
        self.implemented = set(implemented)

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

    def missing(self, step):
        """Commands the step calls that the server does not have."""
        if "api" in step:
            names = {step["api"]}
        elif "ctl" in step:
            names = {w.replace("-", "_") for w in self.ctl_words(step)[:1]}
        elif "http" in step:
            m = re.match(r"/api/(\w+)", step["http"]["path"])
            names = {m.group(1)} if m else set()
        else:
            names = set()
        return {n for n in names if n in self.known} - self.implemented

    def out_of_scope(self, sc):
        """Commands and handlers that the scenario needs and the server lacks."""
        steps = sc["steps"] + sc.get("cleanup", [])
        lacking = {n for s in steps for n in self.missing(s)}
        return lacking | {s["http"]["path"] for s in steps if "http" in s and OTHER_HANDLERS.match(s["http"]["path"])}

    def leave_out_help(self, sc):
        """Marks help steps about missing commands; how many."""
        n = 0
        for s in sc["steps"]:
            words = self.ctl_words(s) if "ctl" in s else []
            if len(words) == 2 and words[0] == "help" and self.help_needs(words[1]) - self.implemented:
                s["left_out"] = True
                n += 1
        return n
