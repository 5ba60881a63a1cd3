#include "ebpf/wire.h"

#include <fmt/format.h>
#include <net/if.h>

#include <string>
#include <vector>

#include "ebpf/bypass.h"
#include "ebpf/ports.h"
#include "ebpf/steer.h"

namespace mire::ebpf {
namespace {

Status refuse_foreign_xdp(const std::string& port) {
  const auto owner = xdp_owner(port);
  if (!owner) return Error{owner.error()};
  if (*owner != XdpOwner::foreign) return success();
  return Error{
      fmt::format("{} is busy: it carries an XDP program that is not ours; stop its owner, or: ip link set {} "
                  "xdp off",
                  port, port)};
}

}  // namespace

Result<WireState> close_wire(const PortNames& ports, FailMode mode) {
  if (auto checked = check_ports(ports); !checked) return Error{checked.error()};
  for (const auto* port : {&ports.wan, &ports.lan}) {
    if (auto free = refuse_foreign_xdp(*port); !free) return Error{free.error()};
  }
  const auto prepared = prepare_ports(ports);
  if (!prepared) return Error{prepared.error()};
  auto state = attach_bypass(ports, mode);
  if (!state && *prepared) (void)restore_ports(ports);
  return state;
}

Status open_wire(const PortNames& ports) {
  // A port that went away since must not keep the other one; a name that was never a port must not open a wire.
  std::vector<std::string> present;
  for (const auto* port : {&ports.wan, &ports.lan}) {
    if (if_nametoindex(port->c_str()) == 0 && ports_prepared(ports)) continue;
    if (auto free = refuse_foreign_xdp(*port); !free) return free;
    present.push_back(*port);
  }
  for (const auto& port : present) {
    if (auto detached = detach_xdp(port); !detached) return detached;
  }
  if (auto detached = detach_bypass(ports); !detached) return detached;
  return restore_ports(ports);
}

}  // namespace mire::ebpf
