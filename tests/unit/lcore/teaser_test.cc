// The first line of a deferred greeting at once, the rest at the deadline: what the client counts, and who is early.
#include <gtest/gtest.h>

#include <optional>

#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::Reason;
using policy::SourceClass;
using policy::State;

const std::string kTeaser = "220-mx.example\r\n";
const std::string kWhole = kTeaser + std::string(kGreeting);
const auto kFirst = static_cast<uint32_t>(kTeaser.size());
const auto kAll = static_cast<uint32_t>(kWhole.size());

struct TeaserScene : Scene {
  explicit TeaserScene(policy::OnEarlyTalk early = policy::OnEarlyTalk::reset,
                       lcore::PipelineOptions o = meeting_options())
      : Scene(o) {
    auto& unknown = gw.settings().treatments[size_t(SourceClass::unknown)];
    unknown.teaser = true;
    unknown.early_talk = early;
    gw.settings().teasers[size_t(SourceClass::unknown)] = "220-mx.example";
    gw.commit();
    teach();
  }
};

TEST(Teaser, GoesOutWithTheProofAndTheRestAtTheDeadline) {
  TeaserScene s;
  Stranger t{s.gw};
  t.syn({}, kFullSyn);
  t.take_number();
  s.gw.forget();
  t.ack();
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), kTeaser);
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), 0u);
  EXPECT_EQ(s.gw.flows(State::deferred), 1u);
  t.server_clock = s.gw.sent[0].options().tsval;
  t.from_client(kAck, 0, kFirst);
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), kGreeting);
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), kFirst);
  EXPECT_TRUE(s.gw.forwarded.empty());
}

TEST(Teaser, LostComesAgainWithTheRest) {
  TeaserScene s;
  Stranger t{s.gw};
  t.meet();
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), kWhole);
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), 0u);
}

TEST(Teaser, WhatIsRepeatedIsTheWholeFromItsBeginning) {
  TeaserScene s;
  Stranger t{s.gw};
  t.meet();
  t.from_client(kAck, 0, kFirst);
  s.gw.wait(milliseconds{1001});
  for (const int ms : {1000, 2000}) {
    s.gw.forget();
    s.gw.wait(milliseconds{ms});
    ASSERT_EQ(s.gw.sent.size(), 1u);
    EXPECT_EQ(s.gw.sent[0].text(), kWhole);
    EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), 0u);
  }
  t.from_client(kAck, 0, kAll);
  s.gw.forget();
  s.gw.wait(milliseconds{4000});
  EXPECT_TRUE(s.gw.sent.empty()) << "acknowledged";
  s.gw.wait(seconds{50});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text().substr(0, 9), "421 4.4.2");
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), kAll);
}

TEST(Teaser, WhoeverSpeaksAfterTheFirstLineIsEarly) {
  for (const uint32_t read : {0u, 5u, kFirst}) {
    TeaserScene s;
    Stranger t{s.gw};
    t.meet();
    s.gw.forget();
    EXPECT_EQ(t.say(0, read, "EHLO early.example\r\n"), Fate::drop);
    EXPECT_EQ(s.gw.flows(State::tombstone), 1u);
    ASSERT_FALSE(s.gw.sent.empty());
    EXPECT_EQ(s.gw.sent[0].h.flags, kRst);
    EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), read);
    EXPECT_EQ(t.in_server(s.gw.sent.back().h.seq), kFirst);
    EXPECT_EQ(s.gw.counted(Reason::early_talk), 1u);
    EXPECT_TRUE(to(Side::lan, s.gw.sent).empty());
  }
}

TEST(Teaser, WhoeverSpeaksAfterItMayBeRefusedByAReplyBehindIt) {
  TeaserScene s(policy::OnEarlyTalk::reject);
  Stranger t{s.gw};
  t.meet();
  s.gw.forget();
  t.say(0, kFirst, "EHLO early.example\r\n");
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text().substr(0, 9), "521 5.7.1");
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), kFirst);
  Stranger u{s.gw};  // one to whom it is still on its way: a reply would come out of turn
  u.port = 40001;
  u.syn({}, kFullSyn);
  EXPECT_EQ(s.gw.flows(State::replied), 1u);
}

TEST(Teaser, AClientThatClosesAfterItIsAnsweredBehindIt) {
  TeaserScene s;
  Stranger t{s.gw};
  t.meet();
  t.from_client(kAck, 0, kFirst);
  s.gw.forget();
  t.from_client(kFin | kAck, 0, kFirst);
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].h.flags, kFin | kAck);
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), kFirst);
  EXPECT_EQ(s.gw.pipeline().rooms_in_use().parked, 0u);
}

TEST(Teaser, TheTranslationCoversIt) {
  TeaserScene s;
  Stranger t{s.gw};
  t.meet();
  t.from_client(kAck, 0, kFirst);
  s.gw.wait(milliseconds{1001});
  t.server_clock = s.gw.sent.back().options().tsval;
  t.from_client(kAck, 0, kAll);
  s.gw.forget();
  t.say(0, kAll, "EHLO a.example\r\n");
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].h.flags, kSyn);
  t.welcome();
  EXPECT_EQ(s.gw.sent.back().text(), "EHLO a.example\r\n");
  s.gw.forget();
  EXPECT_EQ(t.server_says(kAck | kPsh, kGreeting.size(), 16, "250 mx.example\r\n"), Fate::forward);
  EXPECT_EQ(t.in_server(s.gw.forwarded[0].h.seq), kAll);
  EXPECT_EQ(t.say(16, kAll + 16, "QUIT\r\n"), Fate::forward);
  EXPECT_EQ(s.gw.forwarded[1].h.ack, t.real_isn + 1 + static_cast<uint32_t>(kGreeting.size() + 16));
  EXPECT_EQ(s.gw.pipeline().rooms_in_use().parked, 0u);
}

TEST(Teaser, WhoHasReadOnlyAPartOfTheRestIsEarlyToo) {
  TeaserScene s;
  Stranger t{s.gw};
  t.meet();
  t.from_client(kAck, 0, kFirst);
  s.gw.wait(milliseconds{1001});
  EXPECT_EQ(t.say(0, kFirst, "EHLO early.example\r\n"), Fate::drop);
  EXPECT_EQ(s.gw.flows(State::tombstone), 1u);
}

TEST(Teaser, WithoutRoomTheGreetingGoesAlone) {
  lcore::PipelineOptions o = meeting_options();
  o.sizes.banner_bytes = 64;  // the learned greeting, and nothing beside it
  TeaserScene s(policy::OnEarlyTalk::reset, o);
  Stranger t{s.gw};
  t.meet();
  EXPECT_EQ(s.gw.counted(Reason::banner_pool_full), 1u);
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text(), kGreeting);
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), 0u);
}

TEST(Teaser, WithoutRoomForBothTheClientIsToldToComeAgain) {
  lcore::PipelineOptions o = meeting_options();
  o.sizes.banner_bytes = 128;  // greeting and teaser, but not the two together
  TeaserScene s(policy::OnEarlyTalk::reset, o);
  Stranger t{s.gw};
  t.meet();
  t.from_client(kAck, 0, kFirst);
  s.gw.forget();
  s.gw.wait(milliseconds{1001});
  ASSERT_EQ(s.gw.sent.size(), 1u);
  EXPECT_EQ(s.gw.sent[0].text().substr(0, 9), "421 4.3.2");
  EXPECT_EQ(t.in_server(s.gw.sent[0].h.seq), kFirst);
  EXPECT_TRUE(s.gw.sent[0].has(kFin));
}

TEST(Teaser, IsNotSentToThoseWhoseGreetingIsHeldInstead) {
  Scene s;
  auto& unknown = s.gw.settings().treatments[size_t(SourceClass::unknown)];
  unknown.teaser = true;
  s.gw.settings().teasers[size_t(SourceClass::unknown)] = "220-mx.example";
  s.gw.commit();
  Talk t{s.gw};
  t.open();
  EXPECT_TRUE(s.gw.sent.empty());
}

TEST(Teaser, OutlivesTheDataplaneThatSentIt) {
  for (const bool invited : {false, true}) {
    Memory memory;
    lcore::PipelineOptions o = meeting_options();
    o.keeper = &memory;
    TeaserScene s(policy::OnEarlyTalk::reset, o);
    Stranger t{s.gw};
    t.meet();
    t.from_client(kAck, 0, kFirst);
    if (invited) s.gw.wait(milliseconds{1001});
    ASSERT_TRUE(memory.kept);

    TeaserScene later;
    later.gw.now = s.gw.now;
    later.gw.pipeline().restore(*memory.kept, later.gw.now);
    later.gw.forget();
    later.gw.wait(milliseconds{1002});
    ASSERT_EQ(later.gw.sent.size(), 1u);
    EXPECT_EQ(later.gw.sent[0].text(), kWhole) << "whether the first line was heard is not known";
    EXPECT_EQ(t.in_server(later.gw.sent[0].h.seq), 0u);
    Stranger u{later.gw};
    u.server_isn = t.server_isn;
    u.server_clock = later.gw.sent[0].options().tsval;
    later.gw.forget();
    u.say(0, kAll, "EHLO a.example\r\n");
    ASSERT_EQ(later.gw.sent.size(), 1u);
    EXPECT_EQ(later.gw.sent[0].h.flags, kSyn) << "it has read all of it";
  }
}

}  // namespace
}  // namespace mire::test
