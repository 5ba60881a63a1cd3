#include <fmt/format.h>

#include "controlplane/lists/spf_record.h"
#include "controlplane/lists/spf_walk.h"
#include "tests/unit/lists/fake_dns.h"

namespace mire::lists {
namespace {

using Texts = std::vector<std::string>;

SpfResult walked(FakeDns& dns, const std::string& domain = "d.example", SpfLimits limits = {}) {
  std::optional<SpfResult> result;
  walk_spf(dns, domain, limits, [&](SpfResult r) {
    EXPECT_FALSE(result) << "told twice";
    result = std::move(r);
  });
  EXPECT_FALSE(result) << "told before anybody answered";
  dns.answer_all();
  EXPECT_TRUE(result);
  return result.value_or(SpfResult{});
}

SpfResult walked(std::initializer_list<const char*> records) {
  FakeDns dns;
  dns.text("d.example", {records.begin(), records.end()});
  return walked(dns);
}

TEST(SpfRecord, IsOneOnlyByItsFirstWord) {
  EXPECT_TRUE(is_spf("v=spf1"));
  EXPECT_TRUE(is_spf("V=SPF1 -all"));
  EXPECT_FALSE(is_spf("v=spf10 -all"));
  EXPECT_FALSE(is_spf(" v=spf1 -all"));
  EXPECT_FALSE(is_spf("google-site-verification=x"));
  EXPECT_FALSE(is_spf(""));
}

TEST(SpfRecord, ReadsEveryMechanism) {
  const Result<SpfRecord> r = parse_spf(
      "v=spf1 ip4:192.0.2.9/24 IP6:2001:db8::1/32 a a/24 a//64 a:Mail.Example/24//64 -mx mx:x.example "
      "?include:y.example "
      "ptr ptr:z.example ~exists:%{i}.x.example include:%{d2}.example moo=boo exp=why.example redirect=_R.example. "
      "all");
  ASSERT_TRUE(r.ok()) << r.error();
  ASSERT_EQ(r->terms.size(), 14u);
  EXPECT_EQ(wire::to_string(r->terms[0].prefix), "192.0.2.0/24") << "host bits are fine in SPF";
  EXPECT_EQ(wire::to_string(r->terms[1].prefix), "2001:db8::/32");
  EXPECT_EQ(r->terms[2], (SpfTerm{'+', SpfMechanism::a, "", {}, 32, 128, false}));
  EXPECT_EQ(r->terms[3], (SpfTerm{'+', SpfMechanism::a, "", {}, 24, 128, false}));
  EXPECT_EQ(r->terms[4], (SpfTerm{'+', SpfMechanism::a, "", {}, 32, 64, false}));
  EXPECT_EQ(r->terms[5], (SpfTerm{'+', SpfMechanism::a, "mail.example", {}, 24, 64, false}));
  EXPECT_EQ(r->terms[6], (SpfTerm{'-', SpfMechanism::mx, "", {}, 32, 128, false}));
  EXPECT_EQ(r->terms[8], (SpfTerm{'?', SpfMechanism::include, "y.example", {}, 32, 128, false}));
  EXPECT_TRUE(r->terms[11].macro);
  EXPECT_TRUE(r->terms[12].macro);
  EXPECT_EQ(r->redirect, "_r.example");
}

TEST(SpfRecord, OneErrorMakesAllOfItVoid) {
  for (const char* text : {"v=spf1 moo",
                           "v=spf1 ip4",
                           "v=spf1 ip4:",
                           "v=spf1 ip4:1.2.3",
                           "v=spf1 ip4:1.2.3.4/33",
                           "v=spf1 ip4:1.2.3.4/",
                           "v=spf1 ip4:1.2.3.4/08",
                           "v=spf1 ip4:2001:db8::1",
                           "v=spf1 ip6:1.2.3.4",
                           "v=spf1 ip6:2001:db8::/129",
                           "v=spf1 a/33",
                           "v=spf1 a//129",
                           "v=spf1 a/24/64",
                           "v=spf1 a:",
                           "v=spf1 a:b c:d",
                           "v=spf1 include",
                           "v=spf1 include:",
                           "v=spf1 include:nodots",
                           "v=spf1 all:x",
                           "v=spf1 allx",
                           "v=spf1 ++all",
                           "v=spf1 + all",
                           "v=spf1 redirect=a.b redirect=c.d",
                           "v=spf1 exp=a.b exp=c.d",
                           "v=spf1 redirect=",
                           "v=spf1 -",
                           "nonsense"})
    EXPECT_FALSE(parse_spf(text).ok()) << text;
  EXPECT_TRUE(parse_spf("v=spf1   ip4:192.0.2.1  ").ok());
}

TEST(SpfRecord, SurvivesEveryTruncation) {
  const std::string text =
      "v=spf1 ip4:192.0.2.9/24 a:mail.example/24//64 include:%{d}.x ~exists:%{i}.x redirect=_r.example.";
  for (size_t begin = 0; begin < text.size(); ++begin)
    for (size_t end = begin; end <= text.size(); ++end)
      (void)parse_spf(std::string("v=spf1 ").append(text, begin, end - begin));
}

TEST(SpfWalk, TakesWhatHasThePlusAndNothingElse) {
  const SpfResult r =
      walked({"v=spf1 ip4:192.0.2.0/24 +ip4:198.51.100.7 -ip4:203.0.113.1 ~ip4:203.0.113.2 ?ip4:203.0.113.3 "
              "ip6:2001:db8::/32 ~all"});
  EXPECT_EQ(r.outcome, SpfOutcome::found) << r.why;
  EXPECT_EQ(written(r.prefixes), (Texts{"192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"}));
  EXPECT_EQ(r.ttl_s, 7'200u);
}

TEST(SpfWalk, FollowsIncludesRedirectsAddressesAndExchanges) {
  FakeDns dns;
  dns.text("d.example", {"v=spf1 include:one.example ?include:never.example a:host.example/24//64 mx -all", "other"});
  dns.text("one.example", {"v=spf1 ip4:192.0.2.1 include:two.example -all"}, 300);
  dns.text("two.example", {"v=spf1 redirect=three.example"});
  dns.text("three.example", {"v=spf1 ip4:192.0.2.3 a ~all"});
  dns.a("three.example", {"203.0.113.3"});
  dns.a("host.example", {"198.51.100.77", "2001:db8:1:2:3::4"});
  dns.mx("d.example", {"mx1.d.example", "mx2.d.example"});
  dns.a("mx1.d.example", {"203.0.113.101"});
  dns.a("mx2.d.example", {"2001:db8::25"});
  const SpfResult r = walked(dns);
  EXPECT_EQ(r.outcome, SpfOutcome::found) << r.why;
  EXPECT_EQ(written(r.prefixes), (Texts{"192.0.2.1/32", "192.0.2.3/32", "198.51.100.0/24", "203.0.113.3/32",
                                        "203.0.113.101/32", "2001:db8::25/128", "2001:db8:1:2::/64"}));
  EXPECT_EQ(r.lookups, 7u) << "the neutral include counts, and is not asked";
  EXPECT_EQ(std::count(dns.asked.begin(), dns.asked.end(), "never.example"), 0);
  EXPECT_EQ(r.void_lookups, 0u);
  EXPECT_EQ(r.ttl_s, 300u) << "the smallest on the way";
}

TEST(SpfWalk, IgnoresARedirectBesideAllAndWhatFollowsAll) {
  FakeDns dns;
  dns.text("d.example", {"v=spf1 ip4:192.0.2.1 -all ip4:192.0.2.9 redirect=r.example"});
  dns.text("r.example", {"v=spf1 ip4:192.0.2.2"});
  EXPECT_EQ(written(walked(dns).prefixes), (Texts{"192.0.2.1/32"}));
}

TEST(SpfWalk, SkipsWhatDependsOnTheSenderAndCountsIt) {
  FakeDns dns;
  dns.text("d.example",
           {"v=spf1 exists:%{i}._spf.d.example ptr a:%{d}.x include:%{l}.x ip4:192.0.2.1 redirect=%{o}.x"});
  const SpfResult r = walked(dns);
  EXPECT_EQ(r.outcome, SpfOutcome::found) << r.why;
  EXPECT_EQ(r.skipped, 5u);
  EXPECT_EQ(written(r.prefixes), (Texts{"192.0.2.1/32"}));
  EXPECT_EQ(dns.asked, (Texts{"d.example"}));
}

TEST(SpfWalk, EndsInALoop) {
  FakeDns dns;
  dns.text("d.example", {"v=spf1 ip4:192.0.2.1 include:e.example ip4:192.0.2.2"});
  dns.text("e.example", {"v=spf1 ip4:192.0.2.3 include:d.example"});
  SpfResult r = walked(dns);
  EXPECT_EQ(r.outcome, SpfOutcome::cut_short);
  EXPECT_EQ(r.why, "d.example: includes itself");
  EXPECT_EQ(written(r.prefixes), (Texts{"192.0.2.1/32", "192.0.2.3/32"})) << "what came before it stands";
  dns.text("d.example", {"v=spf1 redirect=d.example"});
  r = walked(dns);
  EXPECT_EQ(r.outcome, SpfOutcome::cut_short);
}

TEST(SpfWalk, AsksTenTimesAndNoMore) {
  for (const int includes : {10, 11}) {
    FakeDns dns;
    std::string record = "v=spf1";
    for (int i = 0; i < includes; ++i) {
      const std::string name = fmt::format("i{}.example", i);
      record.append(" include:").append(name);
      dns.text(name, {std::string("v=spf1 ip4:192.0.2.").append(std::to_string(4 * i))});
    }
    dns.text("d.example", {record + " ip4:203.0.113.1"});
    const SpfResult r = walked(dns);
    EXPECT_EQ(r.outcome, includes == 10 ? SpfOutcome::found : SpfOutcome::cut_short);
    EXPECT_EQ(r.prefixes.size(), includes == 10 ? 11u : 10u);
    EXPECT_EQ(dns.asked.size(), 11u);
  }
}

TEST(SpfWalk, BearsTwoVoidLookupsAndNoThird) {
  for (const int nothing : {2, 3}) {
    FakeDns dns;
    std::string record = "v=spf1 ip4:192.0.2.1";
    for (int i = 0; i < nothing; ++i) record += fmt::format(" a:gone{}.example", i);
    dns.text("d.example", {record + " ip4:203.0.113.1"});
    const SpfResult r = walked(dns);
    EXPECT_EQ(r.outcome, nothing == 2 ? SpfOutcome::found : SpfOutcome::cut_short) << r.why;
    EXPECT_EQ(r.prefixes.size(), nothing == 2 ? 2u : 1u);
  }
}

TEST(SpfWalk, AHostOfOneFamilyIsNotVoid) {
  FakeDns dns;
  dns.text("d.example", {"v=spf1 a:four.example a:six.example a:alsofour.example"});
  dns.a("four.example", {"192.0.2.4"});
  dns.a("six.example", {"2001:db8::6"});
  dns.a("alsofour.example", {"192.0.2.44"});
  const SpfResult r = walked(dns);
  EXPECT_EQ(r.outcome, SpfOutcome::found) << r.why;
  EXPECT_EQ(r.void_lookups, 0u);
  EXPECT_EQ(r.prefixes.size(), 3u);
}

TEST(SpfWalk, TakesTenExchangesAndNoMore) {
  for (const size_t many : {10u, 11u}) {
    FakeDns dns;
    Texts names;
    for (size_t i = 0; i < many; ++i) {
      names.push_back(fmt::format("mx{}.example", i));
      dns.a(names.back(), {fmt::format("192.0.2.{}", 4 * i).c_str()});
    }
    dns.text("d.example", {"v=spf1 mx"});
    dns.mx("d.example", names);
    const SpfResult r = walked(dns);
    EXPECT_EQ(r.outcome, many == 10 ? SpfOutcome::found : SpfOutcome::cut_short);
    EXPECT_EQ(r.prefixes.size(), many == 10 ? 10u : 0u);
  }
}

TEST(SpfWalk, TroubleWithDnsLeavesNothingToBelieve) {
  for (const DnsOutcome trouble : {DnsOutcome::failed, DnsOutcome::timeout, DnsOutcome::too_many}) {
    FakeDns dns;
    dns.text("d.example", {"v=spf1 ip4:192.0.2.1 include:broken.example ip4:192.0.2.2"});
    dns.outcome("broken.example", QueryType::txt, trouble);
    const SpfResult r = walked(dns);
    EXPECT_EQ(r.outcome, SpfOutcome::trouble);
    EXPECT_TRUE(r.prefixes.empty());
    EXPECT_NE(r.why.find("broken.example"), std::string::npos);
  }
}

TEST(SpfWalk, KnowsDomainsWithoutARecordAndWithTwo) {
  FakeDns dns;
  EXPECT_EQ(walked(dns).outcome, SpfOutcome::none);
  dns.text("d.example", {"hello"});
  EXPECT_EQ(walked(dns).outcome, SpfOutcome::none);
  EXPECT_EQ(walked({"v=spf1 ip4:192.0.2.1", "v=spf1 -all"}).outcome, SpfOutcome::cut_short);
  EXPECT_TRUE(walked({"v=spf1 ip4:192.0.2.1", "v=spf1 -all"}).prefixes.empty());
  EXPECT_EQ(walked({"v=spf1 ip4:192.0.2.1 include:none.example"}).outcome, SpfOutcome::cut_short);
  EXPECT_EQ(walked({"v=spf1 ip4:192.0.2.1 moo"}).outcome, SpfOutcome::cut_short);
  EXPECT_TRUE(walked({"v=spf1 ip4:192.0.2.1 moo"}).prefixes.empty()) << "an error anywhere voids the record";
}

TEST(SpfWalk, RefusesWhatIsWiderThanAnyProvider) {
  SpfResult r = walked({"v=spf1 +all"});
  EXPECT_EQ(r.too_wide, 1u);
  EXPECT_TRUE(r.prefixes.empty());
  r = walked({"v=spf1 ip4:0.0.0.0/0 ip4:10.0.0.0/7 ip6:::/0 ip6:2000::/18 ip4:192.0.2.1 a/0"});
  EXPECT_EQ(r.too_wide, 4u);
  EXPECT_EQ(written(r.prefixes), (Texts{"192.0.2.1/32"}));
  r = walked({"v=spf1 ip4:20.0.0.0/8 ip4:30.0.0.0/8"});
  EXPECT_TRUE(r.prefixes.empty()) << "slices of the Internet add up";
  EXPECT_EQ(r.outcome, SpfOutcome::cut_short);
  EXPECT_EQ(walked({"v=spf1 ip4:20.0.0.0/8"}).prefixes.size(), 1u);
}

TEST(SpfWalk, StopsAtSoManyPrefixes) {
  std::string record = "v=spf1";
  for (int i = 0; i < 20; ++i) record += fmt::format(" ip4:192.0.2.{}", 4 * i);
  FakeDns dns;
  dns.text("d.example", {record});
  SpfLimits limits;
  limits.prefixes = 7;
  const SpfResult r = walked(dns, "d.example", limits);
  EXPECT_EQ(r.outcome, SpfOutcome::cut_short);
  EXPECT_EQ(r.prefixes.size(), 7u);
}

}  // namespace
}  // namespace mire::lists
