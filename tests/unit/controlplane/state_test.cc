#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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
  EXPECT_EQ(memory.early_hellos(kStart + 30 * kDay), Hellos{});
  EXPECT_FALSE(memory.remember(kServer, kStart + 31 * kDay));
  EXPECT_EQ(memory.early_hellos(kStart + 31 * kDay), Hellos{});
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
  EXPECT_EQ(memory.early_hellos(kStart), (Hellos{{wire::parse_address("192.0.2.2").value(), 30 * 86'400}}));
}

}  // namespace
}  // namespace mire::state
