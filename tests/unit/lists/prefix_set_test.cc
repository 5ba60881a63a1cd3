#include "controlplane/lists/prefix_set.h"

#include <random>

#include "tests/unit/lists/support.h"

namespace mire::lists {
namespace {

using Texts = std::vector<std::string>;

TEST(PrefixSet, DropsWhatIsInsideAndJoinsNeighbours) {
  EXPECT_EQ(written(aggregated(prefixes({"192.0.2.128/25", "192.0.2.7", "192.0.2.0/25", "192.0.2.7"}))),
            (Texts{"192.0.2.0/24"}));
  EXPECT_EQ(written(aggregated(prefixes({"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"}))),
            (Texts{"10.0.0.0/22"}));
  EXPECT_EQ(written(aggregated(prefixes({"10.0.1.0/24", "10.0.2.0/24"}))), (Texts{"10.0.1.0/24", "10.0.2.0/24"}))
      << "neighbours, but of different parents";
  EXPECT_EQ(written(aggregated(prefixes({"2001:db8:8000::/33", "2001:db8::/33", "2001:db8::1"}))),
            (Texts{"2001:db8::/32"}));
}

TEST(PrefixSet, NeverLetsAFamilySwallowTheOther) {
  EXPECT_EQ(aggregated(prefixes({"::/0", "192.0.2.0/24"})).size(), 2u);
  EXPECT_EQ(aggregated(prefixes({"0.0.0.0/0", "::ffff:0:0/96", "2001:db8::/32"})).size(), 2u);
  EXPECT_FALSE(covers(prefix("::/0"), prefix("192.0.2.1")));
}

TEST(PrefixSet, HoldsTheSameAddressesAfterwards) {
  std::mt19937 chance(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<wire::Prefix> all;
    for (int i = 0; i < 30; ++i) {
      const auto length = static_cast<uint8_t>(24 + chance() % 9);
      wire::Address a = address("192.0.2.0");
      a.bytes[15] = static_cast<uint8_t>(chance());
      all.push_back({wire::masked(a, length), length});
    }
    all.resize(1 + chance() % 30);
    const std::vector<wire::Prefix> few = aggregated(all);
    EXPECT_EQ(aggregated(few), few);
    const auto in = [](const std::vector<wire::Prefix>& set, const wire::Address& a) {
      return std::any_of(set.begin(), set.end(), [&](const wire::Prefix& p) { return p.contains(a); });
    };
    for (int last = 0; last < 256; ++last) {
      wire::Address a = address("192.0.2.0");
      a.bytes[15] = static_cast<uint8_t>(last);
      ASSERT_EQ(in(few, a), in(all, a)) << last;
    }
    for (size_t i = 1; i < few.size(); ++i) EXPECT_FALSE(covers(few[i - 1], few[i]));
  }
}

TEST(PrefixSet, KnowsWhatNobodySendsFrom) {
  EXPECT_TRUE(absurdly_wide(prefix("0.0.0.0/0")));
  EXPECT_TRUE(absurdly_wide(prefix("10.0.0.0/7")));
  EXPECT_FALSE(absurdly_wide(prefix("10.0.0.0/8")));
  EXPECT_TRUE(absurdly_wide(prefix("2000::/18")));
  EXPECT_FALSE(absurdly_wide(prefix("2000::/19")));
  EXPECT_FALSE(absurdly_wide(prefixes({"10.0.0.0/8", "2000::/19"})));
  EXPECT_FALSE(absurdly_wide(prefixes({"10.0.0.0/9", "11.0.0.0/9"})));
  EXPECT_TRUE(absurdly_wide(prefixes({"10.0.0.0/8", "192.0.2.1"}))) << "two prefixes may do together what one may not";
  EXPECT_FALSE(absurdly_wide(std::vector<wire::Prefix>{}));
}

}  // namespace
}  // namespace mire::lists
