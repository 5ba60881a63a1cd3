"""raw_clients - a crowd on one raw socket: 10.0.0.0/8, one connection from each address, behind a router that is the lab's wan side."""

import selectors
import socket
import struct

from rawpeer import mac_of


def words(data):
    return sum(struct.unpack(f"!{len(data) // 2}H", data))


class RawClients:
    def __init__(self, lab, server):
        self.head = mac_of(lab, "lan") + mac_of(lab, "wan") + b"\x08\0"
        self.server = socket.inet_aton(server)
        # Sums that do not change: IPv4 header and pseudo-header with TCP header, but for source, numbers and flags.
        self.ip_sum = words(struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 64, 6, 0) + self.server)
        self.tcp_sum = words(self.server + struct.pack("!HHHHHH", 6, 20, 40000, 25, 64240, 0))
        with lab.inside("wan"):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            self.socket.bind((lab.facts["ends"]["wan"], 0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ)

    def close(self):
        self.selector.close()
        self.socket.close()

    def send(self, number, flags, seq, ack=0):
        """A segment without payload, of client `number`. BlockingIOError: the socket is full."""
        self.socket.send(self.segment(number, flags, seq, ack))

    def segment(self, number, flags, seq, ack=0, payload=b""):
        """The frame of a segment."""
        more = len(payload)
        source = 0x0A000000 | number
        two = (source >> 16) + (source & 0xFFFF)
        total = self.ip_sum + two + more
        total = (total & 0xFFFF) + (total >> 16)
        total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        head = struct.pack("!BBHHHBBHI4s", 0x45, 0, 40 + more, 0, 0x4000, 64, 6, total, source, self.server)
        seq, ack = seq & 0xFFFFFFFF, ack & 0xFFFFFFFF
        total = self.tcp_sum + two + (seq >> 16) + (seq & 0xFFFF) + (ack >> 16) + (ack & 0xFFFF) + (0x5000 | flags)
        if more:
            total += more + words(payload + b"\0" * (more & 1))
        total = (total & 0xFFFF) + (total >> 16)
        total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        return self.head + head + struct.pack("!HHIIHHHH", 40000, 25, seq, ack, 0x5000 | flags, 64240, total, 0) + payload

    def received(self, timeout, most=512):
        """(number, flags, seq, payload) of what the server has sent, once there is something."""
        for number, frame in self.frames(timeout, most):
            end = 14 + int.from_bytes(frame[16:18], "big")
            yield number, frame[47], int.from_bytes(frame[38:42], "big"), frame[34 + (frame[46] >> 4) * 4:end]

    def frames(self, timeout, most=512):
        """(number, frame) of what the server has sent, once there is something."""
        self.selector.select(timeout)
        for _ in range(most):
            try:
                frame = self.socket.recv(2048)
            except BlockingIOError:
                return
            # Ethernet, IPv4 without options, TCP from port 25
            if frame[23] != 6 or frame[30] != 10 or frame[34:36] != b"\0\x19":
                continue
            yield int.from_bytes(frame[31:34], "big"), frame
