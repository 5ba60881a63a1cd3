"""Floods from random addresses beside real dialogues: nobody who is held, talking or trusted notices, and no frame is unaccounted for."""

import hashlib
import json
import pathlib
import random
import sys
import threading
import time

import pytest

import gate as gates
import peers
from peers import Server, begin_message, connect, large_body, read_reply, teach
from segment import ACK, SYN

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

from raw_clients import RawClients  # noqa: E402

HOLD_S = 4
EACH = 3000            # frames of one flood
BURST, PAUSE_S = 30, 0.008
CHUNK = 60_000


class Flood:
    """Bounded bursts of one kind; every source address is another one."""

    def __init__(self, lab, server, seed):
        self.chance, self.sent, self.answered = random.Random(seed), 0, 0
        self.wire = RawClients(lab, server)

    def address(self):
        return self.chance.randrange(1 << 16, 1 << 24)

    def number(self):
        return self.chance.randrange(1 << 32)

    def put(self, *words):
        self.wire.send(*words)
        self.sent += 1

    def bursts(self):
        for count in range(0, EACH, BURST):
            for _ in range(BURST):
                yield
            time.sleep(PAUSE_S)

    def listen(self, half_open=False):
        for number, flags, seq, _ in self.wire.received(0):
            if flags == SYN | ACK:
                self.answered += 1
                if half_open:  # there, but of another mind: never the ACK that was asked for
                    self.put(number, ACK, 1001, seq)

    def syns(self):
        for _ in self.bursts():
            self.put(self.address(), SYN, self.number())

    def acks(self):
        for _ in self.bursts():
            self.put(self.address(), ACK, self.number(), self.number())

    def half_open(self):
        self.listen()
        for _ in self.bursts():
            self.put(self.address(), SYN, 1000)
            self.listen(half_open=True)

    def close(self):
        self.wire.close()


@pytest.fixture(params=["banner", "defer"])
def gate(lab, request):
    text = gates.config(unknown=f"min {HOLD_S}s; max {HOLD_S}s;").replace("withhold banner", f"withhold {request.param}", 1)
    lab.run("lan", "ip", "route", "replace", "10.0.0.0/8", "via", "198.18.1.1", "dev", lab.facts["ends"]["lan"])
    made = gates.Gate(lab, text)
    made.withhold = request.param
    yield made
    assert made.stop() == 0, made.text()[-3000:]
    lab.run("lan", "ip", "route", "del", "10.0.0.0/8")


class Transfer(threading.Thread):
    """A large message, a chunk at a time, so that it lasts."""

    def __init__(self, connection, body):
        super().__init__(daemon=True)
        self.connection, self.body, self.done, self.at = connection, body + b".\r\n", None, 0

    def run(self):
        while self.at < len(self.body):
            self.connection.sendall(self.body[self.at:self.at + CHUNK])
            self.at += CHUNK
            time.sleep(0.015)
        self.done = read_reply(self.connection)


class Chat(threading.Thread):
    """A command and its reply, again and again."""

    def __init__(self, connection):
        super().__init__(daemon=True)
        self.connection, self.ended, self.replies = connection, False, []

    def run(self):
        while not self.ended:
            self.connection.sendall(b"NOOP\r\n")
            self.replies.append(read_reply(self.connection))
            time.sleep(0.01)


def sent_by(lab, side):
    shown = lab.run(side, "ip", "-s", "-j", "link", "show", lab.facts["ends"][side]).stdout
    return json.loads(shown)[0]["stats64"]["tx"]["packets"]


def books(lab, gate):
    """What there is to balance, as (name, one side, the other side)."""
    ends = {side: sent_by(lab, side) for side in ("wan", "lan")}
    stats = gate.telemetry("/mire/stats")["total"]
    ports = gate.telemetry("/mire/interfaces")

    def sum_of(*names):
        return sum(stats.get(f"{name}_{side}", 0) for name in names for side in ("wan", "lan"))

    def of_port(side, *names):
        return sum(ports[side].get(name, 0) for name in names)

    seen = [name for name in ports["wan"] if name.startswith("xdp_")]
    yield from ((f"frames that the {side} end sent and that its port saw", ends[side], of_port(side, *seen)) for side in ends)
    yield from ((f"frames for us on the {side} side", of_port(side, "xdp_to_dataplane"),
                 stats.get(f"received_{side}", 0) + of_port(side, "missed")) for side in ends)
    yield "frames taken and frames judged", sum_of("received"), sum_of("frames_in")
    yield "frames forwarded, dropped and made", sum_of("frames_in", "crafted"), sum_of("sent", "tx_full", "dropped")


def opening(lab, gate, timeout=15):
    """The books while nothing moves: they cannot be read all at one moment."""
    end, last = time.monotonic() + timeout, None
    while (now := list(books(lab, gate))) != last:
        assert time.monotonic() < end, now
        last = now
        time.sleep(0.2)
    return now


def balance(lab, gate, before, timeout=15):
    """Until both sides of each line have grown alike."""
    end = time.monotonic() + timeout
    while True:
        grown = [(name, one - first, other - second) for (name, one, other), (_, first, second) in zip(books(lab, gate), before)]
        if all(one == other for _, one, other in grown):
            return grown
        assert time.monotonic() < end, grown
        time.sleep(0.1)


def test_held_talking_and_trusted_dialogues_are_untouched_by_three_kinds_of_floods(lab, gate, report):
    body, small = large_body(4), b"Subject: trusted\r\n\r\nhello\r\n"
    with Server(lab, lab.server()) as server:
        teach(lab, 4, server.address)
        held, talking, trusted = lab.client(), lab.client(), lab.client("trusted")
        speaks = connect(lab, talking, server.address, timeout=60)
        chats = connect(lab, trusted, server.address, timeout=60)
        assert read_reply(chats) == peers.GREETING
        assert read_reply(speaks) == peers.GREETING
        begin_message(speaks)
        before = opening(lab, gate)
        transfer, chat = Transfer(speaks, body), Chat(chats)
        flood = Flood(lab, server.address, seed=25)
        transfer.start()
        chat.start()
        waits = connect(lab, held, server.address, timeout=60)
        waits_since = time.monotonic()
        try:
            for kind in (flood.syns, flood.acks, flood.half_open):
                kind()
            outlasted = [name for name, lasts in (("hold", time.monotonic() < waits_since + HOLD_S), ("transfer", transfer.done is None))
                         if lasts]
            assert read_reply(waits) == peers.GREETING
            assert time.monotonic() - waits_since >= HOLD_S - 0.1
        finally:
            chat.ended = True
            chat.join(30)
            transfer.join(60)
            flood.close()
        assert transfer.done == b"250 2.0.0 taken\r\n"
        assert len(chat.replies) > 20 and set(chat.replies) == {b"250 ok\r\n"}
        peers.send_message(waits, small)
        peers.send_message(chats, small)
        for connection in (speaks, chats, waits):
            connection.sendall(b"QUIT\r\n")
            assert read_reply(connection).startswith(b"221")
            connection.close()
        for client, sent in ((held, small), (talking, body), (trusted, small)):
            whole = sent + b".\r\n"
            assert server.ended(client).message == (len(whole), hashlib.sha256(whole).hexdigest())
        grown = dict((name, one) for name, one, _ in balance(lab, gate, before))
    assert grown["frames for us on the wan side"] >= flood.sent
    assert flood.sent >= 3 * EACH and flood.answered > 0
    assert gate.counter("no_entry") >= EACH, "each ACK of no flow was counted"
    if gate.withhold == "defer":
        assert not [session for session in server.sessions if session.client.startswith("10.")]
        assert gate.counter("met") >= EACH, "SYNs were answered in the server's name"
    report("floods", f"{flood.sent} frames, {flood.answered} SYN-ACKs; outlasted by {' and '.join(outlasted) or 'nothing'}")
