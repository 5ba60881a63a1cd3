#include "dataplane/wire/address.h"

#include <gtest/gtest.h>

namespace mire::wire {
namespace {

Address address(std::string_view text) { return parse_address(text).value(); }
Prefix prefix(std::string_view text) { return parse_prefix(text).value(); }

TEST(Address, PrintsWhatItParsed) {
  for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:2:3:4",
                           "2001:db8:1:2:3:4:5:6"}) {
    EXPECT_EQ(to_string(address(text)), text);
  }
}

TEST(Address, TakesMappedTextAsIpv4) {
  EXPECT_EQ(address("::ffff:192.0.2.1"), address("192.0.2.1"));
  EXPECT_EQ(address("::ffff:c000:201"), address("192.0.2.1"));
  EXPECT_TRUE(address("::ffff:192.0.2.1").is_v4());
  EXPECT_EQ(to_string(address("::FFFF:192.0.2.1")), "192.0.2.1");
  EXPECT_FALSE(address("::fffe:c000:201").is_v4());
  EXPECT_FALSE(address("1::ffff:c000:201").is_v4());
}

TEST(Address, RefusesWhatIsNone) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, " "sv, "1"sv, "1.2.3"sv, "1.2.3.4.5"sv, "256.1.1.1"sv, "01.2.3.4"sv, "1.2.3.4 "sv, " 1.2.3.4"sv, ":"sv,
        ":::"sv, "1::2::3"sv, "fe80::1%eth0"sv, "[::1]"sv, "12345::"sv, "mail.example"sv, "1.2.3.4\0"sv, "::1\0x"sv,
        "1.2.3.4/32"sv}) {
    EXPECT_EQ(parse_address(text), std::nullopt) << text;
  }
}

TEST(Address, ReadsNoFurtherThanItsText) {
  const std::string_view longer = "192.0.2.123";
  EXPECT_EQ(parse_address(longer.substr(0, 9)), address("192.0.2.1"));
}

TEST(Prefix, PrintsWhatItParsed) {
  for (const char* text : {"0.0.0.0/0", "10.0.0.0/8", "192.0.2.128/25", "192.0.2.1/32", "::/0", "2001:db8::/32",
                           "2001:db8::8000/113", "2001:db8::1/128"}) {
    EXPECT_EQ(to_string(prefix(text)), text);
  }
}

TEST(Prefix, IsTheWholeAddressIfNoLengthIsGiven) {
  EXPECT_EQ(to_string(prefix("192.0.2.1")), "192.0.2.1/32");
  EXPECT_EQ(to_string(prefix("2001:db8::1")), "2001:db8::1/128");
}

TEST(Prefix, CountsMappedTextWithinIpv4) {
  EXPECT_EQ(prefix("::ffff:192.0.2.0/120"), prefix("192.0.2.0/24"));
  EXPECT_EQ(prefix("::ffff:0:0/96"), prefix("0.0.0.0/0"));
  EXPECT_EQ(prefix("::ffff:192.0.2.1"), prefix("192.0.2.1/32"));
  EXPECT_EQ(parse_prefix("::ffff:192.0.2.0/24"), std::nullopt);
  EXPECT_EQ(parse_prefix("::ffff:0:0/95"), std::nullopt);
}

TEST(Prefix, RefusesHostBits) {
  for (const char* text :
       {"192.0.2.1/31", "192.0.2.1/24", "192.0.2.0/0", "2001:db8::1/127", "2001:db8::1/64", "::1/0"}) {
    EXPECT_EQ(parse_prefix(text), std::nullopt) << text;
  }
}

TEST(Prefix, RefusesALengthThatIsNone) {
  for (const char* text : {"192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+24", "192.0.2.0/ 24",
                           "192.0.2.0/24 ", "192.0.2.0/024", "192.0.2.0/24/24", "192.0.2.0/255.255.255.0", "::/129",
                           "::/4294967296", "/24", "192.0.2.0/99999999999999999999"}) {
    EXPECT_EQ(parse_prefix(text), std::nullopt) << text;
  }
}

TEST(Prefix, ContainsJustItsBitsAtEveryLength) {
  for (const char* text : {"203.0.113.165", "2001:db8:a5a5:5a5a:1234:5678:9abc:def1"}) {
    const Address a = address(text);
    const unsigned longest = a.is_v4() ? 32 : 128;
    const unsigned skipped = 128 - longest;
    for (unsigned length = 0; length <= longest; ++length) {
      const Prefix p{masked(a, length), static_cast<uint8_t>(length)};
      for (unsigned flipped = 0; flipped < longest; ++flipped) {
        Address b = a;
        const unsigned bit = skipped + flipped;
        b.bytes[bit / 8] = static_cast<uint8_t>(b.bytes[bit / 8] ^ (0x80 >> bit % 8));
        EXPECT_EQ(p.contains(b), flipped >= length) << to_string(p) << ' ' << to_string(b);
      }
      EXPECT_TRUE(p.contains(a));
    }
  }
}

TEST(Prefix, NeverContainsTheOtherFamily) {
  EXPECT_FALSE(prefix("::/0").contains(address("192.0.2.1")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(address("2001:db8::1")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(address("::1")));
}

TEST(Masked, TakesALengthBeyondTheFamilyAsTheWhole) {
  EXPECT_EQ(masked(address("192.0.2.1"), 200), address("192.0.2.1"));
  EXPECT_EQ(masked(address("2001:db8::1"), 200), address("2001:db8::1"));
}

TEST(SourceOf, IsTheAddressForIpv4AndItsSlash64ForIpv6) {
  EXPECT_EQ(source_of(address("192.0.2.1")), address("192.0.2.1"));
  EXPECT_EQ(source_of(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
}

}  // namespace
}  // namespace mire::wire
