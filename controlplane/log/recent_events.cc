#include "controlplane/log/recent_events.h"

#include <algorithm>
#include <boost/json.hpp>

namespace mire::log {
namespace {

namespace json = boost::json;

bool holds(std::string_view line, std::string_view match) {
  return match.empty() || line.find(match) != std::string_view::npos;
}

}  // namespace

void RecentEvents::add(const mailbox::FlowEvent& event, WallTime when) {
  if (lines_.size() >= kRecent) lines_.pop_front();
  const std::string& line = lines_.emplace_back(flow_line(event, when));
  if (followers_.empty()) return;
  json::value parsed;
  for (const auto& [session, follower] : followers_) {
    if (!holds(line, follower.match)) continue;
    if (parsed.is_null()) parsed = json::parse(line);
    follower.take(parsed);
  }
}

json::array RecentEvents::recent(size_t limit, std::string_view match) const {
  json::array out;
  for (auto line = lines_.rbegin(); line != lines_.rend() && out.size() < limit; ++line)
    if (holds(*line, match)) out.push_back(json::parse(*line));
  std::reverse(out.begin(), out.end());
  return out;
}

Status RecentEvents::follow(uint64_t session, std::string match, Taker take) {
  if (followers_.size() >= kFollowers && !followers_.contains(session))
    return Error{"too many follow events already; end one of them"};
  followers_.insert_or_assign(session, Follower{std::move(match), std::move(take)});
  return success();
}

}  // namespace mire::log
