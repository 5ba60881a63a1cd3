#include "controlplane/state/penalty_memory.h"

#include <algorithm>

namespace mire::state {
namespace {

// Seconds that a message may carry; a part of one counts whole, so that what runs is never told as nothing.
uint32_t whole_seconds(Duration d) {
  constexpr auto kCap = static_cast<int64_t>(mailbox::kPenaltyCapMs / 1000);
  const int64_t s = (d + seconds{1} - Duration{1}) / seconds{1};
  return static_cast<uint32_t>(std::clamp<int64_t>(s, 0, kCap));
}

}  // namespace

void PenaltyMemory::remember(const mailbox::FlowEvent& e, Time now) {
  if (e.penalty_ms == 0) return;
  const auto ms = static_cast<int64_t>(std::min(e.penalty_ms, mailbox::kPenaltyCapMs));
  const wire::Address source = wire::source_of(e.client);
  if (const auto old = kept_.find(source); old != kept_.end()) {
    by_end_.erase({old->second.until, source});
    kept_.erase(old);
  }
  forget_until(now);
  if (kept_.size() >= most_) forget_until(by_end_.begin()->first);
  const Kept kept{now + milliseconds{ms}, now, std::max<uint32_t>(e.offences, 1)};
  kept_[source] = kept;
  by_end_.emplace(kept.until, source);
}

std::vector<mailbox::Penalty> PenaltyMemory::running(Time now) {
  forget_until(now);
  std::vector<mailbox::Penalty> out;
  out.reserve(kept_.size());
  for (const auto& [source, kept] : kept_)
    out.push_back({source, whole_seconds(kept.until - now), whole_seconds(now - kept.last_offence), kept.offences});
  return out;
}

void PenaltyMemory::forget_until(Time now) {
  while (!by_end_.empty() && by_end_.begin()->first <= now) {
    kept_.erase(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
  }
}

}  // namespace mire::state
