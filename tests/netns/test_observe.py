"""Observe mode: everything is judged and counted, nothing is enforced."""

import gate as gates
import peers
from peers import Server, connect, read_reply, read_until_end
from tap import Tap

CONFIG = gates.config(unknown="min 3s; max 3s;", more="observe true;")
DIALOGUE = b"EHLO early.example\r\nMAIL FROM:<a@early.example>\r\nRCPT TO:<b@lab.example>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"


def test_an_early_talker_is_counted_and_served(lab, gate, family):
    client = lab.client(family=family)
    with Server(lab, lab.server(family), pause_s=0.3) as server:
        connection = connect(lab, client, server.address)
        connection.sendall(DIALOGUE)
        data, end = read_until_end(connection)
        connection.close()
        assert end == "fin" and data.endswith(b"221 bye\r\n")
        assert server.ended(client).message is not None
    event = gate.await_event(source=client, reason="early_talk_observed")
    assert event["verdict"] != "reset"
    gate.await_counter("early_talk_observed", 1)
    gate.await_counter("would_have_reset", 1)
    gate.await_counter("would_have_reset_delivered", 1)  # what an operator should see before enforcing
    assert gate.events(source=client, reason="early_talk") == []


def test_a_stranger_is_not_held(lab, gate, family):
    client = lab.client(family=family)
    held = gate.counter("greeting_held")
    with Server(lab, lab.server(family)) as server, Tap(lab, "wan") as tap:
        connection = connect(lab, client, server.address)
        assert read_reply(connection) == peers.GREETING
        connection.close()
        assert tap.hold_of(client) < 3.0
    assert gate.counter("greeting_held") == held


def test_a_blocked_source_is_counted_and_served(lab, gate, family):
    client = lab.client("blocked", family)
    with Server(lab, lab.server(family)) as server:
        connection = connect(lab, client, server.address)
        assert read_reply(connection) == peers.GREETING
        connection.close()
    gate.await_counter("blocked_observed", 1)
    gate.await_counter("would_have_blocked", 1)
    assert gate.counter("would_have_blocked_delivered") == 0
    assert gate.counter("blocked") == 0
