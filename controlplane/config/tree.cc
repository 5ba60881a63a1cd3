#include "controlplane/config/tree.h"

#include <fmt/format.h>

#include "controlplane/config/lexer.h"

namespace mire::config {
namespace {
constexpr unsigned kDeepest = 8;  // no setting lies deeper; a file of braces must not exhaust the stack

class Reader {
 public:
  Reader(std::string_view text, Problems& problems) : lexer_(text, problems), problems_(problems) { step(); }

  // Up to the closing brace (left in token_) or the end of the file.
  bool statements(std::vector<Statement>& out, unsigned depth) {
    while (token_.kind == Token::Kind::word) {
      out.emplace_back();
      if (!statement(out.back(), depth)) return false;
    }
    switch (token_.kind) {
      case Token::Kind::word:
      case Token::Kind::broken: return false;
      case Token::Kind::open: return unexpected("{", "a block has no name; write the setting's name before it");
      case Token::Kind::semicolon: return unexpected(";", "there is no setting before it; remove it");
      case Token::Kind::close: return depth > 0 || unexpected("}", "no block is open here; remove it");
      case Token::Kind::end: return true;
    }
    return false;
  }

 private:
  bool statement(Statement& s, unsigned depth) {
    for (; token_.kind == Token::Kind::word; step()) s.words.push_back({token_.text, token_.line});
    if (token_.kind == Token::Kind::semicolon) return step();
    if (token_.kind == Token::Kind::open) return block(s, depth);
    if (token_.kind == Token::Kind::broken) return false;
    // The line of the last word: that is where the semicolon is missing.
    problems_.add(s.words.back().line, printable(s.words.back().text), "the setting has no end; write ; behind it");
    return false;
  }

  bool block(Statement& s, unsigned depth) {
    const unsigned opened = token_.line;
    if (depth + 1 > kDeepest) return unexpected("{", "blocks lie too deep; no setting needs that");
    s.has_block = true;
    step();
    if (!statements(s.block, depth + 1)) return false;
    if (token_.kind == Token::Kind::close) return step();
    problems_.add(opened, printable(s.key()), "its block has no end; close it with }");
    return false;
  }

  bool unexpected(const char* what, const char* why) {
    problems_.add(token_.line, fmt::format("{} at column {}", what, token_.column), why);
    return false;
  }

  bool step() {
    token_ = lexer_.next();
    return true;
  }

  Lexer lexer_;
  Problems& problems_;
  Token token_;
};

}  // namespace

std::optional<std::vector<Statement>> read_tree(std::string_view text, Problems& problems) {
  std::vector<Statement> out;
  Reader reader(text, problems);
  if (!reader.statements(out, 0)) return {};
  return out;
}

}  // namespace mire::config
