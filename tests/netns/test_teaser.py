"""The first line of the greeting at once, the rest at the deadline: whoever takes the first for the whole is early."""

import time

import gate as gates
from peers import Server, connect, deliver, read_reply, read_until_end, teach
from segment import RST
from tap import Tap

TEASER = b"220-mx.lab.example\r\n"
CONFIG = gates.config(unknown='min 1200ms; max 1200ms; teaser "220-mx.lab.example";').replace("withhold banner", "withhold defer", 1)


def test_the_first_line_comes_at_once_and_the_rest_at_the_deadline(lab, gate, family):
    with Server(lab, lab.server(family)) as server, Tap(lab, "lan") as lan:
        teach(lab, family, server.address)
        client = lab.client(family=family)
        began = time.monotonic()
        connection = connect(lab, client, server.address)
        assert connection.recv(1000) == TEASER
        assert read_reply(connection).startswith(b"220 ")
        assert time.monotonic() - began >= 1.2
        assert lan.segments(src=client) == []
        connection.sendall(b"EHLO client.example\r\n")
        assert read_reply(connection).startswith(b"250-")
        connection.sendall(b"QUIT\r\n")
        assert read_reply(connection).startswith(b"221")
        assert bytes(server.ended(client).received) == b"EHLO client.example\r\nQUIT\r\n"


def test_a_client_that_reads_replies_whole_delivers_to_postfix(lab, gate, family):
    address = lab.postfix(family)
    teach(lab, family, address)
    client = lab.client(family=family)
    teased = gate.counter("teased")
    with Tap(lab, "wan") as wan:
        deliver(lab, client, address, recipient=f"teased{family}@lab.example")
        assert not [seen for seen in wan.segments(src=address, dst=client) if seen.flags & RST], wan.story(client)
    assert gate.counter("teased") == teased + 1


def test_swaks_delivers(lab, gate, family):
    address = lab.postfix(family)
    teach(lab, family, address)
    done = lab.run("wan", "swaks", "--server", address, "--local-interface", lab.client(family=family), "--from", "a@client.example",
                   "--to", f"swaksteased{family}@lab.example")
    assert done.returncode == 0, done.stdout
    assert "220-mx.lab.example" in done.stdout


def test_whoever_speaks_after_the_first_line_is_reset(lab, gate, family):
    with Server(lab, lab.server(family)) as server, Tap(lab, "lan") as lan:
        teach(lab, family, server.address)
        client = lab.client(family=family)
        connection = connect(lab, client, server.address)
        assert connection.recv(1000) == TEASER
        connection.sendall(b"EHLO early.example\r\n")
        assert read_until_end(connection) == (b"", "reset")
        gate.await_event(source=client, reason="early_talk")
        assert lan.segments(src=client) == []
