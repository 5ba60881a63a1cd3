// The formats of a line each: plain, drop, fail2ban.
#include "controlplane/lists/feed_reader.h"

namespace mire::lists {
namespace {

std::string_view without_comment(std::string_view line, std::string_view signs) {
  return trimmed(line.substr(0, line.find_first_of(signs)));
}

std::string_view next_word(std::string_view& rest) {
  rest = trimmed(rest);
  const std::string_view word = rest.substr(0, rest.find_first_of(" \t,"));
  rest.remove_prefix(word.size());
  while (!rest.empty() && (rest.front() == ',' || rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  return word;
}

bool looks_like_date(std::string_view word) {  // 2026-11-24
  return word.size() == 10 && word[4] == '-' && word[7] == '-';
}

}  // namespace

bool read_plain(std::string_view line, size_t number, FeedReader& into) {
  const std::string_view text = without_comment(line, "#;");
  if (text.empty()) return true;
  if (text.find_first_of(" \t") != std::string_view::npos)
    return into.refuse(number, shown(text), "more than one word; a comment begins with # or ;");
  return into.take(text, number);
}

// "1.10.16.0/20 ; SBL256894". An empty identifier is a truncated line, not a comment.
bool read_drop(std::string_view line, size_t number, FeedReader& into) {
  const std::string_view text = trimmed(line);
  if (text.empty() || text.front() == ';' || text.front() == '#') return true;
  const size_t sign = text.find(';');
  if (sign == std::string_view::npos || trimmed(text.substr(sign + 1)).empty())
    return into.refuse(number, shown(text), "no '; identifier' behind the prefix (format plain takes bare ones)");
  return into.take(trimmed(text.substr(0, sign)), number);
}

// banip: "192.0.2.1 192.0.2.2"; banip --with-time: "192.0.2.1 \t2026-11-24 10:00:00 + 600 = 2026-11-24 10:10:00";
// status: a tree of lines, of which "`- Banned IP list:" holds the addresses.
bool read_fail2ban(std::string_view line, size_t number, FeedReader& into) {
  constexpr std::string_view kList = "Banned IP list:";
  std::string_view rest = without_comment(line, "#");
  if (rest.empty()) return true;
  if (const size_t at = rest.find(kList); at != std::string_view::npos) {
    rest = trimmed(rest.substr(at + kList.size()));
  } else if (rest.front() == '|' || rest.front() == '`' || rest.starts_with("Status for the jail")) {
    return true;
  }
  for (bool first = true; !rest.empty(); first = false) {
    const std::string_view word = next_word(rest);
    if (!first && looks_like_date(word)) return true;
    if (!into.take(word, number)) return false;
  }
  return true;
}

}  // namespace mire::lists
