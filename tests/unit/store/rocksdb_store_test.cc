#include "controlplane/store/rocksdb/rocksdb_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

namespace mire::store {
namespace {

namespace fs = std::filesystem;

class RocksDbTest : public testing::Test {
 protected:
  RocksDbTest() {
    std::string name = (fs::temp_directory_path() / "mire-store-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    path = folder_ + "/store";
  }
  ~RocksDbTest() override { fs::remove_all(folder_); }

  std::unique_ptr<Store> open() {
    Result<Opened> o = open_rocksdb(path);
    EXPECT_TRUE(o.ok()) << o.error();
    notice = o->notice;
    return std::move(o->store);
  }
  static std::map<std::string, std::string> all(Store& s, Column c, std::string_view from = "") {
    std::map<std::string, std::string> out;
    const Status done = s.scan(c, from, [&](std::string_view k, std::string_view v) {
      out.emplace(k, v);
      return true;
    });
    EXPECT_TRUE(done.ok());
    return out;
  }
  static Batch batch(Column c, std::initializer_list<std::pair<const char*, const char*>> pairs) {
    Batch b;
    for (const auto& [k, v] : pairs) b.put(c, k, v);
    return b;
  }

  std::string folder_;
  std::string path;
  std::string notice;
};

using Map = std::map<std::string, std::string>;

TEST_F(RocksDbTest, KeepsColumnsApartInOrderBeyondItsEnd) {
  {
    const auto s = open();
    EXPECT_EQ(notice, "");
    ASSERT_TRUE(s->write(batch(Column::sources, {{"b", "2"}, {"a", "1"}, {"c", ""}})));
    ASSERT_TRUE(s->write(batch(Column::groups, {{"a", "other"}})));
    Batch more;
    more.put(Column::sources, "d", std::string("\0\xff", 2));
    more.erase(Column::sources, "b");
    more.erase(Column::sources, "never there");
    ASSERT_TRUE(s->write(more));
  }
  const auto s = open();
  EXPECT_EQ(all(*s, Column::sources), (Map{{"a", "1"}, {"c", ""}, {"d", std::string("\0\xff", 2)}}));
  EXPECT_EQ(all(*s, Column::sources, "b"), (Map{{"c", ""}, {"d", std::string("\0\xff", 2)}}));
  EXPECT_EQ(all(*s, Column::groups), (Map{{"a", "other"}}));
  EXPECT_EQ(s->get(Column::sources, "a")->value(), "1");
  EXPECT_FALSE(s->get(Column::sources, "b")->has_value());
  EXPECT_GT(s->about(Column::sources), 0u);
  int taken = 0;
  ASSERT_TRUE(s->scan(Column::sources, "", [&](auto, auto) { return ++taken < 2; }));
  EXPECT_EQ(taken, 2);
}

TEST_F(RocksDbTest, ErasesRangesAndWholeColumns) {
  const auto s = open();
  ASSERT_TRUE(s->write(batch(Column::report, {{"1", ""}, {"2", ""}, {"3", ""}, {"\xff\xff", ""}})));
  ASSERT_TRUE(s->erase(Column::report, "2", "3"));
  EXPECT_EQ(all(*s, Column::report), (Map{{"1", ""}, {"3", ""}, {"\xff\xff", ""}}));
  ASSERT_TRUE(s->erase(Column::report, "", std::nullopt));
  EXPECT_TRUE(all(*s, Column::report).empty());
  EXPECT_TRUE(s->erase(Column::report, "", std::nullopt)) << "nothing there";
}

TEST_F(RocksDbTest, WhatWasWrittenOutlivesAKill) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto s = open();
    for (int i = 0; i < 100; ++i) (void)s->write(batch(Column::sources, {{std::to_string(i).c_str(), "x"}}));
    (void)!::write(ready[1], "", 1);
    ::pause();
  }
  char c;
  ASSERT_EQ(::read(ready[0], &c, 1), 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(all(*open(), Column::sources).size(), 100u);
  EXPECT_EQ(notice, "");
}

TEST_F(RocksDbTest, MovesADamagedOneAsideAndBeginsEmpty) {
  for (int round = 1; round <= 2; ++round) {
    {
      const auto s = open();
      ASSERT_TRUE(s->write(batch(Column::sources, {{"a", "1"}})));
    }
    std::ofstream(path + "/CURRENT") << "nonsense\n";
    const auto s = open();
    EXPECT_TRUE(notice.starts_with("store " + path + ": damaged (")) << notice;
    EXPECT_NE(notice.find("moved to " + path + ".damaged-" + std::to_string(round)), std::string::npos) << notice;
    EXPECT_EQ(notice.find('\n'), std::string::npos);
    EXPECT_TRUE(all(*s, Column::sources).empty());
    EXPECT_TRUE(fs::exists(path + ".damaged-" + std::to_string(round) + "/CURRENT"));
  }
}

TEST_F(RocksDbTest, SaysWhatIsWrongWithAPathAndLeavesItAlone) {
  const auto first = open();
  const Result<Opened> second = open_rocksdb(path);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().find("in use by another process"), std::string::npos) << second.error();
  EXPECT_FALSE(fs::exists(path + ".damaged-1"));
  const Result<Opened> nowhere = open_rocksdb(folder_ + "/no/such/place");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_EQ(nowhere.error(), "store " + folder_ + "/no/such/place: cannot be made: No such file or directory");
  std::ofstream(folder_ + "/file") << "";
  EXPECT_FALSE(open_rocksdb(folder_ + "/file").ok());
}

TEST_F(RocksDbTest, FindsDamageWhenItReads) {
  {
    const auto s = open();
    Batch b;
    for (int i = 0; i < 5'000; ++i) b.put(Column::sources, std::to_string(i), std::string(400, 'x'));
    ASSERT_TRUE(s->write(b));  // the next start makes a table of it
  }
  (void)open();
  bool hurt = false;
  for (const auto& f : fs::directory_iterator(path)) {
    if (f.path().extension() != ".sst" || fs::file_size(f) < 1'000'000) continue;
    std::fstream table(f.path(), std::ios::in | std::ios::out | std::ios::binary);
    table.seekp(500'000);
    table << std::string(1000, 'y');
    hurt = true;
  }
  ASSERT_TRUE(hurt);
  auto s = open();
  const Status read = s->scan(Column::sources, "", [](auto, auto) { return true; });
  ASSERT_FALSE(read.ok());
  EXPECT_TRUE(read.error().starts_with("store " + path + ": cannot be read: Corruption")) << read.error();
  s.reset();
  Result<Opened> anew = begin_anew(path, "as a test says");
  ASSERT_TRUE(anew.ok()) << anew.error();
  EXPECT_TRUE(all(*anew->store, Column::sources).empty());
}

}  // namespace
}  // namespace mire::store
