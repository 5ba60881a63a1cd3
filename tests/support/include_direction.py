#!/usr/bin/python3
"""include_direction - holds every #include to the table of docs/architecture.md: who may include whom.

  include_direction.py [REPOSITORY]

Reads lines, compiles nothing. Prints each include that goes the wrong way, and ends with 1 if there is one.
"""

import pathlib
import re
import sys

RECORDS = {"base", "wire", "policy"}
PURE = RECORDS | {"smtp", "flow", "source", "hold", "defer", "mailbox"}

# room -> rooms that it may include besides itself; a room that is not here may not exist
MAY = {
    "dataplane/base": set(),
    "dataplane/wire": {"base"},
    "dataplane/policy": {"base"},
    "dataplane/smtp": {"base"},
    "dataplane/flow": RECORDS,
    "dataplane/source": RECORDS | {"smtp"},
    "dataplane/hold": RECORDS,
    "dataplane/defer": RECORDS,
    "dataplane/mailbox": RECORDS | {"smtp"},
    "dataplane/port": {"base", "wire", "ebpf"},
    "dataplane/lcore": PURE | {"port", "ebpf"},
    "dataplane": PURE | {"port", "lcore", "ebpf"},  # main.cc
    "ebpf": {"base", "wire"},
    "controlplane": RECORDS | {"smtp", "mailbox", "controlplane"},  # and its folders, but for those that follow
    "controlplane/reputation": RECORDS,
    "controlplane/store": {"base"},
    "tools": PURE | {"lcore", "controlplane"},      # mire-replay shares the rooms, not a copy
    "tests": None,                                  # tests see everything
}
# rooms that name no DPDK type cannot include one
DPDK = {"dataplane/port", "dataplane/lcore", "dataplane", "tests"}
DPDK_HEADER = re.compile(r"#\s*include\s+[<\"](rte_|ethdev_|bus_)")
INCLUDE = re.compile(r"#\s*include\s+\"([^\"]+)\"")
SOURCES = {".h", ".cc", ".c", ".cpp", ".hpp"}


def room_of(path):
    """'dataplane/wire/parse.h' -> 'dataplane/wire'; None for what is in no room."""
    parts = pathlib.PurePosixPath(path).parts
    if "/".join(parts[:2]) in MAY and len(parts) > 2:
        return "/".join(parts[:2])
    if parts[0] == "dataplane":
        return "dataplane/" + parts[1] if len(parts) > 2 else "dataplane"
    return parts[0] if len(parts) > 1 else None


def short(room):
    return room.removeprefix("dataplane/")


def wrong_includes(root):
    for top in ("dataplane", "ebpf", "controlplane", "tools", "tests"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            name = path.relative_to(root).as_posix()
            room = room_of(name)
            if room not in MAY:
                yield f"{name}: room {room} is not in the table of tests/support/include_direction.py"
                continue
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                if DPDK_HEADER.search(line) and room not in DPDK:
                    yield f"{name}:{number}: {room} includes DPDK: {line.strip()}"
                included = INCLUDE.search(line)
                if not included or MAY[room] is None:
                    continue
                target = room_of(included[1])
                if target is None or not (root / included[1]).exists():
                    continue  # beside the file, or a library's
                inside = target.startswith("controlplane/") and "controlplane" in MAY[room]
                if target != room and short(target) not in MAY[room] and not inside:
                    yield f"{name}:{number}: {room} may not include {target} ({included[1]})"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    wrong = list(wrong_includes(root))
    print("\n".join(wrong) if wrong else "every include goes the right way")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
