"""What legitimate peers do and an early talker might seem to do: none of it is punished."""

import hashlib
import socket
import ssl
import struct
import time

import pytest

import gate as gates
import peers
from peers import BoundSMTP, Server, connect, deliver, fetch_big_reply, large_body, read_reply, read_until_end, send_message
from rawpeer import RawPeer
from segment import ACK, PSH, RST, SYN
from tap import Tap

CONFIG = gates.config(unknown="min 1500ms; max 1500ms;")


@pytest.fixture
def server(lab, family):
    with Server(lab, lab.server(family)) as made:
        yield made


def is_not_punished(lab, gate, client, server_address):
    """Afterwards it is served as a stranger is."""
    connection = connect(lab, client, server_address)
    assert read_reply(connection).startswith(b"220 ")
    connection.close()
    assert gate.await_event(source=client, reason="deadline")["class"] == "unknown"
    assert gate.events(source=client, reason="early_talk") == []
    assert gate.events(source=client, **{"class": "suspect"}) == []


def test_connect_and_close_is_not_punished(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address)
    connection.close()
    gate.await_event(source=client, reason="gave_up")
    end = time.monotonic() + 3
    while sockets := lab.run("lan", "ss", "-tanH", "dst", client).stdout:
        assert time.monotonic() < end, f"the server's side lives on: {sockets}"
        time.sleep(0.05)
    is_not_punished(lab, gate, client, server.address)


def test_a_fin_while_held_is_answered_at_once(lab, gate, server, family):
    """With FIN and ACK in the server's name, so that the client need not wait in FIN_WAIT for the hold."""
    client = lab.client(family=family)
    connection = connect(lab, client, server.address)
    time.sleep(0.2)
    closed = time.monotonic()
    connection.shutdown(socket.SHUT_WR)
    assert read_until_end(connection) == (b"", "fin")
    assert time.monotonic() - closed < 1.0
    connection.close()
    assert server.ended(client).end == "reset"
    gate.await_event(source=client, reason="gave_up")
    is_not_punished(lab, gate, client, server.address)


def test_a_reset_on_connect_is_not_punished_and_reaches_the_server(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert server.ended(client).end == "reset"
    is_not_punished(lab, gate, client, server.address)


def test_keepalives_during_the_hold_are_not_speech(lab, gate, server, family):
    client = lab.client(family=family)

    def prepare(made):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)

    with Tap(lab, "wan") as tap:
        connection = connect(lab, client, server.address, prepare=prepare)
        assert read_reply(connection) == peers.GREETING
        connection.close()
        handshake, greeted = tap.handshake_at(client), tap.first_byte_at(client)
        probes = [seen for seen in tap.segments(src=client) if handshake + 0.5 < seen.time < greeted]
        assert probes, "no keepalive was sent: this test shows nothing"
    assert gate.events(source=client, reason="early_talk") == []


def test_an_old_keepalive_with_a_byte_below_the_window_is_not_speech(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        peer.put(peer.make(ACK, b"\0", seq=peer.seq - 1))
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.send(RST)
    assert gate.events(source=client, reason="early_talk") == []


def test_a_repeated_handshake_ack_is_not_speech(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        for _ in range(5):
            peer.send(ACK)
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.send(RST)


def test_data_that_crosses_the_rest_of_nothing_is_polite_once_the_greeting_was_acknowledged(lab, gate, server, family):
    """The exact rule: the segment acknowledges the greeting's last byte."""
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        peer.open()
        greeting = peer.receive(5, lambda seen: seen.payload)
        peer.ack = greeting.seq + len(greeting.payload)
        peer.send(PSH | ACK, b"EHLO exact.example\r\n")
        assert peer.receive(3, lambda seen: seen.payload.startswith(b"250")), "a polite client was not served"
        peer.send(PSH | ACK, b"QUIT\r\n")
    assert gate.events(source=client, reason="early_talk") == []


def test_a_callout_is_served(lab, gate, family):
    """MAIL FROM:<>, one RCPT, QUIT: a verification, within the patience of nine seconds that callouts have."""
    client = lab.client(family=family)
    started = time.monotonic()
    with BoundSMTP(lab, client, lab.postfix(family), timeout=9) as caller:
        caller.ehlo()
        assert caller.mail("")[0] == 250
        assert caller.rcpt("someone@lab.example")[0] == 250
    assert time.monotonic() - started < 9
    is_not_punished(lab, gate, client, lab.postfix(family))


def test_starttls_passes_untouched(lab, gate, family):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with BoundSMTP(lab, lab.client(family=family), lab.postfix(family)) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert client.starttls(context=context)[0] == 220
        client.sendmail("a@client.example", ["tls@lab.example"], "Subject: sealed\r\n\r\nhello\r\n")


def test_a_message_of_20_mb_arrives_byte_for_byte(lab, gate, server, family):
    client = lab.client(family=family)
    body = large_body(25)
    connection = connect(lab, client, server.address, timeout=60)
    assert read_reply(connection) == peers.GREETING
    send_message(connection, body)
    connection.sendall(b"QUIT\r\n")
    connection.close()
    size, digest = server.ended(client).message
    assert size == len(body) + 3
    assert digest == hashlib.sha256(body + b".\r\n").hexdigest()


def test_a_reply_of_20_mb_arrives_byte_for_byte(lab, gate, server, family):
    client = lab.client(family=family)
    connection = connect(lab, client, server.address, timeout=60)
    assert read_reply(connection) == peers.GREETING
    received = fetch_big_reply(connection)
    connection.sendall(b"QUIT\r\n")
    assert read_reply(connection).startswith(b"221")
    connection.close()
    assert received == server.ended(client).sent_sha


def test_large_messages_through_postfix(lab, gate, family):
    client = lab.client("trusted", family)
    deliver(lab, client, lab.postfix(family), body="Subject: large\r\n\r\n" + ("x" * 70 + "\r\n") * 280_000)


def test_a_client_that_repeats_its_syn_gets_one_connection(lab, gate, server, family):
    client = lab.stranger(family)
    with RawPeer(lab, "wan", client, server.address, 40000, 25) as peer:
        syn = peer.send(SYN, options=struct.pack("!BBH", 2, 4, 1400))
        peer.put(syn)
        answer = peer.receive(3, lambda seen: seen.has(SYN | ACK))
        peer.ack = answer.seq + 1
        peer.send(ACK)
        greeting = peer.receive(5, lambda seen: seen.payload)
        assert greeting and greeting.payload == peers.GREETING
        peer.send(RST)
    assert len([session for session in server.sessions if session.client == client]) == 1
