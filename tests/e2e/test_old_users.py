"""delete_old_users and delete_old_users_vhost: who goes and who stays."""
import json

import pytest


def configure(config):
    config["acl"]["kept"] = {"user": ["kept@localhost", "kept@example.test"]}
    config["access_rules"]["protect_old_users"] = [{"allow": "kept"}, {"deny": "all"}]
    config["access_rules"]["delete_old_users"] = [{"deny": "kept"}, {"allow": "all"}]


@pytest.fixture
def accounts(server, streams):
    for host in server.HOSTS:
        for name in ("old", "kept", "fresh", "online"):
            server.api_raw("register", json.dumps({"user": name, "host": host, "password": "secret"}))
            if name != "fresh":
                server.api("set_last", user=name, host=host, timestamp=1500000000, status="")
    streams(server.login("online"))
    server.api("set_last", user="online", host="localhost", timestamp=1500000000, status="")
    server.api("set_vcard", user="old", host="localhost", name="FN", content="Old")
    server.api("set_last", user="online", host="example.test", timestamp=4102444800, status="")


def users(server, host):
    return server.api("registered_users", host=host)


def test_one_host(server, accounts):
    assert server.api("delete_old_users_vhost", host="localhost", days=30) == 'Deleted 1 users: [{<<"old">>,<<"localhost">>}]'
    assert users(server, "localhost") == ["fresh", "kept", "online"]
    assert "old" in users(server, "example.test")
    server.api("register", user="old", host="localhost", password="x")
    status, body = server.api_raw("get_vcard", '{"user": "old", "host": "localhost", "name": "FN"}')
    assert (status, json.loads(body)) == (400, "error_no_vcard_found")  # nothing is left behind
    assert server.api("delete_old_users_vhost", host="nowhere.test", days=0) == "Deleted 0 users: []"


def test_all_hosts(server, accounts):
    assert server.api("delete_old_users", days=30).startswith("Deleted 2 users: [{")
    for host in server.HOSTS:
        assert users(server, host) == ["fresh", "kept", "online"]
    assert server.api("delete_old_users", days=30) == "Deleted 0 users: []"
    assert server.api("delete_old_users", days=10**17) == "Deleted 0 users: []"


def test_many(server):
    """More than are looked at and deleted at once: each once, in the order of their names, and nobody else."""
    gone = [f"past{i:03}" for i in range(600) if i % 3]
    for i in range(600):
        server.api("register", user=f"past{i:03}", host="example.test", password="secret")
    for name in gone:
        server.api("set_last", user=name, host="example.test", timestamp=1500000000, status="")
    before = users(server, "example.test")
    answer = server.api("delete_old_users_vhost", host="example.test", days=30)
    assert answer == f"Deleted {len(gone)} users: [" + ",\n ".join(f'{{<<"{name}">>,<<"example.test">>}}' for name in gone) + "]"
    assert users(server, "example.test") == sorted(set(before) - set(gone))
    assert server.api("stats_host", name="registeredusers", host="example.test") == len(before) - len(gone)
