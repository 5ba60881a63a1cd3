#include "tools/follow/log_text.h"

#include <algorithm>
#include <charconv>

namespace mire::follow {
namespace {

// Where a quoted string that begins at `at` ends (the index behind it); npos: it does not.
size_t end_of_quoted(std::string_view text, size_t at) {
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return std::string_view::npos;
}

// The first `stop` outside of quoted strings, or the end; npos: a quoted string does not end.
size_t find_outside(std::string_view text, char stop) {
  for (size_t i = 0; i < text.size();) {
    if (text[i] == stop) return i;
    i = text[i] == '"' ? end_of_quoted(text, i) : i + 1;
    if (i == std::string_view::npos) return i;
  }
  return text.size();
}

bool letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

bool Line::take(std::string_view exactly) {
  if (!rest_.starts_with(exactly)) return false;
  rest_.remove_prefix(exactly.size());
  return true;
}

std::optional<uint32_t> Line::take_number(uint32_t most) {
  uint32_t n = 0;
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), n);
  if (error != std::errc{} || n > most) return {};
  rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
  return n;
}

std::optional<std::string_view> Line::take_word() {
  const std::string_view word = rest_.substr(0, rest_.find(' '));
  if (word.empty()) return {};
  rest_.remove_prefix(std::min(word.size() + 1, rest_.size()));
  return word;
}

std::optional<std::string_view> Line::take_until(std::string_view any_of) {
  const size_t end = rest_.find_first_of(any_of);
  if (end == std::string_view::npos || end == 0) return {};
  const std::string_view word = rest_.substr(0, end);
  rest_.remove_prefix(end);
  return word;
}

std::optional<std::string_view> Line::take_field() {
  const size_t end = find_outside(rest_, ' ');
  if (end == std::string_view::npos || end == 0) return {};
  const std::string_view field = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  return field;
}

std::optional<std::string_view> Line::take_path() {
  if (!rest_.starts_with('<')) return {};
  const size_t end = find_outside(rest_.substr(1), '>');
  if (end == std::string_view::npos || end + 1 >= rest_.size()) return {};
  const std::string_view path = rest_.substr(1, end);
  rest_.remove_prefix(end + 2);
  return path;
}

std::optional<Peer> take_bracketed(Line& line) {
  Line ahead = line;
  if (!ahead.take("[")) return {};
  const std::optional<std::string_view> text = ahead.take_until("]");
  const std::optional<wire::Address> address = text ? wire::parse_address(*text) : std::nullopt;
  if (!address) return {};
  (void)ahead.take("]");
  Peer peer{*address, 0};
  if (Line port = ahead; port.take(":")) {
    if (const std::optional<uint32_t> number = port.take_number(65'535)) {
      peer.port = static_cast<uint16_t>(*number);
      ahead = port;
    }
  }
  line = ahead;
  return peer;
}

std::string domain_of(std::string_view mail_address) {
  const size_t at = mail_address.rfind('@');
  if (at == std::string_view::npos || mail_address.size() - at - 1 > 253) return {};
  std::string domain(mail_address.substr(at + 1));
  for (char& c : domain) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const bool fine = std::all_of(domain.begin(), domain.end(),
                                [](char c) { return letter_or_digit(c) || c == '.' || c == '-' || c == '_'; });
  return fine && domain.find('.') != std::string::npos ? domain : std::string{};
}

bool take_syslog_header(Line& line) {
  Line ahead = line;
  const std::optional<std::string_view> first = ahead.take_word();
  if (!first) return false;
  if (first->size() == 3) {  // Nov 24 16:00:00; a day of one digit has two blanks before it
    (void)ahead.take(" ");
    if (!ahead.take_number(31) || !ahead.take(" ")) return false;
    const std::optional<std::string_view> clock = ahead.take_word();
    if (!clock || clock->size() < 8 || (*clock)[2] != ':') return false;
  } else if (first->size() < 19 || (*first)[10] != 'T') {
    return false;
  }
  if (!ahead.take_word()) return false;
  line = ahead;
  return true;
}

std::optional<std::string_view> take_tag(Line& line) {
  Line ahead = line;
  const std::optional<std::string_view> tag = ahead.take_until("[: ");
  if (!tag) return {};
  if (ahead.take("[") && (!ahead.take_number(~uint32_t{0}) || !ahead.take("]"))) return {};
  if (!ahead.take(": ")) return {};
  line = ahead;
  return tag;
}

}  // namespace mire::follow
