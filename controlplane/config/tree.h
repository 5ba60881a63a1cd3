// tree.h - words become statements: `word word … ;` or `word … { statements }`. Knows no setting.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/config/problems.h"

namespace mire::config {

struct Word {
  std::string text;
  unsigned line = 1;
};

struct Statement {
  std::vector<Word> words;  // at least one
  std::vector<Statement> block;
  bool has_block = false;

  [[nodiscard]] const std::string& key() const { return words.front().text; }
  [[nodiscard]] unsigned line() const { return words.front().line; }
};

// Nothing: the first thing that is no tree was reported.
[[nodiscard]] std::optional<std::vector<Statement>> read_tree(std::string_view text, Problems&);

}  // namespace mire::config
