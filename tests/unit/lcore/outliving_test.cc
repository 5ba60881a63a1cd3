// What a dataplane leaves, and what the next one makes of it: with settings, and before there are any.
#include <gtest/gtest.h>

#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::State;

lcore::PipelineOptions keeping(Memory& memory) {
  lcore::PipelineOptions o = meeting_options();
  o.keeper = &memory;
  return o;
}

// A dataplane of which a stranger's flow outlives the kill, in a state of that flow.
struct Before {
  Memory memory;
  Scene scene{keeping(memory)};
  Stranger stranger{scene.gw};

  explicit Before(State s) {
    scene.teach();
    stranger.syn({}, kFullSyn);
    stranger.take_number();
    if (s == State::met) return;
    stranger.ack();
    if (s == State::deferred) return;
    scene.gw.wait(milliseconds{1001});
    stranger.server_clock = scene.gw.sent.back().options().tsval;
    if (s == State::invited) return;
    stranger.say(0, kGreeting.size(), "EHLO a.example\r\n");
    if (s == State::dialling) return;
    stranger.welcome();
  }
};

// The one after it, to which the segments come.
struct After {
  Memory memory;
  Gateway gw{keeping(memory)};
  Stranger stranger{gw};

  After(const Before& before, bool configured) {
    gw.settings() = {};
    if (!configured) gw.pipeline().use(nullptr);
    gw.now = before.scene.gw.now + milliseconds{300};
    gw.pipeline().restore(*before.memory.kept, gw.now);
    stranger.client_isn = before.stranger.client_isn;
    stranger.server_isn = before.stranger.server_isn;
    stranger.server_clock = before.stranger.server_clock;
    gw.forget();
  }
};

TEST(Outliving, AStrangerGoesOnFromWhateverItHadReached) {
  for (const bool configured : {false, true}) {
    for (const State s : {State::met, State::deferred, State::invited, State::dialling}) {
      SCOPED_TRACE(std::string(policy::to_string(s)) + (configured ? "" : ", no settings"));
      const Before before(s);
      ASSERT_TRUE(before.memory.kept);
      After after(before, configured);
      ASSERT_TRUE(after.memory.kept) << "for the next one";
      Stranger& t = after.stranger;
      if (s == State::met) {
        after.gw.wait(milliseconds{1001});
        ASSERT_FALSE(after.gw.sent.empty());
        EXPECT_TRUE(after.gw.sent[0].has(kSyn | kAck)) << "its ACK may have come while nobody was there";
        EXPECT_EQ(after.gw.sent[0].h.seq, t.server_isn);
        t.server_clock = after.gw.sent[0].options().tsval;
        t.ack();
      }
      after.gw.wait(milliseconds{5001});
      ASSERT_FALSE(after.gw.sent.empty());
      EXPECT_EQ(after.gw.sent.back().text(), kGreeting);
      EXPECT_EQ(t.in_server(after.gw.sent.back().h.seq), 0u);
      EXPECT_GT(after.gw.sent.back().options().tsval - t.server_clock, 0u);
      EXPECT_LT(after.gw.sent.back().options().tsval - t.server_clock, 10'000u) << "its clock goes on";
      t.server_clock = after.gw.sent.back().options().tsval;
      after.gw.forget();
      t.say(0, kGreeting.size(), "EHLO a.example\r\n");
      ASSERT_EQ(after.gw.sent.size(), 1u);
      EXPECT_EQ(after.gw.sent[0].h.flags, kSyn);
      t.welcome();
      EXPECT_EQ(after.gw.sent.back().text(), "EHLO a.example\r\n");
      EXPECT_EQ(after.gw.flows(State::talking), 1u);
    }
  }
}

TEST(Outliving, ADialogueIsTranslatedAsBefore) {
  for (const bool configured : {false, true}) {
    const Before before(State::talking);
    After after(before, configured);
    Stranger& t = after.stranger;
    EXPECT_EQ(t.server_says(kAck | kPsh, kGreeting.size(), 16, "250 mx\r\n"), Fate::forward);
    ASSERT_EQ(after.gw.forwarded.size(), 1u);
    EXPECT_EQ(t.in_server(after.gw.forwarded[0].h.seq), kGreeting.size());
    EXPECT_EQ(t.say(16, kGreeting.size() + 8, "QUIT\r\n"), Fate::forward);
    ASSERT_EQ(after.gw.forwarded.size(), 2u);
    EXPECT_EQ(after.gw.forwarded[1].h.ack, t.real_isn + 1 + static_cast<uint32_t>(kGreeting.size() + 8));
  }
}

TEST(Outliving, WhatEndsIsForgotten) {
  Before before(State::invited);
  before.stranger.from_client(kRst, 0, 0);
  EXPECT_FALSE(before.memory.kept);
}

TEST(Outliving, WithoutAKeeperAndBeforeSettingsAFlowThatWasBypassedIsNobodys) {
  const Before before(State::invited);
  Gateway gw{meeting_options()};
  gw.pipeline().use(nullptr);
  gw.pipeline().restore(*before.memory.kept, gw.now);
  gw.pipeline().bypassed();
  Stranger t{gw};
  t.client_isn = before.stranger.client_isn;
  t.server_isn = before.stranger.server_isn;
  EXPECT_EQ(t.say(0, kGreeting.size(), "EHLO a.example\r\n"), Fate::forward);
  EXPECT_EQ(gw.flows(State::invited), 0u);
}

}  // namespace
}  // namespace mire::test
