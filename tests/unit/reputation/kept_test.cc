#include "controlplane/reputation/kept.h"

#include "tests/unit/reputation/support.h"

namespace mire::reputation {
namespace {

Kept full() {
  Kept k;
  Settings s;
  for (size_t i = 0; i < kKept; ++i)
    if (kind_at(i) != Kind::mail_days) add(k.evidence, kind_at(i), 1.5 + static_cast<double>(i), s, kStart);
  for (int i = 0; i < 70; ++i) connected(k.evidence, s, kStart);
  penalise(k.evidence, kStart + kHour, 3, kStart);
  k.own = policy::SourceClass::suspect;
  k.since = 77;
  return k;
}

TEST(Kept, ComesBackAsItWas) {
  EXPECT_EQ(decode(encode(full())), full());
  EXPECT_EQ(decode(encode({})), Kept{});
  EXPECT_LE(encode(full()).size(), 95u);
  EXPECT_EQ(encode({}).size(), 47u);
}

TEST(Kept, RefusesWhatItDidNotWrite) {
  const std::string good = encode(full());
  for (size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(decode(good.substr(0, n))) << n;
  EXPECT_FALSE(decode(good + '\0'));
  std::string other = good;
  other[0] = 2;
  EXPECT_FALSE(decode(other)) << "a later version";
  other = good;
  other[1] = 6;
  EXPECT_FALSE(decode(other)) << "no class";
  other = good;
  other[3] = '\xff';
  EXPECT_FALSE(decode(other)) << "more kinds than there are";
  for (size_t at = good.size() - 4 * kKept; at < good.size(); at += 4) {
    other = good;
    other.replace(at, 4, "\xff\xff\xff\xff");  // not a number
    EXPECT_FALSE(decode(other)) << at;
    other.replace(at, 4, std::string("\0\0\x80\xbf", 4));  // -1
    EXPECT_FALSE(decode(other)) << at;
  }
}

TEST(SourceKey, TellsFamiliesApartAndComesBack) {
  for (const char* text : {"0.0.0.1", "192.0.2.77", "255.255.255.255", "2001:db8:1:2::", "fe80::"}) {
    const auto key = key_of(address(text));
    ASSERT_TRUE(key) << text;
    EXPECT_EQ(wire::to_string(address_of(*key)), text);
    EXPECT_EQ(key_from(key_bytes(*key)), key);
  }
  EXPECT_EQ(key_of(address("2001:db8:1:2:3:4:5:6")), key_of(address("2001:db8:1:2::")));
  EXPECT_EQ(network_of(*key_of(address("2001:db8:1:2::"))), *key_of(address("2001:db8:1::")));
  EXPECT_FALSE(key_of(address("::1")));
  EXPECT_FALSE(key_of(address("::c000:24d"))) << "would be 192.0.2.77";
  EXPECT_FALSE(key_from("1234567"));
  EXPECT_FALSE(key_from(std::string("\0\1\0\0\0\0\0\0", 8)));
}

}  // namespace
}  // namespace mire::reputation
