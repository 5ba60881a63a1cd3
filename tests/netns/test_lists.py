"""The lists room with real name servers: rbldnsd for DNSBL zones, a small one of our own for SPF trees and for name servers' bad days.

All of it in a network namespace of its own, on its loopback."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from lab import REPOSITORY

BUILD = REPOSITORY / os.environ.get("MIRE_BUILD", "build")
PROBE = BUILD / "tests/unit/lists/lists_probe"
RESPONDER = REPOSITORY / "tests/support/dns_responder.py"

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
              pytest.mark.skipif(not shutil.which("rbldnsd"), reason="missing packages: rbldnsd (tools/packages test)"),
              pytest.mark.skipif(not PROBE.exists(), reason="not built: lists_probe (ninja -C build)")]


class World:
    """A namespace with name servers in it."""

    def __init__(self, name, folder):
        self.name, self.folder, self.servers = name, folder, []
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)

    def start(self, *words):
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, words)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.servers.append(process)
        return process

    def rbldnsd(self, port, **zones):
        """zones: name with _ for . = (type, text)"""
        words = []
        for name, (kind, text) in zones.items():
            path = self.folder / f"{name}.zone"
            path.write_text(text)
            path.chmod(0o644)
            words.append(f"{name.replace('_', '.')}:{kind}:{path}")
        process = self.start("rbldnsd", "-n", "-u", "nobody", "-r", "/", "-b", f"127.0.0.1/{port}", *words)
        self.await_udp(port)
        return process

    def await_udp(self, port):
        end = time.monotonic() + 10
        while f":{port:04X} " not in subprocess.run(["ip", "netns", "exec", self.name, "cat", "/proc/net/udp"], capture_output=True,
                                                    text=True, check=True).stdout:
            assert time.monotonic() < end, f"nobody listens on UDP port {port}"
            time.sleep(0.02)

    def responder(self, port, table, address="127.0.0.1"):
        path = self.folder / f"table-{port}.json"
        path.write_text(json.dumps(table))
        process = self.start(sys.executable, RESPONDER, address, port, path)
        assert process.stdout.readline() == "ready\n"
        return process

    def end(self, process):
        """What it said."""
        process.terminate()
        said = process.communicate(timeout=10)[0]
        self.servers.remove(process)
        return said.splitlines()

    def probe(self, *words, timeout=60):
        done = subprocess.run(["ip", "netns", "exec", self.name, str(PROBE), *map(str, words)], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def down(self):
        for process in list(self.servers):
            self.end(process)
        subprocess.run(["ip", "netns", "del", self.name], check=True)


@pytest.fixture
def world(tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:  # rbldnsd reads its zones as nobody
        if parent.stat().st_uid == os.geteuid() and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o011)
    made = World(f"lists{os.getpid()}", tmp_path)
    yield made
    made.down()


SOA = "$SOA 3000 ns.example root.example 1 600 300 86400 120\n$NS 3000 ns.example\n"


def by_address(lines):
    return {line["address"]: line for line in lines if "address" in line}


def test_rbldnsd_lists_ipv4_and_ipv6_and_a_white_list_weighs_against_it(world):
    world.rbldnsd(5300,
                  bl_example=("ip4set", SOA + "192.0.2.7 :127.0.0.4:spam\n198.51.100.0/24 :127.0.0.2:botnet\n"),
                  six_example=("ip6trie", SOA + "2001:db8:bad::/48 :127.0.0.3:six\n"),
                  white_example=("ip4set", SOA + "198.51.100.25 :127.0.10.1:good\n"))
    lines = world.probe("--server", "127.0.0.1@5300", "dnsbl", "bl.example=4", "six.example=3", "white.example=-5", "--",
                        "192.0.2.7", "192.0.2.8", "198.51.100.25", "2001:db8:bad::1", "2001:db8:900d::1")
    found = by_address(lines)
    assert {address: line["weight"] for address, line in found.items()} == {
        "192.0.2.7": 4, "192.0.2.8": 0, "198.51.100.25": -1, "2001:db8:bad::1": 3, "2001:db8:900d::1": 0}
    assert all(line["complete"] for line in found.values()), found
    assert found["192.0.2.7"]["good_for_seconds"] == 2100, "rbldnsd's default TTL is 35 minutes"
    assert found["192.0.2.7"]["hits"] == [{"zone": "bl.example", "answer": "127.0.0.4", "weight": 4}]
    zones = {zone["zone"]: zone for zone in lines[-1]["zones"]}
    assert zones["bl.example"]["listed"] == 2 and zones["bl.example"]["not_listed"] == 3
    assert lines[-1]["dns"]["failed"] == lines[-1]["dns"]["timeout"] == 0


def test_error_codes_and_strange_answers_of_a_real_zone_harm_nobody(world):
    world.rbldnsd(5300, bl_example=("ip4set", SOA + "0.0.0.0/1 :127.255.255.254:you ask through a public resolver\n"))
    world.responder(5301, {"7.2.0.192.bl.example A": ["203.0.113.9"], "8.2.0.192.bl.example A": "servfail",
                           "9.2.0.192.bl.example A": "refused", "10.2.0.192.bl.example A": "garbage",
                           "11.2.0.192.bl.example A": "silent"})
    lines = world.probe("--server", "127.0.0.1@5300", "dnsbl", "bl.example=9", "--", "20.0.0.1", "30.0.0.1")
    assert [line["weight"] for line in by_address(lines).values()] == [0, 0]
    assert lines[-1]["zones"][0]["error_codes"] == 2
    addresses = [f"192.0.2.{n}" for n in range(7, 12)]
    lines = world.probe("--server", "127.0.0.1@5301", "--timeout", 300, "dnsbl", "bl.example=9", "--", *addresses)
    assert [line["weight"] for line in by_address(lines).values()] == [0] * 5
    zone, server = lines[-1]["zones"][0], lines[-1]["servers"][0]
    assert (server["failed"], server["timeouts"]) == (4, 4), "a server that says SERVFAIL or REFUSED is no silent one"
    assert (zone["outside_127"], zone["failed"], zone["timeouts"]) == (1, 2, 2), zone


def test_a_late_answer_is_waited_for_and_a_silent_server_costs_its_timeout_only(world):
    world.responder(5301, {"7.2.0.192.bl.example A": "late 0.5", "8.2.0.192.bl.example A": "silent"})
    begun = time.monotonic()
    lines = by_address(world.probe("--server", "127.0.0.1@5301", "--timeout", 700, "dnsbl", "bl.example=2", "--", "192.0.2.7",
                                   "192.0.2.8"))
    assert lines["192.0.2.7"]["weight"] == 2
    assert lines["192.0.2.8"]["weight"] == 0
    assert time.monotonic() - begun >= 1.4, "tried twice"


def test_the_next_server_answers_for_one_that_is_dead_or_silent(world):
    world.rbldnsd(5300, bl_example=("ip4set", SOA + "192.0.2.0/24 :127.0.0.2:x\n"))
    world.responder(5301, {f"{n}.2.0.192.bl.example A": "silent" for n in range(1, 41)})
    addresses = [f"192.0.2.{n}" for n in range(1, 41)]
    for dead in (5301, 5399):  # silent; nobody there
        lines = world.probe("--server", f"127.0.0.1@{dead}", "--server", "127.0.0.1@5300", "--timeout", 300, "dnsbl", "bl.example", "--",
                            *addresses)
        assert all(line["weight"] == 1 for line in by_address(lines).values())
        assert lines[-1]["servers"][0]["aside"] and lines[-1]["servers"][0]["timeouts"] >= 4
        assert not lines[-1]["servers"][1]["aside"]


SPF = {
    "d.example TXT": ["v=spf1 include:one.example a:host.example/24//64 mx ip4:192.0.2.1 exists:%{i}.x.example -all", "something else"],
    "d.example MX": ["10 mx1.d.example", "20 mx2.d.example"],
    "one.example TXT": ["v=spf1 ip4:198.51.100.0/25 ip4:198.51.100.128/25 redirect=two.example"],
    "two.example TXT": ["v=spf1 ip6:2001:db8:2::/48 ~all"],
    "host.example A": ["203.0.113.77"], "host.example AAAA": ["2001:db8:1:2:3::4"],
    "mx1.d.example A": ["192.0.2.101"], "mx2.d.example AAAA": ["2001:db8::25"],
    "loop.example TXT": ["v=spf1 ip4:192.0.2.1 include:pool.example"], "pool.example TXT": ["v=spf1 include:loop.example"],
    "void.example TXT": ["v=spf1 ip4:192.0.2.1 a:n1.example a:n2.example a:n3.example -all"],
    "many.example TXT": ["v=spf1 " + " ".join(f"include:i{n}.example" for n in range(11))],
    **{f"i{n}.example TXT": [f"v=spf1 ip4:192.0.2.{4 * n}"] for n in range(11)},
    "fails.example TXT": ["v=spf1 ip4:192.0.2.1 include:servfail.example"], "servfail.example TXT": "servfail",
    "mute.example TXT": ["v=spf1 include:silent.example"], "silent.example TXT": "silent",
    "wide.example TXT": ["v=spf1 ip4:0.0.0.0/0 ip4:192.0.2.0/24 +all"],
    "long.example TXT": ["v=spf1 " + " ".join(f"ip4:10.{n // 100}.{n % 100}.1" for n in range(200)) + " -all"],
    "plain.example TXT": ["hello"],
    "truncate": ["long.example TXT"],
}


def walked(world, *domains):
    server = world.responder(5302, SPF)
    lines = world.probe("--server", "127.0.0.1@5302", "--timeout", 300, "spf", *domains)
    return {line["domain"]: line for line in lines if "domain" in line}, world.end(server), lines[-1]


def test_an_spf_tree_becomes_prefixes(world):
    found, _, servers = walked(world, "d.example")
    assert found["d.example"]["outcome"] == "found", found
    assert found["d.example"]["prefixes"] == ["192.0.2.1/32", "192.0.2.101/32", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::25/128",
                                              "2001:db8:1:2::/64", "2001:db8:2::/48"]
    assert (found["d.example"]["skipped"], found["d.example"]["lookups"], found["d.example"]["ttl"]) == (1, 5, 7200)
    assert servers["outstanding"] == 0


def test_spf_trees_that_are_wrong_end_where_rfc_7208_says(world):
    found, _, _ = walked(world, "loop.example", "void.example", "many.example", "wide.example", "plain.example", "gone.example")
    got = {name: (line["outcome"], line["prefixes"]) for name, line in found.items()}
    assert got["loop.example"] == ("cut_short", ["192.0.2.1/32"])
    assert got["void.example"] == ("cut_short", ["192.0.2.1/32"])
    assert got["many.example"][0] == "cut_short" and len(got["many.example"][1]) == 10
    assert got["wide.example"] == ("found", ["192.0.2.0/24"]) and found["wide.example"]["too_wide"] == 2
    assert got["plain.example"] == got["gone.example"] == ("none", [])


def test_trouble_with_dns_is_no_result(world):
    found, asked, _ = walked(world, "fails.example", "mute.example")
    assert {name: (line["outcome"], line["prefixes"]) for name, line in found.items()} == {
        "fails.example": ("trouble", []), "mute.example": ("trouble", [])}
    assert 1 <= asked.count("udp silent.example TXT") <= 2, "asked, and asked again if its patience allowed"


def test_a_truncated_answer_is_asked_for_again_over_tcp(world):
    found, asked, _ = walked(world, "long.example")
    assert len(found["long.example"]["prefixes"]) == 200, found
    assert "tcp long.example TXT" in asked
