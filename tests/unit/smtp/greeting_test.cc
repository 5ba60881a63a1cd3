#include "dataplane/smtp/greeting.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/smtp/script.h"

namespace mire::smtp {
namespace {

GreetingScan scan(std::string_view text) { return scan_greeting(test::bytes_of(text)); }

constexpr GreetingScan kIncomplete{GreetingResult::incomplete, 0};
constexpr GreetingScan kUnjudgeable{GreetingResult::unjudgeable, 0};
GreetingScan ready(size_t end) { return {GreetingResult::ready, end}; }
GreetingScan refused(size_t end) { return {GreetingResult::refused, end}; }

TEST(Greeting, IsReadyBehindTheLineWithOrWithoutText) {
  EXPECT_EQ(scan("220 mx.example.org ESMTP\r\n"), ready(26));
  EXPECT_EQ(scan("220 x\r\n"), ready(7));
  EXPECT_EQ(scan("220 \r\n"), ready(6));
  EXPECT_EQ(scan("220\r\n"), ready(5));
}

TEST(Greeting, IsReadyOnlyBehindTheLastOfSeveralLines) {
  EXPECT_EQ(scan("220-one\r\n"), kIncomplete);
  EXPECT_EQ(scan("220-one\r\n220-\r\n"), kIncomplete);
  EXPECT_EQ(scan("220-one\r\n220-\r\n220 three\r\n"), ready(26));
  EXPECT_EQ(scan("220-one\r\n220\r\n"), ready(14));
}

TEST(Greeting, EndsBeforeWhatComesBehindIt) { EXPECT_EQ(scan("220 x\r\n250 y\r\n"), ready(7)); }

TEST(Greeting, IsIncompleteAtEveryByteBeforeItsEnd) {
  const std::string_view whole = "220-one\r\n220 two\r\n";
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_EQ(scan(whole.substr(0, n)), kIncomplete) << n;
}

TEST(Greeting, RefusesAtOnceBehindCodeAndSeparator) {
  EXPECT_EQ(scan("554"), kIncomplete);
  EXPECT_EQ(scan("554 "), refused(4));
  EXPECT_EQ(scan("421-b"), refused(5));
  EXPECT_EQ(scan("521\r"), refused(4));
}

TEST(Greeting, RefusalEndsBehindItsFinalLineIfThatIsWhole) {
  EXPECT_EQ(scan("554 no\r\nrest"), refused(8));
  EXPECT_EQ(scan("554-no\r\n554 never\r\nrest"), refused(19));
  EXPECT_EQ(scan("554-no\r\n554 nev"), refused(15));
  EXPECT_EQ(scan("450\r\nrest"), refused(5));
}

TEST(Greeting, IsUnjudgeableWithABareLineFeed) {
  EXPECT_EQ(scan("220 x\n"), kUnjudgeable);
  EXPECT_EQ(scan("220\n"), kUnjudgeable);
  EXPECT_EQ(scan("220-x\n220 y\r\n"), kUnjudgeable);
  EXPECT_EQ(scan("220-x\r\n220 y\nz\r\n"), kUnjudgeable);
}

TEST(Greeting, IsUnjudgeableWithAnyOtherCodeFromTheFirstWrongByteOn) {
  for (const char* text :
       {"h", "2h",   "25",         "250 x\r\n", "221", "22o",  "354 x\r\n", "1",          "0",    "3",
        "6", "\r\n", " 220 x\r\n", "4x",        "45x", "220x", "220\t",     "2200 x\r\n", "450x", "\x16\x03\x01"}) {
    EXPECT_EQ(scan(text), kUnjudgeable) << text;
  }
}

TEST(Greeting, IsUnjudgeableWhenTheCodeChangesBetweenLines) {
  EXPECT_EQ(scan("220-x\r\n554 y\r\n"), kUnjudgeable);
  EXPECT_EQ(scan("220-x\r\n4"), kUnjudgeable);
  EXPECT_EQ(scan("220-x\r\n\r\n"), kUnjudgeable);
}

TEST(Greeting, TakesABareCarriageReturnInTextForText) {
  EXPECT_EQ(scan("220 a\rb\r\n"), ready(9));
  EXPECT_EQ(scan("220 a\r\r\n"), ready(8));
  EXPECT_EQ(scan("220 a\r"), kIncomplete);
}

TEST(Greeting, IsUnjudgeableWithABareCarriageReturnBehindTheCode) {
  EXPECT_EQ(scan("220\r"), kIncomplete);
  EXPECT_EQ(scan("220\rx\r\n"), kUnjudgeable);
}

TEST(Greeting, IsUnjudgeableWithoutAnEndInItsBytes) {
  const std::string fits = "220 " + std::string(kGreetingBytes - 6, 'x') + "\r\n";
  EXPECT_EQ(scan(fits), ready(kGreetingBytes));
  EXPECT_EQ(scan(fits + "more"), ready(kGreetingBytes));
  EXPECT_EQ(scan(fits.substr(0, kGreetingBytes - 1)), kIncomplete);
  const std::string too_long = "220 " + std::string(kGreetingBytes - 5, 'x') + "\r\n";
  EXPECT_EQ(scan(too_long), kUnjudgeable);
  EXPECT_EQ(scan(too_long.substr(0, kGreetingBytes)), kUnjudgeable);
}

TEST(Greeting, IsUnjudgeableWithoutAnEndInItsLines) {
  std::string text;
  for (size_t line = 1; line < kGreetingLines; ++line) text += "220-x\r\n";
  EXPECT_EQ(scan(text), kIncomplete);
  EXPECT_EQ(scan(text + "220 x\r\n"), ready(text.size() + 7));
  EXPECT_EQ(scan(text + "220-x\r\n"), kUnjudgeable);
}

TEST(Greeting, OnceDecidedStaysDecidedWhenMoreBytesCome) {
  std::mt19937 random(25);
  const std::string_view alphabet = "220554-- \r\n\r\nx";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = random() % 2 != 0 ? "220" : "";
    for (size_t n = random() % 24; n != 0; --n) text += alphabet[random() % alphabet.size()];
    GreetingScan before = kIncomplete;
    for (size_t n = 0; n <= text.size(); ++n) {
      const GreetingScan now = scan(text.substr(0, n));
      if (before.result != GreetingResult::incomplete) {
        ASSERT_EQ(now.result, before.result) << text << n;
      }
      if (before.result == GreetingResult::ready) {
        ASSERT_EQ(now.end, before.end) << text << n;
      }
      before = now;
    }
  }
}

}  // namespace
}  // namespace mire::smtp
