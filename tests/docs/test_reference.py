"""
The documents made from the command table: the Markdown reference has the facts of ejabberd's published one (reference.json), and
the other documents are whole.
"""
import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest

import reference

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("CJABBERD_BUILD", HERE.parent.parent / "build")).resolve()
PUBLISHED = json.loads((HERE / "reference.json").read_text())
OWN = {line.strip() for line in (HERE.parent / "conformance" / "own_commands.txt").read_text().splitlines() if line.strip()}


def printed(kind):
    return subprocess.run([BUILD / "cjabberd", "--print", kind], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def ours():
    return reference.read(printed("markdown"))


@pytest.fixture(scope="session")
def table():
    return {n: c for n, c in json.loads(printed("json")).items() if not c["internal"]}


def test_every_published_command_is_described(ours):
    assert sorted(set(ours) - OWN) == sorted(PUBLISHED)
    assert len(PUBLISHED) == 185


def test_own_commands_are_described_too(ours):
    assert OWN <= set(ours)


def facts_of(value):
    """Sentences in examples are our own; digests are in upper case, as check_password_hash compares them."""
    if isinstance(value, dict):
        return {k: facts_of(v) for k, v in value.items()}
    if isinstance(value, str) and (value.count(" ") > 1 or re.fullmatch("[0-9a-fA-F]{32}", value)):
        return "..." if " " in value else value.upper()
    return value


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_command_has_the_published_facts(ours, name):
    want, got = PUBLISHED[name], ours[name]
    for a in got["arguments"] + [got["result"]]:
        a.pop("help", None)
    if want["request"] is None:
        assert sorted(got["request"]) == sorted(a["name"] for a in got["arguments"])
        got = {**got, "request": None}
    assert {**got, "request": facts_of(got["request"])} == {**want, "request": facts_of(want["request"])}


def test_order_is_by_name(ours):
    assert list(ours) == sorted(ours)


def test_tags_name_every_command_under_each_of_its_tags(ours):
    text = printed("tags")
    sections = {s.split("\n", 1)[0]: set(re.findall(r"^- \[(\w+)\]", s, re.M)) for s in text.split("## ")[1:]}
    for name, c in ours.items():
        for place in c["tags"] + c["module"]:
            assert name in sections[place], f"{name} is not under {place}"


def test_html_has_a_section_and_a_link_for_every_command(ours):
    text = printed("html")
    assert text.startswith("<!DOCTYPE html>")
    for name in ours:
        assert f'<section id="{name}">' in text and f'<a href="#{name}">' in text
    assert len(re.findall(r"<(p|ul|dl|pre|section)\b", text)) == len(re.findall(r"</(p|ul|dl|pre|section)>", text))
    assert "src=" not in text and "http-equiv" not in text


def test_manual_page_formats_without_complaint(ours, tmp_path):
    page = tmp_path / "cjabberd-commands.7"
    page.write_text(printed("man"))
    r = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-cbou", page], capture_output=True, text=True)
    assert r.returncode == 0 and r.stderr == ""
    for name in ours:
        assert re.search(rf"^ +{name}\b", r.stdout, re.M), f"{name} is not in the page"


# --- OpenAPI ---

OPERATION = {
    "type": "object", "required": ["operationId", "summary", "tags", "requestBody", "responses"],
    "properties": {
        "operationId": {"type": "string", "pattern": "^[a-z0-9_]+$"}, "summary": {"type": "string", "minLength": 5},
        "tags": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "requestBody": {"type": "object", "required": ["content"]},
        "responses": {"type": "object", "required": ["200", "default"]},
    },
}


@pytest.fixture(scope="session")
def openapi():
    return json.loads(printed("openapi"))


def test_openapi_is_valid(openapi):
    """Against the specification's own schema by a validator, and every schema against JSON Schema 2020-12."""
    from openapi_spec_validator import OpenAPIV31SpecValidator

    OpenAPIV31SpecValidator(openapi).validate()
    ids = [op["operationId"] for path in openapi["paths"].values() for op in path.values()]
    assert len(ids) == len(set(ids))


def test_openapi_has_every_command_and_version(openapi, table):
    want = set()
    for name, c in table.items():
        if c["tool_only"]:
            continue
        versions = sorted(map(int, c["versions"]))
        want |= {f"/api/{name}"} | {f"/api/{name}/v{v}" for v in versions[:-1]}
    assert set(openapi["paths"]) == want


def test_openapi_examples_fit_their_schemas(openapi):
    for path, item in openapi["paths"].items():
        op = item["post"]
        jsonschema.validate(op, OPERATION)
        body = op["requestBody"]["content"]["application/json"]
        jsonschema.Draft202012Validator.check_schema(body["schema"])
        jsonschema.validate(body["example"], body["schema"])
        answer = op["responses"]["200"]["content"]["application/json"]
        jsonschema.Draft202012Validator.check_schema(answer["schema"])
        if "example" in answer:
            jsonschema.validate(answer["example"], answer["schema"])
