// fuzz_parse.cc - any bytes as a frame: parsed, read, edited and made anew.
//
// Properties: what parse() reports lies within the frame; an edit keeps a right checksum right and a wrong one wrong,
// changes nothing but what it is for, and leaves a frame that parses; craft() writes what parse() reads.
#include <algorithm>
#include <cstring>
#include <vector>

#include "dataplane/base/assert.h"
#include "dataplane/wire/checksum.h"
#include "dataplane/wire/craft.h"
#include "dataplane/wire/options.h"
#include "tests/fuzz/input.h"

namespace mire::wire {
namespace {

using fuzz::Exact;
using fuzz::Input;
using Frame = std::span<uint8_t>;

void check_headers(std::span<const uint8_t> frame, const Headers& h) {
  MIRE_ASSERT((h.kind == FrameKind::malformed) == (h.error != ParseError::none));
  MIRE_ASSERT(h.l3 <= frame.size() && h.end <= frame.size());
  switch (h.kind) {
    case FrameKind::malformed: return;
    case FrameKind::other: MIRE_ASSERT(h.end == 0 || h.end >= h.l3 + 20); return;
    case FrameKind::fragment:
      MIRE_ASSERT(h.fragment.offset != 0 || h.fragment.more);
      MIRE_ASSERT(h.l3 + 20 <= h.fragment.data && h.fragment.data <= h.l4 && h.l4 <= h.end);
      MIRE_ASSERT(h.payload + h.payload_length == h.end);
      MIRE_ASSERT(!h.ports_valid || (h.fragment.offset == 0 && h.l4 + 4 <= h.end));
      break;
    case FrameKind::tcp:
      MIRE_ASSERT(h.l3 + (h.ipv6 ? 40 : 20) <= h.l4);
      MIRE_ASSERT(h.l4 + 20 <= h.payload && h.payload <= h.l4 + 60);
      MIRE_ASSERT(h.payload + h.payload_length == h.end);
      MIRE_ASSERT(h.ports_valid);
      break;
  }
  MIRE_ASSERT(h.l3 >= 14 && h.l3 <= 14 + 4 * kMaxTags);
  MIRE_ASSERT(h.source.is_v4() == !h.ipv6 && h.destination.is_v4() == !h.ipv6);
}

// What an edit must not move.
bool same_place(const Headers& a, const Headers& b) {
  return a.kind == b.kind && a.l3 == b.l3 && a.l4 == b.l4 && a.payload == b.payload && a.source == b.source &&
         a.destination == b.destination && a.source_port == b.source_port && a.destination_port == b.destination_port &&
         a.seq == b.seq && a.ack == b.ack && a.window == b.window && a.vlan == b.vlan;
}

// The checksums as the reference has them: word by word, big-endian (RFC 1071 1).
unsigned naive_sum(std::span<const uint8_t> bytes, unsigned s) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    s += i % 2 == 0 ? bytes[i] * 256u : bytes[i];
    s = (s & 0xffff) + (s >> 16);
  }
  return s;
}
void make_checksums_right(Frame frame, const Headers& h) {
  if (!h.ipv6) {
    store16(&frame[h.l3 + size_t{10}], 0);
    store16(&frame[h.l3 + size_t{10}],
            static_cast<uint16_t>(~naive_sum(frame.subspan(h.l3, (frame[h.l3] & 0x0fu) * 4u), 0)));
  }
  const size_t length = h.end - size_t{h.l4};
  unsigned s = naive_sum(h.source.bytes, 6);
  s = naive_sum(h.destination.bytes, s + static_cast<unsigned>(length));
  store16(&frame[h.l4 + size_t{16}], 0);
  store16(&frame[h.l4 + size_t{16}], static_cast<uint16_t>(~naive_sum(frame.subspan(h.l4, length), s)));
  MIRE_ASSERT(checksums_valid(frame, h));
}

// Runs `edit` on a copy of the frame. Returns the frame's length afterwards.
template <typename Edit>
void check_edit(Frame original, const Headers& before, Edit edit) {
  const Exact copy(original);
  const bool valid = checksums_valid(copy.span(), before);
  Headers h = before;
  const size_t length = edit(copy.span(), h);
  MIRE_ASSERT(length <= original.size());
  const Exact cut(copy.span().first(length));
  const Headers after = parse(cut.span());
  check_headers(cut.span(), after);
  MIRE_ASSERT(same_place(before, after));
  MIRE_ASSERT(after.end == h.end && after.payload_length == h.payload_length && after.flags == h.flags);
  MIRE_ASSERT(checksums_valid(cut.span(), after) == valid);
}

void check_edits(Frame frame, const Headers& h, uint16_t choice, std::span<const uint8_t> bytes) {
  const TcpOptions options = read_options(frame, h);

  check_edit(frame, h, [&](Frame f, Headers& e) {
    MIRE_ASSERT(blank_fast_open_and_multipath(f, e) == (options.fast_open || options.multipath));
    const TcpOptions o = read_options(f, e);
    MIRE_ASSERT(!o.fast_open && !o.multipath && o.well_formed == options.well_formed);
    MIRE_ASSERT(o.has_mss == options.has_mss && o.mss == options.mss && o.tsval == options.tsval);
    return f.size();
  });
  check_edit(frame, h, [&](Frame f, Headers& e) {
    const bool lowered = clamp_mss(f, e, choice);
    const TcpOptions o = read_options(f, e);
    MIRE_ASSERT(o.has_mss == options.has_mss && (!o.has_mss || o.mss == std::min(options.mss, choice)));
    MIRE_ASSERT(lowered || std::equal(f.begin(), f.end(), frame.begin()));
    return f.size();
  });
  check_edit(frame, h, [&](Frame f, Headers& e) {
    const size_t length = trim_payload(f, e);
    MIRE_ASSERT(e.payload_length == 0 && (e.flags & kFin) == 0 && length >= std::min<size_t>(60, f.size()));
    return length;
  });
  check_edit(frame, h, [&](Frame f, Headers& e) {
    const uint16_t offset = static_cast<uint16_t>(choice % (h.payload_length + 1u));
    const auto written = bytes.first(std::min<size_t>(bytes.size(), h.payload_length - offset));
    overwrite_payload(f, e, offset, written);
    MIRE_ASSERT(std::equal(written.begin(), written.end(), f.begin() + e.payload + offset));
    return f.size();
  });
}

void check_craft(Frame frame, const Headers& h) {
  Segment s;
  s.link = LinkHeader::of(frame, h).reversed();
  s.source = h.destination;
  s.destination = h.source;
  s.source_port = h.destination_port;
  s.destination_port = h.source_port;
  s.seq = h.ack;
  s.ack = h.seq;
  s.flags = h.flags;
  s.window = h.window;
  s.hop_limit = frame[h.l3 + (h.ipv6 ? 7u : 8u)];
  s.options = frame.subspan(h.l4 + size_t{20}, h.payload - h.l4 - size_t{20});
  s.payload = frame.subspan(h.payload, h.payload_length);
  std::vector<uint8_t> made(crafted_size(s));
  MIRE_ASSERT(craft(s, made) == made.size());
  const Headers m = parse(made);
  check_headers(made, m);
  MIRE_ASSERT(m.kind == FrameKind::tcp && checksums_valid(made, m));
  MIRE_ASSERT(m.source == h.destination && m.destination == h.source && m.vlan == h.vlan && m.flags == h.flags);
  MIRE_ASSERT(m.seq == h.ack && m.ack == (h.flags & kAck ? h.seq : SeqNo{}) && m.window == h.window);
  MIRE_ASSERT(made[m.l3 + (m.ipv6 ? 7u : 8u)] == s.hop_limit && m.payload_length == h.payload_length);
  MIRE_ASSERT(std::equal(s.payload.begin(), s.payload.end(), made.begin() + m.payload));
}

void run(Input input) {
  const bool right_checksums = input.byte() & 1;
  const uint16_t choice = input.word();
  const std::span<const uint8_t> bytes = input.bytes(input.byte() % 16);
  const Exact frame(input.rest());
  const Headers h = parse(frame.span());
  check_headers(frame.span(), h);
  if (h.kind != FrameKind::tcp) {
    return;
  }
  if (right_checksums) {
    make_checksums_right(frame.span(), h);
  }
  check_edits(frame.span(), h, choice, bytes);
  check_craft(frame.span(), h);
}

}  // namespace
}  // namespace mire::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mire::wire::run(mire::fuzz::Input(data, size));
  return 0;
}
