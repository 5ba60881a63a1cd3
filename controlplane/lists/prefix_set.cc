#include "controlplane/lists/prefix_set.h"

#include <algorithm>

namespace mire::lists {
namespace {

using wire::Prefix;

constexpr unsigned kWidestV4 = 8;
constexpr unsigned kWidestV6 = 19;

unsigned widest(const Prefix& p) noexcept { return p.address.is_v4() ? kWidestV4 : kWidestV6; }

// The prefix one bit shorter, if both are its two halves.
bool join(Prefix& left, const Prefix& right) noexcept {
  if (left.length == 0 || left.length != right.length || left.address.is_v4() != right.address.is_v4()) return false;
  const auto parent_length = static_cast<uint8_t>(left.length - 1);
  if (wire::masked(left.address, parent_length) != left.address) return false;
  if (wire::masked(right.address, parent_length) != left.address) return false;
  left.length = parent_length;
  return true;
}

}  // namespace

bool before(const Prefix& a, const Prefix& b) noexcept {
  return a.address != b.address ? a.address < b.address : a.length < b.length;
}

bool covers(const Prefix& wide, const Prefix& narrow) noexcept {
  return wide.address.is_v4() == narrow.address.is_v4() && wide.length <= narrow.length &&
         wide.contains(narrow.address);
}

std::vector<Prefix> aggregated(std::vector<Prefix> all) {
  std::sort(all.begin(), all.end(), before);
  std::vector<Prefix> kept;
  for (const Prefix& p : all) {
    if (!kept.empty() && covers(kept.back(), p)) continue;
    kept.push_back(p);
    while (kept.size() > 1 && join(kept[kept.size() - 2], kept.back())) kept.pop_back();
  }
  return kept;
}

bool absurdly_wide(const Prefix& p) noexcept { return p.length < widest(p); }

bool absurdly_wide(const std::vector<Prefix>& set) noexcept {
  double v4 = 0, v6 = 0;  // shares of the widest prefix
  for (const Prefix& p : set) {
    const double share =
        1.0 / static_cast<double>(uint64_t{1} << std::min(p.length - std::min(widest(p), unsigned{p.length}), 63u));
    if (absurdly_wide(p)) return true;
    (p.address.is_v4() ? v4 : v6) += share;
  }
  return v4 > 1 || v6 > 1;
}

}  // namespace mire::lists
