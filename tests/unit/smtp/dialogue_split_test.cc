// However the bytes are cut into segments, the same is found: over sample dialogues, and over random ones.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/unit/smtp/script.h"

namespace mire::smtp {
namespace {

using test::C;
using test::C_unread;
using test::Outcome;
using test::play;
using test::S;
using test::Script;
using test::Turn;

const Script kSamples[] = {
    // one command at a time
    {C("EHLO c.example\r\n"), S("250-mx.example\r\n250-SIZE 1\r\n250-X_PIPE_CONNECT\r\n250 HELP\r\n"),
     C("MAIL FROM:<>\r\n"), S("250 ok\r\n"), C("RCPT TO:<b@c>\r\n"), S("550-5.1.1 no\r\n550 5.1.1 such user\r\n"),
     C("RCPT TO:<d@c>\r\n"), S("250 ok\r\n"), C("DATA\r\n"), S("354 go\r\n"),
     C("Subject: hi\r\n\r\n..stuffed\r\nQUIT\r\n.\rx\r\n\r\n.\r\n"), S("250 queued\r\n"), C("QUIT\r\n"),
     S("221 bye\r\n")},
    // pipelined, with the next group behind the final dot
    {C("EHLO c\r\n"), S("250-mx\r\n250 PIPELINING\r\n"),
     C("MAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nRCPT TO:<c@c>\r\nDATA\r\n"), S("250 ok\r\n250 ok\r\n553 no\r\n354 go\r\n"),
     C("x\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nDATA\r\n"), S("554 spam\r\n250 ok\r\n"),
     S("250 ok\r\n354 go\r\n"), C(".\r\nQUIT\r\n"), S("250 ok\r\n221 bye\r\n")},
    // all at once
    {C("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nDATA\r\nhello\r\n.\r\nQUIT\r\n"),
     S("250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n221 bye\r\n")},
    // content before a refusal of DATA
    {C("HELO c\r\n"), S("250 mx\r\n"), C("MAIL FROM:<a@b>\r\nRCPT TO:<b@c>\r\nDATA\r\nhello\r\n"),
     S("250 ok\r\n550 no\r\n503 no\r\n"), C(".\r\nQUIT\r\n")},
    // acknowledged short of a reply's end
    {C("EHLO c\r\n"), S("250-mx\r\n250 HELP\r\n"), C_unread(1, "MAIL FROM:<a@b>\r\n"), S("250 ok\r\n"),
     C_unread(3, "RCPT TO:<b@c>\r\n")},
    // BDAT
    {C("ehlo c\r\n"), S("250-mx\r\n250-CHUNKING\r\n250 pipeconnect\r\n"),
     C("MAIL FROM: <>\r\nRCPT TO:<b@c>\r\nBDAT 13\r\nQUIT\r\n\r\n.\r\n..BDAT 0007 LAST\r\nNOOP\r\n\nRSET\r\n"),
     S("250 ok\r\n250 ok\r\n250 ok\r\n250 queued\r\n250 ok\r\n"), C("BDAT x\r\nBDAT 3\r\nabcQUIT\r\n"),
     S("501 what\r\n503 what\r\n221 bye\r\n")},
    // STARTTLS
    {C("EHLO c\r\n"), S("250-mx\r\n250 STARTTLS\r\n"), C("STARTTLS\r\n"), S("220 go\r\n"), C("\x16\x03\x01rest\r\n"),
     S("\x16\x03\x03rest")},
    // AUTH
    {C("EHLO c\r\n"), S("250-mx\r\n250 AUTH LOGIN\r\n"), C("AUTH LOGIN\r\n"), S("334 VXNlcm5hbWU6\r\n"), C("DATA\r\n"),
     S("334 UGFzc3dvcmQ6\r\n"), C("YQ==\r\n"), S("235 ok\r\n"), C("MAIL FROM:<a@b>\r\n"), S("250 ok\r\n"),
     C("AUTH PLAIN eA==\r\nRSET\r\n"), S("503 already\r\n")},
    // unsolicited 421, then a reply with a bare LF
    {C("EHLO c\r\n"), S("250 mx\r\n421 4.4.2 timeout\r\n"), C("NOOP\r\n"), S("250-a\r\n250 b\n")},
};

TEST(Segmentation, ByteByByteFindsTheSame) {
  for (const Script& script : kSamples) EXPECT_EQ(play(script, test::byte_by_byte), play(script)) << script[0].text;
}

TEST(Segmentation, EveryCutInTwoFindsTheSame) {
  for (const Script& script : kSamples) {
    for (size_t cut = 1; cut < 120; ++cut)
      ASSERT_EQ(play(script, test::two_pieces(cut)), play(script)) << script[0].text << cut;
  }
}

TEST(Segmentation, RandomCutsFindTheSame) {
  std::mt19937 random(793);
  for (const Script& script : kSamples) {
    for (int round = 0; round < 500; ++round)
      ASSERT_EQ(play(script, test::random_pieces(random)), play(script)) << script[0].text;
  }
}

TEST(Segmentation, SamplesShowWhatTheyAreFor) {
  unsigned accepted = 0, unknown = 0, refused = 0, unsynchronised = 0, opaque = 0, keywords = 0;
  for (const Script& script : kSamples) {
    const Outcome outcome = play(script);
    accepted += outcome.findings.accepted;
    unknown += outcome.findings.unknown_recipients;
    refused += outcome.findings.refusals;
    unsynchronised += outcome.findings.unsynchronised;
    opaque += outcome.findings.became_opaque;
    keywords += outcome.keyword_end != 0;
  }
  EXPECT_EQ(accepted, 4u);
  EXPECT_EQ(unknown, 3u);
  EXPECT_EQ(refused, 1u);
  EXPECT_EQ(unsynchronised, 5u);
  EXPECT_EQ(opaque, 4u);
  EXPECT_EQ(keywords, 2u);
}

// Turns of fragments that make and break every rule.
Script random_script(std::mt19937& random) {
  static const std::string kClient[] = {"EHLO c\r\n",
                                        "HELO c\r\n",
                                        "MAIL FROM:<a@b>\r\n",
                                        "MAIL FROM:<>\r\n",
                                        "RCPT TO:<b@c>\r\n",
                                        "DATA\r\n",
                                        "text\r\n",
                                        ".\r\n",
                                        "\r\n",
                                        "..\r\n",
                                        "BDAT 3\r\nabc",
                                        "BDAT 5 LAST\r\n12345",
                                        "BDAT 9\r\n",
                                        "RSET\r\n",
                                        "NOOP\r\n",
                                        "QUIT\r\n",
                                        "AUTH LOGIN\r\n",
                                        "YQ==\r\n",
                                        "STARTTLS\r\n",
                                        "VRFY x\r\n",
                                        "\n",
                                        "\r",
                                        "."};
  static const std::string kServer[] = {"250 ok\r\n",   "250-mx\r\n250-PIPECONNECT\r\n250 HELP\r\n",
                                        "354 go\r\n",   "550 no\r\n",
                                        "553 no\r\n",   "334 x\r\n",
                                        "235 ok\r\n",   "421 bye\r\n",
                                        "250-part\r\n", "250 X_PIPE_CONNECT\r\n",
                                        "503 no\r\n",   "220 go\r\n"};
  Script script;
  for (size_t turns = random() % 14 + 1; turns != 0; --turns) {
    Turn turn{random() % 2 != 0 ? Turn::From::client : Turn::From::server, "",
              random() % 4 == 0 ? static_cast<uint32_t>(random() % 20) : 0};
    for (size_t n = random() % 5 + 1; n != 0; --n) {
      const bool likely = random() % 3 != 0;  // so that dialogues come far
      if (turn.from == Turn::From::client) {
        turn.text += kClient[random() % (likely ? 8 : std::size(kClient))];
      } else {
        turn.text += kServer[random() % (likely ? 4 : std::size(kServer))];
      }
    }
    script.push_back(turn);
  }
  return script;
}

TEST(Segmentation, RandomDialoguesFindTheSameInRandomCuts) {
  std::mt19937 random(9293);
  unsigned followed = 0, accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    const Script script = random_script(random);
    // Several EHLO replies in one call are shown from the first to the last, with what stands between them.
    const auto played = [&](const test::Cut& cut) {
      Outcome outcome = play(script, cut);
      outcome.ehlo_bytes = 0;
      return outcome;
    };
    const Outcome once = played(test::whole);
    ASSERT_EQ(played(test::random_pieces(random)), once);
    ASSERT_EQ(played(test::byte_by_byte), once);
    followed += once.opaque == Opaque::no;
    accepted += once.findings.accepted;
  }
  EXPECT_GT(followed, 1000u);
  EXPECT_GT(accepted, 50u);
}

}  // namespace
}  // namespace mire::smtp
