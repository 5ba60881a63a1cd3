// `joined reset`: what belongs to no flow, and what must be known before it may be said so.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using std::chrono::minutes;
using enum wire::TcpFlag;
using policy::OnJoined;
using policy::Reason;
using policy::SourceClass;
using policy::State;
using policy::Verdict;

lcore::PipelineOptions roomy() {
  lcore::PipelineOptions o = Gateway::small();
  o.sizes.departed = 100'000;
  return o;
}

// A gateway that resets strangers' strays, a server whose dialogues are seen, and time enough since the start.
struct StrayScene {
  explicit StrayScene(lcore::PipelineOptions o = roomy()) : gw(o) {
    for (const auto c : {SourceClass::unknown, SourceClass::suspect})
      gw.settings().treatments[size_t(c)].joined = OnJoined::reset;
    gw.settings().classes.set(*wire::parse_prefix("198.18.9.0/24"), SourceClass::trusted);
    gw.settings().classes.set(*wire::parse_prefix("198.18.8.0/24"), SourceClass::suspect);
    gw.commit();
    gw.wait(milliseconds{1});
  }

  // Time passes unobserved: nothing is due.
  void later(Duration d) {
    gw.now += d;
    gw.pipeline().expire(gw.now);
  }
  // A dialogue of the server with a trusted client, both directions seen.
  void converse() {
    Talk t{gw};
    t.client = address("198.18.9.1");
    t.port = next_port++;
    t.open();
    t.reply(0, 0, kGreeting);
    t.say(0, kGreeting.size(), "QUIT\r\n");
    gw.forget();
  }
  // Everything that is asked for.
  void settle() {
    later(minutes{15});
    converse();
  }
  Fate stray(uint16_t port = 50'000) {
    Talk t{gw};
    t.port = port;
    return t.say(77, 88, "DATA\r\n");
  }
  [[nodiscard]] bool resets(uint16_t port = 50'000) {
    const size_t before = gw.sent.size();
    const Fate fate = stray(port);
    EXPECT_EQ(fate == Fate::drop, gw.sent.size() == before + 1);
    return fate == Fate::drop;
  }

  Gateway gw;
  uint16_t next_port = 2000;
};

TEST(Strays, PassUnlessTheirResetIsAskedFor) {
  Gateway gw;
  gw.now += minutes{20};
  gw.pipeline().expire(gw.now);
  Talk t{gw};
  t.open();
  Talk stray{gw};
  stray.port = 50'000;
  EXPECT_EQ(stray.say(7, 7, "DATA\r\n"), Fate::forward);
  EXPECT_TRUE(gw.sent.empty());
  EXPECT_EQ(gw.counted(Reason::no_entry), 1u);
}

TEST(Strays, AreResetAtTheNumberThatTheirSenderObeysAndTheServerHearsNothing) {
  StrayScene s;
  s.settle();
  Talk t{s.gw};
  t.port = 50'000;
  for (const uint8_t flags : {uint8_t(kAck), uint8_t(kAck | kPsh), uint8_t(kAck | kFin), uint8_t(kSyn | kAck)}) {
    s.gw.forget();
    EXPECT_EQ(t.from_client(flags, 10, 20, (flags & kPsh) != 0 ? "DATA\r\n" : ""), Fate::drop);
    ASSERT_EQ(s.gw.sent.size(), 1u);
    const Sent& reset = s.gw.sent[0];
    EXPECT_EQ(reset.to, Side::wan);
    EXPECT_EQ(reset.h.flags, kRst) << "RFC 9293 3.10.7.1: <SEQ=SEG.ACK><CTL=RST>";
    EXPECT_EQ(t.in_server(reset.h.seq), 20u);
    EXPECT_EQ(reset.h.source, t.server);
    EXPECT_EQ(reset.h.destination, t.client);
    EXPECT_EQ(reset.h.source_port, 25);
    EXPECT_EQ(reset.h.destination_port, t.port);
    EXPECT_TRUE(wire::checksums_valid(reset.frame, reset.h));
  }
  // Without ACK: <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>; a FIN counts, and so does each byte.
  s.gw.forget();
  EXPECT_EQ(s.gw.put(Side::wan, t.frame(Side::wan, kFin | kPsh, SeqNo{5000}, {}, "abc")), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].h.flags, kRst | kAck);
  EXPECT_EQ(s.gw.sent[0].h.seq, SeqNo{0});
  EXPECT_EQ(s.gw.sent[0].h.ack, SeqNo{5004});
  EXPECT_EQ(s.gw.counted(Reason::stray_reset), 5u);
  ASSERT_FALSE(s.gw.events.empty());
  const mailbox::FlowEvent& e = s.gw.events.back();
  EXPECT_EQ(e.reason, Reason::stray_reset);
  EXPECT_EQ(e.verdict, Verdict::reset);
  EXPECT_EQ(e.state, State::none);
  EXPECT_EQ(e.client, t.client);
  EXPECT_EQ(e.server, t.server);
  EXPECT_EQ(e.client_port, t.port);
  EXPECT_EQ(e.source_class, SourceClass::unknown);
  EXPECT_EQ(e.observed, 0);
}

TEST(Strays, OnVlansAndOfIpv6AreResetAlike) {
  StrayScene s;
  s.later(minutes{15});
  Talk t{s.gw};
  t.client = address("2001:db8:1::1");
  t.server = address("2001:db8:25::25");
  t.vlans = {7, 9};
  t.open();
  s.gw.forget();
  t.port = 50'000;
  EXPECT_EQ(t.from_client(kAck, 1, 2), Fate::drop);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].h.vlan.value, wire::parse(t.frame(Side::wan, kAck, {}, {})).vlan.value);
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), 2u);
}

TEST(Strays, AResetIsNeverAnsweredByOne) {
  StrayScene s;
  s.settle();
  Talk t{s.gw};
  t.port = 50'000;
  EXPECT_EQ(t.from_client(kRst, 1, 0), Fate::forward);
  EXPECT_EQ(t.from_client(kRst | kAck, 1, 1), Fate::forward);
  EXPECT_TRUE(s.gw.sent.empty());
}

TEST(Strays, WithAWrongChecksumAreNotAnswered) {
  StrayScene s;
  s.settle();
  Talk t{s.gw};
  t.port = 50'000;
  auto frame = t.frame(Side::wan, kAck, SeqNo{1}, SeqNo{2});
  frame[14 + 20 + 16] ^= 1;
  EXPECT_EQ(s.gw.put(Side::wan, frame), Fate::forward) << "the server will drop it";
  EXPECT_TRUE(s.gw.sent.empty());
  EXPECT_EQ(s.gw.counted(Reason::stray_reset), 0u);
}

TEST(Strays, OfSourcesThatAreNoStrangersPass) {
  StrayScene s;
  s.settle();
  Talk t{s.gw};
  t.port = 50'000;
  t.client = address("198.18.9.77");
  EXPECT_EQ(t.say(1, 1, "DATA\r\n"), Fate::forward);
  t.client = address("198.18.8.77");
  EXPECT_EQ(t.say(1, 1, "DATA\r\n"), Fate::drop) << "suspect";
}

TEST(Strays, PassForAQuarterOfAnHourAfterTheStart) {
  StrayScene s;
  s.later(minutes{15} - seconds{1});
  s.converse();
  EXPECT_FALSE(s.resets());
  s.later(seconds{1});
  EXPECT_TRUE(s.resets());
}

TEST(Strays, PassForAQuarterOfAnHourAfterFramesWentPastUs) {
  for (const bool by_another_lcore : {false, true}) {
    StrayScene s;
    s.settle();
    EXPECT_TRUE(s.resets());
    by_another_lcore ? s.gw.pipeline().went_past() : s.gw.pipeline().bypassed();
    s.converse();
    EXPECT_FALSE(s.resets());
    s.later(minutes{15} - seconds{1});
    s.converse();
    EXPECT_FALSE(s.resets());
    s.later(seconds{1});
    EXPECT_TRUE(s.resets());
  }
}

TEST(Strays, PassForAQuarterOfAnHourAfterMoreIsJudgedThanBefore) {
  StrayScene s;
  s.settle();
  s.gw.commit();
  EXPECT_TRUE(s.resets()) << "the same settings once more";
  s.gw.settings().judges = 1;
  s.gw.commit();
  s.later(seconds{1});
  EXPECT_FALSE(s.resets());
  s.settle();
  EXPECT_TRUE(s.resets());
}

TEST(Strays, PassForAQuarterOfAnHourAfterTheResetIsAskedFor) {
  Gateway gw;
  gw.now += minutes{20};
  gw.pipeline().expire(gw.now);
  gw.settings().treatments[size_t(SourceClass::unknown)].joined = OnJoined::reset;
  gw.commit();
  Talk t{gw}, stray{gw};
  stray.port = 50'000;
  t.open();
  EXPECT_EQ(stray.say(7, 7, "DATA\r\n"), Fate::forward) << "nothing was noted of flows that were forgotten so far";
}

TEST(Strays, PassUnlessBothDirectionsOfTheirServerWereSeenInTheLastMinute) {
  StrayScene s;
  s.settle();
  EXPECT_TRUE(s.resets());
  s.later(seconds{59});
  EXPECT_TRUE(s.resets());
  s.later(seconds{2});
  EXPECT_FALSE(s.resets());
  // Strays themselves are no sign that we see what goes on, nor is one direction.
  Talk syn{s.gw};
  syn.syn();
  EXPECT_FALSE(s.resets());
  syn.syn_ack();
  EXPECT_TRUE(s.resets());
  // Another server's traffic says nothing of this one.
  Talk other{s.gw};
  other.server = address("198.19.0.26");
  other.port = 50'000;
  EXPECT_EQ(other.say(7, 7, "DATA\r\n"), Fate::forward);
  // Only the server's.
  s.later(seconds{61});
  syn.syn_ack();
  EXPECT_FALSE(s.resets());
}

TEST(Strays, OfAFlowThatHadToGiveWayPassForAQuarterOfAnHour) {
  StrayScene s;
  s.settle();
  Talk first{s.gw};
  first.port = 3000;
  first.syn();
  first.syn_ack();  // and its ACK is late
  for (uint16_t p = 0; p < 1000; ++p) {
    Talk x{s.gw};
    x.client = address("198.18.77.1");
    x.port = static_cast<uint16_t>(4000 + p);
    x.syn();
  }
  EXPECT_GT(s.gw.counted(Reason::syn_share_full), 0u);
  s.gw.forget();
  EXPECT_EQ(first.ack(), Fate::forward) << "the server awaits it";
  s.later(minutes{14});
  s.converse();
  EXPECT_EQ(first.ack(), Fate::forward);
  EXPECT_TRUE(s.resets());
  s.later(minutes{16});
  s.converse();
  EXPECT_EQ(first.ack(), Fate::drop);
}

TEST(Strays, OfAFlowThatFoundNoRoomPass) {
  lcore::PipelineOptions o = roomy();
  o.sizes.flows_v4 = 64;
  StrayScene s(o);
  s.settle();
  std::vector<Talk> all;
  for (uint16_t p = 0; p < 400; ++p) {
    all.emplace_back(s.gw);
    all.back().client = address("198.18.77.1");
    all.back().port = static_cast<uint16_t>(3000 + p);
    all.back().open();
    all.back().reply(0, 0, kGreeting);
  }
  EXPECT_GT(s.gw.counted(Reason::table_full), 0u);
  for (Talk& t : all) EXPECT_EQ(t.ack(), Fate::forward) << t.port;
  EXPECT_EQ(s.gw.counted(Reason::stray_reset), 0u);
}

TEST(Strays, OfALongSilentDialoguePassForAnotherQuarterOfAnHour) {
  StrayScene s;
  s.settle();
  Talk t{s.gw};
  t.port = 3000;
  t.open();
  s.gw.wait(seconds{6});
  t.reply(0, 0, kGreeting);
  t.say(0, kGreeting.size(), "EHLO a.example\r\n");
  for (int minute = 0; minute < 17; ++minute) {
    for (int n = 0; n < 6; ++n) s.later(seconds{10});
    s.converse();
  }
  EXPECT_EQ(s.gw.flows(State::talking), 0u + 16u) << "forgotten, unlike the younger ones";
  EXPECT_EQ(t.say(16, kGreeting.size(), "MAIL FROM:<a@b>\r\n"), Fate::forward);
  EXPECT_TRUE(s.resets());
}

TEST(Strays, PassWhileMoreFlowsWereForgottenThanCanBeKnown) {
  lcore::PipelineOptions o = roomy();
  o.sizes.departed = 100;
  StrayScene s(o);
  s.settle();
  for (uint16_t p = 0; p < 1000; ++p) {
    Talk x{s.gw};
    x.client = address("198.18.77.1");
    x.port = static_cast<uint16_t>(4000 + p);
    x.syn();
  }
  s.gw.forget();
  EXPECT_FALSE(s.resets());
  s.later(minutes{14});
  s.converse();
  EXPECT_FALSE(s.resets());
  s.later(minutes{17});  // with so much in it the filter takes anybody for anybody
  s.converse();
  EXPECT_TRUE(s.resets());
}

TEST(Strays, AreOnlyCountedByWhoObserves) {
  StrayScene s;
  s.gw.settings().observe = true;
  s.gw.commit();
  s.settle();
  EXPECT_EQ(s.stray(), Fate::forward);
  EXPECT_TRUE(s.gw.sent.empty());
  EXPECT_EQ(s.gw.counted(Reason::stray_observed), 1u);
  ASSERT_EQ(s.gw.events.size(), 1u);
  EXPECT_EQ(s.gw.events[0].verdict, Verdict::count);
  EXPECT_EQ(s.gw.events[0].observed, 1);
}

TEST(Strays, MakeNoReflectorAndNoFloodOfTheLog) {
  lcore::PipelineOptions o = roomy();
  o.replies_per_second = 20;
  StrayScene s(o);
  s.settle();
  size_t came = 0, went = 0;
  for (uint32_t n = 0; n < 1000; ++n) {
    Talk t{s.gw};
    t.client = wire::Address::v4(0x64000000 + n * 7919);
    EXPECT_EQ(t.from_client(kAck, n, n), Fate::drop);
    came += t.frame(Side::wan, kAck, {}, {}).size();
  }
  for (const Sent& f : s.gw.sent) went += f.frame.size();
  EXPECT_EQ(s.gw.sent.size(), 20u) << "beyond the bound they are dropped: TCP repeats what was real";
  EXPECT_EQ(s.gw.counted(Reason::reflection_bound), 980u);
  EXPECT_EQ(s.gw.counted(Reason::stray_reset), 1000u);
  EXPECT_LE(s.gw.events.size(), 10u);
  EXPECT_LE(went, came);
  s.gw.forget();
  s.later(seconds{1});
  EXPECT_TRUE(s.resets());
}

TEST(Strays, PassWhileTheDataplaneStops) {
  StrayScene s;
  s.settle();
  s.gw.pipeline().release_all(s.gw.now);
  EXPECT_FALSE(s.resets());
}

// SYNs, ACKs and half-open connections from random addresses, beside a held, a talking and a trusted flow.
TEST(Strays, ThreeKindsOfFloodsLeaveHeldTalkingAndTrustedFlowsUntouched) {
  StrayScene s;
  s.settle();
  Talk held{s.gw}, talking{s.gw}, trusted{s.gw};
  held.port = 3001;
  talking.port = 3002;
  trusted.client = address("198.18.9.7");
  talking.open();
  talking.reply(0, 0, kGreeting);
  s.gw.wait(seconds{6});
  talking.say(0, kGreeting.size(), "EHLO a.example\r\n");
  trusted.open();
  trusted.reply(0, 0, kGreeting);
  trusted.say(0, kGreeting.size(), "EHLO a.example\r\n");
  held.open();
  held.reply(0, 0, kGreeting);
  EXPECT_EQ(s.gw.flows(State::banner_held), 1u);
  s.gw.forget();
  uint32_t chance = 1;
  for (uint32_t n = 0; n < 30'000; ++n) {
    chance = chance * 1664525u + 1013904223u;
    Talk x{s.gw};
    x.client = wire::Address::v4(0x64000000 + (chance >> 8));
    x.client_isn = {chance};
    if (n % 3 == 0) x.syn();
    if (n % 3 == 1) x.from_client(kAck, chance, chance);
    if (n % 3 == 2) {
      x.syn();
      x.syn_ack();
    }
    s.gw.forget();
  }
  EXPECT_EQ(s.gw.counted(Reason::evicted) + s.gw.counted(Reason::table_full), 0u);
  EXPECT_EQ(s.gw.flows(State::banner_held), 1u);
  EXPECT_EQ(talking.say(16, kGreeting.size(), "MAIL FROM:<a@b>\r\n"), Fate::forward);
  EXPECT_EQ(trusted.say(16, kGreeting.size(), "MAIL FROM:<a@b>\r\n"), Fate::forward);
  s.gw.wait(seconds{6});
  ASSERT_EQ(to(Side::wan, s.gw.sent).size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), kGreeting);
  EXPECT_EQ(s.gw.sent[0].h.destination, held.client);
  EXPECT_EQ(held.say(0, kGreeting.size(), "EHLO a.example\r\n"), Fate::forward);
}

}  // namespace
}  // namespace mire::test
