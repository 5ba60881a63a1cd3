#include "controlplane/reputation/rate.h"

#include <algorithm>
#include <cmath>

#include "controlplane/reputation/evidence.h"

namespace mire::reputation {
namespace {

constexpr double kPrior = 64;  // busy minutes that the first guess weighs as much as

uint16_t minute_of(WallSeconds now) noexcept { return static_cast<uint16_t>(to_u32(now) / 60); }

void learn(Rate& r, const RateSettings& s) noexcept {
  if (r.in_minute == 0) return;
  const double taught = std::min<double>(r.in_minute, rate_limit(r.learned, s));
  const double window = std::min<double>(r.minutes + kPrior, s.memory);
  r.learned = static_cast<float>(r.learned + (taught - r.learned) / window);
  r.minutes = static_cast<uint16_t>(std::min<uint32_t>(r.minutes + 1u, s.memory));
}

}  // namespace

// Geometric: P(X >= x) = (m / (1 + m))^x for the mean m.
double rate_limit(double learned, const RateSettings& s) noexcept {
  const double m = std::max(learned, 1e-3);
  return std::max<double>(s.floor, -std::log(s.chance) / std::log1p(1 / m));
}

bool connected(Rate& r, bool idle, const RateSettings& s, WallSeconds now) noexcept {
  const RateStep before = step_at(r, now);
  if (before == RateStep::calm) r.step = RateStep::calm, r.strain = 0;
  if (idle || r.minute != minute_of(now)) {
    learn(r, s);
    r.in_minute = 0;
    r.minute = minute_of(now);
  }
  if (r.in_minute < UINT16_MAX) ++r.in_minute;
  if (r.in_minute <= s.floor) return false;
  const double limit = rate_limit(r.learned, s);
  if (r.in_minute <= limit) return false;
  const bool first_of_minute = r.in_minute - 1 <= limit;
  if (first_of_minute && r.strain < UINT8_MAX) ++r.strain;
  r.step = r.strain > s.suspect_after ? RateStep::suspect : RateStep::delayed;
  r.calm_at = to_u32(now + s.cool_down);
  return r.step != before;
}

RateStep step_at(const Rate& r, WallSeconds now) noexcept { return r.calm_at > to_u32(now) ? r.step : RateStep::calm; }

uint32_t rate_now(const Rate& r, bool idle, WallSeconds now) noexcept {
  return idle || r.minute != minute_of(now) ? 0 : r.in_minute;
}

}  // namespace mire::reputation
