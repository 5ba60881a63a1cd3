"""mired and the dataplane die, hang, are replaced and told new settings; mail goes on."""

import hashlib
import os
import signal
import threading
import time

import gate as gates
import peers
from peers import Server, connect, deliver, read_reply, read_until_end
from tap import Tap

CONFIG = gates.config(unknown="min 1500ms; max 1500ms;")


class Load:
    """Clients that deliver one message after the other, each a new connection; what fails is kept."""

    def __init__(self, lab, server, clients):
        self.lab, self.server = lab, server
        self.delivered, self.failures, self.ended = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(client,), daemon=True) for client in clients]

    def work(self, client):
        while not self.ended:
            try:
                deliver(self.lab, client, self.server)
                with self.lock:
                    self.delivered += 1
            except Exception as trouble:
                self.failures.append((client, repr(trouble)))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        for thread in self.threads:
            thread.join(40)
            assert not thread.is_alive(), "a client hangs"


def slow_transfer(lab, client, server, results, seconds=6.0):
    """An established dialogue that transfers all the while; (bytes, digest) as the client sent them."""
    try:
        connection = connect(lab, client, server, timeout=60)
        assert read_reply(connection).startswith(b"220")
        for command in (b"EHLO slow.example", b"MAIL FROM:<a@slow.example>", b"RCPT TO:<b@lab.example>", b"DATA"):
            connection.sendall(command + b"\r\n")
            assert read_reply(connection)[:1] in (b"2", b"3")
        digest, size, end, number = hashlib.sha256(), 0, time.monotonic() + seconds, 0
        while time.monotonic() < end:
            block = b"".join(b"%08d %s\r\n" % (number + n, b"y" * 69) for n in range(400))
            number += 400
            connection.sendall(block)
            digest.update(block)
            size += len(block)
            time.sleep(0.01)
        connection.sendall(b".\r\n")
        digest.update(b".\r\n")
        assert read_reply(connection).startswith(b"250")
        connection.sendall(b"QUIT\r\n")
        assert read_reply(connection).startswith(b"221")
        connection.close()
        results[client] = (size + 3, digest.hexdigest())
    except Exception as trouble:
        results[client] = repr(trouble)


def is_judged(lab, gate, server):
    """The dataplane does its work: a stranger is held, an early talker reset."""
    client = lab.client()
    with Tap(lab, "wan") as tap:
        connection = connect(lab, client, server.address)
        assert read_reply(connection) == peers.GREETING
        connection.close()
        assert tap.hold_of(client) >= 1.5
    early = lab.client()
    connection = connect(lab, early, server.address)
    connection.sendall(b"EHLO early.example\r\n")
    assert read_until_end(connection) == (b"", "reset")
    connection.close()
    return early


def backs(gate, name="mire-dataplane"):
    return gate.text().count(f"mire: {name} is back")


# -- mired

def test_mired_killed_the_dataplane_goes_on_and_is_reported_again_when_mired_returns(lab, gate):
    with Server(lab, lab.server()) as server:
        early = is_judged(lab, gate, server)
        gate.await_event(source=early, reason="early_talk")
        # the supervisor is stopped meanwhile, so that mired stays away for as long as we look
        supervisor = gate_supervisor(gate)
        before = backs(gate, "mired")
        os.kill(supervisor, signal.SIGSTOP)
        try:
            gate.kill("mired")
            while gate.pids("mired"):
                time.sleep(0.01)
            unreported = is_judged(lab, gate, server)
            assert gate.events(source=unreported) == []
        finally:
            os.kill(supervisor, signal.SIGCONT)
        gate.await_line("mired is back", count=before + 1, timeout=20)
        early = is_judged(lab, gate, server)
        gate.await_event(source=early, reason="early_talk")


def test_mired_killed_and_restarted_under_load_loses_no_connection(lab, gate):
    with Load(lab, lab.postfix(), [lab.client("trusted") for _ in range(4)] + [lab.client() for _ in range(4)]) as load:
        for _ in range(3):
            before = backs(gate, "mired")
            gate.kill("mired")
            gate.await_line("mired is back", count=before + 1, timeout=20)
            time.sleep(0.3)
    assert load.failures == []
    assert load.delivered > 20


def test_sighup_takes_a_new_file(lab, gate):
    text = gate.config.read_text()
    try:
        gate.config.write_text(text.replace("min 1500ms; max 1500ms;", "min 200ms; max 200ms;"))
        applied = gate.text().count("dataplane applied configuration")
        os.kill(gate.pid("mired"), signal.SIGHUP)
        gate.await_line("dataplane applied configuration", count=applied + 1)
        with Server(lab, lab.server()) as server, Tap(lab, "wan") as tap:
            client = lab.client()
            connection = connect(lab, client, server.address)
            assert read_reply(connection) == peers.GREETING
            connection.close()
            assert tap.hold_of(client) >= 0.2
            assert gate.await_event(source=client, reason="deadline")["hold"] < 1.5
    finally:
        gate.config.write_text(text)
        applied = gate.text().count("dataplane applied configuration")
        os.kill(gate.pid("mired"), signal.SIGHUP)
        gate.await_line("dataplane applied configuration", count=applied + 1)


def test_an_invalid_file_is_refused_whole_with_its_place_and_the_old_settings_stay(lab, gate):
    text = gate.config.read_text()
    try:
        gate.config.write_text(text.replace("min 1500ms; max 1500ms;", "min 100ms; max 100ms;") + "\ntreatment unknown { greeting { max 40s; } }\n")
        line = len(gate.config.read_text().splitlines())
        os.kill(gate.pid("mired"), signal.SIGHUP)
        gate.await_line(f"{gate.config.name}:{line}:")
        with Server(lab, lab.server()) as server:
            is_judged(lab, gate, server)
    finally:
        gate.config.write_text(text)


# -- the dataplane

def gate_supervisor(gate):
    """tools/run itself: `ip netns exec` became it."""
    return gate.process.pid


def test_the_dataplane_killed_under_load_costs_no_connection(lab, gate, report):
    """Dialogues in transfer, new ones, and held ones, while the dataplane is killed and comes back, three times."""
    address = lab.server()
    results = {}
    with Server(lab, address) as server:
        slow = [lab.client("trusted"), lab.client("trusted", 4), lab.client()]
        transfers = [threading.Thread(target=slow_transfer, args=(lab, client, address, results, 9.0), daemon=True) for client in slow]
        with Load(lab, lab.postfix(), [lab.client("trusted") for _ in range(4)] + [lab.client() for _ in range(6)]) as load:
            for thread in transfers:
                thread.start()
            time.sleep(2.5)
            for _ in range(3):
                before = backs(gate)
                gate.kill("mire-dataplane")
                gate.await_line("mire-dataplane is back", count=before + 1, timeout=30)
                time.sleep(0.5)
        for thread in transfers:
            thread.join(60)
        report("delivered under three kills", load.delivered)
        assert load.failures == []
        for client in slow:
            assert results[client] == server.ended(client).message, f"{client}: {results[client]} {server.session_of(client).message}"


def test_held_clients_deliver_though_the_dataplane_is_killed(lab, gate):
    address = lab.server()
    with Server(lab, address) as server:
        before = backs(gate)
        connections = [connect(lab, lab.client(), address, timeout=40) for _ in range(20)]
        time.sleep(0.3)  # the greetings are parked
        gate.kill("mire-dataplane")
        for connection in connections:
            assert read_reply(connection) == peers.GREETING
            connection.sendall(b"EHLO held.example\r\n")
            assert read_reply(connection).startswith(b"250")
            connection.sendall(b"QUIT\r\n")
            assert read_reply(connection).startswith(b"221")
            connection.close()
        gate.await_line("mire-dataplane is back", count=before + 1, timeout=30)
        assert len(server.sessions) == 20


def test_a_dataplane_told_to_end_releases_what_it_holds(lab, gate):
    """SIGTERM, as at an upgrade: greetings go out at once, not by the server's next repetition."""
    address = lab.server()
    with Server(lab, address), Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        before = backs(gate)
        clients = [lab.client() for _ in range(5)]
        connections = [connect(lab, client, address) for client in clients]
        time.sleep(0.3)
        gate.kill("mire-dataplane", signal.SIGTERM)
        for client, connection in zip(clients, connections):
            assert read_reply(connection) == peers.GREETING
            connection.close()
            released = wan.first_byte_at(client)
            assert released - wan.handshake_at(client) < 1.5, "it waited for its deadline"
            copies = [seen.time for seen in lan.segments(dst=client) if seen.payload and seen.time <= released]
            assert released - copies[-1] > 0.002 or len(copies) == 1, "it was the server's repetition that passed"
        gate.await_line("mire-dataplane is back", count=before + 1, timeout=30)


def test_a_hung_dataplane_counts_as_dead_and_the_wire_is_closed_round_it(lab, gate):
    with Server(lab, lab.server()) as server:
        pid = gate.kill("mire-dataplane", signal.SIGSTOP)
        try:
            time.sleep(1.5)
            for _ in range(5):
                connection = connect(lab, lab.client(), server.address)
                assert read_reply(connection) == peers.GREETING
                connection.close()
        finally:
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.5)
        is_judged(lab, gate, server)


def test_flows_joined_mid_stream_are_never_held_or_reset(lab, gate):
    with Server(lab, lab.server()) as server:
        client = lab.client()
        connection = connect(lab, client, server.address)
        assert read_reply(connection) == peers.GREETING
        before = backs(gate)
        gate.kill("mire-dataplane")
        gate.await_line("mire-dataplane is back", count=before + 1, timeout=30)
        for _ in range(3):
            connection.sendall(b"NOOP\r\n")
            assert read_reply(connection).startswith(b"250")
        connection.sendall(b"QUIT\r\n")
        assert read_reply(connection).startswith(b"221")
        connection.close()
        assert gate.events(source=client, reason="early_talk") == []


def test_after_a_restart_strangers_are_judged_again(lab, gate):
    with Server(lab, lab.server()) as server:
        before = backs(gate)
        applied = gate.text().count("dataplane applied configuration")
        gate.kill("mire-dataplane")
        gate.await_line("mire-dataplane is back", count=before + 1, timeout=30)
        gate.await_line("dataplane applied configuration", count=applied + 1, timeout=30)
        is_judged(lab, gate, server)


def test_pings_pass_while_the_dataplane_dies_and_returns(lab, gate):
    before = backs(gate)
    ping = lab.popen("wan", "ping", "-n", "-q", "-c", "100", "-i", "0.05", lab.postfix(), stdout=-1, text=True)
    time.sleep(1)
    gate.kill("mire-dataplane")
    output = ping.communicate(timeout=30)[0]
    assert " 0% packet loss" in output, output
    gate.await_line("mire-dataplane is back", count=before + 1, timeout=30)
