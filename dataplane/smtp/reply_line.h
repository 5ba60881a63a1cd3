// reply_line.h - reads a reply, line by line, however it is cut: its code, and where it ends (RFC 5321 4.2).
//
// Strict where a command line is lenient: a bare LF makes a reply unreadable, because a wrong end would make a polite
// client look hasty. A bare CR is text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mire::smtp {

class ReplyLine {
 public:
  enum class Step : uint8_t {
    inside,
    text_begins,  // the next byte is the first of the line's text, or its CR
    line_over,    // the reply goes on
    reply_over,
    too_long,
    malformed,
  };

  // How many of these bytes hold nothing but text; they count as read.
  [[nodiscard]] size_t skip_text(std::span<const uint8_t> bytes) noexcept;

  [[nodiscard]] Step next(uint8_t byte) noexcept;

  [[nodiscard]] uint16_t code() const noexcept { return code_; }
  [[nodiscard]] bool continued() const noexcept { return continued_; }  // the reply has had a line before this one

  // After reply_over, for the next one.
  void begin() noexcept { *this = ReplyLine{}; }

 private:
  enum class State : uint8_t { code, separator, text, cr };

  uint16_t code_ = 0;
  uint16_t bytes_ = 0;  // of the line so far
  State state_ = State::code;
  bool continued_ : 1 = false;
  bool final_ : 1 = false;  // this line is the last
};

}  // namespace mire::smtp
