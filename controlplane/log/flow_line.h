// flow_line.h - one flow event as one JSON line. Pure: the caller says what time it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "dataplane/mailbox/flow_event.h"

namespace mire::log {

using WallTime = std::chrono::system_clock::time_point;

// RFC 3339 in UTC, with milliseconds: "2026-11-19T02:11:04.123Z".
[[nodiscard]] std::string rfc3339(WallTime);

// Bytes of a stranger's as text: printable ASCII as it is, CR, LF and TAB as \r \n \t, the rest as \xNN, and a
// backslash as \\. So nothing of a stranger's reaches a terminal raw.
[[nodiscard]] std::string printable(std::span<const uint8_t>);
// That text within a JSON string: what the decoder returns is printable() again.
[[nodiscard]] std::string escaped(std::span<const uint8_t>);

[[nodiscard]] std::string flow_line(const mailbox::FlowEvent&, WallTime when);

}  // namespace mire::log
