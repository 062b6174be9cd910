"""What the agents in Python have in common: an agent is one device of a person, made of somebody else's client library.

It takes orders on its standard input and tells of what happens on its standard output, both as lines of JSON:
{"n": 1, "do": "chat", "to": ...} is answered by {"n": 1, "result": ...} or {"n": 1, "refused": "condition"}; {"event": ...}
comes when it happens. Which orders there are is said in device.py.
"""
import base64
import json
import sys
import traceback


class Refused(Exception):
    """The server said no: the condition of its error."""


def tell(**words):
    print(json.dumps(words), flush=True)


def event(kind, /, **words):
    tell(event=kind, **words)


def read_order():
    """The next order; None when there will be no more."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def split(order):
    """The number, the method's name, its arguments."""
    return order.pop("n"), order.pop("do"), order


def answer(n, result):
    tell(n=n, result=result)


def refuse(n, condition):
    tell(n=n, refused=condition)


def broke(n):
    """The agent itself failed, or the library in it: the test shows what this says."""
    traceback.print_exc()
    tell(n=n, broke=traceback.format_exc(limit=-3))


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    return base64.b64decode(text)
