// byteorder.h - integers as they lie on the wire (big-endian). The type says so; a comment need not.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace mire::wire {

constexpr uint16_t swap16(uint16_t v) noexcept { return __builtin_bswap16(v); }
constexpr uint32_t swap32(uint32_t v) noexcept { return __builtin_bswap32(v); }
static_assert(std::endian::native == std::endian::little, "Mire runs on little-endian machines (x86-64, AArch64)");

struct [[gnu::packed]] be16 {
  uint16_t raw;  // network byte order
  constexpr be16() noexcept : raw(0) {}
  constexpr be16(uint16_t host) noexcept : raw(swap16(host)) {}         // NOLINT(google-explicit-constructor)
  constexpr operator uint16_t() const noexcept { return swap16(raw); }  // NOLINT(google-explicit-constructor)
};

struct [[gnu::packed]] be32 {
  uint32_t raw;  // network byte order
  constexpr be32() noexcept : raw(0) {}
  constexpr be32(uint32_t host) noexcept : raw(swap32(host)) {}         // NOLINT(google-explicit-constructor)
  constexpr operator uint32_t() const noexcept { return swap32(raw); }  // NOLINT(google-explicit-constructor)
};

static_assert(sizeof(be16) == 2 && sizeof(be32) == 4);

inline uint16_t load16(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return swap16(v);
}
inline uint32_t load32(const uint8_t* p) noexcept {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return swap32(v);
}
inline void store16(uint8_t* p, uint16_t host) noexcept {
  host = swap16(host);
  std::memcpy(p, &host, 2);
}
inline void store32(uint8_t* p, uint32_t host) noexcept {
  host = swap32(host);
  std::memcpy(p, &host, 4);
}

}  // namespace mire::wire
