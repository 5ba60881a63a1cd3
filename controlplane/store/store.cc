#include "controlplane/store/store.h"

#include <array>

namespace mire::store {

std::string_view to_string(Column c) noexcept {
  constexpr std::array<std::string_view, kColumns> kNames = {"sources", "networks", "groups", "report"};
  return kNames[static_cast<size_t>(c)];
}

void Batch::put(Column column, std::string_view key, std::string_view value) {
  entries_.push_back({static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size()), column, false});
  bytes_.append(key).append(value);
}

void Batch::erase(Column column, std::string_view key) {
  entries_.push_back({static_cast<uint32_t>(key.size()), 0, column, true});
  bytes_.append(key);
}

}  // namespace mire::store
