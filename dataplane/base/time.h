// time.h - one clock for the whole appliance, and never a hidden one.
//
// Time is CLOCK_MONOTONIC in nanoseconds: what bpf_ktime_get_ns() reads in the kernel, so a heartbeat written here can
// be judged there. Rooms that decide take the time as an argument; only main loops read it. Reading costs about 25 ns
// (vDSO), once a burst.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>

namespace mire {

using Duration = std::chrono::nanoseconds;

struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock, Duration>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return time_point{std::chrono::seconds{t.tv_sec} + Duration{t.tv_nsec}};
  }
};

using Time = MonotonicClock::time_point;

using std::chrono::milliseconds;
using std::chrono::seconds;

// Whole milliseconds since the clock's epoch: the tick of the calendar.
[[nodiscard]] constexpr uint64_t to_ms(Time t) noexcept {
  return static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(t.time_since_epoch()).count());
}

[[nodiscard]] constexpr Time from_ms(uint64_t ms) noexcept { return Time{milliseconds{ms}}; }

}  // namespace mire
