"""What mired tells over its socket: events as they come, a report of the day, and who may ask."""

import os
import socket
import subprocess
import sys

import pytest

import gate as gates
from gate import Caller, Refused
from peers import connect, deliver, read_until_end


def early_talker(lab, gate, family):
    client = lab.client(family=family)
    connection = connect(lab, client, lab.postfix(family))
    connection.sendall(b"EHLO early.example\x1b[2J\r\n")
    read_until_end(connection)
    gate.await_event(source=client, reason="early_talk")
    return client


def test_events_are_shown_and_followed(lab, gate, family):
    with Caller(gate.socket) as follower:
        assert follower.ask("events.follow", match="early_talk") == {"following": True}
        client = early_talker(lab, gate, family)
        told = follower.hear()
        assert told["method"] == "event" and told["params"]["source"] == client and told["params"]["reason"] == "early_talk"
        assert "\x1b" not in told["params"]["first_bytes"]
    shown = gate.ask("events.recent", match=f'"source":"{client}"', limit=10)["events"]
    assert [event["reason"] for event in shown] == ["early_talk"]


def test_the_day_is_reported(lab, gate):
    before = gate.ask("report.daily")
    early_talker(lab, gate, 4)
    client = lab.client()
    deliver(lab, client, lab.postfix(4), recipient="report@lab.example")
    gate.await_event(source=client, reason="delivered")
    after = gate.ask("report.daily")
    assert after["stopped"] == before["stopped"] + 1
    assert after["messages"] == before["messages"] + 1
    assert not after["complete"]
    assert any(n["network"] == "198.18.1.0/24" for n in after["networks"])
    with pytest.raises(Refused, match="date 2001-01-01: no report of that day; there are those from"):
        gate.ask("report.daily", date="2001-01-01")
    with pytest.raises(Refused, match="date tomorrow: not a date; write it as 20"):
        gate.ask("report.daily", date="tomorrow")


def test_who_is_in_neither_group_is_turned_away(gate):
    asked = subprocess.run(
        [sys.executable, "-c", f"import socket; s=socket.socket(socket.AF_UNIX); s.connect({str(gate.socket)!r}); print(s.recv(1000).decode())"],
        user=65534, group=65534, extra_groups=[], capture_output=True, text=True, timeout=20)
    assert "not allowed: it takes group mire to read" in asked.stdout, asked.stderr


def test_a_thousand_connections_and_garbage_neither_stop_nor_grow_mired(gate):
    pid = gate.pid("mired")
    before = resident_kb(pid)
    crowd = []
    for number in range(1000):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(5)
        try:
            one.connect(str(gate.socket))
            one.sendall(os.urandom(100) if number % 2 else b"[" * 5000 + b"\n")
        except OSError:
            pass  # the queue of newcomers is full, or we were turned away already
        crowd.append(one)
    for one in crowd:
        one.close()
    assert gate.ask("ping") == "pong"
    huge = socket.socket(socket.AF_UNIX)
    huge.settimeout(5)
    huge.connect(str(gate.socket))
    with pytest.raises(OSError):
        for _ in range(100):
            huge.sendall(b"x" * 100_000)
    assert gate.pid("mired") == pid
    assert resident_kb(pid) < before + 32_768
    assert gate.ask("ping") == "pong"


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1])
