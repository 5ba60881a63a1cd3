"""mail_world - a mail server's day on one loopback: a namespace with a Postfix (and an Exim) of its own, clients by address, and a
stand-in for mired's socket."""

import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import smtplib
import socket
import subprocess
import sys
import threading
import time

from lab import CLONE_NEWNET

CLIENT, OTHER, SERVER, REMOTE = "192.0.2.7", "2001:db8::7", "198.51.100.25", "203.0.113.9"

MAIN_CF = """compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file = {home}/maillog
maillog_file_prefixes = {home}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.us.example
mydestination =
relay_domains = us.example
relay_recipient_maps = inline:{{ {{anna@us.example = ok}}, {{later@us.example = ok}}, {{ben@us.example = ok}} }}
relay_transport = discard:
transport_maps = inline:{{ {{them.example = smtp:[203.0.113.9]}} }}
alias_maps =
alias_database =
inet_interfaces = 198.51.100.25, 2001:db8::25
inet_protocols = all
mynetworks = 198.51.100.0/24
smtpd_client_port_logging = yes
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{later@us.example = 450 4.1.1 later}} }}
header_checks = regexp:{home}/etc/header_checks
smtpd_peername_lookup = no
smtp_tls_security_level = none
disable_dns_lookups = yes
in_flow_delay = 0
max_idle = 5s
"""

MASTER_CF = """smtp inet n - n - 20 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class MailWorld:
    def __init__(self, name, folder):
        self.name, self.folder, self.processes = name, folder, []
        self.postfix_home = None
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        for address in (CLIENT, OTHER, SERVER, REMOTE, "2001:db8::25"):
            words = ["nodad"] if ":" in address else []
            subprocess.run(["ip", "-n", name, "addr", "add", address, "dev", "lo", *words], check=True)

    def command(self, _side, *words):
        """As a lab has it: one side is all there is."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    @contextlib.contextmanager
    def inside(self):
        libc = ctypes.CDLL(None, use_errno=True)
        home, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", f"/run/netns/{self.name}"))
        try:
            assert libc.setns(there, CLONE_NEWNET) == 0
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)
            os.close(there)

    def popen(self, *words, **options):
        process = subprocess.Popen(self.command(None, *words), stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def start_postfix(self):
        home = self.folder / "postfix"
        for part in ("etc", "queue", "data"):
            (home / part).mkdir(parents=True)
        shutil.chown(home / "data", "postfix")
        (home / "etc/main.cf").write_text(MAIN_CF.format(home=home))
        (home / "etc/master.cf").write_text(MASTER_CF)
        (home / "etc/header_checks").write_text("/^Subject: buy/ REJECT no thanks\n")
        for name in ("postfix-files", "dynamicmaps.cf"):
            if pathlib.Path("/etc/postfix", name).exists():
                shutil.copy(pathlib.Path("/etc/postfix", name), home / "etc" / name)
        self.postfix_home = home
        subprocess.run(self.command(None, "postfix", "-c", home / "etc", "start"), check=True, capture_output=True)
        self.await_port(SERVER)
        return home / "maillog"

    def start_sink(self):
        """A remote server that takes all mail."""
        self.popen("smtp-sink", "-u", "nobody", f"inet:{REMOTE}:25", "10", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.await_port(REMOTE)

    def await_port(self, address):
        end = time.monotonic() + 20
        while True:
            try:
                with self.connection(address) as probe:
                    assert probe.recv(3) == b"220"
                    probe.sendall(b"QUIT\r\n")
                    return
            except OSError:
                assert time.monotonic() < end, f"nobody greets on {address}"
                time.sleep(0.05)

    def connection(self, address, source=None):
        with self.inside():
            return socket.create_connection((address, 25), 10, source_address=source)

    def talk(self, sender, recipients, subject="hello", source=CLIENT, server=SERVER, data=True):
        """One SMTP session; the client's port and the reply codes of RCPT and of the message."""
        with self.inside():
            session = smtplib.SMTP(server, 25, "client.example", 20, source_address=(source, 0))
        port = session.sock.getsockname()[1]
        session.ehlo()
        session.mail(sender)
        codes = [session.rcpt(recipient)[0] for recipient in recipients]
        if data and 250 in codes:
            codes.append(session.data(f"Subject: {subject}\r\nFrom: {sender}\r\n\r\nhi\r\n")[0])
        session.quit()
        return port, codes

    def down(self):
        if self.postfix_home:
            subprocess.run(self.command(None, "postfix", "-c", self.postfix_home / "etc", "stop"), capture_output=True)
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(10)
        subprocess.run(["ip", "netns", "del", self.name], check=True)


class Mired:
    """Takes what mire-follow reports, on a socket as mired's."""

    def __init__(self, path):
        self.path, self.requests, self.answering, self.lock = path, [], True, threading.Lock()
        self.answer = lambda request: {"result": {"taken": len(request["params"]["observations"])}}
        self.listener, self.peers = None, []
        self.open()

    def open(self):
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.path.chmod(0o666)
        self.listener.listen()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self.path.unlink(missing_ok=True)

    def accept(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer, contextlib.suppress(OSError):
            for line in peer.makefile("rb"):
                request = json.loads(line)
                with self.lock:
                    self.requests.append(request)
                answer = self.answer(request)
                if answer is None:  # dies of it
                    peer.shutdown(socket.SHUT_RDWR)
                    return
                peer.sendall(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}).encode() + b"\n")

    def observations(self):
        with self.lock:
            return [one for request in self.requests for one in request["params"]["observations"]]

    def sum(self):
        """(source, port, kind, domain) -> amount"""
        total = {}
        for one in self.observations():
            key = (one["source"], one.get("port"), one["kind"], one.get("domain"))
            total[key] = total.get(key, 0) + one["amount"]
        return total

    def await_sum(self, wanted, patience=20):
        """Waits until that much is there, and then whether more comes."""
        end = time.monotonic() + patience
        while sum(self.sum().values()) < sum(wanted.values()) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(1.5)  # longer than batches are gathered
        assert self.sum() == wanted


def follower(program, *words, **options):
    """mire-follow, as nobody."""
    return subprocess.Popen([program, *map(str, words)], stderr=subprocess.PIPE, text=True, user="nobody", group="nogroup",
                            extra_groups=[], **options)


def ended(process):
    """Its last words, after SIGTERM."""
    process.terminate()
    return process.communicate(timeout=10)[1]


if __name__ == "__main__":
    sys.exit(__doc__)
