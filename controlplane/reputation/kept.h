// kept.h - what outlives mired of a source, network or group, and its bytes in the store.
//
// A record says its version first; one of another version, or one that makes no sense, is no record: the reader skips
// and counts it. Little-endian; amounts of zero are left out. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/reputation/evidence.h"
#include "controlplane/reputation/source_key.h"
#include "dataplane/policy/types.h"

namespace mire::reputation {

struct Kept {
  Evidence evidence;
  policy::SourceClass own = policy::SourceClass::unknown;
  uint32_t since = 0;
  friend bool operator==(const Kept&, const Kept&) = default;
};

[[nodiscard]] std::string encode(const Kept&);
// Hostile input: any bytes.
[[nodiscard]] std::optional<Kept> decode(std::string_view bytes) noexcept;

// Big-endian, so that the store's order is that of the addresses.
[[nodiscard]] std::string key_bytes(SourceKey);
[[nodiscard]] std::optional<SourceKey> key_from(std::string_view bytes) noexcept;

}  // namespace mire::reputation
