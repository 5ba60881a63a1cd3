// day.h - what one day was like: flow events by hour, reason and class, the networks that were stopped, how long was
// held, and what observing would have cost. Pure but for its own numbers.
//
// Cost: an event is two look-ups in small tables and one among the networks. A day is at most some tens of kilobytes.
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/report/top_networks.h"
#include "dataplane/mailbox/flow_event.h"
#include "dataplane/policy/types.h"

namespace mire::report {

inline constexpr size_t kHours = 24;
inline constexpr uint32_t kHoldStepMs = 100;
inline constexpr size_t kHoldSteps = 301;  // the last one: 30 s, or more

// Not let on to the server, or cut off from it.
[[nodiscard]] bool is_stopped(const mailbox::FlowEvent&) noexcept;

class Day {
 public:
  void count(const mailbox::FlowEvent&, unsigned hour);
  void lost(uint64_t events) noexcept { lost_ += events; }

  // For people and their programs: see docs/api.md, report.daily.
  [[nodiscard]] boost::json::object report(size_t networks) const;

  // For the file. load() throws what boost::json throws if it was not save() who wrote it.
  [[nodiscard]] boost::json::object save() const;
  static Day load(const boost::json::object&);

 private:
  struct Hour {
    uint64_t stopped = 0;
    uint64_t held = 0;       // holds that ended
    uint64_t delivered = 0;  // flows in which the server accepted a message
    uint64_t messages = 0;   // that it accepted
  };
  using ByClass = std::array<uint64_t, policy::kClasses>;
  [[nodiscard]] uint32_t hold_quantile_ms(double q) const noexcept;

  std::array<Hour, kHours> hours_{};
  std::map<policy::Reason, ByClass> reasons_;
  std::array<uint64_t, kHoldSteps> holds_{};  // by the steps that they took
  uint32_t longest_ms_ = 0;
  TopNetworks networks_;
  uint64_t would_stop_ = 0;            // observe mode: flows that enforcement would have stopped
  uint64_t would_stop_delivered_ = 0;  // of these: the server accepted a message later
  uint64_t lost_ = 0;
};

}  // namespace mire::report
