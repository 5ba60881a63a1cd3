"""Strangers never reach the server: the gateway meets them, and dials only for those who have spoken in turn. Linux's TCP on
both sides, Postfix behind."""

import hashlib

import pytest

import gate as gates
import peers
from peers import Server, connect, deliver, fetch_big_reply, large_body, read_reply, read_until_end, send_message, teach
from segment import RST, SYN
from tap import Tap

CONFIG = gates.config(unknown="min 800ms; max 800ms;").replace("withhold banner", "withhold defer")


@pytest.fixture
def server(lab, family):
    with Server(lab, lab.server(family)) as made:
        yield made


def test_a_stranger_is_met_held_and_then_delivered_to_postfix(lab, gate, family, report):
    address = lab.postfix(family)
    teach(lab, family, address)
    client = lab.client(family=family)
    met = gate.counter("met")
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        deliver(lab, client, address, recipient=f"deferred{family}@lab.example")
        held = wan.hold_of(client)
        dialled = lan.segments(src=client)[0]
        assert dialled.flags & SYN and dialled.time > wan.first_byte_at(client), "the server was dialled before the greeting"
        assert not [seen for seen in wan.segments(src=address, dst=client) if seen.flags & RST]
    assert gate.counter("met") > met
    assert held >= 0.8
    report("hold", f"{held * 1000:.1f} ms of 800")


def test_who_speaks_early_is_reset_and_the_server_never_hears_of_it(lab, gate, family):
    address = lab.postfix(family)
    teach(lab, family, address)
    client = lab.client(family=family)
    with Tap(lab, "lan") as lan:
        connection = connect(lab, client, address)
        connection.sendall(b"EHLO early.example\r\n")
        assert read_until_end(connection) == (b"", "reset")
        gate.await_event(source=client, reason="early_talk")
        assert lan.segments(src=client) == []


def test_a_silent_stranger_costs_the_server_nothing(lab, gate, family):
    address = lab.postfix(family)
    teach(lab, family, address)
    client = lab.client(family=family)
    with Tap(lab, "lan") as lan:
        connection = connect(lab, client, address)
        assert read_reply(connection).startswith(b"220 ")
        connection.close()
        gate.await_event(source=client, reason="no_data")
        assert lan.segments(src=client) == []


def test_a_suspect_waits_for_our_syn_ack_as_it_would_for_the_servers(lab, gate, family, report):
    address = lab.postfix(family)
    teach(lab, family, address)
    client = lab.client("suspect", family)
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        deliver(lab, client, address, recipient=f"suspect{family}@lab.example")
        asked, answered = wan.segments(src=client)[0], wan.segments(src=address, dst=client)[0]
        assert asked.has(SYN) and answered.has(SYN)
        waited = answered.time - asked.time
        assert waited >= 0.3
        assert lan.segments(src=client)[0].time > wan.first_byte_at(client), "the server was dialled before the greeting"
        assert not [seen for seen in wan.segments(src=address, dst=client) if seen.flags & RST]
    report("SYN-ACK held", f"{waited * 1000:.1f} ms of 300 to 500")


@pytest.fixture(params=["all options", "no timestamps", "no SACK", "no window scale"])
def offer(lab, request):
    """What the clients' TCP offers in its SYN."""
    knob = {"no timestamps": "tcp_timestamps", "no SACK": "tcp_sack", "no window scale": "tcp_window_scaling"}.get(request.param)
    if knob:
        lab.run("wan", "sysctl", "-qw", f"net.ipv4.{knob}=0")
    yield request.param
    if knob:
        lab.run("wan", "sysctl", "-qw", f"net.ipv4.{knob}=1")


def test_twenty_megabytes_each_way_are_byte_exact(lab, gate, server, family, offer):
    teach(lab, family, server.address)
    client = lab.client(family=family)
    met = gate.counter("met")
    body = large_body(family)
    connection = connect(lab, client, server.address, timeout=60)
    assert read_reply(connection) == peers.GREETING
    send_message(connection, body)
    received = fetch_big_reply(connection)
    connection.sendall(b"QUIT\r\n")
    assert read_reply(connection).startswith(b"221")
    connection.close()
    session = server.ended(client)
    assert session.message == (len(body) + 3, hashlib.sha256(body + b".\r\n").hexdigest())
    assert session.sent_sha == received
    assert gate.counter("met") > met


def test_a_server_that_is_down_is_the_truth_and_so_is_its_return(lab, gate, family):
    address = lab.server(family)
    with Server(lab, address):
        teach(lab, family, address)
        client = lab.client(family=family)
        connection = connect(lab, client, address)
        assert read_reply(connection).startswith(b"220 ")
    connection.sendall(b"EHLO late.example\r\n")
    said, end = read_until_end(connection)
    assert said.startswith(b"421 4.3.2 ") and end == "fin"
    with pytest.raises(ConnectionRefusedError):
        connect(lab, lab.client(family=family), address)
    with Server(lab, address):
        teach(lab, family, address)
        connection = connect(lab, lab.client(family=family), address)
        assert read_reply(connection).startswith(b"220 ")


def test_after_a_restart_of_both_the_first_stranger_is_met(lab, gate, family):
    address = lab.postfix(family)
    teach(lab, family, address)
    gate.await_state("profiles.json", address)
    applied = gate.text().count("dataplane applied configuration")
    for name in ("mired", "mire-dataplane"):
        before = gate.text().count(f"{name} is back")
        gate.kill(name)
        gate.await_line(f"{name} is back", count=before + 1, timeout=30)
    gate.await_line("dataplane applied configuration", count=applied + 2, timeout=30)
    assert gate.counter("met") == 0
    deliver(lab, lab.client(family=family), address, recipient=f"kept{family}@lab.example")
    assert gate.counter("met") == 1
