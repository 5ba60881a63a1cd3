// json_rpc.h - one line in, at most one line out: JSON-RPC 2.0 over named methods. No socket here.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace mire::api {

// Parameters in, result out.
using Method = std::function<boost::json::value(const boost::json::value&)>;
using Methods = std::map<std::string, Method, std::less<>>;

// The answer without its line break; empty for notifications (JSON-RPC 2.0, 4.1).
[[nodiscard]] std::string answer(std::string_view line, const Methods&);

}  // namespace mire::api
