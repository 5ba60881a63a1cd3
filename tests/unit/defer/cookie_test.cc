// Numbers that remember a handshake: only ours, only for it, only for a while.
#include "dataplane/defer/cookie.h"

#include <gtest/gtest.h>

#include <random>

namespace mire::defer {
namespace {

Handshake shake(uint16_t port = 40000) {
  return {*wire::parse_address("192.0.2.1"), *wire::parse_address("198.51.100.25"), 0, port, {12345}};
}
constexpr Time kNow{seconds{100'000}};
const CookieJar kJar(CookieKey{1, 2, 3, 4});

TEST(Cookie, RemembersTheMssRoundedDown) {
  for (const auto& [mss, remembered] : {std::pair<uint16_t, uint16_t>{1460, 1460},
                                        {9000, 1460},
                                        {1459, 1452},
                                        {1400, 1400},
                                        {1220, 1200},
                                        {536, 536},
                                        {100, 536}}) {
    const auto opened = kJar.open(shake(), kJar.bake(shake(), mss, kNow), kNow);
    ASSERT_TRUE(opened) << mss;
    EXPECT_EQ(opened->mss, remembered);
  }
}

TEST(Cookie, IsGoodForOneToTwoMinutesAndNotLonger) {
  for (unsigned phase = 0; phase < 64; ++phase) {
    const Time baked = kNow + seconds{phase};
    const auto number = kJar.bake(shake(), 1460, baked);
    EXPECT_TRUE(kJar.open(shake(), number, baked + seconds{64}));
    EXPECT_FALSE(kJar.open(shake(), number, baked + seconds{128}));
    EXPECT_FALSE(kJar.open(shake(), number, baked + seconds{64 * 32 + 200}))
        << "the counter comes round after 34 minutes";
  }
}

TEST(Cookie, IsGoodForNobodyElse) {
  const auto number = kJar.bake(shake(), 1460, kNow);
  Handshake other = shake();
  other.client = *wire::parse_address("192.0.2.2");
  EXPECT_FALSE(kJar.open(other, number, kNow));
  other = shake();
  other.server = *wire::parse_address("198.51.100.26");
  EXPECT_FALSE(kJar.open(other, number, kNow));
  other = shake(40001);
  EXPECT_FALSE(kJar.open(other, number, kNow));
  other = shake();
  other.vlan = 7;
  EXPECT_FALSE(kJar.open(other, number, kNow));
  other = shake();
  other.client_isn = {12346};
  EXPECT_FALSE(kJar.open(other, number, kNow));
  EXPECT_FALSE(CookieJar(CookieKey{1, 2, 3, 5}).open(shake(), number, kNow));
}

TEST(Cookie, AFieldThatIsChangedIsAForgery) {
  const auto number = kJar.bake(shake(), 1460, kNow);
  for (unsigned bit = 0; bit < 32; ++bit) EXPECT_FALSE(kJar.open(shake(), {number.value ^ 1u << bit}, kNow)) << bit;
}

TEST(Cookie, OneThatNeedsItsRecordProvesNothing) {
  EXPECT_FALSE(kJar.open(shake(), kJar.bake(shake(), std::nullopt, kNow), kNow));
}

TEST(Cookie, GuessesAreRightAboutOnceInEightMillion) {
  std::mt19937 chance(1);
  unsigned right = 0;
  for (unsigned n = 0; n < 1'000'000; ++n) right += kJar.open(shake(), {static_cast<uint32_t>(chance())}, kNow) ? 1 : 0;
  EXPECT_LE(right, 3u);
}

TEST(Cookie, TheClockOfAClientAndServerIsTheSameForEachOfTheirHandshakes) {
  Handshake again = shake();
  again.client_isn = {999};
  EXPECT_EQ(kJar.clock_offset(shake()), kJar.clock_offset(again));
  EXPECT_NE(kJar.clock_offset(shake()), kJar.clock_offset(shake(40001)));
}

}  // namespace
}  // namespace mire::defer
