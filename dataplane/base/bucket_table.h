// bucket_table.h - a hash table of fixed size whose entries never move.
//
// Purpose: millions of small records, looked up in bursts with their cache misses overlapped. A key lives in one of two
// buckets, both known from its hash, each of 32 records behind one cache line of 32 tags; in the first one unless that
// is crowded, so that most look-ups touch no other. Two choices of so many keep the buckets level: at 85 % of all slots
// nothing is refused, also after years of comings and goings, which smaller buckets (three records in two lines, the
// tags among them) could not do: decision 0007. No chains, no rehash, no allocation after construction; an index stays
// valid until erase(). Assumes: one thread; Record has a member `key` with == and no padding; Record{} is an empty
// record. Cost: a line of tags in stage 1, the record's own lines (or the other bucket's tags) in stage 2 (measured:
// docs/performance.md). Full is an answer, not an error.
#pragma once

#include <bit>
#include <cstdint>

#include "dataplane/base/assert.h"
#include "dataplane/base/keyed_hash.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/base/region.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace mire {

template <typename Record>
class BucketTable {
 public:
  using Key = decltype(Record::key);
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr uint32_t kSlots = 32;  // of a bucket: their tags fill one cache line
  static constexpr double kFill = 0.85;   // of all slots, when `capacity` records are in
  static constexpr int kSpare = 12;       // a bucket with no more empty slots is crowded

  // Where a key may live.
  struct Probe {
    uint32_t first = 0;
    uint32_t second = 0;
    uint16_t tag = 0;  // never 0
  };

  BucketTable(uint32_t capacity, uint64_t seed)
      : hash_(seed),
        count_(static_cast<uint32_t>(capacity / (kFill * kSlots)) + 1),
        region_(size_t{count_} * sizeof(Bucket)),
        buckets_(region_.template as<Bucket>()) {
    // Pages come zero-filled: tag 0 is "empty", so nothing needs to be written here.
  }

  [[nodiscard]] Probe probe(const Key& key) const noexcept {
    const uint64_t h = hash_.of(key);
    return {reduce(static_cast<uint32_t>(h)), reduce(static_cast<uint32_t>(h >> 32)),
            static_cast<uint16_t>(((h * 0x9e3779b97f4a7c15ull) >> 48) | 1)};
  }

  // Stage 1: the tags of the first bucket.
  void prefetch(const Probe& p) const noexcept { prefetch_line(&buckets_[p.first]); }

  // Stage 2, once these are there: the record that will be read. Returns the first one whose tag fits (nearly always
  // the right one; its key tells). kNone: it is not in the first bucket, and the tags of the second were asked for.
  uint32_t prefetch_record(const Probe& p) const noexcept {
    const uint32_t fits = prefetch_fitting(p.first, p.tag);
    if (fits != kNone) return fits;
    prefetch_line(&buckets_[p.second]);
    return kNone;
  }

  // Stage 3, for those alone: the record in the second bucket, or the place that a new one will take (kNone).
  uint32_t prefetch_elsewhere(const Probe& p) const noexcept {
    const uint32_t fits = prefetch_fitting(p.second, p.tag);
    if (fits != kNone) return fits;
    if (const uint32_t i = place_for(p); i != kNone) prefetch_lines(i);
    return kNone;
  }

  [[nodiscard]] uint32_t find(const Key& key, const Probe& p) const noexcept {
    if (const uint32_t i = find_in(p.first, key, p.tag); i != kNone) return i;
    return find_in(p.second, key, p.tag);
  }

  // The key must not be in. The new record is Record{} with its key set. kNone: no room where this key may live.
  [[nodiscard]] uint32_t insert(const Key& key, const Probe& p) noexcept {
    const uint32_t i = place_for(p);
    if (i == kNone) return kNone;
    buckets_[i / kSlots].tag[i % kSlots] = p.tag;
    Record& r = (*this)[i];
    r = Record{};
    r.key = key;
    ++size_;
    return i;
  }

  void erase(uint32_t index) noexcept {
    MIRE_ASSERT(used(index));
    buckets_[index / kSlots].tag[index % kSlots] = 0;
    (*this)[index] = Record{};
    --size_;
  }

  [[nodiscard]] bool used(uint32_t index) const noexcept {
    return index / kSlots < count_ && buckets_[index / kSlots].tag[index % kSlots] != 0;
  }
  [[nodiscard]] Record& operator[](uint32_t index) noexcept { return *record_at(index); }
  [[nodiscard]] const Record& operator[](uint32_t index) const noexcept { return *record_at(index); }
  void prefetch_at(uint32_t index) const noexcept {
    prefetch_line(&buckets_[index / kSlots]);
    prefetch_lines(index);
  }

  // Every slot where a key with this probe could be placed, for an eviction that makes room.
  template <typename F>
  void for_candidates(const Probe& p, F&& f) {
    for (uint32_t s = 0; s < kSlots; ++s) f(p.first * kSlots + s);
    if (p.second == p.first) return;
    for (uint32_t s = 0; s < kSlots; ++s) f(p.second * kSlots + s);
  }

  // Buckets [from, from + n) without wrapping: f(index) for each used slot. Returns where to go on (0 at the end).
  template <typename F>
  uint32_t sweep(uint32_t from, uint32_t n, F&& f) {
    const uint32_t end = n < count_ - from ? from + n : count_;
    for (uint32_t b = from; b < end; ++b) {
      if (b + 1 < end) prefetch_line(&buckets_[b + 1]);
      for (uint32_t m = ~matches(b, 0); m != 0; m &= m - 1) f(index_of(b, m));
    }
    return end == count_ ? 0 : end;
  }

  [[nodiscard]] uint32_t size() const noexcept { return size_; }
  [[nodiscard]] uint32_t buckets() const noexcept { return count_; }
  [[nodiscard]] size_t bytes() const noexcept { return size_t{count_} * sizeof(Bucket); }

 private:
  struct alignas(64) Bucket {
    uint16_t tag[kSlots];
    Record record[kSlots];
  };
  static_assert(sizeof(Bucket) == 64 + kSlots * sizeof(Record), "a line of tags, and nothing lost behind the records");

  [[nodiscard]] uint32_t reduce(uint32_t h) const noexcept {
    return static_cast<uint32_t>((uint64_t{h} * count_) >> 32);
  }
  [[nodiscard]] static uint32_t index_of(uint32_t bucket, uint32_t mask) noexcept {
    return bucket * kSlots + static_cast<uint32_t>(std::countr_zero(mask));
  }
  // buckets_[index / kSlots].record[index % kSlots], as one line of tags for each bucket up to this one and `index`
  // records: without a remainder, for it is asked for many times a packet.
  [[nodiscard]] Record* record_at(uint32_t index) const noexcept {
    char* first = reinterpret_cast<char*>(buckets_) + sizeof(Bucket::tag);
    return reinterpret_cast<Record*>(first + size_t{index / kSlots} * sizeof(Bucket::tag) +
                                     size_t{index} * sizeof(Record));
  }

  // Bit s: slot s of the bucket has this tag (0: it is empty).
  [[nodiscard]] uint32_t matches(uint32_t bucket, uint16_t tag) const noexcept {
    const uint16_t* tags = buckets_[bucket].tag;
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
    const auto eight = [&](unsigned i) {
      return _mm_cmpeq_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(tags) + i), wanted);
    };
    const int low = _mm_movemask_epi8(_mm_packs_epi16(eight(0), eight(1)));
    const int high = _mm_movemask_epi8(_mm_packs_epi16(eight(2), eight(3)));
    return static_cast<uint32_t>(low) | static_cast<uint32_t>(high) << 16;
#else
    uint32_t mask = 0;
    for (unsigned s = 0; s < kSlots; ++s) mask |= static_cast<uint32_t>(tags[s] == tag) << s;
    return mask;
#endif
  }

  // The first empty slot: of the first bucket unless that is crowded, else of the emptier one.
  [[nodiscard]] uint32_t place_for(const Probe& p) const noexcept {
    const uint32_t in_first = matches(p.first, 0);
    if (std::popcount(in_first) > kSpare) return index_of(p.first, in_first);
    const uint32_t in_second = matches(p.second, 0);
    if ((in_first | in_second) == 0) return kNone;
    return std::popcount(in_first) >= std::popcount(in_second) ? index_of(p.first, in_first)
                                                               : index_of(p.second, in_second);
  }

  [[nodiscard]] uint32_t find_in(uint32_t bucket, const Key& key, uint16_t tag) const noexcept {
    for (uint32_t m = matches(bucket, tag); m != 0; m &= m - 1)
      if (const uint32_t i = index_of(bucket, m); (*this)[i].key == key) return i;
    return kNone;
  }

  uint32_t prefetch_fitting(uint32_t bucket, uint16_t tag) const noexcept {
    const uint32_t fits = matches(bucket, tag);
    if (fits == 0) return kNone;
    for (uint32_t m = fits; m != 0; m &= m - 1) prefetch_lines(index_of(bucket, m));
    return index_of(bucket, fits);
  }

  void prefetch_lines(uint32_t index) const noexcept {
    const auto* r = reinterpret_cast<const char*>(&(*this)[index]);
    prefetch_line(r);
    prefetch_line(r + sizeof(Record) - 1);
  }

  KeyedHash hash_;
  uint32_t count_;
  uint32_t size_ = 0;
  Region region_;
  Bucket* buckets_;
};

}  // namespace mire
