"""lossy - an endpoint of the lab that loses, doubles or delays chosen segments (lose.bpf.c), in either direction."""

import contextlib
import heapq
import json
import pathlib
import socket
import struct
import subprocess
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parent / "lose.bpf.c"
LOSE, DOUBLE, DELAY = 1, 2, 3
SO_MARK, DEALT_WITH = 36, 25
DELAY_S = 0.02


def compiled(folder):
    program = pathlib.Path(folder) / "lose.bpf.o"
    include = f"/usr/include/{subprocess.run(['gcc', '-dumpmachine'], capture_output=True, text=True).stdout.strip()}"
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-mcpu=v3", f"-I{include}", "-c", SOURCE, "-o", program], check=True)
    return program


class Lossy:
    """`side` of the lab, what leaves it ("egress") or what comes to it ("ingress")."""

    def __init__(self, lab, side, way, program):
        self.lab, self.side, self.way, self.end = lab, side, way, lab.facts["ends"][side]
        self.here, self.there = f"{way[0]}late0", f"{way[0]}late1"
        self.run("ip", "link", "add", self.here, "type", "veth", "peer", "name", self.there)
        for name in (self.here, self.there):
            self.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6")
            self.run("ip", "link", "set", name, "up")
        lab.run(side, "tc", "qdisc", "add", "dev", self.end, "clsact")
        self.run("tc", "filter", "add", "dev", self.end, way, "bpf", "direct-action", "obj", program, "sec", "tc/lose")
        shown = json.loads(self.run("tc", "-j", "filter", "show", "dev", self.end, way))
        number = next(one["options"]["prog"]["id"] for one in shown if "options" in one and "prog" in one["options"])
        self.map = json.loads(self.run("bpftool", "-j", "prog", "show", "id", number))["map_ids"][0]
        with lab.inside(side):
            self.delay_to = socket.if_nametoindex(self.here)
            self.late = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.late.bind((self.there, 3))
        # What was on its way in comes in again: from the gateway's port, whose peer this end is.
        with lab.inside("gw" if way == "ingress" else side):
            self.out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.out.bind((f"{side}0" if way == "ingress" else self.end, 0))
        self.out.setsockopt(socket.SOL_SOCKET, SO_MARK, DEALT_WITH)
        self.late.settimeout(0.005)
        self.ended = False
        self.thread = threading.Thread(target=self._bring_back, daemon=True)
        self.thread.start()

    def run(self, *words):
        done = self.lab.run(self.side, *words)
        if done.returncode != 0:
            raise RuntimeError(f"{words}: {done.stderr.strip()}")
        return done.stdout

    def close(self):
        self.ended = True
        self.thread.join()
        self.late.close()
        self.out.close()
        self.lab.run(self.side, "tc", "filter", "del", "dev", self.end, self.way)
        self.lab.run(self.side, "ip", "link", "del", self.here)

    def plan(self, plans):
        """{client's port (0: all others): (deed, n)}"""
        lines = []
        for port, (deed, n) in plans.items():
            value = struct.pack("=IIIIII", deed, n, 0, 0, self.delay_to, self.way == "ingress")
            lines.append(f"map update id {self.map} key hex {struct.pack('=I', port).hex(' ')} value hex {value.hex(' ')}")
        file = self.lab.folder / f"plans-{self.side}-{self.way}"
        file.write_text("\n".join(lines) + "\n")
        self.run("bpftool", "batch", "file", file)

    def done(self, port):
        """How often its deed was done."""
        key = struct.pack("=I", port).hex(" ").split()
        shown = json.loads(self.run("bpftool", "-j", "map", "lookup", "id", self.map, "key", "hex", *key))
        value = shown["value"]
        raw = bytes(int(one, 16) for one in value) if isinstance(value, list) else None
        return struct.unpack_from("=I", raw, 12)[0] if raw else value["done"]

    def forget(self, ports):
        for port in ports:
            self.lab.run(self.side, "bpftool", "map", "delete", "id", str(self.map), "key", "hex", *struct.pack("=I", port).hex(" ").split())

    def _bring_back(self):
        waiting = []
        while not self.ended or waiting:
            try:
                frame = self.late.recv(65536)
                heapq.heappush(waiting, (time.monotonic() + DELAY_S, len(waiting), frame))
            except TimeoutError:
                pass
            while waiting and waiting[0][0] <= time.monotonic():
                with contextlib.suppress(OSError):  # merged by the receiver: too long to come in again, and lost
                    self.out.send(heapq.heappop(waiting)[2])
