"""Whoever speaks before it has read the greeting is cut off on both sides, logged, and suspect for a while."""

import socket
import ssl
import struct
import time

import pytest

import gate as gates
import peers
from peers import Server, connect, read_reply, read_until_end
from rawpeer import RawPeer
from segment import ACK, FIN, PSH, RST, SYN
from tap import Tap

HOLD_S = 1.0
CONFIG = gates.config(unknown="min 1s; max 1s;")
DIALOGUE = (b"EHLO early.example\r\nMAIL FROM:<a@early.example>\r\nRCPT TO:<b@lab.example>\r\nDATA\r\n"
            b"Subject: buy\r\n\r\nnow\r\n.\r\nQUIT\r\n")
TCP_FASTOPEN_NO_COOKIE = 34
MSG_FASTOPEN = 0x20000000


@pytest.fixture
def server(lab, family):
    with Server(lab, lab.server(family)) as made:
        yield made


def dies(connection):
    """The client's end of an early talk: no byte of the server's, then a reset."""
    connection.settimeout(8)
    data, end = read_until_end(connection)
    connection.close()
    assert data == b"", f"the early talker was served: {data!r}"
    assert end == "reset", f"its connection ended by '{end}'"


def is_cut_off(lab, gate, server, client, first_bytes=None):
    """What must be true on the server's side and in the log. Gives the event."""
    event = gate.await_event(source=client, reason="early_talk")
    assert event["verdict"] == "reset"
    if first_bytes is not None:
        assert event["first_bytes"].startswith(first_bytes), event
    end = time.monotonic() + 3
    while sockets := lab.run("lan", "ss", "-tanH", "dst", client).stdout:
        assert time.monotonic() < end, f"the server's side lives on: {sockets}"
        time.sleep(0.05)
    # none at all if the reset came before the server's handshake was complete
    if server.find(client):
        session = server.ended(client)
        assert bytes(session.received) == b"", f"early bytes reached the server: {bytes(session.received)!r}"
        assert session.end == "reset", f"the server's connection ended by '{session.end}', not at once by a reset"
    return event


def test_a_whole_dialogue_blasted_after_connect_is_cut_off(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address)
    connection.sendall(DIALOGUE)
    dies(connection)
    is_cut_off(lab, gate, server, client, "EHLO early.example")


def test_postfix_sees_nothing_of_an_early_talker(lab, gate, family):
    client = lab.client(family=family)
    connection = connect(lab, client, lab.postfix(family))
    connection.sendall(DIALOGUE.replace(b"b@lab", b"never@lab"))
    dies(connection)
    gate.await_event(source=client, reason="early_talk")
    time.sleep(0.3)
    assert "never@lab.example" not in lab.maillog()


def test_data_on_the_handshakes_ack_is_early(lab, gate, server, family):
    """Linux itself sends it so, when it is told to be slow with acknowledgements."""
    client = lab.client(family=family)
    with Tap(lab, "wan") as tap:
        connection = connect(lab, client, server.address,
                             prepare=lambda made: made.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0))
        connection.sendall(DIALOGUE)
        dies(connection)
        first = next(seen for seen in tap.segments(src=client) if not seen.has(SYN))
        assert first.payload, "the kernel sent a bare ACK first: this test shows nothing\n" + tap.story(client)
    is_cut_off(lab, gate, server, client, "EHLO early.example")


def test_data_in_the_syn_is_trimmed_and_judged_when_it_comes_again(lab, gate, server, family):
    client = lab.client(family=family)
    with lab.inside("wan"):
        connection = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    connection.settimeout(8)
    connection.bind((client, 0))
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        connection.sendto(DIALOGUE, MSG_FASTOPEN, (server.address, 25))
        dies(connection)
        assert wan.segments(src=client)[0].payload, "the client put no data into its SYN: this test shows nothing"
        assert lan.segments(src=client)[0].payload == b""
        assert lan.segments(src=client)[0].checksum_ok
    is_cut_off(lab, gate, server, client, "EHLO early.example")


def test_one_byte_at_a_time_is_early_from_the_first_byte(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for byte in DIALOGUE:
            connection.sendall(bytes([byte]))
            time.sleep(0.01)
    connection.close()
    is_cut_off(lab, gate, server, client, "E")


def test_an_ehlo_shortly_before_the_release_is_early(lab, gate, server, family):
    """100 ms before, by the client's clock; if this machine was too slow for that, once more with another client."""
    for _ in range(5):
        client = lab.client(family=family)
        with Tap(lab, "wan") as tap:
            connection = connect(lab, client, server.address)
            connected = time.monotonic()
            time.sleep(max(0.0, connected + HOLD_S - 0.1 - time.monotonic()))
            connection.sendall(b"EHLO hasty.example\r\n")
            data, end = read_until_end(connection)
            connection.close()
            spoke = next(seen.time for seen in tap.segments(src=client) if seen.payload)
            if spoke - tap.handshake_at(client) < HOLD_S - 0.02:
                assert (data, end) == (b"", "reset")
                is_cut_off(lab, gate, server, client, "EHLO hasty.example")
                return
    pytest.skip("this machine woke the client too late five times")


def test_a_tls_client_hello_is_early(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((ConnectionResetError, OSError)):
        context.wrap_socket(connection, server_hostname="scripted.lab.example")
    is_cut_off(lab, gate, server, client)


def test_an_http_get_is_early(lab, gate, server, family):
    client = lab.client(family=family)
    host = f"[{server.address}]" if family == 6 else server.address
    done = lab.run("wan", "curl", "-sS", "--interface", client, f"http://{host}:25/", timeout=20)
    assert done.returncode == 56, f"curl: {done.returncode} {done.stderr}"  # failure in receiving network data: a reset
    is_cut_off(lab, gate, server, client, "GET / HTTP/1.1")


def test_a_half_close_after_data_is_early(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address)
    connection.sendall(DIALOGUE)
    try:
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the reset was faster
    dies(connection)
    is_cut_off(lab, gate, server, client, "EHLO early.example")


def test_data_and_fin_in_one_segment_are_early(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        answer = peer.open()
        peer.send(PSH | ACK | FIN, b"QUIT\r\n")
        reset = peer.receive(3, lambda seen: seen.has(RST))
        assert reset and reset.seq == (answer.seq + 1) % 2**32
    is_cut_off(lab, gate, server, client, "QUIT")


def test_early_data_out_of_order_is_early(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        peer.put(peer.make(PSH | ACK, b"RCPT TO:<b@lab.example>\r\n", seq=peer.seq + 20))
        assert peer.receive(3, lambda seen: seen.has(RST))
    is_cut_off(lab, gate, server, client)


def test_each_side_gets_the_reset_number_that_it_accepts(lab, gate, server, family):
    client = lab.client(family=family)
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        connection = connect(lab, client, server.address)
        connection.sendall(DIALOGUE)
        dies(connection)
        is_cut_off(lab, gate, server, client)
        time.sleep(0.2)
        client_syn = wan.segments(src=client)[0]
        server_syn = wan.segments(dst=client)[0]
        to_client = [seen for seen in wan.segments(dst=client) if seen.has(RST)]
        to_server = [seen for seen in lan.segments(src=client) if seen.has(RST)]
        assert to_client and to_client[0].seq == (server_syn.seq + 1) % 2**32, wan.story(client)
        assert to_server and to_server[0].seq == (client_syn.seq + 1) % 2**32, lan.story(client)
        assert all(seen.checksum_ok for seen in to_client + to_server)
        challenges = [seen for seen in lan.segments(dst=client) if seen.time > to_server[0].time and not seen.has(RST)]
        assert challenges == [], "the server answered its reset: the number was not exact\n" + lan.story(client)


def test_after_the_reset_nothing_passes_in_either_direction(lab, gate, server, family):
    """A tombstone: what the client repeats is dropped, and answered at most once a second."""
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer, Tap(lab, "lan") as lan:
        peer.open()
        peer.send(PSH | ACK, b"EHLO early.example\r\n")
        assert peer.receive(3, lambda seen: seen.has(RST))
        is_cut_off(lab, gate, server, client)
        died_at = time.time()
        peer.receive_all(0.2)
        answers = []
        for number in range(20):
            peer.put(peer.make(PSH | ACK, b"again %d\r\n" % number))
            answers += peer.receive_all(0.1)
        assert len(answers) <= 3, f"{len(answers)} answers in two seconds"
        assert all(seen.has(RST) for seen in answers)
        assert [seen for seen in lan.segments(src=client) if seen.payload] == []
        assert [seen for seen in lan.segments(src=client) if seen.time > died_at + 0.2] == []


def test_a_penalty_holds_at_once_for_the_next_connection_and_doubles(lab, gate, server, family):
    client = lab.client(family=family)
    penalties = []
    for offence in range(2):
        connection = connect(lab, client, server.address)
        connection.sendall(b"EHLO early%d.example\r\n" % offence)
        dies(connection)
        is_cut_off(lab, gate, server, client)
        end = time.monotonic() + 5
        while len(gate.events(source=client, reason="early_talk")) <= offence:
            assert time.monotonic() < end
            time.sleep(0.02)
        penalties.append(gate.events(source=client, reason="early_talk")[-1]["penalty"])
    assert penalties == [60, 120]
    with Tap(lab, "wan") as tap:
        connection = connect(lab, client, server.address)
        assert read_reply(connection) == peers.GREETING  # suspect, patient now: served after its longer hold
        connection.close()
        syn, answer = tap.segments(src=client)[0], tap.segments(dst=client)[0]
        assert answer.time - syn.time >= 0.3
        assert tap.hold_of(client) >= 1.5


def test_an_early_talker_of_class_known_is_cut_off_though_it_is_not_held(lab, gate, family):
    client = lab.client("known", family)
    with Server(lab, lab.server(family), pause_s=0.6) as server:
        connection = connect(lab, client, server.address)
        connection.sendall(DIALOGUE)
        dies(connection)
        is_cut_off(lab, gate, server, client, "EHLO early.example")


def test_an_early_talker_of_class_trusted_is_only_counted(lab, gate, family):
    client = lab.client("trusted", family)
    before = gate.counter("early_talk_counted")
    with Server(lab, lab.server(family), pause_s=0.3) as server:
        connection = connect(lab, client, server.address)
        connection.sendall(DIALOGUE)
        data, end = read_until_end(connection)
        assert end == "fin" and data.startswith(peers.GREETING) and data.endswith(b"221 bye\r\n")
        connection.close()
        assert server.ended(client).message is not None
    gate.await_counter("early_talk_counted", before + 1)


@pytest.mark.parametrize("speech", [b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
                         ids=["GET", "POST", "TLS"])
def test_web_talk_never_demotes_a_known_source(lab, gate, speech):
    client = lab.client("known")
    with Server(lab, lab.server(), pause_s=0.5) as server:
        connection = connect(lab, client, server.address)
        connection.sendall(speech)
        dies(connection)
        again = connect(lab, client, server.address)
        assert read_reply(again) == peers.GREETING
        again.sendall(b"EHLO polite.example\r\n")
        assert read_reply(again).startswith(b"250")
        again.close()
        gate.await_event(source=client, reason="early_talk")
        assert gate.events(source=client, **{"class": "suspect"}) == []


def test_an_acknowledgement_of_what_was_never_sent_is_no_evidence(lab, gate, server, family):
    """ahead_ack: dropped and counted; the client may still be served."""
    client = lab.stranger(family)
    before = gate.counter("ahead_ack")
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        answer = peer.open()
        peer.put(peer.make(PSH | ACK, b"EHLO early.example\r\n", ack=answer.seq + 1 + len(peers.GREETING)))
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.ack = greeting.seq + len(greeting.payload)
        peer.send(PSH | ACK, b"EHLO polite.example\r\n")
        reply = peer.receive(5, lambda seen: seen.payload.startswith(b"250"))
        assert reply, "the client was not served"
        peer.send(RST)
    gate.await_counter("ahead_ack", before + 1)
    assert gate.events(source=client, reason="early_talk") == []


def test_data_before_the_handshake_is_proven_is_no_evidence(lab, gate, server, family):
    """A forged ACK with data: no record of its source, no penalty, nothing to the server."""
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer, Tap(lab, "lan") as lan:
        peer.send(SYN, options=struct.pack("!BBH", 2, 4, 1400))
        answer = peer.receive(3, lambda seen: seen.has(SYN | ACK))
        peer.put(peer.make(PSH | ACK, DIALOGUE, ack=answer.seq + 1000))  # a guess, wrong
        peer.receive_all(0.5)
        assert [seen for seen in lan.segments(src=client) if seen.payload and b"EHLO" in seen.payload and seen.ack == answer.seq + 1] == []
        peer.send(RST)
    assert gate.events(source=client, reason="early_talk") == []
    view = gate.telemetry(f"/mire/sources,{client}")
    assert not view or view.get("offences", 0) == 0


def test_pipelining_past_ehlo_without_reading_its_reply_is_counted_not_reset(lab, gate, family):
    client = lab.client("known", family)
    before = gate.counter("unsynchronised_pipelining")
    with Server(lab, lab.server(family)) as server:
        connection = connect(lab, client, server.address)
        assert read_reply(connection) == peers.GREETING
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"EHLO eager.example\r\nMAIL FROM:<a@eager.example>\r\nRCPT TO:<b@lab.example>\r\nQUIT\r\n")
        data, end = read_until_end(connection)
        assert end == "fin" and data.endswith(b"221 bye\r\n")
        connection.close()
    gate.await_counter("unsynchronised_pipelining", before + 1)
