"""fail-mode closed: without a dataplane SMTP is shut, and nothing else."""

import os
import signal

import pytest

import gate as gates
import peers
from peers import Server, connect, read_reply

CONFIG = gates.config(unknown="min 300ms; max 300ms;", fail_mode="closed")


def test_smtp_is_shut_while_the_dataplane_is_dead_and_everything_else_passes(lab, gate, family):
    with Server(lab, lab.server(family)) as server, Server(lab, server.address, port=80) as web:
        before = gate.text().count("mire: mire-dataplane is back")
        connection = connect(lab, lab.client(family=family), server.address)
        assert read_reply(connection) == peers.GREETING
        connection.close()
        supervisor = gate.process.pid
        os.kill(supervisor, signal.SIGSTOP)
        try:
            gate.kill("mire-dataplane")
            with pytest.raises(TimeoutError):
                connect(lab, lab.client("trusted", family), server.address, timeout=2.5)
            other = connect(lab, lab.client(family=family), web.address, port=80)
            assert read_reply(other) == peers.GREETING
            other.close()
            done = lab.run("wan", "ping", "-n", "-c", "3", "-i", "0.1", server.address)
            assert " 0% packet loss" in done.stdout
        finally:
            os.kill(supervisor, signal.SIGCONT)
        gate.await_line("mire-dataplane is back", count=before + 1, timeout=30)
        connection = connect(lab, lab.client(family=family), server.address)
        assert read_reply(connection) == peers.GREETING
        connection.close()


def test_smtp_stays_shut_until_there_are_settings_to_judge_by(lab, gate, family):
    """A dataplane that is back, and no mired to say who is blocked."""
    with Server(lab, lab.server(family)) as server:
        mired = gate.pid("mired")
        applied = gate.text().count("dataplane applied configuration")
        back = gate.text().count("mire: mire-dataplane is back")
        os.kill(mired, signal.SIGSTOP)
        try:
            gate.kill("mire-dataplane")
            gate.await_line("mire-dataplane is back", count=back + 1, timeout=30)
            with pytest.raises(TimeoutError):
                connect(lab, lab.client("blocked", family), server.address, timeout=2.5)
        finally:
            os.kill(mired, signal.SIGCONT)
        gate.await_line("dataplane applied configuration", count=applied + 1, timeout=30)
        connection = connect(lab, lab.client(family=family), server.address)
        assert read_reply(connection) == peers.GREETING
        connection.close()
