"""Blocked sources and early talkers are refused by a reply of the gateway's own, and the server hears nothing."""

import time

import gate as gates
from peers import Server, connect, read_until_end
from rawpeer import RawPeer
from segment import ACK, FIN, SYN
from tap import Tap

CONFIG = gates.config(unknown="min 1s; max 1s;", more="""
treatment blocked { on-syn reject; }
texts { blocked "Not from %address%, see https://x.example/?why=%reason%"; early-talk "Wait for the greeting, %address%"; }
""").replace("early-talk reset", "early-talk reject", 1)


def says(client):
    return f"554 5.7.1 Not from {client}, see https://x.example/?why=blocked_rejected\r\n".encode()


def test_swaks_from_a_blocked_source_sees_the_refusal_and_postfix_never_hears_of_it(lab, gate, family):
    client = lab.client("blocked", family)
    with Tap(lab, "lan") as lan:
        made = lab.run("wan", "swaks", "--server", lab.postfix(family), "--local-interface", client, "--from", "a@client.example", "--to",
                       "b@lab.example", "--timeout", "10s")
        event = gate.await_event(source=client, reason="blocked_rejected")
        assert says(client).decode().strip() in made.stdout, made.stdout
        assert made.returncode != 0
        assert event["verdict"] == "reply"
        assert lan.segments(src=client) == []


def test_a_blocked_client_that_says_quit_is_closed_in_order(lab, gate, family):
    client = lab.client("blocked", family)
    with Server(lab, lab.server(family)) as server, Tap(lab, "lan") as lan, Tap(lab, "wan") as wan:
        connection = connect(lab, client, server.address)
        time.sleep(0.2)
        connection.sendall(b"QUIT\r\n")
        assert read_until_end(connection) == (says(client), "fin")
        connection.close()
        time.sleep(0.3)
        last = wan.segments(src=client)[-1]
        assert last.has(FIN), wan.story(client)
        assert wan.segments(dst=client)[-1].ack == last.seq + 1, f"its FIN is not acknowledged:\n{wan.story(client)}"
        assert lan.segments(src=client) == []
        assert server.sessions == []


def test_an_address_where_no_server_is_refuses_too(lab, gate, family):
    client = lab.client("blocked", family)
    assert read_until_end(connect(lab, client, lab.server(family))) == (says(client), "fin")


def test_the_same_port_again_is_refused_again(lab, gate, family):
    client, server = lab.client("blocked", family), lab.server(family)
    with Tap(lab, "lan") as lan:
        for isn in (1000, 500_000, 9_000_000):
            with RawPeer(lab, "wan", client, server, 4000, 25) as peer:
                peer.seq = isn
                peer.open()
                assert peer.receive(where=lambda seen: seen.payload).payload == says(client)
        assert lan.segments(src=client) == []


def test_spoofed_handshakes_get_no_more_than_they_sent(lab, gate):
    """SYNs, and ACKs that nobody could have learned: answered by at most as much, and never by a reply."""
    server = lab.server()
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        for number in range(1, 40):
            with RawPeer(lab, "wan", f"198.18.5.{200 + number}", server, 1000 + number, 25) as peer:
                peer.send(SYN, options=b"\2\4\5\xb4")
                peer.ack = 12345
                peer.send(ACK)
                peer.send(ACK, b"EHLO x\r\n")
        time.sleep(0.3)
        sent = [seen for seen in wan.segments(src=server) if seen.dst.startswith("198.18.5.2")]
        assert len(sent) == 39 and all(seen.has(SYN | ACK) and not seen.payload for seen in sent)
        assert lan.segments(dst=server) == []


def test_an_early_talker_gets_521_and_the_server_a_reset(lab, gate, family):
    client = lab.client(family=family)
    with Server(lab, lab.server(family)) as server:
        connection = connect(lab, client, server.address)
        connection.sendall(b"EHLO early.example\r\n")
        said, end = read_until_end(connection)
        assert said == f"521 5.7.1 Wait for the greeting, {client}\r\n".encode()
        assert end == "fin"
        gate.await_event(source=client, reason="early_talk_rejected")
        if server.find(client):
            session = server.ended(client)
            assert bytes(session.received) == b"" and session.end == "reset"
