// translate.h - a segment's numbers moved by constants, between a server's counting and what its client was told.
//
// Purpose: a client that was greeted before its server was dialled counts the server's bytes from another number, and
// perhaps the server's clock too. Both differ by constants for as long as the connection lasts. Assumes Headers from
// parse() with kind == tcp for exactly this frame; they are updated with the frame. The checksum stays right if it was
// (RFC 1624). Cost: a few loads; with SACK blocks two words each.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/wire/parse.h"

namespace mire::wire {

// What is added to the server's numbers on their way to the client, and taken from the client's echoes of them.
struct Translation {
  uint32_t seq = 0;
  uint32_t clock = 0;  // timestamps (RFC 7323); 0 where they are not used
};

// A segment of the server: its sequence number and its TSval.
void to_clients_numbers(std::span<uint8_t> frame, Headers&, const Translation&) noexcept;

// A segment of the client: its ACK number, the edges of its SACK blocks (RFC 2018 3), its TSecr.
void to_servers_numbers(std::span<uint8_t> frame, Headers&, const Translation&) noexcept;

}  // namespace mire::wire
