"""A stranger's dialogue when segments are lost, doubled or late, with Linux's TCP at both ends: whatever the wire does to one of them,
the dialogue ends well and each side has what the other said, byte for byte."""

import concurrent.futures
import contextlib
import hashlib
import random
import socket
import time

import pytest

import gate as gates
import lossy
import peers
from lab import family_of
from lossy import DELAY, DOUBLE, LOSE
from peers import Server, connect, read_reply, read_until_end, teach

CONFIG = gates.config(unknown="min 400ms; max 400ms;").replace("withhold banner", "withhold defer")
DEEDS = {"lost": LOSE, "doubled": DOUBLE, "late": DELAY}
POINTS = [(side, way) for side in ("wan", "lan") for way in ("egress", "ingress")]
SEGMENTS = 15  # more than a dialogue has in one direction
AT_ONCE = 60


@pytest.fixture(scope="module")
def points(lab, tmp_path_factory):
    program = lossy.compiled(tmp_path_factory.mktemp("lossy"))
    with contextlib.ExitStack() as stack:
        made = {}
        for side, way in POINTS:
            made[side, way] = lossy.Lossy(lab, side, way, program)
            stack.callback(made[side, way].close)
        yield made
    for side in ("wan", "lan"):
        lab.run(side, "tc", "qdisc", "del", "dev", lab.facts["ends"][side], "clsact")


def dialogue(lab, client, address, port=0, body=b"Subject: hello\r\n\r\nhello\r\n.\r\n"):
    """A whole one; what the server said, or the trouble."""
    said = []
    with lab.inside("wan"):
        connection = socket.socket(family_of(client), socket.SOCK_STREAM)
    try:
        connection.settimeout(40)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind((client, port))
        connection.connect((address, 25))
        said.append(read_reply(connection))
        for command in (b"EHLO lossy.example\r\n", b"MAIL FROM:<a@lossy.example>\r\n", b"RCPT TO:<b@lab.example>\r\n", b"DATA\r\n", body,
                        b"QUIT\r\n"):
            connection.sendall(command)
            said.append(read_reply(connection))
        said.append(read_until_end(connection))
    except OSError as trouble:
        said.append(repr(trouble))
    finally:
        connection.close()
    return said


WELL = [peers.GREETING, b"250-scripted.lab.example\r\n250 8BITMIME\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n",
        b"250 2.0.0 taken\r\n", b"221 bye\r\n", (b"", "fin")]


@pytest.mark.parametrize("deed", DEEDS)
def test_each_segment_may_meet_an_accident_once(lab, gate, points, family, deed, report):
    with Server(lab, lab.server(family)) as server:
        teach(lab, family, server.address)
        client, ports = lab.client(family=family), {}
        first = 20_000
        for number, (point, n) in enumerate((point, n) for point in POINTS for n in range(1, SEGMENTS + 1)):
            ports[first + number] = point, n
        for point in POINTS:
            points[point].plan({port: (DEEDS[deed], n) for port, (at, n) in ports.items() if at == point})
        met = gate.counter("met")
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            ended = dict(zip(ports, pool.map(lambda port: dialogue(lab, client, server.address, port), ports)))
        report("seconds", f"{time.monotonic() - begun:.1f}")
        done = {what: points[what[0]].done(port) for port, what in ports.items()}
        for point in POINTS:
            points[point].forget([port for port, (at, _) in ports.items() if at == point])
        bad = {(deed, *ports[port]): said for port, said in ended.items() if said != WELL}
        assert bad == {}
        assert all(done[point, n] == 1 for point in POINTS for n in range(1, 8)), done
        assert gate.counter("met") - met >= len(ports)
        sessions = {session.port: session for session in server.sessions}
        for port in ports:
            assert sessions[port].received.startswith(b"EHLO lossy.example\r\nMAIL FROM:<a@lossy.example>\r\n")
            assert sessions[port].end == "fin"
    assert gate.events(source=client, reason="early_talk") == []


@pytest.mark.parametrize("deed", DEEDS)
def test_two_megabytes_each_way_are_byte_exact_on_a_bad_wire(lab, gate, points, family, deed):
    """2 % at each of the four points."""
    with Server(lab, lab.server(family), script=echo) as server:
        teach(lab, family, server.address)
        client = lab.client(family=family)
        body = random.Random(deed).randbytes(2_000_000).replace(b"\n", b"x") + b"\n"
        for point in POINTS:
            points[point].plan({0: (DEEDS[deed], 65536 // 50)})
        try:
            connection = connect(lab, client, server.address, timeout=100)
            assert read_reply(connection) == peers.GREETING
            connection.sendall(body)
            digest, got = hashlib.sha256(), 0
            while got < len(body):
                data = connection.recv(1 << 20)
                assert data, f"ended after {got}"
                digest.update(data)
                got += len(data)
            connection.close()
        finally:
            for point in POINTS:
                points[point].forget([0])
        assert digest.digest() == hashlib.sha256(body).digest()
        assert bytes(server.session_of(client).received) == body


def echo(session):
    """Greets, takes one line, however long, and says it again."""
    session.send(peers.GREETING)
    line = session.line()
    session.send(b"221 bye\r\n" if line == b"QUIT" else line + b"\n")
    session.wait_end()


def test_a_server_that_takes_its_time_is_waited_for(lab, gate, family):
    with Server(lab, lab.server(family)) as server:
        teach(lab, family, server.address)
        server.script_options["pause_s"] = 3
        assert dialogue(lab, lab.client(family=family), server.address) == WELL


def test_a_server_that_greets_otherwise_than_it_did_is_no_trouble(lab, gate, family):
    other = b"220-a longer greeting than the one before\r\n220 of two lines\r\n"
    with Server(lab, lab.server(family)) as server:
        teach(lab, family, server.address)
        server.script_options["greeting"] = (other,)
        assert dialogue(lab, lab.client(family=family), server.address) == WELL, "the old greeting, and the dialogue goes on"
        for _ in range(2):  # seen twice it is what strangers are told
            said = dialogue(lab, lab.client(family=family), server.address)
            assert said[0] == other and said[1:] == WELL[1:]
        met = gate.counter("met")
        assert dialogue(lab, lab.client(family=family), server.address)[0] == other
        assert gate.counter("met") > met


def test_a_server_that_greets_by_a_refusal_is_quoted(lab, gate, family):
    with Server(lab, lab.server(family)) as server:
        teach(lab, family, server.address)
        server.script = refuse
        connection = connect(lab, lab.client(family=family), server.address)
        assert read_reply(connection) == peers.GREETING
        connection.sendall(b"EHLO a.example\r\n")
        assert read_until_end(connection) == (b"421 4.3.2 too busy\r\n", "fin")


def refuse(session):
    for piece in (b"42", b"1 4.3.2 too busy\r\n"):
        session.send(piece)
        time.sleep(0.05)


def test_a_server_that_was_restarted_between_hold_and_dial_is_no_trouble(lab, gate, family):
    address = lab.server(family)
    with Server(lab, address):
        teach(lab, family, address)
        connection = connect(lab, lab.client(family=family), address)
        assert read_reply(connection) == peers.GREETING
    with Server(lab, address):
        connection.sendall(b"EHLO a.example\r\n")
        assert read_reply(connection).startswith(b"250")
        connection.close()
