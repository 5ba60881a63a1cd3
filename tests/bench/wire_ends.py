"""wire_ends - the lab as the benches use it: where frames begin, where they end, and who runs on which CPU."""

import contextlib
import os
import pathlib
import socket
import struct

import bpf
import segment as wire
from rawpeer import mac_of

CPUS = sorted(os.sched_getaffinity(0))
GENERATOR, DATAPLANE = CPUS[0], CPUS[1 % len(CPUS)]  # as dataplane/port/eal.cc places its first lcore


@contextlib.contextmanager
def on_cpu(cpu):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Sender:
    """Sends copies of a frame out of `interface` of `side`; the other end of its veth receives them."""

    def __init__(self, lab, side, interface):
        self.lab, self.side = lab, side
        with lab.inside(side):
            self.program = bpf.redirect(socket.if_nametoindex(interface))

    def send(self, frame, count):
        with self.lab.inside(self.side):
            bpf.send(self.program, frame, count)

    def close(self):
        os.close(self.program)


@contextlib.contextmanager
def sink(lab, side):
    """Frames end at the driver of the lab's outer interface, counted: no stack behind it costs anything."""
    with lab.inside(side):
        program = bpf.verdict(bpf.XDP_DROP)
        link = bpf.attach(program, socket.if_nametoindex(lab.facts["ends"][side]))
    try:
        yield
    finally:
        os.close(link)
        os.close(program)


def received(lab, side):
    """Frames that the outer interface has got. By netlink, for /sys shows the namespace in which it was mounted."""
    name = lab.facts["ends"][side]
    with lab.inside(side):
        with open("/proc/thread-self/net/dev") as file:
            for line in file:
                if line.strip().startswith(f"{name}:"):
                    return int(line.split(":")[1].split()[1])
    raise RuntimeError(f"no interface {name}")


def tcp_frame(lab, client, server, size=64):
    """A segment of port 25 in the middle of a dialogue that nobody saw begin: judged, and passed."""
    segment = wire.Segment(client, server, 40000, 25, 1000, 2000, wire.ACK | wire.PSH, payload=b"x" * (size - 54))
    return wire.frame(segment, mac_of(lab, "lan"), mac_of(lab, "wan"))


def udp_frame(lab, client, server, size=64):
    payload = struct.pack("!HHHH", 40000, 53, size - 34, 0) + b"x" * (size - 42)
    # To a station that is not the sink's: a stack behind it drops it at once.
    return b"\2\0\0\0\0\x99" + mac_of(lab, "wan") + b"\x08\0" + wire.ip_packet(client, server, 17, payload)


def softirq_ns(cpu):
    """CPU time of ksoftirqd of a CPU, to which work goes that the sender did not do on its way out."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() == f"ksoftirqd/{cpu}":
                return int((folder / "schedstat").read_text().split()[0])
        except OSError:
            pass
    return 0
