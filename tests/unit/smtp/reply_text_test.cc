// The texts of our own replies: what may stand in them, and the line that becomes of them.
#include "dataplane/smtp/reply_text.h"

#include <gtest/gtest.h>

#include <string>

namespace mire::smtp {
namespace {

const std::string kIpv6 = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff";  // as long as one gets

std::string line(OwnReply r, std::string_view text, std::string_view address = "192.0.2.7",
                 std::string_view reason = "blocked_rejected") {
  std::array<uint8_t, kLongestReply> room;
  const auto bytes = write_reply(r, text, address, reason, room);
  return {bytes.begin(), bytes.end()};
}

TEST(ReplyText, EveryReplyHasItsCodeAndADefaultThatIsFit) {
  for (size_t i = 0; i < kOwnReplies; ++i) {
    const auto r = static_cast<OwnReply>(i);
    EXPECT_EQ(why_unfit(default_text(r)), "");
    EXPECT_FALSE(to_string(r).empty());
    EXPECT_EQ(line(r, "text"), std::string(code_of(r)) + " text\r\n");
  }
  EXPECT_EQ(code_of(OwnReply::early_talk), "521 5.7.1");
  EXPECT_EQ(code_of(OwnReply::blocked), "554 5.7.1");
  EXPECT_EQ(code_of(OwnReply::server_down), "421 4.3.2");
  EXPECT_EQ(code_of(OwnReply::silent), "421 4.4.2");
}

TEST(ReplyText, FillsInAddressAndReasonWhereverTheyStand) {
  EXPECT_EQ(line(OwnReply::blocked, "%address% at https://x.example/?a=%address%&r=%reason%"),
            "554 5.7.1 192.0.2.7 at https://x.example/?a=192.0.2.7&r=blocked_rejected\r\n");
}

TEST(ReplyText, RefusesLineBreaksControlCharactersAndOtherAlphabets) {
  for (const char c : {'\r', '\n', '\t', '\0', '\x1b', '\x7f', '\x80', '\xff'})
    EXPECT_NE(why_unfit(std::string("a") + c + "b"), "") << int(c);
  EXPECT_EQ(why_unfit("\"plain\" ~ words"), "");
  EXPECT_NE(why_unfit(""), "");
}

TEST(ReplyText, RefusesAPercentSignThatBeginsNothing) {
  for (const char* text : {"%", "100% sure", "%adress%", "%address", "%%address%"}) EXPECT_NE(why_unfit(text), "");
}

TEST(ReplyText, WhateverIsFitMakesALineOfAtMost512Bytes) {
  const std::string address(kLongestAddress, 'f'), reason(kLongestReason, 'r');
  EXPECT_EQ(line(OwnReply::silent, std::string(kLongestText, 'x')).size(), kLongestReply);
  for (const char* word : {"x", "%address%", "%reason%", "%address%%reason%"}) {
    std::string text;
    while (why_unfit(text + word).empty()) text += word;
    const std::string whole = line(OwnReply::blocked, text, address, reason);
    EXPECT_LE(whole.size(), kLongestReply);
    EXPECT_GT(whole.size(), kLongestReply - 80);
    EXPECT_EQ(line(OwnReply::blocked, text + "!", address, reason).substr(0, whole.size() - 2),
              whole.substr(0, whole.size() - 2));
  }
  EXPECT_LE(kIpv6.size(), kLongestAddress);
}

TEST(ReplyText, ATeaserIsTheFirstOfSeveralLines) {
  EXPECT_EQ(why_no_teaser("220-mx.example"), "");
  EXPECT_EQ(why_no_teaser("220-"), "");
  for (const char* line :
       {"", "220", "220 mx.example", "250-mx.example", " 220-mx", "220-a\r\n220-b", "220-a\n", "220-\xe9"})
    EXPECT_NE(why_no_teaser(line), "") << line;
  EXPECT_EQ(why_no_teaser("220-" + std::string(506, 'x')), "");
  EXPECT_NE(why_no_teaser("220-" + std::string(507, 'x')), "");
}

TEST(ReplyText, ATooLongTextIsCutRatherThanWrittenBeyondTheLine) {
  const std::string whole = line(OwnReply::blocked, std::string(5000, 'x'));
  EXPECT_EQ(whole.size(), kLongestReply);
  EXPECT_EQ(whole.substr(kLongestReply - 3), "x\r\n");
}

}  // namespace
}  // namespace mire::smtp
