#include "controlplane/reputation/evidence.h"

#include <algorithm>
#include <cmath>

#include "dataplane/base/assert.h"

namespace mire::reputation {
namespace {

constexpr uint32_t kBringForward = 3600;  // seconds: how old the stored amounts may be when something is added
constexpr uint32_t kDay = 86'400;

double left_after(double seconds_gone, const Settings& s) noexcept {
  return std::exp2(-seconds_gone / static_cast<double>(s.half_life.count()));
}

void saw(Evidence& e, WallSeconds now) noexcept {
  const uint32_t t = to_u32(now);
  if (e.first_seen == 0) e.first_seen = t;
  e.last_seen = std::max(e.last_seen, t);
}

void scale_side(Evidence& e, Side side, double factor) noexcept {
  for (size_t i = 0; i < kKept; ++i)
    if (side_of(kind_at(i)) == side) e.amounts[i] = static_cast<float>(e.amounts[i] * factor);
}

void pour(Evidence& e, Kind kind, double amount, double most) noexcept {
  float& a = e.amounts[index(kind)];
  const double sum = a + amount;
  if (sum > most) scale_side(e, side_of(kind) == Side::good ? Side::bad : Side::good, most / sum);
  a = static_cast<float>(std::min(sum, most));
}

}  // namespace

double faded(const Evidence& e, const Settings& s, WallSeconds now) noexcept {
  const uint32_t t = to_u32(now);
  return t <= e.as_of ? 1 : left_after(t - e.as_of, s);
}

void add(Evidence& e, Kind kind, double amount, const Settings& s, WallSeconds now) noexcept {
  MIRE_ASSERT(index(kind) < kKept && kind != Kind::mail_days && amount > 0);
  const uint32_t t = to_u32(now);
  double left = faded(e, s, now);
  if (t >= e.as_of + kBringForward || e.as_of == 0) {
    for (float& a : e.amounts) a = static_cast<float>(a * left);
    e.as_of = t;
    left = 1;
  }
  saw(e, now);
  const double most = s.memory / left;
  pour(e, kind, amount / left, most);
  const auto day = static_cast<uint16_t>(t / kDay);
  if ((kind == Kind::accepted || kind == Kind::orderly_tls) && day > e.last_mail_day) {
    e.last_mail_day = day;
    pour(e, Kind::mail_days, 1 / left, most);
  }
}

bool connected(Evidence& e, const Settings& s, WallSeconds now) noexcept {
  const bool idle = to_u32(now) > e.last_seen + kDay;
  saw(e, now);
  if (e.connections < UINT32_MAX) ++e.connections;
  return connected(e.rate, idle, s.rate, now);
}

void penalise(Evidence& e, WallSeconds until, uint32_t offences, WallSeconds now) noexcept {
  saw(e, now);
  e.penalty_until = to_u32(until);
  e.offences = static_cast<uint8_t>(std::min(offences, 255u));
}

}  // namespace mire::reputation
