// queues.h - what passes between a lcore and the control thread: flow events and profiles up, commands down, questions
// by a slot.
//
// Inside one process and of fixed size, so Boost's queues may be believed. A full queue up loses an event, which the
// pipeline counts; a full queue down is the control thread's to repeat.
#pragma once

#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/lcore/pipeline.h"
#include "dataplane/mailbox/flow_event.h"
#include "dataplane/source/settings.h"

namespace mire::lcore {

struct Command {
  enum class Kind : uint8_t {
    use,          // these settings from now on
    release_all,  // end all holds now
    stop,         // leave run()
  };
  Kind kind = Kind::use;
  const source::Settings* settings = nullptr;
};

using EventQueue = boost::lockfree::spsc_queue<mailbox::FlowEvent, boost::lockfree::capacity<4096>>;
using ProfileQueue = boost::lockfree::spsc_queue<mailbox::Profile, boost::lockfree::capacity<4 * mailbox::kMostPieces>>;
using CommandQueue = boost::lockfree::spsc_queue<Command, boost::lockfree::capacity<16>>;

class QueueSink final : public EventSink {
 public:
  bool offer(const mailbox::FlowEvent& event) override { return queue_.push(event); }
  bool tell(std::span<const mailbox::Profile> pieces) override {
    if (profiles_.write_available() < pieces.size()) return false;
    return profiles_.push(pieces.begin(), pieces.end()) == pieces.end();  // seen by the other side at once
  }
  [[nodiscard]] EventQueue& queue() noexcept { return queue_; }
  [[nodiscard]] ProfileQueue& profiles() noexcept { return profiles_; }

 private:
  EventQueue queue_;
  ProfileQueue profiles_;
};

// One question at a time to a lcore about a source; the lcore answers between two bursts and is never waited for there.
// One asker at a time: the telemetry holds a lock of its own.
class SourceSlot {
 public:
  // False: the last question is still unanswered.
  bool ask(const wire::Address& client) noexcept {
    if (state_.load(std::memory_order_acquire) == State::asked) return false;
    client_ = client;
    state_.store(State::asked, std::memory_order_release);
    return true;
  }
  [[nodiscard]] bool answered() const noexcept { return state_.load(std::memory_order_acquire) == State::answered; }
  // After answered().
  [[nodiscard]] const std::optional<SourceView>& answer() const noexcept { return answer_; }

  // The lcore's side: one load a turn.
  void serve(const Pipeline& pipeline, Time now) {
    if (state_.load(std::memory_order_acquire) != State::asked) [[likely]]
      return;
    answer_ = pipeline.find_source(client_, now);
    state_.store(State::answered, std::memory_order_release);
  }

 private:
  enum class State : uint8_t { idle, asked, answered };
  std::atomic<State> state_{State::idle};
  wire::Address client_;
  std::optional<SourceView> answer_;
};

}  // namespace mire::lcore
