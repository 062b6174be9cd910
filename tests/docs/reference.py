"""Reads a command reference in Markdown, ejabberd's published one or cjabberd's own, into facts that can be compared."""
import json
import re

LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


class Malformed(Exception):
    pass


def sections(text):
    head, *parts = re.split(r"^## ", text, flags=re.M)
    if not re.search(r"^# API Reference$", head, re.M):
        raise Malformed("the document does not begin with '# API Reference'")
    return parts


def type_line(line):
    m = re.fullmatch(r"- \*(\w+)\* :: ([^:].*?)(?: : (.*))?", line)
    if not m:
        raise Malformed(f"not a line about a type: {line!r}")
    return {"name": m[1], "type": m[2], "help": bool(m[3])}


def block(section, title, optional=False):
    """Lines between __title:__ and the next title."""
    m = re.search(rf"^__{title}:__\n(.*?)(?=^__\w+:__$|\Z)", section, re.M | re.S)
    if not m:
        if optional:
            return []
        raise Malformed(f"no __{title}:__ in {section[:40]!r}")
    return [line for line in m[1].split("\n") if line]


def example(lines):
    text = "\n".join(lines)
    m = re.search(r"^~~~ json\nPOST /api/(\w+)\n(.*?)\n\n?HTTP/1\.1 200 OK\n(.*?)\n~~~", text, re.M | re.S)
    if not m:
        raise Malformed(f"no example in JSON: {text[:60]!r}")
    try:
        return m[1], json.loads(m[2])
    except ValueError as e:
        raise Malformed(f"example of {m[1]}: {e}") from e


def command(section):
    first = section.split("\n", 1)[0]
    name = first.split()[0]
    order = re.findall(r"^__(\w+):__$", section, re.M)
    version = re.search(r"^<!-- md:version (.*?) -->$", section, re.M)
    called, request = example(block(section, "Examples"))
    if called != name:
        raise Malformed(f"the example of {name} calls {called}")
    return name, {
        "marked": len(first.split()) > 1,
        "version": LINK.sub(r"\1", version[1]) if version else None,
        "arguments": [type_line(x) for x in block(section, "Arguments")],
        "result": type_line(block(section, "Result")[0]),
        "tags": LINK.findall(block(section, "Tags")[0]),
        "module": [LINK.sub(r"\1", x) for x in block(section, "Module", optional=True)],
        "order": order,
        "request": request,
    }


def read(text):
    return dict(command(s) for s in sections(text))
