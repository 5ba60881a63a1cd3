"""A dataplane that is killed and comes back goes on with the strangers whom it had met: their numbers are known to nobody else."""

import hashlib
import threading

import pytest

import gate as gates
import peers
from peers import Server, begin_message, connect, large_body, read_reply, teach
from rawpeer import RawPeer
from segment import ACK, RST

CONFIG = gates.config(unknown="min 2s; max 2s;").replace("withhold banner", "withhold defer")


@pytest.fixture
def server(lab, gate, family):
    with Server(lab, lab.server(family)) as made:
        teach(lab, family, made.address)
        yield made


def restart(gate):
    forwarding = gate.text().count("mire-dataplane: forwarding")
    gate.kill("mire-dataplane")
    gate.await_line("mire-dataplane: forwarding", count=forwarding + 1, timeout=30)


def speak_to_the_end(connection, greeted):
    if not greeted:
        assert read_reply(connection) == peers.GREETING
    for command, code in ((b"EHLO after.example", b"250"), (b"NOOP", b"250"), (b"QUIT", b"221")):
        connection.sendall(command + b"\r\n")
        assert read_reply(connection).startswith(code)
    connection.close()


def test_killed_while_a_stranger_is_held(lab, gate, server, family):
    client = lab.client(family=family)
    held = gate.counter("deferred")
    connection = connect(lab, client, server.address, timeout=60)
    gate.await_counter("deferred", held + 1)
    restart(gate)
    speak_to_the_end(connection, greeted=False)
    assert server.session_of(client).received.startswith(b"EHLO after.example")


def test_killed_while_a_greeted_stranger_has_not_spoken(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address, timeout=60)
    assert read_reply(connection) == peers.GREETING
    restart(gate)
    speak_to_the_end(connection, greeted=True)


def test_killed_when_the_first_command_is_on_its_way(lab, gate, server, family):
    """Nobody is there when it comes: it is dropped rather than passed to a server that knows nothing of it, and comes again."""
    client = lab.client(family=family)
    connection = connect(lab, client, server.address, timeout=60)
    assert read_reply(connection) == peers.GREETING
    forwarding = gate.text().count("mire-dataplane: forwarding")
    gate.kill("mire-dataplane")
    connection.sendall(b"EHLO after.example\r\n")
    gate.await_line("mire-dataplane: forwarding", count=forwarding + 1, timeout=30)
    assert read_reply(connection).startswith(b"250")
    connection.close()


def test_killed_in_the_middle_of_a_large_message(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address, timeout=60)
    assert read_reply(connection) == peers.GREETING
    begin_message(connection)
    body = large_body(family, 1_600_000)
    half = len(body) // 160 * 80
    connection.sendall(body[:half])
    sender = threading.Thread(target=lambda: connection.sendall(body[half:] + b".\r\n"))
    forwarding = gate.text().count("mire-dataplane: forwarding")
    gate.kill("mire-dataplane")
    sender.start()
    gate.await_line("mire-dataplane: forwarding", count=forwarding + 1, timeout=30)
    assert read_reply(connection).startswith(b"250")
    sender.join()
    connection.sendall(b"QUIT\r\n")
    assert read_reply(connection).startswith(b"221")
    connection.close()
    assert server.ended(client).message == (len(body) + 3, hashlib.sha256(body + b".\r\n").hexdigest())


def test_killed_during_a_handshake_with_us(lab, gate, server, family):
    """The SYN-ACK's number outlives us: whoever acknowledges it later is known by it."""
    other = connect(lab, lab.client(family=family), server.address, timeout=60)  # with it is kept what is known of the server
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open(final_ack=False)
        applied = gate.text().count("dataplane applied configuration")
        restart(gate)
        gate.await_line("dataplane applied configuration", count=applied + 1, timeout=30)
        peer.send(ACK)
        greeting = peer.receive(8, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.send(RST)
    speak_to_the_end(other, greeted=False)
