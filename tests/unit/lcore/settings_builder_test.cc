#include "dataplane/lcore/settings_builder.h"

#include <gtest/gtest.h>

#include <vector>

namespace mire::lcore {
namespace {

using mailbox::Down;
using policy::SourceClass;

wire::Address address(const char* text) { return wire::parse_address(text).value(); }
wire::Prefix prefix(const char* text) { return wire::parse_prefix(text).value(); }
constexpr Time kNow{seconds{1000}};

// Feeds a whole configuration; only its commit may have an outcome.
SettingsBuilder::Outcome told(SettingsBuilder& builder, const std::vector<Down>& body, uint64_t generation = 7) {
  EXPECT_FALSE(builder.take(mailbox::Begin{generation}, kNow));
  for (const Down& message : body) EXPECT_FALSE(builder.take(message, kNow));
  auto outcome = builder.take(mailbox::Commit{generation, body.size()}, kNow);
  EXPECT_TRUE(outcome);
  return std::move(outcome).value();
}

TEST(SettingsBuilder, MakesSettingsOfAWholeConfiguration) {
  SettingsBuilder builder;
  policy::Treatment treatment;
  treatment.withhold = policy::Withhold::banner;
  treatment.greeting = {100, 200};
  const auto outcome =
      told(builder,
           {mailbox::Global{true, true, 2000, 4000, {70, 7}}, mailbox::ClassTreatment{SourceClass::known, treatment},
            mailbox::Protect{address("203.0.113.25"), {}, {}},
            mailbox::ClassPrefix{prefix("198.51.100.0/24"), SourceClass::trusted},
            mailbox::EarlyHello{address("203.0.113.25"), 60}, mailbox::Penalty{address("2001:db8:0:1::"), 60, 5, 3}});
  ASSERT_TRUE(outcome.settings) << outcome.refusal;
  const source::Settings& s = *outcome.settings;
  EXPECT_EQ(outcome.generation, 7u);
  EXPECT_EQ(s.generation, 7u);
  EXPECT_TRUE(s.observe);
  EXPECT_TRUE(s.fail_closed);
  EXPECT_EQ(s.penalty.first, seconds{2});
  EXPECT_EQ(s.penalty.most, seconds{4});
  EXPECT_EQ(s.trap, (policy::TrapRate{70, 7}));
  EXPECT_EQ(s.treatments[static_cast<size_t>(SourceClass::known)], treatment);
  EXPECT_EQ(s.treatments[static_cast<size_t>(SourceClass::suspect)],
            policy::default_treatments()[static_cast<size_t>(SourceClass::suspect)]);
  EXPECT_TRUE(s.protects(address("203.0.113.25")));
  EXPECT_FALSE(s.protects(address("203.0.113.26")));
  EXPECT_EQ(s.classes.find(address("198.51.100.9")), SourceClass::trusted);
  EXPECT_EQ(s.early_hello_until.at(address("203.0.113.25")), kNow + seconds{60});
  const source::KeptPenalty* kept = s.penalty_of(address("2001:db8:0:1:ffff::9"), kNow + seconds{59});
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->until, kNow + seconds{60});
  EXPECT_EQ(kept->last_offence, kNow - seconds{5});
  EXPECT_EQ(kept->offences, 3u);
  EXPECT_EQ(s.penalty_of(address("2001:db8:0:1::"), kNow + seconds{60}), nullptr);
  EXPECT_EQ(s.penalty_of(address("2001:db8:0:2::"), kNow), nullptr);
}

mailbox::TextPart part(uint8_t which, std::string_view text, size_t at = 0) {
  return {which, mailbox::piece_of(text, at)};
}

TEST(SettingsBuilder, NumbersWhatIsJudgedWhateverTheOrder) {
  using mailbox::ClassPrefix;
  using mailbox::Protect;
  const auto number = [](std::vector<mailbox::Down> messages) {
    messages.insert(messages.begin(), mailbox::Global{});
    SettingsBuilder builder;
    const auto outcome = told(builder, messages);
    EXPECT_TRUE(outcome.settings) << outcome.refusal;
    return outcome.settings ? outcome.settings->judges : 0;
  };
  const Protect a{address("203.0.113.25"), {}, {}}, b{address("203.0.113.26"), {}, {}};
  const ClassPrefix exempt{prefix("198.51.100.0/24"), SourceClass::exempt};
  const ClassPrefix within{prefix("198.51.100.0/25"), SourceClass::known};
  EXPECT_EQ(number({a, b, exempt}), number({exempt, b, a}));
  EXPECT_NE(number({a}), number({a, b})) << "another server";
  EXPECT_NE(number({a}), number({b}));
  EXPECT_NE(number({a, exempt}), number({a})) << "exempt no longer";
  EXPECT_NE(number({a, exempt}), number({a, exempt, within})) << "a part of it no longer";
  EXPECT_EQ(number({a}), number({a, within})) << "a class alone changes nothing";
}

TEST(SettingsBuilder, PutsTextsTogether) {
  SettingsBuilder builder;
  const std::string text = std::string(mailbox::kPieceBytes, 'x') + "y";
  const auto outcome =
      told(builder, {mailbox::Global{}, part(1, text), part(3, "bye"), part(1, text, mailbox::kPieceBytes)});
  ASSERT_TRUE(outcome.settings) << outcome.refusal;
  EXPECT_EQ(outcome.settings->texts[1], text);
  EXPECT_EQ(outcome.settings->texts[3], "bye");
  EXPECT_EQ(outcome.settings->texts[0], "");
}

TEST(SettingsBuilder, RefusesTextsThatAreNotWhole) {
  const auto refusal = [](const std::vector<Down>& texts) {
    SettingsBuilder builder;
    std::vector<Down> body{mailbox::Global{}};
    body.insert(body.end(), texts.begin(), texts.end());
    return told(builder, body).refusal;
  };
  const std::string two(mailbox::kPieceBytes + 1, 'x');
  EXPECT_EQ(refusal({part(1, two)}), "a text has no end");
  EXPECT_EQ(refusal({part(1, two, mailbox::kPieceBytes)}), "text blocked came in pieces that do not fit");
  EXPECT_EQ(refusal({part(1, "y"), part(1, "y")}), "text blocked came twice");
  EXPECT_EQ(refusal({part(0, "100%")}),
            "text early-talk: a % that begins neither %address% nor %reason%; write one of the two");
  const std::string long_text(600, 'x');
  std::vector<Down> all;
  for (size_t at = 0; at < long_text.size(); at += mailbox::kPieceBytes) all.emplace_back(part(0, long_text, at));
  EXPECT_EQ(refusal(all), "text early-talk: longer than a reply may be (512 bytes); shorten it");
}

TEST(SettingsBuilder, ATeaserComesWithItsTextOrNotAtAll) {
  const auto refusal = [](bool teases, const char* text) {
    SettingsBuilder builder;
    mailbox::ClassTreatment c{SourceClass::unknown, {}};
    c.treatment.teaser = teases;
    std::vector<Down> body{mailbox::Global{}, c};
    if (text != nullptr) body.emplace_back(part(smtp::kOwnReplies + 3, text));
    return told(builder, body).refusal;
  };
  EXPECT_EQ(refusal(true, "220-mx.example"), "");
  EXPECT_EQ(refusal(false, nullptr), "");
  EXPECT_EQ(refusal(true, nullptr), "a teaser without its text, or a text without");
  EXPECT_EQ(refusal(false, "220-mx.example"), "a teaser without its text, or a text without");
  EXPECT_EQ(refusal(true, "220 mx.example"),
            "teaser of unknown: no first line of a greeting; write it like \"220-mx.example\"");
}

TEST(SettingsBuilder, StartsAfreshForEachConfiguration) {
  SettingsBuilder builder;
  const std::vector<Down> full{mailbox::Global{}, mailbox::Protect{address("192.0.2.1"), {}, {}}};
  EXPECT_TRUE(told(builder, full, 1).settings);
  const auto second = told(builder, full, 2);
  ASSERT_TRUE(second.settings) << second.refusal;
  EXPECT_EQ(second.settings->protect.size(), 1u);
  EXPECT_TRUE(told(builder, {mailbox::Global{}}, 3).settings->protect.empty());
}

TEST(SettingsBuilder, RefusesAWrongCount) {
  SettingsBuilder builder;
  builder.take(mailbox::Begin{1}, kNow);
  builder.take(mailbox::Global{}, kNow);
  const auto outcome = builder.take(mailbox::Commit{1, 2}, kNow);
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->settings);
  EXPECT_EQ(outcome->refusal, "1 messages came, 2 were sent");
}

TEST(SettingsBuilder, RefusesACommitOfAnotherGenerationOrWithoutBegin) {
  SettingsBuilder builder;
  EXPECT_EQ(builder.take(mailbox::Commit{1, 0}, kNow)->refusal, "commit without begin");
  builder.take(mailbox::Begin{1}, kNow);
  builder.take(mailbox::Global{}, kNow);
  EXPECT_EQ(builder.take(mailbox::Commit{2, 1}, kNow)->refusal, "begun as generation 1, committed as 2");
  builder.take(mailbox::Begin{3}, kNow);
  builder.reset();  // its mired died
  EXPECT_FALSE(builder.take(mailbox::Global{}, kNow));
  EXPECT_EQ(builder.take(mailbox::Commit{3, 1}, kNow)->refusal, "commit without begin");
}

TEST(SettingsBuilder, RefusesWhatComesTwiceOrNotAtAll) {
  SettingsBuilder builder;
  EXPECT_EQ(told(builder, {}).refusal, "the global settings are missing");
  EXPECT_EQ(told(builder, {mailbox::Global{}, mailbox::Global{}}).refusal, "global settings came twice");
  EXPECT_EQ(told(builder, {mailbox::Global{}, mailbox::ClassTreatment{}, mailbox::ClassTreatment{}}).refusal,
            "treatment of class unknown came twice");
  const mailbox::Protect protect{address("192.0.2.1"), {}, {}};
  EXPECT_EQ(told(builder, {mailbox::Global{}, protect, protect}).refusal, "192.0.2.1 is protected twice");
  const mailbox::ClassPrefix listed{prefix("192.0.2.0/24"), SourceClass::blocked};
  EXPECT_EQ(told(builder, {mailbox::Global{}, listed, listed}).refusal, "prefix 192.0.2.0/24 was given a class twice");
}

std::vector<Down> with_profile(const std::string& greeting) {
  std::vector<Down> body{mailbox::Global{}};
  for (size_t at = 0; at < greeting.size(); at += mailbox::kPieceBytes)
    body.emplace_back(mailbox::Profile{
        address("192.0.2.1"), 5, {1460, 65'160, 7, true, true, true}, 99, mailbox::piece_of(greeting, at)});
  return body;
}

TEST(SettingsBuilder, PutsProfilesTogetherAndLeavesOutWhatIsNoGreeting) {
  SettingsBuilder builder;
  const std::string greeting = "220-" + std::string(300, 'x') + "\r\n220 mx.example\r\n";
  const auto outcome = told(builder, with_profile(greeting));
  ASSERT_TRUE(outcome.settings) << outcome.refusal;
  ASSERT_EQ(outcome.settings->profiles.size(), 1u);
  EXPECT_EQ(outcome.settings->profiles.at({address("192.0.2.1"), 5}),
            (source::KeptProfile{{1460, 65'160, 7, true, true, true}, 99, greeting}));
  for (const char* bad : {"554 no\r\n", "220 mx.example", "220 a\r\nEHLO?\r\n", "x"})
    EXPECT_TRUE(told(builder, with_profile(bad)).settings->profiles.empty()) << bad;
  auto gap = with_profile(greeting);
  gap.erase(gap.begin() + 2);
  EXPECT_TRUE(told(builder, gap).settings->profiles.empty());
}

std::vector<Down> with_greeting(const std::string& greeting) {
  std::vector<Down> body{mailbox::Global{}};
  for (size_t i = 0; i < mailbox::pieces(greeting.size()); ++i)
    body.emplace_back(
        mailbox::Protect{address("192.0.2.1"), {8, 3}, mailbox::piece_of(greeting, i * mailbox::kPieceBytes)});
  return body;
}

TEST(SettingsBuilder, PutsAWrittenGreetingTogetherOrRefusesAll) {
  SettingsBuilder builder;
  const std::string greeting = "220-" + std::string(300, 'x') + "\r\n220 mx.example\r\n";
  auto body = with_greeting(greeting);
  body.emplace_back(mailbox::Protect{address("192.0.2.2"), {}, {}});
  const auto outcome = told(builder, body);
  ASSERT_TRUE(outcome.settings) << outcome.refusal;
  EXPECT_EQ(outcome.settings->protect.size(), 2u);
  ASSERT_EQ(outcome.settings->servers.size(), 1u);
  const source::ServerSettings& said = outcome.settings->servers.at(address("192.0.2.1"));
  EXPECT_EQ(said.greeting, greeting);
  EXPECT_EQ(said.strangers, (policy::Pace{8, 3}));
  EXPECT_EQ(told(builder, with_greeting("")).settings->servers.at(address("192.0.2.1")).greeting, "");

  EXPECT_EQ(told(builder, with_greeting("554 no\r\n")).refusal, "the greeting of 192.0.2.1 is none");
  auto gap = with_greeting(greeting);
  gap.erase(gap.begin() + 2);
  EXPECT_EQ(told(builder, gap).refusal, "the greeting of 192.0.2.1 came in pieces that do not fit");
  auto torn = with_greeting(greeting);
  torn.pop_back();
  EXPECT_EQ(told(builder, torn).refusal, "the greeting of 192.0.2.1 lacks its end");
  torn.emplace_back(mailbox::Protect{address("192.0.2.2"), {}, {}});
  EXPECT_EQ(told(builder, torn).refusal, "the greeting of 192.0.2.2 came in pieces that do not fit");
}

TEST(SettingsBuilder, TakesANewBeginForTheEndOfTheOldOne) {
  SettingsBuilder builder;
  builder.take(mailbox::Begin{1}, kNow);
  builder.take(mailbox::Protect{address("192.0.2.1"), {}, {}}, kNow);
  const auto outcome = told(builder, {mailbox::Global{}}, 2);
  ASSERT_TRUE(outcome.settings) << outcome.refusal;
  EXPECT_TRUE(outcome.settings->protect.empty());
}

TEST(SettingsBuilder, KeepsItsMemoryBoundedWhateverIsSent) {
  SettingsBuilder builder;
  builder.take(mailbox::Begin{1}, kNow);
  builder.take(mailbox::Global{}, kNow);
  wire::Address server = address("2001:db8::");
  for (uint32_t i = 0; i <= mailbox::kMaxProtected; ++i) {
    wire::store32(&server.bytes[12], i);
    builder.take(mailbox::Protect{server, {}, {}}, kNow);
  }
  EXPECT_EQ(builder.take(mailbox::Commit{1, mailbox::kMaxProtected + 2ull}, kNow)->refusal,
            "more than 65536 protected addresses");

  builder.take(mailbox::Begin{2}, kNow);
  builder.take(mailbox::Global{}, kNow);
  for (uint32_t i = 0; i <= mailbox::kMaxPenalties; ++i)
    builder.take(mailbox::Penalty{wire::Address::v4(i), 1, 0, 1}, kNow);
  EXPECT_EQ(builder.take(mailbox::Commit{2, mailbox::kMaxPenalties + 2ull}, kNow)->refusal,
            "more than 65536 penalties");
}

}  // namespace
}  // namespace mire::lcore
