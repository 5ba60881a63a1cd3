// fragment_bytes.h - what fragments.cc reads and writes in IP headers by itself. Refuses to know datagrams and buffers.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/wire/byteorder.h"
#include "dataplane/wire/parse.h"

namespace mire::lcore {

// A quick look, no bounds beyond the frame's: false if the frame can be no fragment of TCP and needs no second thought.
[[nodiscard]] inline bool may_be_fragment(std::span<const uint8_t> frame) noexcept {
  size_t l3 = 14;
  for (unsigned tags = 0; tags <= wire::kMaxTags; ++tags, l3 += 4) {
    if (frame.size() < l3 + 20) return false;
    const uint16_t type = wire::load16(&frame[l3 - 2]);
    if (type == 0x0800) return frame[l3 + 9] == 6 && (wire::load16(&frame[l3 + 6]) & 0x3fff) != 0;
    if (type == 0x86dd) {
      const uint8_t next = frame[l3 + 6];
      return next == 0 || next == 43 || next == 44 || next == 51 || next == 60;
    }
    if (type != 0x8100 && type != 0x88a8 && type != 0x9100) return false;
  }
  return false;
}

// Is the checksum right? The header lies within the bytes, as parse() has found.
[[nodiscard]] bool ipv4_header_valid(std::span<const uint8_t> ip) noexcept;
// Keeps a right checksum right and a wrong one wrong (RFC 1624).
void set_ipv4_id(uint8_t* ip, uint16_t id) noexcept;

}  // namespace mire::lcore
