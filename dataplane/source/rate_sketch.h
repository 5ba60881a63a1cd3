// rate_sketch.h - how often each source was answered within a second, in a fixed amount of memory.
//
// Purpose: a bound per source where nothing may be kept of it. Two rows of counters, each source in one of either: the
// smaller of the two is never below the truth, so no source exceeds its bound; one that shares both with others may get
// less. Assumes: one thread, a clock in whole seconds. Cost: one hash, two cache misses.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/base/keyed_hash.h"
#include "dataplane/wire/address.h"

namespace mire::source {

class RateSketch {
 public:
  explicit RateSketch(uint64_t seed) : hash_(seed), cells_(2 * kCells) {}

  // Once more for this source, unless it had `most` this second.
  [[nodiscard]] bool take(const wire::Address& source, uint32_t most, uint32_t second) noexcept {
    const uint64_t hash = hash_.of(source);
    Cell& a = fresh(cells_[hash % kCells], second);
    Cell& b = fresh(cells_[kCells + (hash >> 32) % kCells], second);
    if (std::min(a.count, b.count) >= most) return false;
    ++a.count;
    ++b.count;
    return true;
  }

 private:
  static constexpr size_t kCells = 1u << 13;
  struct Cell {
    uint32_t second = 0;
    uint32_t count = 0;
  };
  static Cell& fresh(Cell& c, uint32_t second) noexcept {
    if (c.second != second) c = {second, 0};
    return c;
  }
  KeyedHash hash_;
  std::vector<Cell> cells_;
};

}  // namespace mire::source
