"""A narrow link behind a router: its ICMP errors quote numbers that the gateway has translated, and must be believed all the same.

A client stands in a namespace of its own, behind the wan side as its router. In the middle of a large reply the link between the two
becomes narrow; Linux's server heeds "too big" only if the quoted number is one that it has under way (RFC 5927 4.1).
"""

import hashlib
import pathlib
import socket
import subprocess

import pytest

import gate as gates
import peers
from lab import family_of
from peers import Server, read_reply, teach

CONFIG = gates.config(unknown="min 300ms; max 300ms;").replace("withhold banner", "withhold defer")
NARROW = 1280
NETWORK = {4: ("10.9.0.0/24", "10.9.0.1/24", "10.9.0.2/24"), 6: ("fd00:9::/64", "fd00:9::1/64", "fd00:9::2/64")}
ROUTER = {4: "198.18.1.1", 6: "2001:db8:1:1::1"}
FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")


def do(lab, side, *words):
    done = lab.run(side, *words)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.fixture
def far(lab):
    """A namespace behind the wan side's router, by its link "far0"."""
    name = f"{lab.name}-far"
    subprocess.run(["ip", "netns", "add", name], check=True)
    lab.facts["namespaces"]["far"] = name
    ends = lab.facts["ends"]
    try:
        do(lab, "wan", "ip", "link", "add", "far0", "type", "veth", "peer", "name", "near0", "netns", name)
        for side, device in (("wan", "far0"), ("far", "near0")):
            do(lab, side, "ip", "link", "set", device, "up")
            for network in NETWORK.values():
                address = network[1] if side == "wan" else network[2]
                do(lab, side, "ip", "address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))
        for knob in FORWARDING:
            do(lab, "wan", "sysctl", "-qw", f"{knob}=1")
        for family, (network, router, _) in NETWORK.items():
            do(lab, "lan", "ip", f"-{family}", "route", "add", network, "via", ROUTER[family], "dev", ends["lan"])
            do(lab, "far", "ip", f"-{family}", "route", "add", "default", "via", router.split("/")[0])
        yield
    finally:
        for family, (network, _, _) in NETWORK.items():
            lab.run("lan", "ip", f"-{family}", "route", "del", network)
        for knob in FORWARDING:
            lab.run("wan", "sysctl", "-qw", f"{knob}=0")
        lab.run("wan", "ip", "link", "del", "far0")
        subprocess.run(["ip", "netns", "del", name], check=True)
        del lab.facts["namespaces"]["far"]


def ignored_errors(lab):
    """How many errors the server's TCP did not believe."""
    with lab.inside("lan"):
        lines = pathlib.Path("/proc/thread-self/net/netstat").read_text().splitlines()
    found = {}
    for names, values in zip(lines[::2], lines[1::2]):
        found.update(zip(names.split(), values.split()))
    return int(found["OutOfWindowIcmps"])


def test_a_translated_transfer_goes_on_in_smaller_segments_when_its_path_becomes_narrow(lab, gate, far, family, report):
    with Server(lab, lab.server(family)) as server:
        teach(lab, family, server.address)
        with lab.inside("far"):
            connection = socket.socket(family_of(server.address), socket.SOCK_STREAM)
        connection.settimeout(20)
        connection.connect((server.address, 25))
        met, translated, ignored = gate.counter("met"), gate.counter("error_translated"), ignored_errors(lab)
        assert met, "the client is no stranger"
        assert read_reply(connection) == peers.GREETING
        connection.sendall(b"EHLO far.example\r\n")
        assert read_reply(connection).startswith(b"250")
        connection.sendall(b"HELP\r\n")
        digest, size, tail = hashlib.sha256(), 0, b""
        while not tail.endswith(b"214 end\r\n"):
            if size < 2_000_000 <= size + (1 << 16):
                do(lab, "wan", "ip", "link", "set", "far0", "mtu", NARROW)
            data = connection.recv(1 << 16)
            assert data, "ended early"
            digest.update(data)
            size += len(data)
            tail = (tail + data)[-16:]
        connection.close()
        session = server.sessions[-1]
        assert session.sent_sha == digest.hexdigest()
        assert gate.counter("error_translated") > translated
        assert ignored_errors(lab) == ignored
        path = do(lab, "lan", "ip", f"-{family}", "route", "get", NETWORK[family][2].split("/")[0])
        assert f"mtu {NARROW}" in path, path
        report("errors translated", gate.counter("error_translated") - translated)
