"""A stranger waits for the greeting and is then served; whoever is known does not wait; whoever is blocked gets nothing."""

import re
import shutil
import socket
import subprocess
import time

import pytest

import peers
from lab import family_of
from peers import Server, connect, deliver, read_reply
from segment import SYN
from tap import Tap

UNKNOWN_MIN_S, UNKNOWN_MAX_S = 0.8, 1.2
SYN_ACK_MIN_S, SUSPECT_MIN_S = 0.3, 1.5


def reports_hold(report, held, least, most):
    """Never early; how late is told, not judged."""
    assert held >= least, f"greeted after {held:.6f} s, the least hold is {least} s"
    report("hold", f"{held * 1000:.1f} ms of {least * 1000:.0f} to {most * 1000:.0f}, beyond by {max(0.0, held - most) * 1000:.1f}")


def delivered_to(lab, recipient, timeout=10):
    end = time.monotonic() + timeout
    while not re.search(f"to=<{recipient}>.*status=sent", lab.maillog()):
        assert time.monotonic() < end, f"Postfix delivered nothing to {recipient}"
        time.sleep(0.05)


def test_a_stranger_is_held_and_then_delivered(lab, gate, family, report):
    client = lab.client(family=family)
    recipient = f"held{family}@lab.example"
    with Tap(lab, "wan") as tap:
        deliver(lab, client, lab.postfix(family), recipient=recipient)
        reports_hold(report, tap.hold_of(client), UNKNOWN_MIN_S, UNKNOWN_MAX_S)
    delivered_to(lab, recipient)
    event = gate.await_event(source=client, reason="deadline")
    assert event["class"] == "unknown"


@pytest.mark.parametrize("kind", ["trusted", "known", "exempt"])
def test_a_source_with_a_good_name_is_greeted_at_once(lab, gate, family, kind):
    client = lab.client(kind, family)
    before = gate.counter("deadline")
    started = time.monotonic()
    connection = connect(lab, client, lab.postfix(family))
    assert read_reply(connection).startswith(b"220 ")
    took = time.monotonic() - started
    connection.close()
    assert gate.counter("deadline") == before, "it was held"
    assert took < UNKNOWN_MIN_S


def test_a_suspect_waits_for_the_syn_ack_and_for_the_greeting(lab, gate, family, report):
    client = lab.client("suspect", family)
    with Tap(lab, "wan") as tap:
        connection = connect(lab, client, lab.postfix(family))
        assert read_reply(connection).startswith(b"220 ")
        connection.close()
        syn = tap.segments(src=client)[0]
        answer = tap.segments(dst=client)[0]
        assert syn.has(SYN) and answer.has(SYN)
        assert answer.time - syn.time >= SYN_ACK_MIN_S
        report("SYN-ACK held", f"{(answer.time - syn.time) * 1000:.1f} ms")
        reports_hold(report, tap.hold_of(client), SUSPECT_MIN_S, 1.8)


def test_a_blocked_source_gets_no_answer_and_its_syns_do_not_reach_the_server(lab, gate, family):
    client = lab.client("blocked", family)
    with Tap(lab, "lan") as tap:
        with pytest.raises(TimeoutError):
            connect(lab, client, lab.postfix(family), timeout=2.5)
        assert tap.segments(src=client) == []
    gate.await_counter("blocked", 1)


def test_a_greeting_of_several_lines_is_held_whole(lab, gate, family, report):
    client, address = lab.client(family=family), lab.server(family)
    lines = (b"220-one\r\n", b"220-two\r\n220-th", b"ree\r\n", b"220 four\r\n")
    with Server(lab, address, greeting=lines, gap_s=0.1), Tap(lab, "wan") as tap:
        connection = connect(lab, client, address)
        greeting = read_reply(connection)
        assert greeting == b"".join(lines)
        reports_hold(report, tap.hold_of(client), UNKNOWN_MIN_S, UNKNOWN_MAX_S)
        connection.sendall(b"EHLO client.example\r\n")
        assert read_reply(connection).startswith(b"250")
        connection.sendall(b"QUIT\r\n")
        assert read_reply(connection).startswith(b"221")


def test_what_the_server_repeats_while_held_is_not_forwarded(lab, gate, family):
    client, address = lab.client(family=family), lab.server(family)
    with Server(lab, address), Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        connection = connect(lab, client, address)
        read_reply(connection)
        time.sleep(0.3)
        sent = [seen for seen in lan.segments(dst=client) if seen.payload]
        came = [seen for seen in wan.segments(dst=client) if seen.payload]
        assert len(sent) >= 2, "the server repeated nothing: this test shows nothing\n" + lan.story(client)
        first_out = came[0].time
        assert first_out - wan.handshake_at(client) >= UNKNOWN_MIN_S
        assert len(came) == 1, "\n" + wan.story(client)
        connection.close()


def test_the_released_greeting_carries_the_servers_latest_timestamps(lab, gate, family):
    """The timestamp is that of the latest repetition, so that PAWS and the server's RTT estimate stay honest (RFC 7323 3.2)."""
    client, address = lab.client(family=family), lab.server(family)
    with Server(lab, address), Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        connection = connect(lab, client, address)
        read_reply(connection)
        released = next(seen for seen in wan.segments(dst=client) if seen.payload)
        repeats = [seen for seen in lan.segments(dst=client) if seen.payload and seen.time < released.time]
        assert released.options == repeats[-1].options
        assert released.ack == repeats[-1].ack
        assert released.checksum_ok
        connection.close()


def test_a_slow_greeting_of_the_servers_own_counts_towards_the_hold(lab, gate, family):
    client, address = lab.client(family=family), lab.server(family)
    before = gate.counter("hold_over")
    with Server(lab, address, pause_s=1.5), Tap(lab, "lan") as lan, Tap(lab, "wan") as wan:
        connection = connect(lab, client, address)
        assert read_reply(connection) == peers.GREETING
        connection.close()
        gate.await_counter("hold_over", before + 1)
        assert len([seen for seen in lan.segments(dst=client) if seen.payload]) == 1, "it was held, and repeated"
        assert wan.first_byte_at(client) >= lan.first_byte_at(client)


@pytest.mark.parametrize("greeting", [b"554 no service here\r\n", b"421 come later\r\n"])
def test_a_refusing_greeting_passes_at_once(lab, gate, greeting):
    client, address = lab.client(), lab.server()
    before = gate.counter("greeting_refused")
    with Server(lab, address, greeting=(greeting,)):
        connection = connect(lab, client, address)
        assert read_reply(connection) == greeting
        connection.close()
    gate.await_counter("greeting_refused", before + 1)


def test_fifty_strangers_at_once_are_all_held_and_all_served(lab, gate, report):
    clients = [lab.client() for _ in range(50)]
    with Tap(lab, "wan") as tap:
        connections = [connect(lab, client, lab.postfix()) for client in clients]
        assert all(read_reply(connection).startswith(b"220 ") for connection in connections)
        holds = [tap.hold_of(client) for client in clients]
        assert min(holds) >= UNKNOWN_MIN_S
        assert len({round(held, 2) for held in holds}) > 5, "random holds should differ"
        report("holds", f"{min(holds) * 1000:.0f} to {max(holds) * 1000:.0f} ms, latest beyond by {(max(holds) - UNKNOWN_MAX_S) * 1000:.1f}")
        for connection in connections:
            connection.close()


def test_swaks_delivers(lab, gate, family):
    done = lab.run("wan", "swaks", "--server", lab.postfix(family), "--local-interface", lab.client(family=family), "--from",
                   "a@client.example", "--to", f"swaks{family}@lab.example")
    assert done.returncode == 0, done.stdout + done.stderr
    delivered_to(lab, f"swaks{family}@lab.example")


def test_swaks_delivers_under_starttls(lab, gate, family):
    done = lab.run("wan", "swaks", "--server", lab.postfix(family), "--local-interface", lab.client(family=family), "--from",
                   "a@client.example", "--to", f"tls{family}@lab.example", "--tls")
    assert done.returncode == 0, done.stdout + done.stderr
    delivered_to(lab, f"tls{family}@lab.example")


def test_smtp_source_delivers_from_many_sessions(lab, gate):
    """It binds no address of our choice: the kernel takes the first of the interface."""
    started = time.monotonic()
    done = lab.run("wan", "smtp-source", "-c", "-s", "10", "-m", "30", "-f", "a@client.example", "-t", "source@lab.example",
                   f"inet:{lab.postfix()}:25")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started >= UNKNOWN_MIN_S
    end = time.monotonic() + 10
    while lab.maillog().count("to=<source@lab.example>") < 30:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_curl_delivers(lab, gate, family, tmp_path):
    mail = tmp_path / "mail"
    mail.write_text("Subject: curl\r\n\r\nhello\r\n")
    server = lab.postfix(family)
    host = f"[{server}]" if family == 6 else server
    done = lab.run("wan", "curl", "-sS", "--interface", lab.client(family=family), f"smtp://{host}:25/client.example", "--mail-from",
                   "a@client.example", "--mail-rcpt", f"curl{family}@lab.example", "-T", str(mail))
    assert done.returncode == 0, done.stdout + done.stderr
    delivered_to(lab, f"curl{family}@lab.example")


def test_a_connection_from_the_lan_side_is_never_held(lab, gate, family):
    """Outbound mail: a server of the wan side greets, a client of the lan side reads."""
    server, client = lab.client("exempt", family), lab.server(family)
    held = gate.counter("greeting_held")
    with Server(lab, server, side="wan"):
        with lab.inside("lan"):
            connection = socket.socket(family_of(client), socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.bind((client, 0))
        connection.connect((server, 25))
        connection.sendall(b"EHLO eager.example\r\n")  # not judged either
        heard = b""
        while not heard.endswith(b"250 8BITMIME\r\n"):
            heard += connection.recv(1000)
        assert heard.startswith(peers.GREETING)
        connection.close()
    assert gate.counter("greeting_held") == held


def test_each_hold_is_logged_with_source_class_verdict_reason_and_length(lab, gate):
    client = lab.client()
    deliver(lab, client, lab.postfix())
    event = gate.await_event(source=client, reason="deadline")
    assert event["class"] == "unknown"
    assert event["verdict"] == "release"
    assert 0.8 <= event["hold"] < 30
    assert "time" in event


def test_telemetry_is_readable_with_dpdks_own_tool(lab, gate):
    tool = shutil.which("dpdk-telemetry.py")
    if not tool:
        pytest.skip("dpdk-telemetry.py is not installed (package dpdk-dev)")
    prefix = gate.telemetry_path().split("/")[4]
    done = subprocess.run([tool, "-f", prefix], input="/mire/stats\n/mire/flows\n/mire/interfaces\n/mire/sources,198.18.1.1\nquit\n",
                          capture_output=True, text=True, timeout=30)
    for command in ("/mire/stats", "/mire/flows", "/mire/interfaces", "/mire/sources"):
        assert f'"{command}"' in done.stdout, done.stdout + done.stderr
