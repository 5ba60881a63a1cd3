// Few distinct values by small numbers: against a map of values and users.
#include "dataplane/base/interner.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace mire {
namespace {

struct Value {
  uint32_t a = 0;
  uint32_t b = 0;
  friend bool operator==(const Value&, const Value&) noexcept = default;
};

TEST(Interner, GivesEqualValuesOneNumberAndOthersAnother) {
  Interner<Value> in(4, 1);
  const uint32_t x = in.acquire({1, 2}), y = in.acquire({2, 1});
  EXPECT_NE(x, 0u);
  EXPECT_NE(y, 0u);
  EXPECT_NE(x, y);
  EXPECT_EQ(in.acquire({1, 2}), x);
  EXPECT_EQ(in.size(), 2u);
  EXPECT_EQ(in[x], (Value{1, 2}));
}

TEST(Interner, FindsWithoutAddingAUser) {
  Interner<Value> in(4, 1);
  EXPECT_EQ(in.find({1, 1}), 0u);
  const uint32_t x = in.acquire({1, 1});
  EXPECT_EQ(in.find({1, 1}), x);
  in.release(x);
  EXPECT_EQ(in.find({1, 1}), 0u);
  EXPECT_EQ(in.size(), 0u);
}

TEST(Interner, KeepsAValueUntilItsLastUserGoes) {
  Interner<Value> in(4, 1);
  const uint32_t x = in.acquire({9, 9});
  in.share(x);
  EXPECT_EQ(in.acquire({9, 9}), x);
  in.release(x);
  in.release(x);
  EXPECT_EQ(in.find({9, 9}), x);
  in.release(x);
  EXPECT_EQ(in.find({9, 9}), 0u);
}

TEST(Interner, SaysZeroWhenItIsFullAndStillKnowsItsOwn) {
  Interner<Value> in(3, 1);
  std::set<uint32_t> ids;
  for (uint32_t n = 0; n < 3; ++n) ids.insert(in.acquire({n, n}));
  EXPECT_EQ(ids.size(), 3u);
  EXPECT_FALSE(ids.contains(0));
  EXPECT_EQ(in.acquire({7, 7}), 0u);
  EXPECT_TRUE(ids.contains(in.acquire({2, 2})));
  in.release(in.find({1, 1}));
  EXPECT_NE(in.acquire({7, 7}), 0u);
  EXPECT_EQ(in.acquire({1, 1}), 0u);
}

TEST(Interner, BehavesLikeAMapOfUsers) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::mt19937_64 rng(seed);
    const uint32_t capacity = 1 + static_cast<uint32_t>(rng() % 60);
    Interner<Value> in(capacity, seed);
    std::map<uint32_t, std::pair<uint32_t, uint32_t>> model;  // value -> number, users
    for (int step = 0; step < 20'000; ++step) {
      const auto v = static_cast<uint32_t>(rng() % (capacity * 2));
      const Value value{v, ~v};
      const auto it = model.find(v);
      ASSERT_EQ(in.find(value), it == model.end() ? 0u : it->second.first);
      if (rng() % 2 == 0) {
        const uint32_t id = in.acquire(value);
        if (it != model.end()) {
          ASSERT_EQ(id, it->second.first);
          ++it->second.second;
        } else if (model.size() == capacity) {
          ASSERT_EQ(id, 0u);
        } else {
          ASSERT_NE(id, 0u);
          ASSERT_LE(id, capacity);
          ASSERT_EQ(in[id], value);
          model[v] = {id, 1};
        }
      } else if (it != model.end()) {
        in.release(it->second.first);
        if (--it->second.second == 0) model.erase(it);
      }
      ASSERT_EQ(in.size(), model.size());
    }
    for (const auto& [v, known] : model) ASSERT_EQ(in.find({v, ~v}), known.first);
  }
}

}  // namespace
}  // namespace mire
