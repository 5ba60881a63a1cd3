"""dataplane - mire-dataplane by itself, on any ports, with a mired if a test needs judgment: no lab, no tools/run."""

import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import time

from gate import PROGRAMS, ask_telemetry

_numbers = itertools.count(1)


class Program:
    """A program of the product in the foreground; what it says is kept in a file."""

    def __init__(self, folder, name, *words, within=()):
        self.output = pathlib.Path(folder) / f"{name}-{next(_numbers)}.out"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen([*map(str, within), str(PROGRAMS[name]), *map(str, words)], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def text(self):
        return self.output.read_text(errors="replace")

    def await_line(self, part, timeout=30):
        end = time.monotonic() + timeout
        while part not in self.text():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.text()[-2000:]}"
            assert time.monotonic() < end, f"never said '{part}': {self.text()[-2000:]}"
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        """Gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


class Dataplane(Program):
    """Ready when made. `within`: words in front of its command line, e.g. `ip netns exec NAME`."""

    def __init__(self, folder, wan, lan, *words, within=()):
        self.folder = pathlib.Path(folder)
        self.prefix = f"t{os.getpid()}-{next(_numbers)}"
        self.socket = self.folder / f"{self.prefix}.sock"
        super().__init__(folder, "mire-dataplane", "--wan", wan, "--lan", lan, "--socket", self.socket, "--file-prefix", self.prefix,
                         "--flows", "4096", *words, within=within)
        try:
            self.await_line("mire-dataplane: forwarding")
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(pathlib.Path("/var/run/dpdk", self.prefix), ignore_errors=True)

    def telemetry(self, command):
        return ask_telemetry(f"/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2", command)

    def counter(self, name):
        return self.telemetry("/mire/stats")["total"].get(name, 0)

    def await_counter(self, name, at_least, timeout=20):
        end = time.monotonic() + timeout
        while (value := self.counter(name)) < at_least:
            assert time.monotonic() < end, f"counter {name} is {value}, not {at_least}"
            time.sleep(0.02)
        return value


class Mired(Program):
    """Gives `dataplane` its settings; ready when they are applied."""

    def __init__(self, dataplane, text):
        folder = dataplane.folder
        (folder / "mired.conf").write_text(text)
        super().__init__(folder, "mired", "--config", folder / "mired.conf", "--socket", folder / "mired.sock", "--dataplane-socket",
                         dataplane.socket, "--state", folder / "state")
        try:
            self.await_line("dataplane applied configuration")
        except BaseException:
            self.__exit__()
            raise
