#include "controlplane/reputation/judge.h"

#include "tests/unit/reputation/support.h"

namespace mire::reputation {
namespace {

using policy::SourceClass;
const Settings kDefaults;

Evidence of(std::initializer_list<std::pair<Kind, double>> amounts, WallSeconds t = kStart) {
  Evidence e;
  for (const auto& [kind, amount] : amounts) add(e, kind, amount, kDefaults, t);
  return e;
}
// `messages` a day on `days` days in a row, from kStart on.
Evidence steady(int days, double messages) {
  Evidence e;
  for (int d = 0; d < days; ++d) add(e, Kind::accepted, messages, kDefaults, kStart + d * kDay);
  return e;
}

TEST(Judge, FiftyAcceptedMessagesOnFiveDaysMakeKnown) {
  EXPECT_EQ(class_of(steady(5, 10), kStart + 4 * kDay), SourceClass::known);
  Evidence e;  // every fourth day
  for (int d = 0; d < 5; ++d) add(e, Kind::accepted, 10, kDefaults, kStart + 4 * d * kDay);
  EXPECT_EQ(class_of(e, kStart + 16 * kDay), SourceClass::known);
  EXPECT_EQ(class_of(steady(4, 10), kStart + 3 * kDay), SourceClass::unknown) << "four days are too few";
  const Judgement j = judge(steady(1, 1000), {}, kDefaults, kStart);
  EXPECT_EQ(j.source_class, SourceClass::unknown) << "a blast on one day";
  EXPECT_EQ(j.ground, Ground::few_days);
}

TEST(Judge, LongGoodVolumeMakesTrusted) {
  EXPECT_EQ(class_of(steady(17, 5000), kStart + 16 * kDay), SourceClass::known);
  EXPECT_EQ(class_of(steady(19, 5000), kStart + 18 * kDay), SourceClass::trusted);
  Evidence office;
  for (int d = 0; d < 365; ++d)
    if (d % 7 < 5) add(office, Kind::accepted, 10, kDefaults, kStart + d * kDay);
  EXPECT_EQ(class_of(office, kStart + 364 * kDay), SourceClass::known);
}

TEST(Judge, TlsThatNobodyReadsMakesKnownAtMost) {
  Evidence e;
  for (int d = 0; d < 365; ++d) add(e, Kind::orderly_tls, 1000, kDefaults, kStart + d * kDay);
  const Judgement j = judge(e, {}, kDefaults, kStart + 364 * kDay);
  EXPECT_EQ(j.source_class, SourceClass::known);
  EXPECT_EQ(j.ground, Ground::not_sure);
  for (int d = 365; d < 400; ++d) add(e, Kind::accepted, 500, kDefaults, kStart + d * kDay);
  EXPECT_EQ(class_of(e, kStart + 399 * kDay), SourceClass::trusted) << "once its log is followed";
}

TEST(Judge, OneEarlyTalkMakesSuspectWhileItsPenaltyRuns) {
  Evidence e = of({{Kind::early_talk, 1}});
  penalise(e, kStart + kMinute, 1, kStart);
  EXPECT_EQ(class_of(e, kStart), SourceClass::suspect);
  EXPECT_EQ(judge(e, {}, kDefaults, kStart).ground, Ground::penalty);
  EXPECT_EQ(class_of(e, kStart + kMinute - std::chrono::seconds{1}), SourceClass::suspect);
  EXPECT_EQ(class_of(e, kStart + kMinute), SourceClass::unknown);
  EXPECT_EQ(next_change(e, {}, kDefaults, kStart), kStart + kMinute);
  EXPECT_EQ(class_of(of({{Kind::early_talk, 2}}), kStart + kHour), SourceClass::suspect) << "two, for longer";
}

TEST(Judge, RepeatedAbuseWithoutAGoodPastIsBlocked) {
  EXPECT_EQ(class_of(of({{Kind::early_talk, 4}}), kStart), SourceClass::blocked);
  EXPECT_EQ(class_of(of({{Kind::unknown_recipient, 250}}), kStart), SourceClass::blocked);
  Evidence e = steady(60, 10);
  const WallSeconds t = kStart + 59 * kDay;
  add(e, Kind::early_talk, 9, kDefaults, t);
  EXPECT_LT(score_of(e, t), kDefaults.thresholds.blocked);
  EXPECT_EQ(judge(e, {}, kDefaults, t).ground, Ground::good_past);
  EXPECT_EQ(class_of(e, t), SourceClass::suspect) << "its mail may be wanted";
}

TEST(Judge, PenaltyAndRateHoldDownButNeverFree) {
  Evidence trusted = steady(60, 5000);
  const WallSeconds t = kStart + 60 * kDay;
  penalise(trusted, t + kHour, 1, t);
  EXPECT_EQ(class_of(trusted, t), SourceClass::trusted) << "as the dataplane does";
  trusted.rate.step = RateStep::delayed;
  trusted.rate.calm_at = to_u32(t + kMinute);
  EXPECT_EQ(class_of(trusted, t), SourceClass::unknown);
  trusted.rate.step = RateStep::suspect;
  EXPECT_EQ(class_of(trusted, t), SourceClass::suspect);
  EXPECT_EQ(class_of(trusted, t + kMinute), SourceClass::trusted);
  Evidence blocked = of({{Kind::early_talk, 5}});
  penalise(blocked, kStart + kHour, 5, kStart);
  blocked.rate = {1, to_u32(kStart + kHour), 0, 0, 0, RateStep::delayed, 1};
  EXPECT_EQ(class_of(blocked, kStart), SourceClass::blocked);
}

TEST(Judge, StandingsCountWithoutFading) {
  EXPECT_EQ(judge({}, {4, {}, {}}, kDefaults, kStart).source_class, SourceClass::suspect);
  EXPECT_EQ(judge({}, {7, {}, {}}, kDefaults, kStart).source_class, SourceClass::blocked);
  EXPECT_EQ(judge({}, {-1, {}, {}}, kDefaults, kStart).source_class, SourceClass::known) << "an allow list's word";
  EXPECT_EQ(judge({}, {0, SourceClass::trusted, {}}, kDefaults, kStart).source_class, SourceClass::trusted);
  const Evidence abusive = of({{Kind::early_talk, 2}});
  const Judgement j = judge(abusive, {0, SourceClass::trusted, {}}, kDefaults, kStart);
  EXPECT_EQ(j.source_class, SourceClass::suspect) << "an abusive address in a trusted group is judged by its own";
  EXPECT_EQ(judge(abusive, {0, {}, SourceClass::exempt}, kDefaults, kStart).source_class, SourceClass::exempt);
  EXPECT_EQ(judge(steady(5, 10), {0, SourceClass::suspect, {}}, kDefaults, kStart + 4 * kDay).source_class,
            SourceClass::known);
}

TEST(Judge, ReasonsAddUpToTheScoreAndComeByTheirWeight) {
  const Evidence e = of({{Kind::early_talk, 2}, {Kind::unknown_recipient, 64}, {Kind::accepted, 3}});
  const Judgement j = judge(e, {1, {}, {}}, kDefaults, kStart + kDay);
  double sum = 0, before = 1e9;
  for (const Reason& r : j.reasons()) {
    sum += r.points;
    EXPECT_LE(std::abs(r.points), before);
    before = std::abs(r.points);
  }
  EXPECT_NEAR(sum, j.score, 1e-9);
  ASSERT_EQ(j.reasons().size(), 5u);  // and a day with mail
  EXPECT_EQ(j.reasons()[0].kind, Kind::early_talk);
}

class Chance {
 public:
  explicit Chance(uint64_t seed) : random_(seed) {}
  double upto(double most) { return std::uniform_real_distribution<double>(0, most)(random_); }
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  Kind kind() {
    Kind k;
    do k = kind_at(static_cast<size_t>(below(kKept)));
    while (k == Kind::mail_days);
    return k;
  }
  Evidence evidence(WallSeconds& t) {
    Evidence e;
    const int n = below(40);
    for (int i = 0; i < n; ++i) {
      add(e, kind(), 0.01 + std::exp(upto(8)), kDefaults, t);
      t += std::chrono::seconds{below(4 * 86'400)};
    }
    if (below(4) == 0) penalise(e, t + std::chrono::seconds{below(86'400)}, 1, t);
    if (below(4) == 0) e.rate = {1, to_u32(t) + static_cast<uint32_t>(below(1000)), 0, 0, 0, RateStep::delayed, 1};
    return e;
  }

 private:
  std::mt19937_64 random_;
};

TEST(Judge, MoreGoodNeverHarmsAndMoreBadNeverHelps) {
  Chance chance(1);
  for (int i = 0; i < 20'000; ++i) {
    WallSeconds t = kStart;
    Evidence e = chance.evidence(t);
    const Judgement before = judge(e, {}, kDefaults, t);
    const Kind k = chance.kind();
    add(e, k, 0.01 + chance.upto(2000), kDefaults, t);
    const Judgement after = judge(e, {}, kDefaults, t);
    const double slack = 1e-4 * (1 + std::abs(before.score));
    if (side_of(k) == Side::good) {
      ASSERT_GE(after.score, before.score - slack) << to_string(k);
      ASSERT_LE(after.own, std::max(before.own, after.own == before.own ? before.own : SourceClass::unknown))
          << to_string(k);
      ASSERT_LE(after.own, before.own) << to_string(k);
    } else {
      ASSERT_LE(after.score, before.score + slack) << to_string(k);
      ASSERT_GE(after.own, before.own) << to_string(k);
    }
  }
}

TEST(Judge, TimeAloneNeverTurnsTheSignNorLeadsAwayFromUnknown) {
  Chance chance(2);
  for (int i = 0; i < 5'000; ++i) {
    WallSeconds t = kStart;
    Evidence e = chance.evidence(t);
    e.penalty_until = e.rate.calm_at = 0;
    Judgement before = judge(e, {}, kDefaults, t);
    for (int d = 0; d < 40; ++d) {
      t += std::chrono::seconds{chance.below(20 * 86'400)};
      const Judgement after = judge(e, {}, kDefaults, t);
      ASSERT_LE(std::abs(after.score), std::abs(before.score) * (1 + 1e-9));
      ASSERT_GE(after.score * before.score, 0);
      const auto off = [](SourceClass c) {
        return std::abs(static_cast<int>(c) - static_cast<int>(SourceClass::unknown));
      };
      ASSERT_LE(off(after.own), off(before.own));
      before = after;
    }
  }
}

TEST(Judge, NextChangeIsNeverTooLate) {
  Chance chance(3);
  int changes = 0;
  for (int i = 0; i < 3'000; ++i) {
    WallSeconds t = kStart;
    const Evidence e = chance.evidence(t);
    const Standing st{chance.below(3) == 0 ? chance.upto(8) - 4 : 0, {}, {}};
    while (t < kStart + 3650 * kDay) {
      const auto next = next_change(e, st, kDefaults, t);
      const SourceClass now = judge(e, st, kDefaults, t).own;
      const WallSeconds until = next.value_or(kStart + 3650 * kDay);
      ASSERT_GT(until, t);
      for (int n = 0; n < 5; ++n) {
        const WallSeconds between =
            t + std::chrono::seconds{static_cast<int64_t>(chance.upto(static_cast<double>((until - t).count() - 1)))};
        ASSERT_EQ(judge(e, st, kDefaults, between).own, now);
      }
      ASSERT_EQ(judge(e, st, kDefaults, until - std::chrono::seconds{1}).own, now);
      if (!next) break;
      changes += judge(e, st, kDefaults, until).own != now;
      t = until;
    }
  }
  EXPECT_GT(changes, 1000);
}

TEST(Settings, AreCheckedWithTheirNameValueAndRange) {
  EXPECT_TRUE(check(kDefaults));
  Settings s;
  s.thresholds.trusted = 5;
  EXPECT_EQ(check(s).error(), "thresholds trusted 5: not between 10 and 1000000");
  s = {};
  s.weights[index(Kind::spam)] = 1;
  EXPECT_EQ(check(s).error(), "weight spam 1: not between -1000 and 0");
  s = {};
  s.thresholds.suspect = std::nan("");
  EXPECT_FALSE(check(s));
  s = {};
  s.half_life = std::chrono::seconds{1};
  EXPECT_EQ(check(s).error(), "half-life (s) 1: not between 3600 and 315360000");
}

}  // namespace
}  // namespace mire::reputation
