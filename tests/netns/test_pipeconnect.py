"""Exim's PIPECONNECT: hidden from strangers, and a client that still knows it from before is waited for, not reset."""

import pytest

import exim
from tap import Tap


@pytest.fixture(scope="module", autouse=True)
def exim_is_here():
    reason = exim.unavailable()
    if reason:
        pytest.skip(f"no Exim: {reason}")


@pytest.fixture
def server(lab, family):
    with exim.Server(lab, lab.server(family)) as made:
        yield made


def test_an_exim_that_does_not_pipeline_is_held_and_delivers(lab, gate, server, family):
    client = exim.Client(lab, f"plain{family}")
    source = lab.client(family=family)
    with Tap(lab, "wan") as tap:
        assert client.deliver(source, server.address, pipe_connect=False), client.story()
        assert tap.hold_of(source) >= 0.8
    assert server.taken() == 1
    assert gate.events(source=source, reason="early_talk") == []


def test_the_keyword_is_hidden_from_strangers_and_both_messages_arrive(lab, gate, server, family):
    client = exim.Client(lab, f"hidden{family}")
    source = lab.client(family=family)
    before = gate.counter("pipeconnect_hidden")
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        assert client.deliver(source, server.address), client.story()
        assert client.deliver(source, server.address), client.story()
        said = b"".join(seen.payload for seen in lan.segments(dst=source))
        heard = b"".join(seen.payload for seen in wan.segments(dst=source))
        assert b"PIPECONNECT" in said.upper().replace(b"_", b"").replace(b"PIPE_CONNECT", b"PIPECONNECT"), "the server offers none"
        assert b"PIPECONNECT" not in heard.upper().replace(b"_", b"")
        assert len(said) >= len(heard)
        assert all(seen.checksum_ok for seen in wan.segments(dst=source))
    gate.await_counter("pipeconnect_hidden", before + 1)
    assert gate.events(source=source, reason="early_talk") == []
    assert server.taken() == 2


def test_a_client_that_knows_it_from_before_is_waited_for_not_reset(lab, gate, server, family):
    client = exim.Client(lab, f"knows{family}")
    stranger = lab.client(family=family)
    # the server is known as one that offers it once it was hidden from somebody
    assert exim.Client(lab, f"first{family}").deliver(lab.client(family=family), server.address)
    # the client learnt it while it was trusted
    trusted = lab.client("trusted", family)
    with Tap(lab, "wan") as tap:
        assert client.deliver(trusted, server.address), client.story()
        heard = b"".join(seen.payload for seen in tap.segments(dst=trusted))
        assert b"PIPECONNECT" in heard.upper().replace(b"_", b""), "trusted sources see the keyword"
    before = gate.counter("early_hello")
    with Tap(lab, "wan") as wan, Tap(lab, "lan") as lan:
        assert client.deliver(stranger, server.address), client.story() + wan.story(stranger)
        first_said = next(seen for seen in wan.segments(src=stranger) if seen.payload)
        first_heard = next(seen for seen in wan.segments(dst=stranger) if seen.payload)
        assert first_said.time < first_heard.time, "it did not speak early: this test shows nothing\n" + wan.story(stranger)
        assert wan.hold_of(stranger) >= 0.8
        released = first_heard.time
        assert [seen for seen in lan.segments(src=stranger) if seen.payload and seen.time < released - 0.001] == []
    gate.await_counter("early_hello", before + 1)
    assert gate.events(source=stranger, reason="early_talk") == []
    assert gate.events(source=stranger, **{"class": "suspect"}) == []


def test_a_trusted_exim_may_pipeline_from_its_first_segment_on(lab, gate, server, family):
    client = exim.Client(lab, f"trusted{family}")
    source = lab.client("trusted", family)
    with Tap(lab, "wan") as tap:
        for _ in range(2):
            assert client.deliver(source, server.address), client.story()
        together = [seen for seen in tap.segments(src=source) if b"EHLO" in seen.payload and b"MAIL FROM" in seen.payload]
        assert together, "it did not pipeline past EHLO: this test shows nothing\n" + tap.story(source)
    assert server.taken() == 2
