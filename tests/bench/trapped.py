"""Blocked clients in a trap: each shakes hands, says a line, hears that the window is closed, and probes it as TCP does.

They are one raw socket with an address each, and every frame that they send and hear is counted: the trap may send no more frames
and no more bytes than came, not for an instant. All is repeated that gets no answer, as TCP would. Frames have Ethernet's length.
"""

import contextlib
import pathlib
import time

import gate as gates
import wire_holds
from raw_clients import RawClients
from segment import ACK, FIN, PSH, RST, SYN
from tap import Tap

PER_SECOND = 15_000   # frames sent at most: a third of what the trap answers by default
LINE = b"EHLO spam.example\r\n"
FIRST = 1001          # a client's first byte
ROUNDS = 30
SHORTEST = 60         # Ethernet's
CONFIG = gates.config(more="treatment blocked { on-syn trap; }").replace("class blocked {", "class blocked { prefix 10.0.0.0/8;")


class Crowd(RawClients):
    def __init__(self, lab, server):
        super().__init__(lab, server)
        self.numbers = {}     # of the trap's SYN-ACK, by client
        self.refused = set()  # whose line was heard and not taken
        self.probed = set()   # whose probe was answered
        self.sent, self.sent_bytes, self.heard, self.heard_bytes = 0, 0, 0, 0
        self.beyond, self.beyond_bytes = -1 << 62, -1 << 62
        self.opened = self.acknowledged = self.ended = 0
        self.probing = False

    def put(self, number, flags, seq, ack=0, payload=b""):
        frame = self.segment(number, flags, seq, ack, payload).ljust(SHORTEST, b"\0")
        with contextlib.suppress(BlockingIOError):  # full: it is repeated
            self.socket.send(frame)
            self.sent += 1
            self.sent_bytes += len(frame)

    def listen(self, timeout):
        for number, frame in self.frames(timeout):
            self.heard += 1
            self.heard_bytes += len(frame)
            self.beyond = max(self.beyond, self.heard - self.sent)
            self.beyond_bytes = max(self.beyond_bytes, self.heard_bytes - self.sent_bytes)
            flags, ack = frame[47], int.from_bytes(frame[42:46], "big")
            self.ended += bool(flags & (FIN | RST))
            self.opened += frame[48:50] != b"\0\0"
            self.acknowledged += ack != FIRST
            if flags & SYN:
                self.numbers.setdefault(number, int.from_bytes(frame[38:42], "big") + 1)
            elif self.probing:
                self.probed.add(number)
            else:
                self.refused.add(number)

    def each(self, clients, answered, send):
        """Until all have an answer, or nothing comes of trying."""
        for _ in range(ROUNDS):
            left = [number for number in clients if number not in answered]
            if not left:
                return
            begun = time.monotonic()
            for count, number in enumerate(left):
                send(number)
                if count % 64 == 63:
                    self.listen(max(0.0, begun + count / PER_SECOND - time.monotonic()))
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                self.listen(0.05)

    def hold(self, clients):
        self.each(clients, self.numbers, lambda number: self.put(number, SYN, FIRST - 1))

        def speak(number):
            if number in self.numbers:
                self.put(number, ACK, FIRST, self.numbers[number])
                self.put(number, ACK | PSH, FIRST, self.numbers[number], LINE)
        self.each(clients, self.refused, speak)
        self.probing = True
        self.each(clients, self.probed, lambda number: number in self.numbers and self.put(number, ACK, FIRST - 1, self.numbers[number]))


def resident_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def settle(pid, patience_s=60):
    """Until the sweep has been through all tables once: a page of them counts as resident from when it is first looked into."""
    end, since, before = time.monotonic() + patience_s, time.monotonic(), 0
    while time.monotonic() < end and time.monotonic() < since + 5:
        now = resident_kib(pid)
        if now != before:
            since, before = time.monotonic(), now
        time.sleep(0.1)


def kept(gate):
    """Flows, whatever their state."""
    return gate.telemetry("/mire/flows")["tracked"]


def run(lab, options):
    wire_holds.prepare(lab)
    count = options.flows or (2000 if options.tiny else 100_000)
    server = lab.server()
    gate = gates.Gate(lab, CONFIG)
    crowd = Crowd(lab, server)
    lan = Tap(lab, "lan")
    try:
        pid = gate.pid("mire-dataplane")
        if not options.tiny:
            settle(pid)
        memory, flows = resident_kib(pid), kept(gate)
        begun = time.monotonic()
        crowd.hold(range(1, count + 1))
        took = time.monotonic() - begun
        return {"clients": count, "connected": len(crowd.numbers), "line heard, and not taken": len(crowd.refused),
                "probing, and answered": len(crowd.probed), "data acknowledged": crowd.acknowledged,
                "windows opened": crowd.opened, "ended": crowd.ended, "flows kept": kept(gate) - flows,
                "segments at the server": len(lan.segments(dst=server)),
                "resident memory grew, KiB": resident_kib(pid) - memory,
                "packets that came": crowd.sent, "packets sent": crowd.heard,
                "packets sent beyond those that came, at any instant": crowd.beyond,
                "bytes sent beyond those that came, at any instant": crowd.beyond_bytes, "seconds": took}
    finally:
        lan.close()
        crowd.close()
        gate.stop()


def goal(_):
    return "goal: all are held; nothing is kept of them, and nothing of theirs reaches the server"
