"""The judged path over AF_XDP against dpdk-testpmd's io forwarding, on the same two ports, in turn.

The generator floods wan0 with TCP/25 from one CPU; forwarder and sink share the other. Counted are frames that arrive at the sink
in a window of time.
"""

import os
import shutil
import subprocess
import threading
import time

import gate as gates
from wire_ends import DATAPLANE, GENERATOR, Sender, on_cpu, received, sink, tcp_frame

CLIENT, SERVER = "198.18.2.1", "198.18.0.30"


class Testpmd:
    """`io`, or `io retry`: the same, but what finds the transmit ring full is tried again rather than dropped, as we do."""

    def __init__(self, lab, mode):
        self.lab, self.mode, self.output = lab, mode, lab.folder / "testpmd.out"
        self.prefix = f"bench-{os.getpid()}"

    def __enter__(self):
        devices = [word for port in ("wan0", "lan0") for word in ("--vdev", f"net_af_xdp_{port},iface={port}")]
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                self.lab.command("gw", "stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "--no-shconf", "-m", "512", "--no-pci", "--no-telemetry", "--file-prefix",
                                 self.prefix, "--lcores", f"0@{GENERATOR},1@{DATAPLANE}", *devices, "--",
                                 "-i", "--burst=64", "--rxd=2048", "--txd=2048", "--total-num-mbufs=32768"),
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
        self.process.stdin.write(f"set fwd {self.mode}\nstart\n".encode())
        self.process.stdin.flush()
        end = time.monotonic() + 30
        while " - ports=2 - cores=1" not in self.text():
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError(f"dpdk-testpmd does not start: {self.text()[-1500:]}")
            time.sleep(0.05)
        return self

    def text(self):
        return self.output.read_text(errors="replace")

    def __exit__(self, *_):
        self.process.stdin.close()  # as `quit` does
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)


def rate(lab, sender, frame, seconds):
    """Frames a second at the sink while the generator floods."""
    ended = threading.Event()

    def flood():
        with on_cpu(GENERATOR):
            while not ended.is_set():
                sender.send(frame, 4096)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        time.sleep(0.3)
        begun, before = time.monotonic(), received(lab, "lan")
        time.sleep(seconds)
        return (received(lab, "lan") - before) / (time.monotonic() - begun)
    finally:
        ended.set()
        thread.join()


def run(lab, options):
    rounds, seconds = (1, 0.3) if options.tiny else (options.rounds or 7, 3.0)
    frame = tcp_frame(lab, CLIENT, SERVER)
    found = {"testpmd io, frames/s": [], "testpmd io retry, frames/s": [], "mire, frames/s": [], "ratio": [], "ratio to retry": []}
    sender = Sender(lab, "wan", "net0")
    try:
        with sink(lab, "lan"), sink(lab, "wan"):
            for _ in range(rounds):
                with Testpmd(lab, "io"):
                    testpmd = rate(lab, sender, frame, seconds)
                with Testpmd(lab, "io retry"):
                    retrying = rate(lab, sender, frame, seconds)
                gate = gates.Gate(lab)
                try:
                    seen = gate.counter("received_wan")
                    mire = rate(lab, sender, frame, seconds)
                    if gate.counter("received_wan") - seen < mire * seconds * 0.98:
                        raise RuntimeError("these frames were not judged")
                finally:
                    gate.stop()
                found["testpmd io, frames/s"].append(testpmd)
                found["testpmd io retry, frames/s"].append(retrying)
                found["mire, frames/s"].append(mire)
                found["ratio"].append(mire / testpmd)
                found["ratio to retry"].append(mire / retrying)
    finally:
        sender.close()
    return found


def goal(figures):
    return f"goal: mire >= 90 % of testpmd; {figures['ratio']['median']:.1%} ({figures['ratio to retry']['median']:.1%} of it with retries)"
