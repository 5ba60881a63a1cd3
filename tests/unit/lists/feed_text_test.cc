#include "controlplane/lists/feed_text.h"

#include "tests/unit/lists/support.h"

namespace mire::lists {
namespace {

using Texts = std::vector<std::string>;

Texts read(FeedFormat format, std::string_view text) {
  Result<FeedContent> content = parse_feed(text, "f", format);
  return content ? written(content->prefixes) : Texts{content.error()};
}

std::string refusal(FeedFormat format, std::string_view text) {
  const Result<FeedContent> content = parse_feed(text, "/feeds/x", format);
  return content ? "taken" : content.error();
}

TEST(PlainFeed, TakesAddressesPrefixesAndComments) {
  EXPECT_EQ(
      read(FeedFormat::plain, "# a comment\n192.0.2.1\n\n 198.51.100.0/24 ; why\r\n2001:db8::/32 # what\n192.0.2.1\n"),
      (Texts{"192.0.2.1/32", "198.51.100.0/24", "2001:db8::/32"}));
  EXPECT_EQ(read(FeedFormat::plain, "192.0.2.1\n198.51.100.0/24").size(), 2u);
  EXPECT_EQ(read(FeedFormat::plain, "192.0.2.7"), (Texts{"192.0.2.7/32"})) << "no line break at its end";
  EXPECT_EQ(read(FeedFormat::plain, ""), Texts{});
  EXPECT_EQ(read(FeedFormat::plain,
                 "\xef\xbb\xbf"
                 "192.0.2.7\n"),
            (Texts{"192.0.2.7/32"}));
}

TEST(PlainFeed, IsRefusedWholeWithItsLine) {
  EXPECT_EQ(refusal(FeedFormat::plain, "192.0.2.1\n# x\n192.0.2.300\n"),
            "/feeds/x:3: 192.0.2.300: no address and no prefix, or bits set beyond its length; the feed is refused "
            "whole, its old content stays");
  EXPECT_NE(refusal(FeedFormat::plain, "192.0.2.1/24\n").find("/feeds/x:1: 192.0.2.1/24: "), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::plain, "192.0.2.1 198.51.100.1\n").find("more than one word"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::plain, "0.0.0.0/0\n").find("wider than any provider"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::plain, "::/0\n").find("wider than any provider"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::plain, "<html>\n").find("/feeds/x:1: <html>: no address"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::plain, std::string(5000, '1')).find("longer than 4096 bytes"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::plain, "\x1b[31mred\n").find("/feeds/x:1: ?[31mred: "), std::string::npos)
      << "what a feed says is not for the terminal";
}

TEST(DropFeed, TakesWhatSpamhausWrites) {
  EXPECT_EQ(
      read(FeedFormat::drop,
           "; Spamhaus DROP List 2026/11/24\n; Expires: Tue\n1.10.16.0/20 ; SBL256894\n1.19.0.0/16 ; SBL434604\n"),
      (Texts{"1.10.16.0/20", "1.19.0.0/16"}));
  EXPECT_NE(refusal(FeedFormat::drop, "1.10.16.0/20 ; SBL256894\n1.19.0.0/16\n")
                .find("/feeds/x:2: 1.19.0.0/16: no '; identifier'"),
            std::string::npos);
  EXPECT_NE(refusal(FeedFormat::drop, "1.10.16.0/20 ;\n").find(":1: "), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::drop, "1.10.16.0/2 ; SBL1\n").find(":1: "), std::string::npos);
}

TEST(JsonFeed, TakesDropVersionTwo) {
  constexpr std::string_view kWhole =
      R"({"cidr":"1.10.16.0/20","sblid":"SBL256894","rir":"apnic"}
{"cidr":"2001:db8::/32","sblid":"SBL1","rir":"arin"}
{"type":"metadata","timestamp":1764000000,"size":99,"records":2,"copyright":"c","terms":"https://x"}
)";
  EXPECT_EQ(read(FeedFormat::json, kWhole).size(), 2u);
  EXPECT_NE(refusal(FeedFormat::json, std::string(kWhole).substr(kWhole.find('\n') + 1)).find("/feeds/x:2: "),
            std::string::npos)
      << "a record is missing";
  EXPECT_NE(refusal(FeedFormat::json, "{\"cidr\":\"1.10.16.0/20\"}\n{\"cidr\":\"1.2")
                .find("/feeds/x:2: {\"cidr\":\"1.2: not a JSON object"),
            std::string::npos);
  EXPECT_NE(refusal(FeedFormat::json, "[]\n").find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::json, "{\"a\":1}\n").find("neither a cidr"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::json, "{\"cidr\":5}\n").find("neither a cidr"), std::string::npos);
  EXPECT_NE(refusal(FeedFormat::json, std::string(4000, '[')).find("not a JSON object"), std::string::npos);
}

TEST(CrowdsecFeed, TakesDecisionsAndAlertsWithDecisions) {
  constexpr std::string_view kAlerts = R"([{"id":7,"source":{"ip":"203.0.113.9"},"decisions":[
    {"duration":"3h59m","id":3,"origin":"crowdsec","scenario":"ssh-bf","scope":"Ip","type":"ban","value":"192.0.2.7"},
    {"scope":"Range","type":"ban","value":"198.51.100.0/24"},{"scope":"Country","type":"ban","value":"XX"},
    {"scope":"Ip","type":"captcha","value":"192.0.2.8"}]}, {"id":8,"decisions":null}])";
  const Result<FeedContent> content = parse_feed(kAlerts, "f", FeedFormat::crowdsec);
  ASSERT_TRUE(content.ok()) << content.error();
  EXPECT_EQ(written(content->prefixes), (Texts{"192.0.2.7/32", "198.51.100.0/24"}));
  EXPECT_EQ(content->skipped, 2u) << "a country and a captcha are not for the wire";
  EXPECT_EQ(read(FeedFormat::crowdsec, R"([{"duration":"4h","scope":"ip","type":"ban","value":"192.0.2.1"}])"),
            (Texts{"192.0.2.1/32"}));
  EXPECT_EQ(read(FeedFormat::crowdsec, R"({"new":[{"scope":"Ip","type":"ban","value":"2001:db8::1"}],"deleted":null})"),
            (Texts{"2001:db8::1/128"}));
  EXPECT_EQ(read(FeedFormat::crowdsec, "null\n"), Texts{});
  EXPECT_EQ(read(FeedFormat::crowdsec, "[]"), Texts{});
}

TEST(CrowdsecFeed, IsRefusedWhole) {
  EXPECT_NE(refusal(FeedFormat::crowdsec, "[\n{\"value\":\"192.0.2.1\"},\n{\"value\":\"x\"}]").find("/feeds/x:3: x: "),
            std::string::npos);
  EXPECT_NE(refusal(FeedFormat::crowdsec, "[{\"value\":\"192.0.2.1\"}").find("/feeds/x:1: not JSON: "),
            std::string::npos);
  for (const char* text : {"", "3", "{}", "[3]", "[{}]", "[{\"value\":4}]", "[{\"decisions\":3}]"})
    EXPECT_NE(refusal(FeedFormat::crowdsec, text), "taken") << text;
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "[{\"decisions\":";
  EXPECT_NE(refusal(FeedFormat::crowdsec, deep), "taken");
}

TEST(Fail2banFeed, TakesBannedAddresses) {
  EXPECT_EQ(read(FeedFormat::fail2ban, "192.0.2.1 192.0.2.2\n2001:db8::1\n").size(), 3u);
  EXPECT_EQ(read(FeedFormat::fail2ban, "192.0.2.1 \t2026-11-24 10:00:00 + 600 = 2026-11-24 10:10:00\n"),
            (Texts{"192.0.2.1/32"}));
  EXPECT_EQ(
      read(FeedFormat::fail2ban,
           "Status for the jail: postfix\n|- Filter\n|  |- Currently failed:\t1\n|  `- File list:\t/var/log/mail.log\n"
           "`- Actions\n   |- Currently banned:\t2\n   |- Total banned:\t9\n   `- Banned IP list:\t192.0.2.1 "
           "198.51.100.2\n"),
      (Texts{"192.0.2.1/32", "198.51.100.2/32"}));
  EXPECT_EQ(read(FeedFormat::fail2ban, "   `- Banned IP list:\t\n"), Texts{});
  EXPECT_NE(refusal(FeedFormat::fail2ban, "192.0.2.1\nsshd\n").find("/feeds/x:2: sshd: "), std::string::npos);
}

TEST(Feed, SurvivesEveryTruncation) {
  const std::string text =
      "192.0.2.1\n{\"cidr\":\"1.10.16.0/20\"}\n1.10.16.0/20 ; SBL1\n`- Banned IP list: "
      "192.0.2.1\n[{\"value\":\"192.0.2.1\"}]";
  for (size_t begin = 0; begin < text.size(); ++begin)
    for (size_t end = begin; end <= text.size(); ++end)
      for (size_t format = 0; format < kFeedFormats; ++format)
        (void)parse_feed(std::string_view(text).substr(begin, end - begin), "f", static_cast<FeedFormat>(format));
}

}  // namespace
}  // namespace mire::lists
