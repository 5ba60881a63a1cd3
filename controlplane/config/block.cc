#include "controlplane/config/block.h"

#include <fmt/format.h>

#include <map>

#include "controlplane/config/values.h"

namespace mire::config {
namespace {

std::string shape_error(const Key& key, const Statement& s) {
  const size_t values = s.words.size() - 1;
  switch (key.shape) {
    case Key::Shape::value:
    case Key::Shape::many:
      if (s.has_block) return fmt::format("takes a value, not a block; write {} VALUE;", key.name);
      if (values == 0) return fmt::format("has no value; write {} VALUE;", key.name);
      if (values > 1) return "more than one value; is a ; missing?";
      return {};
    case Key::Shape::block:
      if (!s.has_block || values != 0) return fmt::format("takes a block; write {} {{ ... }}", key.name);
      return {};
    case Key::Shape::named_block:
      if (!s.has_block || values != 1)
        return fmt::format("takes one name and a block; write {} NAME {{ ... }}", key.name);
      return {};
    case Key::Shape::any: return {};
  }
  return {};
}

bool may_repeat(Key::Shape shape) {
  switch (shape) {
    case Key::Shape::any:
    case Key::Shape::many: return true;
    case Key::Shape::value:
    case Key::Shape::block:
    case Key::Shape::named_block: return false;
  }
  return false;
}

}  // namespace

void read_block(const std::vector<Statement>& block, const Place& place, const std::vector<Key>& keys,
                Problems& problems) {
  std::vector<std::string_view> names;
  names.reserve(keys.size());
  for (const Key& key : keys) names.push_back(key.name);
  std::map<std::string, unsigned> seen;  // setting -> line
  for (const Statement& s : block) {
    const Key* key = nullptr;
    for (const Key& k : keys)
      if (k.name == s.key()) key = &k;
    if (key == nullptr) {
      problems.add(s.line(), place.at(printable(s.key())), not_known(s.key(), names));
      continue;
    }
    if (const std::string error = shape_error(*key, s); !error.empty()) {
      problems.add(s.line(), place.at(key->name), error);
      continue;
    }
    std::string setting(key->name);
    if (key->shape == Key::Shape::named_block) setting += " " + s.words[1].text;
    const auto [first, is_first] = seen.try_emplace(setting, s.line());
    if (!is_first && !may_repeat(key->shape)) {
      problems.add(s.line(), place.at(printable(setting)),
                   fmt::format("given twice, first in line {}; keep one", first->second));
      continue;
    }
    key->read(s);
  }
}

}  // namespace mire::config
