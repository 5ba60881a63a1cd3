"""Tagged mail, 802.1Q and QinQ, is judged as untagged mail is. The peers' tags are pushed and popped by tc-bpf at the endpoints."""

import pathlib
import subprocess

import pytest

import peers
from peers import Server, connect, read_reply, read_until_end
from tap import Tap

SOURCE = pathlib.Path(__file__).resolve().parents[1] / "support/vlan.bpf.c"
TAGS = {100: (100,), 101: (20, 30)}


@pytest.fixture(scope="module")
def tagged(lab, tmp_path_factory):
    program = tmp_path_factory.mktemp("vlan") / "vlan.bpf.o"
    include = f"/usr/include/{subprocess.run(['gcc', '-dumpmachine'], capture_output=True, text=True).stdout.strip()}"
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", f"-I{include}", "-c", SOURCE, "-o", program], check=True)
    commands = []
    for side in ("wan", "lan"):
        end = lab.facts["ends"][side]
        commands.append((side, "tc qdisc add dev %s clsact" % end))
        # tc finds no bpffs of its own inside a namespace: it says so and attaches all the same
        commands.append((side, f"tc filter add dev {end} egress bpf direct-action obj {program} sec tc/push"))
        commands.append((side, f"tc filter add dev {end} ingress bpf direct-action obj {program} sec tc/pop"))
        host = 1 if side == "wan" else 200
        for network in TAGS:
            for number in range(host, host + 20):
                commands.append((side, f"ip addr add 198.19.{network}.{number}/15 dev {end}"))
                commands.append((side, f"ip addr add 2001:db8:19:{network}::{number}/32 dev {end} nodad"))
    done = [lab.run(side, *command.split()) for side, command in commands]
    assert all(one.returncode == 0 for one in done), next(one.stderr for one in done if one.returncode)
    yield lab
    for side in ("wan", "lan"):
        lab.run(side, "tc", "qdisc", "del", "dev", lab.facts["ends"][side], "clsact")


def address(family, network, host):
    return f"198.19.{network}.{host}" if family == 4 else f"2001:db8:19:{network}::{host}"


@pytest.mark.parametrize("network", TAGS, ids=["802.1Q", "QinQ"])
def test_a_tagged_stranger_is_held_and_then_served(tagged, gate, family, network, report):
    client, server = address(family, network, 1), address(family, network, 200)
    with Server(tagged, server) as mail, Tap(tagged, "wan") as wan:
        connection = connect(tagged, client, server)
        assert read_reply(connection) == peers.GREETING
        connection.sendall(b"EHLO tagged.example\r\n")
        assert read_reply(connection).startswith(b"250")
        connection.sendall(b"QUIT\r\n")
        assert read_until_end(connection)[1] == "fin"
        connection.close()
        mail.ended(client)
        held = wan.hold_of(client)
        assert held >= 0.8
        report("hold", f"{held * 1000:.1f} ms")
        assert {seen.vlans for seen in wan.segments()} == {TAGS[network]}
        assert all(seen.checksum_ok for seen in wan.segments(dst=client))


@pytest.mark.parametrize("network", TAGS, ids=["802.1Q", "QinQ"])
def test_a_tagged_early_talker_is_cut_off_in_its_own_vlan(tagged, gate, family, network):
    client, server = address(family, network, 2), address(family, network, 201)
    with Server(tagged, server) as mail, Tap(tagged, "wan") as wan, Tap(tagged, "lan") as lan:
        connection = connect(tagged, client, server)
        connection.sendall(b"EHLO early.example\r\n")
        assert read_until_end(connection) == (b"", "reset")
        connection.close()
        if mail.find(client):  # none if the reset came before the server's handshake was complete
            session = mail.ended(client)
            assert bytes(session.received) == b"" and session.end == "reset"
        assert {seen.vlans for seen in wan.segments() + lan.segments()} == {TAGS[network]}
    gate.await_event(source=client, reason="early_talk")


@pytest.mark.parametrize("network", TAGS, ids=["802.1Q", "QinQ"])
def test_other_tagged_traffic_passes(tagged, gate, family, network):
    client, server = address(family, network, 3), address(family, network, 202)
    done = tagged.run("wan", "ping", "-n", "-c", "5", "-i", "0.05", "-I", client, server)
    assert " 0% packet loss" in done.stdout, done.stdout + done.stderr
