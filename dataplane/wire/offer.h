// offer.h - what a server's TCP offers in a SYN-ACK to a client that offers everything.
#pragma once

#include <cstdint>

namespace mire::wire {

inline constexpr uint8_t kMostWindowScale = 14;  // RFC 7323 2.3

struct Offer {
  uint16_t mss = 0;  // 0: none was named
  uint16_t window = 0;
  uint8_t window_scale = 0;
  bool has_window_scale = false;
  bool sack = false;
  bool timestamps = false;
  friend bool operator==(const Offer&, const Offer&) noexcept = default;
};

}  // namespace mire::wire
