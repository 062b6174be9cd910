"""Alternative connection methods (XEP-0156): the two documents, for each host."""
import http.client
import json
import xml.etree.ElementTree as ET

import pytest

from server import DEADLINE

XRD = "{http://docs.oasis-open.org/ns/xri/xrd-1.0}"
BOSH, WS = "urn:xmpp:alt-connections:xbosh", "urn:xmpp:alt-connections:websocket"


def configure(config):
    config["modules"]["mod_host_meta"] = {"bosh_service_url": "https://@HOST@:5443/bosh", "websocket_url": "wss://@HOST@:5443/ws?a&b"}
    listener = next(l for l in config["listen"] if l["module"] == "ejabberd_http")
    listener["request_handlers"].update({"/.well-known/host-meta": "mod_host_meta", "/.well-known/host-meta.json": "mod_host_meta",
                                         "/both": "mod_host_meta"})
    listener["custom_headers"] = {"X-Own": "yes"}


def get(server, path, host="localhost", method="GET", body=None):
    conn = http.client.HTTPConnection(*server.http, timeout=DEADLINE)
    try:
        conn.request(method, path, body, headers={"Host": host} if host is not None else {})
        r = conn.getresponse()
        return r.status, dict(r.getheaders()), r.read()
    finally:
        conn.close()


@pytest.mark.parametrize("host", ["localhost", "example.test", "Example.TEST:5280"])
@pytest.mark.parametrize("folder", ["/.well-known", "/both"])
def test_documents(server, host, folder):
    """§2.3: XRD and JRD say the same, for the host that was asked; §3: any site may read them."""
    name = host.partition(":")[0].lower()
    want = [(BOSH, f"https://{name}:5443/bosh"), (WS, f"wss://{name}:5443/ws?a&b")]
    status, headers, body = get(server, f"{folder}/host-meta", host)
    assert status == 200 and headers["Content-Type"].startswith("application/xrd+xml")
    assert headers["Access-Control-Allow-Origin"] == "*" and headers["X-Own"] == "yes"
    root = ET.fromstring(body)
    assert root.tag == f"{XRD}XRD" and [(l.get("rel"), l.get("href")) for l in root.findall(f"{XRD}Link")] == want
    status, headers, body = get(server, f"{folder}/host-meta.json", host)
    assert status == 200 and headers["Content-Type"] == "application/json" and headers["Access-Control-Allow-Origin"] == "*"
    assert [(l["rel"], l["href"]) for l in json.loads(body)["links"]] == want


@pytest.mark.parametrize("path, host", [
    ("/.well-known/host-meta", "unknown.example"), ("/.well-known/host-meta.json", "127.0.0.1"), ("/both", "localhost"),
    ("/both/other", "localhost"), ("/.well-known/host-meta/more", "localhost"), ("/both/host-meta/more", "localhost")])
def test_not_there(server, path, host):
    assert get(server, path, host)[0] == 404


def test_methods(server):
    status, headers, body = get(server, "/.well-known/host-meta", method="HEAD")
    assert status == 200 and body == b""
    status, headers, _ = get(server, "/.well-known/host-meta", method="OPTIONS")
    assert status == 200 and headers["Access-Control-Allow-Origin"] == "*" and "GET" in headers["Access-Control-Allow-Methods"]
    assert get(server, "/.well-known/host-meta", method="POST", body="x")[0] == 405


def test_host_without_the_module(new_server):
    """Per host: loaded on one of them only; and gone after a reload."""
    def change(config):
        configure(config)
        modules = {k: v for k, v in config["modules"].items() if k != "mod_host_meta"}
        config["host_config"] = {"example.test": {"modules": modules}}
    s = new_server(change)
    s.start()
    assert get(s, "/.well-known/host-meta", "localhost")[0] == 200
    assert get(s, "/.well-known/host-meta", "example.test")[0] == 404
    s.config["modules"].pop("mod_host_meta")
    s.reload()
    assert get(s, "/.well-known/host-meta", "localhost")[0] == 404


def test_undefined(new_server):
    """A URL that is not to be announced: the documents are there, without it."""
    def change(config):
        configure(config)
        config["modules"]["mod_host_meta"] = {"bosh_service_url": "undefined", "websocket_url": "undefined"}
    s = new_server(change)
    s.start()
    assert json.loads(get(s, "/.well-known/host-meta.json")[2]) == {"links": []}
    assert len(ET.fromstring(get(s, "/.well-known/host-meta")[2])) == 0
