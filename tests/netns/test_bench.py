"""The benches of the wire still run. No figure is judged here: docs/performance.md says what they are."""

import json
import pathlib
import subprocess

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[1] / "bench/wire_bench.py"


def figures(*words):
    done = subprocess.run(["/usr/bin/python3", BENCH, *words, "--tiny", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120)
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
