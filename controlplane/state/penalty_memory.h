// penalty_memory.h - whose penalty runs, as the dataplane's events told it: what a new dataplane goes on with.
//
// Memory only: what must outlive mired too is reputation's. Bounded by what a dataplane accepts; in a full memory the
// penalty that ends first gives way, so it never keeps a newer one out.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "dataplane/base/time.h"
#include "dataplane/mailbox/layout.h"

namespace mire::state {

class PenaltyMemory {
 public:
  explicit PenaltyMemory(size_t most = mailbox::kMaxPenalties) : most_(most) {}

  // An event without a penalty changes nothing. The latest word on a source counts.
  void remember(const mailbox::FlowEvent&, Time now);

  // For the settings: those that are not over. What is over is forgotten.
  [[nodiscard]] std::vector<mailbox::Penalty> running(Time now);

 private:
  struct Kept {
    Time until{};
    Time last_offence{};
    uint32_t offences = 0;
  };
  void forget_until(Time now);

  size_t most_;
  std::map<wire::Address, Kept> kept_;  // by source
  std::set<std::pair<Time, wire::Address>> by_end_;
};

}  // namespace mire::state
