"""What is not SMTP: CPU time a frame of steer's redirect, and of a Linux bridge, between the same two ports.

One CPU does all of it, from the generator to the sink, in softirq; its CPU time is read, so that others on the machine do not
count. Taken away is what the same frames cost when sent straight to the sink, without a gateway between.
"""

import subprocess
import time

import gate as gates
from wire_ends import GENERATOR, Sender, on_cpu, received, softirq_ns, udp_frame

CLIENT, SERVER = "198.18.2.1", "198.18.0.30"


def cost(lab, sender, frame, count):
    """(ns a frame, share that came out)"""
    with on_cpu(GENERATOR):
        sender.send(frame, 1000)  # warm
        before, soft, cpu = received(lab, "lan"), softirq_ns(GENERATOR), time.thread_time_ns()
        sender.send(frame, count)
        spent = time.thread_time_ns() - cpu
    time.sleep(0.02)  # ksoftirqd's rest
    return (spent + softirq_ns(GENERATOR) - soft) / count, (received(lab, "lan") - before) / count


def ip(lab, *words):
    done = lab.run("gw", "ip", *words)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Bridge:
    def __init__(self, lab):
        self.lab = lab

    def __enter__(self):
        ip(self.lab, "link", "add", "br0", "type", "bridge")
        for port in ("wan0", "lan0"):
            ip(self.lab, "link", "set", port, "master", "br0")
            # A veth takes the generator's frames only with a NAPI of its own.
            subprocess.run(self.lab.command("gw", "ethtool", "-K", port, "gro", "off"), check=True)
            subprocess.run(self.lab.command("gw", "ethtool", "-K", port, "gro", "on"), check=True)
        subprocess.run(self.lab.command("gw", "bridge", "fdb", "replace", "02:00:00:00:00:99", "dev", "lan0", "master", "static"), check=True)
        ip(self.lab, "link", "set", "br0", "up")

    def __exit__(self, *_):
        ip(self.lab, "link", "del", "br0")


def run(lab, options):
    rounds, count = (1, 2000) if options.tiny else (options.rounds or 7, 200_000)
    frame = udp_frame(lab, CLIENT, SERVER)
    outside, inside = Sender(lab, "wan", "net0"), Sender(lab, "gw", "lan0")
    found = {"straight to the sink, ns a frame": [], "bridge, ns a frame": [], "steer, ns a frame": [], "bridge, arrived": [],
             "steer, arrived": [], "ratio": []}
    try:
        for _ in range(rounds):
            straight = cost(lab, inside, frame, count)[0]
            with Bridge(lab):
                bridge, through_bridge = cost(lab, outside, frame, count)
            gate = gates.Gate(lab)
            try:
                steer, through_steer = cost(lab, outside, frame, count)
            finally:
                gate.stop()
            found["straight to the sink, ns a frame"].append(straight)
            found["bridge, ns a frame"].append(bridge - straight)
            found["steer, ns a frame"].append(steer - straight)
            found["bridge, arrived"].append(through_bridge)
            found["steer, arrived"].append(through_steer)
            found["ratio"].append((steer - straight) / (bridge - straight))
    finally:
        outside.close()
        inside.close()
    return found


def goal(figures):
    return f"goal: steer <= 1/8 of the bridge (0.125); {figures['ratio']['median']:.3f}"
