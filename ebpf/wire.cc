#include "ebpf/wire.h"

#include <fmt/format.h>

#include "ebpf/bypass.h"
#include "ebpf/ports.h"
#include "ebpf/steer.h"

namespace mire::ebpf {
namespace {

Status refuse_foreign_xdp(const PortNames& ports) {
  for (const auto* port : {&ports.wan, &ports.lan}) {
    const auto owner = xdp_owner(*port);
    if (!owner) return Error{owner.error()};
    if (*owner == XdpOwner::foreign) {
      return Error{
          fmt::format("{} is busy: it carries an XDP program that is not ours; stop its owner, or: ip link set {} "
                      "xdp off",
                      *port, *port)};
    }
  }
  return success();
}

}  // namespace

Result<WireState> close_wire(const PortNames& ports, FailMode mode) {
  if (auto checked = check_ports(ports); !checked) return Error{checked.error()};
  if (auto free = refuse_foreign_xdp(ports); !free) return Error{free.error()};
  const auto prepared = prepare_ports(ports);
  if (!prepared) return Error{prepared.error()};
  auto state = attach_bypass(ports, mode);
  if (!state && *prepared) (void)restore_ports(ports);
  return state;
}

Status open_wire(const PortNames& ports) {
  if (auto free = refuse_foreign_xdp(ports); !free) return free;
  for (const auto* port : {&ports.wan, &ports.lan}) {
    if (auto detached = detach_xdp(*port); !detached) return detached;
  }
  if (auto detached = detach_bypass(ports); !detached) return detached;
  return restore_ports(ports);
}

}  // namespace mire::ebpf
