// learning.h - what mired does with reputation: flow events become evidence, the engine's clock is wound, its memory is
// kept, questions are answered.
//
// One thread on one io_context; the store is written by a thread of the keeper's. Reads no clock but the one it is
// given. Refuses to know how classes reach the dataplane: that is the ClassSink's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/api/method.h"
#include "controlplane/learning/keeper.h"
#include "controlplane/reputation/engine.h"
#include "dataplane/mailbox/flow_event.h"

namespace mire::learning {

class Learning {
 public:
  using WallClock = std::function<reputation::WallSeconds()>;

  // Opens DIR/store and brings back what is in it: 10 million sources take some ten seconds.
  Learning(boost::asio::io_context&, const std::string& state_directory, const reputation::Settings&,
           reputation::ClassSink&, WallClock, Keeper::Say);
  ~Learning();
  Learning(const Learning&) = delete;
  Learning& operator=(const Learning&) = delete;

  void on_event(const mailbox::FlowEvent&, bool observing);
  void configure(const reputation::Settings&);
  // Whatever changed the engine from outside says so here: its timers and its store follow.
  void changed();
  void stop();

  // reputation.show, .summary, .top, .clear, and report.
  void add_methods(api::Methods&);

  // Null: in memory only.
  [[nodiscard]] const Keeper* keeper() const noexcept { return keeper_.get(); }
  [[nodiscard]] reputation::Engine& engine() noexcept { return *engine_; }
  [[nodiscard]] reputation::WallSeconds now() const { return clock_(); }

 private:
  void wind();
  void make_engine(const reputation::Settings&, reputation::ClassSink&);
  void bring_back(const std::string& path, const reputation::Settings&, reputation::ClassSink&);

  WallClock clock_;
  Keeper::Say say_;
  boost::asio::steady_timer timer_;
  reputation::WallSeconds wound_for_{};
  bool wound_ = false;
  std::unique_ptr<store::Store> store_;  // null: in memory only
  std::unique_ptr<reputation::Engine> engine_;
  std::unique_ptr<Keeper> keeper_;
};

}  // namespace mire::learning
