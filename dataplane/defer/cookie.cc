#include "dataplane/defer/cookie.h"

#include <sodium.h>

#include <cstring>

namespace mire::defer {
namespace {

constexpr uint32_t kSlotSeconds = 64;
constexpr uint32_t kSlots = 32;
constexpr unsigned kSlotShift = 27, kMssShift = 24;
constexpr uint32_t kHashMask = (1u << kMssShift) - 1;
// The MSS of most clients are here; one below the least is met with the least (RFC 9293 3.7.1: 536 where none is said).
constexpr std::array<uint16_t, 7> kMss = {536, 1200, 1300, 1400, 1440, 1452, 1460};
constexpr uint32_t kInRecord = 7;

uint32_t slot_at(Time now) noexcept { return static_cast<uint32_t>(to_ms(now) / 1000 / kSlotSeconds); }

uint32_t index_of(uint16_t mss) noexcept {
  uint32_t i = 0;
  while (i + 1 < kMss.size() && kMss[i + 1] <= mss) ++i;
  return i;
}

}  // namespace

wire::SeqNo CookieJar::bake(const Handshake& h, std::optional<uint16_t> mss, Time now) const noexcept {
  const uint32_t slot = slot_at(now), index = mss ? index_of(*mss) : kInRecord;
  return {(slot % kSlots) << kSlotShift | index << kMssShift | (hash(h, slot, index) & kHashMask)};
}

std::optional<CookieJar::Opened> CookieJar::open(const Handshake& h, wire::SeqNo number, Time now) const noexcept {
  const uint32_t index = (number.value >> kMssShift) & 7;
  if (index == kInRecord) return {};
  for (uint32_t age = 0; age < 2; ++age) {
    const uint32_t slot = slot_at(now) - age;
    if (slot % kSlots != number.value >> kSlotShift) continue;
    if ((hash(h, slot, index) & kHashMask) == (number.value & kHashMask)) return Opened{kMss[index]};
  }
  return {};
}

uint32_t CookieJar::clock_offset(const Handshake& h) const noexcept {
  Handshake lasting = h;
  lasting.client_isn = {};
  return hash(lasting, UINT32_MAX, 0);
}

// As RFC 6528 3 has it, the client's own number standing in for the clock.
wire::SeqNo CookieJar::bait(const Handshake& h) const noexcept {
  Handshake lasting = h;
  lasting.client_isn = {};
  return h.client_isn + hash(lasting, UINT32_MAX, 1);
}

wire::SeqNo CookieJar::client_isn_of(const Handshake& h, wire::SeqNo bait) const noexcept {
  Handshake lasting = h;
  lasting.client_isn = {};
  return bait - hash(lasting, UINT32_MAX, 1);
}

uint32_t CookieJar::hash(const Handshake& h, uint32_t slot, uint32_t mss_index) const noexcept {
  std::array<uint8_t, 54> bytes;
  size_t n = 0;
  const auto put = [&](const void* p, size_t size) {
    std::memcpy(&bytes[n], p, size);
    n += size;
  };
  put(h.client.bytes.data(), 16);
  put(h.server.bytes.data(), 16);
  put(&h.vlan, 8);
  put(&h.client_port, 2);
  put(&h.client_isn.value, 4);
  put(&slot, 4);
  put(&mss_index, 4);
  std::array<uint8_t, crypto_shorthash_BYTES> out;
  crypto_shorthash(out.data(), bytes.data(), n, key_.data());
  uint32_t word;
  std::memcpy(&word, out.data(), 4);
  return word;
}

}  // namespace mire::defer
