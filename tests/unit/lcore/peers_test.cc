// Legitimate peers and ordinary trouble: closing while held, handshakes anew, mid-stream, limits, full rooms, idle.
#include <gtest/gtest.h>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

using policy::Reason;
using policy::SourceClass;
using policy::State;

TEST(Peers, AFinWhileHeldIsAnsweredAndTheServerReset) {
  for (const bool parked : {false, true}) {
    Gateway gw;
    Talk t{gw};
    t.timestamps = true;
    t.open();
    if (parked) t.reply(0, 0, kGreeting);
    EXPECT_EQ(t.from_client(wire::kAck | wire::kFin, 0, 0), Fate::drop);
    ASSERT_EQ(gw.sent.size(), 2u);
    const auto& fin = gw.sent[0];
    EXPECT_EQ(fin.h.flags, wire::kFin | wire::kAck);
    EXPECT_EQ(t.in_server(fin.h.seq), 0u);
    EXPECT_EQ(t.in_client(fin.h.ack), 1u);
    EXPECT_EQ(fin.options().tsecr, t.client_clock) << "RFC 7323 3.2";
    EXPECT_EQ(gw.sent[1].h.flags, wire::kRst);
    EXPECT_EQ(t.in_client(gw.sent[1].h.seq), 0u);
    EXPECT_EQ(t.from_client(wire::kAck | wire::kFin, 0, 0), Fate::drop);
    EXPECT_EQ(gw.sent.size(), 3u) << "repeated for each repeated FIN";
    EXPECT_EQ(gw.pipeline().find_source(t.client, gw.now)->offences, 0u);
    EXPECT_EQ(gw.events.back().reason, Reason::gave_up);
    EXPECT_EQ(t.from_client(wire::kAck, 1, 1), Fate::drop);
    gw.wait(seconds{6});
    EXPECT_EQ(gw.sent.size(), 3u);
  }
}

TEST(Peers, AFinOnTheHandshakesAckIsAHealthCheck) {
  Gateway gw;
  Talk t{gw};
  t.syn();
  t.syn_ack();
  EXPECT_EQ(t.from_client(wire::kAck | wire::kFin, 0, 0), Fate::drop);
  ASSERT_EQ(gw.sent.size(), 2u);
  EXPECT_EQ(gw.events.back().reason, Reason::gave_up);
}

TEST(Peers, AHalfCloseAfterDataIsEarlyTalk) {
  Gateway gw;
  Talk t{gw};
  t.open();
  EXPECT_EQ(t.from_client(wire::kAck | wire::kFin, 0, 0, "QUIT\r\n"), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::early_talk), 1u);
}

TEST(Peers, AResetWhileHeldCountsOnlyAtTheExactNumber) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  EXPECT_EQ(t.from_client(wire::kRst, 3, 0), Fate::forward);
  EXPECT_EQ(gw.flows(State::banner_held), 1u);
  EXPECT_EQ(t.from_client(wire::kRst, 0, 0), Fate::drop);
  ASSERT_EQ(gw.sent.size(), 1u) << "the server gets a bare one of ours, which it cannot ignore";
  EXPECT_EQ(gw.sent[0].to, Side::lan);
  EXPECT_EQ(gw.sent[0].h.flags, wire::kRst);
  EXPECT_EQ(t.in_client(gw.sent[0].h.seq), 0u);
  EXPECT_EQ(gw.flows(State::banner_held), 0u);
  EXPECT_EQ(gw.events.back().reason, Reason::gave_up);
  EXPECT_EQ(gw.events.back().penalty_ms, 0u);
}

TEST(Peers, DataInASynIsTrimmedAndFastOpenAndMultipathAreBlanked) {
  Gateway gw;
  Talk t{gw};
  const std::vector<uint8_t> options = {2, 4, 5, 0xb4, 34, 2, 1, 1, 30, 4, 0, 0};
  EXPECT_EQ(t.syn("EHLO tfo\r\n", options), Fate::forward);
  const auto& s = gw.forwarded.back();
  EXPECT_EQ(s.h.payload_length, 0u);
  EXPECT_FALSE(s.options().fast_open);
  EXPECT_FALSE(s.options().multipath);
  EXPECT_TRUE(wire::checksums_valid(s.frame, s.h));
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::trusted);
  gw.commit();
  t.port = 40001;
  t.syn("EHLO tfo\r\n", options);
  EXPECT_EQ(gw.forwarded.back().text(), "EHLO tfo\r\n");
  EXPECT_TRUE(gw.forwarded.back().options().fast_open);
}

TEST(Peers, ASignedSynPassesUntouchedAndIsJudgedAllTheSame) {
  Gateway gw;
  gw.settings().protect.insert(address("198.19.0.25"));
  gw.commit();
  Talk t{gw};
  std::vector<uint8_t> options(20, 1);
  options[0] = 19;
  options[1] = 18;
  EXPECT_EQ(t.syn("data", options), Fate::forward);
  EXPECT_EQ(gw.forwarded.back().text(), "data");
  EXPECT_EQ(gw.flows(State::syn_seen), 1u);
}

TEST(Peers, ASecondSynOnALiveEntryChangesNothingUntilTheServerAnswersIt) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, kGreeting);
  Talk forged = t;
  forged.client_isn = {123456};
  EXPECT_EQ(forged.syn(), Fate::forward);
  EXPECT_EQ(gw.flows(State::banner_held), 1u);
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop) << "still held";
  forged.server_isn = {42};
  EXPECT_EQ(forged.syn_ack(), Fate::forward);
  EXPECT_EQ(gw.flows(State::syn_ack_sent), 1u);
}

TEST(Peers, WhatBeganWithoutUsIsPassedAndNeverJudged) {
  Gateway gw;
  Talk t{gw};
  EXPECT_EQ(t.say(0, 0, "MAIL FROM:<a@b>\r\n"), Fate::forward);
  EXPECT_EQ(gw.counted(Reason::no_entry), 1u);
  EXPECT_EQ(gw.flows(State::joined), 0u) << "a wan segment creates nothing";
  EXPECT_EQ(t.reply(0, 17, "250 ok\r\n"), Fate::forward);
  EXPECT_EQ(gw.flows(State::joined), 1u);
  EXPECT_EQ(t.say(17, 0, "RCPT TO:<c@d>\r\n"), Fate::forward);
  EXPECT_TRUE(gw.sent.empty());
}

TEST(Peers, AnAnsweredSynThatWeDidNotSeeIsJudgedFromItsSynAckOn) {
  Gateway gw;
  Talk t{gw};
  EXPECT_EQ(t.syn_ack(), Fate::forward);
  EXPECT_EQ(t.ack(), Fate::forward);
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
}

TEST(Peers, SuspectsAreLimitedInConcurrentFlows) {
  Gateway gw;
  gw.settings().treatments[size_t(SourceClass::unknown)].concurrent = 2;
  gw.commit();
  for (uint16_t i = 0; i < 2; ++i) {
    Talk t{gw};
    t.port = static_cast<uint16_t>(40000 + i);
    t.open();
  }
  Talk t{gw};
  t.port = 40002;
  EXPECT_EQ(t.syn(), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::concurrent_limit), 1u);
  Talk first{gw};
  first.from_client(wire::kRst, 0, 0);
  EXPECT_EQ(t.syn(), Fate::forward) << "one has gone";
}

TEST(Peers, SuspectsAreLimitedInNewFlowsAMinute) {
  Gateway gw;
  gw.settings().treatments[size_t(SourceClass::unknown)].per_minute = 3;
  gw.commit();
  gw.now = Time{seconds{1020}};
  for (uint16_t i = 0; i < 3; ++i) {
    Talk t{gw};
    t.port = static_cast<uint16_t>(40000 + i);
    t.open();
    t.from_client(wire::kRst, 0, 0);
  }
  Talk t{gw};
  t.port = 40004;
  EXPECT_EQ(t.syn(), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::rate_limit), 1u);
  gw.now += seconds{60};
  EXPECT_EQ(t.syn(), Fate::forward);
}

// SYNs that come before the first proof.
std::vector<Talk> syns_at_once(Gateway& gw, uint16_t n) {
  std::vector<Talk> talks;
  for (uint16_t i = 0; i < n; ++i) {
    Talk& t = talks.emplace_back(Talk{gw});
    t.port = static_cast<uint16_t>(40000 + i);
    EXPECT_EQ(t.syn(), Fate::forward);
    EXPECT_EQ(t.syn_ack(), Fate::forward);
  }
  return talks;
}

TEST(Peers, SynsThatComeTogetherDoNotPassALimitTogether) {
  for (const bool rate : {false, true}) {
    Gateway gw;
    auto& unknown = gw.settings().treatments[size_t(SourceClass::unknown)];
    (rate ? unknown.per_minute : unknown.concurrent) = 2;
    gw.commit();
    gw.now = Time{seconds{1020}};
    auto talks = syns_at_once(gw, 4);
    EXPECT_EQ(talks[0].ack(), Fate::forward);
    EXPECT_EQ(talks[1].ack(), Fate::forward);
    for (size_t i = 2; i < 4; ++i) {
      gw.forget();
      EXPECT_EQ(talks[i].ack(), Fate::drop);
      ASSERT_EQ(gw.sent.size(), 2u) << "a reset for each side";
      EXPECT_EQ(gw.sent[0].to, Side::wan);
      EXPECT_EQ(talks[i].in_server(gw.sent[0].h.seq), 0u);
      EXPECT_EQ(gw.sent[1].to, Side::lan);
      EXPECT_EQ(talks[i].in_client(gw.sent[1].h.seq), 0u);
      ASSERT_EQ(gw.events.size(), 1u);
      EXPECT_EQ(gw.events[0].reason, rate ? Reason::rate_limit : Reason::concurrent_limit);
      EXPECT_EQ(gw.events[0].penalty_ms, 0u);
    }
    EXPECT_EQ(gw.counted(rate ? Reason::rate_limit : Reason::concurrent_limit), 2u);
    EXPECT_EQ(gw.flows(State::waiting), 2u);
    EXPECT_EQ(gw.flows(State::tombstone), 2u);
    const auto source = gw.pipeline().find_source(talks[0].client, gw.now);
    EXPECT_EQ(source->live_flows, 2u);
    EXPECT_EQ(source->opened_this_minute, 2u) << "a refused flow is none";
    EXPECT_EQ(source->offences, 0u);
    talks[0].from_client(wire::kRst, 0, 0);
    EXPECT_EQ(gw.pipeline().find_source(talks[0].client, gw.now)->live_flows, 1u);
  }
}

TEST(Peers, EarlyTalkBeyondALimitIsStillEarlyTalk) {
  Gateway gw;
  gw.settings().treatments[size_t(SourceClass::unknown)].concurrent = 1;
  gw.commit();
  auto talks = syns_at_once(gw, 2);
  talks[0].ack();
  EXPECT_EQ(talks[1].say(0, 0, "EHLO early\r\n"), Fate::drop);
  EXPECT_EQ(gw.counted(Reason::early_talk), 1u);
  EXPECT_EQ(gw.counted(Reason::concurrent_limit), 0u);
}

TEST(Peers, ALimitThatIsOnlyObservedIsCountedOnceAFlow) {
  Gateway gw;
  gw.settings().treatments[size_t(SourceClass::unknown)].concurrent = 1;
  gw.settings().observe = true;
  gw.commit();
  for (uint16_t i = 0; i < 2; ++i) {
    Talk t{gw};
    t.port = static_cast<uint16_t>(40000 + i);
    t.open();
    EXPECT_EQ(gw.counted(Reason::concurrent_limit), i);
    EXPECT_EQ(gw.pipeline().counters().would_have.reset, i);
  }
  EXPECT_EQ(gw.flows(State::due), 2u);
  EXPECT_TRUE(gw.sent.empty());
}

TEST(Peers, UnansweredSynsTakeNoMoreThanTheirShare) {
  Gateway gw;
  gw.settings().protect.insert(address("198.19.0.25"));
  gw.commit();
  for (uint32_t i = 0; i < 5000; ++i) {
    Talk t{gw};
    t.client = wire::Address::v4(0xc6120000u + i);
    EXPECT_EQ(t.syn(), Fate::forward);
  }
  EXPECT_LE(gw.flows(State::syn_seen), (1024u + 512u) / 8);
  EXPECT_GT(gw.counted(Reason::syn_share_full), 4000u);
  EXPECT_EQ(gw.counted(Reason::table_full), 0u);
}

TEST(Peers, AFullTablePassesUnjudgedAndHeldFlowsStay) {
  Gateway gw;
  uint32_t held = 0;
  for (uint32_t i = 0; i < 1500; ++i) {
    Talk t{gw};
    t.client = wire::Address::v4(0xc6120000u + i);
    t.open();
    if (t.reply(0, 0, kGreeting) == Fate::drop) ++held;
  }
  EXPECT_GE(held, 1024u);
  EXPECT_GT(gw.counted(Reason::table_full), 0u);
  EXPECT_EQ(gw.flows(State::banner_held), held);
  gw.wait(seconds{6});
  EXPECT_EQ(gw.sent.size(), held) << "every hold ends";
}

TEST(Peers, SilentFlowsAreForgottenAndDeliveredOnesAreReported) {
  Gateway gw;
  Talk t{gw};
  const auto g = static_cast<uint32_t>(kGreeting.size());
  t.open();
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  t.say(0, g, "EHLO a\r\n");
  gw.now += seconds{900};
  gw.wait(seconds{20});
  EXPECT_EQ(gw.flows(State::talking), 1u) << "RFC 5321 4.5.3.2.6: 10 min";
  gw.now += seconds{60};
  gw.wait(seconds{20});
  EXPECT_EQ(gw.flows(State::talking), 0u);
  EXPECT_EQ(gw.counted(Reason::idle), 1u);
  EXPECT_EQ(t.say(8, g, "MAIL FROM:<a@b>\r\n"), Fate::forward);
}

TEST(Peers, MssIsClampedWherePortsTakeLargerFramesThanWe) {
  lcore::PipelineOptions o = Gateway::small();
  o.largest_frame = 3500;
  Gateway gw(o);
  Talk t{gw};
  t.syn({}, {2, 4, 0x22, 0xc4});
  EXPECT_EQ(gw.forwarded.back().options().mss, 3500 - 14 - 20 - 20);
  t.syn_ack({2, 4, 0x22, 0xc4});
  EXPECT_EQ(gw.forwarded.back().options().mss, 3500 - 14 - 20 - 20);
  EXPECT_EQ(gw.counted(Reason::mss_clamped), 2u);
}

TEST(Peers, ATrustedStreamComesOutAsItWentIn) {
  Gateway gw;
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::trusted);
  gw.commit();
  Talk t{gw};
  t.open();
  const auto g = static_cast<uint32_t>(kGreeting.size());
  t.reply(0, 0, kGreeting);
  const auto in =
      t.frame(Side::lan, wire::kAck, t.server_isn + 1 + g, t.client_isn + 1, "250-mx\r\n250 PIPECONNECT\r\n");
  t.say(0, g, "EHLO a\r\n");
  gw.put(Side::lan, in);
  EXPECT_EQ(gw.forwarded.back().frame, in);
}

TEST(Peers, BurstsOfEverySizeAreJudgedFrameByFrame) {
  for (size_t n = 0; n <= lcore::kBurst; ++n) {
    Gateway gw;
    std::vector<std::vector<uint8_t>> frames;
    for (size_t i = 0; i < n; ++i) {
      Talk t{gw};
      t.port = static_cast<uint16_t>(30000 + i / 3);
      if (i % 3 == 0) frames.push_back(t.frame(Side::wan, wire::kSyn, t.client_isn, {}));
      if (i % 3 == 1) frames.push_back(t.frame(Side::lan, wire::kSyn | wire::kAck, t.server_isn, t.client_isn + 1));
      if (i % 3 == 2) frames.push_back(t.frame(Side::wan, wire::kAck, t.client_isn + 1, t.server_isn + 1));
    }
    lcore::Burst b;
    b.count = n;
    for (size_t i = 0; i < n; ++i) {
      b.frames[i].data = frames[i].data();
      b.frames[i].length = static_cast<uint16_t>(frames[i].size());
      b.frames[i].from = i % 3 == 1 ? Side::lan : Side::wan;
    }
    gw.pipeline().process(b, gw.now);
    EXPECT_EQ(gw.flows(State::waiting), n / 3) << n;
  }
}

// Ways round the gate that a server's TCP would open, each closed.
TEST(Peers, AnAckThatIsNoProofNeverReachesTheServer) {
  for (const auto& [seq, ack] : std::vector<std::pair<uint32_t, uint32_t>>{{0, 5000}, {1, 0}, {0, 0xffffffff}}) {
    Gateway gw;
    Talk t{gw};
    t.syn();
    t.syn_ack();
    EXPECT_EQ(t.from_client(wire::kAck, seq, ack), Fate::drop);
    EXPECT_EQ(t.ack(), Fate::forward) << "the exact one comes again";
    EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
    EXPECT_EQ(gw.flows(State::banner_held), 1u);
  }
}

TEST(Peers, AProvokedResetOfTheServerEndsNothing) {
  Gateway gw;
  Talk t{gw};
  t.syn();
  t.syn_ack();
  EXPECT_EQ(t.from_server(wire::kRst, 5000, 0), Fate::forward);
  EXPECT_EQ(gw.flows(State::syn_ack_sent), 1u);
  t.ack();
  t.from_server(wire::kRst, 5000, 0);
  EXPECT_EQ(gw.flows(State::waiting), 1u);
  t.from_server(wire::kRst, 0, 0);
  EXPECT_EQ(gw.flows(State::waiting), 0u);
}

TEST(Peers, TheAckOfASynCookieIsStillJudgedAfterTwoMinutes) {
  Gateway gw;
  Talk t{gw};
  t.syn();
  t.syn_ack();
  gw.now += seconds{100};
  gw.wait(seconds{20});
  EXPECT_EQ(gw.flows(State::syn_ack_sent), 1u);
  t.ack();
  EXPECT_EQ(t.reply(0, 0, kGreeting), Fate::drop);
}

TEST(Peers, AnUnheldGreetingOutOfOrderResetsNobody) {
  Gateway gw;
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::known);
  gw.commit();
  Talk t{gw};
  t.open();
  const std::string a = "220-first\r\n", b = "220 second\r\n";
  const auto n = static_cast<uint32_t>(a.size()), g = static_cast<uint32_t>(a.size() + b.size());
  EXPECT_EQ(t.reply(n, 0, b), Fate::drop) << "left to repetition";
  EXPECT_EQ(t.reply(0, 0, a), Fate::forward);
  EXPECT_EQ(t.reply(n + 4, 0, b.substr(4)), Fate::drop);
  EXPECT_EQ(t.reply(n, 0, b), Fate::forward);
  EXPECT_EQ(t.say(0, g, "EHLO a\r\n"), Fate::forward);
  EXPECT_EQ(gw.flows(State::talking), 1u);
}

TEST(Peers, AFinBehindAGapDoesNotCutTheGreetingShort) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.reply(0, 0, "220-first\r\n");
  EXPECT_EQ(t.from_server(wire::kAck | wire::kFin, 30, 0), Fate::drop);
  gw.wait(seconds{6});
  ASSERT_EQ(gw.sent.size(), 1u);
  EXPECT_FALSE(gw.sent[0].has(wire::kFin));
}

TEST(Peers, ASynFromAUsedPortAsksTheSameGate) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.say(0, 0, "EHLO early\r\n");
  EXPECT_EQ(gw.flows(State::tombstone), 1u);
  t.client_isn = {4242};
  t.server_isn = {2424};
  EXPECT_EQ(t.syn(), Fate::forward);
  EXPECT_EQ(t.syn_ack(), Fate::drop) << "a suspect by now: its SYN-ACK is held";
  EXPECT_EQ(gw.flows(State::syn_ack_held), 1u);

  Talk u{gw};
  u.port = 40001;
  u.syn();
  u.syn_ack();
  gw.wait(seconds{1});
  u.say(0, 0, "EHLO early\r\n");
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.1"), SourceClass::blocked);
  gw.commit();
  u.client_isn = {4242};
  EXPECT_EQ(u.syn(), Fate::drop);
}

TEST(Peers, AFinishedDialogueNoLongerCountsAsLive) {
  Gateway gw;
  Talk t{gw};
  const auto g = static_cast<uint32_t>(kGreeting.size());
  t.open();
  t.reply(0, 0, kGreeting);
  gw.wait(seconds{6});
  t.say(0, g, "QUIT\r\n");
  t.from_server(wire::kAck | wire::kFin, g, 6);
  EXPECT_EQ(gw.pipeline().find_source(t.client, gw.now)->live_flows, 1u);
  t.from_client(wire::kAck | wire::kFin, 6, g + 1);
  EXPECT_EQ(gw.pipeline().find_source(t.client, gw.now)->live_flows, 0u);
}

}  // namespace
}  // namespace mire::test
