"""gate - the product in a lab's gateway, run by tools/run: its events, its telemetry, its processes."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from lab import REPOSITORY, TOOLS

BUILD = pathlib.Path(os.environ.get("MIRE_BUILD", REPOSITORY / "build"))
PROGRAMS = {"mire-bypass": BUILD / "ebpf/mire-bypass", "mired": BUILD / "controlplane/mired",
            "mire-dataplane": BUILD / "dataplane/mire-dataplane"}

CLASSES = "\n".join(f"class {kind} {{ prefix 198.18.{t}.0/24; prefix 2001:db8:{t}::/48; }}" for kind, t in
                    {"trusted": 2, "known": 3, "suspect": 4, "blocked": 5, "exempt": 6}.items())


def config(unknown="min 800ms; max 1200ms;", suspect="min 1500ms; max 1800ms;", fail_mode="open", more=""):
    """The product's defaults but for short holds."""
    return f"""ports {{ wan wan0; lan lan0; fail-mode {fail_mode}; }}
treatment unknown {{ greeting {{ withhold banner; {unknown} }} early-talk reset; }}
treatment suspect {{ syn-ack {{ min 300ms; max 500ms; }} greeting {{ withhold banner; {suspect} }} early-talk reset; }}
{CLASSES}
{more}
"""


def missing_programs():
    return [name for name, path in PROGRAMS.items() if not os.access(path, os.X_OK)]


def ask_telemetry(path, command):
    """One question to a dataplane, as dpdk-telemetry.py asks it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.settimeout(5)
        asked.connect(path)
        asked.recv(16384)  # its own introduction
        asked.sendall(command.encode())
        return json.loads(asked.recv(1 << 20).decode())[command.split(",")[0]]


class Refused(Exception):
    """mired said no; the text is its line."""


class Caller:
    """A connection to mired's socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.number = 0
        self.news = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def ask(self, method, **params):
        self.number += 1
        self.socket.sendall(json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}).encode() + b"\n")
        while True:
            said = self.hear()
            if "id" in said:
                break
            self.news.append(said)
        if "error" in said:
            raise Refused(said["error"]["message"])
        return said["result"]

    def hear(self):
        line = self.lines.readline()
        if not line:
            raise ConnectionError("mired closed the connection")
        return json.loads(line)


class Gate:
    def __init__(self, lab, text=None, *arguments, wait=True):
        self.lab = lab
        self.number = 1 + sum(1 for _ in lab.folder.glob("gate-*.conf"))
        self.config = lab.folder / f"gate-{self.number}.conf"
        self.config.write_text(text if text is not None else config())
        self.output = lab.folder / f"gate-{self.number}.out"
        self.socket = lab.folder / "mired.sock"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                lab.command("gw", TOOLS / "run", "--wan", "wan0", "--lan", "lan0", "--config", self.config, "--socket", self.socket,
                            "--build", BUILD, *arguments), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        if wait:
            self.await_line("mire: forwarding, socket", timeout=60)

    def text(self):
        return self.output.read_text(errors="replace")

    def await_line(self, part, timeout=10, count=1):
        """Until `part` has been said `count` times."""
        end = time.monotonic() + timeout
        while self.text().count(part) < count:
            if self.process.poll() is not None:
                raise RuntimeError(f"tools/run ended with {self.process.returncode}: {self.text()[-2000:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"never said '{part}': {self.text()[-2000:]}")
            time.sleep(0.02)

    def stop(self):
        """As Ctrl-C does. Gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    # -- processes

    def pids(self, name):
        found = []
        for word in subprocess.run(["ip", "netns", "pids", self.lab.namespace("gw")], capture_output=True, text=True).stdout.split():
            try:
                if os.path.basename(os.readlink(f"/proc/{word}/exe")).split()[0] == name:
                    found.append(int(word))
            except OSError:
                pass
        return found

    def pid(self, name, timeout=10):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = self.pids(name)
            if found:
                return found[0]
            time.sleep(0.02)
        raise RuntimeError(f"{name} does not run")

    def kill(self, name, number=signal.SIGKILL):
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    # -- what it says

    def events(self, **wanted):
        """mired's log of flows, oldest first; `wanted` by key and value, e.g. source="198.18.1.1"."""
        found = []
        for line in self.text().splitlines():
            if line.startswith("{"):
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # half a line: being written
                if all(event.get(key) == value for key, value in wanted.items()):
                    found.append(event)
        return found

    def await_event(self, timeout=10, **wanted):
        end = time.monotonic() + timeout
        while True:
            found = self.events(**wanted)
            if found:
                return found[-1]
            if time.monotonic() > end:
                seen = [event for event in self.events() if event.get("source") == wanted.get("source")]
                raise AssertionError(f"no event {wanted}; of this source: {seen}")
            time.sleep(0.02)

    def await_state(self, name, text, timeout=10):
        """Until mired has written `text` down in the file `name` of its state."""
        words = pathlib.Path(f"/proc/{self.pid('mired')}/cmdline").read_bytes().decode().split("\0")
        path = pathlib.Path(words[words.index("--state") + 1], name)
        end = time.monotonic() + timeout
        while not path.exists() or text not in path.read_text():
            assert time.monotonic() < end, f"{text} never came to {path}"
            time.sleep(0.02)

    # -- mired's socket

    def ask(self, method, **params):
        """One JSON-RPC request to mired: its result; a refusal raises."""
        with Caller(self.socket) as caller:
            return caller.ask(method, **params)

    # -- rte_telemetry

    def telemetry_path(self):
        words = pathlib.Path(f"/proc/{self.pid('mire-dataplane')}/cmdline").read_bytes().decode().split("\0")
        return f"/var/run/dpdk/{words[words.index('--file-prefix') + 1]}/dpdk_telemetry.v2"

    def telemetry(self, command):
        return ask_telemetry(self.telemetry_path(), command)

    def counter(self, reason):
        """One reason's counter, summed over lcores; a counter that never counted is not told."""
        return self.telemetry("/mire/stats")["total"].get(reason, 0)

    def await_counter(self, reason, at_least, timeout=10):
        end = time.monotonic() + timeout
        while True:
            value = self.counter(reason)
            if value >= at_least:
                return value
            assert time.monotonic() < end, f"counter {reason} is {value}, not {at_least}"
            time.sleep(0.05)
