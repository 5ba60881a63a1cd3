#!/usr/bin/python3
"""wire_bench - what the wire costs between real interfaces: figures of docs/performance.md, in a lab of its own.

  wire_bench.py xsk [--rounds N]        frames a second through the judged path, against dpdk-testpmd io on the same two ports
  wire_bench.py fast-path [--rounds N]  CPU time a frame for what is not SMTP, against a Linux bridge on the same two ports
  wire_bench.py holds [--flows N]       CPU time of the dataplane for N clients that wait in silence for their greeting
  wire_bench.py flood                   who is served beside silent floods, and what they cost the mail server

  wire_bench.py trap [--flows N]        N blocked clients (100,000) that are held in a trap, and what the dataplane keeps of them

  --tiny   a second or two of each: that it works, no figure to believe
  --json   one line for programs

Needs root; MIRE_BUILD chooses the build. It judges no figure: it prints them, with the goal beside. Frames come from the kernel
(live frames of BPF_PROG_TEST_RUN), so that making them costs some 50 ns.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE)]

import flood                # noqa: E402
import lab as labs          # noqa: E402
import trapped              # noqa: E402
import wire_fast_path       # noqa: E402
import wire_holds           # noqa: E402
import wire_xsk             # noqa: E402

BENCHES = {"xsk": wire_xsk, "fast-path": wire_fast_path, "holds": wire_holds, "flood": flood, "trap": trapped}


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def told_to_end(*_):
    sys.exit(143)  # by way of every `finally`


def main():
    parser = argparse.ArgumentParser(prog="wire_bench.py", usage=__doc__, allow_abbrev=False)
    parser.add_argument("bench", choices=BENCHES)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--flows", type=int)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("wire_bench.py: network namespaces need root")
    signal.signal(signal.SIGTERM, told_to_end)
    bench = BENCHES[options.bench]
    lab = labs.Lab(f"b{os.getpid()}")
    try:
        figures = bench.run(lab, options)
    finally:
        lab.down()
    for name, value in figures.items():
        figures[name] = spread(value) if isinstance(value, list) else value
    if options.json:
        print(json.dumps(figures))
        return 0
    for name, value in figures.items():
        text = f"{value['median']:.4g} ({value['least']:.4g} to {value['most']:.4g})" if isinstance(value, dict) else f"{value:.4g}"
        print(f"{name:48} {text}")
    print(bench.goal(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
