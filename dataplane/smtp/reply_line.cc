#include "dataplane/smtp/reply_line.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/smtp/line_limits.h"

namespace mire::smtp {

size_t ReplyLine::skip_text(std::span<const uint8_t> bytes) noexcept {
  if (state_ != State::text || bytes.empty()) return 0;
  // The byte before the LF stays, for it must be a CR; and so does the last of all, which may be.
  const void* end = std::memchr(bytes.data(), '\n', bytes.size());
  const size_t text =
      end != nullptr ? static_cast<size_t>(static_cast<const uint8_t*>(end) - bytes.data()) : bytes.size();
  const size_t skipped = text == 0 ? 0 : text - 1;
  bytes_ = static_cast<uint16_t>(bytes_ + std::min<size_t>(skipped, kLineBytes + 1));
  return skipped;
}

ReplyLine::Step ReplyLine::next(uint8_t byte) noexcept {
  if (++bytes_ > kLineBytes) return Step::too_long;
  switch (state_) {
    case State::code: {
      // RFC 5321 4.2: three digits, the same on each line; the first says success, more to come, or failure.
      const unsigned digit = static_cast<unsigned>(byte - '0');
      if (digit > 9) return Step::malformed;
      if (continued_) {
        constexpr std::array<uint16_t, 4> kPlace{0, 100, 10, 1};
        if (code_ / kPlace[bytes_] % 10 != digit) return Step::malformed;
      } else {
        if (bytes_ == 1 && (digit < 2 || digit > 5)) return Step::malformed;
        code_ = static_cast<uint16_t>(code_ * 10 + digit);
      }
      if (bytes_ == 3) state_ = State::separator;
      return Step::inside;
    }
    case State::separator:
      if (byte != ' ' && byte != '-' && byte != '\r') return Step::malformed;
      final_ = byte != '-';
      state_ = byte == '\r' ? State::cr : State::text;
      return byte == '\r' ? Step::inside : Step::text_begins;
    case State::text:
      if (byte == '\n') return Step::malformed;
      if (byte == '\r') state_ = State::cr;
      return Step::inside;
    case State::cr:
      if (byte != '\n') {
        if (bytes_ == 5 && final_) return Step::malformed;  // "250" CR and something else
        state_ = byte == '\r' ? State::cr : State::text;
        return Step::inside;
      }
      if (final_) return Step::reply_over;
      continued_ = true;
      bytes_ = 0;
      state_ = State::code;
      return Step::line_over;
  }
  return Step::malformed;
}

}  // namespace mire::smtp
