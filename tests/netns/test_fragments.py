"""IP fragments of TCP/25 are put together for judgment and the originals go on; fragments of other TCP leave as they came."""

import struct
import time

import pytest

import peers
from peers import Server
from rawpeer import RawPeer
from segment import ACK, PSH, RST, SYN, strip_ethernet
from tap import Tap


@pytest.fixture
def server(lab, family):
    with Server(lab, lab.server(family)) as made:
        yield made


def fragments_from(tap, mac):
    """IP packets of a raw peer that are fragments, as seen by a tap."""
    found = []
    for _, frame in tap.frames():
        if frame[6:12] != mac:
            continue
        kind, _, packet = strip_ethernet(frame)
        if kind == 0x0800 and struct.unpack_from("!H", packet, 6)[0] & 0x3FFF or kind == 0x86DD and packet[6] == 44:
            found.append(packet)
    return found


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=["in order", "backwards", "mixed"])
def test_a_polite_command_in_fragments_is_served_from_the_original_fragments(lab, gate, server, family, order):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer, Tap(lab, "lan") as lan:
        peer.open()
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.ack = greeting.seq + len(greeting.payload)
        speech = peer.make(PSH | ACK, b"EHLO fragmented.example.of.some.length\r\n")
        peer.send_fragments(speech, 24, 77, order)
        peer.seq += len(speech.payload)
        reply = peer.receive(5, lambda seen: seen.payload.startswith(b"250"))
        assert reply, "the fragmented command was not answered"
        assert len(fragments_from(lan, peer.mac)) == 3, "not the original fragments"
        peer.send(RST | ACK)
    assert gate.events(source=client, reason="early_talk") == []


def test_early_talk_in_fragments_is_early_talk(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer, Tap(lab, "lan") as lan:
        peer.open()
        peer.send_fragments(peer.make(PSH | ACK, b"EHLO early.example.of.some.length.for.this\r\n"), 24, 78)
        assert peer.receive(3, lambda seen: seen.has(RST)), "no reset"
        if server.find(client):  # none if the reset came before the server's handshake was complete
            session = server.ended(client)
            assert bytes(session.received) == b"" and session.end == "reset"
        assert fragments_from(lan, peer.mac) == []
    gate.await_event(source=client, reason="early_talk")


def test_a_handshake_in_fragments_is_a_handshake(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        syn = peer.make(SYN, options=struct.pack("!BBH", 2, 4, 1400) + b"\1" * 12)
        peer.send_fragments(syn, 24, 79)
        peer.seq += 1
        answer = peer.receive(3, lambda seen: seen.has(SYN | ACK))
        assert answer, "the fragmented SYN was not answered"
        peer.ack = answer.seq + 1
        peer.send(ACK)
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.send(RST | ACK)


def test_a_fragment_whose_rest_never_comes_is_forgotten_and_does_no_harm(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        for number in range(200):
            peer.send_fragments(peer.make(PSH | ACK, b"EHLO never.whole.example.of.some.length\r\n"), 24, 1000 + number, (0,))
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.send(RST | ACK)


@pytest.mark.parametrize("pieces", [(0, 1, 2), (1,)], ids=["whole", "only the middle one"])
def test_fragments_of_other_tcp_leave_as_they_came(lab, gate, family, pieces):
    client, address = lab.stranger(family), lab.server(family)
    with RawPeer(lab, "wan", client, address, 40000, 80) as peer, Tap(lab, "lan", port=80) as lan, Tap(lab, "wan", port=80) as wan:
        peer.send_fragments(peer.make(PSH | ACK, b"GET /fragmented/and/not/mail HTTP/1.0\r\n\r\n"), 24, 80, pieces)
        end = time.monotonic() + 3
        while len(fragments_from(lan, peer.mac)) < len(pieces) and time.monotonic() < end:
            time.sleep(0.02)
        assert fragments_from(lan, peer.mac) == fragments_from(wan, peer.mac)
        assert len(fragments_from(lan, peer.mac)) == len(pieces)
