// frames.h - frames for the tests of wire/, byte by byte and without wire/craft, so that neither can hide the other's
// mistake.
//
// Slow and plain on purpose: the checksum here is RFC 1071 as it reads, word by word, the reference for the fast one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

namespace mire::wire::test {

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
inline void put16(Bytes& b, size_t at, unsigned v) {
  b.at(at) = static_cast<uint8_t>(v >> 8);
  b.at(at + 1) = static_cast<uint8_t>(v);
}
inline unsigned get16(std::span<const uint8_t> b, size_t at) { return b[at] * 256u + b[at + 1]; }

// The sum of big-endian words, folded, not complemented.
inline unsigned naive_sum(std::span<const uint8_t> b) {
  unsigned s = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    s += i % 2 == 0 ? b[i] * 256u : b[i];
    s = (s & 0xffff) + (s >> 16);
  }
  return s;
}
// 0 if right.
inline unsigned naive_checksum(std::span<const uint8_t> b) { return ~naive_sum(b) & 0xffff; }

inline Bytes pseudo_header(std::span<const uint8_t> addresses, size_t segment) {
  Bytes p(addresses.begin(), addresses.end());
  for (const unsigned byte : {0u, 6u, static_cast<unsigned>(segment >> 8), static_cast<unsigned>(segment & 0xff)}) {
    p.push_back(static_cast<uint8_t>(byte));
  }
  return p;
}

struct TcpSpec {
  unsigned source_port = 0x1234, destination_port = 25, flags = 0x18, window = 0xfedc;
  uint32_t seq = 0x01020304, ack = 0xa1b2c3d4;
  Bytes options{};  // a multiple of 4
  Bytes payload{};
};

// A segment without a checksum.
inline Bytes tcp(const TcpSpec& s) {
  Bytes b(20);
  put16(b, 0, s.source_port);
  put16(b, 2, s.destination_port);
  put16(b, 4, s.seq >> 16);
  put16(b, 6, s.seq & 0xffff);
  put16(b, 8, s.ack >> 16);
  put16(b, 10, s.ack & 0xffff);
  b[12] = static_cast<uint8_t>((20 + s.options.size()) / 4 << 4);
  b[13] = static_cast<uint8_t>(s.flags);
  put16(b, 14, s.window);
  return b + s.options + s.payload;
}

struct Ip4Spec {
  unsigned protocol = 6, id = 0x4242, fragment = 0x4000, ttl = 61;
  Bytes options{};  // a multiple of 4
};

// 192.0.2.1 -> 198.51.100.7; a whole TCP segment gets its checksum.
inline Bytes ipv4(const Ip4Spec& s, Bytes body) {
  Bytes b(20);
  const size_t header = 20 + s.options.size();
  b[0] = static_cast<uint8_t>(0x40 + header / 4);
  put16(b, 2, static_cast<unsigned>(header + body.size()));
  put16(b, 4, s.id);
  put16(b, 6, s.fragment);
  b[8] = static_cast<uint8_t>(s.ttl);
  b[9] = static_cast<uint8_t>(s.protocol);
  const Bytes addresses{192, 0, 2, 1, 198, 51, 100, 7};
  std::copy(addresses.begin(), addresses.end(), b.begin() + 12);
  b = b + s.options;
  put16(b, 10, naive_checksum(b));
  if (s.protocol == 6 && (s.fragment & 0x3fff) == 0 && body.size() >= 20) {
    put16(body, 16, 0);
    put16(body, 16, naive_checksum(pseudo_header(addresses, body.size()) + body));
  }
  return b + body;
}

inline const Bytes kAddresses6{0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x11,   // 2001:db8:1:2::11
                               0x20, 1, 0xd, 0xb8, 0, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0x22};  // 2001:db8:3:4::22

// `chain` are extension headers already linked; `first` the next header of the fixed one.
inline Bytes ipv6(unsigned first, const Bytes& chain, Bytes segment, bool whole_segment = true) {
  Bytes b(8);
  b[0] = 0x60;
  put16(b, 4, static_cast<unsigned>(chain.size() + segment.size()));
  b[6] = static_cast<uint8_t>(first);
  b[7] = 62;
  if (whole_segment) {
    put16(segment, 16, 0);
    put16(segment, 16, naive_checksum(pseudo_header(kAddresses6, segment.size()) + segment));
  }
  return b + kAddresses6 + chain + segment;
}

// An extension header of `length` bytes; 44 and 51 in their own formats.
inline Bytes extension(unsigned kind, unsigned next, size_t length = 8) {
  Bytes b(length, 0x5a);
  b[0] = static_cast<uint8_t>(next);
  b[1] = static_cast<uint8_t>(kind == 51 ? length / 4 - 2 : length / 8 - 1);
  return b;
}
inline Bytes fragment_header(unsigned next, unsigned offset, bool more, uint32_t id = 0xdeadbeef) {
  Bytes b(8);
  b[0] = static_cast<uint8_t>(next);
  put16(b, 2, offset | (more ? 1u : 0u));
  put16(b, 4, id >> 16);
  put16(b, 6, id & 0xffff);
  return b;
}

struct Tag {
  unsigned type;
  unsigned control;  // priority and VLAN id
};
inline Bytes ethernet(unsigned type, const Bytes& packet, std::initializer_list<Tag> tags = {}) {
  Bytes b{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  const auto append16 = [&b](unsigned v) {
    b.push_back(static_cast<uint8_t>(v >> 8));
    b.push_back(static_cast<uint8_t>(v));
  };
  for (const Tag& t : tags) {
    append16(t.type);
    append16(t.control);
  }
  append16(type);
  return b + packet;
}
inline Bytes frame4(const TcpSpec& s = {}, std::initializer_list<Tag> tags = {}) {
  return ethernet(0x0800, ipv4({}, tcp(s)), tags);
}
inline Bytes frame6(const TcpSpec& s = {}, std::initializer_list<Tag> tags = {}) {
  return ethernet(0x86dd, ipv6(6, {}, tcp(s)), tags);
}

// A copy whose last byte is the last of its allocation: what reads further is caught by AddressSanitizer.
class Exact {
 public:
  explicit Exact(std::span<const uint8_t> b) : bytes_(new uint8_t[b.size()]), size_(b.size()) {
    std::copy(b.begin(), b.end(), bytes_.get());
  }
  [[nodiscard]] std::span<uint8_t> span() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_;
};

}  // namespace mire::wire::test
