// keyed_hash.h - 64 bits from a short key and a secret: for tables whose keys an attacker chooses.
//
// CRC32 is linear and can be aimed (docs/performance.md). Here every 16 bytes are mixed by two AES rounds with secret
// round keys, and two more close the sum: about 3 ns for a flow's key. No protocol depends on it; it need not be stable
// over restarts.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __AES__
#include <wmmintrin.h>
#endif

namespace mire {

// SplitMix64 (Steele, Lea, Flood 2014): spreads one seed over many words.
constexpr uint64_t split_mix(uint64_t& state) noexcept {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

class KeyedHash {
 public:
  explicit KeyedHash(uint64_t seed) noexcept {
    for (auto& k : keys_) k = split_mix(seed);
  }

  [[nodiscard]] uint64_t operator()(const void* data, size_t length) const noexcept {
    const auto* p = static_cast<const uint8_t*>(data);
#ifdef __AES__
    const __m128i k0 = load(&keys_[0]), k1 = load(&keys_[2]), k2 = load(&keys_[4]), k3 = load(&keys_[6]);
    __m128i state = _mm_xor_si128(k0, _mm_set_epi64x(0, static_cast<int64_t>(length)));
    for (; length > 16; p += 16, length -= 16) state = round(_mm_xor_si128(state, words(p, 8, p + 8, 8)), k1, k2);
    const size_t first = length < 8 ? length : 8;
    state = round(_mm_xor_si128(state, words(p, first, p + first, length - first)), k1, k2);
    state = round(state, k3, k0);
    return static_cast<uint64_t>(_mm_cvtsi128_si64(state));
#else
    uint64_t state = keys_[0] ^ length;
    for (; length > 16; p += 16, length -= 16) state = mix(state ^ word(p, 8), keys_[1] ^ word(p + 8, 8));
    const size_t first = length < 8 ? length : 8;
    state = mix(state ^ word(p, first), keys_[1] ^ word(p + first, length - first));
    return mix(state ^ keys_[2], keys_[3]);
#endif
  }

  template <typename T>
  [[nodiscard]] uint64_t of(const T& key) const noexcept {
    static_assert(__has_unique_object_representations(T), "padding would be hashed");
    return (*this)(&key, sizeof key);
  }

 private:
#ifdef __AES__
  static __m128i load(const void* p) noexcept { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  // Word by word: a key was often put together from words a moment ago, and 16 bytes at once would have to wait for the
  // stores.
  static __m128i words(const uint8_t* a, size_t n, const uint8_t* b, size_t m) noexcept {
    return _mm_set_epi64x(static_cast<int64_t>(word(b, m)), static_cast<int64_t>(word(a, n)));
  }
  static __m128i round(__m128i v, __m128i a, __m128i b) noexcept { return _mm_aesenc_si128(_mm_aesenc_si128(v, a), b); }
#else
  // 128 bits of product folded, and its factors kept in, so that a factor of zero hides nothing.
  static uint64_t mix(uint64_t a, uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const auto product = static_cast<Wide>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64) ^ a ^ std::rotl(b, 32);
  }
#endif
  // n bytes (at most 8), zeros behind them; no loop, and for a constant n no branch.
  static uint64_t word(const uint8_t* p, size_t n) noexcept {
    if (n == 8) return part<uint64_t>(p);
    uint64_t v = 0;
    size_t at = 0;
    if ((n & 4) != 0) {
      v = part<uint32_t>(p);
      at = 4;
    }
    if ((n & 2) != 0) {
      v |= uint64_t{part<uint16_t>(p + at)} << (8 * at);
      at += 2;
    }
    if ((n & 1) != 0) v |= uint64_t{p[at]} << (8 * at);
    return v;
  }
  template <typename T>
  static T part(const uint8_t* p) noexcept {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  uint64_t keys_[8]{};
};

}  // namespace mire
