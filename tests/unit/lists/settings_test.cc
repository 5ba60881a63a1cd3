#include "controlplane/lists/settings.h"

#include <gtest/gtest.h>

namespace mire::lists {
namespace {

TEST(AnswerFilter, IsOneAddressARangeAPrefixOrBits) {
  EXPECT_EQ(parse_answer_filter("127.0.0.2").value(), (AnswerFilter{0x7f000002, 0x7f000002, 0}));
  EXPECT_EQ(parse_answer_filter("127.0.0.2-11").value(), (AnswerFilter{0x7f000002, 0x7f00000b, 0}));
  EXPECT_EQ(parse_answer_filter("127.0.0.2-127.0.1.11").value(), (AnswerFilter{0x7f000002, 0x7f00010b, 0}));
  EXPECT_EQ(parse_answer_filter("127.0.1.0/24").value(), (AnswerFilter{0x7f000100, 0x7f0001ff, 0}));
  EXPECT_EQ(parse_answer_filter("127.0.0.0/8").value(), (AnswerFilter{0x7f000000, 0x7fffffff, 0}));
  EXPECT_EQ(parse_answer_filter("&0.0.0.12").value(), (AnswerFilter{0, 0, 12}));
}

TEST(AnswerFilter, IsWrittenAsItIsRead) {
  for (const char* text : {"127.0.0.2", "127.0.0.2-11", "127.0.0.2-127.0.1.11", "&0.0.0.12"})
    EXPECT_EQ(to_string(parse_answer_filter(text).value()), text);
  EXPECT_EQ(to_string(parse_answer_filter("127.0.1.0/24").value()), "127.0.1.0-255");
}

TEST(AnswerFilter, RefusesWhatNoListAnswers) {
  for (const char* text : {"", "2", "127.0.0", "128.0.0.2", "127.0.0.2-", "127.0.0.2-1", "127.0.0.2-256", "127.0.0.2-x",
                           "127.0.0.2-128.0.0.1", "127.0.0.0/7", "127.0.0.1/24", "&", "&0.0.0.0", "&127.0.0.1", "::1",
                           "::ffff:127.0.0.2", "127.0.0.2 -11"}) {
    const Result<AnswerFilter> filter = parse_answer_filter(text);
    ASSERT_FALSE(filter.ok()) << text;
    EXPECT_NE(filter.error().find("; try 127.0.0.2"), std::string::npos) << filter.error();
  }
}

TEST(FeedFormat, HasAName) {
  for (size_t i = 0; i < kFeedFormats; ++i) {
    const auto format = static_cast<FeedFormat>(i);
    EXPECT_EQ(feed_format(to_string(format)), format);
  }
  EXPECT_EQ(feed_format("csv"), std::nullopt);
}

TEST(Domain, IsANameThatDnsCanBeAsked) {
  for (const char* name : {"gmail.com", "Zen.Example", "_spf.google.com", "a.b.c.d-e.f", "example.com."})
    EXPECT_TRUE(is_domain(name)) << name;
  const std::string long_label(64, 'a');
  std::string long_name = "a";
  while (long_name.size() < 254) long_name += ".a";
  for (const std::string& name :
       {std::string(""), std::string("localhost"), std::string("."), std::string(".com"), std::string("a..b"),
        std::string("a b.c"), std::string("%{i}.x"), long_label + ".com", long_name, std::string("a.b\0.c", 6)})
    EXPECT_FALSE(is_domain(name)) << name;
}

}  // namespace
}  // namespace mire::lists
