// A suspect whom we meet ourselves gets our SYN-ACK as late as it would get the server's.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::Reason;
using policy::SourceClass;
using policy::State;

// Strangers' SYN-ACKs are held for 500 ms, their greetings for a second.
struct LateScene : Scene {
  explicit LateScene(lcore::PipelineOptions o = meeting_options()) : Scene(o) {
    gw.settings().treatments[size_t(SourceClass::unknown)].syn_ack = {500, 500};
    gw.commit();
    teach();
  }
};

TEST(HeldAnswer, GoesOutAtItsDeadlineWithWhatTheSynAskedFor) {
  LateScene s;
  Stranger t{s.gw};
  EXPECT_EQ(t.syn({}, kFullSyn), Fate::drop);
  EXPECT_TRUE(s.gw.sent.empty());
  EXPECT_EQ(s.gw.flows(State::met), 1u);
  EXPECT_EQ(s.gw.counted(Reason::syn_ack_held), 1u);
  s.gw.wait(milliseconds{499});
  EXPECT_TRUE(s.gw.sent.empty());
  s.gw.wait(milliseconds{2});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  const Sent& answer = s.gw.sent[0];
  EXPECT_EQ(answer.to, Side::wan);
  EXPECT_EQ(answer.h.flags, kSyn | kAck);
  EXPECT_EQ(answer.h.ack, t.client_isn + 1);
  const auto o = answer.options();
  EXPECT_TRUE(o.has_mss && o.sack_permitted && o.has_timestamps && o.has_window_scale);
  EXPECT_EQ(o.tsecr, t.client_clock);
  EXPECT_TRUE(wire::checksums_valid(answer.frame, answer.h));
  EXPECT_EQ(s.gw.counted(Reason::deadline), 1u);
  t.take_number();
  t.ack();
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
  s.gw.wait(milliseconds{1001});
  EXPECT_EQ(s.gw.sent.back().text(), kGreeting);
}

TEST(HeldAnswer, IsNotHastenedByMoreSynsAndTakesUpTheNewestNumber) {
  LateScene s;
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  s.gw.wait(milliseconds{100});
  for (int n = 0; n < 100; ++n) {
    t.client_isn = {1000u + static_cast<uint32_t>(n / 2)};
    t.client_clock += 1;
    EXPECT_EQ(t.syn({}, kFullSyn), Fate::drop);
  }
  EXPECT_TRUE(s.gw.sent.empty());
  s.gw.wait(milliseconds{399});
  EXPECT_TRUE(s.gw.sent.empty());
  s.gw.wait(milliseconds{2});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].h.ack, t.client_isn + 1);
  EXPECT_EQ(s.gw.sent[0].options().tsecr, t.client_clock);
  EXPECT_EQ(s.gw.counted(Reason::syn_ack_held), 1u);
  t.take_number();
  t.ack();
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
}

TEST(HeldAnswer, OnceOutIsRepeatedLikeAnyOther) {
  LateScene s;
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  s.gw.wait(milliseconds{501});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  const SeqNo number = s.gw.sent[0].h.seq;
  t.syn({}, kFullSyn);
  ASSERT_EQ(s.gw.sent.size(), 2u) << "a SYN that comes again is answered at once";
  EXPECT_EQ(s.gw.sent[1].h.seq, number);
  s.gw.forget();
  s.gw.wait(seconds{60});
  ASSERT_EQ(s.gw.sent.size(), 2u);
  EXPECT_EQ(s.gw.sent[1].h.seq, number);
}

TEST(HeldAnswer, UnderPressureThereIsNoneToHold) {
  LateScene s;
  for (uint16_t p = 0; p < 1000; ++p) {
    Stranger x{s.gw};
    x.client = address("198.18.77.1");
    x.port = static_cast<uint16_t>(1024 + p);
    x.syn({}, kFullSyn);
  }
  s.gw.forget();
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  ASSERT_EQ(s.gw.sent.size(), 1u) << "no record, so at once";
  t.take_number();
  t.ack();
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
  // Those that are held go out, one for each SYN, and none of their own accord after that.
  s.gw.forget();
  s.gw.wait(milliseconds{501});
  EXPECT_LE(s.gw.sent.size(), s.gw.counted(Reason::syn_ack_held));
  EXPECT_EQ(s.gw.counted(Reason::deadline), s.gw.sent.size());
}

TEST(HeldAnswer, OfOneWhoseRecordGaveWayIsAskedForByItsNextSyn) {
  LateScene s;
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  for (uint16_t p = 0; p < 1000; ++p) {
    Stranger x{s.gw};
    x.client = address("198.18.77.1");
    x.port = static_cast<uint16_t>(1024 + p);
    x.client_isn = {5000u + p};
    x.syn({}, kFullSyn);
  }
  s.gw.wait(milliseconds{600});
  const auto for_us = [&](const Sent& f) { return f.h.destination == t.client; };
  EXPECT_EQ(std::count_if(s.gw.sent.begin(), s.gw.sent.end(), for_us), 0);
  t.syn({}, kFullSyn);
  EXPECT_EQ(std::count_if(s.gw.sent.begin(), s.gw.sent.end(), for_us), 1);
}

TEST(HeldAnswer, IsBoundedAsIfItHadGoneAtOnce) {
  lcore::PipelineOptions o = meeting_options();
  o.meetings_per_second = 5;
  LateScene s(o);
  s.gw.wait(seconds{2});
  for (uint16_t p = 0; p < 50; ++p) {
    Stranger x{s.gw};
    x.port = static_cast<uint16_t>(1024 + p);
    x.syn({}, kFullSyn);
  }
  s.gw.wait(milliseconds{501});
  EXPECT_EQ(s.gw.sent.size(), 5u);
}

TEST(HeldAnswer, IsNotPromisedOnceTheServerIsAnother) {
  LateScene s;
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  Talk other{s.gw};
  other.client = address("198.18.9.9");
  other.syn({}, kFullSyn);
  other.syn_ack({2, 4, 5, 0xa0, 1, 1, 4, 2, 1, 3, 3, 10});  // it scales its window otherwise
  s.gw.forget();
  s.gw.wait(milliseconds{501});
  EXPECT_TRUE(to(Side::wan, s.gw.sent).empty());
  EXPECT_EQ(s.gw.flows(State::met), 0u);
}

TEST(HeldAnswer, WithAFullCalendarGoesAtOnce) {
  // One chunk of the calendar for each millisecond that anything is due in: more flows than that fill it.
  LateScene s;
  s.gw.settings().treatments[size_t(SourceClass::unknown)].syn_ack = {1, 29'000};
  s.gw.commit();
  size_t held = 0, sent = 0;
  for (uint32_t n = 0; n < 60'000 && s.gw.counted(Reason::calendar_full) == 0; ++n) {
    Stranger x{s.gw};
    x.client = wire::Address::v4(0x64000000 + n);
    s.gw.forget();
    x.syn({}, kFullSyn);
    (s.gw.sent.empty() ? held : sent) += 1;
    s.gw.wait(milliseconds{1});
  }
  EXPECT_GT(held, 0u);
  EXPECT_EQ(s.gw.sent.size(), 1u);
}

TEST(HeldAnswer, IsNotAwaitedForEverWhenTheDataplaneStops) {
  LateScene s;
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  s.gw.pipeline().release_all(s.gw.now);
  s.gw.forget();
  s.gw.now += seconds{1};
  t.syn({}, kFullSyn);
  EXPECT_EQ(s.gw.sent.size(), 1u);
}

}  // namespace
}  // namespace mire::test
