// feedback.h - feedback: what happened to mail where the wire cannot see it, as mail logs and outside filters tell it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "controlplane/api/method.h"
#include "controlplane/reputation/observation.h"

namespace mire::methods {

struct Feedback {
  reputation::Observation observation;
  uint16_t port = 0;   // the client's; 0: not said
  std::string domain;  // of outbound: the recipient's, in small letters
};

inline constexpr size_t kMostFeedback = 1'000;  // observations of one request
inline constexpr double kLargestAmount = 10'000;

// {"observations": [{"source": ADDRESS, "kind": KIND, "amount": N, "port": N, "domain": NAME}, …]}, whole or refused
// with the number of the wrong one. Kinds: accepted, unknown_recipient, refusal, outbound, ham, spam: what the wire
// sees itself is nobody else's to tell. amount (1) is above 0; port and domain need not be there.
[[nodiscard]] Result<std::vector<Feedback>> parse_feedback(const boost::json::value& params);

// Changes. The answer is {"taken": N}.
[[nodiscard]] api::Methods feedback_methods(std::function<void(const Feedback&)> take);

}  // namespace mire::methods
