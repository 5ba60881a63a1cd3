// source_key.h - a source in eight bytes: what tables and the store are keyed by.
//
// An IPv6 source is its upper 64 bits; an IPv4 source lies where no IPv6 source can be, 0:0::/64 (RFC 4291 keeps
// 0000::/8 for addresses of other meaning, and none of those is a source). A /48 network is its upper 48 bits.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/wire/address.h"

namespace mire::reputation {

using SourceKey = uint64_t;

// Nothing: not an address that mail can come from (in 0000::/8, but not IPv4).
[[nodiscard]] inline std::optional<SourceKey> key_of(const wire::Address& client) noexcept {
  if (client.is_v4()) return __builtin_bswap32(client.v4_raw());
  if (client.bytes[0] == 0) return std::nullopt;
  uint64_t upper;
  std::memcpy(&upper, client.bytes.data(), 8);
  return __builtin_bswap64(upper);
}

[[nodiscard]] constexpr bool is_v4(SourceKey k) noexcept { return k >> 56 == 0; }
// Of an IPv6 source.
[[nodiscard]] constexpr SourceKey network_of(SourceKey k) noexcept { return k & ~uint64_t{0xffff}; }

[[nodiscard]] inline wire::Address address_of(SourceKey k) noexcept {
  if (is_v4(k)) return wire::Address::v4(wire::be32{static_cast<uint32_t>(k)});
  std::array<uint8_t, 16> raw{};
  const uint64_t upper = __builtin_bswap64(k);
  std::memcpy(raw.data(), &upper, 8);
  return wire::Address::v6_at(raw.data());
}

}  // namespace mire::reputation
