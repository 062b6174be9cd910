"""Last activity (XEP-0012): of the server, of accounts for those who may know, and what is written when."""
import time

import stock
from im import befriend, expect_presence
from xmppstream import error_of, text_of_error, until

configure = stock.configure
ASK = "<query xmlns='jabber:iq:last'/>"


def seconds(iq):
    assert iq.get("type") == "result", error_of(iq)
    return int(iq[0].get("seconds"))


def pair(server, streams):
    one, two = (streams(server.login(presence=True)) for _ in range(2))
    befriend(one, two)
    return one, two


def stored(server, s):
    """(seconds, words) that the administrator sees of an account that is offline."""
    got = server.api("get_last", user=s.bare.partition("@")[0], host="localhost")
    return got["timestamp"], got["status"]


def test_of_the_server(server, streams):
    """§5: how long it runs."""
    assert seconds(streams(server.login()).iq(ASK, to="localhost")) >= 0


def test_a_hidden_session_is_not_told(server, streams):
    """§6: who has sent no presence, or taken it back, is offline to his contacts; to himself he is not."""
    one, two = pair(server, streams)
    user = one.bare.partition("@")[0]
    one.close()
    expect_presence(two, one.jid, "unavailable")
    server.api("set_last", user=user, host="localhost", timestamp=1000000000, status="long ago")
    hidden = streams(server.login(user, "hidden"))
    answer = two.iq(ASK, to=one.bare)
    assert seconds(answer) > 500000000 and answer[0].text == "long ago"
    assert seconds(hidden.iq(ASK)) == 0
    hidden.presence()
    assert seconds(two.iq(ASK, to=one.bare)) == 0


def test_one_way_is_enough_if_it_is_the_right_one(server, streams):
    """§8: whoever sees the account's presence; seeing each other is not asked for, being seen does not suffice."""
    one, two = (streams(server.login(presence=True)) for _ in range(2))
    two.send(f"<presence type='subscribe' to='{one.bare}'/>")
    expect_presence(one, two.bare, "subscribe")
    one.send(f"<presence type='subscribed' to='{two.bare}'/>")
    expect_presence(two, one.bare, "subscribed")
    assert seconds(two.iq(ASK, to=one.bare)) == 0
    refused = one.iq(ASK, to=two.bare)
    assert error_of(refused) == ("auth", "subscription-required") and text_of_error(refused) == "Not subscribed"


def test_privacy_lists_count(server, streams):
    """§8, XEP-0016 §2.11: a contact whose queries the default list refuses gets what a stranger to everything gets."""
    one, two = pair(server, streams)
    one.iq("<query xmlns='jabber:iq:privacy'><list name='no'><item action='deny' order='1' type='jid' "
           f"value='{two.bare}'><iq/></item></list></query>", type_="set")
    one.iq("<query xmlns='jabber:iq:privacy'><default name='no'/></query>", type_="set")
    assert error_of(two.iq(ASK, to=one.bare)) == ("cancel", "service-unavailable")
    one.iq("<query xmlns='jabber:iq:privacy'><default/></query>", type_="set")
    assert seconds(two.iq(ASK, to=one.bare)) == 0


def test_a_resource_answers_for_itself(server, streams):
    """§4: the idle time of a client is the client's to tell."""
    one, two = pair(server, streams)
    two.send(f"<iq type='get' id='idle' to='{one.jid}'>{ASK}</iq>")
    iq = one.expect_id("idle")
    assert iq.get("from") == two.jid
    one.send(f"<iq type='result' id='idle' to='{two.jid}'><query xmlns='jabber:iq:last' seconds='903'/></iq>")
    assert seconds(two.expect_id("idle")) == 903


def test_strangers_learn_nothing_from_resources(server, streams):
    """§4, §8: whether the resource is there or not, the server answers, and the same."""
    one, two = (streams(server.login(presence=True)) for _ in range(2))
    for resource in (one.jid, f"{one.bare}/none", "nobody-has-it@localhost/r"):
        assert error_of(two.iq(ASK, resource)) == ("auth", "forbidden")
    one.expect_nothing()


def test_what_the_administrator_sets_is_what_is_told(server, streams):
    """Commands set_last and get_last, and the query, look at the same thing."""
    one, two = pair(server, streams)
    one.close()
    expect_presence(two, one.jid, "unavailable")
    server.api("set_last", user=one.bare.partition("@")[0], host="localhost", timestamp=int(time.time()) - 5000, status="<away> & gone")
    answer = two.iq(ASK, to=one.bare)
    assert 4000 < seconds(answer) < 6000 and answer[0].text == "<away> & gone"
    assert stored(server, one)[1] == "<away> & gone"


def test_killed_servers_leave_no_old_dates(new_server, streams):
    """kill -9: nobody went offline, but who came online by then has been seen by then; the words of another time are gone."""
    server = new_server(configure)
    server.start()
    user = server.register()
    server.api("set_last", user=user, host="localhost", timestamp=1000000000, status="long ago")
    with server.login(user) as s:
        s.ping()
        assert s.iq("<query xmlns='jabber:iq:last'/>", to=s.bare)[0].get("seconds") == "0"
        s.presence()
        # Written behind the client's back, in order with what is acknowledged.
        server.api("set_last", user=server.register(), host="localhost", timestamp=1, status="")
        server.kill()
    server.start()
    got = server.api("get_last", user=user, host="localhost")
    assert got["status"] == "" and not got["timestamp"].startswith("2001-")
    server.stop()


def test_stopped_servers_write_it_down(new_server):
    """A stop ends the sessions, and each leaves its last time."""
    server = new_server(configure)
    server.start()
    user = server.register()
    s = server.login(user, presence=True)
    server.stop()
    s.drop()
    server.start()
    until(lambda: not server.api("get_last", user=user, host="localhost")["timestamp"].startswith("1970"), "the last time")
    assert server.api("get_last", user=user, host="localhost")["status"] != "Registered but didn't login"
    server.stop()
