#include "tools/follow/postfix_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mire::follow {
namespace {

const wire::Address kClient = wire::parse_address("192.0.2.7").value();
const wire::Address kRelay = wire::parse_address("203.0.113.9").value();

std::string line(std::string_view tag, std::string_view text) {
  return fmt::format("Nov 24 16:07:01 mx1 {}[4711]: {}", tag, text);
}
std::optional<Outcome> said(std::string_view tag, std::string_view text) { return PostfixLog().take(line(tag, text)); }

TEST(PostfixLog, AcceptsAMessageWhenTheQueueManagerTakesIt) {
  PostfixLog log;
  EXPECT_EQ(log.take(line("postfix/smtpd", "4Zv1Gk0DqMz2x: client=mail.them.example[192.0.2.7]:40123")), std::nullopt);
  EXPECT_EQ(log.take(line("postfix/cleanup", "4Zv1Gk0DqMz2x: message-id=<x@them.example>")), std::nullopt);
  const std::string taken =
      line("postfix/qmgr", "4Zv1Gk0DqMz2x: from=<a@them.example>, size=331, nrcpt=2 (queue active)");
  EXPECT_EQ(log.take(taken), (Outcome{kClient, 40'123, Kind::accepted, 1, {}}));
  EXPECT_EQ(log.take(taken), std::nullopt) << "a deferred message comes again";
  EXPECT_TRUE(log.open().empty());
}

TEST(PostfixLog, ReadsEveryWayThatSyslogWrites) {
  for (const char* header :
       {"Nov  4 06:07:01 mx1 ", "2026-11-24T16:07:01.123456+01:00 mx1 ", "2026-11-24T16:07:01Z mx1 "}) {
    PostfixLog log;
    (void)log.take(std::string(header) + "postfix-in/smtpd[9]: 3F2A1: client=unknown[2001:db8::7]");
    const auto outcome =
        log.take(std::string(header) + "postfix-in/qmgr[9]: 3F2A1: from=<>, size=3, nrcpt=1 (queue active)");
    ASSERT_TRUE(outcome) << header;
    EXPECT_EQ(outcome->source, wire::parse_address("2001:db8::7"));
    EXPECT_EQ(outcome->port, 0);
  }
}

TEST(PostfixLog, TellsUnknownRecipientsFromOtherRefusals) {
  const auto kind = [](std::string_view text) {
    const std::optional<Outcome> outcome = said("postfix/smtpd", fmt::format("NOQUEUE: reject: {}", text));
    if (!outcome) return std::string("nothing");
    EXPECT_EQ(outcome->source, kClient);
    EXPECT_EQ(outcome->port, 40'123);
    return std::string(kKindNames[static_cast<size_t>(outcome->kind)]);
  };
  const std::string_view tail = "; from=<a@b.example> to=<x@d.example> proto=ESMTP helo=<b.example>";
  const auto rcpt = [&](std::string_view reply) {
    return kind(fmt::format("RCPT from m[192.0.2.7]:40123: {}{}", reply, tail));
  };
  EXPECT_EQ(rcpt("550 5.1.1 <x@d.example>: Recipient address rejected: User unknown in local recipient table"),
            "unknown_recipient");
  EXPECT_EQ(rcpt("551 5.1.6 <x@d.example>: moved"), "unknown_recipient");
  EXPECT_EQ(rcpt("553 <x@d.example>: no such"), "unknown_recipient") << "without an enhanced code the reply code tells";
  EXPECT_EQ(rcpt("554 5.7.1 <x@d.example>: Relay access denied"), "refusal");
  EXPECT_EQ(rcpt("550 5.7.1 Service unavailable; client [192.0.2.7] blocked"), "refusal");
  EXPECT_EQ(rcpt("550 5.1.8 <a@b.example>: Sender address rejected: Domain not found"), "refusal");
  EXPECT_EQ(rcpt("450 4.1.1 <x@d.example>: Recipient address rejected: unverified"), "nothing") << "not for good";
  EXPECT_EQ(kind("MAIL from m[192.0.2.7]:40123: 550 5.1.1 x; proto=ESMTP"), "refusal");
  EXPECT_EQ(kind("CONNECT from m[192.0.2.7]:40123: 554 5.7.1 x"), "refusal");
  EXPECT_EQ(kind("END-OF-MESSAGE from m[192.0.2.7]:40123: 552 5.3.4 too large"), "refusal");
  EXPECT_EQ(said("postfix/smtpd", "NOQUEUE: reject_warning: RCPT from m[192.0.2.7]: 550 5.1.1 x"), std::nullopt);
  EXPECT_EQ(said("postfix/postscreen",
                 "NOQUEUE: reject: RCPT from [192.0.2.7]:40123: 550 5.7.1 Service unavailable; blocked"),
            (Outcome{kClient, 40'123, Kind::refusal, 1, {}}));
  EXPECT_EQ(said("postfix/smtpd", "4Zv: reject: RCPT from m[192.0.2.7]:40123: 550 5.1.1 <y@d.example>: no"),
            (Outcome{kClient, 40'123, Kind::unknown_recipient, 1, {}}));
}

TEST(PostfixLog, AMilterThatRefusesUndoesTheMessage) {
  PostfixLog log;
  (void)log.take(line("postfix/smtpd", "4Zv: client=m[192.0.2.7]:40123"));
  EXPECT_EQ(log.take(line("postfix/cleanup",
                          "4Zv: milter-reject: END-OF-MESSAGE from m[192.0.2.7]: 5.7.1 Spam; from=<a@b> to=<c@d>")),
            (Outcome{kClient, 40'123, Kind::refusal, 1, {}}));
  EXPECT_EQ(log.take(line("postfix/qmgr", "4Zv: from=<a@b>, size=1, nrcpt=1 (queue active)")), std::nullopt);
  (void)log.take(line("postfix/smtpd", "4Zw: client=m[192.0.2.7]:40123"));
  EXPECT_EQ(log.take(line("postfix/cleanup", "4Zw: milter-reject: END-OF-MESSAGE from m[192.0.2.7]: 4.7.1 later")),
            std::nullopt);
  (void)log.take(line("postfix/smtpd", "4Zx: client=m[192.0.2.7]:40123"));
  EXPECT_EQ(log.take(line("postfix/cleanup",
                          "4Zx: reject: header Subject: from x[203.0.113.1]; from=<a> from m[192.0.2.7]: 5.7.1 no")),
            (Outcome{kClient, 40'123, Kind::refusal, 1, {}}))
      << "whose message it was tells the queue id, not the stranger's header";
}

TEST(PostfixLog, KnowsFiltersBeforeTheQueue) {
  EXPECT_EQ(said("postfix/smtpd", "proxy-accept: END-OF-MESSAGE from m[192.0.2.7]: 250 2.0.0 Ok"), std::nullopt);
  EXPECT_EQ(said("postfix/smtpd", "NOQUEUE: proxy-accept: END-OF-MESSAGE from m[192.0.2.7]:1: 250 2.0.0 Ok; from=<a>"),
            (Outcome{kClient, 1, Kind::accepted, 1, {}}));
  EXPECT_EQ(said("postfix/smtpd", "NOQUEUE: proxy-reject: END-OF-MESSAGE from m[192.0.2.7]:1: 554 5.7.0 no; from=<a>"),
            (Outcome{kClient, 1, Kind::refusal, 1, {}}));
}

TEST(PostfixLog, DoesNotCountOurOwnUsers) {
  PostfixLog log;
  (void)log.take(line("postfix/smtpd", "4Zv: client=m[192.0.2.7]:40123, sasl_method=PLAIN, sasl_username=anna"));
  EXPECT_TRUE(log.open().empty());
  EXPECT_EQ(said("postfix/submission/smtpd", "NOQUEUE: reject: RCPT from m[192.0.2.7]:1: 550 5.1.1 <x@d>: no"),
            std::nullopt);
}

TEST(PostfixLog, TellsWhoTookOurMail) {
  const std::string tail = ", delay=1.2, delays=0.1/0/0.6/0.5, dsn=2.0.0, status=sent (250 2.0.0 OK)";
  const auto sent = [&](std::string_view to_and_relay) {
    return said("postfix/smtp", fmt::format("4Zv: {}{}", to_and_relay, tail));
  };
  const Outcome taken{kRelay, 0, Kind::outbound, 1, "them.example"};
  EXPECT_EQ(sent("to=<u@Them.Example>, relay=mx.them.example[203.0.113.9]:25"), taken);
  EXPECT_EQ(sent("to=<u@them.example>, orig_to=<list@us.example>, relay=mx[203.0.113.9]:25, conn_use=2"), taken);
  EXPECT_EQ(sent("to=<\"a, relay=x[192.0.2.1]:25\"@them.example>, relay=mx[203.0.113.9]:25"), taken)
      << "a quoted local part";
  EXPECT_EQ(sent("to=<u@them.example>, relay=127.0.0.1[127.0.0.1]:10024"), std::nullopt) << "a filter";
  EXPECT_EQ(sent("to=<u@them.example>, relay=none"), std::nullopt);
  EXPECT_EQ(sent("to=<u@[203.0.113.9]>, relay=mx[203.0.113.9]:25")->domain, "");
  EXPECT_EQ(said("postfix/smtp",
                 "4Zv: to=<u@them.example>, relay=mx[203.0.113.9]:25, delay=1, delays=1/1/1/1, dsn=4.2.0, "
                 "status=deferred (host said: 450, relay=x[192.0.2.1]:25, status=sent (250 OK))"),
            std::nullopt);
  EXPECT_EQ(
      said("postfix/lmtp", "4Zv: to=<u@them.example>, relay=mx[203.0.113.9]:25, delay=1, dsn=2.0.0, status=sent (ok)"),
      std::nullopt);
}

TEST(PostfixLog, CountsAMessageToManyOfOneDomainOnce) {
  PostfixLog log;
  const auto to = [&](const char* id, const char* who) {
    return log
        .take(
            line("postfix/smtp",
                 fmt::format("{}: to=<{}>, relay=mx[203.0.113.9]:25, delay=1, dsn=2.0.0, status=sent (250)", id, who)))
        .has_value();
  };
  EXPECT_TRUE(to("4Zv", "a@x.example"));
  EXPECT_FALSE(to("4Zv", "b@x.example"));
  EXPECT_TRUE(to("4Zv", "b@y.example"));
  EXPECT_TRUE(to("4Zw", "b@y.example"));
}

TEST(PostfixLog, TakesNoStrangersWordsForALine) {
  for (const char* text :
       {"NOQUEUE: reject: RCPT from x [192.0.2.1]: 550 5.1.1 x", "NOQUEUE: reject: RCPT from x[192.0.2.1: 550 5.1.1 x",
        "NOQUEUE: reject: RCPT from x[unknown]: 550 5.1.1 x", "4Z v: client=x[192.0.2.7]",
        "warning: 4Zv: client=x[192.0.2.7]", "disconnect from x[192.0.2.7]", "NOQUEUE: client=x[192.0.2.7]:5"}) {
    PostfixLog log;
    EXPECT_EQ(log.take(line("postfix/smtpd", text)), std::nullopt) << text;
    EXPECT_TRUE(log.open().empty()) << text;
  }
  EXPECT_EQ(
      PostfixLog().take(
          "Nov 24 16:07:01 mx1 sshd[1]: postfix/smtpd[4711]: NOQUEUE: reject: RCPT from x[192.0.2.7]: 550 5.1.1 x"),
      std::nullopt);
  EXPECT_EQ(PostfixLog().take("postfix/smtpd[4711]: NOQUEUE: reject: RCPT from x[192.0.2.7]: 550 5.1.1 x"),
            std::nullopt);
}

TEST(PostfixLog, RemembersSoManyMessagesAndNoMore) {
  PostfixLog log;
  for (size_t i = 0; i < PostfixLog::kMostOpen + 500; ++i)
    (void)log.take(line("postfix/smtpd", fmt::format("{:X}: client=m[192.0.2.7]:1", i)));
  EXPECT_EQ(log.open().size(), PostfixLog::kMostOpen);
  PostfixLog later;
  later.restore(log.open());
  EXPECT_EQ(later.open().size(), PostfixLog::kMostOpen);
  EXPECT_TRUE(later.take(
      line("postfix/qmgr", fmt::format("{:X}: from=<>, size=1, nrcpt=1 (queue active)", PostfixLog::kMostOpen))));
  EXPECT_EQ(later.take(line("postfix/qmgr", "1F3: from=<>, size=1, nrcpt=1 (queue active)")), std::nullopt)
      << "one of the first 500";
}

TEST(PostfixLog, SurvivesEveryTruncation) {
  for (const std::string& whole :
       {line("postfix/smtpd", "4Zv: client=mail.them.example[192.0.2.7]:40123, sasl_username=x"),
        line("postfix/smtpd", "NOQUEUE: reject: RCPT from m[192.0.2.7]:40123: 550 5.1.1 <x@d>: no"),
        line("postfix/smtp",
             "4Zv: to=<\"a\\\"b\"@x.example>, orig_to=<b>, relay=mx[203.0.113.9]:25, delay=1, dsn=2.0.0, status=sent "
             "(250)")})
    for (size_t begin = 0; begin < whole.size(); ++begin)
      for (size_t end = begin; end <= whole.size(); ++end)
        (void)PostfixLog().take(std::string_view(whole).substr(begin, end - begin));
}

}  // namespace
}  // namespace mire::follow
