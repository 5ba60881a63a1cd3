// recent_events.h - the latest flow events in memory, and those who follow them live.
//
// Purpose: `show events` without reading a log file. Bounded: kRecent events, kFollowers followers. A follower is asked
// to take each event that matches; one that cannot (its connection does not read) misses it, one that is gone is
// forgotten. One thread.
#pragma once

#include <boost/json/array.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "controlplane/log/flow_line.h"
#include "dataplane/base/result.h"
#include "dataplane/mailbox/flow_event.h"

namespace mire::log {

inline constexpr size_t kRecent = 4096;
inline constexpr size_t kFollowers = 64;

class RecentEvents {
 public:
  using Taker = std::function<void(const boost::json::value&)>;

  void add(const mailbox::FlowEvent&, WallTime);

  // Oldest first, the latest `limit` of those whose line holds `match` (as the log has it; empty: all).
  [[nodiscard]] boost::json::array recent(size_t limit, std::string_view match) const;

  // One a session; a second replaces the first.
  Status follow(uint64_t session, std::string match, Taker);
  void forget(uint64_t session) { followers_.erase(session); }

 private:
  struct Follower {
    std::string match;
    Taker take;
  };
  std::deque<std::string> lines_;
  std::map<uint64_t, Follower> followers_;
};

}  // namespace mire::log
