// Observe mode's totals: what enforcement would have done, and what those flows went on to deliver.
#include <gtest/gtest.h>

#include "tests/support/gateway.h"

namespace mire::test {
namespace {

using policy::Reason;
using policy::SourceClass;

const std::string kCommands = "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n";
const std::string kReplies = "250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n";

// One connection in observe mode; `early`: its commands come before the greeting.
class Observed {
 public:
  explicit Observed(Gateway& gw, uint16_t port = 40000) : t_{gw} {
    t_.port = port;
    t_.open();
  }
  void command(bool early) {
    const auto g = static_cast<uint32_t>(kGreeting.size());
    if (early) t_.say(0, 0, kCommands);
    t_.reply(0, early ? n() : 0, kGreeting);
    if (!early) t_.say(0, g, kCommands);
    t_.reply(g, n(), kReplies);
    at_ = g + static_cast<uint32_t>(kReplies.size());
  }
  void deliver(bool accepted) {
    t_.say(n(), at_, "hello\r\n.\r\n");
    t_.reply(at_, n() + 10, accepted ? "250 queued\r\n" : "550 no go..\r\n");
    at_ += 12;
    t_.from_client(wire::kAck | wire::kFin, n() + 10, at_);
    t_.from_server(wire::kAck | wire::kFin, at_, n() + 11);
  }

 private:
  static uint32_t n() { return static_cast<uint32_t>(kCommands.size()); }
  Talk t_;
  uint32_t at_ = 0;
};

Gateway& observing(Gateway& gw) {
  gw.settings().observe = true;
  gw.commit();
  return gw;
}

TEST(Observe, TellsHowManyItWouldHaveResetAndHowManyOfThoseDelivered) {
  Gateway gw;
  observing(gw);
  const lcore::WouldHave& would_have = gw.pipeline().counters().would_have;
  uint16_t port = 40000;
  for (const auto& [early, accepted] : {std::pair{true, true}, {true, false}, {false, true}}) {
    Observed flow(gw, port++);
    flow.command(early);
    flow.deliver(accepted);
  }
  EXPECT_EQ(would_have.reset, 2u);
  EXPECT_EQ(would_have.reset_delivered, 1u);
  EXPECT_EQ(would_have.blocked, 0u);
  EXPECT_EQ(gw.counted(Reason::delivered), 2u);
}

TEST(Observe, CountsABlockedFlowOnceProvenAndOnce) {
  Gateway gw;
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::blocked);
  observing(gw);
  const lcore::WouldHave& would_have = gw.pipeline().counters().would_have;
  Talk forged{gw};
  forged.port = 39999;
  forged.syn();
  EXPECT_EQ(gw.counted(Reason::blocked_observed), 1u);
  EXPECT_EQ(would_have.blocked, 0u) << "anybody may have sent that SYN";
  Observed flow(gw);
  flow.command(true);
  flow.deliver(true);
  EXPECT_EQ(would_have.blocked, 1u);
  EXPECT_EQ(would_have.blocked_delivered, 1u);
  EXPECT_EQ(would_have.reset, 0u) << "who is refused at the SYN never gets to talk early";
  EXPECT_EQ(gw.events.back().observed, 1);
}

TEST(Observe, CountsNoEarlyTalkThatTheClassMayDo) {
  Gateway gw;
  gw.settings().classes.set(*wire::parse_prefix("198.18.0.0/15"), SourceClass::trusted);
  observing(gw);
  Observed flow(gw);
  flow.command(true);
  flow.deliver(true);
  EXPECT_EQ(gw.counted(Reason::early_talk_counted), 1u);
  EXPECT_EQ(gw.pipeline().counters().would_have.reset, 0u);
  EXPECT_EQ(gw.events.back().observed, 0);
}

TEST(Observe, CountsPipeliningWhereItWouldHaveBeenReset) {
  for (const bool resets : {false, true}) {
    Gateway gw;
    gw.settings().treatments[size_t(SourceClass::unknown)].pipelining =
        resets ? policy::OnPipelining::reset : policy::OnPipelining::count;
    observing(gw);
    Observed flow(gw);
    flow.command(false);
    flow.deliver(true);
    EXPECT_EQ(gw.counted(Reason::unsynchronised_pipelining), 1u);
    EXPECT_EQ(gw.pipeline().counters().would_have.reset, resets ? 1u : 0u);
    EXPECT_EQ(gw.pipeline().counters().would_have.reset_delivered, resets ? 1u : 0u);
  }
}

TEST(Observe, NothingWouldHaveBeenWhereItWas) {
  Gateway gw;
  Talk t{gw};
  t.open();
  t.say(0, 0, "EHLO early\r\n");
  EXPECT_EQ(gw.counted(Reason::early_talk), 1u);
  EXPECT_EQ(gw.pipeline().counters().would_have.reset, 0u);
}

}  // namespace
}  // namespace mire::test
