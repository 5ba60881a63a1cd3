// checksum.h - the Internet checksum (RFC 1071) and its incremental update (RFC 1624 eqn. 3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/wire/address.h"

namespace mire::wire {

// One's-complement sum, not folded; chain calls with even lengths except the last. Byte order: as loaded (native), so
// that the folded complement can be stored as it is.
[[nodiscard]] uint64_t sum(std::span<const uint8_t> bytes, uint64_t start = 0) noexcept;
// Folded and complemented; store with memcpy.
[[nodiscard]] constexpr uint16_t fold(uint64_t s) noexcept {
  s = (s & 0xffffffff) + (s >> 32);
  s = (s & 0xffffffff) + (s >> 32);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  return static_cast<uint16_t>(~s);
}

// The sum of TCP's pseudo-header, to start the sum of the segment with. Both addresses are of one family.
[[nodiscard]] uint64_t pseudo_sum(const Address& source, const Address& destination, uint16_t tcp_length) noexcept;

// The checksum (as it lies in the packet, native load) after a 16-bit word (native load) changed from `was` to `is`.
[[nodiscard]] constexpr uint16_t updated(uint16_t checksum, uint16_t was, uint16_t is) noexcept {
  uint32_t s = static_cast<uint16_t>(~checksum) + static_cast<uint32_t>(static_cast<uint16_t>(~was)) + is;
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  return static_cast<uint16_t>(~s);
}

}  // namespace mire::wire
