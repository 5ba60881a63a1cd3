#include "controlplane/reputation/evidence.h"

#include "tests/unit/reputation/support.h"

namespace mire::reputation {
namespace {

const Settings kDefaults;

double amount(const Evidence& e, Kind k, WallSeconds now) { return e.amounts[index(k)] * faded(e, kDefaults, now); }

TEST(Evidence, LosesHalfInEachHalfLife) {
  Evidence e;
  add(e, Kind::ham, 80, kDefaults, kStart);
  EXPECT_NEAR(amount(e, Kind::ham, kStart), 80, 1e-3);
  EXPECT_NEAR(amount(e, Kind::ham, kStart + 30 * kDay), 40, 1e-3);
  EXPECT_NEAR(amount(e, Kind::ham, kStart + 90 * kDay), 10, 1e-3);
}

TEST(Evidence, FadesAlikeHoweverOftenItIsTouched) {
  Evidence often, rarely;
  WallSeconds t = kStart;
  for (int i = 0; i < 20'000; ++i, t += std::chrono::seconds{130}) add(often, Kind::gave_up, 0.001, kDefaults, t);
  double exact = 0;
  for (int i = 0; i < 20'000; ++i) exact += 0.001 * std::exp2(-130.0 * (20'000 - i) / (30 * 86'400));
  EXPECT_NEAR(amount(often, Kind::gave_up, t), exact, exact * 1e-3) << "nothing is lost to rounding";
}

TEST(Evidence, CountsDaysWithMailOnceEach) {
  Evidence e;
  for (int hour = 0; hour < 48; ++hour) add(e, Kind::accepted, 1, kDefaults, kStart + hour * kHour);
  EXPECT_NEAR(amount(e, Kind::mail_days, kStart + 47 * kHour), 1 + std::exp2(-47.0 / 24 / 30), 0.03);
  add(e, Kind::refusal, 1, kDefaults, kStart + 3 * kDay);
  EXPECT_LT(amount(e, Kind::mail_days, kStart + 3 * kDay), 2) << "refused mail makes no day";
  add(e, Kind::orderly_tls, 1, kDefaults, kStart + 3 * kDay);
  EXPECT_GT(amount(e, Kind::mail_days, kStart + 3 * kDay), 2.7);
}

TEST(Evidence, NewEvidenceDisplacesContraryEvidenceInAFullMemory) {
  Evidence e;
  add(e, Kind::unknown_recipient, 500, kDefaults, kStart);
  add(e, Kind::early_talk, 2, kDefaults, kStart);
  add(e, Kind::accepted, 1000, kDefaults, kStart);
  EXPECT_NEAR(amount(e, Kind::unknown_recipient, kStart), 500, 1e-3);
  add(e, Kind::accepted, 1000, kDefaults, kStart);
  EXPECT_NEAR(amount(e, Kind::accepted, kStart), 1000, 1e-3);
  EXPECT_NEAR(amount(e, Kind::unknown_recipient, kStart), 250, 1e-3);
  EXPECT_NEAR(amount(e, Kind::early_talk, kStart), 1, 1e-3);
  add(e, Kind::spam, 3000, kDefaults, kStart);
  EXPECT_NEAR(amount(e, Kind::accepted, kStart), 1000 / 3.0, 1e-2);
  EXPECT_NEAR(amount(e, Kind::early_talk, kStart), 1, 1e-3) << "its own side stays";
}

TEST(Evidence, KeepsTheSharesOfASourceOfMillions) {
  Evidence e;
  WallSeconds t = kStart;
  for (int i = 0; i < 200'000; ++i, t += std::chrono::seconds{20})
    add(e, i % 20 == 0 ? Kind::unknown_recipient : Kind::accepted, 1, kDefaults, t);
  EXPECT_NEAR(amount(e, Kind::accepted, t), 1000, 1);
  EXPECT_NEAR(amount(e, Kind::unknown_recipient, t), 1000 / 19.0, 5);
}

TEST(Evidence, SurvivesAClockThatGoesBack) {
  Evidence e;
  add(e, Kind::accepted, 10, kDefaults, kStart);
  add(e, Kind::accepted, 10, kDefaults, kStart - 10 * kDay);
  EXPECT_NEAR(amount(e, Kind::accepted, kStart), 20, 1e-3);
  EXPECT_EQ(e.last_seen, to_u32(kStart));
}

}  // namespace
}  // namespace mire::reputation
