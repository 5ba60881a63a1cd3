// The hash whose keys an attacker chooses: it must depend on every bit of key and seed.
#include "dataplane/base/keyed_hash.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <random>
#include <set>
#include <vector>

namespace mire {
namespace {

constexpr size_t kLongest = 64;

TEST(KeyedHash, IsTheSameForTheSameKeyAndSeed) {
  const KeyedHash a(1), b(1);
  std::array<uint8_t, kLongest> key{};
  for (size_t n = 0; n <= kLongest; ++n) EXPECT_EQ(a(key.data(), n), b(key.data(), n));
}

TEST(KeyedHash, TellsEveryLengthOfZerosApart) {
  const KeyedHash h(1);
  const std::array<uint8_t, kLongest> zeros{};
  std::set<uint64_t> seen;
  for (size_t n = 0; n <= kLongest; ++n) seen.insert(h(zeros.data(), n));
  EXPECT_EQ(seen.size(), kLongest + 1);
}

TEST(KeyedHash, ReadsNoByteBeyondTheKey) {
  const KeyedHash h(1);
  std::array<uint8_t, kLongest + 16> a{}, b{};
  for (size_t n = 0; n <= kLongest; ++n) {
    std::fill(b.begin() + static_cast<ptrdiff_t>(n), b.end(), uint8_t{0xff});
    EXPECT_EQ(h(a.data(), n), h(b.data(), n));
    b[n] = 0;
  }
}

TEST(KeyedHash, ChangesHalfItsBitsForEveryBitOfTheKey) {
  std::mt19937_64 rng(1);
  for (const size_t length : {1u, 7u, 8u, 9u, 12u, 16u, 17u, 20u, 24u, 32u, 33u, 62u}) {
    for (size_t bit = 0; bit < length * 8; ++bit) {
      int flipped = 0;
      constexpr int kRounds = 60;
      for (int round = 0; round < kRounds; ++round) {
        const KeyedHash h(rng());
        std::vector<uint8_t> key(length);
        for (auto& b : key) b = static_cast<uint8_t>(rng());
        const uint64_t before = h(key.data(), length);
        key[bit / 8] = static_cast<uint8_t>(key[bit / 8] ^ (1u << (bit % 8)));
        flipped += std::popcount(before ^ h(key.data(), length));
      }
      const double share = flipped / (64.0 * kRounds);
      EXPECT_NEAR(share, 0.5, 0.06) << "bit " << bit << " of " << length << " bytes";
    }
  }
}

TEST(KeyedHash, ChangesHalfItsBitsForEveryBitOfTheSeed) {
  const uint64_t key = 0x0123456789abcdef;
  for (int bit = 0; bit < 64; ++bit) {
    int flipped = 0;
    for (uint64_t seed = 0; seed < 60; ++seed)
      flipped += std::popcount(KeyedHash{seed}.of(key) ^ KeyedHash{seed ^ (uint64_t{1} << bit)}.of(key));
    EXPECT_NEAR(flipped / (64.0 * 60), 0.5, 0.06);
  }
}

// CRC32 is linear: h(a) ^ h(b) ^ h(c) ^ h(a^b^c) is constant, and collisions under one key are collisions under all.
TEST(KeyedHash, IsNotLinear) {
  const KeyedHash h(1);
  std::set<uint64_t> sums;
  for (uint64_t n = 1; n <= 100; ++n) {
    const uint64_t a = n, b = n << 20, c = n << 40;
    sums.insert(h.of(a) ^ h.of(b) ^ h.of(c) ^ h.of(a ^ b ^ c));
  }
  EXPECT_EQ(sums.size(), 100u);
}

TEST(KeyedHash, SpreadsCountingKeysEvenlyOverBothHalves) {
  const KeyedHash h(7);
  constexpr size_t kBuckets = 256, kKeys = 256 * 1000;
  std::array<uint32_t, kBuckets> high{}, low{};
  for (uint64_t k = 0; k < kKeys; ++k) {
    const uint64_t v = h.of(k);
    ++high[v >> 56];
    ++low[(v >> 24) & 0xff];
  }
  double chi_high = 0, chi_low = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    chi_high += (high[i] - 1000.0) * (high[i] - 1000.0) / 1000.0;
    chi_low += (low[i] - 1000.0) * (low[i] - 1000.0) / 1000.0;
  }
  // 255 degrees of freedom: mean 255, deviation 22.6; 5 of them are enough for a fixed seed.
  EXPECT_LT(chi_high, 370.0);
  EXPECT_LT(chi_low, 370.0);
}

}  // namespace
}  // namespace mire
