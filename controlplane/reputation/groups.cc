#include "controlplane/reputation/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "dataplane/base/assert.h"

namespace mire::reputation {
namespace {

bool before(const wire::Prefix& a, const wire::Prefix& b) {
  return a.address != b.address ? a.address < b.address : a.length < b.length;
}

}  // namespace

GroupId Groups::enter(std::string_view name) {
  MIRE_ASSERT(!full());
  auto id = static_cast<GroupId>(groups_.size());
  if (free_.empty()) {
    groups_.push_back(std::make_unique<Group>());
  } else {
    id = free_.back();
    free_.pop_back();
    groups_[id] = std::make_unique<Group>();
  }
  groups_[id]->name = name;
  MIRE_ASSERT(names_.emplace(name, id).second);
  return id;
}

std::optional<GroupId> Groups::find(std::string_view name) const {
  const auto at = names_.find(name);
  if (at == names_.end()) return std::nullopt;
  return at->second;
}

Result<std::vector<wire::Prefix>> Groups::difference(GroupId id, std::vector<wire::Prefix>& prefixes) const {
  const Group& g = *groups_[id];
  std::sort(prefixes.begin(), prefixes.end(), before);
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end()), prefixes.end());
  if (prefixes_ - g.prefixes.size() + prefixes.size() > kMaxGroupPrefixes)
    return Error{fmt::format("group {}: its {} prefixes would make more than {} of all groups together", g.name,
                             prefixes.size(), kMaxGroupPrefixes)};
  std::vector<wire::Prefix> in_one;
  std::set_symmetric_difference(g.prefixes.begin(), g.prefixes.end(), prefixes.begin(), prefixes.end(),
                                std::back_inserter(in_one), before);
  return in_one;
}

void Groups::set_prefixes(GroupId id, std::vector<wire::Prefix> prefixes) {
  Group& g = *groups_[id];
  const auto count_at = [this](const wire::Prefix& p) -> uint32_t& {
    return p.address.is_v4() ? v4_lengths_[p.length] : v6_lengths_[p.length];
  };
  for (const wire::Prefix& p : g.prefixes) {
    const auto at = at_.find(p);
    std::erase(at->second, id);
    if (!at->second.empty()) continue;
    at_.erase(at);
    --count_at(p);
  }
  for (const wire::Prefix& p : prefixes) {
    std::vector<GroupId>& there = at_[p];
    if (there.empty()) ++count_at(p);
    there.push_back(id);
  }
  prefixes_ += prefixes.size() - g.prefixes.size();
  g.prefixes = std::move(prefixes);
}

void Groups::remove(GroupId id) {
  MIRE_ASSERT(groups_[id]->prefixes.empty());
  names_.erase(names_.find(groups_[id]->name));
  groups_[id].reset();
  free_.push_back(id);
}

const std::vector<GroupId>& Groups::exactly(const wire::Prefix& p) const {
  static const std::vector<GroupId> kNone;
  const auto at = at_.find(p);
  return at == at_.end() ? kNone : at->second;
}

std::vector<GroupId> Groups::all_holding(const wire::Address& a) const {
  std::vector<GroupId> all;
  holding(a, [&](unsigned, const std::vector<GroupId>& groups) {
    all.insert(all.end(), groups.begin(), groups.end());
    return true;
  });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace mire::reputation
