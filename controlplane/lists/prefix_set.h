// prefix_set.h - prefixes as a set: sorted, nothing twice, nothing inside another, neighbours joined.
//
// Pure. Cost: a sort, then one pass.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/wire/address.h"

namespace mire::lists {

// Address first, the shorter prefix before the longer ones inside it.
[[nodiscard]] bool before(const wire::Prefix&, const wire::Prefix&) noexcept;
// IPv4 192.0.2.0/24 of 192.0.2.128/25; the prefix itself too.
[[nodiscard]] bool covers(const wire::Prefix& wide, const wire::Prefix& narrow) noexcept;

// The same addresses in as few prefixes as there can be.
[[nodiscard]] std::vector<wire::Prefix> aggregated(std::vector<wire::Prefix>);

// Nobody sends mail from more than that: an IPv4 prefix shorter than /8, an IPv6 prefix shorter than /19 (the largest
// allocations made).
[[nodiscard]] bool absurdly_wide(const wire::Prefix&) noexcept;
// The same bound for all of an aggregated set together, for each family.
[[nodiscard]] bool absurdly_wide(const std::vector<wire::Prefix>&) noexcept;

}  // namespace mire::lists
