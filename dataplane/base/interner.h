// interner.h - few distinct values, named by small numbers. Equal values get the same number; number 0 is "no room".
//
// Purpose: what millions of flows share (link headers, servers) is kept once. Fixed size, one thread, no allocation
// after construction. Assumes: Value is trivially copyable, has == and no padding (it is hashed as bytes). Counted: a
// value goes when its last user releases it; a value that is never released stays. Cost: one probe of a table that fits
// the cache.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "dataplane/base/assert.h"
#include "dataplane/base/keyed_hash.h"

namespace mire {

template <typename Value>
class Interner {
 public:
  Interner(uint32_t capacity, uint64_t seed)
      : hash_(seed), entries_(capacity + 1), index_(std::bit_ceil(2u * (capacity + 1)), 0) {
    for (uint32_t i = capacity; i > 0; --i) {
      entries_[i].next = free_;
      free_ = i;
    }
  }

  // The value's number with one more user, or 0 if the table is full.
  [[nodiscard]] uint32_t acquire(const Value& value) noexcept {
    const uint32_t slot = locate(value);
    if (const uint32_t id = index_[slot]; id != 0) {
      ++entries_[id].users;
      return id;
    }
    if (free_ == 0) return 0;
    const uint32_t id = free_;
    free_ = entries_[id].next;
    entries_[id] = {value, 1, 0};
    index_[slot] = id;
    ++size_;
    return id;
  }

  // One more user of a number that is in use already.
  void share(uint32_t id) noexcept {
    MIRE_ASSERT(id != 0 && entries_[id].users != 0);
    ++entries_[id].users;
  }

  [[nodiscard]] uint32_t find(const Value& value) const noexcept { return index_[locate(value)]; }

  void release(uint32_t id) noexcept {
    MIRE_ASSERT(id != 0 && entries_[id].users != 0);
    if (--entries_[id].users != 0) return;
    erase_slot(locate(entries_[id].value));
    entries_[id].next = free_;
    free_ = id;
    --size_;
  }

  [[nodiscard]] const Value& operator[](uint32_t id) const noexcept { return entries_[id].value; }
  [[nodiscard]] uint32_t size() const noexcept { return size_; }
  [[nodiscard]] uint32_t capacity() const noexcept { return static_cast<uint32_t>(entries_.size()) - 1; }

 private:
  struct Entry {
    Value value{};
    uint32_t users = 0;
    uint32_t next = 0;
  };

  [[nodiscard]] uint32_t home(const Value& v) const noexcept {
    return static_cast<uint32_t>(hash_.of(v)) & (static_cast<uint32_t>(index_.size()) - 1);
  }
  [[nodiscard]] uint32_t next(uint32_t slot) const noexcept {
    return (slot + 1) & (static_cast<uint32_t>(index_.size()) - 1);
  }
  // The slot that holds the value, or the empty one where it would go. At most half of the index is used.
  [[nodiscard]] uint32_t locate(const Value& v) const noexcept {
    uint32_t slot = home(v);
    while (index_[slot] != 0 && !(entries_[index_[slot]].value == v)) slot = next(slot);
    return slot;
  }
  // Closes the gap (Knuth 6.4 R): later members of the run move back where they may.
  void erase_slot(uint32_t gap) noexcept {
    const uint32_t mask = static_cast<uint32_t>(index_.size()) - 1;
    for (uint32_t slot = next(gap); index_[slot] != 0; slot = next(slot)) {
      const uint32_t h = home(entries_[index_[slot]].value);
      if (((slot - h) & mask) < ((slot - gap) & mask)) continue;  // its home lies behind the gap
      index_[gap] = index_[slot];
      gap = slot;
    }
    index_[gap] = 0;
  }

  KeyedHash hash_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> index_;
  uint32_t free_ = 0;
  uint32_t size_ = 0;
};

}  // namespace mire
