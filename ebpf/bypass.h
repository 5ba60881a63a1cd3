// bypass.h - the program at tc ingress that closes the wire whenever no XDP program does.
//
// Attached to both ports before anything else and detached last, it makes starting, stopping, killing and upgrading a
// dataplane a matter of the dataplane alone. It owns the shared maps (wire_state.h). Knows nothing of processes. Wants
// the clsact of prepare_ports (ports.h); close_wire (wire.h) does both in order.
#pragma once

#include <string>

#include "dataplane/base/result.h"
#include "ebpf/wire_state.h"

namespace mire::ebpf {

// Closes the wire between two ports. Idempotent: an attached bypass of the same layout and ports keeps its maps, and
// with them a running dataplane; its program is replaced in one step, so that an upgrade loses no frame. Fails, with
// nothing changed, if a port is missing, is wired to another port already, carries somebody else's program in our
// place, or if a privilege is lacking.
Result<WireState> attach_bypass(const PortNames&, FailMode);

// Opens the wire. Ports without our bypass are left alone.
Status detach_bypass(const PortNames&);

[[nodiscard]] bool bypass_attached(const std::string& port);

// The maps of the bypass attached to a port, whatever its other end is.
[[nodiscard]] Result<WireState> state_of_bypass(const std::string& port);

}  // namespace mire::ebpf
