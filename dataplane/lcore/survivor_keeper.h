// survivor_keeper.h - keeps flows for the dataplane's successor: on a file, and in the eBPF programs' memory, so that
// meanwhile their segments are not passed.
#pragma once

#include <utility>

#include "dataplane/defer/survivors.h"
#include "dataplane/lcore/keeper.h"
#include "ebpf/wire_state.h"

namespace mire::lcore {

// One lcore's. `wire`: nullptr where no eBPF program stands in for us.
class SurvivorKeeper final : public Keeper {
 public:
  SurvivorKeeper(defer::SurvivorFile file, ebpf::WireState* wire) : file_(std::move(file)), wire_(wire) {}

  bool keep(const defer::Survivor& s) override {
    const auto kept = file_.keep(s);
    if (kept == defer::SurvivorFile::Kept::fresh && wire_ != nullptr)
      wire_->keep(s.name.client, s.name.server, static_cast<uint16_t>(s.name.client_port));
    return kept != defer::SurvivorFile::Kept::no_room;
  }
  void forget(const defer::FlowName& name) override {
    if (file_.forget(name) && wire_ != nullptr)
      wire_->let_go(name.client, name.server, static_cast<uint16_t>(name.client_port));
  }
  void beat(Time now) override { file_.beat(now); }

 private:
  defer::SurvivorFile file_;
  ebpf::WireState* wire_;
};

}  // namespace mire::lcore
