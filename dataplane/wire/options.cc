#include "dataplane/wire/options.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "dataplane/base/assert.h"
#include "dataplane/wire/offer.h"
#include "dataplane/wire/segment_edit.h"

namespace mire::wire {
namespace {

constexpr uint16_t kFastOpenMagic = 0xf989;         // RFC 7413 4.1.1
constexpr uint32_t kPaddedTimestamps = 0x0101080a;  // NOP, NOP, kind 8, length 10
constexpr size_t kShortestFrame = 60;               // IEEE 802.3, without the FCS

bool is_fast_open(uint8_t kind, std::span<const uint8_t> option) noexcept {
  return kind == kFastOpen || (kind == kExperiment && option.size() >= 4 && load16(&option[2]) == kFastOpenMagic);
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
      o.window_scale = std::min(option[2], kMostWindowScale);
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

size_t write_syn_options(const TcpOptions& o, std::span<uint8_t, kSynOptions> room) noexcept {
  size_t n = 0;
  const auto put = [&](std::initializer_list<uint8_t> bytes) {
    for (const uint8_t b : bytes) room[n++] = b;
  };
  if (o.has_mss) put({kMss, 4, static_cast<uint8_t>(o.mss >> 8), static_cast<uint8_t>(o.mss)});
  if (o.sack_permitted) put({kSackPermitted, 2});
  if (o.has_timestamps) {
    if (!o.sack_permitted) put({kNop, kNop});
    put({kTimestamps, 10});
    store32(&room[n], o.tsval);
    store32(&room[n + 4], o.tsecr);
    n += 8;
  } else if (o.sack_permitted) {
    put({kNop, kNop});
  }
  if (o.has_window_scale) put({kNop, kWindowScale, 3, o.window_scale});
  return n;
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
