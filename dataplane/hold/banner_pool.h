// banner_pool.h - parked greetings, kept once for all flows that hold the same bytes.
//
// Purpose: a held flow pins no packet buffer: its greeting is a number here. The greetings of one server are mostly the
// same bytes, so ten million held flows may share one entry. Fixed size; when it is full the answer is 0 and the caller
// lets the greeting go at once. Assumes: one thread. Cost: one hash over the bytes and one compare. Blocks come in
// powers of two from 64 bytes to kLargest.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/base/keyed_hash.h"

namespace mire::hold {

class BannerPool {
 public:
  static constexpr size_t kLargest =
      8192;  // bytes of one greeting: 4 KB that are judged and what came in the same segment

  BannerPool(uint32_t bytes, uint64_t seed);

  // The number of these bytes, sent in segments of at most largest_segment bytes, with one more user. 0: no room.
  [[nodiscard]] uint32_t acquire(std::span<const uint8_t> bytes, uint16_t largest_segment);
  // One more user of bytes that are kept already.
  void share(uint32_t id) noexcept;
  void release(uint32_t id);

  [[nodiscard]] std::span<const uint8_t> bytes(uint32_t id) const noexcept;
  [[nodiscard]] uint16_t largest_segment(uint32_t id) const noexcept { return entries_[id].largest_segment; }
  [[nodiscard]] uint32_t size() const noexcept { return size_; }
  // With what finds them: about twice the capacity.
  [[nodiscard]] size_t bytes_all() const noexcept {
    return arena_.size() + entries_.size() * sizeof(Entry) + index_.size() * sizeof(index_[0]) +
           2 * (arena_.size() / kUnit) * sizeof(uint32_t);  // free lists: half as many for each larger class
  }

 private:
  static constexpr uint32_t kUnit = 64;
  static constexpr unsigned kClasses = 8;  // 64 << class

  struct Entry {
    uint64_t hash = 0;
    uint32_t users = 0;
    uint32_t unit = 0;  // where in the arena
    uint16_t length = 0;
    uint16_t largest_segment = 0;
    uint32_t next = 0;  // free list
  };

  static unsigned size_class(size_t bytes) noexcept;
  [[nodiscard]] bool take_block(unsigned size_class, uint32_t& unit) noexcept;
  [[nodiscard]] uint32_t slot_of(uint64_t hash, std::span<const uint8_t> bytes,
                                 uint16_t largest_segment) const noexcept;
  void erase_slot(uint32_t gap) noexcept;

  KeyedHash hash_;
  std::vector<uint8_t> arena_;
  std::vector<Entry> entries_;  // entry 0 is never used
  std::vector<uint32_t> index_;
  std::array<std::vector<uint32_t>, kClasses> free_blocks_;  // units; reserved at construction
  uint32_t free_entry_ = 0;
  uint32_t next_unit_ = 0;
  uint32_t size_ = 0;
};

}  // namespace mire::hold
