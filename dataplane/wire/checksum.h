// checksum.h - the Internet checksum (RFC 1071) and its incremental update (RFC 1624 eqn. 3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/wire/address.h"

namespace mire::wire {

template <typename Word>
[[nodiscard]] inline uint64_t load_as(const uint8_t* p) noexcept {
  Word w;
  std::memcpy(&w, p, sizeof w);
  return w;
}

// One's-complement addition in 64 bits: 2^64 - 1 is a multiple of 2^16 - 1, so the carry comes round and nothing is
// lost.
inline void add_folding(uint64_t& s, uint64_t v) noexcept {
  s += v;
  s += s < v;
}

// One's-complement sum, not folded; chain calls with even lengths except the last. Byte order: as loaded (native), so
// that the folded complement can be stored as it is.
[[nodiscard]] inline uint64_t sum(std::span<const uint8_t> bytes, uint64_t start = 0) noexcept {
  const uint8_t* p = bytes.data();
  size_t n = bytes.size();
  uint64_t s = start;
  if (n >= 32) {  // four chains of carries side by side
    uint64_t s1 = 0;
    uint64_t s2 = 0;
    uint64_t s3 = 0;
    for (; n >= 32; n -= 32, p += 32) {
      add_folding(s, load_as<uint64_t>(p));
      add_folding(s1, load_as<uint64_t>(p + 8));
      add_folding(s2, load_as<uint64_t>(p + 16));
      add_folding(s3, load_as<uint64_t>(p + 24));
    }
    add_folding(s, s1);
    add_folding(s, s2);
    add_folding(s, s3);
  }
  for (; n >= 8; n -= 8, p += 8) {
    add_folding(s, load_as<uint64_t>(p));
  }
  if (n >= 4) {
    add_folding(s, load_as<uint32_t>(p));
    n -= 4;
    p += 4;
  }
  if (n >= 2) {
    add_folding(s, load_as<uint16_t>(p));
    n -= 2;
    p += 2;
  }
  if (n != 0) {
    add_folding(s, *p);  // RFC 1071: a byte alone is the first half of a word whose other half is zero
  }
  return s;
}

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
