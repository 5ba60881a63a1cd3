"""opensmtpd - a real OpenSMTPD, from Debian's package unpacked beside Postfix (tools/packages peers).

Its users and folders are compiled in: it runs under files and folders of its own, mounted over the machine's in a mount namespace of
its own; the machine's stay as they are.
"""

import pathlib
import signal
import socket
import subprocess
import time

from exim import PEERS
from lab import family_of

USERS = {"opensmtpd": 64_124, "opensmtpq": 64_125}

CONFIG = """
listen on {address} hostname opensmtpd.lab.example
action "sink" relay host smtp://127.0.0.1:9
match from any for any action "sink"
"""

SCRIPT = """
set -e
mount --bind {home}/passwd /etc/passwd
mount --bind {home}/group /etc/group
mount -t tmpfs tmpfs /var/spool
mount -t tmpfs tmpfs /var/lib
mkdir -m 711 /var/spool/smtpd
mkdir -p /var/lib/opensmtpd/empty /var/lib/opensmtpd/home
mount --bind {home} /var/lib/opensmtpd/home
mount -t tmpfs tmpfs /run
exec {peers}/usr/sbin/smtpd -d -f /var/lib/opensmtpd/home/smtpd.conf
"""


class Server:
    def __init__(self, lab, address):
        self.address = address
        home = self.home = lab.folder / ("opensmtpd-" + address.replace(":", "-"))
        home.mkdir()
        for name, ours in (("passwd", "{0}:x:{1}:{1}::/var/lib/opensmtpd/empty:/usr/sbin/nologin\n"), ("group", "{0}:x:{1}:\n")):
            text = pathlib.Path("/etc", name).read_text()
            (home / name).write_text(text + "".join(ours.format(user, number) for user, number in USERS.items()))
        (home / "smtpd.conf").write_text(CONFIG.format(address=address))
        with open(home / "log", "wb") as log:
            self.process = subprocess.Popen(lab.command("lan", "sh", "-c", SCRIPT.format(home=home, peers=PEERS)), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 15
        while not self.greets(lab):
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError(f"OpenSMTPD does not start: {self.log()}")
            time.sleep(0.05)

    def greets(self, lab):
        with lab.inside("lan"):
            probe = socket.socket(family_of(self.address))
        try:
            probe.settimeout(2)
            probe.connect((self.address, 25))
            return probe.recv(3) == b"220"
        except OSError:
            return False
        finally:
            probe.close()

    def log(self):
        return (self.home / "log").read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)

    def taken(self):
        return self.log().count("smtp message ")
