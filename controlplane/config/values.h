// values.h - single words become values: durations, numbers, choices; and the nearest known word for one that is none.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace mire::config {

// "200ms", "5s", "2m", "1h" in milliseconds. The error is why and what to do.
[[nodiscard]] Result<uint64_t> parse_duration_ms(std::string_view);
// The shortest exact way to write it: "30s", "900ms".
[[nodiscard]] std::string duration_text(uint64_t ms);

[[nodiscard]] Result<uint32_t> parse_number(std::string_view, uint32_t low, uint32_t high);

// The known word that somebody may have meant; empty if none is near.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// "not known; did you mean greeting?" or "not known; use banner or none".
[[nodiscard]] std::string not_known(std::string_view word, std::span<const std::string_view> known);

}  // namespace mire::config
