#include "tools/follow/log_file.h"

#include <filesystem>
#include <fstream>

#include "tests/unit/mailbox/support.h"

namespace mire::follow {
namespace {

using Lines = std::vector<std::string>;

class LogFileTest : public testing::Test {
 protected:
  void append(std::string_view text, const char* name = "log") {
    std::ofstream(folder.file(name), std::ios::app) << text;
  }
  void move(const char* from, const char* to) { std::filesystem::rename(folder.file(from), folder.file(to)); }
  static Lines all(LogFile& log) {
    Lines lines;
    for (std::string line; log.next(line);) lines.push_back(line);
    return lines;
  }
  LogFile begun(std::optional<Position> position = {}, bool from_start = true) {
    LogFile log(folder.file("log"));
    log.begin(position, from_start);
    return log;
  }
  mailbox::Folder folder;
};

TEST_F(LogFileTest, ReadsWholeLinesAsTheyCome) {
  append("one\ntwo\nthr");
  LogFile log = begun();
  EXPECT_EQ(all(log), (Lines{"one", "two"}));
  append("ee\n\nfive");
  EXPECT_EQ(all(log), (Lines{"three", ""}));
  append("\n");
  EXPECT_EQ(all(log), (Lines{"five"}));
}

TEST_F(LogFileTest, BeginsAtTheEndUnlessToldOtherwise) {
  append("old\n");
  LogFile log = begun({}, false);
  append("new\n");
  EXPECT_EQ(all(log), (Lines{"new"}));
}

TEST_F(LogFileTest, WaitsForAFileThatIsNotThere) {
  LogFile log = begun();
  EXPECT_EQ(all(log), Lines{});
  EXPECT_EQ(all(log), Lines{});
  EXPECT_EQ(log.take_notices().size(), 1u) << "said once";
  append("one\n");
  EXPECT_EQ(all(log), (Lines{"one"}));
}

TEST_F(LogFileTest, ReadsARotatedFileToItsEndAndThenTheNewOne) {
  append("one\n");
  LogFile log = begun();
  EXPECT_EQ(all(log), (Lines{"one"}));
  move("log", "log.1");
  append("", "log");
  append("two\n", "log.1");  // the writer was not told yet
  EXPECT_EQ(all(log), (Lines{"two"}));
  append("three\n", "log.1");
  EXPECT_EQ(all(log), (Lines{"three"}));
  append("four\n", "log");
  EXPECT_EQ(all(log), (Lines{"four"}));
}

TEST_F(LogFileTest, BeginsAnewWhenTheFileIsTruncated) {
  append("one\ntwo\n");
  LogFile log = begun();
  EXPECT_EQ(all(log).size(), 2u);
  std::filesystem::resize_file(folder.file("log"), 0);
  append("new\n");
  EXPECT_EQ(all(log), (Lines{"new"}));
  EXPECT_EQ(log.take_notices().size(), 1u);
}

TEST_F(LogFileTest, GoesOnWhereAnEarlierRunStood) {
  append("one\ntwo\nthree");
  LogFile first = begun();
  std::string line;
  ASSERT_TRUE(first.next(line));
  const Position position = first.position();
  EXPECT_EQ(position.offset, 4u) << "read ahead is not taken";
  append("\n");
  LogFile second = begun(position);
  EXPECT_EQ(all(second), (Lines{"two", "three"}));
  LogFile third = begun(second.position(), true);
  EXPECT_EQ(all(third), Lines{}) << "a position wins over the beginning";
}

TEST_F(LogFileTest, FindsTheFileThatWasRotatedWhileNobodyFollowed) {
  append("one\ntwo\n");
  LogFile first = begun();
  std::string line;
  ASSERT_TRUE(first.next(line));
  const Position position = first.position();
  append("three\n");
  move("log", "log.1");
  append("four\n");
  LogFile second = begun(position);
  EXPECT_EQ(all(second), (Lines{"two", "three", "four"}));
  EXPECT_TRUE(second.take_notices().empty());
}

TEST_F(LogFileTest, SaysSoWhenThatFileIsGone) {
  append("one\ntwo\n");
  LogFile first = begun();
  std::string line;
  ASSERT_TRUE(first.next(line));
  std::filesystem::remove(folder.file("log"));
  append("a new one, and longer\n");
  LogFile second = begun(first.position());
  EXPECT_EQ(all(second), (Lines{"a new one, and longer"}));
  EXPECT_EQ(second.take_notices().size(), 1u);
}

TEST_F(LogFileTest, DoesNotTakeAnotherFileInTheSamePlaceForTheOldOne) {
  append("one\ntwo\n");
  LogFile first = begun();
  EXPECT_EQ(all(first).size(), 2u);
  const Position position = first.position();
  std::filesystem::resize_file(folder.file("log"), 0);  // the same inode
  append("other\nwords\nand more\n");
  LogFile second = begun(position);
  EXPECT_EQ(all(second), (Lines{"other", "words", "and more"}));
}

TEST_F(LogFileTest, SkipsALineThatIsTooLongAndKeepsLittleOfIt) {
  append("one\n" + std::string(1'000'000, 'x'));
  LogFile log = begun();
  EXPECT_EQ(all(log), (Lines{"one"}));
  append(std::string(100, 'y') + "\ntwo\n" + std::string(LogFile::kLongestLine, 'z') + "\n");
  EXPECT_EQ(all(log), (Lines{"two", std::string(LogFile::kLongestLine, 'z')}));
  EXPECT_EQ(log.lines_too_long(), 1u);
}

}  // namespace
}  // namespace mire::follow
