#include "dataplane/smtp/pipeconnect.h"

#include <string_view>

namespace mire::smtp {
namespace {

constexpr std::string_view kLongest = "X_PIPE_CONNECT";
constexpr uint8_t kPipe = 2;       // behind the optional "X_"
constexpr uint8_t kUnderline = 6;  // the optional one of "PIPE_CONNECT"

constexpr uint8_t upper(uint8_t byte) { return byte >= 'a' && byte <= 'z' ? static_cast<uint8_t>(byte - 0x20) : byte; }

}  // namespace

bool KeywordScanner::next(uint8_t byte) noexcept {
  if (!active()) return false;
  const uint8_t letter = upper(byte);
  if (position_ == 0 && letter == 'P') position_ = kPipe;
  if (position_ == kUnderline && letter == 'C') ++position_;
  position_ = letter == static_cast<uint8_t>(kLongest[position_]) ? static_cast<uint8_t>(position_ + 1) : kIdle;
  if (position_ != kLongest.size()) return false;
  position_ = kIdle;
  return true;
}

}  // namespace mire::smtp
