#include "dataplane/source/class_table.h"

#include <cstring>
#include <random>

#include "dataplane/base/keyed_hash.h"
#include "dataplane/source/settings.h"

namespace mire::source {
namespace {

// Keyed once a process: what mired sends is hostile input too, and must not be able to aim at one bucket.
const KeyedHash& secret_hash() {
  static const KeyedHash hash{std::random_device{}() | uint64_t{std::random_device{}()} << 32};
  return hash;
}

// Lengths in the mapped space of 128 bits.
unsigned mapped_length(const wire::Prefix& p) noexcept { return p.address.is_v4() ? 96u + p.length : p.length; }

wire::Address masked_mapped(const wire::Address& a, unsigned length) noexcept {
  wire::Address r;
  const unsigned whole = length / 8;
  std::memcpy(r.bytes.data(), a.bytes.data(), whole);
  if (length % 8 != 0) r.bytes[whole] = static_cast<uint8_t>(a.bytes[whole] & (0xff00 >> (length % 8)));
  return r;
}

}  // namespace

size_t ClassTable::Hash::operator()(const Key& k) const noexcept {
  return secret_hash()(k.address.bytes.data(), 16) + k.length * 0x9e3779b97f4a7c15ull;
}

void ClassTable::set(const wire::Prefix& p, policy::SourceClass c) {
  const auto length = static_cast<uint8_t>(mapped_length(p));
  entries_.insert_or_assign(Key{masked_mapped(p.address, length), length}, c);
  lengths_.set(length);
}

std::optional<policy::SourceClass> ClassTable::find(const wire::Address& a) const noexcept {
  if (entries_.empty()) return std::nullopt;
  // An IPv4 address never matches an IPv6 prefix, ::/0 included.
  const int shortest = a.is_v4() ? 96 : 0;
  for (int length = 128; length >= shortest; --length) {
    if (!lengths_.test(static_cast<size_t>(length))) continue;
    const Key key{masked_mapped(a, static_cast<unsigned>(length)), static_cast<uint8_t>(length)};
    if (const auto hit = entries_.find(key); hit != entries_.end()) return hit->second;
  }
  return std::nullopt;
}

size_t AddressHash::operator()(const wire::Address& a) const noexcept { return secret_hash()(a.bytes.data(), 16); }

}  // namespace mire::source
