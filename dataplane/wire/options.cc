#include "dataplane/wire/options.h"

#include <algorithm>
#include <cstring>

#include "dataplane/base/assert.h"
#include "dataplane/wire/checksum.h"

namespace mire::wire {
namespace {

enum OptionKind : uint8_t {
  kEnd = 0,
  kNop = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kTimestamps = 8,
  kMd5 = 19,
  kAuthenticationOption = 29,
  kMultipath = 30,
  kFastOpen = 34,
  kExperiment = 254,  // RFC 6994: the two bytes behind the length say whose
};
constexpr uint16_t kFastOpenMagic = 0xf989;         // RFC 7413 4.1.1
constexpr uint8_t kWindowScaleMax = 14;             // RFC 7323 2.3
constexpr uint32_t kPaddedTimestamps = 0x0101080a;  // NOP, NOP, kind 8, length 10
constexpr size_t kShortestFrame = 60;               // IEEE 802.3, without the FCS

constexpr uint16_t kOptionsAt = 20;  // in the TCP header
constexpr uint16_t kFlagsAt = 12;    // the word of data offset and flags
constexpr uint16_t kChecksumAt = 16;

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

bool is_fast_open(uint8_t kind, std::span<const uint8_t> option) noexcept {
  return kind == kFastOpen || (kind == kExperiment && option.size() >= 4 && load16(&option[2]) == kFastOpenMagic);
}

uint16_t load_native(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return v;
}

// What `bytes` at `offset` within the checksummed range add to its sum, as one word. A run that begins in the middle of
// a word adds its bytes the other way round (RFC 1071 2 B).
uint16_t contribution(std::span<const uint8_t> bytes, size_t offset) noexcept {
  const uint16_t word = static_cast<uint16_t>(~fold(sum(bytes)));
  return (offset & 1) != 0 ? swap16(word) : word;
}

void update_checksum(uint8_t* checksum, uint16_t was, uint16_t is) noexcept {
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

}  // namespace

TcpOptions read_options(std::span<const uint8_t> frame, const Headers& h) noexcept {
  TcpOptions o;
  const auto bytes = option_bytes(frame, h);
  if (bytes.size() == 12 && load32(&bytes[0]) == kPaddedTimestamps) {
    // RFC 7323 appendix A: what nearly every segment but a SYN has.
    o.has_timestamps = true;
    o.tsval = load32(&bytes[4]);
    o.tsecr = load32(&bytes[8]);
    return o;
  }
  o.well_formed = each_option(bytes, [&o](uint8_t kind, std::span<const uint8_t> option) {
    const size_t length = option.size();
    // An option of another length than its kind has is passed over, as Linux does.
    if (kind == kTimestamps && length == 10) {
      o.has_timestamps = true;
      o.tsval = load32(&option[2]);
      o.tsecr = load32(&option[6]);
    } else if (kind == kMss && length == 4) {
      o.has_mss = true;
      o.mss = load16(&option[2]);
    } else if (kind == kWindowScale && length == 3) {
      o.has_window_scale = true;
      o.window_scale = std::min(option[2], kWindowScaleMax);
    } else if (kind == kSackPermitted && length == 2) {
      o.sack_permitted = true;
    } else if (kind == kMd5 || kind == kAuthenticationOption) {
      o.signature = true;
    } else if (kind == kMultipath) {
      o.multipath = true;
    } else if (is_fast_open(kind, option)) {
      o.fast_open = true;
    }
  });
  return o;
}

bool blank_fast_open_and_multipath(std::span<uint8_t> frame, const Headers& h) noexcept {
  bool found = false;
  each_option(option_bytes(frame, h), [&](uint8_t kind, std::span<uint8_t> option) {
    if (kind == kMultipath || is_fast_open(kind, option)) {
      found = true;
      edit_segment(frame, h, option, [](std::span<uint8_t> b) { std::memset(b.data(), kNop, b.size()); });
    }
  });
  return found;
}

bool clamp_mss(std::span<uint8_t> frame, const Headers& h, uint16_t mss) noexcept {
  bool lowered = false;
  each_option(option_bytes(frame, h), [&](uint8_t kind, std::span<uint8_t> option) {
    if (kind == kMss && option.size() == 4 && load16(&option[2]) > mss) {
      lowered = true;
      edit_segment(frame, h, option, [mss](std::span<uint8_t> b) { store16(&b[2], mss); });
    }
  });
  return lowered;
}

uint16_t trim_payload(std::span<uint8_t> frame, Headers& h) noexcept {
  uint8_t* ip = &frame[h.l3];
  uint8_t* tcp = &frame[h.l4];
  uint8_t* checksum = tcp + kChecksumAt;

  update_checksum(checksum, contribution(frame.subspan(h.payload, h.payload_length), 0), 0);
  const uint16_t segment = static_cast<uint16_t>(h.end - h.l4);
  update_checksum(checksum, swap16(segment),
                  swap16(static_cast<uint16_t>(segment - h.payload_length)));  // pseudo-header
  edit_segment(frame, h, frame.subspan(h.l4 + kFlagsAt, 2),
               [](std::span<uint8_t> b) { b[1] = static_cast<uint8_t>(b[1] & ~kFin); });

  uint8_t* ip_length = ip + (h.ipv6 ? 4 : 2);
  const uint16_t was = load_native(ip_length);
  store16(ip_length, static_cast<uint16_t>(load16(ip_length) - h.payload_length));
  if (!h.ipv6) {
    update_checksum(ip + 10, was, load_native(ip_length));
  }

  h.flags = static_cast<uint8_t>(h.flags & ~kFin);
  h.end = h.payload;
  h.payload_length = 0;
  // What was payload must not leave as padding.
  const size_t length = std::max<size_t>(h.end, std::min(frame.size(), kShortestFrame));
  std::memset(&frame[0] + h.end, 0, length - h.end);
  return static_cast<uint16_t>(length);
}

void overwrite_payload(std::span<uint8_t> frame, const Headers& h, uint16_t offset,
                       std::span<const uint8_t> bytes) noexcept {
  MIRE_ASSERT(offset + bytes.size() <= h.payload_length);
  if (!bytes.empty()) {
    edit_segment(frame, h, frame.subspan(size_t{h.payload} + offset, bytes.size()),
                 [bytes](std::span<uint8_t> b) { std::memcpy(b.data(), bytes.data(), bytes.size()); });
  }
}

}  // namespace mire::wire
