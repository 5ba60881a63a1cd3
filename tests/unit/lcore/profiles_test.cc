// What servers taught an earlier dataplane: strangers are met from the first SYN on, and what this one has learned
// itself stands.
#include <gtest/gtest.h>

#include "dataplane/defer/server_profile.h"
#include "tests/support/stranger.h"

namespace mire::test {
namespace {

using enum wire::TcpFlag;
using policy::SourceClass;
using policy::State;
using policy::Withhold;

const std::string kKept = "220 kept.example ESMTP\r\n";
const std::string kOther = "220 other.example ESMTP, with more to say\r\n";

struct ProfileScene : Scene {
  using Scene::Scene;
  void keep(const std::string& greeting = kKept, uint64_t vlan = 0) {
    gw.settings().profiles[{address("198.19.0.25"), vlan}] = {{1400, 29'200, 5, true, true, true}, 60, greeting};
    gw.commit();
  }
  // What a stranger is greeted with; empty if its SYN passes.
  std::string greeted() {
    Talk t{gw};
    t.port = static_cast<uint16_t>(3000 + next_port++);
    t.timestamps = true;
    gw.sent.clear();
    if (t.syn({}, kFullSyn) == Fate::forward) return {};
    EXPECT_EQ(gw.sent.size(), 1u);
    offered = gw.sent.back().options();
    t.server_isn = gw.sent.back().h.seq;
    t.server_clock = offered.tsval;
    t.ack();
    gw.wait(milliseconds{1001});
    const std::string said = gw.sent.back().text();
    t.from_client(kRst, 0, 0);
    return said;
  }
  // The profiles that were told, put together.
  std::vector<std::string> told() {
    std::vector<std::string> v;
    mailbox::ProfileAssembly assembly;
    for (const auto& piece : gw.profiles)
      if (auto greeting = assembly.take(piece)) v.push_back(*greeting);
    gw.profiles.clear();
    return v;
  }

  wire::TcpOptions offered;
};

TEST(Profiles, OfAnEarlierDataplaneServeFromTheFirstSynOn) {
  ProfileScene s;
  EXPECT_EQ(s.greeted(), "");
  s.keep();
  EXPECT_EQ(s.greeted(), kKept);
  EXPECT_EQ(s.offered.mss, 1400);
  EXPECT_EQ(s.offered.window_scale, 5);
  EXPECT_TRUE(s.told().empty()) << "it comes from there";
}

TEST(Profiles, ServeAServerThatIsNamedLaterToo) {
  ProfileScene s;
  s.gw.settings().protect.insert(address("203.0.113.1"));
  s.keep();
  EXPECT_EQ(s.greeted(), "") << "not protected";
  s.gw.settings().protect.insert(address("198.19.0.25"));
  s.gw.commit();
  EXPECT_EQ(s.greeted(), kKept);
}

TEST(Profiles, AreKeptApartByVlan) {
  ProfileScene s;
  s.keep(kKept, 0x81000064);
  EXPECT_EQ(s.greeted(), "");
}

TEST(Profiles, NeverOverwriteWhatThisDataplaneHasLearned) {
  ProfileScene s;
  s.teach_once(kOther);
  s.keep();
  EXPECT_EQ(s.greeted(), "") << "one greeting of its own is seen, and it is another one";
  s.teach_once(kOther);
  EXPECT_EQ(s.greeted(), kOther);
  s.keep();
  EXPECT_EQ(s.greeted(), kOther);
  EXPECT_EQ(s.offered.mss, 0x5a0);
}

TEST(Profiles, GiveWayToWhatTheServerSaysToday) {
  ProfileScene s;
  s.keep();
  s.teach_once(kOther);
  EXPECT_EQ(s.greeted(), "") << "its length has changed";
  s.keep();
  EXPECT_EQ(s.greeted(), "") << "and is not believed a second time";
  s.teach_once(kOther);
  EXPECT_EQ(s.greeted(), kOther);
}

TEST(Profiles, AreToldWhenTheyAreReadyAndWhenTheyChange) {
  ProfileScene s;
  s.teach_once();
  EXPECT_TRUE(s.told().empty());
  s.teach_once();
  ASSERT_FALSE(s.gw.profiles.empty());
  EXPECT_EQ(s.gw.profiles[0].server, address("198.19.0.25"));
  EXPECT_EQ(s.gw.profiles[0].offer, (wire::Offer{0x5a0, 65'000, 9, true, true, true}));
  EXPECT_EQ(s.told(), std::vector<std::string>{std::string(kGreeting)});
  s.teach_once();
  EXPECT_TRUE(s.told().empty()) << "nothing new";
  const std::string longer = "220-" + std::string(500, 'x') + "\r\n220 y\r\n";
  s.gw.wait(std::chrono::minutes{1});
  s.teach_once(longer);
  EXPECT_TRUE(s.told().empty()) << "not sure yet";
  s.teach_once(longer);
  EXPECT_EQ(s.told(), std::vector<std::string>{longer});
}

TEST(Profiles, WithTheTimeOfDayInThemAreToldOnceAMinute) {
  ProfileScene s;
  size_t times = 0;
  for (int i = 0; i < 180; ++i) {
    char greeting[64];
    std::snprintf(greeting, sizeof greeting, "220 mx.example ESMTP 12:00:%03d\r\n", i);
    s.teach_once(greeting);
    times += s.told().size();
    s.gw.wait(seconds{1});
  }
  EXPECT_EQ(times, 3u);
}

TEST(Profiles, AreToldAgainWhenThereWasNoRoomOrNobodyKeptThem) {
  ProfileScene s;
  s.gw.hears_profiles = false;
  s.teach_once();
  s.teach_once();
  s.gw.hears_profiles = true;
  EXPECT_TRUE(s.told().empty());
  s.teach_once();
  EXPECT_EQ(s.told().size(), 1u);
  s.gw.commit();  // settings without it: mired was away
  EXPECT_EQ(s.told().size(), 1u);
  s.gw.settings().profiles[{address("198.19.0.25"), 0}] = {
      {0x5a0, 65'000, 9, true, true, true}, 60, std::string(kGreeting)};
  s.gw.commit();
  EXPECT_TRUE(s.told().empty());
}

TEST(Profiles, AGreetingThatIsWrittenOverridesTheLearnedOneButTheHandshakeIsLearned) {
  ProfileScene s;
  s.gw.settings().servers[address("198.19.0.25")].greeting = "220-written\r\n220 by hand\r\n";
  s.gw.commit();
  EXPECT_EQ(s.greeted(), "") << "nothing is known of its handshake";
  s.teach_once();
  EXPECT_EQ(s.greeted(), "220-written\r\n220 by hand\r\n");
  s.teach_once();
  EXPECT_EQ(s.greeted(), "220-written\r\n220 by hand\r\n");
  EXPECT_EQ(s.told(), std::vector<std::string>{std::string(kGreeting)}) << "what it said itself is what is kept";
  s.gw.settings().servers.clear();
  s.gw.commit();
  EXPECT_EQ(s.greeted(), kGreeting);
}

TEST(Profiles, AWrittenGreetingThatIsTakenBackStillServesThoseWhoAreHeld) {
  ProfileScene s;
  s.gw.settings().servers[address("198.19.0.25")].greeting = "220 by hand\r\n";
  s.gw.commit();
  Talk limited{s.gw};
  limited.client = address("198.18.9.1");
  limited.open();  // no greeting of its own has been seen
  Talk t{s.gw};
  t.port = 3999;
  s.gw.sent.clear();
  ASSERT_EQ(t.syn({}, kFullSyn), Fate::drop);
  t.server_isn = s.gw.sent.back().h.seq;
  t.ack();
  s.gw.settings().servers.clear();
  s.gw.commit();
  s.gw.wait(milliseconds{1001});
  EXPECT_EQ(s.gw.sent.back().text(), "220 by hand\r\n");
  EXPECT_EQ(s.greeted(), "") << "those who come now are not met with it";
}

// Strangers who have heard the greeting and spoken.
void speak(ProfileScene& s, uint16_t strangers) {
  for (uint16_t p = 0; p < strangers; ++p) {
    Talk t{s.gw};
    t.port = static_cast<uint16_t>(5000 + p);
    t.syn({}, kFullSyn);
    t.server_isn = s.gw.sent.back().h.seq;
    t.ack();
    s.gw.wait(milliseconds{1001});
    t.from_client(kAck | kPsh, 0, static_cast<uint32_t>(kKept.size()), "EHLO a.example\r\n");
  }
}

TEST(Profiles, EachServerHasItsOwnPace) {
  ProfileScene s;
  s.keep();
  s.gw.settings().strangers.concurrent = 1;
  s.gw.settings().servers[address("198.19.0.25")].strangers = {2, 0};
  s.gw.commit();
  speak(s, 4);
  EXPECT_EQ(s.gw.counted(policy::Reason::dial_waits), 2u);
}

TEST(Profiles, APaceIsSharedByTheLcoresOfADataplane) {
  for (const uint8_t lcore : {uint8_t{0}, uint8_t{1}, uint8_t{2}}) {
    lcore::PipelineOptions o = meeting_options();
    o.lcore = lcore;
    o.lcores = 3;
    ProfileScene s(o);
    s.keep();
    s.gw.settings().strangers.concurrent = 5;
    s.gw.commit();
    speak(s, 4);
    EXPECT_EQ(s.gw.counted(policy::Reason::dial_waits), lcore == 2 ? 3u : 2u);
  }
}

TEST(Profiles, RestoredWithAFlowAreNotToldBeforeTheServerHasGreeted) {
  defer::ServerProfile p;
  p.restore({1400, 29'200, 5, true, true, true}, 3, 5, 24);  // a greeting that the operator may have written
  EXPECT_TRUE(p.ready());
  EXPECT_FALSE(p.learned());
  EXPECT_EQ(p.saw_greeting(6, 24), 5u);
  EXPECT_TRUE(p.learned());
}

TEST(Profiles, LeaveHalfOfTheServerTableToThoseWhoAreThere) {
  lcore::PipelineOptions o = Gateway::small();
  ProfileScene s(o);
  for (uint32_t i = 0; i < 2 * o.sizes.servers; ++i)
    s.gw.settings().profiles[{wire::Address::v4(0x0a000000 + i), 0}] = {{1400, 29'200, 5, true, true, true}, 60, kKept};
  s.gw.commit();
  s.teach_once();
  s.teach_once();
  EXPECT_EQ(s.greeted(), kGreeting);
}

}  // namespace
}  // namespace mire::test
