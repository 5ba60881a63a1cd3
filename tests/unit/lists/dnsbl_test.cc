#include "controlplane/lists/dnsbl.h"

#include <fmt/format.h>

#include "tests/unit/lists/fake_dns.h"

namespace mire::lists {
namespace {

const wire::Address kClient = address("192.0.2.7");
const std::string kName = "7.2.0.192.";

Zone zone(const char* name, double weight, std::initializer_list<const char*> answers = {}) {
  Zone z{name, weight, {}};
  for (const char* answer : answers) z.answers.push_back(parse_answer_filter(answer).value());
  return z;
}

class DnsblTest : public testing::Test {
 protected:
  void configure(std::vector<Zone> zones, uint32_t per_second = 1'000, uint32_t most = 1'000) {
    dnsbl.configure(std::move(zones), per_second, most);
  }
  // Asks and hears all answers.
  Standing learn(const wire::Address& client = kClient) {
    dnsbl.want(client);
    dns.answer_all();
    return dnsbl.standing(client);
  }

  FakeDns dns;
  Time now = Time{} + std::chrono::hours{1};
  std::vector<std::pair<wire::Address, Standing>> heard;
  Dnsbl dnsbl{dns, [this] { return now; },
              [this](const wire::Address& source, const Standing& s) { heard.emplace_back(source, s); }};
};

TEST(DnsblName, IsReversedByOctetsAndByNibbles) {
  EXPECT_EQ(dnsbl_name(address("192.0.2.99"), "bl.example"), "99.2.0.192.bl.example");
  EXPECT_EQ(dnsbl_name(address("2001:db8:1:2:3:4:567:89ab"), "bl.example"),
            "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example")
      << "the example of RFC 5782 2.4";
}

TEST_F(DnsblTest, SumsTheWeightsOfZonesThatListIt) {
  configure({zone("bl.example", 4), zone("second.example", 2.5), zone("white.example", -3), zone("quiet.example", 9)});
  dns.a(kName + "bl.example", {"127.0.0.2"});
  dns.a(kName + "second.example", {"127.0.0.4", "127.0.0.10"});
  dns.a(kName + "white.example", {"127.0.5.1"});
  EXPECT_EQ(dnsbl.want(kClient), (Standing{0, {}, {}, 0, 4, true}));
  EXPECT_EQ(dns.waiting(), 4u) << "all at once";
  dns.answer_all();
  const Standing s = dnsbl.standing(kClient);
  EXPECT_DOUBLE_EQ(s.weight, 3.5);
  EXPECT_TRUE(s.complete());
  EXPECT_FALSE(s.asking);
  ASSERT_EQ(s.hits.size(), 3u);
  EXPECT_EQ(s.hits[1], (DnsblHit{"second.example", address("127.0.0.4"), 2.5})) << "once, however many answers";
  EXPECT_EQ(s.good_for, seconds{7'200});
  ASSERT_FALSE(heard.empty());
  EXPECT_EQ(heard.front().first, kClient);
  EXPECT_DOUBLE_EQ(heard.front().second.weight, 4) << "a hit is told at once";
  EXPECT_EQ(heard.back().second, s);
}

TEST_F(DnsblTest, CountsOnlyTheAnswersThatTheFilterNames) {
  configure({zone("bl.example", 4, {"127.0.0.2-4", "127.0.0.9"}), zone("bits.example", 2, {"&0.0.0.6"})});
  for (const auto& [answer, weight] : std::map<const char*, double>{{"127.0.0.2", 4},
                                                                    {"127.0.0.4", 4},
                                                                    {"127.0.0.5", 0},
                                                                    {"127.0.0.9", 4},
                                                                    {"127.0.1.2", 0},
                                                                    {"127.0.0.1", 0}}) {
    FakeDns fresh;
    Dnsbl one(
        fresh, [this] { return now; }, [](const auto&, const auto&) {});
    one.configure({zone("bl.example", 4, {"127.0.0.2-4", "127.0.0.9"})}, 10, 10);
    fresh.a(kName + "bl.example", {answer});
    one.want(kClient);
    fresh.answer_all();
    EXPECT_DOUBLE_EQ(one.standing(kClient).weight, weight) << answer;
  }
  EXPECT_TRUE(counts(zone("x.y", 1, {"&0.0.0.6"}), address("127.0.0.12")));
  EXPECT_FALSE(counts(zone("x.y", 1, {"&0.0.0.6"}), address("127.0.0.9")));
}

TEST_F(DnsblTest, NoFailureNoErrorCodeAndNoStrangeAnswerHarms) {
  // The filters would take anything.
  configure({zone("refuses.example", 9, {"127.0.0.0/8"}), zone("timeout.example", 9), zone("servfail.example", 9),
             zone("wildcard.example", 9), zone("mixed.example", 9), zone("one.example", 9), zone("six.example", 9)});
  dns.a(kName + "refuses.example", {"127.255.255.254"});
  dns.outcome(kName + "timeout.example", QueryType::a, DnsOutcome::timeout);
  dns.outcome(kName + "servfail.example", QueryType::a, DnsOutcome::failed);
  dns.a(kName + "wildcard.example", {"203.0.113.80"});
  dns.a(kName + "mixed.example", {"127.0.0.2", "127.255.255.252"});
  dns.a(kName + "one.example", {"127.0.0.1"});
  const Standing s = learn();
  EXPECT_DOUBLE_EQ(s.weight, 0);
  EXPECT_TRUE(s.hits.empty());
  const std::vector<ZoneStatus> zones = dnsbl.zones();
  EXPECT_EQ(zones[0].error_codes, 1u);
  EXPECT_EQ(zones[0].last_trouble, "answers the error code 127.255.255.254");
  EXPECT_EQ(zones[1].timeouts, 1u);
  EXPECT_EQ(zones[2].failed, 1u);
  EXPECT_EQ(zones[3].outside, 1u);
  EXPECT_EQ(zones[4].error_codes, 1u) << "one error code voids the answers beside it";
  EXPECT_EQ(zones[5].listed, 1u) << "127.0.0.1 lists nobody without a filter that names it";
}

TEST_F(DnsblTest, KeepsAnswersForTheirTtlAndAsksOnlyWhatIsOver) {
  configure({zone("bl.example", 4), zone("short.example", 2)});
  dns.a(kName + "bl.example", {"127.0.0.2"}, 3'600);
  dns.a(kName + "short.example", {"127.0.0.2"}, 300);
  learn();
  EXPECT_EQ(dns.asked.size(), 2u);
  now += seconds{299};
  EXPECT_DOUBLE_EQ(dnsbl.want(kClient).weight, 6);
  EXPECT_EQ(dnsbl.standing(kClient).good_for, seconds{1}) << "until the first of them is over";
  EXPECT_EQ(dns.asked.size(), 2u);
  EXPECT_EQ(dnsbl.counters().from_cache, 1u);
  now += seconds{1};
  EXPECT_DOUBLE_EQ(dnsbl.want(kClient).weight, 4);
  EXPECT_EQ(dns.asked.size(), 3u);
  EXPECT_EQ(dns.asked.back(), kName + "short.example");
}

TEST_F(DnsblTest, KeepsNegativeAnswersAsTheSoaSays) {
  configure({zone("bl.example", 4)});
  dns.outcome(kName + "bl.example", QueryType::a, DnsOutcome::no_name, 600);
  learn();
  now += seconds{599};
  learn();
  EXPECT_EQ(dns.asked.size(), 1u);
  now += seconds{1};
  learn();
  EXPECT_EQ(dns.asked.size(), 2u);
  EXPECT_TRUE(dnsbl.standing(kClient).complete());
}

TEST_F(DnsblTest, BoundsWhatATtlMaySay) {
  configure({zone("never.example", 4), zone("ever.example", 4)});
  dns.a(kName + "never.example", {"127.0.0.2"}, 0);
  dns.a(kName + "ever.example", {"127.0.0.2"}, 4'000'000'000u);
  learn();
  now += seconds{59};
  EXPECT_DOUBLE_EQ(dnsbl.standing(kClient).weight, 8);
  now += seconds{1};
  EXPECT_DOUBLE_EQ(dnsbl.standing(kClient).weight, 4);
  now += std::chrono::hours{24};
  EXPECT_DOUBLE_EQ(dnsbl.standing(kClient).weight, 0);
}

TEST_F(DnsblTest, ALateAnswerServesTheNextConnection) {
  configure({zone("bl.example", 4)});
  dns.a(kName + "bl.example", {"127.0.0.2"});
  EXPECT_TRUE(dnsbl.want(kClient).asking);
  EXPECT_TRUE(dnsbl.want(kClient).asking);
  EXPECT_EQ(dns.asked.size(), 1u) << "not asked twice while it is awaited";
  now += seconds{4};
  dns.answer_all();
  EXPECT_DOUBLE_EQ(dnsbl.want(kClient).weight, 4);
  EXPECT_EQ(dns.asked.size(), 1u);
}

TEST_F(DnsblTest, KeepsAnIpv6SourceByItsSixtyFour) {
  configure({zone("bl.example", 4)});
  dns.a(dnsbl_name(address("2001:db8::1"), "bl.example"), {"127.0.0.2"});
  EXPECT_DOUBLE_EQ(learn(address("2001:db8::1")).weight, 4);
  EXPECT_EQ(heard.back().first, address("2001:db8::"));
  EXPECT_DOUBLE_EQ(dnsbl.want(address("2001:db8::2")).weight, 4);
  EXPECT_EQ(dns.asked.size(), 1u) << "whoever rotates within a /64 costs one question";
}

TEST_F(DnsblTest, AsksWithinItsBudget) {
  configure({zone("bl.example", 4)}, 10);
  for (int i = 0; i < 50; ++i) dnsbl.want(address(fmt::format("198.51.100.{}", i).c_str()));
  EXPECT_EQ(dns.asked.size(), 10u);
  EXPECT_EQ(dnsbl.counters().over_budget, 40u);
  dns.answer_all();
  now += milliseconds{500};
  for (int i = 0; i < 50; ++i) dnsbl.want(address(fmt::format("198.51.100.{}", i).c_str()));
  EXPECT_EQ(dns.asked.size(), 15u) << "those that were not asked come again, as far as the budget goes";
}

TEST_F(DnsblTest, IsBoundedAndForgetsWhatEndsFirst) {
  configure({zone("bl.example", 4)}, 10'000, 100);
  for (int i = 0; i < 1'000; ++i) {
    wire::Address a = address("198.51.0.0");
    a.bytes[14] = static_cast<uint8_t>(i >> 8);
    a.bytes[15] = static_cast<uint8_t>(i);
    dnsbl.want(a);
    EXPECT_LE(dnsbl.sources(), 100u);
  }
  EXPECT_EQ(dnsbl.counters().evicted, 900u);
  dns.answer_all();  // for sources that are gone, too
  EXPECT_EQ(dnsbl.sources(), 100u);
}

TEST_F(DnsblTest, PutsAZoneAsideThatFailsAgainAndAgain) {
  configure({zone("dead.example", 4), zone("bl.example", 2)});
  int asked_dead = 0;
  for (int i = 0; i < 100; ++i) {
    wire::Address a = address("198.51.100.0");
    a.bytes[15] = static_cast<uint8_t>(i);
    dns.outcome(dnsbl_name(a, "dead.example"), QueryType::a, DnsOutcome::timeout);
    learn(a);
  }
  asked_dead = static_cast<int>(dnsbl.zones()[0].asked);
  EXPECT_EQ(asked_dead, 8);
  EXPECT_TRUE(dnsbl.zones()[0].aside);
  EXPECT_EQ(dnsbl.zones()[1].asked, 100u) << "the other zone is asked as ever";
  EXPECT_EQ(dnsbl.counters().aside, 92u);
  now += seconds{30};
  EXPECT_FALSE(dnsbl.zones()[0].aside);
  learn(kClient);  // one try decides: it answers
  learn(address("192.0.2.8"));
  EXPECT_EQ(dnsbl.zones()[0].not_listed, 2u);
}

TEST_F(DnsblTest, KeepsWhatItKnowsWhenOtherZonesAreConfigured) {
  configure({zone("gone.example", 1), zone("bl.example", 4)});
  dns.a(kName + "bl.example", {"127.0.0.2"});
  learn();
  dnsbl.want(address("192.0.2.8"));
  configure({zone("bl.example", 7), zone("new.example", 1)});
  EXPECT_DOUBLE_EQ(dnsbl.standing(kClient).weight, 7) << "the rule's new weight, without asking again";
  EXPECT_EQ(dnsbl.standing(kClient).zones_known, 1u);
  dns.answer_all();  // of before: it names zones by places that are others now
  EXPECT_EQ(dnsbl.standing(address("192.0.2.8")).zones_known, 0u);
  EXPECT_TRUE(learn().complete());
  configure({});
  EXPECT_EQ(dnsbl.want(kClient), Standing{});
}

TEST_F(DnsblTest, AsksAZoneOnceForSeveralRules) {
  configure({zone("bl.example", 4, {"127.0.0.2"}), zone("bl.example", 1, {"127.0.0.10"})});
  dns.a(kName + "bl.example", {"127.0.0.2", "127.0.0.10"});
  EXPECT_DOUBLE_EQ(learn().weight, 5);
  EXPECT_EQ(dns.asked.size(), 1u);
}

TEST(Dnsbl, AnswersThatComeAfterItsEndFindNobody) {
  FakeDns dns;
  {
    Dnsbl dnsbl(
        dns, [] { return Time{} + seconds{1}; }, [](const auto&, const auto&) { FAIL(); });
    dnsbl.configure({zone("bl.example", 1)}, 10, 10);
    dnsbl.want(kClient);
  }
  dns.answer_all();
}

}  // namespace
}  // namespace mire::lists
