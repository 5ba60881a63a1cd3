// Strangers met in the server's name when something goes wrong: lost segments, queues that do not move, servers that
// stall, ports used again. And that nothing is left behind.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::Reason;
using policy::SourceClass;
using policy::State;
using policy::Withhold;

TEST(Defer, AHandshakesAckThatWasLostIsAskedForAgain) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  t.take_number();
  const Sent first = s.gw.sent[0];
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  ASSERT_EQ(s.gw.sent.size(), 1u) << "a client that waits for the greeting would wait for ever";
  const Sent again = s.gw.sent[0];
  EXPECT_EQ(again.h.flags, kSyn | kAck);
  EXPECT_EQ(again.h.seq, first.h.seq);
  EXPECT_EQ(again.h.ack, first.h.ack);
  EXPECT_EQ(again.h.window, first.h.window);
  EXPECT_EQ(again.frame.size(), first.frame.size());
  EXPECT_EQ(again.options().tsecr, t.client_clock);
  EXPECT_TRUE(wire::checksums_valid(again.frame, again.h));
  s.gw.wait(seconds{60});
  EXPECT_EQ(s.gw.sent.size(), 2u) << "twice and no more";
  t.server_clock = s.gw.sent[1].options().tsval;
  t.ack();
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
}

TEST(Defer, ASynThatComesAgainLaterGetsTheSameNumber) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  t.take_number();
  s.gw.wait(seconds{70});  // the cookies' time has moved on
  t.syn({}, kFullSyn);
  EXPECT_EQ(s.gw.sent.back().h.seq, t.server_isn);
}

TEST(Defer, ForgedSynsAreAskedForTheirAckOnlySoOften) {
  lcore::PipelineOptions o = meeting_options();
  o.repeats_per_second = 5;
  Scene s(o);
  s.teach();
  for (uint16_t p = 0; p < 50; ++p) {
    Stranger x{s.gw};
    x.port = static_cast<uint16_t>(1024 + p);
    x.syn({}, kFullSyn);
  }
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  EXPECT_LE(s.gw.sent.size(), 10u);
  EXPECT_GE(s.gw.sent.size(), 5u);
}

TEST(Defer, WhoWaitsForTheNextSecondIsDialledThen) {
  Scene s;
  s.gw.settings().strangers.per_second = 1;
  s.gw.commit();
  s.teach();
  Stranger a{s.gw}, b{s.gw};
  b.port = 40001;
  a.hear_greeting();
  b.hear_greeting();
  s.gw.forget();
  a.say(0, kGreeting.size(), "EHLO a.example\r\n");
  b.say(0, kGreeting.size(), "EHLO b.example\r\n");
  a.welcome();
  EXPECT_EQ(s.gw.flows(State::dialling), 1u);
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  const auto down = to(Side::lan, s.gw.sent);
  ASSERT_EQ(down.size(), 1u);
  EXPECT_EQ(down[0].h.flags, kSyn);
  EXPECT_EQ(down[0].h.source_port, b.port);
}

TEST(Defer, WhoGivesUpWhileItWaitsForItsTurnIsNeverHeardOfByTheServer) {
  Scene s;
  s.gw.settings().strangers.concurrent = 1;
  s.gw.commit();
  s.teach();
  Stranger a{s.gw}, b{s.gw}, c{s.gw};
  b.port = 40001;
  c.port = 40002;
  a.speak();
  b.speak();
  c.speak();
  s.gw.forget();
  b.from_client(kRst, 0, 0);
  EXPECT_TRUE(to(Side::lan, s.gw.sent).empty());
  // The other two: one gives up when it was dialled, and nobody is forgotten in the queue.
  a.from_client(kRst, 16, 0);
  const auto down = to(Side::lan, s.gw.sent);
  ASSERT_EQ(down.size(), 2u);
  EXPECT_EQ(down[0].h.flags, kRst);
  EXPECT_EQ(down[1].h.source_port, c.port);
}

TEST(Defer, ADialThatGetsNoTurnEndsWithATemporaryReply) {
  Scene s;
  s.gw.settings().strangers.concurrent = 1;
  s.gw.commit();
  s.teach();
  Stranger a{s.gw}, b{s.gw};
  b.port = 40001;
  a.speak();
  a.server_answers();  // and does not greet
  b.speak();
  s.gw.forget();
  s.gw.wait(seconds{31});
  const auto up = to(Side::wan, s.gw.sent);
  ASSERT_EQ(up.size(), 1u);
  EXPECT_EQ(up[0].h.destination_port, b.port);
  EXPECT_EQ(up[0].text().substr(0, 9), "421 4.3.2");
  for (const Sent& f : to(Side::lan, s.gw.sent)) EXPECT_EQ(f.h.source_port, a.port);
}

TEST(Defer, AServerThatHasAnsweredGetsTheHandshakesAckAgain) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  t.server_answers();
  s.gw.forget();
  s.gw.wait(milliseconds{3002});
  ASSERT_EQ(s.gw.sent.size(), 2u) << "one that answered by a cookie does not ask for it";
  for (const Sent& a : s.gw.sent) {
    EXPECT_EQ(a.to, Side::lan);
    EXPECT_EQ(a.h.flags, kAck);
    EXPECT_EQ(a.h.seq, t.client_isn + 1);
    EXPECT_EQ(a.h.ack, t.real_isn + 1);
  }
  s.gw.wait(seconds{37});
  const auto up = to(Side::wan, s.gw.sent);
  ASSERT_EQ(up.size(), 1u);
  EXPECT_EQ(up[0].text().substr(0, 9), "421 4.3.2");
  EXPECT_TRUE(s.gw.sent[s.gw.sent.size() - 2].has(kRst)) << "the server is told";
}

TEST(Defer, ARefusalThatTheServerCutsIsToldWhole) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  t.server_answers();
  s.gw.forget();
  t.server_says(kAck | kPsh, 0, 0, "4");
  EXPECT_TRUE(to(Side::wan, s.gw.sent).empty());
  t.server_says(kAck | kPsh, 1, 0, "21 4.7.0 too busy\r\n");
  const auto up = to(Side::wan, s.gw.sent);
  ASSERT_EQ(up.size(), 1u);
  EXPECT_EQ(up[0].text(), "421 4.7.0 too busy\r\n");
}

TEST(Defer, AServerWhoseGreetingCannotBeReadAnyMoreIsLearnedAnew) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  t.server_answers();
  t.server_says(kAck | kPsh, 0, 0, "hello there\r\n");
  EXPECT_EQ(s.gw.counted(Reason::promise_broken), 1u);
  Stranger next{s.gw};
  next.port = 41000;
  EXPECT_EQ(next.syn({}, kFullSyn), Fate::forward);
}

TEST(Defer, APortThatIsUsedAgainIsMetAnew) {
  for (const auto over : {State::tombstone, State::finished, State::replied}) {
    Scene s;
    if (over == State::replied)
      s.gw.settings().treatments[size_t(SourceClass::unknown)].early_talk = policy::OnEarlyTalk::reject;
    auto& suspect = s.gw.settings().treatments[size_t(SourceClass::suspect)];
    suspect = s.gw.settings().treatments[size_t(SourceClass::unknown)];
    s.gw.commit();
    s.teach();
    Stranger t{s.gw};
    t.meet();
    if (over == State::finished) {
      t.from_client(kFin | kAck, 0, 0);
    } else {
      t.say(0, 0, "EHLO early.example\r\n");
    }
    EXPECT_EQ(s.gw.flows(over), 1u);
    s.gw.forget();
    t.client_isn = {90'000};
    EXPECT_EQ(t.syn({}, kFullSyn), Fate::drop) << "the server hears of nobody who has not spoken in turn";
    t.take_number();
    EXPECT_EQ(s.gw.flows(State::met), 1u);
    EXPECT_EQ(s.gw.flows(over), 0u);
  }
}

TEST(Defer, AfterAReplyAPortMayBeUsedAgainThoughTheServerIsNoLongerKnown) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  s.gw.put(Side::lan, t.frame(Side::lan, kRst | kAck, {0}, t.client_isn + 1));
  EXPECT_EQ(s.gw.flows(State::replied), 1u);
  t.client_isn = {90'000};
  EXPECT_EQ(t.syn({}, kFullSyn), Fate::forward);
  t.server_isn = {4444};
  EXPECT_EQ(t.syn_ack(kServersSynAck), Fate::forward) << "it is up again";
  EXPECT_EQ(t.ack(), Fate::forward);
}

TEST(Defer, AHalfClosedDialogueIsTranslatedAsLongAsItLasts) {
  Scene s;
  s.teach();
  Stranger t{s.gw};
  t.speak();
  t.welcome();
  t.from_client(kAck | kFin, 16, kGreeting.size());
  s.gw.wait(seconds{300});  // a filter thinks
  s.gw.forget();
  EXPECT_EQ(t.server_says(kAck | kPsh, t.greeted, 17, "250 taken\r\n"), Fate::forward);
  EXPECT_EQ(t.in_server(s.gw.forwarded[0].h.seq), kGreeting.size());
  t.server_says(kAck | kFin, t.greeted + 11, 17);
  s.gw.wait(seconds{60});
  EXPECT_EQ(s.gw.flows(State::closing), 0u) << "both have closed";
}

TEST(Defer, AFloodOfForgedSegmentsTouchesNobodyWhoIsProven) {
  Scene s;
  s.teach();
  std::vector<Stranger> all;
  for (uint16_t p = 0; p < 4; ++p) {
    all.emplace_back(s.gw);
    all.back().port = static_cast<uint16_t>(3000 + p);
    if (p == 0) all.back().speak();
    if (p == 1) all.back().speak();
    if (p == 1) all.back().welcome();
    if (p == 2) all.back().hear_greeting();
    if (p == 3) all.back().meet();
  }
  Talk trusted{s.gw};
  trusted.client = address("198.18.9.7");
  trusted.syn();
  trusted.syn_ack(kServersSynAck);
  trusted.ack();
  trusted.reply(0, 0, kGreeting);
  trusted.say(0, kGreeting.size(), "EHLO a.example\r\n");
  s.gw.forget();
  const uint64_t held = s.gw.counted(Reason::deferred);
  uint32_t chance = 1;
  for (uint32_t n = 0; n < 50'000; ++n) {
    chance = chance * 1664525u + 1013904223u;
    Stranger x{s.gw};
    x.client.bytes[12] = 100;
    x.client.bytes[13] = static_cast<uint8_t>(chance >> 8);
    x.client.bytes[14] = static_cast<uint8_t>(chance >> 16);
    x.client.bytes[15] = static_cast<uint8_t>(chance >> 24);
    x.timestamps = n % 3 != 0;
    x.server_isn = {chance};
    if (n % 4 == 3) {
      x.ack();
    } else {
      x.syn({}, n % 2 == 0 ? kFullSyn : std::vector<uint8_t>{});
    }
    s.gw.forget();
  }
  EXPECT_EQ(s.gw.counted(Reason::deferred), held) << "a forged ACK proves nothing";
  EXPECT_GT(s.gw.counted(Reason::syn_share_full), 0u);
  EXPECT_EQ(s.gw.flows(State::dialling), 1u);
  EXPECT_EQ(s.gw.flows(State::invited), 1u);
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
  EXPECT_EQ(s.gw.flows(State::talking), 2u);
  // And each goes on.
  EXPECT_EQ(trusted.say(16, kGreeting.size(), "MAIL FROM:<a@b>\r\n"), Fate::forward);
  EXPECT_EQ(all[1].say(16, kGreeting.size(), "MAIL FROM:<a@b>\r\n"), Fate::forward);
  all[0].welcome();
  EXPECT_EQ(s.gw.sent.back().text(), "EHLO a.example\r\n");
  all[2].say(0, kGreeting.size(), "EHLO a.example\r\n");
  EXPECT_EQ(s.gw.sent.back().h.flags, kSyn);
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  const auto is_greeting = [](const Sent& f) { return f.text() == kGreeting; };
  EXPECT_EQ(std::count_if(s.gw.sent.begin(), s.gw.sent.end(), is_greeting), 1);
  EXPECT_LE(s.gw.sent.size(), 5u) << "no SYN-ACKs are repeated right after a flood";
}

TEST(Defer, APauseOfOursOfAnyLengthIsSurvived) {
  for (const int pause : {20, 30, 50, 64, 66, 100}) {
    Scene s;
    s.teach();
    std::vector<Stranger> all;
    for (uint16_t p = 0; p < 5; ++p) {
      all.emplace_back(s.gw);
      all.back().port = static_cast<uint16_t>(3000 + p);
      if (p == 0) all.back().syn({}, kFullSyn);
      if (p == 1) all.back().meet();
      if (p == 2) all.back().hear_greeting();
      if (p == 3) s.gw.wait(seconds{11});
      if (p >= 3) all.back().speak();
      if (p == 4) all.back().server_answers();
    }
    s.gw.now += seconds{pause};
    s.gw.pipeline().expire(s.gw.now);
    s.gw.wait(seconds{60});
    EXPECT_EQ(s.gw.flows(State::deferred) + s.gw.flows(State::dialling), 0u);
  }
}

TEST(Defer, WhenAllAreGoneNothingIsInUse) {
  Scene s;
  s.teach();
  std::vector<Stranger> all;
  for (uint16_t p = 0; p < 6; ++p) {
    all.emplace_back(s.gw);
    all.back().port = static_cast<uint16_t>(3000 + p);
    if (p == 0) all.back().meet();
    if (p == 1) all.back().hear_greeting();
    if (p >= 2) all.back().speak();
    if (p == 3) all.back().server_answers();
    if (p == 4) all.back().welcome();
    if (p == 5) all.back().from_client(kRst, 16, 0);
  }
  for (int n = 0; n < 2200; ++n) {
    s.gw.now += milliseconds{500};
    s.gw.pipeline().expire(s.gw.now);
  }
  const lcore::RoomsInUse left = s.gw.pipeline().rooms_in_use();
  EXPECT_EQ(left.flows, 0u);
  EXPECT_EQ(left.paths, 0u);
  EXPECT_EQ(left.parked, 0u);
  EXPECT_EQ(left.dialogues, 0u);
  EXPECT_EQ(left.dials, 0u);
}

TEST(Defer, WhatIsKeptWasDroppedRatherThanPassedWhileNobodyJudgedAndGoesOn) {
  Memory keeper;
  lcore::PipelineOptions o = meeting_options();
  o.keeper = &keeper;
  Scene s(o);
  s.teach();
  Stranger t{s.gw};
  t.meet();
  s.gw.pipeline().bypassed();
  s.gw.wait(milliseconds{1001});
  ASSERT_EQ(s.gw.sent.back().text(), kGreeting);
  t.server_clock = s.gw.sent.back().options().tsval;
  s.gw.pipeline().bypassed();
  EXPECT_EQ(t.say(0, kGreeting.size(), "EHLO a.example\r\n"), Fate::drop);
  s.gw.pipeline().bypassed();
  t.welcome();
  EXPECT_EQ(s.gw.sent.back().text(), "EHLO a.example\r\n");
  EXPECT_EQ(s.gw.flows(State::talking), 1u);
}

}  // namespace
}  // namespace mire::test
