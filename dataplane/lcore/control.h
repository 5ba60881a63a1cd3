// control.h - the main thread: between lcores and mired, and the one who hears signals. It sleeps when nothing happens.
//
// Purpose: carries flow events up, turns mired's messages into settings, swaps them lcore by lcore and frees the old
// ones once no lcore can look at them. It may stop for a while without a packet delayed. Refuses to judge anything.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/lcore/settings_builder.h"
#include "dataplane/lcore/worker.h"
#include "dataplane/mailbox/dataplane_end.h"
#include "ebpf/wire_state.h"

namespace mire::lcore {

class Control {
 public:
  // Listens for mired, and takes over SIGTERM and SIGINT. Call before any other thread exists.
  static Result<std::unique_ptr<Control>> open(const std::string& socket_path, unsigned lcores);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Until a signal to stop. `wire` may be nullptr. Workers run on their own lcores already. The wire counts as judged
  // from the moment when all of them use the first settings.
  void run(const std::vector<Worker*>& workers, ebpf::WireState* wire);

  // Ends all holds, lets what was released leave, stops the workers. The eBPF programs are told before.
  void stop_workers();

  // One round without waiting, for tests: what run() does when it wakes.
  void round(Time now);
  void attend(const std::vector<Worker*>& workers, ebpf::WireState* wire);

 private:
  Control(std::unique_ptr<mailbox::DataplaneEnd>, int signals, int epoll);
  bool carry_events();
  void take_messages(Time now);
  void swap_settings();
  void log_trouble();
  void tell_all(Command);

  std::unique_ptr<mailbox::DataplaneEnd> mailbox_;
  int signals_;
  int epoll_;
  std::vector<Worker*> workers_;
  ebpf::WireState* wire_ = nullptr;
  std::vector<uint64_t> events_lost_;  // by lcore, as last told
  SettingsBuilder builder_;
  uint64_t connections_ = 0;
  std::unique_ptr<source::Settings> current_;
  std::unique_ptr<source::Settings> former_;  // until every lcore uses current_
  bool swapping_ = false;
};

}  // namespace mire::lcore
