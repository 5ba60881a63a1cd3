#include "dataplane/smtp/greeting.h"

#include <algorithm>
#include <cstring>

namespace mire::smtp {
namespace {

constexpr bool is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }

constexpr GreetingScan kIncomplete{GreetingResult::incomplete, 0};
constexpr GreetingScan kUnjudgeable{GreetingResult::unjudgeable, 0};

// Where the final line of a refusal ends, as well as it can be told: the verdict does not depend on it.
size_t refusal_end(std::span<const uint8_t> bytes, size_t otherwise) {
  size_t line = 0;
  for (size_t i = 1; i < bytes.size(); ++i) {
    if (bytes[i] != '\n' || bytes[i - 1] != '\r') continue;
    if (i - line < 4 || bytes[line + 3] != '-') return i + 1;
    line = i + 1;
  }
  return otherwise;
}

}  // namespace

GreetingScan scan_greeting(std::span<const uint8_t> bytes) noexcept {
  const std::span<const uint8_t> scanned = bytes.first(std::min(bytes.size(), kGreetingBytes));
  const GreetingScan undecided = bytes.size() >= kGreetingBytes ? kUnjudgeable : kIncomplete;
  size_t at = 0;
  for (size_t line = 0; line < kGreetingLines; ++line) {
    // The code: 220, or on the first line any 4xx or 5xx.
    bool refusal = false;
    for (size_t digit = 0; digit < 3; ++digit, ++at) {
      if (at == scanned.size()) return undecided;
      const uint8_t byte = scanned[at];
      if (line == 0 && digit == 0) refusal = byte == '4' || byte == '5';
      if (refusal ? !is_digit(byte) : byte != static_cast<uint8_t>("220"[digit])) return kUnjudgeable;
    }
    if (at == scanned.size()) return undecided;
    const uint8_t separator = scanned[at];
    if (separator != ' ' && separator != '-' && separator != '\r') return kUnjudgeable;
    if (refusal) return {GreetingResult::refused, refusal_end(scanned, bytes.size())};

    const auto* end = static_cast<const uint8_t*>(std::memchr(&scanned[at], '\n', scanned.size() - at));
    if (separator == '\r' && at + 1 < scanned.size() && scanned[at + 1] != '\n') return kUnjudgeable;
    if (end == nullptr) return undecided;
    if (*(end - 1) != '\r') return kUnjudgeable;
    at = static_cast<size_t>(end - scanned.data()) + 1;
    if (separator != '-') return {GreetingResult::ready, at};
  }
  return kUnjudgeable;
}

}  // namespace mire::smtp
