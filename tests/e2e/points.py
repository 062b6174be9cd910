"""Points at which a server built with -Dfaults=true fails or ends by itself (src/rt/fault.def), armed from outside while it runs."""
import mmap
import re
import signal
import struct

from server import BINARY, ROOT

NAMES = re.findall(r"^FAULT\((\w+),", (ROOT / "src/rt/fault.def").read_text(), re.M)
COMPILED_IN = BINARY.exists() and b"CJABBERD_FAULTS_FILE" in BINARY.read_bytes()
ALWAYS = -1
TESTS = ["test_kill_points.py", "test_sm_windows.py"]  # which need them


class Points:
    """Of one server that is not started yet."""

    def __init__(self, server):
        self.server = server
        file = server.folder / "faults"
        file.write_bytes(bytes(8 * len(NAMES)))
        server.env["CJABBERD_FAULTS_FILE"] = str(file)
        with open(file, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def _at(self, name):
        return 8 * NAMES.index(name)

    def arm(self, name, n=1):
        """It fails the nth time from now on."""
        struct.pack_into("q", self.map, self._at(name), n)

    def left(self, name):
        return struct.unpack_from("q", self.map, self._at(name))[0]

    def clear(self):
        """Nothing fails any more."""
        self.map[:] = bytes(len(self.map))

    def expect_death(self):
        """The server ended at the point that is armed, and of nothing else."""
        code = self.server.wait_exit()
        self.server.check_health()
        assert code == -signal.SIGKILL, f"exit code {code}"
        left = [n for n in NAMES if n.startswith("die_") and self.left(n)]
        assert not left, f"it ended before {left}"
        self.clear()

    def start_to_death(self):
        """It is armed and ends while it starts."""
        try:
            self.server.start()
        except AssertionError as e:
            assert "did not start" in str(e), e
        else:
            self.expect_death()
            return
        left = [n for n in NAMES if n.startswith("die_") and self.left(n)]
        assert not left, f"it ended before {left}"
        self.server.check_health()
        self.clear()
