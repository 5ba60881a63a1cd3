// block.h - visits a block's statements by a table of its keys: what is not in the table is refused, and so is what
// comes twice.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/config/problems.h"
#include "controlplane/config/tree.h"

namespace mire::config {

// The setting as an operator wrote it, for the beginning of an error: "treatment unknown greeting max 40s".
struct Place {
  std::string path;  // of the block; empty at the top
  [[nodiscard]] std::string at(std::string_view key) const {
    return path.empty() ? std::string(key) : path + " " + std::string(key);
  }
};

struct Key {
  enum class Shape : uint8_t {
    value,        // key VALUE;
    block,        // key { … }
    named_block,  // key NAME { … }   each name once
    any,          // its reader checks the shape; may come more than once
    many,         // key VALUE;       may come more than once
  };
  std::string_view name;
  Shape shape;
  std::function<void(const Statement&)> read;
};

void read_block(const std::vector<Statement>&, const Place&, const std::vector<Key>&, Problems&);

}  // namespace mire::config
