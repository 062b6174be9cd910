"""Commands that are known but not implemented say so, in every API version and front end, after their arguments were looked at;
internal ones are refused. Nothing is ever reported as done."""
import json
import subprocess

import pytest

from server import BINARY, ROOT

TABLE = json.loads(subprocess.run([str(BINARY), "--print", "json"], check=True, capture_output=True).stdout)
PENDING = [n for n in (ROOT / "tests/conformance/pending.txt").read_text().splitlines() if n and not n.startswith("#")]
INTERNAL = sorted(n for n, c in TABLE.items() if c["internal"])
REFUSAL = "frontend_cannot_call_an_internal_command"


def some(kind):
    return 1 if kind == "integer" else [] if kind.startswith("[") else "x"


def shapes(name):
    return sorted((int(v), {a["name"]: some(a["type"]) for a in s["args"]}) for v, s in TABLE[name]["versions"].items())


@pytest.mark.parametrize("name", PENDING)
def test_pending(server, name):
    for version, args in shapes(name):
        status, body = server.api_raw(f"{name}/v{version}", json.dumps(args))
        if TABLE[name]["tool_only"]:
            assert (status, body) == (500, '"internal_error"')
        else:
            assert (status, body) == (501, '"not implemented"')
        status, body = server.api_raw(f"{name}/v{version}", json.dumps({**args, "bogus": 1}))
        assert (status, body) == (400, '"Request have unknown arguments: [bogus]"')
    words = ["" if v == [] else str(v) for v in args.values()]
    told = server.ctl(name, *words)
    assert told.returncode == 1 and "not implemented" in told.stdout + told.stderr


@pytest.mark.parametrize("name", INTERNAL)
def test_internal(server, name):
    for version, args in shapes(name):
        if "any" in (a["type"] for a in TABLE[name]["versions"][str(version)]["args"]):
            assert server.api_raw(name, json.dumps(args))[0] == 400  # such arguments cannot be given from outside
        else:
            assert server.api_raw(name, json.dumps(args)) == (400, f'"{REFUSAL}"')
            told = server.ctl(name, *(str(v) for v in args.values()))
            assert told.returncode == 1 and REFUSAL in told.stdout


def test_internal_are_not_shown(server):
    assert "echo3" not in server.ctl("help", "tags").stdout
    assert "Did you mean 'echo" not in server.ctl("echp").stdout
