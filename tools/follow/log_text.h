// log_text.h - what both logs' readers need: a cursor over a line, and the few shapes that addresses take in one.
//
// Log lines carry what strangers wrote (HELO names, mail addresses, replies): everything is read from the left, and
// what has not the exact shape is no match. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/wire/address.h"

namespace mire::follow {

class Line {
 public:
  explicit Line(std::string_view text) : rest_(text) {}
  [[nodiscard]] std::string_view rest() const { return rest_; }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

  // Each takes what it names and says so, or takes nothing.
  bool take(std::string_view exactly);
  std::optional<uint32_t> take_number(uint32_t most);
  // Up to a blank, which goes, too; not empty.
  std::optional<std::string_view> take_word();
  // Up to any of these, which stays; not empty.
  std::optional<std::string_view> take_until(std::string_view any_of);
  // A blank-separated field in which "quoted strings" may hold blanks (RFC 5321 4.1.2); the blank goes.
  std::optional<std::string_view> take_field();
  // <path>, in which a quoted string may hold anything; what is between the brackets.
  std::optional<std::string_view> take_path();

 private:
  std::string_view rest_;
};

struct Peer {
  wire::Address address;
  uint16_t port = 0;  // 0: not said
};
// [192.0.2.1] or [192.0.2.1]:54321.
[[nodiscard]] std::optional<Peer> take_bracketed(Line&);

// The domain of a mail address in small letters; empty for none that DNS could know.
[[nodiscard]] std::string domain_of(std::string_view mail_address);

// What syslog puts before: "Nov 24 16:00:00 host " or "2026-11-24T16:00:00.1+00:00 host ". The rest is "tag[pid]:
// text".
bool take_syslog_header(Line&);
// "tag[pid]: " or "tag: "; the tag.
[[nodiscard]] std::optional<std::string_view> take_tag(Line&);

}  // namespace mire::follow
