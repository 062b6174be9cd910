"""vCards (XEP-0054) and the digest of their photo in presence (XEP-0153)."""
import base64
import concurrent.futures
import hashlib

import pytest

from xmppstream import error_of, local, q, text_of_error

V = "{vcard-temp}"
UPDATE = "{vcard-temp:x:update}"
PHOTO = b"no picture, but bytes"
NONE = "<vCard xmlns='vcard-temp'/>"


def configure(config):
    config["modules"].update(mod_vcard={}, mod_vcard_xupdate={})


@pytest.fixture
def user(server, streams):
    return streams(server.login(server.register()))


def vcard(photo=None, more="<FN>Juliet</FN>"):
    binval = f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{base64.encodebytes(photo).decode()}</BINVAL></PHOTO>" if photo else ""
    return f"<vCard xmlns='vcard-temp'>{more}{binval}</vCard>"


def digest_in(presence):
    return presence.findtext(f"{UPDATE}x/{UPDATE}photo")


def own(stream):
    return lambda e: local(e) == "presence" and e.get("from") == stream.jid


def test_set_and_get(server, streams, user):
    """§3.1 and §3.2: the owner changes it, anybody reads it as it was sent."""
    assert user.iq(vcard(PHOTO), type_="set").get("type") == "result"
    other = streams(server.login(server.register()))
    card = other.iq(NONE, to=user.bare).find(f"{V}vCard")
    assert [local(e) for e in card] == ["FN", "PHOTO"] and card.findtext(f"{V}FN") == "Juliet"
    assert base64.b64decode(card.findtext(f"{V}PHOTO/{V}BINVAL")) == PHOTO
    assert user.iq(vcard(more="<NICKNAME>J</NICKNAME>"), type_="set").get("type") == "result"
    assert [local(e) for e in other.iq(NONE, to=user.bare).find(f"{V}vCard")] == ["NICKNAME"]


def test_survives_a_restart(new_server):
    server = new_server(configure)
    server.start()
    name = server.register()
    with server.login(name) as a:
        a.iq(vcard(), type_="set")
    server.kill()
    server.start()
    with server.login(name) as a:
        assert a.iq(NONE).find(f"{V}vCard/{V}FN").text == "Juliet"


def test_nobody_has_an_empty_one(user):
    """§3.1: whether the account exists is not told."""
    for who in (None, "nobody-there@localhost"):
        card = user.iq(NONE, to=who).find(f"{V}vCard")
        assert card is not None and len(card) == 0


def test_others_may_not_change_it(server, streams, user):
    """§3.2."""
    other = streams(server.login(server.register()))
    el = other.iq(vcard(), to=user.bare, type_="set")
    assert error_of(el) == ("auth", "forbidden")
    assert len(user.iq(NONE).find(f"{V}vCard")) == 0


def test_bad_photo(user):
    el = user.iq("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>%%%</BINVAL></PHOTO></vCard>", type_="set")
    assert error_of(el) == ("modify", "bad-request") and "BINVAL" in text_of_error(el)


def test_server_has_one(user):
    assert user.iq(NONE, to="localhost").findtext(f"{V}vCard/{V}FN") == "cjabberd"
    assert error_of(user.iq(vcard(), to="localhost", type_="set")) == ("cancel", "not-allowed")


def test_disco(user):
    for to in ("localhost", None):
        info = user.iq("<query xmlns='http://jabber.org/protocol/disco#info'/>", to=to)
        assert "vcard-temp" in [f.get("var") for f in info.iter("{http://jabber.org/protocol/disco#info}feature")]


def test_presence_names_the_photo(server, streams):
    """XEP-0153 §4.1: the digest in presence is the photo's SHA-1, an empty one when there is none."""
    name = server.register()
    one = streams(server.login(name, "one"))
    one.send("<presence><x xmlns='vcard-temp:x:update'><photo>made-up</photo></x></presence>")
    p = one.expect(own(one))
    assert digest_in(p) == "" and len(p.findall(f"{UPDATE}x")) == 1
    one.iq(vcard(PHOTO), type_="set", id_="set")
    assert digest_in(one.expect(own(one), "presence with the new photo")) == hashlib.sha1(PHOTO).hexdigest()
    two = streams(server.login(name, "two"))
    two.send("<presence/>")
    assert digest_in(two.expect(own(two))) == hashlib.sha1(PHOTO).hexdigest()
    one.expect(own(two))


def test_a_command_changes_it_too(server, streams):
    name = server.register()
    one = streams(server.login(name, presence=True))
    one.iq(vcard(PHOTO), type_="set")
    one.expect(lambda e: own(one)(e) and digest_in(e))
    assert server.api("set_nickname", user=name, host="localhost", nickname="J") == 0
    assert digest_in(one.expect(own(one), "presence without the photo")) == ""
    assert server.api("get_vcard", user=name, host="localhost", name="NICKNAME") == "J"


def test_names_that_are_none(server):
    """What XML cannot carry must not make the vCard unreadable."""
    name = server.register()
    server.api("set_vcard", user=name, host="localhost", name="FN", content="F")
    for bad in ("", "a b", "a><b", "1"):
        status, _ = server.api_raw("set_vcard", f'{{"user": "{name}", "host": "localhost", "name": "{bad}", "content": "x"}}')
        assert status == 400
    status, _ = server.api_raw("set_vcard", f'{{"user": "{name}", "host": "localhost", "name": "DESC", "content": "a\\u0001<b>"}}')
    assert status == 500  # as recorded; the reason is in a header
    assert server.api("get_vcard", user=name, host="localhost", name="FN") == "F"
    assert server.api_raw("get_vcard", f'{{"user": "{name}", "host": "localhost", "name": "DESC"}}')[0] == 400


def test_unregistering_takes_it_along(server):
    """Whoever takes the name next finds nothing of the one before."""
    name = server.register()
    server.api("set_vcard", user=name, host="localhost", name="FN", content="F")
    server.api("unregister", user=name, host="localhost")
    server.api("register", user=name, host="localhost", password="x")
    status, _ = server.api_raw("get_vcard", f'{{"user": "{name}", "host": "localhost", "name": "FN"}}')
    assert status == 400


def test_changes_at_once_are_not_lost(server, streams):
    """Commands read, change and write the whole vCard: neither another's field nor what a client has stored may go under."""
    name = server.register()
    fields = [f"X-{i}" for i in range(24)]

    def put(field):
        return server.api("set_vcard", user=name, host="localhost", name=field, content=field)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert set(pool.map(put, fields)) == {0}
    assert [server.api("get_vcard", user=name, host="localhost", name=f) for f in fields] == fields
    client = streams(server.login(name))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for i in range(10):
            client.send(f"<iq type='set' id='s{i}'>{vcard(more=f'<FN>{i}</FN>')}</iq>")
            done = pool.map(put, fields)
            assert client.expect_id(f"s{i}").get("type") == "result" and set(done) == {0}
            assert server.api("get_vcard", user=name, host="localhost", name="FN") == str(i)
