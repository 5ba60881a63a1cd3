// lexer.h - text becomes words, braces and semicolons, each with its place. Knows no setting.
//
// Comments: # to the end of the line, and /* */ where a word could begin. "Quoted words" may hold anything but a line
// break; \" and \\ inside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/config/problems.h"

namespace mire::config {

struct Token {
  enum class Kind : uint8_t { word, open, close, semicolon, end, broken };
  Kind kind = Kind::end;
  std::string text;  // of a word, unquoted
  unsigned line = 1;
  unsigned column = 1;
};

class Lexer {
 public:
  Lexer(std::string_view text, Problems& problems) : rest_(text), problems_(problems) {}
  // After `broken` (reported already) and `end` there is nothing more.
  Token next();

 private:
  [[nodiscard]] Token here(Token::Kind) const;
  void advance(size_t bytes);
  bool skip_space_and_comments();
  Token quoted();
  Token broken(const Token& at, std::string_view what, std::string_view why);

  std::string_view rest_;
  Problems& problems_;
  unsigned line_ = 1;
  unsigned column_ = 1;
};

}  // namespace mire::config
