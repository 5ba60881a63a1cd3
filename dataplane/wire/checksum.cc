#include "dataplane/wire/checksum.h"

#include "dataplane/wire/byteorder.h"

namespace mire::wire {

uint64_t pseudo_sum(const Address& source, const Address& destination, uint16_t tcp_length) noexcept {
  // RFC 9293 3.1, RFC 8200 8.1: addresses, zeros and protocol 6, length; for IPv6 the same words in another order.
  const uint64_t s = uint64_t{swap16(6)} + swap16(tcp_length);
  if (source.is_v4()) {
    return s + source.v4_raw() + destination.v4_raw();  // far from a carry
  }
  return sum(destination.bytes, sum(source.bytes, s));
}

}  // namespace mire::wire
