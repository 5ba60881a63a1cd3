#include "dataplane/smtp/final_dot.h"

namespace mire::smtp {
namespace {

constexpr size_t kBlock = 128;

// A dot directly behind one of the block's LFs; the byte behind the block is read too. Written for the compiler's
// vectors: no early exit.
bool has_dotted_line(const uint8_t* block) {
  uint8_t found = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const uint8_t dotted = static_cast<uint8_t>(block[i] == '\n') & static_cast<uint8_t>(block[i + 1] == '.');
    found = static_cast<uint8_t>(found | dotted);
  }
  return found != 0;
}

}  // namespace

FinalDot::Scan FinalDot::scan(std::span<const uint8_t> bytes) noexcept {
  size_t i = 0;
  while (i < bytes.size()) {
    // From these two states a final dot needs an LF and a dot first.
    const bool at_a_glance = (state_ == State::text || state_ == State::cr) && bytes.size() - i > kBlock;
    if (at_a_glance && !has_dotted_line(&bytes[i])) {
      const uint8_t last = bytes[i + kBlock - 1];
      const bool line_over = last == '\n' && bytes[i + kBlock - 2] == '\r';
      state_ = line_over ? State::line : last == '\r' ? State::cr : State::text;
      i += kBlock;
      continue;
    }
    // Byte by byte: the whole block once it has been looked at, else until the next glance is possible.
    const size_t stop = at_a_glance ? i + kBlock : i + 1;
    for (; i < stop; ++i) {
      if (step(bytes[i])) return {i + 1, true};
    }
  }
  return {i, false};
}

bool FinalDot::step(uint8_t byte) noexcept {
  const State otherwise = byte == '\r' ? State::cr : State::text;
  switch (state_) {
    case State::text: state_ = otherwise; break;
    case State::cr: state_ = byte == '\n' ? State::line : otherwise; break;
    case State::line: state_ = byte == '.' ? State::dot : otherwise; break;
    case State::dot: state_ = byte == '\r' ? State::dot_cr : State::text; break;
    case State::dot_cr:
      if (byte == '\n') return true;
      state_ = otherwise;
      break;
  }
  return false;
}

}  // namespace mire::smtp
