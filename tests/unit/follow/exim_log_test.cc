#include "tools/follow/exim_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mire::follow {
namespace {

const wire::Address kClient = wire::parse_address("192.0.2.7").value();
const wire::Address kRelay = wire::parse_address("203.0.113.9").value();

std::optional<Outcome> said(std::string_view text) {
  return EximLog().take(fmt::format("2026-11-24 16:07:01 {}", text));
}

TEST(EximLog, AcceptsWhatArrives) {
  const Outcome accepted{kClient, 40'123, Kind::accepted, 1, {}};
  for (const char* text : {"1tGabc-00012d-3e <= a@them.example H=mail.them.example [192.0.2.7]:40123 "
                           "I=[198.51.100.1]:25 P=esmtps X=TLS1.3:x:256 S=331 id=x@y",
                           "1tGabc-0000000012d-3eFg <= <> H=([192.0.2.9]) [192.0.2.7]:40123 P=esmtp S=3",
                           "1tGabc-00012d-3e <= \"a H=x [192.0.2.1]:5 \"@b.example H=mail.them.example (helo.example) "
                           "[192.0.2.7]:40123 P=esmtp",
                           "[4711] 1tGabc-00012d-3e <= a@b.example H=m [192.0.2.7]:40123",
                           "+0100 1tGabc-00012d-3e <= a@b.example H=m [192.0.2.7]:40123 P=smtp"})
    EXPECT_EQ(said(text), accepted) << text;
  EXPECT_EQ(said("1tGabc-00012d-3e <= a@b.example H=m [192.0.2.7] P=esmtp")->port, 0) << "without +incoming_port";
  EXPECT_EQ(
      EximLog().take(
          "Nov 24 16:07:01 mx exim[9]: 2026-11-24 16:07:01 1tGabc-00012d-3e <= a@b.example H=m [192.0.2.7]:40123"),
      accepted);
  EXPECT_EQ(EximLog().take("Nov 24 16:07:01 mx exim[9]: 1tGabc-00012d-3e <= a@b.example H=m [192.0.2.7]:40123"),
            accepted);
  EXPECT_EQ(EximLog().take("2026-11-24 16:07:01.123 1tGabc-00012d-3e <= a@b.example H=m [192.0.2.7]:40123"), accepted);
}

TEST(EximLog, DoesNotCountOurOwnUsers) {
  EXPECT_EQ(said("1tGabc-00012d-3e <= a@b.example H=m [192.0.2.7]:40123 P=esmtpsa X=T A=plain:anna S=3"), std::nullopt);
  EXPECT_EQ(said("1tGabc-00012d-3e <= a@b.example U=anna P=local S=3"), std::nullopt);
  EXPECT_EQ(said("H=m [192.0.2.7]:1 A=plain:anna F=<a@b.example> rejected RCPT <x@d.example>: Unrouteable address"),
            std::nullopt);
}

TEST(EximLog, TellsUnknownRecipientsFromOtherRefusals) {
  const auto kind = [](std::string_view text) {
    const std::optional<Outcome> outcome = said(text);
    return outcome ? std::string(kKindNames[static_cast<size_t>(outcome->kind)]) : std::string("nothing");
  };
  const std::string who = "H=mail.them.example (helo) [192.0.2.7]:40123 X=TLS1.3:a:256 CV=no F=<a@b.example> ";
  EXPECT_EQ(kind(who + "rejected RCPT <x@d.example>: Unrouteable address"), "unknown_recipient");
  EXPECT_EQ(kind(who + "rejected RCPT <x@d.example>: 550 Unknown User"), "unknown_recipient");
  EXPECT_EQ(kind(who + "rejected RCPT <x@d.example>: relay not permitted"), "refusal");
  EXPECT_EQ(kind(who + "rejected RCPT <\"unknown user\"@d.example>: listed at bl.example"), "refusal")
      << "the stranger's words";
  EXPECT_EQ(kind(who + "rejected MAIL <a@b.example>: no"), "refusal");
  EXPECT_EQ(kind("1tGabc-00012d-3e " + who + "rejected after DATA: spam"), "refusal");
  EXPECT_EQ(kind(who + "temporarily rejected RCPT <x@d.example>: greylisted"), "nothing");
  EXPECT_EQ(kind(who + "rejected AUTH PLAIN: x"), "nothing");
  EXPECT_EQ(said("H=(a) [192.0.2.7] rejected RCPT <x@d>: b) [192.0.2.9]:1")->source, kClient);
  EXPECT_EQ(said(who + "rejected MAIL <a@b.example>: no")->port, 40'123);
}

TEST(EximLog, TellsWhoTookOurMail) {
  const Outcome taken{kRelay, 0, Kind::outbound, 1, "them.example"};
  for (const char* text : {"1tGabc-00012d-3e => u@Them.Example R=dnslookup T=remote_smtp H=mx.them.example "
                           "[203.0.113.9] X=TLS1.3:x:256 C=\"250 OK\"",
                           "1tGabc-00012d-3e => u@them.example <list@us.example> F=<a@us.example> P=<a@us.example> "
                           "R=dnslookup T=remote_smtp H=mx [203.0.113.9]:25",
                           "1tGabc-00012d-3e -> u@them.example R=d T=r H=mx [203.0.113.9]",
                           "1tGabc-00012d-3e => \"a H=x [192.0.2.1] \"@them.example R=d T=r H=mx [203.0.113.9]"})
    EXPECT_EQ(said(text), taken) << text;
  EXPECT_EQ(said("1tGabc-00012d-3e => anna <anna@us.example> R=local_user T=maildir_home"), std::nullopt);
  EXPECT_EQ(said("1tGabc-00012d-3e => u@them.example R=d T=r H=filter [127.0.0.1]:10025"), std::nullopt);
  EXPECT_EQ(said("1tGabc-00012d-3e == u@them.example R=d T=r defer (-1): x H=mx [203.0.113.9]"), std::nullopt);
  EXPECT_EQ(said("1tGabc-00012d-3e ** u@them.example R=d T=r H=mx [203.0.113.9]: 550 no"), std::nullopt);
  EXPECT_EQ(said("1tGabc-00012d-3e *> u@them.example R=d T=r H=mx [203.0.113.9]"), std::nullopt);
}

TEST(EximLog, TakesNoStrangersWordsForALine) {
  for (const char* text : {"1tGabc-00012d-3e <= a@b.example H=(x [192.0.2.1]:5) [192.0.2.7]:40123 P=esmtp",
                           "no host name found for IP address H=x [192.0.2.7]", "1tGabc-00012d-3e Completed",
                           "1tGabc-00012d-3e <= \"unended@b.example H=m [192.0.2.7]:40123",
                           "SMTP syntax error in \"H=x [192.0.2.7] rejected RCPT <a>: b\""})
    EXPECT_EQ(said(text), std::nullopt) << text;
}

TEST(EximLog, SurvivesEveryTruncation) {
  const std::string whole =
      "2026-11-24 16:07:01 +0100 [9] 1tGabc-00012d-3e H=mail (helo) [192.0.2.7]:40123 X=T F=<\"a b\"@c> rejected RCPT "
      "<x@d.example>: unknown user";
  for (size_t begin = 0; begin < whole.size(); ++begin)
    for (size_t end = begin; end <= whole.size(); ++end)
      (void)EximLog().take(std::string_view(whole).substr(begin, end - begin));
}

}  // namespace
}  // namespace mire::follow
