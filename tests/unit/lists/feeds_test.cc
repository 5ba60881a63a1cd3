#include "controlplane/lists/feeds.h"

#include <sys/stat.h>

#include <boost/asio/thread_pool.hpp>
#include <filesystem>
#include <fstream>

#include "controlplane/lists/feed_watch.h"
#include "tests/unit/lists/support.h"
#include "tests/unit/mailbox/support.h"

namespace mire::lists {
namespace {

namespace asio = boost::asio;
using policy::SourceClass;
using Texts = std::vector<std::string>;

constexpr Time kStart = Time{} + std::chrono::hours{1};

TEST(Debounce, TellsOnceAfterItWasQuiet) {
  Debounce debounce(milliseconds{300}, seconds{5});
  EXPECT_EQ(debounce.next(), std::nullopt);
  for (int i = 0; i < 10; ++i) debounce.note("a", kStart + i * milliseconds{100});
  debounce.note("b", kStart + milliseconds{850});
  EXPECT_EQ(debounce.next(), kStart + milliseconds{1'150});
  EXPECT_TRUE(debounce.take_due(kStart + milliseconds{1'149}).empty());
  EXPECT_EQ(debounce.take_due(kStart + milliseconds{1'150}), (Texts{"b"}));
  EXPECT_EQ(debounce.take_due(kStart + milliseconds{1'200}), (Texts{"a"}));
  EXPECT_TRUE(debounce.take_due(kStart + seconds{99}).empty());
}

TEST(Debounce, DoesNotWaitForEverForQuiet) {
  Debounce debounce(milliseconds{300}, seconds{5});
  for (int i = 0; i <= 49; ++i) debounce.note("a", kStart + i * milliseconds{100});
  EXPECT_EQ(debounce.next(), kStart + seconds{5});
  EXPECT_EQ(debounce.take_due(kStart + seconds{5}), (Texts{"a"}));
}

class FeedsTest : public testing::Test {
 protected:
  void write(const char* name, std::string_view text) { std::ofstream(folder.file(name), std::ios::binary) << text; }
  Feed feed(const char* name, SourceClass source_class, FeedFormat format = FeedFormat::plain) {
    return {name, folder.file(name), format, source_class};
  }
  // Lets the room work until `done`.
  bool until(const std::function<bool()>& done) {
    const Time end = MonotonicClock::now() + seconds{10};
    while (!done() && MonotonicClock::now() < end) {
      io.restart();
      io.run_for(milliseconds{5});
    }
    return done();
  }
  void idle() {
    ASSERT_TRUE(until([this] { return !feeds.busy(); }));
  }
  std::string said(const char* who) {
    const auto found = feeds.merged().find(address(who));
    return found ? *found->list : "nothing";
  }

  mailbox::Folder folder;
  asio::io_context io;
  asio::thread_pool pool{1};
  Texts notices;
  std::vector<PrefixChange> changes;
  Feeds feeds{io,
              pool.get_executor(),
              [] { return MonotonicClock::now(); },
              {[this](const std::vector<PrefixChange>& c) { changes.insert(changes.end(), c.begin(), c.end()); },
               [this](const std::string& line) { notices.push_back(line); }}};
};

TEST_F(FeedsTest, ReadsAndMergesWhatIsConfigured) {
  write("drop", "192.0.2.0/24 ; SBL1\n");
  write("friends", "192.0.2.7\n");
  feeds.configure({feed("drop", SourceClass::blocked, FeedFormat::drop), feed("friends", SourceClass::trusted)});
  idle();
  EXPECT_EQ(changes, (std::vector<PrefixChange>{{prefix("192.0.2.0/24"), SourceClass::blocked},
                                                {prefix("192.0.2.7"), SourceClass::trusted}}));
  EXPECT_EQ(said("192.0.2.7"), "feed friends");
  EXPECT_EQ(said("192.0.2.8"), "feed drop");
  EXPECT_EQ(feeds.status()[0].entries, 1u);
  changes.clear();
  feeds.configure({feed("drop", SourceClass::suspect, FeedFormat::drop)});
  idle();
  EXPECT_EQ(changes, (std::vector<PrefixChange>{{prefix("192.0.2.0/24"), SourceClass::suspect},
                                                {prefix("192.0.2.7"), std::nullopt}}));
}

TEST_F(FeedsTest, HearsOfAFileRenamedOverWrittenInPlaceAndMadeAnew) {
  write("list", "192.0.2.1\n");
  feeds.configure({feed("list", SourceClass::blocked)});
  idle();
  ASSERT_EQ(said("192.0.2.1"), "feed list");
  write("list.new", "192.0.2.2\n");
  std::filesystem::rename(folder.file("list.new"), folder.file("list"));
  EXPECT_TRUE(until([&] { return said("192.0.2.2") == "feed list"; })) << "renamed over";
  EXPECT_EQ(said("192.0.2.1"), "nothing");
  write("list", "192.0.2.3\n");
  EXPECT_TRUE(until([&] { return said("192.0.2.3") == "feed list"; })) << "in place";
  std::filesystem::remove(folder.file("list"));
  EXPECT_TRUE(until([&] { return !feeds.status()[0].trouble.empty(); }));
  EXPECT_EQ(said("192.0.2.3"), "feed list") << "the old content stays";
  write("list", "192.0.2.4\n");
  EXPECT_TRUE(until([&] { return said("192.0.2.4") == "feed list"; })) << "made anew";
  EXPECT_EQ(feeds.status()[0].trouble, "");
}

TEST_F(FeedsTest, KeepsTheOldContentWhenTheNewOneIsBroken) {
  write("list", "192.0.2.1\n");
  feeds.configure({feed("list", SourceClass::blocked)});
  idle();
  write("list", "192.0.2.2\nbroken\n");
  EXPECT_TRUE(until([&] { return feeds.status()[0].refusals == 1; }));
  EXPECT_EQ(said("192.0.2.1"), "feed list");
  EXPECT_EQ(said("192.0.2.2"), "nothing");
  EXPECT_NE(feeds.status()[0].trouble.find("list:2: broken: no address"), std::string::npos);
  EXPECT_EQ(notices.back(), "feed list: " + feeds.status()[0].trouble);
  feeds.configure({feed("list", SourceClass::suspect)});
  idle();
  EXPECT_EQ(feeds.merged().find(address("192.0.2.1"))->entry->source_class, SourceClass::suspect)
      << "a new class holds for the old content";
}

TEST_F(FeedsTest, RefusesWhatIsNoRegularFile) {
  for (const char* path : {"/dev/zero", "/", "/nowhere/list"}) {
    const Result<FeedContent> content = load_feed({"x", path, FeedFormat::plain, SourceClass::blocked});
    ASSERT_FALSE(content.ok()) << path;
    EXPECT_NE(content.error().find("; the feed's old content stays"), std::string::npos) << content.error();
  }
  ASSERT_EQ(::mkfifo(folder.file("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(load_feed(feed("fifo", SourceClass::blocked)).ok()) << "and does not wait for a writer";
}

TEST_F(FeedsTest, AFolderThatComesLaterAndAnyNumberOfConfigurationsDoNoHarm) {
  feeds.configure({{"late", folder.file("later/list"), FeedFormat::plain, SourceClass::blocked}});
  idle();
  EXPECT_EQ(notices.size(), 1u);
  for (int i = 0; i < 50; ++i) {
    write("list", "192.0.2.1\n");
    feeds.configure({feed("list", SourceClass::blocked)});
    io.restart();
    io.poll();
  }
  idle();
  EXPECT_EQ(said("192.0.2.1"), "feed list");
  EXPECT_EQ(changes.size(), 1u);
}

TEST_F(FeedsTest, MergesOtherListsBehindTheFeeds) {
  write("list", "192.0.2.1\n");
  feeds.configure({feed("list", SourceClass::blocked)});
  feeds.set_others({{"domain big.example", SourceClass::trusted,
                     std::make_shared<const std::vector<wire::Prefix>>(prefixes({"192.0.2.1/32"}))}});
  idle();
  EXPECT_EQ(said("192.0.2.1"), "domain big.example");
  EXPECT_EQ(feeds.merged().conflicts(), 1u);
  feeds.set_others({});
  idle();
  EXPECT_EQ(said("192.0.2.1"), "feed list");
}

TEST_F(FeedsTest, GoesAwayWhileTheWorkerReads) {
  write("list", std::string(100'000, '\n') + "192.0.2.1\n");
  asio::io_context other;
  {
    Feeds brief{other, pool.get_executor(), [] { return MonotonicClock::now(); }, {[](const auto&) { FAIL(); }, {}}};
    brief.configure({feed("list", SourceClass::blocked)});
  }
  pool.join();
  other.poll();
}

}  // namespace
}  // namespace mire::lists
