// verb.h - the commands of SMTP, as far as a dialogue must tell them apart.
#pragma once

#include <cstdint>

namespace mire::smtp {

enum class Verb : uint8_t {
  none,
  helo,
  ehlo,
  mail,
  rcpt,
  data,
  bdat,
  rset,
  vrfy,
  expn,
  turn,
  quit,
  noop,
  starttls,
  auth,
  other,
};

[[nodiscard]] const char* name(Verb) noexcept;

// A client must have read the reply before it sends on: RFC 2920 3.1; HELO and AUTH (RFC 4954 4) and STARTTLS (RFC 3207
// 4) alike.
[[nodiscard]] bool ends_group(Verb) noexcept;

}  // namespace mire::smtp
