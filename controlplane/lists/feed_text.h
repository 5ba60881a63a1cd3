// feed_text.h - a feed's text becomes prefixes, whole, or is refused whole with its line.
//
// Pure: no file, no clock. Every format's reader takes hostile bytes. Bounded by kMostEntries and kLargestFeed; cost is
// one pass over the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/lists/settings.h"

namespace mire::lists {

inline constexpr size_t kLargestFeed = size_t{256} << 20;  // bytes
inline constexpr size_t kMostEntries = 4'000'000;
inline constexpr size_t kLongestLine = 4'096;

struct FeedContent {
  std::vector<wire::Prefix> prefixes;  // sorted (prefix_set.h's before), none twice
  uint64_t skipped = 0;                // records that name no address and are none of our business
  friend bool operator==(const FeedContent&, const FeedContent&) = default;
};

// `file` is only the name that errors carry: "FILE:LINE: what: why; what to do".
[[nodiscard]] Result<FeedContent> parse_feed(std::string_view text, std::string_view file, FeedFormat);

}  // namespace mire::lists
