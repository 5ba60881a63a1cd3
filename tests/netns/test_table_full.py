"""When the flow table is full, mail goes on: whoever finds no room is passed unjudged, and it is counted."""

import gate as gates
import peers
from peers import Server, connect, read_reply

CONFIG = gates.config(unknown="min 4s; max 4s;")
ARGUMENTS = ("--flows", "64")
CONNECTIONS = 400


def test_everybody_is_served_though_the_table_is_full(lab, gate, report):
    clients = [lab.client() for _ in range(20)]
    with Server(lab, lab.server()) as server:
        connections = [connect(lab, clients[number % len(clients)], server.address, timeout=30) for number in range(CONNECTIONS)]
        assert all(read_reply(connection) == peers.GREETING for connection in connections)
        for connection in connections:
            connection.sendall(b"QUIT\r\n")
            assert read_reply(connection).startswith(b"221")
            connection.close()
    full = gate.counter("table_full") + gate.counter("syn_share_full")
    report("passed for want of room", full)
    assert full > 0
    assert gate.counter("greeting_held") > 0
