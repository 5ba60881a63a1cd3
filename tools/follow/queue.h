// queue.h - outcomes that wait to be reported: bounded, and what is the same is one with a larger amount.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tools/follow/outcome.h"

namespace mire::follow {

class Queue {
 public:
  static constexpr size_t kBatch = 100;  // a request of that many stays below mired's longest line

  // In a full queue the oldest gives way and is counted.
  explicit Queue(size_t most = kBatch) : most_(most) {}

  void add(Outcome);
  [[nodiscard]] bool full() const noexcept { return waiting_.size() >= most_; }
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
  [[nodiscard]] size_t size() const noexcept { return waiting_.size(); }
  [[nodiscard]] uint64_t lost() const noexcept { return lost_; }
  // The oldest ones; they are no longer here.
  [[nodiscard]] std::vector<Outcome> take();
  // Before all others: they were not sent.
  void put_back(std::vector<Outcome>);

 private:
  size_t most_;
  std::deque<Outcome> waiting_;
  uint64_t lost_ = 0;
};

// {"source":…,"kind":…,"amount":…}, with its line break.
[[nodiscard]] std::string feedback_line(const Outcome&);
// A request of JSON-RPC 2.0, method feedback, with its line break.
[[nodiscard]] std::string feedback_request(const std::vector<Outcome>&, uint64_t id);

}  // namespace mire::follow
