// What a capture says would have happened.
#include "tools/replay/replay.h"

#include <gtest/gtest.h>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

using policy::Reason;
using policy::SourceClass;
using policy::Verdict;

// A conversation as a capture saw it. The gateway inside the Talk is only there to write frames.
struct Tape {
  Gateway unused;
  Talk talk{unused};
  source::Settings settings;
  std::vector<std::vector<uint8_t>> frames;

  void client(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view data = {}) {
    frames.push_back(talk.frame(Side::wan, flags, talk.client_isn + 1 + seq, talk.server_isn + 1 + ack, data));
  }
  void server(uint8_t flags, uint32_t seq, uint32_t ack, std::string_view data = {}) {
    frames.push_back(talk.frame(Side::lan, flags, talk.server_isn + 1 + seq, talk.client_isn + 1 + ack, data));
  }
  void open() {
    frames.push_back(talk.frame(Side::wan, wire::kSyn, talk.client_isn, {}));
    frames.push_back(talk.frame(Side::lan, wire::kSyn | wire::kAck, talk.server_isn, talk.client_isn + 1));
    client(wire::kAck, 0, 0);
  }
  std::vector<replay::Outcome> play() {
    replay::Replay run(settings, 1);
    Time at{seconds{1'700'000'000}};
    for (auto& f : frames) run.frame(f, at += milliseconds{10}, false);
    run.finish();
    return run.outcomes();
  }
};

TEST(Replay, AnEarlyTalkerWouldHaveBeenReset) {
  Tape t;
  t.open();
  t.client(wire::kAck | wire::kPsh, 0, 0, "EHLO spam\r\n");
  t.server(wire::kAck | wire::kPsh, 0, 11, kGreeting);
  const auto o = t.play();
  ASSERT_EQ(o.size(), 1u);
  EXPECT_EQ(o[0].verdict, Verdict::reset);
  EXPECT_EQ(o[0].reason, Reason::early_talk);
  EXPECT_EQ(o[0].first_bytes, "EHLO spam\r\n");
}

TEST(Replay, APatientStrangerWouldHaveBeenHeldAndItsMailIsCounted) {
  Tape t;
  const auto g = static_cast<uint32_t>(kGreeting.size());
  t.open();
  t.server(wire::kAck | wire::kPsh, 0, 0, kGreeting);
  t.client(wire::kAck | wire::kPsh, 0, g, "EHLO a\r\n");
  t.server(wire::kAck | wire::kPsh, g, 8, "250 mx\r\n");
  t.client(wire::kAck | wire::kPsh, 8, g + 8, "MAIL FROM:<a@b>\r\n");
  t.server(wire::kAck | wire::kPsh, g + 8, 25, "250 ok\r\n");
  t.client(wire::kAck | wire::kPsh, 25, g + 16, "RCPT TO:<c@d>\r\n");
  t.server(wire::kAck | wire::kPsh, g + 16, 40, "250 ok\r\n");
  t.client(wire::kAck | wire::kPsh, 40, g + 24, "DATA\r\n");
  t.server(wire::kAck | wire::kPsh, g + 24, 46, "354 go\r\n");
  t.client(wire::kAck | wire::kPsh, 46, g + 32, "hi\r\n.\r\n");
  t.server(wire::kAck | wire::kPsh, g + 32, 53, "250 queued\r\n");
  t.client(wire::kAck | wire::kFin, 53, g + 44);
  t.server(wire::kAck | wire::kFin, g + 44, 54);
  const auto o = t.play();
  ASSERT_EQ(o.size(), 1u);
  EXPECT_EQ(o[0].verdict, Verdict::hold);
  EXPECT_EQ(o[0].greeting, (policy::HoldRange{1000, 5000}));
  EXPECT_EQ(o[0].end, Reason::delivered);
  EXPECT_EQ(o[0].accepted, 1u);
}

TEST(Replay, ClassesDecideAsInTheGateway) {
  for (const auto& [c, verdict, reason] : std::vector<std::tuple<SourceClass, Verdict, Reason>>{
           {SourceClass::exempt, Verdict::pass, Reason::exempt},
           {SourceClass::trusted, Verdict::pass, Reason::no_hold},
           {SourceClass::known, Verdict::pass, Reason::no_hold},
           {SourceClass::suspect, Verdict::hold, Reason::greeting_held},
           {SourceClass::blocked, Verdict::drop, Reason::blocked}}) {
    Tape t;
    t.settings.classes.set(*wire::parse_prefix("198.18.0.0/15"), c);
    t.open();
    t.server(wire::kAck, 0, 0, kGreeting);
    const auto o = t.play();
    ASSERT_EQ(o.size(), 1u);
    EXPECT_EQ(o[0].source_class, c);
    EXPECT_EQ(o[0].verdict, verdict);
    EXPECT_EQ(o[0].reason, reason);
  }
}

TEST(Replay, EarlyTalkIsOnlyCountedOfWhoMayAndNeverHeardOfWhoIsBlocked) {
  for (const auto& [c, verdict, reason] : std::vector<std::tuple<SourceClass, Verdict, Reason>>{
           {SourceClass::trusted, Verdict::count, Reason::early_talk_counted},
           {SourceClass::known, Verdict::reset, Reason::early_talk},
           {SourceClass::blocked, Verdict::drop, Reason::blocked}}) {
    Tape t;
    t.settings.classes.set(*wire::parse_prefix("198.18.0.0/15"), c);
    t.open();
    t.client(wire::kAck | wire::kPsh, 0, 0, "EHLO a\r\n");
    const auto o = t.play();
    ASSERT_EQ(o.size(), 1u);
    EXPECT_EQ(o[0].verdict, verdict);
    EXPECT_EQ(o[0].reason, reason);
  }
}

TEST(Replay, AFlowThatBeganBeforeTheCaptureIsJoined) {
  Tape t;
  t.server(wire::kAck, 100, 50, "250 ok\r\n");
  t.client(wire::kAck, 50, 108, "MAIL FROM:<a@b>\r\n");
  const auto o = t.play();
  ASSERT_EQ(o.size(), 1u);
  EXPECT_EQ(o[0].verdict, Verdict::pass);
  EXPECT_EQ(o[0].reason, Reason::joined_mid_stream);
}

TEST(Replay, APortUsedAgainIsASecondFlow) {
  Tape t;
  const auto g = static_cast<uint32_t>(kGreeting.size());
  for (int i = 0; i < 2; ++i) {
    t.open();
    t.server(wire::kAck, 0, 0, kGreeting);
    t.client(wire::kAck | wire::kFin, 0, g);
    t.server(wire::kAck | wire::kFin, g, 1);
    t.talk.client_isn = {5'000'000};
    t.talk.server_isn = {9'000'000};
  }
  EXPECT_EQ(t.play().size(), 2u);
}

TEST(Replay, OnlyProtectedServersAreListed) {
  Tape t;
  t.settings.protect.insert(address("203.0.113.1"));
  t.open();
  EXPECT_TRUE(t.play().empty());
}

}  // namespace
}  // namespace mire::test
