// The greeting and the SYN-ACK withheld: what goes out, when, and with which numbers.
#include <gtest/gtest.h>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

using policy::Reason;
using policy::SourceClass;
using policy::State;

void list(Gateway& gw, std::string_view prefix, SourceClass c) {
  gw.settings().classes.set(*wire::parse_prefix(prefix), c);
  gw.commit();
}

TEST(Hold, AStrangersGreetingWaitsForItsDeadlineAndThenGoesOutOnce) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(gw.forwarded.size(), 3u);
  gw.wait(milliseconds{5});
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
  EXPECT_EQ(gw.flows(State::banner_held), 1u);
  gw.wait(milliseconds{990});
  EXPECT_TRUE(gw.sent.empty()) << "unknown sources are held for 1 s at least";
  gw.wait(milliseconds{4100});
  ASSERT_EQ(gw.sent.size(), 1u);
  EXPECT_EQ(gw.sent[0].to, Side::wan);
  EXPECT_EQ(gw.sent[0].text(), kGreeting);
  EXPECT_EQ(t.in_server(gw.sent[0].h.seq), 0u);
  EXPECT_EQ(t.in_client(gw.sent[0].h.ack), 0u);
  EXPECT_TRUE(wire::checksums_valid(gw.sent[0].frame, gw.sent[0].h));
  EXPECT_EQ(gw.flows(State::greeted), 1u);
}

TEST(Hold, IsMeasuredFromTheHandshakesAckAndNeverEndsEarly) {
  for (int i = 0; i < 200; ++i) {
    lcore::PipelineOptions o = Gateway::small();
    o.seed = static_cast<uint64_t>(i);
    Gateway gw(o);
    gw.settings().treatments[size_t(SourceClass::unknown)].greeting = {37, 90};
    gw.commit();
    Talk t{gw};
    gw.now += Duration{i * 7919};
    t.open();
    const Time proof = gw.now;
    t.reply(0, 0, kGreeting);
    while (gw.sent.empty()) gw.wait(milliseconds{1});
    const auto held = gw.now - proof;
    EXPECT_GE(held, milliseconds{37});
    EXPECT_LE(held, milliseconds{92});
    ASSERT_FALSE(gw.events.empty());
    EXPECT_GE(gw.events[0].hold_ms, 37u);
    EXPECT_LE(gw.events[0].hold_ms, 92u);
  }
}

TEST(Hold, HoldsAreTheSameForTheSameSeed) {
  const auto releases = [](uint64_t seed) {
    lcore::PipelineOptions o = Gateway::small();
    o.seed = seed;
    Gateway gw(o);
    std::vector<uint32_t> holds;
    for (uint16_t p = 0; p < 10; ++p) {
      Talk t{gw};
      t.port = static_cast<uint16_t>(50000 + p);
      t.open();
      t.reply(0, 0, kGreeting);
    }
    gw.wait(seconds{6});
    for (const auto& e : gw.events) holds.push_back(e.hold_ms);
    return holds;
  };
  EXPECT_EQ(releases(1), releases(1));
  EXPECT_NE(releases(1), releases(2));
}

TEST(Hold, ReleasesWithTheNumbersOfTheServersLatestRepeat) {
  Gateway gw;
  Talk t{gw};
  t.timestamps = true;
  t.open();
  t.reply(0, 0, kGreeting);
  t.server_clock = 1234;
  t.client_clock = 567;
  t.server_window = 777;
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop) << "a repetition stays behind";
  gw.wait(seconds{6});
  ASSERT_EQ(gw.sent.size(), 1u);
  const auto o = gw.sent[0].options();
  EXPECT_TRUE(o.has_timestamps);
  EXPECT_EQ(o.tsval, 1234u);
  EXPECT_EQ(o.tsecr, 567u);
  EXPECT_EQ(gw.sent[0].h.window, 777u);
}

TEST(Hold, PassesTheServersOwnRepetitionOnceTheGreetingIsOut) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward) << "the copy may have been lost: end-to-end TCP repairs it";
}

TEST(Hold, AGreetingThatComesAfterTheHoldPassesAtOnce) {
  Gateway gw;
  Talk t{gw};
  t.open();
  gw.wait(seconds{6});
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::hold_over), 2u) << "the wait ended, then the greeting passed";
  EXPECT_EQ(t.say(0, kGreeting.size(), "EHLO a\r\n"), Fate::forward);
  EXPECT_EQ(gw.flows(State::talking), 1u);
}

TEST(Hold, AMultiLineGreetingInPiecesIsHeldWholeAndKeepsTheServersSegmentSize) {
  Gateway gw;
  Talk t{gw};
  t.open();
  const std::string a = "220-mx.example first line\r\n", b = "220-second\r\n22", c = "0 ready\r\n";
  EXPECT_EQ(t.reply(0, 0, a), Fate::drop);
  EXPECT_EQ(t.reply(uint32_t(a.size()), 0, b), Fate::drop);
  EXPECT_EQ(t.reply(uint32_t(a.size() + b.size()), 0, c), Fate::drop);
  gw.wait(seconds{6});
  std::string all;
  for (const auto& s : gw.sent) {
    EXPECT_LE(s.h.payload_length, a.size());
    EXPECT_EQ(t.in_server(s.h.seq), all.size());
    all += s.text();
  }
  EXPECT_EQ(all, a + b + c);
  EXPECT_EQ(t.say(0, static_cast<uint32_t>(all.size()), "EHLO a\r\n"), Fate::forward);
  EXPECT_EQ(gw.flows(State::talking), 1u);
}

TEST(Hold, WhatIsThereAtTheDeadlineGoesOutAndTheRestIsReadAsItPasses) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, "220-slow\r\n");
  gw.wait(seconds{6});
  ASSERT_EQ(gw.sent.size(), 1u);
  EXPECT_EQ(t.reply(10, 0, "220 done\r\n"), Fate::forward);
  EXPECT_EQ(t.say(0, 10, "EHLO a\r\n"), Fate::drop) << "it has read the first line only";
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
}

TEST(Hold, AFinBehindTheGreetingWaitsAndGoesOutWithIt) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  EXPECT_EQ(t.from_server(wire::kAck | wire::kFin, kGreeting.size(), 0), Fate::drop);
  gw.wait(seconds{6});
  ASSERT_EQ(gw.sent.size(), 1u);
  EXPECT_TRUE(gw.sent[0].has(wire::kFin));
  EXPECT_EQ(gw.flows(State::closing), 1u);
}

TEST(Hold, AServersResetPassesAtOnce) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  EXPECT_EQ(t.from_server(wire::kRst, kGreeting.size(), 0), Fate::forward);
  EXPECT_EQ(gw.flows(State::banner_held), 0u);
  gw.wait(seconds{6});
  EXPECT_TRUE(gw.sent.empty());
}

TEST(Hold, ARefusingGreetingPassesAtOnceAndEndsJudgement) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.reply(0, 0, "421 4.3.2 busy\r\n"), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::greeting_refused), 1u);
  EXPECT_EQ(t.say(0, 0, "QUIT\r\n"), Fate::forward);
}

TEST(Hold, WhatIsNoGreetingIsNotJudged) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.reply(0, 0, "SSH-2.0-what\r\n"), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::greeting_unjudged), 1u);
  EXPECT_EQ(t.say(0, 0, "hello"), Fate::forward);
}

TEST(Hold, TrustedSourcesGetTheirGreetingAtOnce) {
  Gateway gw;
  list(gw, "198.18.0.0/24", SourceClass::trusted);
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::no_hold), 1u);
}

TEST(Hold, ExemptSourcesHaveNoEntryAtAll) {
  Gateway gw;
  list(gw, "198.18.0.1", SourceClass::exempt);
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
  EXPECT_EQ(t.say(0, 0, "EHLO early\r\n"), Fate::forward);
  uint64_t entries = 0;
  for (size_t s = 0; s < policy::kStates; ++s) entries += gw.flows(static_cast<State>(s));
  EXPECT_EQ(entries, 0u);
}

TEST(Hold, ASuspectsSynAckIsRebuiltFromNumbersAtItsDeadline) {
  Gateway gw;
  list(gw, "198.18.0.0/15", SourceClass::suspect);
  Talk t{gw};
  t.timestamps = true;
  t.syn();
  const std::vector<uint8_t> options = {2, 4, 5, 0x50, 1, 1, 4, 2, 1, 3, 3, 7};
  EXPECT_EQ(t.syn_ack(options), Fate::drop);
  EXPECT_EQ(t.syn(), Fate::forward);
  t.server_clock += 50;
  EXPECT_EQ(t.syn_ack(options), Fate::drop) << "repetitions do not move it";
  EXPECT_EQ(gw.flows(State::syn_ack_held), 1u);
  gw.wait(milliseconds{199});
  EXPECT_TRUE(gw.sent.empty());
  gw.wait(milliseconds{710});
  ASSERT_EQ(gw.sent.size(), 1u);
  const auto& s = gw.sent[0];
  EXPECT_EQ(s.h.flags, wire::kSyn | wire::kAck);
  EXPECT_EQ(s.h.seq, t.server_isn);
  EXPECT_EQ(s.h.ack, t.client_isn + 1);
  const auto o = s.options();
  EXPECT_EQ(o.mss, 0x550);
  EXPECT_TRUE(o.sack_permitted);
  EXPECT_EQ(o.window_scale, 7);
  EXPECT_EQ(o.tsval, 950u);
  EXPECT_EQ(t.ack(), Fate::forward);
  EXPECT_EQ(gw.flows(State::waiting), 1u);
}

TEST(Hold, BlockedSourcesAreDroppedOrReset) {
  Gateway gw;
  list(gw, "198.18.0.0/24", SourceClass::blocked);
  Talk t{gw};
  EXPECT_EQ(t.syn(), Fate::drop);
  EXPECT_TRUE(gw.sent.empty());
  gw.settings().treatments[size_t(SourceClass::blocked)].syn = policy::OnSyn::reset;
  gw.commit();
  EXPECT_EQ(t.syn(), Fate::drop);
  ASSERT_EQ(gw.sent.size(), 1u);
  EXPECT_EQ(gw.sent[0].h.flags, wire::kRst | wire::kAck);
  EXPECT_EQ(gw.sent[0].h.seq, SeqNo{0});
  EXPECT_EQ(gw.sent[0].h.ack, t.client_isn + 1);
  EXPECT_EQ(gw.sent[0].to, Side::wan);
}

TEST(Hold, RepliesToUnprovenSourcesAreBounded) {
  lcore::PipelineOptions o = Gateway::small();
  o.replies_per_second = 3;
  Gateway gw(o);
  gw.settings().treatments[size_t(SourceClass::blocked)].syn = policy::OnSyn::reset;
  list(gw, "198.18.0.0/24", SourceClass::blocked);
  Talk t{gw};
  for (int i = 0; i < 10; ++i) t.syn();
  EXPECT_EQ(gw.sent.size(), 3u);
  EXPECT_EQ(gw.counted(Reason::reflection_bound), 7u);
}

TEST(Hold, VlansArePartOfTheKeyAndAreOnWhatWeSend) {
  Gateway gw;
  Talk a{gw}, b{gw};
  a.vlans = {10};
  b.vlans = {10, 20};
  a.open();
  b.open();
  a.reply(0, 0, kGreeting);
  b.reply(0, 0, kGreeting);
  EXPECT_EQ(gw.flows(State::banner_held), 2u);
  gw.wait(seconds{6});
  ASSERT_EQ(gw.sent.size(), 2u);
  EXPECT_NE(gw.sent[0].h.vlan, gw.sent[1].h.vlan);
}

TEST(Hold, WorksForIPv6) {
  Gateway gw;
  Talk t{gw};
  t.client = address("2001:db8::1");
  t.server = address("2001:db8:1::25");
  t.open();
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
  gw.wait(seconds{6});
  ASSERT_EQ(gw.sent.size(), 1u);
  EXPECT_TRUE(gw.sent[0].h.ipv6);
  EXPECT_TRUE(wire::checksums_valid(gw.sent[0].frame, gw.sent[0].h));
}

TEST(Hold, OnlyProtectedServersAreJudged) {
  Gateway gw;
  gw.settings().protect.insert(address("198.19.0.26"));
  gw.commit();
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
}

TEST(Hold, ConnectionsFromTheLanAreNeverHeld) {
  Gateway gw;
  Talk t{gw};
  // A lan host as the client of a server on the wan side.
  wire::Segment s;
  s.link = t.link(Side::lan);
  s.source = t.server;
  s.destination = t.client;
  s.source_port = 50000;
  s.destination_port = 25;
  s.flags = wire::kSyn;
  std::vector<uint8_t> f(wire::crafted_size(s));
  (void)wire::craft(s, f);
  EXPECT_EQ(gw.put(Side::lan, f), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::outbound), 1u);
}

TEST(Hold, AFullGreetingPoolLetsTheGreetingGo) {
  lcore::PipelineOptions o = Gateway::small();
  o.sizes.banner_bytes = 64;
  Gateway gw(o);
  Talk a{gw}, b{gw};
  b.port = 40001;
  a.open();
  b.open();
  EXPECT_EQ(a.reply(0, 0, kGreeting), Fate::drop);
  EXPECT_EQ(b.reply(0, 0, "220 another greeting\r\n"), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::banner_pool_full), 1u);
}

TEST(Hold, WithoutBuffersTheServersRepetitionReachesTheClient) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  gw.out_of_buffers = true;
  gw.wait(seconds{6});
  EXPECT_EQ(gw.counted(Reason::no_buffer), 1u);
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
  EXPECT_EQ(t.say(0, kGreeting.size(), "EHLO a\r\n"), Fate::forward);
}

TEST(Hold, StoppingReleasesEverythingAtOnce) {
  Gateway gw;
  Talk t{gw}, u{gw};
  u.port = 40001;
  t.open();
  t.reply(0, 0, kGreeting);
  gw.pipeline().release_all(gw.now);
  ASSERT_EQ(gw.sent.size(), 1u);
  EXPECT_EQ(gw.sent[0].text(), kGreeting);
  u.open();
  EXPECT_EQ(u.reply(0, 0, kGreeting), Fate::forward) << "and nothing is held any more";
}

TEST(Hold, FlowsThatWerePassedByBecomeJoined) {
  Gateway gw;
  Talk t{gw}, u{gw};
  u.port = 40001;
  t.open();
  u.open();
  t.reply(0, 0, kGreeting);
  gw.pipeline().bypassed();
  EXPECT_EQ(t.say(0, kGreeting.size(), "EHLO a\r\n"), Fate::forward);
  EXPECT_EQ(u.say(0, kGreeting.size(), "EHLO a\r\n"), Fate::forward);
  EXPECT_EQ(gw.flows(State::joined), 2u);
  EXPECT_EQ(gw.sent.size(), 1u) << "what was parked goes out";
}

TEST(Hold, NothingIsJudgedBeforeTheFirstConfiguration) {
  Gateway gw;
  gw.pipeline().use(nullptr);
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::not_configured), 4u);
}

}  // namespace
}  // namespace mire::test
