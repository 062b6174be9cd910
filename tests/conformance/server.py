"""A cjabberd of its own for the recordings: free ports, a folder that goes away, the recorded configuration."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def free_ports(count):
    socks = [socket.socket() for _ in range(count)]
    try:
        for s in socks:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in socks]
    finally:
        for s in socks:
            s.close()


class Server:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix="cjabberd-conformance-")
        self.spool, self.logs = os.path.join(self.dir, "spool"), os.path.join(self.dir, "logs")
        os.mkdir(self.spool)
        os.mkdir(self.logs)
        self.process = None
        # the recordings show the tool under its other name
        self.tool = os.path.join(self.dir, "ejabberdctl")
        os.symlink(os.path.join(self.build, "cjabberdctl"), self.tool)
        self.ctl = [self.tool, "--spool", self.spool]
        self.configure()

    def configure(self):
        with open(os.path.join(HERE, "ejabberd.yml.tmpl"), encoding="utf-8") as f:
            text = f.read()
        names = sorted(set(re.findall(r"@P(\d+)@", text)))
        self.ports = dict(zip((int(n) for n in names), free_ports(len(names))))
        text = re.sub(r"@P(\d+)@", lambda m: str(self.ports[int(m.group(1))]), text)
        text = text.replace("@RUN@", self.dir).replace("@DB@", "default_db: mnesia")
        self.config = os.path.join(self.dir, "ejabberd.yml")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)
        self.certificate()

    def certificate(self):
        key, cert = os.path.join(self.dir, "key.pem"), os.path.join(self.dir, "chain.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", key, "-out", cert,
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:example.test"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.path.join(self.dir, "cert.pem"), "w", encoding="ascii") as out:
            for name in (cert, key):
                with open(name, encoding="ascii") as f:
                    out.write(f.read())

    def url(self, port):
        return "http://127.0.0.1:%d" % self.ports[port]

    def start(self):
        """Anew: what is left of an evacuated server ends first."""
        if self.process:
            self.stop()
        with open(os.path.join(self.dir, "output"), "ab") as out:
            self.process = subprocess.Popen(
                [os.path.join(self.build, "cjabberd"), "--config", self.config, "--spool", self.spool, "--logs", self.logs],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if subprocess.run(self.ctl + ["status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(0.02)
        raise RuntimeError("the server did not start:\n" + self.output())

    def tool_output(self, *words):
        return subprocess.run(self.ctl + list(words), check=True, stdout=subprocess.PIPE).stdout.decode()

    def output(self):
        with open(os.path.join(self.dir, "output"), encoding="utf-8", errors="replace") as f:
            return f.read()[-4000:]

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """How it ended: exit status, negative when a signal killed it."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
