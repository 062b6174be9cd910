"""Talking about rosters and subscriptions in tests."""
from xml.sax.saxutils import escape, quoteattr

from xmppstream import NS, local, q

NS["roster"] = "jabber:iq:roster"


def is_presence(from_=None, type_=None):
    return lambda e: local(e) == "presence" and e.get("type") == type_ and (from_ is None or e.get("from") == from_)


def is_push(e):
    return local(e) == "iq" and e.get("type") == "set" and e.find(q("roster", "query")) is not None


def item_of(iq):
    return iq.find(f"{q('roster', 'query')}/{q('roster', 'item')}")


def shown(item):
    """What a roster item says, for comparing: (subscription, ask, name, groups)."""
    return item.get("subscription"), item.get("ask"), item.get("name"), sorted(g.text for g in item)


def roster(stream, ver=None):
    """{address: shown} of the client's roster; it gets pushes from then on."""
    iq = stream.iq(f"<query xmlns='jabber:iq:roster'{'' if ver is None else f' ver={quoteattr(ver)}'}/>")
    assert iq.get("type") == "result", stream.transcript()
    return {i.get("jid"): shown(i) for i in iq.iter(q("roster", "item"))}


def set_item(stream, jid, name=None, groups=(), more=""):
    inner = "".join(f"<group>{escape(g)}</group>" for g in groups)
    attr = "" if name is None else f" name={quoteattr(name)}"
    return stream.iq(f"<query xmlns='jabber:iq:roster'><item jid={quoteattr(jid)}{attr}{more}>{inner}</item></query>", type_="set")


def remove_item(stream, jid):
    return set_item(stream, jid, more=" subscription='remove'")


def expect_push(stream, jid=None):
    """The item of the next push (about that contact)."""
    return item_of(stream.expect(lambda e: is_push(e) and jid in (None, item_of(e).get("jid")), f"push about {jid}"))


def pushed(stream, jid=None):
    return shown(expect_push(stream, jid))


def expect_presence(stream, from_, type_=None):
    return stream.expect(is_presence(from_, type_), f"presence {type_ or 'available'} from {from_}")


def tell(stream, type_, to, inner=""):
    stream.send(f"<presence type='{type_}' to={quoteattr(to)}>{inner}</presence>")


def befriend(one, two):
    """Both see each other (RFC 6121 §3.1 both ways); everything that was said about it is read."""
    tell(one, "subscribe", two.bare)
    expect_presence(two, one.bare, "subscribe")
    tell(two, "subscribed", one.bare)
    expect_presence(one, two.bare, "subscribed")
    expect_presence(one, two.jid)
    tell(two, "subscribe", one.bare)
    expect_presence(one, two.bare, "subscribe")
    tell(one, "subscribed", two.bare)
    expect_presence(two, one.bare, "subscribed")
    expect_presence(two, one.jid)
    for s in (one, two):
        s.ping()
        s.items.clear()


def drain(*streams):
    for s in streams:
        s.ping()
        s.items.clear()


def fence(sender, receiver):
    """Everything the sender did before has reached the receiver by now: order is kept."""
    sender.message(receiver.jid, "fence", id_="fence")
    receiver.expect_message("fence")


def expect_no_presence(sender, receiver):
    fence(sender, receiver)
    assert not [e for e in receiver.items if local(e) == "presence"], receiver.transcript()


def _siphash13(data):
    mask = 0xFFFFFFFFFFFFFFFF
    v = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]

    def left(x, n):
        return (x << n | x >> 64 - n) & mask

    def step():
        v[0] = v[0] + v[1] & mask
        v[1] = left(v[1], 13) ^ v[0]
        v[0] = left(v[0], 32)
        v[2] = v[2] + v[3] & mask
        v[3] = left(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3] & mask
        v[3] = left(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1] & mask
        v[1] = left(v[1], 17) ^ v[2]
        v[2] = left(v[2], 32)

    whole = len(data) // 8 * 8
    for i in range(0, whole, 8):
        w = int.from_bytes(data[i:i + 8], "little")
        v[3] ^= w
        step()
        v[0] ^= w
    w = (len(data) & 255) << 56 | int.from_bytes(data[whole:], "little")
    v[3] ^= w
    step()
    v[0] ^= w
    v[2] ^= 0xFF
    for _ in range(3):
        step()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def home_of(user, host="localhost", shards=2):
    """The shard an account lives on (rt/shard.h shard_of)."""
    return _siphash13(f"{user}@{host}".encode()) * shards >> 64
