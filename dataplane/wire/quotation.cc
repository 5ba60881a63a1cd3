#include "dataplane/wire/quotation.h"

#include <algorithm>

#include "dataplane/wire/cursor.h"
#include "dataplane/wire/segment_edit.h"

namespace mire::wire {
namespace {

enum Protocol : uint8_t { kIcmp = 1, kTcp = 6, kIcmpV6 = 58 };

constexpr size_t kIcmpHeader = 8;
constexpr uint16_t kIcmpChecksumAt = 2;
constexpr uint16_t kSeqAt = 4, kAckAt = 8, kOffsetAt = 12, kTcpFlagsAt = 13;
constexpr size_t kLeast = 8, kTcpHeader = 20;  // bytes of TCP: RFC 792's, and one without options

bool tells_of_a_segment(bool ipv6, uint8_t type) noexcept {
  return ipv6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

// RFC 4884 4.1 to 4.5: how much of the message is the quotation, where more stands behind it; 0: all of it.
size_t quoted_bytes(bool ipv6, const uint8_t* icmp) noexcept {
  if (!ipv6) return icmp[5] * 4u;
  const bool has_length = icmp[0] == 1 || icmp[0] == 3;  // elsewhere an MTU or a pointer begins there
  return has_length ? icmp[4] * 8u : 0;
}

std::optional<Quotation> quoted_segment(Cursor c, Quotation q) noexcept {
  q.tcp = c.offset();
  const uint8_t* tcp = c.take(kLeast);
  if (tcp == nullptr) return {};
  q.source_port = load16(tcp);
  q.destination_port = load16(tcp + 2);
  q.end = static_cast<uint16_t>(c.offset() + c.left());
  return q;
}

std::optional<Quotation> quoted_ipv4(Cursor c, Quotation q) noexcept {
  const size_t begin = c.offset();
  const uint8_t* ip = c.take(20);
  if (ip == nullptr || (ip[0] >> 4) != 4 || ip[9] != kTcp || (load16(ip + 6) & 0x1fff) != 0) return {};
  const size_t header = (ip[0] & 0x0fu) * 4u;
  if (header < 20 || c.take(header - 20) == nullptr) return {};
  (void)c.end_at(begin +
                 load16(ip + 2));  // what follows is padding (RFC 4884 5.1); of most quotations the end is missing
  q.source = Address::v4_at(ip + 12);
  q.destination = Address::v4_at(ip + 16);
  return quoted_segment(c, q);
}

std::optional<Quotation> quoted_ipv6(Cursor c, Quotation q) noexcept {
  const uint8_t* ip = c.take(40);
  if (ip == nullptr || (ip[0] >> 4) != 6 || ip[6] != kTcp) return {};
  (void)c.end_at(c.offset() + size_t{load16(ip + 4)});
  q.source = Address::v6_at(ip + 8);
  q.destination = Address::v6_at(ip + 24);
  if (q.source.is_v4() || q.destination.is_v4()) return {};
  return quoted_segment(c, q);
}

// Edits what is quoted of the segment. `own` edits a whole header, as that of a segment; of a shorter one only the
// number, if that is what moves.
template <typename Own>
void edit_quotation(std::span<uint8_t> frame, const Quotation& q, uint32_t number, Own own) noexcept {
  const auto quoted = frame.subspan(q.tcp, q.end - q.tcp);
  const auto header = quoted.first(std::min<size_t>(quoted.size(), 60));  // no option lies beyond
  const uint16_t was = contribution(header, 0);
  if (quoted.size() >= kTcpHeader) {
    Headers h;
    h.kind = FrameKind::tcp;
    h.l4 = q.tcp;
    const size_t length = std::clamp<size_t>((quoted[kOffsetAt] >> 4) * 4u, kTcpHeader, header.size());
    h.payload = static_cast<uint16_t>(q.tcp + length);
    h.flags = quoted[kTcpFlagsAt];
    h.seq = {load32(&quoted[kSeqAt])};
    h.ack = {load32(&quoted[kAckAt])};
    own(h);
  } else if (number != 0) {
    store32(&quoted[kSeqAt], load32(&quoted[kSeqAt]) + number);
  }
  update_checksum(&frame[q.icmp + kIcmpChecksumAt], was, contribution(header, 0));
}

Translation back(const Translation& t) noexcept { return {0u - t.seq, 0u - t.clock}; }

}  // namespace

std::optional<Quotation> quotation(std::span<const uint8_t> frame, const Headers& h) noexcept {
  if (h.kind != FrameKind::other || h.end == 0) return {};
  Cursor c(frame.first(h.end));
  if (c.take(h.l3) == nullptr) return {};
  const uint8_t* ip = c.take(h.ipv6 ? 40 : 20);
  if (ip == nullptr) return {};
  if (h.ipv6) {
    if (ip[6] != kIcmpV6) return {};
  } else {
    if (ip[9] != kIcmp || (load16(ip + 6) & 0x3fff) != 0) return {};
    if (c.take((ip[0] & 0x0fu) * 4u - 20) == nullptr) return {};
  }
  Quotation q;
  q.icmp = c.offset();
  const uint8_t* icmp = c.take(kIcmpHeader);
  if (icmp == nullptr || !tells_of_a_segment(h.ipv6, icmp[0])) return {};
  if (const size_t said = quoted_bytes(h.ipv6, icmp); said != 0) (void)c.end_at(c.offset() + said);
  return h.ipv6 ? quoted_ipv6(c, q) : quoted_ipv4(c, q);
}

void to_servers_own_numbers(std::span<uint8_t> frame, const Quotation& q, const Translation& t) noexcept {
  edit_quotation(frame, q, 0u - t.seq, [&](Headers& h) { to_clients_numbers(frame, h, back(t)); });
}

void to_clients_own_numbers(std::span<uint8_t> frame, const Quotation& q, const Translation& t) noexcept {
  edit_quotation(frame, q, 0, [&](Headers& h) { to_servers_numbers(frame, h, back(t)); });
}

}  // namespace mire::wire
