#include "controlplane/config/values.h"

#include <gtest/gtest.h>

#include <array>

namespace mire::config {
namespace {

TEST(Values, ReadDurationsInEachUnit) {
  EXPECT_EQ(parse_duration_ms("200ms").value(), 200u);
  EXPECT_EQ(parse_duration_ms("5s").value(), 5'000u);
  EXPECT_EQ(parse_duration_ms("2m").value(), 120'000u);
  EXPECT_EQ(parse_duration_ms("1h").value(), 3'600'000u);
  EXPECT_EQ(parse_duration_ms("0s").value(), 0u);
  EXPECT_EQ(parse_duration_ms("999999999h").value(), 999'999'999ull * 3'600'000);
}

TEST(Values, SayWhatIsWrongWithADuration) {
  EXPECT_EQ(parse_duration_ms("5").error(), "no unit; try 5s");
  EXPECT_EQ(parse_duration_ms("0.2s").error(), "not a whole number; use a smaller unit, like 1500ms");
  EXPECT_EQ(parse_duration_ms("5d").error(), "not a unit of time; use ms, s, m or h");
  EXPECT_EQ(parse_duration_ms("fast").error(), "not a duration; write it like 200ms, 5s, 2m or 1h");
  EXPECT_EQ(parse_duration_ms("").error(), "not a duration; write it like 200ms, 5s, 2m or 1h");
  EXPECT_EQ(parse_duration_ms("-5s").error(), "not a duration; write it like 200ms, 5s, 2m or 1h");
  EXPECT_EQ(parse_duration_ms("99999999999999999999s").error(), "too long; write it like 200ms, 5s, 2m or 1h");
}

TEST(Values, WriteADurationTheShortestExactWay) {
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(900), "900ms");
  EXPECT_EQ(duration_text(30'000), "30s");
  EXPECT_EQ(duration_text(90'000), "90s");
  EXPECT_EQ(duration_text(120'000), "2m");
  EXPECT_EQ(duration_text(86'400'000), "24h");
}

TEST(Values, ReadNumbersWithinTheirRange) {
  EXPECT_EQ(parse_number("20", 1, 1000).value(), 20u);
  EXPECT_EQ(parse_number("0", 1, 1000).error(), "out of range; use 1 to 1000");
  EXPECT_EQ(parse_number("99999999999", 1, 1000).error(), "out of range; use 1 to 1000");
  EXPECT_EQ(parse_number("12x", 1, 1000).error(), "not a whole number; use 1 to 1000");
  EXPECT_EQ(parse_number("", 1, 1000).error(), "not a whole number; use 1 to 1000");
  EXPECT_EQ(parse_number("-1", 1, 1000).error(), "not a whole number; use 1 to 1000");
}

TEST(Values, FindTheWordThatWasMeant) {
  constexpr std::array<std::string_view, 4> known{"greeting", "syn-ack", "min", "max"};
  EXPECT_EQ(nearest("greting", known), "greeting");
  EXPECT_EQ(nearest("synack", known), "syn-ack");
  EXPECT_EQ(nearest("mix", known), "min");
  EXPECT_EQ(nearest("dnsbl", known), "");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), known), "");
}

}  // namespace
}  // namespace mire::config
