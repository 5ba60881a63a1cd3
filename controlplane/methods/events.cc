#include "controlplane/methods/events.h"

#include <boost/json.hpp>

#include "controlplane/api/params.h"

namespace mire::methods {
namespace {

namespace json = boost::json;
constexpr int64_t kShown = 50;

api::Answer recent(log::RecentEvents& events, const json::value& given) {
  api::Params params(given, {"limit", "match"});
  const int64_t limit = params.number("limit", 1, log::kRecent).value_or(kShown);
  const std::string match = params.text("match").value_or("");
  if (const Status s = params.status(); !s) return Error{s.error()};
  return json::value(json::object{{"events", events.recent(static_cast<size_t>(limit), match)}});
}

// Each event as a notification `event`, until the session ends or says events.unfollow.
api::Answer follow(log::RecentEvents& events, const json::value& given, const api::Caller& caller) {
  api::Params params(given, {"match"});
  std::string match = params.text("match").value_or("");
  if (const Status s = params.status(); !s) return Error{s.error()};
  if (caller.session == 0) return Error{"events are followed over mired's socket: a single request cannot"};
  const Status s = events.follow(caller.session, std::move(match), [audience = caller.audience](const json::value& e) {
    if (const auto there = audience.lock()) there->tell("event", e);
  });
  if (!s) return Error{s.error()};
  return json::value(json::object{{"following", true}});
}

}  // namespace

api::Methods event_methods(log::RecentEvents& events) {
  return {{"events.recent",
           api::reads([&events](const json::value& params, const api::Caller&) { return recent(events, params); })},
          {"events.follow", api::reads([&events](const json::value& params, const api::Caller& caller) {
             return follow(events, params, caller);
           })},
          {"events.unfollow", api::reads([&events](const json::value&, const api::Caller& caller) -> api::Answer {
             events.forget(caller.session);
             return json::value(json::object{{"following", false}});
           })}};
}

}  // namespace mire::methods
