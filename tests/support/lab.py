"""lab - the three-namespace lab as a test sees it: sockets on either side, fresh addresses, programs run inside.

A socket belongs to the network namespace in which its thread stood when it was made. So `with lab.inside("wan")` is all that a test
written as one process needs to be client and server at once.
"""

import contextlib
import ctypes
import itertools
import json
import os
import pathlib
import socket
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / "tools"
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Lab:
    def __init__(self, name, mtu=1500):
        self.name = name
        made = subprocess.run([TOOLS / "lab", "up", "--name", name, "--mtu", str(mtu)], capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            raise RuntimeError(made.stderr.strip())
        self.facts = json.loads(subprocess.run([TOOLS / "lab", "status", "--name", name, "--json"], capture_output=True, text=True,
                                               check=True).stdout)
        self.folder = pathlib.Path(self.facts["folder"])
        self._next = {(kind, family): itertools.count(1) for kind in self.facts["clients"] for family in (4, 6)}
        self._servers = itertools.cycle(range(self.facts["spare_servers"][0], self.facts["spare_servers"][1] + 1))
        self._strangers = itertools.count(1)

    def down(self):
        subprocess.run([TOOLS / "lab", "down", "--name", self.name], check=True, timeout=60)

    def namespace(self, side):
        return self.facts["namespaces"][side]

    @contextlib.contextmanager
    def inside(self, side):
        """The calling thread stands in `side` (wan, gw, lan) for the length of the block."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.namespace(side)}", os.O_RDONLY)
        try:
            self._enter(there)
            yield
        finally:
            self._enter(home)
            os.close(there)
            os.close(home)

    @staticmethod
    def _enter(descriptor):
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    # -- addresses: penalties outlive a test, so each test takes clients that nobody has used

    def client(self, kind="unknown", family=4):
        what = self.facts["clients"][kind]
        number = next(self._next[kind, family])
        if number > what["count"]:
            raise RuntimeError(f"the lab has no {kind} client left: raise its count in tools/lab")
        return f"198.18.{what['third']}.{number}" if family == 4 else f"2001:db8:{what['third']}:{number}::1"

    def server(self, family=4):
        """An address of the mail servers' side that no Postfix sits on."""
        number = next(self._servers)
        return f"198.18.0.{number}" if family == 4 else f"2001:db8:25::{number}"

    def postfix(self, family=4):
        return self.facts["postfix"][0 if family == 4 else 1]

    def stranger(self, family=4):
        """An unknown client that no kernel owns: for scripted raw peers."""
        number = next(self._strangers)
        return f"198.18.7.{number}" if family == 4 else f"2001:db8:7:{number}::1"

    # -- programs

    def command(self, side, *words):
        return ["ip", "netns", "exec", self.namespace(side), *map(str, words)]

    def run(self, side, *words, timeout=60, **options):
        return subprocess.run(self.command(side, *words), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout,
                              **options)

    def popen(self, side, *words, **options):
        return subprocess.Popen(self.command(side, *words), stdin=subprocess.DEVNULL, **options)

    def maillog(self):
        return pathlib.Path(self.facts["maillog"]).read_text(errors="replace")
