"""Comparing what a server says with what was recorded: by meaning (kind, type, condition, addresses, payload), not by letters."""
import re
import xml.etree.ElementTree as ET

from xmppstream import NS, error_of, local, namespace

HEADER = "<stream:stream xmlns='{}' xmlns:stream='" + NS["stream"] + "'>"
# Added by modules whose XEPs are not part of what is compared.
IGNORED = {"{urn:xmpp:mam:tmp}archived", "{urn:xmpp:sid:0}stanza-id", "{vcard-temp:x:update}x"}


def to_bytes(text):
    """Recorded text; \\xNN in it stands for a byte that is no UTF-8."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode())


def parse(text, default="jabber:client"):
    """Elements of a recorded reply, and whether it ends the stream. default: the stream's default namespace, where no header says it."""
    parser = ET.XMLPullParser(events=("start", "end"))
    parser.feed(text if "<stream:stream" in text else HEADER.format(default) + text)
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


# --- to the letter ---

LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def expanded(text):
    """A recorded text whose middle was cut out, with as much of its last character there as it had."""
    m = re.fullmatch(r"(.*)\.\.\.\[(\d+) characters\]\.\.\.(.*)", text, re.S)
    return m[1] + m[1][-1] * (int(m[2]) - len(m[1]) - len(m[3])) + m[3] if m else text


def _text_like(got, want):
    """{WORDS} in what was recorded stand for anything that was made up; so do the server's own ids of pushes."""
    if got is None or want is None:
        return got == want
    pattern = ".+".join(re.escape(part) for part in re.split(r"\{[A-Z_]+\}", want))
    return re.fullmatch(pattern, got, re.S) is not None


def _attributes(el):
    """Without the language of the stream itself (RFC 6120 §8.1.5: that it is not said means the same)."""
    return {k: v for k, v in el.attrib.items() if not (k == LANG and v == "en" and local(el) in ("iq", "message", "presence"))}


def _is_push(el):
    return local(el) == "iq" and el.get("type") == "set" and el.get("id", "").startswith("push")


def _attributes_like(got, want):
    a, b = _attributes(got), _attributes(want)
    if _is_push(want) and a.get("type") == "set":
        for made_up in (a, b):
            made_up.pop("id", None)
    if want.get("type") == "error" and "to" not in b:
        a.pop("to", None)  # RFC 6120 §8.1.1.2: to a client, no address and its own say the same
    if want.tag == "{jabber:iq:roster}query" and a.get("ver"):
        b["ver"] = a["ver"]
    return a.keys() == b.keys() and all(_text_like(a[k], b[k]) for k in b)


# Notes of an archive (XEP-0313), which is not compared.
ARCHIVED = {"{urn:xmpp:mam:tmp}archived", "{urn:xmpp:sid:0}stanza-id"}


def _children(el):
    """What a stanza says. The order of its own children says nothing (RFC 6120 §8.4). What an error repeats of what was sent is
    the sender's own, which the reference rewrites: compared with what was sent, not with what was recorded."""
    if el.tag == "{jabber:iq:roster}query":
        return sorted(el, key=lambda e: e.get("jid", ""))
    if local(el) not in ("iq", "message", "presence"):
        return list(el)
    return sorted((e for e in el if e.tag not in ARCHIVED and (el.get("type") != "error" or local(e) == "error")),
                  key=lambda e: e.tag)


def unlike(got, want):
    """Where the elements differ, in words; None: nowhere."""
    if got.tag != want.tag:
        return f"<{local(got)}> of {namespace(got)} instead of <{local(want)}> of {namespace(want)}"
    if not _attributes_like(got, want):
        return f"<{local(got)}> has {_attributes(got)} instead of {_attributes(want)}"
    if not _text_like((got.text or "").strip(), (want.text or "").strip()):
        return f"<{local(got)}> says {got.text!r} instead of {want.text!r}"
    ours, theirs = _children(got), _children(want)
    if len(ours) != len(theirs):
        return f"<{local(got)}> contains {[local(c) for c in ours]} instead of {[local(c) for c in theirs]}"
    return next((why for why in map(unlike, ours, theirs) if why), None)


def all_unlike(got, want):
    """The same of what one stream received."""
    if len(got) != len(want):
        return f"{len(got)} stanzas instead of {len(want)}"
    return next((why for why in map(unlike, got, want) if why), None)


def not_repeated(error, sent):
    """What an error should have repeated of the stanza it answers (RFC 6120 §8.3.1), in words; None: nothing."""
    payload = [e for e in error if local(e) != "error"]
    return all_unlike(payload, list(sent)) and f"it repeats {[local(e) for e in payload]}, not what was sent"


def waiting(data, kind):
    """Names in data/waiting.txt of a kind: recorded, and of modules that are not there yet. The list may only shrink."""
    lines = [line.partition(": ") for line in (data / "waiting.txt").read_text().splitlines() if line and line[0] != "#"]
    return {name for k, _, name in lines if k == kind}
