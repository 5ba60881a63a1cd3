// ports.h - kernel interfaces as ports of a wire: facts, and what must be set on them and put back.
//
// A port is prepared before bypass is attached: up, promiscuous, no receive VLAN stripping, GRO or LRO, and no IPv6 of
// its own, so that the gateway stays silent. What it was before is kept in /run/mire, one small file a wire and network
// namespace, and put back exactly by restore_ports, in whichever process. Knows nothing of BPF.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/result.h"
#include "ebpf/bypass.h"
#include "ebpf/wire_state.h"

namespace mire::ebpf {

struct PortFacts {
  uint32_t ifindex = 0;
  uint32_t mtu = 0;
  bool up = false;
  uint32_t receive_queues = 1;
  bool ethernet = true;
};
// An error that names the port if it does not exist here.
[[nodiscard]] Result<PortFacts> port_facts(const std::string& port);

// Both exist, differ, and can be ports. Changes nothing.
[[nodiscard]] Status check_ports(const PortNames&);

// `made` says which ports will get a clsact of ours. A second call keeps what the first remembered.
Status prepare_ports(const PortNames&, MadeQdisc made);

// Success too if nothing is remembered.
Status restore_ports(const PortNames&);

// Which clsact prepare_ports was told to be ours; none if nothing is remembered.
[[nodiscard]] MadeQdisc remembered_qdiscs(const PortNames&);

}  // namespace mire::ebpf
