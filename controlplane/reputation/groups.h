// groups.h - named sets of prefixes whose addresses share one evidence: a provider's, by its SPF or by the operator.
//
// Pure. A group may overlap others; evidence of an address goes to every group that holds it. What a group is worth is
// shared only for the better: at worst it is unknown, and its members are what they are. Bounded: groups, and prefixes
// over all of them. Cost of a look-up: one hash for each prefix length that occurs.
#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/reputation/evidence.h"
#include "controlplane/reputation/source_key.h"
#include "dataplane/base/keyed_hash.h"
#include "dataplane/base/result.h"
#include "dataplane/policy/types.h"
#include "dataplane/wire/address.h"

namespace mire::reputation {

inline constexpr size_t kMaxGroups = 8192;
inline constexpr size_t kMaxGroupPrefixes = 1u << 20;

struct Group {
  std::string name;
  std::vector<wire::Prefix> prefixes;  // sorted, none twice
  Evidence evidence;
  policy::SourceClass own = policy::SourceClass::unknown;  // unknown, known or trusted
  uint32_t since = 0;
  uint32_t due = 0;  // of its timer; 0: none
  bool touched = false;
  bool lasting = false;  // the operator's: it never gives way
};

using GroupId = uint32_t;

class Groups {
 public:
  explicit Groups(uint64_t hash_seed) : at_(0, Hash{KeyedHash(hash_seed)}) {}

  [[nodiscard]] bool empty() const noexcept { return at_.empty(); }
  [[nodiscard]] size_t size() const noexcept { return names_.size(); }

  [[nodiscard]] bool full() const noexcept { return names_.size() >= kMaxGroups; }
  [[nodiscard]] std::optional<GroupId> find(std::string_view name) const;
  [[nodiscard]] bool exists(GroupId id) const noexcept { return id < groups_.size() && groups_[id] != nullptr; }
  // A new one without prefixes. Its name must be new, and there must be room.
  GroupId enter(std::string_view name);
  // Sorts the prefixes; those that are in only one of the group's and this set. An error: there would be too many.
  [[nodiscard]] Result<std::vector<wire::Prefix>> difference(GroupId, std::vector<wire::Prefix>& prefixes) const;
  // Sorted, none twice.
  void set_prefixes(GroupId, std::vector<wire::Prefix>);
  // Must have no prefixes.
  void remove(GroupId);

  [[nodiscard]] Group& operator[](GroupId id) { return *groups_[id]; }
  [[nodiscard]] const Group& operator[](GroupId id) const { return *groups_[id]; }

  // Those that hold exactly this prefix.
  [[nodiscard]] const std::vector<GroupId>& exactly(const wire::Prefix&) const;
  // Calls f(length, groups) for every prefix that holds the address, the longest first, while f returns true.
  template <typename F>
  void holding(const wire::Address& a, F&& f) const {
    const auto& lengths = a.is_v4() ? v4_lengths_ : v6_lengths_;
    for (int n = a.is_v4() ? 32 : 128; n >= 0; --n) {
      if (lengths[static_cast<size_t>(n)] == 0) continue;
      const auto& groups = exactly({wire::masked(a, static_cast<unsigned>(n)), static_cast<uint8_t>(n)});
      if (!groups.empty() && !f(static_cast<unsigned>(n), groups)) return;
    }
  }
  // Each once.
  [[nodiscard]] std::vector<GroupId> all_holding(const wire::Address&) const;
  template <typename F>
  void for_each(F&& f) const {
    for (const auto& [name, id] : names_) f(id, *groups_[id]);
  }

 private:
  struct Hash {
    using is_avalanching = void;
    KeyedHash keyed{0};
    size_t operator()(const wire::Prefix& p) const noexcept {
      return keyed.of(p.address) + p.length * 0x9e3779b97f4a7c15ull;
    }
  };

  std::map<std::string, GroupId, std::less<>> names_;
  std::vector<std::unique_ptr<Group>> groups_;
  std::vector<GroupId> free_;
  boost::unordered_flat_map<wire::Prefix, std::vector<GroupId>, Hash> at_;
  std::array<uint32_t, 129> v4_lengths_{};
  std::array<uint32_t, 129> v6_lengths_{};
  size_t prefixes_ = 0;
};

}  // namespace mire::reputation
