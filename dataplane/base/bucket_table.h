// bucket_table.h - a hash table of fixed size whose entries never move.
//
// Purpose: millions of small records, looked up in bursts with their cache misses overlapped. Two-choice buckets of 128
// bytes: a key lives in one of two buckets, both known from its hash, or, if both were full, in the neighbour of one of
// them (the bucket counts how many went there). No chains, no rehash, no allocation after construction; an index stays
// valid until erase(). Assumes: one thread; Record has a member `key` with == and no padding; Record{} is an empty
// record. Cost: look-up 2 lines prefetched in stage 1, the record's line in stage 2 (measured: docs/performance.md).
// Full is an answer, not an error.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "dataplane/base/assert.h"
#include "dataplane/base/keyed_hash.h"
#include "dataplane/base/region.h"

namespace mire {

template <typename Record, unsigned Slots>
class BucketTable {
 public:
  using Key = decltype(Record::key);
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr unsigned kSlots = Slots;
  static constexpr double kFill = 0.85;  // of all slots, when `capacity` records are in

  // Where a key may live.
  struct Probe {
    uint32_t first = 0;
    uint32_t second = 0;
    uint16_t tag = 0;  // never 0
  };

  BucketTable(uint32_t capacity, uint64_t seed)
      : hash_(seed),
        count_((static_cast<uint32_t>(capacity / kFill / Slots) + 2) & ~1u),
        region_(size_t{count_} * sizeof(Bucket)),
        buckets_(region_.template as<Bucket>()) {
    // Pages come zero-filled: tag 0 is "empty", so nothing needs to be written here.
  }

  [[nodiscard]] Probe probe(const Key& key) const noexcept {
    const uint64_t h = hash_.of(key);
    return {reduce(static_cast<uint32_t>(h)), reduce(static_cast<uint32_t>(h >> 32)),
            static_cast<uint16_t>(((h * 0x9e3779b97f4a7c15ull) >> 48) | 1)};
  }

  void prefetch(const Probe& p) const noexcept {
    __builtin_prefetch(&buckets_[p.first], 1);
    __builtin_prefetch(&buckets_[p.second], 1);
  }

  // Stage 2: the lines of the record that will be read, once the bucket's head is there.
  void prefetch_record(const Probe& p) const noexcept {
    for (const uint32_t b : {p.first, p.second}) {
      for (unsigned s = 0; s < Slots; ++s) {
        if (buckets_[b].tag[s] != p.tag) continue;
        const auto* r = reinterpret_cast<const char*>(&buckets_[b].record[s]);
        __builtin_prefetch(r, 1);
        __builtin_prefetch(r + sizeof(Record) - 1, 1);
      }
    }
  }

  [[nodiscard]] uint32_t find(const Key& key, const Probe& p) const noexcept {
    if (const uint32_t i = find_in(p.first, key, p.tag); i != kNone) return i;
    if (const uint32_t i = find_in(p.second, key, p.tag); i != kNone) return i;
    if (buckets_[p.first].spilled != 0) {
      if (const uint32_t i = find_in(p.first ^ 1, key, p.tag); i != kNone) return i;
    }
    if (buckets_[p.second].spilled != 0) {
      if (const uint32_t i = find_in(p.second ^ 1, key, p.tag); i != kNone) return i;
    }
    return kNone;
  }

  // The key must not be in. The new record is Record{} with its key set. kNone: no room where this key may live.
  [[nodiscard]] uint32_t insert(const Key& key, const Probe& p) noexcept {
    const unsigned a = occupied(p.first), b = occupied(p.second);
    const uint32_t home = a <= b ? p.first : p.second;
    if ((a <= b ? a : b) < Slots) return place(home, key, p.tag);
    for (const uint32_t h : {p.first, p.second}) {
      // spilled saturating would lose entries: a bucket that sent 255 away sends no more.
      if (occupied(h ^ 1) == Slots || buckets_[h].spilled == 0xff) continue;
      ++buckets_[h].spilled;
      return place(h ^ 1, key, p.tag);
    }
    return kNone;
  }

  void erase(uint32_t index) noexcept {
    const uint32_t b = index / Slots, s = index % Slots;
    MIRE_ASSERT(b < count_ && buckets_[b].tag[s] != 0);
    const Probe p = probe(buckets_[b].record[s].key);
    if (b != p.first && b != p.second) {
      // It was a spilled one: its home is the neighbour. If both homes neighbour it, insert() preferred the first.
      Bucket& home = buckets_[b ^ 1];
      MIRE_ASSERT(home.spilled != 0);
      --home.spilled;
    }
    buckets_[b].tag[s] = 0;
    buckets_[b].record[s] = Record{};
    --size_;
  }

  [[nodiscard]] bool used(uint32_t index) const noexcept {
    return index / Slots < count_ && buckets_[index / Slots].tag[index % Slots] != 0;
  }
  [[nodiscard]] Record& operator[](uint32_t index) noexcept { return buckets_[index / Slots].record[index % Slots]; }
  [[nodiscard]] const Record& operator[](uint32_t index) const noexcept {
    return buckets_[index / Slots].record[index % Slots];
  }
  void prefetch_at(uint32_t index) const noexcept {
    const auto* r = reinterpret_cast<const char*>(&buckets_[index / Slots].record[index % Slots]);
    __builtin_prefetch(&buckets_[index / Slots], 1);
    __builtin_prefetch(r, 1);
    __builtin_prefetch(r + sizeof(Record) - 1, 1);
  }

  // Every slot where a key with this probe could be placed, for an eviction that makes room.
  template <typename F>
  void for_candidates(const Probe& p, F&& f) {
    for (const uint32_t b : {p.first, p.second})
      for (unsigned s = 0; s < Slots; ++s) f(b * Slots + s);
  }

  // Buckets [from, from + n) without wrapping: f(index) for each used slot. Returns where to go on (0 at the end).
  template <typename F>
  uint32_t sweep(uint32_t from, uint32_t n, F&& f) {
    const uint32_t end = n < count_ - from ? from + n : count_;
    for (uint32_t b = from; b < end; ++b) {
      if (b + 8 < end) __builtin_prefetch(&buckets_[b + 8]);
      for (unsigned s = 0; s < Slots; ++s)
        if (buckets_[b].tag[s] != 0) f(b * Slots + s);
    }
    return end == count_ ? 0 : end;
  }

  [[nodiscard]] uint32_t size() const noexcept { return size_; }
  [[nodiscard]] uint32_t buckets() const noexcept { return count_; }
  [[nodiscard]] size_t bytes() const noexcept { return size_t{count_} * sizeof(Bucket); }

 private:
  struct alignas(64) Bucket {
    uint16_t tag[Slots];
    uint8_t spilled;  // entries whose home is here and that live in the neighbour
    Record record[Slots];
  };
  static_assert(sizeof(Bucket) == 128, "two cache lines, so that a neighbour is a bit away");

  [[nodiscard]] uint32_t reduce(uint32_t h) const noexcept {
    return static_cast<uint32_t>((uint64_t{h} * count_) >> 32);
  }
  [[nodiscard]] unsigned occupied(uint32_t b) const noexcept {
    unsigned n = 0;
    for (unsigned s = 0; s < Slots; ++s) n += buckets_[b].tag[s] != 0;
    return n;
  }
  [[nodiscard]] uint32_t find_in(uint32_t b, const Key& key, uint16_t tag) const noexcept {
    for (unsigned s = 0; s < Slots; ++s)
      if (buckets_[b].tag[s] == tag && buckets_[b].record[s].key == key) return b * Slots + s;
    return kNone;
  }
  uint32_t place(uint32_t b, const Key& key, uint16_t tag) noexcept {
    for (unsigned s = 0; s < Slots; ++s) {
      if (buckets_[b].tag[s] != 0) continue;
      buckets_[b].tag[s] = tag;
      buckets_[b].record[s] = Record{};
      buckets_[b].record[s].key = key;
      ++size_;
      return b * Slots + s;
    }
    MIRE_ASSERT(false);
    return kNone;
  }

  KeyedHash hash_;
  uint32_t count_;
  uint32_t size_ = 0;
  Region region_;
  Bucket* buckets_;
};

}  // namespace mire
