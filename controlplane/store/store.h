// store.h - bytes by key that outlive mired, in columns.
//
// An interface, so that the embedded store (rocksdb/) can be another one in a cluster. Refuses to know what keys and
// values mean. Errors are one line that names the path. One thread at a time, unless an implementation says more.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/result.h"

namespace mire::store {

// Their names are part of what lies on disk.
enum class Column : uint8_t { sources, networks, groups, report };
inline constexpr size_t kColumns = 4;
[[nodiscard]] std::string_view to_string(Column) noexcept;

// Writes that happen together, or not at all. One allocation for many of them.
class Batch {
 public:
  void put(Column, std::string_view key, std::string_view value);
  void erase(Column, std::string_view key);
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] size_t size() const noexcept { return entries_.size(); }
  // f(column, key, optional value): nothing is an erasure.
  template <typename F>
  void for_each(F&& f) const {
    std::string_view left = bytes_;
    for (const Entry& e : entries_) {
      const std::string_view key = left.substr(0, e.key_bytes);
      const std::string_view value = left.substr(e.key_bytes, e.value_bytes);
      left.remove_prefix(e.key_bytes + e.value_bytes);
      f(e.column, key, e.erase ? std::nullopt : std::optional(value));
    }
  }

 private:
  struct Entry {
    uint32_t key_bytes = 0;
    uint32_t value_bytes = 0;
    Column column = Column::sources;
    bool erase = false;
  };
  std::vector<Entry> entries_;
  std::string bytes_;
};

class Store {
 public:
  virtual ~Store() = default;

  // On disk when it returns (fsync): not even a loss of power takes it back.
  virtual Status write(const Batch&) = 0;
  virtual Result<std::optional<std::string>> get(Column, std::string_view key) = 0;
  // In the keys' order from `from` on, while `take` returns true.
  using Take = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status scan(Column, std::string_view from, const Take& take) = 0;
  // Keys of [from, to); without `to`, to the end.
  virtual Status erase(Column, std::string_view from, std::optional<std::string_view> to) = 0;
  // About how many there are.
  virtual uint64_t about(Column) = 0;
};

}  // namespace mire::store
