"""A directory of its own: slapd on a free loopback address, with entries in LDIF."""
import os
import shutil
import subprocess

import certs
from server import free_port, own_ip
from xmppstream import until

SLAPD = shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
BASE = "dc=example,dc=test"
ROOT = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

"""


class Directory:
    def __init__(self, folder, ldif):
        self.folder, self.ip, self.port, self.tls = folder, own_ip(), free_port(), free_port()
        self.cert = certs.make(folder / "ldap.pem", [self.ip, "ldap.test"])
        (folder / "db").mkdir()
        schemas = "".join(f"include /etc/ldap/schema/{s}.schema\n" for s in ("core", "cosine", "inetorgperson"))
        (folder / "conf").write_text(f"""{schemas}modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCertificateFile {self.cert}
TLSCertificateKeyFile {self.cert}
database mdb
suffix "{BASE}"
rootdn "cn=admin,{BASE}"
rootpw admin-pass
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to * by dn="cn=reader,{BASE}" read by users read by * none
""")
        subprocess.run([SLAPD, "-Tadd", "-f", str(folder / "conf")], input=(ROOT + ldif).encode(), check=True, capture_output=True)
        self.start()

    def start(self):
        urls = f"ldap://{self.ip}:{self.port}/ ldaps://{self.ip}:{self.tls}/"
        self.process = subprocess.Popen([SLAPD, "-d", "0", "-f", str(self.folder / "conf"), "-h", urls],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self.answers(), "the directory to answer")

    def answers(self):
        return subprocess.run(["ldapwhoami", "-x", "-H", f"ldap://{self.ip}:{self.port}/"], capture_output=True).returncode == 0

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def options(self, **more):
        """ldap_* that let the server ask it."""
        return {"ldap_servers": [self.ip], "ldap_port": self.port, "ldap_base": BASE, "ldap_rootdn": f"cn=admin,{BASE}",
                "ldap_password": "admin-pass", **more}
