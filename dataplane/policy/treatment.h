// treatment.h - what a class gets. Filled from the configuration, read-only on the lcores.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/policy/types.h"

namespace mire::policy {

inline constexpr uint32_t kHoldCapMs =
    30'000;  // clients give up at 30 s (RFC 5321 4.5.3.2 grants 5 min; real ones do not wait)

// A uniformly random hold; {0, 0}: none. min <= max <= kHoldCapMs.
struct HoldRange {
  uint16_t min_ms = 0;
  uint16_t max_ms = 0;
  friend constexpr bool operator==(HoldRange, HoldRange) noexcept = default;
};

enum class OnSyn : uint8_t {
  pass,
  drop,
  reset,
  reject,  // we complete the handshake, refuse by an SMTP reply and close; the server hears nothing
  trap,    // we complete the handshake and take nothing, for as long as it likes; the server hears nothing
};
enum class Withhold : uint8_t { none, banner, defer };  // defer: banner, until the server's profile is learned
enum class OnEarlyTalk : uint8_t { count, reset, reject };
enum class OnPipelining : uint8_t { count, reset };
enum class OnJoined : uint8_t { pass, reset };  // a segment of a flow that nobody has seen begin

struct Treatment {
  OnSyn syn = OnSyn::pass;
  Withhold withhold = Withhold::none;
  OnEarlyTalk early_talk = OnEarlyTalk::reset;
  OnPipelining pipelining = OnPipelining::count;
  OnJoined joined = OnJoined::pass;
  bool judged = true;    // false: exempt, no entry, no counting beyond the reason `exempt`
  bool observe = false;  // judge and count, enforce nothing
  bool teaser = false;   // with defer: the first line of the greeting goes out at once
  HoldRange syn_ack;
  HoldRange greeting;
  uint32_t concurrent = 0;  // flows of one source at once; 0: no limit
  uint32_t per_minute = 0;  // new flows of one source a minute; 0: no limit
  friend constexpr bool operator==(const Treatment&, const Treatment&) noexcept = default;
};

// How fast strangers may reach a server.
struct Pace {
  uint32_t concurrent = 32;  // dialled and not yet greeted
  uint32_t per_second = 0;   // 0: no limit
  friend constexpr bool operator==(const Pace&, const Pace&) noexcept = default;
};

// What of it is `lcore`'s, of `lcores` that know nothing of each other: all parts together are the whole, but that
// nobody's part is none. A number below `lcores` becomes one for each.
[[nodiscard]] constexpr Pace share_of(const Pace& whole, unsigned lcore, unsigned lcores) noexcept {
  const auto part = [&](uint32_t n) {
    const uint32_t mine = n / lcores + (lcore < n % lcores ? 1 : 0);
    return n != 0 && mine == 0 ? 1 : mine;
  };
  return {part(whole.concurrent), part(whole.per_second)};
}

// How much is sent to trapped sources, by the whole box: who is forged as one is sent no more.
struct TrapRate {
  uint32_t per_second = 50'000;  // answers
  uint32_t per_source = 1000;    // of these, to one source
  friend constexpr bool operator==(const TrapRate&, const TrapRate&) noexcept = default;
};

using Treatments = std::array<Treatment, kClasses>;

// The table of the design: exempt never judged, trusted and known at once, unknown 1 to 5 s, suspect SYN-ACK 0.2 to 0.9
// s and 5 to 15 s with 20 flows at once and 60 a minute, blocked dropped.
[[nodiscard]] Treatments default_treatments() noexcept;

}  // namespace mire::policy
