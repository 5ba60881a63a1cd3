#include "dataplane/wire/craft.h"

#include <algorithm>
#include <cstring>

#include "dataplane/base/assert.h"
#include "dataplane/wire/checksum.h"

namespace mire::wire {
namespace {

constexpr size_t kMac = 6;
constexpr size_t kIpv4Header = 20;
constexpr size_t kIpv6Header = 40;
constexpr size_t kTcpHeader = 20;
constexpr size_t kTimestampsLength = 12;  // NOP NOP TS
constexpr size_t kLongestOptions = 40;
constexpr size_t kLongestPacket = 65'535;
constexpr size_t kShortestFrame = 60;  // IEEE 802.3, without the FCS
constexpr uint8_t kTcp = 6;

size_t options_length(const Segment& s) noexcept { return s.options.size() + (s.timestamps ? kTimestampsLength : 0); }
size_t segment_length(const Segment& s) noexcept { return kTcpHeader + options_length(s) + s.payload.size(); }
size_t ip_header_length(const Segment& s) noexcept { return s.source.is_v4() ? kIpv4Header : kIpv6Header; }
size_t packet_length(const Segment& s) noexcept { return ip_header_length(s) + segment_length(s); }

void store_checksum(uint8_t* at, uint16_t checksum) noexcept { std::memcpy(at, &checksum, 2); }

uint8_t* write_ipv4(uint8_t* ip, const Segment& s) noexcept {
  ip[0] = 0x45;
  ip[1] = 0;
  store16(ip + 2, static_cast<uint16_t>(packet_length(s)));
  store16(ip + 4, 0);
  store16(ip + 6, 0x4000);  // DF, and so id 0: RFC 6864 4.1
  ip[8] = s.hop_limit;
  ip[9] = kTcp;
  store16(ip + 10, 0);
  std::memcpy(ip + 12, &s.source.bytes[12], 4);
  std::memcpy(ip + 16, &s.destination.bytes[12], 4);
  store_checksum(ip + 10, fold(sum({ip, kIpv4Header})));
  return ip + kIpv4Header;
}

uint8_t* write_ipv6(uint8_t* ip, const Segment& s) noexcept {
  store32(ip, 0x60000000);
  store16(ip + 4, static_cast<uint16_t>(segment_length(s)));
  ip[6] = kTcp;
  ip[7] = s.hop_limit;
  std::memcpy(ip + 8, s.source.bytes.data(), 16);
  std::memcpy(ip + 24, s.destination.bytes.data(), 16);
  return ip + kIpv6Header;
}

uint8_t* append(uint8_t* at, std::span<const uint8_t> bytes) noexcept {
  if (!bytes.empty()) {
    std::memcpy(at, bytes.data(), bytes.size());
  }
  return at + bytes.size();
}

uint8_t* write_tcp(uint8_t* tcp, const Segment& s) noexcept {
  store16(tcp, s.source_port);
  store16(tcp + 2, s.destination_port);
  store32(tcp + 4, s.seq.value);
  store32(tcp + 8, (s.flags & kAck) != 0 ? s.ack.value : 0);
  tcp[12] = static_cast<uint8_t>((kTcpHeader + options_length(s)) / 4 << 4);
  tcp[13] = s.flags;
  store16(tcp + 14, s.window);
  store32(tcp + 16, 0);  // checksum, and no urgent pointer
  uint8_t* at = append(tcp + kTcpHeader, s.options);
  if (s.timestamps) {
    store32(at, 0x0101080a);
    store32(at + 4, s.timestamps->value);
    store32(at + 8, s.timestamps->echo);
    at += kTimestampsLength;
  }
  at = append(at, s.payload);
  const uint16_t length = static_cast<uint16_t>(at - tcp);
  store_checksum(tcp + 16, fold(sum({tcp, length}, pseudo_sum(s.source, s.destination, length))));
  return at;
}

// Options may come from a peer's segment: what does not fit is not written, and is no mistake of ours.
bool representable(const Segment& s) noexcept {
  return s.options.size() % 4 == 0 && options_length(s) <= kLongestOptions &&
         s.link.length + packet_length(s) <= kLongestPacket;
}

}  // namespace

LinkHeader LinkHeader::of(std::span<const uint8_t> frame, const Headers& h) noexcept {
  LinkHeader link;
  MIRE_ASSERT(h.l3 <= link.bytes.size() && h.l3 <= frame.size());
  link.length = static_cast<uint8_t>(h.l3);
  std::memcpy(link.bytes.data(), frame.data(), h.l3);
  return link;
}

LinkHeader LinkHeader::reversed() const noexcept {
  LinkHeader back = *this;
  std::swap_ranges(back.bytes.begin(), back.bytes.begin() + kMac, back.bytes.begin() + kMac);
  return back;
}

size_t crafted_size(const Segment& s) noexcept { return std::max(kShortestFrame, s.link.length + packet_length(s)); }

size_t craft(const Segment& s, std::span<uint8_t> room) noexcept {
  MIRE_ASSERT(s.source.is_v4() == s.destination.is_v4());
  MIRE_ASSERT((s.flags & kRst) == 0 || !s.timestamps);
  const size_t size = crafted_size(s);
  if (size > room.size() || !representable(s)) {
    return 0;
  }
  // All of it, however long: a copy of a constant size is no call, and the IP header comes to lie over what is too
  // much.
  static_assert(sizeof s.link.bytes <= kShortestFrame);
  std::memcpy(room.data(), s.link.bytes.data(), sizeof s.link.bytes);
  uint8_t* at = room.data() + s.link.length;
  at = s.source.is_v4() ? write_ipv4(at, s) : write_ipv6(at, s);
  at = write_tcp(at, s);
  if (const auto padding = static_cast<size_t>(room.data() + size - at); padding != 0) {
    std::memset(at, 0, padding);
  }
  return size;
}

}  // namespace mire::wire
