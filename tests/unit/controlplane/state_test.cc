#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "controlplane/state/penalty_memory.h"
#include "controlplane/state/pipeconnect_memory.h"
#include "controlplane/state/profile_memory.h"
#include "tests/unit/mailbox/support.h"

namespace mire::state {
namespace {

using mailbox::EarlyHello;
using mailbox::Folder;
using Hellos = std::vector<EarlyHello>;

const wire::Address kServer = wire::parse_address("203.0.113.25").value();
constexpr WallSeconds kStart{std::chrono::seconds{1'795'054'264}};
constexpr std::chrono::days kDay{1};

TEST(PipeconnectMemory, CountsThirtyDaysFromTheFirstHidingAndNeverAnew) {
  const Folder folder;
  PipeconnectMemory memory(folder.file("."));
  EXPECT_EQ(memory.early_hellos(kStart), Hellos{});
  EXPECT_TRUE(memory.remember(kServer, kStart));
  EXPECT_FALSE(memory.remember(kServer, kStart + 10 * kDay));
  EXPECT_EQ(memory.early_hellos(kStart), (Hellos{{kServer, 30 * 86'400}}));
  EXPECT_EQ(memory.early_hellos(kStart + 29 * kDay), (Hellos{{kServer, 86'400}}));
  EXPECT_EQ(memory.early_hellos(kStart + 30 * kDay), (Hellos{{kServer, 0}})) << "told, so that nobody begins them anew";
  EXPECT_FALSE(memory.remember(kServer, kStart + 31 * kDay));
  EXPECT_EQ(memory.early_hellos(kStart + 31 * kDay), (Hellos{{kServer, 0}}));
  EXPECT_EQ(memory.early_hellos(kStart - 99 * kDay), (Hellos{{kServer, 30 * 86'400}})) << "a clock that was set back";
}

TEST(PipeconnectMemory, OutlivesMired) {
  const Folder folder;
  PipeconnectMemory(folder.file(".")).remember(kServer, kStart);
  PipeconnectMemory later(folder.file("."));
  EXPECT_EQ(later.take_notice(), "");
  EXPECT_EQ(later.early_hellos(kStart + kDay), (Hellos{{kServer, 29 * 86'400}}));
}

TEST(PipeconnectMemory, WorksInMemoryWithoutAFolderAndSaysSo) {
  PipeconnectMemory memory("/nowhere");
  EXPECT_EQ(
      memory.take_notice(),
      "state /nowhere: no folder that we can write; PIPECONNECT is remembered only until mired stops (make it, or "
      "name one with --state)");
  EXPECT_TRUE(memory.remember(kServer, kStart));
  EXPECT_EQ(memory.early_hellos(kStart).size(), 1u);
  EXPECT_EQ(memory.take_notice(), "");
}

TEST(PipeconnectMemory, PutsAFileThatItCannotReadAsideAndBeginsAnew) {
  for (const char* text : {"", "{", "[]", R"({"format":2,"first_hidden":{}})", R"({"format":1,"first_hidden":3})"}) {
    const Folder folder;
    std::ofstream(folder.file("pipeconnect.json")) << text;
    PipeconnectMemory memory(folder.file("."));
    EXPECT_NE(memory.take_notice().find("not readable; moved to"), std::string::npos) << text;
    EXPECT_TRUE(std::filesystem::exists(folder.file("pipeconnect.json.unreadable")));
    EXPECT_TRUE(memory.remember(kServer, kStart));
    EXPECT_EQ(PipeconnectMemory(folder.file(".")).early_hellos(kStart).size(), 1u);
  }
}

TEST(PipeconnectMemory, SkipsEntriesThatAreNone) {
  const Folder folder;
  std::ofstream(folder.file("pipeconnect.json"))
      << R"({"format":1,"first_hidden":{"x":1,"192.0.2.1":"y","192.0.2.2":9223372036854775807,)"
      << R"("192.0.2.3":-9223372036854775808}})";
  const PipeconnectMemory memory(folder.file("."));
  EXPECT_EQ(memory.early_hellos(kStart), (Hellos{{wire::parse_address("192.0.2.2").value(), 30 * 86'400},
                                                 {wire::parse_address("192.0.2.3").value(), 0}}));
}

mailbox::FlowEvent penalised(const char* client, uint64_t penalty_ms, uint8_t offences) {
  mailbox::FlowEvent e;
  e.client = wire::parse_address(client).value();
  e.penalty_ms = penalty_ms;
  e.offences = offences;
  return e;
}

using Penalties = std::vector<mailbox::Penalty>;
wire::Address source(const char* text) { return wire::source_of(wire::parse_address(text).value()); }

TEST(PenaltyMemory, TellsWhatStillRunsAndForgetsTheRest) {
  constexpr Time kNow{seconds{1000}};
  PenaltyMemory memory;
  memory.remember(penalised("192.0.2.1", 60'000, 1), kNow);
  memory.remember(penalised("2001:db8:0:1::77", 120'000, 2), kNow);
  memory.remember(penalised("192.0.2.9", 0, 0), kNow);
  EXPECT_EQ(memory.running(kNow + milliseconds{1'500}),
            (Penalties{{source("192.0.2.1"), 59, 2, 1}, {source("2001:db8:0:1::"), 119, 2, 2}}));
  EXPECT_EQ(memory.running(kNow + seconds{60}), (Penalties{{source("2001:db8:0:1::"), 60, 60, 2}}));
  EXPECT_EQ(memory.running(kNow + seconds{120}), Penalties{});
}

TEST(PenaltyMemory, TakesTheLatestWordOnASource) {
  constexpr Time kNow{seconds{1000}};
  PenaltyMemory memory;
  memory.remember(penalised("192.0.2.1", 60'000, 1), kNow);
  memory.remember(penalised("192.0.2.1", 120'000, 2), kNow + seconds{30});
  EXPECT_EQ(memory.running(kNow + seconds{90}), (Penalties{{source("192.0.2.1"), 60, 60, 2}}));
}

TEST(PenaltyMemory, HoldsNoMoreThanItsMostAndTheOneThatEndsFirstGivesWay) {
  constexpr Time kNow{seconds{1000}};
  PenaltyMemory memory(2);
  memory.remember(penalised("192.0.2.1", 90'000, 1), kNow);
  memory.remember(penalised("192.0.2.2", 60'000, 1), kNow);
  memory.remember(penalised("192.0.2.3", 120'000, 1), kNow);
  EXPECT_EQ(memory.running(kNow), (Penalties{{source("192.0.2.1"), 90, 0, 1}, {source("192.0.2.3"), 120, 0, 1}}));
  memory.remember(penalised("192.0.2.3", 180'000, 2), kNow);
  EXPECT_EQ(memory.running(kNow).size(), 2u) << "a known source takes nobody's place";
}

TEST(PenaltyMemory, NeverTellsMoreThanADataplaneAccepts) {
  PenaltyMemory memory;
  memory.remember(penalised("192.0.2.1", UINT64_MAX, 0), Time{});
  const Penalties told = memory.running(Time{});
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(mailbox::decode(mailbox::encode(mailbox::Down{told[0]})).ok());
}

// --- profiles

constexpr wire::Offer kOffer{1460, 65'160, 7, true, true, true};
const std::string kGreeting = "220 mx.example ESMTP \"quoted\" back\\slash \xc3\xa9\r\n";

// All pieces, as a dataplane tells them. What the last one brought.
bool tell(ProfileMemory& memory, const wire::Address& server, const std::string& greeting, uint64_t vlan = 0,
          WallSeconds now = kStart, wire::Offer offer = kOffer) {
  bool last = false;
  for (size_t at = 0; at < greeting.size(); at += mailbox::kPieceBytes)
    last = memory.remember({server, vlan, offer, 1000, mailbox::piece_of(greeting, at)}, now);
  return last;
}

TEST(ProfileMemory, OutlivesMired) {
  const Folder folder;
  const std::string longer = "220-" + std::string(500, 'x') + "\r\n220 y\r\n";
  std::vector<mailbox::Profile> before;
  {
    ProfileMemory memory(folder.file("."));
    EXPECT_EQ(memory.take_notice(), "");
    EXPECT_TRUE(tell(memory, kServer, kGreeting));
    EXPECT_TRUE(tell(memory, kServer, longer, 0x8100'0064'0000'0000));
    EXPECT_TRUE(tell(memory, source("2001:db8:0:1::"), kGreeting, 0, kStart, {536, 1, 0, false, false, false}));
    EXPECT_FALSE(tell(memory, kServer, kGreeting, 0, kStart + kDay)) << "nothing new";
    before = memory.profiles();
    EXPECT_EQ(before.size(), 2 + mailbox::pieces(longer.size()));
    memory.save();
    EXPECT_EQ(memory.take_notice(), "");
  }
  ProfileMemory later(folder.file("."));
  EXPECT_EQ(later.take_notice(), "");
  EXPECT_EQ(later.profiles(), before);
  EXPECT_TRUE(tell(later, kServer, "220 another\r\n"));
  EXPECT_TRUE(tell(later, kServer, "220 another\r\n", 0, kStart, {}));
}

TEST(ProfileMemory, HoldsNoMoreThanItsMostAndTheOldestWordGivesWay) {
  ProfileMemory memory("/nowhere", 2);
  EXPECT_EQ(memory.take_notice(),
            "state /nowhere: no folder that we can write; servers' greetings are remembered only until mired stops "
            "(make it, or name one with --state)");
  tell(memory, source("192.0.2.1"), kGreeting, 0, kStart + kDay);
  tell(memory, source("192.0.2.2"), kGreeting, 0, kStart);
  tell(memory, source("192.0.2.3"), kGreeting, 0, kStart + kDay);
  std::vector<wire::Address> left;
  for (const mailbox::Profile& p : memory.profiles()) left.push_back(p.server);
  EXPECT_EQ(left, (std::vector{source("192.0.2.1"), source("192.0.2.3")}));
  memory.save();
  EXPECT_EQ(memory.take_notice(), "");
}

TEST(ProfileMemory, RemembersNoGreetingThatWelcomesNobody) {
  ProfileMemory memory("/nowhere");
  for (const char* bad : {"554 no\r\n", "220 mx.example", "220 a\r\n220 b\r\n", "EHLO x\r\n"})
    EXPECT_FALSE(tell(memory, kServer, bad)) << bad;
  EXPECT_TRUE(memory.profiles().empty());
}

TEST(ProfileMemory, BelievesNothingOfItsFileThatIsNotSound) {
  const std::string sound = R"("mss":1460,"window":65160,"sack":true,"timestamps":true,"largest_segment":60,"told":1)";
  const std::string greeting = R"("greeting":"220 a\\x0d\\x0a")";
  const auto read = [](const std::string& servers) {
    const Folder folder;
    std::ofstream(folder.file("profiles.json")) << R"({"format":1,"profiles":{)" << servers << "}}";
    ProfileMemory memory(folder.file("."));
    EXPECT_EQ(memory.take_notice(), "") << servers;
    return memory.profiles().size();
  };
  const auto entry = [&](std::string text, const std::string& from = {}, const std::string& to = {}) {
    if (!from.empty()) text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::string whole = R"("192.0.2.1":{)" + sound + "," + greeting + "}";
  EXPECT_EQ(read(whole), 1u);
  EXPECT_EQ(read(entry(whole, "1460", "65536")), 0u);
  EXPECT_EQ(read(entry(whole, "1460", "-1")), 0u);
  EXPECT_EQ(read(entry(whole, "1460", "1.5")), 0u);
  EXPECT_EQ(read(entry(whole, R"("sack":true)", R"("sack":1)")), 0u);
  EXPECT_EQ(read(entry(whole, R"("sack":true,)", "")), 0u);
  EXPECT_EQ(read(entry(whole, R"("largest_segment":60)", R"("largest_segment":0)")), 0u);
  EXPECT_EQ(read(entry(whole, R"("told":1)", R"("told":1,"window_scale":15)")), 0u);
  EXPECT_EQ(read(entry(whole, R"("told":1)", R"("told":1,"window_scale":14)")), 1u);
  EXPECT_EQ(read(entry(whole, "220 a", "550 a")), 0u);
  EXPECT_EQ(read(entry(whole, R"(\\x0a)", R"(\\x0)")), 0u);
  EXPECT_EQ(read(entry(whole, R"(\\x0a)", R"(\\xzz)")), 0u);
  EXPECT_EQ(read(entry(whole, "220 a", "220 " + std::string(5000, 'a'))), 0u);
  EXPECT_EQ(read(entry(whole, "192.0.2.1", "192.0.2.1 vlan 81000064")), 1u);
  EXPECT_EQ(read(entry(whole, "192.0.2.1", "192.0.2.1 vlan x")), 0u);
  EXPECT_EQ(read(entry(whole, "192.0.2.1", "mx.example")), 0u);
  EXPECT_EQ(read(R"("192.0.2.1":3)"), 0u);

  const Folder folder;
  std::ofstream(folder.file("profiles.json")) << "garbage";
  ProfileMemory memory(folder.file("."));
  EXPECT_NE(memory.take_notice().find("not readable; moved to"), std::string::npos);
}

}  // namespace
}  // namespace mire::state
