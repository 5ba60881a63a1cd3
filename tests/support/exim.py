"""exim - a real Exim, server and client, from Debian's packages unpacked beside Postfix (tools/packages peers).

Its user is compiled in, so it runs under a passwd and a group file that know it, mounted over the machine's in a mount namespace of its
own; the machine's files stay as they are.
"""

import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import time

from lab import REPOSITORY, TOOLS

PEERS = REPOSITORY / "build/peers"


def unavailable():
    """Why there is no Exim here, or None. Fetches it if it can."""
    done = subprocess.run([TOOLS / "packages", "peers"], capture_output=True, text=True, timeout=300)
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


SERVER = """
primary_hostname = exim.lab.example
daemon_smtp_ports = 25
local_interfaces = {address}
pipelining_connect_advertise_hosts = *
tls_advertise_hosts =
acl_smtp_rcpt = accept_all
acl_smtp_data = accept_all
host_lookup =
rfc1413_query_timeout = 0s
begin acl
accept_all:
  accept
begin routers
nothing:
  driver = redirect
  data = :blackhole:
  allow_fail
"""

CLIENT = """
primary_hostname = client.example
tls_advertise_hosts =
host_lookup =
begin routers
there:
  driver = manualroute
  transport = wire
  route_list = * {server}
begin transports
wire:
  driver = smtp
  interface = {client}
  hosts_pipe_connect = {pipe_connect}
  hosts_avoid_tls = *
  allow_localhost
  hosts_try_dane =
  hosts_request_ocsp =
  dnssec_request_domains =
begin retry
* * F,1h,1m
"""

COMMON = """
spool_directory = {home}/spool
log_file_path = {home}/log/%slog
pid_file_path = {home}/exim.pid
exim_path = {path}
keep_environment =
never_users =
"""


class Exim:
    def __init__(self, lab, side, name):
        self.lab, self.side, self.home = lab, side, lab.folder / name
        for part in ("spool", "log"):
            (self.home / part).mkdir(parents=True, exist_ok=True)
        ids = "Debian-exim", 64_123
        (self.home / "passwd").write_text(pathlib.Path("/etc/passwd").read_text() + f"{ids[0]}:x:{ids[1]}:{ids[1]}::{self.home}:/usr/sbin/nologin\n")
        (self.home / "group").write_text(pathlib.Path("/etc/group").read_text() + f"{ids[0]}:x:{ids[1]}:\n")
        for part in ("spool", "log"):
            shutil.chown(self.home / part, ids[1], ids[1])
        self.config = self.home / "exim.conf"

    def configure(self, text):
        self.config.write_text(COMMON.format(home=self.home, path=PEERS / "usr/sbin/exim4") + text)

    def command(self, *words):
        script = (f"mount --bind {self.home}/passwd /etc/passwd && mount --bind {self.home}/group /etc/group && "
                  f"exec {shlex.quote(str(PEERS / 'usr/sbin/exim4'))} "
                  f"-C {self.config} {shlex.join(map(str, words))}")
        return self.lab.command(self.side, "sh", "-c", script)

    def log(self):
        path = self.home / "log/mainlog"
        return path.read_text(errors="replace") if path.exists() else ""


class Server(Exim):
    def __init__(self, lab, address):
        super().__init__(lab, "lan", "exim-server-" + address.replace(":", "-"))
        # in Exim's lists a colon separates: an address with colons wants another separator
        self.configure(SERVER.format(address=f"<; {address}"))
        self.address = address
        self.process = subprocess.Popen(self.command("-bdf"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)
        end = time.monotonic() + 10
        while "daemon started" not in self.log():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Exim does not start: {self.process.stdout.read() if self.process.poll() is not None else ''}{self.log()}")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)

    def taken(self):
        """Messages that it accepted from the wire."""
        return len(re.findall(r" <= \S+ H=", self.log()))


class Client(Exim):
    """What it learns of a server it keeps in its spool, over messages and addresses of its own."""

    def __init__(self, lab, name):
        super().__init__(lab, "wan", "exim-client-" + name)

    def deliver(self, source, server, pipe_connect=True):
        """One message in the foreground; True if the server took it."""
        self.configure(CLIENT.format(client=f"<; {source}", server=server.replace(":", "::"), pipe_connect="*" if pipe_connect else ""))
        before = self.log().count(" => ")
        self.said = subprocess.run(self.command("-odf", "-oi", "-f", "a@client.example", "someone@lab.example"), input="Subject: exim\n\nhello\n",
                       text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout
        return self.log().count(" => ") == before + 1

    def story(self):
        """For whoever asks why it did not deliver."""
        return self.said + self.log()

    def spoke_before_greeting(self):
        """Its own word for it: the log's C= or L flag tells that the dialogue was pipelined from the start."""
        return re.findall(r" => .*\bL\b", self.log())
