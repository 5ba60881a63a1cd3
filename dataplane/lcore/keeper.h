// keeper.h - where the pipeline leaves the flows that must outlive the process (defer/survivors.h).
#pragma once

#include "dataplane/base/time.h"
#include "dataplane/defer/survivors.h"

namespace mire::lcore {

// Called on the pipeline's thread, where a flow changes its state; no call may block or allocate.
class Keeper {
 public:
  virtual ~Keeper() = default;
  // False: there was no room.
  virtual bool keep(const defer::Survivor&) = 0;
  virtual void forget(const defer::FlowName&) = 0;
  // Some times a second.
  virtual void beat(Time now) = 0;
};

}  // namespace mire::lcore
