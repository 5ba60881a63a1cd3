#include "controlplane/learning/lesson.h"

#include <gtest/gtest.h>

#include <cstring>

namespace mire::learning {
namespace {

using policy::Reason;
using policy::SourceClass;
using policy::Verdict;
using reputation::Kind;

mailbox::FlowEvent event(Verdict v, Reason r, SourceClass c = SourceClass::unknown) {
  mailbox::FlowEvent e;
  e.client = wire::parse_address("192.0.2.77").value();
  e.verdict = v;
  e.reason = r;
  e.source_class = c;
  return e;
}

mailbox::FlowEvent said(mailbox::FlowEvent e, std::string_view bytes) {
  e.bytes_length = static_cast<uint8_t>(bytes.size());
  std::memcpy(e.first_bytes.data(), bytes.data(), bytes.size());
  return e;
}

std::vector<Kind> kinds(const Lesson& l) {
  std::vector<Kind> out;
  for (const reputation::Observation& o : l.observations()) out.push_back(o.kind);
  return out;
}
using Kinds = std::vector<Kind>;

TEST(Lesson, AcceptedMailAndPatienceComeWithTheEndOfTheFlow) {
  mailbox::FlowEvent e = event(Verdict::pass, Reason::delivered);
  e.accepted = 3;
  const Lesson l = lesson_of(e, false);
  EXPECT_TRUE(l.connection);
  EXPECT_EQ(kinds(l), (Kinds{Kind::accepted, Kind::patience}));
  EXPECT_EQ(l.observations()[0].amount, 3);
  EXPECT_EQ(kinds(lesson_of(e, true)), Kinds{Kind::accepted}) << "while observing nobody waits";
  e.source_class = SourceClass::known;
  EXPECT_EQ(kinds(lesson_of(e, false)), Kinds{Kind::accepted}) << "known ones do not wait";
  EXPECT_EQ(kinds(lesson_of(event(Verdict::pass, Reason::closing), false)), Kinds{Kind::patience});
}

TEST(Lesson, WhatHappensOnTheWayIsNoConnectionOfItsOwn) {
  for (const Reason r : {Reason::deadline, Reason::hold_over, Reason::pipeconnect_hidden}) {
    const Lesson l = lesson_of(event(Verdict::release, r), false);
    EXPECT_FALSE(l.connection);
    EXPECT_TRUE(kinds(l).empty());
  }
}

TEST(Lesson, EarlyTalkIsChargedWithItsPenalty) {
  mailbox::FlowEvent e = said(event(Verdict::reset, Reason::early_talk), "EHLO x\r\n");
  e.penalty_ms = 60'001;
  e.offences = 2;
  const Lesson l = lesson_of(e, false);
  EXPECT_TRUE(l.connection);
  EXPECT_EQ(kinds(l), Kinds{Kind::early_talk});
  EXPECT_EQ(l.penalty, std::chrono::seconds{61});
  EXPECT_EQ(l.offences, 2u);
  EXPECT_EQ(kinds(lesson_of(event(Verdict::reply, Reason::early_talk_rejected), false)), Kinds{Kind::early_talk});
  const Lesson counted = lesson_of(event(Verdict::count, Reason::early_talk_counted, SourceClass::trusted), false);
  EXPECT_EQ(kinds(counted), Kinds{Kind::early_talk});
  EXPECT_FALSE(counted.connection) << "it goes on";
}

TEST(Lesson, WhoIsLostLosesNothingThatHeHasEarned) {
  const auto http = [](SourceClass c) {
    return kinds(lesson_of(said(event(Verdict::reset, Reason::early_talk, c), "GET / HTTP/1.1\r\n"), false));
  };
  EXPECT_TRUE(http(SourceClass::trusted).empty());
  EXPECT_TRUE(http(SourceClass::known).empty());
  EXPECT_EQ(http(SourceClass::unknown), Kinds{Kind::early_talk});
}

TEST(Lesson, NothingIsChargedBeforeTheHandshakeIsProvenNorToTheExempt) {
  for (const Reason r : {Reason::blocked, Reason::blocked_rejected, Reason::trapped, Reason::blocked_observed}) {
    const Lesson l = lesson_of(event(Verdict::reset, r, SourceClass::blocked), false);
    EXPECT_FALSE(l.connection);
    EXPECT_TRUE(kinds(l).empty());
  }
  EXPECT_TRUE(kinds(lesson_of(event(Verdict::reset, Reason::early_talk, SourceClass::exempt), false)).empty());
}

TEST(Lesson, GivingUpAndPipeliningAreOneEach) {
  EXPECT_EQ(kinds(lesson_of(event(Verdict::finish, Reason::gave_up), false)), Kinds{Kind::gave_up});
  EXPECT_EQ(kinds(lesson_of(event(Verdict::count, Reason::unsynchronised_pipelining), false)), Kinds{Kind::pipelining});
  EXPECT_TRUE(lesson_of(event(Verdict::reset, Reason::rate_limit), false).connection) << "a limit is no offence";
  EXPECT_TRUE(kinds(lesson_of(event(Verdict::reset, Reason::rate_limit), false)).empty());
}

}  // namespace
}  // namespace mire::learning
