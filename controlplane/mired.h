// mired.h - the control plane's rooms put together: what happens when the file is read, an event arrives, the dataplane
// answers.
//
// One thread on one io_context (the flow log writes by a thread of its own). Its own words go to standard error, a line
// each, with "mired: " before them; flow events go to the flow log.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "controlplane/api/server.h"
#include "controlplane/config/config.h"
#include "controlplane/learning/learning.h"
#include "controlplane/link/link.h"
#include "controlplane/log/flow_log.h"
#include "controlplane/log/recent_events.h"
#include "controlplane/options.h"
#include "controlplane/report/book.h"
#include "controlplane/state/penalty_memory.h"
#include "controlplane/state/pipeconnect_memory.h"
#include "controlplane/state/profile_memory.h"

namespace mire {

class Mired final : private link::Listener, private reputation::ClassSink {
 public:
  explicit Mired(Options);

  // Until SIGTERM or SIGINT. The exit code.
  int run();

 private:
  [[nodiscard]] std::vector<mailbox::Down> settings() override;
  void on_event(const mailbox::FlowEvent&) override;
  void on_profile(const mailbox::Profile&) override;
  void on_lost(uint64_t events) override;
  void on_applied(uint64_t generation) override;
  void on_refused(uint64_t generation, const std::string& why) override;
  void on_connected(uint32_t dataplane_pid) override;
  void on_waiting(const std::string& why) override;

  void on_class(const reputation::ClassChange&) override;

  bool take_config();
  bool take_log(const std::string& path);
  void publish();
  void publish_soon();
  void keep_profiles();
  void keep_report();
  void say_notice(const std::string& notice);
  void wait_for_signal();
  void reload();
  [[nodiscard]] api::Methods methods();
  [[nodiscard]] boost::json::value status() const;

  Options options_;
  boost::asio::io_context io_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer soon_;
  boost::asio::steady_timer keeping_;
  boost::asio::steady_timer reporting_;
  config::Config config_;
  std::unique_ptr<log::FlowLog> log_;
  log::RecentEvents recent_;
  report::Book book_;
  state::PipeconnectMemory memory_;
  state::PenaltyMemory penalties_;
  state::ProfileMemory profiles_;
  std::unique_ptr<learning::Learning> learning_;
  link::Link link_;
  std::unique_ptr<api::Server> api_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  uint64_t applied_ = 0;
  uint64_t events_received_ = 0;
  uint64_t events_lost_ = 0;
  uint64_t class_changes_ = 0;
  uint32_t dataplane_pid_ = 0;
  bool publishing_soon_ = false;
  bool keeping_soon_ = false;
  std::string refusal_;  // of the dataplane, for the newest settings
};

// One line to standard error.
void say(const std::string& text);

}  // namespace mire
