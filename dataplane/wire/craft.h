// craft.h - headers become a frame: resets, FINs, released greetings, replies of our own.
//
// One place builds every frame that Mire itself sends. Cost: one copy of the payload and one checksum pass.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/wire/parse.h"

namespace mire::wire {

// Ethernet header with its VLAN tags and the EtherType behind them, as bytes: what lies before the IP header.
struct LinkHeader {
  uint8_t length = 0;  // 14 + 4 per tag
  std::array<uint8_t, 14 + 4 * kMaxTags> bytes{};

  static LinkHeader of(std::span<const uint8_t> frame, const Headers& h) noexcept;
  // Back to the sender: MAC addresses swapped, tags kept.
  [[nodiscard]] LinkHeader reversed() const noexcept;
  friend bool operator==(const LinkHeader&, const LinkHeader&) noexcept = default;
};

struct Timestamps {
  uint32_t value = 0;  // TSval, host byte order
  uint32_t echo = 0;   // TSecr
};

struct Segment {
  LinkHeader link;
  Address source;  // both of one family
  Address destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  SeqNo seq;
  SeqNo ack;            // written only with kAck
  uint8_t flags = 0;    // TcpFlag bits
  uint16_t window = 0;  // as on the wire
  uint8_t hop_limit = 64;
  std::optional<Timestamps> timestamps{};  // NOP NOP TS (RFC 7323 appendix A); never for a RST
  std::span<const uint8_t> options{};      // other options in wire form, a multiple of 4 bytes, before the timestamps
  std::span<const uint8_t> payload{};
};

// Bytes that craft() will write: link, IP and TCP headers, options, payload. Frames below 60 bytes are padded to 60
// with zeros.
[[nodiscard]] size_t crafted_size(const Segment&) noexcept;

// Writes the frame: IPv4 with DF set and id 0 (RFC 6864 4.1), IPv6 with flow label 0; checksums right. Returns its
// length, or 0 if `room` is too small (nothing is written then).
[[nodiscard]] size_t craft(const Segment&, std::span<uint8_t> room) noexcept;

}  // namespace mire::wire
