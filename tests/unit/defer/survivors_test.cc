// Flows in memory that outlives the process: what is read back is what was written, or nothing.
#include "dataplane/defer/survivors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <sstream>

namespace mire::defer {
namespace {

constexpr Time kNow{seconds{5000}};
const CookieKey kKey{9, 8, 7};

Survivor flow(uint16_t port) {
  Survivor s;
  s.name = {*wire::parse_address("192.0.2.1"), *wire::parse_address("198.51.100.25"), 0, port, 0};
  s.state = policy::State::invited;
  s.to_server.length = s.to_client.length = 14;
  s.client_isn = {port * 7u};
  s.greeting_length = 5;
  return s;
}

class Survivors : public testing::Test {
 protected:
  Survivors() : path_(testing::TempDir() + "survivors-" + std::to_string(getpid())) {}
  ~Survivors() override { unlink(path_.c_str()); }
  SurvivorFile make(uint32_t places) {
    auto file = SurvivorFile::create(path_, places, kKey);
    EXPECT_TRUE(file.ok()) << (file.ok() ? "" : file.error());
    file->beat(kNow);
    return std::move(file).value();
  }
  std::string path_;
};

TEST_F(Survivors, WhatWasKeptIsFoundAndWhatWasForgottenIsNot) {
  SurvivorFile file = make(1000);
  for (uint16_t p = 1; p <= 100; ++p) EXPECT_EQ(file.keep(flow(p)), SurvivorFile::Kept::fresh);
  EXPECT_EQ(file.keep(flow(5)), SurvivorFile::Kept::again);
  for (uint16_t p = 1; p <= 100; p += 2) EXPECT_TRUE(file.forget(flow(p).name));
  EXPECT_FALSE(file.forget(flow(1).name));
  const auto found = SurvivorFile::read(path_, kNow + seconds{1});
  ASSERT_TRUE(found.key);
  EXPECT_EQ(*found.key, kKey);
  ASSERT_EQ(found.flows.size(), 50u);
  for (const Survivor& s : found.flows)
    EXPECT_EQ(s.client_isn, flow(static_cast<uint16_t>(s.name.client_port)).client_isn);
}

TEST_F(Survivors, FullIsAnAnswer) {
  SurvivorFile file = make(64);
  unsigned kept = 0;
  for (uint16_t p = 1; p <= 1000; ++p) kept += file.keep(flow(p)) == SurvivorFile::Kept::fresh ? 1u : 0u;
  EXPECT_EQ(kept, 64u);
  EXPECT_EQ(SurvivorFile::read(path_, kNow).flows.size(), 64u);
}

TEST_F(Survivors, OneOfAnotherTimeHoldsNothing) {
  SurvivorFile file = make(64);
  file.keep(flow(1));
  EXPECT_EQ(SurvivorFile::read(path_, kNow + seconds{119}).flows.size(), 1u);
  EXPECT_EQ(SurvivorFile::read(path_, kNow + seconds{121}).flows.size(), 0u);
  EXPECT_FALSE(SurvivorFile::read(path_, kNow + seconds{121}).key);
  EXPECT_EQ(SurvivorFile::read(path_, kNow - seconds{1}).flows.size(), 0u) << "after a boot the clock begins anew";
}

TEST_F(Survivors, AbsentCutOrScribbledFilesAreReadWithoutHarm) {
  EXPECT_TRUE(SurvivorFile::read(path_ + "-none", kNow).flows.empty());
  {
    SurvivorFile file = make(64);
    for (uint16_t p = 1; p <= 40; ++p) file.keep(flow(p));
  }
  std::ostringstream whole;
  whole << std::ifstream(path_, std::ios::binary).rdbuf();
  const std::string good = whole.str();
  std::mt19937 chance(3);
  for (unsigned round = 0; round < 300; ++round) {
    std::string bad = good;
    if (round % 3 == 0) {
      bad.resize(chance() % bad.size());
    } else {
      for (unsigned n = 0; n < 200; ++n) bad[chance() % bad.size()] = static_cast<char>(chance());
    }
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bad;
    for (const Survivor& s : SurvivorFile::read(path_, kNow).flows) {
      EXPECT_LT(static_cast<size_t>(s.source_class), policy::kClasses);
      EXPECT_LE(s.greeting_length, Survivor::kGreeting);
      EXPECT_LE(s.to_server.length, s.to_server.bytes.size());
      EXPECT_NE(s.name.client_port, 0u);
    }
  }
}

TEST_F(Survivors, AFolderThatIsNotThereIsOneClearLine) {
  const auto file = SurvivorFile::create("/nowhere/at/all", 10, kKey);
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().find("/nowhere/at/all"), std::string::npos);
}

TEST_F(Survivors, MemoryThatIsNotThereIsMissedAtTheStartAndNotLater) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{64 * 1024, before.rlim_max};
  const auto action = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto file = SurvivorFile::create(path_, 10'000, kKey);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, action);
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().find(path_), std::string::npos);
  EXPECT_NE(access(path_.c_str(), F_OK), 0) << "nothing half made is left";
}

}  // namespace
}  // namespace mire::defer
