// judge.h - from evidence to score and class, with the reasons. A pure function of its arguments.
//
// The score is a sum: each kind's amount, faded to `now`, times its weight. So it can be printed as a person would
// write it, and fading scales all of it alike. The class follows from the score and from what the score alone cannot
// say: mail on several days, others' word, a penalty or a rate step that runs. docs/reputation.md has the table. Cost:
// about 50 ns.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "controlplane/reputation/evidence.h"
#include "controlplane/reputation/settings.h"
#include "dataplane/policy/types.h"

namespace mire::reputation {

// What is so regardless of the source's own deeds. Does not fade.
struct Standing {
  double list_weight = 0;  // of DNSBL answers in force; negative: allow lists outweigh
  // What its group or its /48 is. Counts if the source's own evidence says nothing against it.
  std::optional<policy::SourceClass> shared;
  std::optional<policy::SourceClass> listed;  // by the operator or a feed: that is its class
};

// Why the class is what it is. X(name, text for people)
#define MIRE_GROUNDS(X)                                                                                    \
  X(nothing, "no evidence that would decide")                                                              \
  X(score, "by its score")                                                                                 \
  X(few_days, "its score would make it known, but it has sent mail on too few days")                       \
  X(not_sure, "its score would make it trusted, but not for long enough, or nobody saw its mail accepted") \
  X(good_past, "its score would make it blocked, but it has a good past")                                  \
  X(penalty, "a penalty runs")                                                                             \
  X(rate, "its rate is far above its past")                                                                \
  X(shared, "by its group or network")                                                                     \
  X(listed, "by a list")

enum class Ground : uint8_t {
#define X(name, text) name,
  MIRE_GROUNDS(X)
#undef X
};
[[nodiscard]] std::string_view to_string(Ground) noexcept;
[[nodiscard]] std::string_view describe(Ground) noexcept;

struct Reason {
  Kind kind = Kind::accepted;
  double count = 0;  // faded
  double points = 0;
  friend bool operator==(const Reason&, const Reason&) = default;
};

struct Judgement {
  double score = 0;
  policy::SourceClass source_class = policy::SourceClass::unknown;  // what it is
  policy::SourceClass own = policy::SourceClass::unknown;           // what it would be without group, network and lists
  Ground ground = Ground::nothing;
  RateStep step = RateStep::calm;
  bool penalty = false;  // one runs
  uint8_t reasons_held = 0;
  std::array<Reason, kKinds> reasons_room;
  // Their points add up to the score. Those that weigh most come first.
  [[nodiscard]] std::span<const Reason> reasons() const noexcept { return {reasons_room.data(), reasons_held}; }
};

[[nodiscard]] Judgement judge(const Evidence&, const Standing&, const Settings&, WallSeconds now) noexcept;

// When time alone may next change what judge() says of the class; nothing: never. Never too late; after it, ask again.
[[nodiscard]] std::optional<WallSeconds> next_change(const Evidence&, const Standing&, const Settings&,
                                                     WallSeconds now) noexcept;

}  // namespace mire::reputation
