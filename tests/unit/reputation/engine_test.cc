#include "controlplane/reputation/engine.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "tests/unit/reputation/support.h"

namespace mire::reputation {
namespace {

using policy::SourceClass;
using std::chrono::seconds;

// What a dataplane would know: prefixes with a class, the longest counts.
class Told final : public ClassSink {
 public:
  void on_class(const ClassChange& c) override {
    ++changes;
    EXPECT_EQ(wire::masked(c.prefix.address, c.prefix.length), c.prefix.address);
    auto& there = by_length[c.prefix.length];
    if (c.source_class) {
      const auto before = there.find(c.prefix.address);
      EXPECT_TRUE(before == there.end() || before->second != *c.source_class) << "told twice";
      there[c.prefix.address] = *c.source_class;
    } else {
      EXPECT_EQ(there.erase(c.prefix.address), 1u) << "took back what was not told";
    }
  }
  [[nodiscard]] SourceClass of(const wire::Address& a) const {
    for (auto i = by_length.rbegin(); i != by_length.rend(); ++i)
      if (const auto at = i->second.find(wire::masked(a, i->first)); at != i->second.end()) return at->second;
    return SourceClass::unknown;
  }
  std::map<unsigned, std::map<wire::Address, SourceClass>> by_length;
  int changes = 0;
};

class EngineTest : public testing::Test {
 protected:
  void SetUp() override { engine.loaded(now); }
  void pass(seconds time) {
    const WallSeconds end = now + time;
    for (auto due = engine.next_due(); due && *due <= end; due = engine.next_due()) {
      now = std::max(now, *due);
      engine.advance(now);
    }
    now = end;
  }
  void good_days(const wire::Address& a, int days, double messages) {
    for (int d = 0; d < days; ++d) {
      engine.observe({a, Kind::accepted, messages}, now);
      pass(kDay);
    }
  }
  [[nodiscard]] SourceClass seen(const wire::Address& a) const { return engine.view(a, now)->judgement.source_class; }

  Settings settings;
  Told told;
  uint64_t drawn = 0;
  Engine engine{settings, told, [this] { return drawn++; }, 7};
  WallSeconds now = kStart;
};

TEST_F(EngineTest, TellsAClassOnceAndTakesItBackWhenTimeHasFadedIt) {
  const wire::Address a = address("192.0.2.77");
  good_days(a, 5, 10);
  EXPECT_EQ(told.of(a), SourceClass::known);
  EXPECT_EQ(told.changes, 1);
  pass(60 * kDay);
  EXPECT_EQ(told.of(a), SourceClass::unknown);
  EXPECT_EQ(told.changes, 2);
  EXPECT_TRUE(told.by_length[32].empty()) << "only what differs from unknown";
}

TEST_F(EngineTest, APenaltyEndsToTheSecondByItself) {
  const wire::Address a = address("192.0.2.77");
  engine.observe({a, Kind::early_talk, 1}, now);
  EXPECT_EQ(told.changes, 0);
  engine.penalise(a, now + kMinute, 1, now);
  EXPECT_EQ(told.of(a), SourceClass::suspect);
  EXPECT_EQ(engine.next_due(), now + kMinute);
  pass(kMinute - seconds{1});
  EXPECT_EQ(told.of(a), SourceClass::suspect);
  pass(seconds{1});
  EXPECT_EQ(told.of(a), SourceClass::unknown);
}

TEST_F(EngineTest, AKnownSenderThatBurstsIsSlowedAndRecovers) {
  const wire::Address a = address("192.0.2.77");
  good_days(a, 10, 10);
  for (int i = 0; i < 100; ++i) engine.connected(a, now);
  EXPECT_EQ(told.of(a), SourceClass::unknown);
  EXPECT_EQ(engine.view(a, now)->judgement.ground, Ground::rate);
  pass(settings.rate.cool_down);
  EXPECT_EQ(told.of(a), SourceClass::known);
}

TEST_F(EngineTest, AListsWordEndsWithItsTime) {
  const wire::Address a = address("192.0.2.77");
  engine.stand(a, 4, seconds{300}, now);
  EXPECT_EQ(told.of(a), SourceClass::suspect);
  EXPECT_EQ(engine.view(a, now)->standing.list_weight, 4);
  pass(seconds{300});
  EXPECT_EQ(told.of(a), SourceClass::unknown);
  engine.stand(a, 4, seconds{300}, now);
  engine.stand(a, 0, seconds{300}, now);
  EXPECT_EQ(told.of(a), SourceClass::unknown);
}

TEST_F(EngineTest, APassByOneOfAGroupCountsForAll) {
  const wire::Address first = address("198.51.100.1"), second = address("198.51.100.200"),
                      outside = address("198.51.101.1");
  ASSERT_TRUE(engine.set_group("provider", {prefix("198.51.100.0/24"), prefix("2001:db8:5::/48")}, true, now));
  good_days(first, 5, 10);
  EXPECT_EQ(told.of(second), SourceClass::known);
  EXPECT_EQ(told.of(address("2001:db8:5::1")), SourceClass::known);
  EXPECT_EQ(told.of(outside), SourceClass::unknown);
  const auto v = engine.view(second, now);
  ASSERT_TRUE(v);
  EXPECT_EQ(v->judgement.ground, Ground::shared);
  EXPECT_EQ(v->shared[0].name, "provider");
  ASSERT_TRUE(engine.set_group("provider", {prefix("198.51.100.0/25")}, true, now));
  EXPECT_EQ(told.of(second), SourceClass::unknown);
  EXPECT_EQ(told.of(address("2001:db8:5::1")), SourceClass::unknown);
  EXPECT_EQ(told.of(address("198.51.100.100")), SourceClass::known);
  engine.remove_group("provider");
  EXPECT_EQ(told.of(address("198.51.100.100")), SourceClass::unknown);
  EXPECT_EQ(told.of(first), SourceClass::known) << "its own";
}

TEST_F(EngineTest, AnAbusiveAddressOfATrustedGroupIsJudgedByItsOwn) {
  const wire::Address good = address("198.51.100.1"), bad = address("198.51.100.66");
  ASSERT_TRUE(engine.set_group("provider", {prefix("198.51.100.0/24")}, true, now));
  good_days(good, 30, 5000);
  EXPECT_EQ(told.of(address("198.51.100.3")), SourceClass::trusted);
  engine.observe({bad, Kind::early_talk, 4}, now);
  EXPECT_EQ(told.of(bad), SourceClass::blocked);
  EXPECT_EQ(told.of(address("198.51.100.3")), SourceClass::trusted);
  good_days(address("198.51.100.9"), 6, 10);
  EXPECT_EQ(told.of(address("198.51.100.9")), SourceClass::trusted)
      << "known by itself, but its group stands behind it";
}

TEST_F(EngineTest, DestinationsThatWeDeliverToGainTrustAndTheirGroupToo) {
  const wire::Address a = address("203.0.113.9");
  for (int i = 0; i < 3; ++i) engine.observe({a, Kind::outbound, 1}, now);
  EXPECT_EQ(told.of(a), SourceClass::known);
  ASSERT_TRUE(engine.set_group("domain example.com", {prefix("198.51.100.0/24")}, false, now));
  for (int i = 0; i < 3; ++i) engine.credit_group("domain example.com", Kind::outbound, 1, now);
  EXPECT_EQ(told.of(address("198.51.100.5")), SourceClass::known);
  Settings off = settings;
  off.outbound_trust = false;
  engine.configure(off);
  engine.observe({address("203.0.113.10"), Kind::outbound, 9}, now);
  EXPECT_FALSE(engine.view(address("203.0.113.10"), now));
}

TEST_F(EngineTest, ANetworkSpeaksForItsStrangersOnceThreeHaveShownThemselves) {
  engine.observe({address("2001:db8:1:1::1"), Kind::early_talk, 2}, now);
  engine.observe({address("2001:db8:1:2::1"), Kind::early_talk, 2}, now);
  EXPECT_EQ(told.of(address("2001:db8:1:99::1")), SourceClass::unknown);
  engine.observe({address("2001:db8:1:3::1"), Kind::early_talk, 2}, now);
  EXPECT_EQ(told.of(address("2001:db8:1:99::1")), SourceClass::suspect) << "though -120 would be blocked";
  EXPECT_EQ(engine.view(address("2001:db8:1:99::1"), now)->judgement.ground, Ground::shared);
  EXPECT_EQ(told.of(address("2001:db8:2:99::1")), SourceClass::unknown);
  good_days(address("2001:db8:1:4::1"), 6, 10);
  EXPECT_EQ(told.of(address("2001:db8:1:4::1")), SourceClass::known) << "by its own";
}

TEST_F(EngineTest, ForgetsTheLeastWorthyWhenItIsFull) {
  Settings small;
  small.capacity = 1000;
  engine.configure(small);
  const wire::Address known = address("192.0.2.1"), guilty = address("192.0.2.2");
  good_days(known, 6, 20);
  engine.observe({guilty, Kind::early_talk, 3}, now);
  for (uint32_t i = 0; i < 20'000; ++i) engine.connected(v4(0x0a000000 + i), now);
  EXPECT_EQ(engine.summary().sources, 1000u);
  EXPECT_EQ(engine.summary().evicted, 19'002u);
  EXPECT_EQ(seen(known), SourceClass::known);
  EXPECT_EQ(seen(guilty), SourceClass::suspect);
}

TEST_F(EngineTest, TakesBackTheClassOfWhoIsForgotten) {
  Settings tiny;
  tiny.capacity = 10;
  engine.configure(tiny);
  for (uint32_t i = 0; i < 100; ++i) engine.observe({v4(0x0a000000 + i), Kind::early_talk, 2.0 + i}, now);
  EXPECT_EQ(told.by_length[32].size(), 10u);
  EXPECT_EQ(engine.summary().by_class[static_cast<size_t>(SourceClass::unknown)], 0u);
}

TEST_F(EngineTest, ClearForgetsASourceWhole) {
  const wire::Address a = address("192.0.2.77");
  engine.observe({a, Kind::early_talk, 4}, now);
  engine.stand(a, 3, kDay, now);
  EXPECT_TRUE(engine.clear(a, now));
  EXPECT_FALSE(engine.clear(a, now));
  EXPECT_EQ(told.of(a), SourceClass::unknown);
  EXPECT_FALSE(engine.view(a, now));
  engine.connected(a, now);
  EXPECT_EQ(engine.view(a, now)->standing.list_weight, 0);
}

TEST_F(EngineTest, FollowsNewSettingsWithoutAnEvent) {
  const wire::Address a = address("192.0.2.77");
  engine.observe({a, Kind::early_talk, 1}, now);
  Settings strict;
  strict.thresholds.suspect = -10;
  engine.configure(strict);
  EXPECT_LE(*engine.next_due(), now);
  pass(seconds{0});
  EXPECT_EQ(told.of(a), SourceClass::suspect);
}

TEST_F(EngineTest, CountsWhatIsNoSource) {
  engine.connected(address("::1"), now);
  engine.observe({address("::c000:24d"), Kind::accepted, 1}, now);
  EXPECT_EQ(engine.summary().no_source, 2u);
  EXPECT_EQ(engine.summary().sources, 0u);
}

TEST_F(EngineTest, RanksWorstBestAndBusiest) {
  for (uint32_t i = 1; i <= 50; ++i) {
    engine.observe({v4(i), i % 2 == 0 ? Kind::ham : Kind::spam, i * 1.0}, now);
    for (uint32_t c = 0; c < 51 - i; ++c) engine.connected(v4(i), now);
  }
  EXPECT_EQ(engine.top(2, Order::worst, now)[0].prefix.address, v4(49));
  EXPECT_EQ(engine.top(2, Order::best, now)[1].prefix.address, v4(48));
  EXPECT_EQ(engine.top(3, Order::busiest, now)[2].connections, 48u);
  EXPECT_EQ(engine.top(99, Order::worst, now).size(), 25u);
  EXPECT_TRUE(engine.top(0, Order::worst, now).empty());
}

TEST_F(EngineTest, ComesBackFromWhatItSaid) {
  std::map<std::string, Touched> store;
  const auto save = [&] {
    while (engine.touched() > 0)
      for (Touched& t : engine.take_touched(3)) {
        const std::string at =
            fmt::format("{} {}{}", static_cast<int>(t.space), t.space == Space::group ? 0 : t.key, t.name);
        if (t.kept) {
          store[at] = t;
        } else {
          store.erase(at);
        }
      }
  };
  ASSERT_TRUE(engine.set_group("g", {prefix("198.51.100.0/24")}, true, now));
  ASSERT_TRUE(engine.set_group("gone", {prefix("198.51.101.0/24")}, true, now));
  engine.observe({address("198.51.101.1"), Kind::accepted, 1}, now);
  save();
  engine.remove_group("gone");
  good_days(address("198.51.100.1"), 6, 20);
  for (int i = 0; i < 4; ++i) {
    engine.observe({address(fmt::format("2001:db8:1:{}::1", i).c_str()), Kind::early_talk, 2}, now);
  }
  engine.penalise(address("192.0.2.5"), now + kDay, 2, now);
  engine.connected(address("192.0.2.6"), now);
  engine.clear(address("198.51.101.1"), now);
  save();
  EXPECT_EQ(store.size(), 1 + 4 + 1 + 2 + 1u) << "sources, a network, a group";

  Told again;
  Engine second(
      settings, again, [] { return 0; }, 8);
  for (const Space space : {Space::network, Space::group, Space::source})
    for (const auto& [key, t] : store)
      if (t.space == space) second.restore(space, t.key, t.name, *decode(encode(*t.kept)), now);
  second.loaded(now);
  EXPECT_EQ(again.changes, 0) << "who asks is told";
  ASSERT_TRUE(second.set_group("g", {prefix("198.51.100.0/24")}, true, now));
  again.by_length.clear();
  for (size_t part = 0; part < Engine::kParts; ++part)
    second.for_classes(part, [&](const ClassChange& c) { again.on_class(c); });
  EXPECT_EQ(again.by_length, told.by_length);
  EXPECT_EQ(second.summary().by_class, engine.summary().by_class);
  EXPECT_EQ(second.view(address("198.51.100.1"), now)->since, engine.view(address("198.51.100.1"), now)->since);
  EXPECT_EQ(second.touched(), 0u) << "nothing has changed";
  EXPECT_EQ(again.of(address("2001:db8:1:77::")), SourceClass::suspect);
  now += kDay;
  second.advance(now);
  EXPECT_EQ(again.of(address("192.0.2.5")), SourceClass::unknown) << "timers came back, too";
}

// The same, without any of the engine's shortcuts: every class from its evidence, whenever it is asked.
class Model {
 public:
  explicit Model(const Settings& s) : settings_(s) {}
  Settings settings_;
  struct Word {
    double weight = 0;
    WallSeconds until{};
  };
  struct Set {
    std::vector<wire::Prefix> prefixes;
    Evidence evidence;
  };
  std::map<wire::Address, Evidence> sources;
  std::map<wire::Address, Word> words;
  std::map<wire::Address, Evidence> networks;
  std::map<std::string, Set> groups;

  void observe(const wire::Address& a, Kind k, double amount, WallSeconds now) {
    add(sources[wire::source_of(a)], k, amount, settings_, now);
    if (!a.is_v4()) add(networks[wire::masked(a, 48)], k, amount, settings_, now);
    if (k == Kind::early_talk || k == Kind::pipelining) return;
    for (auto& [name, g] : groups)
      if (std::any_of(g.prefixes.begin(), g.prefixes.end(), [&](const wire::Prefix& p) { return p.contains(a); }))
        add(g.evidence, k, amount, settings_, now);
  }
  [[nodiscard]] SourceClass at(const wire::Address& a, WallSeconds now) const {
    Standing st;
    unsigned longest = 0;
    const auto say = [&](unsigned length, SourceClass c) {
      if (c == SourceClass::unknown || (st.shared && length < longest)) return;
      if (st.shared && length == longest) c = std::min(c, *st.shared);
      longest = length;
      st.shared = c;
    };
    for (const auto& [name, g] : groups)
      for (const wire::Prefix& p : g.prefixes)
        if (p.contains(a)) say(p.length, std::min(judge(g.evidence, {}, settings_, now).own, SourceClass::unknown));
    if (const auto n = networks.find(wire::masked(a, 48)); !a.is_v4() && n != networks.end()) {
      const auto members = std::count_if(sources.begin(), sources.end(), [&](const auto& s) {
        return wire::masked(s.first, 48) == n->first && !s.first.is_v4();
      });
      const bool group_there = st.shared && longest == 48;
      if (members >= 3 && !group_there)
        say(48, std::clamp(judge(n->second, {}, settings_, now).own, SourceClass::known, SourceClass::suspect));
    }
    const auto s = sources.find(wire::source_of(a));
    if (s == sources.end()) return st.shared.value_or(SourceClass::unknown);
    if (const auto w = words.find(wire::source_of(a)); w != words.end() && w->second.until > now)
      st.list_weight = static_cast<float>(w->second.weight);
    return judge(s->second, st, settings_, now).source_class;
  }
};

TEST_F(EngineTest, EqualsANaiveModel) {
  std::mt19937_64 random(5);
  const auto below = [&](uint64_t n) { return random() % n; };
  settings.half_life = 2 * kDay;
  settings.days_known = 1.5;
  settings.days_trusted = 2;
  engine.configure(settings);
  Model model(settings);
  std::vector<wire::Address> all;
  for (uint32_t i = 0; i < 6; ++i) all.push_back(v4(0xc6336400 + i * 37));
  for (const char* text :
       {"2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:1:4::1", "2001:db8:2:1::1"})
    all.push_back(address(text));
  const std::vector<wire::Prefix> prefixes = {prefix("198.51.100.0/24"),  prefix("198.51.100.0/25"),
                                              prefix("198.51.100.37/32"), prefix("2001:db8::/32"),
                                              prefix("2001:db8:1::/48"),  prefix("2001:db8:1:2::/64")};
  std::set<SourceClass> seen;
  for (int step = 0; step < 60'000; ++step) {
    const wire::Address a = all[below(all.size())];
    switch (below(16)) {
      case 0:
        for (uint64_t i = below(150); i > 0; --i) {
          engine.connected(a, now);
          connected(model.sources[wire::source_of(a)], settings, now);
        }
        break;
      case 1: {
        const WallSeconds until = now + seconds{below(5000)};
        engine.penalise(a, until, 1, now);
        penalise(model.sources[wire::source_of(a)], until, 1, now);
        break;
      }
      case 2: {
        const double weight = static_cast<double>(below(12)) - 4;
        const seconds good_for{1 + below(20'000)};
        engine.stand(a, weight, good_for, now);
        (void)model.sources[wire::source_of(a)];
        model.words[wire::source_of(a)] = {weight, now + good_for};
        break;
      }
      case 3: {
        const std::string name = fmt::format("g{}", below(4));
        std::vector<wire::Prefix> some;
        for (const wire::Prefix& p : prefixes)
          if (below(3) == 0) some.push_back(p);
        if (below(5) == 0) {
          engine.remove_group(name);
          model.groups.erase(name);
        } else {
          ASSERT_TRUE(engine.set_group(name, some, true, now));
          model.groups[name].prefixes = some;
        }
        break;
      }
      case 4:
        if (below(10) == 0) {
          EXPECT_EQ(engine.clear(a, now), model.sources.erase(wire::source_of(a)) == 1);
          model.words.erase(wire::source_of(a));
        }
        break;
      default: {
        Kind k = kind_at(below(kKept));
        if (k == Kind::mail_days) k = Kind::accepted;
        const double amount =
            side_of(k) == Side::good ? static_cast<double>(1 + below(60)) : static_cast<double>(1 + below(2));
        engine.observe({a, k, amount}, now);
        model.observe(a, k, amount, now);
        break;
      }
    }
    pass(seconds{below(step % 50 == 0 ? 300'000 : 900)});
    if (step % 5 != 0) continue;
    for (const wire::Address& b : all) {
      const SourceClass wanted = model.at(b, now);
      seen.insert(wanted);
      ASSERT_EQ(told.of(b), wanted) << "step " << step << ", " << wire::to_string(b);
      const auto v = engine.view(b, now);
      ASSERT_EQ(v ? v->judgement.source_class : SourceClass::unknown, wanted) << wire::to_string(b);
    }
  }
  EXPECT_EQ(seen.size(), 5u) << "all classes that can be learned";
}

}  // namespace
}  // namespace mire::reputation
