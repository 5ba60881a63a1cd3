#include "controlplane/reputation/settings.h"

#include <fmt/format.h>

#include <cmath>

namespace mire::reputation {
namespace {

constexpr double kMostPoints = 1e6;

Error out_of_range(std::string_view what, double value, double low, double high) {
  return {fmt::format("{} {}: not between {} and {}", what, value, low, high)};
}

bool within(double v, double low, double high) { return v >= low && v <= high; }  // false for NaN, too

Status check_thresholds(const Thresholds& t) {
  if (!within(t.known, 0.1, kMostPoints)) return out_of_range("thresholds known", t.known, 0.1, kMostPoints);
  if (!within(t.trusted, t.known, kMostPoints))
    return out_of_range("thresholds trusted", t.trusted, t.known, kMostPoints);
  if (!within(t.suspect, -kMostPoints, -0.1)) return out_of_range("thresholds suspect", t.suspect, -kMostPoints, -0.1);
  if (!within(t.blocked, -kMostPoints, t.suspect))
    return out_of_range("thresholds blocked", t.blocked, -kMostPoints, t.suspect);
  return success();
}

Status check_weights(const Settings& s) {
  for (size_t i = 0; i < kKinds; ++i) {
    const bool good = side_of(kind_at(i)) == Side::good;
    const double low = good ? 0 : -1000, high = good ? 1000 : 0;
    if (!within(s.weights[i], low, high))
      return out_of_range(fmt::format("weight {}", to_string(kind_at(i))), s.weights[i], low, high);
  }
  return success();
}

Status check_rate(const RateSettings& r) {
  if (!within(r.floor, 1, 60'000)) return out_of_range("rate floor", r.floor, 1, 60'000);
  if (!within(r.chance, 1e-12, 0.1)) return out_of_range("rate chance", r.chance, 1e-12, 0.1);
  if (!within(r.memory, 64, 65'535)) return out_of_range("rate memory", r.memory, 64, 65'535);
  if (!within(r.suspect_after, 1, 255)) return out_of_range("rate suspect-after", r.suspect_after, 1, 255);
  const auto cool_down = static_cast<double>(r.cool_down.count());
  if (!within(cool_down, 1, 86'400)) return out_of_range("rate cool-down (s)", cool_down, 1, 86'400);
  return success();
}

}  // namespace

Status check(const Settings& s) {
  const auto half_life = static_cast<double>(s.half_life.count());
  if (!within(half_life, 3600, 3650 * 86'400.0)) return out_of_range("half-life (s)", half_life, 3600, 3650 * 86'400.0);
  if (Status bad = check_thresholds(s.thresholds); !bad) return bad;
  if (Status bad = check_weights(s); !bad) return bad;
  if (!within(s.memory, 10, 100'000)) return out_of_range("memory", s.memory, 10, 100'000);
  if (!within(s.days_known, 0, 365)) return out_of_range("days known", s.days_known, 0, 365);
  if (!within(s.days_trusted, 0, 365)) return out_of_range("days trusted", s.days_trusted, 0, 365);
  if (!within(s.sure_trusted, 0, kMostPoints)) return out_of_range("sure trusted", s.sure_trusted, 0, kMostPoints);
  if (!within(static_cast<double>(s.capacity), 1000, 100e6))
    return out_of_range("capacity", static_cast<double>(s.capacity), 1000, 100e6);
  return check_rate(s.rate);
}

}  // namespace mire::reputation
