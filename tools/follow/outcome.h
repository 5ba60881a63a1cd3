// outcome.h - what a line of a mail server's log says of a client, or of a server that took our mail.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "dataplane/wire/address.h"

namespace mire::follow {

enum class Kind : uint8_t { accepted, unknown_recipient, refusal, outbound };
inline constexpr std::array<std::string_view, 4> kKindNames = {"accepted", "unknown_recipient", "refusal", "outbound"};

struct Outcome {
  wire::Address source;  // the client; of `outbound` the server that took it
  uint16_t port = 0;     // the client's; 0: the log does not say
  Kind kind = Kind::accepted;
  double amount = 1;
  std::string domain;  // of `outbound`: the recipient's, in small letters
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

}  // namespace mire::follow
