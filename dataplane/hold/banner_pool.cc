#include "dataplane/hold/banner_pool.h"

#include <bit>
#include <cstring>

#include "dataplane/base/assert.h"

namespace mire::hold {

BannerPool::BannerPool(uint32_t bytes, uint64_t seed)
    : hash_(seed),
      arena_((bytes + kUnit - 1) / kUnit * kUnit),
      entries_(arena_.size() / kUnit + 1),
      index_(std::bit_ceil(2 * entries_.size()), 0) {
  for (auto i = static_cast<uint32_t>(entries_.size() - 1); i > 0; --i) {
    entries_[i].next = free_entry_;
    free_entry_ = i;
  }
  for (unsigned c = 0; c < kClasses; ++c) free_blocks_[c].reserve(arena_.size() / (size_t{kUnit} << c) + 1);
}

unsigned BannerPool::size_class(size_t bytes) noexcept {
  const size_t units = bytes <= kUnit ? 1 : std::bit_ceil((bytes + kUnit - 1) / kUnit);
  return static_cast<unsigned>(std::countr_zero(units));
}

// From the class's own free list, else from what was never used, else by halving a larger free block.
bool BannerPool::take_block(unsigned c, uint32_t& unit) noexcept {
  if (!free_blocks_[c].empty()) {
    unit = free_blocks_[c].back();
    free_blocks_[c].pop_back();
    return true;
  }
  const uint32_t units = 1u << c;
  if (next_unit_ + units <= arena_.size() / kUnit) {
    unit = next_unit_;
    next_unit_ += units;
    return true;
  }
  for (unsigned larger = c + 1; larger < kClasses; ++larger) {
    if (free_blocks_[larger].empty()) continue;
    unit = free_blocks_[larger].back();
    free_blocks_[larger].pop_back();
    for (unsigned half = larger; half > c; --half) free_blocks_[half - 1].push_back(unit + (1u << (half - 1)));
    return true;
  }
  return false;
}

uint32_t BannerPool::slot_of(uint64_t hash, std::span<const uint8_t> bytes, uint16_t largest_segment) const noexcept {
  const auto mask = static_cast<uint32_t>(index_.size() - 1);
  for (auto slot = static_cast<uint32_t>(hash) & mask;; slot = (slot + 1) & mask) {
    const uint32_t id = index_[slot];
    if (id == 0) return slot;
    const Entry& e = entries_[id];
    if (e.hash == hash && e.length == bytes.size() && e.largest_segment == largest_segment &&
        std::memcmp(&arena_[size_t{e.unit} * kUnit], bytes.data(), bytes.size()) == 0)
      return slot;
  }
}

uint32_t BannerPool::acquire(std::span<const uint8_t> bytes, uint16_t largest_segment) {
  if (bytes.empty() || bytes.size() > kLargest) return 0;
  const uint64_t hash = hash_(bytes.data(), bytes.size());
  const uint32_t slot = slot_of(hash, bytes, largest_segment);
  if (index_[slot] != 0) {
    ++entries_[index_[slot]].users;
    return index_[slot];
  }
  uint32_t unit = 0;
  if (free_entry_ == 0 || !take_block(size_class(bytes.size()), unit)) return 0;
  const uint32_t id = free_entry_;
  free_entry_ = entries_[id].next;
  entries_[id] = {hash, 1, unit, static_cast<uint16_t>(bytes.size()), largest_segment, 0};
  std::memcpy(&arena_[size_t{unit} * kUnit], bytes.data(), bytes.size());
  index_[slot] = id;
  ++size_;
  return id;
}

void BannerPool::share(uint32_t id) noexcept {
  MIRE_ASSERT(id != 0 && entries_[id].users != 0);
  ++entries_[id].users;
}

void BannerPool::release(uint32_t id) {
  MIRE_ASSERT(id != 0 && entries_[id].users != 0);
  if (--entries_[id].users != 0) return;
  Entry& e = entries_[id];
  erase_slot(slot_of(e.hash, bytes(id), e.largest_segment));
  free_blocks_[size_class(e.length)].push_back(e.unit);
  e.next = free_entry_;
  free_entry_ = id;
  --size_;
}

std::span<const uint8_t> BannerPool::bytes(uint32_t id) const noexcept {
  const Entry& e = entries_[id];
  return {&arena_[size_t{e.unit} * kUnit], e.length};
}

void BannerPool::erase_slot(uint32_t gap) noexcept {
  const auto mask = static_cast<uint32_t>(index_.size() - 1);
  for (uint32_t slot = (gap + 1) & mask; index_[slot] != 0; slot = (slot + 1) & mask) {
    const uint32_t home = static_cast<uint32_t>(entries_[index_[slot]].hash) & mask;
    if (((slot - home) & mask) < ((slot - gap) & mask)) continue;  // its home lies behind the gap
    index_[gap] = index_[slot];
    gap = slot;
  }
  index_[gap] = 0;
}

}  // namespace mire::hold
