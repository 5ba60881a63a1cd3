// address.h - an IP address of either family, a prefix, and the source that reputation is kept for.
//
// IPv4 is kept as IPv4-mapped IPv6 (RFC 4291 2.5.5.2), so that one type of 16 bytes serves both families.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/wire/byteorder.h"

namespace mire::wire {

struct Address {
  std::array<uint8_t, 16> bytes{};  // network byte order

  static Address v4(be32 a) noexcept { return v4_at(reinterpret_cast<const uint8_t*>(&a.raw)); }
  // One store: whoever copies, compares or hashes the address a moment later would wait for several.
  static Address v4_at(const uint8_t* p) noexcept {
    uint32_t raw;
    std::memcpy(&raw, p, 4);
    using Words [[gnu::vector_size(16)]] = uint64_t;
    const Words words = {0, uint64_t{0xffff} << 16 | uint64_t{raw} << 32};
    Address r;
    std::memcpy(r.bytes.data(), &words, 16);
    return r;
  }
  static Address v6_at(const uint8_t* p) noexcept {
    Address r;
    std::memcpy(r.bytes.data(), p, 16);
    return r;
  }

  [[nodiscard]] bool is_v4() const noexcept {
    uint64_t high;
    uint32_t mapped;
    std::memcpy(&high, bytes.data(), 8);
    std::memcpy(&mapped, &bytes[8], 4);
    return high == 0 && mapped == 0xffff0000;  // twelve bytes would be a call of memcmp, several times a packet
  }
  // The four bytes as they lie on the wire; only for IPv4.
  [[nodiscard]] uint32_t v4_raw() const noexcept {
    uint32_t v;
    std::memcpy(&v, &bytes[12], 4);
    return v;
  }
  friend bool operator==(const Address&, const Address&) noexcept = default;
  friend auto operator<=>(const Address&, const Address&) noexcept = default;
};

// length counts within the family: 0..32 for IPv4, 0..128 for IPv6.
struct Prefix {
  Address address;  // bits beyond the length are zero
  uint8_t length = 0;
  [[nodiscard]] bool contains(const Address& a) const noexcept;
  friend bool operator==(const Prefix&, const Prefix&) noexcept = default;
};

// The address with all bits beyond `length` (within its family) cleared.
[[nodiscard]] Address masked(const Address&, unsigned length) noexcept;
// The source of a client: IPv4 /32, IPv6 /64 (senders rotate within it).
[[nodiscard]] inline Address source_of(const Address& client) noexcept {
  Address source = client;
  if (!client.is_v4()) {
    std::memset(&source.bytes[8], 0, 8);
  }
  return source;
}

[[nodiscard]] std::optional<Address> parse_address(std::string_view);
// "192.0.2.0/24", "2001:db8::/32", or an address alone (its full length). Host bits beyond the length: refused
// (nullopt).
[[nodiscard]] std::optional<Prefix> parse_prefix(std::string_view);
[[nodiscard]] std::string to_string(const Address&);
[[nodiscard]] std::string to_string(const Prefix&);

}  // namespace mire::wire
