#include "controlplane/reputation/judge.h"

#include <algorithm>
#include <cmath>

namespace mire::reputation {
namespace {

using policy::SourceClass;

constexpr std::array<std::string_view, 9> kGroundNames = {
#define X(name, text) #name,
    MIRE_GROUNDS(X)
#undef X
};
constexpr std::array<std::string_view, 9> kGroundTexts = {
#define X(name, text) text,
    MIRE_GROUNDS(X)
#undef X
};

// Whose badness is less than four times its good is never blocked: its mail may be wanted.
constexpr double kGoodPast = 4;

// Points that fade, and points that stand; of each what counts for the class.
struct Sums {
  double good = 0, bad = 0;  // both positive
  double vouched = 0;        // of good: others' word
  double accepted = 0;       // of good
  double days = 0;           // an amount
  double stands_good = 0, stands_bad = 0;
};

constexpr bool is_word_of_others(Kind k) noexcept { return k == Kind::outbound || k == Kind::ham; }

Sums sum_up(const Evidence& e, const Standing& st, const Settings& s, double left) noexcept {
  Sums sums;
  for (size_t i = 0; i < kKept; ++i) {
    const double points = e.amounts[i] * left * s.weights[i];
    (points >= 0 ? sums.good : sums.bad) += std::abs(points);
    if (is_word_of_others(kind_at(i))) sums.vouched += points;
  }
  sums.accepted = e.amounts[index(Kind::accepted)] * left * s.weights[index(Kind::accepted)];
  sums.days = e.amounts[index(Kind::mail_days)] * left;
  const double stands = st.list_weight * s.weights[index(Kind::dnsbl)];
  (stands >= 0 ? sums.stands_good : sums.stands_bad) = std::abs(stands);
  return sums;
}

struct Own {
  SourceClass source_class;
  Ground ground;
};

Own by_score(const Sums& sums, const Settings& s) noexcept {
  const double good = sums.good + sums.stands_good, bad = sums.bad + sums.stands_bad, score = good - bad;
  const double vouched = sums.vouched + sums.stands_good;
  if (score <= s.thresholds.blocked && kGoodPast * good < bad) return {SourceClass::blocked, Ground::score};
  if (score <= s.thresholds.blocked) return {SourceClass::suspect, Ground::good_past};
  if (score <= s.thresholds.suspect) return {SourceClass::suspect, Ground::score};
  if (score < s.thresholds.known) return {SourceClass::unknown, score == 0 ? Ground::nothing : Ground::score};
  if (sums.days < s.days_known && vouched < s.thresholds.known) return {SourceClass::unknown, Ground::few_days};
  if (score < s.thresholds.trusted) return {SourceClass::known, Ground::score};
  if (sums.days < s.days_trusted || sums.accepted + vouched < s.sure_trusted)
    return {SourceClass::known, Ground::not_sure};
  return {SourceClass::trusted, Ground::score};
}

// What runs at the moment.
Own held_down(Own own, bool penalty, RateStep step) noexcept {
  const SourceClass c = own.source_class;
  const bool fair = c == SourceClass::known || c == SourceClass::unknown;
  if (penalty && fair) return {SourceClass::suspect, Ground::penalty};
  if (step == RateStep::suspect && (fair || c == SourceClass::trusted)) return {SourceClass::suspect, Ground::rate};
  if (step == RateStep::delayed && (fair || c == SourceClass::trusted)) return {SourceClass::unknown, Ground::rate};
  return own;
}

// Sorted as they come: there are few.
void give_reasons(Judgement& j, const Evidence& e, const Standing& st, const Settings& s, double left) noexcept {
  for (size_t i = 0; i < kKinds; ++i) {
    const double count = i < kKept ? e.amounts[i] * left : st.list_weight;
    if (count == 0) continue;
    const Reason reason{kind_at(i), count, count * s.weights[i]};
    size_t at = j.reasons_held++;
    for (; at > 0 && std::abs(j.reasons_room[at - 1].points) < std::abs(reason.points); --at)
      j.reasons_room[at] = j.reasons_room[at - 1];
    j.reasons_room[at] = reason;
  }
}

}  // namespace

std::string_view to_string(Ground g) noexcept { return kGroundNames[static_cast<size_t>(g)]; }
std::string_view describe(Ground g) noexcept { return kGroundTexts[static_cast<size_t>(g)]; }

Judgement judge(const Evidence& e, const Standing& st, const Settings& s, WallSeconds now) noexcept {
  const double left = faded(e, s, now);
  const Sums sums = sum_up(e, st, s, left);
  Judgement j;
  j.score = sums.good + sums.stands_good - sums.bad - sums.stands_bad;
  j.penalty = e.penalty_until > to_u32(now);
  j.step = step_at(e.rate, now);
  const Own own = held_down(by_score(sums, s), j.penalty, j.step);
  j.own = j.source_class = own.source_class;
  j.ground = own.ground;
  if (st.shared) {
    const bool open = own.source_class == SourceClass::unknown && own.ground != Ground::rate;
    const bool better = own.source_class == SourceClass::known && *st.shared == SourceClass::trusted;
    if ((open && *st.shared != SourceClass::unknown) || better) {
      j.source_class = *st.shared;
      j.ground = Ground::shared;
    }
  }
  if (st.listed) {
    j.source_class = *st.listed;
    j.ground = Ground::listed;
  }
  give_reasons(j, e, st, s, left);
  return j;
}

std::optional<WallSeconds> next_change(const Evidence& e, const Standing& st, const Settings& s,
                                       WallSeconds now) noexcept {
  const Sums sums = sum_up(e, st, s, faded(e, s, now));
  const auto half_life = static_cast<double>(s.half_life.count());
  const uint32_t t = to_u32(now);
  double soonest = INFINITY;
  // When what fades, and with it what stands, comes to `threshold`.
  const auto meets = [&](double fades, double stands, double threshold) {
    const double left = (threshold - stands) / fades;
    if (left > 0 && left <= 1) soonest = std::min(soonest, -half_life * std::log2(left));
  };
  const double fades = sums.good - sums.bad, stands = sums.stands_good - sums.stands_bad;
  for (const double threshold : {s.thresholds.known, s.thresholds.trusted, s.thresholds.suspect, s.thresholds.blocked})
    meets(fades, stands, threshold);
  if (sums.good > 0) {
    meets(sums.days, 0, s.days_known);
    meets(sums.days, 0, s.days_trusted);
    meets(sums.vouched, sums.stands_good, s.thresholds.known);
    meets(sums.accepted + sums.vouched, sums.stands_good, s.sure_trusted);
  }
  if (stands != 0) meets(kGoodPast * sums.good - sums.bad, kGoodPast * sums.stands_good - sums.stands_bad, 0);
  std::optional<uint32_t> at;
  const auto also = [&](double when) {
    if (when < UINT32_MAX) at = std::min(at.value_or(UINT32_MAX), static_cast<uint32_t>(when));
  };
  also(t + std::floor(soonest) + 1);
  if (e.penalty_until > t) also(e.penalty_until);
  if (e.rate.step != RateStep::calm && e.rate.calm_at > t) also(e.rate.calm_at);
  if (!at) return std::nullopt;
  return from_u32(*at);
}

}  // namespace mire::reputation
