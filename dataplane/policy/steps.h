// steps.h - what the state machine's parts share. Private to policy/.
#pragma once

#include "dataplane/policy/policy.h"

namespace mire::policy {

constexpr Step pass(State next, Reason reason) noexcept { return {next, Verdict::pass, reason}; }
constexpr Step drop(State next, Reason reason) noexcept { return {next, Verdict::drop, reason}; }

// met, deferred, invited, dialling, replied: the states in which the client talks with us (meeting.cc).
[[nodiscard]] Step on_met(Event, const Treatment&) noexcept;
[[nodiscard]] Step on_deferred(Event, const Treatment&) noexcept;
[[nodiscard]] Step on_invited(Event, const Treatment&) noexcept;
[[nodiscard]] Step on_dialling(Event) noexcept;
[[nodiscard]] Step on_replied(Event) noexcept;

}  // namespace mire::policy
