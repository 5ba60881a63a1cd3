"""tap - watches one interface of the lab with the kernel's timestamps: what really went over the wire, and when."""

import socket
import struct
import threading
import time

import segment as wire

SO_TIMESTAMPNS = 35
ETH_P_ALL = 3
PACKET_OUTGOING = 4
PACKET_AUXDATA = 8
SOL_PACKET = 263


class Tap:
    """`with Tap(lab, "wan") as tap:` collects the TCP segments (port 25 unless told otherwise) and all other frames' bytes."""

    def __init__(self, lab, side, port=25):
        self.port = port
        self._segments, self._frames = [], []
        self._lock = threading.Lock()
        with lab.inside(side):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        with lab.inside(side):
            self.socket.bind((lab.facts["ends"][side], ETH_P_ALL))
        self.socket.settimeout(0.005)
        self._ended, self._lulls = False, 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._ended = True
        self._thread.join()
        self.socket.close()

    def _watch(self):
        while not self._ended:
            try:
                data, notes, _, sender = self.socket.recvmsg(65536, 256)
            except TimeoutError:
                self._lulls += 1
                continue
            when = time.time()
            for level, kind, value in notes:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", value[:16])
                    when = seconds + nanoseconds / 1e9
                elif level == SOL_PACKET and kind == PACKET_AUXDATA:
                    status, _, _, _, _, tag, tag_type = struct.unpack("IIIHHHH", value[:20])
                    if status & 0x10:  # the kernel took the outer tag off: put it back
                        data = data[:12] + struct.pack("!HH", tag_type if status & 0x40 else 0x8100, tag) + data[12:]
            seen = wire.parse(data)
            with self._lock:
                self._frames.append((when, data))
                if seen and self.port in (seen.sport, seen.dport):
                    seen.time, seen.outgoing = when, sender[2] == PACKET_OUTGOING
                    self._segments.append(seen)

    def _catch_up(self):
        """Until all that had been captured before this call was looked at."""
        seen, end = self._lulls, time.monotonic() + 5
        while self._lulls < seen + 2 and time.monotonic() < end:
            time.sleep(0.002)

    def segments(self, **wanted):
        """In order; `wanted` by field, e.g. src="198.18.1.1"."""
        self._catch_up()
        with self._lock:
            return [seen for seen in self._segments if all(getattr(seen, key) == value for key, value in wanted.items())]

    def frames(self):
        self._catch_up()
        with self._lock:
            return list(self._frames)

    def story(self, client):
        return "\n".join(str(seen) for seen in self.segments() if client in (seen.src, seen.dst))

    # -- what the tests ask

    def handshake_at(self, client, sport=None):
        """When the client's handshake ACK was seen."""
        for seen in self.segments(src=client):
            if (sport is None or seen.sport == sport) and seen.has(wire.ACK) and not seen.has(wire.SYN):
                return seen.time
        raise AssertionError(f"no handshake of {client} seen")

    def first_byte_at(self, client, sport=None):
        """When the first byte for the client was seen."""
        for seen in self.segments(dst=client):
            if (sport is None or seen.dport == sport) and seen.payload:
                return seen.time
        raise AssertionError(f"no byte for {client} seen")

    def hold_of(self, client, sport=None):
        """Never less than the gateway's own hold: the ACK left before it came to the gateway, the greeting was seen after it left it."""
        return self.first_byte_at(client, sport) - self.handshake_at(client, sport)
