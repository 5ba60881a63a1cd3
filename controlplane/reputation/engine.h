// engine.h - all sources' evidence in memory: takes observations, keeps classes right, tells what changes.
//
// Pure but for its memory: no socket, no thread, no clock (the time is an argument and may only grow), no chance of its
// own (the caller gives the numbers). Evidence of an address counts for its source (IPv4 /32, IPv6 /64), for the /48
// network of an IPv6 source, and for each group that holds it; early talk and pipelining never for a group.
// What a source is: its own class, if its own evidence decides; else its group's or network's (the longest prefix that
// decides); else unknown. A network speaks once three of its /64 have records, and never worse than suspect nor better
// than known. A group speaks only for the better. So an abusive address in a good group is judged by its own.
// A change of class is told once, also when time alone changes it. Bounded: a full table lets the source of least worth
// go, and counts it. Cost: about 300 ns an observation at ten million sources; judging is a part of that.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/reputation/class_change.h"
#include "controlplane/reputation/groups.h"
#include "controlplane/reputation/judge.h"
#include "controlplane/reputation/kept.h"
#include "controlplane/reputation/observation.h"
#include "controlplane/reputation/table.h"

namespace mire::reputation {

// What is kept in the store under which kind of key.
enum class Space : uint8_t { source, network, group };

struct Touched {
  Space space = Space::source;
  SourceKey key = 0;
  std::string name;          // of a group
  std::optional<Kept> kept;  // nothing: it is gone
};

struct View {
  wire::Prefix prefix;
  Evidence evidence;
  Judgement judgement;
  Standing standing;
  WallSeconds since{};  // of the class that it is now
  struct Shared {       // that its class comes from, or would
    std::string name;   // group's; empty: the network
    wire::Prefix prefix;
    policy::SourceClass source_class = policy::SourceClass::unknown;
  };
  std::vector<Shared> shared;
};

struct Ranked {
  wire::Prefix prefix;
  policy::SourceClass own = policy::SourceClass::unknown;
  double score = 0;
  uint32_t connections = 0;
  WallSeconds last_seen{};
};
enum class Order : uint8_t { worst, best, busiest };

struct Summary {
  size_t sources = 0, networks = 0, groups = 0, standings = 0, timers = 0;
  std::array<uint64_t, policy::kClasses> by_class{};  // own classes of sources
  uint64_t changes = 0;                               // of class, told
  uint64_t evicted = 0;                               // sources that gave way
  uint64_t networks_evicted = 0;
  uint64_t groups_evicted = 0;
  uint64_t no_source = 0;       // observations of addresses that no source has
  uint64_t standings_full = 0;  // DNSBL answers that found no room
  uint64_t not_restored = 0;    // for want of room
};
struct Eight {  // an IPv4 /8
  uint8_t first = 0;
  std::array<uint32_t, policy::kClasses> by_class{};
};

class Engine {
 public:
  using Numbers = std::function<uint64_t()>;
  Engine(const Settings&, ClassSink&, Numbers, uint64_t hash_seed);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Classes follow the new settings a 256th of the sources at each advance().
  void configure(const Settings&);
  [[nodiscard]] const Settings& settings() const noexcept;

  // --- evidence
  void connected(const wire::Address& client, WallSeconds now);  // a handshake was proven
  void observe(const Observation&, WallSeconds now);
  void penalise(const wire::Address& client, WallSeconds until, uint32_t offences, WallSeconds now);
  // What DNSBL and DNSWL answers weigh together; for `good_for` at most. 0: nothing.
  void stand(const wire::Address& client, double list_weight, std::chrono::seconds good_for, WallSeconds now);

  // --- groups
  // Whole, as it is from now on. An error: there are too many of them, or of their prefixes; the old ones stay.
  // `lasting`: the operator's. Of the others the one of least worth gives way when there are too many.
  Status set_group(std::string_view name, std::vector<wire::Prefix>, bool lasting, WallSeconds now);
  void remove_group(std::string_view name);
  // Evidence that has no address: mail of ours to a domain whose senders these are.
  void credit_group(std::string_view name, Kind, double amount, WallSeconds now);

  // --- time
  // Does what is due, at most `most` of it.
  void advance(WallSeconds now, size_t most = 4096);
  // Nothing: never. In the past: there is more to do at once.
  [[nodiscard]] std::optional<WallSeconds> next_due() const;

  // --- questions
  [[nodiscard]] std::optional<View> view(const wire::Address& client, WallSeconds now) const;
  // Looks at every source: 50 ns each.
  [[nodiscard]] std::vector<Ranked> top(size_t n, Order, WallSeconds now) const;
  [[nodiscard]] Summary summary() const;
  [[nodiscard]] std::vector<Eight> eights() const;  // those with sources
  [[nodiscard]] const Groups& groups() const noexcept;
  // Every prefix with a learned class, a 256th of the sources at a time: part 0 to kParts - 1.
  static constexpr size_t kParts = Table<int>::kShards + 1;
  void for_classes(size_t part, const std::function<void(const ClassChange&)>&) const;

  // Forgets the source: evidence, penalty, standing. Its groups and network keep what they have. False: there is none.
  bool clear(const wire::Address& client, WallSeconds now);

  // --- what outlives mired
  // Brings one back; tells nobody of its class. After the last of them loaded() is called.
  void reserve(size_t sources);
  void restore(Space, SourceKey, std::string_view name, const Kept&, WallSeconds now);
  void loaded(WallSeconds now);
  // What has changed since it was last taken; at most `most`.
  [[nodiscard]] std::vector<Touched> take_touched(size_t most);
  [[nodiscard]] size_t touched() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mire::reputation
