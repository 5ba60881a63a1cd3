#include "controlplane/config/lexer.h"

#include <fmt/format.h>

namespace mire::config {
namespace {
constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kEndsWord = " \t\r\n{};\"#";

bool control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }
}  // namespace

Token Lexer::here(Token::Kind kind) const { return {kind, {}, line_, column_}; }

void Lexer::advance(size_t bytes) {
  for (const char c : rest_.substr(0, bytes)) {
    column_ = c == '\n' ? 1 : column_ + 1;
    line_ += c == '\n' ? 1 : 0;
  }
  rest_.remove_prefix(bytes);
}

Token Lexer::broken(const Token& at, std::string_view what, std::string_view why) {
  problems_.add(at.line, fmt::format("{} at column {}", what, at.column), why);
  rest_ = {};
  return {Token::Kind::broken, {}, at.line, at.column};
}

// False: a comment has no end (reported).
bool Lexer::skip_space_and_comments() {
  while (!rest_.empty()) {
    if (const size_t spaces = std::min(rest_.find_first_not_of(kSpace), rest_.size()); spaces > 0) {
      advance(spaces);
    } else if (rest_.front() == '#') {
      advance(std::min(rest_.find('\n'), rest_.size()));
    } else if (rest_.starts_with("/*")) {
      const size_t end = rest_.find("*/", 2);
      if (end == std::string_view::npos) {
        broken(here(Token::Kind::broken), "/*", "the comment has no end; close it with */");
        return false;
      }
      advance(end + 2);
    } else {
      return true;
    }
  }
  return true;
}

Token Lexer::quoted() {
  Token token = here(Token::Kind::word);
  size_t at = 1;
  for (; at < rest_.size() && rest_[at] != '"'; ++at) {
    if (rest_[at] == '\n') break;
    if (control(rest_[at])) return broken(token, "\"", "a control character inside quotes; remove it");
    if (rest_[at] == '\\' && at + 1 < rest_.size() && (rest_[at + 1] == '"' || rest_[at + 1] == '\\')) ++at;
    token.text += rest_[at];
  }
  if (at >= rest_.size() || rest_[at] != '"')
    return broken(token, "\"", "the quotes have no end on this line; close them");
  advance(at + 1);
  return token;
}

Token Lexer::next() {
  if (!skip_space_and_comments()) return here(Token::Kind::broken);
  if (rest_.empty()) return here(Token::Kind::end);
  Token token = here(Token::Kind::word);
  switch (rest_.front()) {
    case '{': token.kind = Token::Kind::open; break;
    case '}': token.kind = Token::Kind::close; break;
    case ';': token.kind = Token::Kind::semicolon; break;
    case '"': return quoted();
    default: {
      const size_t length = std::min(rest_.find_first_of(kEndsWord), rest_.size());
      token.text = rest_.substr(0, length);
      for (const char c : token.text)
        if (control(c)) return broken(token, printable(token.text), "a control character; remove it");
      advance(length);
      return token;
    }
  }
  advance(1);
  return token;
}

}  // namespace mire::config
