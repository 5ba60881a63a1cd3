"""Mail servers of others behind defer: each is learned, met for and dialled, and takes a stranger's message."""

import contextlib
import subprocess
import time

import pytest

import exim
import gate as gates
import opensmtpd
from exim import PEERS
from peers import deliver, teach
from tap import Tap

CONFIG = gates.config(unknown="min 400ms; max 400ms;").replace("withhold banner", "withhold defer")

AIOSMTPD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
class Counting(Sink):
    async def handle_DATA(self, server, session, envelope):
        print("taken", flush=True)
        return "250 OK"
controller = Controller(Counting(), hostname=sys.argv[2], port=25)
controller.start()
print("started", flush=True)
time.sleep(3600)
"""


class Aiosmtpd:
    def __init__(self, lab, address):
        self.address, self.file = address, lab.folder / f"aiosmtpd-{address.replace(':', '-')}.log"
        with open(self.file, "wb") as log:
            self.process = subprocess.Popen(lab.command("lan", "/usr/bin/python3", "-c", AIOSMTPD, PEERS / "usr/lib/python3/dist-packages", address),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + 15
        while "started" not in self.log():
            assert self.process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.05)

    def log(self):
        return self.file.read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def taken(self):
        return self.log().count("taken")


SERVERS = {"Exim": exim.Server, "OpenSMTPD": opensmtpd.Server, "aiosmtpd": Aiosmtpd}


@pytest.fixture(scope="module", autouse=True)
def peers_are_here():
    reason = exim.unavailable()
    if reason:
        pytest.skip(f"no peers: {reason}")


@pytest.mark.parametrize("kind", SERVERS)
def test_it_is_learned_met_for_and_dialled(lab, gate, family, kind):
    address, client = lab.server(family), lab.client(family=family)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(SERVERS[kind](lab, address))
        teach(lab, family, address)
        met = gate.counter("met")
        wan, lan = stack.enter_context(Tap(lab, "wan")), stack.enter_context(Tap(lab, "lan"))
        deliver(lab, client, address)
        assert gate.counter("met") == met + 1, "a date in the greeting is no other greeting"
        assert lan.segments(src=client)[0].time > wan.first_byte_at(client), "the server was dialled before the greeting"
        assert server.taken() == 1
    assert gate.events(source=client, reason="early_talk") == []
