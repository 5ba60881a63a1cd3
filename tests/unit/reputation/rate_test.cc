#include "controlplane/reputation/rate.h"

#include <cmath>
#include <numbers>

#include "tests/unit/reputation/support.h"

namespace mire::reputation {
namespace {

const RateSettings kDefaults;

// `n` connections spread over the minute that begins at `t`. The step at its end.
RateStep minute(Rate& r, int n, WallSeconds t) {
  for (int i = 0; i < n; ++i) connected(r, false, kDefaults, t + std::chrono::seconds{i * 60 / std::max(n, 1)});
  return step_at(r, t + std::chrono::seconds{59});
}

TEST(Rate, LimitIsTheGeometricTail) {
  for (const double mean : {5.0, 40.0, 200.0, 5000.0}) {
    const double limit = rate_limit(mean, kDefaults);
    if (limit > kDefaults.floor) {
      EXPECT_NEAR(std::pow(mean / (1 + mean), limit), 1e-6, 1e-8) << mean;
    }
  }
  EXPECT_EQ(rate_limit(1, kDefaults), 60) << "below the floor nothing is too much";
  EXPECT_NEAR(rate_limit(200, kDefaults) / 200, 13.8, 0.1);
}

TEST(Rate, ASmallSenderThatBurstsIsDelayedThenSuspectThenCalm) {
  Rate r;
  WallSeconds t = kStart;
  for (int day = 0; day < 30; ++day)
    for (int i = 0; i < 10; ++i) EXPECT_EQ(minute(r, 1 + i % 3, kStart + day * kDay + i * kHour), RateStep::calm);
  EXPECT_LT(r.learned, 3);
  t = kStart + 30 * kDay;
  for (int i = 0; i < 5; ++i, t += kMinute) EXPECT_EQ(minute(r, 300, t), RateStep::delayed) << "minute " << i;
  EXPECT_EQ(minute(r, 300, t), RateStep::suspect);
  EXPECT_LT(r.learned, 10) << "an anomalous minute teaches little";
  EXPECT_EQ(step_at(r, t + kMinute + kDefaults.cool_down), RateStep::calm);
  t += kHour;
  EXPECT_EQ(minute(r, 2, t), RateStep::calm);
  EXPECT_EQ(minute(r, 300, t + kMinute), RateStep::delayed) << "from the first step again";
}

TEST(Rate, IsToldWithinTheMinute) {
  Rate r;
  int at = 0;
  for (int i = 1; i <= 200 && at == 0; ++i)
    if (connected(r, false, kDefaults, kStart)) at = i;
  EXPECT_EQ(at, 61);
}

TEST(Rate, FirstContactInVolumeIsAnomalous) {
  Rate r;
  EXPECT_EQ(minute(r, 500, kStart), RateStep::delayed);
}

// A day from 20 to 600 connections a minute and back, and twice that on Mondays.
TEST(Rate, AMassiveGatewaysDailySwingIsCalmOnceItIsLearned) {
  Rate r;
  for (int m = 0; m < 21 * 1440; ++m) {
    const WallSeconds t = kStart + m * kMinute;
    const double swing = 310 - 290 * std::cos(2 * std::numbers::pi * (m % 1440) / 1440);
    const int n = static_cast<int>(swing * (m / 1440 % 7 == 0 ? 2 : 1));
    const RateStep step = minute(r, n, t);
    if (m > 1440) {
      ASSERT_EQ(step, RateStep::calm) << "minute " << m << ", " << n << " a minute, learned " << r.learned;
    }
  }
  EXPECT_NEAR(r.learned, 350, 120);
}

TEST(Rate, AWeeklyNewsletterIsJudgedAgainstItsOwnBursts) {
  Rate r;
  for (int week = 0; week < 12; ++week)
    for (int m = 0; m < 60; ++m) {
      const RateStep step = minute(r, 150, kStart + week * 7 * kDay + m * kMinute);
      if (week > 0) {
        ASSERT_EQ(step, RateStep::calm) << week << " " << m;
      }
    }
}

TEST(Rate, ASlowBotnetNodeIsNoMatterOfRate) {
  Rate r;
  for (int m = 0; m < 5000; m += 4) ASSERT_EQ(minute(r, 1, kStart + m * kMinute), RateStep::calm);
  EXPECT_NEAR(r.learned, 1, 0.01);
}

TEST(Rate, NowIsTheMinuteThatRuns) {
  Rate r;
  minute(r, 31, kStart);
  EXPECT_EQ(rate_now(r, false, kStart + std::chrono::seconds{59}), 31u);
  EXPECT_EQ(rate_now(r, false, kStart + kMinute), 0u);
  EXPECT_EQ(rate_now(r, true, kStart + 65536 * kMinute), 0u) << "the same lower bits, weeks later";
}

}  // namespace
}  // namespace mire::reputation
