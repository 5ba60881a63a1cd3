"""The lab and the product that every test here shares: one lab a session, one product a file (with the file's CONFIG)."""

import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import gate as gates  # noqa: E402
import lab as labs    # noqa: E402

NEEDED = {"ip": "iproute2", "ethtool": "ethtool", "postfix": "postfix", "swaks": "swaks", "smtp-source": "postfix", "curl": "curl",
          "openssl": "openssl", "clang": "clang", "tc": "iproute2", "dpdk-testpmd": "dpdk-dev"}


def why_not():
    if os.geteuid() != 0:
        return "network namespaces need root"
    packages = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if packages:
        return f"missing packages: {' '.join(packages)} (tools/packages test)"
    programs = gates.missing_programs()
    if programs:
        return f"not built: {' '.join(programs)} (ninja -C build)"
    return None


def pytest_collection_modifyitems(items):
    reason = why_not()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def lab():
    made = labs.Lab(f"t{os.getpid()}")
    yield made
    made.down()


@pytest.fixture(scope="module")
def gate(lab, request):
    """The product with the module's CONFIG and ARGUMENTS, if it has any."""
    made = gates.Gate(lab, getattr(request.module, "CONFIG", None), *getattr(request.module, "ARGUMENTS", ()))
    yield made
    code = made.stop()
    assert code == 0, f"tools/run ended with {code}: {made.text()[-3000:]}"


@pytest.fixture(params=[4, 6], ids=["IPv4", "IPv6"])
def family(request):
    return request.param


@pytest.fixture
def report(record_property, capsys):
    """A figure for people: in the JUnit file and on the terminal. Never a reason to fail."""

    def say(name, value):
        record_property(name, value)
        with capsys.disabled():
            print(f"\n    {name}: {value}", end="")

    return say
