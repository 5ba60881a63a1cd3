"""rawpeer - a TCP peer without a TCP: every segment is the test's own doing.

It has an address and a MAC that no kernel owns; the other side is told where it lives by a neighbour entry.
"""

import itertools
import socket
import struct
import subprocess
import time

import segment as wire
from segment import ACK, RST, SYN, Segment

ETH_P_ALL = 3
PACKET_OUTGOING = 4
_numbers = itertools.count(1)


def mac_of(lab, side):
    text = subprocess.run(["ip", "-n", lab.namespace(side), "-o", "link", "show", lab.facts["ends"][side]], capture_output=True,
                          text=True, check=True).stdout
    return bytes.fromhex(text.split("link/ether ")[1].split()[0].replace(":", ""))


class RawPeer:
    """On `side` of the wire, talking to `peer`: a Linux on the other side, or another RawPeer given its MAC."""

    def __init__(self, lab, side, address, peer, port, peer_port, peer_mac=None):
        other = "lan" if side == "wan" else "wan"
        self.address, self.peer, self.port, self.peer_port = address, peer, port, peer_port
        self.mac = bytes([2, 0, 0, 7]) + struct.pack("!H", next(_numbers))
        self.peer_mac = peer_mac or mac_of(lab, other)
        self.seq = self.isn = 0x10203040  # next to send
        self.ack = 0                      # next awaited
        self.options = b""
        with lab.inside(side):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.bind((lab.facts["ends"][side], ETH_P_ALL))
        if peer_mac is None:
            subprocess.run(["ip", "-n", lab.namespace(other), "neigh", "replace", address, "lladdr", self.mac.hex(":"), "nud", "permanent",
                            "dev", lab.facts["ends"][other]], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # -- sending

    def make(self, flags, payload=b"", **fields):
        fields = {"seq": self.seq, "ack": self.ack if flags & ACK else 0, "options": self.options, **fields}
        return Segment(self.address, self.peer, self.port, self.peer_port, flags=flags, payload=payload, **fields)

    def put(self, segment):
        self.socket.send(wire.frame(segment, self.peer_mac, self.mac))

    def send(self, flags, payload=b"", **fields):
        """In turn: the next sequence number moves on."""
        segment = self.make(flags, payload, **fields)
        self.put(segment)
        if "seq" not in fields:
            self.seq = (self.seq + len(payload) + (1 if flags & (SYN | wire.FIN) else 0)) % 2**32
        return segment

    def send_fragments(self, segment, size, identification, order=None):
        pieces = wire.fragments(segment, self.peer_mac, self.mac, size, identification)
        for number in order or range(len(pieces)):
            self.socket.send(pieces[number])

    # -- receiving

    def receive(self, timeout=3.0, where=lambda segment: True):
        """The next segment for us that `where` likes, or None."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, sender = self.socket.recvfrom(65536)
            except TimeoutError:
                return None
            if sender[2] == PACKET_OUTGOING:
                continue
            seen = wire.parse(data)
            if seen and seen.dst == self.address and seen.dport == self.port and seen.src == self.peer and where(seen):
                seen.time = time.time()
                return seen
        return None

    def receive_all(self, seconds):
        """Everything for us within `seconds`."""
        found, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            seen = self.receive(left)
            if seen:
                found.append(seen)
        return found

    # -- a client's handshake, in one word

    def open(self, timeout=5.0, final_ack=True):
        self.send(SYN, options=struct.pack("!BBH", 2, 4, 1400))
        answer = self.receive(timeout, lambda seen: seen.has(SYN | ACK))
        assert answer, "no SYN-ACK came"
        assert answer.ack == self.seq
        self.ack = (answer.seq + 1) % 2**32
        if final_ack:
            self.send(ACK)
        return answer

    def accept(self, timeout=5.0):
        """A server's handshake; the segment that completed it, which may carry data."""
        syn = self.receive(timeout, lambda seen: seen.has(SYN) and not seen.has(ACK))
        assert syn, "no SYN came"
        self.peer_port = syn.sport
        self.ack = (syn.seq + 1) % 2**32
        self.send(SYN | ACK, options=struct.pack("!BBH", 2, 4, 1400))
        last = self.receive(timeout, lambda seen: seen.has(ACK) and not seen.has(SYN) and not seen.has(RST))
        assert last, "the handshake's ACK did not come"
        return last
