#include "dataplane/smtp/dialogue.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/smtp/script.h"

namespace mire::smtp {
namespace {

using test::bytes_of;
using test::C;
using test::C_unread;
using test::Outcome;
using test::play;
using test::S;
using test::Script;

const std::string kEhloReply = "250-mx.example.org\r\n250-PIPELINING\r\n250 CHUNKING\r\n";

Script operator+(Script a, const Script& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Script kHello = {C("EHLO client.example\r\n"), S(kEhloReply)};
const Script kEnvelope = {C("MAIL FROM:<a@example.com>\r\n"), S("250 ok\r\n"), C("RCPT TO:<b@example.org>\r\n"),
                          S("250 ok\r\n")};
const Script kQuit = {C("QUIT\r\n"), S("221 bye\r\n")};

void expect_polite(const Script& script) {
  const Outcome outcome = play(script);
  EXPECT_EQ(outcome.findings.unsynchronised, 0) << name(outcome.findings.passed_over);
  EXPECT_EQ(outcome.opaque, Opaque::no) << name(outcome.opaque);
}

void expect_passed(const Script& script, Verb verb, unsigned times = 1) {
  const Outcome outcome = play(script);
  EXPECT_EQ(outcome.findings.unsynchronised, times) << name(verb);
  EXPECT_EQ(outcome.totals[0], times);
  EXPECT_EQ(outcome.findings.passed_over, verb) << name(outcome.findings.passed_over);
}

// ------------------------------------------------------------------------------------------------ taking turns

TEST(Dialogue, FindsAPatientClientPoliteAndItsMessageAccepted) {
  const Script script =
      kHello + kEnvelope +
      Script{C("DATA\r\n"), S("354 go\r\n"), C("Subject: x\r\n\r\nhi\r\n.\r\n"), S("250 queued\r\n")} + kQuit;
  expect_polite(script);
  EXPECT_EQ(play(script).findings.accepted, 1);
}

TEST(Dialogue, FindsAPipelinedGroupPolite) {
  expect_polite(kHello + Script{C("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"),
                                S("250 ok\r\n250 ok\r\n"), S("250 ok\r\n354 go\r\n"), C("x\r\n.\r\n"),
                                S("250 ok\r\n")});
}

TEST(Dialogue, FindsTheNextGroupBehindTheFinalDotPolite) {
  const Script script = kHello + kEnvelope +
                        Script{C("DATA\r\n"),
                               S("354 go\r\n"),
                               C("x\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
                               S("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
                               C("x\r\n.\r\nQUIT\r\n"),
                               S("250 ok\r\n221 bye\r\n")};
  expect_polite(script);
  EXPECT_EQ(play(script).findings.accepted, 2);
}

TEST(Dialogue, FindsAGroupOfManyRecipientsPolite) {
  std::string group = "MAIL FROM:<a@b>\r\n", replies = "250 ok\r\n";
  for (int i = 0; i < 500; ++i) {
    group += "RCPT TO:<u@d>\r\n";
    replies += i % 100 == 0 ? "550 5.1.1 no such user\r\n" : "250 ok\r\n";
  }
  const Script script = kHello + Script{C(group + "DATA\r\n"), S(replies + "354 go\r\n"), C(".\r\n"), S("250 ok\r\n")};
  expect_polite(script);
  EXPECT_EQ(play(script).findings.unknown_recipients, 5);
  EXPECT_EQ(play(script).findings.accepted, 1);
}

TEST(Dialogue, CatchesAClientThatGoesOnBehindEachGroupEndingCommandWithoutItsReply) {
  for (const Verb verb : {Verb::helo, Verb::ehlo, Verb::data, Verb::vrfy, Verb::expn, Verb::turn, Verb::quit,
                          Verb::noop, Verb::starttls, Verb::auth}) {
    const std::string line = std::string(name(verb)) + " x\r\n";
    expect_passed({C(line + "R")}, verb);
    expect_passed({C(line), C("R")}, verb);
    expect_polite({C(line)});
  }
}

TEST(Dialogue, LetsAClientGoOnBehindOtherCommands) {
  expect_polite({C("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\nXFOO\r\nMAIL FROM:<>\r\n")});
  expect_polite({C("BDAT 2\r\nhiBDAT 3 LAST\r\nhi!RSET\r\n")});
}

TEST(Dialogue, CatchesEhloAndMailInOneSegment) { expect_passed({C("EHLO x\r\nMAIL FROM:<a@b>\r\n")}, Verb::ehlo); }

TEST(Dialogue, CatchesContentInTheSegmentOfData) {
  expect_passed(
      kHello + kEnvelope + Script{C("DATA\r\nSubject: x\r\n"), S("354 go\r\n"), C("\r\n.\r\n"), S("250 ok\r\n")},
      Verb::data);
}

TEST(Dialogue, CatchesAWholeDialogueInOneSegmentOnceACommandAndStillSeesItsMessage) {
  const Script script = {C("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nDATA\r\nNOOP\r\n.\r\nQUIT\r\n"),
                         S(kEhloReply), S("250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n221 bye\r\n")};
  expect_passed(script, Verb::ehlo, 2);
  EXPECT_EQ(play(script).findings.accepted, 1);
  EXPECT_EQ(play(script).opaque, Opaque::no);
}

TEST(Dialogue, CatchesAnAcknowledgmentOneByteShortOfTheReply) {
  expect_polite(kHello + Script{C_unread(0, "MAIL FROM:<a@b>\r\n")});
  expect_passed(kHello + Script{C_unread(1, "MAIL FROM:<a@b>\r\n")}, Verb::ehlo);
  expect_passed(kHello + kEnvelope + Script{C("DATA\r\n"), S("354 go\r\n"), C_unread(1, "x\r\n.\r\n")}, Verb::data);
}

TEST(Dialogue, CatchesAClientThatReadOnlyTheFirstLinesOfAReply) {
  expect_passed({C("EHLO x\r\n"), S("250-mx\r\n250-SIZE\r\n"), C("MAIL FROM:<a@b>\r\n"), S("250 HELP\r\n")},
                Verb::ehlo);
}

TEST(Dialogue, AsksNoMoreThanTheReplyToBeAcknowledged) {
  // 421 crosses the client's next command.
  expect_polite({C("EHLO x\r\n"), S("250 mx\r\n"), S("421 4.4.2 timeout\r\n"), C_unread(19, "MAIL FROM:<a@b>\r\n")});
}

TEST(Dialogue, NeedsTheReplyReadOnlyByTheFirstSegmentBehindTheCommand) {
  // The second was sent earlier, lost and repeated, or reordered: no case of its own.
  expect_polite(kHello + Script{C("MAIL FROM:<a@b>\r\n"), C_unread(30, "RCPT TO:<c@d>\r\n")});
}

TEST(Dialogue, JudgesAgainstTheReplyOfThatCommandAndNoEarlierOne) {
  expect_passed(kHello + Script{C("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"), S("250 ok\r\n250 ok\r\n"), C("x")},
                Verb::data);
}

TEST(Dialogue, CountsAcrossTheWrapOfOffsets) {
  Dialogue dialogue;
  Findings findings;
  // 4 GB of the server's: replies of 1 MB, 421 for no command was given.
  std::string flood;
  while (flood.size() < 1u << 20) flood += "421-" + std::string(2000, 'x') + "\r\n";
  flood += "421 \r\n";
  uint32_t said = 0;
  while (said < 0xffff'fff0u - flood.size()) {
    dialogue.server(bytes_of(flood), findings);
    said += static_cast<uint32_t>(flood.size());
  }
  const std::string rest = "421 \r\n";
  while (said < 0xffff'fff0u) {
    dialogue.server(bytes_of(rest), findings);
    said += static_cast<uint32_t>(rest.size());
  }
  ASSERT_EQ(dialogue.opaque(), Opaque::no);
  dialogue.client(bytes_of("NOOP\r\n"), said, findings);
  dialogue.server(bytes_of("250 2.0.0 wrapped\r\n"), findings);
  said += 19;
  ASSERT_LT(said, 100u);
  dialogue.client(bytes_of("NOOP\r\n"), said, findings);
  EXPECT_EQ(findings.unsynchronised, 0);
  dialogue.server(bytes_of("250 2.0.0 wrapped\r\n"), findings);
  dialogue.client(bytes_of("NOOP\r\n"), said, findings);
  EXPECT_EQ(findings.unsynchronised, 1);
}

// ------------------------------------------------------------------------------------------------ content

TEST(Dialogue, EntersContentOnlyAfterAnIntermediateReplyToData) {
  const Script refused =
      kHello + kEnvelope +
      Script{C("DATA\r\n"), S("554 no valid recipients\r\n"), C("NOOP\r\n"), S("250 ok\r\n"), C("QUIT\r\n"), C("x")};
  expect_passed(refused, Verb::quit);
  EXPECT_EQ(play(refused).findings.refusals, 1);
}

TEST(Dialogue, ReadsCommandsInContentAsContent) {
  expect_polite(kHello + kEnvelope +
                Script{C("DATA\r\n"), S("354 go\r\n"), C("EHLO x\r\nQUIT\r\nDATA\r\nNOOP\r\n.\r\n"), S("250 ok\r\n")} +
                kQuit);
}

TEST(Dialogue, FindsTheDotAtOnceAfterTheIntermediateReply) {
  const Script script =
      kHello + kEnvelope + Script{C("DATA\r\n"), S("354 go\r\n"), C(".\r\n"), S("250 ok\r\n")} + kQuit;
  expect_polite(script);
  EXPECT_EQ(play(script).findings.accepted, 1);
}

TEST(Dialogue, GoesOnThroughStuffedDotsAndBareLineEnds) {
  const Script script =
      kHello + kEnvelope +
      Script{C("DATA\r\n"), S("354 go\r\n"), C("..\r\n.x\r\n\n.\n\r.\r\nQUIT\r\nNOOP\r\n.\r\n"), S("250 ok\r\n")} +
      kQuit;
  expect_polite(script);
  EXPECT_EQ(play(script).findings.accepted, 1);
}

TEST(Dialogue, CountsARefusedMessageAsRefusalAndATemporaryFailureAsNothing) {
  const Script before = kHello + kEnvelope + Script{C("DATA\r\n"), S("354 go\r\n"), C("x\r\n.\r\n")};
  EXPECT_EQ(play(before + Script{S("554 spam\r\n")}).findings.refusals, 1);
  EXPECT_EQ(play(before + Script{S("554 spam\r\n")}).findings.accepted, 0);
  EXPECT_EQ(play(before + Script{S("451 later\r\n")}).findings.refusals, 0);
  EXPECT_EQ(play(before + Script{S("451 later\r\n")}).findings.accepted, 0);
}

TEST(Dialogue, GivesUpWhenContentCameEarlyAndDataWasRefused) {
  const Script script =
      kHello + Script{C("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n"), S("550 no\r\n503 no\r\n503 no\r\n")};
  EXPECT_EQ(play(script).opaque, Opaque::out_of_step);
  EXPECT_TRUE(play(script).findings.became_opaque);
  EXPECT_EQ(play(script).findings.refusals, 1);
}

TEST(Dialogue, GivesUpWhenTheFirstOfTwoEarlyMessagesIsRefusedThoughTheSecondIsInTurn) {
  const Script script =
      kHello + kEnvelope +
      Script{C("DATA\r\nx\r\n.\r\nRSET\r\nDATA\r\n"), S("554 no\r\n"), S("500 x\r\n500 .\r\n250 ok\r\n503 no\r\n")};
  EXPECT_EQ(play(script).opaque, Opaque::out_of_step);
}

TEST(Dialogue, ReadsCommandsWhenContentCrossedTheRefusalOfData) {
  const Script script =
      kHello + kEnvelope +
      Script{C("DATA\r\n"), S("554 no\r\n"), C_unread(8, "x\r\n.\r\n"), S("500 what\r\n500 what\r\n")} + kQuit;
  expect_passed(script, Verb::data);
  EXPECT_EQ(play(script).opaque, Opaque::no);
}

TEST(Dialogue, FollowsAServerThatGivesUpAmidContent) {
  expect_polite(kHello + kEnvelope +
                Script{C("DATA\r\n"), S("354 go\r\n"), C("x\r\n"), S("552 too large\r\n"), C("y\r\n")});
}

TEST(Dialogue, GivesUpWhenTheServerEndsContentWhereWeDoNot) {
  EXPECT_EQ(play(kHello + kEnvelope + Script{C("DATA\r\n"), S("354 go\r\n"), C("x\n.\n"), S("250 queued\r\n")}).opaque,
            Opaque::out_of_step);
}

// ------------------------------------------------------------------------------------------------ BDAT

TEST(Dialogue, PassesOverTheOctetsOfBdatAndCountsItsLast) {
  const Script script =
      kHello +
      Script{
          C("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 12\r\nQUIT\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n"),
          S("250 ok\r\n250 ok\r\n250 12 octets\r\n250 queued\r\n250 ok\r\n")} +
      kQuit;
  expect_polite(script);
  EXPECT_EQ(play(script).findings.accepted, 1);
  EXPECT_TRUE(play(script).findings.null_sender);
}

TEST(Dialogue, PassesOverNoOctetsWhenThereAreNone) {
  const Script script = kHello + kEnvelope +
                        Script{C("BDAT 5\r\nhello"), S("250 ok\r\n"), C("BDAT 0 LAST\r\n"), S("250 queued\r\n")} +
                        kQuit;
  expect_polite(script);
  EXPECT_EQ(play(script).findings.accepted, 1);
}

TEST(Dialogue, PassesOverTheOctetsOfARefusedBdatToo) {
  const Script script =
      kHello + kEnvelope +
      Script{C("BDAT 12 LAST\r\n"), S("552 too large\r\n"), C("QUIT\r\nQUIT\r\nRSET\r\n"), S("250 ok\r\n")} + kQuit;
  expect_polite(script);
  EXPECT_EQ(play(script).findings.refusals, 1);
  EXPECT_EQ(play(script).findings.accepted, 0);
}

TEST(Dialogue, CountsOneRefusalWhenLaterPartsAreOnlyOutOfSequence) {
  const Script script =
      kHello + kEnvelope + Script{C("BDAT 1\r\nxBDAT 1\r\nxBDAT 1 LAST\r\nx"), S("552 no\r\n503 no\r\n503 no\r\n")};
  EXPECT_EQ(play(script).findings.refusals, 1);
}

TEST(Dialogue, GivesUpAtACountBeyondThirtyTwoBits) {
  EXPECT_EQ(play({C("BDAT 99999999999\r\n")}).opaque, Opaque::malformed);
}

// ------------------------------------------------------------------------------------------------ STARTTLS, AUTH

TEST(Dialogue, IsOpaqueOnceStartTlsIsAccepted) {
  const Script script = kHello + Script{C("STARTTLS\r\n"), S("220 go\r\n"), C("\x16\x03\x01"), S("\x16\x03\x03"),
                                        C(std::string(5000, 'x') + "\r\n")};
  const Outcome outcome = play(script);
  EXPECT_EQ(outcome.opaque, Opaque::encrypted);
  EXPECT_TRUE(outcome.findings.became_opaque);
  EXPECT_EQ(outcome.findings.unsynchronised, 0);
  EXPECT_EQ(outcome.totals[5], 21u + 10 + 3 + 5002) << "offsets go on";
}

TEST(Dialogue, IsFollowedOnWhenStartTlsIsRefused) {
  expect_polite(kHello + Script{C("STARTTLS\r\n"), S("454 not now\r\n")} + kEnvelope + kQuit);
}

TEST(Dialogue, CatchesWhatFollowsStartTlsUnreadAndGivesUp) {
  const Script script = kHello + Script{C("STARTTLS\r\nMAIL FROM:<a@b>\r\n"), S("220 go\r\n")};
  expect_passed(script, Verb::starttls);
  EXPECT_EQ(play(script).opaque, Opaque::passed_unknown);
}

TEST(Dialogue, TakesAnswersToAChallengeForNoCommands) {
  const Script login = {C("AUTH LOGIN\r\n"), S("334 VXNlcm5hbWU6\r\n"),
                        C("DATA\r\n"),       S("334 UGFzc3dvcmQ6\r\n"),
                        C("QUIT\r\n"),       S("235 ok\r\n")};
  expect_polite(kHello + login + kEnvelope + kQuit);
  const Script cancelled = {C("AUTH LOGIN\r\n"), S("334 VXNlcm5hbWU6\r\n"), C("*\r\n"), S("501 cancelled\r\n")};
  expect_polite(kHello + cancelled + kEnvelope + kQuit);
  const Script plain = {C("AUTH PLAIN AGEAYg==\r\n"), S("535 no\r\n")};
  expect_polite(kHello + plain + kEnvelope + kQuit);
}

TEST(Dialogue, CatchesWhatFollowsAuthUnreadAndGivesUp) {
  expect_passed(kHello + Script{C("AUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b>\r\n")}, Verb::auth);
  EXPECT_EQ(play({C("AUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b>\r\n")}).opaque, Opaque::passed_unknown);
  expect_passed(kHello + Script{C("AUTH LOGIN\r\n"), S("334 x\r\n"), C_unread(1, "YQ==\r\n"), S("235 ok\r\n")},
                Verb::auth);
  expect_passed(kHello + Script{C("AUTH LOGIN\r\n"), S("334 x\r\n"), C("YQ==\r\nYg==\r\n")}, Verb::auth);
}

TEST(Dialogue, ReadsLongAnswersToAChallenge) {
  expect_polite(kHello +
                Script{C("AUTH GSSAPI\r\n"), S("334 \r\n"), C(std::string(12'000, 'x') + "\r\n"), S("235 ok\r\n")} +
                kQuit);
}

TEST(Dialogue, IsOpaqueOnceTurnIsAccepted) { EXPECT_EQ(play({C("TURN\r\n"), S("250 ok\r\n")}).opaque, Opaque::turned); }

// ------------------------------------------------------------------------------------------------ outcomes

TEST(Dialogue, CountsUnknownRecipientsByTheirCodes) {
  const Script script =
      kHello +
      Script{C("MAIL FROM:<a@b>\r\nRCPT TO:<1>\r\nRCPT TO:<2>\r\nRCPT TO:<3>\r\nRCPT TO:<4>\r\nRCPT TO:<5>\r\n"),
             S("250 ok\r\n550 x\r\n551 x\r\n553-x\r\n553 x\r\n552 x\r\n450 x\r\n")};
  EXPECT_EQ(play(script).findings.unknown_recipients, 3);
  EXPECT_EQ(play(script).findings.refusals, 0);
}

TEST(Dialogue, CountsARefusedSender) {
  EXPECT_EQ(play(kHello + Script{C("MAIL FROM:<a@b>\r\n"), S("553 no\r\n")}).findings.refusals, 1);
  EXPECT_EQ(play(kHello + Script{C("MAIL FROM:<a@b>\r\n"), S("553 no\r\n")}).findings.unknown_recipients, 0);
  EXPECT_EQ(play(kHello + Script{C("MAIL FROM:<a@b>\r\n"), S("451 no\r\n")}).findings.refusals, 0);
}

TEST(Dialogue, NotesANullSenderUntilTheNextMail) {
  const Outcome callout =
      play(kHello + Script{C("MAIL FROM:<>\r\n"), S("250 ok\r\n"), C("RCPT TO:<a@b>\r\n"), S("250 ok\r\n")} + kQuit);
  EXPECT_TRUE(callout.findings.null_sender);
  EXPECT_EQ(callout.totals[4], 1u);
  const Outcome next = play(kHello + Script{C("MAIL FROM:<>\r\n"), S("250 ok\r\n"), C("RSET\r\n"), S("250 ok\r\n"),
                                            C("MAIL FROM:<a@b>\r\n")});
  EXPECT_TRUE(next.findings.null_sender);
  EXPECT_EQ(next.totals[4], 0u);
}

TEST(Dialogue, StopsItsTotalsAtTheirMost) {
  Script script = kHello;
  for (int i = 0; i < 300; ++i)
    script =
        std::move(script) + Script{C("RCPT TO:<x@y>\r\n"), S("550 no\r\n"), C("MAIL FROM:<x@y>\r\n"), S("550 no\r\n")};
  EXPECT_EQ(play(script).totals[2], 255u);
  EXPECT_EQ(play(script).totals[3], 255u);
}

// ------------------------------------------------------------------------------------------------ what cannot be
// followed

TEST(Dialogue, LetsTheServerSayGoodbyeAtAnyTime) {
  expect_polite(kHello + Script{S("421 4.4.2 timeout\r\n")});
  expect_polite(kHello + Script{C("MAIL FROM:<a@b>\r\n"), S("421 busy\r\n")});
}

TEST(Dialogue, GivesUpAtAReplyThatNoCommandExplains) {
  EXPECT_EQ(play({S("250 what\r\n")}).opaque, Opaque::out_of_step);
  EXPECT_EQ(play(kHello + Script{S("250 again\r\n")}).opaque, Opaque::out_of_step);
  EXPECT_EQ(play({C("XEXCH50 1 2\r\n"), S("354 send binary\r\n")}).opaque, Opaque::out_of_step);
}

TEST(Dialogue, GivesUpAtAReplyWithABareLineFeed) {
  EXPECT_EQ(play({C("EHLO x\r\n"), S("250 mx\n"), C("MAIL FROM:<a@b>\r\n")}).opaque, Opaque::malformed);
  EXPECT_EQ(play({C("EHLO x\r\n"), S("250 mx\n"), C("MAIL FROM:<a@b>\r\n")}).findings.unsynchronised, 0);
  EXPECT_EQ(play({C("EHLO x\r\n"), S("250-mx\n250 y\r\n")}).opaque, Opaque::malformed);
}

TEST(Dialogue, GivesUpAtAReplyWhoseCodeIsNoneOrChanges) {
  EXPECT_EQ(play({C("EHLO x\r\n"), S("hello\r\n")}).opaque, Opaque::malformed);
  EXPECT_EQ(play({C("EHLO x\r\n"), S("250-a\r\n550 b\r\n")}).opaque, Opaque::malformed);
}

TEST(Dialogue, GivesUpAtALineWithoutEnd) {
  EXPECT_EQ(play({C(std::string(2049, 'x'))}).opaque, Opaque::line_too_long);
  EXPECT_EQ(play({C("RCPT TO:" + std::string(2048, 'x'))}).opaque, Opaque::line_too_long);
  EXPECT_EQ(play({C("NOOP\r\n"), S("250 " + std::string(2048, 'x'))}).opaque, Opaque::line_too_long);
}

TEST(Dialogue, GivesUpWhenTooManyCommandsAreOutstanding) {
  std::string text;
  for (unsigned i = 0; i < Outstanding::kDepth; ++i) text += "RSET\r\n";
  EXPECT_EQ(play({C(text)}).opaque, Opaque::no);
  EXPECT_EQ(play({C(text + "RSET\r\n")}).opaque, Opaque::too_many);
}

TEST(Dialogue, FindsNothingOnceGivenUp) {
  Dialogue dialogue;
  Findings findings;
  dialogue.give_up();
  dialogue.client(bytes_of("EHLO x\r\nDATA\r\nx"), 0, findings);
  dialogue.server(bytes_of("250-x\r\n250-PIPECONNECT\r\n250 y\r\n"), findings);
  EXPECT_EQ(findings, Findings{});
  EXPECT_EQ(dialogue.opaque(), Opaque::given_up);
  EXPECT_EQ(dialogue.client_bytes(), 15u);
  EXPECT_EQ(dialogue.server_bytes(), 31u);
}

// ------------------------------------------------------------------------------------------------ EHLO replies

TEST(Dialogue, ShowsWhichBytesBelongToAnEhloReply) {
  Dialogue dialogue;
  Findings findings;
  dialogue.client(bytes_of("NOOP\r\n"), 0, findings);
  dialogue.client(bytes_of("EHLO x\r\nRSET\r\n"), 0, findings);
  EXPECT_TRUE(dialogue.awaits_ehlo_reply());
  dialogue.server(bytes_of("250 ok\r\n250-m"), findings);
  EXPECT_TRUE(findings.ehlo_reply);
  EXPECT_EQ(findings.ehlo, (Part{8, 5}));
  dialogue.server(bytes_of("x\r\n250 y\r\n250 ok\r\n"), findings);
  EXPECT_TRUE(findings.ehlo_reply);
  EXPECT_EQ(findings.ehlo, (Part{0, 10}));
  EXPECT_FALSE(dialogue.awaits_ehlo_reply());
  dialogue.client(bytes_of("RSET\r\n"), 0, findings);
  dialogue.server(bytes_of("250 ok\r\n"), findings);
  EXPECT_FALSE(findings.ehlo_reply);
  EXPECT_EQ(findings.ehlo, Part{});
}

Part keyword_of(std::string_view command, std::string_view reply) {
  Dialogue dialogue;
  Findings findings;
  dialogue.client(bytes_of(command), 0, findings);
  dialogue.server(bytes_of(reply), findings);
  return findings.keyword;
}

TEST(Dialogue, FindsTheKeywordAtTheBeginningOfAnEhloReplysLines) {
  EXPECT_EQ(keyword_of("EHLO x\r\n", "250-mx\r\n250-PIPECONNECT\r\n250 HELP\r\n"), (Part{12, 11}));
  EXPECT_EQ(keyword_of("EHLO x\r\n", "250-mx\r\n250 X_PIPE_CONNECT\r\n"), (Part{12, 14}));
  EXPECT_EQ(keyword_of("EHLO x\r\n", "250-mx\r\n250-SIZE\r\n250-PipeConnect\r\n250 HELP\r\n"), (Part{22, 11}));
}

TEST(Dialogue, LeavesTheKeywordElsewhereAlone) {
  EXPECT_EQ(keyword_of("EHLO x\r\n", "250-PIPECONNECT greets you\r\n250 HELP\r\n"), Part{}) << "the server's name";
  EXPECT_EQ(keyword_of("EHLO x\r\n", "250-mx\r\n250-SIZE PIPECONNECT\r\n250 HELP\r\n"), Part{});
  EXPECT_EQ(keyword_of("EHLO x\r\n", "550-mx\r\n550-PIPECONNECT\r\n550 no\r\n"), Part{});
  EXPECT_EQ(keyword_of("NOOP\r\n", "250-mx\r\n250-PIPECONNECT\r\n250 no\r\n"), Part{});
  EXPECT_EQ(keyword_of("HELO x\r\n", "250-mx\r\n250-PIPECONNECT\r\n250 no\r\n"), Part{});
}

TEST(Dialogue, FindsTheSecondPartOfAKeywordThatIsCut) {
  const std::string_view reply = "250-mx\r\n250-X_PIPE_CONNECT\r\n250 HELP\r\n";
  for (size_t cut = 0; cut <= reply.size(); ++cut) {
    Dialogue dialogue;
    Findings findings;
    dialogue.client(bytes_of("EHLO x\r\n"), 0, findings);
    dialogue.server(bytes_of(reply.substr(0, cut)), findings);
    if (cut >= 26) {
      EXPECT_EQ(findings.keyword, (Part{12, 14})) << cut;
    } else {
      EXPECT_EQ(findings.keyword, Part{}) << cut;
    }
    dialogue.server(bytes_of(reply.substr(cut)), findings);
    if (cut >= 26) {
      EXPECT_EQ(findings.keyword, Part{}) << cut;
    } else {
      EXPECT_EQ(findings.keyword.begin, cut < 12 ? 12 - cut : 0) << cut;
      EXPECT_EQ(findings.keyword.begin + findings.keyword.length, 26 - cut) << cut;
    }
  }
}

TEST(Dialogue, TellsWhichPartOfARepeatedSegmentWasOverwritten) {
  Dialogue dialogue;
  Findings findings;
  EXPECT_EQ(dialogue.keyword_in(0, 100), Part{});
  dialogue.client(bytes_of("EHLO x\r\n"), 0, findings);
  dialogue.server(bytes_of("250-mx\r\n250-PIPECONNECT\r\n250 HELP\r\n"), findings);
  EXPECT_EQ(dialogue.keyword_in(0, 100), (Part{12, 11}));
  EXPECT_EQ(dialogue.keyword_in(0, 20), (Part{12, 8}));
  EXPECT_EQ(dialogue.keyword_in(20, 80), (Part{0, 3}));
  EXPECT_EQ(dialogue.keyword_in(15, 2), (Part{0, 2}));
  EXPECT_EQ(dialogue.keyword_in(0, 12), Part{});
  EXPECT_EQ(dialogue.keyword_in(23, 80), Part{});
  EXPECT_EQ(dialogue.keyword_in(0xffff'fff0u, 40), (Part{28, 11})) << "begun before the greeting's end";
}

TEST(Dialogue, NamesEachVerbAndReason) {
  for (int v = 0; v <= static_cast<int>(Verb::other); ++v) EXPECT_STRNE(name(static_cast<Verb>(v)), "?");
  for (int o = 0; o <= static_cast<int>(Opaque::out_of_step); ++o) EXPECT_STRNE(name(static_cast<Opaque>(o)), "?");
}

}  // namespace
}  // namespace mire::smtp
