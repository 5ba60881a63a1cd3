"""Clients that connect from many addresses, read the greeting and say nothing, beside ten a second who deliver a message each.

Behind stands Postfix with its default 100 processes. The silent ones are one raw socket: their handshakes are complete and their ACKs
right, and they never close. What is asked: how many of the others are served, and what the flood cost the server.
"""

import contextlib
import os
import pathlib
import subprocess
import threading
import time

import gate as gates
import wire_holds
from peers import connect, deliver, read_reply
from raw_clients import RawClients
from segment import ACK, SYN

WORTHY_A_SECOND = 10
PATIENCE_S = 30
DEFER = gates.config(unknown="min 1s; max 5s;").replace("withhold banner", "withhold defer")
BANNER = gates.config(unknown="min 1s; max 5s;")
SCENES = {"defer": (100, 500, 4000), "banner": (100,), "no gateway": (100,)}


class Silent(threading.Thread):
    """`rate` connections a second from 10.0.0.0/8, each from an address of its own."""

    def __init__(self, lab, server, rate):
        super().__init__(daemon=True)
        self.rate, self.begun, self.connected, self.greeted, self.ended = rate, 0, 0, 0, False
        self.wire = RawClients(lab, server)

    def send(self, number, flags, seq, ack=0):
        with contextlib.suppress(BlockingIOError, OSError):  # a lost one is repeated by the server, or was one too many
            self.wire.send(number, flags, seq, ack)

    def receive(self):
        for number, flags, seq, payload in self.wire.received(0.002, 256):
            if flags & SYN:
                self.connected += 1
                self.send(number, ACK, 1001, seq + 1)
            elif payload:
                self.greeted += payload.startswith(b"220")
                self.send(number, ACK, 1001, seq + len(payload))

    def run(self):
        start = time.monotonic()
        while not self.ended:
            due = min(int((time.monotonic() - start) * self.rate), self.begun + 200)
            while self.begun < due:
                self.begun += 1
                self.send(self.begun, SYN, 1000)
            self.receive()

    def close(self):
        self.ended = True
        self.join()
        self.wire.close()


class Watch(threading.Thread):
    """The server's processes and what its TCP counts."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.lab, self.most, self.ended, self.before = lab, 0, False, self.counters(lab)

    @staticmethod
    def counters(lab):
        found = {}
        with lab.inside("lan"):
            lines = pathlib.Path("/proc/thread-self/net/netstat").read_text().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            found.update(zip(names.split(), values.split()))
        return {name: int(found[name]) for name in ("SyncookiesSent", "ListenOverflows")}

    def processes(self):
        count = 0
        for word in subprocess.run(["ip", "netns", "pids", self.lab.namespace("lan")], capture_output=True, text=True).stdout.split():
            with contextlib.suppress(OSError):
                count += os.path.basename(os.readlink(f"/proc/{word}/exe")) == "smtpd"
        return count

    def run(self):
        while not self.ended:
            self.most = max(self.most, self.processes())
            time.sleep(0.5)

    def close(self):
        self.ended = True
        self.join()
        now = self.counters(self.lab)
        return {"smtpd processes at most": self.most, "SYN cookies sent": now["SyncookiesSent"] - self.before["SyncookiesSent"],
                "listen overflows": now["ListenOverflows"] - self.before["ListenOverflows"]}


def worthy(lab, client, server, served):
    begun = time.monotonic()
    try:
        deliver(lab, client, server, recipient="served@lab.example")
        served.append(time.monotonic() - begun)
    except OSError:  # smtplib's errors are such
        pass


def scene(lab, server, rate, seconds):
    silent, watch, served, threads = Silent(lab, server, rate), Watch(lab), [], []
    silent.start()
    watch.start()
    begun = time.monotonic()
    asked = int(seconds * WORTHY_A_SECOND)
    try:
        for number in range(asked):
            time.sleep(max(0.0, begun + number / WORTHY_A_SECOND - time.monotonic()))
            client = f"198.18.1.{1 + number % 250}"
            threads.append(threading.Thread(target=worthy, args=(lab, client, server, served), daemon=True))
            threads[-1].start()
        end = time.monotonic() + PATIENCE_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        took = time.monotonic() - begun
    finally:
        silent.close()
        found = watch.close()
    done = list(served)
    return {"asked": asked, "served": len(done), "seconds a delivery, at most": max(done, default=0.0),
            "silent ones connected a second": silent.connected / took, "silent ones greeted a second": silent.greeted / took, **found}


@contextlib.contextmanager
def gateway(lab, kind):
    if kind == "no gateway":
        words = [gates.PROGRAMS["mire-bypass"], "up", "--wan", "wan0", "--lan", "lan0"]
        done = lab.run("gw", *words)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        try:
            yield None
        finally:
            lab.run("gw", words[0], "down", *words[2:])
        return
    gate = gates.Gate(lab, DEFER if kind == "defer" else BANNER)
    try:
        yield gate
    finally:
        gate.stop()


def restart_postfix(lab):
    """Each scene begins with no connection of the one before."""
    etc = lab.folder / "postfix/etc"
    for word in ("stop", "start"):
        lab.run("lan", "postfix", "-c", etc, word, timeout=120)


def run(lab, options):
    wire_holds.prepare(lab)
    server, seconds, figures = lab.postfix(), 3 if options.tiny else 20, {}
    for kind, rates in SCENES.items():
        if options.tiny and kind != "defer":
            continue
        for rate in (50,) if options.tiny else rates:
            with gateway(lab, kind):
                for _ in range(2):
                    connection = connect(lab, lab.client("trusted"), server)
                    read_reply(connection)
                    connection.sendall(b"QUIT\r\n")
                    read_reply(connection)
                    connection.close()
                found = scene(lab, server, rate, seconds)
            for name, value in found.items():
                figures[f"{kind}, {rate}/s: {name}"] = value
            restart_postfix(lab)
    return figures


def goal(figures):
    return "goal: with defer every one that asked is served"
