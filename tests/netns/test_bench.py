"""The benches of the wire still run. No figure is judged here: docs/performance.md says what they are."""

import json
import pathlib
import subprocess

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench/wire_bench.py"


def figures(*words, size="--tiny"):
    done = subprocess.run(["/usr/bin/python3", BENCH, *words, size, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("bench", ["xsk", "fast-path"])
def test_frames_go_through_all_that_is_compared(lab, bench):
    found = figures(bench)
    for name, value in found.items():
        if name.endswith(("frames/s", "arrived")):
            assert value["median"] > 0, name


def test_beside_a_silent_flood_everybody_else_is_served(lab):
    found = figures("flood")
    assert found["defer, 50/s: served"] == found["defer, 50/s: asked"] == 30
    assert found["defer, 50/s: silent ones greeted a second"] > 0
    assert found["defer, 50/s: SYN cookies sent"] == found["defer, 50/s: listen overflows"] == 0


def test_silent_clients_are_held_and_greeted(lab):
    found = figures("holds")
    assert found["flows"] == 200 and found["frames judged"] >= 4 * 200


def test_a_hundred_thousand_trapped_clients_are_held_without_a_byte_of_state(lab, report):
    """The whole size: it takes less than a minute."""
    found = figures("trap", size="--flows=100000")
    assert found["clients"] == found["connected"] == found["probing, and answered"] == 100_000
    assert found["data acknowledged"] == found["windows opened"] == found["ended"] == 0
    assert found["flows kept"] == found["segments at the server"] == 0
    assert found["packets sent beyond those that came, at any instant"] <= 0
    assert found["bytes sent beyond those that came, at any instant"] <= 0
    assert found["resident memory grew, KiB"] < 4096, "a page or two of a table that nobody had looked into before; 42 bytes for each would show"
    report("trapped", f"{found['clients']} clients in {found['seconds']:.0f} s")
