// final_dot.h - finds the end of a message's content: CRLF . CRLF (RFC 5321 4.1.1.4), and nothing that only looks like
// it.
//
// A bare CR or LF ends no line here (RFC 5321 2.3.8). It looks at every byte of every message, so it takes blocks
// without a dot behind an LF at a glance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mire::smtp {

class FinalDot {
 public:
  // Content begins: a dot may come at once, for the command's own CRLF stands before it.
  void begin() noexcept { state_ = State::line; }

  struct Scan {
    size_t taken;  // bytes up to and including the final CRLF, or all
    bool ended;
  };
  [[nodiscard]] Scan scan(std::span<const uint8_t> bytes) noexcept;

 private:
  enum class State : uint8_t { text, cr, line, dot, dot_cr };
  // True with the final LF.
  [[nodiscard]] bool step(uint8_t byte) noexcept;

  State state_ = State::line;
};

}  // namespace mire::smtp
