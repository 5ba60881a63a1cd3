// The units that a dialogue is made of, each by itself.
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>

#include "dataplane/smtp/command_line.h"
#include "dataplane/smtp/final_dot.h"
#include "dataplane/smtp/line_limits.h"
#include "dataplane/smtp/outstanding.h"
#include "dataplane/smtp/pipeconnect.h"
#include "dataplane/smtp/reply_line.h"
#include "tests/unit/smtp/script.h"

namespace mire::smtp {
namespace {

using test::bytes_of;

CommandLine command(std::string_view text) {
  CommandLine line;
  const CommandLine::Read read = line.read(bytes_of(text));
  EXPECT_EQ(read.progress, CommandLine::Progress::whole) << text;
  EXPECT_EQ(read.taken, text.size());
  return line;
}

TEST(CommandLine, KnowsEachVerbInAnyCaseWithOrWithoutArgument) {
  for (const Verb verb : {Verb::helo, Verb::ehlo, Verb::mail, Verb::rcpt, Verb::data, Verb::rset, Verb::vrfy,
                          Verb::expn, Verb::turn, Verb::quit, Verb::noop, Verb::starttls, Verb::auth}) {
    std::string word = name(verb);
    EXPECT_EQ(command(word + "\r\n").verb(), verb);
    EXPECT_EQ(command(word + " x y\r\n").verb(), verb);
    EXPECT_EQ(command(word + "\n").verb(), verb) << "a bare LF ends a command line";
    for (char& c : word) c = static_cast<char>(c | 0x20);
    EXPECT_EQ(command(word + "\r\n").verb(), verb);
    EXPECT_EQ(command(word + "x\r\n").verb(), Verb::other);
    EXPECT_EQ(command(word.substr(1) + "\r\n").verb(), Verb::other);
    EXPECT_EQ(command("x" + word + "\r\n").verb(), Verb::other);
  }
  for (const char* text :
       {"\r\n", "\n", " DATA\r\n", "XCLIENT A=B\r\n", "XXXXXXXXSTARTTLS\r\n", "DA\rTA\r\n", "ETRN x\r\n"}) {
    EXPECT_EQ(command(text).verb(), Verb::other) << text;
  }
}

TEST(CommandLine, StopsBehindItsEnd) {
  CommandLine line;
  const auto read = line.read(bytes_of("NOOP\r\nDATA\r\n"));
  EXPECT_EQ(read.taken, 6u);
  EXPECT_EQ(line.verb(), Verb::noop);
}

TEST(CommandLine, SeesTheNullPath) {
  for (const char* text : {"MAIL FROM:<>\r\n", "mail from:<> SIZE=1\r\n", "MAIL FROM: <>\r\n", "MAIL  FROM:<>\n"})
    EXPECT_TRUE(command(text).null_path()) << text;
  for (const char* text : {"MAIL FROM:<a@b>\r\n", "MAIL FROM:<\r\n", "MAIL FROM:\r\n", "MAIL\r\n", "RCPT FROM:<>\r\n",
                           "MAIL TO:<>\r\n", "MAIL FROM:<a@b> X=FROM:<>\r\n", "MAIL FROM<>\r\n"}) {
    EXPECT_FALSE(command(text).null_path()) << text;
  }
}

TEST(CommandLine, ReadsTheOctetsOfBdat) {
  struct Case {
    const char* text;
    Verb verb;
    uint32_t octets;
    bool last;
  };
  for (const Case& c :
       {Case{"BDAT 86 LAST\r\n", Verb::bdat, 86, true}, Case{"bdat 1000000\r\n", Verb::bdat, 1'000'000, false},
        Case{"BDAT 0 last \r\n", Verb::bdat, 0, true}, Case{"BDAT  5  LAST\n", Verb::bdat, 5, true},
        Case{"BDAT 4294967295\r\n", Verb::bdat, 4294967295u, false}}) {
    const CommandLine line = command(c.text);
    EXPECT_EQ(line.verb(), c.verb) << c.text;
    EXPECT_EQ(line.octets_left(), c.octets) << c.text;
    EXPECT_EQ(line.last(), c.last) << c.text;
  }
  for (const char* text : {"BDAT\r\n", "BDAT \r\n", "BDAT x\r\n", "BDAT 5 LAS\r\n", "BDAT 5 LASTX\r\n",
                           "BDAT 5 L AST\r\n", "BDAT 5LAST\r\n", "BDAT LAST\r\n", "BDAT -5\r\n", "BDAT 5 6\r\n"}) {
    EXPECT_EQ(command(text).verb(), Verb::other) << text;
  }
}

TEST(CommandLine, RefusesACountThatDoesNotFit) {
  CommandLine line;
  EXPECT_EQ(line.read(bytes_of("BDAT 4294967296\r\n")).progress, CommandLine::Progress::bad_count);
}

TEST(CommandLine, EndsWithinItsLimitOrNotAtAll) {
  for (const auto& [verb, limit] : {std::pair{"NOOP ", kLineBytes}, std::pair{"MAIL FROM:", kLineBytes},
                                    std::pair{"\1", kLineBytes}, std::pair{"AUTH PLAIN ", kAuthLineBytes}}) {
    std::string text = verb;
    text.resize(limit - 2, 'x');
    EXPECT_EQ(CommandLine{}.read(bytes_of(text + "\r\n")).progress, CommandLine::Progress::whole) << verb;
    EXPECT_EQ(CommandLine{}.read(bytes_of(text + "xx")).progress, CommandLine::Progress::more) << verb;
    EXPECT_EQ(CommandLine{}.read(bytes_of(text + "x\r\n")).progress, CommandLine::Progress::too_long) << verb;
    EXPECT_EQ(CommandLine{}.read(bytes_of(text + std::string(100'000, 'x'))).progress, CommandLine::Progress::too_long)
        << verb;
  }
}

// The plain reading of RFC 5321 4.1.1.4, to compare with.
size_t naive_end(const std::string& content) {
  if (content.starts_with(".\r\n")) return 3;
  const size_t at = content.find("\r\n.\r\n");
  return at == std::string::npos ? at : at + 5;
}

TEST(FinalDot, EndsAtADotAlonePerLineAndNowhereElse) {
  struct Case {
    std::string text;
    bool ends;
  };
  for (const auto& c :
       {Case{".\r\n", true}, Case{"x\r\n.\r\n", true}, Case{"\r\n.\r\n", true}, Case{"..\r\n", false},
        Case{"x\r\n..\r\n", false}, Case{"x\n.\r\n", false}, Case{"x\r.\r\n", false}, Case{"x\r\n.\n", false},
        Case{"x\r\n.\r\r\n", false}, Case{"x.\r\n", false}, Case{"x\r\n.x\r\n", false}, Case{"x\r\n.\rx\r\n", false},
        Case{"\n.\n", false}, Case{"x\r\r\n.\r\n", true}, Case{"x\r\n.\r.\r\n", false}}) {
    FinalDot dot;
    const auto scan = dot.scan(bytes_of(c.text));
    EXPECT_EQ(scan.ended, c.ends) << c.text;
    EXPECT_EQ(scan.taken, c.text.size());
  }
}

TEST(FinalDot, IsWhereAPlainSearchFindsItWhateverTheCut) {
  std::mt19937 random(5321);
  int ended = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const size_t noise = random() % 5;  // from all dots and line ends to nearly none, over several blocks
    for (size_t n = random() % 900; n != 0; --n) text += random() % 20 < 4 * noise ? 'x' : "\r\n.\r\n."[random() % 6];
    if (random() % 3 == 0) text.insert(random() % (text.size() + 1), "\r\n.\r\n");
    const size_t expected = naive_end(text);
    FinalDot dot;
    size_t at = 0;
    bool found = false;
    while (at < text.size() && !found) {
      const size_t piece = std::min<size_t>(text.size() - at, random() % 300 + 1);
      const auto scan = dot.scan(bytes_of(text).subspan(at, piece));
      at += scan.taken;
      found = scan.ended;
    }
    ASSERT_EQ(found, expected != std::string::npos) << text;
    if (found) {
      ASSERT_EQ(at, expected) << text;
    }
    ended += found;
  }
  EXPECT_GT(ended, 5000);
}

// Where a reply ends, its code; or what is wrong with it.
ReplyLine::Step last_step(std::string_view text, uint16_t* code = nullptr) {
  ReplyLine line;
  ReplyLine::Step step = ReplyLine::Step::inside;
  for (size_t i = 0; i < text.size(); ++i) {
    step = line.next(static_cast<uint8_t>(text[i]));
    if (step == ReplyLine::Step::reply_over || step == ReplyLine::Step::malformed ||
        step == ReplyLine::Step::too_long) {
      EXPECT_EQ(i + 1, text.size()) << text;
      break;
    }
  }
  if (code != nullptr) *code = line.code();
  return step;
}

TEST(ReplyLine, EndsWithItsFinalLine) {
  uint16_t code = 0;
  for (const char* text : {"250\r\n", "250 \r\n", "250 ok\r\n", "250-a\r\n250-\r\n250 b\r\n", "250-a\r\n250\r\n",
                           "250 a\rb\r\n", "250 \rb\r\n"}) {
    EXPECT_EQ(last_step(text, &code), ReplyLine::Step::reply_over) << text;
    EXPECT_EQ(code, 250);
  }
  EXPECT_EQ(last_step("250-a\r\n"), ReplyLine::Step::line_over);
}

TEST(ReplyLine, IsMalformedFromTheFirstWrongByteOn) {
  for (const char* text : {"x", "1", "6", "2x", "25x", "250x", "250\n", "250 a\n", "250-a\r\n3", "250-a\r\n24",
                           "250-a\r\n259", "250\rx", "\r", "\n", "250-a\r\n "}) {
    EXPECT_EQ(last_step(text), ReplyLine::Step::malformed) << text;
  }
}

TEST(ReplyLine, EndsWithinItsLimitOrNotAtAll) {
  const std::string text = "250 " + std::string(kLineBytes - 6, 'x');
  EXPECT_EQ(last_step(text + "\r\n"), ReplyLine::Step::reply_over);
  EXPECT_EQ(last_step(text + "x\r\n"), ReplyLine::Step::too_long);
}

TEST(Outstanding, GivesBackInOrderWhateverIsPushed) {
  std::mt19937 random(2920);
  for (int round = 0; round < 2'000; ++round) {
    Outstanding queue;
    std::deque<Awaited> expected;
    for (int step = 0; step < 200; ++step) {
      if (random() % 9 < 5) {
        const auto what = random() % 3 != 0 ? Awaited::rcpt : static_cast<Awaited>(random() % 11);
        if (queue.push(what)) {
          expected.push_back(what);
        } else {
          ASSERT_GE(expected.size(), Outstanding::kDepth);
        }
      } else if (!expected.empty()) {
        ASSERT_EQ(queue.front(), expected.front());
        ASSERT_EQ(queue.pop(), expected.front());
        expected.pop_front();
      }
      ASSERT_EQ(queue.empty(), expected.empty());
      ASSERT_EQ(queue.contains(Awaited::ehlo),
                std::find(expected.begin(), expected.end(), Awaited::ehlo) != expected.end());
    }
  }
}

TEST(Outstanding, HoldsALongRowOfRecipientsAndSixteenOthers) {
  Outstanding queue;
  ASSERT_TRUE(queue.push(Awaited::mail));
  for (int i = 0; i < 60'000; ++i) ASSERT_TRUE(queue.push(Awaited::rcpt));
  for (int i = 0; i < 14; ++i) ASSERT_TRUE(queue.push(Awaited::other));
  EXPECT_FALSE(queue.push(Awaited::other));
  EXPECT_EQ(queue.pop(), Awaited::mail);
  for (int i = 0; i < 60'000; ++i) ASSERT_EQ(queue.pop(), Awaited::rcpt);
  for (int i = 0; i < 14; ++i) ASSERT_EQ(queue.pop(), Awaited::other);
  EXPECT_TRUE(queue.empty());
}

bool finds_keyword(std::string_view text) {
  KeywordScanner scanner;
  scanner.begin_line();
  for (size_t i = 0; i < text.size(); ++i) {
    if (scanner.next(static_cast<uint8_t>(text[i]))) return i + 1 == text.size();
  }
  return false;
}

TEST(Keyword, IsFoundInItsSpellingsInAnyCase) {
  for (const char* text :
       {"PIPECONNECT", "X_PIPE_CONNECT", "X_PIPECONNECT", "PIPE_CONNECT", "pipeconnect", "x_Pipe_Connect"})
    EXPECT_TRUE(finds_keyword(text)) << text;
}

TEST(Keyword, IsNothingElse) {
  for (const char* text : {"PIPELINING", "XPIPECONNECT", "X_X_PIPECONNECT", "PIPE__CONNECT", "PIPECONNEC",
                           " PIPECONNECT", "X__PIPECONNECT", "PIPCONNECT", "IPECONNECT", "_PIPECONNECT"}) {
    EXPECT_FALSE(finds_keyword(text)) << text;
  }
}

TEST(Keyword, IsLookedForOnlyAtTheBeginningOfALine) {
  KeywordScanner scanner;
  EXPECT_FALSE(scanner.active());
  scanner.begin_line();
  EXPECT_TRUE(scanner.active());
  EXPECT_FALSE(scanner.next('S'));
  EXPECT_FALSE(scanner.active());
}

}  // namespace
}  // namespace mire::smtp
