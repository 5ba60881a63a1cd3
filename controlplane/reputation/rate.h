// rate.h - a source's learned rate of connections, and whether this minute fits it.
//
// Pure: time is an argument. The learned rate is the mean of connections in a busy minute (one with a connection at
// all), over the latest 2048 of them: so a newsletter that comes once a week is judged against its own bursts, and a
// gateway's night does not make its morning look strange. A minute is anomalous if so many connections would come by
// chance less often than once in a million busy minutes, were the source's own rate exponentially spread around the
// learned one (a geometric tail: a Poisson count is far narrower than real mail). What an anomalous minute teaches is
// cut at its limit. Steps: the first anomalous minutes delay the source, more of them make it suspect, and both end
// with the cool-down.
#pragma once

#include <cstdint>
#include <type_traits>

#include "controlplane/reputation/settings.h"

namespace mire::reputation {

enum class RateStep : uint8_t { calm, delayed, suspect };

struct Rate {
  float learned = 1;       // connections in a busy minute; what nobody knows yet is taken for a small sender
  uint32_t calm_at = 0;    // wall seconds; the step counts until then
  uint16_t in_minute = 0;  // connections in the latest busy minute, as far as it counts
  uint16_t minute = 0;     // that minute, its lower 16 bits
  uint16_t minutes = 0;    // busy minutes seen, up to the memory
  RateStep step = RateStep::calm;
  uint8_t strain = 0;  // anomalous minutes without a cool-down between them
  friend bool operator==(const Rate&, const Rate&) = default;
};
static_assert(sizeof(Rate) == 16);
static_assert(std::is_trivially_copyable_v<Rate>);

// More connections than these in one minute are anomalous for that learned rate.
[[nodiscard]] double rate_limit(double learned, const RateSettings&) noexcept;

// A connection was proven. `idle`: nothing was heard of the source for more than a day before. True: the step has
// changed.
bool connected(Rate&, bool idle, const RateSettings&, WallSeconds now) noexcept;

[[nodiscard]] RateStep step_at(const Rate&, WallSeconds now) noexcept;
// Connections in the minute that is running.
[[nodiscard]] uint32_t rate_now(const Rate&, bool idle, WallSeconds now) noexcept;

}  // namespace mire::reputation
