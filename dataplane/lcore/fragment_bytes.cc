#include "dataplane/lcore/fragment_bytes.h"

#include <cstring>

#include "dataplane/wire/byteorder.h"
#include "dataplane/wire/checksum.h"

namespace mire::lcore {

bool ipv4_header_valid(std::span<const uint8_t> ip) noexcept {
  return wire::fold(wire::sum(ip.first((ip[0] & 0x0fu) * 4u))) == 0;
}

void set_ipv4_id(uint8_t* ip, uint16_t id) noexcept {
  uint16_t was = 0, is = 0, checksum = 0;
  std::memcpy(&was, ip + 4, 2);
  std::memcpy(&checksum, ip + 10, 2);
  wire::store16(ip + 4, id);
  std::memcpy(&is, ip + 4, 2);
  checksum = wire::updated(checksum, was, is);
  std::memcpy(ip + 10, &checksum, 2);
}

}  // namespace mire::lcore
