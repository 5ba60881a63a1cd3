"""Lost and reordered segments: end-to-end TCP repairs them, and nobody is blamed. One of the two peers is scripted, segment by segment."""

import threading
import time

import peers
from peers import Server, connect, read_reply
from rawpeer import RawPeer
from segment import ACK, FIN, PSH, RST, SYN

GREETING = b"220-scripted first line\r\n220 scripted second line\r\n"


def test_a_released_greeting_that_is_lost_comes_again(lab, gate, family):
    client = lab.stranger(family)
    with Server(lab, lab.server(family)) as server, RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        first = peer.receive(5, lambda seen: seen.payload)
        assert first and first.payload == peers.GREETING
        # not acknowledged, as if it had been lost: the server repeats it, and that is no longer held
        again = peer.receive(10, lambda seen: seen.payload)
        assert again and (again.seq, again.payload) == (first.seq, first.payload)
        peer.ack = again.seq + len(again.payload)
        peer.send(PSH | ACK, b"EHLO patient.example\r\n")
        assert peer.receive(5, lambda seen: seen.payload.startswith(b"250"))
        peer.send(RST | ACK)
    assert gate.events(source=client, reason="early_talk") == []


def test_a_lost_handshake_ack_costs_nobody_anything(lab, gate, family):
    client = lab.stranger(family)
    with Server(lab, lab.server(family)) as server, RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        answer = peer.open(final_ack=False)
        again = peer.receive(5, lambda seen: seen.has(SYN | ACK))
        assert again and again.seq == answer.seq
        peer.send(ACK)
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.send(RST | ACK)


def test_a_polite_clients_segments_may_overtake_each_other(lab, gate, family):
    client = lab.stranger(family)
    with Server(lab, lab.server(family)) as server, RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        greeting = peer.receive(5, lambda seen: seen.payload)
        peer.ack = greeting.seq + len(greeting.payload)
        words = [b"EHLO ", b"reordered", b".example\r\n"]
        at, segments = peer.seq, []
        for word in words:
            segments.append(peer.make(PSH | ACK, word, seq=at))
            at += len(word)
        for segment in (segments[2], segments[0], segments[2], segments[1]):
            peer.put(segment)
        peer.seq = at
        assert peer.receive(5, lambda seen: seen.payload.startswith(b"250"))
        assert bytes(server.session_of(client).received) == b"".join(words)
        peer.send(RST | ACK)
    assert gate.events(source=client, reason="early_talk") == []


def test_an_early_segment_that_was_lost_and_comes_after_the_greeting_is_polite(lab, gate, family):
    """One-sided on purpose: what never came to the gateway before the greeting cannot be held against anyone."""
    client = lab.stranger(family)
    with Server(lab, lab.server(family)) as server, RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        early = peer.make(PSH | ACK, b"EHLO lucky.example\r\n")  # its first copy is lost before the gateway
        greeting = peer.receive(5, lambda seen: seen.payload)
        peer.ack = greeting.seq + len(greeting.payload)
        peer.send(PSH | ACK, early.payload)
        assert peer.receive(5, lambda seen: seen.payload.startswith(b"250"))
        peer.send(RST | ACK)
    assert gate.events(source=client, reason="early_talk") == []


class Scripted(threading.Thread):
    """A raw server that repeats what is not acknowledged, every 300 ms, in the order in which it was told to."""

    def __init__(self, peer, pieces, order, lose_first=()):
        super().__init__(daemon=True)
        self.peer, self.pieces, self.order, self.lose_first = peer, pieces, order, lose_first
        self.acknowledged = threading.Event()
        self.trouble = None

    def run(self):
        try:
            self.serve()
        except Exception as trouble:  # told by the test
            self.trouble = trouble

    def serve(self):
        peer = self.peer
        peer.accept()
        start, at, segments = peer.seq, peer.seq, []
        for piece in self.pieces:
            segments.append(peer.make(PSH | ACK, piece, seq=at))
            at += len(piece)
        acked, turn = start, 0
        while acked != at and turn < 30:
            for number in self.order:
                if turn == 0 and number in self.lose_first:
                    continue
                if segments[number].seq + len(segments[number].payload) > acked:
                    peer.put(segments[number])
            turn += 1
            end = time.monotonic() + 0.3
            while acked != at and (left := end - time.monotonic()) > 0:
                seen = peer.receive(left, lambda seen: seen.has(ACK))
                if seen:
                    acked = max(acked, seen.ack)
                    if seen.payload:
                        peer.ack = (seen.seq + len(seen.payload)) % 2**32
        assert acked == at, "the client never acknowledged the greeting"
        peer.seq = at
        self.acknowledged.set()
        while not peer.receive(5, lambda seen: seen.has(FIN) or seen.has(RST)):
            pass


def serve_raw(lab, family, order, lose_first=()):
    """A Linux client against a scripted server; the whole greeting must come, not before the hold."""
    address, client = lab_server_of_nobody(lab, family), lab.client(family=family)
    with RawPeer(lab, "lan", address, client, 25, 0) as peer:
        server = Scripted(peer, (b"220-scripted ", b"first line\r\n220 scri", b"pted second line\r\n"), order, lose_first)
        server.start()
        started = time.monotonic()
        connection = connect(lab, client, address)
        assert read_reply(connection) == GREETING
        assert time.monotonic() - started >= 0.8
        assert server.acknowledged.wait(5), server.trouble
        connection.close()
        server.join(6)
    return client


def lab_server_of_nobody(lab, family):
    """Of the same range as strangers: no kernel answers for it."""
    number = int(lab.stranger(4).rsplit(".", 1)[1])
    return f"198.18.8.{number}" if family == 4 else f"2001:db8:8:{number}::1"


def test_a_greeting_whose_segments_come_in_the_wrong_order_is_delivered_whole(lab, gate, family):
    client = serve_raw(lab, family, order=(2, 0, 1))
    assert gate.events(source=client, reason="early_talk") == []


def test_a_greeting_whose_first_segment_was_lost_before_the_gateway_is_delivered_whole(lab, gate, family):
    client = serve_raw(lab, family, order=(0, 1, 2), lose_first=(0,))
    assert gate.events(source=client, reason="early_talk") == []


def test_a_greeting_whose_middle_segment_was_lost_before_the_gateway_is_delivered_whole(lab, gate, family):
    client = serve_raw(lab, family, order=(0, 1, 2), lose_first=(1,))
    assert gate.events(source=client, reason="early_talk") == []
