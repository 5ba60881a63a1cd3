// Sources with limits and penalties; prefixes to classes.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "dataplane/source/settings.h"
#include "dataplane/source/source_table.h"

namespace mire::source {
namespace {

using policy::SourceClass;
using std::chrono::hours;
using std::chrono::minutes;

wire::Address at(std::string_view text) { return *wire::parse_address(text); }
wire::Prefix prefix(std::string_view text) { return *wire::parse_prefix(text); }

TEST(SourceTable, CountsLiveFlowsAndNewOnesOfTheMinute) {
  SourceTable t(100, 1);
  const Time now{hours{1}};
  EXPECT_EQ(t.find(at("192.0.2.1")), nullptr);
  t.opened(at("192.0.2.1"), now);
  t.opened(at("192.0.2.1"), now);
  EXPECT_EQ(t.find(at("192.0.2.1"))->live, 2u);
  t.closed(at("192.0.2.1"));
  EXPECT_EQ(t.find(at("192.0.2.1"))->live, 1u);
  EXPECT_EQ(SourceTable::opened_this_minute(*t.find(at("192.0.2.1")), now), 2u);
  EXPECT_EQ(SourceTable::opened_this_minute(*t.find(at("192.0.2.1")), now + minutes{1}), 0u);
  t.closed(at("192.0.2.1"));
  t.closed(at("192.0.2.1"));
  EXPECT_EQ(t.find(at("192.0.2.1"))->live, 0u) << "never below zero";
}

TEST(SourceTable, KeepsIPv6By64AndIPv4ByAddress) {
  SourceTable t(100, 1);
  t.opened(at("2001:db8:0:1::1"), Time{});
  t.opened(at("192.0.2.1"), Time{});
  EXPECT_NE(t.find(at("2001:db8:0:1:ffff::9")), nullptr);
  EXPECT_EQ(t.find(at("2001:db8:0:2::1")), nullptr);
  EXPECT_EQ(t.find(at("192.0.2.2")), nullptr);
}

TEST(SourceTable, DoublesThePenaltyUpToItsCeiling) {
  SourceTable t(100, 1);
  const PenaltyRange range{minutes{1}, hours{24}};
  Time now{hours{100}};
  t.opened(at("192.0.2.1"), now);
  Duration expected = minutes{1};
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(t.offend(at("192.0.2.1"), range, now), std::min<Duration>(expected, hours{24})) << i;
    expected *= 2;
  }
  EXPECT_TRUE(SourceTable::penalised(*t.find(at("192.0.2.1")), now + hours{23}));
  EXPECT_FALSE(SourceTable::penalised(*t.find(at("192.0.2.1")), now + hours{24}));
}

TEST(SourceTable, ForgetsOneDoublingADay) {
  SourceTable t(100, 1);
  const PenaltyRange range{minutes{1}, hours{24}};
  Time now{hours{100}};
  t.opened(at("192.0.2.1"), now);
  for (int i = 0; i < 4; ++i) (void)t.offend(at("192.0.2.1"), range, now);
  now += hours{72};
  EXPECT_EQ(t.offend(at("192.0.2.1"), range, now), minutes{2})
      << "four offences, three days: one is left, and this one";
  now += hours{24 * 30};
  EXPECT_EQ(t.offend(at("192.0.2.1"), range, now), minutes{1});
}

TEST(SourceTable, AKeptPenaltyGoesOnWhereItStoodAndCountsOnce) {
  SourceTable t(100, 1);
  const PenaltyRange range{minutes{1}, hours{24}};
  const Time now{hours{100}};
  const KeptPenalty kept{now + minutes{3}, now - minutes{1}, 3};
  t.resume(at("192.0.2.1"), kept);
  EXPECT_EQ(t.find(at("192.0.2.1")), nullptr) << "only who is proven has a record";
  t.opened(at("192.0.2.1"), now);
  t.resume(at("192.0.2.1"), kept);
  EXPECT_TRUE(SourceTable::penalised(*t.find(at("192.0.2.1")), now + seconds{179}));
  EXPECT_FALSE(SourceTable::penalised(*t.find(at("192.0.2.1")), now + seconds{180}));
  EXPECT_EQ(t.offend(at("192.0.2.1"), range, now), minutes{8}) << "the fourth";
  t.resume(at("192.0.2.1"), kept);
  EXPECT_EQ(t.find(at("192.0.2.1"))->offences, 4u);
}

TEST(SourceTable, AnUnknownSourceCannotOffend) {
  SourceTable t(100, 1);
  EXPECT_EQ(t.offend(at("192.0.2.1"), {}, Time{}), Duration{});
}

TEST(SourceTable, FullMakesRoomFromThoseWhomNobodyMisses) {
  SourceTable t(30, 1);
  const Time now{hours{1}};
  uint32_t entered = 0;
  for (uint32_t i = 0; i < 2000; ++i) {
    const auto a = wire::Address::v4(0xc0000000u + i);
    if (t.opened(a, now)) {
      ++entered;
      t.closed(a);
    }
  }
  EXPECT_EQ(entered, 2000u) << "none of them had a live flow left";
  uint32_t stuck = 0;
  for (uint32_t i = 0; i < 2000; ++i) stuck += !t.opened(wire::Address::v4(0xd0000000u + i), now);
  EXPECT_GT(stuck, 1900u) << "live ones stay";
}

TEST(SourceTable, SweepsAwayWhatHasNeitherFlowsNorOffences) {
  SourceTable t(100, 1);
  Time now{hours{1}};
  for (uint32_t i = 0; i < 50; ++i) {
    const auto a = wire::Address::v4(0xc0000000u + i);
    t.opened(a, now);
    if (i == 7) (void)t.offend(a, {}, now);
    if (i != 3) t.closed(a);
  }
  now += hours{2};
  for (int i = 0; i < 2000; ++i) t.sweep(now);
  EXPECT_EQ(t.size(), 2u) << "the live one and the offender";
  now += hours{48};
  for (int i = 0; i < 2000; ++i) t.sweep(now);
  EXPECT_EQ(t.size(), 1u);
}

TEST(ClassTable, TheLongestPrefixWins) {
  ClassTable t;
  t.set(prefix("192.0.2.0/24"), SourceClass::trusted);
  t.set(prefix("192.0.2.128/25"), SourceClass::suspect);
  t.set(prefix("192.0.2.200"), SourceClass::exempt);
  EXPECT_EQ(t.find(at("192.0.2.1")), SourceClass::trusted);
  EXPECT_EQ(t.find(at("192.0.2.129")), SourceClass::suspect);
  EXPECT_EQ(t.find(at("192.0.2.200")), SourceClass::exempt);
  EXPECT_EQ(t.find(at("192.0.3.1")), std::nullopt);
  t.set(prefix("192.0.2.128/25"), SourceClass::known);
  EXPECT_EQ(t.find(at("192.0.2.129")), SourceClass::known) << "the last word on a prefix";
  EXPECT_EQ(t.size(), 3u);
}

TEST(ClassTable, FamiliesAreApart) {
  ClassTable t;
  t.set(prefix("::/0"), SourceClass::blocked);
  EXPECT_EQ(t.find(at("192.0.2.1")), std::nullopt);
  EXPECT_EQ(t.find(at("2001:db8::1")), SourceClass::blocked);
  t.set(prefix("0.0.0.0/0"), SourceClass::known);
  EXPECT_EQ(t.find(at("192.0.2.1")), SourceClass::known);
  EXPECT_EQ(t.find(at("2001:db8::1")), SourceClass::blocked);
}

TEST(ClassTable, AgreesWithALinearSearch) {
  std::mt19937 chance{3};
  ClassTable t;
  std::vector<std::pair<wire::Prefix, SourceClass>> listed;
  for (int i = 0; i < 400; ++i) {
    const bool v4 = chance() % 2 == 0;
    wire::Address a = v4 ? wire::Address::v4(0xc6000000u | (chance() & 0xffff)) : at("2001:db8::");
    if (!v4) a.bytes[5] = static_cast<uint8_t>(chance());
    const auto length = static_cast<uint8_t>(v4 ? chance() % 33 : chance() % 65);
    const wire::Prefix p{wire::masked(a, length), length};
    const auto c = static_cast<SourceClass>(chance() % policy::kClasses);
    t.set(p, c);
    std::erase_if(listed, [&](const auto& e) { return e.first == p && e.first.address.is_v4() == p.address.is_v4(); });
    listed.emplace_back(p, c);
  }
  for (int i = 0; i < 5000; ++i) {
    wire::Address a = chance() % 2 == 0 ? wire::Address::v4(0xc6000000u | (chance() & 0xffff)) : at("2001:db8::");
    if (!a.is_v4()) a.bytes[5] = static_cast<uint8_t>(chance());
    std::optional<SourceClass> best;
    int longest = -1;
    for (const auto& [p, c] : listed)
      if (p.address.is_v4() == a.is_v4() && p.contains(a) && p.length > longest) {
        longest = p.length;
        best = c;
      }
    ASSERT_EQ(t.find(a), best) << wire::to_string(a);
  }
}

}  // namespace
}  // namespace mire::source
