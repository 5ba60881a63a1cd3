// Learning with a store in a folder, and a clock of the test's.
#include "controlplane/learning/learning.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "controlplane/store/rocksdb/rocksdb_store.h"

namespace mire::learning {
namespace {

namespace fs = std::filesystem;
using policy::SourceClass;
using reputation::Kind;
using std::chrono::seconds;

class Told final : public reputation::ClassSink {
 public:
  void on_class(const reputation::ClassChange& c) override { latest.push_back(c); }
  std::vector<reputation::ClassChange> latest;
};

class LearningTest : public testing::Test {
 protected:
  LearningTest() {
    std::string name = (fs::temp_directory_path() / "mire-learning-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~LearningTest() override { fs::remove_all(folder); }
  std::unique_ptr<Learning> start(const std::string& directory = "") {
    words.clear();
    return std::make_unique<Learning>(
        io, directory.empty() ? folder : directory, reputation::Settings{}, told, [this] { return now; },
        [this](const std::string& w) { words += w + "\n"; });
  }
  void run(std::chrono::milliseconds time) {
    io.restart();
    io.run_for(time);
  }

  std::string folder, words;
  boost::asio::io_context io;
  Told told;
  reputation::WallSeconds now{seconds{1'800'000'000}};
  const wire::Address a = wire::parse_address("192.0.2.77").value();
  const wire::Address b = wire::parse_address("2001:db8:1:2::3").value();
};

TEST_F(LearningTest, WritesWithinASecondAndBringsBack) {
  {
    const auto learning = start();
    EXPECT_EQ(words, "");
    learning->engine().observe({a, Kind::early_talk, 4}, now);
    learning->engine().observe({b, Kind::accepted, 7}, now);
    learning->changed();
    run(std::chrono::milliseconds{900});
  }  // not stopped: as if killed
  const auto again = start();
  EXPECT_TRUE(words.starts_with("reputation of 2 sources brought back in 0.")) << words;
  EXPECT_EQ(again->engine().view(a, now)->judgement.source_class, SourceClass::blocked);
  EXPECT_NEAR(again->engine().view(b, now)->judgement.score, 7 * 0.2 + 1, 1e-3);
  EXPECT_EQ(again->engine().summary().networks, 1u);
  again->engine().clear(a, now);
  again->stop();
}

TEST_F(LearningTest, WhatIsLeftIsWrittenAtTheEnd) {
  for (int round = 0; round < 3; ++round) {
    const auto learning = start();
    for (int i = 0; i < 60'000; ++i)
      learning->engine().connected(wire::Address::v4(wire::be32{static_cast<uint32_t>(round * 60'000 + i)}), now);
    learning->changed();
    learning->stop();
  }
  EXPECT_EQ(start()->engine().summary().sources, 180'000u);
}

TEST_F(LearningTest, SkipsAndCountsRecordsThatItDoesNotKnow) {
  {
    const auto learning = start();
    learning->engine().observe({a, Kind::spam, 1}, now);
    learning->changed();
    learning->stop();
  }
  {
    const auto opened = store::open_rocksdb(folder + "/store");
    store::Batch batch;
    batch.put(store::Column::sources, "abc", "no key");
    batch.put(store::Column::sources, reputation::key_bytes(5), "\x02 of another version");
    batch.put(store::Column::groups, "g", "");
    ASSERT_TRUE(opened->store->write(batch));
  }
  const auto again = start();
  EXPECT_NE(words.find("store " + folder + "/store: 3 records of another version, or broken, were skipped"),
            std::string::npos)
      << words;
  EXPECT_EQ(again->engine().summary().sources, 1u);
}

TEST_F(LearningTest, GoesOnInMemoryWhereThereIsNoStore) {
  const auto learning = start(folder + "/nowhere");
  EXPECT_EQ(words, "store " + folder +
                       "/nowhere/store: cannot be made: No such file or directory; reputation remembered only until "
                       "mired stops\n");
  learning->engine().observe({a, Kind::early_talk, 4}, now);
  learning->changed();
  EXPECT_EQ(learning->engine().touched(), 0u) << "does not pile up";
  EXPECT_EQ(told.latest.size(), 1u);
  learning->stop();
}

TEST_F(LearningTest, ADamagedStoreIsMovedAsideAndTheRestGoesOn) {
  {
    const auto learning = start();
    learning->engine().observe({a, Kind::early_talk, 4}, now);
    learning->changed();
    learning->stop();
  }
  std::ofstream(folder + "/store/CURRENT") << "?";
  {
    const auto learning = start();
    EXPECT_NE(words.find("moved to " + folder + "/store.damaged-1, beginning empty"), std::string::npos) << words;
    EXPECT_EQ(std::count(words.begin(), words.end(), '\n'), 1) << words;
    EXPECT_EQ(learning->engine().summary().sources, 0u);
    learning->engine().observe({b, Kind::spam, 1}, now);
    learning->changed();
    learning->stop();
  }
  EXPECT_EQ(start()->engine().summary().sources, 1u);
}

TEST_F(LearningTest, WindsTheEnginesClock) {
  const auto learning = start();
  learning->engine().penalise(a, now + seconds{1}, 1, now);
  learning->changed();
  ASSERT_EQ(told.latest.size(), 1u);
  now += seconds{1};
  run(std::chrono::milliseconds{1200});
  ASSERT_EQ(told.latest.size(), 2u) << "by time alone";
  EXPECT_EQ(told.latest.back().source_class, std::nullopt);
  learning->stop();
}

TEST_F(LearningTest, AFlowEventBecomesEvidence) {
  const auto learning = start();
  mailbox::FlowEvent e;
  e.client = a;
  e.verdict = policy::Verdict::reset;
  e.reason = policy::Reason::early_talk;
  e.penalty_ms = 60'000;
  e.offences = 1;
  learning->on_event(e, false);
  ASSERT_EQ(told.latest.size(), 1u);
  EXPECT_EQ(told.latest[0], (reputation::ClassChange{wire::parse_prefix("192.0.2.77").value(), SourceClass::suspect}));
  EXPECT_EQ(learning->engine().view(a, now)->evidence.connections, 1u);
  learning->stop();
}

}  // namespace
}  // namespace mire::learning
