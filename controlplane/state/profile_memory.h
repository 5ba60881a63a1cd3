// profile_memory.h - what servers have taught the dataplane, as it told us: what a new one meets strangers with. It
// outlives mired.
//
// By address and VLAN stack; the latest word counts. Bounded by what a dataplane accepts; in a full memory the one that
// was told of longest ago gives way. What is remembered is written by save(): many servers may be told of at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/state/state_file.h"
#include "dataplane/mailbox/layout.h"

namespace mire::state {

class ProfileMemory {
 public:
  // Reads DIR/profiles.json. Works in memory if that cannot be; what to tell the operator is in take_notice() then.
  explicit ProfileMemory(const std::string& directory, size_t most = mailbox::kMaxProfiles);

  // A piece that the dataplane told. True: it was the last one of a profile that is new or has changed.
  bool remember(const mailbox::Profile&, std::chrono::sys_seconds now);

  // Writes what was remembered since the last time; take_notice() says why not.
  void save();

  // For the settings: all of them, piece by piece.
  [[nodiscard]] std::vector<mailbox::Profile> profiles() const;

  [[nodiscard]] std::string take_notice() { return file_.take_notice(); }

 private:
  struct Kept {
    wire::Offer offer;
    uint16_t largest_segment = 0;
    std::string greeting;
    int64_t told = 0;  // seconds of the wall clock
  };
  using Key = std::pair<wire::Address, uint64_t>;
  void load();

  size_t most_;
  StateFile file_;
  std::map<Key, Kept> kept_;
  mailbox::ProfileAssembly coming_;
  bool unsaved_ = false;
};

}  // namespace mire::state
