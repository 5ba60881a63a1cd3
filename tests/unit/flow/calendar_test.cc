// Every deadline exactly once, at its millisecond, and a full calendar says so.
#include "dataplane/flow/calendar.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mire::flow {
namespace {

constexpr auto kNoPrefetch = [](uint32_t) {};

TEST(Calendar, FiresEachTimerOnceAtItsMillisecond) {
  std::mt19937 chance{1};
  Calendar c(20000);
  uint64_t now = 123456789;
  c.start(now);
  std::multimap<uint64_t, uint32_t> expected;
  uint32_t fired = 0;
  for (int round = 0; round < 3000; ++round) {
    for (unsigned i = chance() % 8; i > 0; --i) {
      const uint64_t at = now + 1 + chance() % (Calendar::kSlots - 1);
      const auto index = static_cast<uint32_t>(chance());
      ASSERT_TRUE(c.arm(index, at));
      expected.emplace(at, index);
    }
    now += chance() % 50;
    c.expire(
        now,
        [&](uint32_t index, uint64_t ms) {
          ++fired;
          auto [from, to] = expected.equal_range(ms);
          for (; from != to; ++from)
            if (from->second == index) break;
          ASSERT_NE(from, to) << "not armed for this millisecond";
          expected.erase(from);
        },
        kNoPrefetch);
    ASSERT_TRUE(expected.empty() || expected.begin()->first > now) << "late";
    ASSERT_EQ(c.armed(), expected.size());
  }
  EXPECT_GT(fired, 1000u);
}

TEST(Calendar, KeepsThousandsOfOneMillisecond) {
  Calendar c(5000);
  c.start(10);
  for (uint32_t i = 0; i < 5000; ++i) ASSERT_TRUE(c.arm(i, 20));
  uint32_t n = 0;
  c.expire(
      19, [&](uint32_t, uint64_t) { ++n; }, kNoPrefetch);
  EXPECT_EQ(n, 0u);
  c.expire(
      20, [&](uint32_t, uint64_t) { ++n; }, kNoPrefetch);
  EXPECT_EQ(n, 5000u);
}

TEST(Calendar, SaysWhenItIsFullAndRecovers) {
  Calendar c(14);
  c.start(0);
  uint32_t armed = 0;
  while (c.arm(armed, 1 + armed % 60000)) ++armed;
  EXPECT_GE(armed, 14u);
  uint32_t n = 0;
  c.expire(
      65000, [&](uint32_t, uint64_t) { ++n; }, kNoPrefetch);
  EXPECT_EQ(n, armed);
  EXPECT_TRUE(c.arm(1, 65001));
}

TEST(Calendar, HasRoomForAsManyTimersAsPromisedAtTheWorstSpread) {
  for (const uint32_t timers : {1u, 13u, 14u, 15u, 1000u, 70000u, 200000u}) {
    Calendar c(timers);
    c.start(0);
    for (uint32_t i = 0; i < timers; ++i)
      ASSERT_TRUE(c.arm(i, 1 + i % (Calendar::kSlots - 1))) << i << " of " << timers;
  }
}

TEST(Calendar, DrainsEverythingInOrderOfTime) {
  Calendar c(100);
  c.start(1000);
  for (const uint64_t at : {5000u, 1001u, 60000u, 1001u}) ASSERT_TRUE(c.arm(7, at));
  std::vector<uint64_t> seen;
  c.drain([&](uint32_t, uint64_t ms) { seen.push_back(ms); });
  EXPECT_EQ(seen, (std::vector<uint64_t>{1001, 1001, 5000, 60000}));
  EXPECT_EQ(c.armed(), 0u);
  c.start(2000);
  EXPECT_TRUE(c.arm(1, 2001));
}

TEST(Calendar, TellsHowLongOneMaySleep) {
  Calendar c(100);
  c.start(1000);
  EXPECT_FALSE(c.next(10).has_value());
  ASSERT_TRUE(c.arm(1, 1007));
  EXPECT_EQ(c.next(10), 1007u);
  EXPECT_EQ(c.next(5), 1005u) << "nothing within, but look again then";
}

TEST(Calendar, MayBeArmedFromWithinADueTimer) {
  Calendar c(10);
  c.start(0);
  ASSERT_TRUE(c.arm(1, 5));
  int n = 0;
  c.expire(
      100,
      [&](uint32_t, uint64_t ms) {
        if (++n < 3) {
          ASSERT_TRUE(c.arm(1, ms + 10));
        }
      },
      kNoPrefetch);
  EXPECT_EQ(n, 3);
}

}  // namespace
}  // namespace mire::flow
