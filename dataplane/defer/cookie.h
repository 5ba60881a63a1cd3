// cookie.h - the sequence number with which a stranger is met: it remembers the handshake, so that we need not.
//
// Purpose: whoever acknowledges the number has received it, so its address is real, and what its SYN offered can be
// read off it. 5 bits of time, 3 bits of MSS, 24 bits of SipHash (keyed: an attacker sees many) over addresses, ports
// and both other fields, like Linux's SYN cookies. A guess is right once in 2^24 / 2. Assumes a key that is new with
// each start of the dataplane. Cost: one SipHash-2-4 of 40 bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/base/time.h"
#include "dataplane/wire/address.h"
#include "dataplane/wire/seq.h"

namespace mire::defer {

// Whose handshake. Ports in host byte order; the server's is 25.
struct Handshake {
  wire::Address client;
  wire::Address server;
  uint64_t vlan = 0;
  uint16_t client_port = 0;
  wire::SeqNo client_isn;
};

// Secret; every bit counts.
using CookieKey = std::array<uint8_t, 16>;

class CookieJar {
 public:
  explicit CookieJar(const CookieKey& key) noexcept : key_(key) {}

  // A number for this handshake. `mss`: of the client, rounded down to one of eight values; std::nullopt: what the
  // SYN-ACK promises is kept in a record, and without the record the number proves nothing.
  [[nodiscard]] wire::SeqNo bake(const Handshake&, std::optional<uint16_t> mss, Time now) const noexcept;

  struct Opened {
    uint16_t mss = 0;
  };
  // The MSS that a number of ours remembers, if it was baked for this handshake within the last 64 to 128 s, and not
  // for one that needs its record.
  [[nodiscard]] std::optional<Opened> open(const Handshake&, wire::SeqNo, Time now) const noexcept;

  // A number for a handshake of which nothing will ever be kept: it does not age, for its connection may last as long
  // as the client likes, and gives back the client's ISN instead of proving anything.
  [[nodiscard]] wire::SeqNo bait(const Handshake&) const noexcept;
  [[nodiscard]] wire::SeqNo client_isn_of(const Handshake&,
                                          wire::SeqNo bait) const noexcept;  // its client_isn is not read

  // A number that is the same for one client and server as long as the key lives: where our timestamps begin
  // (RFC 7323 5.4).
  [[nodiscard]] uint32_t clock_offset(const Handshake&) const noexcept;

 private:
  [[nodiscard]] uint32_t hash(const Handshake&, uint32_t slot, uint32_t mss_index) const noexcept;
  CookieKey key_;
};

}  // namespace mire::defer
