"""Private XML storage (XEP-0049)."""
import pytest

from xmppstream import error_of, local

QUERY = "<query xmlns='jabber:iq:private'>{}</query>"
P = "{jabber:iq:private}"


def configure(config):
    config["modules"].update(mod_private={})


@pytest.fixture
def user(server, streams):
    return streams(server.login(server.register()))


def test_set_and_get(user):
    """§3.1: one element per namespace, given back as it was; an unknown one comes back empty."""
    assert user.iq(QUERY.format("<a xmlns='urn:a'><b c='d'>&lt;x&gt;</b></a><z xmlns='urn:z'/>"), type_="set").get("type") == "result"
    got = user.iq(QUERY.format("<a xmlns='urn:a'/><none xmlns='urn:none'/>")).find(f"{P}query")
    assert [e.tag for e in got] == ["{urn:a}a", "{urn:none}none"]
    assert got[0][0].text == "<x>" and got[0][0].get("c") == "d" and len(got[1]) == 0
    user.iq(QUERY.format("<a xmlns='urn:a'/>"), type_="set")
    assert len(user.iq(QUERY.format("<a xmlns='urn:a'/>")).find(f"{P}query")[0]) == 0


def test_it_is_the_owners(server, streams, user):
    """§5."""
    other = streams(server.login(server.register()))
    for type_ in ("get", "set"):
        assert error_of(other.iq(QUERY.format("<a xmlns='urn:a'/>"), to=user.bare, type_=type_)) == ("auth", "forbidden")


@pytest.mark.parametrize("inner", ["", "<a/>"])
@pytest.mark.parametrize("type_", ["get", "set"])
def test_nothing_in_it(user, inner, type_):
    assert error_of(user.iq(QUERY.format(inner), type_=type_)) == ("modify", "bad-request")


def test_too_much_in_it(user):
    many = "".join(f"<a xmlns='urn:{i}'/>" for i in range(65))
    assert error_of(user.iq(QUERY.format(many), type_="set")) == ("modify", "bad-request")
    got = user.iq(QUERY.format("<a xmlns='urn:0'/>")).find(f"{P}query")
    assert local(got[0]) == "a"


def test_bans_are_out_of_reach(user):
    """What the server keeps there is neither shown nor changed."""
    for type_ in ("get", "set"):
        el = user.iq(QUERY.format("<banned xmlns='jabber:ejabberd:banned'><reason>r</reason></banned>"), type_=type_)
        assert error_of(el) == ("auth", "forbidden")
    assert user.iq(QUERY.format("<a xmlns='urn:a'/>")).get("type") == "result"
