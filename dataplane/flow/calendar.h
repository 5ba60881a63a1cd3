// calendar.h - when holds end: an append-only calendar of 1 ms slots.
//
// Purpose: millions of deadlines up to 65.5 s ahead, exact to the millisecond. A slot is a chain of cache-line chunks
// of 14 flow indices. Arming appends (no search, no order within a slot); cancelling is forgetting: who takes an index
// out looks at the flow and skips it if its deadline is another one. Assumes: one thread; expire() called with time
// that never runs backwards. Cost: about 5 ns to arm, 4 bytes and the slack of half a chunk a slot (docs/performance.md
// says why this shape).
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/assert.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/base/region.h"

namespace mire::flow {

class Calendar {
 public:
  static constexpr uint32_t kSlots = 65536;  // ms
  static constexpr uint32_t kChunk = 14;
  static constexpr uint32_t kAhead = 2;  // ms: so early are flows asked for, and their chunk twice as early

  // Room for `timers` armed at once, at any spread over the slots.
  explicit Calendar(uint32_t timers)
      : chunks_count_(timers / kChunk + (timers < kSlots ? timers : kSlots) + 2),
        chunks_region_(size_t{chunks_count_} * sizeof(Chunk)),
        heads_region_(kSlots * sizeof(uint32_t)),
        chunks_(chunks_region_.as<Chunk>()),
        heads_(heads_region_.as<uint32_t>()) {}

  // Arms `index` for deadline_ms, which must lie ahead of the last expire() by 1 to kSlots - 1. False: no chunk left.
  [[nodiscard]] bool arm(uint32_t index, uint64_t deadline_ms) noexcept {
    MIRE_ASSERT(deadline_ms > now_ms_ && deadline_ms - now_ms_ < kSlots);
    uint32_t& head = heads_[deadline_ms % kSlots];
    if (head == 0 || chunks_[head].count == kChunk) {
      const uint32_t fresh = take();
      if (fresh == 0) return false;
      chunks_[fresh].next = head;
      chunks_[fresh].count = 0;
      head = fresh;
    }
    Chunk& c = chunks_[head];
    c.index[c.count++] = index;
    ++armed_;
    return true;
  }

  // For bursts: what arm() will need to know, and when that has come, the chunk that it will write to.
  void prefetch(uint64_t deadline_ms) const noexcept { prefetch_line(&heads_[deadline_ms % kSlots]); }
  void prefetch_chunk(uint64_t deadline_ms) const noexcept { prefetch_line(&chunks_[heads_[deadline_ms % kSlots]]); }

  // Calls due(index) for everything armed for a millisecond up to now_ms, and some time before it prefetch(index), for
  // the first chunk of a slot some slots before, for the others a chunk before. due() may arm anew, but only ahead of
  // now_ms.
  template <typename Due, typename Prefetch>
  void expire(uint64_t now_ms, Due&& due, Prefetch&& prefetch) {
    while (now_ms_ < now_ms) {
      if (armed_ == 0) {
        now_ms_ = now_ms;  // nothing lies between
        return;
      }
      ++now_ms_;
      prefetch_chunk(now_ms_ + 2 * kAhead);
      if (const uint32_t soon = heads_[(now_ms_ + kAhead) % kSlots]; soon != 0) touch(soon, prefetch);
      uint32_t chunk = heads_[now_ms_ % kSlots];
      if (chunk == 0) continue;
      heads_[now_ms_ % kSlots] = 0;
      touch(chunk, prefetch);
      while (chunk != 0) {
        Chunk& c = chunks_[chunk];
        const uint32_t next = c.next;
        if (next != 0) {
          touch(next, prefetch);
          prefetch_line(&chunks_[chunks_[next].next]);
        }
        for (uint32_t i = 0; i < c.count; ++i) due(c.index[i], now_ms_);
        armed_ -= c.count;
        give(chunk);
        chunk = next;
      }
    }
  }

  // Everything that is armed, in order of time, at once; the calendar is empty afterwards.
  template <typename Due>
  void drain(Due&& due) {
    expire(now_ms_ + kSlots - 1, due, [](uint32_t) {});
  }

  // The first millisecond after the last expire() for which something is armed (it may have been cancelled since),
  // looking at most `within_ms` ahead.
  [[nodiscard]] std::optional<uint64_t> next(uint64_t within_ms) const noexcept {
    if (armed_ == 0) return std::nullopt;
    for (uint64_t ms = now_ms_ + 1; ms <= now_ms_ + within_ms; ++ms)
      if (heads_[ms % kSlots] != 0) return ms;
    return now_ms_ + within_ms;
  }

  // Sets where time begins. Only while nothing is armed.
  void start(uint64_t now_ms) noexcept {
    MIRE_ASSERT(armed_ == 0);
    now_ms_ = now_ms;
  }
  [[nodiscard]] uint64_t now_ms() const noexcept { return now_ms_; }
  [[nodiscard]] uint64_t armed() const noexcept { return armed_; }
  [[nodiscard]] size_t bytes() const noexcept {
    return size_t{chunks_count_} * sizeof(Chunk) + kSlots * sizeof(uint32_t);
  }

 private:
  struct alignas(64) Chunk {
    uint32_t count;
    uint32_t next;
    uint32_t index[kChunk];
  };
  static_assert(sizeof(Chunk) == 64);

  uint32_t take() noexcept {
    if (free_ != 0) {
      const uint32_t c = free_;
      free_ = chunks_[c].next;
      return c;
    }
    return fresh_ < chunks_count_ ? fresh_++ : 0;
  }
  void give(uint32_t c) noexcept {
    chunks_[c].next = free_;
    free_ = c;
  }
  template <typename Prefetch>
  void touch(uint32_t chunk, Prefetch&& prefetch) const {
    const Chunk& c = chunks_[chunk];
    for (uint32_t i = 0; i < c.count; ++i) prefetch(c.index[i]);
  }

  uint32_t chunks_count_;
  Region chunks_region_;
  Region heads_region_;
  Chunk* chunks_;  // chunk 0 is never used: 0 means none
  uint32_t* heads_;
  uint32_t free_ = 0;
  uint32_t fresh_ = 1;
  uint64_t now_ms_ = 0;
  uint64_t armed_ = 0;
};

}  // namespace mire::flow
