// support.h - prefixes as people write them.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "dataplane/wire/address.h"

namespace mire::lists {

inline wire::Address address(const char* text) { return wire::parse_address(text).value(); }
inline wire::Prefix prefix(const std::string& text) { return wire::parse_prefix(text).value(); }
inline std::vector<wire::Prefix> prefixes(std::initializer_list<const char*> texts) {
  std::vector<wire::Prefix> all;
  for (const char* text : texts) all.push_back(prefix(text));
  return all;
}
inline std::vector<std::string> written(const std::vector<wire::Prefix>& all) {
  std::vector<std::string> texts;
  for (const wire::Prefix& p : all) texts.push_back(wire::to_string(p));
  return texts;
}

}  // namespace mire::lists
