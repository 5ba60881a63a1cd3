// departed.h - which flows were forgotten lately while they may go on: in a fixed amount of memory, and never wrong
// about those who were.
//
// Purpose: a segment without an entry is perhaps of a flow that we have forgotten ourselves, and then it is no
// stranger's. Kept is a fingerprint, for 15 to 30 min: two generations of one Bloom filter, each filter's bits for a
// flow in one cache line, which knows by itself of which generation it is, so that nothing is ever cleared at once.
// "Perhaps" may be said of others too (one in a thousand when full). More flows than the filter was made for make it
// say so of everybody until the quarter of an hour is over. Assumes: one thread, time that does not run backwards; a
// generation number that comes round after 122,000 years. Cost: one hash, a cache miss to add, two to ask.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "dataplane/base/keyed_hash.h"
#include "dataplane/base/region.h"
#include "dataplane/base/time.h"
#include "dataplane/flow/flow_table.h"

namespace mire::flow {

class Departed {
 public:
  static constexpr Duration kKept = std::chrono::minutes{15};  // at least

  // How many flows in a quarter of an hour, and a secret.
  Departed(uint32_t capacity, uint64_t seed)
      : hash_(seed), capacity_(capacity), lines_(capacity / kFlowsPerLine + 1), region_(2 * bytes_of(lines_)) {}

  void add(const FlowId& id, Time now) noexcept {
    const uint32_t generation = generation_at(now);
    if (generation != filling_) {
      filling_ = generation;
      added_ = 0;
    }
    if (++added_ > capacity_) overflows_until_ = now + kKept;
    const Marks m = marks_of(id);
    Line& line = line_of(generation, m);
    if (line.generation != generation) line = {generation, {}};
    for (const uint16_t bit : m.bits) line.words[bit / 32] |= 1u << (bit % 32);
  }

  // Perhaps. False: certainly not within kKept.
  [[nodiscard]] bool may_hold(const FlowId& id, Time now) const noexcept {
    if (now < overflows_until_) return true;
    const uint32_t generation = generation_at(now);
    const Marks m = marks_of(id);
    return in(generation, m) || in(generation - 1, m);
  }

 private:
  static constexpr uint32_t kFlowsPerLine = 24;  // 20 bits each
  static constexpr size_t kWords = 15;
  struct alignas(64) Line {
    uint32_t generation;
    std::array<uint32_t, kWords> words;
  };
  static_assert(sizeof(Line) == 64);
  struct Marks {
    uint32_t line;
    std::array<uint16_t, 4> bits;
  };

  static constexpr size_t bytes_of(uint32_t lines) noexcept { return size_t{lines} * sizeof(Line); }

  // Never 0, which a fresh line says.
  static uint32_t generation_at(Time now) noexcept { return static_cast<uint32_t>(now.time_since_epoch() / kKept) + 2; }

  [[nodiscard]] Marks marks_of(const FlowId& id) const noexcept {
    std::array<uint8_t, 20> key;
    std::copy(id.client.bytes.begin(), id.client.bytes.end(), key.begin());
    const std::array<uint16_t, 2> rest = {id.port, id.server};
    __builtin_memcpy(key.data() + 16, rest.data(), sizeof rest);
    uint64_t h = hash_(key.data(), key.size());
    Marks m;
    m.line = static_cast<uint32_t>(((h >> 32) * lines_) >> 32);
    h = split_mix(h);
    for (uint16_t& bit : m.bits) {
      bit = static_cast<uint16_t>(((h & 0xffff) * (32 * kWords)) >> 16);
      h >>= 16;
    }
    return m;
  }

  // Generations take turns in two filters.
  [[nodiscard]] Line& line_of(uint32_t generation, const Marks& m) const noexcept {
    return region_.as<Line>()[(generation % 2) * lines_ + m.line];
  }

  [[nodiscard]] bool in(uint32_t generation, const Marks& m) const noexcept {
    const Line& line = line_of(generation, m);
    if (line.generation != generation) return false;
    for (const uint16_t bit : m.bits)
      if ((line.words[bit / 32] & 1u << (bit % 32)) == 0) return false;
    return true;
  }

  KeyedHash hash_;
  uint32_t capacity_;
  uint32_t lines_;
  Region region_;  // pages come zero-filled, and only when they are used
  uint32_t filling_ = 0;
  uint32_t added_ = 0;  // in the generation that is filling
  Time overflows_until_{};
};

}  // namespace mire::flow
