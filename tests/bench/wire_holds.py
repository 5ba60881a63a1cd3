"""CPU time of the dataplane's process for clients that connect, say nothing, and wait for a greeting held back.

The clients are one raw socket with an address each; the server is Linux's TCP and greets at once. Its repetitions of the greeting,
which it cannot know to be held, are part of what a hold costs. The ends' own work is done by kernel threads of theirs (threaded
NAPI), as it would be on other machines, and not on the dataplane's time by its sendto(). XDP runs in the sender's softirq, as it
would in a card's: it is in none of these figures.
"""

import os
import pathlib
import resource
import socket
import struct
import threading
import time

import gate as gates
from raw_clients import RawClients
from segment import ACK, SYN

SERVER, GREETING = "198.18.0.30", b"220 mx.lab.example ESMTP\r\n"
POSTSCREEN_S = 2.6
MOST_UNANSWERED = 256


def cpu_of(pid):
    """{"all": exact, "user": by ticks, "system": by ticks}, seconds"""
    tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    exact = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    tick = os.sysconf("SC_CLK_TCK")
    return {"all": exact, "user": int(user) / tick, "system": int(system) / tick}


class Server(threading.Thread):
    """Greets whoever comes and keeps it."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        with lab.inside("lan"):
            self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((SERVER, 25))
        self.listener.listen(4096)
        self.listener.settimeout(0.2)
        self.taken, self.ended = [], False

    def run(self):
        while not self.ended:
            try:
                connection = self.listener.accept()[0]
            except TimeoutError:
                continue
            connection.send(GREETING)
            self.taken.append(connection)

    def close(self):
        self.ended = True
        self.join()
        for connection in self.taken:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.listener.close()


class Clients(RawClients):
    """They connect, read the greeting and say nothing."""

    def __init__(self, lab, count):
        super().__init__(lab, SERVER)
        self.count, self.connected, self.greeted = count, {}, {}

    def receive(self, timeout):
        """Answers SYN-ACKs, notes greetings."""
        for number, flags, seq, payload in self.received(timeout):
            if flags & SYN:
                self.connected.setdefault(number, time.monotonic())
                self.send(number, ACK, 1001, seq + 1)
            elif GREETING in payload:
                self.greeted.setdefault(number, time.monotonic())
                self.send(number, ACK, 1001, seq + len(GREETING))

    def connect_all(self, deadline):
        begun = 0
        while len(self.connected) < self.count:
            while begun < self.count and begun - len(self.connected) < MOST_UNANSWERED:
                self.send(begun, SYN, 1000)
                begun += 1
            self.receive(0.05)
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(self.connected)} of {self.count} connected in time")

    def until(self, when, done=lambda: False):
        while time.monotonic() < when and not done():
            self.receive(min(0.05, max(0.0, when - time.monotonic())))


def idle(pid, seconds):
    before = cpu_of(pid)["all"]
    time.sleep(seconds)
    return (cpu_of(pid)["all"] - before) / seconds


def prepare(lab):
    done = lab.run("lan", "ip", "route", "add", "10.0.0.0/8", "via", "198.18.1.1", "dev", lab.facts["ends"]["lan"])
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    for side in ("wan", "lan"):
        # A new mount of /sys shows the namespace's own interfaces; it goes with the command.
        done = lab.run(side, "sh", "-c", f"echo 1 > /sys/class/net/{lab.facts['ends'][side]}/threaded")
        if done.returncode != 0:
            raise RuntimeError(f"no threaded NAPI: {done.stderr.strip()}")


def run(lab, options):
    count = 200 if options.tiny else options.flows or 10_000
    hold = 2 if options.tiny else 10
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most < count + 200:
        raise RuntimeError(f"{count} connections need as many files, {most} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, most))
    prepare(lab)
    gate = gates.Gate(lab, gates.config(unknown=f"min {hold}s; max {hold}s;"))
    server, clients = Server(lab), Clients(lab, count)
    server.start()
    try:
        pid = gate.pid("mire-dataplane")
        sleeping = idle(pid, 0.5 if options.tiny else 3.0)
        at = [cpu_of(pid)]
        begun = time.monotonic()
        clients.connect_all(begun + hold - 1)
        clients.until(time.monotonic() + 0.3)
        at.append(cpu_of(pid))
        connected = time.monotonic()
        if clients.greeted:
            raise RuntimeError(f"{len(clients.greeted)} were greeted before all were connected: a slow machine, take fewer --flows")
        clients.until(begun + hold - 0.1)
        at.append(cpu_of(pid))
        waited = time.monotonic()
        clients.until(waited + hold + 20, lambda: len(clients.greeted) == count)
        at.append(cpu_of(pid))
        ended = time.monotonic()
        if len(clients.greeted) != count:
            raise RuntimeError(f"{len(clients.greeted)} of {count} greeted")
        early = sum(clients.greeted[n] - clients.connected[n] < hold - 0.001 for n in clients.greeted)
        if early:
            raise RuntimeError(f"{early} were greeted early")
        frames = gate.telemetry("/mire/stats")["total"]
    finally:
        server.close()
        clients.close()
        gate.stop()
    return {
        "flows": count, "hold, s": hold, "frames judged": frames["received_wan"] + frames["received_lan"],
        "connecting, s": connected - begun, "CPU while connecting, s": at[1]["all"] - at[0]["all"],
        "waiting, s": waited - connected, "CPU while waiting, s": at[2]["all"] - at[1]["all"],
        "releasing, s": ended - waited, "CPU while releasing, s": at[3]["all"] - at[2]["all"],
        "CPU in all, s": at[3]["all"] - at[0]["all"], "of it in the program, s (ticks)": at[3]["user"] - at[0]["user"],
        "of it in the kernel, s (ticks)": at[3]["system"] - at[0]["system"],
        "CPU of an idle dataplane, s a second": sleeping,
        "CPU in all without idling, s": at[3]["all"] - at[0]["all"] - sleeping * (ended - begun),
    }


def goal(figures):
    share = figures["CPU in all, s"] / POSTSCREEN_S * 10_000 / figures["flows"]
    return f"goal: <= 1/100 of postscreen's {POSTSCREEN_S} s for 10,000; {share:.4f}, 1/{1 / share:.0f}"
