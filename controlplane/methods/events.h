// events.h - events.recent, events.follow, events.unfollow.
#pragma once

#include "controlplane/api/method.h"
#include "controlplane/log/recent_events.h"

namespace mire::methods {

// `events` must outlive them. Who is told that a session is over calls events.forget().
[[nodiscard]] api::Methods event_methods(log::RecentEvents& events);

}  // namespace mire::methods
