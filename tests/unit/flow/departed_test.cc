// Fingerprints of flows that were forgotten while they may go on.
#include "dataplane/flow/departed.h"

#include <gtest/gtest.h>

namespace mire::flow {
namespace {

using std::chrono::minutes;

constexpr Time kNow{seconds{5'000}};

FlowId number(uint32_t n) {
  return {wire::Address::v4(0x0a000000 + n / 16), static_cast<uint16_t>(1024 + n % 16),
          static_cast<uint16_t>(1 + n % 3)};
}

TEST(Departed, KnowsAFlowForAQuarterOfAnHourAtLeastAndForHalfAnHourAtMost) {
  // Whatever the generation is old at that moment.
  for (int second = 0; second < 3600; second += 7) {
    Departed d(1000, 1);
    const Time then = kNow + seconds{second};
    d.add(number(1), then);
    for (const auto later : {Duration{0}, Duration{minutes{1}}, Duration{minutes{15}}})
      EXPECT_TRUE(d.may_hold(number(1), then + later)) << second;
    EXPECT_FALSE(d.may_hold(number(1), then + minutes{30}));
  }
}

TEST(Departed, ForgetsNoneOfAsManyAsItWasMadeFor) {
  constexpr uint32_t kMany = 100'000;
  Departed d(kMany, 2);
  for (uint32_t n = 0; n < kMany; ++n) d.add(number(n), kNow);
  for (uint32_t n = 0; n < kMany; ++n) ASSERT_TRUE(d.may_hold(number(n), kNow + minutes{15})) << n;
  uint32_t taken_for_others = 0;
  for (uint32_t n = kMany; n < 2 * kMany; ++n) taken_for_others += d.may_hold(number(n), kNow) ? 1 : 0;
  EXPECT_LT(taken_for_others, kMany / 200);
}

TEST(Departed, TellsFlowsApartByClientPortAndServer) {
  Departed d(1000, 3);
  const FlowId id{*wire::parse_address("2001:db8::1"), 4000, 1};
  d.add(id, kNow);
  EXPECT_TRUE(d.may_hold(id, kNow));
  for (const FlowId& other :
       {FlowId{*wire::parse_address("2001:db8::2"), 4000, 1}, FlowId{id.client, 4001, 1}, FlowId{id.client, 4000, 2}})
    EXPECT_FALSE(d.may_hold(other, kNow));
}

TEST(Departed, WithMoreThanItWasMadeForItSaysPerhapsOfEverybodyForAQuarterOfAnHour) {
  Departed d(10, 4);
  for (uint32_t n = 0; n < 10; ++n) d.add(number(n), kNow);
  EXPECT_FALSE(d.may_hold(number(99), kNow));
  d.add(number(10), kNow + minutes{1});
  EXPECT_TRUE(d.may_hold(number(99), kNow + minutes{1}));
  EXPECT_TRUE(d.may_hold(number(99), kNow + minutes{16} - Duration{1}));
  EXPECT_FALSE(d.may_hold(number(99), kNow + minutes{16}));
  // Fewer than that in each quarter of an hour are no trouble however long it goes.
  for (uint32_t n = 0; n < 100; ++n) d.add(number(n), kNow + minutes{30} + n * minutes{3});
  EXPECT_FALSE(d.may_hold(number(1), kNow + minutes{30 + 300}));
}

}  // namespace
}  // namespace mire::flow
