"""segment - Ethernet, IP and TCP by hand: parse what a tap saw, craft what a scripted raw peer says.

Only what the tests need: no IP options, no IPv6 extension headers but the fragment header.
"""

import dataclasses
import socket
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
VLAN_TYPES = (0x8100, 0x88A8)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def printed(raw):
    return socket.inet_ntop(socket.AF_INET6 if len(raw) == 16 else socket.AF_INET, raw)


@dataclasses.dataclass
class Segment:
    src: str = ""
    dst: str = ""
    sport: int = 0
    dport: int = 0
    seq: int = 0
    ack: int = 0
    flags: int = 0
    window: int = 65535
    options: bytes = b""
    payload: bytes = b""
    vlans: tuple = ()
    time: float = 0.0          # CLOCK_REALTIME of the kernel that saw it
    outgoing: bool = False     # it left the interface of the tap
    checksum_ok: bool = True

    def has(self, flags):
        return self.flags & flags == flags

    def __str__(self):
        names = "".join(letter for bit, letter in ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, ".")) if self.flags & bit)
        return (f"{self.time % 1000:8.4f} {self.src}.{self.sport} > {self.dst}.{self.dport} {names} seq {self.seq} ack {self.ack} "
                f"win {self.window} {self.payload[:40]!r}{'' if self.checksum_ok else ' BAD CHECKSUM'}")


def strip_ethernet(frame):
    """(ethertype, VLAN ids outermost first, packet)"""
    vlans, at = [], 12
    kind = struct.unpack_from("!H", frame, at)[0]
    while kind in VLAN_TYPES:
        vlans.append(struct.unpack_from("!H", frame, at + 2)[0] & 0xFFF)
        at += 4
        kind = struct.unpack_from("!H", frame, at)[0]
    return kind, tuple(vlans), frame[at + 2:]


def parse(frame):
    """A Segment, or None for what is no whole TCP segment."""
    try:
        kind, vlans, packet = strip_ethernet(frame)
        if kind == 0x0800:
            header, total, fragment, protocol = (packet[0] & 15) * 4, *struct.unpack_from("!HxxHxB", packet, 2)
            if protocol != 6 or fragment & 0x3FFF:
                return None
            src, dst, tcp = packet[12:16], packet[16:20], packet[header:total]
        elif kind == 0x86DD:
            length, following = struct.unpack_from("!HB", packet, 4)
            if following != 6:
                return None
            src, dst, tcp = packet[8:24], packet[24:40], packet[40:40 + length]
        else:
            return None
        sport, dport, seq, ack, offset, flags, window = struct.unpack_from("!HHIIBBH", tcp)
        header = (offset >> 4) * 4
        good = checksum(pseudo_header(src, dst, len(tcp)) + tcp) == 0
        return Segment(printed(src), printed(dst), sport, dport, seq, ack, flags, window, bytes(tcp[20:header]), bytes(tcp[header:]),
                       vlans, checksum_ok=good)
    except (struct.error, IndexError):
        return None


def pseudo_header(src, dst, length):
    return src + dst + (struct.pack("!BBH", 0, 6, length) if len(src) == 4 else struct.pack("!IHBB", length, 0, 0, 6))


def tcp_bytes(segment):
    options = segment.options + b"\1" * (-len(segment.options) % 4)
    head = struct.pack("!HHIIBBHHH", segment.sport, segment.dport, segment.seq % 2**32, segment.ack % 2**32, (5 + len(options) // 4) << 4,
                       segment.flags, segment.window, 0, 0)
    tcp = head + options + segment.payload
    total = checksum(pseudo_header(packed(segment.src), packed(segment.dst), len(tcp)) + tcp)
    return tcp[:16] + struct.pack("!H", total) + tcp[18:]


def ethernet(to_mac, from_mac, address, vlans=()):
    tags = b"".join(struct.pack("!HH", 0x8100, vlan) for vlan in vlans)
    return to_mac + from_mac + tags + struct.pack("!H", 0x86DD if ":" in address else 0x0800)


def ip_packet(src, dst, protocol, payload, identification=0, fragment=0):
    """`fragment`: offset in units of 8 bytes, with 0x2000 for "more to come" as IPv4 writes it. IPv6 gets a fragment header if
    `identification` is set."""
    a, b = packed(src), packed(dst)
    if len(a) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, fragment, 64, protocol, 0) + a + b
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload
    if identification:
        payload = struct.pack("!BBHI", protocol, 0, (fragment & 0x1FFF) << 3 | (1 if fragment & 0x2000 else 0), identification) + payload
        protocol = 44
    return struct.pack("!IHBB", 0x60000000, len(payload), protocol, 64) + a + b + payload


def frame(segment, to_mac, from_mac):
    return ethernet(to_mac, from_mac, segment.src, segment.vlans) + ip_packet(segment.src, segment.dst, 6, tcp_bytes(segment))


def fragments(segment, to_mac, from_mac, size, identification):
    """The same segment as IP fragments of `size` bytes each (a multiple of 8)."""
    tcp = tcp_bytes(segment)
    pieces = [tcp[at:at + size] for at in range(0, len(tcp), size)]
    result = []
    for number, piece in enumerate(pieces):
        more = 0x2000 if number + 1 < len(pieces) else 0
        result.append(ethernet(to_mac, from_mac, segment.src, segment.vlans) +
                      ip_packet(segment.src, segment.dst, 6, piece, identification, number * size // 8 | more))
    return result
