// greeting.h - where a server's greeting ends, and whether it welcomes.
//
// Stateless: it is shown the server's bytes from the first of the greeting on, again and again as more of them come. It
// knows neither packets nor holds. It scans at most kGreetingBytes, so its cost is bounded whatever a server sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mire::smtp {

inline constexpr size_t kGreetingBytes = 4096;
inline constexpr size_t kGreetingLines = 64;

enum class GreetingResult : uint8_t {
  incomplete,   // so far so good; more must come
  ready,        // the final `220` line is whole: the client may speak
  refused,      // 4xx or 5xx: RFC 5321 3.1, there is nothing to judge a client by
  unjudgeable,  // not a greeting that we can read
};

struct GreetingScan {
  GreetingResult result;
  size_t
      end;  // ready: behind the final line's CRLF. refused: the same if that line is whole, else bytes.size(). Else 0.

  friend constexpr bool operator==(const GreetingScan&, const GreetingScan&) = default;
};

// A greeting is any number of `220-` lines and one `220` line with or without text (RFC 5321 4.2). It is unjudgeable
// when a line ends in a bare LF, a code is malformed, is none of 220, 4xx and 5xx or changes between lines, or when the
// final line does not end within the limits above. A verdict is given at the first byte that settles it.
//
// A bare CR within text is text: RFC 5321 2.3.8 forbids it, but no client takes it for the end of a line. A bare CR
// right behind the code is a malformed code.
[[nodiscard]] GreetingScan scan_greeting(std::span<const uint8_t> bytes) noexcept;

}  // namespace mire::smtp
