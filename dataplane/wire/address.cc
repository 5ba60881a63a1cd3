#include "dataplane/wire/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace mire::wire {
namespace {

constexpr unsigned kMappedBits = 96;  // ::ffff:0:0/96

unsigned longest(const Address& a) noexcept { return a.is_v4() ? 32 : 128; }

// Decimal digits only: no sign, no blank, no leading zero.
std::optional<unsigned> parse_length(std::string_view text) noexcept {
  unsigned n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0')) {
    return std::nullopt;
  }
  return n;
}

}  // namespace

Address masked(const Address& a, unsigned length) noexcept {
  const unsigned bits = std::min(length, longest(a)) + (a.is_v4() ? kMappedBits : 0);
  Address r;
  std::memcpy(r.bytes.data(), a.bytes.data(), bits / 8);
  if (bits % 8 != 0) {
    r.bytes[bits / 8] = static_cast<uint8_t>(a.bytes[bits / 8] & (0xff00u >> (bits % 8)));
  }
  return r;
}

// The families keep apart by themselves: what is masked of an IPv4 address keeps its 96 mapped bits, which no IPv6
// prefix has.
bool Prefix::contains(const Address& a) const noexcept { return masked(a, length) == address; }

std::optional<Address> parse_address(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return std::nullopt;  // inet_pton would end there
  }
  const std::string terminated(text);
  std::array<uint8_t, 16> raw{};
  if (inet_pton(AF_INET, terminated.c_str(), raw.data()) == 1) {
    return Address::v4_at(raw.data());
  }
  if (inet_pton(AF_INET6, terminated.c_str(), raw.data()) == 1) {
    return Address::v6_at(raw.data());
  }
  return std::nullopt;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<Address> address = parse_address(text.substr(0, slash));
  if (!address) {
    return std::nullopt;
  }
  unsigned length = longest(*address);
  if (slash != std::string_view::npos) {
    std::optional<unsigned> given = parse_length(text.substr(slash + 1));
    if (given && address->is_v4() && text.find(':') != std::string_view::npos) {  // ::ffff:192.0.2.0/120
      given = *given >= kMappedBits ? std::optional(*given - kMappedBits) : std::nullopt;
    }
    if (!given || *given > length) {
      return std::nullopt;
    }
    length = *given;
  }
  if (masked(*address, length) != *address) {
    return std::nullopt;
  }
  return Prefix{*address, static_cast<uint8_t>(length)};
}

std::string to_string(const Address& a) {
  char text[INET6_ADDRSTRLEN];
  const bool v4 = a.is_v4();
  inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &a.bytes[12] : a.bytes.data(), text, sizeof text);
  return text;
}

std::string to_string(const Prefix& p) { return to_string(p.address) + '/' + std::to_string(p.length); }

}  // namespace mire::wire
