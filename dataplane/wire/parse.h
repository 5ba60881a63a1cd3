// parse.h - a frame becomes headers, or the one reason why not.
//
// Purpose: bounds are checked here and nowhere else. What parse() reports as an offset or length lies within the frame,
// so later rooms may index without a check. Reads forward only (Cursor), writes nothing, keeps nothing. Cost: about 7
// ns for plain IPv4. Assumes: a linear frame of at most 65,535 bytes beginning at the Ethernet header.
//
// Every VLAN stack (802.1Q, 802.1ad, 0x9100; RFC-less, IEEE 802.1Q 9.3) up to kMaxTags, IPv4 with options, IPv6
// extension chains of any depth that the frame holds (RFC 8200 4) are walked. Frames shorter than their IP length are
// malformed; bytes beyond the IP length are padding and are not payload.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/wire/address.h"
#include "dataplane/wire/seq.h"

namespace mire::wire {

inline constexpr unsigned kMaxTags = 4;

enum TcpFlag : uint8_t { kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20 };

enum class ParseError : uint8_t {
  none,
  truncated,   // the frame ends inside its link or IP header, or before the length that its IP header promises
  bad_length,  // a header that no valid packet has: IP version, IHL < 5, data offset < 5, an IP length that ends inside
               // a header
  tags,        // more than kMaxTags VLAN tags
  address,  // an IPv6 packet with an IPv4-mapped address (RFC 4291 2.5.5.2): none goes over a wire; it would pass for
            // IPv4's flow
};

enum class FrameKind : uint8_t {
  tcp,        // a whole TCP segment; every field of Headers is valid
  fragment,   // a fragment of TCP, or an IPv6 one that may be (a later fragment that begins with an extension header);
              // fragment is valid, the ports if ports_valid (only with fragment.offset 0); payload is what is left
              // behind the IP headers
  other,      // anything else that is well-formed as far as we look: ARP, ND, UDP, ICMP, ...
  malformed,  // see error
};

// The VLAN stack as a value to compare: VLAN ids from the outermost in, 12 bits each, and their count on top. 0:
// untagged. A priority tag (id 0) names no VLAN and is left out, for the answer to a frame that has one may have none.
struct VlanStack {
  uint64_t value = 0;
  friend bool operator==(VlanStack, VlanStack) noexcept = default;
};

struct FragmentInfo {
  uint32_t id = 0;      // IPv4 identification or IPv6 fragment identification
  uint16_t offset = 0;  // bytes
  bool more = false;
  uint16_t data = 0;  // where in the frame the fragment's bytes begin; they end at Headers::end
};

struct Headers {
  FrameKind kind = FrameKind::other;
  ParseError error = ParseError::none;
  bool ipv6 = false;
  bool ports_valid = false;     // source_port and destination_port were readable
  uint8_t flags = 0;            // TcpFlag bits
  uint16_t l3 = 0;              // offset of the IP header
  uint16_t l4 = 0;              // offset of the TCP header
  uint16_t payload = 0;         // offset of the TCP payload
  uint16_t payload_length = 0;  // bytes
  uint16_t end = 0;             // offset behind the IP packet; what follows is padding
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint16_t window = 0;  // as on the wire, unscaled
  SeqNo seq;
  SeqNo ack;
  VlanStack vlan;
  FragmentInfo fragment;
  Address source;
  Address destination;

  // Sequence space that the segment occupies: payload, plus one for SYN and one for FIN (RFC 9293 3.4).
  [[nodiscard]] uint32_t sequence_length() const noexcept {
    return payload_length + ((flags & kSyn) ? 1u : 0u) + ((flags & kFin) ? 1u : 0u);
  }
};

[[nodiscard]] Headers parse(std::span<const uint8_t> frame) noexcept;

// True if the IPv4 header checksum (IPv4 only) and the TCP checksum are right. Needs kind == tcp. Reads the whole
// segment.
[[nodiscard]] bool checksums_valid(std::span<const uint8_t> frame, const Headers&) noexcept;

}  // namespace mire::wire
