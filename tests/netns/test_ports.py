"""Ports that are no kernel interface: net_null, net_pcap and net_memif carry the wire too, and a wrong one is refused in one line."""

import os
import shutil
import signal
import subprocess
import time

import pytest

import capture
import gate as gates
import peers
import segment as wire
from dataplane import Dataplane, Mired
from peers import Server, connect, read_reply, read_until_end
from segment import ACK, PSH, SYN, Segment
from tap import Tap

CLIENT_MAC, SERVER_MAC = b"\2\0\0\1\0\1", b"\2\0\0\1\0\2"
STRANGER, BLOCKED, SERVER = "198.18.1.1", "198.18.5.1", "198.18.0.30"


# -- net_null

def test_null_ports_forward_and_stop_cleanly(lab, tmp_path):
    with Dataplane(tmp_path, "vdev:net_null0,size=128", "vdev:net_null1") as dataplane:
        for counter in ("received_wan", "received_lan", "sent_wan", "sent_lan"):
            dataplane.await_counter(counter, 100_000)
        ports = dataplane.telemetry("/mire/interfaces")
        assert ports["wan"]["name"] == "net_null0" and ports["lan"]["name"] == "net_null1"
        assert ports["wan"]["received"] > 0 and ports["lan"]["sent"] > 0
        stats = dataplane.telemetry("/mire/stats")["total"]
        assert stats["frames_in_wan"] * 128 <= stats["bytes_in_wan"] <= (stats["frames_in_wan"] + 64) * 128
        assert dataplane.counter("tx_full_wan") == 0
        assert dataplane.telemetry("/mire/flows")["tracked"] == 0
        assert dataplane.stop() == 0
        assert not dataplane.socket.exists()
        assert not os.path.exists(f"/var/run/dpdk/{dataplane.prefix}")


def test_a_null_wire_of_two_lcores_forwards_on_both(lab, tmp_path):
    with Dataplane(tmp_path, "vdev:net_null0", "vdev:net_null1", "--lcores", "2") as dataplane:
        for lcore in ("0", "1"):
            end = time.monotonic() + 20
            while dataplane.telemetry(f"/mire/stats,{lcore}").get("sent_lan", 0) < 10_000:
                assert time.monotonic() < end, f"lcore {lcore} forwards nothing"
                time.sleep(0.02)
        assert dataplane.stop(signal.SIGINT) == 0


def test_null_ports_take_settings_from_mired(lab, tmp_path):
    with Dataplane(tmp_path, "vdev:net_null0", "vdev:net_null1") as dataplane, Mired(dataplane, gates.config()) as mired:
        before = dataplane.counter("received_wan")
        dataplane.await_counter("received_wan", before + 10_000)
        assert mired.stop() == 0
        assert dataplane.stop() == 0


# -- net_pcap

def tcp(src, dst, flags, payload=b"", sport=40000, dport=25, **fields):
    return wire.frame(Segment(src, dst, sport, dport, 1000, 0 if flags == SYN else 2000, flags, payload=payload, **fields),
                      SERVER_MAC, CLIENT_MAC)


def udp(src, dst, payload):
    head = (40000).to_bytes(2, "big") + (53).to_bytes(2, "big") + (8 + len(payload)).to_bytes(2, "big") + b"\0\0"
    return wire.ethernet(SERVER_MAC, CLIENT_MAC, src) + wire.ip_packet(src, dst, 17, head + payload)


def of_every_kind():
    """Frames that pass whatever the settings say: nothing of them begins a connection that a stranger could be held for."""
    arp = b"\xff" * 6 + CLIENT_MAC + bytes.fromhex("0806000108000604000102000001") + b"\0" * 24
    six, six_server = "2001:db8:1:1::1", "2001:db8:25::30"
    frames = [
        arp.ljust(60, b"\0"),
        udp(STRANGER, SERVER, b"q" * 18), udp(six, six_server, b"q" * 300),
        wire.ethernet(SERVER_MAC, CLIENT_MAC, STRANGER) + wire.ip_packet(STRANGER, SERVER, 1, b"\x08\0\xf7\xff\0\0\0\0"),
        tcp(STRANGER, SERVER, SYN, dport=80), tcp(STRANGER, SERVER, ACK | PSH, b"GET / HTTP/1.0\r\n\r\n", dport=80),
        tcp(STRANGER, SERVER, ACK | PSH, b"joined mid-stream\r\n"), tcp(six, six_server, ACK | PSH, b"joined mid-stream\r\n"),
        tcp(STRANGER, SERVER, ACK | PSH, b"x" * 1446), tcp(STRANGER, SERVER, ACK | PSH, b"tagged\r\n", sport=40001, vlans=(7,)),
        tcp(STRANGER, SERVER, ACK | PSH, b"tagged twice\r\n", sport=40002, vlans=(7, 8)),
        *wire.fragments(Segment(STRANGER, SERVER, 40003, 80, 1, 1, ACK, payload=b"f" * 1200), SERVER_MAC, CLIENT_MAC, 512, 77),
        SERVER_MAC + CLIENT_MAC + b"\x88\xcc" + b"lldp".ljust(46, b"\0"), SERVER_MAC + CLIENT_MAC + b"\x08\0" + b"no IPv4".ljust(46, b"\0"),
        SERVER_MAC + CLIENT_MAC + b"\x12\x34" + bytes(range(256)) * 6,   # more than an MTU of 1500 lets through
        SERVER_MAC + CLIENT_MAC + b"\x12\x34" + bytes(range(256)) * 15,  # more than one packet buffer
        SERVER_MAC + CLIENT_MAC + b"\x12\x34",                           # nothing behind the header
    ]
    assert len(set(frames)) == len(frames)
    return frames


def in_and_out(side, folder, incoming, **more):
    capture.write(folder / f"{side}-in.pcap", incoming)
    words = "".join(f",{key}={value}" for key, value in more.items())
    return f"vdev:net_pcap_{side},rx_pcap={folder}/{side}-in.pcap,tx_pcap={folder}/{side}-out.pcap{words}"


def test_a_capture_comes_out_at_the_other_side_byte_for_byte(lab, tmp_path):
    from_wan = of_every_kind() * 40  # many bursts
    from_lan = [frame[6:12] + frame[:6] + frame[12:] for frame in of_every_kind()[::-1]] * 3
    with Dataplane(tmp_path, in_and_out("wan", tmp_path, from_wan), in_and_out("lan", tmp_path, from_lan)) as dataplane:
        dataplane.await_counter("sent_lan", len(from_wan))
        dataplane.await_counter("sent_wan", len(from_lan))
        assert dataplane.stop() == 0
    assert capture.read(tmp_path / "lan-out.pcap") == from_wan
    assert capture.read(tmp_path / "wan-out.pcap") == from_lan


def test_what_the_settings_block_is_missing_from_the_output_and_nothing_else(lab, tmp_path):
    passing = of_every_kind()
    passing = [frame for frame in passing if len(frame) < 1600]  # infinite_rx has no jumbo frames
    blocked = [tcp(BLOCKED, SERVER, SYN, sport=port) for port in (41000, 41001)]
    looped = [*passing[:3], blocked[0], *passing[3:], blocked[1]]
    wan = in_and_out("wan", tmp_path, looped, infinite_rx=1)
    with Dataplane(tmp_path, wan, in_and_out("lan", tmp_path, [])) as dataplane, Mired(dataplane, gates.config()):
        dataplane.await_counter("blocked", 5 * len(blocked))
        assert dataplane.stop() == 0
    out = capture.read(tmp_path / "lan-out.pcap")
    last = max(number for number, frame in enumerate(out) if frame in blocked)  # of the time before the settings
    judged = out[last + 1:]
    assert len(judged) >= 3 * len(passing)
    begin = passing.index(judged[0])
    rounds = (passing[begin:] + passing * (len(judged) // len(passing) + 1))[:len(judged)]
    assert judged == rounds


# -- net_memif

class Carrier:
    """The other process: carries frames between the lab's interfaces and the two memifs of the dataplane."""

    def __init__(self, lab, folder, dataplane):
        devices = []
        for side, port in lab.facts["ports"].items():
            devices += ["--vdev", f"net_af_packet_{side},iface={port}", "--vdev", f"net_memif_{side},role=client,{socket_of(folder, side)}"]
        self.output, self.prefix = folder / "testpmd.out", f"{dataplane.prefix}-peer"
        cpu = min(os.sched_getaffinity(0))  # it never sleeps: not on the CPU of the dataplane's first lcore
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                lab.command("gw", "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "--no-shconf", "--file-prefix",
                            self.prefix, "--lcores", f"0@{cpu},1@{cpu}", *devices, "--", "--forward-mode=io", "--auto-start",
                            "--total-num-mbufs=16384", "--no-lsc-interrupt"),
                stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()  # as Enter does
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)


def socket_of(folder, side):
    return f"socket={folder}/{side}.memif,socket-abstract=no"


@pytest.fixture(scope="module")
def memif(lab, tmp_path_factory):
    """Dataplane and mired on two memifs; testpmd at their other ends, with the lab's real peers behind it."""
    folder = tmp_path_factory.mktemp("memif")
    ports = [f"vdev:net_memif_{side},role=server,{socket_of(folder, side)}" for side in ("wan", "lan")]
    with Dataplane(folder, *ports) as dataplane, Mired(dataplane, gates.config()) as mired, Carrier(lab, folder, dataplane) as testpmd:
        end = time.monotonic() + 30
        while lab.run("wan", "ping", "-n", "-c", "1", "-W", "1", "-I", lab.client("trusted"), lab.server()).returncode != 0:
            assert testpmd.process.poll() is None and time.monotonic() < end, testpmd.output.read_text(errors="replace")[-3000:]
        yield dataplane
        assert testpmd.process.poll() is None, testpmd.output.read_text(errors="replace")[-3000:]
        assert mired.stop() == 0
        assert dataplane.stop() == 0
        assert not (folder / "wan.memif").exists()


def test_a_stranger_behind_memif_is_held_and_then_served(lab, memif, family, report):
    client, server = lab.client(family=family), lab.server(family)
    with Server(lab, server) as mail, Tap(lab, "wan") as tap:
        connection = connect(lab, client, server)
        assert read_reply(connection) == peers.GREETING
        connection.sendall(b"EHLO behind.example\r\n")
        assert read_reply(connection).startswith(b"250")
        connection.sendall(b"QUIT\r\n")
        assert read_until_end(connection)[1] == "fin"
        connection.close()
        mail.ended(client)
        held = tap.hold_of(client)
        assert held >= 0.8
        report("hold", f"{held * 1000:.1f} ms")
        assert all(seen.checksum_ok for seen in tap.segments(dst=client))


def test_an_early_talker_behind_memif_is_cut_off(lab, memif, family):
    client, server = lab.client(family=family), lab.server(family)
    with Server(lab, server):
        connection = connect(lab, client, server)
        connection.sendall(b"EHLO early.example\r\n")
        assert read_until_end(connection) == (b"", "reset")
        connection.close()
    memif.await_counter("early_talk", 1)


def test_other_traffic_passes_behind_memif_both_ways(lab, memif, family):
    client, server = lab.client("trusted", family), lab.server(family)
    done = lab.run("wan", "ping", "-n", "-c", "20", "-i", "0.02", "-s", "1400", "-I", client, server)
    assert " 0% packet loss" in done.stdout, done.stdout + done.stderr
    done = lab.run("lan", "ping", "-n", "-c", "20", "-i", "0.02", "-I", server, client)
    assert " 0% packet loss" in done.stdout, done.stdout + done.stderr


# -- what cannot be

REFUSED = {
    "a driver that DPDK does not have": (["--wan", "vdev:net_nosuch0", "--lan", "vdev:net_null1"], ["net_nosuch0"]),
    "a driver's argument that it does not know": (["--wan", "vdev:net_null0,sise=64", "--lan", "vdev:net_null1"], ["net_null0"]),
    "a capture that is not there": (["--wan", "vdev:net_pcap0,rx_pcap=/nonexistent/in.pcap", "--lan", "vdev:net_null1"],
                                    ["net_pcap0", "/nonexistent/in.pcap"]),
    "a device that is no network device": (["--wan", "vdev:crypto_null0", "--lan", "vdev:net_null1"], ["--wan", "crypto_null0"]),
    "another device of no driver": (["--wan", "vdev:net_null0", "--lan", "vdev:net_null1", "--vdev", "net_nosuch1"], ["net_nosuch1"]),
    "another device that is no network device": (["--wan", "vdev:net_null0", "--lan", "vdev:net_null1", "--vdev", "foo"], ["--vdev", "foo"]),
    "a PCI address where nothing is": (["--wan", "0000:fe:1f.7", "--lan", "vdev:net_null1"], ["0000:fe:1f.7"]),
    "a PCI address of no form": (["--wan", "0000:fe:1f.9", "--lan", "vdev:net_null1"], ["--wan", "0000:fe:1f.9"]),
    "the same device twice": (["--wan", "vdev:net_null0", "--lan", "vdev:net_null0"], ["net_null0"]),
    "more queues than the device has": (["--wan", "vdev:net_pcap0,rx_pcap={pcap},tx_pcap=/dev/null", "--lan", "vdev:net_null1",
                                         "--lcores", "2"], ["net_pcap0", "--lcores 1"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(lab, tmp_path, case):
    words, told = REFUSED[case]
    capture.write(tmp_path / "some.pcap", of_every_kind())
    words = [word.format(pcap=tmp_path / "some.pcap") for word in words]
    prefix = f"t{os.getpid()}-refused"
    done = subprocess.run([gates.PROGRAMS["mire-dataplane"], *words, "--socket", tmp_path / "s.sock", "--file-prefix", prefix,
                           "--flows", "4096"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "running without hugepages" not in line]
    assert len(lines) == 1 and lines[0].startswith("mire-dataplane: "), lines
    for part in told:
        assert part in lines[0], lines[0]
    assert not os.path.exists(f"/var/run/dpdk/{prefix}") and not (tmp_path / "s.sock").exists()
