// early.h - what an early talker said, from the first bytes alone.
//
// It decides nothing: whether a client was early is known from ACK numbers, elsewhere. These questions only tell the
// rude from the lost.
#pragma once

#include <cstdint>
#include <span>

namespace mire::smtp {

// "EHLO " in any case. A client that was offered Exim's PIPECONNECT begins so before the greeting, legitimately.
[[nodiscard]] bool is_hello(std::span<const uint8_t> bytes) noexcept;

// Another protocol than SMTP: HTTP, TLS, SSH, PROXY, SOCKS, SIP, SMB, RDP. Who speaks it at port 25 is a scanner or
// misconfigured, which never demotes a trusted or known source. False while too few bytes are there to tell.
[[nodiscard]] bool other_protocol(std::span<const uint8_t> bytes) noexcept;

}  // namespace mire::smtp
