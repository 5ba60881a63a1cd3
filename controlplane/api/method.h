// method.h - what can be called by name: a right, and a coroutine from parameters to an answer.
//
// Purpose: every command of the shell is one of these, whoever transports it. Assumes one thread: methods run on
// mired's io_context and may await, but never block. An Error is a refusal that a person reads: one line that says
// what, why and what to do.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "controlplane/api/caller.h"
#include "dataplane/base/result.h"

namespace mire::api {

using Answer = Result<boost::json::value>;

enum class Right : uint8_t { read, change };

struct Method {
  Right right = Right::read;
  std::function<boost::asio::awaitable<Answer>(boost::json::value params, Caller)> run;
};
using Methods = std::map<std::string, Method, std::less<>>;

// Methods that answer at once.
using Prompt = std::function<Answer(const boost::json::value& params, const Caller&)>;
[[nodiscard]] Method reads(Prompt);
[[nodiscard]] Method changes(Prompt);

}  // namespace mire::api
