// evidence.h - all that is remembered of one source: amounts by kind that fade with time, and a few facts.
//
// Pure: time is an argument. An amount loses half of itself in each half-life. It is stored as of `as_of` and brought
// forward when it is an hour old; in between, new evidence is scaled back to that time, so nothing is lost to rounding.
// The memory is finite in volume too: an amount grows to Settings::memory and no further; what comes on top displaces
// contrary evidence in proportion. So a source of a million messages is judged by its latest thousands, the shares of
// good and bad among them are what remains, and none earns so much that it could not lose it.
// More good evidence never lowers a score, more bad never raises it, and time alone never turns its sign.
// Times are wall seconds, 32 bits (until 2106).
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "controlplane/reputation/kind.h"
#include "controlplane/reputation/rate.h"
#include "controlplane/reputation/settings.h"

namespace mire::reputation {

struct Evidence {
  std::array<float, kKept> amounts{};  // by Kind, as of `as_of`
  uint32_t as_of = 0;
  uint32_t first_seen = 0;  // 0: never
  uint32_t last_seen = 0;
  uint32_t connections = 0;    // all that were proven, not faded
  uint32_t penalty_until = 0;  // as the dataplane said it
  Rate rate;
  uint16_t last_mail_day = 0;  // days since 1970
  uint8_t offences = 0;        // behind the penalty; 255: that many or more
  friend bool operator==(const Evidence&, const Evidence&) = default;
};
static_assert(sizeof(Evidence) == 88, "with its key of 8 bytes 96: ten million sources, docs/reputation.md");
static_assert(std::is_trivially_copyable_v<Evidence>);

[[nodiscard]] constexpr uint32_t to_u32(WallSeconds t) noexcept {
  const auto s = t.time_since_epoch().count();
  return s < 0 ? 0 : s > UINT32_MAX ? UINT32_MAX : static_cast<uint32_t>(s);
}
[[nodiscard]] constexpr WallSeconds from_u32(uint32_t s) noexcept { return WallSeconds{std::chrono::seconds{s}}; }

// What is left at `now` of an amount of `as_of`: 1 down to 0. A clock that went back fades nothing.
[[nodiscard]] double faded(const Evidence&, const Settings&, WallSeconds now) noexcept;

// amount > 0; Kind::mail_days and Kind::dnsbl are not added: the first follows from accepted and orderly_tls.
void add(Evidence&, Kind, double amount, const Settings&, WallSeconds now) noexcept;
// A handshake was proven. True: its rate step has changed.
bool connected(Evidence&, const Settings&, WallSeconds now) noexcept;
// The dataplane has put a penalty on the source that runs until then; its latest word counts.
void penalise(Evidence&, WallSeconds until, uint32_t offences, WallSeconds now) noexcept;

}  // namespace mire::reputation
