// pipeconnect_memory.h - which servers' PIPECONNECT was hidden, and since when. It outlives mired.
//
// A client that saw the keyword before we stood here may remember it for a while, and then speaks before the greeting,
// rightly. So for 30 days after the first hiding an early EHLO to that server is left to repetition. The first time
// counts and is kept for good: every later hiding would else begin the 30 days anew, and they would never end.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/state/state_file.h"
#include "dataplane/mailbox/layout.h"
#include "dataplane/wire/address.h"

namespace mire::state {

using WallSeconds = std::chrono::sys_seconds;

class PipeconnectMemory {
 public:
  // Reads DIR/pipeconnect.json. Works in memory if that cannot be; what to tell the operator is in take_notice() then.
  explicit PipeconnectMemory(const std::string& directory);

  // True if the server is new: it was written down, or take_notice() says why not.
  bool remember(const wire::Address& server, WallSeconds now);

  // For the settings: every server, those whose 30 days are over with nothing left. The dataplane must know of them, or
  // it would begin their days anew when it next hides the keyword.
  [[nodiscard]] std::vector<mailbox::EarlyHello> early_hellos(WallSeconds now) const;

  [[nodiscard]] std::string take_notice();

 private:
  void save();

  StateFile file_;
  std::map<wire::Address, WallSeconds> first_hidden_;
};

}  // namespace mire::state
