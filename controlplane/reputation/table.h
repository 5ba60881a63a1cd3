// table.h - records by source, millions of them, in one process's memory.
//
// 256 boost::unordered_flat_map by a keyed hash (clients choose their addresses), so that growing never copies more
// than a 256th at once. References into it last until the next insertion. To find who should give way it looks at a few
// neighbours at a place that the caller draws: no scan, no list. Assumes one thread.
// Memory: the record and its key, and a byte; between 1.14 and 2.3 times that, as the maps grow by doubling.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <optional>

#include "controlplane/reputation/source_key.h"
#include "dataplane/base/keyed_hash.h"

namespace mire::reputation {

template <typename Record>
class Table {
 public:
  static constexpr size_t kShards = 256;

  explicit Table(uint64_t hash_seed) {
    for (Shard& s : shards_) s = Shard(0, Hash{KeyedHash(hash_seed)});
  }

  [[nodiscard]] size_t size() const noexcept { return size_; }
  void reserve(size_t records) {
    for (Shard& s : shards_) s.reserve(records / kShards + records / kShards / 16);
  }

  [[nodiscard]] Record* find(SourceKey key) noexcept {
    Shard& s = shard(key);
    const auto at = s.find(key);
    return at == s.end() ? nullptr : &at->second;
  }
  [[nodiscard]] const Record* find(SourceKey key) const noexcept { return const_cast<Table*>(this)->find(key); }

  // The key must not be there.
  Record& insert(SourceKey key) {
    ++size_;
    return shard(key)[key];
  }
  void erase(SourceKey key) noexcept { size_ -= shard(key).erase(key); }

  // The record of least worth among at most kLook beside the place that `number` draws. Nothing: the table is empty.
  template <typename Worth>
  [[nodiscard]] std::optional<SourceKey> least(uint64_t number, Worth&& worth) {
    if (size_ == 0) return std::nullopt;
    size_t at = number % kShards;
    while (shards_[at].empty()) at = (at + 1) % kShards;
    Shard& s = shards_[at];
    auto entry = s.find(cursors_[at]);
    std::optional<SourceKey> found;
    double lowest = 0;
    for (size_t i = 0; i < kLook && i < s.size(); ++i) {
      if (entry == s.end()) entry = s.begin();
      const double w = worth(entry->first, entry->second);
      if (!found || w < lowest) {
        found = entry->first;
        lowest = w;
      }
      ++entry;
    }
    cursors_[at] = entry == s.end() ? 0 : entry->first;  // 0 is nobody's key; it begins anew
    return found;
  }

  template <typename F>
  void for_shard(size_t n, F&& f) {
    for (auto& [key, record] : shards_[n]) f(key, record);
  }
  template <typename F>
  void for_shard(size_t n, F&& f) const {
    for (const auto& [key, record] : shards_[n]) f(key, record);
  }
  template <typename F>
  void for_each(F&& f) const {
    for (size_t n = 0; n < kShards; ++n) for_shard(n, f);
  }

 private:
  static constexpr size_t kLook = 16;

  struct Hash {
    using is_avalanching = void;
    KeyedHash keyed{0};
    size_t operator()(SourceKey key) const noexcept { return keyed.of(key); }
  };
  using Shard = boost::unordered_flat_map<SourceKey, Record, Hash>;

  // The maps themselves use the highest bits and the lowest eight.
  Shard& shard(SourceKey key) noexcept { return shards_[shards_[0].hash_function()(key) >> 8 & (kShards - 1)]; }

  std::array<Shard, kShards> shards_;
  std::array<SourceKey, kShards> cursors_{};
  size_t size_ = 0;
};

}  // namespace mire::reputation
