#include "controlplane/lists/domains.h"

#include <fmt/format.h>

#include "tests/unit/lists/fake_dns.h"

namespace mire::lists {
namespace {

using Texts = std::vector<std::string>;
using std::chrono::hours;
using std::chrono::minutes;

class DomainsTest : public testing::Test {
 protected:
  void configure(std::vector<Domain> names) {
    settings.domains = std::move(names);
    domains.configure(settings);
  }
  // Does all that is due and hears all answers.
  void settle() {
    do {
      dns.answer_all();
      domains.run_due();
    } while (dns.waiting() > 0);
  }
  void wait(Duration time) {
    now += time;
    settle();
  }
  Texts known(const char* domain) {
    const auto prefixes = domains.prefixes(domain);
    return prefixes ? written(*prefixes) : Texts{"unknown"};
  }

  FakeDns dns;
  Time now = Time{} + hours{1};
  Settings settings;
  Texts changed;
  Domains domains{
      dns,
      [this] { return now; },
      {[this](const std::string& name, bool mine) { changed.push_back(name + (mine ? "!" : "?")); }, [] {}}};
};

const Domain kTrusted{"Big.Example", policy::SourceClass::trusted, ""};

TEST_F(DomainsTest, LooksUpAConfiguredDomainAndAgainWhenItsTtlIsOver) {
  dns.text("big.example", {"v=spf1 ip4:192.0.2.0/24"}, 7'200);
  configure({kTrusted});
  settle();
  EXPECT_EQ(known("big.example"), (Texts{"192.0.2.0/24"}));
  EXPECT_EQ(changed, (Texts{"big.example!"}));
  wait(seconds{7'199});
  EXPECT_EQ(dns.asked.size(), 1u);
  dns.text("big.example", {"v=spf1 ip4:198.51.100.0/24"}, 7'200);
  wait(seconds{1});
  EXPECT_EQ(known("BIG.example."), (Texts{"198.51.100.0/24"}));
  EXPECT_EQ(changed.size(), 2u);
  wait(seconds{7'200});
  EXPECT_EQ(dns.asked.size(), 3u);
  EXPECT_EQ(changed.size(), 2u) << "the same again is no news";
}

TEST_F(DomainsTest, LooksNoSoonerThanAnHourAndNoLaterThanADay) {
  dns.text("big.example", {"v=spf1 ip4:192.0.2.0/24"}, 1);
  configure({kTrusted});
  settle();
  wait(minutes{59});
  EXPECT_EQ(dns.asked.size(), 1u);
  dns.text("big.example", {"v=spf1 ip4:192.0.2.0/24"}, 9'999'999);
  wait(minutes{1});
  EXPECT_EQ(dns.asked.size(), 2u);
  wait(hours{24} - seconds{1});
  EXPECT_EQ(dns.asked.size(), 2u);
  wait(seconds{1});
  EXPECT_EQ(dns.asked.size(), 3u);
}

TEST_F(DomainsTest, KeepsWhatItKnewWhileDnsFailsAndAsksLaterAndLater) {
  dns.text("big.example", {"v=spf1 ip4:192.0.2.0/24"}, 3'600);
  configure({kTrusted});
  settle();
  dns.outcome("big.example", QueryType::txt, DnsOutcome::timeout);
  std::vector<Duration> waits;
  Time last = now;
  for (size_t asked = dns.asked.size(); waits.size() < 10; wait(minutes{1})) {
    if (dns.asked.size() == asked) continue;
    asked = dns.asked.size();
    waits.push_back(now - last);
    last = now;
  }
  EXPECT_EQ(waits[0], hours{1});
  EXPECT_EQ(waits[1], minutes{2});
  EXPECT_EQ(waits[2], minutes{4});
  EXPECT_EQ(waits.back(), hours{4});
  EXPECT_EQ(known("big.example"), (Texts{"192.0.2.0/24"}));
  EXPECT_EQ(changed.size(), 1u);
  EXPECT_GE(domains.configured()[0].failures, 9u);
  EXPECT_EQ(domains.configured()[0].why, "big.example: timeout");
  dns.text("big.example", {"v=spf1 ip4:192.0.2.128/25"}, 3'600);
  wait(hours{4});
  EXPECT_EQ(known("big.example"), (Texts{"192.0.2.128/25"}));
  EXPECT_EQ(domains.configured()[0].failures, 0u);
}

TEST_F(DomainsTest, BelievesADomainThatTakesItsRecordBack) {
  dns.text("big.example", {"v=spf1 ip4:192.0.2.0/24"}, 3'600);
  configure({kTrusted});
  settle();
  dns.forget("big.example", QueryType::txt);
  wait(hours{1});
  EXPECT_EQ(known("big.example"), Texts{});
  EXPECT_EQ(changed.size(), 2u);
  EXPECT_EQ(domains.configured()[0].outcome, SpfOutcome::none);
}

TEST_F(DomainsTest, LearnsTheSendersOfThoseWhomWeDeliverTo) {
  dns.text("them.example", {"v=spf1 ip4:192.0.2.7"}, 3'600);
  configure({});
  EXPECT_TRUE(domains.delivered_to("Them.Example").empty());
  settle();
  EXPECT_EQ(changed, (Texts{"them.example?"}));
  EXPECT_EQ(written(domains.delivered_to("them.example")), (Texts{"192.0.2.7/32"}));
  settle();
  EXPECT_EQ(dns.asked.size(), 1u);
  wait(hours{30});
  EXPECT_EQ(dns.asked.size(), 1u) << "nobody delivered there: nothing to refresh";
  EXPECT_EQ(domains.delivered_to("them.example").size(), 1u) << "the old ones, while they are looked up again";
  settle();
  EXPECT_EQ(dns.asked.size(), 2u);
  wait(hours{8 * 24});
  EXPECT_EQ(domains.recipients().size(), 0u) << "forgotten";
}

TEST_F(DomainsTest, LooksUpRecipientsByABudgetAndKeepsSoManyOnly) {
  settings.outbound_per_minute = 5;
  settings.outbound_domains = 8;
  configure({});
  for (int i = 0; i < 20; ++i) domains.delivered_to(fmt::format("d{}.example", i));
  EXPECT_EQ(domains.recipients().size(), 5u);
  EXPECT_EQ(domains.counters().over_budget, 15u);
  for (int i = 20; i < 200; ++i) {
    wait(seconds{12});
    domains.delivered_to(fmt::format("d{}.example", i));
    EXPECT_LE(domains.recipients().size(), 8u);
  }
  EXPECT_EQ(domains.counters().evicted, 5u + 180u - 8u);
  settle();
  EXPECT_EQ(domains.counters().walks, 5u + 180u);
}

TEST_F(DomainsTest, AsksNothingForWhatIsNoDomainAndWithoutOutboundTrust) {
  configure({});
  for (const char* name : {"", "localhost", "[192.0.2.1]", "a b.example", "x..y"}) domains.delivered_to(name);
  EXPECT_EQ(domains.counters().not_a_domain, 5u);
  settings.outbound_trust = false;
  configure({});
  domains.delivered_to("them.example");
  settle();
  EXPECT_TRUE(dns.asked.empty());
  EXPECT_TRUE(domains.recipients().empty());
}

TEST_F(DomainsTest, WalksFourAtATimeAndAllInTheEnd) {
  std::vector<Domain> many;
  for (int i = 0; i < 30; ++i) {
    many.push_back({fmt::format("d{}.example", i), std::nullopt, "all"});
    dns.text(many.back().name, {fmt::format("v=spf1 ip4:192.0.2.{}", 2 * i)});
  }
  configure(many);
  domains.run_due();
  EXPECT_EQ(dns.waiting(), 4u);
  EXPECT_EQ(domains.next_due(), std::nullopt) << "a walk that ends wakes";
  settle();
  EXPECT_EQ(changed.size(), 30u);
  EXPECT_NE(domains.next_due(), std::nullopt);
}

TEST_F(DomainsTest, ForgetsWhatIsNoLongerConfiguredAlsoOnItsWay) {
  dns.text("big.example", {"v=spf1 ip4:192.0.2.0/24"});
  configure({kTrusted});
  domains.run_due();
  EXPECT_EQ(dns.waiting(), 1u);
  configure({});
  dns.answer_all();
  EXPECT_EQ(known("big.example"), (Texts{"unknown"}));
  EXPECT_TRUE(changed.empty());
  configure({kTrusted});
  settle();
  EXPECT_EQ(known("big.example"), (Texts{"192.0.2.0/24"}));
}

TEST_F(DomainsTest, ARecipientThatIsConfiguredLaterIsRefreshedFromThenOn) {
  dns.text("big.example", {"v=spf1 ip4:192.0.2.0/24"}, 3'600);
  configure({});
  domains.delivered_to("big.example");
  settle();
  configure({kTrusted});
  EXPECT_EQ(known("big.example"), (Texts{"192.0.2.0/24"})) << "at once";
  wait(hours{1});
  EXPECT_EQ(dns.asked.size(), 2u);
  configure({});
  EXPECT_EQ(known("big.example"), (Texts{"unknown"}));
  wait(hours{3});
  EXPECT_EQ(dns.asked.size(), 2u);
}

}  // namespace
}  // namespace mire::lists
