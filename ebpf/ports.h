// ports.h - kernel interfaces as ports of a wire: facts, and what must be set on them and put back.
//
// A port is prepared before bypass is attached: up, promiscuous, no receive VLAN stripping, GRO or LRO, no IPv6 of its
// own, so that the gateway stays silent, and with a clsact for bypass. What it was before is kept in /run/mire, one
// small file a wire and network namespace, and put back exactly by restore_ports, in whichever process. Knows nothing
// of BPF.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/result.h"
#include "ebpf/wire_state.h"

namespace mire::ebpf {

struct PortFacts {
  uint32_t ifindex = 0;
  uint32_t mtu = 0;
  bool up = false;
  bool ethernet = true;
  uint32_t receive_queues = 1;  // in use, not those that the NIC could have
  uint32_t master = 0;          // ifindex of the bridge or bond that it belongs to
};
// An error that names the port if it does not exist here.
[[nodiscard]] Result<PortFacts> port_facts(const std::string& port);

// Both exist, differ, and can be ports. Changes nothing.
[[nodiscard]] Status check_ports(const PortNames&);

// True: from now on there is something for restore_ports to put back. False: a former call remembers it already.
// If it fails, what it changed is put back. Settings that somebody changed since are set once more.
Result<bool> prepare_ports(const PortNames&);

// Has prepare_ports been here, and restore_ports not yet?
[[nodiscard]] bool ports_prepared(const PortNames&);

// After detach_bypass. Success too if nothing is remembered, and for a port that is gone.
Status restore_ports(const PortNames&);

}  // namespace mire::ebpf
