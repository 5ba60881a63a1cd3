"""A trapped source has its connection, with a window that never opens; the server hears nothing and nothing is kept of it."""

import socket
import time

import gate as gates
from peers import Server, connect
from rawpeer import RawPeer
from segment import ACK, FIN, PSH, RST, SYN
from tap import Tap

CONFIG = gates.config(more="treatment blocked { on-syn trap; }")
CROWD = 2000  # raw clients


def only_closed_windows(segments):
    return all(seen.window == 0 and not seen.payload and not seen.flags & (FIN | RST) for seen in segments)


def test_a_client_of_linuxs_tcp_hangs_in_its_own_probes(lab, gate, family):
    client = lab.client("blocked", family)
    with Server(lab, lab.server(family)) as server, Tap(lab, "lan") as lan, Tap(lab, "wan") as wan:
        connection = connect(lab, client, server.address)
        connection.settimeout(3)
        connection.sendall(b"EHLO spam.example\r\n")  # into its own buffer
        try:
            assert not connection.recv(100), "the trap spoke"
            raise AssertionError("the trap closed")
        except socket.timeout:
            pass
        came, went = wan.segments(src=client), wan.segments(dst=client)
        assert len(went) >= 3, wan.story(client)  # SYN-ACK, and answers to probes after 0.2, 0.6, 1.4 s
        assert len(went) <= len(came)
        assert only_closed_windows(went), wan.story(client)
        assert not [seen for seen in came if seen.payload], "Linux sends no byte into a closed window"
        state = lab.run("wan", "ss", "-tnoH", "src", f"[{client}]" if family == 6 else client).stdout
        assert "ESTAB" in state and "persist" in state, state
        connection.close()
        assert lan.segments(src=client) == []
        assert server.sessions == []
        assert gate.counter("trapped") >= len(went)


def test_data_that_is_sent_all_the_same_is_never_acknowledged(lab, gate, family):
    client, server = lab.client("blocked", family), lab.server(family)
    with Tap(lab, "lan") as lan, RawPeer(lab, "wan", client, server, 4000, 25) as peer:
        assert peer.open().window == 0
        first = peer.seq
        assert peer.receive(0.3) is None, "an ACK is not acknowledged"
        for seq, payload in ((first, b"EHLO x\r\n"), (first + 8, b"MAIL"), (first, b"E"), (first - 1, b"")):
            peer.put(peer.make(ACK, payload, seq=seq))
            answer = peer.receive()
            assert answer and answer.flags == ACK and answer.window == 0 and answer.ack == first, answer
        peer.put(peer.make(ACK | FIN | PSH, b"QUIT\r\n"))
        peer.put(peer.make(ACK | FIN))
        peer.put(peer.make(RST))
        assert peer.receive(0.3) is None, "who goes is let go"
        assert lan.segments(src=client) == []


def test_a_crowd_is_held_without_a_record(lab, gate, report):
    """Each sends SYN and ACK, then probes a while later; the table of flows stays as it was."""
    client, server = lab.client("blocked"), lab.server()
    states = ("met", "replied", "syn_seen", "syn_ack_sent", "waiting")
    before = {state: gate.counter(state) for state in states}
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan, RawPeer(lab, "wan", client, server, 0, 25) as peer:
        for port in range(1024, 1024 + CROWD):
            peer.port = port
            peer.put(peer.make(SYN, seq=port, options=b"\2\4\5\xb4"))
            if port % 20 == 0:
                time.sleep(0.03)
        time.sleep(0.5)
        numbers = {seen.dport: seen for seen in wan.segments(src=server, dst=client)}
        for port, answer in numbers.items():
            peer.port, peer.ack = port, answer.seq + 1
            peer.put(peer.make(ACK, seq=port + 1))
            peer.put(peer.make(ACK, seq=port))
            if port % 20 == 0:
                time.sleep(0.03)
        time.sleep(0.5)
        went = wan.segments(src=server, dst=client)
        answered = [seen for seen in went if not seen.has(SYN)]
        assert len(numbers) == CROWD and len(answered) == CROWD
        assert all(seen.ack == seen.dport + 1 for seen in went) and only_closed_windows(went)
        assert len(went) <= len(wan.segments(src=client))
        assert lan.segments(dst=server) == []
    assert {state: gate.counter(state) for state in states} == before
    report("trapped", f"{CROWD} connections")
