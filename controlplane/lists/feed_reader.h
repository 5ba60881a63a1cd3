// feed_reader.h - what the readers of feed formats share: where they are, what they found, how they refuse. Within
// lists only.
#pragma once

#include <fmt/format.h>

#include <cctype>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/lists/feed_text.h"
#include "controlplane/lists/prefix_set.h"

namespace mire::lists {

// What goes into a message or a log: printable ASCII, not too much of it.
[[nodiscard]] inline std::string shown(std::string_view text) {
  constexpr size_t kMost = 60;
  std::string out;
  for (const char c : text.substr(0, kMost)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > kMost ? out + "..." : out;
}

[[nodiscard]] inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

class FeedReader {
 public:
  explicit FeedReader(std::string_view file) : file_(file) {}

  // False: it was refused, and error() says why. Host bits beyond the length are somebody's typing error.
  bool take(std::string_view text, size_t line) {
    const std::optional<wire::Prefix> prefix = wire::parse_prefix(text);
    if (!prefix) return refuse(line, shown(text), "no address and no prefix, or bits set beyond its length");
    if (absurdly_wide(*prefix)) return refuse(line, shown(text), "wider than any provider (/8, IPv6 /19)");
    if (content_.prefixes.size() >= kMostEntries)
      return refuse(line, shown(text), fmt::format("more than {} entries", kMostEntries));
    content_.prefixes.push_back(*prefix);
    return true;
  }
  bool refuse(size_t line, std::string_view what, std::string_view why) {
    error_ = fmt::format("{}:{}: {}: {}; the feed is refused whole, its old content stays", file_, line, what, why);
    return false;
  }
  void skip() { ++content_.skipped; }

  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] FeedContent& content() { return content_; }

 private:
  std::string_view file_;
  FeedContent content_;
  std::string error_;
};

// Each reads all of the text, or refuses.
bool read_plain(std::string_view line, size_t number, FeedReader&);
bool read_drop(std::string_view line, size_t number, FeedReader&);
bool read_fail2ban(std::string_view line, size_t number, FeedReader&);
bool read_json_line(std::string_view line, size_t number, FeedReader&);
bool read_crowdsec(std::string_view text, FeedReader&);

}  // namespace mire::lists
