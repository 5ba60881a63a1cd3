"""What is not mail passes as if there were no gateway."""

import hashlib
import os
import socket
import subprocess
import threading
import time

import pytest

import gate as gates
import lab as labs
from lab import family_of
from peers import GREETING, Server, connect, read_reply
from segment import SYN
from tap import Tap


def echo(session):
    """Sends back what comes, then closes."""
    while data := session.connection.recv(65536):
        session.connection.sendall(data)


def exchange(connection, data):
    """Sends all of it while reading it back."""

    def send():
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    digest = hashlib.sha256()
    while got := connection.recv(1 << 20):
        digest.update(got)
    sender.join()
    connection.close()
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()


def test_ping_passes_in_both_directions(lab, gate, family):
    client, server = lab.client(family=family), lab.postfix(family)
    for side, source, target in (("wan", client, server), ("lan", server, client)):
        done = lab.run(side, "ping", "-n", "-c", "20", "-i", "0.02", "-I", source, target)
        assert " 0% packet loss" in done.stdout, done.stdout + done.stderr


def test_neighbours_are_found_anew(lab, gate, family):
    """ARP and neighbour discovery cross the wire."""
    for side in ("wan", "lan"):
        lab.run(side, "ip", "neigh", "flush", "all")
    client, server = lab.client(family=family), lab.server(family)
    done = lab.run("wan", "ping", "-n", "-c", "2", "-i", "0.2", "-I", client, server)
    assert " 0% packet loss" in done.stdout, done.stdout + done.stderr
    flag = "-6" if family == 6 else "-4"
    assert "lladdr" in lab.run("wan", "ip", flag, "neigh", "show", server).stdout


def test_large_pings_pass_as_fragments(lab, gate, family):
    client, server = lab.client(family=family), lab.postfix(family)
    done = lab.run("wan", "ping", "-n", "-c", "5", "-i", "0.05", "-s", "20000", "-I", client, server)
    assert " 0% packet loss" in done.stdout, done.stdout + done.stderr


def test_udp_passes_small_and_fragmented(lab, gate, family):
    client, server = lab.client(family=family), lab.server(family)
    with lab.inside("lan"):
        there = socket.socket(family_of(server), socket.SOCK_DGRAM)
    with lab.inside("wan"):
        here = socket.socket(family_of(client), socket.SOCK_DGRAM)
    with there, here:
        there.bind((server, 5300))
        here.bind((client, 5301))
        there.settimeout(5)
        here.settimeout(5)
        for size in (1, 1400, 9000, 40000):
            data = os.urandom(size)
            here.sendto(data, (server, 5300))
            got, sender = there.recvfrom(65536)
            assert got == data
            there.sendto(data, sender)
            assert here.recv(65536) == data


def test_udp_to_port_25_is_not_mail(lab, gate):
    client, server = lab.client(), lab.server()
    with lab.inside("lan"):
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with lab.inside("wan"):
        here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with there, here:
        there.bind((server, 25))
        there.settimeout(5)
        here.bind((client, 0))
        here.sendto(b"hello", (server, 25))
        assert there.recv(100) == b"hello"


@pytest.mark.parametrize("port", [80, 465, 587, 2525])
def test_other_tcp_is_neither_held_nor_judged(lab, gate, family, port):
    client, address = lab.client(family=family), lab.server(family)
    with Server(lab, address, echo, port=port):
        connection = connect(lab, client, address, port=port)
        exchange(connection, os.urandom(2_000_000))
    assert gate.events(source=client) == []


def test_a_gateway_has_no_address_of_its_own_and_says_nothing(lab, gate):
    """Frames that come out of the wire are the peers' own, unless it resets somebody."""
    macs = set()
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        lab.run("wan", "ping", "-n", "-c", "2", "-i", "0.2", lab.postfix())
        time.sleep(1)
        for tap in (wan, lan):
            macs |= {frame[6:12] for _, frame in tap.frames()}
    text = subprocess.run(["ip", "-n", lab.namespace("gw"), "-o", "link"], capture_output=True, text=True).stdout
    for line in text.splitlines():
        if "link/ether" in line:
            assert bytes.fromhex(line.split("link/ether ")[1].split()[0].replace(":", "")) not in macs


def test_the_path_is_as_long_as_a_cable_for_other_traffic(lab, gate, report):
    done = lab.run("wan", "ping", "-n", "-q", "-c", "100", "-i", "0.005", lab.postfix())
    assert " 0% packet loss" in done.stdout
    report("ping", done.stdout.strip().splitlines()[-1])


@pytest.fixture
def jumbo():
    """A lab of its own with an MTU of 9000, and the product in it."""
    made = labs.Lab(f"j{os.getpid()}", mtu=9000)
    try:
        gate = gates.Gate(made)
        try:
            yield made, gate
        finally:
            gate.stop()
    finally:
        made.down()


def test_jumbo_frames_pass_and_mail_fits_the_xsk(lab, gate, jumbo):
    """Beside the other lab, which is up: they do not collide."""
    wide, wide_gate = jumbo
    server = wide.server()
    done = wide.run("wan", "ping", "-n", "-c", "5", "-i", "0.05", "-M", "do", "-s", "8900", "-I", wide.client(), server)
    assert " 0% packet loss" in done.stdout, done.stdout + done.stderr
    with Server(wide, server, echo, port=80):
        exchange(connect(wide, wide.client(), server, port=80), os.urandom(3_000_000))
    for family in (4, 6):
        client, address = wide.client(family=family), wide.server(family)
        with Server(wide, address) as mail, Tap(wide, "lan") as lan:
            connection = connect(wide, client, address)
            assert read_reply(connection) == GREETING
            for command in (b"EHLO big.example", b"DATA"):
                connection.sendall(command + b"\r\n")
                assert read_reply(connection)[:1] in (b"2", b"3")
            body = b"x" * 78 + b"\r\n"
            connection.sendall(body * 20_000 + b".\r\n")
            assert read_reply(connection).startswith(b"250")
            connection.sendall(b"QUIT\r\n")
            connection.close()
            assert mail.ended(client).message[0] == 80 * 20_000 + 3
            syn = next(seen for seen in lan.segments(src=client) if seen.has(SYN))
            assert mss_of(syn) < 3542
            assert max(len(frame) for _, frame in lan.frames()) <= 3542
    assert wide_gate.counter("mss_clamped") >= 2


def mss_of(syn):
    at = 0
    while at < len(syn.options):
        kind = syn.options[at]
        if kind == 2:
            return int.from_bytes(syn.options[at + 2:at + 4], "big")
        at += 1 if kind == 1 else syn.options[at + 1]
    raise AssertionError("no MSS in the SYN")
