#include "tools/follow/queue.h"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <utility>

namespace mire::follow {
namespace {

namespace json = boost::json;

constexpr size_t kLookBack = 16;  // what is the same comes soon or not at all

json::object observation(const Outcome& outcome) {
  const std::string_view kind = kKindNames[static_cast<size_t>(outcome.kind)];
  json::object one{{"source", wire::to_string(outcome.source)},
                   {"kind", json::string_view(kind.data(), kind.size())},
                   {"amount", outcome.amount}};
  if (outcome.port != 0) one["port"] = outcome.port;
  if (!outcome.domain.empty()) one["domain"] = outcome.domain;
  return one;
}

}  // namespace

void Queue::add(Outcome outcome) {
  const size_t from = waiting_.size() - std::min(waiting_.size(), kLookBack);
  for (size_t i = from; i < waiting_.size(); ++i) {
    Outcome& earlier = waiting_[i];
    if (earlier.source != outcome.source || earlier.port != outcome.port || earlier.kind != outcome.kind ||
        earlier.domain != outcome.domain)
      continue;
    earlier.amount += outcome.amount;
    return;
  }
  if (full() && !waiting_.empty()) {
    waiting_.pop_front();
    ++lost_;
  }
  waiting_.push_back(std::move(outcome));
}

std::vector<Outcome> Queue::take() {
  const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(waiting_.size(), kBatch));
  std::vector<Outcome> batch(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  return batch;
}

void Queue::put_back(std::vector<Outcome> batch) {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

std::string feedback_line(const Outcome& outcome) { return json::serialize(observation(outcome)) + "\n"; }

std::string feedback_request(const std::vector<Outcome>& batch, uint64_t id) {
  json::array observations;
  for (const Outcome& outcome : batch) observations.push_back(observation(outcome));
  return json::serialize(json::object{{"jsonrpc", "2.0"},
                                      {"id", id},
                                      {"method", "feedback"},
                                      {"params", json::object{{"observations", std::move(observations)}}}}) +
         "\n";
}

}  // namespace mire::follow
