// quotation.h - the TCP segment that an ICMP error tells of, and its numbers moved by constants.
//
// Purpose: an error quotes the segment that caused it as it was on the wire (RFC 792, RFC 4443 2.4 c), and who had sent
// it believes the error only if the quoted number is one of its own that is under way (RFC 5927 4.1): where numbers are
// translated, the quoted ones are translated back. Path MTU discovery depends on it (RFC 1191, RFC 8201).
//
// Read are the types that TCP heeds: destination unreachable, time exceeded, parameter problem, packet too big. A
// quotation is cut anywhere behind its first eight bytes of TCP, its length fields and checksums need not fit it. Of
// what is rare we say that there is none, and it goes its way: an error behind IPv6 extension headers or in fragments,
// a quoted fragment but the first, quoted IPv6 extension headers. Cost: a few loads, for frames that are not TCP.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/wire/parse.h"
#include "dataplane/wire/translate.h"

namespace mire::wire {

struct Quotation {
  uint16_t icmp = 0;  // offset of the ICMP header
  uint16_t tcp = 0;   // offset of the quoted TCP header, of which at least the ports and the number are there
  uint16_t end = 0;   // offset behind what is quoted of the segment
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  Address source;  // of the quoted segment: to whom the error goes
  Address destination;
};

// Needs Headers from parse() for exactly this frame. Nothing: no such error.
[[nodiscard]] std::optional<Quotation> quotation(std::span<const uint8_t> frame, const Headers&) noexcept;

// An error about a segment of the server, as its client was sent it: the server's own numbers again. About a segment of
// the client, as its server was sent it: the client's. The checksums stay right if they were (RFC 1624).
void to_servers_own_numbers(std::span<uint8_t> frame, const Quotation&, const Translation&) noexcept;
void to_clients_own_numbers(std::span<uint8_t> frame, const Quotation&, const Translation&) noexcept;

}  // namespace mire::wire
