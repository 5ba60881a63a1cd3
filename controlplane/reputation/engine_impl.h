// engine_impl.h - the engine's memory, and how a class follows from it. For engine.cc, engine_view.cc, engine_kept.cc.
#pragma once

#include <algorithm>
#include <limits>

#include "controlplane/reputation/engine.h"
#include "dataplane/base/assert.h"

namespace mire::reputation {

using policy::SourceClass;

// What a prefix was told as: 0 nothing, else 1 + class.
constexpr std::optional<SourceClass> told_class(uint8_t told) noexcept {
  if (told == 0) return std::nullopt;
  return static_cast<SourceClass>(told - 1);
}
constexpr uint8_t as_told(std::optional<SourceClass> c) noexcept {
  return static_cast<uint8_t>(c ? 1 + static_cast<uint8_t>(*c) : 0);
}

struct Record {
  Evidence evidence;
  SourceClass own = SourceClass::unknown;
  uint8_t told = 0;  // of its own prefix
  bool touched = false;
  uint32_t since = 0;
  uint32_t due = 0;  // of its timer; 0: none
};
static_assert(sizeof(Record) == 100, "108 with its key: docs/reputation.md");

struct NetworkRecord : Record {
  uint32_t members = 0;  // of its /64 with a record
};

struct ListWord {  // of DNSBL and DNSWL
  float weight = 0;
  uint32_t until = 0;
};

struct Timer {
  uint32_t due = 0;
  Space space = Space::source;
  SourceKey key = 0;                                                                        // of a group: its id
  friend bool operator<(const Timer& a, const Timer& b) noexcept { return a.due > b.due; }  // the soonest on top
};

inline constexpr uint32_t kMembersToSpeak = 3;
inline constexpr size_t kNetworkShare = 8;  // of the capacity

inline wire::Prefix source_prefix(SourceKey key) noexcept {
  return {address_of(key), static_cast<uint8_t>(is_v4(key) ? 32 : 64)};
}
inline wire::Prefix network_prefix(SourceKey key) noexcept { return {address_of(key), 48}; }

class Engine::Impl {
 public:
  Impl(const Settings&, ClassSink&, Numbers, uint64_t hash_seed);

  // --- evidence
  // Null: not an address that a source has.
  Record* enter(const wire::Address& client, WallSeconds now);
  void add_everywhere(const Observation&, SourceKey, Record&, WallSeconds now);
  void drop_source(SourceKey, WallSeconds now);
  void drop_network(SourceKey);
  // The group of that name, perhaps in the place of one that gives way.
  Result<GroupId> enter_group(std::string_view name, WallSeconds now);
  // `prefixes` sorted; `changed`: those that are in only one of the old and the new set.
  void give_prefixes(GroupId, std::vector<wire::Prefix> prefixes, const std::vector<wire::Prefix>& changed);
  void drop_group(GroupId);

  // --- classes: each looks anew at one, tells what has changed, and sets its timer
  void judge_source(SourceKey, Record&, WallSeconds now);
  void judge_network(SourceKey, NetworkRecord&, WallSeconds now);
  void judge_group(GroupId, WallSeconds now);

  [[nodiscard]] float list_weight(SourceKey, WallSeconds now) const;
  // The class that a group or network gives to an address, and to which prefix.
  [[nodiscard]] std::optional<ClassChange> shared_at(const wire::Address&) const;
  [[nodiscard]] SourceClass group_class(const std::vector<GroupId>&) const;
  [[nodiscard]] bool in_trusted_group(SourceKey) const;
  // What a prefix is told as, by whoever has a word on it: the source's own, its groups', its network's.
  [[nodiscard]] std::optional<SourceClass> wanted(const wire::Prefix&) const;
  // All sources are looked at anew: one that is known by itself is told so, unless a trusted group stands behind it.
  void sweep() noexcept { sweep_at = 0; }
  void tell_difference(const wire::Prefix&, std::optional<SourceClass> before);

  void arm(Space, SourceKey, uint32_t& due, std::optional<WallSeconds> next);
  void touch(Space, SourceKey, bool& touched);

  Settings settings;
  ClassSink& sink;
  Numbers numbers;
  Table<Record> sources;
  Table<NetworkRecord> networks;
  Groups groups;
  boost::unordered_flat_map<SourceKey, ListWord> list_words;
  std::vector<Timer> timers;  // a heap; one whose record has another time is void
  std::vector<std::pair<Space, SourceKey>> touched;
  std::vector<std::string> groups_gone;
  Summary counted;
  std::array<std::array<uint32_t, policy::kClasses>, 256> by_eight{};
  size_t trusted_groups = 0;
  size_t sweep_at = std::numeric_limits<size_t>::max();  // shard of the sources that follows new settings next
  bool loading = true;                                   // nobody is told, timers are not in order

 private:
  void count(SourceKey, SourceClass, int by);
  friend class Engine;
};

}  // namespace mire::reputation
