// spf_record.h - an SPF record as terms. Pure; RFC 7208 4.6 and 12.
//
// Refuses to know DNS: what the terms ask for, the walk asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/wire/address.h"

namespace mire::lists {

enum class SpfMechanism : uint8_t { all, include, a, mx, ptr, ip4, ip6, exists };

struct SpfTerm {
  char qualifier = '+';
  SpfMechanism mechanism = SpfMechanism::all;
  std::string domain;      // empty: the domain of the record itself; small letters
  wire::Prefix prefix;     // ip4, ip6
  uint8_t v4_length = 32;  // a, mx
  uint8_t v6_length = 128;
  bool macro = false;  // the domain holds macros: it depends on the sender and cannot be expanded
  friend bool operator==(const SpfTerm&, const SpfTerm&) = default;
};

struct SpfRecord {
  std::vector<SpfTerm> terms;
  std::optional<std::string> redirect;  // counts only without `all` (RFC 7208 6.1)
  bool redirect_macro = false;
};

// 4.5: is this text record an SPF record at all?
[[nodiscard]] bool is_spf(std::string_view text) noexcept;
// 4.6: an error anywhere in the record makes all of it void. Unknown modifiers are skipped, unknown mechanisms are not.
[[nodiscard]] Result<SpfRecord> parse_spf(std::string_view text);

}  // namespace mire::lists
