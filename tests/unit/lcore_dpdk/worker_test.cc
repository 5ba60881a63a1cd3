#include "dataplane/lcore/worker.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/lcore_dpdk/bench.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using lcore::Command;

Bytes web(unsigned number) {
  return tcp({.source_port = static_cast<uint16_t>(1024 + number), .destination_port = 80}, kAck, "GET");
}

// A client of each lcore, IPv4.
std::string client_of_lcore(unsigned lcore, unsigned lcores) {
  for (unsigned n = 1; n < 255; ++n) {
    const std::string text = "192.0.2." + std::to_string(n);
    if (lcore::owner_of(*wire::parse_address(text), lcores, Bench::kSeed) == lcore) return text;
  }
  return {};
}

TEST(Worker, ForwardsBurstsOfEverySizeUnchangedAndInOrderBothWays) {
  Bench bench;
  for (const Side from : {Side::wan, Side::lan}) {
    for (unsigned size = 0; size <= 64; ++size) {
      std::vector<Bytes> put;
      for (unsigned i = 0; i < size; ++i) put.push_back(web(i));
      for (const auto& frame : put) bench.port(from).put(frame);
      bench.turn();
      ASSERT_EQ(bench.port(lcore::other(from)).take_all(), put) << size;
      ASSERT_TRUE(bench.port(from).take_all().empty());
    }
  }
  EXPECT_EQ(bench.worker().counters().received[0].get(), 64u * 65 / 2);
  EXPECT_EQ(bench.worker().transmit_counters().frames[1].get(), 64u * 65 / 2);
}

TEST(Worker, ForwardsMailToo) {
  Bench bench;
  const Bytes syn = tcp({}, kSyn);
  bench.port(Side::wan).put(syn);
  bench.turn();
  EXPECT_EQ(bench.port(Side::lan).take(), syn);
}

TEST(Worker, WhatATransmitQueueDoesNotTakeIsCountedAndFreed) {
  Bench bench;
  for (unsigned round = 0; round < 20; ++round) {
    for (unsigned i = 0; i < 64; ++i) bench.port(Side::wan).put(web(i));
    bench.turn();
  }
  const auto& out = bench.worker().transmit_counters();
  EXPECT_EQ(out.frames[1].get() + out.full[1].get(), 20u * 64);
  EXPECT_GT(out.full[1].get(), 0u);
}

TEST(Worker, AFrameOfAnotherLcoresClientIsHandedOver) {
  Bench bench(2);
  const std::string theirs = client_of_lcore(1, 2), ours = client_of_lcore(0, 2);
  const Bytes foreign = tcp({.source = theirs}, kSyn), own = tcp({.source = ours}, kSyn);
  bench.port(Side::wan, 0).put(foreign);
  bench.port(Side::wan, 0).put(own);
  bench.turn();
  EXPECT_EQ(bench.port(Side::lan, 0).take_all(), std::vector<Bytes>{own});
  EXPECT_EQ(bench.port(Side::lan, 1).take_all(), std::vector<Bytes>{foreign});
  EXPECT_EQ(bench.worker(0).counters().handed_over.get(), 1u);
  EXPECT_EQ(bench.worker(1).pipeline_counters().frames_in[0], 1u);
}

TEST(Worker, BothDirectionsOfAFlowMeetOnOneLcore) {
  Bench bench(2);
  const std::string client = client_of_lcore(1, 2);
  bench.port(Side::wan, 0).put(tcp({.source = client}, kSyn));
  bench.port(Side::lan, 0)
      .put(tcp({.source = "198.51.100.25", .destination = client, .source_port = 25, .destination_port = 40000},
               kSyn | kAck));
  bench.turn();
  EXPECT_EQ(bench.worker(1).pipeline_counters().frames_in[0], 1u);
  EXPECT_EQ(bench.worker(1).pipeline_counters().frames_in[1], 1u);
  EXPECT_EQ(bench.port(Side::lan, 1).take_all().size(), 1u);
  EXPECT_EQ(bench.port(Side::wan, 1).take_all().size(), 1u);
}

TEST(Worker, WhatIsNotMailStaysWhereItCame) {
  Bench bench(2);
  bench.port(Side::wan, 0).put(tcp({.source = client_of_lcore(1, 2), .destination_port = 80}, kAck));
  bench.turn();
  EXPECT_EQ(bench.port(Side::lan, 0).take_all().size(), 1u);
  EXPECT_EQ(bench.worker(0).counters().handed_over.get(), 0u);
}

TEST(Worker, AFullRingBetweenLcoresForwardsUnjudged) {
  Bench bench(2);
  const Bytes foreign = tcp({.source = client_of_lcore(1, 2)}, kSyn);
  unsigned forwarded = 0;
  for (unsigned round = 0; round < 20; ++round) {
    for (unsigned i = 0; i < 64; ++i) bench.port(Side::wan, 0).put(foreign);
    bench.worker(0).poll(bench.now);
    forwarded += static_cast<unsigned>(bench.port(Side::lan, 0).take_all().size());
  }
  EXPECT_EQ(bench.worker(0).counters().handed_over.get(), 1023u);
  EXPECT_EQ(bench.worker(0).counters().hand_over_full.get(), 20u * 64 - 1023);
  EXPECT_EQ(forwarded, 20u * 64 - 1023);
}

TEST(Worker, SettingsAreInUseOnceTheyWereTaken) {
  Bench bench;
  const source::Settings settings;
  EXPECT_EQ(bench.worker().settings_in_use(), nullptr);
  ASSERT_TRUE(bench.worker().tell({Command::Kind::use, &settings}));
  bench.turn();
  EXPECT_EQ(bench.worker().settings_in_use(), &settings);
  EXPECT_EQ(bench.worker().commands_done(), 1u);
}

// A flow whose greeting is parked.
void hold_a_greeting(Bench& bench) {
  const Ends up, down{.source = up.destination, .destination = up.source, .source_port = 25, .destination_port = 40000};
  const auto exchange = [&](Side from, const Bytes& frame) {
    bench.port(from).put(frame);
    bench.turn();
    return bench.port(lcore::other(from)).take_all().size();
  };
  ASSERT_EQ(exchange(Side::wan, tcp(up, kSyn)), 1u);
  ASSERT_EQ(exchange(Side::lan, tcp(down, kSyn | kAck, {}, 5000, 1001)), 1u);
  ASSERT_EQ(exchange(Side::wan, tcp(up, kAck, {}, 1001, 5001)), 1u);
  ASSERT_EQ(exchange(Side::lan, tcp(down, kPsh | kAck, "220 mx ready\r\n", 5001, 1001)), 0u) << "not held";
}

TEST(Worker, AHeldGreetingLeavesAtItsDeadlineAndAtOnceWhenAsked) {
  const source::Settings settings;
  for (const bool asked : {false, true}) {
    Bench bench;
    ASSERT_TRUE(bench.worker().tell({Command::Kind::use, &settings}));
    hold_a_greeting(bench);
    if (asked) {
      ASSERT_TRUE(bench.worker().tell({Command::Kind::release_all, nullptr}));
      bench.turn();
    } else {
      for (unsigned ms = 0; ms < 5100; ++ms) {
        bench.wait(milliseconds{1});
        bench.turn();
      }
    }
    const auto out = bench.port(Side::wan).take_all();
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(wire::parse(out[0]).payload_length, 14);
    EXPECT_GT(bench.worker().events().read_available(), 0u);
  }
}

TEST(Worker, AFrameOfOurOwnDoesNotOvertakeTheFramesBeforeIt) {
  // Connect and reset in one burst: a reset that came before the handshake's ACK would find no connection to reset, and
  // the ACK behind it none to belong to.
  const source::Settings settings;
  Bench bench;
  ASSERT_TRUE(bench.worker().tell({Command::Kind::use, &settings}));
  const Ends up, down{.source = up.destination, .destination = up.source, .source_port = 25, .destination_port = 40000};
  bench.port(Side::wan).put(tcp(up, kSyn));
  bench.turn();
  bench.port(Side::lan).put(tcp(down, kSyn | kAck, {}, 5000, 1001));
  bench.turn();
  bench.port(Side::lan).take_all();

  const Bytes ack = tcp(up, kAck, {}, 1001, 5001), other = web(7);
  bench.port(Side::wan).put(ack);
  bench.port(Side::wan).put(other);
  bench.port(Side::wan).put(tcp(up, kRst, {}, 1001, 0));
  bench.port(Side::wan).put(other);
  bench.turn();
  const auto out = bench.port(Side::lan).take_all();
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[0], ack);
  EXPECT_EQ(out[1], other);
  EXPECT_EQ(wire::parse(out[2]).flags, kRst);
  EXPECT_EQ(out[3], other);
}

TEST(Worker, BeatsItsHeartAndNoticesABypass) {
  auto state = ebpf::WireState::create();
  if (!state.ok()) GTEST_SKIP() << state.error();
  Bench bench(1, &*state);
  state->set_ready(true);
  EXPECT_FALSE(state->judged(bench.now));
  bench.turn();
  EXPECT_TRUE(state->judged(bench.now));
  EXPECT_EQ(bench.worker().counters().bypassed.get(), 0u);

  const source::Settings settings;
  ASSERT_TRUE(bench.worker().tell({Command::Kind::use, &settings}));
  hold_a_greeting(bench);

  // As steer does.
  void* memory = mmap(nullptr, sizeof(mire_state), PROT_READ | PROT_WRITE, MAP_SHARED, state->state_fd(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  ++static_cast<mire_state*>(memory)->bypass_epoch;
  bench.turn();
  bench.turn();
  EXPECT_EQ(bench.worker().counters().bypassed.get(), 1u);
  bench.port(Side::wan).put(tcp({}, kAck, {}, 1001, 5001));  // the flow's next packet
  bench.turn();
  EXPECT_EQ(bench.worker().pipeline_counters().reasons[static_cast<size_t>(policy::Reason::released_on_bypass)], 1u);
  munmap(memory, sizeof(mire_state));
}

TEST(Worker, ASleepingLcoreIsWokenByAnothersFrameAndByACommand) {
  const int never_readable = eventfd(0, 0);
  Bench bench(2, nullptr, never_readable);
  std::thread sleeper([&] { bench.worker(1).run(); });
  const Bytes foreign = tcp({.source = client_of_lcore(1, 2)}, kSyn);
  for (unsigned tries = 0; tries < 400 && bench.worker(1).counters().woken.get() == 0; ++tries) {
    std::this_thread::sleep_for(milliseconds{5});
    bench.port(Side::wan, 0).put(foreign);
    bench.worker(0).poll(MonotonicClock::now());
  }
  EXPECT_GT(bench.worker(1).counters().woken.get(), 0u);
  ASSERT_TRUE(bench.worker(1).tell({Command::Kind::stop, nullptr}));
  sleeper.join();
  EXPECT_GT(bench.worker(1).transmit_counters().frames[1].get(), 0u);
  close(never_readable);
}

TEST(Worker, WithoutASocketALcoreTakesNaps) {
  Bench bench;
  std::thread sleeper([&] { bench.worker().run(); });
  bench.port(Side::wan).put(web(1));
  Bytes got;
  for (unsigned ms = 0; ms < 2000 && got.empty(); ++ms) {
    std::this_thread::sleep_for(milliseconds{1});
    got = bench.port(Side::lan).take();
  }
  EXPECT_EQ(got, web(1));
  ASSERT_TRUE(bench.worker().tell({Command::Kind::stop, nullptr}));
  sleeper.join();
  EXPECT_GT(bench.worker().counters().sleeps.get(), 0u);
}

}  // namespace
}  // namespace mire::test
