#include "dataplane/wire/parse.h"

#include "dataplane/wire/checksum.h"
#include "dataplane/wire/cursor.h"

namespace mire::wire {
namespace {

constexpr size_t kLongestFrame = 65'535;

enum EtherType : uint16_t { kIpv4 = 0x0800, kIpv6 = 0x86dd, kCTag = 0x8100, kSTag = 0x88a8, kOldSTag = 0x9100 };

// IANA protocol numbers: TCP, and the IPv6 extension headers that a chain may hold before it (RFC 8200 4.1, RFC 4302).
enum Protocol : uint8_t { kHopByHop = 0, kTcp = 6, kRouting = 43, kFragment = 44, kAuthentication = 51, kOptions = 60 };

constexpr unsigned kTagShift = 12;
constexpr unsigned kTagCountShift = kTagShift * kMaxTags;

bool is_tag(uint16_t type) noexcept { return type == kCTag || type == kSTag || type == kOldSTag; }

bool is_extension(uint8_t protocol) noexcept {
  return protocol == kHopByHop || protocol == kRouting || protocol == kFragment || protocol == kAuthentication ||
         protocol == kOptions;
}

// Once the IP length is known the cursor ends there, and a header that does not fit contradicts that length:
// bad_length.
[[gnu::always_inline]] inline ParseError tcp(Cursor c, Headers& h) noexcept {
  h.l4 = c.offset();
  const uint8_t* t = c.take(20);
  if (t == nullptr) {
    return ParseError::bad_length;
  }
  const unsigned header = (t[12] >> 4) * 4u;
  if (header < 20 || c.take(header - 20) == nullptr) {
    return ParseError::bad_length;
  }
  h.kind = FrameKind::tcp;
  h.ports_valid = true;
  h.source_port = load16(t);
  h.destination_port = load16(t + 2);
  h.seq = {load32(t + 4)};
  h.ack = {load32(t + 8)};
  h.flags = t[13];
  h.window = load16(t + 14);
  h.payload = c.offset();
  h.payload_length = static_cast<uint16_t>(c.left());
  return ParseError::none;
}

// The rest of a fragment of TCP; its ports if it is from the packet's beginning and they are in it.
ParseError fragment_of_tcp(Cursor c, Headers& h, bool beginning) noexcept {
  h.kind = FrameKind::fragment;
  h.l4 = h.payload = c.offset();
  h.payload_length = static_cast<uint16_t>(c.left());
  const uint8_t* ports = beginning ? c.take(4) : nullptr;
  if (ports != nullptr) {
    h.ports_valid = true;
    h.source_port = load16(ports);
    h.destination_port = load16(ports + 2);
  }
  return ParseError::none;
}

// RFC 791 3.2, RFC 8200 4.5: no fragment reaches beyond the longest packet.
bool too_far(const Headers& h) noexcept { return size_t{h.fragment.offset} + (h.end - h.fragment.data) > 65'535; }

[[gnu::noinline]] ParseError ipv4_fragment(Cursor c, Headers& h, const uint8_t* ip) noexcept {
  const uint16_t word = load16(ip + 6);
  h.fragment.id = load16(ip + 4);
  h.fragment.offset = static_cast<uint16_t>((word & 0x1fff) * 8);
  h.fragment.more = (word & 0x2000) != 0;
  h.fragment.data = c.offset();
  return too_far(h) ? ParseError::bad_length : fragment_of_tcp(c, h, h.fragment.offset == 0);
}

[[gnu::always_inline]] inline ParseError ipv4(Cursor c, Headers& h) noexcept {
  const uint8_t* ip = c.take(20);
  if (ip == nullptr) {
    return ParseError::truncated;
  }
  const unsigned header = (ip[0] & 0x0f) * 4u;
  const unsigned total = load16(ip + 2);
  if ((ip[0] >> 4) != 4 || header < 20 || total < header) {
    return ParseError::bad_length;
  }
  if (!c.end_at(h.l3 + total) || c.take(header - 20) == nullptr) {
    return ParseError::truncated;
  }
  h.end = static_cast<uint16_t>(h.l3 + total);
  h.source = Address::v4_at(ip + 12);
  h.destination = Address::v4_at(ip + 16);
  if (ip[9] != kTcp) {
    return ParseError::none;
  }
  if ((load16(ip + 6) & 0x3fff) != 0) [[unlikely]] {
    return ipv4_fragment(c, h, ip);
  }
  return tcp(c, h);
}

// Walks the extension headers (RFC 8200 4) to TCP, or to what is none of ours.
[[gnu::noinline]] ParseError ipv6_extensions(Cursor c, Headers& h, uint8_t next) noexcept {
  bool fragmented = false;
  while (is_extension(next)) {
    const uint8_t* e = c.take(8);  // none is shorter, nor can its length say so
    if (e == nullptr) {
      return ParseError::bad_length;  // RFC 7112 5: a first fragment holds the whole chain
    }
    if (next == kFragment) {
      const uint16_t word = load16(e + 2);
      const FragmentInfo f{.id = load32(e + 4),
                           .offset = static_cast<uint16_t>(word & 0xfff8),
                           .more = (word & 1) != 0,
                           .data = c.offset()};
      next = e[0];
      if (f.offset == 0 && !f.more) {
        continue;  // RFC 6946: an atomic fragment is a whole packet
      }
      if (!fragmented) {  // a fragment inside a fragment belongs to the outer one until that is whole
        h.fragment = f;
        fragmented = true;
      }
      if (too_far(h)) {
        return ParseError::bad_length;
      }
      if (f.offset != 0) {
        // What follows is from the middle of a packet. Its first fragment alone says what it is (RFC 8200 4.5): behind
        // an extension header it may be TCP.
        return next == kTcp || is_extension(next) ? fragment_of_tcp(c, h, false) : ParseError::none;
      }
      continue;
    }
    const size_t length = next == kAuthentication ? (e[1] + 2u) * 4u : (e[1] + 1u) * 8u;
    next = e[0];
    if (c.take(length - 8) == nullptr) {
      return ParseError::bad_length;
    }
  }
  if (next != kTcp) {
    return ParseError::none;
  }
  return fragmented ? fragment_of_tcp(c, h, true) : tcp(c, h);
}

[[gnu::always_inline]] inline ParseError ipv6(Cursor c, Headers& h) noexcept {
  const uint8_t* ip = c.take(40);
  if (ip == nullptr) {
    return ParseError::truncated;
  }
  if ((ip[0] >> 4) != 6) {
    return ParseError::bad_length;
  }
  // A jumbogram (RFC 2675) says 0 here: its hop-by-hop header then contradicts the length and it is malformed.
  const size_t end = c.offset() + size_t{load16(ip + 4)};
  if (!c.end_at(end)) {
    return ParseError::truncated;
  }
  h.ipv6 = true;
  h.end = static_cast<uint16_t>(end);
  h.source = Address::v6_at(ip + 8);
  h.destination = Address::v6_at(ip + 24);
  if (h.source.is_v4() || h.destination.is_v4()) {
    return ParseError::address;
  }
  return ip[6] == kTcp ? tcp(c, h) : ipv6_extensions(c, h, ip[6]);
}

// Behind the link header. (Cursors go by value all the way down: one whose address is taken lives in memory, and each
// step of it would be a store and a load.)
[[gnu::always_inline]] inline ParseError network(Cursor c, Headers& h, uint16_t type) noexcept {
  h.l3 = c.offset();
  if (type == kIpv4) {
    return ipv4(c, h);
  }
  if (type == kIpv6) {
    return ipv6(c, h);
  }
  return ParseError::none;  // ARP, an 802.3 length, ...
}

// The tags behind the first EtherType, and all that follows.
[[gnu::noinline]] ParseError tagged(Cursor c, Headers& h, uint16_t type) noexcept {
  uint64_t ids = 0;
  uint64_t named = 0;
  for (unsigned n = 0; is_tag(type); ++n) {
    if (n == kMaxTags) {
      return ParseError::tags;
    }
    const uint8_t* tag = c.take(4);
    if (tag == nullptr) {
      return ParseError::truncated;
    }
    if (const uint16_t id = load16(tag) & 0x0fff;
        id != 0) {  // IEEE 802.1Q 6.9: id 0 carries a priority and names no VLAN
      ids = ids << kTagShift | id;
      ++named;
    }
    type = load16(tag + 2);
  }
  h.vlan.value = named << kTagCountShift | ids;
  return network(c, h, type);
}

[[gnu::always_inline]] inline ParseError link(Cursor c, Headers& h) noexcept {
  const uint8_t* ethernet = c.take(14);
  if (ethernet == nullptr) {
    return ParseError::truncated;
  }
  const uint16_t type = load16(ethernet + 12);
  if (is_tag(type)) [[unlikely]] {
    return tagged(c, h, type);
  }
  return network(c, h, type);
}

}  // namespace

Headers parse(std::span<const uint8_t> frame) noexcept {
  Headers h;
  h.error = link(Cursor(frame.size() <= kLongestFrame ? frame : frame.first(kLongestFrame)), h);
  if (h.error != ParseError::none) [[unlikely]] {
    h.kind = FrameKind::malformed;
  }
  return h;
}

bool checksums_valid(std::span<const uint8_t> frame, const Headers& h) noexcept {
  if (!h.ipv6) {
    const uint8_t* ip = &frame[h.l3];
    const bool plain = ip[0] == 0x45;  // 20 bytes, as nearly always: a constant, and no loop
    if (fold(plain ? sum({ip, 20}) : sum({ip, (ip[0] & 0x0fu) * 4u})) != 0) {
      return false;
    }
  }
  const uint16_t length = static_cast<uint16_t>(h.end - h.l4);
  return fold(sum(frame.subspan(h.l4, length), pseudo_sum(h.source, h.destination, length))) == 0;
}

}  // namespace mire::wire
