#include "dataplane/smtp/early.h"

#include <algorithm>
#include <string_view>

namespace mire::smtp {
namespace {

using namespace std::string_view_literals;

bool begins_with(std::span<const uint8_t> bytes, std::string_view what) {
  return bytes.size() >= what.size() && std::equal(what.begin(), what.end(), bytes.begin(),
                                                   [](char c, uint8_t b) { return static_cast<uint8_t>(c) == b; });
}

// What others say first. Longest possible, so that no SMTP client is taken for one of them.
constexpr std::string_view kOthers[] = {
    "GET "sv,         "POST "sv,
    "HEAD "sv,        "PUT "sv,
    "OPTIONS "sv,  // HTTP (RFC 9110 9.3), RTSP, SIP
    "CONNECT "sv,     "TRACE "sv,
    "DELETE "sv,      "PATCH "sv,
    "PRI * HTTP/2"sv, "REGISTER "sv,
    "INVITE "sv,                                 // SIP
    "SSH-"sv,                                    // RFC 4253 4.2
    "PROXY "sv,       "\r\n\r\n\0\r\nQUIT\n"sv,  // a balancer's header, versions 1 and 2
    "\x05\x01\0"sv,   "\x04\x01"sv,              // SOCKS
    "\x03\0\0"sv,                                // RDP (RFC 1006 6: TPKT)
};

// RFC 8446 5.1: a handshake record of any version; RFC 5246 E.2: a hello in the old frame.
bool is_tls(std::span<const uint8_t> b) {
  if (b.size() >= 2 && b[0] == 0x16 && b[1] == 0x03) return true;
  return b.size() >= 4 && (b[0] & 0x80) != 0 && b[2] == 0x01 && b[3] <= 0x03;
}

// A NetBIOS length, then the signature of SMB 1 or 2.
bool is_smb(std::span<const uint8_t> b) {
  return b.size() >= 8 && b[0] == 0 && (b[4] == 0xff || b[4] == 0xfe) && b[5] == 'S' && b[6] == 'M' && b[7] == 'B';
}

}  // namespace

bool is_hello(std::span<const uint8_t> bytes) noexcept {
  constexpr std::string_view kHello = "EHLO ";
  if (bytes.size() < kHello.size()) return false;
  return std::equal(kHello.begin(), kHello.end(), bytes.begin(),
                    [](char c, uint8_t b) { return c == ' ' ? b == ' ' : (b & 0xdf) == static_cast<uint8_t>(c); });
}

bool other_protocol(std::span<const uint8_t> bytes) noexcept {
  if (is_tls(bytes) || is_smb(bytes)) return true;
  return std::any_of(std::begin(kOthers), std::end(kOthers),
                     [&](std::string_view what) { return begins_with(bytes, what); });
}

}  // namespace mire::smtp
