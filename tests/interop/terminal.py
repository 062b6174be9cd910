"""A program on a terminal of its own: what a person would type, and what would be on the screen."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte

from xmppstream import DEADLINE

ROWS, COLUMNS = 50, 160


class Terminal:
    def __init__(self, command, home):
        """home: where it finds and keeps everything of its own."""
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.fd, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        env = {"HOME": str(home), "PATH": os.environ["PATH"], "TERM": "linux", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self.process = subprocess.Popen(list(map(str, command)), stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=home,
                                        start_new_session=True)
        os.close(theirs)

    def shown(self):
        return "\n".join(line.rstrip() for line in self.screen.display if line.strip())

    def until(self, condition, what):
        """Lets the program draw until the condition holds."""
        end = time.monotonic() + DEADLINE
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while not condition():
            assert poll.poll(max(0, end - time.monotonic()) * 1000), f"never came: {what}\n{self.shown()}"
            try:
                self.stream.feed(os.read(self.fd, 1 << 16))
            except OSError:
                raise AssertionError(f"it ended: {what}\n{self.shown()}") from None

    def expect(self, text):
        self.until(lambda: text in self.shown(), text)

    def type(self, line):
        os.write(self.fd, line.encode() + b"\r")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)
