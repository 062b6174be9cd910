"""
Every operation of /api/openapi.json is called with the example that stands there, on a running server, and the answer is one that
the document allows. Commands that end or reconfigure the server get a server of their own.
"""
import http.client
import json

import jsonschema
import pytest

from server import DEADLINE, Server

ENDS = {"stop", "restart", "halt", "stop_kindly", "evacuate_kindly"}


def call(server, method, path, body=None, headers=None):
    c = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        c.request(method, path, json.dumps(body).encode() if body is not None else None, headers or {})
        r = c.getresponse()
        return r.status, r.headers, r.read()
    finally:
        c.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("server"), allow_errors=True)
    s.start()
    yield s
    try:
        assert s.alive(), f"the server ended by itself\n{s.words()}"
        s.stop()
    finally:
        s.give_up()


@pytest.fixture(scope="module")
def document(server):
    status, headers, body = call(server, "GET", "/api/openapi.json")
    assert status == 200 and headers["Content-Type"] == "application/json"
    return json.loads(body)


def test_the_document_is_sent_once_to_those_who_have_it(server, document):
    _, headers, _ = call(server, "GET", "/api/openapi.json")
    status, _, body = call(server, "GET", "/api/openapi.json", headers={"If-None-Match": headers["ETag"]})
    assert (status, body) == (304, b"")


def local(value, folder):
    """The example's files go into the test's folder, its hosts are those of the server."""
    if isinstance(value, str):
        if value.startswith("/"):
            return str(folder / value.rsplit("/", 1)[1])
        return value.replace("myserver.com", "localhost").replace("example.com", "example.test")
    if isinstance(value, list):
        return [local(v, folder) for v in value]
    if isinstance(value, dict):
        return {k: local(v, folder) for k, v in value.items()}
    return value


def test_every_operation_answers_as_the_document_says(server, document, tmp_path):
    called = set()
    failure = document["components"]["responses"]["failure"]["content"]["application/json"]["schema"]
    for path, item in document["paths"].items():
        op = item["post"]
        if path.split("/")[2] in ENDS:
            continue
        body = local(op["requestBody"]["content"]["application/json"]["example"], tmp_path)
        status, _, text = call(server, "POST", path, body)
        answer = json.loads(text)
        if status == 200:
            jsonschema.validate(answer, op["responses"]["200"]["content"]["application/json"]["schema"])
        else:
            jsonschema.validate(answer, failure)
            # whatever the example names need not exist, but its arguments are right
            assert "argument" not in text.decode() and "is not in format" not in text.decode(), f"{path}: {text}"
        assert status in (200, 400, 403, 404, 409, 500, 501), f"{path}: {status} {text}"
        called.add(path)
    assert len(called) >= len(document["paths"]) - 2 * len(ENDS)


@pytest.mark.parametrize("name", ["stop", "restart"])
def test_ending_operations_answer_before_they_end(name, document, tmp_path):
    s = Server(tmp_path / "own")
    s.start()
    try:
        status, _, text = call(s, "POST", f"/api/{name}", {})
        schema = document["paths"][f"/api/{name}"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert status == 200
        jsonschema.validate(json.loads(text), schema)
        if name == "stop":
            assert s.process.wait(30) == 0
    finally:
        s.give_up()
