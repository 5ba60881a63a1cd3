#include "dataplane/smtp/command_line.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "dataplane/smtp/line_limits.h"

namespace mire::smtp {
namespace {

constexpr uint64_t packed(std::string_view word) {
  uint64_t value = 0;
  for (const char c : word) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

Verb verb_of(uint64_t word) {
  switch (word) {
    case packed("HELO"): return Verb::helo;
    case packed("EHLO"): return Verb::ehlo;
    case packed("MAIL"): return Verb::mail;
    case packed("RCPT"): return Verb::rcpt;
    case packed("DATA"): return Verb::data;
    case packed("BDAT"): return Verb::bdat;
    case packed("RSET"): return Verb::rset;
    case packed("VRFY"): return Verb::vrfy;
    case packed("EXPN"): return Verb::expn;
    case packed("TURN"): return Verb::turn;
    case packed("QUIT"): return Verb::quit;
    case packed("NOOP"): return Verb::noop;
    case packed("STARTTLS"): return Verb::starttls;
    case packed("AUTH"): return Verb::auth;
    default: return Verb::other;
  }
}

constexpr bool is_letter(uint8_t byte) { return (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z'; }
constexpr uint8_t upper(uint8_t byte) { return is_letter(byte) ? static_cast<uint8_t>(byte & 0xdf) : byte; }
constexpr bool is_blank(uint8_t byte) { return byte == ' ' || byte == '\t'; }

constexpr uint8_t kWrong = 0xff;  // the argument is not what was looked for

// MAIL: " FROM:<>", blanks before FROM and before the path as servers forgive them.
constexpr std::string_view kNullPath = "FROM:<>";
constexpr uint8_t kNullPathRead = kNullPath.size();
constexpr uint8_t kBeforePath = 5;

// BDAT: blanks, digits, blanks, LAST, blanks.
constexpr uint8_t kInCount = 1;     // 0: before it
constexpr uint8_t kBeforeLast = 2;  // then one step a letter
constexpr std::string_view kLast = "LAST";
constexpr uint8_t kLastRead = kBeforeLast + kLast.size();

}  // namespace

CommandLine::Read CommandLine::read(std::span<const uint8_t> bytes) noexcept {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool argument_matters =
        (verb_ == Verb::mail && argument_ < kNullPathRead) || (verb_ == Verb::bdat && argument_ != kWrong);
    if (verb_ != Verb::none && !argument_matters) {  // only the line's end is of interest
      const void* end = std::memchr(&bytes[i], '\n', bytes.size() - i);
      const size_t skipped = (end != nullptr ? static_cast<const uint8_t*>(end) - &bytes[i] : bytes.size() - i - 1);
      bytes_ = static_cast<uint16_t>(bytes_ + std::min<size_t>(skipped, kAuthLineBytes + 1));
      i += skipped;
    }
    const uint8_t byte = bytes[i];
    if (verb_ == Verb::none) take_letter(byte);
    if (++bytes_ > (verb_ == Verb::auth ? kAuthLineBytes : kLineBytes)) return {i + 1, Progress::too_long};
    if (byte == '\n') return {i + 1, Progress::whole};
    if (verb_ == Verb::mail) take_path(byte);
    if (verb_ == Verb::bdat && !take_count(byte)) return {i + 1, Progress::bad_count};
  }
  return {bytes.size(), Progress::more};
}

void CommandLine::take_letter(uint8_t byte) noexcept {
  if (!is_letter(byte)) {
    verb_ = verb_of(word_);
  } else if (word_ >> 56 != 0) {  // a ninth letter
    verb_ = Verb::other;
  } else {
    word_ = word_ << 8 | upper(byte);
  }
}

void CommandLine::take_path(uint8_t byte) noexcept {
  if (argument_ >= kNullPathRead) return;
  if (is_blank(byte) && (argument_ == 0 || argument_ == kBeforePath)) return;
  argument_ = upper(byte) == static_cast<uint8_t>(kNullPath[argument_]) ? static_cast<uint8_t>(argument_ + 1) : kWrong;
}

bool CommandLine::take_count(uint8_t byte) noexcept {
  if (byte == '\r' || argument_ == kWrong) return true;
  if (byte >= '0' && byte <= '9' && argument_ <= kInCount) {
    const uint64_t count = uint64_t{octets_} * 10 + (byte - '0');
    if (count > std::numeric_limits<uint32_t>::max()) return false;
    octets_ = static_cast<uint32_t>(count);
    argument_ = kInCount;
  } else if (is_blank(byte)) {
    if (argument_ == kInCount) argument_ = kBeforeLast;
    if (argument_ > kBeforeLast && argument_ < kLastRead) argument_ = kWrong;
  } else if (argument_ >= kBeforeLast && argument_ < kLastRead &&
             upper(byte) == static_cast<uint8_t>(kLast[argument_ - kBeforeLast])) {
    ++argument_;
  } else {
    argument_ = kWrong;
  }
  return true;
}

Verb CommandLine::verb() const noexcept {
  if (verb_ != Verb::bdat) return verb_;
  // Without a count that can be read, servers refuse it and take no octets.
  const bool readable = argument_ == kInCount || argument_ == kBeforeLast || argument_ == kLastRead;
  return readable ? Verb::bdat : Verb::other;
}

bool CommandLine::null_path() const noexcept { return verb_ == Verb::mail && argument_ == kNullPathRead; }

bool CommandLine::last() const noexcept { return argument_ == kLastRead; }

}  // namespace mire::smtp
