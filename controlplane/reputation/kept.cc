#include "controlplane/reputation/kept.h"

#include <cmath>
#include <cstring>

namespace mire::reputation {
namespace {

constexpr uint8_t kVersion = 1;
static_assert(kKept == 12, "the order of kinds is part of the record: a new version, or a new kind at the end");

class Writer {
 public:
  template <typename T>
  void put(T v) {
    out_.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  template <typename T>
  T get() {
    T v{};
    if (left_.size() < sizeof v) {
      short_ = true;
      return v;
    }
    std::memcpy(&v, left_.data(), sizeof v);
    left_.remove_prefix(sizeof v);
    return v;
  }
  [[nodiscard]] bool exact() const { return !short_ && left_.empty(); }

 private:
  std::string_view left_;
  bool short_ = false;
};

bool sane(float v, float most) { return std::isfinite(v) && v >= 0 && v <= most; }

}  // namespace

std::string encode(const Kept& k) {
  const Evidence& e = k.evidence;
  uint16_t present = 0;
  for (size_t i = 0; i < kKept; ++i)
    if (e.amounts[i] > 0) present = static_cast<uint16_t>(present | 1u << i);
  Writer w;
  w.put(kVersion);
  w.put(static_cast<uint8_t>(k.own));
  w.put(present);
  for (const uint32_t v : {e.as_of, e.first_seen, e.last_seen, e.connections, e.penalty_until, k.since, e.rate.calm_at})
    w.put(v);
  w.put(e.rate.learned);
  for (const uint16_t v : {e.rate.in_minute, e.rate.minute, e.rate.minutes, e.last_mail_day}) w.put(v);
  w.put(static_cast<uint8_t>(e.rate.step));
  w.put(e.rate.strain);
  w.put(e.offences);
  for (const float a : e.amounts)
    if (a > 0) w.put(a);
  return w.take();
}

std::optional<Kept> decode(std::string_view bytes) noexcept {
  constexpr float kMostAmount = 1e9, kMostRate = 65'536;
  Reader r(bytes);
  if (r.get<uint8_t>() != kVersion) return std::nullopt;
  Kept k;
  Evidence& e = k.evidence;
  const auto own = r.get<uint8_t>();
  const auto present = r.get<uint16_t>();
  for (uint32_t* v :
       {&e.as_of, &e.first_seen, &e.last_seen, &e.connections, &e.penalty_until, &k.since, &e.rate.calm_at})
    *v = r.get<uint32_t>();
  e.rate.learned = r.get<float>();
  for (uint16_t* v : {&e.rate.in_minute, &e.rate.minute, &e.rate.minutes, &e.last_mail_day}) *v = r.get<uint16_t>();
  const auto step = r.get<uint8_t>();
  e.rate.strain = r.get<uint8_t>();
  e.offences = r.get<uint8_t>();
  if (own >= policy::kClasses || step > static_cast<uint8_t>(RateStep::suspect) || present >= 1u << kKept)
    return std::nullopt;
  k.own = static_cast<policy::SourceClass>(own);
  e.rate.step = static_cast<RateStep>(step);
  for (size_t i = 0; i < kKept; ++i) {
    if ((present >> i & 1) == 0) continue;
    e.amounts[i] = r.get<float>();
    if (!sane(e.amounts[i], kMostAmount) || e.amounts[i] == 0) return std::nullopt;
  }
  if (!r.exact() || !sane(e.rate.learned, kMostRate)) return std::nullopt;
  return k;
}

std::string key_bytes(SourceKey key) {
  const uint64_t big = __builtin_bswap64(key);
  return {reinterpret_cast<const char*>(&big), sizeof big};
}

std::optional<SourceKey> key_from(std::string_view bytes) noexcept {
  uint64_t big;
  if (bytes.size() != sizeof big) return std::nullopt;
  std::memcpy(&big, bytes.data(), sizeof big);
  const SourceKey key = __builtin_bswap64(big);
  if (is_v4(key) && key > UINT32_MAX) return std::nullopt;
  return key;
}

}  // namespace mire::reputation
