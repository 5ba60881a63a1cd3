// seq.h - TCP sequence numbers: 32 bits that wrap, compared by distance (RFC 9293 3.4).
#pragma once

#include <cstdint>

namespace mire::wire {

struct SeqNo {
  uint32_t value = 0;  // host byte order

  friend constexpr bool operator==(SeqNo, SeqNo) noexcept = default;
  friend constexpr SeqNo operator+(SeqNo a, uint32_t n) noexcept { return {a.value + n}; }
  friend constexpr SeqNo operator-(SeqNo a, uint32_t n) noexcept { return {a.value - n}; }
  // Signed distance: a - b > 0 if a comes after b, for distances below 2^31.
  friend constexpr int32_t operator-(SeqNo a, SeqNo b) noexcept { return static_cast<int32_t>(a.value - b.value); }
  friend constexpr bool operator<(SeqNo a, SeqNo b) noexcept { return (a - b) < 0; }
  friend constexpr bool operator<=(SeqNo a, SeqNo b) noexcept { return (a - b) <= 0; }
  friend constexpr bool operator>(SeqNo a, SeqNo b) noexcept { return (a - b) > 0; }
  friend constexpr bool operator>=(SeqNo a, SeqNo b) noexcept { return (a - b) >= 0; }
};

}  // namespace mire::wire
