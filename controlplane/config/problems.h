// problems.h - collects what is wrong with a configuration, so that an operator mends it in one go.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mire::config {

class Problems {
 public:
  explicit Problems(std::string_view file) : file_(file) {}

  // what: the setting, as written; why: what is wrong with it, then "; " and what to do.
  void add(unsigned line, std::string_view what, std::string_view why);

  [[nodiscard]] bool none() const noexcept { return found_.empty(); }
  // In order of lines, the first few.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  struct Problem {
    unsigned line;
    std::string text;
  };
  std::string file_;
  std::vector<Problem> found_;
};

// Printable whatever the file holds: other bytes as \xNN, and not longer than a line should be.
[[nodiscard]] std::string printable(std::string_view);

}  // namespace mire::config
