// json_rpc.h - one line in, at most one line out: JSON-RPC 2.0 over named methods. No socket here.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "controlplane/api/method.h"

namespace mire::api {

inline constexpr int kRefused = -32000;    // the message says why, for people
inline constexpr int kForbidden = -32001;  // the caller may not

// The answer without its line break; empty for notifications (JSON-RPC 2.0, 4.1). The requests of a batch are answered
// one after the other. `methods` must outlive it.
[[nodiscard]] boost::asio::awaitable<std::string> answer(std::string line, const Methods& methods, Caller);

// An error without an id, for those who are turned away before they asked.
[[nodiscard]] std::string refusal(std::string_view message);
// {"jsonrpc":"2.0","method":…,"params":…}
[[nodiscard]] std::string notification(std::string_view method, const boost::json::value& params);

}  // namespace mire::api
