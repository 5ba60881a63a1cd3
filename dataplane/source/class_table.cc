#include "dataplane/source/class_table.h"

#include <cstring>

#include "dataplane/source/settings.h"

namespace mire::source {
namespace {

// FNV-1a (Fowler, Noll, Vo). Its keys come from the operator's lists and a look-up cannot insert, so nobody can aim at
// it.
size_t fnv(const uint8_t* p, size_t n, size_t h = 14695981039346656037ull) noexcept {
  for (size_t i = 0; i < n; ++i) h = (h ^ p[i]) * 1099511628211ull;
  return h;
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
  return fnv(k.address.bytes.data(), 16) * 31 + k.length;
}

void ClassTable::set(const wire::Prefix& p, policy::SourceClass c) {
  const auto length = static_cast<uint8_t>(mapped_length(p));
  const auto [at, fresh] = entries_.insert_or_assign(Key{masked_mapped(p.address, length), length}, c);
  if (fresh && ++in_use_[length] == 1) lengths_.set(length);
}

void ClassTable::erase(const wire::Prefix& p) {
  const auto length = static_cast<uint8_t>(mapped_length(p));
  if (entries_.erase(Key{masked_mapped(p.address, length), length}) != 0 && --in_use_[length] == 0)
    lengths_.reset(length);
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

size_t AddressHash::operator()(const wire::Address& a) const noexcept { return fnv(a.bytes.data(), 16); }

}  // namespace mire::source
