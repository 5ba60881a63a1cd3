// command_line.h - reads one command line, however it is cut: its verb, and of its argument no more than a dialogue
// needs.
//
// A bare LF ends a line too: RFC 5321 2.3.8 forbids it, but the servers in the field take it, or close. A bare CR is
// text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/smtp/verb.h"

namespace mire::smtp {

class CommandLine {
 public:
  enum class Progress : uint8_t { more, whole, too_long, bad_count };
  struct Read {
    size_t taken;  // bytes up to and including the line's end, or all
    Progress progress;
  };

  void begin() noexcept { *this = CommandLine{}; }

  // Octets of BDAT passed: at most octets_left().
  void pass_octets(uint32_t count) noexcept { octets_ -= count; }

  // The line answers a 334 and holds no command (RFC 4954 4).
  void begin_challenge() noexcept {
    begin();
    verb_ = Verb::auth;
  }

  [[nodiscard]] Read read(std::span<const uint8_t> bytes) noexcept;

  // Of a whole line.
  [[nodiscard]] Verb verb() const noexcept;
  [[nodiscard]] bool null_path() const noexcept;  // MAIL FROM:<>
  [[nodiscard]] uint32_t octets_left() const noexcept {
    return octets_;
  }                                          // BDAT's, that follow the line and have not passed
  [[nodiscard]] bool last() const noexcept;  // BDAT n LAST

 private:
  void take_letter(uint8_t byte) noexcept;
  void take_path(uint8_t byte) noexcept;
  [[nodiscard]] bool take_count(uint8_t byte) noexcept;

  uint64_t word_ = 0;  // the first letters, upper case, the latest in the lowest byte
  uint32_t octets_ = 0;
  uint16_t bytes_ = 0;      // of the line so far
  Verb verb_ = Verb::none;  // none until the first word is whole
  uint8_t argument_ = 0;    // how far it is read: MAIL's and BDAT's own steps
};

}  // namespace mire::smtp
