// segment_edit.h - walking TCP options, and edits that keep the checksum. Private to wire/.
//
// Assumes Headers from parse() with kind == tcp for exactly this frame. RFC 1624: an edit changes the checksum by what
// it changes in the sum, so a right one stays right and a wrong one stays wrong.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "dataplane/wire/checksum.h"
#include "dataplane/wire/parse.h"

namespace mire::wire {

enum OptionKind : uint8_t {
  kEnd = 0,
  kNop = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kSack = 5,
  kTimestamps = 8,
  kMd5 = 19,
  kAuthenticationOption = 29,
  kMultipath = 30,
  kFastOpen = 34,
  kExperiment = 254,  // RFC 6994: the two bytes behind the length say whose
};

inline constexpr uint16_t kOptionsAt = 20;  // in the TCP header
inline constexpr uint16_t kFlagsAt = 12;    // the word of data offset and flags
inline constexpr uint16_t kChecksumAt = 16;

// Calls see(kind, option) for each option that has a length, `option` with kind and length. False: a length ran out of
// the header.
template <typename Bytes, typename See>
bool each_option(Bytes options, See see) noexcept {
  while (!options.empty()) {
    const uint8_t kind = options[0];
    if (kind == kEnd) {
      return true;
    }
    if (kind == kNop) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) {
      return false;
    }
    const size_t length = options[1];  // before see() may write over it
    see(kind, options.first(length));
    options = options.subspan(length);
  }
  return true;
}

template <typename Bytes>
Bytes option_bytes(Bytes frame, const Headers& h) noexcept {
  return frame.subspan(h.l4 + kOptionsAt, h.payload - h.l4 - kOptionsAt);
}

inline uint16_t load_native(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}

// What `bytes` at `offset` within the checksummed range add to its sum, as one word. A run that begins in the middle of
// a word adds its bytes the other way round (RFC 1071 2 B).
inline uint16_t contribution(std::span<const uint8_t> bytes, size_t offset) noexcept {
  const uint16_t word = static_cast<uint16_t>(~fold(sum(bytes)));
  return (offset & 1) != 0 ? swap16(word) : word;
}

inline void update_checksum(uint8_t* checksum, uint16_t was, uint16_t is) noexcept {
  const uint16_t now = updated(load_native(checksum), was, is);
  std::memcpy(checksum, &now, 2);
}

// Takes the contribution of bytes of the TCP segment before and after an edit of them.
template <typename Edit>
void edit_segment(std::span<uint8_t> frame, const Headers& h, std::span<uint8_t> bytes, Edit edit) noexcept {
  const size_t offset = static_cast<size_t>(bytes.data() - &frame[h.l4]);
  const uint16_t was = contribution(bytes, offset);
  edit(bytes);
  update_checksum(&frame[h.l4 + kChecksumAt], was, contribution(bytes, offset));
}

}  // namespace mire::wire
