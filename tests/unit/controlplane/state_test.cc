#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "controlplane/state/penalty_memory.h"
#include "controlplane/state/pipeconnect_memory.h"
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

}  // namespace
}  // namespace mire::state
