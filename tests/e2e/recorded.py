"""Comparing what a server says with what was recorded: by meaning (kind, type, condition, addresses, payload), not by letters."""
import re
import xml.etree.ElementTree as ET

from xmppstream import NS, error_of, local, namespace

HEADER = f"<stream:stream xmlns='jabber:client' xmlns:stream='{NS['stream']}'>"
# Added by modules whose XEPs are not part of what is compared.
IGNORED = {"{urn:xmpp:mam:tmp}archived", "{urn:xmpp:sid:0}stanza-id", "{vcard-temp:x:update}x"}


def to_bytes(text):
    """Recorded text; \\xNN in it stands for a byte that is no UTF-8."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())


def parse(text):
    """Elements of a recorded reply, and whether it ends the stream."""
    parser = ET.XMLPullParser(events=("start", "end"))
    parser.feed(text if "<stream:stream" in text else HEADER + text)
    depth, items, ended, root = 0, [], False, None
    for event, el in parser.read_events():
        depth += 1 if event == "start" else -1
        root = el if root is None else root
        if event == "end" and depth == 1:
            items.append(el)
        ended = ended or depth == 0
    return items, ended


def header(text):
    """version and from of the stream header in a recorded reply; None when there is no header. Its language is the
    server's own here (RFC 6120 §4.7.4), not the client's."""
    if "<stream:stream" not in text:
        return None
    parser = ET.XMLPullParser(events=("start",))
    parser.feed(text)
    return header_of(next(iter(parser.read_events()))[1])


def header_of(el):
    return el.get("version"), el.get("from")


def meaning(el, own="u1@localhost/r1"):
    """A tuple that two servers which agree have in common. own: the full JID of the stream's user."""
    if el.tag == f"{{{NS['stream']}}}error":
        return "stream error", next(local(c) for c in el if namespace(c) == NS["streams"] and local(c) != "text")
    if el.tag == f"{{{NS['stream']}}}features":
        return ("features",)
    if namespace(el) == NS["sasl"]:
        return ("sasl", local(el)) + ((local(el[0]),) if local(el) == "failure" else ())
    if local(el) in ("iq", "message", "presence"):
        payload = sorted(c.tag for c in el if c.tag not in IGNORED and local(c) != "error")
        # RFC 6120 §8.1.1.2: to a client, no address and its own say the same.
        to = None if el.get("to") == own else el.get("to")
        return local(el), el.get("type"), el.get("id"), el.get("from"), to, error_of(el), payload
    return (el.tag,)
