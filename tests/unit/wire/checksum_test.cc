#include "dataplane/wire/checksum.h"

#include <gtest/gtest.h>

#include <random>

#include "dataplane/wire/byteorder.h"
#include "tests/unit/wire/frames.h"

namespace mire::wire {
namespace {

using namespace test;

Bytes random_bytes(std::mt19937& random, size_t n) {
  Bytes b(n);
  for (uint8_t& byte : b) {
    byte = static_cast<uint8_t>(random());
  }
  return b;
}

TEST(Checksum, IsTheReferenceForEveryLengthAndAlignment) {
  std::mt19937 random(1);
  const Bytes b = random_bytes(random, 300);
  for (size_t offset = 0; offset < 9; ++offset) {
    for (size_t n = 0; n + offset <= b.size(); ++n) {
      const std::span<const uint8_t> part = std::span(b).subspan(offset, n);
      const Exact exact(part);
      ASSERT_EQ(fold(sum(part)), swap16(static_cast<uint16_t>(naive_checksum(part)))) << offset << ' ' << n;
      ASSERT_EQ(fold(sum(exact.span())), fold(sum(part)));
    }
  }
}

TEST(Checksum, CarriesComeRoundInTheLongestPacketOfOnes) {
  const Bytes ones(65'535, 0xff);
  for (const size_t n : {31u, 32u, 33u, 64u, 1460u, 65'534u, 65'535u}) {
    const auto part = std::span(ones).first(n);
    EXPECT_EQ(fold(sum(part)), swap16(static_cast<uint16_t>(naive_checksum(part)))) << n;
  }
}

TEST(Checksum, ChainsOverPartsOfEvenLength) {
  std::mt19937 random(2);
  for (int i = 0; i < 500; ++i) {
    const Bytes b = random_bytes(random, random() % 2000);
    const size_t cut = random() % (b.size() / 2 + 1) * 2;
    const uint64_t first = sum(std::span(b).first(cut));
    EXPECT_EQ(fold(sum(std::span(b).subspan(cut), first)), fold(sum(b)));
  }
}

TEST(Checksum, FoldsWhateverSumThereIs) {
  EXPECT_EQ(fold(0), 0xffff);
  EXPECT_EQ(fold(0xffff), 0);
  EXPECT_EQ(fold(0x10000), static_cast<uint16_t>(~1));
  EXPECT_EQ(fold(~uint64_t{0}), 0);
  EXPECT_EQ(fold(uint64_t{1} << 63), static_cast<uint16_t>(~0x8000));
}

TEST(Checksum, UpdatesToWhatTheWholeWouldGive) {
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes b = random_bytes(random, 40);
    b[0] |= 1;  // a sum of zero has two forms; no packet has it
    put16(b, 10, 0);
    put16(b, 10, naive_checksum(b));
    const size_t at = 12 + random() % 14 * 2;
    uint16_t was;
    uint16_t checksum;
    std::memcpy(&was, &b[at], 2);
    std::memcpy(&checksum, &b[10], 2);
    const uint16_t is =
        random() % 4 == 0 ? static_cast<uint16_t>(random() % 2 * 0xffff) : static_cast<uint16_t>(random());
    std::memcpy(&b[at], &is, 2);
    checksum = updated(checksum, was, is);
    std::memcpy(&b[10], &checksum, 2);
    ASSERT_EQ(naive_checksum(b), 0u);
    ASSERT_EQ(fold(sum(b)), 0);
  }
}

TEST(Checksum, OfThePseudoHeaderIsThatOfItsBytes) {
  const Address a4 = parse_address("192.0.2.1").value();
  const Address b4 = parse_address("198.51.100.7").value();
  const Bytes p4 = pseudo_header(Bytes{192, 0, 2, 1, 198, 51, 100, 7}, 1460);
  EXPECT_EQ(fold(pseudo_sum(a4, b4, 1460)), swap16(static_cast<uint16_t>(naive_checksum(p4))));
  const Address a6 = Address::v6_at(kAddresses6.data());
  const Address b6 = Address::v6_at(kAddresses6.data() + 16);
  const Bytes p6 = pseudo_header(kAddresses6, 65'515);
  EXPECT_EQ(fold(pseudo_sum(a6, b6, 65'515)), swap16(static_cast<uint16_t>(naive_checksum(p6))));
}

}  // namespace
}  // namespace mire::wire
