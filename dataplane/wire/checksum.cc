#include "dataplane/wire/checksum.h"

#include <cstring>

#include "dataplane/wire/byteorder.h"

namespace mire::wire {
namespace {

template <typename Word>
uint64_t load(const uint8_t* p) noexcept {
  Word w;
  std::memcpy(&w, p, sizeof w);
  return w;
}

// One's-complement addition in 64 bits: 2^64 - 1 is a multiple of 2^16 - 1, so the carry comes round and nothing is
// lost.
void add(uint64_t& s, uint64_t v) noexcept {
  s += v;
  s += s < v;
}

}  // namespace

uint64_t sum(std::span<const uint8_t> bytes, uint64_t start) noexcept {
  const uint8_t* p = bytes.data();
  size_t n = bytes.size();
  uint64_t s = start;
  if (n >= 32) {  // four chains of carries side by side
    uint64_t s1 = 0;
    uint64_t s2 = 0;
    uint64_t s3 = 0;
    for (; n >= 32; n -= 32, p += 32) {
      add(s, load<uint64_t>(p));
      add(s1, load<uint64_t>(p + 8));
      add(s2, load<uint64_t>(p + 16));
      add(s3, load<uint64_t>(p + 24));
    }
    add(s, s1);
    add(s, s2);
    add(s, s3);
  }
  for (; n >= 8; n -= 8, p += 8) {
    add(s, load<uint64_t>(p));
  }
  if (n >= 4) {
    add(s, load<uint32_t>(p));
    n -= 4;
    p += 4;
  }
  if (n >= 2) {
    add(s, load<uint16_t>(p));
    n -= 2;
    p += 2;
  }
  if (n != 0) {
    add(s, *p);  // RFC 1071: a byte alone is the first half of a word whose other half is zero
  }
  return s;
}

uint64_t pseudo_sum(const Address& source, const Address& destination, uint16_t tcp_length) noexcept {
  // RFC 9293 3.1, RFC 8200 8.1: addresses, zeros and protocol 6, length; for IPv6 the same words in another order.
  const uint64_t s = uint64_t{swap16(6)} + swap16(tcp_length);
  if (source.is_v4()) {
    return s + source.v4_raw() + destination.v4_raw();  // far from a carry
  }
  return sum(destination.bytes, sum(source.bytes, s));
}

}  // namespace mire::wire
