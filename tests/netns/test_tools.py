"""tools/run and tools/lab: what they say when something is wrong, and that nothing stays behind."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import gate as gates
import snapshot
import peers
import lab as labs
from lab import TOOLS
from peers import Server, connect, read_reply


def refused(done, *words):
    """One clear line and a code that is not zero."""
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0], lines[0]


def run(lab, *words, **options):
    return lab.run("gw", TOOLS / "run", "--build", gates.BUILD, "--socket", lab.folder / "other.sock", *words, **options)


def test_run_refuses_what_cannot_be_and_leaves_the_wire_alone(lab, tmp_path):
    before = snapshot.take(lab)
    refused(run(lab, "--wan", "wan0"), "--lan")
    refused(run(lab, "--wan", "wan0", "--lan", "nosuch0"), "nosuch0", "does not exist")
    refused(run(lab, "--wan", "wan0", "--lan", "wan0"), "wan0")
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--config", tmp_path / "missing.conf"), "missing.conf")
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--lcores", "many"), "lcores", "many")
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--unheard-of"), "unheard-of")
    (tmp_path / "file").touch()
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--socket", tmp_path / "file"), "no socket", "--socket")
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--socket", tmp_path / "file/mired.sock"), "cannot make the folder")
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--state", tmp_path / "file/state"), "cannot make the folder")
    bad = tmp_path / "bad.conf"
    bad.write_text("ports { wan wan0; lan lan0; }\ntreatment unknown { greeting { max 40s; } }\n")
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--config", bad), "bad.conf:2:", "30s")
    bad.write_text("no-such-word 5;\n")
    refused(run(lab, "--wan", "wan0", "--lan", "lan0", "--config", bad), "bad.conf:1:", "no-such-word")
    refused(lab.run("gw", "setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                    (TOOLS / "run").read_text().replace("pathlib.Path(__file__)", f"pathlib.Path({str(TOOLS / 'run')!r})"),
                    "--wan", "wan0", "--lan", "lan0"), "root")
    assert snapshot.take(lab) == before


def test_run_leaves_the_interfaces_as_they_were(lab):
    before = snapshot.take(lab)
    gate = gates.Gate(lab)
    assert snapshot.take(lab) != before
    gate.process.send_signal(signal.SIGINT)
    assert gate.process.wait(20) == 0
    assert snapshot.take(lab) == before
    assert "interfaces are as they were" in gate.text()
    assert not pathlib.Path(gate.socket).exists()


def test_run_leaves_the_interfaces_as_they_were_after_its_dataplane_was_killed(lab):
    before = snapshot.take(lab)
    gate = gates.Gate(lab)
    gate.kill("mire-dataplane")
    gate.await_line("mire-dataplane is back", timeout=30)
    gate.kill("mire-dataplane")
    assert gate.stop() == 0
    assert snapshot.take(lab) == before


def test_a_second_run_on_the_same_interfaces_is_refused_and_the_first_goes_on(lab):
    gate = gates.Gate(lab)
    try:
        refused(run(lab, "--wan", "wan0", "--lan", "lan0"), "wan0", "in use")
        with Server(lab, lab.server()) as server:
            connection = connect(lab, lab.client("trusted"), server.address)
            assert read_reply(connection) == peers.GREETING
            connection.close()
        done = lab.run("gw", TOOLS / "run", "--build", gates.BUILD, "--socket", gate.socket, "--wan", "wan0", "--lan", "lan0")
        refused(done, "in use" if "in use" in done.stderr else "listens")
    finally:
        assert gate.stop() == 0


def test_a_killed_run_leaves_a_closed_wire_and_the_next_one_takes_over(lab):
    before = snapshot.take(lab)
    gate = gates.Gate(lab)
    gate.process.kill()
    gate.process.wait()
    end = time.monotonic() + 10
    while gate.pids("mired") or gate.pids("mire-dataplane"):
        assert time.monotonic() < end, "its programs live on"
        time.sleep(0.05)
    with Server(lab, lab.server()) as server:
        connection = connect(lab, lab.client(), server.address)
        assert read_reply(connection) == peers.GREETING
        connection.close()
    again = gates.Gate(lab)
    assert again.stop() == 0
    assert snapshot.take(lab) == before


def test_run_goes_on_when_nobody_reads_what_it_says(lab):
    before = snapshot.take(lab)
    reads, writes = os.pipe()
    process = subprocess.Popen(lab.command("gw", TOOLS / "run", "--wan", "wan0", "--lan", "lan0", "--socket", lab.folder / "mired.sock",
                                           "--build", gates.BUILD), stdin=subprocess.DEVNULL, stdout=writes, stderr=writes)
    try:
        os.close(writes)
        said = b""
        while b"mire: forwarding, socket" not in said:
            said += os.read(reads, 4096) or b"mire: forwarding, socket, but it ended"
        os.close(reads)
        gate = gates.Gate.__new__(gates.Gate)
        gate.lab = lab
        killed = gate.kill("mire-dataplane")
        end = time.monotonic() + 20
        while not [pid for pid in gate.pids("mire-dataplane") if pid != killed]:
            assert process.poll() is None and time.monotonic() < end, "it gave the wire up"
            time.sleep(0.05)
        with Server(lab, lab.server()) as server:
            connection = connect(lab, lab.client(), server.address)
            assert read_reply(connection) == peers.GREETING
            connection.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert snapshot.take(lab) == before


def test_run_keeps_the_wire_while_its_dataplane_is_being_replaced(lab, tmp_path):
    before = snapshot.take(lab)
    for part in ("ebpf", "controlplane", "dataplane", "kept"):
        (tmp_path / part).mkdir()
    for name, program in gates.PROGRAMS.items():
        shutil.copy(program, tmp_path / program.relative_to(gates.BUILD))
    for name in ("steer.bpf.o", "bypass.bpf.o"):
        shutil.copy(gates.BUILD / "ebpf" / name, tmp_path / "ebpf" / name)
    gate = gates.Gate(lab, None, "--build", tmp_path)
    try:
        program = tmp_path / "dataplane/mire-dataplane"
        kept = program.rename(tmp_path / "kept/mire-dataplane")
        gate.kill("mire-dataplane")
        gate.await_line("mire-dataplane cannot be started (No such file or directory)")
        with Server(lab, lab.server()) as server:
            connection = connect(lab, lab.client(), server.address)
            assert read_reply(connection) == peers.GREETING
            connection.close()
        kept.rename(program)
        gate.await_line("mire-dataplane is back", timeout=30)
    finally:
        assert gate.stop() == 0
    assert snapshot.take(lab) == before


def test_two_labs_stand_side_by_side_and_down_leaves_nothing_behind(lab):
    name = f"u{os.getpid()}"
    other = labs.Lab(name)
    try:
        up_again = subprocess.run([TOOLS / "lab", "up", "--name", name], capture_output=True, text=True)
        refused(up_again, name, "down")
        assert json.loads(subprocess.run([TOOLS / "lab", "status", "--name", name, "--json"], capture_output=True, text=True).stdout)["up"]
        done = other.run("lan", "postconf", "-c", other.folder / "postfix/etc", "-h", "queue_directory")
        assert str(other.folder) in done.stdout
    finally:
        other.down()
    assert not other.folder.exists()
    assert not [path for path in pathlib.Path("/run/netns").iterdir() if path.name.startswith(f"{name}-")]
    assert lab.run("lan", "true").returncode == 0
    assert str(other.folder) not in subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout


def test_lab_says_what_it_does_not_understand(lab):
    for words in (("upp",), ("up", "--name", "A/B"), ("up", "--mtu", "12"), ("client", "--name", "nosuchlab", "true"),
                  ("up", "--nam", "other"), ("down", "other"), ("status", "--nmae", "other")):
        refused(subprocess.run([TOOLS / "lab", *words], capture_output=True, text=True), "tools/lab")
