// options.h - TCP options: read once, blanked or clamped in place.
//
// Assumes Headers from parse() with kind == tcp for exactly this frame. Every edit keeps the TCP checksum (and, where
// lengths change, the IPv4 header checksum) correct by RFC 1624 if it was correct before, and leaves it incorrect if it
// was not.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/wire/parse.h"

namespace mire::wire {

struct TcpOptions {
  bool well_formed = true;  // false: a length that runs out of the header; what was read before it is kept
  bool has_mss = false;
  bool has_window_scale = false;
  bool sack_permitted = false;
  bool has_timestamps = false;  // RFC 7323 3.2
  bool fast_open = false;       // kind 34 (RFC 7413), or 254 with magic 0xF989
  bool multipath = false;       // kind 30 (RFC 8684)
  bool signature = false;       // MD5 (kind 19, RFC 2385) or TCP-AO (kind 29, RFC 5925)
  uint16_t mss = 0;
  uint8_t window_scale = 0;
  uint32_t tsval = 0;
  uint32_t tsecr = 0;
};

[[nodiscard]] TcpOptions read_options(std::span<const uint8_t> frame, const Headers&) noexcept;

// Writes the options of a SYN or SYN-ACK, packed as Linux packs them: MSS, SACK permitted and timestamps in one run,
// window scale. Returns their length, a multiple of 4.
inline constexpr size_t kSynOptions = 20;
[[nodiscard]] size_t write_syn_options(const TcpOptions&, std::span<uint8_t, kSynOptions> room) noexcept;

// Overwrites TCP Fast Open and MPTCP options by NOPs (kind 1). True if something was there.
bool blank_fast_open_and_multipath(std::span<uint8_t> frame, const Headers&) noexcept;

// Lowers the MSS option to at most `mss`; a SYN without one is left alone. True if it was lowered.
bool clamp_mss(std::span<uint8_t> frame, const Headers&, uint16_t mss) noexcept;

// Cuts the TCP payload off: IP length and checksums corrected, Headers updated. Returns the frame's new length in
// bytes. The FIN flag goes too, for it lies behind the payload in sequence space.
[[nodiscard]] uint16_t trim_payload(std::span<uint8_t> frame, Headers&) noexcept;

// Overwrites payload bytes at `offset` within the payload by `bytes`, keeping the checksum. Needs offset + bytes.size()
// <= payload_length.
void overwrite_payload(std::span<uint8_t> frame, const Headers&, uint16_t offset,
                       std::span<const uint8_t> bytes) noexcept;

}  // namespace mire::wire
