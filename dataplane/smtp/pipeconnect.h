// pipeconnect.h - finds Exim's early-pipelining keyword at the beginning of a line of an EHLO reply.
//
// Exim advertises PIPECONNECT since 4.94, X_PIPE_CONNECT before; matched is [X_]PIPE[_]CONNECT in any case. A longer
// keyword with that beginning is found too: bytes go out as they come, so nothing behind the keyword may be waited for.
// It knows no lines: its owner shows it the text of each.
#pragma once

#include <cstdint>

namespace mire::smtp {

class KeywordScanner {
 public:
  // The next byte is the first of a line's text.
  void begin_line() noexcept { position_ = 0; }

  // The next byte may go on a keyword or begin one; otherwise there is no need to show it.
  [[nodiscard]] bool active() const noexcept { return position_ != kIdle; }

  // True with the keyword's last byte.
  [[nodiscard]] bool next(uint8_t byte) noexcept;

 private:
  static constexpr uint8_t kIdle = 0xff;
  uint8_t position_ = kIdle;  // in "X_PIPE_CONNECT"
};
static_assert(sizeof(KeywordScanner) <= 4);

}  // namespace mire::smtp
